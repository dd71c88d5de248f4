-- dedup.lua - who gives the same answers has the same model: groups of miners by what they say to one common question.
local dedup = {}

-- flat(x) is all whole numbers of nested lists in order; at most cap of them.
function dedup.flat(x, cap, into)
    into = into or {}
    if type(x) ~= "table" then
        if #into < cap then into[#into + 1] = type(x) == "number" and x or 0 end
        return into
    end
    for i = 1, #x do
        if #into >= cap then break end
        dedup.flat(x[i], cap, into)
    end
    return into
end

-- distance counts where two lists differ by more than tolerance; different lengths are as far as can be.
function dedup.distance(a, b, tolerance)
    if #a ~= #b or #a == 0 then return #a + #b + 1 end
    local n = 0
    for i = 1, #a do
        local d = a[i] - b[i]
        if d > tolerance or d < -tolerance then n = n + 1 end
    end
    return n
end

-- groups(items, opts): items are { order = who was first, print = list of numbers }; joins all whose prints differ in at most
-- opts.part/1000 of their places (by more than opts.tolerance), through others too. Gives for each item the index of its group's first.
function dedup.groups(items, opts)
    local parent = {}
    for i = 1, #items do parent[i] = i end
    local function root(i)
        while parent[i] ~= i do i = parent[i] end
        return i
    end
    for i = 1, #items do
        for j = 1, i - 1 do
            local a, b = root(i), root(j)
            if a ~= b and dedup.distance(items[i].print, items[j].print, opts.tolerance or 0) * 1000 <= #items[i].print * (opts.part or 0) then
                if items[a].order < items[b].order then a, b = b, a end
                parent[a] = b -- the earlier leads
            end
        end
    end
    local first = {}
    for i = 1, #items do first[i] = root(i) end
    return first
end

return dedup
