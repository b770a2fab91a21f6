# SPDX-License-Identifier: Apache-2.0
"""Databases with as many devices as one likes, filled by SQL in bulk, and signed requests of some of the devices."""
import hashlib
import json
import random
import sqlite3
import subprocess
import time

ASKING = 20_000  # devices at most that ask, evenly spread
KEYS = 900  # that they share: as many as accepted devices among a thousand, so that as many are remembered

_ID = "'01935000-0000-7000-8000-000000' || d"
_SET = "'01935000-0000-7000-9000-000000' || d"
_MAC = "'02:00:00:' || substr(d, 1, 2) || ':' || substr(d, 3, 2) || ':' || substr(d, 5, 2)"
_DATA = "'{{\"mac\":\"' || " + _MAC + " || '\"}}'"
_STATUS = "CASE i % 20 WHEN 7 THEN 'pending' WHEN 13 THEN 'rejected' ELSE 'accepted' END"
_NUMBERS = ("WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}), "
            "m AS (SELECT i, substr(CAST(1000000 + i AS TEXT), 2) AS d FROM n) ")

# One text for both engines. Keys are of the usual length, and nobody's.
FILL = (
    "INSERT INTO devices (id, tenant_id, id_hash, id_data, status, provisioned, created_ms, updated_ms) " + _NUMBERS +
    f"SELECT {_ID}, '', bench_hash({_DATA}), {_DATA}, {_STATUS}, 1, {{now}} + i, {{now}} + i FROM m",
    "INSERT INTO auth_sets (id, tenant_id, device_id, key_hash, pubkey, status, created_ms) " + _NUMBERS +
    f"SELECT {_SET}, '', {_ID}, bench_hash(d), '{{pem}}' || d, {_STATUS}, {{now}} + i FROM m",
    "INSERT INTO device_tokens (id, tenant_id, device_id, asker, issued_ms, expires_ms) " + _NUMBERS +
    f"SELECT {_SET}, '', {_ID}, bench_hash(d || '/'), {{now}}, {{now}} + 2 * 604800000 FROM m "
    f"WHERE {_STATUS} = 'accepted'",
    "INSERT INTO device_check_ins (device_id, seen_ms, told_ms) " + _NUMBERS +
    f"SELECT {_ID}, {{now}} + i, {{now}} FROM m WHERE {_STATUS} = 'accepted'",
    "INSERT INTO device_attributes (tenant_id, device_id, name, value) " + _NUMBERS +
    f"SELECT '', {_ID}, 'mac', {_MAC} FROM m",
)
TABLES = ("devices", "auth_sets", "device_tokens", "device_check_ins", "device_attributes")


def identity(i):
    digits = f"{i:06d}"
    return '{"mac":"02:00:00:%s:%s:%s"}' % (digits[:2], digits[2:4], digits[4:])


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def write_asks(build, count, path):
    """Signed requests of accepted devices in the file path, and (auth set, key's hash, key, asker) of each."""
    accepted = [i for i in range(0, count, max(1, count // ASKING)) if i % 20 not in (7, 13)]
    text = subprocess.run([f"{build}/bench/bench_asks", str(KEYS)], check=True, capture_output=True, text=True, timeout=300,
                          input="".join(identity(i) + "\n" for i in accepted)).stdout
    lines = text.splitlines(keepends=True)
    keys = [json.loads(line.split("\t")[1])["pubkey"] for line in lines]
    random.Random(1).shuffle(lines)
    with open(path, "w") as file:
        file.writelines(lines)
    return [(f"01935000-0000-7000-9000-000000{i:06d}", sha256(key), key, sha256(sha256(identity(i)) + "/" + sha256(key)))
            for i, key in zip(accepted, keys)]


def _fill_texts(count):
    pem = "-----BEGIN PUBLIC KEY-----\n" + "A" * 110 + "\n-----END PUBLIC KEY-----\n"
    now = int(time.time() * 1000) - 3_600_000
    return [text.format(count=count, pem=pem, now=now) for text in FILL]


def fill_sqlite(url, count, keys):
    """All at once, and the indexes at the end; the server is not running yet."""
    database = sqlite3.connect(url.removeprefix("sqlite:"), isolation_level=None)
    database.create_function("bench_hash", 1, sha256, deterministic=True)
    database.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA foreign_keys = OFF;")
    indexes = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND "
                               "tbl_name IN (%s)" % ",".join("?" * len(TABLES)), TABLES).fetchall()
    database.execute("BEGIN")
    for name, _ in indexes:
        database.execute(f"DROP INDEX {name}")
    for text in _fill_texts(count):
        database.execute(text)
    database.executemany("UPDATE auth_sets SET key_hash = ?2, pubkey = ?3 WHERE id = ?1", (key[:3] for key in keys))
    database.executemany("UPDATE device_tokens SET asker = ?2 WHERE id = ?1", ((key[0], key[3]) for key in keys))
    for _, sql in indexes:
        database.execute(sql)
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def psql(url, script):
    done = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url], input=script, capture_output=True,
                          text=True, timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"bench: psql: {done.stderr}")
    return done.stdout


def fill_postgres(url, count, keys):
    tables = ", ".join(f"'{table}'" for table in TABLES)
    psql(url, f"""
        SET session_replication_role = replica; -- no foreign key is looked at
        SET synchronous_commit = off;
        SET maintenance_work_mem = '512MB';
        CREATE FUNCTION bench_hash(text) RETURNS text LANGUAGE sql IMMUTABLE
            AS $$ SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex') $$;
        BEGIN;
        CREATE TEMPORARY TABLE dropped AS SELECT indexname, indexdef FROM pg_indexes
            WHERE tablename IN ({tables}) AND indexname NOT LIKE '%_pkey';
        SELECT format('DROP INDEX %I', indexname) FROM dropped \\gexec
        {"; ".join(_fill_texts(count))};
        CREATE TEMPORARY TABLE keys (id text, key_hash text, pubkey text, asker text) ON COMMIT DROP;
        COPY keys FROM STDIN;
""" + "".join("\t".join(row).replace("\n", "\\n") + "\n" for row in keys) + """\\.
        UPDATE auth_sets a SET key_hash = k.key_hash, pubkey = k.pubkey FROM keys k WHERE k.id = a.id;
        UPDATE device_tokens t SET asker = k.asker FROM keys k WHERE k.id = t.id;
        SELECT indexdef FROM dropped \\gexec
        COMMIT;
        VACUUM ANALYZE;
        CHECKPOINT;
        DROP FUNCTION bench_hash;
""")
