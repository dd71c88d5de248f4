#!/usr/bin/env bash
# Four validators: proposals of 100 KB and more travel as the ids of their transactions, and are put together from each node's pool; what a
# pool lacks is asked for. All ends in one chain.
. "$(dirname "$0")/../lib.sh"
devnet=0
trap '[ $devnet = 0 ] || { kill -TERM $devnet && wait $devnet; } 2>/dev/null; cleanup' EXIT
"$q" devnet 4 --home "$tmp/net" --json >"$tmp/log" 2>"$tmp/err" &
devnet=$!
for _ in $(seq 400); do grep -q '"event":"ready"' "$tmp/log" && break; sleep 0.05; done
at() { "$q" --home "$tmp/net/node-$1" "${@:2}"; }
sum() { for i in 0 1 2 3; do at $i net compact --json | jq ".$1"; done | awk '{ s += $1 } END { print s }'; }
{ for i in $(seq 1000); do printf -- '-- %0.sline of a long comment, number %d, that nobody will ever read but every node has to hold\n' 1 "$i"; done
  echo 'function init() end'; } >"$tmp/big.lua"
for k in 0 1 2 3; do
    at $k --as faucet contract deploy --name "big$k" --source "$(cat "$tmp/big.lua")" --args '[]' --value 0QN --json >"$tmp/said" 2>>"$tmp/err"
    check "deployed by node $k" 0 "$(jq -r .rc "$tmp/said")"
done
check "proposals travelled as ids" 1 $(($(sum made) >= 1))
check "of a hundredth of their length" 1 $(($(sum made_bytes) * 50 < $(sum whole_bytes)))
check "others put them together" 1 $(($(sum built) >= $(sum made)))
# Many at once, so that some pools lack what a leader has: sent to one node, and proposed before the others heard of it.
for i in $(seq 48); do
    at $((i % 4)) --as faucet contract deploy --name "b$i" --source "$(head -c 9000 "$tmp/big.lua"; printf '\nfunction init() end')" --args '[]' --value 0QN --json >>"$tmp/many" 2>>"$tmp/err" &
    jobs[i]=$!
done
wait "${jobs[@]}"
check "all of them final" 48 "$(jq -r 'select(.rc == 0) | .rc' "$tmp/many" | wc -l)"
check "what was asked for came, most of it" 1 $(($(sum filled) * 2 >= $(sum asked)))
h=$(at 0 status --json | jq .height)
for _ in $(seq 100); do [ "$(at 3 status --json | jq .height)" -ge "$h" ] && break; sleep 0.1; done
check "one chain" 1 "$(for i in 0 1 2 3; do at $i block get "$h" --json | jq -r .hash; done | sort -u | wc -l)"
finish
