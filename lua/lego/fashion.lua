-- fashion.lua - the main job, as a script anyone may copy: each role has its own key and acts through the node's public API.
-- `quoin demo` runs it on a fresh node; `quoin lua fashion.lua` runs it on yours. A step appears here when it exists.
local steps, result = {}, {}
local shared = {} -- what one step leaves for the next

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
        local set = qn.data.import{ images = dir .. prefix .. "-images-idx3-ubyte.gz", labels = dir .. prefix .. "-labels-idx1-ubyte.gz" }
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
    local tenant = role("lessee", "50QN")
    local names, asks = { "north", "south", "west" }, { 900000000, 700000000, 800000000 }
    local machine = {}
    for i, name in ipairs(names) do
        role(name, "20QN")
        machine[name] = qn.blob.put{ data = string.format("%02x", i) }.blob -- any 32 bytes of the provider's choice
        qn.node.put{ as = name, node = machine[name], region = i, bond = "5QN",
            cap = { cpu_milli = 2000, ram_mib = 1024, disk_mib = 1024 }, url = "local", attrs = { { key = "site", val = name } } }
    end
    local manifest = qn.json{ kind = "exec", argv = { "/bin/sh", "-c", "echo working as process $$; sleep 0.4; echo done" } }
    local hex = manifest:gsub(".", function(c) return string.format("%02x", c:byte()) end)
    local blob = qn.blob.put{ data = hex }.blob
    local function order(term_ms)
        local receipt = qn.order.put{ as = "lessee", manifest = blob, mode = "auction", cap = { cpu_milli = 1000, ram_mib = 256, disk_mib = 64 },
            max_rate_nqn_h = 1000000000, term_ms = term_ms, auction_ms = 300, beat_ms = 400, lost_ms = 600, grace_ms = 500, deposit = "5QN" }
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
    qn.lease.close{ as = "lessee", lease = id }
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

result.steps = steps
return result
