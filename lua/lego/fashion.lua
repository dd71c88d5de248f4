-- fashion.lua - the main job, as a script anyone may copy: each role has its own key and acts through the node's public API.
-- `quoin demo` runs it on a fresh node; `quoin lua fashion.lua [SEED]` runs it once on yours, on fresh names. A step appears here when it exists.
local steps, result = {}, {}
local shared = {} -- what one step leaves for the next
local seed = arg.seed or tonumber(arg[1]) or 1

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

-- data: the 70,000 images of Debian's dataset-fashion-mnist, registered by content with licence and size.
step("data", function()
    local dir, registered, bytes = "/usr/share/datasets/fashion-mnist/", 0, 0
    role("curator", "5QN")
    shared.data = {}
    for part, prefix in pairs{ train = "train", test = "t10k" } do
        local there, set = pcall(qn.data.import, { images = dir .. prefix .. "-images-idx3-ubyte.gz", labels = dir .. prefix .. "-labels-idx1-ubyte.gz" })
        if not there then error(set .. "; the images come with: sudo apt install dataset-fashion-mnist", 0) end
        qn.data.put{ as = "curator", data = set.data, name = "fashion-mnist/" .. part, licence = "MIT",
            source = "Debian dataset-fashion-mnist", bytes = set.bytes, rec_bytes = set.rec_bytes, rec_cnt = set.rec_cnt }
        local row = qn.data.get{ id = set.data }
        assert(row.licence == "MIT" and row.bytes == set.bytes, "the registry tells licence and size")
        shared.data[part] = set.data
        registered, bytes = registered + set.rec_cnt, bytes + set.bytes
    end
    assert(registered == 70000, "all 70,000 images are registered")
    return string.format("%d images, %.1f MB in two sets, registered by content under the Expat (MIT) licence", registered, bytes / 1e6)
end)

-- until_true asks again each 50 ms until fn gives something, at most wait_ms long.
local function until_true(what, wait_ms, fn)
    local deadline = qn.time.now() + wait_ms
    repeat
        local got = fn()
        if got then return got end
        qn.time.sleep{ ms = 50 }
    until qn.time.now() > deadline
    error("waited in vain: " .. what)
end

-- event finds what a receipt tells under a topic.
local function event(receipt, topic)
    for _, e in ipairs(receipt.events) do
        if e.topic == topic then return e end
    end
    error("no event " .. topic)
end

step("lease", function()
    local tenant = role("tenant", "50QN")
    local names, asks = { "north", "south", "west" }, { 900000000, 700000000, 800000000 }
    local machine = {}
    for i, name in ipairs(names) do
        role(name, "20QN")
        machine[name] = qn.blob.put{ data = string.format("%02x", i) }.blob -- any 32 bytes of the provider's choice
        qn.node.put{ as = name, node = machine[name], region = i, bond = "5QN",
            cap = { cpu_milli = 2000, ram_mib = 1024, disk_mib = 1024 }, url = "local", attrs = { { key = "site", val = name } } }
    end
    shared.machine, shared.asks = machine, {}
    for i, name in ipairs(names) do shared.asks[name] = asks[i] end
    local manifest = qn.json{ kind = "exec", argv = { "/bin/sh", "-c", "echo working as process $$; sleep 0.4; echo done" } }
    local hex = manifest:gsub(".", function(c) return string.format("%02x", c:byte()) end)
    local blob = qn.blob.put{ data = hex }.blob
    local function order(term_ms)
        local receipt = qn.order.put{ as = "tenant", manifest = blob, mode = "auction", cap = { cpu_milli = 1000, ram_mib = 256, disk_mib = 64 },
            max_rate_nqn_h = 1000000000, term_ms = term_ms, auction_ms = 1500, beat_ms = 500, lost_ms = 1500, grace_ms = 1000, deposit = "5QN" }
        local id = event(receipt, "order.opened").id
        for i, name in ipairs(names) do
            qn.bid.put{ as = name, order = id, node = machine[name], rate_nqn_h = asks[i] }
        end
        return until_true("the auction", 5000, function()
            local o = qn.order.get{ id = id }
            return o.lease
        end)
    end
    -- one lease runs its workload and is closed by its tenant
    local before = balance(tenant)
    local id = order(60000)
    local lease = qn.lease.get{ id = id }
    assert(lease.rate_nqn_h <= 800000000, "the lowest bid wins")
    local winner
    for _, name in ipairs(names) do
        if machine[name] == lease.node then winner = name end
    end
    local job = qn.lease.run{ lease = id }.job
    qn.lease.start{ as = winner, lease = id }
    local log = until_true("the workload's log", 5000, function()
        local text = qn.lease.logs{ lease = id }.text
        return text:find("done", 1, true) and text
    end)
    qn.lease.close{ as = "tenant", lease = id }
    local lost = order(60000)
    lease = qn.lease.get{ id = lost }
    for _, name in ipairs(names) do
        if machine[name] == lease.node then qn.lease.start{ as = name, lease = lost } end
    end
    -- the provider is not heard of again: its deadline ends the lease, the rest of the escrow returns
    local ended = until_true("the silent provider's deadline", 10000, function()
        local l = qn.lease.get{ id = lost }
        return l.state == "closed" and l
    end)
    return string.format("3 bids, %s won at %.1f QN/h; its workload said %q; a silent provider lost its lease by deadline; %d uqn spent in all",
        winner, lease.rate_nqn_h / 1e9, log:match("working as process %d+"), before - balance(tenant))
end)

