#!/usr/bin/env bash
# Two js-libp2p gossipsub nodes with quoin between them in one mesh: 500 messages of each reach everybody, once. What waits for one peer stays below
# a queue (1 MiB), however slow this machine lets it be: of more the newest are dropped, as they should be.
. tests/lib.sh
got=$(timeout 100 node --no-warnings --import ./tests/peers/polyfill.mjs tests/peers/gossip.mjs "${BUILD:-build}/test_gossip_host" 500 900)
f() { jq -c "$1" <<<"$got"; }
check "the id of a message, by its definition" '"33a46422d7f846da6a24135d887698fc18ac065f"' "$(f .id)"
check "js grafts quoin" true "$(f .meshed)"
check "over" '"/meshsub/1.2.0"' "$(f .protocol)"
for k in 0 1; do
    check "js $k has quoin's 500" 500 "$(f ".js[$k].quoin")"
    check "js $k has the other's 500, through quoin" 500 "$(f ".js[$k].other")"
    check "js $k none twice, none cut" '[0,true]' "$(f ".js[$k] | [.twice, .whole]")"
done
check "js 1 has 100 more when the three are a triangle" 100 "$(f .triangle)"
check "quoin has 500 of each, and those" 1100 "$(f .quoin.got)"
check "none twice, refused or dropped" "[0,0,0]" "$(f ".quoin | [.twice, .rejected, .dropped]")"
check "js said what it need not be sent" true "$(f '.quoin.idontwant_in > 0')"
check "js thinks well of quoin" '[true,true]' "$(f .score)"
finish
