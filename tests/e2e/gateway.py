# SPDX-License-Identifier: Apache-2.0
"""nginx with the configuration that is shipped (deploy/nginx.conf), on a socket in the test's directory."""
import http.client
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading

import mintd
from mintd import DEADLINE, Reply, eventually

NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
SHIPPED = os.path.join(os.path.dirname(__file__), "../../deploy/nginx.conf")


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


class Service:
    """A service behind the gateway that knows nothing of tokens; asked is each call with the credential that came along."""

    def __init__(self, case):
        self.asked = asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                asked.append((f"{self.command} {self.path}", self.headers["Authorization"]))
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                self.send_response(204 if self.command == "POST" else 200)
                self.end_headers()

            do_GET = do_PUT = do_POST = answer

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        case.addCleanup(server.server_close)
        case.addCleanup(server.shutdown)


class Gateway:
    """A running nginx in front of two replicas, each a pair of a public and an internal address.

    others: the addresses of services that devices call by a path that begins like this.
    """

    def __init__(self, case, replicas, others=None):
        self.socket = case.path("gateway")
        # nginx started by root runs its workers as another user, who has to get at the socket
        os.chmod(case.dir, 0o755)
        config = case.write("nginx.conf", self.with_others(self.shipped(case.dir, replicas), others or {}))
        with open(case.path("nginx.log"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([NGINX, "-e", "stderr", "-c", config], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=log)
        case.addCleanup(self.stop)
        eventually(lambda: self.is_open() or self.process.poll() is not None)
        if self.process.poll() is not None:
            with open(case.path("nginx.log"), encoding="utf-8") as log:
                case.fail("nginx does not start: " + log.read())

    def shipped(self, directory, replicas):
        with open(SHIPPED, encoding="utf-8") as file:
            text = file.read()
        places = {"/tmp/": directory + "/", "listen 8080;": f"listen unix:{self.socket};"}
        for name, (public, internal) in zip(("mintd-a", "mintd-b"), replicas):
            places[name + ":8080"] = public
            places[name + ":8081"] = internal
        for place, new in places.items():
            if place not in text:
                raise AssertionError(f"deploy/nginx.conf has no {place}")
            text = text.replace(place, new)
        return text

    @staticmethod
    def with_others(text, others):
        """Each has a location of its own, as the shipped file says."""
        shipped = re.search(r"( *location /api/devices/ \{.*?\n        \}\n)", text, re.DOTALL).group(1)
        added = [shipped.replace("/api/devices/", path).replace("http://mintd;", f"http://{address};")
                 for path, address in others.items()]
        return text.replace(shipped, "".join([shipped] + added))

    def stop(self):
        self.process.terminate()
        self.process.wait(DEADLINE)

    def is_open(self):
        """nginx binds the socket some time before it listens."""
        try:
            connection = OverSocket(self.socket)
            connection.connect()
            connection.close()
            return True
        except OSError:
            return False

    def ask(self, method, path, bearer=None, basic=None, body=None, **headers):
        connection = OverSocket(self.socket)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if bearer:
            sent["Authorization"] = "Bearer " + bearer
        if basic:
            sent["Authorization"] = "Basic " + mintd.base64.b64encode(":".join(basic).encode()).decode()
        try:
            connection.request(method, path, headers=sent, body=body)
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def enrol(self, device, **headers):
        """A device (board.Board) asks for its token."""
        asked = device.request()
        return self.ask("POST", mintd.ENROL, body=asked["body"], Content_Type="application/json", **asked["headers"],
                        **headers)

    def decide(self, bearer, status):
        """A user decides on the only key of the only device."""
        (device,) = self.ask("GET", mintd.DEVICES, bearer=bearer).json()
        path = f"{mintd.DEVICES}/{device['id']}/auth/{device['auth_sets'][0]['id']}/status"
        reply = self.ask("PUT", path, bearer=bearer, body=json.dumps({"status": status}), Content_Type="application/json")
        if (reply.status, reply.text) != (204, ""):
            raise AssertionError(f"{status}: {reply.status} {reply.text}")
