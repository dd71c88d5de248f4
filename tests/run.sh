#!/usr/bin/env bash
# Builds and runs the tests; last line "N passed, N failed". Called by ./build.sh test [NAME] [--long].
#   always   everything on the release build: unit tests, processes end to end, packages, docs, tidy
#            then, built by clang with address and undefined sanitizers: unit tests, and each fuzz target on its seeds and 5 s more
#   --long   full counts, each fuzz target 5 minutes, and unit and end-to-end tests under gcc's ASan/UBSan, unit tests under TSan. Counts are
#            full on the release build alone: what a sanitizer looks for is there in the first hundred rounds or in none.
set -uo pipefail
cd "$(dirname "$0")/.."
export QUOIN_TEST_LONG=0
name="" passed=0 failed=0
for arg in "$@"; do
    case $arg in
    --long) QUOIN_TEST_LONG=1 ;;
    *) name=$arg ;;
    esac
done
[ $QUOIN_TEST_LONG = 1 ] && patience=7200 || patience=1200 # seconds: what takes longer hangs
mkdir -p build
out=build/test-output.txt
jobs=2 # tests at once
: >$out

# phase FOLDER CTEST-ARG..: runs and counts
phase() {
    local dir=$1 log=build/phase.txt
    shift
    ctest --test-dir "$dir" --output-on-failure --timeout "$patience" -j$jobs ${name:+-R "$name"} "$@" 2>&1 | tee $log
    passed=$((passed + $(grep -cE '^ *[0-9]+/[0-9]+ Test .* Passed' $log)))
    failed=$((failed + $(grep -cE '^ *[0-9]+/[0-9]+ Test .*(\*\*\*Failed|\*\*\*Timeout|\*\*\*Not Run|\*\*\*Exception)' $log)))
    cat $log >>$out
}
# roots ARG..: tests/roots.sh, one more test
roots() {
    [ -n "$name" ] && [[ roots != $name* ]] && return
    bash tests/roots.sh "$@" 2>&1 | tee -a $out
    if [ "${PIPESTATUS[0]}" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}
# What a sanitizer's build leaves out: those tests measure limits of memory and time that its shadow breaks, or were built without it.
plain='^(test_job|test_runner)$'

./build.sh deps || { echo "0 passed, 1 failed"; exit 1; }
if ./build.sh build release tests; then phase build; else failed=$((failed + 1)); fi
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
# One test by its name is wanted quickly: the second tree only for a fuzz target's.
if [ -n "$name" ] && [ $QUOIN_TEST_LONG = 0 ] && [[ $name != fuzz* ]]; then
    :
elif ./build.sh build fuzz fuzzers tests; then
    # Fuzzing for 5 minutes is bound by the clock, not by a count: twice as many at once halve the night, and each still has its 5 minutes.
    [ $QUOIN_TEST_LONG = 1 ] && jobs=4
    phase build/fuzz -L fuzz
    jobs=2
    long=$QUOIN_TEST_LONG QUOIN_TEST_LONG=0
    phase build/fuzz -L unit -E "$plain"
    QUOIN_TEST_LONG=$long
    roots build/sim build/fuzz/sim
else
    failed=$((failed + 1))
fi
if [ $QUOIN_TEST_LONG = 1 ]; then
    QUOIN_TEST_LONG=0
    if ./build.sh build asan tests; then phase build/asan -L 'unit|e2e' -E "$plain|tidy_|package_|docs_|e2e_without"; else failed=$((failed + 1)); fi
    if ./build.sh build tsan tests; then phase build/tsan -L unit -E "$plain"; else failed=$((failed + 1)); fi
    roots --matrix
    if ./build.sh build clang quoin; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
