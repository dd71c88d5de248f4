-- fashion.lua - a market for classifiers of small images: who names more classes right, sooner, with a model of its own, earns more.
-- A task names images of the subnet's data set; the answer is a list of logits (whole numbers) for each.
local subnet, score, aggregate, q32 = require "subnet", require "score", require "aggregate", require "q32"

local IMAGES = 48    -- a task; 0.87 right against 0.80 is told apart by four validators with two tasks each
local LIMIT_MS = 80 -- an answer in this time loses nothing

return subnet{
    name = "fashion",
    version = 1,

    -- seed is drawn by the ledger: nobody chooses the images, everybody can draw them again.
    task = function(seed, data)
        return { idx = seed:pick(IMAGES, data.rec_cnt), limit_ms = LIMIT_MS }
    end,

    -- truth are the labels of the images. Guessing scores next to nothing: an untrained network may name one in four by luck, of which the cube leaves 1 %.
    score = function(task, reply, truth, late_ms)
        local right = score.hits(reply, truth)
        local share = score.above_chance(right, #task.idx, 10)
        return q32.mul(q32.pow(share, 3), score.late(task.limit_ms, late_ms))
    end,

    aggregate = function(leaves)
        return aggregate.mean_by_miner(leaves, { min = 1, dedup = { part = 20, tolerance = 1 } })
    end,

    -- mine runs on the miner's side: infer(indices) gives logits from whatever model it has.
    mine = function(task, infer)
        return infer(task.idx)
    end,
}
