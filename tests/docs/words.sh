#!/usr/bin/env bash
# What the pages name is there: each command and flag that README, docs and the README of a module show, in the binary; each file and test, in the
# tree; each error, with its page.
. tests/lib.sh
export HOME=$tmp
pages=(README.md docs/*/*.md docs/ref/err/*.md)
while read -r page; do pages+=("$page"); done < <(find core gpu ledger lua modules net tests packaging -name README.md -not -path '*/node_modules/*')

"$q" help --json | jq -r '.name + "\t" + ([(.args | scan("--[a-z_-]+")), (.fields.properties // {} | keys[] | "--" + .)] | join(" "))' >"$tmp/commands"
settings=$("$q" config show --json | jq -r .name | tr _ - | sed 's/^/--/; s/^--modules$/--enable/' | xargs)
global="$("$q" help | sed -n '/^Global flags:/,/^$/p' | grep -oE '^  --[a-z-]+' | xargs) --no-wait --timeout-ms --help --version --limit"

# shown PAGE: each command line of it: in backquotes, or a line of a block.
shown() {
    {
        grep -oE '`(build/)?quoin [^`]+`' "$1" | tr -d '`'
        awk '/^```/ {on = !on; next} on && /^(\$ )?(build\/)?quoin / {sub(/^\$ /, ""); print}' "$1"
    } | sed -E 's/(  +|; |\| |&& )quoin /\nquoin /g'
}
lines=0
for page in "${pages[@]}"; do
    while read -r line; do
        read -r _ noun verb _ <<<"$line"
        case "$page $noun $verb" in
        *" -"* | *"NOUN VERB"* | "docs/why/hacking.md guest"* | "docs/why/architecture.md worker"* | "docs/ref/err/USAGE.md wallet snd") continue ;;
        esac
        lines=$((lines + 1))
        name=$(cut -f1 "$tmp/commands" | grep -Fx -e "$noun $verb" || cut -f1 "$tmp/commands" | grep -Fx -e "$noun")
        if [ -z "$name" ]; then # a noun alone lists its verbs
            case ${verb:---} in --*) name=$(grep -om1 "^$noun " "$tmp/commands" | tr -d ' ') ;; esac
        fi
        [ -n "$name" ] || { check "$page: quoin $noun $verb is a command" yes no; continue; }
        has=" $(grep -P "^$name\t" "$tmp/commands" | cut -f2) $global "
        [ "$name" != up ] || has="$has$settings "
        for flag in $(sed 's/ [|>&#].*//' <<<"$line" | grep -oE '(^| )--[a-z][a-z_-]*' | tr -d ' '); do
            case "$has" in *" $flag "* | *" ${flag//-/_} "*) continue ;; esac
            [[ "$has" == *" --${flag:2} "* || "$has" == *" --$(tr - _ <<<"${flag:2}") "* ]] || check "$page: quoin $name has $flag" yes no
        done
    done < <(shown "$page")
    # Paths of the tree, and programs that are built of it.
    for path in $(grep -oE '`(core|docs|gpu|ledger|lua|modules|net|packaging|tests)/[A-Za-z0-9_./*-]+`' "$page" | tr -d '`'); do
        [[ "$page $path" == "docs/why/hacking.md modules/guest"* ]] || compgen -G "$path" >/dev/null || check "$page: $path is there" yes no
    done
    for built in $(grep -oE '\bbuild/(test|bench|fuzz)_[a-z0-9_]+' "$page"); do
        [ -n "$(find core gpu ledger lua modules net tests -name "$(basename "$built").c")" ] || check "$page: $built is built" yes no
    done
done
check "command lines were seen" true "$([ $lines -ge 150 ] && echo true)"
check "each error has its page, each page its error" "$("$q" help ref errors | sed -n 's/^| `\([A-Z]*\)`.*/\1/p' | sort | xargs)" \
    "$(find docs/ref/err -name '*.md' -printf '%f\n' | sed 's/\.md$//' | sort | xargs)"
finish
