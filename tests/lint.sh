#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The house rules that a compiler does not check, a message per rule, then the linters. Ends non-zero when one speaks.
set -u
cd "$(dirname "$0")/.." || exit 1

bad=0
say() { echo "lint: $*"; bad=1; }

# refuse MESSAGE PATTERN FILE...: no line of the files may match
refuse() {
    local message=$1 pattern=$2
    shift 2
    local found
    found=$(grep -nE "$pattern" /dev/null "$@" 2>/dev/null) && say "$message"$'\n'"$found"
}

# only_in MESSAGE PATTERN ALLOWED-REGEX: the pattern stands in no other file of the product
only_in() {
    local found
    found=$(grep -nE "$2" "${product[@]}" | grep -vE "^($3):") && say "$1"$'\n'"$found"
}

mapfile -t product < <(ls lib/*.[ch] keystore/*.[ch] auth/*.[ch] api/*.[ch] cmd/*.[ch])
mapfile -t c_files < <(ls lib/*.c keystore/*.c auth/*.c api/*.c cmd/*.c)
mapfile -t headers < <(ls lib/*.h keystore/*.h auth/*.h api/*.h cmd/*.h tests/*.h)
mapfile -t all_c < <(ls "${product[@]}" tests/*.[ch] tests/*/*.[ch])
mapfile -t scripts < <(ls tests/*.sh tests/*/*.sh deploy/*.sh .ci/run)

# layers: cmd -> api -> auth -> keystore -> lib
refuse "lib/ includes lib/ only" '#include "(keystore|auth|api|cmd)/' lib/*.[ch]
refuse "keystore/ includes keystore/ and lib/ only" '#include "(auth|api|cmd)/' keystore/*.[ch]
refuse "auth/ includes auth/ and layers to its right only" '#include "(api|cmd)/' auth/*.[ch]
refuse "api/ includes api/ and layers to its right only" '#include "cmd/' api/*.[ch]
refuse "includes are written from the root" '#include "[^/"]+"' "${product[@]}"

# one home per foreign header
only_in "microhttpd.h belongs to api/server.c and api/conn.c" '#include <microhttpd' 'api/server_impl\.h'
only_in "server_impl.h is for api/server.c and api/conn.c" '#include "api/server_impl' 'api/(server|conn)\.c'
only_in "sqlite3.h belongs to lib/db_sqlite.c" '#include <sqlite3' 'lib/db_sqlite\.c'
only_in "libpq-fe.h belongs to lib/db_postgres.c" '#include <libpq' 'lib/db_postgres\.c'
only_in "pcre2.h belongs to lib/match.c" '#include <pcre2' 'lib/match\.c'
only_in "yaml.h belongs to lib/yaml.c" '#include <yaml' 'lib/yaml\.c'
only_in "uthash.h is included by way of lib/hash.h" '#include <uthash' 'lib/hash\.h'
only_in "curl.h belongs to lib/http.c" '#include <curl' 'lib/http\.c'
only_in "openssl/ belongs to keystore/, auth/password.c and lib/rand.c" '#include <openssl/' \
    'keystore/[a-z_]+\.[ch]|auth/password\.c|lib/rand\.c'

# storage
for f in "${product[@]}"; do
    while IFS= read -r used; do
        owner=$(sed -E 's/.*"(.*)_db\.h".*/\1/' <<<"$used")
        case $f in "$owner.c" | "${owner}"_*.c) ;; *) say "$f: ${owner}_db.h is included by its siblings only" ;; esac
    done < <(grep -hoE '#include "[a-z]+/[a-z_]+_db\.h"' "$f")
done
only_in "SQL stands in *_db.c, lib/migrate.c and the drivers" '"(SELECT|INSERT|UPDATE|DELETE|CREATE) ' \
    '[a-z]+/[a-z_]+_db\.c|lib/migrate\.c|lib/db(_sqlite|_postgres)?\.c'
only_in "db_tx() is the only begin, commit and rollback" '"(BEGIN|COMMIT|ROLLBACK)' 'lib/db(_sqlite|_postgres)?\.c'

# C
refuse "no goto" '(^|[^a-z_])goto ' "${product[@]}"
refuse "structs are not typedef'd" '^typedef struct' "${product[@]}"
refuse "banned: strcpy strcat sprintf strtok atoi system alloca gets rand" \
    '(^|[^a-z_0-9])(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|system|alloca|gets|rand|srand)\(' "${product[@]}"
