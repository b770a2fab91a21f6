#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run each libFuzzer target of a build directory, from a copy of its corpus in tests/data/fuzz/TARGET.
#   tests/fuzz/run.sh BUILD SECONDS [TARGET ...]
# What breaks a target is left in BUILD/findings. Ends non-zero when one broke.
set -u

build=$1
seconds=$2
shift 2

names=$*
wanted() { [ -z "$names" ] || [[ " $names " == *" $1 "* ]]; }
mkdir -p "$build/findings"
ran=0
broken=0
for target in "$build"/fuzz_bin/fuzz_*; do
    name=$(basename "$target")
    if [ ! -x "$target" ] || [[ $name == *.* ]] || ! wanted "$name"; then continue; fi
    corpus=$(mktemp -d "/tmp/mintd-$name-XXXXXX")
    [ -d "tests/data/fuzz/$name" ] && cp -r "tests/data/fuzz/$name/." "$corpus"
    log=$build/findings/$name.log
    if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="$build/findings/$name-" "$corpus" >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
        printf '%-32s %s runs, %s inputs\n' "$name" "$runs" "$(find "$corpus" -type f | wc -l)"
    else
        tail -n 40 "$log"
        printf '%-32s broken\n' "$name"
        broken=$((broken + 1))
    fi
    ran=$((ran + 1))
    rm -rf "$corpus"
done

echo "$ran fuzzers ran, $broken broken"
[ "$ran" -gt 0 ] && [ "$broken" -eq 0 ]
