# SPDX-License-Identifier: Apache-2.0
"""The server is killed in the middle of writes, again and again: what it acknowledged is there, and nothing is half done."""
import base64
import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time

import mintd
from board import Board
from mintd import POSTGRES, USERADM, Case, both_engines, request

USER = ("alice@example.com", "correct horse")
ASK = "/api/devices/v1/authentication/auth_requests"
DEVICES = "/api/management/v2/devauth/devices"
JSON = {"Content-Type": "application/json"}

# The whole run is `make torture`.
ROUNDS = {"sqlite": 14, "postgres": 6} if "MINTD_TORTURE" not in os.environ else {"sqlite": 1000, "postgres": 300}

# No row without what it belongs to, and no device that is not what its sets say.
HALVES = (
    "SELECT count(*) FROM tokens t LEFT JOIN users u ON u.id = t.user_id AND u.tenant_id = t.tenant_id WHERE u.id IS NULL",
    "SELECT count(*) FROM auth_sets a LEFT JOIN devices d ON d.id = a.device_id AND d.tenant_id = a.tenant_id WHERE d.id IS NULL",
    "SELECT count(*) FROM devices d LEFT JOIN auth_sets a ON a.device_id = d.id WHERE a.id IS NULL",
    "SELECT count(*) FROM device_tokens t LEFT JOIN auth_sets a ON a.id = t.id AND a.status = 'accepted' WHERE a.id IS NULL",
    "SELECT count(*) FROM devices d WHERE (d.status = 'accepted') <>"
    " (EXISTS (SELECT 1 FROM auth_sets a WHERE a.device_id = d.id AND a.status = 'accepted'))",
    "SELECT count(*) FROM device_attributes a LEFT JOIN devices d ON d.id = a.device_id WHERE d.id IS NULL",
)


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class Writer(threading.Thread):
    """Writes until the server is gone; done has what was acknowledged."""

    def __init__(self, write):
        super().__init__(daemon=True)
        self.write, self.done, self.odd = write, [], []

    def run(self):
        while True:
            try:
                reply, want, what = self.write()
            except (OSError, mintd.http.client.HTTPException):
                return
            if reply.status == want:
                self.done.append(what(reply) if callable(what) else what)
            else:
                self.odd.append((reply.status, reply.text))


