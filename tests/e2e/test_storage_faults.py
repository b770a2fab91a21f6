# SPDX-License-Identifier: Apache-2.0
"""Storage that is full, taken, stopped, restarted or out of reach: a clear answer in time, and recovery without a restart."""
import glob
import os
import pwd
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest

import mintd
from mintd import USERADM, Case, eventually, request
from relay import Relay

USER = ("alice@example.com", "correct horse")
JSON = {"Content-Type": "application/json"}
BUSY = 5.0  # seconds that the server waits for a lock or a connection
REPLY = 15.0  # and for the answer to a statement


class Faults(Case):
    def begin(self):
        self.env.update(USERADM_LIMIT_SESSIONS_PER_USER="0", USERADM_LIMIT_TOKENS_PER_USER="0")
        self.prepare()
        self.server = self.serve()
        self.bearer = self.server.login(*USER)
        self.names = []
        self.storms = 0

    def create(self, name):
        """Make a personal access token; the reply, and how long it took."""
        start = time.monotonic()
        reply = request(self.server.public, "POST", USERADM + "/settings/tokens", JSON,
                        '{"name":"%s","expires_in":3600}' % name, bearer=self.bearer)
        if reply.status == 200:
            self.names.append(name)
        return reply, time.monotonic() - start

    def is_refused(self, name, within):
        reply, took = self.create(name)
        self.assertIn(reply.status, (500, 503), reply.text)
        self.assertIn(reply.json()["error"], ("internal error", "service unavailable"))
        self.assertEqual("Retry-After" in reply.headers, reply.status == 503)
        self.assertLess(took, within)

    def recovers(self, within=mintd.DEADLINE):
        """Writes work again, and all that was acknowledged is there, and no more than that."""
        self.assertTrue(eventually(lambda: self.create(f"again{time.monotonic()}")[0].status == 200, within))
        reply = request(self.server.public, "GET", USERADM + "/settings/tokens", bearer=self.bearer)
        self.assertLessEqual(set(self.names), {token["name"] for token in reply.json()})
        self.assertEqual(self.server.verify(self.bearer), 200)
        self.assertEqual(self.server.verify(self.server.login(*USER)), 200)