only_in "memory comes from lib/mem.h" '(^|[^a-z_0-9])(malloc|calloc|realloc|strdup|strndup|asprintf)\(' 'lib/mem\.[ch]'
refuse "lines have 120 columns at most" '^.{121,}' "${all_c[@]}" docs/*.yaml
refuse "no sleep as synchronisation in tests" '(^|[^a-z_0-9])(sleep|usleep)\(' tests/*.c
refuse "nothing here names the workplace" '\.\./share[d]|/wor[k]/|\.librar[y]' "${all_c[@]}" "${scripts[@]}" README.md Makefile docs/*
for f in "${all_c[@]}" "${scripts[@]}" Makefile Dockerfile .dockerignore docker-compose.yml deploy/nginx.conf \
    migrations/*.sql tests/e2e/*.py tests/openapi/*.cjs docs/*.yaml; do
    head -n 2 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || say "$f: the first line names the licence"
done

# a file exports only names that begin with its own
for f in "${c_files[@]}"; do
    base=$(basename "$f" .c)
    case $f in cmd/*) continue ;; esac
    object=build/${f%.c}.o
    [ -f "$object" ] || { say "$f: build first"; continue; }
    wrong=$(nm -g --defined-only "$object" | awk '{print $3}' | grep -vE "^_*(${base}|$(tr -d _ <<<"$base"))(_|s?$)")
    [ -z "$wrong" ] || say "$f exports: $wrong"
done

# headers compile alone
for h in "${headers[@]}"; do
    echo "#include \"$h\"" | gcc -std=gnu2x -Wall -Wextra -Wpedantic -Werror -I. -x c -fsyntax-only - || say "$h does not compile alone"
done

# the description of the HTTP surface, by a linter that is installed as the lock file pins it, once for each lock file
lint_openapi() {
    local dir=build/openapi
    mkdir -p "$dir"
    if ! cmp -s tests/openapi/package-lock.json "$dir/installed.json"; then
        cp tests/openapi/package.json tests/openapi/package-lock.json "$dir"
        (cd "$dir" && timeout 180 npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null) || {
            say "docs/openapi.yaml was not linted: npm could not install the linter (is its registry reachable?)"
            return
        }
        cp tests/openapi/package-lock.json "$dir/installed.json"
    fi
    NODE_PATH=$dir/node_modules node tests/openapi/lint.cjs docs/openapi.yaml || say "docs/openapi.yaml"
}
lint_openapi

# the table of the wire contract names tests that exist, and has one in each row
table=tests/contract/README.md
# shellcheck disable=SC2016 # Markdown's backticks
while IFS= read -r named; do
    case $named in
    e2e/*) grep -q "def ${named##*/}(" "tests/${named%/*}.py" 2>/dev/null ;;
    *) grep -q "^START_TEST(${named##*/})" "tests/${named%/*}.c" 2>/dev/null ;;
    esac || say "$table: there is no test $named"
done < <(grep '^|' $table | grep -oE '`(e2e/)?test_[^`]*`' | tr -d '`' | sort -u)
# shellcheck disable=SC2016
untested=$(grep -nE '^\|' $table | grep -vE '\| tests \|$|\|---|`(e2e/)?test_') && say "$table: a row without a test"$'\n'"$untested"

clang-format --dry-run -Werror "${all_c[@]}" || say "make fmt"
shellcheck "${scripts[@]}" || say "shellcheck"
flags=(-std=gnu2x -I.)
# shellcheck disable=SC2207 # words
flags+=($(pkg-config --cflags libpq))
# shellcheck disable=SC2016 # expands in the inner shell
printf '%s\n' "${c_files[@]}" | xargs -P "$(nproc)" -n 1 sh -c 'flags=$1; shift; clang-tidy --quiet "$@" -- $flags 2>/dev/null' sh "${flags[*]}" >/tmp/mintd-tidy.$$ ||
    say "clang-tidy"$'\n'"$(cat /tmp/mintd-tidy.$$)"
rm -f /tmp/mintd-tidy.$$

[ $bad -eq 0 ] && echo "lint: clean"
exit $bad
