# SPDX-License-Identifier: Apache-2.0
"""Whether verifying slows down when very many tokens are alive: the same traffic, over another number of rows."""
from harness import interleave, load, middle, number, ratio
from servers import FORWARDED, Mintd, scratch, subfolder

HOT = 1000  # tokens that are verified
LIVE = 1_000_000


def run(report, build):
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
               note=f"{number(HOT)} of them are verified in turn; the database is asked for each again every half second.")
