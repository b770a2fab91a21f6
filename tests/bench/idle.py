# SPDX-License-Identifier: Apache-2.0
"""What connections that nobody uses cost: memory, and the latency of those who do."""
import resource
import socket

from harness import interleave, load, middle, number, ratio
from servers import Mintd, scratch, subfolder

WANTED = 10_000
SPARE = 200  # descriptors for everything else


def raise_limit():
    """As many descriptors as we may have; the connections that this leaves room for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(WANTED, hard - SPARE)


def open_idle(mintd, count):
    """Connections that have had one answer and stay open, half of them to each listener."""
    opened = []
    for n in range(count):
        host, port = mintd.found[n % 2].split(":")
        path = ("/.well-known/jwks.json", "/api/internal/v1/useradm/alive")[n % 2]
        connection = socket.create_connection((host, int(port)), timeout=30)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 20")
        opened.append(connection)
    return opened


def run(report, build):
    count = raise_limit()
    more = dict(threads=2, MINTD_CONNECTIONS_MAX=2 * WANTED, MINTD_IDLE_TIMEOUT_S=3600)
    with scratch() as folder, Mintd(build, subfolder(folder, "free"), **more) as free, \
            Mintd(build, subfolder(folder, "laden"), **more) as laden:
        headers = {server: server.verify_headers() for server in (free, laden)}
        verify = lambda server: load(server, server.verify_url, 32, headers[server])
        verify(laden)
        before = laden.rss_mb()
        idle = open_idle(laden, count)
        verify(laden)
        grown = laden.rss_mb() - before
        runs = interleave(free=lambda: verify(free), laden=lambda: verify(laden))
        for connection in idle:
            connection.close()
    report.add(f"{number(count)} idle connections, memory", grown, "none", None, "MB more", goal="<= 100",
               kind="idle-rss")
    report.add(f"{number(count)} idle connections, p99 of others", middle(runs["laden"], "p99_ms"), "none",
               middle(runs["free"], "p99_ms"), "ms", ratio(runs["laden"], runs["free"], "p99_ms"), "<= 2",
               kind="idle-p99", cpu_us=middle(runs["laden"], "cpu_us"), reference_cpu_us=middle(runs["free"], "cpu_us"))
