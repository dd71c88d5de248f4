#!/usr/bin/env bash
# A node behind a router, in a network of its own that leads nowhere: it finds the router, has a port opened, says so, and gives it back; and
# where it was told not to, or the network is a house's, it asks nobody.
set -u
if [ -z "${QUOIN_NAT_INSIDE:-}" ]; then
    if ! unshare -n true 2>/dev/null; then
        echo "skipped: this machine gives no network namespace"
        exec bash -c ". '$(dirname "$0")/../lib.sh'; check 'a namespace was not to be had' 0 0; finish"
    fi
    QUOIN_NAT_INSIDE=1 exec unshare -n bash "$0"
fi
ip link set lo up && ip addr add 10.77.0.2/24 dev lo && ip addr add 10.77.0.9/24 dev lo && ip route add default dev lo
. "$(dirname "$0")/../lib.sh"
router=${BUILD:-build}/test_nat
[ -x "$router" ] || { echo "FAIL $router is not built"; exit 1; }
trap '{ kill -9 $rpid && wait $rpid; } 2>/dev/null; cleanup' EXIT
rpid=0
"$router" router good 10.77.0.9 >"$tmp/router" &
rpid=$!
until_has() { # TEXT FILE
    for _ in $(seq 200); do grep -q "$1" "$2" && return 0; sleep 0.1; done
    return 1
}
nat_says() { n net doctor --json | jq -r 'select(.check == "router") | .detail'; }
says() { # WANT: until the doctor says it
    for _ in $(seq 200); do nat_says | grep -q "$1" && return 0; sleep 0.1; done
    return 1
}

start --listen 0.0.0.0:0
check "up" 0 $?
says "port opened by UPnP: 5.6.7.9:"
check "it found the router by itself" 0 $?
port=$(jq -r 'select(.event == "ready") | .p2p' "$tmp/up.log" | cut -d/ -f5)
check "the port is its own" "port opened by UPnP: 5.6.7.9:$port" "$(nat_says)"
check "nobody has confirmed it, so it is not told" 0 "$(n net doctor --json | jq -r 'select(.check == "reachable") | .detail' | grep -c 5.6.7.9)"
stop
check "stops" 0 $?
until_has closed "$tmp/router"
check "and gave the port back" 0 $?

start --listen 0.0.0.0:0 --nat natpmp:10.77.0.9
says "port opened by NAT-PMP: 5.6.7.8:"
check "told where the router is" 0 $?
before=$(grep -c closed "$tmp/router")
kill -9 $pid; wait $pid 2>/dev/null; pid=0
until_more() { for _ in $(seq 100); do [ "$(grep -c closed "$tmp/router")" -gt "$before" ] && return 0; sleep 0.1; done; return 1; }
until_more
check "killed, it gives the port back all the same" 0 $?

opened=$(grep -c opened "$tmp/router")
start --listen 0.0.0.0:0 --nat off && stop
check "told not to" 0 $?
start --listen 127.0.0.1:0 && stop
check "on loopback" 0 $?
start --listen 10.77.0.2:0 && stop
check "in a house's network" 0 $?
check "the router heard nothing of these" "$opened" "$(grep -c opened "$tmp/router")"
"$q" up --home "$tmp/bad" --api 127.0.0.1:0 --listen 127.0.0.1:0 --nat sideways >"$tmp/said" 2>&1
check "a word it does not know" "2 1" "$? $(grep -c 'nat takes auto, off, natpmp' "$tmp/said")"
finish
