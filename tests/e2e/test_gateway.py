# SPDX-License-Identifier: Apache-2.0
"""Behind nginx as installations have it: auth_request asks the program, under its link name, about each call."""
import http.server
import os
import threading
import unittest

import board
import gateway
import mintd
from mintd import DEADLINE, DEVICES, INTERNAL, USERADM, Case

USER = ("alice@example.com", "correct horse")
INVENTORY = "/api/devices/v1/inventory/"


def clients_of(port):
    """The ports on this machine that have, or had until a moment ago, a connection to port on 127.0.0.1."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        ends = [line.split()[1:3] for line in file.readlines()[1:]]
    return {local for local, remote in ends if int(remote.split(":")[1], 16) == port}


@unittest.skipUnless(gateway.NGINX, "nginx is not installed")
class BehindGateway(Case):
    settings = {}

    def setUp(self):
        super().setUp()
        self.prepare()
        self.env["USERADM_SERVER_PRIV_KEY_PATH"] = self.path("keys", "private.id.1.pem")
        self.server = self.serve(program="useradm", env={"MINTD_INTERNAL_LISTEN": "", **self.settings})
        self.gateway = gateway.Gateway(self, [(self.server.public, self.server.public)] * 2)
        self.ask = self.gateway.ask

    def is_json(self, reply, status, error):
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (status, "application/json"))
        self.assertEqual(reply.json()["error"], error)
        self.assertRegex(reply.json()["request_id"], r"\A[0-9a-f]{32}\Z")

    def test_lets_through_who_is_logged_in_and_nobody_else(self):
        token = self.server.login(*USER)
        reply = self.ask("GET", USERADM + "/users/me", bearer=token)
        self.assertEqual((reply.status, reply.json()["email"]), (200, USER[0]))
        self.assertEqual(self.ask("GET", USERADM + "/users/me", Cookie="JWT=" + token).status, 200)
        self.assertEqual(self.ask("GET", USERADM + "/roles?per_page=500", bearer=token).status, 404)
        for bad in (None, token[:-2], "a.b.c"):
            reply = self.ask("GET", USERADM + "/users/me", bearer=bad)
            self.is_json(reply, 401, "unauthorized")
            self.assertEqual(reply.headers["WWW-Authenticate"], 'Bearer realm="ManagementJWT"')
        self.assertEqual(self.ask("POST", USERADM + "/auth/logout", bearer=token).status, 202)
        self.assertEqual(self.ask("GET", USERADM + "/users/me", bearer=token).status, 401)

    def test_shows_nothing_internal(self):
        token = self.server.login(*USER)
        for path in (INTERNAL + "/alive", "/api//internal/v1/useradm/health", "/api/%69nternal/v1/useradm/health",
                     "/api/management/../internal/v1/useradm/health", "/api/management/%2e%2e/internal/v1/useradm/alive"):
            self.is_json(self.ask("GET", path, bearer=token), 403, "forbidden")
        for path in ("/", "/metrics", "/api/", "/verify/user", "/ui/"):
            self.is_json(self.ask("GET", path, bearer=token), 404, "not found")

    def test_logs_in_as_mender_cli_does(self):
        reply = self.ask("POST", USERADM + "/auth/login", basic=USER, Content_Type="application/json")
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (200, "application/jwt"))
        self.assertRegex(reply.text, r"\A[\w-]+\.[\w-]+\.[\w-]+\Z")

    def test_passes_on_what_needs_no_token(self):
        self.assertIn("keys", self.ask("GET", "/.well-known/jwks.json").json())
        reply = self.ask("POST", USERADM + "/auth/login", basic=(USER[0], "wrong horse"))
        self.assertEqual((reply.status, reply.json()["error"]), (401, "unauthorized"))

    def test_refuses_a_large_body(self):
        reply = self.ask("POST", USERADM + "/auth/login", basic=USER, body=b"x" * (1024 * 1024 + 1))
        self.is_json(reply, 413, "http: request body too large")

    def test_keeps_its_connections(self):
        token = self.server.login(*USER)
        port = int(self.server.public.split(":")[1])
        before = clients_of(port)
        for _ in range(20):
            self.assertEqual(self.ask("GET", USERADM + "/users/me", bearer=token).status, 200)
        # one for each replica, to ask and to pass on, for each worker of nginx
        self.assertLessEqual(len(clients_of(port) - before), 4 * mintd.os.cpu_count())

    def test_a_gateway_that_forgets_the_forwarded_headers_is_told_in_the_log(self):
        token = self.server.login(*USER)
        reply = mintd.request(self.server.public, "GET", INTERNAL + "/auth/verify", bearer=token)
        self.assertEqual((reply.status, reply.json()["error"]), (500, "internal error"))
        self.server.wait_line("request failed", "X-Forwarded-Method")


class BehindGatewayWithLimits(BehindGateway):
    """All of that goes on working, with quotas that are the original's keys in the original's environment."""

    settings = {
        "USERADM_RATE_LIMITS_AUTH_ENABLE": "true",
        "USERADM_RATE_LIMITS_AUTH_GROUPS":
            '{"name":"default","quota":1000000,"interval":"1h","event_expression":""}\n'
            '{"name":"few","quota":2,"interval":"8760h","event_expression":"{{with .Identity}}{{.Subject}}{{end}}"}',
        "USERADM_RATE_LIMITS_AUTH_MATCH":
            '{"api_pattern":"/","group_expression":"default"}'
            '{"api_pattern":"GET gateway/api/management/{version}/useradm/settings/","group_expression":"few"}',
    }

    def test_who_comes_too_often_is_told_when_to_come_again(self):
        token = self.server.login(*USER)
        path = USERADM + "/settings"
        for query in ("", "?a=b"):
            self.assertEqual(self.ask("GET", path + "/me" + query, bearer=token).status, 200)
        for spelling in ("/me", "//./me", "/x/../%6de"):
            reply = self.ask("GET", path + spelling, bearer=token, X_Forwarded_Host="elsewhere")
            self.is_json(reply, 429, "too many requests")
            self.assertTrue(0 < int(reply.headers["Retry-After"]) <= 8760 * 3600)
        self.assertEqual(self.ask("POST", path + "/me", bearer=token, body=b"{}",
                                  Content_Type="application/json").status, 201)
        self.assertEqual(self.ask("GET", USERADM + "/users/me", bearer=token).status, 200)
        self.assertEqual(self.ask("GET", path + "/me", bearer="a.b.c").status, 401)
        self.server.wait_line("rate limit reached", "group=few")
        self.assertEqual(sum("rate limit reached" in line for line in self.server.log), 1)


@unittest.skipUnless(gateway.NGINX, "nginx is not installed")
class Devices(Case):
    """Devices and people, through one gateway, with keys apart; the inventory of the devices is another service's."""

    settings = {}

    def setUp(self):
        super().setUp()
        self.prepare()
        os.mkdir(self.path("device-keys"))
        self.mintd("keys", "generate", "--type", "ed25519", "--out", self.path("device-keys", "private.id.1.pem"))
        server = self.serve(env={"DEVICEAUTH_KEY_DIRECTORY": self.path("device-keys"), **self.settings})
        self.inventory = gateway.Service(self)
        others = {INVENTORY: self.inventory.address}
        self.gateway = gateway.Gateway(self, [(server.public, server.internal)] * 2, others)
        self.ask = self.gateway.ask
        self.user = server.login(*USER)
        self.board = board.Board(self.path("board.pem"), "es256", mac="02:00:00:00:00:01")

    def enrol(self, **headers):
        return self.gateway.enrol(self.board, **headers)

    def decide(self, status):
        self.gateway.decide(self.user, status)

    def admit(self):
        self.assertEqual(self.enrol().status, 401)
        self.decide("accepted")
        reply = self.enrol()
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (200, "application/jwt"))
        return reply.text

    def report(self, bearer=None):
        return self.ask("PUT", INVENTORY + "device/attributes", bearer=bearer, body="[]")

    def test_asks_for_its_token_without_one(self):
        for authorization in (None, "API_KEY", "Bearer", "Bearer a.b.c"):
            reply = self.enrol(**({"Authorization": authorization} if authorization else {}))
            self.assertEqual((reply.status, reply.json()["error"]), (401, "dev auth: unauthorized"))
        self.assertEqual(self.ask("POST", "/api/devices/v1/authentication/other").json()["error"], "unauthorized")

    def test_is_let_through_while_it_is_accepted(self):
        token = self.admit()
        self.assertEqual(self.report(token).status, 200)
        self.assertEqual(self.inventory.asked, [(f"PUT {INVENTORY}device/attributes", "Bearer " + token)])
        self.decide("rejected")
        reply = self.report(token)
        self.assertEqual((reply.status, reply.json()["error"]), (401, "unauthorized"))
        self.assertEqual((self.enrol().status, len(self.inventory.asked)), (401, 1))

    def test_nobody_else_is(self):
        token = self.admit()
        for bad in (None, self.user, token[:-2], "a.b.c"):
            self.assertEqual(self.report(bad).status, 401)
        self.assertEqual(self.inventory.asked, [])
        self.assertEqual(self.ask("GET", DEVICES, bearer=token).status, 401)
        self.assertEqual(self.ask("GET", USERADM + "/users/me", bearer=token).status, 401)


