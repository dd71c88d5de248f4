-- token.lua - a fungible token: the deployer gets all of it, holders pass it on.
function init(c, supply)
    assert(supply > 0, "a supply above zero")
    c:set("supply", supply)
    c:set("of/" .. c.caller, supply)
end

local function balance(c, who)
    return c:get("of/" .. who) or 0
end

public.transfer = function(c, to, amount)
    assert(#to == 64 and not to:find("[^0-9a-f]"), "to: an account of 64 hex digits")
    assert(amount > 0, "amount: above zero")
    local have = balance(c, c.caller)
    assert(have >= amount, "the balance does not cover it")
    c:set("of/" .. c.caller, have - amount)
    c:set("of/" .. to, balance(c, to) + amount) -- read after the write: to may be the caller
    c:emit("transfer", { from = c.caller, to = to, amount = amount })
end

view.balance = function(c, who)
    return balance(c, who)
end

view.supply = function(c)
    return c:get("supply")
end
