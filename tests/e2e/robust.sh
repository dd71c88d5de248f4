#!/usr/bin/env bash
# What must not break a node: death at every named point, a full disk, damaged and foreign files, unwritable homes, bad clients. One clear
# line each, the exit code of its class, nothing written over.
. tests/lib.sh
long=${QUOIN_TEST_LONG:-0}
refused() { # WHAT EXIT CODE UP-ARG..: `up` ends so, with one line that names the code
    "$q" up --api 127.0.0.1:0 "${@:4}" >"$tmp/out" 2>"$tmp/err"
    check "$1: exit $2" "$2" $?
    check "$1: one clear line" 1 "$(grep -c "^error: .*\[$3\]$" "$tmp/err")"
}
load() { # sends until it fails; acknowledged ids into $tmp/acked
    local tx
    while tx=$(n wallet send @shop 1uqn --json 2>/dev/null | jq -r .tx) && [ -n "$tx" ]; do echo "$tx" >>"$tmp/acked"; done
}
nothing_lost() { # WHAT
    local tx
    lost=0
    while read -r tx; do n tx get "$tx" -q 2>"$tmp/lost" || { lost=$((lost + 1)); cat "$tmp/lost"; }; done <"$tmp/acked"
    check "$1: no acknowledged transaction is lost" 0 $lost
    check "$1: supply is exact" true "$(n ledger audit --json | jq .ok)"
}

# Death at each named point of the commit, under load
start && n wallet new shop -q && stop
: >"$tmp/acked"
points="journal-before journal-after block-before block-after checkpoint-before checkpoint-after journal-after:9 block-before:5"
for point in $points; do
    QUOIN_CRASH_AT=$point start
    load
    { wait "$pid"; } 2>/dev/null
    check "$point: it died" 137 $?
    pid=0
done
kills=$([ "$long" = 1 ] && echo 40 || echo 4)
for i in $(seq "$kills"); do # and at random
    start
    load &
    loader=$!
    sleep "0.$((RANDOM % 9))$((RANDOM % 10))"
    { kill -9 "$pid" && wait "$pid"; } 2>/dev/null
    pid=0
    wait $loader
done
start
check "starts after all that" 0 $?
check "transactions were acknowledged meanwhile ($(wc -l <"$tmp/acked"))" 1 $(($(wc -l <"$tmp/acked") > 20))
nothing_lost "crashes"
echo "kills: $((kills + $(wc -w <<<"$points"))), lost: $lost, signed twice: $(n evidence list --json | jq -s length)"
root=$(n down --json | jq -r .state_root)
wait "$pid"
pid=0
check "the replayed root is the same" "$root" "$("$q" --home "$home" ledger replay --json | jq -r .state_root)"

# Damage in the middle of the journal, a foreign checkpoint, a foreign journal
cp -a "$home" "$tmp/damaged"
printf 'X' | dd of="$tmp/damaged/journal/seg-0000000000.qj" bs=1 seek=5000 conv=notrunc status=none
sum=$(sha256sum <"$tmp/damaged/journal/seg-0000000000.qj")
refused "a damaged journal" 78 CORRUPT --home "$tmp/damaged"
check "it names file and byte" 1 "$(grep -c 'seg-0000000000.qj: damaged at byte' "$tmp/err")"
check "and leaves it as it was" "$sum" "$(sha256sum <"$tmp/damaged/journal/seg-0000000000.qj")"
mkdir -p "$tmp/foreign" && echo "somebody's" >"$tmp/foreign/state.mdb"
refused "another program's file" 78 FOREIGN --home "$tmp/foreign"
check "it says what to do if it was ours" 1 "$(grep -c 'quoin ledger repair' "$tmp/err")"
cp -a "$home" "$tmp/named" && seq 100 >"$tmp/named/journal/id"
refused "a journal's name that is too long" 78 CORRUPT --home "$tmp/named"
check "it is left as it was" "somebody's" "$(cat "$tmp/foreign/state.mdb")"
cp -a "$home" "$tmp/mixed"
"$q" up --home "$tmp/other" --api 127.0.0.1:0 --json >"$tmp/o.log" 2>&1 &
other=$!
for _ in $(seq 200); do grep -q ready "$tmp/o.log" && break; sleep 0.05; done
sleep 0.7
kill $other && wait $other
cp "$tmp/other/state.mdb" "$tmp/mixed/state.mdb"
refused "another chain's checkpoint" 78 FOREIGN --home "$tmp/mixed"
echo "not hex" >"$tmp/mixed/wallet/owner.key"
refused "a key file that is none" 78 CORRUPT --home "$tmp/mixed"
check "it is left as it was" "not hex" "$(cat "$tmp/mixed/wallet/owner.key")"

