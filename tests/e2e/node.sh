#!/usr/bin/env bash
# A node from start to stop: money moves, numbers add up, every refusal has its exit code, kill -9 loses nothing.
set -u
q=${QUOIN:-build/quoin} home=$(mktemp -d) passed=0 failed=0 pid=0
trap 'kill -9 $pid 2>/dev/null; rm -rf "$home"' EXIT
check() { # WHAT EXPECTED GOT
    if [ "$2" = "$3" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $1: want $2, got $3"; fi
}
start() {
    "$q" up --home "$home" --api 127.0.0.1:0 --json "$@" >"$home/up.log" 2>"$home/up.err" &
    pid=$!
    for _ in $(seq 100); do
        grep -q '"event":"ready"' "$home/up.log" && return 0
        kill -0 $pid 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}
n() { "$q" --home "$home" "$@"; }

start
check "up prints ready" 0 $?
check "status" 21000000000000 "$(n status --json | jq .sum_uqn)"
n wallet new alice --json >/dev/null
check "send" 0 "$(n wallet send @alice 2.5QN --json | jq .rc)"
check "balance" 2500000 "$(n wallet balance alice --json | jq .balance_uqn)"
n wallet send @alice 5000QN >/dev/null 2>&1
check "no funds: exit 1" 1 $?
n wallet send @alice much >/dev/null 2>&1
check "bad amount: exit 2" 2 $?
n wallet snd x >/dev/null 2>&1
check "unknown verb: exit 2" 2 $?
n block get 99999 >/dev/null 2>&1
check "no such block: exit 3" 3 $?
"$q" --home "$home-none" status >/dev/null 2>&1
check "no node: exit 3" 3 $?
"$q" up --home "$home" --api 127.0.0.1:0 >/dev/null 2>"$home/second"
check "second node: exit 5" 5 $?
check "it names the pid" 1 "$(grep -c "pid $pid" "$home/second")"
api=$(jq -r .api "$home/up.log" | head -1)
"$q" up --home "$home-b" --api "${api#http://}" >/dev/null 2>&1
check "port in use: exit 5" 5 $?
rm -rf "$home-b"
cookie=$(cat "$home/cookie")
n tx get --json 2>/dev/null
check "a call without its word: exit 2" 2 $?
n account get --json 2>/dev/null
check "an account without its name: exit 2" 2 $?
check "no cookie: 401" 401 "$(curl -s -o /dev/null -w '%{http_code}' "$api/v1/node/status")"
check "wrong cookie: 401" 401 "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer ${cookie}0" "$api/v1/node/status")"
check "cookie: 200" 200 "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $cookie" "$api/v1/node/status")"
check "foreign Host: 403" 403 "$(curl -s -o /dev/null -w '%{http_code}' -H "Host: evil.example" -H "Authorization: Bearer $cookie" "$api/v1/node/status")"
check "a Host that begins like ours: 403" 403 "$(curl -s -o /dev/null -w '%{http_code}' -H "Host: localhost.evil.example" -H "Authorization: Bearer $cookie" "$api/v1/node/status")"
codes=$(curl -s -o /dev/null -w '%{http_code}\n' "$api/v1/node/status?n=[1-900]" | sort | uniq -c | awk '{print $2}' | tr '\n' ' ')
check "strangers run into a rate limit" "401 429 " "$codes"
check "the owner does not" 200 "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $cookie" "$api/v1/node/status")"
check "foreign Origin: 403" 403 "$(curl -s -o /dev/null -w '%{http_code}' -H "Origin: null" -H "Authorization: Bearer $cookie" "$api/v1/node/status")"
head -c 1100000 /dev/zero >"$home/big"
check "oversize body: 413" 413 "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $cookie" --data-binary @"$home/big" "$api/v1/tx/send")"
check "rpc" 2.0 "$(curl -s -H "Authorization: Bearer $cookie" -d '{"jsonrpc":"2.0","id":1,"method":"node.status"}' "$api/rpc" | jq -r .jsonrpc)"
check "rpc batch" 2 "$(curl -s -H "Authorization: Bearer $cookie" -d '[{"jsonrpc":"2.0","id":1,"method":"node.status"},{"id":2,"method":"zz"}]' "$api/rpc" | jq length)"
check "rpc batch: sends are judged each for itself" "1 RANGE 2 ok 3 SHORT 4 RANGE" "$(curl -s -H "Authorization: Bearer $cookie" -d '[{"id":1,"method":"tx.send","params":{"tx":"'"$(printf '09%.0s' {1..200})"'"}},{"id":2,"method":"node.status"},{"id":3,"method":"tx.send","params":{"tx":"00"}},{"id":4,"method":"tx.send","params":{"tx":"'"$(printf '09%.0s' {1..200})"'","timeout_ms":0}}]' "$api/rpc" | jq -r '[.[] | "\(.id) \(if .error then .error.data.code else "ok" end)"] | join(" ")')"
check "openapi" 3.1.0 "$(curl -s -H "Authorization: Bearer $cookie" "$api/openapi.json" | jq -r .openapi)"
(curl -sN --max-time 2 -H "Authorization: Bearer $cookie" "$api/v1/events" >"$home/events" || true) &
sleep 0.3
n wallet send @alice 1QN -q
wait %2 2>/dev/null
check "events" 1 "$(grep -c '^event: wallet.sent' "$home/events")"
acct=$(n wallet list --json | jq -r 'select(.name=="alice").account')
n ledger prove account "$acct" -o "$home/row.qp" -q
check "proof verifies" true "$("$q" ledger verify "$home/row.qp" --json | jq .present)"
printf 'X' | dd of="$home/row.qp" bs=1 seek=200 conv=notrunc 2>/dev/null
"$q" ledger verify "$home/row.qp" >/dev/null 2>&1
check "altered proof: exit 7" 7 $?
for i in 1 2 3 4 5; do # kill -9 under load, then all that was said to be final is there
    (for k in $(seq 60); do n wallet send @alice "$((i * 100 + k))uqn" --json 2>/dev/null | jq -r .tx >>"$home/acked"; done) 2>/dev/null &
    load=$!
    sleep 0.$((RANDOM % 4 + 1))
    kill -9 $pid
    wait $load
    start
    check "restart $i" 0 $?
