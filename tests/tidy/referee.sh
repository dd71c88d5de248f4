#!/usr/bin/env bash
# The referee's object holds no float or vector instruction. Needs BUILD, the build folder.
set -euo pipefail
trap 'rm -f "/tmp/referee.$$"' EXIT
obj="${BUILD:-build}/CMakeFiles/qn.dir/gpu/graph/tile_step.c.o"
[ -f "$obj" ] || { echo "no $obj: build quoin first"; exit 1; }
# Only x86 names are looked for; elsewhere the compiler's own -mgeneral-regs-only has to do.
if objdump -d "$obj" >"/tmp/referee.$$" && grep -E '%[xyz]mm|%st\b|\bf(ld|st|add|mul|div)[a-z]*\b' "/tmp/referee.$$"; then
    echo "a float or vector instruction in the referee"
    exit 1
fi
# The scan itself must be able to fail: the C build of the same text is full of them.
objdump -d "${obj/tile_step/tile_ref}" >"/tmp/referee.$$"
grep -qE 'mulss|mulps' "/tmp/referee.$$" || { echo "scan finds nothing even in tile_ref.c"; exit 1; }
echo "referee: no float instruction"
