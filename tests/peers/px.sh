#!/usr/bin/env bash
# Peer exchange with js-libp2p gossipsub: what a PRUNE of quoin names js finds, and the other way round.
. tests/lib.sh
got=$(timeout 60 node --no-warnings --import ./tests/peers/polyfill.mjs tests/peers/px.mjs "${BUILD:-build}/test_gossip_host")
f() { jq -c "$1" <<<"$got"; }
check "two js nodes know quoin alone" '[true,true]' "$(f '[.meshed, .apart]')"
check "quoin leaves and names one to the other" 2 "$(f .said)"
check "they meet" true "$(f .js_met)"
check "a js node leaves and names another to quoin" 1 "$(f .took)"
check "quoin finds it, and they are in one mesh" '[true,true]' "$(f '[.quoin_met, .quoin_meshed]')"
finish
