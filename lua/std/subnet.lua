-- subnet.lua - turns a subnet's declaration into the functions that quoin runs: `return subnet{ name, task, score, aggregate, mine }`.
local seed = require "seed"

return function(def)
    for _, name in ipairs{ "task", "score", "aggregate" } do
        assert(type(def[name]) == "function", "a subnet has the functions task, score and aggregate")
    end
    return {
        name = def.name,
        version = def.version,
        task = function(hex, data) return def.task(seed.new(hex), data) end,
        score = def.score,
        aggregate = def.aggregate,
        mine = def.mine,
    }
end
