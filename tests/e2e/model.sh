#!/usr/bin/env bash
# Models through a node: made of trained weights, looked at, judged, served at their own pace, refused when they are something else.
. tests/lib.sh
make=${BUILD:-build}/test_model
if ! "$make" make "$tmp"; then
    echo "skipped: no images in /usr/share/datasets/fashion-mnist"
    exit 0
fi
start
train=$(n blob add "$tmp/train.qnds" --json | jq -r .blob) test=$(n blob add "$tmp/test.qnds" --json | jq -r .blob)
declare -A model
for net in good weak random; do
    weights=$(n blob add "$tmp/$net.qntw" --json | jq -r .blob)
    n model quantise "$weights" "$train" "$test" --loss-max-ppm 1000000 --json >"$tmp/$net.json"
    model[$net]=$(jq -r .model "$tmp/$net.json")
    check "$net: judged again as reported" "$(jq .right_int8 "$tmp/$net.json")" "$(n model eval "${model[$net]}" "$test" --json | jq .right)"
done
check "good: less than 1 % lost" true "$(jq '.accuracy_int8 > .accuracy_f32 - 0.01 and .accuracy_int8 > 0.8' "$tmp/good.json")"
check "worse from net to net" true "$(jq -s '.[0].right_int8 > .[1].right_int8 and .[1].right_int8 > .[2].right_int8' "$tmp"/{good,weak,random}.json)"
check "its layers" '[[784,128,true],[128,10,false]]' "$(n model get "${model[good]}" --json | jq -c '[.layers[] | [.in, .out, .relu]]')"
cp "$(n blob path "${model[good]}" --json | jq -r .path)" "$tmp/net.onnx"
check "import gives the same model" "${model[good]}" "$(n model import "$tmp/net.onnx" --json | jq -r .model)"

job=$(n model serve "${model[good]}" --json | jq -r .job)
slow=$(n model serve "${model[good]}" --delay-ms 300 --json | jq -r .job)
image=$(n model sample "$test" 7 --json | jq -r .image)
want=$(n model run "${model[good]}" "$test" --index 7 --json | jq -c .logits)
check "served" "$want" "$(n model ask "$job" "$image" --json | jq -c .logits)"
check "many at once" "[$want,$want]" "$(n job ask "$job" "{\"images\":[\"$image\",\"$image\"]}" --json | jq -c '[.answer.answers[].logits]')"
begun=$(date +%s%N)
check "served slowly" "$want" "$(n model ask "$slow" "$image" --json | jq -c .logits)"
check "as slowly as said" true "$([ $((($(date +%s%N) - begun) / 1000000)) -ge 300 ] && echo true)"
n model ask "$job" 00ff >/dev/null 2>"$tmp/err"
check "an image too small: exit 7" 7 $?
check "one clear line" 1 "$(grep -c '1568 hex digits' "$tmp/err")"
n job cancel "$job" -q
n model ask "$job" "$image" >/dev/null 2>&1
check "cancelled: exit 1" 1 $?

head -c 1000 "$tmp/net.onnx" >"$tmp/cut.onnx"
n model import "$tmp/cut.onnx" >/dev/null 2>&1
check "a file cut off: exit 7" 7 $?
sed 's/Floor/Round/g' "$tmp/net.onnx" >"$tmp/round.onnx"
n model import "$tmp/round.onnx" >/dev/null 2>"$tmp/err"
check "another rounding: exit 7" 7 $?
check "node and operator are named" 1 "$(grep -c 'node 6 (Round "floor0"): it rounds halves to even' "$tmp/err")"
n model quantise "${model[good]}" "$train" "$test" >/dev/null 2>&1
check "no weights: exit 7" 7 $?
n model get "$(printf '%064d' 0)" >/dev/null 2>&1
check "no such blob: exit 3" 3 $?
# what a job leaves becomes a blob by name alone
left=$(jq -r .job "$tmp/good.json")
check "job keep" "${model[good]}" "$(n job keep "$left" model.onnx --json | jq -r .blob)"
n job keep "$left" ../log.txt >/dev/null 2>&1
check "not outside its folder: exit 2" 2 $?
finish
