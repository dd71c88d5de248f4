#!/usr/bin/env bash
# A light client in JavaScript, written from docs/ref/proof.md alone with noble's BLAKE3 and Ed25519, believes what a node proves of a row,
# an absence and a list, what quoin believes of validators that change, and nothing that was altered.
. tests/lib.sh
light() { node tests/peers/light.mjs "$@" 2>"$tmp/light.err"; }

start
check "up" 0 $?
n wallet new alice -q
n wallet send @alice 2.5QN -q
chain=$(n status --json | jq -r .chain)
acct=$(n wallet list --json | jq -r 'select(.name=="alice").account')

n ledger prove account "$acct" -o "$tmp/row.qp" -q
said=$(light "$tmp/row.qp" "$chain")
check "a row: believed" 1 "$(jq .cnt <<<"$said")"
check "its key" "01$acct" "$(jq -r '.rows[0].key' <<<"$said")"
check "its value" "$("$q" ledger verify "$tmp/row.qp" --json | jq -r .value)" "$(jq -r '.rows[0].value' <<<"$said")"
check "2.5 QN, the record's first field" a025260000000000 "$(jq -r '.rows[0].value[0:16]' <<<"$said")"
block=$(n block get "$(jq .height <<<"$said")" --json | jq -r .hash)
check "the block" "$block" "$(jq -r .block <<<"$said")"
check "who trusts that block believes it too" 1 "$(light "$tmp/row.qp" "$block" | jq .cnt)"
check "and so does quoin" true "$("$q" ledger verify "$tmp/row.qp" "$block" --json | jq .pinned)"

n ledger prove account "${acct%??}00" -o "$tmp/none.qp" -q
check "an absence: believed" 0 "$(light "$tmp/none.qp" "$chain" | jq .cnt)"
n ledger list account --proof "$tmp/all.qp" -q
check "a list: as the node has it" "$("$q" ledger verify "$tmp/all.qp" "$chain" --json | jq -r '.rows[].key' | tr '\n' ' ')" \
    "$(light "$tmp/all.qp" "$chain" | jq -r '.rows[].key[2:]' | tr '\n' ' ')"
check "with everybody in it" "$(n ledger audit --json | jq .accounts)" "$(light "$tmp/all.qp" "$chain" | jq .cnt)"
n ledger list account --from 40 --to c0 --proof "$tmp/part.qp" -q
check "a part of it" "$(light "$tmp/all.qp" "$chain" | jq -c '[.rows[].key | select(. >= "0140" and . < "01c0")]')" \
    "$(light "$tmp/part.qp" "$chain" | jq -c '[.rows[].key]')"
for file in row none part; do
    light fuzz "$tmp/$file.qp" "$chain" >/dev/null
    check "$file: no altered byte is believed" 0 $?
done
light "$tmp/row.qp" "${chain%??}00" >/dev/null
check "of another chain: refused" 1 $?
check "in one line" 1 "$(grep -c 'Error: of another chain' "$tmp/light.err")"
for sets in overlap handed; do # made by hand, of validators that change
    "${BUILD:-build}/test_ledger_proof" "$sets" "$tmp/$sets.qp"
    pin=$("$q" ledger verify "$tmp/$sets.qp" --json | jq -r .chain)
    check "$sets: the same block" "$("$q" ledger verify "$tmp/$sets.qp" "$pin" --json | jq -r .block)" "$(light "$tmp/$sets.qp" "$pin" | jq -r .block)"
    [ $sets = handed ] && empty=true || empty=null # and names nobody
    check "$sets: may it be a filler" "$empty $empty" \
        "$("$q" ledger verify "$tmp/$sets.qp" --json | jq .maybe_filler) $(light "$tmp/$sets.qp" "$pin" | jq .maybe_filler)"
    light fuzz "$tmp/$sets.qp" "$pin" >/dev/null
    check "$sets: no altered byte is believed" 0 $?
done
stop
finish
