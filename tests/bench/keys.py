# SPDX-License-Identifier: Apache-2.0
"""A thousand keys: how long a start takes, and what exchanging one of them under load does to those who verify."""
import os
import subprocess
import threading
import time

from harness import Sample, eventually, interleave, load, middle, number, ratio
from servers import Mintd, call, scratch, subfolder

KEYS = 1000
SECONDS = 2


def make(build, folder, first, last):
    subprocess.run([f"{build}/bench/bench_keys", f"{folder}/keys", str(first), str(last)], check=True, timeout=120)


def start(build, folder):
    """How long until it serves, counting from before the program is loaded."""
    began = time.monotonic()
    with Mintd(build, folder, USERADM_KEYS_MAX=2 * KEYS) as mintd:
        return Sample(seconds=time.monotonic() - began, cpu_s=mintd.cpu_us() / 1e6)


def is_published(mintd, kid):
    return f'"kid":"{kid}"' in call(mintd.public + "/.well-known/jwks.json")[1].replace('": "', '":"')


def exchange(mintd, build, done):
    """A new key in the place of another one, seen and used; then back."""
    for kid in (KEYS + 1, KEYS + 2):
        make(build, mintd.folder, kid, kid)
        eventually(lambda: is_published(mintd, kid), "the new key is not published")
        os.unlink(f"{mintd.keys}/private.id.{kid}.pem")
        eventually(lambda: not is_published(mintd, kid), "the old key stays published")
        done.append(kid)


def with_exchange(mintd, build, verify):
    done = []
    other = threading.Thread(target=exchange, args=(mintd, build, done))
    other.start()
    sample = verify()
    other.join(60)
    assert len(done) == 2
    return sample


def run(report, build):
    with scratch() as folder:
        one, many = subfolder(folder, "one"), subfolder(folder, "many")
        make(build, one, 1, 1)
        make(build, many, 1, KEYS)
        for home in (one, many):
            start(build, home)  # makes the database
        runs = interleave(3, one=lambda: start(build, one), many=lambda: start(build, many))
        seconds = {name: middle(runs[name], "seconds") for name in runs}
        report.add(f"start with {KEYS:,} keys", seconds["many"], "1 key", seconds["one"], "s", seconds["many"], "<= 1",
                   kind="start",
                   note=f"{number(middle(runs['many'], 'cpu_s'))} s of CPU. The goal is about the seconds; a key signs "
                        "and verifies before it is used.")
        with Mintd(build, many, threads=2, USERADM_KEYS_MAX=2 * KEYS) as mintd:
            headers = mintd.verify_headers()
            verify = lambda: load(mintd, mintd.verify_url, 32, headers, seconds=SECONDS)
            runs = interleave(3, quiet=verify, exchange=lambda: with_exchange(mintd, build, verify))
        report.add(f"verify while one of {KEYS:,} keys is exchanged, p99", middle(runs["exchange"], "p99_ms"),
                   "none is", middle(runs["quiet"], "p99_ms"), "ms", ratio(runs["exchange"], runs["quiet"], "p99_ms"),
                   "<= 1.25", kind="reload", rps=middle(runs["exchange"], "rps"),
                   reference_rps=middle(runs["quiet"], "rps"))
