# SPDX-License-Identifier: Apache-2.0
"""`mintd import`: exports of the originals in, people, devices and their tokens served."""
import base64
import concurrent.futures
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
import uuid

import mintd
from board import Board
from mintd import DEADLINE, USERADM, Case, both_engines, eventually, request

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data")
FILES = ("users.json", "tokens.json", "settings.json", "user_settings.json")
ALICE = "9cfa9a52-6a26-4d4c-8d5e-0f1c2b3a4d5e"
SESSION = "0b5f4c1e-6f0a-4c59-9a55-2f6a4f1d1a01"  # alice, key 0
PAT = "1c6a5d2f-7a1b-4d6a-8b66-3a7b5a2e2b02"  # alice, key 5539
ENDLESS = "2d7b6e3a-8b2c-4e7b-9c77-4b8c6b3f3c03"  # bob, key 5539
HASH = "$2a$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"


def export(name):
    return os.path.join(DATA, "import", name)


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def original_token(key, kid, claims):
    """What the original issues: RS256 with the number of the key in the header, if any, claims in its order."""
    header = {"alg": "RS256", "typ": "JWT"} if kid is None else {"alg": "RS256", "kid": kid, "typ": "JWT"}
    header = json.dumps(header, separators=(",", ":")).encode()
    text = encode(header) + b"." + encode(json.dumps(claims, separators=(",", ":")).encode())
    signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text, capture_output=True, check=True,
                            timeout=DEADLINE).stdout
    return (text + b"." + encode(signed)).decode()


def claims_of(jti, sub, **more):
    now = int(time.time()) - 60
    return {"jti": jti, "sub": sub, **more, "iat": now, "mender.user": True, "iss": "mender.useradm",
            "scp": "mender.*", "nbf": now}


def user(number, **more):
    return {"_id": f"user-{number}", "email": f"user{number}@example.com", "password": HASH, "tenant_id": "",
            "created_ts": {"$date": "2024-01-01T00:00:00Z"}, "updated_ts": {"$date": "2024-01-01T00:00:00Z"}, **more}


class Importing(Case):
    service = "useradm"

    def take(self, *files, expect=0, **more):
        """Import; the table as {collection: (taken, already there, expired, skipped)}."""
        done = self.mintd("import", self.service, *files, expect=expect, **more)
        self.assertEqual(done.stderr, "")
        self.output = done.stdout
        rows = re.findall(r"^(\w+) +(\d+) +(\d+) +(\d+) +(\d+)$", done.stdout, re.M)
        return {row[0]: tuple(int(n) for n in row[1:]) for row in rows}

    def lines(self, name, *documents):
        return self.write(name, "".join(json.dumps(d) + "\n" for d in documents))

    def listed(self):
        return json.loads(self.mintd("user", "list", "--json").stdout)


