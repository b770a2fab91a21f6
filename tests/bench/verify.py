# SPDX-License-Identifier: Apache-2.0
"""Verify beside libmicrohttpd that does nothing: a token that was seen before, and tokens that never were."""
from harness import interleave, load, middle, number, parts_us, ratio
from servers import FORWARDED, Bare, Mintd, Postgres, scratch, subfolder

# Tokens that come round again only when the server has long forgotten them.
COLD_TOKENS = 3000
COLD = (("ES256", "es256"), ("RS256, 2048 bits", "rsa2048"), ("RS256, 3072 bits", "rsa3072"), ("EdDSA", "ed25519"))


def warm(report, build):
    with scratch() as folder:
        for threads in (1, 2):
            with Bare(build, folder, threads) as bare, Mintd(build, folder, threads) as mintd:
                headers = mintd.verify_headers()
                for connections in (32, 128, 512):
                    one_warm(report, bare, mintd, headers, threads, connections)


def one_warm(report, bare, mintd, headers, threads, connections):
    runs = interleave(5 if connections == 32 else 3, bare=lambda: load(bare, bare.url, connections, headers),
                      mintd=lambda: load(mintd, mintd.verify_url, connections, headers))
    report.add(f"verify, warm, {threads} I/O thread{'s'[:threads - 1]}, {connections} connections",
               middle(runs["mintd"], "per_cpu_s"), "libmicrohttpd alone", middle(runs["bare"], "per_cpu_s"),
               "requests/CPU s", ratio(runs["mintd"], runs["bare"], "per_cpu_s"), ">= 0.85",
               kind="warm", threads=threads, connections=connections, rps=middle(runs["mintd"], "rps"),
               reference_rps=middle(runs["bare"], "rps"), p99_ms=middle(runs["mintd"], "p99_ms"),
               reference_p99_ms=middle(runs["bare"], "p99_ms"))


def cold(report, build):
    with scratch() as folder:
        for name, kind in COLD:
            home = subfolder(folder, kind)
            parts = (f"verify_{kind}", "json")
            with Bare(build, home) as bare, Bare(build, home, 1, parts) as floor, \
                    Mintd(build, home, keys=(kind,), USERADM_TOKEN_CACHE_ENTRIES=64) as mintd:
                tokens = mintd.mint(COLD_TOKENS, f"{home}/tokens")
                run = dict(headers=FORWARDED, script="tokens.lua", arguments=[tokens])
                runs = interleave(3, bare=lambda: load(bare, bare.url, 32, **run),
                                  floor=lambda: load(floor, floor.url, 32, **run),
                                  parts=lambda: parts_us(build, *parts),
                                  mintd=lambda: load(mintd, mintd.verify_url, 32, **run))
            one_cold(report, runs, name, kind)


def one_cold(report, runs, name, kind):
    part = f"verify_{kind}"
    for parts, alone in zip(runs["parts"], runs["bare"]):
        parts["sum_us"] = alone["cpu_us"] + parts[part] + parts["json"]
    figure, ours = f"verify, never seen before, {name}", middle(runs["mintd"], "per_cpu_s")
    report.add(figure, ours, "sum of the parts", 1e6 / middle(runs["parts"], "sum_us"), "requests/CPU s",
               ratio(runs["parts"], runs["mintd"], "sum_us", "cpu_us"), ">= 0.90",
               kind="cold", alg=kind, rps=middle(runs["mintd"], "rps"), cpu_us=middle(runs["mintd"], "cpu_us"),
               http_us=middle(runs["bare"], "cpu_us"), signature_us=middle(runs["parts"], part),
               json_us=middle(runs["parts"], "json"),
               note=f"{number(middle(runs['mintd'], 'cpu_us'))} us; the parts are HTTP "
                    f"{number(middle(runs['bare'], 'cpu_us'))}, signature {number(middle(runs['parts'], part))}, JSON "
                    f"{number(middle(runs['parts'], 'json'))}, and {number(middle(runs['floor'], 'cpu_us'))} where one "
                    "server does all of them. Ours also asks the database whether the token is alive.")
    report.add(figure, ours, "the parts in one server", middle(runs["floor"], "per_cpu_s"), "requests/CPU s",
               ratio(runs["mintd"], runs["floor"], "per_cpu_s"), kind="cold-floor", alg=kind)


def cold_on_postgres(report, build):
    """What a token that was never seen costs where the database is somebody else's process."""
    with scratch() as folder, Postgres() as postgres:
        homes = [subfolder(folder, name) for name in ("sqlite", "postgres")]
        with Mintd(build, homes[0], USERADM_TOKEN_CACHE_ENTRIES=64) as sqlite, \
                Mintd(build, homes[1], db=postgres.url, USERADM_TOKEN_CACHE_ENTRIES=64) as ours:
            tokens = {server: server.mint(COLD_TOKENS, server.folder + "/tokens") for server in (sqlite, ours)}
            verify = lambda server: load(server, server.verify_url, 32, FORWARDED, "tokens.lua", [tokens[server]])
            before = postgres.cpu_us()
            runs = interleave(3, sqlite=lambda: verify(sqlite), postgres=lambda: verify(ours))
            database_us = (postgres.cpu_us() - before) / sum(sample["requests"] for sample in runs["postgres"])
    report.add("verify, never seen before, ES256, on PostgreSQL", middle(runs["postgres"], "rps"), "on SQLite",
               middle(runs["sqlite"], "rps"), "requests/s", ratio(runs["postgres"], runs["sqlite"], "rps"),
               kind="cold-postgres", cpu_us=middle(runs["postgres"], "cpu_us"), database_us=database_us,
               note=f"CPU a request: mintd {number(middle(runs['postgres'], 'cpu_us'))} us and the database "
                    f"{number(database_us)} us, on SQLite {number(middle(runs['sqlite'], 'cpu_us'))} us in all.")


def run(report, build):
    warm(report, build)
    cold(report, build)
    cold_on_postgres(report, build)
