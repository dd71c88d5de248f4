#!/usr/bin/env bash
# Nodes that were told one address find each other; after a restart peers.dat is enough; a damaged one is one clear line, no more.
. "$(dirname "$0")/../nodes.sh"
until_peers() { # NAME CNT
    for _ in $(seq 200); do
        [ "$(peers "$1")" -ge "$2" ] 2>/dev/null && return 0
        sleep 0.1
    done
    return 1
}

up a --listen 127.0.0.1:0
check "the first" 0 $?
first=$(p2p a)
for k in b c d; do up $k --listen 127.0.0.1:0 --join "$first"; check "$k joins" 0 $?; done
for k in a b c d; do until_peers $k 3; check "$k finds the three others" 0 $?; done
check "the book says so" true "$(at c net doctor --json | jq -s 'flatten | map(select(.check == "addresses"))[0].state == "ok"')"

kill -TERM "${pids[3]}" && wait "${pids[3]}"
check "d left its book" 1 "$(find "$tmp/d/peers.dat" -size +100c | wc -l)"
up d --listen 127.0.0.1:0
check "d comes back without a word of whom to join" 0 $?
until_peers d 2
check "and finds them again" 0 $?
kill -TERM "${pids[4]}" && wait "${pids[4]}"
head -c 300 /dev/urandom >"$tmp/d/peers.dat"
up d --listen 127.0.0.1:0 --join "$first"
check "a damaged book does not stop it" 0 $?
check "one line tells" 1 "$(grep -c 'peers.dat.*fresh address book' "$tmp/d.err")"
until_peers d 2
check "and it finds them anew" 0 $?
finish
