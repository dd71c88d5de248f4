#!/usr/bin/env bash
# The thin door in front of the CMake presets; `./build.sh` alone lists the verbs.
set -euo pipefail
cd "$(dirname "$0")"

deps="gcc clang lld cmake ninja-build pkg-config git nodejs npm jq curl file
 libevent-dev liblmdb-dev libsodium-dev libjansson-dev libssl-dev libseccomp-dev libprotobuf-c-dev libyaml-dev
 libminiupnpc-dev libnatpmp-dev libc-ares-dev
 zlib1g-dev libclang-rt-14-dev glslang-tools libvulkan-dev mesa-vulkan-drivers dataset-fashion-mnist
 b3sum clang-format rpm lintian mandoc libisal-dev libopenblas-dev liblua5.4-dev zsh fish valgrind"

help() {
    cat <<'TXT'
./build.sh VERB
  demo [ARG..]           install what is needed, build build/quoin, run `quoin demo`
  test [NAME] [--long]   build and run every test (or those whose name contains NAME)
  deps                   install the Debian packages that build and tests need
  build [PRESET [TARGET..]]
                         build build/quoin (presets: release debug clang asan tsan fuzz), or those targets
  sim [--seeds A-B] [--nodes N] [--minutes M] [--json]
                         whole networks in one process, faults and all, each from a seed; --help lists more
  kills [A-B]            10,000 kills: simulated ones of these seeds, and of real processes; how much was lost
  bench [NAME] [--json]  build and run the benchmarks (or those whose name contains NAME)
  fuzz NAME SECONDS      run one fuzz target on its corpus, then on what it finds
  tidy [CHECK]           check layering, globals, names, format, error pages, fuzz seeds
  package                make build/*.deb and build/*.rpm
  clean                  remove build/
TXT
}

have_deps() {
    # Names a distribution may provide otherwise (node from another source) count by their command.
    local pkg
    for pkg in $deps; do
        case $pkg in
        nodejs) command -v node >/dev/null || return 1 ;;
        npm) command -v npm >/dev/null || return 1 ;;
        *) dpkg -s "$pkg" >/dev/null 2>&1 || return 1 ;;
        esac
    done
}

install_deps() {
    have_deps && return 0
    local sudo="" want=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    for pkg in $deps; do
        case $pkg in
        nodejs) command -v node >/dev/null && continue ;;
        npm) command -v npm >/dev/null && continue ;;
        esac
        want="$want $pkg"
    done
    echo "installing Debian packages:" $want >&2
    $sudo apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $want >/dev/null
}

# Programs of others that tests talk to; pinned by the lock file.
install_peers() {
    local peers=tests/peers
    [ $peers/node_modules/.package-lock.json -nt $peers/package-lock.json ] && return 0
    npm ci --prefix $peers --silent --no-audit --no-fund
}

folder() { if [ "$1" = release ]; then echo build; else echo "build/$1"; fi; }

build() { # PRESET TARGET..
    local preset=$1
    shift
    [ -e "$(folder "$preset")/build.ninja" ] || echo "building $*: some minutes on two cores" >&2
    local said
    said=$(cmake --preset "$preset" 2>&1) || { echo "$said"; exit 1; }
    # The linker's words on getaddrinfo and its like in a static program are known and harmless here.
    cmake --build --preset "$preset" -- --quiet "$@" |
        sed '/in statically linked applications requires at runtime/d; /lib\(event_core\|crypto\|miniupnpc\|cares\)\.a(.*: in function/d'
}

verb=${1:-help}
[ $# -gt 0 ] && shift
case $verb in
help | -h | --help) help ;;
deps)
    install_deps
    install_peers ;;
build)
    preset=${1:-release}
    [ $# -le 1 ] || { build "$@"; exit; }
    if [ "$preset" = fuzz ]; then build fuzz fuzzers; else build "$preset" quoin; fi ;;
demo)
    install_deps
    build release quoin
    exec build/quoin demo "$@" ;;
test) exec tests/run.sh "$@" ;;
sim)
    install_deps
    build release sim
    exec build/sim "$@" ;;
kills)
    install_deps
    build release quoin sim wire
    exec tests/kills.sh "$@" ;;
bench)
    install_deps
    build release benches
    exec tests/bench/run.sh "$@" ;;
fuzz)
    [ $# -ge 2 ] || { help; exit 2; }
    build fuzz "fuzz_${1#fuzz_}"
    exec tests/fuzz.sh "${1#fuzz_}" "$2" ;;
tidy)
    build release quoin
    exec tests/tidy/run.sh "$@" ;;
package)
    install_deps
    build release quoin
    exec packaging/make.sh "$@" ;;
clean) rm -rf build ;;
*) help; exit 2 ;;
esac
