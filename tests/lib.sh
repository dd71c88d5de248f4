# What the shell tests share: a home that goes away, a node, checks that count. Source it; end with `finish`.
# shellcheck shell=bash
set -u
q=${QUOIN:-build/quoin}
q=$(realpath "$q")
export QUOIN=$q
tmp=$(mktemp -d /tmp/quoin-test-XXXXXX)
home=$tmp/home
passed=0 failed=0 pid=0
cleanup() {
    [ "$pid" = 0 ] || { kill -9 "$pid" && wait "$pid"; } 2>/dev/null
    rm -rf "$tmp"
}
trap cleanup EXIT

check() { # WHAT EXPECTED GOT
    if [ "$2" = "$3" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $1: want $2, got $3"; fi
}
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}
# free_port CNT: the first of CNT ports in a row that nobody listens on, below those that the kernel gives to who asks for any.
free_port() {
    local port i
    while :; do
        port=$((20000 + RANDOM % 12000))
        for ((i = 0; i < $1; i++)); do (exec 3<>"/dev/tcp/127.0.0.1/$((port + i))") 2>/dev/null && continue 2; done
        echo $port
        return
    done
}
# start [UP-ARG..]: a node on $home; its words in $tmp/up.log and $tmp/up.err. False when it does not come up.
start() {
    : >"$tmp/up.log"
    "$q" up --home "$home" --api 127.0.0.1:0 --json "$@" >"$tmp/up.log" 2>"$tmp/up.err" &
    pid=$!
    for _ in $(seq 400); do
        grep -q '"event":"ready"' "$tmp/up.log" && return 0
        kill -0 $pid 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}
stop() { # SIGTERM; its exit status
    kill -TERM "$pid" 2>/dev/null
    wait "$pid"
    local rc=$?
    pid=0
    return $rc
}
n() { "$q" --home "$home" "$@"; }
