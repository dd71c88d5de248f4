#!/usr/bin/env bash
# The house rules a compiler does not check: who includes whom, writable globals, format, names, pages. `./build.sh tidy [CHECK]`.
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
bad=0
say() { echo "$1"; bad=$((bad + 1)); }
ours() { git ls-files --cached --others --exclude-standard -- "$@" | grep -vE '^lua/vm/|/node_modules/' | while read -r f; do [ -f "$f" ] && echo "$f"; done; }

check_layers() { # includes go down, by layers.txt
    awk '
    FILENAME == ARGV[1] { sub(/#.*/, ""); if (NF) { level[$1] = $2; for (i = 3; i <= NF; i++) also[$1, $i] = 1 } next }
    function folder(path, best, f) { best = ""; for (f in level) if (index(path, f "/") == 1 && length(f) > length(best)) best = f; return best }
    FNR == 1 { me = folder(FILENAME); split(FILENAME, part, "/") }
    /^#include "/ {
        split($0, q, "\""); to = q[2]; you = folder(to)
        if (me == "") { print FILENAME ": its folder is not in tests/tidy/layers.txt"; next }
        if (to ~ /^[^\/]*$/) next
        if (you == me && me != "modules") next
        if (me == "modules" && index(to, part[1] "/" part[2] "/") == 1) next
        if (((me, to) in also) || ((me, you) in also)) next
        if (you != "" && me != you && level[you] < level[me]) next
        print FILENAME ":" FNR ": " me " must not include " to
    }' tests/tidy/layers.txt $(ours 'core/*.[ch]' 'ledger/*.[ch]' 'net/*.[ch]' 'gpu/*.[ch]' 'modules/*.[ch]' 'lua/bind/*.[ch]' |
        grep -vE '/(test|fuzz|bench)_[^/]*$')
}

objects() { # OBJECT SOURCE of everything that is linked into quoin
    find "$build"/CMakeFiles/qn.dir "$build"/CMakeFiles/qnlua.dir "$build"/CMakeFiles/quoin.dir -name '*.c.o' 2>/dev/null | while read -r o; do
        src=${o#*.dir/}
        [ -f "${src%.o}" ] && echo "$o ${src%.o}"
    done
}

check_globals() { # nothing writable lives outside a struct that is handed in
    [ -d "$build/CMakeFiles/qn.dir" ] || { echo "no objects in $build: ./build.sh build"; return; }
    objects | while read -r o src; do
        nm --format=sysv --defined-only "$o" 2>/dev/null | awk -F'|' -v src="$src" '
            { gsub(/ /, "", $1); gsub(/ /, "", $7) }
            $7 ~ /^\.(data|bss|tdata|tbss)(\.|$)/ && $7 !~ /^\.data\.rel\.ro/ && $7 !~ /^\.data\.rel\.local\.ro/ { print src ": writable global " $1 " in " $7 }'
    done
}

# tests/tidy/names.txt holds what landed before its rule; lines only ever leave it.
check_names() { # in core, ledger and lua an exported name starts with qn_, its folder or its file; a file opens with its own name
    objects | grep -vE ' lua/vm/| core/cli/main.c| modules/| gpu/' | while read -r o src; do
        stem=$(basename "$src" .c)
        # shellcheck disable=SC2086
        nm -g --defined-only "$o" | awk -v src="$src" -v stem="$stem" -v words="$(dirname "$src" | tr / ' ') ${stem%%_*}" '
            BEGIN { cnt = split("qn " stem " " words, w, " ") }
            { ok = $3 ~ /_record$/; for (i = 1; i <= cnt; i++) ok = ok || index(tolower($3), w[i]) == 1
              if (!ok) print src ": exported name " $3 " starts with neither qn_ nor its file or folder" }'
    done
    ours '*.c' '*.h' | while read -r f; do
        head -3 "$f" | grep -qF "$(basename "$f") - " || echo "$f: does not open with \"$(basename "$f") - what it is for\""
    done
    ours | grep -E '[A-Z ]' | grep -vE '(^|/)(README|LICENSE|NOTICE|CHANGELOG|CMakeLists|CMakePresets)[^/]*$|^docs/ref/err/|^tests/corpus/' |
        sed 's/$/: a file name has small letters/'
    for dir in modules/*/; do
        name=$(basename "$dir")
        grep -q "MODULE($name)" modules/modules.def || echo "$dir: not in modules/modules.def"
        [ -f "$dir/README.md" ] || echo "$dir: has no README.md"
    done
}

check_format() {
    ours '*.c' '*.h' | xargs -r clang-format --dry-run -Werror 2>&1 | grep -E 'error:' | sed 's/: error.*/: clang-format would change it/' | sort -u -t: -k1,1
}

check_errors() { # every error code has its page, every page its code
    local codes
    codes=$(sed -n 's/^ERR(\([A-Z]*\),.*/\1/p' core/base/err.def)
    for code in $codes; do
        [ -f "docs/ref/err/$code.md" ] || echo "core/base/err.def: $code has no page docs/ref/err/$code.md"
    done
    for page in docs/ref/err/*.md; do
        grep -qx "$(basename "$page" .md)" <<<"$codes" || echo "$page: there is no such code"
        for word in What Why Do Example; do grep -q "^\*\*$word\*\*" "$page" || echo "$page: no **$word** in it"; done
    done
}

check_fuzz() { # every fuzz target has seeds
    ours '*/fuzz_*.c' | while read -r f; do
        name=$(basename "$f" .c)
        [ -n "$(ls "tests/corpus/$name" 2>/dev/null)" ] || echo "$f: no seeds in tests/corpus/$name"
    done
}

check_scripts() {
    local f
    for f in $(ours '*.sh'); do bash -n "$f" || echo "$f: does not parse"; done
}

check_tree() { # the tree stands alone: no path of one machine, no host in a lock file, no mark of unfinished work
    git ls-files | grep -vE '^tests/(tidy/run.sh|corpus/|golden/)|^lua/vm/' | xargs grep -nIE '(^|[^A-Za-z0-9_.-])/(work|root)/[a-z]|"resolved": "http|<<<<<<<|>>>>>>>|\bXXX\b|\bTODO\b' 2>/dev/null |
        sed 's/$/   <- not for the tree/'
}

for one in ${1:-layers globals names format errors fuzz scripts tree}; do
    lines=$("check_$one" | grep -vxFf tests/tidy/names.txt)
    if [ -n "$lines" ]; then
        while read -r line; do say "$one: $line"; done <<<"$lines"
    else
        echo "$one: clean"
    fi
done
[ $bad = 0 ] && echo "tidy: clean" || echo "tidy: $bad to mend"
[ $bad = 0 ]
