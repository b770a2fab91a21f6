# SPDX-License-Identifier: Apache-2.0
"""What the README has people type after `make run`, typed; only the ports are others."""
import os
import re
import signal
import socket
import subprocess
import threading

import mintd
from mintd import DEADLINE, Case, eventually

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def commands(section):
    """The lines of the first block of shell commands below a heading, comments left out."""
    with open(os.path.join(TREE, "README.md"), encoding="utf-8") as file:
        text = file.read().split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    block = re.search(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1].replace("\\\n", " ")
    return [re.sub(r"\s+# .*$", "", line) for line in block.splitlines()]


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Readme(Case):
    def setUp(self):
        super().setUp()
        os.symlink(mintd.BUILD, self.path("build"))
        self.public, self.internal = (f"127.0.0.1:{free_port()}" for _ in range(2))
        env = {"PATH": os.environ["PATH"], "MINTD_LISTEN": self.public, "MINTD_INTERNAL_LISTEN": self.internal}
        self.demo = subprocess.Popen([os.path.join(TREE, "tests", "run_demo.sh"), "build"], env=env, cwd=self.dir,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     text=True)
        self.addCleanup(self.stop)
        self.said = []
        self.reader = threading.Thread(target=lambda: self.said.extend(iter(self.demo.stdout.readline, "")))
        self.reader.start()
        self.assertTrue(eventually(lambda: any(" serving " in line for line in list(self.said))), "".join(self.said))

    def stop(self):
        self.demo.send_signal(signal.SIGTERM)
        self.assertEqual(self.demo.wait(DEADLINE), 0, "".join(self.said))
        self.reader.join(DEADLINE)
        self.demo.stdout.close()

    def type_in(self, lines):
        """Each line in one shell; what it prints, and its exit code."""
        script = "".join(f"{line}\nprintf '\\n=> %d\\n' $?\n" for line in lines)
        script = script.replace("127.0.0.1:8080", self.public).replace("127.0.0.1:8081", self.internal)
        done = subprocess.run(["bash", "-c", script], cwd=self.dir, env={"PATH": os.environ["PATH"]}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE * 2, check=False)
        results = re.findall(r"(.*?)\n=> (\d+)\n", done.stdout, re.DOTALL)
        self.assertEqual(len(results), len(lines), done.stdout)
        return [(text, int(code)) for text, code in results]

    def test_the_first_calls(self):
        password = re.search(r"the password (\w+) ", "".join(self.said))[1]
        lines = [line.replace("PASSWORD", password) for line in commands("Try it")]
        (_, login), (me, _), (verify, _), (shown, inspect) = self.type_in(lines)
        self.assertEqual((login, inspect), (0, 0))
        self.assertIn("200 OK", me)
        self.assertIn("admin@example.com", me)
        self.assertIn("200 OK", verify)
        self.assertIn("alive      yes", shown)

    def test_a_device_is_let_in_with_five_commands(self):
        lines = commands("Let a device in")
        self.assertEqual(len(lines), 5)
        (refused, code), (listed, _), (accepted, _), (again, _), (verify, _) = self.type_in(lines)
        self.assertEqual(code, 10, refused)
        self.assertIn("not let in (yet)", refused)
        self.assertIn("pending", listed)
        self.assertIn("02:00:5e:10:00:01", listed)
        self.assertIn("accepted", accepted)
        self.assertEqual(again.strip(), "accepted; the token is on stdout")
        self.assertIn("200 OK", verify)

    def test_what_make_run_says_of_devices_works(self):
        said = "".join(self.said)
        lines = [line.split("   #")[0].strip() for line in said.splitlines() if line.startswith("  ") and " device " in line]
        self.assertEqual(len(lines), 2, said)
        (refused, code), (accepted, _), (_, let_in) = self.type_in([*lines, lines[0]])
        self.assertEqual((code, let_in), (10, 0), refused + accepted)


if __name__ == "__main__":
    mintd.main()
