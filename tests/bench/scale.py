# SPDX-License-Identifier: Apache-2.0
"""
The arithmetic of docs/scale.md with the figures of make bench.   scale.py JSON

A fleet's devices come for something every POLL_S and for the rest every INVENTORY_S, as Mender's client does unless it
is told otherwise; each time the gateway asks whether the token is good. They ask for a new token every TOKEN_S.
"""
import json
import math
import sys

from harness import number

POLL_S, INVENTORY_S, TOKEN_S = 1800, 28800, 604800
USE = 0.6  # of the cores, so that a peak or a lost node finds room
FLEETS = (10_000, 100_000, 1_000_000, 10_000_000)
LOGINS = 1000  # people who log in within a busy hour, for every million devices

VERIFY_RATE = 1 / POLL_S + 1 / INVENTORY_S
TOKEN_RATE = 1 / TOKEN_S


def find(rows, **wanted):
    return next(row for row in rows if all(row.get(name) == value for name, value in wanted.items()))


class Costs:
    """Microseconds of CPU for each operation, of mintd and of the database."""

    def __init__(self, rows):
        self.warm = 1e6 / find(rows, kind="warm", threads=2, connections=128)["mintd"]
        cold, token = find(rows, kind="cold-postgres"), find(rows, kind="enrol-postgres")
        self.cold = find(rows, kind="cold", alg="es256")["cpu_us"]
        self.token = find(rows, kind="enrol", device="es256", server="es256")["cpu_us"]
        self.row = find(rows, kind="enrol", device="es256", server="es256")["commit_us"]
        self.cold_apart, self.cold_db = cold["cpu_us"], cold["database_us"]
        self.token_apart, self.token_db = token["cpu_us"], token["database_us"]
        self.login = find(rows, kind="login")["cpu_us"]
        self.bytes = find(rows, kind="device-bytes")["mintd"]


def operations(costs):
    per_core = lambda us: number(USE * 1e6 / us)
    yield ("operation", "µs of CPU, on SQLite", f"a second on a core used to {USE:.0%}", "PostgreSQL: mintd",
           "database")
    yield ("verify a token that is in memory", number(costs.warm), per_core(costs.warm), number(costs.warm), "0")
    yield ("verify one not seen before, ES256", number(costs.cold), per_core(costs.cold), number(costs.cold_apart),
           number(costs.cold_db))
    yield ("a device's request for a token, P-256, ES256", number(costs.token), per_core(costs.token),
           number(costs.token_apart), number(costs.token_db))
    yield ("a login, bcrypt 10", number(costs.login), per_core(costs.login), number(costs.login), "little")


def load_of(costs, fleet):
    """Cores that a fleet keeps busy: with everything in one process on SQLite; or mintd's, and the database's."""
    verify, token, logins = fleet * VERIFY_RATE, fleet * TOKEN_RATE, LOGINS * fleet / 1e6 / 3600
    check_ins = fleet / POLL_S * costs.row
    one = verify * costs.cold + token * costs.token + check_ins + logins * costs.login
    mintd = verify * costs.cold_apart + token * costs.token_apart + logins * costs.login
    database = verify * costs.cold_db + token * costs.token_db + check_ins
    return verify, token, one / 1e6, mintd / 1e6, database / 1e6


def fleets(costs):
    yield ("devices", "verifications/s", "tokens/s", "cores busy, SQLite", "PostgreSQL: mintd", "database",
           "nodes of 2 cores beside it", "rows")
    for fleet in FLEETS:
        verify, token, one, mintd, database = load_of(costs, fleet)
        nodes = max(1, math.ceil(mintd / USE / 2))
        yield (f"{fleet:,}", number(verify), number(token), f"{one:.3f}", f"{mintd:.3f}", f"{database:.3f}",
               f"{nodes} + 1", f"{fleet * costs.bytes / 1e9:.2f} GB")


def storms(costs):
    yield ("every device asks for a token at once", "requests/s", "10,000,000 devices take")
    for nodes in (1, 2, 4, 8):
        rate = nodes * 2 * 1e6 / costs.token_apart
        yield (f"{nodes} node{'s'[:nodes - 1]} of 2 cores, and {number(rate * costs.token_db / 1e6)} cores of database",
               number(rate), f"{FLEETS[-1] / rate / 60:.0f} minutes")


def markdown(lines):
    for n, line in enumerate(lines):
        print("| " + " | ".join(line) + " |")
        if n == 0:
            print("|" + "---|" * len(line))
    print()


def show(measured):
    costs = Costs(measured["rows"])
    print(measured["machine"] + "\n")
    for table in (operations, fleets, storms):
        markdown(table(costs))
    one = load_of(costs, 1)
    print(f"One node of 2 cores used to {USE:.0%} carries {number(2 * USE / one[2])} devices on SQLite, "
          f"{number(2 * USE / one[3])} beside a PostgreSQL; or {number(2 * USE * 1e6 / costs.cold)} verifications, or "
          f"{number(2 * USE * 1e6 / costs.login)} logins, each second.")


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        show(json.load(file))
