#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A server to try out, in ./run: a key, a database and a first user are made unless they are there; then it serves.
#   tests/run_demo.sh BUILD
# MINTD_LISTEN and MINTD_INTERNAL_LISTEN change the addresses (127.0.0.1:8080 and 127.0.0.1:8081).
set -eu

build=$1
mintd=$build/mintd
listen=${MINTD_LISTEN:-127.0.0.1:8080}
internal=${MINTD_INTERNAL_LISTEN:-127.0.0.1:8081}
email=admin@example.com
unset MINTD_LISTEN MINTD_INTERNAL_LISTEN

mkdir -p run
chmod 700 run
[ -f run/mintd.yaml ] || cat >run/mintd.yaml <<'YAML'
# made by make run
db: sqlite:run/mintd.db
useradm:
    key_directory: run/keys
YAML

cli() { "$mintd" "$@" --config run/mintd.yaml; }
# where a client on this machine finds an address that may leave out the host
url() { case $1 in :*) echo "http://127.0.0.1$1" ;; *) echo "http://$1" ;; esac; }

cli keys list >/dev/null 2>&1 || cli keys generate --type es256
cli migrate --log-level warn

password=PASSWORD
if cli user list | grep -q " $email\$"; then
    echo "The user $email is there from an earlier run; put the password in place of PASSWORD."
else
    password=$(od -An -N9 -tx1 /dev/urandom | tr -d ' \n')
    echo "$password" | cli user create --email "$email" --password-stdin >/dev/null
    echo "The first user is $email, the password $password (shown only now; mintd user set-password changes it)."
fi

cat <<EOT

Try it in another terminal, here in $(pwd):

  token=\$(curl -s -u $email:$password -X POST $(url "$listen")/api/management/v1/useradm/auth/login)
  curl -i -H "Authorization: Bearer \$token" $(url "$listen")/api/management/v1/useradm/users/me
  curl -i -H "Authorization: Bearer \$token" -H 'X-Forwarded-Method: GET' \\
       -H 'X-Forwarded-Uri: /api/management/v1/inventory/devices' $(url "$internal")/api/internal/v1/useradm/auth/verify
  $mintd token inspect "\$token" --config run/mintd.yaml
  $mintd keys generate --type ed25519 --config run/mintd.yaml    # the next login is signed with it
  $mintd device request --server $(url "$listen") --key run/board.pem --id mac=02:00:5e:10:00:01    # a device; let it in:
  $mintd device accept mac=02:00:5e:10:00:01 --config run/mintd.yaml

EOT
exec "$mintd" server --config run/mintd.yaml --listen "$listen" --internal-listen "$internal"
