#!/usr/bin/env bash
# A fifth node joins a network of four by a snapshot: chunks from its peers, each proven alone, then blocks. Killed at any point of it, it goes on
# where it was; a trusted block stands for the genesis; it ends with the same root and follows.
. "$(dirname "$0")/../lib.sh"
devnet=0
trap '[ $devnet = 0 ] || { kill -TERM $devnet && wait $devnet; } 2>/dev/null; cleanup' EXIT
"$q" devnet 4 --home "$tmp/net" --json >"$tmp/log" 2>"$tmp/err" &
devnet=$!
for _ in $(seq 400); do grep -q '"event":"ready"' "$tmp/log" && break; sleep 0.05; done
at() { "$q" --home "$tmp/net/node-$1" "${@:2}"; }
at 0 wallet new alice -q
for i in 1 2 3; do at 0 --as faucet wallet send @alice "${i}QN" -q; done
joins=$(jq -r 'select(.event == "node") | .p2p' "$tmp/log" | paste -sd,)
chain=$(at 0 status --json | jq -r .chain)
for i in 0 1 2 3; do at $i snapshot create --json | jq -c '[.height, .chunks]' >>"$tmp/made"; done
check "each node holds one" 4 "$(wc -l <"$tmp/made")"
settled() { # the node has left its first life
    for _ in $(seq 400); do grep -q '"event":"joined"' "$tmp/up.log" && return 0; kill -0 $pid 2>/dev/null || return 1; sleep 0.05; done
    return 1
}
same() { # height by height it is the network's
    local h
    h=$(at 0 status --json | jq .height)
    for _ in $(seq 200); do [ "$(n status --json 2>/dev/null | jq .height)" -ge $((h + 3)) ] && break; sleep 0.05; done
    for w in $((h + 1)) $((h + 2)) $((h + 3)); do
        [ "$(n block get $w --json | jq -r .hash)" = "$(at 0 block get $w --json | jq -r .hash)" ] || { echo "block $w differs"; return; }
    done
    echo same
}

start --join "$joins" --listen 127.0.0.1:0 --sync snapshot
check "up" 0 $?
settled
check "joined" 0 $?
check "at a snapshot's block" 1 "$(jq -r 'select(.event == "joined") | .height' "$tmp/up.log" | xargs -I{} grep -c '^\[{},' "$tmp/made" | head -1 | sed 's/[1-9].*/1/')"
check "told in the log" 1 "$(grep -c 'sync: taking the snapshot of block' "$tmp/up.err")"
check "and how it went on" 1 "$(grep -c 'sync: restoring' "$tmp/up.err")"
check "follows" same "$(same)"
check "same chain" "$chain" "$(n status --json | jq -r .chain)"
check "up to date" "up to date" "$(n status --json | jq -r .sync)"
check "the money is there" 6000000 "$(n account get "$(at 0 wallet list --json | jq -r 'select(.name == "alice") | .address')" --json | jq .balance_uqn)"
check "no coin more or less" true "$(n ledger audit --json | jq .ok)"
check "nothing left of the joining" 0 "$(ls -d "$home/joining" "$home/restoring" 2>/dev/null | wc -l)"
# Its own validator may stand: its key signed nowhere.
check "it may sign" 0 "$(grep -c 'does not sign' "$tmp/up.err")"
# What it fetched others may have of it: a sixth joins from it alone.
fifth=$(jq -r 'select(.event == "ready") | .p2p' "$tmp/up.log")
one=$pid one_home=$home
home=$tmp/sixth pid=0
start --join "$fifth" --sync snapshot --outbound 0
settled
check "a sixth joins from the fifth alone" 0 $?
check "and follows it" same "$(same)"
stop
kill -TERM "$one"
wait "$one"
home=$one_home pid=0
start --join "$joins" --listen 127.0.0.1:0 --sync snapshot
check "a second start is an ordinary one" 0 "$(grep -c 'sync: taking' "$tmp/up.err")"
check "and follows" same "$(same)"
stop

# Killed in each of its steps.
for point in join-part join-restore checkpoint-before join-kept; do
    home=$tmp/killed-$point
    QUOIN_CRASH_AT=$point start --join "$joins" --sync snapshot >/dev/null 2>&1
    for _ in $(seq 200); do kill -0 $pid 2>/dev/null || break; sleep 0.05; done
    check "$point: killed, or ended by its dead child" 1 "$(kill -0 $pid 2>/dev/null; echo $?)"
    { kill -9 $pid; wait $pid; } 2>/dev/null
    pid=0
    [ $point = join-kept ] && had=1 || had=0
    check "$point: a chain only when it is whole" $had "$(find "$home/journal" -name 'seg-*' 2>/dev/null | wc -l)"
    start --join "$joins" --sync snapshot
    [ $point = join-kept ] || settled
    check "$point: goes on where it was" 0 "$(grep -c 'of them here' "$tmp/up.err" | sed "s/1/$(grep -c ', 0 of them here' "$tmp/up.err")/")"
    check "$point: and follows" same "$(same)"
    check "$point: no coin more or less" true "$(n ledger audit --json | jq .ok)"
    stop
done

# Trust that does not begin at the genesis.
trusted=$(at 1 block get 5 --json | jq -r .hash)
home=$tmp/trusts
start --join "$joins" --sync snapshot --trust "$trusted@5"
settled
check "by a block that is trusted" 0 $?
check "and it follows" same "$(same)"
stop
home=$tmp/foreign
start --join "$joins" --sync snapshot --trust "${trusted%??}00@5"
for _ in $(seq 200); do grep -q 'another block 5 than the trusted one' "$tmp/up.err" && break; sleep 0.05; done
check "of another chain there is none" 1 "$(grep -c 'have another block 5 than the trusted one .*; this node waits' "$tmp/up.err")"
check "who says so goes on looking" 0 "$(n status --json | jq .height)"
check "and says it" 1 "$(n status --json | jq -r .sync | grep -c 'looking for a snapshot: .* have another block 5 than the trusted one')"
check "and net doctor does" "0 1" "$(n net doctor >"$tmp/doctor"; grep -c "catching up" "$tmp/doctor") $(grep -c "another block 5 than the trusted" "$tmp/doctor")"
stop
home=$tmp/blocks
start --join "$joins" --sync blocks --trust "${trusted%??}00@5"
for _ in $(seq 200); do kill -0 $pid 2>/dev/null || break; sleep 0.05; done
check "nor by blocks" 1 "$(grep -c 'block 5 of this chain is not the one that is trusted' "$tmp/up.err")"
wait $pid 2>/dev/null
pid=0
home=$tmp/other
start --join "$joins" --trust "${chain%??}00@0" >/dev/null 2>&1
check "nor on another genesis" 1 "$(grep -c 'block 0 of this chain is not the one that is trusted' "$tmp/up.err")"
pid=0
finish
