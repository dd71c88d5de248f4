-- fashion.lua - the main job, as a script anyone may copy: each role has its own key and acts through the node's public API.
-- `quoin demo` runs it on a fresh node; `quoin lua fashion.lua` runs it on yours. A step appears here when it exists.
local steps, result = {}, {}

-- step runs one part, times it and notes what it said.
local function step(name, fn)
    local begun = qn.time.now()
    local text = fn()
    local row = { name = name, ok = true, ms = qn.time.now() - begun, text = text }
    steps[#steps + 1] = row
    qn.show.step{ event = "step", name = name, ok = true, ms = row.ms, text = name .. ": " .. text }
end

-- role makes a key and gives it coins from the dev chain's faucet.
local function role(name, amount)
    local key = qn.wallet.new{ name = name }
    qn.wallet.send{ to = key.account, amount = amount, as = "faucet" }
    return key
end

local function balance(key)
    return qn.account.get{ id = key.account }.balance_uqn
end

step("money", function()
    local tenant, agent, service = role("tenant", "50QN"), role("agent", "1QN"), role("service", "1QN")
    local open = qn.mandate.open{ as = "tenant", key = agent.account, total = "2QN", call_max = "1QN", burst_ms = 0,
        payees = { { acct = service.account, cap = "1.5QN" } }, expires_ms = qn.time.now() + 3600000 }
    local id = open.events[1].id
    local before = balance(service)
    qn.wallet.send{ as = "agent", mandate = id, to = service.account, amount = "0.75QN" }
    assert(balance(service) - before == 750000, "the mandate's payment arrived")
    local ok, why = pcall(qn.wallet.send, { as = "agent", mandate = id, to = service.account, amount = "0.8QN" })
    assert(not ok and why:find("cap", 1, true), "a payment above the payee's cap is refused")
    ok, why = pcall(qn.wallet.send, { as = "agent", mandate = id, to = tenant.account, amount = "0.1QN" })
    assert(not ok and why:find("AUTH", 1, true), "a payment to somebody else is refused")
    return "an agent paid 0.75 QN of its owner's coins within its mandate; above the cap and to others: refused"
end)

result.steps = steps
return result