# Homes that cannot be, ports that are taken
echo file >"$tmp/file"
refused "a file as home" 5 IO --home "$tmp/file"
refused "a home where none can be made" 5 IO --home /proc/quoin
start
refused "a second node" 5 BUSY --home "$home"
"$q" up --home "$tmp/p" --api "$(cat "$home/api")" >/dev/null 2>"$tmp/err"
check "a port in use: exit 5" 5 $?
check "a port in use: one clear line" 1 "$(grep -c '^error: .*\[PORT\]$' "$tmp/err")"
check "the first serves on" 0 "$(n status -q; echo $?)"

# Bad clients
before=$(awk '/VmRSS/ {print $2}' "/proc/$pid/status")
mkfifo "$tmp/hold"
api=$(cat "$home/api")
node tests/e2e/abuse.mjs "${api%:*}" "${api#*:}" "$(cat "$home/cookie")" <"$tmp/hold" >"$tmp/abuse" &
bad=$!
exec 8>"$tmp/hold"
for _ in $(seq 300); do [ -s "$tmp/abuse" ] && break; sleep 0.2; done
check "a thousand connections are open" true "$(jq '.open >= 1100 and .refused == 0' "$tmp/abuse")"
check "others are served: $(cat "$tmp/abuse")" true "$(jq '.answered == .asked' "$tmp/abuse")"
check "the socket is served" 0 "$(n status -q --timeout 5s; echo $?)"
after=$(awk '/VmRSS/ {print $2}' "/proc/$pid/status")
grep -q __asan_init "$q" || # whose heap keeps what was freed
    check "memory stays bounded: $((before / 1024)) to $((after / 1024)) MiB" 1 $((after - before < 300000))
exec 8>&-
wait $bad
check "money still moves" 0 "$(n wallet send @shop 1uqn --json | jq .rc)"
stop
check "it stops cleanly" 0 $?

# More clients than descriptors: strangers wait, the owner does not, and nothing is written in a circle.
(ulimit -n 256; exec "$q" up --home "$tmp/few" --api 127.0.0.1:0 --json >"$tmp/few.log" 2>"$tmp/few.err") &
few=$!
for _ in $(seq 200); do grep -q '"event":"ready"' "$tmp/few.log" && break; sleep 0.05; done
mkfifo "$tmp/hold2"
node -e 'const net = require("net"); const open = []; const port = Number(process.argv[1]);
  for (let i = 0; i < 400; i++) { const s = net.connect(port, "127.0.0.1"); s.on("error", () => {}); open.push(s); }
  setTimeout(() => console.log(open.length), 1000);
  process.stdin.resume(); process.stdin.on("end", () => process.exit(0));' \
    "$(jq -r .api "$tmp/few.log" | sed 's/.*://')" <"$tmp/hold2" >"$tmp/flood" &
bad=$!
exec 8>"$tmp/hold2"
for _ in $(seq 100); do [ -s "$tmp/flood" ] && break; sleep 0.1; done
check "out of descriptors: the socket is served" 0 "$("$q" status --home "$tmp/few" -q --timeout 5s; echo $?)"
check "out of descriptors: some are left" 1 $(($(ls "/proc/$few/fd" | wc -l) < 230))
check "out of descriptors: nothing is written" 0 "$(wc -l <"$tmp/few.err")"
exec 8>&-
wait $bad
sleep 0.3
check "then all are served" ok "$(curl -s -m 5 "$(jq -r .api "$tmp/few.log")/livez")"
kill $few
wait $few

# A full disk: a small file system of its own (for root only)
mkdir "$tmp/small"
if mount -t tmpfs -o size=13m none "$tmp/small" 2>/dev/null; then
    home=$tmp/small/home
    : >"$tmp/acked"
    start
    check "starts on a small disk" 0 $?
    n wallet new shop -q
    load &
    loader=$!
    dd if=/dev/zero of="$tmp/small/filler" bs=64k status=none 2>/dev/null
    for _ in $(seq 600); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -0 "$pid" 2>/dev/null && echo "it still runs"
    wait "$pid"
    check "a full disk ends the node: exit 5" 5 $?
    pid=0
    wait $loader
    check "in one clear line" DISKFULL "$(grep '^{"error"' "$tmp/up.err" | jq -r .error.code)"
    rm "$tmp/small/filler"
    mount -o remount,size=64m "$tmp/small"
    start
    check "it goes on with room" 0 $?
    nothing_lost "a full disk"
    stop
    umount "$tmp/small"
fi
finish
