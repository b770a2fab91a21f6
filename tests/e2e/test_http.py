# SPDX-License-Identifier: Apache-2.0
"""What holds for every reply, seen on the wire: contract/useradm 1.1, a class or a test for each row of its table."""
import base64
import json
import os
import re
import socket

import mintd
from mintd import DEADLINE, INTERNAL, USERADM, Case, eventually, psql, request

BASIC = "Basic " + base64.b64encode(b"alice@example.com:correct horse").decode()
JSON = {"Content-Type": "application/json"}
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
TIME = r"20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d(\.\d{0,2}[1-9])?Z"
LIMIT = 1048576


class Rules(Case):
    """One server under the name of the original, and a login."""

    program = "useradm"

    def setUp(self):
        super().setUp()
        self.prepare()
        self.env["USERADM_LISTEN"] = self.env.pop("MINTD_LISTEN")
        self.env["USERADM_SERVER_PRIV_KEY_PATH"] = self.path("keys", "private.id.1.pem")
        del self.env["MINTD_INTERNAL_LISTEN"]
        self.server = self.serve(program=self.program)
        self.bearer = self.server.login("alice@example.com", "correct horse")

    def ask(self, method, path, body=None, headers=None, bearer=True):
        headers = {**(JSON if body else {}), **(headers or {})}
        return request(self.server.public, method, path, headers, body, bearer=self.bearer if bearer else None)

    def raw(self, text, body=b""):
        """Send these bytes, and give the whole reply up to the end of the connection."""
        host, port = self.server.public.split(":")
        with socket.create_connection((host, int(port)), timeout=DEADLINE) as connection:
            connection.sendall(text.replace("\n", "\r\n").encode() + b"Host: x\r\nConnection: close\r\n\r\n" + body)
            reply = b""
            while part := connection.recv(65536):
                reply += part
        head, _, rest = reply.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        return int(lines[0].split()[1]), [line.lower() for line in lines[1:]], rest.decode()

    def is_error(self, reply, status, text):
        self.assertEqual(reply.status, status, reply.text)
        request_id = reply.headers["X-MEN-RequestID"]
        self.assertEqual(reply.text, '{"error":"%s","request_id":"%s"}' % (text, request_id))
        self.assertEqual(reply.headers["Content-Type"], "application/json; charset=utf-8")


class RequestId(Rules):
    def replies(self, headers):
        """A reply of every status that a client can cause, in an order that leaves the token for the last."""
        yield 200, self.ask("POST", USERADM + "/auth/login", headers={**headers, "Authorization": BASIC}, bearer=False)
        yield 200, self.ask("GET", USERADM + "/users/me", headers=headers)
        yield 200, self.ask("OPTIONS", USERADM + "/users", headers=headers)
        yield 201, self.ask("POST", USERADM + "/settings", "{}", headers)
        yield 204, self.ask("DELETE", USERADM + "/users/nobody", headers=headers)
        yield 204, self.ask("GET", INTERNAL + "/alive", headers=headers, bearer=False)
        yield 400, self.ask("POST", USERADM + "/users", "{", headers)
        yield 401, self.ask("GET", USERADM + "/users/me", headers=headers, bearer=False)
        yield 404, self.ask("GET", "/nowhere", headers=headers, bearer=False)
        yield 405, self.ask("PATCH", USERADM + "/users", headers=headers)
        yield 412, self.ask("POST", USERADM + "/settings", "{}", {**headers, "If-Match": "x"})
        yield 413, self.ask("POST", "/nowhere", headers={**headers, "Content-Length": str(LIMIT + 1)}, bearer=False)
        yield 415, self.ask("POST", USERADM + "/users", "{}", {**headers, "Content-Type": "text/plain"})
        yield 422, self.ask("POST", USERADM + "/users", '{"email":"a@b.cd","password":"short"}', headers)
        yield 500, self.ask("GET", INTERNAL + "/auth/verify", headers=headers)
        yield 202, self.ask("POST", USERADM + "/auth/logout", headers=headers)

    def test_it_comes_back_verbatim_with_every_status(self):
        for status, reply in self.replies({"X-MEN-RequestID": "so <said> \\ I"}):
            self.assertEqual((reply.status, reply.headers["X-MEN-RequestID"]), (status, "so <said> \\ I"))
            if status >= 400:
                self.assertTrue(reply.text.endswith(',"request_id":"so \\u003csaid\\u003e \\\\ I"}'), reply.text)

    def test_without_one_each_reply_has_a_new_one(self):
        seen = set()
        for headers in ({}, {"X-MEN-RequestID": ""}):
            for status, reply in self.replies(headers):
                self.assertRegex(reply.headers["X-MEN-RequestID"], f"^{UUID}$", status)
                seen.add(reply.headers["X-MEN-RequestID"])
            self.bearer = self.server.login("alice@example.com", "correct horse")
        self.assertEqual(len(seen), 32)


