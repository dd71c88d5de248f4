#!/usr/bin/env bash
# A scoring market on a real node: see subnet.lua.
set -u
q=${QUOIN:-build/quoin} home=$(mktemp -d) pid=0
trap 'kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null; rm -rf "$home"' EXIT
"$q" up --home "$home" --api 127.0.0.1:0 --json >"$home/up.log" 2>"$home/up.err" &
pid=$!
for _ in $(seq 100); do
    grep -q '"event":"ready"' "$home/up.log" && break
    sleep 0.05
done
out=$("$q" --home "$home" lua tests/e2e/subnet.lua --json 2>&1)
held=$(jq -r .held <<<"$out" 2>/dev/null)
if [ "${held:-0}" -gt 20 ] 2>/dev/null; then
    echo "$held passed, 0 failed"
else
    echo "$out"
    echo "0 passed, 1 failed"
    exit 1
fi
