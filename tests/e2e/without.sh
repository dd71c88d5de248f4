#!/usr/bin/env bash
# Each module left out of the build, and each switched off: what remains starts, moves money and says what is missing. Leaving a module out
# filters its sources (QN_WITHOUT in CMakeLists.txt), so the same link without its objects is that build.
. tests/lib.sh
build=$(realpath "${BUILD:-build}")
link=$(ninja -C "$build" -t commands quoin | grep -E -- '-o quoin( |$)' | tail -1)
check "the link command is found" 1 "$(grep -c 'modules/compute' <<<"$link")"
all=$(sed -n 's/^MODULE(\(.*\))/\1/p' modules/modules.def)
lives() { # WHAT: the node on $home starts, pays and audits
    start "${@:2}"
    check "$1: starts" 0 $?
    [ $pid != 0 ] && [ -s "$tmp/up.log" ] || cat "$tmp/up.err"
    n wallet new shop -q
    check "$1: money moves" 0 "$(n wallet send @shop 1QN --json | jq .rc)"
    check "$1: coins add up" true "$(n ledger audit --json | jq .ok)"
}
full=$q
for mod in $all; do
    ls -d "modules/$mod"/*.c >/dev/null 2>&1 || continue
    cmd=$(sed -E "s# [^ ]*modules/$mod/[^ ]*\.o##g; s#-o quoin( |\$)#-o $tmp/quoin-$mod #; s#^: \&\& ##; s# \&\& :\$##" <<<"$link")
    (cd "$build" && eval "$cmd") >"$tmp/link" 2>&1
    check "links without $mod" 0 $?
    [ -x "$tmp/quoin-$mod" ] || { grep -v 'statically linked' "$tmp/link" | head -5; continue; }
    q=$tmp/quoin-$mod home=$tmp/home-$mod
    check "$mod is not in it" "" "$("$q" config modules --json 2>/dev/null | jq -r "select(.name==\"$mod\").name")"
    lives "without $mod"
    stop
    check "without $mod: stops" 0 $?
    q=$full home=$tmp/off-$mod
    lives "$mod off" --disable "$mod"
    check "$mod is off" false "$(n config modules --json | jq "select(.name==\"$mod\").on")"
    stop
done
home=$tmp/one
lives "agents alone" --enable agents
check "only agents is on" agents "$(n config modules --json | jq -r 'select(.on).name')"
stop
finish
