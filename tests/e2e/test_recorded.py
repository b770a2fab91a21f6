# SPDX-License-Identifier: Apache-2.0
"""Replays recorded/*.http, what real clients send and insist on, over a socket against the running program.

Each file is a conversation on one connection, an exchange after the other:

    # what it is about
    > GET /path HTTP/1.1           the request, sent byte for byte: head, an empty line, the body as it stands
    > Authorization: Bearer {token}
    >
    < HTTP/1.1 200 OK              the reply, compared byte for byte: status, headers, an empty line, the body
    < ETag: {etag:uuid}
    <
    < {}

An empty line that ends a body is its final newline. {name:kind} stands for text of a kind (see KINDS), which {name}
repeats later; {_:kind} is forgotten at once. {user} is the id of alice@example.com, whose password is "correct horse";
{bogus} a token of hers with neither header nor signature. Of the reply's headers all must be written down, in any
order, but for four that are the same everywhere: Date and Connection, Content-Length, which must fit the body (and be
absent from a 204), and X-Men-Requestid, which must be the request's X-MEN-RequestID or a new UUID.
"""
import base64
import glob
import json
import os
import re
import socket

from mintd import DEADLINE, INTERNAL, Case, both_engines, main

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recorded")
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
KINDS = {"jwt": r"[\w-]+\.[\w-]+\.[\w-]+", "uuid": UUID, "text": r"[^\"]*",
         "time": r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(?:\d{0,2}[1-9]))?Z"}
EVERYWHERE = ("Date", "Connection", "Content-Length", "X-Men-Requestid")
PLACEHOLDER = re.compile(r"\{(\w+)(?::(\w+))?\}")


def split(text):
    """The first line of a message, its headers as a list of pairs, and its body."""
    head, _, body = text.partition("\n\n")
    first, *headers = head.split("\n")
    return first, [tuple(line.split(": ", 1)) for line in headers], body


class Exchange:
    def __init__(self, place, title, request, reply):
        self.name = f"{place}: {title}"
        self.request = self.message(request)
        self.reply = self.message(reply)

    @staticmethod
    def message(lines):
        """Head, an empty line, body; the body may be empty, the line is there."""
        if "" not in lines:
            raise ValueError(f"no empty line behind the head: {lines}")
        return "\n".join(lines + [""] if lines.index("") == len(lines) - 1 else lines)


def load(path):
    """The exchanges of a file."""
    exchanges, title, place, sides = [], "", "", {">": [], "<": []}

    def finish():
        if sides["<"]:
            exchanges.append(Exchange(place, title, sides[">"], sides["<"]))
            sides[">"], sides["<"] = [], []

    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file.read().splitlines(), 1):
            mark, text = line[:1], line[2:]
            if mark == "#" and not sides[">"]:
                title = text
            elif mark in sides and line[1:2] in ("", " "):
                if mark == ">" and sides["<"]:
                    raise ValueError(f"{path}:{number}: an empty line goes between exchanges")
                place = place if sides[">"] else f"{os.path.basename(path)}:{number}"
                sides[mark].append(text)
            elif line == "":
                finish()
            else:
                raise ValueError(f"{path}:{number}: {line}")
    finish()
    return exchanges


class Memory(dict):
    """What placeholders stand for."""

    def fill(self, text):
        return PLACEHOLDER.sub(lambda match: self[match.group(1)], text)

    def match(self, expected, text):
        """Whether text is as expected; if so, remember what it said."""
        pattern, end, names = "", 0, []
        for found in PLACEHOLDER.finditer(expected):
            name, kind = found.groups()
            pattern += re.escape(expected[end:found.start()])
            pattern += f"({KINDS[kind]})" if kind else re.escape(self[name])
            names += [name] if kind else []
            end = found.end()
        match = re.fullmatch(pattern + re.escape(expected[end:]), text)
        if match:
            self.update(zip(names, match.groups()))
        return match is not None


