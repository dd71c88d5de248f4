-- seed.lua - random draws from a 32-byte seed that all sides know: splitmix64 over its four words. below(n) has no bias.
local Seed = {}
Seed.__index = Seed

local function word(hex, at)
    local v = 0
    for i = at, at + 15 do
        local c = hex:byte(i)
        v = v << 4 | (c >= 97 and c - 87 or c - 48)
    end
    return v
end

local function mix(z)
    z = (z ~ (z >> 30)) * 0xbf58476d1ce4e5b9
    z = (z ~ (z >> 27)) * 0x94d049bb133111eb
    return z ~ (z >> 31)
end

local seed = {}

function seed.new(hex)
    assert(#hex == 64 and not hex:find("[^0-9a-f]"), "a seed has 64 hex digits")
    local s = 0
    for at = 1, 49, 16 do s = mix(s ~ word(hex, at)) end
    return setmetatable({ s = s }, Seed)
end

-- next gives a number of 63 bits.
function Seed:next()
    self.s = self.s + 0x9e3779b97f4a7c15
    return mix(self.s) >> 1
end

-- below gives a whole number from 0 to n - 1.
function Seed:below(n)
    local room = 0x7fffffffffffffff
    local top = room - room % n
    while true do
        local v = self:next()
        if v < top then return v % n end
    end
end

-- pick gives cnt different numbers below n, in the order drawn.
function Seed:pick(cnt, n)
    assert(cnt <= n // 2 or n <= 1024, "pick: too many of too few")
    local seen, list = {}, {}
    while #list < cnt do
        local v = self:below(n)
        if not seen[v] then
            seen[v] = true
            list[#list + 1] = v
        end
    end
    return list
end

return seed