class Bodies(Rules):
    def test_empty_successes(self):
        """200, 201 and 202 say that there is nothing; 204 says nothing. None has a type."""
        forwarded = f"X-Forwarded-Method: GET\nX-Forwarded-Uri: {USERADM}/users\nAuthorization: Bearer {self.bearer}\n"
        for text, status in ((f"GET {INTERNAL}/auth/verify HTTP/1.1\n", 200),
                             (f"OPTIONS {USERADM}/users HTTP/1.1\n", 200),
                             (f"POST {INTERNAL}/tenants HTTP/1.1\nContent-Length: 17\n", 201),
                             (f"DELETE {USERADM}/users/nobody HTTP/1.1\n", 204),
                             (f"POST {USERADM}/auth/logout HTTP/1.1\n", 202)):
            body = b'{"tenant_id":"t"}' if "/tenants" in text else b""
            got, headers, rest = self.raw(text + forwarded, body)
            self.assertEqual((got, rest), (status, ""), text)
            self.assertEqual("content-length: 0" in headers, status != 204, text)
            self.assertFalse([line for line in headers if line.startswith(("content-type:", "transfer-encoding:"))])
            self.assertEqual(len([line for line in headers if line.startswith("content-length:")]), status != 204)

    def test_created_user_has_a_location_and_no_body(self):
        reply = self.ask("POST", USERADM + "/users", '{"email":"b@example.com","password":"battery staple"}')
        self.assertEqual((reply.status, reply.text, reply.headers["Content-Length"]), (201, "", "0"))
        self.assertRegex(reply.headers["Location"], f"^{USERADM}/users/{UUID}$")
        self.assertIsNone(reply.headers["Content-Type"])

    def test_out_unsafe_characters_are_escaped_and_nothing_is_added(self):
        self.mintd("user", "create", "--email", "r&d@example.com", "--password", "correct horse")
        token = self.server.login("r&d@example.com", "correct horse")
        reply = request(self.server.public, "GET", USERADM + "/users/me", bearer=token)
        self.assertRegex(reply.text, '^{"id":"' + UUID + r'","email":"r\\u0026d@example.com","created_ts":"' + TIME +
                         '","updated_ts":"' + TIME + '","login_ts":"' + TIME + '"}$')
        self.assertEqual(reply.headers["Content-Type"], "application/json; charset=utf-8")
        text = '{"b":"<\u2028>","a":"\u2029&"}'
        self.assertEqual(self.ask("POST", USERADM + "/settings", text.encode()).status, 201)
        self.assertEqual(json.loads(self.ask("GET", USERADM + "/settings").text), json.loads(text))
        self.assertNotRegex(self.ask("GET", USERADM + "/settings").text, "[<>&\u2028\u2029]")

    def test_in_keys_have_no_case_and_the_first_value_counts(self):
        for n, body in enumerate(('{"EMAIL":"u%d@b.cd","Password":"battery staple"}',
                                  '{"email":"u%d@b.cd","password":"battery staple","sso":[1],"x":null} trailing',
                                  ' \r\n\t{"email":"u%d@b.cd","password":"battery staple"}{"email":1}')):
            self.assertEqual(self.ask("POST", USERADM + "/users", body % n).status, 201, body)
        reply = self.ask("POST", USERADM + "/users", '{"email":null,"password":null}')
        self.is_error(reply, 400, "email: cannot be blank; password: cannot be blank.")
        self.assertEqual(self.ask("POST", USERADM + "/settings/tokens", '{"NAME":"a","Expires_In":60}').status, 200)
        self.assertEqual(self.ask("POST", USERADM + "/settings/tokens", '{"name":"b","expires_in":null}').status, 200)
        for number in ("3600.0", "1e3", '"1"', "9223372036854775808", "true"):
            reply = self.ask("POST", USERADM + "/settings/tokens", '{"name":"c","expires_in":%s}' % number)
            self.assertEqual(reply.status, 400, number)


