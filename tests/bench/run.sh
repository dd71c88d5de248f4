#!/usr/bin/env bash
# Runs every bench_* of build/ and puts their JSON lines together: {"name","value","unit"} and, where it has one, the peer or limit it is
# held against. As a table for people, as it is with --json. ./build.sh bench [NAME] [--json]
set -u
cd "$(dirname "$0")/../.."
json=0 name=""
for arg in "$@"; do
    case $arg in
    --json) json=1 ;;
    *) name=$arg ;;
    esac
done
export QUOIN=${QUOIN:-$PWD/build/quoin}
rc=0
run() {
    local b
    for b in build/bench_*; do
        [ -x "$b" ] && [ -f "$b" ] || continue
        [[ $b == *"$name"* ]] || continue
        "$b" 2>/dev/null | grep '^{' || { echo "{\"name\":\"$(basename "$b")\",\"error\":\"failed, or printed nothing\"}"; return 1; }
    done
}
lines=$(run) || rc=1
if [ $json = 1 ]; then
    jq -c . <<<"$lines"
else
    jq -r '[.name, (if .error then .error elif (.value|type) == "number" then (.value*100|round/100|tostring) else (.value|tostring) end), .unit // "",
            (if .peer then "\(.peer) \(.peer_value // "")" else "" end), (if .ratio then "x\(.ratio*100|round/100)" else "" end),
            (if .limit then "limit \(.limit)\(if .limit_ratio then ", \(.limit_ratio*100|round) % of it" else "" end)" else "" end)] | @tsv' <<<"$lines" |
        { printf 'what\tvalue\tunit\tbeside\tratio\tlimit\n'; cat; } | column -t -s "$(printf '\t')"
fi
exit $rc
