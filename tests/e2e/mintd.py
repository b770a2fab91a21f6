# SPDX-License-Identifier: Apache-2.0
"""What the e2e tests share: run the built programs, start servers on free ports, talk to them, make databases.

Needs MINTD_BUILD (the build directory) and, for the second engine, MINTD_TEST_POSTGRES (a libpq URI with a query).
"""
import base64
import http.client
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

BUILD = os.path.abspath(os.environ.get("MINTD_BUILD", "build"))
POSTGRES = os.environ.get("MINTD_TEST_POSTGRES")
ENGINES = ("sqlite", "postgres")
DEADLINE = 20.0  # seconds that anything may take; nothing waits that long when all is well

# A shell that runs the tests in the background has them ignore it, and their programs would too.
signal.signal(signal.SIGINT, signal.default_int_handler)

USERADM = "/api/management/v1/useradm"
INTERNAL = "/api/internal/v1/useradm"
ENROL = "/api/devices/v1/authentication/auth_requests"
DEVICES = "/api/management/v2/devauth/devices"
VERIFY_DEVICE = "/api/internal/v1/devauth/tokens/verify"

_numbers = itertools.count()


def eventually(question, deadline=DEADLINE):
    """Ask until the answer is true; the answer, or the last one after the deadline."""
    end = time.monotonic() + deadline
    while True:
        answer = question()
        if answer or time.monotonic() > end:
            return answer
        time.sleep(0.01)


def psql(sql):
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, POSTGRES], check=True, timeout=DEADLINE,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()
        self.text = self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)


def request(address, method, path, headers=None, body=None, basic=None, bearer=None):
    """One HTTP request to "host:port" on a connection of its own."""
    headers = dict(headers or {})
    if basic:
        headers["Authorization"] = "Basic " + base64.b64encode(":".join(basic).encode()).decode()
    if bearer:
        headers["Authorization"] = "Bearer " + bearer
    connection = http.client.HTTPConnection(address, timeout=DEADLINE)
    try:
        connection.request(method, path, body=body, headers=headers)
        return Reply(connection.getresponse())
    finally:
        connection.close()


class Server:
    """A running server; log holds its lines so far."""

    def __init__(self, args, env, cwd, program="mintd"):
        self.log = []
        self.process = subprocess.Popen([os.path.join(BUILD, program)] + list(args), env=env, cwd=cwd, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        line = eventually(lambda: self.line("serving") or self.process.poll() is not None)
        if line is not self.line("serving") or not line:
            self.process.kill()
            raise AssertionError("the server did not start:\n" + "".join(self.log))
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        self.public = self._reachable(fields["listen"])
        self.internal = self._reachable(fields.get("internal_listen", ""))

    def _read(self):
        for line in self.process.stderr:
            self.log.append(line)

    @staticmethod
    def _reachable(address):
        """":8080" listens everywhere, so also here."""
        return "127.0.0.1" + address if address.startswith(":") else address.strip('"')

    def line(self, *parts):
        """The first log line that has all parts, or None."""
        return next((line for line in list(self.log) if all(part in line for part in parts)), None)

    def wait_line(self, *parts):
        line = eventually(lambda: self.line(*parts))
        if not line:
            raise AssertionError(f"no log line with {parts}:\n" + "".join(self.log))
        return line

    def login(self, email, password, expect=200):
        reply = request(self.public, "POST", USERADM + "/auth/login", basic=(email, password))
        if reply.status != expect:
            raise AssertionError(f"login: {reply.status} {reply.text}")
        return reply.text if expect == 200 else None

    def verify(self, token):
        """The status of the verify endpoint, asked as a gateway asks."""
        headers = {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/api/management/v1/inventory/devices"}
        address = self.internal or self.public
        return request(address, "GET", INTERNAL + "/auth/verify", headers=headers, bearer=token).status

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Stop it and give the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join(DEADLINE)
        self.process.stderr.close()
        return code


class Case(unittest.TestCase):
    """A test with a directory of its own, an environment without surprises, and helpers to run programs in both."""

    engine = "sqlite"

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mintd-e2e-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.db = self.new_db()
        self.env = {"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C.UTF-8", "MINTD_DB": self.db,
                    "MINTD_LISTEN": "127.0.0.1:0", "MINTD_INTERNAL_LISTEN": "127.0.0.1:0",
                    "USERADM_KEY_DIRECTORY": self.path("keys"), "USERADM_BCRYPT_COST": "4"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LLVM_PROFILE_FILE", "LD_PRELOAD"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def new_db(self):
        """The address of a new, empty database of the test's engine."""
        if self.engine == "sqlite":
            return "sqlite:" + self.path(f"{next(_numbers)}.db")
        if not POSTGRES:
            self.skipTest("MINTD_TEST_POSTGRES is not set")
        schema = f"e{os.getpid()}_{next(_numbers)}"
        psql(f"CREATE SCHEMA {schema}")
        self.addCleanup(psql, f"DROP SCHEMA {schema} CASCADE")
        return POSTGRES + "&options=" + urllib.parse.quote(f"-csearch_path={schema}")

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def run_program(self, program, *args, env=None, stdin="", expect=None):
        """Run to the end with stdin as its input; expect is the exit code."""
        merged = {**self.env, **(env or {})}
        done = subprocess.run([os.path.join(BUILD, program)] + list(args), env=merged, cwd=self.dir, input=stdin,
                              text=True, capture_output=True, timeout=DEADLINE, check=False)
        if expect is not None:
            self.assertEqual(done.returncode, expect, f"{program} {args}\nstdout: {done.stdout}\nstderr: {done.stderr}")
        return done

    def mintd(self, *args, expect=0, **more):
        return self.run_program("mintd", *args, expect=expect, **more)

    def useradm(self, *args, expect=0, **more):
        return self.run_program("useradm", *args, expect=expect, **more)

    def fails_with_one_line(self, done, *parts):
        """Nothing on stdout, one line on stderr, and all parts in it."""
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)

    def generate(self, key_type="es256", kid=None):
        """A new key in the key directory; its kid."""
        args = ["--kid", str(kid)] if kid is not None else []
        done = self.mintd("keys", "generate", "--type", key_type, *args)
        return int(done.stdout.split()[-1])

    def create_user(self, email="alice@example.com", password="correct horse"):
        return self.mintd("user", "create", "--email", email, "--password", password).stdout.strip()

    def prepare(self):
        """A key, a schema and a user: what a server needs to be of use."""
        self.generate()
        self.mintd("migrate")
        return self.create_user()

    def serve(self, *args, env=None, program="mintd"):
        """A server that is stopped, and its exit code checked, at the end of the test."""
        server = Server(["server", *args], {**self.env, **(env or {})}, self.dir, program)
        self.addCleanup(lambda: self.assertEqual(server.stop(), 0, "".join(server.log)))
        return server


def both_engines(case):
    """Class decorator: replaces a Case by one for each engine, in the module that it is in."""
    module = sys.modules[case.__module__]
    for engine in ENGINES:
        name = f"{case.__name__}_{engine}"
        setattr(module, name, type(name, (case,), {"engine": engine, "__module__": case.__module__}))
    return None


def main():
    unittest.main(verbosity=1)
