# What tests with several nodes share, besides lib.sh: each node has a name, its home is $tmp/NAME, its words are in $tmp/NAME.log and .err. Source it.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pids=()
end_nodes() {
    [ ${#pids[@]} = 0 ] || { kill -9 "${pids[@]}"; wait "${pids[@]}"; } 2>/dev/null
    cleanup
}
trap end_nodes EXIT
# up NAME UP-ARG..: starts a node and waits for it. False when it does not come up.
up() {
    : >"$tmp/$1.log"
    "$q" up --home "$tmp/$1" --api 127.0.0.1:0 --json "${@:2}" >"$tmp/$1.log" 2>"$tmp/$1.err" &
    pids+=($!)
    for _ in $(seq 400); do
        grep -q '"event":"ready"' "$tmp/$1.log" && return 0
        kill -0 $! 2>/dev/null || break
        sleep 0.05
    done
    cat "$tmp/$1.err"
    return 1
}
at() { "$q" --home "$tmp/$1" "${@:2}"; } # NAME WORD..
p2p() { jq -r 'select(.event == "ready") | .p2p' "$tmp/$1.log"; } # NAME
peers() { at "$1" status --json | jq -r .peers; } # NAME
# until_is WANT COMMAND..: asks until the answer is that, for half a minute; prints the last one.
until_is() {
    local got
    for _ in $(seq 300); do got=$("${@:2}"); [ "$got" = "$1" ] && break; sleep 0.1; done
    echo "$got"
}
