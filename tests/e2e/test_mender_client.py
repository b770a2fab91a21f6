# SPDX-License-Identifier: Apache-2.0
"""Debian's mender-client 3.4.0 asks for its token, straight and through the gateway, while an operator decides.

tests/deps.sh unpacks the package in build/mender-client. It runs in a root of its own by chroot, in a mount namespace, as
a user that is nobody else: its paths are compiled in, and this machine's files are none of its business.
"""
import json
import os
import re
import shutil
import subprocess
import threading
import unittest

import board
import gateway
import image
import mintd
from mintd import DEADLINE, DEVICES, VERIFY_DEVICE, Case, both_engines, eventually, request
from relay import Relay

PACKAGE = os.path.join(image.TREE, "build/mender-client/usr")
USER = ("alice@example.com", "correct horse")
TOKEN = re.compile(rb"\r\n\r\n([\w-]+\.[\w-]+\.[\w-]+?)(?=HTTP/1|\Z)")
KEY = "data/mender/mender-agent.pem"
INVENTORY = "/api/devices/v1/inventory/device/attributes"
DEPLOYMENTS = "/api/devices/v2/deployments/device/deployments/next"


class Client:
    """mender-client on a device. What it was sent is in its wire."""

    def __init__(self, case, address, mac="02:00:00:00:00:01", **settings):
        self.root = image.Root(case.path(mac))
        self.share = self.root.dir + ".share"
        shutil.copytree(os.path.join(PACKAGE, "share/mender"), os.path.join(self.share, "mender"))
        for name in ("usr/local/bin", "etc/mender", "data/mender", "var/lib"):
            os.makedirs(self.root.path(name))
        shutil.copy(os.path.join(PACKAGE, "bin/mender"), self.root.path("usr/local/bin"))
        os.symlink("/data/mender", self.root.path("var/lib/mender"))
        self.wire = Relay(case, address)
        self.write("etc/mender/mender.conf", json.dumps({
            "ServerURL": "http://" + self.wire.address, "DBus": {"Enabled": False}, "UpdatePollIntervalSeconds": 1,
            "InventoryPollIntervalSeconds": 1, "RetryPollIntervalSeconds": 1, **settings}))
        self.write("etc/mender/artifact_info", "artifact_name=release-1\n")
        self.write("etc/passwd", image.ETC["passwd"] + "board:x:10002:10002::/data:/bin/sh\n")
        self.write("data/mender/device_type", "device_type=board\n")
        # the package has only an example of it
        script = os.path.join(self.share, "mender/identity/mender-device-identity")
        with open(script, "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\necho mac={mac}\n")
        os.chmod(script, 0o755)
        self.own("data/mender")

    def write(self, name, text):
        with open(self.root.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def own(self, name):
        os.chown(self.root.path(name), *self.root.ids("board"))

    def bring_key(self, place, *how):
        """A key of the kind that openssl genpkey makes of how."""
        board.openssl("genpkey", *how, "-out", self.root.path(place))
        self.own(place)

    def public_key(self, place=KEY):
        return board.openssl("pkey", "-in", self.root.path(place), "-pubout").decode()

    def how(self):
        return {"user": "board", "volumes": [(self.share, "/usr/share")]}

    def bootstrap(self, *flags, expect=0):
        """Ask once; what it wrote."""
        argv = ["timeout", str(int(DEADLINE)), "mender", "--no-syslog", "bootstrap", *flags]
        return self.root.run(argv, expect=expect, **self.how()).stderr

    def start(self):
        """As a service has it, for at most 60 seconds."""
        argv = ["timeout", "60", "mender", "--no-syslog", "daemon"]
        return subprocess.Popen(self.root.command(argv, **self.how()), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def tokens(self):
        """All that it was given."""
        return [token.decode() for pieces in list(self.wire.received) for token in TOKEN.findall(b"".join(pieces))]


@unittest.skipUnless(os.geteuid() == 0, "needs root, for chroot and another user")
class Boards(Case):
    def setUp(self):
        if not os.path.exists(PACKAGE):
            if os.environ.get("CI"):
                self.fail("tests/deps.sh could not fetch mender-client")
            self.skipTest("mender-client is not there: tests/deps.sh test fetches it")
        super().setUp()
        os.chmod(self.dir, 0o755)
        self.prepare()
        self.server = self.serve()
        self.operator = self.server.login(*USER)

    def manage(self, method, path="", body=None):
        headers = {"Content-Type": "application/json"} if body else {}
        text = json.dumps(body) if body else None
        return request(self.server.public, method, DEVICES + path, headers, text, bearer=self.operator)

    def devices(self, status=None):
        reply = self.manage("GET", f"?status={status}" if status else "")
        self.assertEqual(reply.status, 200, reply.text)
        return reply.json()

    def the_device(self, status):
        """There is one, and this is its status."""
        (device,) = self.devices()
        self.assertEqual((device["status"], self.devices(status)), (status, [device]))
        return device

    def decide(self, device, auth_set, status):
        reply = self.manage("PUT", f"/{device['id']}/auth/{auth_set['id']}/status", {"status": status})
        self.assertEqual((reply.status, reply.text), (204, ""))

    def verify(self, token):
        return request(self.server.internal, "GET", VERIFY_DEVICE, bearer=token).status

    def is_refused(self, client, *flags):
        self.assertIn("rejected server error message: dev auth: unauthorized", client.bootstrap(*flags, expect=1))


@both_engines
class Admission(Boards):
    def test_an_operator_decides(self):
        client = Client(self, self.server.public)
        self.is_refused(client)
        device = self.the_device("pending")
        (asked,) = device["auth_sets"]
        self.assertEqual((device["identity_data"], asked["status"]), ({"mac": "02:00:00:00:00:01"}, "pending"))
        self.assertEqual(asked["pubkey"], client.public_key())
        self.is_refused(client)
        self.assertEqual(self.the_device("pending"), device)

        self.decide(device, asked, "accepted")
        client.bootstrap()
        (token,) = client.tokens()
        self.assertEqual(self.verify(token), 200)
        self.assertEqual(self.server.verify(token), 401)
        self.the_device("accepted")

        self.decide(device, asked, "rejected")
        self.assertEqual(self.verify(token), 401)
        self.is_refused(client)
        self.the_device("rejected")

        self.decide(device, asked, "accepted")
        client.bootstrap()
        again = client.tokens()[-1]
        self.assertEqual(self.verify(again), 200)
        self.assertEqual(self.manage("DELETE", "/" + device["id"]).status, 204)
        self.assertEqual((self.verify(token), self.verify(again)), (401, 401))

    def test_who_was_sent_away_begins_anew(self):
        client = Client(self, self.server.public)
        self.is_refused(client)
        first = self.the_device("pending")
        self.assertEqual(self.manage("DELETE", "/" + first["id"]).status, 204)
        self.assertEqual(self.devices(), [])
        self.is_refused(client)
        self.assertNotEqual(self.the_device("pending")["id"], first["id"])

    def test_a_new_key_takes_the_place_of_the_old_one(self):
        client = Client(self, self.server.public)
        client.bring_key(KEY, *board.KINDS["es256"])
        self.is_refused(client)
        device = self.the_device("pending")
        self.decide(device, device["auth_sets"][0], "accepted")
        client.bootstrap()
        (old,) = client.tokens()

        self.is_refused(client, "-F")
        sets = {row["pubkey"]: row for row in self.the_device("accepted")["auth_sets"]}
        new = sets.pop(client.public_key())
        self.assertEqual((new["status"], [row["status"] for row in sets.values()]), ("pending", ["accepted"]))
        self.assertEqual(self.verify(old), 200)

        self.decide(device, new, "accepted")
        self.assertEqual(self.verify(old), 401)
        client.bootstrap()
        self.assertEqual(self.verify(client.tokens()[-1]), 200)
        self.assertEqual(sorted(row["status"] for row in self.the_device("accepted")["auth_sets"]),
                         ["accepted", "rejected"])


class Keys(Boards):
    def admitted(self, mac, place=KEY, how=(), **settings):
        client = Client(self, self.server.public, mac, **settings)
        if how:
            client.bring_key(place, *how)
        self.is_refused(client)
        (device,) = self.devices("pending")
        self.assertEqual(device["auth_sets"][0]["pubkey"], client.public_key(place))
        self.decide(device, device["auth_sets"][0], "accepted")
        client.bootstrap()
        self.assertEqual([self.verify(token) for token in client.tokens()], [200])
        return client

    def test_of_its_own(self):
        client = self.admitted("02:00:00:00:00:01")
        with open(client.root.path(KEY), encoding="ascii") as file:
            self.assertTrue(file.readline().startswith("-----BEGIN RSA PRIVATE KEY"))

    def test_of_each_kind(self):
        kinds = dict(board.KINDS)
        for curve in ("P-384", "P-521"):
            kinds[curve] = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + curve)
        for number, (name, how) in enumerate(kinds.items()):
            with self.subTest(name):
                self.admitted(f"02:00:00:00:01:{number:02}", how=how)

    def test_in_a_file_that_the_configuration_names(self):
        place = "data/key.pem"
        client = self.admitted("02:00:00:00:00:01", place, board.KINDS["ed25519"],
                               Security={"AuthPrivateKey": "/" + place})
        self.assertFalse(os.path.exists(client.root.path(KEY)))


@unittest.skipUnless(gateway.NGINX, "nginx is not installed")
class Service(Boards):
    """The client as a service, behind the shipped gateway, which sends its calls on to other services."""

    def setUp(self):
        super().setUp()
        service = gateway.Service(self)
        self.asked = service.asked
        others = dict.fromkeys(("/api/devices/v1/inventory/", "/api/devices/v2/deployments/"), service.address)
        self.gateway = gateway.Gateway(self, [(self.server.public, self.server.internal)] * 2, others)

    def start(self, client):
        process = client.start()
        self.log = []
        reader = threading.Thread(target=lambda: self.log.extend(process.stderr), daemon=True)
        reader.start()

        def stop():
            process.terminate()
            process.wait(DEADLINE)
            reader.join(DEADLINE)
            process.stderr.close()
        self.addCleanup(stop)

    def wait(self, question):
        answer = eventually(question)
        self.assertTrue(answer, "".join(self.log))
        return answer

    def wait_for_refusals(self, more):
        """The client writes one of these lines each time that it asks for a token in vain."""
        def count():
            return sum("Reauthorization failed" in line for line in list(self.log))
        until = count() + more
        self.wait(lambda: count() >= until)

    def test_works_while_it_is_accepted(self):
        client = Client(self, self.gateway.socket)
        self.start(client)
        self.wait(lambda: self.devices("pending"))
        device = self.the_device("pending")
        self.wait_for_refusals(3)
        self.assertEqual(self.asked, [])

        self.decide(device, device["auth_sets"][0], "accepted")
        self.wait(lambda: {"PUT " + INVENTORY, "POST " + DEPLOYMENTS} <= {call for call, _ in self.asked})
        token = client.tokens()[-1]
        self.assertEqual({credential for _, credential in self.asked}, {"Bearer " + token})
        self.assertEqual(self.verify(token), 200)

        self.decide(device, device["auth_sets"][0], "rejected")
        self.wait_for_refusals(1)
        self.asked.clear()
        self.wait_for_refusals(1)
        self.assertEqual(self.asked, [])

        self.decide(device, device["auth_sets"][0], "accepted")
        self.wait(lambda: self.asked)
        self.assertEqual({credential for _, credential in self.asked}, {"Bearer " + client.tokens()[-1]})


if __name__ == "__main__":
    mintd.main()
