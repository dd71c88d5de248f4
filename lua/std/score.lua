-- score.lua - usual ways to score an answer; every result is a Q32 between 0 and one.
local q32 = require "q32"
local score = {}

-- argmax gives the index (from 0) of the greatest of a list, the lowest of equals; nil when it is no list of whole numbers.
function score.argmax(list)
    local best, at
    if type(list) ~= "table" or #list == 0 then return nil end
    for i = 1, #list do
        local v = list[i]
        if type(v) ~= "number" or v ~= v // 1 then return nil end
        if not best or v > best then best, at = v, i - 1 end
    end
    return at
end

-- hits counts the rows of logits whose greatest is the true class. A row that is none counts as wrong.
function score.hits(rows, truth)
    local n = 0
    if type(rows) ~= "table" then return 0 end
    for i = 1, #truth do
        if score.argmax(rows[i]) == truth[i] then n = n + 1 end
    end
    return n
end

-- above_chance(right, total, classes): 0 for guessing (or worse), one for all right.
function score.above_chance(right, total, classes)
    local over = right * classes - total
    if over <= 0 or total == 0 then return 0 end
    return q32.clamp(q32.of(over, total * (classes - 1)))
end

-- late(limit, took): one in time, else the limit's part of the time it took.
function score.late(limit, took)
    return took <= limit and q32.one or q32.of(limit, took)
end

-- brier: 2p(truth) - sum p^2 of a claimed distribution in parts of 65535, moved from -1..1 to 0..1.
function score.brier(parts, truth)
    local sum, squares = 0, 0
    if type(parts) ~= "table" then return 0 end
    for i = 1, #parts do
        local p = parts[i]
        if type(p) ~= "number" or p ~= p // 1 or p < 0 or p > 65535 then return 0 end
        sum, squares = sum + p, squares + p * p
    end
    if sum > 65535 or not parts[truth + 1] then return 0 end
    local full = 65535 * 65535
    return q32.clamp(q32.of(full + 2 * parts[truth + 1] * 65535 - squares, 2 * full))
end

return score
