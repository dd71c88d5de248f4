#!/usr/bin/env bash
# The command line: every command has help with an example, wrong words name the nearest right one, settings come from where they should,
# completion works in the shells themselves, the manual page is clean.
. tests/lib.sh
export HOME=$tmp XDG_CONFIG_HOME=$tmp/conf
unset QUOIN_HOME QUOIN_CONFIG QUOIN_API XDG_DATA_HOME

# Help and reference
bad=""
while read -r name; do
    # shellcheck disable=SC2086
    "$q" $name --help | grep -A1 "^Example:" | grep -q "^  quoin " || bad="$bad [$name]"
done < <("$q" help --json | jq -r .name)
check "every command's help ends with its example" "" "$bad"
check "commands are many" true "$("$q" help --json | jq -s 'length > 60')"
for flag in $("$q" config show --json | jq -r .name | tr _ - | sed 's/^modules$/enable/'); do
    check "--$flag is in the help of up, and in the manual" "1 1" "$("$q" up --help | grep -c -- "^  --$flag ") $("$q" help --man | grep -c "Fl Fl $flag\$")"
done
for flag in $("$q" help | sed -n '/^Global flags:/,/^$/p' | grep -oE '^  -[a-z-]+'); do
    check "$flag is in the manual" 1 "$("$q" help --man | sed -n '/takes:$/,/^.El/p' | grep -cE "^\.It Fl ${flag#-}( Ar .*)?$")"
done
check "of which there are some" true "$([ "$("$q" help | grep -cE '^  -')" -ge 12 ] && echo true)"
bad=""
for part in $("$q" help ref | awk '{print $4}'); do [ "$("$q" help ref "$part" | wc -l)" -ge 8 ] || bad="$bad $part"; done
check "every part of the reference prints" "" "$bad"
bad=""
for code in $("$q" help ref errors | sed -n 's/^| `\([A-Z]*\)`.*/\1/p'); do "$q" explain "$code" | grep -q '^Do: ' || bad="$bad $code"; done
check "every error code is explained" "" "$bad"
"$q" explain FUNSD 2>"$tmp/err"
check "an unknown code: exit 3" 3 $?
check "names the nearest" 1 "$(grep -c 'did you mean FUNDS' "$tmp/err")"
"$q" help --man >"$tmp/quoin.1"
check "the manual page is clean" "" "$(mandoc -T lint -W warning "$tmp/quoin.1")"

# Words
"$q" walet new 2>"$tmp/err"
check "a wrong noun: exit 2" 2 $?
check "names the nearest" 1 "$(grep -c 'did you mean "quoin wallet new"' "$tmp/err")"
said() { # WHAT EXIT WORDS COMMAND..: it ends with that status and says so
    local what=$1 exit=$2 words=$3
    shift 3
    "$q" "$@" >/dev/null 2>"$tmp/err" </dev/null
    check "$what" "$exit 1" "$? $(grep -c -- "$words" "$tmp/err")"
}
said "a noun with a letter too many" 2 'did you mean "quoin net"?' nett
said "its verb" 2 'did you mean "quoin net peers"?' nett peers
said "a verb that a noun has not" 2 'gov has list, propose, vote' gov params
said "a word like nothing" 2 'quoin help lists them all' foo
said "a flag of up with a letter wrong" 2 'up has no flag --lsten; did you mean --listen?' up --lsten x --home "$tmp/fresh"
said "a flag of up without its value" 2 '\-\-join wants a value: nodes to connect to' up --join --home "$tmp/fresh"
said "a word that up does not take" 2 'up takes no word "foo"' up foo --home "$tmp/fresh"
said "a flag of a command" 2 'did you mean --amount?' wallet send --amuont 1
said "one that is like none" 2 'only --addr' net dial --bogus
said "a flag before a command" 2 'no flag --bogus before' --bogus
said "a call with a letter wrong" 3 'did you mean node.status?' call node.sttus
said "a home too long for a socket" 2 'choose a shorter --home' up --api 127.0.0.1:0 --home "$tmp/$(printf 'x%.0s' {1..100})"
said "a node that is no address" 2 'takes the path of a socket or IP:PORT, not "foo"' status --node foo
said "a home without a node, and how to start it" 3 "quoin up --home $tmp/nowhere" status --home "$tmp/nowhere"
said "nothing is made of a home that is none" 3 'holds no chain' ledger repair --home "$tmp/nowhere"
check "nor is it there afterwards" "" "$(ls "$tmp/nowhere" 2>/dev/null)"
for n in 0 65 1000 -1 4x 1.5; do said "a devnet of $n" 2 'a number of nodes from 1 to 64' devnet $n; done
said "help about the command at hand" 2 'try   quoin help net dial  ' net dial --bogus
check "in JSON, too" "quoin help net dial" "$("$q" net dial --bogus --json 2>&1 >/dev/null | jq -r .error.hint)"
while read -r name val takes; do
    said "up --$name $val" 2 "$name takes $takes" up --home "$tmp/fresh" --api 127.0.0.1:0 "--$name" "$val"
    said "config set $name $val" 2 "$name takes $takes" config set --home "$tmp/fresh" "$name" "$val"
done <<'END'
join foo IP:PORT, NAME:PORT
join 127.0.0.1:1,foo IP:PORT, NAME:PORT
join /ip4/192.0.2.7 IP:PORT, NAME:PORT
join /ip4/192.0.2.7/udp/4460/quic-v1 IP:PORT, NAME:PORT
listen foo:1 IP:PORT
nat foo auto, off
sync foo auto, snapshot or blocks
trust 11@7 HASH@HEIGHT
END
check "what fits is taken" "0 0 0" "$(for w in "join 192.0.2.7:4460,node.example:1" "nat natpmp:192.0.2.1" "listen [::1]:0"; do "$q" config set --home "$tmp/set" $w -q; echo $?; done | xargs)"
check "a module's verb, too, fails as JSON on stderr" "USAGE" "$("$q" proof bits --json 2>&1 >/dev/null | jq -r .error.code)"
check "a verb is told once" "" "$("$q" help --json | jq -r .name | sort | uniq -d)"
"$q" wallet new a --jsn 2>/dev/null
check "one word too many: exit 2" 2 $?
"$q" status --home 2>/dev/null
check "a flag without its value: exit 2" 2 $?
(mkdir "$tmp/here" && cd "$tmp/here" && "$q" up --home "" --api 127.0.0.1:0 2>/dev/null)
check "a home without a name: exit 2" 2 $?
check "and the folder one stands in stays as it was" "" "$(ls -A "$tmp/here")"
check "an error is one JSON object on stderr" NONODE "$("$q" status --json 2>&1 >/dev/null | jq -r .error.code)"
"$q" status >"$tmp/out" 2>/dev/null
check "no node: exit 3" 3 $?
check "and stdout stays empty" 0 "$(wc -c <"$tmp/out")"
check "quoin alone says how to begin" 1 "$("$q" | grep -c 'quoin demo')"

"$q" status --bogus 2>/dev/null
check "a flag that status does not have: exit 2" 2 $?
"$q" wallet send alice 1QN 2>"$tmp/err"
check "a name without its @: exit 2" 2 $?
check "says how a name is written" 1 "$(grep -c 'or @NAME of a key' "$tmp/err")"
check "a module's verb, too, fails with JSON" USAGE "$("$q" subnet epoch --json 2>&1 >/dev/null | jq -r .error.code)"
for addr in 0.0.0.0:7846 127.0.0.1:99999 xx; do
    "$q" up --home "$tmp/open" --api $addr 2>/dev/null
    check "--api $addr: exit 2" 2 $?
    "$q" config set api $addr 2>/dev/null
    check "config set api $addr: exit 2" 2 $?
done

# Settings: flag over environment over set.lua over quoin.lua over default
setting() { "$q" config show --json "$@" | jq -r 'select(.name=="api")|"\(.value) \(.origin)"'; }
check "default" "127.0.0.1:7846 default" "$(setting)"
mkdir -p "$XDG_CONFIG_HOME/quoin"
conf=$XDG_CONFIG_HOME/quoin/quoin.lua
printf -- '-- mine\nlocal port = 7000 + 1\napi = "127.0.0.1:" .. port\n' >"$conf"
check "quoin.lua, with its line" "127.0.0.1:7001 $conf:3" "$(setting)"
check "config set" 0 "$("$q" config set api 127.0.0.1:7002 -q; echo $?)"
"$q" config set disable agents,compute -q
check "set.lua stands over it" "127.0.0.1:7002 $tmp/.local/share/quoin/set.lua:2" "$(setting)"
check "and keeps what it held" "agents,compute" "$("$q" config show --json | jq -r 'select(.name=="disable").value|join(",")')"
check "the environment over that" "127.0.0.1:7003 QUOIN_API" "$(QUOIN_API=127.0.0.1:7003 setting)"
check "a flag over all" "127.0.0.1:7004 --set" "$(QUOIN_API=127.0.0.1:7003 setting --set api=127.0.0.1:7004)"
refuse() { # WHAT CONTENT WORDS: quoin.lua with CONTENT is refused with exit 78 and WORDS
    printf '%b' "$2" >"$tmp/bad.lua"
    "$q" config check "$tmp/bad.lua" 2>"$tmp/err"
    check "$1: exit 78" 78 $?
    check "$1: says where" 1 "$(grep -c "$3" "$tmp/err")"
}
refuse "an unknown setting" '\napii = "x"\n' 'bad.lua:2: there is no setting "apii"; did you mean "api"?'
refuse "a number out of range" 'store_map_gib = 0\n' 'bad.lua:1: store_map_gib takes a number from 1 to 65536'
refuse "not Lua" 'api = = 1\n' 'bad.lua:1:'
refuse "settings that are returned" 'return { listen = "127.0.0.1:0" }\n' 'bad.lua: what a file of settings returns is not read; assign each'
refuse "an endless loop" 'while true do end\n' 'bad.lua'
refuse "a memory bomb" 'local s = "x" while true do s = s .. s end\n' 'memory\|gas'
refuse "the machine" 'api = os.getenv("HOME")\n' 'bad.lua:1:'
check "config show says which file counts" "of $conf" "$("$q" config show 2>&1 >/dev/null)"
mkdir "$tmp/stray" && touch "$tmp/stray/quoin.lua"
check "a quoin.lua in the home is not read, and that is said" 1 "$("$q" config show --home "$tmp/stray" 2>&1 >/dev/null | grep -c 'stray/quoin.lua is not read; name it with --config')"
"$q" up --config "$tmp/bad.lua" >/dev/null 2>&1
check "up refuses a bad file: exit 78" 78 $?
"$q" up --enable nosuch >/dev/null 2>"$tmp/err"
check "an unknown module: exit 2" 2 $?
rm -f "$conf" "$tmp/.local/share/quoin/set.lua"

# What `up` cannot begin with
"$q" up --home "$tmp/fresh" --sync snapshot 2>"$tmp/err"
check "--sync snapshot without --join: exit 2" "2 1" "$? $(grep -c 'needs --join' "$tmp/err")"
"$q" up --home "$tmp/fresh" --trust "$(printf '%064d' 1)@7" 2>"$tmp/err"
check "--trust without --join: exit 2" "2 1" "$? $(grep -c 'needs --join' "$tmp/err")"
check "and no home is made" "" "$(ls "$tmp/fresh" 2>/dev/null)"
: >"$tmp/empty"
for file in /etc/passwd "$tmp/empty"; do
    "$q" up --home "$tmp/fresh" --api 127.0.0.1:0 --genesis "$file" --json 2>"$tmp/err"
    check "$file is not a genesis, as JSON" "78 $file is not a genesis" "$? $(jq -r .error.text "$tmp/err")"
done

for sig in TERM INT; do # while it waits for a genesis; a script's children do not hear SIGINT
    env --default-signal=INT "$q" up --home "$tmp/fresh" --api 127.0.0.1:0 --join 127.0.0.1:9 >/dev/null 2>"$tmp/err" &
    up=$!
    for _ in $(seq 100); do grep -q 'dialled again' "$tmp/err" && break; sleep 0.1; done
    kill -$sig $up
    wait $up
    check "SIG$sig before there is a chain: a clean end" 0 $?
    check "whom it waits for was told" 1 "$(grep -c 'join: 127.0.0.1:9: Connection refused; dialled again for 30 s' "$tmp/err")"
done

# A node, seen through the words
start --disable agents
check "up" 0 $?
check "a module is off" false "$(n config modules --json | jq 'select(.name=="agents").on')"
n call channel.get '{"id":"'"$(printf '%064d' 0)"'"}' >/dev/null 2>"$tmp/err"
check "its calls are not there: exit 3" 3 $?
n wallet new alice -q
for _ in 1 2 3; do n wallet send @alice 1QN -q; done
check "one object a line, and the next page" "true 3" "$(n block list --limit 2 --json | jq -s 'map(type=="object")|all' | tr -d '\n') $(n block list --limit 2 --json | wc -l)"
check "fields" '{"balance_uqn":3000000}' "$(n wallet balance alice --fields balance_uqn --json)"
check "a table's first line are its names" "height time txs hash" "$(n block list --limit 2 | head -1 | xargs)"
check "and can be left out" "2 4" "$(n block list --limit 2 --no-header | wc -l) $(n block list --limit 1 --no-header | awk -F'\t' '{print NF}')"
check "names without the unit that stands behind each value" "1 1" "$(n wallet balance alice | grep -c '^balance  *3.000000 QN$') $(n status | grep -cE '^up +[0-9.]+ m?s$')"
check "but where another has that name" "1 1" "$(n validator set | grep -c '^epoch  *0$') $(n validator set | grep -c '^epoch_ms  *1 min 0 s$')"
check "times in words" 1 "$(n block list --limit 1 --no-header | cut -f2 | grep -cE '^20[0-9-]+T[0-9:.]+Z$')"
check "an object inside another, line by line" 1 "$(n block get 1 | grep -cE '^block.header.height +1$')"
check "a list inside, below it" 1 "$(n block get 1 | grep -A1 '^cert.votes$' | grep -c '^  signer  sig')"
check "rows of the ledger, with what is in them" 1 "$(n ledger list account | head -1 | grep -c 'value.balance')"
n ledger prove account @alice -o "$tmp/row.qp" -q
check "what a proof shows, for people" "1 1" "$("$q" ledger verify "$tmp/row.qp" 2>/dev/null | grep -c '^table  *account$') $("$q" ledger verify "$tmp/row.qp" 2>/dev/null | grep -c '^value.balance  *3000000$')"
n ledger list account --proof "$tmp/rows.qp" -q
check "of a list, too" 1 "$("$q" ledger verify "$tmp/rows.qp" 2>/dev/null | grep -cE '^  key +value.balance +value.what')"
check "modules in one line, those that are off with a minus" 1 "$(n status | grep -cE '^modules .*compute.*, -agents')"
n status --fields height,bogus >"$tmp/out" 2>"$tmp/err"
check "a field that is not there" "1 1" "$(wc -l <"$tmp/out") $(grep -c 'there is no field bogus; there are version chain' "$tmp/err")"
n status --fields bogus,nosuch >"$tmp/out" 2>"$tmp/err"
check "fields of which there is none: exit 2" "2 0 1" "$? $(wc -l <"$tmp/out") $(grep -c 'there is no field bogus,nosuch; there are version chain' "$tmp/err")"
check "in JSON, too" USAGE "$(n block list --limit 1 --fields nosuch --json 2>&1 >"$tmp/out" | jq -r .error.code)$(cat "$tmp/out")"
n status >/dev/full 2>"$tmp/err"
check "a full disk under stdout: exit 5" "5 1" "$? $(grep -c 'No space left' "$tmp/err")"
if command -v script >/dev/null; then # a terminal
    tty() { script -qec "stty cols 100; $q --home $home $*" /dev/null </dev/null 2>&1 | tr -d '\r'; }
    check "a terminal's columns stand under their names" 1 "$(tty block list --limit 1 | head -1 | grep -c '^height  time  ')"
    check "rows too wide for it are cards" 1 "$(tty validator list | grep -c '^commission_ppm *0$')"
    check "an empty list says so" none "$(tty evidence list)"
fi
check "a pipe gets tabs and no escapes" 0 "$(n block list --limit 3 | grep -c "$(printf '\033')\|\r")"
said "an amount that is too much" 2 'the largest is 21000000QN' wallet send @owner 99999999999999QN --home "$home"
said "an amount of seven decimals" 2 'at most six decimals' wallet send @owner 1.0000001QN --home "$home"
said "an address that is none" 2 'qn1foo is no address' ledger prove account qn1foo --home "$home"
said "a key that is none" 2 'expected hex digits' ledger prove account zz --home "$home"
said "a call's words are off: exit 2" 2 'limit: expected a whole number' gov list --limit x --home "$home"
said "so with JSON-RPC's, HTTP's" 2 'takes no parameters' call node.status '{"a":1}' --home "$home"
said "a field that is called as a flag of all commands" 3 'there is no such mandate' mandate revoke --mandate "$(printf '%064d' 7)" --home "$home"
said "another, of a hash" 3 'no order has that id' order cancel --order "$(printf '%064d' 7)" --home "$home"
said "whose stake" 2 'quoin stake list @owner' stake list --home "$home"
said "a transaction without a word" 2 'it takes --validator --amount' validator delegate --home "$home"
said "what the ledger refuses of it: exit 2" 2 'a validator begins with' validator create 1uqn --key alice --home "$home"
said "a body to encode" 2 'to: expected 64 hex digits' tx encode wallet.send '{"to":"@a","amount":99999999999999999}' --home "$home"
said "an account of no key" 3 'there is no key "nobody"' wallet send @nobody 1QN --home "$home"
said "a node that was named" 3 'no node answers at http://127.0.0.1:9 ' status --node http://127.0.0.1:9
api=http://$(cat "$home/api")
check "one of this machine is asked by its address alone" "$(n status --json | jq -r .chain)" "$("$q" --node "$api" status --json | jq -r .chain)"
check "or without http" "$(n status --json | jq -r .chain)" "$("$q" --node "${api#http://}" status --json 2>&1 | jq -r .chain)"
mkdir -p "$HOME/.local/share/quoin"
printf 00112233 >"$HOME/.local/share/quoin/cookie"
check "a cookie of another home is not sent to it" 0 "$("$q" --node "$api" status >/dev/null 2>&1; echo $?)"
check "a home that was named is the one that counts" 4 "$("$q" --node "$api" --home "$HOME/.local/share/quoin" status >/dev/null 2>&1; echo $?)"
rm "$HOME/.local/share/quoin/cookie"
said "a port that is none" 2 'from 1 to 65535' status --node http://127.0.0.1:99999
if [ "$(id -u)" = 0 ]; then # somebody else
    chmod 755 "$tmp"
    as() { setpriv --reuid=65534 --regid=65534 --clear-groups "$q" "$@" --home "$home" 3>/dev/null 2>&1 1>&3; }
    check "a node of somebody else" "1 4" "$(as status | grep -c 'no permission') $(as status >/dev/null; echo $?)"
    said_by() { setpriv --reuid=65534 --regid=65534 --clear-groups "$q" "$@" 3>/dev/null 2>&1 1>&3; }
    check "nor is its cookie to be had" 1 "$(said_by --node "http://$(cat "$home/api")" status | grep -c 'wants its cookie')"
    check "a wallet of somebody else" "1 1" "$(as wallet list | grep -c 'Permission denied') $(as wallet send @owner 1QN | grep -c 'owner.key: Permission denied .AUTH')"
fi
chmod 644 "$home/wallet/alice.key"
said "a key that others may read" 4 'mode 0644' wallet send @owner 1QN --as alice --home "$home"
said "in a list" 4 'mode 0644' wallet list --home "$home"
chmod 600 "$home/wallet/alice.key"
n block list | head -1 >/dev/null
check "a closed pipe is no error" "" "$(n block list 2>&1 >/dev/null | head -1)"
check "doctor ends with its count" true "$(n doctor --json | tail -1 | jq .ok)"
check "quoin alone is its status" 1 "$(n | grep -c '^height')"
n wallet send @alice 1uqn --wait pool --json | jq -e .tx >/dev/null
check "--wait pool answers with the id" 0 $?
check "--timeout" 6 "$(n job wait "$(printf '%064d' 1)" --timeout 100ms >/dev/null 2>&1; r=$?; [ $r = 3 ] && echo 6 || echo $r)"

# Completion, in the shells
b='. <("$QUOIN" completion bash); COMP_WORDS=("$QUOIN" wal); COMP_CWORD=1; _quoin; echo "${COMPREPLY[@]}"'
check "bash: nouns" wallet "$(bash -c "$b")"
b='. <("$QUOIN" completion bash); COMP_WORDS=("$QUOIN" wallet ba); COMP_CWORD=2; _quoin; echo "${COMPREPLY[@]}"'
check "bash: verbs" balance "$(bash -c "$b")"
if command -v zsh >/dev/null; then
    check "zsh" 1 "$(zsh -fc 'autoload -U compinit; compinit -u -D; eval "$($QUOIN completion zsh)"; print $_comps[quoin]' 2>/dev/null | grep -c _quoin)"
    check "zsh: words" 1 "$(zsh -fc 'words=($QUOIN wallet ""); CURRENT=3; compadd() { print -l ${(P)2} }; compdef() { : }; eval "$($QUOIN completion zsh)"; _quoin' 2>/dev/null | grep -cx balance)"
fi
if command -v fish >/dev/null; then
    ln -sf "$q" "$tmp/quoin"
    check "fish" 1 "$(PATH=$tmp:$PATH fish --no-config -c 'quoin completion fish | source; complete -C "quoin wallet ba"' | grep -c '^balance')"
    touch "$tmp/a file"
    fish_says() { (cd "$tmp" && PATH=$tmp:$PATH fish --no-config -c "quoin completion fish | source; complete -C 'quoin $1'" | xargs); }
    check "fish: no file where a word stands" balance "$(fish_says 'wallet a')"
    check "fish: files where one may" "a file" "$(fish_says 'blob add a')"
fi
b='. <("$QUOIN" completion bash); COMP_WORDS=("$QUOIN" up --sn); COMP_CWORD=2; _quoin; echo "${COMPREPLY[@]}"'
check "bash: flags of up" --snapshots "$(bash -c "$b")"
check "values of a flag of up" "auto snapshot blocks" "$("$q" __complete up --sync | xargs)"
check "flags of devnet" 1 "$("$q" __complete devnet | grep -cx -- --restart)"
check "flags of a verb of two words" 1 "$("$q" __complete snapshot restore | grep -cx -- --home)"
check "flags of a command" 1 "$("$q" __complete wallet send | grep -cx -- --amount)"
may() { QUOIN_CUR=$1 n __complete "${@:2}" | xargs; } # CUR WORD..: what may stand there
check "keys that sign" "$(n wallet list --json | jq -r .name | xargs)" "$(may "" wallet send --as)"
check "keys of a balance" 1 "$(may al wallet balance | grep -cw alice)"
check "accounts of keys" 1 "$(may @ wallet send | grep -cw @alice)"
check "ids of validators" "$(n validator list --json | jq -r .id)" "$(may "" validator delegate --validator)"
check "and without the flag" "$(n validator list --json | jq -r .id)" "$(may "" validator delegate)"
check "words of a vote" "no yes abstain" "$(may "" gov vote --choice)"
check "parameters" 1 "$(may "" gov propose --param | grep -cw gov_vote_ms)"
check "tables, then keys" "1 1" "$(may "" ledger prove | grep -cw validator) $(may "" ledger prove account | grep -cw @owner)"
check "nouns and verbs of help" "1 1 1" "$(may "" help | grep -cw wallet) $(may "" help wallet | grep -cw send) $(may "" help ref | grep -cw wire)"
check "settings and their words" "1 auto snapshot blocks" "$(may "" config set | grep -cw keep_days) $(may "" config set sync)"
check "calls" 1 "$(may "" call | grep -cw node.status)"
check "files: nothing of ours" "" "$(may "" snapshot verify; may "" --home; may "" lua)"
check "flags once one is begun" "1 0" "$(may -- ledger list | grep -cw -- --proof) $(may "" ledger list | grep -cw -- --proof)"
check "flags where there is nothing else" 1 "$(may "" devnet | grep -cw -- --restart)"
check "ids from the node" true "$(n __complete block get | grep -cE '^[0-9]+$' | jq '. > 2')"
kill -STOP "$pid"
begin=$(date +%s%N)
n __complete block get >/dev/null
took_ms=$((($(date +%s%N) - begin) / 1000000))
check "a node that hangs costs a moment ($took_ms ms)" 1 $((took_ms < 3000))
kill -CONT "$pid"

# What is in the file
grep -q __asan_init "$q" || # a sanitizer's build is for looking at, not for giving away
    check "static" 1 "$(file "$q" | grep -c 'static-pie linked\|statically linked')"
check "licences of all parts" true "$("$q" version --json | jq '.parts | length >= 10 and all(.licence != "")')"
part() { "$q" version --json | jq -r --arg n "$1" '.parts[]|select(.name==$n).version' | grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)?' | head -1; }
deb() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null | grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)?' | head -1; }
for pair in libevent:libevent-dev LMDB:liblmdb-dev libsodium:libsodium-dev jansson:libjansson-dev OpenSSL:libssl-dev libseccomp:libseccomp-dev glibc:libc6-dev; do
    want=$(deb "${pair#*:}")
    [ -z "$want" ] || check "version of ${pair%:*}" "$want" "$(part "${pair%:*}")"
done
# What help shows works as it stands, on a chain of minutes.
ln -sf "$q" "$tmp/quoin"
while read -r name; do
    # shellcheck disable=SC2086
    example=$(n help $name | tail -1)
    check "the example of $name:$example" "" "$(cd "$tmp" && QUOIN_HOME=$home PATH=$tmp:$PATH timeout 20 bash -c "$example" 2>&1 >/dev/null || echo "exit $?")"
done <<'END'
wallet send
wallet list
wallet balance
status
block list
validator create
validator list
validator set
validator edit
validator bond
validator delegate
validator redelegate
validator undelegate
validator unbond
stake list
gov propose
gov list
gov vote
param list
evidence list
ledger prove
ledger list
ledger scrub
ledger audit
tx kinds
call
END
check "when the epoch ends" true "$(n validator set --json | jq '.ends_ms > 1700000000000')"
stop
check "clean stop" 0 $?
finish
