#!/usr/bin/env bash
# A backup of a running node has chain and state, neither keys nor votes; it is checked without a node and begins a fresh home, whose validator
# stays silent until it is armed again.
. tests/lib.sh
start
check "up" 0 $?
n wallet new alice -q
for i in 1 2 3; do n wallet send @alice "${i}QN" -q; done
chain=$(n status --json | jq -r .chain)
made=$(n backup create "$tmp/copy" --json)
check "made" true "$(jq '.height > 2 and .rows > 5 and .first == 1' <<<"$made")"
check "no key in it" 0 "$(find "$tmp/copy" -name '*.key' | wc -l)"
n backup create "$tmp/copy" -q 2>"$tmp/err"
check "not over another" 1 "$(grep -c 'is there already' "$tmp/err")"
check "verified" "$(jq -c '[.block,.height,.rows]' <<<"$made")" "$("$q" backup verify "$tmp/copy" "$chain" --json | jq -c '[.block,.height,.rows]')"
"$q" backup verify "$tmp/copy" "${chain%??}00" >/dev/null 2>&1
check "of another chain: exit 7" 7 $?
height=$(jq .height <<<"$made")
receipt=$(n block get 2 --json | jq -c .receipts)
kill -9 "$pid"
wait "$pid" 2>/dev/null

new=$tmp/new old=$home
"$q" --home "$new" backup restore "$tmp/copy" "$chain" -q
check "restored" 0 $?
cp -r "$old/wallet" "$new/"
home=$new
start
check "up" 0 $?
check "it does not sign" "$height" "$(sleep 1.2; n status --json | jq .height)"
check "all is there" 6000000 "$(n wallet balance alice --json | jq .balance_uqn)"
check "receipts, too" "$receipt" "$(n block get 2 --json | jq -c .receipts)"
check "every coin" true "$(n ledger audit --json | jq .ok)"
n validator rearm --alone -q
stop
start
n wallet send @alice 1QN -q
check "armed" 7000000 "$(n wallet balance alice --json | jq .balance_uqn)"
stop
check "replayed from the first block" 21000000000000 "$("$q" ledger replay --home "$new" --json | jq .sum_uqn)"

rm "$new/journal/id" # a journal of unknown origin
start
check "a key beside a journal that it does not know" 1 "$(grep -c 'does not sign' "$tmp/up.err")"
stop

# Damage.
for file in journal/seg-0000000000.qj state.mdb; do
    rm -rf "$tmp/bad" "$tmp/fresh"
    cp -r "$tmp/copy" "$tmp/bad"
    printf 'XYZ' | dd of="$tmp/bad/$file" bs=1 seek=3000 conv=notrunc 2>/dev/null
    "$q" --home "$tmp/fresh" backup restore "$tmp/bad" "$chain" >/dev/null 2>"$tmp/err"
    rc=$?
    if [ $file = state.mdb ] && [ $rc = 0 ]; then continue; fi # a byte that LMDB does not use
    check "$file damaged: refused in one line" 1 "$(grep -c '\[' "$tmp/err")"
    check "$file damaged: nothing written" 0 "$(find "$tmp/fresh" -type f 2>/dev/null | wc -l)"
done
finish
