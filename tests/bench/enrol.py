# SPDX-License-Identifier: Apache-2.0
"""Requests of an accepted device for a token, beside the sum of what they are made of.   enrol.py BUILD

The device's key is P-256, the server's ES256, storage is SQLite that commits durably, 32 connections. The parts are
measured in the same run: bare libmicrohttpd over HTTP with the same load, and in process what bench_enrol measures.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.request

from verify import ME, ROUNDS, Server, load, start_bare, start_mintd

ASK = "/api/devices/v1/authentication/auth_requests"
DEVAUTH = "/api/management/v2/devauth"


def read(folder, name):
    with open(os.path.join(folder, name)) as file:
        return file.read()


def call(url, method="GET", headers=None, body=None):
    request = urllib.request.Request(url, method=method, headers=headers or {}, data=body and body.encode())
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def admit(base, bearer, ask):
    """Ask once, and have the request accepted."""
    status, text = call(base + ASK, "POST", ask["headers"], ask["body"])
    assert status == 401, text
    device = json.loads(call(base + DEVAUTH + "/devices", headers=bearer)[1])[0]
    path = f"{DEVAUTH}/devices/{device['id']}/auth/{device['auth_sets'][0]['id']}/status"
    status, text = call(base + path, "PUT", {**bearer, "Content-Type": "application/json"}, '{"status":"accepted"}')
    assert status == 204, text
    status, text = call(base + ASK, "POST", ask["headers"], ask["body"])
    assert status == 200, text


def write_script(folder, ask):
    """What wrk sends: the same bytes each time, as a device that repeats its request does."""
    path = os.path.join(folder, "ask.lua")
    with open(path, "w") as file:
        file.write('wrk.method = "POST"\n')
        file.write(f"wrk.body = {json.dumps(ask['body'])}\n")
        for name, value in ask["headers"].items():
            file.write(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n")
    return path


def main(build):
    with tempfile.TemporaryDirectory(prefix="mintd-bench-") as folder:
        parts = json.loads(subprocess.run([f"{build}/bench/bench_enrol", folder], check=True, capture_output=True).stdout)
        ask = {"body": read(folder, "body"),
               "headers": {"Content-Type": "application/json", "X-MEN-Signature": read(folder, "signature")}}
        rows = []
        for threads in (1,):
            bare, mintd = start_bare(build, threads), start_mintd(build, threads, folder)
            try:
                base = f"http://{mintd[0].found[0]}"
                admit(base, {"Authorization": mintd[2][0].split(": ", 1)[1]}, ask)
                script = ["-s", write_script(folder, ask)]
                rounds = [(load(*bare, 32), load(mintd[0], base + ASK, [], 32, script)) for _ in range(ROUNDS)]
            finally:
                bare[0].stop()
                mintd[0].stop()
            middle = lambda pick: statistics.median(pick(b, m) for b, m in rounds)
            sum_us = middle(lambda b, m: b[1]) + parts["verify_us"] + parts["sign_us"] + parts["commit_us"]
            rows.append({"bare_us": middle(lambda b, m: b[1]), **parts, "sum_us": sum_us,
                         "ours_us": middle(lambda b, m: m[1]), "rps": middle(lambda b, m: m[0]),
                         "ratio": sum_us / middle(lambda b, m: m[1])})
    row = rows[0]
    print("us of CPU a request:  bare HTTP %.1f + signature %.1f + token %.1f + row %.1f (%.1f on the wall) = %.1f"
          % (row["bare_us"], row["verify_us"], row["sign_us"], row["commit_us"], row["commit_wall_us"], row["sum_us"]))
    print("mintd %.1f us of CPU, %.0f requests/s; sum / mintd = %.2f   (reading a key that is not remembered: %.1f us)"
          % (row["ours_us"], row["rps"], row["ratio"], row["parse_us"]))
    with open(f"{build}/bench/enrol.json", "w") as out:
        json.dump(rows, out, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
