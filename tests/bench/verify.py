# SPDX-License-Identifier: Apache-2.0
"""Verify beside libmicrohttpd that does nothing: a token that was seen before, and tokens that never were."""
from harness import interleave, load, middle, number, parts_us, ratio
from servers import FORWARDED, Bare, Mintd, scratch, subfolder

# Tokens that come round again only when the server has long forgotten them.
COLD_TOKENS = 3000
COLD = (("ES256", "es256", "verify_es256"), ("RS256, 2048 bits", "rsa2048", "verify_rsa2048"),
        ("RS256, 3072 bits", "rsa3072", "verify_rsa3072"), ("EdDSA", "ed25519", "verify_ed25519"))


def warm(report, build):
    with scratch() as folder:
        for threads in (1, 2):
            with Bare(build, folder, threads) as bare, Mintd(build, folder, threads) as mintd:
                headers = mintd.verify_headers()
                for connections in (32, 128, 512):
                    one_warm(report, bare, mintd, headers, threads, connections)


def one_warm(report, bare, mintd, headers, threads, connections):
    runs = interleave(bare=lambda: load(bare, bare.url, connections, headers),
                      mintd=lambda: load(mintd, mintd.verify_url, connections, headers))
    report.add(f"verify, warm, {threads} I/O thread{'s'[:threads - 1]}, {connections} connections",
               middle(runs["mintd"], "per_cpu_s"), "libmicrohttpd alone", middle(runs["bare"], "per_cpu_s"),
               "requests/CPU s", ratio(runs["mintd"], runs["bare"], "per_cpu_s"), ">= 0.85",
               kind="warm", threads=threads, connections=connections, rps=middle(runs["mintd"], "rps"),
               reference_rps=middle(runs["bare"], "rps"), p99_ms=middle(runs["mintd"], "p99_ms"),
               reference_p99_ms=middle(runs["bare"], "p99_ms"))


def cold(report, build):
    with scratch() as folder:
        for name, kind, part in COLD:
            home = subfolder(folder, kind)
            with Bare(build, home) as bare, \
                    Mintd(build, home, keys=(kind,), USERADM_TOKEN_CACHE_ENTRIES=64) as mintd:
                tokens = mintd.mint(COLD_TOKENS, f"{home}/tokens")
                one_cold(report, build, bare, mintd, tokens, name, part)


def one_cold(report, build, bare, mintd, tokens, name, part):
    run = dict(headers=FORWARDED, script="tokens.lua", arguments=[tokens])
    runs = interleave(bare=lambda: load(bare, bare.url, 32, **run),
                      parts=lambda: parts_us(build, part, "json"),
                      mintd=lambda: load(mintd, mintd.verify_url, 32, **run))
    for parts, alone in zip(runs["parts"], runs["bare"]):
        parts["sum_us"] = alone["cpu_us"] + parts[part] + parts["json"]
    sum_us = middle(runs["parts"], "sum_us")
    report.add(f"verify, never seen before, {name}", middle(runs["mintd"], "per_cpu_s"), "sum of the parts",
               1e6 / sum_us, "requests/CPU s", ratio(runs["parts"], runs["mintd"], "sum_us", "cpu_us"), ">= 0.90",
               kind="cold", rps=middle(runs["mintd"], "rps"), cpu_us=middle(runs["mintd"], "cpu_us"),
               http_us=middle(runs["bare"], "cpu_us"), signature_us=middle(runs["parts"], part),
               json_us=middle(runs["parts"], "json"),
               note=f"{number(middle(runs['mintd'], 'cpu_us'))} us; the parts are HTTP "
                    f"{number(middle(runs['bare'], 'cpu_us'))}, signature {number(middle(runs['parts'], part))}, JSON "
                    f"{number(middle(runs['parts'], 'json'))}. Ours also asks the database whether the token is alive.")


def run(report, build):
    warm(report, build)
    cold(report, build)
