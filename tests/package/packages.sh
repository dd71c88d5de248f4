#!/usr/bin/env bash
# The deb and the rpm: each installed into a root of its own, started there, upgraded with the node's data kept, removed with the data kept.
[ "$(id -u)" = 0 ] || exec unshare -r bash "$0" "$@"
. tests/lib.sh
pkg=$tmp/pkg
packaging/make.sh 0.1.0 "$pkg" >/dev/null
check "packages of one version" 0 $?
packaging/make.sh 0.1.1 "$pkg" >/dev/null
check "and of the next" 0 $?
deb() { ls "$pkg"/quoin_"$1"_*.deb; }
rpm_file() { ls "$pkg"/quoin-"$1"-1.*.rpm; }

lintian --no-tag-display-limit "$(deb 0.1.0)" >"$tmp/lintian" 2>/dev/null
check "lintian shows no error" "" "$(grep '^E:' "$tmp/lintian")"
size=$(stat -c %s "$q")
strip -o "$tmp/stripped" "$q"
check "at most 16 MB stripped ($(($(stat -c %s "$tmp/stripped") / 1000)) kB)" 1 $(($(stat -c %s "$tmp/stripped") <= 16000000))
[ "$size" -gt 0 ]
if command -v systemd-analyze >/dev/null; then
    systemd-analyze security --offline=true --threshold=12 packaging/quoin.service >"$tmp/security" 2>&1
    check "the unit's exposure is at most 1.2: $(grep -o 'level.*: [0-9.]*' "$tmp/security")" 0 $?
    cp packaging/quoin.service "$tmp/quoin.service"
    sed -i 's|/usr/bin/quoin|/bin/true|' "$tmp/quoin.service"
    systemd-analyze verify "$tmp/quoin.service" >"$tmp/verify" 2>&1
    check "the unit is well-formed" "" "$(grep -i 'quoin.service:[0-9]*:' "$tmp/verify")"
fi

# A root with nothing in it but what a script of rpm needs to run: a shell and its libraries.
make_root() { # DIR
    mkdir -p "$1"/{bin,lib64,usr/bin,var/lib/quoin,tmp,etc,dev}
    cp /bin/sh "$1/bin/sh"
    ldd /bin/sh | grep -o '/[^ ]*' | while read -r lib; do mkdir -p "$1$(dirname "$lib")" && cp "$lib" "$1$lib"; done
}
inside() { # DIR QUOIN-ARG..: the installed program, in its root
    chroot "$1" /usr/bin/quoin --home /var/lib/quoin --config /etc/quoin/quoin.lua "${@:2}"
}
up_in() { # DIR
    chroot "$1" /usr/bin/quoin --home /var/lib/quoin --config /etc/quoin/quoin.lua up --api 127.0.0.1:0 --json >"$tmp/up.log" 2>"$tmp/up.err" &
    pid=$!
    for _ in $(seq 400); do
        grep -q '"event":"ready"' "$tmp/up.log" && return 0
        kill -0 $pid 2>/dev/null || { cat "$tmp/up.err"; return 1; }
        sleep 0.05
    done
    return 1
}
# walk NAME DIR INSTALL UPGRADE REMOVE: the life of a package
walk() {
    local name=$1 root=$2 before
    make_root "$root"
    "$3" "$root" >"$tmp/log" 2>&1
    check "$name installs" 0 $?
    [ -x "$root/usr/bin/quoin" ] || cat "$tmp/log"
    check "$name: version runs in the root" 0 "$(chroot "$root" /usr/bin/quoin version >/dev/null; echo $?)"
    sha256sum <"$root/usr/bin/quoin" >"$tmp/sum.$name"
    check "$name: settings are well-formed" 0 "$(inside "$root" config check >/dev/null; echo $?)"
    check "$name: manual page" 0 "$(gzip -dc "$root"/usr/share/man/man1/quoin.1.gz | mandoc -T lint -W error >/dev/null 2>&1; echo $?)"
    check "$name: nothing runs after installation" 1 "$([ -e "$root/var/lib/quoin/lock" ]; echo $?)"
    up_in "$root"
    check "$name starts" 0 $?
    check "$name: money moves" 0 "$(inside "$root" wallet new bob -q && inside "$root" wallet send @bob 2QN --json | jq .rc)"
    stop
    check "$name stops" 0 $?
    before=$(inside "$root" ledger replay --json | jq -r '.state_root + (.height|tostring)')
    echo 'disable = { "agents" }' >>"$root/etc/quoin/quoin.lua"
    "$4" "$root" >"$tmp/log" 2>&1
    check "$name upgrades" 0 $?
    check "$name: changed settings stay" 1 "$(grep -c '^disable' "$root/etc/quoin/quoin.lua")"
    check "$name: the chain is as it was" "$before" "$(inside "$root" ledger replay --json | jq -r '.state_root + (.height|tostring)')"
    sed -i '/^disable/d' "$root/etc/quoin/quoin.lua"
    up_in "$root"
    check "$name starts on the old data" 0 $?
    check "$name: bob still has it" 2000000 "$(inside "$root" wallet balance bob --json | jq .balance_uqn)"
    stop
    "$5" "$root" >"$tmp/log" 2>&1
    check "$name is removed" 0 $?
    check "$name: the program is gone" 1 "$([ -e "$root/usr/bin/quoin" ]; echo $?)"
    check "$name: keys and chain stay" 0 "$([ -s "$root/var/lib/quoin/wallet/owner.key" ] && [ -d "$root/var/lib/quoin/journal" ]; echo $?)"
}

deb_root() { mkdir -p "$1/var/lib/dpkg/info" "$1/var/lib/dpkg/updates" && touch "$1/var/lib/dpkg/status" "$1/var/lib/dpkg/available"; }
deb_do() { dpkg --root="$1" --force-script-chrootless --force-not-root --log="$tmp/dpkg.log" "${@:2}"; }
deb_install() { deb_root "$1" && deb_do "$1" -i "$(deb 0.1.0)"; }
deb_upgrade() { deb_do "$1" --force-confold -i "$(deb 0.1.1)"; }
deb_remove() { deb_do "$1" -r quoin; }
walk deb "$tmp/debroot" deb_install deb_upgrade deb_remove
dpkg --root="$tmp/debroot" --force-script-chrootless --force-not-root -P quoin >/dev/null 2>&1
check "deb: purge leaves keys, too" 0 "$([ -s "$tmp/debroot/var/lib/quoin/wallet/owner.key" ]; echo $?)"

rpm_do() { rpm --root "$1" "${@:2}" --nodeps; }
rpm_install() { rpm --root "$1" --initdb && rpm_do "$1" -i "$(rpm_file 0.1.0)"; }
rpm_upgrade() { rpm_do "$1" -U "$(rpm_file 0.1.1)"; }
rpm_remove() { rpm_do "$1" -e quoin; }
walk rpm "$tmp/rpmroot" rpm_install rpm_upgrade rpm_remove

# Both hold the same program.
check "one program in both" "$(cat "$tmp/sum.deb")" "$(cat "$tmp/sum.rpm")"
finish
