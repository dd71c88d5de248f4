#!/usr/bin/env bash
# Two nodes and a third: who is connected, what is measured about them, a dial and a ping by hand, a ban and its end; the same over HTTP,
# from Lua and in Prometheus' words; and one clear line where there is no network.
. "$(dirname "$0")/../nodes.sh"
# It looks for nobody by itself: here each connection is one that was asked for.
node() { up "$1" --outbound 0 "${@:2}"; } # NAME ARG..

node alone
for words in "peers" "topics" "doctor" "bans" "dial 127.0.0.1:4460" "ping 127.0.0.1:4460" "peer 12D3KooWabcd" "ban 12D3KooWabcd"; do
    # shellcheck disable=SC2086
    at alone net $words >"$tmp/said" 2>&1
    check "no network: net $words" "1 1 1" "$? $(wc -l <"$tmp/said") $(grep -c 'no network: start it with quoin up --listen' "$tmp/said")"
done

node a --listen 127.0.0.1:0
node b --listen 127.0.0.1:0 --join "$(p2p a)"
node c --listen 127.0.0.1:0
a=$(p2p a) b=$(p2p b) c=$(p2p c)
id_a=${a##*/} id_b=${b##*/} id_c=${c##*/}
peers() { at "$1" net peers --json | jq -r '.peer + " " + .dir' | sort | xargs; }
check "b dialled a" "$id_a out" "$(until_is "$id_a out" peers b)"
check "and a was dialled" "$id_b in" "$(until_is "$id_b in" peers a)"
meshed() { at "$1" net peers --json | jq -r .topics | cut -d, -f1-3; }
check "in the meshes" "tx,vote,block" "$(until_is "tx,vote,block" meshed b)"
check "a status for people" "peers 1 validators 1 view" "$(at b status | awk '$1 ~ /^(peers|validators)$/ {printf "%s %s ", $1, $2} $1 == "view" {printf "view"}')"
check "a table for pipes: its names, and a line" "8 8 peer" "$(at b net peers | awk -F'\t' '{printf "%s ", NF} END {print ""}')$(at b net peers | head -1 | cut -f1)"
check "without its names" 1 "$(at b net peers --no-header | wc -l)"
check "the agent" 1 "$(at b net peers --fields agent | grep -c '^quoin/')"
check "bytes by class" true "$(at b net peer "$id_a" --json | jq '.link.in_bytes > 0 and .sent.urgent + .sent.control > 0')"
check "its protocols" true "$(at b net peer "$id_a" --json | jq '.protocols | index("/meshsub/1.2.0") != null')"
check "by the beginning of its id" "$id_a" "$(at b net peer "${id_a:8:10}" --json | jq -r .peer)"
at b net peer zzzzzz >"$tmp/said" 2>&1
check "nobody is called so" "3 1" "$? $(grep -c 'see quoin net peers' "$tmp/said")"

check "a round trip" true "$(at b net ping "$id_a" --json | jq '.rtt_us > 0 and .rtt_us < 5000000 and .dial_us == 0')"
check "for people" 1 "$(at b net ping "${id_a:0:20}" | grep -c '^rtt *[0-9.]* ms')"
check "to a stranger, dialled for it" "$id_c true true" "$(at b net ping "$c" --json | jq -r '"\(.peer) \(.rtt_us > 0) \(.dial_us > 0)"')"
check "and let go" "$id_a out" "$(until_is "$id_a out" peers b)"
at b net ping 127.0.0.1:1 >/dev/null 2>&1
check "nobody lives there" 5 $?

check "dialled by hand" "$id_b" "$(at a net dial "${b%/p2p/*}" --json | jq -r .peer)"
port_a=$(echo "$a" | cut -d/ -f5)
grep -q 'localhost' /etc/hosts && check "by a name of this machine" "$id_a" "$(at b net ping "localhost:$port_a" --json | jq -r .peer)"
at a net dial nobody.invalid:4460 >"$tmp/said" 2>&1
check "a name that nobody has" "5 1" "$? $(grep -c 'nobody.invalid' "$tmp/said")"
check "which was connected before" 0 "$(at a net dial "$b" --json | jq .dial_us)"
at a net dial "${c%/p2p/*}/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA" >"$tmp/said" 2>&1
check "somebody else lives there" "7 1" "$? $(grep -c SIGNATURE "$tmp/said")"
at a net dial not-an-address >/dev/null 2>&1
check "no address" 2 $?

check "topics: all with the one peer" true "$(at b net topics --json | jq -s 'length >= 3 and all(.mesh == 1 and .peers == 1)')"
check "what the doctor says" "ok" "$(until_is ok eval "at b net doctor --json | jq -r .state | sort -u")"
check "it tells each mesh" "$(at b net topics --json | wc -l)" "$(at b net doctor --json | jq -r .check | grep -c '^mesh ')"
check "banned" "true 60" "$(at a net ban "$id_b" 60 --json | jq -r '"\(.was_connected) \(.seconds)"')"
check "gone" "" "$(until_is "" peers a)"
check "on the list" "$id_b by the owner" "$(at a net bans --json | jq -r '.peer + " " + .reason')"
at a net dial "$b" >/dev/null 2>&1
check "not dialled while it is" 4 $?
check "the doctor misses peers" "look" "$(at a net doctor --json | jq -r 'select(.check == "peers") | .state')"
check "lifted" 0 "$(at a net ban "$id_b" 0 --json | jq .seconds)"
check "no list" 0 "$(at a net bans --json | wc -l)"
check "it comes back by itself" "$id_b in" "$(for _ in $(seq 200); do [ "$(peers a)" = "$id_b in" ] && break; sleep 0.1; done; peers a)"

check "over HTTP" "$id_a" "$(curl -s -H "Authorization: Bearer $(cat "$tmp/b/cookie")" "http://$(cat "$tmp/b/api")/v1/net/peers" | jq -r '.[0].peer')"
check "from Lua" "$id_a" "$(at b lua -e 'return qn.net.peers{}[1].peer' | jq -r .)"
curl -s -H "Authorization: Bearer $(cat "$tmp/b/cookie")" "http://$(cat "$tmp/b/api")/metrics" >"$tmp/metrics"
check "metrics: peers" "1" "$(sed -n 's/^quoin_net_peers{dir="out"} //p' "$tmp/metrics")"
check "metrics: classes" 6 "$(grep -c '^quoin_net_sent_bytes_total{class=' "$tmp/metrics")"
check "metrics: copies" 1 "$(grep -c '^quoin_net_gossip_copies_in_total [0-9]' "$tmp/metrics")"
check "metrics: each with its type" "" "$(grep -v '^#' "$tmp/metrics" | sed 's/[{ ].*//' | sort -u | while read -r name; do grep -q "^# TYPE $name " "$tmp/metrics" || echo "$name"; done)"
check "every one has help" 8 "$(for v in peers peer dial ping ban bans topics doctor; do "$q" net $v --help; done | grep -c '^Example:')"

# Of a home that has its chain, somebody who does not answer costs nothing but a line.
at alone down -q && wait "${pids[0]}"
node alone --join 127.0.0.1:1
said_dead() { grep -c 'join: 127.0.0.1:1: Connection refused' "$tmp/alone.err"; }
check "a dead --join is told" 1 "$(until_is 1 said_dead)"
sleep 2.5
check "once" 1 "$(said_dead)"
at alone net dial 127.0.0.1:1 2>"$tmp/said"
check "a dial that fails names its address" 1 "$(grep -c '^error: 127.0.0.1:1: Connection refused' "$tmp/said")"
finish
