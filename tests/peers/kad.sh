#!/usr/bin/env bash
# js-libp2p's kad-dht and quoin in one network: each finds peers and providers through the other.
. tests/lib.sh
got=$(timeout 120 node --no-warnings --import ./tests/peers/polyfill.mjs tests/peers/kad.mjs "${BUILD:-build}/test_discover")
f() { jq -r "$1" <<<"$got"; }
check "js finds a peer through quoin" true "$(f .js_finds)"
check "quoin finds a peer through js" true "$(f .quoin_finds)"
check "what js provides quoin finds" true "$(f .js_provides)"
check "and another js node through quoin" true "$(f .js_finds_js)"
check "quoin provides" OK "$(f .provide)"
check "what js finds" true "$(f .quoin_provides)"
check "and keeps for others" true "$(f .js_keeps)"
check "still there" OK "$(f .alive)"
check "three peers in quoin's table" 3 "$(f .quoin.table)"
check "nothing to blame" 0 "$(f .quoin.blames)"
finish