class DevicesWithLimits(Devices):
    """All of that goes on working, with a quota for reports."""

    settings = {
        "DEVICEAUTH_RATE_LIMITS_AUTH_ENABLE": "true",
        "DEVICEAUTH_RATE_LIMITS_AUTH_GROUPS":
            '{"name":"default","quota":1000000,"interval":"1h","event_expression":""}'
            '{"name":"few","quota":2,"interval":"8760h","event_expression":"{{with .Identity}}{{.Subject}}{{end}}"}',
        "DEVICEAUTH_RATE_LIMITS_AUTH_MATCH":
            '{"api_pattern":"/","group_expression":"default"}'
            '{"api_pattern":"/api/devices/{version}/inventory/","group_expression":"few"}',
    }

    def test_who_reports_too_often_is_told_when_to_come_again(self):
        token = self.admit()
        self.assertEqual([self.report(token).status for _ in range(3)], [200, 200, 429])
        self.assertTrue(0 < int(self.report(token).headers["Retry-After"]) <= 8760 * 3600)
        self.assertEqual((self.enrol().status, len(self.inventory.asked)), (200, 2))


class Verifier(http.server.BaseHTTPRequestHandler):
    """Answers every call with the status and headers it was made with."""

    status, headers_out = 200, {}

    def do_GET(self):
        self.send_response(self.status)
        for name, value in self.headers_out.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@unittest.skipUnless(gateway.NGINX, "nginx is not installed")
