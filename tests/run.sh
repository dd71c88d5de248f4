#!/usr/bin/env bash
# Builds and runs the tests; last line "N passed, N failed". Called by ./build.sh test [NAME] [--long].
set -uo pipefail
cd "$(dirname "$0")/.."
long=0 name=""
for arg in "$@"; do
    case $arg in
    --long) long=1 ;;
    *) name=$arg ;;
    esac
done
./build.sh deps || exit 1
cmake --preset release >build.log 2>&1 || { cat build.log; exit 1; }
rm -f build.log
cmake --build --preset release -- --quiet tests || { echo "0 passed, 1 failed"; exit 1; }
export QUOIN_TEST_LONG=$long
out=build/test-output.txt
# shellcheck disable=SC2086
ctest --test-dir build --output-on-failure --timeout 1200 -j2 ${name:+-R $name} 2>&1 | tee "$out"
failed=$(grep -cE '^ *[0-9]+/[0-9]+ Test .*(\*\*\*Failed|\*\*\*Timeout|\*\*\*Not Run|Exception)' "$out")
passed=$(grep -cE '^ *[0-9]+/[0-9]+ Test .* Passed' "$out")
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
