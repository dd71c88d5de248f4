#!/usr/bin/env bash
# npm's borsh and noble's BLAKE3 and Ed25519 build a transfer from docs/ref/wire.md alone, the node takes it, and the same code reads
# the block that holds it.
. tests/lib.sh
peer() { node tests/peers/borsh.mjs "$@"; }
export SEED=1f2e3d4c5b6a79880011223344556677aabbccddeeff00112233445566778899

start
check "up" 0 $?
acct=$(peer address)
check "the address is that of the key" 64 ${#acct}
check "fund it" 0 "$(n wallet send "$acct" 10QN --json | jq .rc)"
n wallet new shop -q
shop=$(n wallet list --json | jq -r 'select(.name=="shop").account')
chain=$(n status --json | jq -r .chain)
sent=$(peer send "$chain" "$shop" 2500000 "$(n status --json | jq .now_ms)")
id=$(jq -r .id <<<"$sent")
check "the node's id is the peer's" "$id" "$(n call tx.send "$(jq -c '{tx}' <<<"$sent")" --json | jq -r .tx)"
receipt=$(n call tx.wait "{\"id\":\"$id\"}" --json)
check "it is final without an error" 0 "$(jq .rc <<<"$receipt")"
check "the shop has it" 2500000 "$(n wallet balance shop --json | jq .balance_uqn)"

height=$(jq .height <<<"$receipt")
block=$(n block get "$height" --json)
seen=$(jq -r .borsh <<<"$block" | peer block)
check "the peer reads the block" "$height" "$(jq .height <<<"$seen")"
check "its hash" "$(jq -r .hash <<<"$block")" "$(jq -r .hash <<<"$seen")"
check "the state root" "$(jq -r .block.header.state_root <<<"$block")" "$(jq -r .state_root <<<"$seen")"
check "the transfer in it" "{\"to\":\"$shop\",\"amount_uqn\":2500000,\"memo\":\"from npm\"}" "$(jq -c '.sends[0]' <<<"$seen")"

tx=$(peer send "$chain" "$shop" 1 "$(n status --json | jq .now_ms)" | jq -r .tx)
n call tx.send "{\"tx\":\"${tx%??}ff\"}" >/dev/null 2>"$tmp/err"
check "another signature: exit 7" 7 $?
check "in one clear line" 1 "$(grep -c '\[SIGNATURE\]' "$tmp/err")"
finish
