#!/usr/bin/env bash
# A proof from network file to verdict by the command line; a commitment's budget holds across kill -9.
set -u
q=${QUOIN:-build/quoin} home=$(mktemp -d) passed=0 failed=0 pid=0
trap 'kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null; rm -rf "$home"' EXIT
check() { # WHAT EXPECTED GOT
    if [ "$2" = "$3" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $1: want $2, got $3"; fi
}
start() {
    "$q" up --home "$home" --api 127.0.0.1:0 --json >"$home/up.log" 2>"$home/up.err" &
    pid=$!
    for _ in $(seq 200); do
        grep -q '"event":"ready"' "$home/up.log" && return 0
        sleep 0.05
    done
    return 1
}
n() { "$q" --home "$home" "$@"; }

start
check "up" 0 $?
prover=$(n wallet new prover --json | jq -r .account)
n wallet send @prover 5QN >/dev/null
net=$(n proof setup --file "$PWD/tests/corpus/fuzz_secret/mlp_3_4_2.qni8" --budget 2 --json)
m=$(jq -r .model <<<"$net")
check "setup names the model" 64 "${#m}"
check "the secret is its owner's alone" 600 "$(stat -c %a "$home/zkml/$m.qzw")"
n model put --model "$m" --shape "$(jq -r .shape <<<"$net")" --budget 2 --root "$(jq -r .root <<<"$net")" --name tiny \
    --licence MIT --as prover >/dev/null
check "model put" 0 $?
check "inspect" true "$(n proof inspect "$m" --json | jq '.bits >= 100')"
p=$(n proof create "$m" --input 010203 --prover "$prover" --json)
f=$(jq -r .file <<<"$p")
cp "$f" "$home/x.qproof"
check "verify" 0 "$("$q" proof verify "$home/x.qproof" >"$home/said"; echo $?)"
check "it says what it is" 1 "$(grep -c "^VALID net $m gave class $(jq .class <<<"$p") on input $(jq -r .input <<<"$p"); weights hidden; 10[0-9].[0-9] bits (ud)" "$home/said")"
check "verify for the model meant" 0 "$("$q" proof verify "$home/x.qproof" "$m" >/dev/null; echo $?)"
check "and for no other" 1 "$("$q" proof verify "$home/x.qproof" "${m%?}$([ "${m: -1}" = 0 ] && echo 1 || echo 0)" 2>/dev/null; echo $?)"
check "verify --json" true "$("$q" proof verify "$home/x.qproof" --json | jq .valid)"
cp "$home/x.qproof" "$home/y.qproof"
printf '\x55' | dd of="$home/y.qproof" bs=1 seek=20000 conv=notrunc status=none
cmp -s "$home/x.qproof" "$home/y.qproof" && printf '\xaa' | dd of="$home/y.qproof" bs=1 seek=20000 conv=notrunc status=none
"$q" proof verify "$home/y.qproof" >/dev/null 2>"$home/said"
check "a changed byte: exit 1" 1 $?
check "one line" 1 "$(wc -l <"$home/said")"
"$q" proof verify "$home/none" >/dev/null 2>&1
check "no file: exit 3" 3 $?
n proof send "$home/x.qproof" --as owner >/dev/null 2>&1
check "another's proof: exit 4" 4 $?
id=$(n proof send "$home/x.qproof" --as prover --json | jq -r .proof)
check "verdict" "$(jq .class <<<"$p")" "$(n proof get "$id" --json | jq .class_idx)"
check "listed" 1 "$(n proof list --json | grep -c "$id")"
n proof send "$home/x.qproof" --as prover >/dev/null 2>&1
check "again: exit 1" 1 $?
# the second proof is killed with its node while it may be on its way; it counts all the same
n proof create "$m" --input 010204 --prover "$prover" >/dev/null 2>&1 &
for _ in $(seq 200); do
    [ "$(cat "$home/zkml/$m.spent")" = 2 ] && break
    sleep 0.01
done
kill -9 $pid
wait 2>/dev/null
start
n proof create "$m" --input 010205 --prover "$prover" >/dev/null 2>"$home/said"
check "the budget is used up: exit 1" 1 $?
check "and says so" 1 "$(grep -c "all 2 proofs of this commitment are used" "$home/said")"
check "bits" 0 "$("$q" proof bits 784,128,10 >/dev/null; echo $?)"
check "bits of a proof" true "$("$q" proof bits "$home/x.qproof" --json | jq '.bits >= 100')"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