class Files(Faults):
    def setUp(self):
        super().setUp()
        self.begin()

    def limit(self, size):
        pid = self.server.process.pid
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def test_a_full_disk(self):
        """No file may grow or be written, as when the disk is full; the logs go through a pipe."""
        self.create("before")
        for size in (0, 4096):
            self.limit(size)
            for i in range(3):
                self.is_refused(f"full{size}-{i}", BUSY)
            self.assertEqual(request(self.server.public, "POST", USERADM + "/auth/login", basic=USER).status, 500)
            # what is read needs no room
            self.assertEqual(self.server.verify(self.bearer), 200)
            time.sleep(0.6)  # until it is asked of the database again
            self.assertEqual(self.server.verify(self.bearer), 200)
            self.limit(resource.RLIM_INFINITY)
            self.recovers()
        self.assertFalse(set(self.token_names()) & {f"full{size}-{i}" for size in (0, 4096) for i in range(3)})

    def token_names(self):
        with sqlite3.connect(self.db.removeprefix("sqlite:")) as db:
            return [row[0] for row in db.execute("SELECT name FROM tokens WHERE name IS NOT NULL")]

    def test_another_program_that_keeps_the_database(self):
        holder = sqlite3.connect(self.db.removeprefix("sqlite:"), isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("BEGIN IMMEDIATE")
        writers = [threading.Thread(target=self.is_refused, args=(f"held{i}", 2 * BUSY + 2)) for i in range(4)]
        for writer in writers:
            writer.start()
        self.assertEqual(self.server.verify(self.bearer), 200)
        for writer in writers:
            writer.join(mintd.DEADLINE)
            self.assertFalse(writer.is_alive())
        holder.execute("ROLLBACK")
        self.recovers(BUSY)
        self.assertFalse({name for name in self.token_names() if name.startswith("held")})


class Postgres:
    """A server of one's own, which may be hurt."""

    def __init__(self, case):
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.dir = tempfile.mkdtemp(prefix="mintd-pg-")
        case.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.user = None
        if os.geteuid() == 0:
            self.user = "postgres"
            os.chown(self.dir, pwd.getpwnam("postgres").pw_uid, -1)
        self.run("initdb", "-D", self.dir + "/pg", "-A", "trust", "-U", "mintd", "--no-sync", "-E", "UTF8", "--locale=C")
        self.start()
        case.addCleanup(self.stop)

    def run(self, program, *args):
        subprocess.run([os.path.join(self.bin, program), *args], check=True, timeout=60, cwd=self.dir, user=self.user,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self):
        options = f"-k {self.dir} -c listen_addresses='' -c fsync=off"
        self.run("pg_ctl", "-D", self.dir + "/pg", "-s", "-w", "-l", self.dir + "/log", "-o", options, "start")

    def stop(self):
        self.run("pg_ctl", "-D", self.dir + "/pg", "-m", "immediate", "-s", "stop")

    def send(self, number):
        """A signal to the server and all that work for it."""
        with open(self.dir + "/pg/postmaster.pid", encoding="ascii") as file:
            main = int(file.readline())
        with open(f"/proc/{main}/task/{main}/children", encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
        for pid in [main, *children]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def sql(self, text):
        subprocess.run(["psql", "-X", "-q", "-c", text, self.url()], check=True, timeout=mintd.DEADLINE,
                       stdout=subprocess.DEVNULL, env={**os.environ, "PGOPTIONS": "-c default_transaction_read_only=off"})

    def url(self, host=None):
        if host is None:
            return f"postgresql:///postgres?host={self.dir}&user=mintd"
        return f"postgresql://mintd@{host}/postgres?sslmode=disable&gssencmode=disable"


@unittest.skipUnless(mintd.POSTGRES, "MINTD_TEST_POSTGRES is not set")
class Server(Faults):
    def setUp(self):
        super().setUp()
        self.postgres = Postgres(self)
        self.relay = Relay(self, self.postgres.dir + "/.s.PGSQL.5432")
        self.env["MINTD_DB"] = self.postgres.url(self.relay.address)
        self.begin()

    def storm(self, then):
        """Clients write while something happens; nobody waits for long, and each gets an answer that means something."""
        stop = threading.Event()
        worst, odd = [0.0], []

        self.storms += 1

        def write(who):
            for n in range(100000):
                if stop.is_set():
                    return
                reply, took = self.create(f"storm{self.storms}-{who}-{n}")
                worst[0] = max(worst[0], took)
                if reply.status not in (200, 500, 503):
                    odd.append((reply.status, reply.text))
        writers = [threading.Thread(target=write, args=(who,), daemon=True) for who in range(4)]
        for writer in writers:
            writer.start()
        time.sleep(0.2)
        then()
        time.sleep(0.2)
        stop.set()
        for writer in writers:
            writer.join(REPLY + 3 * BUSY)
            self.assertFalse(writer.is_alive())
        self.assertEqual(odd, [])
        return worst[0]

    def test_trouble_with_postgresql(self):
        """One server for all of it, since starting one takes the longest."""
        with self.subTest("restarted"):
            def restart():
                self.postgres.stop()
                self.is_refused("while it is away", BUSY)
                self.postgres.start()
            self.assertLess(self.storm(restart), 2 * BUSY)
            self.recovers()

        with self.subTest("cut off"):
            def cut():
                self.relay.cut()
                self.is_refused("while it is cut off", BUSY)
                self.relay.mend()
            self.assertLess(self.storm(cut), 2 * BUSY)
            self.recovers()

        with self.subTest("stopped for a while"):
            def pause():
                self.postgres.send(signal.SIGSTOP)
                time.sleep(1)
                self.postgres.send(signal.SIGCONT)
            self.assertLess(self.storm(pause), 1 + BUSY)
            self.recovers()

        with self.subTest("reading only"):
            self.postgres.sql("ALTER SYSTEM SET default_transaction_read_only = on")
            self.postgres.sql("SELECT pg_reload_conf()")
            self.assertTrue(eventually(lambda: self.create("some last one")[0].status != 200))
            self.is_refused("while it is read only", BUSY)
            self.assertEqual(self.server.verify(self.bearer), 200)
            self.postgres.sql("ALTER SYSTEM RESET default_transaction_read_only")
            self.postgres.sql("SELECT pg_reload_conf()")
            self.recovers()

    @unittest.skipUnless("MINTD_TORTURE" in os.environ, "takes as long as the server waits: make torture")
    def test_postgresql_that_does_not_answer(self):
        self.postgres.send(signal.SIGSTOP)
        self.addCleanup(self.postgres.send, signal.SIGCONT)
        start = time.monotonic()
        connection = mintd.http.client.HTTPConnection(self.server.public, timeout=60)
        self.addCleanup(connection.close)
        connection.request("POST", USERADM + "/settings/tokens", '{"name":"silent"}',
                           {**JSON, "Authorization": "Bearer " + self.bearer})
        self.assertEqual(connection.getresponse().status, 503)
        self.assertLess(time.monotonic() - start, REPLY + 2 * BUSY)
        self.postgres.send(signal.SIGCONT)
        self.recovers()


if __name__ == "__main__":
    mintd.main()
