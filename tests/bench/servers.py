# SPDX-License-Identifier: Apache-2.0
"""The servers that are measured: bare libmicrohttpd, mintd on either engine, and a PostgreSQL for it."""
import base64
import contextlib
import getpass
import glob
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from harness import eventually

ME = ("bench@example.com", "bench password")
VERIFY = "/api/internal/v1/useradm/auth/verify"
FORWARDED = ("X-Forwarded-Method: GET", "X-Forwarded-Uri: /api/management/v1/inventory/devices")


def call(url, method="GET", headers=None, body=None):
    """One request: status, text and headers of the reply."""
    data = body.encode() if isinstance(body, str) else body
    request = urllib.request.Request(url, method=method, headers=headers or {}, data=data)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read().decode(), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def process_cpu_us(pid):
    """CPU time of all threads that a process has and had: its clock, as clock_getcpuclockid(3) makes the id of it."""
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e3


class Process:
    """A server that says on a line where it listens; the rest of what it says is kept in a file."""

    def __init__(self, args, pattern, folder, env=None, name="server"):
        self.log = os.path.join(folder, f"{name}-{time.monotonic_ns()}.log")
        with open(self.log, "w") as out:
            self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=out, stderr=out, env=env)
        self.pid = self.process.pid
        eventually(lambda: self._find(pattern), f"{args[0]} does not start, see {self.log}", 120)

    def _find(self, pattern):
        if self.process.poll() is not None:
            raise SystemExit(f"bench: {self.process.args[0]} ended:\n" + self.text())
        found = re.search(pattern, self.text(), re.M)
        self.found = found.groups() if found else None
        return found

    def text(self):
        with open(self.log) as file:
            return file.read()

    def cpu_us(self):
        return process_cpu_us(self.pid)

    def _status_mb(self, name):
        with open(f"/proc/{self.pid}/status") as file:
            return int(re.search(name + r":\s+(\d+)", file.read()).group(1)) / 1024

    def rss_mb(self):
        return self._status_mb("VmRSS")

    def peak_mb(self):
        return self._status_mb("VmHWM")

    def stop(self):
        self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Bare(Process):
    """libmicrohttpd alone: 200 and an empty body, whatever is asked; for each request these parts of bench_parts."""

    def __init__(self, build, folder, threads=1, parts=()):
        super().__init__([f"{build}/bench/bench_bare", str(threads), *parts], r"^(\d+)$", folder, name="bare")
        self.url = f"http://127.0.0.1:{self.found[0]}/"


