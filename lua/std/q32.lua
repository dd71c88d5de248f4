-- q32.lua - scores as whole numbers with 32 fraction bits, as the ledger computes with them. Works in both modes of the language.
local q32 = { one = 1 << 32 }

-- of(a, b) is a / b, rounded down; of nothing, nothing.
function q32.of(a, b)
    return b > 0 and math.muldiv(a, q32.one, b) or 0
end

function q32.mul(a, b)
    return math.muldiv(a, b, q32.one)
end

function q32.clamp(x)
    return x < 0 and 0 or x > q32.one and q32.one or x
end

-- pow(x, n) for whole n above 0.
function q32.pow(x, n)
    local r = x
    for _ = 2, n do r = q32.mul(r, x) end
    return r
end

-- ppm is for people to read.
function q32.ppm(x)
    return math.muldiv(x, 1000000, q32.one)
end

return q32
