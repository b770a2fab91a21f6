# SPDX-License-Identifier: Apache-2.0
"""The workflow engine: down, slow, failing, and back; a server that is killed while it sends."""
import http.server
import json
import signal
import socket
import threading

import mintd
from mintd import Case, Server, both_engines, eventually, request

DEVICES = "/api/management/v2/devauth/devices"
HEALTH = "/api/internal/v1/devauth/health"
WORKFLOW = "/api/v1/workflow/"
KEY = ("-----BEGIN PUBLIC KEY-----\n"
       "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
       "-----END PUBLIC KEY-----\n")
BORN = ["update_device_inventory", "update_device_status"]  # what a preauthorized device causes


class Engine:
    """A workflow engine. mood: well, fails, chats, closes, silent; calls holds (workflow, body) as they come."""

    def __init__(self):
        self.mood = "well"
        self.calls = []
        self.gone = threading.Event()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def listen(self):
        engine = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                engine.answer(self, 204)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                engine.calls.append((self.path.removeprefix(WORKFLOW), json.loads(body)))
                engine.respond(self)

            def log_message(self, format, *args):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            allow_reuse_address = True

            def handle_error(self, request, client_address):
                pass  # the server was killed, or waited long enough

        self.server = Listener(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def respond(self, handler):
        if self.mood == "silent":
            self.gone.wait()
        if self.mood in ("silent", "closes"):
            handler.close_connection = True
            return
        if self.mood == "chats":
            self.answer(handler, 200, "text/html", b"<p>hello</p>")
            return
        self.answer(handler, 500 if self.mood == "fails" else 201, "application/json", b'{"id":"1"}')

    @staticmethod
    def answer(handler, status, content_type=None, body=b""):
        handler.send_response(status)
        if content_type:
            handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self):
        self.gone.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()


class WithEngine(Case):
    """A server of devices, and a workflow engine that is not there yet."""

    def setUp(self):
        super().setUp()
        self.engine = Engine()
        self.addCleanup(self.engine.close)
        self.prepare()
        self.env["DEVICEAUTH_ORCHESTRATOR_ADDR"] = self.engine.url
        self.env["DEVICEAUTH_ORCHESTRATOR_TIMEOUT_S"] = "1"
        self.env["MINTD_STOP_TIMEOUT_S"] = "1"

    def preauthorize(self, server, mac, token=None):
        body = json.dumps({"identity_data": {"mac": mac}, "pubkey": KEY})
        token = token or server.login("alice@example.com", "correct horse")
        return request(server.public, "POST", DEVICES, {"Content-Type": "application/json"}, body, bearer=token).status

    def devices(self, server):
        """Ids by mac."""
        token = server.login("alice@example.com", "correct horse")
        listed = request(server.public, "GET", DEVICES, bearer=token).json()
        return {device["identity_data"]["mac"]: device["id"] for device in listed}

    def names(self, device):
        return [name for name, body in list(self.engine.calls)
                if body.get("device_id") == device or [d["id"] for d in body.get("devices", [])] == [device]]

    def delivers(self, device):
        """Both calls of the device come, and nothing overtakes the first."""
        self.assertTrue(eventually(lambda: self.names(device)[-1:] == BORN[-1:]), self.engine.calls)
        self.assertEqual(self.names(device)[-2:], BORN)
        self.assertEqual(set(self.names(device)[:-1]), {BORN[0]})

    def ask_in_the_background(self, server, mac):
        """A request that ends when the server does; returns when the engine has heard of it."""
        token = server.login("alice@example.com", "correct horse")

        def ask():
            try:
                self.preauthorize(server, mac, token)
            except OSError:
                return

        known = len(self.engine.calls)
        asks = threading.Thread(target=ask)
        asks.start()
        self.addCleanup(asks.join)
        self.assertTrue(eventually(lambda: len(self.engine.calls) > known))

    def start(self):
        """A server that the test ends itself."""
        return Server(["server"], self.env, self.dir)


@both_engines
class Workflows(WithEngine):
    def test_calls_are_made_before_the_answer(self):
        self.engine.listen()
        server = self.serve()
        self.assertEqual(self.preauthorize(server, "1"), 201)
        self.assertEqual([name for name, _ in self.engine.calls], BORN)
        token = server.login("alice@example.com", "correct horse")
        device = self.devices(server)["1"]
        self.assertEqual(request(server.public, "DELETE", f"{DEVICES}/{device}", bearer=token).status, 204)
        self.assertEqual(self.engine.calls[-1][0], "decommission_device")
        self.assertEqual(self.engine.calls[-1][1]["device_id"], device)

    def test_nothing_is_lost_while_the_engine_is_down_and_the_server_is_killed(self):
        server = self.start()
        for mac in ("1", "2", "3"):
            self.assertEqual(self.preauthorize(server, mac), 500)
        devices = self.devices(server)
        health = request(server.internal, "GET", HEALTH)
        self.assertEqual(health.status, 503)
        self.assertIn("Workflows service unhealthy: ", health.json()["error"])
        server.wait_line("the workflow engine takes no calls")
        server.stop(signal.SIGKILL)
        self.engine.listen()
        server = self.serve()
        for device in devices.values():
            self.delivers(device)
            self.assertEqual(self.names(device), BORN)
        self.assertEqual(request(server.internal, "GET", HEALTH).status, 204)


class Moods(WithEngine):
    def test_an_engine_on_a_bad_day(self):
        self.engine.mood = "silent"
        self.engine.listen()
        server = self.start()
        self.ask_in_the_background(server, "0")
        server.stop(signal.SIGKILL)  # while it sends; the call is held for the dead for a while
        server = self.start()
        moods = ("fails", "chats", "closes", "silent")
        for mood in moods:
            self.engine.mood = mood
            self.assertEqual(self.preauthorize(server, mood), 500, mood)
        server.wait_line("the workflow engine takes no calls")
        self.engine.mood = "well"
        devices = self.devices(server)
        for name in (*moods, "0"):
            self.delivers(devices[name])
        server.wait_line("the workflow engine takes calls again")
        self.engine.mood = "silent"
        self.ask_in_the_background(server, "late")
        self.assertEqual(server.stop(), 0)  # does not wait for the engine


if __name__ == "__main__":
    mintd.main()
