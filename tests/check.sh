#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run the tests of a build directory against SQLite and a throw-away PostgreSQL 15 that lives as long as this script.
#   tests/check.sh BUILD [--threaded|--valgrind] [TEST ...]
# Ends with a line "N passed, N failed".
set -u

build=$1
shift
mode=all
case ${1:-} in --threaded | --valgrind) mode=${1#--}; shift ;; esac

work=$(mktemp -d /tmp/mintd-check-XXXXXX)
pg_bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)

# PostgreSQL refuses to run as root.
as_user=()
if [ "$(id -u)" -eq 0 ]; then
    as_user=(runuser -u postgres --)
    chown postgres "$work"
fi
in_work() { (cd "$work" && "${as_user[@]}" "$@"); }

stop() {
    in_work "$pg_bin/pg_ctl" -D "$work/pg" -m immediate -s stop >/dev/null 2>&1
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

start_postgres() {
    in_work "$pg_bin/initdb" -D "$work/pg" -A trust -U mintd --no-sync -E UTF8 --locale=C >"$work/initdb.log" 2>&1 &&
        in_work "$pg_bin/pg_ctl" -D "$work/pg" -s -w -l "$work/pg.log" \
            -o "-k $work -c listen_addresses='' -c max_connections=200 -c fsync=off" start >/dev/null
}
if ! start_postgres; then
    echo "PostgreSQL does not start:" >&2
    cat "$work/initdb.log" "$work/pg.log" >&2
    exit 1
fi
export MINTD_TEST_POSTGRES="postgresql:///postgres?host=$work&user=mintd"
export MINTD_BUILD="$build"
export TZ=UTC LC_ALL=C.UTF-8
# an allocation that is too large gives NULL, as without sanitizers: lib/mem.c is to see it
export ASAN_OPTIONS=${ASAN_OPTIONS:-allocator_may_return_null=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-allocator_may_return_null=1}
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-120}
[ "$mode" = valgrind ] && export MINTD_TEST_ROTATIONS=${MINTD_TEST_ROTATIONS:-30} MINTD_TEST_SLOW=1

passed=0
failed=0
count() { passed=$((passed + $1)); failed=$((failed + $2)); }

# Run one unit test program; leaves NAME.log, and NAME.rc with its exit code and seconds.
exec_unit() {
    local name wrap=() from=$SECONDS
    name=$(basename "$1")
    [ "$mode" = valgrind ] && wrap=(valgrind -q --leak-check=full "--errors-for-leak-kinds=definite,indirect" --error-exitcode=99
        --suppressions=tests/valgrind.supp --trace-children=no)
    "${wrap[@]}" "$1" >"$work/$name.log" 2>&1
    echo "$? $((SECONDS - from))" >"$work/$name.rc"
}

# The last line of Check: "95%: Checks: 20, Failures: 1, Errors: 0".
report_unit() {
    local name log rc=1 took=0 line checks bad
    name=$(basename "$1")
    log=$work/$name.log
    read -r rc took <"$work/$name.rc"
    line=$(grep -aE '^[0-9]+%: Checks: ' "$log" | tail -n 1)
    checks=$(sed -E 's/.*Checks: ([0-9]+).*/\1/' <<<"${line:-Checks: 0}")
    bad=$(sed -E 's/.*Failures: ([0-9]+), Errors: ([0-9]+).*/\1 + \2/' <<<"${line:-Failures: 0, Errors: 0}")
    checks=${checks##* }
    bad=$((bad))
    if [ "$rc" -ne 0 ] || [ -z "$line" ]; then
        [ $bad -eq 0 ] && bad=1 && checks=$((checks + 1))
        tail -n 60 "$log"
    fi
    printf '%-32s %4d passed, %d failed, %d s\n' "$name" $((checks - bad)) $bad "$took"
    count $((checks - bad)) $bad
}

# A libFuzzer target over its checked-in corpus; prints "N inputs".
run_replay() {
    local name
    name=$(basename "$1" _replay)
    if "$1" "tests/data/fuzz/$name" >"$work/out" 2>&1; then
        printf '%-32s %s\n' "$name" "$(tail -n 1 "$work/out")"
        count 1 0
    else
        cat "$work/out"
        printf '%-32s failed\n' "$name"
        count 0 1
    fi
}

# A Python unittest file that drives the binary.
run_e2e() {
    /usr/bin/python3 "$1" >"$work/out" 2>&1
    local rc=$? ran bad
    ran=$(grep -aoE '^Ran [0-9]+ test' "$work/out" | grep -oE '[0-9]+' || echo 0)
    bad=$(grep -aoE '(failures|errors)=[0-9]+' "$work/out" | grep -oE '[0-9]+' | paste -sd+ || true)
    bad=$((${bad:-0}))
    if [ $rc -ne 0 ]; then
        [ $bad -eq 0 ] && bad=1
        tail -n 80 "$work/out"
    fi
    printf '%-32s %4d passed, %d failed\n' "$(basename "$1")" $((ran > bad ? ran - bad : 0)) $bad
    count $((ran > bad ? ran - bad : 0)) $bad
}

wanted() { [ -z "$names" ] || [[ " $names " == *" $1 "* ]]; }
names=$*
threaded=" test_cache test_checkin test_contract test_db test_db_postgres test_db_sqlite test_device_race test_device_storm test_guard test_issuer test_key test_keyfile
    test_keyring test_keyring_faults test_lane test_lib test_liveness
    test_match test_metrics test_migrate test_outbox test_pats test_ratelimit test_revocation test_rotation test_server test_session test_settings
    test_tenant test_users test_watch "
threaded=${threaded//$'\n'/ }

units=()
for t in "$build"/tests/test_*; do
    name=$(basename "$t")
    if [ ! -x "$t" ] || [[ $name == *.* ]] || ! wanted "$name"; then continue; fi
    if [ "$mode" = threaded ] && [[ $threaded != *" $name "* ]]; then continue; fi
    units+=("$t")
done

# Under valgrind a program has one core, so there is one for each; else they run in turn, as some of them measure.
jobs_max=1
[ "$mode" = valgrind ] && jobs_max=$(nproc)
for t in "${units[@]}"; do
    if [ "$jobs_max" -eq 1 ]; then
        exec_unit "$t" # in the foreground, where ^C reaches it
        report_unit "$t"
        continue
    fi
    while [ "$(jobs -rp | wc -l)" -ge "$jobs_max" ]; do wait -n; done
    exec_unit "$t" &
done
wait
[ "$jobs_max" -gt 1 ] && for t in "${units[@]}"; do report_unit "$t"; done

if [ "$mode" = all ]; then
    for t in "$build"/tests/fuzz/*_replay; do
        [ -x "$t" ] && wanted "$(basename "$t" _replay)" && run_replay "$t"
    done
    for t in tests/e2e/test_*.py; do
        [ -f "$t" ] && wanted "$(basename "$t" .py)" && run_e2e "$t"
    done
fi

echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
