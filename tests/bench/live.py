# SPDX-License-Identifier: Apache-2.0
"""Whether verifying slows down when very many tokens are alive; what a device takes up in the database."""
import json
import sqlite3

from fleet import Fleet
from harness import interleave, load, middle, number, ratio
from servers import FORWARDED, Mintd, scratch, subfolder

HOT = 1000  # tokens that are verified
LIVE = 1_000_000
DEVICES = 2000  # to weigh


def speed(report, build):
    with scratch() as folder, Mintd(build, subfolder(folder, "few")) as few, \
            Mintd(build, subfolder(folder, "many")) as many:
        servers = {"few": few, "many": many}
        tokens = {name: server.mint(HOT, f"{folder}/{name}/tokens") for name, server in servers.items()}
        many.fill(LIVE - HOT)
        verify = lambda name: load(servers[name], servers[name].verify_url, 32, FORWARDED, "tokens.lua", [tokens[name]])
        for name in servers:
            verify(name)
        runs = interleave(few=lambda: verify("few"), many=lambda: verify("many"))
    report.add(f"verify, {number(LIVE)} live tokens", middle(runs["many"], "per_cpu_s"), f"{number(HOT)} live tokens",
               middle(runs["few"], "per_cpu_s"), "requests/CPU s", ratio(runs["many"], runs["few"], "per_cpu_s"),
               ">= 0.90", kind="live", cpu_us=middle(runs["many"], "cpu_us"),
               note=f"{number(HOT)} of them are verified in turn, each of them looked up once.")


def bytes_used(mintd):
    with sqlite3.connect(mintd.db.removeprefix("sqlite:")) as database:
        return database.execute("SELECT sum(pgsize) FROM dbstat").fetchone()[0]


def size(report, build):
    """Devices as they are when they have asked: with a key, two attributes, a token and a time of the last check-in."""
    with scratch() as folder, Mintd(build, folder) as mintd:
        fleet = Fleet(folder, "es256")
        with open(fleet.list) as file:
            device = json.loads(file.readline())
        with open(folder + "/more", "w") as file:
            for n in range(DEVICES):
                device["identity_data"] = {"mac": f"02:00:01:00:{n // 256:02x}:{n % 256:02x}", "sn": f"SN{n:010d}"}
                file.write(json.dumps(device) + "\n")
        before = bytes_used(mintd)
        mintd.run("device", "import", folder + "/more")
        with sqlite3.connect(mintd.db.removeprefix("sqlite:")) as database:
            database.execute("INSERT INTO device_tokens (id, tenant_id, device_id, asker, issued_ms, expires_ms) "
                             "SELECT id, tenant_id, device_id, lower(hex(randomblob(32))), created_ms, created_ms "
                             "FROM auth_sets")
            database.execute("INSERT INTO device_check_ins SELECT id, created_ms, created_ms FROM devices")
        used = (bytes_used(mintd) - before) / DEVICES
    report.add("rows of a device, P-256", used, "", None, "bytes", kind="device-bytes")


def run(report, build):
    speed(report, build)
    size(report, build)
