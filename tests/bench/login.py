# SPDX-License-Identifier: Apache-2.0
"""Logins beside the password hash alone, and what a storm of them does to those who verify."""
import base64
import os
import re
import subprocess
import time

from harness import HERE, QUANTILES, Sample, eventually, interleave, load, middle, number, parts_us, ratio
from servers import ME, Mintd, call, scratch

LOGIN = "/api/management/v1/useradm/auth/login"
STORM = 64  # clients that log in without pause
VERIFIERS = 32
SECONDS = 3


def login_header():
    return "Authorization: Basic " + base64.b64encode(":".join(ME).encode()).decode()


def logins(mintd):
    found = re.search(r'^mintd_logins_total\{result="ok"\} (\d+)', call(mintd.internal + "/metrics")[1], re.M)
    return int(found.group(1))


def is_idle(mintd):
    before = mintd.cpu_us()
    time.sleep(0.2)
    return mintd.cpu_us() - before < 5000


def settle(mintd):
    """wrk does not wait for the last logins that it asked for; they would be in the way of what comes next."""
    eventually(lambda: is_idle(mintd), "the logins do not end", 180)


def log_in(mintd):
    """The server counts, to the last login that it was asked for."""
    before, cpu = logins(mintd), mintd.cpu_us()
    sample = load(mintd, mintd.public + LOGIN, 8, [login_header()], "post.lua", [""], SECONDS)
    settle(mintd)
    done, cpu = logins(mintd) - before, mintd.cpu_us() - cpu
    sample.update(cpu_us=cpu / done, per_cpu_s=done / cpu * 1e6)
    return sample


def in_storm(mintd, headers):
    args = ["wrk", "-t1", f"-c{STORM}", f"-d{SECONDS + 2}s", "--timeout", "60s", "-H", login_header(), "-s",
            os.path.join(HERE, "post.lua"), mintd.public + LOGIN, "--", ""]
    with subprocess.Popen(args, stdout=subprocess.DEVNULL) as storm:
        sample = load(mintd, mintd.verify_url, VERIFIERS, headers, seconds=SECONDS)
        storm.wait(120)
    settle(mintd)
    return sample


def alone(report, build, mintd):
    runs = interleave(3, hash=lambda: parts_us(build, "bcrypt10"), login=lambda: log_in(mintd))
    hashes = [Sample(per_cpu_s=1e6 / sample["bcrypt10"]) for sample in runs["hash"]]
    report.add("login, bcrypt 10", middle(runs["login"], "per_cpu_s"), "crypt_r() alone", middle(hashes, "per_cpu_s"),
               "logins/CPU s", ratio(runs["login"], hashes, "per_cpu_s"), ">= 0.95", kind="login",
               rps=middle(runs["login"], "rps"), hash_us=middle(runs["hash"], "bcrypt10"),
               cpu_us=middle(runs["login"], "cpu_us"))


def storm(report, mintd):
    headers = mintd.verify_headers()
    runs = interleave(3, alone=lambda: load(mintd, mintd.verify_url, VERIFIERS, headers, seconds=SECONDS),
                      storm=lambda: in_storm(mintd, headers))
    more = {f"{name}_p{q}_ms": middle(runs[name], f"p{q}_ms") for name in runs for q in QUANTILES}
    report.add(f"verify while {STORM} clients log in, p99", middle(runs["storm"], "p99_ms"), "with no logins",
               middle(runs["alone"], "p99_ms"), "ms", ratio(runs["storm"], runs["alone"], "p99_ms"), "<= 3",
               kind="storm-p99", **more)
    report.add(f"verify while {STORM} clients log in, throughput", middle(runs["storm"], "rps"), "with no logins",
               middle(runs["alone"], "rps"), "requests/s", ratio(runs["storm"], runs["alone"], "rps"), ">= 0.45",
               kind="storm-rps",
               note=f"p50 {number(more['storm_p50_ms'])} ms against {number(more['alone_p50_ms'])} ms; both cores are "
                    "full of hashing at lower priority, and wrk runs on them too.")


def run(report, build):
    with scratch() as folder:
        # any number of logins of one account; none of them pushes out the session that is verified
        with Mintd(build, folder, threads=0, USERADM_LIMIT_SESSIONS_PER_USER=0) as mintd:
            alone(report, build, mintd)
            storm(report, mintd)
