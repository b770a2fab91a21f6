#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make bench: every figure beside its reference in the same run.  run.sh BUILD [jws|verify|enrol]
set -eu
build=$1
what=${2:-all}
case $what in all | jws | verify | enrol) ;; *) echo "bench: $what is not jws, verify or enrol" >&2; exit 2 ;; esac

grep -m 1 'model name' /proc/cpuinfo | sed -E 's/.*: /machine: /'
echo "cores: $(nproc), $(uname -sr)"
wants() { [ "$what" = all ] || [ "$what" = "$1" ]; }
if wants jws; then
    printf '\nSignatures in process, beside bare EVP with a cached key and beside libjwt\n\n'
    "$build/bench/bench_jws" --json "$build/bench/jws.json"
fi
if wants verify; then
    printf '\nVerify over keep-alive HTTP, beside libmicrohttpd answering 200 with an empty body\n\n'
    /usr/bin/python3 tests/bench/verify.py "$build"
fi
if wants enrol; then
    printf '\nRequests of an accepted device (P-256) for a token (ES256), on SQLite, beside the sum of the parts\n\n'
    /usr/bin/python3 tests/bench/enrol.py "$build"
fi
