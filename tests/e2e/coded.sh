#!/usr/bin/env bash
# Ten validators: a proposal of 100 KB leaves its leader in pieces, every other node rebuilds it from what relays passed on, and it is final.
. "$(dirname "$0")/../lib.sh"
devnet=0
trap '[ $devnet = 0 ] || { kill -TERM $devnet && wait $devnet; } 2>/dev/null; cleanup' EXIT
"$q" devnet 10 --home "$tmp/net" --json >"$tmp/log" 2>"$tmp/err" &
devnet=$!
for _ in $(seq 600); do grep -q '"event":"ready"' "$tmp/log" && break; sleep 0.05; done
at() { "$q" --home "$tmp/net/node-$1" "${@:2}"; }
for _ in $(seq 300); do
    [ "$(for i in 0 1 2 3 4 5 6 7 8 9; do at $i net coded --json | jq .peers; done | sort -u | xargs)" = 9 ] && break
    sleep 0.1
done
check "everybody takes pieces from nine" 9 "$(for i in 0 1 2 3 4 5 6 7 8 9; do at $i net coded --json | jq .peers; done | sort -u | xargs)"
{ for i in $(seq 1000); do printf -- '-- %0.sline of a long comment, number %d, that nobody will ever read but every node has to hold\n' 1 "$i"; done
  echo 'function init() end'; } >"$tmp/big.lua"
check "a transaction that fills a proposal" 1 $(($(stat -c %s "$tmp/big.lua") > 70000))
for k in 1 2 3; do
    at $k --as faucet contract deploy --name "big$k" --source "$(cat "$tmp/big.lua")" --args '[]' --value 0QN --json >"$tmp/said" 2>>"$tmp/err"
    check "deployed by node $k" 0 "$(jq -r .rc "$tmp/said")"
done
sum() { for i in 0 1 2 3 4 5 6 7 8 9; do at $i net coded --json | jq ".$1"; done | awk '{ s += $1 } END { print s }'; }
sent=$(sum sent)
check "proposals left in pieces" 1 $((sent >= 1))
check "the nine others rebuilt most of them" 1 $(($(sum rebuilt) >= sent * 6))
check "relays passed pieces on" 1 $(($(sum relayed) >= sent * 32))
check "no leader lied" "0 0" "$(sum split) $(sum twins)"
h=$(at 4 status --json | jq .height)
for _ in $(seq 100); do [ "$(at 9 status --json | jq .height)" -ge "$h" ] && break; sleep 0.1; done
check "one chain" 1 "$(for i in 0 4 9; do at $i block get "$h" --json | jq -r .hash; done | sort -u | wc -l)"
finish
