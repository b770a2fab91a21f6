# SPDX-License-Identifier: Apache-2.0
"""Two processes on one PostgreSQL beside one."""
import os
import resource
import time
from concurrent.futures import ThreadPoolExecutor

from enrol import ask
from fleet import Fleet
from harness import Sample, interleave, middle, number, ratio
from servers import Mintd, Postgres, scratch, subfolder

CONNECTIONS = 32


def children_us():
    """CPU time of the load generators that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1e6


def shares(samples):
    mintd, database = (number(middle(samples, name)) for name in ("cpu_us", "database_us"))
    return (f"mintd {mintd} us and the database {database} us of CPU a request, with wrk "
            f"{100 * middle(samples, 'used'):.0f} % of {os.cpu_count()} cores")


def together(postgres, processes, fleet):
    """All processes are asked at the same time, over the same number of connections in all."""
    database, began, wrk = postgres.cpu_us(), time.monotonic(), children_us()
    with ThreadPoolExecutor() as pool:
        samples = list(pool.map(lambda mintd: ask(mintd, fleet, CONNECTIONS // len(processes)), processes))
    wall, requests = (time.monotonic() - began) * 1e6, sum(sample["requests"] for sample in samples)
    mintd = sum(sample["cpu_us"] * sample["requests"] for sample in samples)
    database, wrk = postgres.cpu_us() - database, children_us() - wrk
    return Sample(rps=sum(sample["rps"] for sample in samples), cpu_us=mintd / requests,
                  database_us=database / requests, used=(mintd + database + wrk) / wall / os.cpu_count())


def run(report, build):
    with scratch() as folder, Postgres() as postgres:
        fleet = Fleet(folder, "es256")
        with Mintd(build, subfolder(folder, "both"), threads=0, db=postgres.url) as first, \
                Mintd(build, subfolder(folder, "both"), threads=0, db=postgres.url) as second:
            fleet.admit(first)
            runs = interleave(one=lambda: together(postgres, [first], fleet),
                              two=lambda: together(postgres, [first, second], fleet))
    two = runs["two"]
    report.add("token for a device, two processes on one PostgreSQL", middle(two, "rps"), "one process",
               middle(runs["one"], "rps"), "requests/s", ratio(two, runs["one"], "rps"), ">= 1.6", kind="replicas",
               note=f"One process: {shares(runs['one'])}. Two: {shares(two)}. Where that is near 100 % the cores are "
                    "the limit, where it is not the wait for the database's disk and whoever else runs here.")
