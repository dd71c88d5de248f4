#!/usr/bin/env bash
# Real nodes on hosts of their own, network namespaces with a wire between them that a test may delay, lose and cut by direction (wire.h): 50 ms
# each way, one-way cuts, halves that cannot hear each other, loss, kill -9, all under transfers. It goes on where it may and stands still where it
# must; what was called final stays so; at the end all have one chain, one root and the whole supply. QUOIN_TEST_LONG=1: 7 nodes, 40 rounds.
. "$(dirname "$0")/../lib.sh"
cnt=4 rounds=4
[ "${QUOIN_TEST_LONG:-0}" = 1 ] && cnt=7 rounds=40
if [ "$(id -u)" != 0 ] && [ -z "${QUOIN_UNSHARED:-}" ] && unshare -rn true 2>/dev/null; then
    rm -rf "$tmp"
    QUOIN_UNSHARED=1 exec unshare -r bash "$0"
fi
RANDOM=${SEED:=$$}
net=$tmp/net pids=() wire=0 senders=()
trap 'touch "$tmp/stop"; for p in "${pids[@]}" "${senders[@]}"; do { kill -9 $p && wait $p; } 2>/dev/null; done; exec 7>&-; [ $wire = 0 ] || wait $wire; cleanup' EXIT

mkfifo "$tmp/control"
"${BUILD:-build}/wire" $cnt <"$tmp/control" >"$tmp/ns" 2>"$tmp/wire.err" &
wire=$!
exec 7>"$tmp/control"
for _ in $(seq 100); do [ -s "$tmp/ns" ] && break; sleep 0.05; done
read -ra ns <"$tmp/ns"
if [ "${ns[0]:-no}" = no ]; then
    echo "skipped: $(cat "$tmp/ns")"
    exit 0
fi
way() { echo "$*" >&7; } # WHAT VALUE FROM TO

# A chain of cnt validators: a devnet makes keys, genesis and some blocks, then each home moves to a host of its own.
"$q" devnet $cnt --home "$tmp/made" --json >"$tmp/devnet.log" &
devnet=$!
for _ in $(seq 400); do grep -q '"event":"ready"' "$tmp/devnet.log" && break; sleep 0.05; done
kill -TERM $devnet
wait $devnet
for ((i = 0; i < cnt; i++)); do mkdir -p "$net" && mv "$tmp/made/node-$i" "$net/$i"; done
begun=$(jq -r 'select(.event == "ready") | .height' "$net/0/up.log")
at() { "$q" --home "$net/$1" "${@:2}"; }
height() { at "$1" status --json 2>/dev/null | jq -r .height; }
# until_height NODE HEIGHT SECONDS
until_height() {
    local end=$((SECONDS + $3))
    while [ $SECONDS -le $end ]; do
        [ "$(height "$1")" -ge "$2" ] 2>/dev/null && return 0
        sleep 0.2
    done
    return 1
}
top() { for ((i = 0; i < cnt; i++)); do height $i; done | sort -n | tail -1; }
# up NODE: on its own host; joins all others by their addresses alone
up() {
    local i=$1 k join=""
    for ((k = 0; k < cnt; k++)); do [ "$k" = "$i" ] || join+=",20.$((k + 1)).0.1:4460"; done
    : >"$net/$i.log"
    nsenter --net="${ns[i]}" "$q" up --home "$net/$i" --api 127.0.0.1:0 --listen "20.$((i + 1)).0.1:4460" --genesis "$tmp/made/genesis" \
        --join "${join:1}" --block-ms 200 --json >"$net/$i.log" 2>>"$net/$i.err" &
    pids[i]=$!
}
ready() { for _ in $(seq 400); do grep -q '"event":"ready"' "$net/$1.log" && return; sleep 0.05; done; }

way delay 50000 '*' '*'
for ((i = 0; i < cnt; i++)); do up $i; done
for ((i = 0; i < cnt; i++)); do ready $i; done
for ((i = 0; i < cnt; i++)); do until_height $i $((begun + 10)) 30; check "node $i: blocks over 50 ms" 0 $?; done
for _ in $(seq 50); do [ "$(at 0 status --json | jq -r .peers)" = $((cnt - 1)) ] && break; sleep 0.2; done
check "all hear each other" $((cnt - 1)) "$(at 0 status --json | jq -r .peers)"

