#!/usr/bin/env bash
# A disk that changes a bit of state.mdb under a running node: a scrub finds it, the node says so in one line, votes no more and serves what is right;
# repair makes the file again from memory, from the journal, or from a snapshot and the journal.
. tests/lib.sh
# Changes a bit behind each place in a file where these bytes stand: an account's balance follows its key.
rot() { # FILE HEX
    node -e '
        const fs = require("fs"), [file, hex] = process.argv.slice(1), want = Buffer.from(hex, "hex");
        const bytes = fs.readFileSync(file), fd = fs.openSync(file, "r+");
        let cnt = 0;
        for (let at = bytes.indexOf(want); at >= 0; at = bytes.indexOf(want, at + 1), cnt++) {
            const next = at + want.length;
            fs.writeSync(fd, Buffer.from([bytes[next] ^ 4]), 0, 1, next);
        }
        fs.closeSync(fd);
        process.exit(cnt ? 0 : 1);' "$1" "$2"
}
saved() { # until the checkpoint is of a block that has it all
    sleep 2.6
}
start --block-ms 50
check "up" 0 $?
n wallet new alice -q
n wallet send @alice 7QN -q
acct=$(n wallet list --json | jq -r 'select(.name=="alice").account')
saved
said=$(n ledger scrub --json)
check "a clean scrub: exit 0" 0 $?
check "it saw every row" true "$(jq '.ok and .rows == .all and .rows > 10' <<<"$said")"

rot "$home/state.mdb" "01$acct"
check "a bit is changed" 0 $?
n ledger scrub >"$tmp/out" 2>"$tmp/err"
check "it is found: exit 78" 78 $?
check "in one clear line" 1 "$(grep -c '^error: .*table account, row .*quoin ledger repair.*\[CORRUPT\]' "$tmp/err")"
check "the node says it as well" 1 "$(grep -c 'quoin: scrub: state.mdb is damaged: table account, row .*votes no more' "$tmp/up.err")"
check "and in its status" 1 "$(n status --json | jq -r .self | grep -c 'votes no more.*quoin ledger repair')"
height=$(n status --json | jq .height)
sleep 1
check "it votes no more" "$height" "$(n status --json | jq .height)"
check "what it serves is right" 7000000 "$(n wallet balance alice --json | jq .balance_uqn)"
said=$(n ledger repair --json)
check "repair: exit 0" 0 $?
check "from memory" '"memory"' "$(jq .from <<<"$said")"
n wallet send @alice 1QN -q
check "blocks go on" 8000000 "$(n wallet balance alice --json | jq .balance_uqn)"
check "a scrub finds nothing" true "$(n ledger scrub --json | jq .ok)"
check "the damaged file is kept" 0 "$(test -s "$home/state.mdb.damaged"; echo $?)"
root=$(n down --json | jq -r .state_root)
wait "$pid"
pid=0

rot "$home/state.mdb" "01$acct"
"$q" up --home "$home" --api 127.0.0.1:0 >"$tmp/out" 2>"$tmp/err"
check "damaged at the start: exit 78" 78 $?
check "one clear line that says what to do" 1 "$(grep -c '^error: .*quoin ledger repair.*\[CORRUPT\]' "$tmp/err")"
said=$("$q" --home "$home" ledger repair --json)
check "repaired without its node" '"journal"' "$(jq .from <<<"$said")"
check "once more: nothing to do" '"nothing"' "$("$q" --home "$home" ledger repair --json | jq .from)"
start --block-ms 50
check "up again" 0 $?
check "all is there" 8000000 "$(n wallet balance alice --json | jq .balance_uqn)"
check "the whole supply" true "$(n ledger audit --json | jq .ok)"
n snapshot create -q
check "a node without damage has nothing to repair: exit 1" 1 "$(n ledger repair >"$tmp/out" 2>"$tmp/err"; echo $?)"
stop

# Pages that LMDB itself stumbles over, while it runs
start --block-ms 50 --scrub-hours 1
saved
dd if=/dev/urandom of="$home/state.mdb" bs=4096 seek=2 count=6 conv=notrunc status=none
n ledger scrub >"$tmp/out" 2>"$tmp/err"
check "damaged pages: exit 78" 78 $?
check "one clear line" 1 "$(grep -c '^error: .*\[CORRUPT\]' "$tmp/err")"
check "the node lives" 8000000 "$(n wallet balance alice --json | jq .balance_uqn)"
check "and repairs" '"memory"' "$(n ledger repair --json | jq .from)"
check "a scrub finds nothing any more" true "$(n ledger scrub --json | jq .ok)"
stop
dd if=/dev/urandom of="$home/state.mdb" bs=4096 seek=2 count=6 conv=notrunc status=none
check "and without its node" '"journal"' "$("$q" --home "$home" ledger repair --json | jq .from)"
start
check "up" 0 $?
stop

# What rots on the disk itself, under the system's cache of it: the bytes of a disk image change beneath a file system
disk=$tmp/disk
mkdir -p "$disk"
truncate -s 256M "$tmp/image"
if mkfs.ext4 -q -F "$tmp/image" 2>/dev/null && mount -o loop "$tmp/image" "$disk" 2>/dev/null; then
    trap '[ "$pid" = 0 ] || { kill -9 "$pid" && wait "$pid"; } 2>/dev/null; pid=0; umount "$disk"; cleanup' EXIT
    home=$disk/home
    start --block-ms 50
    check "a disk of its own: up" 0 $?
    n wallet new alice -q
    n wallet send @alice 7QN -q
    acct=$(n wallet list --json | jq -r 'select(.name=="alice").account')
    saved
    sync "$home/state.mdb"
    check "a clean scrub" true "$(n ledger scrub --json | jq .ok)"
    rot "$tmp/image" "01$acct"
    check "a bit on the disk is changed" 0 $?
    check "the cache does not show it" true "$(cmp -s <(n wallet balance alice --json | jq .balance_uqn) <(echo 7000000) && echo true)"
    n ledger scrub >"$tmp/out" 2>"$tmp/err"
    check "a scrub finds it: exit 78" 78 $?
    check "in one clear line" 1 "$(grep -c '^error: .*the disk holds another byte.*\[CORRUPT\]' "$tmp/err")"
    check "repaired" '"memory"' "$(n ledger repair --json | jq .from)"
    check "and clean again" true "$(n ledger scrub --json | jq .ok)"
    stop
else
    echo "no loop device can be mounted here: rot beneath the cache is not tried"
fi
finish
