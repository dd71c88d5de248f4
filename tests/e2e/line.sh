#!/usr/bin/env bash
# A line of five: each knows only the one before it, and only the first validates. What is sent at the far end is final there: transactions
# travel up the line and blocks down it through nodes that pass on what they hold valid.
. "$(dirname "$0")/../lib.sh"
pids=()
trap '{ kill -9 "${pids[@]}" && wait "${pids[@]}"; } 2>/dev/null; cleanup' EXIT
start --listen 127.0.0.1:0 --outbound 0
check "the first is up" 0 $?
addr=$(jq -r 'select(.event == "ready") | .p2p' "$tmp/up.log" | tail -1)
at() { "$q" --home "$tmp/line-$1" "${@:2}"; }
for i in 1 2 3 4; do
    "$q" up --home "$tmp/line-$i" --api 127.0.0.1:0 --listen 127.0.0.1:0 --outbound 0 --join "$addr" --json >"$tmp/line-$i.log" 2>"$tmp/line-$i.err" &
    pids+=($!)
    for _ in $(seq 400); do grep -q '"event":"ready"' "$tmp/line-$i.log" && break; sleep 0.05; done
    addr=$(jq -r 'select(.event == "ready") | .p2p' "$tmp/line-$i.log" | tail -1)
done
check "each sees its neighbours" "2 2 2 1" "$(for i in 1 2 3 4; do at $i status --json | jq -r .peers; done | xargs)"
n wallet new far --json >/dev/null
n wallet send @far 100QN --json >/dev/null
mkdir -p "$tmp/line-4/wallet"
cp "$home/wallet/far.key" "$tmp/line-4/wallet/"
for _ in $(seq 100); do [ "$(at 4 wallet balance far --json 2>/dev/null | jq .balance_uqn)" = 100000000 ] && break; sleep 0.1; done
check "money of the first is seen by the last" 100000000 "$(at 4 wallet balance far --json | jq .balance_uqn)"
owner=$(n wallet list --json | jq -r 'select(.name=="owner").account')
begin=$(date +%s%N)
for _ in 1 2 3 4 5; do at 4 --as far wallet send "$owner" 1QN --json >"$tmp/sent" 2>&1 || cat "$tmp/sent"; done
check "five transfers of the last are final there, within 10 s" 1 $((($(date +%s%N) - begin) / 1000000 < 10000))
check "and at the first" 1 $(($(n wallet balance far --json | jq .balance_uqn) <= 95000000))
check "who is there, in which meshes" "in tx,vote,block,compact" "$(n net peers --json | jq -r '.dir + " " + .topics')"
check "nobody is thought ill of" 0 "$(for i in 1 2 3 4; do at $i net peers --json; done | jq -s 'map(select(.score_milli < 0)) | length')"
check "topics" "block compact tx vote" "$(at 2 net topics --json | jq -r 'select(.mesh == 2).topic' | sort | xargs)"
check "a well connected node" "ok" "$(at 2 net doctor --json | jq -r .state | sort -u)"
last=$(jq -r 'select(.event == "ready") | .p2p' "$tmp/line-4.log" | tail -1)
id=$(n net dial "$last" --json | jq -r .peer)
check "dialled by hand" "out" "$(n net peer "$id" --json | jq -r .dir)"
check "it speaks" true "$(n net peer "$id" --json | jq '.protocols | index("/meshsub/1.2.0") != null')"
n net dial 127.0.0.1:1 >/dev/null 2>&1
check "nobody there: in one line" 5 $?
n net ban "$id" 60 -q
for _ in $(seq 50); do [ "$(n net peers --json | wc -l)" = 1 ] && break; sleep 0.1; done
check "banned is gone" 1 "$(n net peers --json | wc -l)"
n net dial "$last" >/dev/null 2>&1
check "and not let back" 4 $?
at 4 --as far validator create 50QN --key validator -q
check "a validator that waits for its epoch says until when" 1 "$(at 4 status --json | jq -r .self | grep -cE '^waits: who is elected in about [0-9]+ s, |^validator of the next epoch')"
finish
