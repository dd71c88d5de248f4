#!/usr/bin/env bash
# Executes every sh block of docs/tour, page after page, in one shell and one home.
. tests/lib.sh
repo=$PWD
mkdir "$tmp/bin" "$tmp/work"
ln -s "$q" "$tmp/bin/quoin"
blocks() { awk '/^```sh$/ {on = 1; next} /^```/ {on = 0} on' "$1"; }
{
    for page in "$repo"/docs/tour/[0-9]*.md; do
        echo "echo '== $(basename "$page")'"
        blocks "$page"
        echo "echo '.. $(basename "$page")' >>\"\$DONE\""
    done
} >"$tmp/tour"
(cd "$tmp/work" && env -u QUOIN PATH="$tmp/bin:$PATH" QUOIN_HOME="$home" REPO="$repo" DONE="$tmp/done" bash -euo pipefail "$tmp/tour") >"$tmp/log" 2>&1
rc=$?
"$q" down --home "$home" -q 2>/dev/null
check "the tour runs to its end" 0 $rc
[ $rc = 0 ] || tail -15 "$tmp/log"
for page in "$repo"/docs/tour/[0-9]*.md; do check "$(basename "$page")" 1 "$(grep -c "$(basename "$page")" "$tmp/done" 2>/dev/null)"; done
for page in README.md docs/tour/README.md docs/why/*.md; do # links lead somewhere
    for link in $(grep -oE '\]\([^)#:]+\)' "$page" | sed 's/](\(.*\))/\1/'); do
        check "$page: $link" 0 "$([ -e "$(dirname "$page")/$link" ]; echo $?)"
    done
done
finish
