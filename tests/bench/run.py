# SPDX-License-Identifier: Apache-2.0
"""make bench: every figure beside its reference in the same run.   run.py BUILD [PART ...]"""
import importlib
import os
import signal
import subprocess
import sys
import time

from harness import Report, fail, say

# In the order in which they are run, with what they say of themselves.
PARTS = {
    "jws": "Signatures in process, beside bare EVP with a cached key and beside libjwt",
    "verify": "Verify over keep-alive HTTP, tokens seen before and never seen",
    "login": "Logins, and verifying while others log in",
    "peer": "Beside Debian's glewlwyd, in its best set-up",
    "enrol": "Requests of accepted devices for a token",
    "devices": "Requests of devices among a million devices",
    "replicas": "Two processes on one PostgreSQL",
    "live": "A million live tokens",
    "idle": "Ten thousand idle connections",
    "keys": "A thousand keys",
    "memory": "Memory",
}


def in_process(_report, build):
    subprocess.run([f"{build}/bench/bench_jws", "--json", f"{build}/bench/jws.json"], check=True)


def main(build, names):
    for name in names:
        if name not in PARTS:
            fail(f"{name} is none of {', '.join(PARTS)}")
    os.makedirs(f"{build}/bench", exist_ok=True)
    report, start = Report(build), time.monotonic()
    for name in names or PARTS:
        say(PARTS[name])
        run = in_process if name == "jws" else importlib.import_module(name).run
        run(report, build)
    report.finish("-".join(names) if names else "all")
    if not names:
        picture = importlib.import_module("picture")
        scale = importlib.import_module("scale")
        picture.draw(report.measured(), f"{build}/bench/bench.svg")
        say("What this means for fleets (docs/scale.md)\n")
        scale.show(report.measured())
    print(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    # whoever is told to stop stops what it has started
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main(sys.argv[1], sys.argv[2:])