class Order(Rules):
    def test_size_then_identity_then_type_then_handler(self):
        path = USERADM + "/users"
        large = {"Content-Length": str(LIMIT + 1), "Content-Type": "text/plain"}
        plain = {"Content-Type": "text/plain"}
        self.is_error(self.ask("POST", path, headers=large, bearer=False), 413, "http: request body too large")
        self.is_error(self.ask("POST", path, "{", plain, bearer=False), 401, "Authorization not present in header")
        self.is_error(self.ask("POST", path, "{", plain), 415, "Bad Content-Type, expected 'application/json'")
        reply = self.ask("POST", path, "{")
        self.assertEqual(reply.status, 400)
        self.assertIn('"error":"failed to decode request body: ', reply.text)

    def test_size_goes_first_on_every_kind_of_path(self):
        large = {"Content-Length": str(LIMIT + 1)}
        for method, path in (("POST", USERADM + "/auth/login"), ("POST", "/nowhere"), ("GET", USERADM + "/users/me"),
                             ("POST", USERADM + "/users/"), ("PATCH", USERADM + "/users"), ("GET", INTERNAL + "/alive"),
                             ("OPTIONS", USERADM + "/users"), ("GET", "/.well-known/jwks.json")):
            reply = self.ask(method, path, headers=large, bearer=False)
            self.is_error(reply, 413, "http: request body too large")

    def test_chunked_body_over_the_limit_is_the_handlers_400(self):
        chunk = b"%x\r\n" % (LIMIT + 1) + b'{"x":"' + b"a" * (LIMIT - 5) + b"\r\n0\r\n\r\n"
        head = f"POST {USERADM}/users HTTP/1.1\nAuthorization: Bearer {self.bearer}\nTransfer-Encoding: chunked\n"
        status, _, body = self.raw(head, chunk)
        self.assertEqual(status, 400)
        self.assertIn('"error":"failed to decode request body: http: request body too large"', body)

    def test_type_of_a_body(self):
        """Parameters and case do not count, what cannot be read is a 400, and a body without a length is not asked."""
        path, body = USERADM + "/settings", "{}"
        for value in ("application/json", "Application/JSON", "application/json; charset=utf-8",
                      "application/json ;x=y"):
            self.assertEqual(self.ask("POST", path, body, {"Content-Type": value}).status, 201, value)
        for value in ("text/plain", "application/x-www-form-urlencoded", "application/json+x", "*/*"):
            reply = self.ask("POST", path, body, {"Content-Type": value})
            self.is_error(reply, 415, "Bad Content-Type, expected 'application/json'")
        for line in ("", "Content-Type: \n", "Content-Type: ;\n", "Content-Type: a b\n"):
            status, _, text = self.raw(f"POST {path} HTTP/1.1\nAuthorization: Bearer {self.bearer}\n{line}"
                                       "Content-Length: 2\n", b"{}")
            self.assertEqual(status, 400, line)
            self.assertIn('"error":"Invalid value for Content-Type header: mime: no media type"', text)
        head = f"POST {path} HTTP/1.1\nAuthorization: Bearer {self.bearer}\nContent-Type: text/plain\n"
        self.assertEqual(self.raw(head + "Transfer-Encoding: chunked\n", b"2\r\n{}\r\n0\r\n\r\n")[0], 201)
        # nothing is there to have a type; that an object is missing is another matter
        self.assertEqual(self.raw(head + "Content-Length: 0\n")[0], 400)
        self.assertEqual(self.raw(head.replace("/settings", "/auth/logout") + "Content-Length: 0\n")[0], 202)

    def test_internal_routes_do_not_ask_for_a_type(self):
        for headers in ({"Content-Type": "text/plain"}, {"Content-Type": ""}):
            reply = self.ask("POST", INTERNAL + "/tenants", '{"tenant_id":"t"}', headers, bearer=False)
            self.assertEqual(reply.status, 201)


