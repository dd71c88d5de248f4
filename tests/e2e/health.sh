#!/usr/bin/env bash
# What a node says when not all is well: a chain that stands still, an address where nobody answers, a genesis of another chain, a network
# of another size, a validator that is out because a copy of its home ran too.
. "$(dirname "$0")/../lib.sh"
net=$tmp/net devnet=0 lone=0
trap 'for p in $lone $devnet; do [ $p = 0 ] || { kill -TERM $p && wait $p; } 2>/dev/null; done; cleanup' EXIT

"$q" devnet 4 --home "$net" --json >"$tmp/devnet.log" 2>"$tmp/devnet.err" &
devnet=$!
for _ in $(seq 400); do grep -q '"event":"ready"' "$tmp/devnet.log" && break; sleep 0.05; done
at() { "$q" --home "$net/node-$1" "${@:2}"; }
chain() { at 0 net doctor --json | jq -r 'select(.check == "chain") | .state'; }
for _ in $(seq 200); do [ "$(at 0 status --json | jq -r '"\(.peers) \(.height > 3)"')" = "3 true" ] && break; sleep 0.1; done
check "all is well" "up to date ok" "$(at 0 status --json | jq -r .sync) $(chain)"
check "its part" "validator N of 4" "$(at 0 status --json | jq -r .self | sed 's/r [1-4] o/r N o/')"
for i in 2 3; do kill -9 "$(jq "select(.event == \"node\" and .idx == $i) | .pid" "$tmp/devnet.log")"; done
for _ in $(seq 200); do [ "$(chain)" = look ] && break; sleep 0.1; done
check "half of the weight is gone: the doctor" look "$(chain)"
check "and the status, with what is heard" 1 "$(at 0 status --json | jq -r .sync | grep -cE '^no block for [0-9]+ s \(one should come every 0.2 s\): of the weight 50 % was heard in view [0-9]+, a block needs [6-9][0-9] %$')"
at 0 --as faucet wallet send @owner 1QN --timeout 1s >"$tmp/out" 2>"$tmp/err"
check "what was sent meanwhile is told, with its id" 6 $?
check "it waits" pool "$(at 0 tx get "$(grep -oE 'it was sent and is not final yet: quoin tx wait [0-9a-f]{64}' "$tmp/err" | grep -oE '[0-9a-f]{64}')" --json | jq -r .state)"
kill -TERM $devnet
wait $devnet
devnet=0

"$q" devnet 3 --home "$net" >"$tmp/said" 2>&1
check "a network of another size" "2 1" "$? $(grep -c "^error: the network of $net is of 4, not 3: quoin devnet 4, or another --home" "$tmp/said")"
"$q" devnet 2 --home "$tmp/two" --json >"$tmp/two.log" 2>&1 &
devnet=$!
for _ in $(seq 400); do grep -q '"event":"ready"' "$tmp/two.log" && break; sleep 0.05; done
kill -TERM $devnet
wait $devnet
devnet=0
up() { timeout 20 "$q" up --home "$net/node-0" --api 127.0.0.1:0 --json "$@" >"$tmp/said" 2>&1; }
up --genesis "$tmp/two/genesis"
check "a genesis of another chain" "78 1" "$? $(grep -cE 'holds chain [0-9a-f]{8}, .*/two/genesis is of chain [0-9a-f]{8}' "$tmp/said")"
up --genesis "$tmp/nothing"
check "a genesis that is not there" "3 1" "$? $(grep -c "$tmp/nothing" "$tmp/said")"
echo no genesis >"$tmp/nothing"
up --genesis "$tmp/nothing"
check "a genesis that is none" "78 1" "$? $(grep -c "nothing is not a genesis" "$tmp/said")"

"$q" up --home "$net/node-0" --api 127.0.0.1:0 --genesis "$net/genesis" --join 127.0.0.1:1 --json >"$tmp/lone.log" 2>&1 &
lone=$!
for _ in $(seq 400); do grep -q '"event":"ready"' "$tmp/lone.log" && break; sleep 0.05; done
check "its own genesis, and nobody there" "0 look nobody answers at 127.0.0.1:1" "$(at 0 status --json | jq .peers) $(at 0 net doctor --json | jq -r 'select(.check == "peers") | .state + " " + .detail' | sed 's/ .*: / /')"
kill -TERM $lone
wait $lone
"$q" up --home "$net/node-0" --api 127.0.0.1:0 --json >"$tmp/lone.log" 2>"$tmp/lone.err" &
lone=$!
for _ in $(seq 400); do grep -q '"event":"ready"' "$tmp/lone.log" && break; sleep 0.05; done
check "one of four without a network says so" 1 "$(grep -c 'of a chain that others make, and has no network' "$tmp/lone.err")"
for _ in $(seq 100); do [[ $(at 0 status --json | jq -r .sync) = *network* ]] && break; sleep 0.1; done
check "in its status, too" 1 "$(at 0 status --json | jq -r .sync | grep -c '^no block for .*: this node has no network; start it with quoin up --join ADDR')"
kill -STOP $lone
at 0 status --timeout 100ms 2>"$tmp/err"
check "a node that hangs is named" "6 1" "$? $(grep -c "$net/node-0/api.sock: no answer in 2.1 s; --timeout waits longer" "$tmp/err")"
kill -CONT $lone
kill -TERM $lone
wait $lone
lone=0

"$q" devnet 4 --home "$tmp/twice" --json >"$tmp/twice.log" 2>&1 &
devnet=$!
for _ in $(seq 400); do grep -q '"event":"ready"' "$tmp/twice.log" && break; sleep 0.05; done
cp -r "$tmp/twice/node-3" "$tmp/copy"
rm -f "$tmp"/copy/{lock,api.sock,wallet/network.key}
"$q" up --home "$tmp/copy" --api 127.0.0.1:0 --listen 127.0.0.1:0 --block-ms 200 --json \
    --join "$(jq -r 'select(.event == "node" and .idx == 0) | .p2p' "$tmp/twice.log")" >"$tmp/copy.log" 2>&1 &
lone=$!
self() { "$q" --home "$tmp/twice/node-3" status --json | jq -r .self; }
# Whoever hears the other first signs no more and says so; a copy of a home that had not voted yet may be too quick, and costs the stake.
silent() { grep -qs 'signs no more' "$tmp/copy.log" "$tmp/twice/node-3/up.log"; }
for _ in $(seq 300); do [[ $(self) = barred* ]] || silent && break; sleep 0.1; done
if [[ $(self) = barred* ]]; then
    check "two signers with one key: barred, and what to do" 1 "$(self | grep -c '^barred for good, its key signed twice: .*quoin validator create')"
    check "the doctor too" look "$("$q" --home "$tmp/twice/node-3" net doctor --json | jq -r 'select(.check == "validator") | .state')"
else
    silent
    check "two signers with one key: one is silent before it costs" 0 $?
fi
finish
