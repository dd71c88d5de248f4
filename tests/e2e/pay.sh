#!/usr/bin/env bash
# HTTP 402 by curl: asked for money, paid by voucher, answered; and what the command line makes of it.
set -u
q=${QUOIN:-build/quoin} home=$(mktemp -d) passed=0 failed=0 pid=0
trap 'kill -9 $pid 2>/dev/null; rm -rf "$home"' EXIT
check() { # WHAT EXPECTED GOT
    if [ "$2" = "$3" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $1: want $2, got $3"; fi
}
n() { "$q" --home "$home" "$@"; }
start() {
    : >"$home/up.log" # what an earlier node said is no answer
    "$q" up --home "$home" --api 127.0.0.1:0 --json >"$home/up.log" 2>"$home/up.err" &
    pid=$!
    for _ in $(seq 400); do
        grep -q '"event":"ready"' "$home/up.log" && break
        sleep 0.05
    done
    api=$(jq -r .api "$home/up.log" | head -1)
}
ask() { # PATH BODY [HEADER]: status in $status, head and answer in files
    if [ $# -gt 2 ]; then
        status=$(curl -s -D "$home/head" -o "$home/answer" -w '%{http_code}' -H "PAYMENT-SIGNATURE: $3" -d "$2" "$api$1")
    else
        status=$(curl -s -D "$home/head" -o "$home/answer" -w '%{http_code}' -d "$2" "$api$1")
    fi
}
header() { sed -n "s/^$1: *\([^\r]*\).*/\1/pI" "$home/head" | base64 -d; }

start
for name in payer service; do
    n wallet new $name -q
    n wallet send @$name 5QN --as faucet -q
done
url=$(n agent serve echo --key service --price 500uqn --doc "repeats" --json | jq -r .url)
check "served at" "$api/svc/echo" "$url"
payee=$(n wallet list --json | jq -r 'select(.name=="service").account')
ask /svc/echo '{"n":1}'
check "unpaid: 402" 402 "$status"
check "scheme" batch-settlement "$(header PAYMENT-REQUIRED | jq -r '.accepts[0].scheme')"
check "amount, a string" '"500"' "$(header PAYMENT-REQUIRED | jq -c '.accepts[0].amount')"
check "version" 2 "$(header PAYMENT-REQUIRED | jq .x402Version)"
check "the list of services needs no cookie" echo "$(curl -s "$api/svc/" | jq -r '.[0].name')"
check "the calls do" 401 "$(curl -s -o /dev/null -w '%{http_code}' -X POST "$api/v1/agent/services")"
cat >"$home/open.lua" <<'LUA'
local key = qn.wallet.new{ name = "signer" }
return qn.channel.open{ as = "payer", payee = arg[1], signer = key.pub, deposit = "2000uqn", step_max = "500uqn", calls_max = 100,
    burst = "2000uqn", delay_ms = 60000 }.events[1].id
LUA
channel=$(n lua "$home/open.lua" "$payee" | tr -d '"')
check "channel" 64 ${#channel}
sign() { n agent sign /svc/echo "$1" --channel "$channel" --seq "$2" --cum "$3uqn" --price 500uqn --as signer --json | jq -r .header; }
first=$(sign '{"n":1}' 1 500)
ask /svc/echo '{"n":1}' "$first"
check "paid: 200" 200 "$status"
check "answer" '{"echo":{"n":1}}' "$(cat "$home/answer")"
check "response" true "$(header PAYMENT-RESPONSE | jq .success)"
check "names the channel" "$channel" "$(header PAYMENT-RESPONSE | jq -r .transaction)"
ask /svc/echo '{"n":1}' "$first"
check "the same again: 200" 200 "$status"
ask /svc/echo '{"n":2}' "$first"
check "another body: 409" 409 "$status"
ask '/svc/echo?a=b' '{"n":1}' "$first"
check "another path: 409" 409 "$status"
ask /svc/echo '{"n":1}' "$(sign '{"n":1}' 1 500)"
check "the same number again: 409" 409 "$status"
ask /svc/echo '{"n":1}' "$(sign '{"n":1}' 2 999)"
check "too little: 402" 402 "$status"
check "says what is due" '"2" "1000"' "$(header PAYMENT-REQUIRED | jq -r '.accepts[0].extra | "\"\(.seq)\" \"\(.cum)\""')"
status=$(curl -s -o /dev/null -w '%{http_code}' -H "PAYMENT-SIGNATURE: $first" -H "PAYMENT-SIGNATURE: $first" -d '{"n":1}' "$api/svc/echo")
check "two payments at once: 400" 400 "$status"
check "foreign Origin: 403" 403 "$(curl -s -o /dev/null -w '%{http_code}' -H "Origin: http://evil.example" -d '{}' "$api/svc/echo")"
kill -9 $pid; wait $pid 2>/dev/null
start
ask /svc/echo '{"n":1}' "$first"
check "not served yet after a restart: 404" 404 "$status"
n agent serve echo --key service --price 500uqn -q
ask /svc/echo '{"n":1}' "$first"
check "the same after kill -9: 200" 200 "$status"
check "its answer" '{"echo":{"n":1}}' "$(cat "$home/answer")"
# The command line keeps its own books; vouchers made by hand are not in them, so it takes a channel of its own.
sed -i 's/name = "signer"/name = "scout"/' "$home/open.lua"
channel=$(n lua "$home/open.lua" "$payee" | tr -d '"')
check "agent call" '{"n":5}' "$(n agent call echo '{"n":5}' --channel "$channel" --as scout --json | jq -c .answer.echo)"
check "by URL" 2 "$(n agent call "$api/svc/echo" '{"n":6}' --channel "$channel" --as scout --json | jq -c .seq)"
n agent call echo '{}' --channel "$channel" --as payer >/dev/null 2>&1
check "another key: exit 4" 4 $?
n agent call echo '{}' --channel "$channel" --as scout --max 499uqn >/dev/null 2>&1
check "dearer than meant: exit 1" 1 $?
n agent call echo 'x' --channel "$channel" --as scout >/dev/null 2>&1
check "no JSON: exit 2" 2 $?
n agent call nobody '{}' --channel "$channel" --as scout >/dev/null 2>&1
check "no such service: exit 3" 3 $?
for i in 3 4; do n agent call echo "{\"n\":$i}" --channel "$channel" --as scout -q; done
n agent call echo '{}' --channel "$channel" --as scout >"$home/out" 2>&1
check "over the deposit: exit 1" 1 $?
check "not signed" 1 "$(grep -c 'above the deposit' "$home/out")"
n agent call echo '{}' --channel "$channel" --as scout --blind >"$home/out" 2>&1
check "refused by the service" 1 "$(grep -c 'the service refuses (402)' "$home/out")"
check "where the money is" "4 2000 0" "$(n agent purse --json | jq -r 'select(.channel=="'"$channel"'") | "\(.calls) \(.promised_uqn) \(.refundable_uqn)"')"
n agent put echoes "$api/svc/echo" "$(printf '00%.0s' $(seq 32))" 500uqn --as service -q
check "found in the directory" "echoes 500" "$(n agent find ECHO --json | jq -r '"\(.name) \(.price)"')"
check "nothing dearer than asked" "" "$(n agent find echo --max 499uqn --json)"
check "shown" "$api/svc/echo" "$(n agent show @service --json | jq -r .url)"
# 80 % of the deposit was passed, so the payee has claimed by itself or will; the rest by hand, and the end.
tx=$(n agent settle "$channel" --close --json 2>/dev/null | jq -r .tx)
[ -n "$tx" ] && n tx wait "$tx" -q
for _ in $(seq 50); do
    [ "$(n channel get "$channel" --json | jq -r .claimed)" = 2000 ] && break
    sleep 0.1
done
check "all of it claimed" 2000 "$(n channel get "$channel" --json | jq -r .claimed)"
check "supply" true "$(n ledger audit --json | jq .ok)"
n down -q; wait $pid
echo "$passed passed, $failed failed"
[ $failed = 0 ]