class Paths(Rules):
    def test_unknown(self):
        for path in ("/", "/x", "/api", USERADM, USERADM + "/none", USERADM + "/users/a/b",
                     "/api/management/v3/useradm/users"):
            for method in ("GET", "POST", "DELETE", "OPTIONS"):
                self.is_error(self.ask(method, path, bearer=False), 404, "not found")

    def test_wrong_method(self):
        for path, allow in ((USERADM + "/users", "GET, POST"), (USERADM + "/users/me", "GET, PUT, DELETE"),
                            (USERADM + "/auth/login", "POST"), (INTERNAL + "/auth/verify", "GET, POST")):
            reply = self.ask("PATCH", path, bearer=False)
            self.is_error(reply, 405, "method not allowed")
            self.assertEqual(reply.headers.get_all("Allow"), [allow])

    def test_options(self):
        for path, allow in ((USERADM + "/users", ["GET", "POST"]), (USERADM + "/auth/login", ["POST"]),
                            (USERADM + "/plans", ["GET"])):
            reply = self.ask("OPTIONS", path, bearer=False)
            self.assertEqual((reply.status, reply.text), (200, ""))
            self.assertEqual(reply.headers.get_all("Allow"), allow)
        for path in (INTERNAL + "/alive", INTERNAL + "/auth/verify"):
            self.is_error(self.ask("OPTIONS", path, bearer=False), 405, "method not allowed")

    def test_slash_at_the_end(self):
        for method, path, status in (("GET", "/users/", 301), ("GET", "/users/?a=%2f&b", 301), ("POST", "/users/", 307),
                                     ("PUT", "/users/me/", 307), ("DELETE", "/users/me/", 307)):
            reply = self.ask(method, USERADM + path, bearer=False)
            self.assertEqual(reply.status, status, path)
            self.assertEqual(reply.headers["Location"], USERADM + path.replace("/?", "?").rstrip("/"))
            self.assertIsNone(reply.headers["X-MEN-RequestID"])
        self.is_error(self.ask("GET", USERADM + "/users//", bearer=False), 404, "not found")

    def test_head_is_not_get(self):
        for path in (USERADM + "/users/me", USERADM + "/plans", INTERNAL + "/alive", "/.well-known/jwks.json"):
            status, headers, body = self.raw(f"HEAD {path} HTTP/1.1\nAuthorization: Bearer {self.bearer}\n")
            self.assertEqual((status, body), (405, ""))
            self.assertTrue(any(line.startswith("allow: get") for line in headers))

    def test_accept_and_origin_change_nothing(self):
        plain = self.ask("GET", USERADM + "/users/me")
        for headers in ({"Accept": "text/html"}, {"Accept": "application/xml;q=1"}, {"Accept-Encoding": "gzip, br"},
                        {"Accept-Language": "de"}, {"Origin": "https://elsewhere.example.com"}):
            reply = self.ask("GET", USERADM + "/users/me", headers=headers)
            self.assertEqual((reply.status, reply.text), (200, plain.text))
            self.assertEqual(sorted(reply.headers.keys()), sorted(plain.headers.keys()))
        reply = self.ask("OPTIONS", USERADM + "/users", headers={"Origin": "https://elsewhere.example.com",
                                                                 "Access-Control-Request-Method": "POST"})
        self.assertFalse([name for name in reply.headers.keys() if name.lower().startswith("access-control")])


class Unreachable(Rules):
    """A database that goes away: a path to its socket that ends to be one."""

    engine = "postgres"

    def new_db(self):
        url = super().new_db()
        real = re.search(r"host=([^&]*)", url)[1]
        os.symlink(real, self.path("pg"))
        url = url.replace(f"host={real}", f"host={self.path('pg')}")
        return url + "&application_name=" + os.path.basename(self.dir)

    def test_503_until_it_is_back(self):
        os.rename(self.path("pg"), self.path("away"))
        psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='%s'"
             % os.path.basename(self.dir))
        purge = INTERNAL + "/tokens?tenant_id=t"
        for ask in (lambda: self.ask("POST", USERADM + "/auth/login", headers={"Authorization": BASIC}, bearer=False),
                    lambda: self.ask("DELETE", purge, bearer=False), lambda: self.ask("GET", USERADM + "/users")):
            reply = ask()
            self.is_error(reply, 503, "service unavailable")
            self.assertEqual(reply.headers["Retry-After"], "1")
        reply = self.ask("GET", INTERNAL + "/health", bearer=False)
        self.assertEqual(reply.status, 503)
        self.assertNotIn("service unavailable", reply.text)
        self.assertEqual(self.ask("GET", INTERNAL + "/alive", bearer=False).status, 204)
        os.rename(self.path("away"), self.path("pg"))
        self.assertTrue(eventually(lambda: self.ask("DELETE", purge, bearer=False).status == 204))
        self.server.login("alice@example.com", "correct horse")


if __name__ == "__main__":
    mintd.main()
