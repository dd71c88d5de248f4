-- verdict.lua - asks what a committed network says of an input, and pays whoever proves it. The money lies in the
-- contract from the asking on; the ledger's own verdict decides, no operator does.
local HEX = "^" .. ("[0-9a-f]"):rep(64) .. "$"

-- ask(model, input[, class]): value is the reward. input is H("zk/input") of the int8 input; with a class given, only
-- a proof of that class is paid, else any.
public.ask = function(c, model, input, class)
    assert(model:find(HEX) and input:find(HEX), "model and input: 64 hex digits each")
    local n = (c:get("asks") or 0) + 1
    c:set("asks", n)
    c:set("ask/" .. n, { model = model, input = input, class = class, reward = c.value, asker = c.caller })
    c:emit("asked", { ask = n, model = model, input = input, reward = c.value })
    return n
end

-- settle(ask, proof): anyone may call; the prover is paid.
public.settle = function(c, ask, proof)
    local a = c:get("ask/" .. ask)
    assert(a, "there is no such ask")
    assert(not a.proof, "it is settled")
    local v = c:chain("proof", proof)
    assert(v.ok, "the ledger has no verdict on that proof")
    assert(v.model == a.model, "the proof is about another model")
    assert(v.input == a.input, "the proof is about another input")
    assert(not a.class or v.class == a.class, "the network gave another class")
    a.proof, a.said, a.prover = proof, v.class, v.prover
    c:set("ask/" .. ask, a)
    if a.reward > 0 then c:transfer(v.prover, a.reward) end
    c:emit("settled", { ask = ask, proof = proof, class = v.class, prover = v.prover, paid = a.reward })
    return v.class
end

-- back(ask): the asker takes back what nobody earned.
public.back = function(c, ask)
    local a = c:get("ask/" .. ask)
    assert(a and not a.proof and a.asker == c.caller, "only its asker, and only while it is open")
    c:del("ask/" .. ask)
    if a.reward > 0 then c:transfer(a.asker, a.reward) end
end

view.get = function(c, ask)
    return c:get("ask/" .. ask)
end
