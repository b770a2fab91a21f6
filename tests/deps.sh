#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install the Debian packages that are missing: what the build needs (deps.sh build), what the calls that `make run` prints need too
# (deps.sh run), what the tests need too (deps.sh test), what lint needs beside those (deps.sh lint), or what bench needs (deps.sh bench).
set -eu

build='gcc libc6-dev pkg-config libmicrohttpd-dev libssl-dev libjansson-dev libpcre2-dev libpq-dev libsqlite3-dev libyaml-dev libcrypt-dev
       libcurl4-openssl-dev uthash-dev'
run=curl
test='check libjwt-dev postgresql postgresql-client jq openssl sqlite3 nginx-light python3 python3-yaml
      python3-jsonschema strace faketime wrk valgrind clang clang-format clang-tidy llvm libclang-rt-14-dev shellcheck gcovr util-linux
      libglib2.0-0 liblzma5'
# the libraries are what glewlwyd needs
bench='wrk openssl postgresql libjwt-dev procps util-linux python3 python3-matplotlib libcbor0.8 libconfig9 libhoel1.4
       libiddawc1.1 libldap-2.5-0 liboath0 liborcania2.3 librhonabwy1.1 libulfius2.7 libyder2.0'

case ${1:-} in
build) want=$build ;;
run) want="$build $run" ;;
bench) want="$build $bench" ;;
test) want="$build $run $test" ;;
lint)
    want="$build $run $test"
    # whoever has a Node.js of another origin keeps it: Debian's npm would not go with it
    command -v npm >/dev/null || want="$want nodejs npm"
    ;;
*) echo "usage: deps.sh build|run|test|lint|bench" >&2; exit 2 ;;
esac

missing=
for p in $want; do
    dpkg-query -W -f='${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $p"
done

as_root=
if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null; then as_root=sudo; fi

install_missing() {
    if [ "$(id -u)" -ne 0 ] && [ -z "$as_root" ]; then
        echo "these packages are missing, and there is no sudo to install them:$missing" >&2
        return 1
    fi
    echo "installing:$missing"
    # shellcheck disable=SC2086 # a list of words
    $as_root env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null' sh $missing
}

# Take the package $2 apart, in the directory $1; of it the paths that follow. Installed it would be a service of this machine.
unpack() {
    (cd "$1" && package=$2 && shift 2 && apt-get download -qq -o APT::Sandbox::User=root "$package" && mkdir -p "$package" &&
        dpkg --fsys-tarfile "$package"_*.deb | tar -x -C "$package" "$@")
}

# Unpack $1 to build/$1, once; the paths that follow. Without a network what needs it is all that is missing.
fetch() {
    to=$(dirname "$0")/../build
    [ ! -d "$to/$1" ] || return 0
    mkdir -p "$to"
    work=$(mktemp -d "$to/fetch-XXXXXX")
    if unpack "$work" "$@" 2>/dev/null || { $as_root timeout 100 apt-get update -qq && unpack "$work" "$@"; }; then
        mv "$work/$1" "$to"
    else
        echo "the package $1 cannot be fetched" >&2
    fi
    rm -rf "$work"
}

[ -z "$missing" ] || install_missing
case $1 in
test) fetch mender-client ./usr/bin/mender ./usr/share/mender ;; # for tests/e2e/test_mender_client.py
bench) fetch glewlwyd ./usr/bin ./usr/lib ./usr/share/doc/glewlwyd ;; # for tests/bench/peer.py
esac
