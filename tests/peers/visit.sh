#!/usr/bin/env bash
# A stock js-libp2p client and a network of real nodes: it dials one, hears the votes of all and can check them, and is dialled.
. tests/lib.sh
devnet=0 js=0
trap '[ $js = 0 ] || kill $js 2>/dev/null; [ $devnet = 0 ] || { kill -TERM $devnet && wait $devnet; } 2>/dev/null; cleanup' EXIT
"$q" devnet 4 --home "$tmp/net" --json >"$tmp/log" &
devnet=$!
for _ in $(seq 400); do grep -q '"event":"ready"' "$tmp/log" && break; sleep 0.05; done
at() { "$q" --home "$tmp/net/node-0" "$@"; }
address=$(at status --json | jq -r .p2p)
check "status tells its address" "$(jq -r 'select(.idx == 0) | .p2p' "$tmp/log")" "$address"
mkfifo "$tmp/in"
# shellcheck disable=SC2046
node --no-warnings --import ./tests/peers/polyfill.mjs tests/peers/visit.mjs "$address" "$(at status --json | jq -r .chain)" $(at validator list --json | jq -r .key) <"$tmp/in" >"$tmp/js" &
js=$!
exec 4>"$tmp/in"
said() { # FIELD: what js says of it, once it does
    for _ in $(seq 300); do grep -q "\"$1\":" "$tmp/js" && break; kill -0 $js 2>/dev/null || break; sleep 0.1; done
    jq -r "select(has(\"$1\")) | .$1" "$tmp/js"
}
check "js dials the node it meant" "${address##*/}" "$(said dialled)"
check "and is answered" true "$(said ping)"
check "it hears four voters" 4 "$(said heard)"
check "each by a key of its own" 4 "$(said keys)"
check "and certificates" true "$(jq 'select(has("certs")) | .certs > 0' "$tmp/js")"
check "every one is as it is drawn, and signed" 0 "$(said wrong)"
listens=$(said listens)
check "the node dials it" "${listens##*/}" "$(at net dial "$listens" --json | jq -r .peer)"
agent() { at net peer "${listens##*/}" --json | jq -r .agent | cut -d/ -f1; } # once it has said who it is
for _ in $(seq 100); do [ "$(agent)" = "" ] || break; sleep 0.1; done
check "it is a peer" js-libp2p "$(agent)"
check "and answers" true "$(at net ping "${listens##*/}" --json | jq '.rtt_us > 0')"
other() { at net doctor --json | jq -r 'select(.check == "other versions") | .state'; }
for _ in $(seq 100); do [ "$(other)" = look ] && break; sleep 0.1; done
check "that it is of a later version is told" "look 1" "$(other) $(grep -c 'speaks /quoin/.*/ledger/9, not .*: another version, not used' "$tmp/net/node-0/up.log")"
check "and costs it nothing" 0 "$(at net bans --json | wc -l)"
finish
