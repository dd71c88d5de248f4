#!/usr/bin/env bash
# Kills, all of them in one count: of simulated machines (processes, and power within a write) and of real processes, at named points, in a network
# under load, and on hosts whose wires lose and part. Called by ./build.sh kills [A-B], the simulator's seeds; ends with one line.
set -uo pipefail
cd "$(dirname "$0")/.."
export QUOIN_TEST_LONG=1 BUILD=build QUOIN=${QUOIN:-$PWD/build/quoin}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
real=0 lost=0 twice=0 bad=0
build/sim --seeds "${1:-1-1200}" --json >"$out" || bad=$((bad + 1))
grep '"wrong"' "$out"
sim=$(tail -n 1 "$out" | jq '.kills + .power_cuts')
tail -n 1 "$out" | jq -r '"simulated: \(.seeds) worlds, \(.virtual_hours) hours, \(.kills) kills of processes, \(.power_cuts) by power, \(.failed) worlds with anything wrong"'
for script in robust devnet netns; do
    bash tests/e2e/$script.sh >"$out" 2>&1 || { bad=$((bad + 1)); cat "$out"; }
    read -r k l s < <(sed -n 's/^kills: \([0-9]*\), lost: \([0-9]*\), signed twice: \([0-9]*\)$/\1 \2 \3/p' "$out")
    echo "$script: ${k:-0} kills of real processes, ${l:-0} lost, ${s:-0} signed twice; $(tail -n 1 "$out")"
    real=$((real + ${k:-0})) lost=$((lost + ${l:-0})) twice=$((twice + ${s:-0}))
done
echo "$((sim + real)) kills, $sim simulated and $real real: $lost lost, $twice signed twice, supply $([ $bad = 0 ] && echo exact || echo "or more WRONG, see above")"
[ $bad = 0 ]
