# SPDX-License-Identifier: Apache-2.0
"""
Requests of accepted devices among a million of them, beside the same among a thousand.

The devices have asked before, so that nothing is written; as many keys are in use in both, so that as many are
remembered.
"""
import contextlib
import os
import time

from fleet import ASK
from harness import interleave, load, middle, number, ratio, say
from servers import Mintd, Postgres, scratch, subfolder
from stock import fill_postgres, fill_sqlite, psql, write_asks

CONNECTIONS = 32
FEW, MANY = 1000, int(os.environ.get("BENCH_DEVICES", "1000000"))
ENGINES = {"SQLite": fill_sqlite, "PostgreSQL": fill_postgres}


def stocked(build, folder, engine, count, postgres):
    """A server whose database has so many devices, and the requests of some of them."""
    name = f"{engine.lower()}_{count}"
    home = subfolder(folder, name)
    db = f"sqlite:{home}/mintd.db"
    if engine == "PostgreSQL":
        psql(postgres.url, f"CREATE DATABASE {name};")
        db = postgres.url.replace("/postgres?", f"/{name}?")
    mintd = Mintd(build, home, threads=0, db=db)
    mintd.stop()
    asks = home + "/asks"
    start = time.monotonic()
    ENGINES[engine](db, count, write_asks(build, count, asks))
    say(f"{engine}: {count:,} devices in {time.monotonic() - start:.1f} s")
    return Mintd(build, home, threads=0, db=db), asks


def ask(mintd, asks):
    sample = load(mintd, mintd.public + ASK, CONNECTIONS, script="asks.lua", arguments=[asks])
    sample["rss_mb"] = mintd.rss_mb()
    return sample


def compare(report, build, folder, engine, postgres):
    with contextlib.ExitStack() as stack:
        few, few_asks = stocked(build, folder, engine, FEW, postgres)
        stack.enter_context(few)
        many, many_asks = stocked(build, folder, engine, MANY, postgres)
        stack.enter_context(many)
        for mintd, asks in ((few, few_asks), (many, many_asks)):
            ask(mintd, asks)
        runs = interleave(few=lambda: ask(few, few_asks), many=lambda: ask(many, many_asks))
    rss = {name: max(sample["rss_mb"] for sample in samples) for name, samples in runs.items()}
    report.add(f"token for a device among {MANY:,}, {engine}", middle(runs["many"], "rps"), f"among {FEW:,}",
               middle(runs["few"], "rps"), "requests/s", ratio(runs["many"], runs["few"], "rps"), ">= 0.90",
               kind="devices", engine=engine, cpu_us=middle(runs["many"], "cpu_us"),
               few_cpu_us=middle(runs["few"], "cpu_us"), rss_mb=rss["many"], few_rss_mb=rss["few"],
               p99_ms=middle(runs["many"], "p99_ms"),
               note=f"CPU per request {number(middle(runs['many'], 'cpu_us'))} us, among {FEW:,} "
                    f"{number(middle(runs['few'], 'cpu_us'))} us; memory {number(rss['many'])} MB and "
                    f"{number(rss['few'])} MB.")


def run(report, build):
    with scratch() as folder, Postgres() as postgres:
        for engine in ENGINES:
            compare(report, build, folder, engine, postgres)
