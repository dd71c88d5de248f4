#!/usr/bin/env bash
# A stock js-libp2p node dials quoin's host and is dialled by it: identify, ping, perf both ways.
. tests/lib.sh
got=$(timeout 60 node --no-warnings --import ./tests/peers/polyfill.mjs tests/peers/libp2p.mjs "${BUILD:-build}/test_host")
f() { jq -r "$1" <<<"$got"; }
check "js dials the identity it asked for" true "$(f .dialled)"
check "over yamux" /yamux/1.0.0 "$(f .muxer)"
check "identify: agent" quoin "$(f .agent | cut -d/ -f1)"
check "identify: protocols" true "$(f .speaks)"
check "identify: a signed record that js verifies" true "$(f .record)"
check "identify: the observed address" true "$(f .observed)"
check "js pings" true "$(f .ping)"
check "8 MiB up and down" true "$(f .perf)"
check "four streams of a protocol at once, no more" 4 "$(f .parallel)"
check "an unknown protocol is refused" UnsupportedProtocolError "$(f .refused)"
check "the host saw one peer, identified, without blame" '{"up":1,"identified":1,"blames":0}' "$(f '.server | tojson')"
check "js is dialled" OK "$(f .client.dial)"
check "and is whom we meant" true "$(f .client.id)"
check "js identifies itself" js-libp2p "$(f .client.agent | cut -d/ -f1)"
check "with a signed record" true "$(f .client.record)"
check "js answers a ping" OK "$(f .client.ping)"
check "8 MiB to js and back" OK "$(f .client.perf)"
check "nothing to blame" 0 "$(f .client.blames)"
check "another identity is not accepted" SIGNATURE "$(f .wrong)"
finish
