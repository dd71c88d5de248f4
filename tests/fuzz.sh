#!/usr/bin/env bash
# fuzz.sh NAME SECONDS - runs a fuzz target (built with the fuzz preset) on its seeds and then on what it makes of them. In
# `test --long` each gets five minutes.
set -u
cd "$(dirname "$0")/.."
name=fuzz_${1#fuzz_} seconds=$2
[ "${QUOIN_TEST_LONG:-0}" = 1 ] && seconds=300
target=build/fuzz/$name
found=build/fuzz/corpus/$name # grows over runs
mkdir -p "$found" build/fuzz/crash
log=build/fuzz/$name.log
"$target" "$found" "tests/corpus/$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/crash/$name-" >"$log" 2>&1
rc=$?
if [ $rc != 0 ]; then
    tail -40 "$log"
    echo "$name failed; run it again: $target $(ls -t build/fuzz/crash/"$name"-* 2>/dev/null | head -1)"
    exit 1
fi
echo "$name: $(sed -n 's/^stat::number_of_executed_units: //p' "$log") inputs in $seconds s, $(ls "$found" | wc -l) kept"
