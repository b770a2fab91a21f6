# SPDX-License-Identifier: Apache-2.0
"""Logins beside the password hash alone, and what a storm of them does to those who verify."""
import base64
import re
import subprocess
import time

from harness import QUANTILES, Sample, eventually, interleave, load, middle, number, parts_us, ratio, wrk
from servers import ME, Mintd, call, scratch

LOGIN = "/api/management/v1/useradm/auth/login"
STORM = 64  # clients that log in without pause
VERIFIERS = 32
SECONDS = 3


def knocking(mintd, clients, seconds):
    """The command by which so many clients log in without pause."""
    basic = base64.b64encode(":".join(ME).encode()).decode()
    return wrk(mintd.public + LOGIN, clients, ["Authorization: Basic " + basic], "post.lua", [""], seconds)


def gauge(mintd, name):
    """A value among the server's metrics."""
    found = re.search(rf"^{re.escape(name)} (\d+)", call(mintd.internal + "/metrics")[1], re.M)
    return int(found.group(1))


def logins(mintd):
    return gauge(mintd, 'mintd_logins_total{result="ok"}')


def is_quiet(mintd):
    before = logins(mintd)
    time.sleep(0.5)
    return logins(mintd) == before


def settle(mintd):
    """wrk does not wait for the last logins that it asked for; they would be in the way of what comes next."""
    eventually(lambda: gauge(mintd, 'mintd_lane_waiting{lane="hash"}') == 0, "the logins do not end", 180)
    eventually(lambda: is_quiet(mintd), "the last login does not end", 60)


def log_in(mintd):
    """The server counts, to the last login that it was asked for."""
    before, cpu = logins(mintd), mintd.cpu_us()
    subprocess.run(knocking(mintd, 8, SECONDS), check=True, stdout=subprocess.DEVNULL, timeout=120)
    settle(mintd)
    done, cpu = logins(mintd) - before, mintd.cpu_us() - cpu
    return Sample(cpu_us=cpu / done, per_cpu_s=done / cpu * 1e6)


def in_storm(mintd, headers):
    with subprocess.Popen(knocking(mintd, STORM, SECONDS + 2), stdout=subprocess.DEVNULL) as storm:
        sample = load(mintd, mintd.verify_url, VERIFIERS, headers, seconds=SECONDS)
        storm.wait(120)
    settle(mintd)
    return sample


def alone(report, build, mintd):
    runs = interleave(3, hash=lambda: parts_us(build, "bcrypt10"), login=lambda: log_in(mintd))
    hashes = [Sample(per_cpu_s=1e6 / sample["bcrypt10"]) for sample in runs["hash"]]
    report.add("login, bcrypt 10", middle(runs["login"], "per_cpu_s"), "crypt_r() alone", middle(hashes, "per_cpu_s"),
               "logins/CPU s", ratio(runs["login"], hashes, "per_cpu_s"), ">= 0.95", kind="login",
               hash_us=middle(runs["hash"], "bcrypt10"), cpu_us=middle(runs["login"], "cpu_us"))


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
