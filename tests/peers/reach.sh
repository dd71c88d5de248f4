#!/usr/bin/env bash
# AutoNAT v2 with js-libp2p, both ways, at addresses of the internet in a network namespace that leads nowhere.
set -u
if [ -z "${QUOIN_REACH_INSIDE:-}" ]; then
    if ! unshare -n true 2>/dev/null; then
        echo "skipped: this machine gives no network namespace"
        exec bash -c ". tests/lib.sh; check 'a namespace was not to be had' 0 0; finish"
    fi
    QUOIN_REACH_INSIDE=1 exec unshare -n bash "$0"
fi
ip link set lo up && ip addr add 5.5.1.1/32 dev lo && ip addr add 6.6.1.1/32 dev lo
. tests/lib.sh
start --listen 5.5.1.1:4460
check "up" 0 $?
timeout 60 node --no-warnings --import ./tests/peers/polyfill.mjs tests/peers/reach.mjs "$(jq -r 'select(.event == "ready") | .p2p' "$tmp/up.log")" >"$tmp/js" 2>"$tmp/js.err" &
js=$!
for _ in $(seq 150); do
    said=$(n net doctor --json | jq -r 'select(.check == "reachable") | .detail')
    grep -q 'dialled back' <<<"$said" && break
    sleep 0.1
done
check "js dialled quoin back" "yes, 5.5.1.1:4460 (1 of 1 dialled back)" "$said"
wait $js
check "because it was asked" true "$(jq '.asked >= 1' "$tmp/js")"
check "quoin dialled js back, under another name" true "$(jq '.dialled >= 1' "$tmp/js")"
check "and js took the number" true "$(jq '.nonces >= 1' "$tmp/js")"
check "and our answer" /ip4/6.6.1.1/tcp/4001 "$(jq -r '.verified[]' "$tmp/js")"
check "nothing to blame" 1 "$(n net doctor --json | jq -r 'select(.check == "since start") | .detail' | grep -c ' 0 offences')"
stop
check "stops" 0 $?
finish