-- The market of step rank is founded now, with all its seats: a validator's permit counts from the epoch after its stake, and epochs pass
-- while the model is trained. A round of questions must fit an epoch: a machine that was slow so far gets longer ones.
local market
do
    local tempo_ms = math.min(math.max(2500, steps[1].ms * 2), 12000)
    role("founder", "20QN")
    qn.subnet.create{ as = "founder", name = "fashion", script = qn.subnet.template{ name = "fashion" }.text, data = shared.data.test, lock = "10QN",
        rules = { tempo_ms = tempo_ms, rate_ms = 1, hidden = true, price_start = "0.01QN", min_stake = "1QN" } }
    -- the copy registers after its original; who is slow has a model of its own, but waits before it answers
    local miners, validators = { "good", "slow", "weak", "random", "copy", "offline" }, { "val1", "val2", "val3", "val4" }
    local who, account = {}, {}
    local function seat(name, what)
        local key = role(name, "10QN")
        qn.seat.burn{ as = name, subnet = "fashion", burn_max = "1QN" }
        who[#who + 1], account[name] = { name = name, role = what }, key.account
    end
    for _, name in ipairs(validators) do
        seat(name, name == "val4" and "validator, dishonest" or "validator")
        qn.stake.add{ as = name, subnet = "fashion", amount = "5QN" }
    end
    for _, name in ipairs(miners) do seat("miner-" .. name, "miner, " .. name) end
    market = { miners = miners, validators = validators, who = who, account = account }
end

-- train: two solvers do one job on leased machines, the second tells one lie; who follows finds it, the ledger convicts him.
step("train", function()
    local key = { lab = role("lab", "50QN"), whistleblower = role("whistleblower", "5QN"), verifier = role("verifier", "1QN") }
    local solvers = { role("solver1", "20QN"), role("solver2", "20QN") }
    local steps_cnt = 2000
    local plan = qn.train.plan{ dims = { 784, 128, 10 }, steps = steps_cnt, seed = tostring(seed) }
    local job = event(qn.train.job{ as = "lab", graph = plan.graph, seed = tostring(seed), init = plan.init, data = shared.data.train,
        eval = shared.data.test, batch = plan.batch, steps = steps_cnt, solvers = #solvers, pay = "4QN", bond = "2QN",
        window_ms = 600000, move_ms = 60000 }, "train.posted").id
    for _, s in ipairs(solvers) do
        s.run = event(qn.train.take{ as = s.name, job = job }, "train.taken").id
    end
    until_true("the order of records", 5000, function() return qn.train.get{ id = job }.state == "running" end)
    -- where the second will lie, drawn from the seed: a step, the gradient of a layer's weights, one of its values
    math.randomseed(seed)
    local layers = {}
    for _, op in ipairs(plan.ops) do
        if op.op == "contract" and op.kind & 16 ~= 0 then layers[#layers + 1] = op end
    end
    local op = layers[math.random(#layers)]
    local lie = { step = math.random(0, steps_cnt - 1), op = op.id, index = math.random(0, op.rows * op.cols - 1) }
    solvers[2].lie = lie
    -- each leases a machine and trains on it
    for _, s in ipairs(solvers) do
        local manifest = qn.train.manifest{ id = job }
        manifest.lie = s.lie
        local blob = qn.blob.put{ data = qn.json(manifest):gsub(".", function(c) return string.format("%02x", c:byte()) end) }.blob
        local order = event(qn.order.put{ as = s.name, manifest = blob, mode = "auction", cap = { cpu_milli = 1000, ram_mib = 480, disk_mib = 128 },
            max_rate_nqn_h = 1000000000, term_ms = 300000, auction_ms = 1500, deposit = "5QN" }, "order.opened").id
        for name, node in pairs(shared.machine) do
            qn.bid.put{ as = name, order = order, node = node, rate_nqn_h = shared.asks[name] }
        end
        s.lease = until_true("the auction", 5000, function() return qn.order.get{ id = order }.lease end)
        s.job = qn.lease.run{ lease = s.lease }.job
        local at = qn.lease.get{ id = s.lease }.node
        for name, node in pairs(shared.machine) do
            if node == at then qn.lease.start{ as = name, lease = s.lease } end
        end
    end
    for _, s in ipairs(solvers) do
        local done = until_true("the training", 120000, function()
            local j = qn.job.get{ id = s.job }
            if j.state == "failed" then error(s.name .. ": " .. j.why) end
            qn.show.progress{ done = j.done, total = steps_cnt, text = s.name .. " trains" }
            return j.state == "done" and j
        end)
        s.result = done.result
        s.weights = qn.job.keep{ job = s.job, name = "weights.qntw" }.blob
        qn.train.commit{ as = s.name, job = job, cnt = s.result.cnt, root = s.result.root, weights = s.weights, acc_ppm = s.result.acc_ppm,
            trace = qn.job.keep{ job = s.job, name = "trace.bin" }.blob }
        qn.lease.close{ as = s.name, lease = s.lease }
    end
    assert(solvers[1].result.acc_ppm >= 850000, "the honest solver reaches 85 %")
    assert(qn.lease.logs{ lease = solvers[1].lease }.text:find("acc 0.8", 1, true), "the lease's log tells how it went")
    -- the verifier runs all of it again: one trace is equal, one is not, and he says so; the whistleblower stakes coins on it
    local verdict = qn.train.check{ id = job, who = key.whistleblower.account, timeout_ms = 120000 }
    local bad
    for _, run in ipairs(verdict.runs) do
        if run.equal then
            assert(run.run == solvers[1].run and run.weights_equal and run.acc_equal, "the honest run is confirmed to the last bit")
        else
            bad = run
        end
    end
    assert(bad and bad.run == solvers[2].run and bad.seg == lie.step // plan.seg, "the follower finds the segment of the lie")
    qn.game.commit{ as = "whistleblower", claim = bad.commit.claim }
    bad.open.as = "whistleblower"
    local game = event(qn.game.open(bad.open), "game.opened").id
    local before = { lab = balance(key.lab), whistleblower = balance(key.whistleblower), solver2 = balance(solvers[2]) }
    local g
    repeat -- each side answers by running the disputed steps again, the cheat with its lie
        local cheat = qn.game.get{ id = game }.mover == "solver"
        local move = qn.train.move{ game = game, from = cheat and solvers[2].job or verdict.checked, lie = cheat and qn.json(lie) or nil }
        local noun, verb = move.tx:match("(%w+)%.(%w+)")
        move.body.as = cheat and "solver2" or "whistleblower"
        qn[noun][verb](move.body)
        g = qn.game.get{ id = game }
    until g.result ~= "open"
    assert(g.result == "challenger", "the ledger convicts the cheat")
    local tile = lie.index // op.cols // 16 * ((op.cols + 15) // 16) + lie.index % op.cols // 16
    assert(g.step_lo == lie.step and g.node == lie.op and g.tile == tile, "at the very step, operator and tile of the lie")
    local bond = 2000000
    assert(g.slashed == bond and balance(key.lab) - before.lab == 4000000 + bond * 25 // 100, "the requester has its pay back and a quarter of the bond")
    assert(balance(key.whistleblower) > before.whistleblower + bond * 45 // 100 - 10000, "the whistleblower has 45 % of it")
    local paid = balance(solvers[1])
    qn.train.accept{ as = "lab", run = solvers[1].run }
    assert(balance(solvers[1]) - paid == 4000000 + bond, "the honest solver has its pay, and its bond back")
    shared.f32 = solvers[1].weights
    result.accuracy_f32 = solvers[1].result.right / solvers[1].result.of
    result.cheat = { planted = lie, found = { step = g.step_lo, op = g.node, tile = g.tile }, rounds = g.rounds, slashed_uqn = g.slashed }
    return string.format("%.1f %% of 10,000 test images right after %d steps; planted step %d op %d index %d (tile %d), found step %d op %d tile %d in %d rounds; %d uqn slashed",
        result.accuracy_f32 * 100, steps_cnt, lie.step, lie.op, lie.index, tile, g.step_lo, g.node, g.tile, g.rounds, g.slashed)
end)

-- rank: the trained floats become an int8 model, an ONNX file of standard operators that computes the same bits anywhere; six miners serve
-- it or worse, four validators score them by the subnet's script, the ledger turns rows into coins.

-- network reads a QNTW blob of one hidden layer.
local function network(blob)
    local hex, at = {}, 0
    repeat
        local part = qn.blob.read{ id = blob, offset = at, len = 1048576 }.data
        hex[#hex + 1], at = part, at + #part // 2
    until #part < 2 * 1048576
    local bytes = table.concat(hex):gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)
    local cnt, pos = string.unpack("<I4", bytes, 9)
    local dims, offset, from = {}, {}, nil
    for _ = 1, cnt do
        local name, rank
        name, rank, pos = string.unpack("<s4I4", bytes, pos)
        dims[name] = { string.unpack("<" .. ("I4"):rep(rank), bytes, pos) }
        offset[#offset + 1], pos = name, pos + 4 * rank
    end
    from = pos
    for i, name in ipairs(offset) do
        offset[name], from = from, from + 4 * dims[name][1] * (#dims[name] > 2 and dims[name][2] or 1)
        assert(i <= 4, "a network of one hidden layer")
    end
    local function take(name, first, n) return bytes:sub(offset[name] + 4 * first, offset[name] + 4 * (first + n) - 1) end
    return { inputs = dims.w0[1], k = dims.w0[2], take = take }
end

-- cut keeps only the first k of its hidden units: what a miner saves who serves a cheaper model.
local function cut(n, k)
    local w0, take = {}, n.take
    for i = 0, n.inputs - 1 do w0[#w0 + 1] = take("w0", i * n.k, k) end
    return { inputs = n.inputs, k = k, w0 = table.concat(w0), b0 = take("b0", 0, k), w1 = take("w1", 0, k * 10), b1 = take("b1", 0, 10) }
end

-- weights keeps a network as a QNTW blob.
local function weights(n)
    local bytes = "QNTW" .. string.pack("<I4I4s4I4I4I4s4I4I4s4I4I4I4s4I4I4", 1, 4, "w0", 2, n.inputs, n.k, "b0", 1, n.k, "w1", 2, n.k, 10, "b1", 1, 10) ..
        n.w0 .. n.b0 .. n.w1 .. n.b1
    return qn.blob.put{ data = bytes:gsub(".", function(c) return string.format("%02x", c:byte()) end) }.blob
end

local function noise(seed, inputs, k)
    local draw = require("seed").new(string.format("%064x", seed))
    local function floats(cnt)
        local t = {}
        for i = 1, cnt do t[i] = string.pack("<f", (draw:below(2001) - 1000) / 8000) end
        return table.concat(t)
    end
    return { inputs = inputs, k = k, w0 = floats(inputs * k), b0 = floats(k), w1 = floats(k * 10), b1 = floats(10) }
end

-- test_images gives the pixels of test images by index, read once.
local function test_images()
    local pixels, at = {}, 0
    repeat
        local hex = qn.blob.read{ id = shared.data.test, offset = 64 + at * 800, len = 1250 * 800 }.data
        for i = 0, #hex // 1600 - 1 do
            pixels[at] = hex:sub(i * 1600 + 1, i * 1600 + 1568)
            at = at + 1
        end
    until #hex < 1250 * 1600
    return pixels
end

step("rank", function()
    local net = require "subnets/fashion"
    local q = qn.model.quantise{ weights = shared.f32, calib = shared.data.train, test = shared.data.test }
    assert(math.abs(q.accuracy_f32 - result.accuracy_f32) < 0.001 and q.accuracy_int8 > result.accuracy_f32 - 0.01, "less than 1 % of the trained accuracy is lost")
    local again = qn.model.eval{ model = q.model, data = shared.data.test }
    assert(again.right == q.right_int8 and again.cnt == q.cnt, "the ONNX file, read back, gets the same images right")
    shared.model, result.accuracy_int8 = q.model, q.accuracy_int8
    local function quantise(blob) -- a miner's own, worse model
        return qn.model.quantise{ weights = blob, calib = shared.data.train, test = shared.data.test, loss_max_ppm = 1000000, sample_cnt = 500 }
    end
    local whole = network(shared.f32)
    local models = { good = shared.model, copy = shared.model, offline = shared.model, slow = quantise(weights(cut(whole, 112))).model,
        weak = quantise(weights(cut(whole, 32))).model, random = quantise(weights(noise(seed, whole.inputs, 16))).model }
    local function epoch() return qn.subnet.show{ subnet = "fashion" }.epoch end
    local function wait_epoch(n) until_true("epoch " .. n, 20000, function() return epoch() >= n end) end
    local miners, validators, who, account = market.miners, market.validators, market.who, market.account
    local job = {}
    for name, model in pairs(models) do
        job["miner-" .. name] = qn.model.serve{ model = model, delay_ms = name == "slow" and 120 or 0 }.job
    end
    qn.job.cancel{ id = job["miner-offline"] }
    local pixels, seats = test_images(), {}
    -- infer asks a miner's own worker
    local function infer(name)
        return function(idx)
            local images, logits = {}, {}
            for i, at in ipairs(idx) do images[i] = pixels[at] end
            local got = qn.job.ask{ id = job[name], message = qn.json{ images = images } }.answer
            for i, a in ipairs(got.answers) do logits[i] = a.logits end
            return logits
        end
    end
    for name in pairs(models) do pcall(infer("miner-" .. name), { 0 }) end -- all are up before the first question
    local market_now = qn.subnet.show{ subnet = "fashion" }
    if market_now.epoch == 0 or market_now.next_ms - qn.time.now() < 1700 then wait_epoch(market_now.epoch + 1) end -- else a round still fits
    for _, s in ipairs(qn.subnet.metagraph{ subnet = "fashion" }) do seats[s.hotkey] = s end

    -- one question: drawn by the ledger, signed by the validator, answered and signed by the miner, scored by the script
    local function leaf(e, validator, miner, common)
        local s = seats[account[miner]]
        local asked = qn.subnet.ask{ as = validator, subnet = "fashion", epoch = e, reg = common and 0 or s.reg,
            ctr = common and 0 or seats[account[validator]].uid << 16, miner = account[miner], deadline_ms = 2000 }
        local begun, reply, text = qn.time.now(), nil, nil
        local ok, logits = pcall(net.mine, asked.question, infer(miner))
        local late = qn.time.now() - begun
        if ok then
            text = qn.json(logits):gsub(".", function(c) return string.format("%02x", c:byte()) end)
            reply = qn.subnet.answer{ as = miner, task = asked.task, body = text }
        end
        local score = qn.subnet.score{ subnet = "fashion", epoch = e, reg = asked.task.reg, ctr = asked.task.ctr, reply = text or "", late_ms = late }.score
        return { task = asked.task, reply = reply, late_ms = late, score = score }
    end
    -- a round: everybody is asked, every validator commits; again in the next epoch if this machine was too slow for one
    local rows, e
    local function round()
        e, rows = epoch(), {}
        for i, v in ipairs(validators) do
            local leaves = {}
            for _, m in ipairs(miners) do
                leaves[#leaves + 1] = leaf(e, v, "miner-" .. m, false)
                leaves[#leaves + 1] = leaf(e, v, "miner-" .. m, true)
            end
            local p = qn.subnet.pack{ subnet = "fashion", leaves = leaves }
            if v == "val4" then -- lifts its friend, puts all others down
                for k, uid in ipairs(p.uids) do p.vals[k] = uid == seats[account["miner-random"]].uid and 65535 or 100 end
            end
            p.body = { salt = p.blob:sub(3) .. string.format("%02x", i), version = 1, uids = p.uids, vals = p.vals }
            local hash = qn.subnet.hide{ subnet = "fashion", hotkey = account[v], epoch = e, leaf_root = p.leaf_root, leaf_cnt = p.leaf_cnt, body = p.body }
            local ok, why = pcall(qn.weights.commit, { as = v, subnet = "fashion", epoch = e, body_hash = hash.body_hash, leaf_root = p.leaf_root, leaf_cnt = p.leaf_cnt })
            if not ok then
                assert(why:find("EXPIRED", 1, true), why)
                return false
            end
            rows[v] = p
        end
        return true
    end
    until_true("a round within an epoch", 60000, round)
    wait_epoch(e + 1)
    for _, v in ipairs(validators) do qn.weights.reveal{ as = v, subnet = "fashion", epoch = e, body = rows[v].body } end
    -- anyone checks a row against its evidence: three hold, the fourth does not follow from what it saw
    for _, v in ipairs(validators) do
        local check = qn.subnet.verify{ subnet = "fashion", hotkey = account[v], epoch = e, blob = rows[v].blob }
        assert(check.ok == (v ~= "val4"), v .. ": " .. qn.json(check.faults))
    end
    wait_epoch(e + 2)
    local got, past = {}, qn.subnet.past{ subnet = "fashion", epoch = e + 1 }
    local sum = past.owner
    for _, s in ipairs(qn.subnet.metagraph{ subnet = "fashion" }) do
        got[s.hotkey], sum = s.emission, sum + s.emission
    end
    assert(sum == past.emission, "what the epoch gave is what the seats and the owner got")
    result.emissions = {}
    for i, w in ipairs(who) do
        result.emissions[i] = { name = w.name, role = w.role, uqn = got[account[w.name]] }
    end
    local function paid(name) return got[account[name]] end
    assert(paid("miner-good") > paid("miner-slow") and paid("miner-good") > paid("miner-weak"), "the good miner earns most")
    assert(paid("miner-slow") > 0 and paid("miner-weak") > 0, "slow and weak earn less, but earn")
    assert(paid("miner-copy") == 0 and paid("miner-offline") == 0, "a copy's share is its original's; silence earns nothing")
    assert(paid("miner-random") * 20 < paid("miner-good"), "guessing earns next to nothing")
    assert(paid("val4") < paid("val1") and paid("val4") < paid("val2") and paid("val4") < paid("val3"), "the dishonest validator earns less than each honest one")
    shared.best = "miner-good"
    for _, id in pairs(job) do pcall(qn.job.cancel, { id = id }) end
    local words = {}
    for _, m in ipairs(miners) do words[#words + 1] = m .. " " .. paid("miner-" .. m) end
    return string.format("%.2f %% right as int8, %d bytes of ONNX; uqn to %s; honest validators %d, the dishonest one %d, its row refuted by its own evidence",
        q.accuracy_int8 * 100, q.bytes, table.concat(words, ", "), paid("val1"), paid("val4"))
end)

-- prove: the best miner shows what its committed int8 network says of a test image, and nothing of its weights; the ledger
-- checks the proof, a contract reads the verdict and pays.
step("prove", function()
    local who, account = shared.best, nil
    role("asker", "5QN")
    for _, key in ipairs(qn.wallet.list()) do
        if key.name == who then account = key.account end
    end
    local net = qn.proof.setup{ blob = shared.model }
    qn.model.put{ as = who, model = net.model, shape = net.shape, budget = net.budget, root = net.root, name = "fashion", licence = "MIT",
        accuracy_ppm = result.accuracy_int8 * 1000000 // 1 | 0 }
    local sample = qn.model.sample{ data = shared.data.test, index = 7 }
    local x = sample.image:gsub("..", function(pixel) return string.format("%02x", tonumber(pixel, 16) >> 1) end)
    -- the asker puts 0.1 QN on the answer
    local shipped = qn.proof.contract()
    local contract = qn.contract.deploy{ as = "asker", name = shipped.name, source = shipped.source, args = "[]" }.events[1].id
    qn.contract.call{ as = "asker", contract = contract, method = "ask", args = qn.json{ net.model, qn.proof.input{ input = x }.input },
        value = "0.1QN" }
    local proof = qn.proof.create{ model = net.model, input = x, prover = account }
    assert(proof.hiding and proof.bits >= 100, "hiding, and at least 100 bits")
    -- one byte changed: the ledger refuses it
    local hex = qn.blob.read{ id = proof.blob, offset = 0, len = proof.bytes }.data
    local at = 2 * (proof.bytes // 3) + 1
    local spoiled = hex:sub(1, at - 1) .. (hex:sub(at, at) == "0" and "1" or "0") .. hex:sub(at + 1)
    local ok, why = pcall(qn.proof.put, { as = who, proof = spoiled })
    assert(not ok, "a proof with a changed byte is refused")
    ok = pcall(qn.proof.send, { as = "asker", file = proof.file })
    assert(not ok, "somebody else's proof cannot be sent as one's own")
    local sent = qn.proof.send{ as = who, file = proof.file }
    local verdict = qn.proof.get{ id = sent.proof }
    assert(verdict.class_idx == proof.class and verdict.prover == account, "the ledger's verdict is the proof's class")
    assert(qn.model.run{ model = shared.model, data = shared.data.test, index = 7, cnt = 1 }[1].class == proof.class, "and what the ONNX file computes")
    local before = qn.account.get{ id = account }.balance_uqn
    qn.contract.call{ as = "asker", contract = contract, method = "settle", args = qn.json{ 1, sent.proof } }
    assert(qn.account.get{ id = account }.balance_uqn - before == 100000, "the contract read the verdict and paid the prover")
    shared.proof = proof.file
    result.proof = { file = proof.file, bytes = proof.bytes, prove_ms = proof.prove_ms, verify_ms = proof.verify_ms }
    return string.format("%s proved class %d (label %d) in %.1f ms, weights hidden, %.1f bits, %d KB, checked in %.1f ms; changed byte: %s; the contract paid 0.1 QN",
        who, proof.class, sample.label, proof.prove_ms, proof.bits, proof.bytes // 1000, proof.verify_ms, why:match("^[^\n]*"):sub(1, 90))
end)

-- pay: an agent that may spend so much and no more buys 1,000 classifications of test images over HTTP 402.
step("pay", function()
    local calls, price = 1000, 500
    local patron, scout, vision = role("patron", "5QN"), role("scout", "1QN"), role("vision", "1QN")
    -- what is sold: the answers of a job that holds the model
    local job = qn.model.serve{ model = shared.model }.job
    local service = qn.agent.serve{ name = "vision", key = "vision", job = job, price = price .. "uqn",
        doc = "tells what a Fashion-MNIST image shows", claim_ppm = 2000000 } -- this run claims by hand
    -- the patron's mandate: at most 0.501 QN in all, fees included, one call at most its price, to the service alone, for an hour
    local mandate = event(qn.mandate.open{ as = "patron", key = scout.account, total = (calls * price + 1000) .. "uqn", call_max = price .. "uqn",
        payees = { { acct = vision.account, cap = (calls * price) .. "uqn" } }, expires_ms = qn.time.now() + 3600000 }, "mandate.opened").id
    local terms = { as = "scout", mandate = mandate, payee = vision.account, signer = scout.pub, deposit = (calls * price) .. "uqn",
        step_max = price .. "uqn", calls_max = 2 * calls, burst = (calls * price) .. "uqn", delay_ms = 60000, gas_max = 100000 }
    terms.step_max = (price + 1) .. "uqn"
    local ok, why = pcall(qn.channel.open, terms)
    assert(not ok and why:find("LIMIT", 1, true), "a channel whose calls may cost more than the mandate allows is refused")
    terms.step_max = price .. "uqn"
    ok, why = pcall(qn.wallet.send, { as = "scout", mandate = mandate, to = scout.account, amount = "1uqn", gas_max = 100000 })
    assert(not ok and why:find("AUTH", 1, true), "a payment to somebody who is not listed is refused")
    local before = { vision = balance(vision), patron = balance(patron), scout = balance(scout) }
    local opened = qn.channel.open(terms)
    local channel = event(opened, "channel.opened").id
    -- 1,000 test images, as the agent would have photographed them
    local bodies, labels = {}, {}
    for from = 0, calls - 1, 250 do
        local hex = qn.blob.read{ id = shared.data.test, offset = 64 + from * 800, len = 250 * 800 }.data
        for i = 0, 249 do
            local at = i * 1600
            bodies[#bodies + 1] = '{"image":"' .. hex:sub(at + 1, at + 1568) .. '"}'
            labels[#labels + 1] = tonumber(hex:sub(at + 1569, at + 1570), 16)
        end
    end
    local begun = qn.time.now()
    local got = qn.agent.call{ as = "scout", url = service.url, channel = channel, bodies = bodies }
    local took = qn.time.now() - begun
    assert(got.calls == calls and #got.answers == calls and got.charged_uqn == calls * price, "1,000 answers, each paid for")
    local right = 0
    for i, answer in ipairs(got.answers) do
        right = right + (answer.class == labels[i] and 1 or 0)
    end
    assert(right * 100 >= calls * 80, "the answers are the model's")
    -- the 1,001st: the agent's own side refuses to sign, the service refuses to serve, the ledger refuses more deposit
    ok, why = pcall(qn.agent.call, { as = "scout", url = service.url, channel = channel, body = bodies[1] })
    assert(not ok and why:find("LIMIT", 1, true), "the agent's side does not sign what the ledger would not pay")
    local _, refusal = pcall(qn.agent.call, { as = "scout", url = service.url, channel = channel, body = bodies[1], blind = true })
    assert(type(refusal) == "string" and refusal:find("402", 1, true), "the service does not serve it either")
    ok, why = pcall(qn.channel.fund, { as = "scout", mandate = mandate, channel = channel, amount = price .. "uqn", gas_max = 100000 })
    assert(not ok and why:find("LIMIT", 1, true), "the mandate lends no more")
    -- one transaction settles all
    local settled = qn.tx.wait{ id = qn.agent.settle{ channel = channel, close = true }.tx }
    assert(settled.rc == 0, settled.why)
    local state = qn.channel.get{ id = channel }
    assert(state.state == "closed" and state.claimed == calls * price and state.claimed_seq == calls, "all is claimed, the channel closed")
    assert(balance(vision) - before.vision == calls * price - settled.fee, "the service got its price 1,000 times, less one fee")
    assert(before.patron - balance(patron) <= calls * price + 1000, "the patron paid no more than the mandate's total")
    assert(balance(scout) == before.scout, "the agent's own coins are untouched")
    result.vouchers = state.claimed_seq
    return string.format("%d classifications, %.1f %% right, paid by voucher in %.2f s (%d/s); the 1,001st: %s; one transaction claimed %d uqn", calls, right * 100 / calls, took / 1000,
        calls * 1000 // math.max(took, 1),
        refusal:match("%(402%): (.-) *%[") or refusal, settled.rc == 0 and state.claimed or 0)
end)

result.steps = steps
return result