class WhatTheVerifierSays(Case):
    """The answers that auth_request alone would turn into 500."""

    def ask(self, status, **headers):
        handler = type("Answer", (Verifier,), {"status": status, "headers_out": headers})
        server = http.server.HTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()

        def stop():
            server.shutdown()
            thread.join(DEADLINE)
            server.server_close()
        self.addCleanup(stop)
        address = f"127.0.0.1:{server.server_port}"
        return gateway.Gateway(self, [(address, address)] * 2).ask("GET", USERADM + "/users/me")

    def test_too_many_requests_stays_with_its_retry_after(self):
        reply = self.ask(429, **{"Retry-After": "17"})
        self.assertEqual((reply.status, reply.headers["Retry-After"]), (429, "17"))
        self.assertEqual(reply.json()["error"], "too many requests")

    def test_busy_stays_with_its_retry_after(self):
        reply = self.ask(503, **{"Retry-After": "1"})
        self.assertEqual((reply.status, reply.headers["Retry-After"]), (503, "1"))
        self.assertEqual(reply.json()["error"], "service unavailable")

    def test_forbidden_stays(self):
        reply = self.ask(403)
        self.assertEqual((reply.status, reply.json()["error"]), (403, "forbidden"))

    def test_anything_else_is_an_internal_error(self):
        reply = self.ask(418)
        self.assertEqual((reply.status, reply.json()["error"]), (500, "internal error"))
        self.assertIsNone(reply.headers["Retry-After"])

    def test_nobody_there_is_unavailable(self):
        reply = gateway.Gateway(self, [("127.0.0.1:1", "127.0.0.1:1")] * 2).ask("GET", USERADM + "/users/me")
        self.assertEqual((reply.status, reply.json()["error"]), (503, "service unavailable"))


if __name__ == "__main__":
    mintd.main()
