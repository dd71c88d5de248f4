#!/usr/bin/env bash
# quoin device list|test: CPU variants by name with their self-test, devices where a driver is, a clear line where none is, no node.
set -euo pipefail
quoin=${QUOIN:-build/quoin}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "device: $1"; exit 1; }

$quoin device list --json >"$dir/list" || fail "list failed"
jq -es 'map(select(.api == "cpu")) | length >= 2 and all(.self_test == "4096/4096" and .mops > 0)' <"$dir/list" >/dev/null ||
    fail "a CPU variant fails its self-test: $(cat "$dir/list")"
jq -es 'map(select(.api == "cpu" and .name == "c")) | length == 1' <"$dir/list" >/dev/null || fail "the reference is not listed"
jq -es 'map(select(.state == "used")) | length == 1' <"$dir/list" >/dev/null || fail "not one variant is the one used"
for api in vulkan cuda; do
    jq -es --arg api $api 'map(select(.api == $api)) | length >= 1' <"$dir/list" >/dev/null || fail "nothing is said of $api"
done

# Where Mesa's software Vulkan is installed, it computes the golden tiles.
if compgen -G '/usr/share/vulkan/icd.d/lvp_icd*.json' >/dev/null; then
    jq -es 'map(select(.api == "vulkan" and .state == "ok" and .self_test == "4096/4096")) | length >= 1' <"$dir/list" >/dev/null ||
        fail "llvmpipe is installed, but not well: $(grep vulkan "$dir/list")"
else
    echo "skipped: no Mesa software Vulkan here"
fi

# The same bits everywhere; no state but these two.
$quoin device test --json >"$dir/test" || fail "test failed: $(cat "$dir/test")"
jq -es 'all(.state == "absent" or (.state == "equal" and .wrong == 0 and .values > 100000))' <"$dir/test" >/dev/null ||
    fail "not all are equal: $(cat "$dir/test")"

# No driver: a row that says so, and exit 0.
env -i VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent "$quoin" device list --json >"$dir/none" || fail "list without a driver failed"
jq -es 'map(select(.api == "vulkan")) | length == 1 and .[0].state == "absent" and (.[0].doc | length) > 10' <"$dir/none" >/dev/null ||
    fail "a missing driver is not told: $(cat "$dir/none")"

# A word too many is a usage error.
if $quoin device list more 2>/dev/null; then fail "a word too many passed"; else [ $? = 2 ] || fail "usage error has another status"; fi
echo "device: ok"
