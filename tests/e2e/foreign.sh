#!/usr/bin/env bash
# Two chains that know each other's addresses: who meets the other says one clear line, turns it away, and keeps its places for its own.
. "$(dirname "$0")/../nodes.sh"
chain() { at "$1" status --json | jq -r '.chain[0:8]'; }

up a --listen 127.0.0.1:0 && up b --listen 127.0.0.1:0
check "two networks of one" 0 $?
a=$(p2p a) b=$(p2p b) ca=$(chain a) cb=$(chain b)
up c --listen 127.0.0.1:0 --join "$a"
check "a second node of the first" "0 1 $ca" "$? $(until_is 1 peers c) $(chain c)"
up d --listen 127.0.0.1:0 --join "$a"
check "and a third" "0 2 $ca" "$? $(until_is 2 peers d) $(chain d)"
kill -TERM "${pids[3]}" && wait "${pids[3]}"

# b's owner is told a's address; c hears of b.
at b net dial "$a" >/dev/null 2>&1
at c net dial "$b" >/dev/null 2>&1
said() { grep -c "is of chain $2, not $3: turned away" "$tmp/$1.err"; }
check "a says whom it met" 1 "$(until_is 1 said a "$cb" "$ca")"
check "and so does c" 1 "$(until_is 1 said c "$cb" "$ca")"
check "and b, in one line" 1 "$(until_is 1 said b "$ca" "$cb")"
check "b has no peers" 0 "$(until_is 0 peers b)"
check "a and c have each other" "1 1" "$(until_is 1 peers a) $(until_is 1 peers c)"
check "it is on the list, with the reason" "of another chain, $cb" "$(at a net bans --json | jq -r .reason)"
check "the doctor counts" true "$(at b net doctor --json | jq -s 'map(select(.check == "other chains")) | length == 1')"
check "no address of b is kept by c" 0 "$(at c net doctor --json | jq -r 'select(.check == "addresses") | .detail' | grep -c '^[3-9]')"

# A home of one chain that is told to join another: it stays with its own, and is not alone in saying why.
up d --listen 127.0.0.1:0 --join "$b"
check "d begins all the same" 0 $?
check "it says why b is none of its own" 1 "$(until_is 1 said d "$cb" "$ca")"
check "and what to do about it" 1 "$(grep -c "join: $b is of chain $cb, this home of $ca; .* a fresh --home" "$tmp/d.err")"
check "and finds the others out of its book" 2 "$(until_is 2 peers d)"
check "its chain did not change" "$ca" "$(chain d)"

# Whose chain a new home becomes is for the peer that `join` names to say, not for whoever dials it first.
kill -STOP "${pids[0]}"
port=$(free_port 1)
up e --listen 127.0.0.1:$port --join "$a" & waiting=$!
dialled() { at b net dial "/ip4/127.0.0.1/tcp/$port" --json 2>/dev/null | jq -r '.peer // empty' | grep -c .; }
check "b comes to e first" 1 "$(until_is 1 dialled)"
sleep 0.5
kill -CONT "${pids[0]}"
wait $waiting
check "e is of the chain that it was to join" "$ca" "$(until_is "$ca" chain e)"
at e down >/dev/null

# Two that begin with nothing and name each other.
port=$(free_port 2)
for i in 0 1; do
    "$q" up --home "$tmp/new$i" --api 127.0.0.1:0 --listen 127.0.0.1:$((port + i)) --join 127.0.0.1:$((port + 1 - i)) >/dev/null 2>"$tmp/new$i.err" &
    pids+=($!)
done
none() { grep -c 'has no chain yet; .* without --join' "$tmp/$1.err"; }
check "both say what is missing" "1 1" "$(until_is 1 none new0) $(until_is 1 none new1)"
finish
