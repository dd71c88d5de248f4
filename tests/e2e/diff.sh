#!/usr/bin/env bash
# Where two executions of a chain part: none with itself, one that goes on, one changed posting or row, found with its block and transaction.
. "$(dirname "$0")/../lib.sh"
start --block-ms 50
check "a node" 0 $?
for i in 1 2 3; do n --as faucet wallet send @owner "$i"QN --json >/dev/null; done
tx=$(n --as faucet wallet send @owner 7QN --json | jq -r '.id // .tx')
stop
n ledger trace "$tmp/a" --json >"$tmp/said"
check "a trace" 0 $?
check "each coin's way is in it" 1 "$(grep -c "^[0-9]* $tx post qn1[^ ]* qn1[^ ]* 7000000$" "$tmp/a")"
check "an execution is like itself" true "$("$q" ledger diff "$home" "$tmp/a" --json | jq .equal)"
sed "/ $tx post /s/ 7000000$/ 7000001/" "$tmp/a" >"$tmp/b"
"$q" ledger diff "$home" "$tmp/b" --json >"$tmp/said"
check "one that differs" 1 $?
check "its first difference" "false $tx 7000000 7000001" "$(jq -r '"\(.equal) \(.tx) \(.a | split(" ")[-1]) \(.b | split(" ")[-1])"' "$tmp/said")"
check "its block" "$(grep -m1 " $tx " "$tmp/a" | cut -d' ' -f1)" "$(jq .height "$tmp/said")"
head -n 100 "$tmp/a" >"$tmp/b"
check "one that ends before" "true 99 a" "$("$q" ledger diff "$tmp/a" "$tmp/b" --json | jq -r '"\(.equal) \(.steps) \(.goes_on)"')"
"$q" ledger diff "$tmp/a" "$tmp/none" >"$tmp/said" 2>&1
check "no such file" "3 1" "$? $(grep -c 'there is no such file' "$tmp/said")"
"$q" ledger trace "$tmp/late" --from 3 --home "$home" -q
check "a trace that begins later" "true 3" "$("$q" ledger diff "$tmp/late" "$tmp/a" --json | jq .equal) $(sed -n 2p "$tmp/late" | cut -d' ' -f1)"
"$q" ledger trace "$tmp/never" --from 1000000 --home "$home" 2>"$tmp/err"
check "one from beyond the head" "3 1" "$? $(grep -c 'there is no block 1000000 .* the last is' "$tmp/err")"
check "and no file of it" "" "$(ls "$tmp/never" 2>/dev/null)"
"$q" ledger trace "$tmp/never" --from x --home "$home" 2>/dev/null
check "one from nowhere" 2 $?
"$q" ledger diff "$tmp/a" /etc/passwd 2>"$tmp/err"
check "a file that is no trace" "7 1" "$? $(grep -c '/etc/passwd: this is no trace' "$tmp/err")"
sed '1s/chain ...../chain fffff/' "$tmp/a" >"$tmp/b"
"$q" ledger diff "$tmp/a" "$tmp/b" 2>"$tmp/err"
check "traces of two chains" "78 1" "$? $(grep -c 'of two chains' "$tmp/err")"
finish
