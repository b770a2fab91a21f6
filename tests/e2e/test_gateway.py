# SPDX-License-Identifier: Apache-2.0
"""Behind nginx as installations have it: auth_request asks the program, under its link name, about each call."""
import http.client
import os
import shutil
import socket
import subprocess
import unittest

import mintd
from mintd import DEADLINE, INTERNAL, USERADM, Case, Reply, eventually

USER = ("alice@example.com", "correct horse")
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")

CONFIG = """
daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3; uwsgi_temp_path {dir}/4;
    scgi_temp_path {dir}/5;
    upstream useradm {{ server {useradm}; keepalive 4; }}
    proxy_http_version 1.1;
    server {{
        listen unix:{dir}/socket;
        location /api/internal/ {{ deny all; }}
        location = /userauth {{
            internal;
            proxy_pass http://useradm/api/internal/v1/useradm/auth/verify;
            proxy_pass_request_body off;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_set_header X-Forwarded-Method $request_method;
            proxy_set_header X-Forwarded-Uri $request_uri;
        }}
        location /api/management/ {{
            auth_request /userauth;
            auth_request_set $id $upstream_http_x_men_requestid;
            proxy_set_header Connection "";
            proxy_set_header X-MEN-RequestID $id;
            proxy_pass http://useradm;
        }}
        location = /api/management/v1/useradm/auth/login {{
            proxy_set_header Connection "";
            proxy_pass http://useradm;
        }}
    }}
}}
"""


class OverSocket(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("gateway", timeout=DEADLINE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        try:
            self.sock.connect(self.path)
        except OSError:
            self.sock.close()
            raise


def clients_of(port):
    """The ports on this machine that have, or had until a moment ago, a connection to port on 127.0.0.1."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        ends = [line.split()[1:3] for line in file.readlines()[1:]]
    return {local for local, remote in ends if int(remote.split(":")[1], 16) == port}


@unittest.skipUnless(NGINX, "nginx is not installed")
class Gateway(Case):
    def setUp(self):
        super().setUp()
        self.prepare()
        self.env["USERADM_SERVER_PRIV_KEY_PATH"] = self.path("keys", "private.id.1.pem")
        self.server = self.serve(program="useradm", env={"MINTD_INTERNAL_LISTEN": ""})
        # nginx started by root runs its workers as another user, who has to get at the socket
        os.chmod(self.dir, 0o755)
        config = self.write("nginx.conf", CONFIG.format(dir=self.dir, useradm=self.server.public))
        nginx = subprocess.Popen([NGINX, "-p", self.dir, "-e", self.path("error.log"), "-c", config],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

        def stop():
            nginx.terminate()
            nginx.communicate(timeout=DEADLINE)
        self.addCleanup(stop)
        eventually(lambda: self.is_open() or nginx.poll() is not None)
        if nginx.poll() is not None:
            self.fail("nginx does not start: " + nginx.communicate()[1])

    def is_open(self):
        """nginx binds the socket some time before it listens."""
        try:
            connection = OverSocket(self.path("socket"))
            connection.connect()
            connection.close()
            return True
        except OSError:
            return False

    def ask(self, method, path, bearer=None, **headers):
        connection = OverSocket(self.path("socket"))
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if bearer:
            sent["Authorization"] = "Bearer " + bearer
        try:
            connection.request(method, path, headers=sent)
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def test_lets_through_who_is_logged_in_and_nobody_else(self):
        token = self.server.login(*USER)
        reply = self.ask("GET", USERADM + "/users/me", bearer=token)
        self.assertEqual((reply.status, reply.json()["email"]), (200, USER[0]))
        self.assertEqual(self.ask("GET", USERADM + "/users/me", Cookie="JWT=" + token).status, 200)
        self.assertEqual(self.ask("GET", USERADM + "/roles?per_page=500", bearer=token).status, 404)
        self.assertEqual(self.ask("GET", INTERNAL + "/alive").status, 403)
        for bad in (None, token[:-2], "a.b.c"):
            reply = self.ask("GET", USERADM + "/users/me", bearer=bad)
            self.assertEqual(reply.status, 401)
            self.assertEqual(reply.headers["WWW-Authenticate"], 'Bearer realm="ManagementJWT"')
        self.assertEqual(self.ask("POST", USERADM + "/auth/logout", bearer=token).status, 202)
        self.assertEqual(self.ask("GET", USERADM + "/users/me", bearer=token).status, 401)

    def test_logs_in_as_mender_cli_does(self):
        basic = mintd.base64.b64encode(":".join(USER).encode()).decode()
        reply = self.ask("POST", USERADM + "/auth/login", Authorization="Basic " + basic,
                         Content_Type="application/json")
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (200, "application/jwt"))
        self.assertRegex(reply.text, r"\A[\w-]+\.[\w-]+\.[\w-]+\Z")

    def test_keeps_its_connections(self):
        token = self.server.login(*USER)
        port = int(self.server.public.split(":")[1])
        before = clients_of(port)
        for _ in range(20):
            self.assertEqual(self.ask("GET", USERADM + "/users/me", bearer=token).status, 200)
        self.assertLessEqual(len(clients_of(port) - before), 2)

    def test_a_gateway_that_forgets_the_forwarded_headers_is_told_in_the_log(self):
        token = self.server.login(*USER)
        reply = mintd.request(self.server.public, "GET", INTERNAL + "/auth/verify", bearer=token)
        self.assertEqual((reply.status, reply.json()["error"]), (500, "internal error"))
        self.server.wait_line("request failed", "X-Forwarded-Method")


if __name__ == "__main__":
    mintd.main()
