#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Make the database password that docker-compose.yml shares out, once: the password for PostgreSQL, and for mintd the same in a
# libpq service file. The files can be read by the users inside the containers, the directory by its owner here only.
set -eu
dir=$(dirname "$0")/secret
[ ! -e "$dir/db_service" ] || { echo "$dir is there already: nothing changed" >&2; exit 0; }
umask 077
mkdir -p "$dir"
password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
printf '%s' "$password" >"$dir/db_password"
printf '[mintd]\nhost=db\ndbname=mintd\nuser=mintd\npassword=%s\n' "$password" >"$dir/db_service"
chmod 444 "$dir/db_password" "$dir/db_service"
