#!/usr/bin/env bash
# A snapshot of a running node is checked without it, begins a fresh home that goes on where the old one stood, and is refused for every
# damage in one line, with nothing written.
. tests/lib.sh
set -o pipefail
start
check "up" 0 $?
n wallet new alice -q
for i in 1 2 3 4 5; do n wallet send @alice "${i}QN" -q; done
chain=$(n status --json | jq -r .chain)
snap=$tmp/snap
made=$(n snapshot create "$snap" --json)
check "made" true "$(jq '.chunks > 0 and .rows > 5 and .blocks > 0' <<<"$made")"
said=$("$q" snapshot verify "$snap/snapshot.qs" "$chain" --json)
check "verified" "$(jq -c '[.block,.rows,.blocks,.bytes]' <<<"$made")" "$(jq -c '[.block,.rows,.blocks,.bytes]' <<<"$said")"
check "pinned" true "$(jq .pinned <<<"$said")"
"$q" snapshot verify "$snap/snapshot.qs" "${chain%??}00" >/dev/null 2>"$tmp/err"
check "another chain: exit 7" 7 $?
"$q" snapshot verify "$snap/snapshot.qs" >/dev/null 2>"$tmp/err"
check "its folder is enough" "$(jq .block <<<"$made")" "$("$q" snapshot verify "$snap" "$chain" --json | jq .block)"
check "without a HASH: what that means is told" 1 "$(grep -c 'no HASH pins it' "$tmp/err")"
files=$(find "$snap" -type f | wc -l)
n snapshot create "$snap" -q # the second shares what did not change
check "a second one shares chunks" true "$([ "$(find "$snap" -type f | wc -l)" -le $((files + 4)) ] && echo true)"
height=$(jq .height <<<"$("$q" snapshot verify "$snap/snapshot.qs" --json)")
spent=$(n wallet send @alice 1QN --json | jq -r .tx)
stop

# Restored: the same state, and with the validator's key it makes blocks on top.
new=$tmp/new
"$q" --home "$new" snapshot restore "$snap/snapshot.qs" "$chain" -q
check "restored" 0 $?
"$q" --home "$new" snapshot restore "$snap/snapshot.qs" -q 2>"$tmp/err"
check "not over a chain that is there" 1 "$(grep -c 'take a fresh folder' "$tmp/err")"
cp -r "$home/wallet" "$new/" # the same machine's, so to speak
old=$home home=$new
start
check "the restored node is up" 0 $?
check "and says that it does not sign" 1 "$(grep -c 'does not sign' "$tmp/up.err")"
check "nor does it" "$height" "$(sleep 1.2; n status --json | jq .height)"
n validator rearm -q 2>"$tmp/err"
check "until the network went on" 1 "$(grep -c 'later than the restoring' "$tmp/err")"
check "or it is alone" true "$(n validator rearm --alone --json | jq .armed)"
stop
start
check "armed" 0 "$(grep -c 'does not sign' "$tmp/up.err")"
check "where the snapshot was" true "$(n status --json | jq ".height >= $height")"
check "no coin more or less" true "$(n ledger audit --json | jq .ok)"
check "alice has what she had" 15000000 "$(n wallet balance alice --json | jq .balance_uqn)"
n wallet send @alice 2QN -q
check "money moves" 17000000 "$(n wallet balance alice --json | jq .balance_uqn)"
check "what came after the snapshot is not there" 3 "$(n tx get "$spent" >/dev/null 2>&1; echo $?)"
n block get 1 >/dev/null 2>&1
check "young enough to have all blocks" 0 $?
stop
start # from its own journal
check "again" 17000000 "$(n wallet balance alice --json | jq .balance_uqn)"
stop
home=$old

# Damage.
chunk=$(find "$snap/blobs" -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2)
for what in chunk manifest; do
    rm -rf "$tmp/bad" "$tmp/fresh"
    cp -r "$snap" "$tmp/bad"
    [ $what = chunk ] && file=$tmp/bad/${chunk#"$snap/"} || file=$tmp/bad/snapshot.qs
    for at in 10 100 300; do
        cp "$([ $what = chunk ] && echo "$chunk" || echo "$snap/snapshot.qs")" "$file"
        byte=$(dd if="$file" bs=1 skip=$at count=1 2>/dev/null | od -An -tu1 | tr -d ' ')
        printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$file" bs=1 seek=$at conv=notrunc 2>/dev/null
        "$q" --home "$tmp/fresh" snapshot restore "$tmp/bad/snapshot.qs" "$chain" >/dev/null 2>"$tmp/err"
        check "$what, byte $at: refused" true "$([ $? != 0 ] && echo true)"
        check "$what, byte $at: one line" 1 "$(grep -c '\[' "$tmp/err")"
        check "$what, byte $at: nothing written" 0 "$(find "$tmp/fresh" -type f 2>/dev/null | wc -l)"
    done
done
rm -rf "$tmp/bad"
cp -r "$snap" "$tmp/bad"
rm "$tmp/bad/${chunk#"$snap/"}"
"$q" --home "$tmp/fresh" snapshot restore "$tmp/bad/snapshot.qs" >/dev/null 2>"$tmp/err"
check "a missing chunk is named" 1 "$(grep -c 'of [0-9]* (.*it is not there' "$tmp/err")"
finish
