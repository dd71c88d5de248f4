#!/usr/bin/env bash
# Four nodes at addresses of the internet (in a network namespace that leads nowhere): each learns from the others that it can be reached, serves
# the hash table from then on, and so all find all from one address.
set -u
if [ -z "${QUOIN_REACH_INSIDE:-}" ]; then
    if ! unshare -n true 2>/dev/null; then
        echo "skipped: this machine gives no network namespace"
        exec bash -c ". '$(dirname "$0")/../lib.sh'; check 'a namespace was not to be had' 0 0; finish"
    fi
    QUOIN_REACH_INSIDE=1 exec unshare -n bash "$0"
fi
ip link set lo up
for ip in 5.5.1.1 6.6.1.1 7.7.1.1 8.8.1.1; do ip addr add $ip/32 dev lo; done
. "$(dirname "$0")/../nodes.sh"
doctor() { at "$1" net doctor --json | jq -r "select(.check == \"$2\") | .detail"; }
reachable() { doctor "$1" reachable | grep -oE '^yes, [0-9.]+'; }

up a --listen 5.5.1.1:4460
check "the first, alone: it cannot know" "0 0" "$? $(doctor a reachable | grep -c dialled.back)"
up b --listen 6.6.1.1:4460 --join "$(p2p a)"
up c --listen 7.7.1.1:4460 --join "$(p2p a)"
up d --listen 8.8.1.1:4460 --join "$(p2p a)"
check "a can be reached" "yes, 5.5.1.1" "$(until_is "yes, 5.5.1.1" reachable a)"
check "b can be reached" "yes, 6.6.1.1" "$(until_is "yes, 6.6.1.1" reachable b)"
check "c can be reached" "yes, 7.7.1.1" "$(until_is "yes, 7.7.1.1" reachable c)"
check "d can be reached" "yes, 8.8.1.1" "$(until_is "yes, 8.8.1.1" reachable d)"
check "in the words of the page" 1 "$(doctor a reachable | grep -cE '^yes, 5.5.1.1:4460 \([1-9] of [1-9] dialled back\)$')"
served() { doctor "$1" addresses | grep -vc "not served"; }
check "the table is served" "1 1 1 1" "$(until_is 1 served a) $(until_is 1 served b) $(until_is 1 served c) $(until_is 1 served d)"
for k in a b c d; do check "$k finds the three others" 3 "$(until_is 3 peers $k)"; done
listens() { at a net peers --json | jq -r '.listens[]' | grep -c "$1"; }
check "nobody tells an address of its house" 0 "$(at a net peers --json | jq -r '.listens[]' | grep -cE '/(127|10|192\.168)\.')"
finish
