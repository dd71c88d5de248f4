#!/usr/bin/env bash
# Makes build/quoin_VERSION_ARCH.deb and build/quoin-VERSION-1.ARCH.rpm of the same stripped build/quoin, with unit, settings, manual page and
# completions. make.sh [VERSION] [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022
version=${1:-$(sed -n 's/^project(quoin VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)}
out=$(realpath -m "${2:-build}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1700000000)}
when=$(date -u -R -d "@$SOURCE_DATE_EPOCH")
mkdir -p "$out"

# tree ROOT ZSH-FOLDER UNIT-FOLDER: what both packages hold
tree() {
    local root=$1 doc=$1/usr/share/doc/quoin
    install -D -m 755 build/quoin "$root/usr/bin/quoin"
    strip --remove-section=.comment --remove-section=.note "$root/usr/bin/quoin"
    install -D -m 644 packaging/quoin.service "$root$3/quoin.service"
    install -D -m 644 packaging/quoin.sysusers "$root/usr/lib/sysusers.d/quoin.conf"
    install -D -m 644 packaging/quoin.lua "$root/etc/quoin/quoin.lua"
    install -D -m 644 packaging/copyright "$doc/copyright"
    install -d "$root/usr/share/man/man1" "$root/usr/share/bash-completion/completions" "$root$2" "$root/usr/share/fish/vendor_completions.d"
    build/quoin help --man | gzip -9n >"$root/usr/share/man/man1/quoin.1.gz"
    build/quoin completion bash >"$root/usr/share/bash-completion/completions/quoin"
    build/quoin completion zsh >"$root$2/_quoin"
    build/quoin completion fish >"$root/usr/share/fish/vendor_completions.d/quoin.fish"
    find "$root" -type d -exec chmod 755 {} +
    find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

deb() {
    local root=$work/deb arch
    arch=$(dpkg --print-architecture)
    tree "$root" /usr/share/zsh/vendor-completions /lib/systemd/system
    install -D -m 644 packaging/lintian-overrides "$root/usr/share/lintian/overrides/quoin"
    printf 'quoin (%s) unstable; urgency=medium\n\n  * See the git history of this version.\n\n -- the quoin authors <authors@quoin.invalid>  %s\n' "$version" "$when" |
        gzip -9n >"$root/usr/share/doc/quoin/changelog.gz"
    mkdir "$root/DEBIAN"
    cat >"$root/DEBIAN/control" <<TXT
Package: quoin
Version: $version
Architecture: $arch
Maintainer: the quoin authors <authors@quoin.invalid>
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Suggests: dataset-fashion-mnist
Section: net
Priority: optional
Description: node of a network for leasing compute and proving models
 A machine leases compute to others, trains models whose training can be
 checked, scores and proves what models computed, and is paid for it.
 .
 One static program is node, client and tools; quoin demo shows the whole
 loop on this machine. Nothing starts by itself after the installation.
TXT
    echo /etc/quoin/quoin.lua >"$root/DEBIAN/conffiles"
    install -m 755 packaging/deb/postinst packaging/deb/prerm packaging/deb/postrm "$root/DEBIAN/"
    (cd "$root" && find . -type f -not -path './DEBIAN/*' -printf '%P\n' | sort | xargs md5sum >DEBIAN/md5sums)
    chmod 644 "$root/DEBIAN/control" "$root/DEBIAN/conffiles" "$root/DEBIAN/md5sums"
    dpkg-deb --root-owner-group -Zxz -b "$root" "$out/quoin_${version}_$arch.deb" >/dev/null
}

rpm() {
    local root=$work/rpm top=$work/top
    tree "$root" /usr/share/zsh/site-functions /usr/lib/systemd/system
    mkdir -p "$top"/{RPMS,BUILD,SPECS}
    sed "s/@VERSION@/$version/; s/@DATE@/$(date -u -d "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')/" packaging/quoin.spec >"$top/SPECS/quoin.spec"
    rpmbuild -bb --quiet --define "_topdir $top" --define "stage $root" --define "_build_id_links none" --define "_buildhost localhost" \
        --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" "$top/SPECS/quoin.spec" >"$work/rpm.log" 2>&1 ||
        { cat "$work/rpm.log" >&2; return 1; }
    cp "$top"/RPMS/*/quoin-*.rpm "$out/"
}

deb
rpm
ls -l "$out"/quoin_"$version"_*.deb "$out"/quoin-"$version"-*.rpm