class Wire:
    """A connection that says exactly the bytes it is told."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=DEADLINE)
        self.buffer = b""

    def close(self):
        self.socket.close()

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise AssertionError(f"the server closed the connection behind {self.buffer!r}")
        self.buffer += data

    def ask(self, request):
        """Send "head\\n\\nbody" and give the reply in the same form; what is behind the reply is an error."""
        head, _, body = request.partition("\n\n")
        self.socket.sendall((head.replace("\n", "\r\n") + "\r\n\r\n" + body).encode())
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        head = head.decode("latin-1").replace("\r\n", "\n")
        length = re.search(r"^Content-Length: (\d+)$", head, re.MULTILINE)
        length = int(length.group(1)) if length else 0
        self.buffer = rest
        while len(self.buffer) < length:
            self.more()
        body, self.buffer = self.buffer, b""
        if len(body) != length:
            raise AssertionError(f"{body[length:]!r} behind the reply")
        return head + "\n\n" + body.decode()


class Replay:
    """Replays a file; what is in between, start() and ask() say."""

    def ask(self, request):
        path = request.split(" ", 2)[1]
        return (self.internal if path.startswith("/api/internal/") else self.public).ask(request)

    def check_request(self, exchange):
        _, headers, body = split(exchange.request)
        length = dict(headers).get("Content-Length")
        if "Expect" not in dict(headers):  # its body stays away
            self.assertEqual(int(length or 0), len(body.encode()), f"{exchange.name}: its Content-Length is wrong")

    def check_everywhere(self, exchange, status, headers, body):
        sent = {name.lower(): value for name, value in split(exchange.request)[1]}
        if status not in ("301", "307"):
            own = re.escape(sent.get("x-men-requestid", ""))
            self.assertRegex(headers.pop("X-Men-Requestid"), f"^{own or UUID}$", exchange.name)
        self.assertEqual(headers.pop("Content-Length", None), None if status == "204" else str(len(body.encode())),
                         exchange.name)

    def check(self, exchange, text, memory):
        first, expected, expected_body = split(exchange.reply)
        got_first, got, body = split(text)
        self.assertEqual(got_first.split()[:2], first.split()[:2], f"{exchange.name}\n{text}")
        self.check_everywhere(exchange, first.split()[1], dict(got), body)
        got = sorted(pair for pair in got if pair[0] not in EVERYWHERE)
        self.assertEqual([name for name, _ in got], [name for name, _ in sorted(expected)], f"{exchange.name}\n{text}")
        for (name, want), (_, value) in zip(sorted(expected), got):
            self.assertTrue(memory.match(want, value), f"{exchange.name}: {name} is {value}, not {want}")
        self.assertTrue(memory.match(expected_body, body), f"{exchange.name}\n{body}\nis not\n{expected_body}")

    def replay(self, name):
        memory = Memory(user=self.prepare())
        payload = base64.urlsafe_b64encode(json.dumps({"sub": memory["user"]}).encode()).decode().rstrip("=")
        memory["bogus"] = f"bogus_header.{payload}.bogus_sign"
        self.start()
        self.public = Wire(self.server.public)
        self.addCleanup(self.public.close)
        self.internal = Wire(self.server.internal or self.server.public)
        self.addCleanup(self.internal.close)
        for exchange in load(os.path.join(FOLDER, name)):
            self.check_request(exchange)
            self.check(exchange, self.ask(memory.fill(exchange.request)), memory)


class Conversations(Replay):
    """With the service of people."""

    def test_cli(self):
        self.replay("cli.http")

    def test_login(self):
        self.replay("ui-login.http")

    def test_logout(self):
        self.replay("ui-logout.http")

    def test_second_factor(self):
        self.replay("ui-2fa.http")

    def test_tokens(self):
        self.replay("ui-tokens.http")

    def test_users(self):
        self.replay("ui-users.http")

    def test_settings(self):
        self.replay("ui-settings.http")

    def test_dashboard(self):
        self.replay("ui-dashboard.http")

    def test_gateway(self):
        self.replay("gateway.http")


class Devices(Replay):
    """With the service of devices, and the service of people for who admits them."""

    def test_cpp_client(self):
        self.replay("mender-auth.http")

    def test_go_client(self):
        self.replay("mender-client.http")

    def test_device_page(self):
        self.replay("ui-devices.http")


@both_engines
class Recorded(Conversations, Devices, Case):
    """Straight to the program, which verifies each token itself."""

    def start(self):
        self.server = self.serve()

    def test_rules(self):
        self.replay("rules.http")

    def test_bogus_token(self):
        self.replay("bogus-refused.http")

    def test_no_recording_is_forgotten(self):
        with open(os.path.abspath(__file__), encoding="utf-8") as file:
            source = file.read()
        for path in glob.glob(os.path.join(FOLDER, "*.http")):
            self.assertIn(f'replay("{os.path.basename(path)}")', source)


class Traefik:
    """forwardAuth in front, as the original is deployed. What the gateway let through the program believes."""

    is_there = True  # the gateway
    program = "mintd"
    open_paths = re.compile(r"/api/management/v[0-9a-z]+/useradm/(?:auth|oauth2|oidc)(?!/logout)")

    def start(self):
        self.env["USERADM_SERVER_PRIV_KEY_PATH"] = self.path("keys", "private.id.1.pem")
        self.env["MINTD_INTERNAL_LISTEN"] = ""
        self.env["MINTD_TRUST_GATEWAY"] = "true"
        self.server = self.serve(program=self.program)

    def ask(self, request):
        first, headers, body = split(request)
        method, path, _ = first.split(" ")
        if not self.is_there or not path.startswith("/api/management/"):
            return super().ask(request)
        headers += [("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-Host", "mender.example.com"),
                    ("X-Forwarded-Method", method), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Uri", path)]
        if not self.open_paths.match(path):
            reply = self.internal.ask(self.join(f"GET {INTERNAL}/auth/verify HTTP/1.1",
                                                [pair for pair in headers if pair[0] != "Content-Length"], ""))
            status, verified, _ = split(reply)
            if status != "HTTP/1.1 200 OK":
                return reply
            headers = [pair for pair in headers if pair[0].lower() != "x-men-requestid"]
            headers.append(("X-Men-Requestid", dict(verified)["X-Men-Requestid"]))
        return super().ask(self.join(first, headers, body))

    @staticmethod
    def join(first, headers, body):
        return "\n".join([first] + [f"{name}: {value}" for name, value in headers]) + "\n\n" + body


class BehindTraefik(Traefik, Conversations, Case):
    program = "useradm"

    def test_bogus_token(self):
        self.is_there = False
        self.replay("bogus-trusted.http")


class DevicesBehindTraefik(Traefik, Devices, Case):
    """Of devices' own calls the gateway lets the first one through, unasked."""


if __name__ == "__main__":
    main()