@both_engines
class Exports(Importing):
    def test_what_is_imported_is_served(self):
        self.mintd("migrate")
        os.mkdir(self.path("keys"), 0o700)
        for source, name in (("rsa2048.pem", "private.pem"), ("rsa2048b.pem", "private.id.5539.pem")):
            shutil.copy(os.path.join(DATA, "jws", source), self.path("keys", name))
            os.chmod(self.path("keys", name), 0o600)
        self.assertEqual(self.take(*(export(name) for name in FILES)),
                         {"users": (2, 0, 0, 0), "tokens": (3, 0, 1, 0), "settings": (1, 0, 0, 0),
                          "user_settings": (1, 0, 0, 0)})
        server = self.serve()
        session = original_token(self.path("keys", "private.pem"), 0,
                                 claims_of(SESSION, ALICE, exp=4070908800))
        pat = original_token(self.path("keys", "private.id.5539.pem"), 5539,
                             claims_of(PAT, ALICE, exp=4070908800))
        endless = original_token(self.path("keys", "private.id.5539.pem"), 5539, claims_of(ENDLESS, "123456"))
        for token in (session, pat, endless):
            self.assertEqual(server.verify(token), 200)
        self.check_account(server, session)
        reply = request(server.public, "DELETE", USERADM + "/settings/tokens/" + PAT, bearer=session)
        self.assertEqual(reply.status, 204)
        self.assertEqual(server.verify(pat), 401)
        self.assertEqual(request(server.public, "POST", USERADM + "/auth/logout", bearer=session).status, 202)
        self.assertEqual(server.verify(session), 401)
        self.assertEqual(server.verify(endless), 200)

    def check_account(self, server, token):
        me = request(server.public, "GET", USERADM + "/users/me", bearer=token).json()
        self.assertEqual(me, {"id": ALICE, "email": "alice@example.com", "created_ts": "2023-03-01T08:15:30.125Z",
                              "updated_ts": "2024-06-02T10:00:00Z", "login_ts": "2024-11-20T07:30:00.5Z"})
        pats = request(server.public, "GET", USERADM + "/settings/tokens", bearer=token).json()
        self.assertEqual([(p["id"], p["name"], p["created_ts"], p["expiration_date"]) for p in pats],
                         [(PAT, "ci \u00fc", "2025-11-20T00:53:20Z", "2099-01-01T00:00:00Z")])
        common = request(server.public, "GET", USERADM + "/settings", bearer=token)
        self.assertEqual(common.headers["ETag"], "5f0c1d2e-3b4a-4c5d-8e6f-7a8b9c0d1e2f")
        self.assertEqual(common.text, '{"columnSelection":[],"onboarding":{"approach":null,"demoArtifactPort":85},'
                                      '"offlineThreshold":{"interval":1,"intervalUnit":"days"}}')
        mine = request(server.public, "GET", USERADM + "/settings/me", bearer=token)
        self.assertEqual(mine.text, '{"trackingConsentGiven":true,"zoom":1.5}')
        server.login("alice@example.com", "correct horse")
        server.login("bob@example.com", "battery staple")
        server.login("bob@example.com", "correct horse", expect=401)

    def test_a_second_run_changes_nothing(self):
        self.mintd("migrate")
        files = [export(name) for name in FILES]
        self.take(*files)
        before = self.listed()
        there = {"users": (0, 2, 0, 0), "tokens": (0, 3, 1, 0), "settings": (0, 1, 0, 0), "user_settings": (0, 1, 0, 0)}
        self.assertEqual(self.take(*files), there)
        self.assertEqual(self.take("--dry-run", *files), there)
        self.assertEqual(self.listed(), before)

    def test_a_dry_run_counts_the_same_and_writes_nothing(self):
        self.mintd("migrate")
        bad = self.lines("users.more.json", user(1), user(1), user(2, email="user1@example.com"), user(3, password="x"))
        files = [export(name) for name in FILES] + [bad]
        foreseen = self.take("--dry-run", *files, expect=8)
        reasons = self.output.replace("\nA dry run: nothing was written.\n", "")
        self.assertEqual(self.listed(), [])
        self.assertEqual(self.take(*files, expect=8), foreseen)
        self.assertEqual(self.output, reasons)
        self.assertEqual(len(self.listed()), 3)

    def test_what_is_here_stays_and_what_does_not_fit_is_told(self):
        self.mintd("migrate")
        self.mintd("user", "create", "--email", "user1@example.com", "--password", "correct horse", "--id", "other")
        self.take(self.lines("users.json", user(2), user(4)))
        before = self.listed()
        path = self.lines("users.json", user(1), user(2, email="new@example.com"), user(4), user(5, _id="other"))
        self.assertEqual(self.take(path, expect=8), {"users": (0, 1, 0, 3)})
        self.assertIn(f"1 of users: another user has this e-mail address\n    {path}:1\n", self.output)
        self.assertIn(f"2 of users: a user with this id is here with other content (changed since?)\n"
                      f"    {path}:2, {path}:4\n", self.output)
        self.assertNotIn("$2a$", self.output)
        self.assertEqual(self.listed(), before)

    def test_many_documents_beside_a_running_server(self):
        self.prepare()
        server = self.serve()
        path = self.lines("users.json", *(user(n) for n in range(1201)))
        self.assertEqual(self.take(path), {"users": (1201, 0, 0, 0)})
        server.login("user1200@example.com", "correct horse")
        server.login("alice@example.com", "correct horse")

    def test_two_imports_at_once_share_the_work(self):
        self.mintd("migrate")
        path = self.lines("users.json", *(user(n) for n in range(2003)))
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            done = list(pool.map(lambda _: self.mintd("import", "useradm", path), range(3)))
        rows = [[int(n) for n in re.search(r"^users +(\d+) +(\d+) +0 +0$", d.stdout, re.M).groups()] for d in done]
        self.assertEqual(sum(taken for taken, _ in rows), 2003)
        self.assertEqual(sum(there for _, there in rows), 2 * 2003)

    def test_killed_on_the_way_it_leaves_whole_documents_and_goes_on_later(self):
        self.mintd("migrate")
        text = "".join(json.dumps(user(n)) + "\n" for n in range(1000))
        process = subprocess.Popen([os.path.join(mintd.BUILD, "mintd"), "import", "useradm", "--collection", "users", "-"],
                                   env=self.env, cwd=self.dir, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        process.stdin.write(text.encode())
        process.stdin.flush()
        self.assertTrue(eventually(lambda: len(self.listed()) >= 500))
        process.kill()
        process.stdin.close()
        process.wait(DEADLINE)
        before = len(self.listed())
        self.assertLess(before, 1000)
        self.assertEqual(self.take("--collection", "users", "-", stdin=text), {"users": (1000 - before, before, 0, 0)})


class Files(Importing):
    def setUp(self):
        super().setUp()
        self.mintd("migrate")

    def refuses(self, path, *parts, args=()):
        """One line, code 1, and not even a good file before it was looked into."""
        good = self.lines("users.json", user(1))
        done = self.mintd("import", "useradm", good, path, *args, expect=1)
        self.fails_with_one_line(done, *parts)
        self.assertEqual(self.listed(), [])

    def test_what_is_no_export_is_refused_before_anything_is_written(self):
        self.refuses(self.path("none", "tokens.json"), "No such file")
        os.mkdir(self.path("tokens"))
        self.refuses(self.path("tokens"), "Is a directory")
        with gzip.open(self.path("tokens.json.gz"), "wb") as file:
            file.write(b"{}\n")
        self.refuses(self.path("tokens.json.gz"), "compressed", "gunzip")
        with open(self.path("tokens.bson"), "wb") as file:
            file.write(b"\x16\x00\x00\x00\x02hello\x00\x06\x00\x00\x00world\x00\x00")
        self.refuses(self.path("tokens.bson"), "BSON")
        self.refuses(self.write("tokens.csv", "_id,sub\n1,2\n"), "does not begin with a JSON document")
        self.refuses(self.write("people.json", "{}\n"), "people.json", "users.json", "--collection")
        self.refuses("-", "--collection")

    def test_unknown_collection(self):
        done = self.mintd("import", "useradm", self.lines("x", user(1)), "--collection", "user", expect=1)
        self.fails_with_one_line(done, 'no collection "user"', "users, tokens, settings, user_settings")

    def test_collection_by_option_and_from_stdin(self):
        self.assertEqual(self.take("--collection", "users", self.lines("people", user(1))), {"users": (1, 0, 0, 0)})
        documents = json.dumps(user(1)) + "\n\r\n" + json.dumps(user(2))
        self.assertEqual(self.take("--collection", "users", "-", stdin=documents), {"users": (1, 1, 0, 0)})

    def test_an_empty_collection_is_fine(self):
        for name, text in (("users.json", ""), ("tokens.json", "\n\n"), ("settings.json", "[]\n")):
            self.assertEqual(list(self.take(self.write(name, text)).values()), [(0, 0, 0, 0)])

    def test_a_bad_line_costs_only_itself(self):
        path = self.lines("users.json", user(1), user(2), user(3))
        with open(path, "ab") as file:
            file.write(b'{"_id":"x"\n[1]\n{"_id":"\xff"}\n{"a":"\x00"}\n{"a":1,"a":2}\n' + b'{"a":' * 3000 + b"\n")
            file.write(b'{"_id":"' + b"a" * (5 << 20) + b'"}\n')
            file.write(json.dumps(user(4)).encode() + b"\n" + json.dumps(user(5)).encode()[:-9])
        self.assertEqual(self.take(path, expect=8), {"users": (4, 0, 0, 8)})
        self.assertIn("7 of users: not a JSON document", self.output)
        self.assertIn("1 of users: the document is longer than 4 MiB\n    " + path + ":10\n", self.output)

    def test_a_broken_array_stops_after_what_was_whole(self):
        text = json.dumps([user(1), user(2), user(3)])
        for cut in (text[:-30], text[:-1]):
            done = self.mintd("import", "useradm", self.write("users.json", cut), expect=9)
            self.assertIn("users.json: the import stopped: line 1: the file ends inside", done.stderr)
            self.assertRegex(done.stdout, r"users +\d +")
        self.assertEqual(len(self.listed()), 3)

    def test_database_must_be_ready(self):
        path = self.lines("users.json", user(1))
        self.fails_with_one_line(self.mintd("import", "useradm", path, env={"MINTD_DB": self.new_db()}, expect=2),
                                 "migrate")


DEVICES = "/api/devices/v1/authentication/auth_requests"
VERIFY = "/api/internal/v1/devauth/tokens/verify"


def bson_uuid(text):
    return {"$binary": {"base64": base64.b64encode(uuid.UUID(text).bytes).decode(), "subType": "04"}}


class Moved:
    """A device of the original with one key, as its three collections have it."""

    def __init__(self, path, kind, status, number):
        self.board = Board(path, kind, mac=f"02:00:00:00:00:{number:02x}", sn=f"<{number}>")
        self.id, self.set, self.status = str(uuid.uuid4()), str(uuid.uuid4()), status

    def documents(self):
        data = json.dumps(self.board.identity, separators=(",", ":"), sort_keys=True)
        data = data.replace("<", "\\u003c").replace(">", "\\u003e")
        common = {"tenant_id": "", "id_data": data, "id_data_struct": self.board.identity, "status": self.status,
                  "id_data_sha256": {"$binary": {"base64": base64.b64encode(
                      hashlib.sha256(data.encode()).digest()).decode(), "subType": "00"}}}
        device = {"_id": self.id, **common, "decommissioning": False, "provisioned": True, "revision": 4,
                  "created_ts": {"$date": "2024-01-01T00:00:00.5Z"}, "updated_ts": {"$date": "2024-01-02T00:00:00Z"}}
        auth_set = {"_id": self.set, "device_id": self.id, **common, "pubkey": self.board.pubkey,
                    "ts": {"$date": {"$numberLong": "1704067200500"}}}
        token = {"_id": bson_uuid(self.set), "sub": bson_uuid(self.id), "iss": "Mender", "mender.device": True,
                 "exp": {"time": {"$date": "2099-01-01T00:00:00Z"}}, "mender.plan": "enterprise"}
        return device, auth_set, token

    def token(self, key):
        now = int(time.time()) - 60
        return original_token(key, None, {"jti": self.set, "sub": self.id, "exp": 4070908800, "iat": now,
                                          "mender.device": True, "iss": "Mender", "mender.plan": "enterprise",
                                          "mender.addons": [{"name": "configure", "enabled": True}],
                                          "mender.trial": False, "nbf": -62135596800})


@both_engines
class Fleet(Importing):
    service = "deviceauth"

    def setUp(self):
        super().setUp()
        self.mintd("migrate")
        os.mkdir(self.path("keys"), 0o700)
        self.key = shutil.copy(os.path.join(DATA, "jws", "rsa2048.pem"), self.path("keys", "private.pem"))
        os.chmod(self.key, 0o600)
        self.moved = [Moved(self.path(f"{number}.key"), kind, status, number) for number, (kind, status) in enumerate(
            (("rsa2048", "accepted"), ("ed25519", "accepted"), ("es256", "pending"), ("es256", "rejected")))]

    def export(self, count=4):
        """devices, auth_sets, tokens of those that are accepted, limits."""
        documents = [device.documents() for device in self.moved[:count]]
        tokens = [d[2] for d in documents if d[0]["status"] == "accepted"]
        return [self.lines("tokens.json", *tokens), self.lines("auth_sets.json", *(d[1] for d in documents)),
                self.lines("devices.json", *(d[0] for d in documents)),
                self.lines("limits.json", {"_id": {"$oid": "63ff0a52000000000000000a"}, "tenant_id": "",
                                           "name": "max_devices", "value": {"$numberLong": "2"}})]

    def verify(self, server, token):
        return request(server.internal, "GET", VERIFY, bearer=token).status

    def ask(self, server, device):
        asked = device.board.request()
        asked["headers"]["Content-Type"] = "application/json"
        return request(server.public, "POST", DEVICES, **asked)

    def test_a_fleet_moves_without_being_admitted_again(self):
        taken = {"devices": (4, 0, 0, 0), "auth_sets": (4, 0, 0, 0), "tokens": (2, 0, 0, 0), "limits": (1, 0, 0, 0)}
        self.assertEqual(self.take("--dry-run", *self.export()), taken)
        self.assertEqual(json.loads(self.mintd("device", "list", "--json").stdout), [])
        self.assertEqual(self.take(*self.export()), taken)
        server = self.serve()
        olds = [device.token(self.key) for device in self.moved]
        self.assertEqual([self.verify(server, old) for old in olds], [200, 200, 401, 401])
        replies = [self.ask(server, device) for device in self.moved]
        self.assertEqual([reply.status for reply in replies], [200, 200, 401, 401])
        for old, reply in zip(olds[:2], replies):
            self.assertEqual(self.verify(server, reply.text), 200)
            self.assertEqual(self.verify(server, old), 200)
        self.check_devices(server, replies[0].text, olds[0])

    def check_devices(self, server, token, old):
        listed = json.loads(self.mintd("device", "list", "--json").stdout)
        self.assertEqual({d["id"]: d["status"] for d in listed}, {d.id: d.status for d in self.moved})
        first = next(d for d in listed if d["id"] == self.moved[0].id)
        self.assertEqual((first["identity_data"], first["created_ts"], first["auth_sets"][0]["pubkey"]),
                         (self.moved[0].board.identity, "2024-01-01T00:00:00.5Z", self.moved[0].board.pubkey))
        full = self.mintd("device", "accept", self.moved[2].id, expect=5)
        self.assertIn("maximum number of accepted devices", full.stderr)
        self.mintd("device", "reject", self.moved[0].id)
        self.assertTrue(eventually(lambda: self.verify(server, token) == 401))
        self.assertEqual(self.verify(server, old), 401)

    def test_a_second_run_takes_only_what_is_new(self):
        self.take(*self.export(count=2))
        before = self.listed_devices()
        self.assertEqual(self.take(*self.export()), {"devices": (2, 2, 0, 0), "auth_sets": (2, 2, 0, 0),
                                                     "tokens": (0, 2, 0, 0), "limits": (0, 1, 0, 0)})
        there = {"devices": (0, 4, 0, 0), "auth_sets": (0, 4, 0, 0), "tokens": (0, 2, 0, 0), "limits": (0, 1, 0, 0)}
        self.assertEqual(self.take(*self.export()), there)
        self.assertEqual(self.take("--dry-run", *self.export()), there)
        self.assertEqual([d for d in self.listed_devices() if d in before], before)

    def listed_devices(self):
        return json.loads(self.mintd("device", "list", "--json").stdout)

    def test_what_does_not_fit_is_told(self):
        devices, sets, tokens = zip(*(device.documents() for device in self.moved))
        other = {**devices[1], "id_data": devices[0]["id_data"], "id_data_sha256": devices[0]["id_data_sha256"]}
        path = self.lines("devices.json", devices[0], other, {**devices[2], "id_data": "[]"})
        self.assertEqual(self.take(path, expect=8), {"devices": (1, 0, 0, 2)})
        self.assertIn(f"1 of devices: another device has this identity\n    {path}:2\n", self.output)
        self.assertIn(f"1 of devices: id_data is no JSON object\n    {path}:3\n", self.output)
        path = self.lines("auth_sets.json", sets[0], sets[1], {**sets[0], "_id": sets[1]["_id"]})
        self.assertEqual(self.take(path, expect=8), {"auth_sets": (1, 0, 0, 2)})
        self.assertIn(f"the set's device is not here\n    {path}:2\n", self.output)
        self.assertIn(f"the device has another set of this key\n    {path}:3\n", self.output)
        expired = {**tokens[0], "exp": {"time": {"$date": "2024-01-01T00:00:00Z"}}}
        self.assertEqual(self.take(self.lines("tokens.json", tokens[1], expired), expect=8), {"tokens": (0, 0, 1, 1)})
        self.fails_with_one_line(self.mintd("import", "deviceauth", self.write("users.json", "{}\n"), expect=1),
                                 "devices, auth_sets, tokens, limits")


if __name__ == "__main__":
    mintd.main()
