#!/usr/bin/env bash
# Snapshots and backups are made aside: while one stands still in the middle, the node makes final blocks, takes transactions, and answers; one
# that dies is told of in one line, and one whose node dies goes with it and holds no lock.
. "$(dirname "$0")/../lib.sh"
child() { # waits for the node's child and says its number once it stands still
    local c
    for _ in $(seq 200); do
        c=$(cut -d" " -f1 "/proc/$pid/task/$pid/children" 2>/dev/null)
        [ -n "$c" ] && grep -q '^State:.T' "/proc/$c/status" 2>/dev/null && { echo "$c"; return; }
        sleep 0.05
    done
}
grows() { # true once the chain is three blocks further
    local h
    h=$(n status --json | jq .height)
    for _ in $(seq 200); do [ "$(n status --json | jq .height)" -ge $((h + 3)) ] && { echo true; return; }; sleep 0.05; done
}
for what in snapshot backup; do
    [ $what = snapshot ] && point=snapshot-chunk || point=backup-rows
    export QUOIN_STOP_AT=$point
    start --block-ms 50
    check "$what: up" 0 $?
    n wallet new alice -q 2>/dev/null
    n $what create "$tmp/$what" --json >"$tmp/said" 2>"$tmp/err" &
    job=$!
    c=$(child)
    check "$what: under way, standing still" true "$([ -n "$c" ] && echo true)"
    check "$what: blocks go on" true "$(grows)"
    check "$what: money moves" 0 "$(n wallet send @alice 1QN --json | jq .rc)"
    check "$what: a second one waits" 6 "$(n $what create "$tmp/other" --timeout 1s >/dev/null 2>&1; echo $?)"
    kill -CONT "$c"
    wait $job
    check "$what: made" 0 $?
    at=$(jq .height "$tmp/said")
    check "$what: of the moment it was asked for" true "$([ "$at" -lt "$(n status --json | jq .height)" ] && echo true)"
    [ $what = snapshot ] && file=$tmp/snapshot/snapshot.qs || file=$tmp/backup
    check "$what: whole" "$at" "$("$q" $what verify "$file" --json | jq .height)"
    rm -rf "$tmp/third"
    n $what create "$tmp/third" >/dev/null 2>"$tmp/err" &
    job=$!
    kill -9 "$(child)"
    wait $job
    check "$what: dead, and told" 1 "$(grep -c 'died' "$tmp/err")"
    check "$what: the node is not" true "$(grows)"
    n $what create "$tmp/fourth" >/dev/null 2>&1 &
    job=$!
    c=$(child)
    kill -9 "$pid"
    wait "$pid" 2>/dev/null
    for _ in $(seq 100); do kill -0 "$c" 2>/dev/null || break; sleep 0.02; done
    check "$what: it goes with its node" 1 "$(kill -0 "$c" 2>/dev/null; echo $?)"
    wait $job
    start
    check "$what: and holds nothing" 0 $?
    stop
done
unset QUOIN_STOP_AT
finish
