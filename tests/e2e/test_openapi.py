# SPDX-License-Identifier: Apache-2.0
"""A running server against docs/openapi.yaml: it answers what is described, and all that is described it can answer."""
import base64
import json
import subprocess
import urllib.parse

import mintd
from board import Board
from mintd import Case, request
from openapi import Description

USER = ("alice@example.com", "correct horse")
NOBODY = "00000000-0000-4000-8000-000000000000"
IDS = {"id": "me", "did": NOBODY, "userid": NOBODY, "aid": NOBODY, "jti": NOBODY, "tid": "", "name": "max_devices"}
FORWARDED = {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/api/management/v1/inventory/devices"}

# A lost race, what only many tenants get, and what is out of order: other tests see to those.
RACES = {("updateUser", 409), ("updateOwnUser", 409)}
TENANTS = {("verifyDevice", 403), ("verifyDeviceByPost", 403)}
TEXTS = {(409, "entity tag did not match any records"), (401, "tenant token missing"), (401, "account suspended"),
         (403, "operation requires addon: troubleshoot")}
FAULTS = {500, 503}


def segment(value):
    """Of base64url."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


class OpenApi(Case):
    """The steps share one server, and build on what the steps before them left."""

    def setUp(self):
        super().setUp()
        self.doc = Description()
        self.generate("ed25519", kid=1)
        self.mintd("migrate")
        self.user = self.create_user(*USER)
        self.server = self.serve()
        self.token = self.server.login(*USER)
        self.claims = json.loads(base64.urlsafe_b64decode(self.token.split(".")[1] + "=="))

    def send(self, name, query="", path=None, **more):
        """The raw reply to the operation; {names} in its path are filled from path."""
        op = self.doc.operations[name]
        target = op.path.format(**{**IDS, **(path or {})}) + query
        address = self.server.internal if op.is_internal else self.server.public
        return request(address, op.method, target, **more)

    def call(self, name, status, body=None, headers=None, **more):
        """Send with a token where one is asked for, a JSON body, and what a gateway adds; hold it against the file."""
        op = self.doc.operations[name]
        headers = {**(FORWARDED if "X-Forwarded-Uri" in {p["name"] for p in op.parameters} else {}), **(headers or {})}
        if body is not None:
            headers = {"Content-Type": "application/json", **headers}
            body = body if isinstance(body, str) else json.dumps(body)
        if any("bearer" in way for way in op.security) and "bearer" not in more and "Authorization" not in headers:
            more["bearer"] = self.token
        reply = self.send(name, body=body, headers=headers, **more)
        self.assertEqual(reply.status, status, f"{name}: {reply.text}")
        self.doc.check(name, reply)
        return reply

    def refuse(self, name, status, *bodies, **more):
        """The bodies are refused, each with another text."""
        texts = {self.call(name, status, body, **more).json()["error"] for body in bodies}
        self.assertEqual(len(texts), len(bodies), texts)

    def sign(self, **claims):
        """A token of the server's key with other claims; None takes one away."""
        claims = {name: value for name, value in {**self.claims, **claims}.items() if value is not None}
        text = segment(b'{"alg":"EdDSA","kid":1,"typ":"JWT"}') + "." + segment(json.dumps(claims).encode())
        made = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.path("keys", "private.id.1.pem"),
                               "-in", self.write("to-sign", text)], check=True, capture_output=True, timeout=20)
        return text + "." + segment(made.stdout)

    def test_answers_what_is_described_and_nothing_else(self):
        for step in (self.front, self.identity, self.sessions, self.users, self.own_user, self.settings, self.tokens,
                     self.plans, self.tenants, self.devices, self.device_requests, self.inventory,
                     self.preauthorization, self.admission, self.device_tokens, self.device_limits,
                     self.tenant_devices, self.operations, self.behind_a_gateway, self.over_the_quota):
            with self.subTest(step.__name__):
                step()
        self.assertEqual({pair for pair in self.doc.unmet() if pair[1] not in FAULTS}, RACES | TENANTS)
        self.assertEqual({pair for pair in self.doc.unmet_texts() if pair[0] not in FAULTS}, TEXTS)

    def front(self):
        """What the front and the router answer for every operation."""
        for name, op in self.doc.operations.items():
            self.doc.check(name, self.send(name, headers={"Content-Length": "1048577"}))
            if "{" in op.path:
                self.call(name, 404, path={key: "%zz" for key in IDS})
            if any("bearer" in way for way in op.security):
                self.call(name, 401, headers={"Authorization": "Bearer"})
                self.call(name, 403, bearer=self.sign(scp="mender.none"))
            if "415" in op.replies:
                self.call(name, 415, "{}", headers={"Content-Type": "text/plain"})
                self.doc.check(name, self.send(name, bearer=self.token, body="{}"))

    def identity(self):
        """Each text that a 401 can have."""
        dead = self.server.login(*USER)
        self.call("logout", 202, bearer=dead)
        bearers = ["a.b", "a.!.c", "a." + segment(b'{"exp":"x"}') + ".c", "a." + segment(b"{}") + ".c",
                   self.sign(exp=1), self.sign(**{"mender.user": None}), dead]
        texts = [self.call("verify", 401, bearer=bearer).json()["error"] for bearer in bearers]
        texts += [self.call("verify", 401, headers={"Authorization": text}).json()["error"]
                  for text in ("", "Bearer", "Basic abc")]
        self.assertEqual(len(set(texts)), 9, texts)
        self.call("verify", 200)
        self.call("verifyByPost", 200)
        self.call("verify", 200, headers={"Authorization": "", "Cookie": "JWT=" + self.token})

    def sessions(self):
        self.call("login", 200, basic=USER)
        self.call("login", 200, {"no_expiry": True}, basic=USER)
        self.refuse("login", 400, '"x"', {"no_expiry": 1}, basic=USER)
        self.call("login", 401)
        self.call("login", 401, basic=(USER[0], "wrong horse"))

    def users(self):
        self.refuse("createUser", 400, "", "{}", {"email": "x", "password": "a long password"},
                    {"email": "e" * 250 + "@example.com", "password": "a long password"},
                    {"email": "bob@example.com", "password": "passwört"})
        self.refuse("createUser", 422, {"email": "bob@example.com", "password": "short"},
                    {"email": "bob@example.com", "password": "x" * 73},
                    {"email": "bob@example.com", "password": "bob@example"},
                    {"email": USER[0], "password": "a long password"})
        bob = self.call("createUser", 201, {"email": "bob@example.com", "password": "a long password"})
        bob = {"id": bob.headers["Location"].rsplit("/", 1)[1]}
        self.assertEqual(len(self.call("listUsers", 200).json()), 2)
        self.assertEqual(len(self.call("listUsers", 200, query="?created_after=1&id=" + bob["id"]).json()), 1)
        for name in ("listUsers", "listTenantUsers"):
            for query in ("?created_after=foo", "?updated_before=9223372036854775808", "?email=%zz"):
                self.call(name, 400, query=query)
        self.call("getUser", 200)
        self.call("getUser", 404, path={"id": NOBODY})

        self.refuse("updateUser", 400, "", "{}", {"email": "x"}, {"password": "passwört"})
        self.refuse("updateUser", 422, {"password": "short"}, {"password": "x" * 73},
                    {"password": "alice@example", "current_password": USER[1]}, {"password": "another password"},
                    {"email": "bob@example.com", "current_password": USER[1]})
        self.call("updateUser", 422, {"password": "another password"}, path=bob)
        self.call("updateUser", 404, {"email": "x@example.com"}, path={"id": NOBODY})
        self.call("updateUser", 204, {"email": "bob@example.org"}, path=bob)
        self.call("deleteUser", 204, path=bob)
        self.call("deleteUser", 204, path=bob)

    def own_user(self):
        self.refuse("updateOwnUser", 400, "", {"password": "passwört"})
        self.refuse("updateOwnUser", 422, {"password": "short"}, {"password": "x" * 73},
                    {"password": "alice@example", "current_password": USER[1]}, {"password": "another password"})
        self.call("updateOwnUser", 204, "{}")
        self.call("updateOwnUser", 204, {"password": USER[1], "current_password": USER[1]})

    def settings(self):
        for get, save in (("getSettings", "saveSettings"), ("getOwnSettings", "saveOwnSettings")):
            self.assertIsNone(self.call(get, 200).headers["ETag"])
            self.call(save, 201, {"columns": [1.0, 12345678901234567890]})
            etag = self.call(get, 200).headers["ETag"]
            self.call(save, 201, {"columns": None}, headers={"If-Match": etag})
            self.call(save, 412, {"columns": None}, headers={"If-Match": etag})
            self.refuse(save, 400, "[]", {str(i): 0 for i in range(1025)}, {"n" * 129: 0}, {"motd": "x" * 4097})

    def tokens(self):
        self.refuse("createToken", 400, "[]", {}, {"name": "x" * 4097}, {"name": "x", "expires_in": -1},
                    {"name": "x", "expires_in": 31536001}, {"expires_in": -1})
        self.call("createToken", 200, {"name": "0", "expires_in": 60})
        self.call("createToken", 409, {"name": "0"})
        pat = [self.call("createToken", 200, {"name": str(i)}).text for i in range(1, 10)][0]
        self.call("createToken", 422, {"name": "x"})
        self.call("verify", 200, bearer=pat)
        listed = self.call("listTokens", 200).json()
        self.assertEqual(sum("last_used" in row for row in listed), 1)
        self.assertEqual(sum("expiration_date" in row for row in listed), 1)
        self.call("deleteToken", 204, path=listed[0])

    def plans(self):
        self.call("listPlans", 200)
        self.call("getPlanBinding", 200)
        for query in ("?page=abc", "?per_page=0", "?per_page=501", "?page=%zz"):
            self.call("listPlans", 400, query=query)

    def tenants(self):
        self.call("createTenant", 201, {"tenant_id": "acme"})
        self.refuse("createTenant", 400, "", "{}")
        acme = {"id": "acme", "userid": "eve"}
        eve = {"id": "eve", "email": "eve@example.com", "password": "a long password"}
        self.refuse("createTenantUser", 400, "", {"email": "eve@example.com"}, {**eve, "password": "short"},
                    {**eve, "email": "x"}, {**eve, "id": "x" * 128}, path=acme)
        self.call("createTenantUser", 201, eve, path=acme)
        self.refuse("createTenantUser", 422, eve, {**eve, "password": "x" * 73}, path=acme)
        self.assertEqual(len(self.call("listTenantUsers", 200, path=acme).json()), 1)
        self.call("deleteTenantUser", 204, path=acme)
        self.call("revokeTokens", 400)
        self.call("revokeTokens", 400, query="?tenant_id=%zz")
        self.call("revokeTokens", 204, query="?tenant_id=acme&user_id=eve")

    def ask(self, status, board, **more):
        """The raw reply to the board's request."""
        return self.call("requestDevice", status, **{**board.request(), **more})

    def device_requests(self):
        board = Board(self.path("board.pem"), "rsa2048", mac="02:00:00:00:00:02")
        self.refuse("requestDevice", 400, "", {"id_data": 1}, {"pubkey": "x"}, {"id_data": "{}"},
                    {"id_data": "[]", "pubkey": board.pubkey}, {"id_data": "{}", "pubkey": "x"},
                    *({"id_data": "{}", "pubkey": pem} for pem in
                      (Board.pem(b"0"), Board.foreign("X25519"), Board.foreign("EC", "ec_paramgen_curve:secp256k1"),
                       Board.foreign("RSA", "rsa_keygen_bits:512"))), {"id_data": "{}", "pubkey": board.pubkey})
        self.ask(401, board, headers={"X-MEN-Signature": "AA=="})
        self.ask(401, board)

    def devices(self):
        for name in ("listDevices", "listTenantDevices"):
            for query in ("?status=", "?page=abc", "?per_page=0", "?per_page=501", "?id=%zz"):
                self.call(name, 400, query=query)
            self.assertEqual(self.call(name, 200).json(), [])
        for name in ("countDevices", "countTenantDevices"):
            for query in ("?status=x", "?status=%zz"):
                self.call(name, 400, query=query)
            self.assertEqual(self.call(name, 200, query="?status=pending").json(), {"count": 0})
        self.refuse("searchDevices", 400, "", {"status": 1}, {"id": [1]})
        self.call("searchDevices", 400, {}, query="?page=abc")
        self.call("searchDevices", 400, {}, query="?page=%zz")
        self.call("searchDevices", 415, {}, headers={"Content-Type": "application/json; charset=utf-8"})
        self.assertEqual(self.call("searchDevices", 200, {"status": "unknown"}).json(), [])

    def inventory(self):
        """Of the device that the requests left pending."""
        def one(kind, value):
            return {"filters": [{"scope": "identity", "attribute": "mac", "type": kind, "value": value}]}
        self.refuse("searchInventory", 400, "", {"page": "1"}, {"per_page": 501}, one("$regex", "x"), one("$in", "x"),
                    {"filters": one("$eq", "x")["filters"] * 33},
                    {"sort": [{"scope": "identity", "attribute": "mac", "order": "up"}]})
        self.call("searchInventory", 400, {}, query="?a=%zz")
        device, = self.call("searchInventory", 200, one("$eq", "02:00:00:00:00:02")).json()
        self.assertEqual(self.call("listInventory", 200).json(), [device])
        self.assertEqual(self.call("getInventoryDevice", 200, path=device).json(), device)
        self.call("getInventoryDevice", 404)
        for query in ("?page=abc", "?per_page=0", "?per_page=501", "?page=%zz"):
            self.call("listInventory", 400, query=query)
        self.assertEqual(self.call("listInventoryAttributes", 200).json()[0]["name"], "mac")
        self.assertEqual(self.call("listInventoryFilters", 200).json(), [])
        self.assertEqual(self.call("listInventoryGroups", 200).json(), [])
        statistics = self.call("getInventoryStatistics", 200).json()["devices_by_status"]
        self.assertEqual({status: tiers["standard"] for status, tiers in statistics.items()},
                         {"accepted": 0, "pending": 1, "preauthorized": 0, "rejected": 0})

    def preauthorization(self):
        board = Board(self.path("board1.pem"), "ed25519", mac="02:00:00:00:00:01")
        identity, key = {"identity_data": board.identity}, {"pubkey": board.pubkey}
        self.refuse("preauthorizeDevice", 400, "", {}, identity, key, {**identity, "pubkey": "x"},
                    {**identity, "pubkey": Board.foreign("X25519")})
        self.call("preauthorizeDevice", 201, {**identity, **key})
        self.call("preauthorizeDevice", 409, {**identity, **key})
        self.call("setTenantLimit", 204, {"limit": 0})
        self.ask(401, board)
        self.call("deleteTenantLimit", 204)
        self.ask(200, board)

    def admission(self):
        """Of the device that the requests left pending."""
        device, = self.call("listDevices", 200, query="?status=pending").json()
        other, = self.call("searchDevices", 200, {"status": ["accepted"]}).json()
        at = {"id": device["id"], "aid": device["auth_sets"][0]["id"]}
        self.assertEqual(self.call("getDevice", 200, path=at).json(), device)
        self.call("getDevice", 404)
        self.assertEqual(self.call("getAuthSetStatus", 200, path=at).json(), {"status": "pending"})
        self.call("getAuthSetStatus", 404)
        self.refuse("setAuthSetStatus", 400, "", {"status": "preauthorized"}, path=at)
        self.call("setAuthSetStatus", 400, {"status": "accepted"}, path={**at, "id": other["id"]})
        self.call("setAuthSetStatus", 404, {"status": "accepted"})
        self.call("setTenantLimit", 204, {"limit": 1})
        self.call("setAuthSetStatus", 422, {"status": "accepted"}, path=at)
        self.call("deleteTenantLimit", 204)
        for status in ("accepted", "rejected", "pending"):
            self.call("setAuthSetStatus", 204, {"status": status}, path=at)
        key = Board(self.path("board2.pem"), "es256", **device["identity_data"])
        self.call("preauthorizeDevice", 201, {"identity_data": key.identity, "pubkey": key.pubkey, "force": True})
        preauthorized = self.call("getDevice", 200, path=at).json()["auth_sets"][1]
        self.call("setAuthSetStatus", 400, {"status": "accepted"}, path={**at, "aid": preauthorized["id"]})
        self.call("deleteAuthSet", 204, path=at)
        self.call("deleteAuthSet", 404, path=at)
        self.call("decommissionDevice", 204, path=at)
        self.call("decommissionDevice", 404, path=at)

    def device_tokens(self):
        board = Board(self.path("board1.pem"), "ed25519", mac="02:00:00:00:00:01")
        token = self.ask(200, board).text
        for name in ("verifyDevice", "verifyDeviceByPost"):
            self.call(name, 200, headers={"Authorization": "Bearer " + token})
        self.call("verifyDevice", 200, headers={"Authorization": "", "Cookie": "JWT=" + token})
        jti = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["jti"]
        self.call("revokeDeviceToken", 204, path={"jti": jti})
        self.call("revokeDeviceToken", 404, path={"jti": jti})
        for authorization in (token, self.token):
            self.call("verifyDeviceByPost", 401, headers={"Authorization": "Bearer " + authorization})
        bad = ["a.b", "a.!.c", "a." + segment(b'{"exp":"x"}') + ".c", "a." + segment(b"{}") + ".c"]
        for authorization in ["", "Bearer", "Basic abc", *("Bearer " + text for text in bad)]:
            reply = self.call("verifyDevice", 401, headers={"Authorization": authorization})
            self.assertIn("error", reply.json())
        self.call("revokeDeviceTokens", 400)
        self.call("revokeDeviceTokens", 400, query="?tenant_id=%zz")
        self.call("revokeDeviceTokens", 204, query="?tenant_id=acme&device_id=x")

    def device_limits(self):
        for name in ("getLimit", "getTenantLimit", "deleteTenantLimit"):
            self.call(name, 400, path={"name": "devices"})
        self.call("setTenantLimit", 400, {"limit": 1}, path={"name": "devices"})
        self.refuse("setTenantLimit", 400, "", {"limit": "1"})
        self.call("setTenantLimit", 204, {"limit": 7}, path={"tid": "acme"})
        self.assertEqual(self.call("getTenantLimit", 200, path={"tid": "acme"}).json(), {"limit": 7})
        self.assertEqual(self.call("getLimit", 200).json(), {"limit": 0})

    def tenant_devices(self):
        self.call("createDeviceTenant", 201, {"tenant_id": "acme"})
        device, = self.call("listTenantDevices", 200).json()
        self.call("getTenantDeviceStatus", 404)
        self.assertEqual(self.call("getTenantDeviceStatus", 200, path=device).json(), {"status": "accepted"})
        at = {"did": device["id"]}
        self.refuse("updateTenantDevice", 400, "", {"provisioned": "x"}, path=at)
        self.call("updateTenantDevice", 204, {"provisioned": True}, path=at)
        self.call("updateTenantDevice", 404, {"provisioned": True})
        self.call("deleteTenantDevice", 404, path={**at, "tid": "acme"})
        self.call("deleteTenantDevice", 400, path={"did": ""})
        self.call("deleteTenantDevice", 204, path=at)

    def operations(self):
        self.call("deviceAlive", 204)
        self.call("deviceHealth", 204)
        self.assertEqual(self.call("deviceHealth", 200, query="?detail=1").json()["status"], "ok")
        self.call("alive", 204)
        self.call("health", 204)
        self.assertEqual(self.call("health", 200, query="?detail=1").json()["status"], "ok")
        self.write("keys/private.id.2.pem", "no key")
        self.server.send(mintd.signal.SIGHUP)
        self.assertTrue(mintd.eventually(lambda: "reason" in self.call("health", 200, query="?detail=1").text))
        self.call("metrics", 200)
        for key_type in ("rsa2048", "es256"):
            self.generate(key_type)
        self.server.send(mintd.signal.SIGHUP)
        jwks = mintd.eventually(lambda: (reply := self.call("jwks", 200)).text.count('"kid"') == 3 and reply)
        self.assertEqual({key["kty"] for key in jwks.json()["keys"]}, {"OKP", "RSA", "EC"})
        self.call("jwks", 304, headers={"If-None-Match": jwks.headers["ETag"]})

    def behind_a_gateway(self):
        """Where only the gateway asks whether a token's user is still there."""
        self.server = self.serve(env={"MINTD_TRUST_GATEWAY": "true"})
        self.call("updateOwnUser", 404, "{}", bearer=self.sign(sub=NOBODY))
        self.call("listUsers", 200, bearer="a." + self.token.split(".")[1] + ".c")

    def over_the_quota(self):
        groups = json.dumps({"name": "default", "quota": 1, "interval": "1h", "event_expression": "everybody"})
        self.server = self.serve(env={"USERADM_RATE_LIMITS_AUTH_ENABLE": "true",
                                      "USERADM_RATE_LIMITS_AUTH_GROUPS": groups})
        self.assertTrue(mintd.eventually(
            lambda: self.send("verify", bearer=self.token, headers=FORWARDED).status == 429))
        self.call("verify", 429)
        self.call("verifyByPost", 429)

    def test_what_is_true_of_every_path(self):
        for name, op in self.doc.operations.items():
            with self.subTest(name):
                address = self.server.internal if op.is_internal else self.server.public
                path = op.path.format(**{**IDS, "tid": "acme"})
                methods = {o.method for o in self.doc.operations.values() if o.path == op.path}

                reply = request(address, op.method, path + "/?a=b")
                self.assertEqual(reply.status, 301 if op.method == "GET" else 307)
                self.doc.check_reply(reply, self.doc.any_path["redirect"])
                self.assertEqual(reply.headers["Location"], path + "?a=b")

                reply = request(address, "PATCH" if "PUT" in methods else "PUT", path)
                self.assertEqual(reply.status, 405)
                self.doc.check_reply(reply, self.doc.any_path["method-not-allowed"])
                self.assertEqual(set(reply.headers["Allow"].split(", ")), methods)

                reply = request(address, "OPTIONS", path)
                if op.path.startswith(("/api/management/", "/api/devices/")):
                    self.assertEqual(reply.status, 200)
                    self.doc.check_reply(reply, self.doc.any_path["options"])
                    self.assertEqual(set(reply.headers.get_all("Allow")), methods)
                else:
                    self.assertEqual(reply.status, 405)

                reply = request(address, op.method, path + "/" + urllib.parse.quote("no such/path"))
                self.assertEqual(reply.status, 404)
                self.doc.check_reply(reply, self.doc.any_path["not-found"])


if __name__ == "__main__":
    mintd.main()
