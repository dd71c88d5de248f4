#!/usr/bin/env bash
# Equal bits and speed on a machine with a GPU: bash tests/gpu/run.sh [QUOIN]. With QUOIN, or where build/quoin is already
# there, nothing is built: that static file and the machine's driver are all that is needed. Exit 0: every device that the
# machine's drivers offer computes the reference's bits; 1: one does not; 3: there is no device but the CPU.
set -euo pipefail
cd "$(dirname "$0")/../.."
quoin=${1:-build/quoin}
if [ ! -x "$quoin" ]; then
    ./build.sh deps
    ./build.sh build
fi
nvidia-smi -L 2>/dev/null || echo "no nvidia-smi here"
echo "== list"
"$quoin" device list
echo "== test"
"$quoin" device test
echo "== bench"
"$quoin" device bench
"$quoin" device list --json | grep -v '"api":"cpu"' | grep -v '"state":"absent"' | grep -v llvmpipe >/dev/null ||
    { echo "no device but the CPU here"; exit 3; }
# The worker's own tests, where they were built: crashes, kills, garbage on this machine's drivers.
for test in build/test_gpu build/test_matmul_i8; do
    [ ! -x "$test" ] || { echo "== $test"; "$test"; }
done
