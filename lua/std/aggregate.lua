-- aggregate.lua - from leaves to a row of weights. A leaf is { uid, reg, common, ctr, score, late_ms, silent, reply }; reply is there for
-- the common question alone. The order of the leaves is theirs by rule, so every machine gets the same row.
local dedup = require "dedup"
local aggregate = {}

-- mean_by_miner: the mean of each miner's scores, the best becoming 65535.
-- opts.min: with fewer scored questions a miner gets nothing. opts.dedup: of a group of equals (dedup.groups over the answers to the common
-- question) only the earliest registered keeps its weight: a group earns one share.
function aggregate.mean_by_miner(leaves, opts)
    local miners, list = {}, {}
    opts = opts or {}
    for i = 1, #leaves do
        local l = leaves[i]
        local m = miners[l.uid]
        if not m then
            m = { uid = l.uid, reg = l.reg, sum = 0, cnt = 0, print = {} }
            miners[l.uid] = m
            list[#list + 1] = m
        end
        if l.common then
            m.print = dedup.flat(l.reply or {}, 4096)
        else
            m.sum, m.cnt = m.sum + l.score, m.cnt + 1
        end
    end
    for i = 1, #list do
        local m = list[i]
        m.mean = m.cnt >= (opts.min or 1) and m.sum // m.cnt or 0
        m.order = m.reg
    end
    if opts.dedup then
        local first = dedup.groups(list, opts.dedup)
        for i = 1, #list do
            if first[i] ~= i then list[i].mean = 0 end
        end
    end
    local top, row = 0, {}
    for i = 1, #list do
        if list[i].mean > top then top = list[i].mean end
    end
    for i = 1, #list do
        local m = list[i]
        row[i] = { uid = m.uid, weight = top > 0 and math.muldiv(m.mean, 65535, top) or 0 }
    end
    table.sort(row, function(a, b) return a.uid < b.uid end)
    return row
end

return aggregate
