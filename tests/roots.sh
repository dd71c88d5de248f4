#!/usr/bin/env bash
# The ledger makes the same of the same transactions, whoever compiled it: worlds of the simulator without faults, all modules' transactions in them, and
# for each a hash over every block, its receipts and the state after it.
#   roots.sh SIM SIM..   compares simulators that were built already, the first with itself as well: libraries draw other hash seeds each time
#   roots.sh --matrix    builds one with gcc and clang, each without and with all optimisation, and one more that valgrind's memcheck watches for bytes
#                        that were never set; compares all five. Minutes: `test --long` does it.
set -u
cd "$(dirname "$0")/.."
failed=0
run() { nice "$1" --roots --without all "${@:2}"; } # SIM ARG..
compare() { # NAME EXPECTED GOT
    [ "$2" = "$3" ] && return
    failed=1
    echo "FAIL $1: the ledger comes to something else"
    diff <(echo "$2") <(echo "$3") | head -4
}
build() { # NAME COMPILER FLAGS CMAKE-ARG..
    cmake -G Ninja -B "build/roots/$1" -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER="$2" -DCMAKE_C_FLAGS_RELEASE="$3" -DQN_QUIET=ON "${@:4}" >build/roots/cmake.log 2>&1 &&
        cmake --build "build/roots/$1" -- --quiet sim >"build/roots/$1.log" 2>&1 && return
    grep -E 'error|FAILED' "build/roots/$1.log" | head -5
    echo "FAIL $1 does not build"
    exit 1
}
if [ "${1:-}" = --matrix ]; then
    mkdir -p build/roots
    build gcc-O0 gcc "-O0"
    build gcc-O3 gcc "-O3"
    build clang-O0 clang "-O0"
    build clang-O3 clang "-O3"
    build memcheck gcc "-O1 -g1" -DQN_DYNAMIC=ON
    set -- build/roots/{gcc-O0,gcc-O3,clang-O0,clang-O3}/sim
    few=$(run "$1" --seeds 1-4)
    # Each world is a child, whose exit status nobody asks for: what valgrind has to say of it is in the log.
    watched=$(valgrind -q --leak-check=no build/roots/memcheck/sim --roots --without all --seeds 1-4 2>build/roots/valgrind.log)
    compare memcheck "$few" "$watched"
    if [ -s build/roots/valgrind.log ]; then
        failed=1
        echo "FAIL memcheck: a byte that was never set"
        head -20 build/roots/valgrind.log
    fi
fi
first=$(run "$1" --seeds 1-16) || failed=1
for sim in "$@"; do
    compare "$sim" "$first" "$(run "$sim" --seeds 1-16)"
done
last=$(tail -1 <<<"$first")
for module in core compute training subnet zkml agents; do
    grep -qE "$module [1-9]" <<<"$last" || { failed=1; echo "FAIL no transaction of $module succeeded: $last"; }
done
echo "$(wc -l <<<"$first") lines the same of $# builds; $last"
exit $failed
