# SPDX-License-Identifier: Apache-2.0
"""
Tokens issued and verified beside Debian's glewlwyd in its best set-up: a database in WAL mode, its password hashing at
one round so that its cost is that of the token, no log, 16 connections, which is where it is fastest.
"""
import base64
import gzip
import json
import os
import socket
import sqlite3
import time
import uuid

from enrol import ask
from fleet import Fleet, openssl
from harness import interleave, load, middle, number, ratio
from servers import FORWARDED, Mintd, Process, call, scratch, subfolder

CLIENT, PERSON = ("bench", "bench secret"), ("somebody", "some password")
FORM = "application/x-www-form-urlencoded"
THEIR_CONNECTIONS = 16
OUR_CONNECTIONS = 32
STORED = 50_000
NOT_THE_SAME = ("The work is not the same as glewlwyd's: to issue, it looks a client and its scopes up and we check a "
                "device's signature; to verify, it checks which client asks and we answer a gateway.")


class Glewlwyd(Process):
    """Unpacked by tests/deps.sh, with a configuration, a database and a plugin instance of our own."""

    def __init__(self, build, folder, kind):
        self.root = os.path.abspath(f"{build}/glewlwyd")
        self.db = f"{folder}/glewlwyd.db"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.api = f"http://127.0.0.1:{port}/api"
        self.cookie = {}
        self._make_database()
        super().__init__([f"{self.root}/usr/bin/glewlwyd", "-c", self._configure(folder, port)], "", folder,
                         name="glewlwyd")
        self._sign_in()
        self._one_round_of_hashing()
        self._add_plugin(kind)
        self._add_client()
        basic = base64.b64encode(":".join(CLIENT).encode()).decode()
        self.basic = "Authorization: Basic " + basic

    def _read(self, name):
        with gzip.open(f"{self.root}/usr/share/doc/glewlwyd/{name}.gz", "rt") as file:
            return file.read()

    def _make_database(self):
        database = sqlite3.connect(self.db)
        database.executescript(self._read("database/init.sqlite3.sql"))
        database.execute("PRAGMA journal_mode = WAL")
        database.close()

    def _configure(self, folder, port):
        text = self._read("glewlwyd.conf.sample")
        for old, new in (("/usr/lib/glewlwyd", self.root + "/usr/lib/glewlwyd"), ("/usr/share/glewlwyd/webapp", folder),
                         ("/var/cache/glewlwyd/glewlwyd.db", self.db), ("#bind_address", "bind_address"),
                         ("port=4593", f"port={port}"), ("localhost:4593", f"127.0.0.1:{port}"),
                         ('log_level="INFO"', 'log_level="NONE"'), ("cookie_secure=1", "cookie_secure=0")):
            assert old in text, old
            text = text.replace(old, new)
        with open(f"{folder}/glewlwyd.conf", "w") as file:
            file.write(text)
        return file.name

    def _call(self, path, method="GET", body=None):
        status, text, headers = call(self.api + path, method, {"Content-Type": "application/json", **self.cookie},
                                     json.dumps(body) if body else None)
        if status != 200:
            raise SystemExit(f"bench: glewlwyd {method} {path}: {status} {text}")
        return text, headers

    def _sign_in(self):
        for _ in range(100):
            try:
                _, headers = self._call("/auth/", "POST", {"username": "admin", "password": "password"})
                self.cookie = {"Cookie": headers["Set-Cookie"].split(";")[0]}
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("bench: glewlwyd does not answer")

    def _one_round_of_hashing(self):
        for module in ("client", "user"):
            found = json.loads(self._call(f"/mod/{module}/database")[0])
            found["parameters"]["pbkdf2-iterations"] = 1
            self._call(f"/mod/{module}/database", "PUT", found)

    def _add_plugin(self, kind):
        make = {"es256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
                "rsa2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]}[kind]
        key = f"{self.db}.pem"
        openssl("genpkey", *make, "-out", key)
        with open(key) as file:
            private = file.read()
        off = ("code", "token", "none", "device", "implicit", "refresh")
        self._call("/mod/plugin/", "POST", {
            "module": "oidc", "name": "oidc", "display_name": "oidc", "enabled": True, "parameters": {
                "iss": self.api, "jwt-type": "ecdsa" if kind == "es256" else "rsa", "jwt-key-size": "256",
                "key": private, "cert": openssl("pkey", "-in", key, "-pubout").decode(), "access-token-duration": 86400,
                "refresh-token-duration": 1209600, "code-duration": 600, "refresh-token-rolling": False,
                "allow-non-oidc": True, "auth-type-client-enabled": True, "auth-type-password-enabled": True,
                **{f"auth-type-{name}-enabled": False for name in off}, "scope": [], "additional-parameters": [],
                "claims": [], "service-documentation": "", "op-policy-uri": "", "op-tos-uri": "", "jwks-show": True,
                "jwks-x5c": [], "request-parameter-allow": False, "introspection-revocation-allowed": True,
                "introspection-revocation-auth-scope": [], "introspection-revocation-allow-target-client": True,
                "register-client-allowed": False, "subject-type": "public", "pkce-allowed": False}})

    def _add_client(self):
        self._call("/scope/", "POST", {"name": "bench", "display_name": "bench", "description": "of this benchmark",
                                       "password_required": False, "scheme": {}})
        self._call("/client/", "POST", {
            "client_id": CLIENT[0], "name": "bench", "confidential": True, "password": CLIENT[1], "enabled": True,
            "client_secret": CLIENT[1], "scope": ["bench", "openid"], "redirect_uri": [],
            "authorization_type": ["client_credentials", "password"],
            "token_endpoint_auth_method": ["client_secret_basic"]})
        self._call("/user/", "POST", {"username": PERSON[0], "password": PERSON[1], "name": "somebody", "enabled": True,
                                      "email": "somebody@example.com", "scope": ["bench", "openid"]})

    def token(self, body):
        status, text, _ = call(self.api + "/oidc/token", "POST",
                               {"Content-Type": FORM, "Authorization": self.basic.split(": ")[1]}, body)
        assert status == 200, text
        return json.loads(text)["access_token"]

    def _post(self, path, body, connections):
        return load(self, self.api + path, connections, [self.basic], "post.lua", [body, FORM])

    def issue(self, connections=THEIR_CONNECTIONS):
        return self._post("/oidc/token", "grant_type=client_credentials&scope=bench", connections)

    def introspect(self, token):
        return self._post("/oidc/introspect", "token=" + token, THEIR_CONNECTIONS)

    def userinfo(self, token):
        return load(self, self.api + "/oidc/userinfo", THEIR_CONNECTIONS, ["Authorization: Bearer " + token])

    def store(self, count):
        """Rows of tokens that were issued, up to that many, as it writes them itself."""
        database = sqlite3.connect(self.db, timeout=60)
        with database:
            have, = database.execute("SELECT count(*) FROM gpo_access_token").fetchone()
            row = database.execute("SELECT gpoa_plugin_name, gpoa_authorization_type, gpoa_client_id, gpoa_issued_at, "
                                   "gpoa_issued_for FROM gpo_access_token LIMIT 1").fetchone()
            for _ in range(count - have):
                random = uuid.uuid4().hex
                put = database.execute("INSERT INTO gpo_access_token (gpoa_plugin_name, gpoa_authorization_type, "
                                       "gpoa_client_id, gpoa_issued_at, gpoa_issued_for, gpoa_token_hash, gpoa_jti) "
                                       "VALUES (?, ?, ?, ?, ?, ?, ?)",
                                       (*row, "{SHA512}" + base64.b64encode(random.encode() * 2).decode(), random))
                database.execute("INSERT INTO gpo_access_token_scope (gpoa_id, gpoas_scope) VALUES (?, 'bench')",
                                 (put.lastrowid,))
        database.close()


def issue(report, mintd, theirs, fleet, name, goal):
    runs = interleave(3, theirs=theirs.issue, ours=lambda: ask(mintd, fleet, OUR_CONNECTIONS))
    report.add(f"token issued, {name}", middle(runs["ours"], "rps"), "glewlwyd, client credentials",
               middle(runs["theirs"], "rps"), "requests/s", ratio(runs["ours"], runs["theirs"], "rps"), goal,
               kind="peer-issue", note=per_cpu_second(runs, "ours", "theirs"))


def per_cpu_second(runs, ours, theirs):
    us = [number(middle(runs[name], "cpu_us")) for name in (ours, theirs)]
    times = number(ratio(runs[ours], runs[theirs], "per_cpu_s"))
    return f"{times} times per CPU second: {us[0]} us a request against {us[1]}."


def verify(report, servers, tokens, when):
    """Ours cold and warm beside introspection and userinfo; what ours came to."""
    cold, warm, theirs = servers
    mine, client, person = tokens
    headers = warm.verify_headers()
    runs = interleave(3, cold=lambda: load(cold, cold.verify_url, OUR_CONNECTIONS, FORWARDED, "tokens.lua", [mine]),
                      introspect=lambda: theirs.introspect(client),
                      warm=lambda: load(warm, warm.verify_url, OUR_CONNECTIONS, headers),
                      userinfo=lambda: theirs.userinfo(person))
    for ours, goals in (("cold", (">= 12", None)), ("warm", (">= 65", None))):
        for other, goal in zip(("introspect", "userinfo"), goals):
            report.add(f"verify, ES256, {ours}, {when}", middle(runs[ours], "rps"), f"glewlwyd, {other}",
                       middle(runs[other], "rps"), "requests/s", ratio(runs[ours], runs[other], "rps"), goal,
                       kind="peer-verify", note=per_cpu_second(runs, ours, other))
    return {name: middle(runs[name], "per_cpu_s") for name in ("cold", "warm")}


def memory(report, mintd, theirs, fleet):
    ask(mintd, fleet, 64)
    theirs.issue(64)
    report.add("memory at its highest, 64 connections", mintd.peak_mb(), "glewlwyd", theirs.peak_mb(), "MB",
               goal="<= 1", kind="peer-memory")


def with_es256(report, build, folder):
    fleet = Fleet(folder, "es256")
    with Glewlwyd(build, folder, "es256") as theirs, \
            Mintd(build, subfolder(folder, "warm")) as warm, \
            Mintd(build, subfolder(folder, "cold"), threads=2, USERADM_TOKEN_CACHE_ENTRIES=64) as cold:
        fleet.admit(cold)
        client = theirs.token("grant_type=client_credentials&scope=bench")
        person = theirs.token(f"grant_type=password&scope=openid&username={PERSON[0]}&password={PERSON[1]}")
        tokens = cold.mint(3000, f"{folder}/tokens"), client, person
        empty = verify(report, (cold, warm, theirs), tokens, "nearly nothing stored")
        issue(report, cold, theirs, fleet, "P-256 device, ES256", ">= 10")
        memory(report, cold, theirs, fleet)
        theirs.store(STORED)
        for server in (cold, warm):
            server.fill(STORED)
        full = verify(report, (cold, warm, theirs), tokens, f"{number(STORED)} tokens stored")
    for name in full:
        report.add(f"verify, ES256, {name}, {number(STORED)} tokens stored", full[name], "nearly nothing stored",
                   empty[name], "requests/CPU s", goal=">= 0.90", kind="peer-stored")


def with_rsa(report, build, folder):
    fleet = Fleet(folder, "rsa2048")
    with Glewlwyd(build, folder, "rsa2048") as theirs, Mintd(build, folder, threads=2, keys=("rsa2048",)) as mintd:
        fleet.admit(mintd)
        theirs.token("grant_type=client_credentials&scope=bench")
        issue(report, mintd, theirs, fleet, "RSA-2048 device, RS256, 2048 bits", ">= 5")


def run(report, build):
    if not os.path.isdir(f"{build}/glewlwyd"):
        raise SystemExit(f"bench: {build}/glewlwyd is missing: tests/deps.sh bench fetches it")
    report.remark(NOT_THE_SAME)
    with scratch() as folder:
        with_es256(report, build, subfolder(folder, "es256"))
        with_rsa(report, build, subfolder(folder, "rsa2048"))
