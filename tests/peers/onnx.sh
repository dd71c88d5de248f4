#!/usr/bin/env bash
# onnxruntime computes the bits of an exported int8 model: class and logits of 1,000 real images, with its graph optimiser and without.
. tests/lib.sh
make=${BUILD:-build}/test_model
if ! "$make" make "$tmp"; then
    echo "skipped: no images in /usr/share/datasets/fashion-mnist"
    exit 0
fi
start
check "up" 0 $?
train=$(n blob add "$tmp/train.qnds" --json | jq -r .blob) test=$(n blob add "$tmp/test.qnds" --json | jq -r .blob)
for net in good random; do
    weights=$(n blob add "$tmp/$net.qntw" --json | jq -r .blob)
    model=$(n model quantise "$weights" "$train" "$test" --loss-max-ppm 1000000 --json | jq -r .model)
    check "$net: a model" 64 ${#model}
    n model run "$model" "$test" --cnt 1000 --json | jq -c '{class, logits}' >"$tmp/ours"
    check "$net: 1,000 answers" 1000 "$(wc -l <"$tmp/ours")"
    for level in all disabled; do
        ORT_LEVEL=$level node tests/peers/onnx.mjs "$(n blob path "$model" --json | jq -r .path)" "$tmp/test.qnds" 1000 >"$tmp/theirs"
        check "$net, optimiser $level: every logit of every image" "" "$(cmp "$tmp/ours" "$tmp/theirs" 2>&1)"
    done
done
finish
