#!/usr/bin/env bash
# A blob between real nodes: put at one, found and fetched by others under the name that b3sum gives it; a third takes it from both;
# a fetch goes on when one of its sources is killed; what nobody has is said so.
. "$(dirname "$0")/../nodes.sh"

up a --listen 127.0.0.1:0
a=$(jq -r 'select(.event == "ready") | .p2p' "$tmp/a.log")
up b --listen 127.0.0.1:0 --join "$a"
b=$(jq -r 'select(.event == "ready") | .p2p' "$tmp/b.log")
up c --join "$a,$b"
for _ in $(seq 100); do [ "$(at c status --json | jq .peers)" = 2 ] && break; sleep 0.1; done

# 20 MB that do not repeat.
openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff -iv 00000000000000000000000000000000 -in /dev/zero 2>/dev/null | head -c 20000003 >"$tmp/file"
id=$(at a blob add "$tmp/file" --json | jq -r .blob)
check "its id is what b3sum prints" "$(b3sum --no-names "$tmp/file")" "$id"
check "one peer has it, all of it" "20000003 20 20" "$(at b blob find "$id" --json | jq -r '"\(.bytes) \(.pieces) \(.of)"')"
at b blob get "$id" -o "$tmp/from-a" --json >"$tmp/got" 2>/dev/null
check "fetched from one" "1 20000003" "$(jq -r '"\(.peers | length) \(.bytes)"' "$tmp/got")"
check "the same bytes" 0 "$(cmp "$tmp/file" "$tmp/from-a"; echo $?)"
check "now two have it" 2 "$(at c blob find "$id" --json | wc -l)"
at c blob get "$id" -o "$tmp/from-both" >"$tmp/got"
check "fetched from two, verified" 1 "$(grep -c '2 peers .* every 16 KiB verified' "$tmp/got")"
check "the same bytes again" 0 "$(cmp "$tmp/file" "$tmp/from-both"; echo $?)"
check "it was here" 1 "$(at c blob get "$id" -o "$tmp/third" | grep -c 'it was here')"

# Killed in the middle, it goes on with what it has; and with no byte that rotted meanwhile.
QUOIN_CRASH_AT=blob-group:900 up d --join "$a,$b"
at d blob get "$id" -o "$tmp/killed" >/dev/null 2>&1
check "killed in the middle" 0 "$([ -e "$tmp/killed" ] && echo 1 || echo 0)"
part=$(find "$tmp/d/blobs" -name "$id.part")
check "what it had is there" 1 "$([ -n "$part" ] && echo 1)"
at_byte=$((16384 * 3 + 5)) # of a group that may be here
printf '\xff' | dd of="$part" bs=1 seek=$at_byte conv=notrunc 2>/dev/null
up d --join "$a,$b"
at d blob get "$id" -o "$tmp/killed" >"$tmp/got"
check "whole after all" 0 "$(cmp "$tmp/file" "$tmp/killed"; echo $?)"
check "two thirds were not fetched again" 1 $(($(at d blob stat --json | jq .in_bytes) < 8000000))
check "nothing is left beside it" 0 "$(find "$tmp/d/blobs" -name "$id.part" -o -name "$id.outer" | wc -l)"

none=$(printf nothing | b3sum --no-names)
at c blob get "$none" -o "$tmp/none" >/dev/null 2>"$tmp/said"
check "what nobody has" "3 1" "$? $(grep -c 'no peer has the blob' "$tmp/said")"
check "and no file" 0 "$(ls "$tmp/none"* 2>/dev/null | wc -l)"

# A source dies while it gives: the other goes on.
head -c 60000001 /dev/urandom >"$tmp/big"
id=$(at a blob add "$tmp/big" --json | jq -r .blob)
at b blob get "$id" -o "$tmp/big-b" >/dev/null
at c blob get "$id" -o "$tmp/big-c" >"$tmp/got" 2>/dev/null &
get=$!
for _ in $(seq 200); do [ "$(at c blob stat --json | jq .in_bytes)" -gt 42000000 ] && break; sleep 0.01; done
kill -9 "${pids[0]}"
wait $get
check "the fetch goes on without it" 0 $?
check "whole" 0 "$(cmp "$tmp/big" "$tmp/big-c"; echo $?)"
finish