for i in 0 1; do at 0 wallet new "p$i" --json >/dev/null; done
for ((i = 1; i < cnt; i++)); do cp "$net"/0/wallet/p?.key "$net/$i/wallet/"; done
for i in 0 1; do at "$i" --as faucet wallet send "@p$i" 100QN --json >/dev/null || echo "FAIL funding p$i"; done
# Sends at one node after the other, and notes what it was told is final.
sender() {
    local k
    for k in $(seq 100000); do
        [ -e "$tmp/stop" ] && break
        timeout 20 "$q" --home "$net/$((($1 + k) % cnt))" --as "p$1" wallet send @owner 0.001QN --json --timeout 5s >"$tmp/tx-$1" 2>/dev/null &&
            jq -r 'select(.rc == 0) | .id // .tx' "$tmp/tx-$1" >>"$tmp/acked-$1"
    done
}
for i in 0 1; do sender $i & senders[i]=$!; done

# One way: 0 is not heard by 1, but hears it. All go on.
way cut 1 0 1
before=$(top)
until_height 1 $((before + 5)) 40
check "one way cut: who does not hear goes on" 0 $?
until_height 0 $((before + 5)) 20
check "who is not heard goes on" 0 $?
way cut 0 '*' '*'

# Two halves: neither may go on, for neither has a quorum.
half=$((cnt / 2))
for ((i = 0; i < half; i++)); do for ((k = half; k < cnt; k++)); do way cut 1 $i $k; way cut 1 $k $i; done; done
if [ $cnt = 4 ]; then
    sleep 1
    before=$(top)
    sleep 4
    check "halves stand still" "$before" "$(top)"
else
    sleep 5
fi
way cut 0 '*' '*'
after=$(top)
for ((i = 0; i < cnt; i++)); do until_height $i $((after + 3)) 60; check "node $i goes on once they hear each other" 0 $?; done

# Alone: the others go on, and who was alone catches up.
for ((k = 0; k < cnt - 1; k++)); do way cut 1 $k $((cnt - 1)); way cut 1 $((cnt - 1)) $k; done
before=$(top)
until_height 0 $((before + 5)) 40
check "without one the others go on" 0 $?
way cut 0 '*' '*'
until_height $((cnt - 1)) $((before + 6)) 60
check "who was alone catches up" 0 $?

# By chance, kill -9 among them.
way loss 20000 '*' '*'
for _ in $(seq $rounds); do
    a=$((RANDOM % cnt)) b=$((RANDOM % cnt))
    case $((RANDOM % 4)) in
    0) way cut 1 $a $b ;;
    1) way delay $((RANDOM * 8)) $a '*' ;;
    2) way cut 1 $a '*' ;;
    3) way loss 200000 '*' $b ;;
    esac
    sleep 0.$((RANDOM % 9 + 1))
    victim=$((RANDOM % cnt))
    { kill -9 "${pids[victim]}" && wait "${pids[victim]}"; } 2>/dev/null
    up $victim
    sleep 1
    way cut 0 '*' '*'
    way delay 50000 '*' '*'
    way loss 20000 '*' '*'
done
touch "$tmp/stop"
wait "${senders[@]}"
senders=()
for ((i = 0; i < cnt; i++)); do ready $i; done
way loss 0 '*' '*'
after=$(top)
for ((i = 0; i < cnt; i++)); do until_height $i $((after + 3)) 90; check "node $i goes on after all that" 0 $?; done

sort -u "$tmp"/acked-* >"$tmp/acked"
check "transfers went through meanwhile" 1 $(($(wc -l <"$tmp/acked") > 10))
lost=0
while read -r id; do
    [ "$(at $((RANDOM % cnt)) tx get "$id" --json 2>/dev/null | jq -r .state)" = final ] || lost=$((lost + 1))
done <"$tmp/acked"
check "nothing that was final is lost, of $(wc -l <"$tmp/acked")" 0 "$lost"
h=$(for ((i = 0; i < cnt; i++)); do height $i; done | sort -n | head -1)
check "one block at height $h" 1 "$(for ((i = 0; i < cnt; i++)); do at $i block get "$h" --json; done | jq -r '.hash + .block.header.state_root' | sort -u | wc -l)"
check "the whole supply at each" 21000000000000 "$(for ((i = 0; i < cnt; i++)); do at $i status --json | jq -r .sum_uqn; done | sort -u | xargs)"
twice=$(at 0 evidence list --json | jq -s 'length')
check "nobody has signed against itself" 0 "$twice"
for ((i = 0; i < cnt; i++)); do kill -TERM "${pids[i]}"; wait "${pids[i]}"; check "node $i: a clean stop" 0 $?; done
pids=()
[ $failed = 0 ] || echo "seed $SEED; $(tail -n 2 "$net"/*.err)"
echo "$(wc -l <"$tmp/acked") transfers, $h blocks"
echo "kills: $rounds, lost: $lost, signed twice: $twice"
finish
