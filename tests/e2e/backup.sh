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
check "and says so" 1 "$(n status --json | jq -r .self | grep -c '^does not sign, .*quoin validator rearm')"
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

# Whose key was made after the restoring signed nowhere: no word of signing. Another key put in its place may have.
"$q" --home "$tmp/other" backup restore "$tmp/copy" >"$tmp/said" 2>"$tmp/err"
check "without a HASH: what that means is told" "0 1 1" "$? $(grep -c 'no HASH pins it' "$tmp/err") $(grep -c "If ${chain:0:8}.. is the chain" "$tmp/err")"
home=$tmp/other
for again in first second; do
    start
    check "a follower's restored home, $again start" "0 0 follows 1 validator" "$? $(grep -c 'does not sign' "$tmp/up.err") $(n status --json | jq -r .self)"
    stop
done
cp "$old/wallet/validator.key" "$home/wallet/"
start
check "the validator's own key beside it" "1 $height" "$(grep -c 'does not sign' "$tmp/up.err") $(sleep 0.7; n status --json | jq .height)"
stop
home=$new

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

# Damage that LMDB answers with a signal, or not at all.
patch() { # OFFSET HEX: a fresh copy whose state.mdb has other bytes there
    rm -rf "$tmp/bad"
    cp -r "$tmp/copy" "$tmp/bad"
    printf '%b' "$(sed 's/../\\x&/g' <<<"$2")" | dd of="$tmp/bad/state.mdb" bs=1 seek="$1" conv=notrunc 2>/dev/null
}
refused() { # WHAT
    "$q" backup verify "$tmp/bad" "$chain" >/dev/null 2>"$tmp/err"
    check "$1: exit as CORRUPT" "$corrupt" $?
    check "$1: told" 1 "$(grep -cF '[CORRUPT]' "$tmp/err")"
    "$q" --home "$tmp/fresh2" backup restore "$tmp/bad" "$chain" >/dev/null 2>"$tmp/err"
    check "$1: not restored" "$corrupt" $?
    check "$1: nothing written" 0 "$(find "$tmp/fresh2" -type f 2>/dev/null | wc -l)"
}
size=$(stat -c %s "$tmp/copy/state.mdb")
patch 40 00000000 # the page size in the first head
"$q" backup verify "$tmp/bad" "$chain" >/dev/null 2>&1
corrupt=$?
refused "no page size"
check "one exit for CORRUPT" 78 "$corrupt"
for cut in $((size - 4096)) 12288 8192; do
    patch 0 00
    truncate -s "$cut" "$tmp/bad/state.mdb"
    refused "cut to $cut"
done
for ((page = 2; page * 4096 < size; page++)); do # no page: lengths, offsets and flags of all ones
    patch $((page * 4096 + 8)) "$(printf 'ff%.0s' {1..200})"
    "$q" backup verify "$tmp/bad" "$chain" >/dev/null 2>"$tmp/err"
    rc=$?
    [ $rc = 0 ] && continue
    check "page $page: told" "78 1" "$rc $(grep -cF '[CORRUPT]' "$tmp/err")"
    timeout 20 "$q" up --home "$tmp/bad" --api 127.0.0.1:0 >/dev/null 2>"$tmp/err"
    check "page $page: up" "78 1" "$? $(grep -cF '[CORRUPT]' "$tmp/err")"
done
# A row's value: it ends where its leaf page does. That reads well and gives another root.
other=0
for ((page = 2; page * 4096 < size; page++)); do
    at=$((page * 4096))
    [ "$(od -An -tu2 -j $((at + 10)) -N 2 "$tmp/copy/state.mdb" | tr -d ' ')" = 2 ] || continue
    byte=$(od -An -tu1 -j $((at + 4092)) -N 1 "$tmp/copy/state.mdb" | tr -d ' ')
    patch $((at + 4092)) "$(printf '%02x' $((byte ^ 1)))"
    "$q" backup verify "$tmp/bad" "$chain" >/dev/null 2>"$tmp/err"
    rc=$?
    if grep -q 'is not the state after' "$tmp/err"; then
        other=$((other + 1))
        check "another value: CORRUPT" 78 $rc
        "$q" --home "$tmp/fresh2" backup restore "$tmp/bad" "$chain" >/dev/null 2>&1
        check "another value: not restored" 78 $?
    fi
done
check "another value in a row is seen by the root" true "$([ $other -ge 1 ] && echo true)"
finish
