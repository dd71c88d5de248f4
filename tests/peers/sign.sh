#!/usr/bin/env bash
# A second library's verdict on the signatures that libraries disagree about: recorded in tests/golden/ed25519.txt, noble's is as it says. The
# ledger's (libsodium's, and OpenSSL's beside it) is core/crypto/test_sign_lanes.c's.
. tests/lib.sh
said=$(node tests/peers/sign.mjs tests/golden/ed25519.txt)
check "signatures" 17 "$(jq .cnt <<<"$said")"
check "noble says what the file says, and takes all that the ledger takes" 0 "$(jq .other <<<"$said")"
check "and more than the ledger in three" 3 "$(jq .apart <<<"$said")"
finish