class Mintd(Process):
    """
    mintd with a database and keys in folder, which are made when they are not there.
      threads  of I/O; 0: one for each core
      keys     types of keys to generate, the last one signs
      more     configuration, as environment: MINTD_DB_THREADS=4
    """

    def __init__(self, build, folder, threads=1, keys=("es256",), db=None, **more):
        self.build, self.folder = build, folder
        self.keys = os.path.join(folder, "keys")
        self.db = db or f"sqlite:{folder}/mintd.db"
        self.env = dict(os.environ, MINTD_DB=self.db, MINTD_LISTEN="127.0.0.1:0", MINTD_INTERNAL_LISTEN="127.0.0.1:0",
                        MINTD_IO_THREADS=str(threads), USERADM_KEY_DIRECTORY=self.keys,
                        MINTD_LOG_LEVEL="info",
                        **{name: str(value) for name, value in more.items()})
        if not os.path.isdir(self.keys):
            for kind in keys:
                self.run("keys", "generate", "--type", kind)
        if not os.path.exists(os.path.join(folder, "user")):
            self.run("migrate")
            with open(os.path.join(folder, "user"), "w") as file:
                file.write(self.run("user", "create", "--email", ME[0], "--password", ME[1]))
        with open(os.path.join(folder, "user")) as file:
            self.user = file.read().strip()
        super().__init__([f"{build}/mintd", "server"], r"serving listen=(\S+) internal_listen=(\S+)", folder, self.env,
                         "mintd")
        self.public, self.internal = (f"http://{address}" for address in self.found)
        self.verify_url = self.internal + VERIFY

    def run(self, *args):
        done = subprocess.run([f"{self.build}/mintd", *args], env=self.env, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise SystemExit(f"bench: mintd {' '.join(args)}: {done.stderr}")
        return done.stdout

    def login(self):
        basic = base64.b64encode(":".join(ME).encode()).decode()
        status, text, _ = call(self.public + "/api/management/v1/useradm/auth/login", "POST",
                               {"Authorization": "Basic " + basic})
        assert status == 200, text
        return text

    def verify_headers(self):
        return (f"Authorization: Bearer {self.login()}", *FORWARDED)

    def mint(self, count, path):
        """Tokens that count, one a line in the file path."""
        text = subprocess.run([f"{self.build}/bench/bench_mint", self.keys, self.user, str(count)], check=True,
                              capture_output=True, text=True, timeout=300).stdout
        lines = [line.split(" ") for line in text.splitlines()]
        self.insert((jti, int(kid)) for jti, kid, _ in lines)
        with open(path, "w") as file:
            file.writelines(token + "\n" for _, _, token in lines)
        return path

    def insert(self, rows):
        """Rows of live tokens of our user: (jti, kid)."""
        columns = ("id", "user_id", "kid", "tenant_id", "issued_ms", "expires_ms")
        now = int(time.time() * 1000)
        rows = ((jti, self.user, kid, "", now, now + 86_400_000) for jti, kid in rows)
        if self.db.startswith("sqlite:"):
            database = sqlite3.connect(self.db.removeprefix("sqlite:"), timeout=60)
            with database:
                database.executemany(f"INSERT INTO tokens ({', '.join(columns)}) VALUES (?, ?, ?, ?, ?, ?)", rows)
            database.close()
            return
        text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
        copy = f"COPY tokens ({', '.join(columns)}) FROM STDIN"
        subprocess.run(["psql", "-X", "-q", "-c", copy, self.db], input=text, check=True, text=True, timeout=300)

    def fill(self, count):
        """Rows of that many more live tokens, which nobody has."""
        self.insert((f"{n:08x}-0000-7000-8000-{n * 2654435761 % 2 ** 48:012x}", 1) for n in range(count))


class Postgres:
    """A PostgreSQL that lives as long as the part, as durable as it comes: fsync and synchronous_commit on."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="mintd-bench-pg-", dir="/tmp")
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))[-1]
        if getpass.getuser() == "root":  # which it refuses to run as
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", self.folder + "/data", "-A", "trust", "-U", "mintd", "-E", "UTF8", "--locale=C")
        self._run("pg_ctl", "-D", self.folder + "/data", "-s", "-w", "-l", self.folder + "/log", "-o",
                  f"-k {self.folder} -c listen_addresses='' -c max_connections=200", "start")
        with open(self.folder + "/data/postmaster.pid") as file:
            self.pid = int(file.readline())
        self.url = f"postgresql:///postgres?host={self.folder}&user=mintd"

    def _run(self, program, *args):
        as_user = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
        subprocess.run([*as_user, f"{self.bin}/{program}", *args], cwd=self.folder, check=True, timeout=120,
                       stdout=subprocess.DEVNULL)

    def cpu_us(self):
        """Of the server and its children; those that ended are missing."""
        children = subprocess.run(["pgrep", "-P", str(self.pid)], capture_output=True, text=True).stdout.split()
        return sum(process_cpu_us(int(pid)) for pid in [self.pid, *children])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGINT)
            eventually(lambda: not os.path.isdir(f"/proc/{self.pid}"), "PostgreSQL does not stop")
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def scratch():
    """A folder for the time being."""
    with tempfile.TemporaryDirectory(prefix="mintd-bench-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield folder


def subfolder(folder, name):
    path = os.path.join(folder, name)
    os.makedirs(path, exist_ok=True)
    return path
