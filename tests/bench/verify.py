# SPDX-License-Identifier: Apache-2.0
"""Requests per second and CPU per request of the verify endpoint and of a bare libmicrohttpd server, in turn, with medians.

The load generator shares the cores with both, so the ratios are the figures to look at.   verify.py BUILD
"""
import base64
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import urllib.request

ROUNDS = 5
SECONDS = 2
TICK = os.sysconf("SC_CLK_TCK")
ME = ("bench@example.com", "bench password")


class Server:
    """A process, where it listens, and how much CPU it has used."""

    def __init__(self, args, stream, pattern, **more):
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, text=True, **more)
        pipe = getattr(self.process, stream)
        for line in pipe:
            found = re.search(pattern, line)
            if found:
                self.found = found.groups()
                return
        raise SystemExit(f"{args[0]} does not start")

    def cpu_s(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def stop(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait()


def start_bare(build, threads):
    server = Server([f"{build}/bench/bench_bare", str(threads)], "stdout", r"^(\d+)$", stdout=subprocess.PIPE)
    return server, f"http://127.0.0.1:{server.found[0]}/", []


def start_mintd(build, threads, folder):
    env = dict(os.environ, MINTD_DB=f"sqlite:{folder}/bench{threads}.db", MINTD_LISTEN="127.0.0.1:0",
               MINTD_INTERNAL_LISTEN="127.0.0.1:0", MINTD_IO_THREADS=str(threads),
               USERADM_KEY_DIRECTORY=f"{folder}/keys", MINTD_LOG_LEVEL="info")
    run = dict(env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if threads == 1:
        subprocess.run([f"{build}/mintd", "keys", "generate", "--type", "es256"], **run)
    subprocess.run([f"{build}/mintd", "migrate"], **run)
    subprocess.run([f"{build}/mintd", "user", "create", "--email", ME[0], "--password", ME[1]], **run)
    log = open(f"{folder}/log{threads}", "w+")
    server = Server([f"{build}/mintd", "server"], "stderr", r"serving listen=(\S+) internal_listen=(\S+)", env=env,
                    stderr=subprocess.PIPE)
    # the rest of the log goes to a file, so that the pipe never fills
    subprocess.Popen(["cat"], stdin=server.process.stderr, stdout=log)
    login = urllib.request.Request(f"http://{server.found[0]}/api/management/v1/useradm/auth/login", method="POST")
    login.add_header("Authorization", "Basic " + base64.b64encode(":".join(ME).encode()).decode())
    token = urllib.request.urlopen(login).read().decode()
    headers = [f"Authorization: Bearer {token}", "X-Forwarded-Method: GET",
               "X-Forwarded-Uri: /api/management/v1/inventory/devices"]
    return server, f"http://{server.found[1]}/api/internal/v1/useradm/auth/verify", headers


def load(server, url, headers, connections, more=()):
    """One round: requests per second, and microseconds of the server's CPU per request."""
    before = server.cpu_s()
    args = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", *more]
    for header in headers:
        args += ["-H", header]
    text = subprocess.run(args + [url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text:
        raise SystemExit(f"{url} refuses:\n{text}")
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
    return rate, (server.cpu_s() - before) * 1e6 / requests


def compare(bare, mintd, connections):
    rounds = [(load(*bare, connections), load(*mintd, connections)) for _ in range(ROUNDS)]
    middle = lambda pick: statistics.median(pick(b, m) for b, m in rounds)
    return {"connections": connections,
            "bare_rps": middle(lambda b, m: b[0]), "verify_rps": middle(lambda b, m: m[0]),
            "rps_ratio": middle(lambda b, m: m[0] / b[0]),
            "bare_us": middle(lambda b, m: b[1]), "verify_us": middle(lambda b, m: m[1]),
            "cpu_ratio": middle(lambda b, m: b[1] / m[1])}


def main(build):
    rows = []
    print("threads  conns   bare req/s  verify req/s  ratio   bare us/req  verify us/req  per CPU s")
    with tempfile.TemporaryDirectory(prefix="mintd-bench-") as folder:
        for threads in (1, 2):
            bare, mintd = start_bare(build, threads), start_mintd(build, threads, folder)
            try:
                for connections in (32, 128):
                    row = {"threads": threads, **compare(bare, mintd, connections)}
                    rows.append(row)
                    print("{threads:7d} {connections:6d} {bare_rps:12.0f} {verify_rps:13.0f} {rps_ratio:6.2f}"
                          " {bare_us:13.2f} {verify_us:14.2f} {cpu_ratio:10.2f}".format(**row), flush=True)
            finally:
                bare[0].stop()
                mintd[0].stop()
    with open(f"{build}/bench/verify.json", "w") as out:
        json.dump(rows, out, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
