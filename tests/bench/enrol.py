# SPDX-License-Identifier: Apache-2.0
"""Requests of accepted devices for a token beside the sum of what they are made of, and SQLite beside PostgreSQL."""
import os

from fleet import ASK, Fleet
from harness import interleave, load, middle, number, parts_us, ratio
from servers import Bare, Mintd, Postgres, scratch, subfolder

CONNECTIONS = 32
NAMES = {"es256": ("P-256", "ES256"), "ed25519": ("Ed25519", "EdDSA"), "rsa2048": ("RSA-2048", "RS256, 2048 bits"),
         "rsa3072": ("RSA-3072", "RS256, 3072 bits")}

# The device's key, the server's key, the goal, rounds.
ROWS = (("es256", "es256", ">= 0.75", 5), ("ed25519", "es256", ">= 0.80", 3), ("rsa2048", "es256", ">= 0.80", 3),
        ("rsa3072", "es256", ">= 0.80", 3), ("es256", "rsa2048", ">= 0.80", 3), ("es256", "ed25519", ">= 0.80", 3))


def ask(mintd, fleet, connections=CONNECTIONS):
    return load(mintd, mintd.public + ASK, connections, **fleet.wrk())


def beside_parts(report, build, folder, fleet, kind, goal, rounds):
    verify, sign = f"verify_{fleet.kind}", f"sign_{kind}"
    home = subfolder(folder, f"{fleet.kind}-{kind}")
    with Bare(build, home, os.cpu_count()) as bare, Bare(build, home, os.cpu_count(), (verify, sign)) as floor, \
            Mintd(build, home, threads=0, keys=(kind,)) as mintd:
        fleet.admit(mintd)
        runs = interleave(rounds, bare=lambda: load(bare, bare.url, CONNECTIONS, **fleet.wrk()),
                          floor=lambda: load(floor, floor.url, CONNECTIONS, **fleet.wrk()),
                          parts=lambda: parts_us(build, verify, sign, "commit", "commit_wall"),
                          mintd=lambda: ask(mintd, fleet))
    for parts, alone, together in zip(runs["parts"], runs["bare"], runs["floor"]):
        parts["sum_us"] = alone["cpu_us"] + parts[verify] + parts[sign] + parts["commit"]
        parts["floor_us"] = together["cpu_us"] + parts["commit"]
    ours_us = middle(runs["mintd"], "cpu_us")
    figure = f"token for a device, {NAMES[fleet.kind][0]} device, {NAMES[kind][1]}"
    report.add(figure, 1e6 / ours_us, "sum of the parts", 1e6 / middle(runs["parts"], "sum_us"), "requests/CPU s",
               ratio(runs["parts"], runs["mintd"], "sum_us", "cpu_us"), goal,
               kind="enrol", device=fleet.kind, server=kind,
               rps=middle(runs["mintd"], "rps"), cpu_us=ours_us, http_us=middle(runs["bare"], "cpu_us"),
               verify_us=middle(runs["parts"], verify), sign_us=middle(runs["parts"], sign),
               commit_us=middle(runs["parts"], "commit"), p99_ms=middle(runs["mintd"], "p99_ms"),
               note=f"{number(ours_us)} us, {number(middle(runs['mintd'], 'rps'))} requests/s; the parts are HTTP "
                    f"{number(middle(runs['bare'], 'cpu_us'))}, verifying {number(middle(runs['parts'], verify))}, "
                    f"signing {number(middle(runs['parts'], sign))}, a row {number(middle(runs['parts'], 'commit'))}, "
                    f"and {number(middle(runs['parts'], 'floor_us'))} with one server for all but the row.")
    report.add(figure, 1e6 / ours_us, "the parts in one server", 1e6 / middle(runs["parts"], "floor_us"),
               "requests/CPU s", ratio(runs["parts"], runs["mintd"], "floor_us", "cpu_us"), kind="enrol-floor",
               device=fleet.kind, server=kind)


def beside_sqlite(report, build, folder, fleet):
    homes = subfolder(folder, "on-sqlite"), subfolder(folder, "on-postgres")
    with Postgres() as postgres, Mintd(build, homes[0], threads=0) as sqlite, \
            Mintd(build, homes[1], threads=0, db=postgres.url) as ours:
        fleet.admit(sqlite)
        fleet.admit(ours)
        before = postgres.cpu_us()
        runs = interleave(sqlite=lambda: ask(sqlite, fleet), postgres=lambda: ask(ours, fleet))
        requests = sum(sample["requests"] for sample in runs["postgres"])
        database_us = (postgres.cpu_us() - before) / requests
    report.add("token for a device, P-256, ES256, on PostgreSQL", middle(runs["postgres"], "rps"), "on SQLite",
               middle(runs["sqlite"], "rps"), "requests/s", ratio(runs["postgres"], runs["sqlite"], "rps"), ">= 0.60",
               kind="enrol-postgres", cpu_us=middle(runs["postgres"], "cpu_us"), database_us=database_us,
               sqlite_cpu_us=middle(runs["sqlite"], "cpu_us"),
               note=f"CPU per request: mintd {number(middle(runs['postgres'], 'cpu_us'))} us and the database "
                    f"{number(database_us)} us, on SQLite {number(middle(runs['sqlite'], 'cpu_us'))} us in all.")


def run(report, build):
    with scratch() as folder:
        fleets = {kind: Fleet(folder, kind) for kind in NAMES}
        for device, kind, goal, rounds in ROWS:
            beside_parts(report, build, folder, fleets[device], kind, goal, rounds)
        beside_sqlite(report, build, folder, fleets["es256"])
