# SPDX-License-Identifier: Apache-2.0
"""Rotation end to end: curl against the built server while key files come and go."""
import base64
import json
import os
import re
import signal
import subprocess

import mintd
from mintd import DEADLINE, INTERNAL, USERADM, Case, both_engines, eventually

USER = ("alice@example.com", "correct horse")
SOON = 2.0  # seconds that a change of key files may take to be seen


def decode(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def kid_of(token):
    return decode(token.split(".")[0])["kid"]


@both_engines
class Rotation(Case):
    def curl(self, *args):
        """Status, headers and body, as curl -i shows them."""
        done = subprocess.run(["curl", "-sS", "-i", "--max-time", str(DEADLINE), *args], check=True, capture_output=True,
                              timeout=DEADLINE)
        head, _, body = done.stdout.decode().partition("\r\n\r\n")
        return int(head.split()[1]), head, body

    def curl_login(self, server):
        status, head, token = self.curl("-u", ":".join(USER), "-X", "POST", f"http://{server.public}{USERADM}/auth/login")
        self.assertEqual(status, 200)
        self.assertRegex(head, r"(?m)^Content-Type: application/jwt\r?$")
        self.assertRegex(token, r"\A[\w-]+\.[\w-]+\.[\w-]+\Z")
        return token

    def curl_verify(self, server, token):
        status, head, body = self.curl(
            "-H", f"Authorization: Bearer {token}", "-H", "X-Forwarded-Method: GET", "-H",
            "X-Forwarded-Uri: /api/management/v1/inventory/devices", f"http://{server.internal}{INTERNAL}/auth/verify")
        if status == 200:
            self.assertIn("\r\nContent-Length: 0", head)
            self.assertNotIn("Content-Type", head)
            self.assertEqual(body, "")
        return status

    def curl_logout(self, server, token):
        return self.curl("-X", "POST", "-H", f"Authorization: Bearer {token}",
                         f"http://{server.public}{USERADM}/auth/logout")[0]

    @staticmethod
    def read(path):
        with open(path, "rb") as file:
            return file.read()

    def key_path(self, name):
        return self.path("keys", name)

    def default_key(self):
        """A key without an id, as installations have that never rotated: kid 0."""
        os.mkdir(self.path("keys"), 0o700)
        subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out",
                        self.key_path("private.pem")], check=True, timeout=60)
        self.mintd("migrate")
        self.create_user(*USER)

    def without_kid(self, token):
        """The same claims under a header without kid, signed with the default key by OpenSSL's command line."""
        signed = encode(b'{"alg":"RS256","typ":"JWT"}') + "." + token.split(".")[1]
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key_path("private.pem")],
                                   input=signed.encode(), capture_output=True, check=True, timeout=DEADLINE).stdout
        return signed + "." + encode(signature)

    def signs_with(self, server, kid):
        return eventually(lambda: kid_of(self.curl_login(server)) == kid, SOON)

    def test_dropping_a_file_is_the_rotation(self):
        self.default_key()
        server = self.serve()
        old = self.curl_login(server)
        self.assertEqual(kid_of(old), 0)
        kidless = self.without_kid(old)
        self.assertEqual([self.curl_verify(server, t) for t in (old, kidless)], [200, 200])

        self.assertEqual(self.generate("es256", kid=2), 2)
        self.assertTrue(self.signs_with(server, 2))
        new = self.curl_login(server)
        self.assertEqual([self.curl_verify(server, t) for t in (old, kidless, new)], [200, 200, 200])

        os.remove(self.key_path("private.pem"))
        self.assertTrue(eventually(lambda: self.curl_verify(server, old) == 401, SOON))
        self.assertEqual([self.curl_verify(server, t) for t in (kidless, new)], [401, 200])

        self.assertEqual(self.curl_logout(server, new), 202)
        self.assertEqual(self.curl_verify(server, new), 401)
        self.assertEqual(self.curl_logout(server, new), 401)

    def test_moving_a_link_rotates_and_rolls_back(self):
        self.generate("ed25519", kid=7)
        self.mintd("migrate")
        self.create_user(*USER)
        active = self.key_path("active.pem")
        subprocess.run(["ln", "-sfn", "private.id.7.pem", active], check=True)
        server = self.serve(env={"USERADM_SERVER_PRIV_KEY_PATH": active})
        old = self.curl_login(server)
        self.assertEqual(kid_of(old), 7)

        self.generate("es256", kid=8)
        jwks = f"http://{server.public}/.well-known/jwks.json"
        published = lambda: [key["kid"] for key in json.loads(self.curl(jwks)[2])["keys"]]
        self.assertTrue(eventually(lambda: published() == ["7", "8"], SOON))
        self.assertEqual(kid_of(self.curl_login(server)), 7)

        for kid in (8, 7, 8):
            subprocess.run(["ln", "-sfn", f"private.id.{kid}.pem", active], check=True)
            self.assertTrue(self.signs_with(server, kid))
            self.assertEqual(self.curl_verify(server, old), 200)

    def test_broken_files_change_nothing_and_are_reported_once(self):
        self.default_key()
        server = self.serve()
        token = self.curl_login(server)
        whole = self.read(self.key_path("private.pem"))
        bad = {"private.id.3.pem": whole[:300], "private.id.4.pem": b"", "private.id..pem": whole}
        for name, data in bad.items():
            with open(self.key_path(name), "wb") as file:
                file.write(data)
        os.mkfifo(self.key_path("private.id.5.pem"))
        os.symlink("/etc/hostname", self.key_path("private.id.6.pem"))
        for name in [*bad, "private.id.5.pem", "private.id.6.pem"]:
            server.wait_line("key refused", f"file={name}", "reason=")
        server.process.send_signal(signal.SIGHUP)
        self.assertEqual(kid_of(self.curl_login(server)), 0)
        self.assertEqual(self.curl_verify(server, token), 200)
        health = f"http://{server.internal}{INTERNAL}/health"
        self.assertEqual(self.curl(health)[0], 204)
        detail = json.loads(self.curl(health + "?detail=1")[2])
        self.assertEqual(detail["status"], "degraded")
        refused = {entry["file"] for entry in detail["keys"]["files"] if "reason" in entry}
        self.assertEqual(refused, {*bad, "private.id.5.pem", "private.id.6.pem"})
        lines = [line for line in server.log if "key refused" in line and "file=private.id.5.pem" in line]
        self.assertEqual(len(lines), 1)

        for name in [*bad, "private.id.5.pem", "private.id.6.pem"]:
            os.remove(self.key_path(name))
        self.assertTrue(eventually(lambda: json.loads(self.curl(health + "?detail=1")[2])["status"] == "ok"))

    def test_an_emptied_directory_keeps_the_last_good_keys(self):
        self.default_key()
        server = self.serve()
        token = self.curl_login(server)
        os.rename(self.path("keys"), self.path("away"))
        server.wait_line("the last good keys stay")
        self.assertEqual(self.curl_verify(server, token), 200)
        self.assertEqual(self.curl_verify(server, self.curl_login(server)), 200)
        self.assertEqual(len(json.loads(self.curl(f"http://{server.public}/.well-known/jwks.json")[2])["keys"]), 1)
        os.rename(self.path("away"), self.path("keys"))
        self.generate("ed25519", kid=9)
        self.assertTrue(eventually(lambda: kid_of(self.curl_login(server)) == 9))

    def test_a_kubernetes_secret_is_swapped(self):
        self.generate("es256", kid=1)
        self.mintd("migrate")
        self.create_user(*USER)
        volume = self.path("volume")
        for version, kids in (("..1", (1,)), ("..2", (1, 2))):
            os.makedirs(os.path.join(volume, version))
            for kid in kids:
                if kid == 2:
                    self.generate("es256", kid=2)
                name = f"private.id.{kid}.pem"
                with open(os.path.join(volume, version, name), "wb") as copy:
                    os.fchmod(copy.fileno(), 0o600)
                    copy.write(self.read(self.key_path(name)))
        os.symlink("..1", os.path.join(volume, "..data"))
        os.symlink("..data/private.id.1.pem", os.path.join(volume, "private.id.1.pem"))
        server = self.serve(env={"USERADM_KEY_DIRECTORY": volume})
        old = self.curl_login(server)
        os.symlink("..2", os.path.join(volume, "..data_tmp"))
        os.rename(os.path.join(volume, "..data_tmp"), os.path.join(volume, "..data"))
        os.symlink("..data/private.id.2.pem", os.path.join(volume, "private.id.2.pem"))
        self.assertTrue(eventually(lambda: kid_of(self.curl_login(server)) == 2))
        self.assertEqual(self.curl_verify(server, old), 200)

    def test_a_storm_of_signals_is_one_reload(self):
        self.default_key()
        server = self.serve()
        for _ in range(2000):
            server.process.send_signal(signal.SIGHUP)
        self.assertEqual(self.curl_verify(server, self.curl_login(server)), 200)

    def test_no_secret_is_in_the_log(self):
        self.default_key()
        server = self.serve(env={"MINTD_LOG_LEVEL": "debug", "MINTD_LOG_FORMAT": "text"})
        token = self.curl_login(server)
        self.curl_verify(server, token)
        self.curl_verify(server, token[:-4] + "AAAA")
        self.curl("-u", f"{USER[0]}:a wrong password", "-X", "POST", f"http://{server.public}{USERADM}/auth/login")
        self.curl_logout(server, token)
        server.wait_line("path=" + USERADM + "/auth/logout", "status=202")
        log = "".join(server.log)
        basic = base64.b64encode(":".join(USER).encode()).decode()
        for secret in (USER[1], "a wrong password", basic, *token.split(".")):
            self.assertNotIn(secret, log)

    def test_verify_opens_no_file_and_no_connection(self):
        """A kid or a jku from outside never becomes a path or an address."""
        self.default_key()
        server = self.serve()
        trace = self.path("trace")
        tracer = subprocess.Popen(["strace", "-f", "-q", "-o", trace, "-e", "trace=open,openat,openat2,connect", "-p",
                                   str(server.process.pid)], stderr=subprocess.PIPE, text=True)
        if not eventually(lambda: os.path.exists(trace) or tracer.poll() is not None) or tracer.poll() is not None:
            tracer.communicate(timeout=DEADLINE)
            self.skipTest("strace may not attach here")
        claims = encode(json.dumps({"jti": "x", "sub": "y", "iss": "z", "scp": "mender.*"}).encode())
        for header in ({"alg": "RS256", "kid": "../../../../etc/passwd"}, {"alg": "RS256", "kid": 1e300},
                       {"alg": "RS256", "kid": 0, "jku": "http://127.0.0.1:9/"}, {"alg": "none"},
                       {"alg": "RS256", "kid": "'; DROP TABLE users; --"}, {"alg": "RS256", "x5u": "http://127.0.0.1:9/"}):
            token = ".".join((encode(json.dumps(header).encode()), claims, encode(b"x" * 256)))
            self.assertEqual(self.curl_verify(server, token), 401)
        tracer.terminate()
        tracer.communicate(timeout=DEADLINE)
        calls = self.read(trace).decode().splitlines()
        self.assertEqual([call for call in calls if re.search(r"passwd|connect|DROP", call)], [])


if __name__ == "__main__":
    mintd.main()
