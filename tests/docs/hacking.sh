#!/usr/bin/env bash
# Takes the code off docs/why/hacking.md, builds it into a quoin beside the tree's own objects, runs its tests and its commands.
. tests/lib.sh
repo=$PWD
build=$(realpath "${BUILD:-build}")
page=$repo/docs/why/hacking.md
over=$tmp/over # what the page adds, laid over the tree
mkdir -p "$over/core/module" "$tmp/obj" "$tmp/bin"
cp "$repo/core/module/module.c" "$over/core/module/"
awk -v over="$over" -v repo="$repo" '
    /^```[a-z]+ file=/ { split($2, part, "="); out = over "/" part[2]; dir = out; sub(/\/[^\/]*$/, "", dir); system("mkdir -p " dir)
                         if ($3 == "append") system("cp " repo "/" part[2] " " out); else printf "" > out; on = 1; next }
    /^```/ { if (on) close(out); on = 0 }
    on { print >> out }' "$page"
check "files on the page" 7 "$(find "$over/modules" "$over/gpu" -type f | wc -l)"

# The tree's own words for compiling one file and for linking quoin.
flags=$(jq -r '.[]|select(.file|endswith("/core/module/module.c")).command' "$build/compile_commands.json" | sed -E 's/ -o .*//')
link=$(ninja -C "$build" -t commands quoin | grep -E -- '-o quoin( |$)' | tail -1 | sed -E 's#^: \&\& ##; s# \&\& :$##')
compile() { # FILE
    (cd "$over" && eval "${flags/ -I/ -I$over -I} -o $tmp/obj/$(basename "$1").o -c $over/$1") >"$tmp/cc" 2>&1
    local rc=$?
    check "$1 builds without a warning" 0 $rc
    [ $rc = 0 ] || head -20 "$tmp/cc"
}
for f in core/module/module.c modules/guest/guest.c modules/guest/test_guest.c gpu/kernels/sumsq_soft.c gpu/kernels/test_sumsq.c; do compile $f; done
o() { printf "$tmp/obj/%s.o " "$@"; }
into() { # NAME OBJECT..: the tree's link with core/module/module.c of the page, and with these objects
    local name=$1 cmd
    shift
    cmd=$(sed -E "s#-o quoin( |\$)#-o $tmp/bin/$name $(o "$@") #; s#[^ ]*/core/module/module\.c\.o#$tmp/obj/module.c.o#" <<<"$link")
    [ "$name" = quoin ] || cmd=$(sed -E 's#[^ ]*/core/cli/main\.c\.o##' <<<"$cmd")
    (cd "$build" && eval "$cmd") >"$tmp/link" 2>&1
    check "$name links" 0 $?
    [ -x "$tmp/bin/$name" ] || grep -v 'statically linked' "$tmp/link" | head
}
into quoin guest.c
into test_guest guest.c test_guest.c
into test_sumsq test_sumsq.c sumsq_soft.c
for t in test_guest test_sumsq; do
    "$tmp/bin/$t" >"$tmp/log" 2>&1
    check "$t" 0 $?
    grep -v '^1 passed' "$tmp/log"
done
clang-format --dry-run -Werror --style="file:$repo/.clang-format" "$over"/modules/guest/*.c "$over"/gpu/kernels/*.c >"$tmp/format" 2>&1
check "the page's code is formatted" 0 $?

q=$tmp/bin/quoin
start
check "a node with the module starts" 0 $?
awk '/^```sh$/ {on = 1; next} /^```/ {on = 0} on' "$page" >"$tmp/steps"
(cd "$tmp" && env -u QUOIN PATH="$tmp/bin:$PATH" QUOIN_HOME="$home" bash -euo pipefail "$tmp/steps") >"$tmp/log" 2>&1
rc=$?
check "the page's commands" 0 $rc
[ $rc = 0 ] || tail "$tmp/log"
stop
finish