@both_engines
class Kill(Case):
    def setUp(self):
        super().setUp()
        self.env.update(USERADM_LIMIT_SESSIONS_PER_USER="0", USERADM_LIMIT_TOKENS_PER_USER="0")
        self.prepare()
        self.random = random.Random(20261121)
        self.n = 0
        self.boards = [Board(self.path(f"board{i}"), "ed25519", mac=f"02:00:00:00:00:0{i}") for i in range(3)]
        self.asks = [board.request() for board in self.boards]

    def start(self):
        self.server = mintd.Server(["server"], self.env, self.dir)
        self.admin = self.server.login(*USER)

    def rows(self, sql):
        """The rows of a query, as lists of texts, read by a program that is not ours."""
        if self.engine == "sqlite":
            with sqlite3.connect(self.db.removeprefix("sqlite:")) as db:
                return [[str(value) for value in row] for row in db.execute(sql)]
        options = self.db.partition("&options=")[2]
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-F", "\t", "-c", sql, POSTGRES + "&options=" + options],
                              check=True, timeout=mintd.DEADLINE, capture_output=True, text=True)
        return [line.split("\t") for line in done.stdout.splitlines()]

    def manage(self, method, path, body=None, headers=None):
        text = json.dumps(body) if body is not None else None
        return request(self.server.public, method, path, {**(JSON if text else {}), **(headers or {})}, text,
                       bearer=self.admin)

    def number(self):
        self.n += 1
        return self.n

    def login(self):
        reply = request(self.server.public, "POST", USERADM + "/auth/login", basic=USER)
        return reply, 200, lambda reply: reply.text

    def create_token(self):
        name = f"t{self.number()}"
        return self.manage("POST", USERADM + "/settings/tokens", {"name": name, "expires_in": 3600}), 200, name

    def create_people(self):
        email = f"u{self.number()}@example.com"
        return self.manage("POST", USERADM + "/users", {"email": email, "password": "battery staple"}), 201, email

    def delete_people(self):
        """Created and deleted: what is acknowledged is gone."""
        email = f"d{self.number()}@example.com"
        location = self.manage("POST", USERADM + "/users", {"email": email, "password": "battery staple"})
        path = location.headers["Location"]
        return self.manage("DELETE", USERADM + "/users/" + path.rsplit("/", 1)[1]), 204, email

    def save(self):
        n = self.number()
        return self.manage("POST", USERADM + "/settings", {"n": n}), 201, n

    def ask(self):
        which = self.random.randrange(len(self.asks))
        reply = request(self.server.public, "POST", ASK, {**JSON, **self.asks[which]["headers"]}, self.asks[which]["body"])
        return reply, 200, lambda reply: reply.text

    def decide(self):
        """Reject and accept in turn: each is a change of device, set and token."""
        device = self.random.choice(self.manage("GET", DEVICES).json())
        status = self.random.choice(("accepted", "rejected"))
        path = f"{DEVICES}/{device['id']}/auth/{device['auth_sets'][0]['id']}/status"
        return self.manage("PUT", path, {"status": status}), 204, (device["id"], status)

    def admit(self):
        for ask in self.asks:
            request(self.server.public, "POST", ASK, {**JSON, **ask["headers"]}, ask["body"])
        for device in self.manage("GET", DEVICES).json():
            path = f"{DEVICES}/{device['id']}/auth/{device['auth_sets'][0]['id']}/status"
            self.assertEqual(self.manage("PUT", path, {"status": "accepted"}).status, 204)

    def storm(self):
        """Everybody writes until the kill; what was acknowledged to whom."""
        writers = {name: Writer(getattr(self, name)) for name in
                   ("login", "create_token", "create_people", "delete_people", "save", "ask", "decide")}
        for writer in writers.values():
            writer.start()
        time.sleep(self.random.uniform(0.02, 0.25))
        self.server.process.kill()
        self.server.process.wait(mintd.DEADLINE)
        for name, writer in writers.items():
            writer.join(mintd.DEADLINE)
            self.assertFalse(writer.is_alive())
            # a device that is rejected meanwhile is told so
            self.assertEqual([odd for odd in writer.odd if name != "ask" or odd[0] != 401], [], name)
        self.server.stop()
        return {name: writer.done for name, writer in writers.items()}

    def check(self, done):
        for sql in HALVES:
            self.assertEqual(self.rows(sql), [["0"]], sql)
        ids = {row[0] for row in self.rows("SELECT id FROM tokens")}
        names = {row[0] for row in self.rows("SELECT name FROM tokens WHERE name IS NOT NULL")}
        people = {row[0] for row in self.rows("SELECT email FROM users")}
        self.assertLessEqual({claims(token)["jti"] for token in done["login"]}, ids)
        self.assertLessEqual(set(done["create_token"]), names)
        self.assertLessEqual(set(done["create_people"]), people)
        self.assertEqual(set(done["delete_people"]) & people, set())
        if done["save"]:
            ((body,),) = self.rows("SELECT body FROM settings")
            # the one behind the last that was acknowledged may have been written without a word
            self.assertGreaterEqual(json.loads(body)["n"], done["save"][-1])
        status = dict(self.rows("SELECT id, status FROM devices"))
        # but for the one whose change was on its way
        self.assertLessEqual(sum(status[device] != want for device, want in dict(done["decide"]).items()), 1)
        for token in done["login"][-2:]:
            self.assertEqual(self.server.verify(token), 200)

    def test_what_was_acknowledged_outlives_a_kill(self):
        self.start()
        self.admit()
        total = 0
        for _ in range(ROUNDS[self.engine]):
            done = self.storm()
            self.start()
            self.check(done)
            total += sum(len(writes) for writes in done.values())
        self.assertGreater(total, ROUNDS[self.engine])
        if self.engine == "sqlite":
            self.assertEqual(self.rows("PRAGMA integrity_check"), [["ok"]])
            self.assertEqual(self.rows("PRAGMA foreign_key_check"), [])
        self.assertEqual(self.server.stop(signal.SIGTERM), 0)


if __name__ == "__main__":
    mintd.main()
