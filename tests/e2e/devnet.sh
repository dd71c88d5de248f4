#!/usr/bin/env bash
# Four real nodes, a validator each: money sent to any of them is final at all, kill -9 under load loses nothing and the dead come back by
# themselves; a fifth joins with nothing but an address; at the end all have the same blocks, the same root and the whole supply.
. "$(dirname "$0")/../lib.sh"
kills=8
[ "${QUOIN_TEST_LONG:-0}" = 1 ] && kills=100
net=$tmp/net devnet=0 fifth=0
trap '[ $fifth = 0 ] || { kill -9 $fifth && wait $fifth; } 2>/dev/null; [ $devnet = 0 ] || { kill -TERM $devnet && wait $devnet; } 2>/dev/null; cleanup' EXIT

"$q" devnet 4 --home "$net" --restart --json >"$tmp/devnet.log" 2>"$tmp/devnet.err" &
devnet=$!
for _ in $(seq 400); do grep -q '"event":"ready"' "$tmp/devnet.log" && break; sleep 0.05; done
check "four nodes and then ready" "4 1" "$(grep -c '"event":"node"' "$tmp/devnet.log") $(grep -c '"event":"ready"' "$tmp/devnet.log")"
at() { "$q" --home "$net/node-$1" "${@:2}"; }
height() { at "$1" status --json 2>/dev/null | jq -r .height; }
# until_height NODE HEIGHT SECONDS
until_height() {
    for _ in $(seq $(($3 * 10))); do
        [ "$(height "$1")" -ge "$2" ] 2>/dev/null && return 0
        sleep 0.1
    done
    return 1
}
"$q" devnet 4 --home "$net" --json >/dev/null 2>"$tmp/second"
check "a second one on its home: BUSY" "5 BUSY" "$? $(jq -r .error.code "$tmp/second")"
until_height 3 3 20
check "blocks become final" 0 $?
check "everybody sees three others" "3 3 3 3" "$(for i in 0 1 2 3; do at $i status --json | jq -r .peers; done | xargs)"

for i in 0 1 2 3; do at 0 wallet new "p$i" --json >/dev/null; done
for i in 1 2 3; do cp "$net"/node-0/wallet/p?.key "$net/node-$i/wallet/"; done
for i in 0 1 2 3; do at "$i" --as faucet wallet send "@p$i" 100QN --json >/dev/null || echo "FAIL funding p$i"; done
check "what one was told, another shows" 100000000 "$(at 2 wallet balance p1 --json | jq .balance_uqn)"

# Each sender goes on at the next node when its own is down, and counts what it was told is final.
sender() {
    local acked=0 k
    for k in $(seq 100000); do
        [ -e "$tmp/stop" ] && break
        "$q" --home "$net/node-$((($1 + k) % 4))" --as "p$1" wallet send @owner 0.001QN --json >"$tmp/tx-$1" 2>/dev/null &&
            jq -r 'select(.rc == 0) | .id // .tx' "$tmp/tx-$1" >>"$tmp/acked-$1" && acked=$((acked + 1))
    done
    echo "$acked" >"$tmp/sent-$1"
}
for i in 0 1 2 3; do sender "$i" & senders[i]=$!; done
for k in $(seq "$kills"); do
    sleep 0.$((RANDOM % 9 + 1))
    victim=$((k % 4))
    before=$(grep -c "\"event\":\"node\",\"idx\":$victim" "$tmp/devnet.log")
    kill -9 "$(grep "\"event\":\"node\",\"idx\":$victim" "$tmp/devnet.log" | tail -1 | jq .pid)" 2>/dev/null
    for _ in $(seq 200); do
        [ "$(grep -c "\"event\":\"node\",\"idx\":$victim" "$tmp/devnet.log")" -gt "$before" ] && break
        sleep 0.05
    done
done
touch "$tmp/stop"
wait "${senders[@]}"
top=$(for i in 0 1 2 3; do height $i; done | sort -n | tail -1)
for i in 0 1 2 3; do until_height $i $((top + 2)) 60; check "node $i goes on after the kills" 0 $?; done
sort -u "$tmp"/acked-* >"$tmp/acked"
check "transfers went through meanwhile" 1 $(($(wc -l <"$tmp/acked") > 10))
lost=0
while read -r id; do
    [ "$(at $((RANDOM % 4)) tx get "$id" --json 2>/dev/null | jq -r .state)" = final ] || lost=$((lost + 1))
done <"$tmp/acked"
check "nothing that was final is lost, of $(wc -l <"$tmp/acked")" 0 "$lost"

join=$(jq -r 'select(.idx == 1) | .p2p' "$tmp/devnet.log" | tail -1)
"$q" up --home "$tmp/fifth" --api 127.0.0.1:0 --join "$join" --json >"$tmp/fifth.log" 2>"$tmp/fifth.err" &
fifth=$!
for _ in $(seq 400); do grep -q '"event":"ready"' "$tmp/fifth.log" && break; sleep 0.05; done
top=$(height 1)
for _ in $(seq 300); do [ "$("$q" --home "$tmp/fifth" status --json 2>/dev/null | jq -r .height)" -ge "$top" ] 2>/dev/null && break; sleep 0.1; done
check "a fifth follows" 1 $(($("$q" --home "$tmp/fifth" status --json | jq -r .height) >= top))

h=$(for i in 0 1 2 3; do height $i; done | sort -n | head -1)
check "one block at height $h" 1 "$({ for i in 0 1 2 3; do at $i block get "$h" --json; done; "$q" --home "$tmp/fifth" block get "$h" --json; } | jq -r '.hash + .block.header.state_root' | sort -u | wc -l)"
check "the whole supply at each" "21000000000000 21000000000000 21000000000000 21000000000000" "$(for i in 0 1 2 3; do at $i status --json | jq -r .sum_uqn; done | xargs)"
twice=$(at 0 evidence list --json | jq -s 'length')
check "nobody has signed against itself" 0 "$twice"
# One that cannot come up is tried again until it can.
gone() { grep -c '"event":"gone","idx":3' "$tmp/devnet.log"; }
mv "$net/node-3/journal" "$net/node-3/away" && : >"$net/node-3/journal"
was=$(grep -c '"event":"node","idx":3' "$tmp/devnet.log")
kill -9 "$(grep '"event":"node","idx":3' "$tmp/devnet.log" | tail -1 | jq .pid)"
for _ in $(seq 100); do [ "$(gone)" = 1 ] && break; sleep 0.05; done
check "said, once" 1 "$(gone)"
rm "$net/node-3/journal" && mv "$net/node-3/away" "$net/node-3/journal"
for _ in $(seq 100); do [ "$(grep -c '"event":"node","idx":3' "$tmp/devnet.log")" -gt "$was" ] && break; sleep 0.05; done
check "it is back" $((was + 1)) "$(grep -c '"event":"node","idx":3' "$tmp/devnet.log")"
kill -TERM $devnet
wait $devnet
check "a clean stop" 0 $?
devnet=0
check "nobody stays behind" 0 "$(pgrep -cf "up --home $net/")"
check "a node's journal replays to its root" 0 "$("$q" ledger replay --home "$net/node-2" --json >/dev/null; echo $?)"
echo "kills: $kills, lost: $lost, signed twice: $twice"
finish
