# SPDX-License-Identifier: Apache-2.0
"""
Memory in use: idle, with 100,000 tokens in memory, and after very many requests of ever other tokens.

BENCH_CHURN is how many of those: an hour of them are some 50,000,000.
"""
import os

from harness import load, number
from servers import FORWARDED, Mintd, scratch

HOT = 100_000
CHURN = int(os.environ.get("BENCH_CHURN", "200000"))


def run(report, build):
    with scratch() as folder, Mintd(build, folder, threads=2, USERADM_TOKEN_CACHE_ENTRIES=HOT) as mintd:
        report.add("memory, idle", mintd.rss_mb(), "", None, "MB", goal="<= 25", kind="memory-idle")
        tokens = mintd.mint(HOT, f"{folder}/tokens")
        turn = lambda: load(mintd, mintd.verify_url, 32, FORWARDED, "tokens.lua", [tokens], seconds=5)["requests"]
        done = 0
        while done < HOT:
            done += turn()
        turn()
        hot = mintd.rss_mb()
        report.add(f"memory, {number(HOT)} hot tokens", hot, "", None, "MB", goal="<= 100", kind="memory-hot")
        done = 0
        while done < CHURN:
            done += turn()
        grown = mintd.rss_mb() - hot
    report.add(f"memory, after {number(done)} requests more", grown, "before them", None, "MB more", goal="<= 2",
               kind="memory-churn", requests=done, note="Set BENCH_CHURN for a longer run.")