done
lost=0
while read -r tx; do n tx get "$tx" -q 2>/dev/null || lost=$((lost + 1)); done < <(grep -E '^[0-9a-f]{64}$' "$home/acked")
check "acknowledged transactions lost" 0 $lost
check "supply" true "$(n ledger audit --json | jq .ok)"
kill -TERM $pid
wait $pid
check "clean stop on SIGTERM" 0 $?
ends=
for ms in 000 015 050 100 200; do # told to end while a fresh home starts, and told again while it ends
    "$q" up --home "$home-early-$ms" --api 127.0.0.1:0 -q 2>/dev/null &
    early=$!
    until [ -e "$home-early-$ms" ]; do kill -0 $early || break; sleep 0.002; done
    sleep 0.$ms
    kill -TERM $early
    sleep 0.01
    kill -INT $early 2>/dev/null
    wait $early || ends="$ends $ms:$?"
    rm -rf "$home-early-$ms"
done
check "clean stop on a signal that comes early, or twice" "" "$ends"
start
root=$(n status --json | jq -r .state_root) height=$(n status --json | jq .height)
n down -q
check "replay from genesis reaches the height" true "$("$q" --home "$home" ledger replay --json | jq ".height >= $height")"
mv "$home/wallet/validator.key" "$home/key"
start
check "a validator's key that is gone is told" "1 1" "$(grep -c 'validator.key is not the key with which this home.s journal began, whose public key is [0-9a-f]* *: this node follows' "$home/up.err") $(n status --json | jq -r .self | grep -c '^follows: wallet/validator.key is not the key of')"
n down -q
mv "$home/key" "$home/wallet/validator.key"
start
check "with it back all is as before" "validator 1 of 1" "$(n status --json | jq -r .self)"
n down -q
mkdir -p "$home/foreign" && echo hello >"$home/foreign/state.mdb"
"$q" up --home "$home/foreign" --api 127.0.0.1:0 >/dev/null 2>&1
check "foreign store: exit 78" 78 $?
check "nothing written over" hello "$(cat "$home/foreign/state.mdb")"
for shell in bash zsh fish; do "$q" completion $shell >/dev/null; check "completion $shell" 0 $?; done
"$q" version --json | jq -e .commit >/dev/null
check "version" 0 $?
grep -q __asan_init "$q" || check "static" 1 "$(file "$q" | grep -c 'static-pie linked')"
[ -n "$root" ]
echo "$passed passed, $failed failed"
[ $failed = 0 ]
