#!/usr/bin/env bash
# quoin demo: all seven steps hold, and the result says what the pages promise. --long: twenty seeds, twenty other lies.
. "$(dirname "$0")/../lib.sh"
last=1
[ "${QUOIN_TEST_LONG:-0}" = 1 ] && last=20
for seed in $(seq 1 $last); do
    out=$("$q" demo --seed "$seed" --json)
    check "demo --seed $seed ends well" 0 $?
    r=$(tail -1 <<<"$out")
    check "seed $seed: the last line is the result" '"result"' "$(jq -c .event <<<"$r")"
    check "seed $seed: ok" true "$(jq .ok <<<"$r")"
    check "seed $seed: seven steps" "data lease train rank prove pay audit" "$(jq -r '[.steps[].name] | join(" ")' <<<"$r")"
    check "seed $seed: each told as it ended" 7 "$(grep -c '"event":"step"' <<<"$out")"
    check "seed $seed: at least 85 %" true "$(jq '.accuracy_f32 >= 0.85 and .accuracy_int8 >= 0.84' <<<"$r")"
    check "seed $seed: the lie is found where it was planted" true \
        "$(jq '.cheat | .planted.step == .found.step and .planted.op == .found.op and .rounds > 0 and .slashed_uqn > 0' <<<"$r")"
    check "seed $seed: ten seats have their emission" 10 "$(jq '.emissions | length' <<<"$r")"
    check "seed $seed: a proof" true "$(jq '.proof | .bytes > 0 and .prove_ms > 0 and .verify_ms > 0' <<<"$r")"
    check "seed $seed: vouchers" 1000 "$(jq .vouchers <<<"$r")"
    check "seed $seed: supply is the sum" true "$(jq '.supply_uqn == .sum_uqn' <<<"$r")"
    check "seed $seed: the replay leads to the same root" true "$(jq '.state_root == .replay_root' <<<"$r")"
    check "seed $seed: the home is gone" no "$([ -e "$(jq -r .home <<<"$r")" ] && echo yes || echo no)"
done
finish
