-- subnet.lua - a whole scoring market on a real node, with a subnet that needs no model: questions are sums. Run by subnet.sh; returns the number of
-- checks that held, raises at the first that did not.
local held = 0
local function check(ok, what)
    if not ok then error("FAIL " .. what, 2) end
    held = held + 1
end
local function refused(code, fn, args)
    local ok, why = pcall(fn, args)
    check(not ok and why:find("[" .. code .. "]", 1, true), code .. " expected, got " .. tostring(ok and "success" or why))
end
local function hex(text)
    return (text:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end
local function role(name, amount)
    local key = qn.wallet.new{ name = name }
    qn.wallet.send{ to = key.account, amount = amount, as = "faucet" }
    return key
end

local SCRIPT = [[
local subnet, q32, aggregate = require "subnet", require "q32", require "aggregate"
return subnet{ name = "sums", version = 1,
  task = function(seed) return { a = seed:below(1000), b = seed:below(1000) } end,
  score = function(task, reply)
    if reply.spin then while true do end end
    if reply.crash then error("no") end
    if reply.much then return q32.one + 1 end
    return reply.sum == task.a + task.b and q32.one or reply.near and q32.one // 2 or 0
  end,
  aggregate = function(leaves) return aggregate.mean_by_miner(leaves, { dedup = { part = 0 } }) end }
]]

role("founder", "20QN")
qn.subnet.create{ as = "founder", name = "sums", script = SCRIPT, lock = "10QN",
    rules = { tempo_ms = 2500, rate_ms = 1, hidden = true, price_start = "0.01QN", min_stake = "1QN" } }
refused("EXISTS", qn.subnet.create, { as = "founder", name = "sums", script = SCRIPT, lock = "10QN" })

local validators, miners = { "val1", "val2", "val3" }, { "right", "copy", "near", "bad" }
local key = {}
for _, name in ipairs(validators) do
    key[name] = role(name, "10QN")
    qn.seat.burn{ as = name, subnet = "sums", burn_max = "1QN" }
    qn.stake.add{ as = name, subnet = "sums", amount = "5QN" }
end
for _, name in ipairs(miners) do
    key[name] = role(name, "3QN")
    qn.seat.burn{ as = name, subnet = "sums", burn_max = "1QN" }
end
local seat, uid = {}, {}
local function metagraph()
    for _, s in ipairs(qn.subnet.metagraph{ subnet = "sums" }) do
        for name, k in pairs(key) do
            if k.account == s.hotkey then seat[name], uid[name] = s, s.uid end
        end
    end
end
local function epoch() return qn.subnet.show{ subnet = "sums" }.epoch end
local function wait_epoch(n)
    local deadline = qn.time.now() + 20000
    while epoch() < n do
        assert(qn.time.now() < deadline, "epoch " .. n .. " does not begin")
        qn.time.sleep{ ms = 20 }
    end
end
wait_epoch(1)
metagraph()
check(seat.val1.permit and not seat.right.permit, "stake gives a permit after an epoch")

-- what each miner answers
local answers = {
    right = function(q, common) return common and { 1, 2, 3 } or { sum = q.a + q.b } end,
    near = function(q, common) return common and { 1, 2, 4 } or { near = true } end,
    bad = function() return { sum = -1 } end,
}
answers.copy = answers.right -- the same model, registered later

local e = epoch()
local function question(validator, miner, ctr, common)
    return qn.subnet.ask{ as = validator, subnet = "sums", epoch = e, reg = common and 0 or seat[miner].reg, ctr = common and 0 or (uid[validator] << 16) + ctr,
        miner = key[miner].account, deadline_ms = 1000 }
end
local function leaf(validator, miner, ctr, common)
    local asked = question(validator, miner, ctr, common)
    local text = hex(qn.json(answers[miner](asked.question, common)))
    local reply = qn.subnet.answer{ as = miner, task = asked.task, body = text }
    local got = qn.subnet.score{ subnet = "sums", epoch = e, reg = asked.task.reg, ctr = asked.task.ctr, reply = text, late_ms = 1 }
    return { task = asked.task, reply = reply, late_ms = 1, score = got.score }
end

-- a question is the ledger's: the same for whoever draws it, another for each miner and number
local one, again = question("val1", "right", 0), question("val1", "right", 0)
check(one.task.body == again.task.body and one.task.body ~= question("val1", "copy", 0).task.body and one.task.body ~= question("val1", "right", 1).task.body, "draws")
refused("EXPIRED", qn.subnet.task, { subnet = "sums", epoch = e + 1, reg = 1, ctr = 0 })
refused("REFUSED", qn.subnet.answer, { as = "copy", task = one.task, body = "7b7d" })
local forged = qn.parse(qn.json(one.task))
forged.deadline_ms = 5
refused("SIGNATURE", qn.subnet.answer, { as = "right", task = forged, body = "7b7d" })

-- what miners send is never trusted: silence, rubbish, bombs score 0 and the next goes on
local function score(text)
    return qn.subnet.score{ subnet = "sums", epoch = e, reg = one.task.reg, ctr = one.task.ctr, reply = hex(text), late_ms = 1 }
end
check(score('{"sum":' .. math.tointeger(one.question.a + one.question.b) .. "}").score_ppm == 1000000, "the right sum")
check(score("").score_ppm == 0 and score("").why:find("no answer"), "silence")
check(score("{\"sum\":").score_ppm == 0 and score('{"sum":1.5}').score_ppm == 0 and score("7").score_ppm == 0, "no plain answer")
check(score('{"spin":true}').why:find("gas"), "an endless loop ends with its gas")
check(score('{"crash":true}').score_ppm == 0 and score('{"much":true}').score_ppm == 0, "errors and scores above one")
check(score(("["):rep(3000)).score_ppm == 0, "nesting")
check(score('{"sum":' .. math.tointeger(one.question.a + one.question.b) .. "}").score_ppm == 1000000, "the next goes on")

-- each validator asks, packs its evidence, commits; the third one lies about its own row
local packs, salts = {}, {}
for i, v in ipairs(validators) do
    local leaves = {}
    for _, m in ipairs(miners) do
        leaves[#leaves + 1] = leaf(v, m, 0)
        leaves[#leaves + 1] = leaf(v, m, 1)
        if m ~= "bad" then leaves[#leaves + 1] = leaf(v, m, 0, true) end
    end
    local p = qn.subnet.pack{ subnet = "sums", leaves = leaves }
    check(p.leaf_cnt == 11, "leaves")
    if v == "val3" then p.uids, p.vals = { uid.bad }, { 65535 } end
    packs[v], salts[v] = p, one.task.body:gsub("^..", string.format("%02x", i))
    local body = { salt = salts[v], version = 1, uids = p.uids, vals = p.vals }
    local hash = qn.subnet.hide{ subnet = "sums", hotkey = key[v].account, epoch = e, leaf_root = p.leaf_root, leaf_cnt = p.leaf_cnt, body = body }.body_hash
    qn.weights.commit{ as = v, subnet = "sums", epoch = e, body_hash = hash, leaf_root = p.leaf_root, leaf_cnt = p.leaf_cnt }
    packs[v].body = body
end
check(epoch() == e, "all within an epoch")
check(qn.json(packs.val1.vals) == qn.json(packs.val2.vals), "honest validators agree: " .. qn.json(packs.val1.vals))
refused("STATE", qn.weights.reveal, { as = "val1", subnet = "sums", epoch = e, body = packs.val1.body })
wait_epoch(e + 1)
for _, v in ipairs(validators) do qn.weights.reveal{ as = v, subnet = "sums", epoch = e, body = packs[v].body } end

-- anyone checks a row against its evidence
local function verify(v, blob) return qn.subnet.verify{ subnet = "sums", hotkey = key[v].account, epoch = e, blob = blob or packs[v].blob } end
local ok = verify("val1")
check(ok.ok and ok.leaves == 11, "an honest row holds: " .. qn.json(ok.faults))
local lie = verify("val3")
check(not lie.ok and lie.faults[1].what:find("not what follows"), "a false row shows: " .. qn.json(lie.faults))
check(not verify("val1", packs.val2.blob).ok, "somebody else's evidence")

-- a forged leaf: a better score than the script gives
local leaves = {}
for _, m in ipairs(miners) do leaves[#leaves + 1] = leaf("val1", m, 0) end
leaves[4].score = 1 << 32
leaves[3].reply.body = hex('{"sum":1}')
local bad = qn.subnet.pack{ subnet = "sums", leaves = leaves }
local seen = qn.json(verify("val1", bad.blob).faults)
check(seen:find("score is not") and seen:find("not the miner's word") and seen:find("bound to"), "forged leaves show: " .. seen)

wait_epoch(e + 2)
metagraph()
local function paid(name) return seat[name].emission end
check(paid("right") > paid("near") and paid("near") > 0, "the right miner earns more than the near one")
check(paid("copy") == 0 and paid("bad") == 0, "the copy's share is its original's; rubbish earns nothing")
check(paid("val1") > paid("val3") and paid("val1") == paid("val2"), "a liar's dividends are lower")
local past = qn.subnet.past{ subnet = "sums" }
local sum = past.owner
for name in pairs(key) do sum = sum + paid(name) end
check(sum == past.emission and past.owner * 41 // 18 // 100 <= past.emission, "what was given is what was got")
local why = qn.subnet.why{ subnet = "sums", uid = uid.right }
check(#why.rows == 3 and why.incentive_ppm > 500000, "why tells the terms")

-- a contract reads the ranking of the last closed epoch
local id = qn.contract.deploy{ as = "founder", name = "reader",
    source = 'view.best = function(c) return c:chain("ranking", { subnet = "sums", k = 1 })[1].account end' }.events[1].id
check(qn.contract.query{ contract = id, method = "best", args = "[]" }.result == key.right.account, "a contract knows the best miner")
return { held = held }
