# SPDX-License-Identifier: Apache-2.0
"""The command line from outside: results, refusals, exit codes, what goes to stdout and what to stderr."""
import concurrent.futures
import http.server
import json
import os
import pty
import re
import select
import signal
import socket
import sqlite3
import stat
import subprocess
import threading
import time
import unittest

import mintd
from board import Board
from mintd import DEADLINE, Case, both_engines, eventually, psql, request

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$")
COMMANDS = ("server", "migrate", "user create", "user set-password", "user list", "user delete", "keys generate",
            "keys list", "keys check", "token inspect", "import useradm", "import deviceauth", "config check",
            "version")
TYPES = {"rsa2048": "RS256", "rsa3072": "RS256", "rsa4096": "RS256", "es256": "ES256", "es384": "ES384",
         "es512": "ES512", "ed25519": "EdDSA"}


class Help(Case):
    def test_program_without_a_command_shows_all_of_them(self):
        for args in ((), ("--help",), ("-h",), ("help",)):
            shown = self.mintd(*args)
            self.assertEqual(shown.stderr, "")
            for command in COMMANDS:
                self.assertIn(f"  {command} ", shown.stdout)

    def test_every_command_explains_itself_with_examples(self):
        for command in COMMANDS:
            shown = self.mintd(*command.split(), "--help").stdout
            self.assertIn(f"Usage: mintd {command}", shown)
            self.assertIn("\nExamples:\n  ", shown)
            self.assertEqual(self.mintd("help", *command.split()).stdout, shown)

    def test_group_shows_its_commands_only(self):
        for args in (("keys",), ("keys", "--help")):
            shown = self.mintd(*args).stdout
            self.assertIn("keys generate", shown)
            self.assertNotIn("user create", shown)

    def test_help_shows_defaults(self):
        self.assertIn("(default 127.0.0.1:8081)", self.mintd("server", "--help").stdout)

    def test_wrong_lines_are_refused_with_one_line(self):
        for args, part in (
                (("sever",), 'did you mean "server"?'),
                (("user", "creat"), 'did you mean "user create"?'),
                (("frobnicate",), "see mintd --help"),
                (("user", "create", "--emial", "x"), "did you mean --email?"),
                (("user", "create", "--zzzzzzzz"), "see mintd user create --help"),
                (("user", "create"), "needs --email EMAIL"),
                (("user", "create", "--email"), "--email needs a value"),
                (("user", "list", "all"), 'does not take "all"'),
                (("token", "inspect"), "needs TOKEN|-"),
                (("keys", "generate"), "needs --type TYPE"),
                (("user", "delete"), "either --email or --id"),
                (("user", "delete", "--email", "a@b.c", "--id", "1"), "either --email or --id"),
                (("version", "--output", "xml"), "must be text or json")):
            self.fails_with_one_line(self.mintd(*args, expect=1), part)

    def test_version(self):
        text = self.mintd("version").stdout
        self.assertRegex(text, r"^\S+\n$")
        self.assertEqual(self.mintd("--version").stdout, text)
        self.assertEqual(self.mintd("-v").stdout, text)
        self.assertEqual(json.loads(self.mintd("version", "--output=json").stdout), {"version": text.strip()})

    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([os.path.join(mintd.BUILD, "mintd"), "version"], stdout=full, stderr=subprocess.PIPE,
                                  env=self.env, check=False, timeout=DEADLINE)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cannot be written", done.stderr)


class Refusals(Case):
    """What stops a server: one line, the right code, nothing made and nothing listening."""

    def refuses(self, code, *parts, args=(), env=None):
        done = self.mintd("server", *args, env=env, expect=code)
        self.fails_with_one_line(done, *parts)

    def test_configuration(self):
        self.prepare()
        for text, part in (("listne: :1", "did you mean listen?"), ("useradm: {jwt_exp_timeout: 0}", "from 1 to"),
                           ("a: [", "line 2"), ("listen: :1\nlisten: :2", "there already"), ("- a", "list of keys")):
            self.refuses(1, part, "bad.yaml", args=("--config", self.write("bad.yaml", text)))
        self.refuses(1, "No such file", args=("--config", self.path("none.yaml")))
        self.refuses(1, "USERADM_JWT_LEEWAY", "from 0 to 300", env={"USERADM_JWT_LEEWAY": "x"})
        self.refuses(1, "key=listen", args=("--listen", "nonsense"))
        self.refuses(1, "--role", args=("--role", "other"))

    def test_keys(self):
        self.mintd("migrate")
        self.refuses(4, self.path("keys"), "cannot be read")
        os.mkdir(self.path("keys"))
        self.refuses(4, "no usable signing key")
        self.generate()
        self.refuses(4, "capture group", env={"USERADM_SERVER_PRIV_KEY_FILENAME_PATTERN": "private"})
        self.refuses(4, "does not compile", env={"USERADM_SERVER_PRIV_KEY_FILENAME_PATTERN": "(a"})

    def test_database(self):
        self.generate()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.refuses(2, "cannot be opened", args=("--db", f"postgresql://joe:hunter2@127.0.0.1:{port}/x"))
        self.refuses(2, "must start with sqlite:", args=("--db", "mysql://x"))
        self.fails_with_one_line(self.mintd("migrate", "--db", "sqlite:/nonexistent/x.db", expect=2), "No such file")
        self.refuses(2, "there is no database", "migrate")
        self.assertEqual(os.listdir(self.dir), ["keys"])

    def test_nothing_is_made_when_the_keys_are_bad(self):
        self.refuses(4, "cannot be read", args=("--automigrate",))
        self.assertEqual(os.listdir(self.dir), [])

    def test_password_of_the_database_is_never_shown(self):
        self.generate()
        done = self.mintd("server", "--db", "postgresql://joe:hunter2@127.0.0.1:1/x", expect=2)
        self.assertNotIn("hunter2", done.stdout + done.stderr)
        shown = self.mintd("config", "check", "--db", "postgresql://joe:hunter2@127.0.0.1:1/x", expect=2)
        self.assertNotIn("hunter2", shown.stdout + shown.stderr)
        self.assertIn("postgresql://joe:***@127.0.0.1:1/x", shown.stdout)

    def test_address_in_use(self):
        self.prepare()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = self.mintd("server", "--listen", f"127.0.0.1:{port}", expect=4)
        self.assertIn("cannot listen", done.stderr)
        self.assertNotIn("serving", done.stderr)


@both_engines
class Schema(Case):
    def run_sql(self, sql):
        if self.engine == "sqlite":
            with sqlite3.connect(self.db[len("sqlite:"):]) as db:
                db.execute(sql)
            db.close()
        else:
            psql("SET search_path=" + re.search(r"search_path%3D(\w+)", self.db)[1] + "; " + sql)

    def test_migrate_twice(self):
        first = self.mintd("migrate")
        self.assertEqual(first.stdout, "")
        self.assertIn("migration applied", first.stderr)
        self.assertNotIn("migration applied", self.mintd("migrate").stderr)

    def test_migrate_needs_no_keys(self):
        self.mintd("migrate", env={"USERADM_KEY_DIRECTORY": "/nonexistent"})

    def test_old_schema_is_refused_without_automigrate(self):
        self.generate()
        if self.engine == "sqlite":
            self.write(os.path.basename(self.db), "")
        done = self.mintd("server", expect=3)
        self.assertIn("run migrate, or start with --automigrate", done.stderr)
        done = self.mintd("user", "list", expect=3)
        self.assertIn("run migrate", done.stderr)

    def test_automigrate(self):
        self.generate()
        server = self.serve("--automigrate")
        self.assertTrue(server.line("migration applied"))
        self.create_user()
        server.login("alice@example.com", "correct horse")

    def test_newer_schema_is_refused_by_all(self):
        self.prepare()
        self.run_sql("INSERT INTO schema_migrations (name, applied_ms) VALUES ('9999_from_the_future', 0)")
        for command in (("server",), ("server", "--automigrate"), ("migrate",), ("user", "list")):
            self.fails_with_one_line(self.mintd(*command, expect=3), "newer than this program", "9999_from_the_future")
        self.useradm("migrate", expect=6)


@both_engines
class Users(Case):
    def setUp(self):
        super().setUp()
        self.mintd("migrate")

    def test_create_prints_the_id_and_nothing_else(self):
        done = self.mintd("user", "create", "--email", "Alice@Example.com", "--password=correct horse")
        self.assertRegex(done.stdout, UUID)
        self.assertEqual(done.stderr, "")
        users = json.loads(self.mintd("user", "list", "--json").stdout)
        self.assertEqual([(u["id"], u["email"]) for u in users], [(done.stdout.strip(), "alice@example.com")])
        self.assertIn("alice@example.com", self.mintd("user", "list").stdout)

    def test_create_with_an_id_of_ones_own(self):
        done = self.mintd("user", "create", "-id", "123456", "-email", "a@b.cd", "-password", "correct horse")
        self.assertEqual(done.stdout, "123456\n")

    def test_create_refuses(self):
        self.create_user("taken@example.com")
        for email, password, part in (
                ("taken@example.com", "correct horse", "creating user failed: user with a given email already exists"),
                ("nonsense", "correct horse", "user validation failed: email: must be a valid email address."),
                ("a@b.cd", "short", "user validation failed: password: must be minimum 8 characters long"),
                ("a@b.cd", "x" * 73, "user validation failed: password: must be no longer than 72 bytes"),
                ("a@b", "\u00e4" * 8, "email: must be a valid email address; password: must contain ASCII")):
            done = self.mintd("user", "create", "--email", email, "--password", password, expect=5)
            self.fails_with_one_line(done, part)

    def test_password_from_stdin(self):
        args = ("user", "create", "--email", "a@b.cd", "--password-stdin")
        self.fails_with_one_line(self.mintd(*args, stdin="short\n", expect=5), "minimum 8 characters")
        self.fails_with_one_line(self.mintd(*args, stdin="a\0b\n", expect=5), "no password could be read")
        self.fails_with_one_line(self.mintd(*args, stdin="x" * 5000, expect=5), "no password could be read")
        self.mintd(*args, stdin="correct horse\nmore lines\n")

    def test_without_a_terminal_nothing_is_asked(self):
        self.fails_with_one_line(self.mintd("user", "create", "--email", "a@b.cd", expect=5), "stdin is not a terminal")

    def test_set_password_refuses(self):
        self.create_user("joe@example.com")
        for email, password, part in (("nobody@example.com", "correct horse", "user not found"),
                                      ("joe@example.com", "short", "minimum 8 characters"),
                                      ("joe@example.com", "joe@example", "too similar to the email")):
            done = self.mintd("user", "set-password", "--email", email, "--password", password, expect=7)
            self.fails_with_one_line(done, "setting password failed: ", part)

    def test_set_password_is_silent(self):
        self.create_user()
        done = self.mintd("user", "set-password", "--email", "ALICE@example.com", "--password", "another horse")
        self.assertEqual(done.stdout + done.stderr, "")

    def test_delete_by_email_and_by_id(self):
        self.create_user("a@example.com")
        other = self.create_user("b@example.com")
        self.mintd("user", "delete", "--email", "A@example.com")
        self.mintd("user", "delete", "--id", other)
        self.assertEqual(json.loads(self.mintd("user", "list", "--json").stdout), [])
        self.fails_with_one_line(self.mintd("user", "delete", "--id", other, expect=5), "user not found")
        self.fails_with_one_line(self.mintd("user", "delete", "--email", "a@example.com", expect=5), "user not found")


class Prompt(Case):
    """Passwords typed at a terminal."""

    def setUp(self):
        super().setUp()
        self.mintd("migrate")

    def start(self, *args):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        process = subprocess.Popen([os.path.join(mintd.BUILD, "mintd"), *args], env=self.env, cwd=self.dir,
                                   stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.addCleanup(process.stdout.close)
        return process, ours

    def read_until(self, terminal, text):
        seen = b""
        end = time.monotonic() + DEADLINE
        while text not in seen and time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                seen += os.read(terminal, 4096)
        self.assertIn(text, seen)
        return seen

    @staticmethod
    def rest(terminal):
        seen = b""
        try:
            while select.select([terminal], [], [], 0.1)[0]:
                part = os.read(terminal, 4096)
                if not part:
                    break
                seen += part
        except OSError:
            pass
        return seen

    def test_it_is_asked_on_stderr_and_not_shown(self):
        process, terminal = self.start("user", "create", "--email", "a@b.cd")
        self.read_until(terminal, b"Enter password: ")
        os.write(terminal, b"correct horse\n")
        out = process.stdout.read().decode()
        self.assertEqual(process.wait(DEADLINE), 0)
        self.assertRegex(out, UUID)
        self.assertNotIn(b"horse", self.rest(terminal))

    def test_an_empty_flag_asks_too(self):
        self.create_user("a@b.cd")
        process, terminal = self.start("user", "set-password", "--email", "a@b.cd", "--password", "")
        self.read_until(terminal, b"Enter password: ")
        os.write(terminal, b"short\n")
        self.assertEqual(process.wait(DEADLINE), 7)

    def test_an_interrupt_gives_the_terminal_its_echo_back(self):
        process, terminal = self.start("user", "create", "--email", "a@b.cd")
        self.read_until(terminal, b"Enter password: ")
        import termios
        echo = lambda: termios.tcgetattr(terminal)[3] & termios.ECHO
        self.assertFalse(echo())
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(DEADLINE), -signal.SIGINT)
        self.assertTrue(echo())


class Secrets(Case):
    def test_password_leaves_the_process_list(self):
        """A database that accepts and never answers holds the command where its line can be read."""
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            url = f"postgresql://joe@127.0.0.1:{silent.getsockname()[1]}/x"
            process = subprocess.Popen([os.path.join(mintd.BUILD, "mintd"), "user", "create", "--email", "a@b.cd",
                                        "--password", "hunter2hunter2", "--db", url], env=self.env,
                                       stderr=subprocess.DEVNULL)
            silent.settimeout(DEADLINE)
            connection, _ = silent.accept()
            with connection, open(f"/proc/{process.pid}/cmdline", "rb") as file:
                line = file.read()
            process.kill()
            process.wait(DEADLINE)
        self.assertIn(b"a@b.cd", line)
        self.assertNotIn(b"hunter2", line)

    def test_server_cannot_be_dumped(self):
        self.prepare()
        server = self.serve()
        with open(f"/proc/{server.process.pid}/limits", encoding="ascii") as file:
            self.assertRegex(file.read(), r"Max core file size +0 +0 ")

    def test_no_secret_reaches_the_log(self):
        self.prepare()
        server = self.serve("--debug")
        token = server.login("alice@example.com", "correct horse")
        server.login("alice@example.com", "battery staple", expect=401)
        self.assertEqual(server.verify(token), 200)
        self.assertEqual(server.verify(token[:-4] + "AAAA"), 401)
        server.stop()
        text = "".join(server.log)
        for secret in ("correct horse", "battery staple", token, token.split(".")[2], "Basic ", "PRIVATE KEY"):
            self.assertNotIn(secret, text)


class Keys(Case):
    def files(self):
        return sorted(os.listdir(self.path("keys")))

    def test_every_type_can_be_made_and_used(self):
        for kid, (key_type, alg) in enumerate(TYPES.items(), 1):
            done = self.mintd("keys", "generate", "--type", key_type)
            path = self.path("keys", f"private.id.{kid}.pem")
            self.assertEqual(done.stdout, f"{path} kid {kid}\n")
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            listed = {row["kid"]: row for row in json.loads(self.mintd("keys", "list", "--json").stdout)}
            self.assertEqual((listed[kid]["alg"], listed[kid]["state"]), (alg, "signing"))
            self.assertRegex(listed[kid]["thumbprint"], r"^[\w-]{43}$")
        self.assertEqual(len(self.files()), len(TYPES))
        self.assertIn("7 key files are good; kid 7 signs with EdDSA", self.mintd("keys", "check").stdout)

    def test_directory_is_made_private_and_said_so(self):
        done = self.mintd("keys", "generate", "--type", "es256")
        self.assertIn("made the key directory", done.stderr)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("keys")).st_mode), 0o700)
        self.assertEqual(self.mintd("keys", "generate", "--type", "es256").stderr, "")

    def test_nothing_is_overwritten(self):
        self.generate(kid=7)
        with open(self.path("keys", "private.id.7.pem"), encoding="ascii") as file:
            before = file.read()
        out = self.path("keys", "private.id.7.pem")
        for args, part in ((("--kid", "7"), "the id 7 already"), (("--out", out), "exists already")):
            self.fails_with_one_line(self.mintd("keys", "generate", "--type", "es256", *args, expect=4), part)
        with open(out, encoding="ascii") as file:
            self.assertEqual(file.read(), before)
        self.assertEqual(self.files(), ["private.id.7.pem"])

    def test_other_spelling_of_a_taken_id(self):
        self.generate(kid=7)
        os.rename(self.path("keys", "private.id.7.pem"), self.path("keys", "private.id.007.pem"))
        self.mintd("keys", "generate", "--type", "es256", "--kid", "7", expect=4)
        self.assertEqual(self.generate(), 8)

    def test_links_to_nowhere_are_not_followed(self):
        os.mkdir(self.path("keys"))
        os.symlink(self.path("elsewhere"), self.path("keys", "key.pem"))
        self.mintd("keys", "generate", "--type", "es256", "--out", self.path("keys", "key.pem"), expect=4)
        self.assertFalse(os.path.exists(self.path("elsewhere")))

    def test_kid_must_be_one(self):
        for kid in ("0", "-1", "2147483648", "99999999999999999999", "7x", "", " 7", "1e3"):
            done = self.mintd("keys", "generate", "--type", "es256", f"--kid={kid}", expect=1)
            self.fails_with_one_line(done, "--kid")
        self.generate(kid=2147483647)
        self.fails_with_one_line(self.mintd("keys", "generate", "--type", "es256", expect=4), "no key id after")

    def test_type_must_be_one(self):
        self.fails_with_one_line(self.mintd("keys", "generate", "--type", "rsa1024", expect=1), "must be rsa2048")
        self.assertFalse(os.path.exists(self.path("keys")))

    def test_concurrent_ones_never_take_the_same_id(self):
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            kids = list(pool.map(lambda _: self.generate("ed25519"), range(24)))
        self.assertEqual(sorted(kids), list(range(1, 25)))
        self.assertEqual(len(self.files()), 24)
        self.mintd("keys", "check")

    def test_name_follows_the_pattern(self):
        pattern = {"USERADM_SERVER_PRIV_KEY_FILENAME_PATTERN": r"^key-(\d+)\.k$"}
        self.assertIn("key-1.k kid 1\n", self.mintd("keys", "generate", "--type", "es256", env=pattern).stdout)
        for odd in (r"(key|private)\.([0-9]*)", r"k.y[0-9]\.([0-9]*)", r"([a-f0-9]+)\.pem"):
            env = {"USERADM_SERVER_PRIV_KEY_FILENAME_PATTERN": odd}
            self.fails_with_one_line(self.mintd("keys", "generate", "--type", "es256", env=env, expect=1), "--out FILE")

    def test_default_key_by_out(self):
        done = self.mintd("keys", "generate", "--type", "es256", "--out", self.path("private.pem"))
        self.assertEqual(done.stdout, self.path("private.pem") + "\n")
        env = {"USERADM_KEY_DIRECTORY": self.dir}
        self.assertEqual([row["kid"] for row in json.loads(self.mintd("keys", "list", "--json", env=env).stdout)], [0])

    def test_check_and_list_tell_bad_files(self):
        self.generate()
        with open(self.path("keys", "private.id.9.pem"), "w", encoding="ascii") as file:
            file.write("not a key")
        listed = {row["file"]: row for row in json.loads(self.mintd("keys", "list", "--json").stdout)}
        self.assertEqual(listed["private.id.9.pem"]["state"], "refused")
        self.assertIn("no PEM private key", listed["private.id.9.pem"]["reason"])
        self.assertEqual(listed["private.id.1.pem"]["state"], "signing")
        self.assertRegex(self.mintd("keys", "list").stdout, r"private\.id\.9\.pem +- +- +refused +- +no PEM")
        done = self.mintd("keys", "check", expect=4)
        self.assertIn("1 of 2 key files cannot be used", done.stderr)
        self.assertIn("private.id.9.pem", done.stderr)

    def test_list_without_keys(self):
        self.fails_with_one_line(self.mintd("keys", "list", expect=4), "cannot be read")


class Token(Case):
    def setUp(self):
        super().setUp()
        self.prepare()
        self.server = self.serve()
        self.token = self.server.login("alice@example.com", "correct horse")

    def inspect(self, token, expect, **more):
        return self.mintd("token", "inspect", "-", stdin=token + "\n", expect=expect, **more).stdout

    def test_a_good_one(self):
        shown = self.mintd("token", "inspect", self.token).stdout
        for part in ('"kid"            1', '"alg"            "ES256"', "signature  good: kid 1, ES256",
                     "claims     good", "alive      yes", '"mender.*"'):
            self.assertIn(part, shown)
        self.assertRegex(shown, r'"exp" +\d+  2\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ')
        self.assertEqual(self.inspect(self.token, 0), shown)

    def test_a_revoked_one(self):
        reply = request(self.server.public, "POST", mintd.USERADM + "/auth/logout", bearer=self.token)
        self.assertEqual(reply.status, 202)
        self.assertIn("alive      no", self.inspect(self.token, 1))

    def test_a_forged_one(self):
        head, claims, signature = self.token.split(".")
        forged = ".".join((head, claims, ("A" if signature[0] != "A" else "B") + signature[1:]))
        self.assertIn("signature  bad", self.inspect(forged, 1))

    def test_an_expired_one(self):
        token = self.serve(env={"USERADM_JWT_EXP_TIMEOUT": "1"}).login("alice@example.com", "correct horse")
        ask = lambda: self.mintd("token", "inspect", token, expect=None)
        self.assertTrue(eventually(lambda: ask().returncode == 1))
        done = ask()
        self.assertIn("signature  good", done.stdout)
        self.assertIn("claims     expired", done.stdout)

    def test_without_keys_or_database(self):
        done = self.mintd("token", "inspect", self.token, env={"USERADM_KEY_DIRECTORY": "/nonexistent"}, expect=1)
        self.assertIn('"mender.*"', done.stdout)
        self.assertIn("signature  not checked", done.stdout)
        shown = self.inspect(self.token, 0, env={"MINTD_DB": "sqlite:" + self.path("none.db")})
        self.assertIn("alive      not known", shown)
        self.assertFalse(os.path.exists(self.path("none.db")))

    def test_what_is_no_token(self):
        for text in ("", "abc", "a.b.c", "..", self.token.rsplit(".", 1)[0], "x" * 20000):
            done = self.mintd("token", "inspect", "-", stdin=text, expect=1)
            self.fails_with_one_line(done, "not a token")

    def test_strangers_text_does_not_steer_the_terminal(self):
        part = lambda text: mintd.base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        evil = part('{"alg":"\\u001b[2J"}') + "." + part('{"\\u001b]0;x":"\u009b2J","exp":99999999999999999}') + ".AA"
        shown = self.inspect(evil, 1)
        self.assertNotIn("\x1b", shown)
        self.assertNotIn("\x9b", shown)


class DeviceKeys(Case):
    """Commands about keys and tokens of devices, which may have keys of their own."""

    def setUp(self):
        super().setUp()
        self.prepare()

    def request_token(self, server, expect=0):
        return self.mintd("device", "request", "--server", "http://" + server.public, "--key", self.path("board.pem"),
                          "--id", "mac=02:00:5e:10:00:01", expect=expect).stdout.strip()

    def test_keys_of_devices_are_made_listed_and_checked(self):
        self.env["DEVICEAUTH_KEY_DIRECTORY"] = self.path("device keys")
        service = ("--service", "deviceauth")
        self.assertIn("cannot be read", self.mintd("keys", "check", *service, expect=4).stderr)
        self.assertIn("cannot be read", self.mintd("config", "check", expect=4).stderr)
        done = self.mintd("keys", "generate", "--type", "ed25519", "--kid", "9", *service)
        self.assertEqual(done.stdout, self.path("device keys", "private.id.9.pem") + " kid 9\n")
        listed = lambda *args: [row["kid"] for row in json.loads(self.mintd("keys", "list", "--json", *args).stdout)]
        self.assertEqual((listed(*service), listed(), listed("--service", "useradm")), ([9], [1], [1]))
        self.assertIn("kid 9 signs with EdDSA", self.mintd("keys", "check", *service).stdout)
        self.mintd("config", "check")
        self.fails_with_one_line(self.mintd("keys", "list", "--service", "devauth", expect=1), "useradm or deviceauth")

    def test_keys_are_those_of_people_when_nothing_else_is_said(self):
        self.assertEqual(self.mintd("keys", "list", "--service", "deviceauth").stdout, self.mintd("keys", "list").stdout)
        self.assertIn("kid 2\n", self.mintd("keys", "generate", "--type", "es256", "--service", "deviceauth").stdout)

    def test_a_device_token_is_inspected(self):
        self.env["DEVICEAUTH_KEY_DIRECTORY"] = self.path("device keys")
        self.mintd("keys", "generate", "--type", "ed25519", "--kid", "9", "--service", "deviceauth")
        server = self.serve()
        self.request_token(server, expect=10)
        self.mintd("device", "accept", "mac=02:00:5e:10:00:01")
        token = self.request_token(server)
        shown = self.mintd("token", "inspect", token).stdout
        for part in ("signature  good: kid 9, EdDSA", "claims     good", "alive      yes", '"mender.device"  true'):
            self.assertIn(part, shown)
        self.mintd("device", "reject", "mac=02:00:5e:10:00:01")
        shown = self.mintd("token", "inspect", "-", stdin=token, expect=1).stdout
        self.assertIn("alive      no: revoked, or the device is gone or not accepted", shown)
        strict = {"DEVICEAUTH_ACCEPTED_ISSUERS": "other"}
        self.assertIn("not those of a device's", self.mintd("token", "inspect", token, env=strict, expect=1).stdout)


@both_engines
class Unlock(Case):
    """`user unlock` beside two servers that lock after three failures."""

    def setUp(self):
        super().setUp()
        self.prepare()
        env = {"USERADM_LOGIN_FAILURES_LOCK_AFTER": "3"}
        self.servers = [self.serve(env=env), self.serve(env=env)]

    def lock(self):
        for server in self.servers * 2:
            server.login("alice@example.com", "wrong horse", expect=401)
        for server in self.servers:
            server.login("alice@example.com", "correct horse", expect=401)

    def test_it_ends_a_lock_at_once_and_says_what_it_removed(self):
        self.lock()
        self.assertTrue(eventually(lambda: any(s.line("logins are locked for a network") for s in self.servers)))
        lines = self.mintd("user", "unlock", "Alice@example.com").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["NETWORK", "FAILURES", "REFUSED", "LOCKED", "UNTIL"])
        self.assertEqual(lines[1].split(), ["all", "3", "3", "-"])
        self.assertEqual(lines[2].split()[:3], ["127.0.0.0/24", "3", "3"])
        self.assertRegex(lines[2].split()[3], r"^\d{4}-\d\d-\d\dT")
        self.assertEqual(len(lines), 3)
        for server in self.servers:
            server.login("alice@example.com", "correct horse")
        self.assertEqual(self.mintd("user", "unlock", "alice@example.com").stdout, "no failed logins are counted\n")

    def test_many_networks_are_not_all_listed(self):
        server = self.serve(env={"MINTD_TRUSTED_PROXIES": "127.0.0.1"})
        for i in range(25):
            request(server.public, "POST", mintd.USERADM + "/auth/login", basic=("alice@example.com", "wrong horse"),
                    headers={"X-Forwarded-For": f"203.0.{i}.1"})
        lines = self.mintd("user", "unlock", "alice@example.com").stdout.splitlines()
        self.assertEqual((len(lines), lines[1].split()[:2], lines[-1]), (22, ["all", "25"], "and 6 more networks"))

    def test_a_new_password_ends_a_lock_too(self):
        self.lock()
        self.mintd("user", "set-password", "--email", "alice@example.com", "--password", "another horse")
        self.servers[0].login("alice@example.com", "another horse")

    def test_it_refuses(self):
        done = self.mintd("user", "unlock", "nobody@example.com", expect=5)
        self.fails_with_one_line(done, "unlocking user failed: user not found")
        self.fails_with_one_line(self.mintd("user", "unlock", expect=1), "user unlock")


class TrustedProxies(Case):
    def failures(self, forwarded, **env):
        """The networks that failures count for when a proxy here says so."""
        self.prepare()
        server = self.serve(env=env)
        request(server.public, "POST", mintd.USERADM + "/auth/login", headers={"X-Forwarded-For": forwarded},
                basic=("alice@example.com", "wrong horse"))
        server.wait_line("client=", "auth/login")
        return [line.split()[0] for line in self.mintd("user", "unlock", "alice@example.com").stdout.splitlines()[2:]]

    def test_clients_behind_a_trusted_proxy_are_told_apart(self):
        self.assertEqual(self.failures("198.51.100.1, 203.0.113.9", MINTD_TRUSTED_PROXIES="10.0.0.0/8,127.0.0.1"),
                         ["203.0.113.0/24"])

    def test_nobody_else_is_believed(self):
        self.assertEqual(self.failures("203.0.113.9", MINTD_TRUSTED_PROXIES="10.0.0.0/8"), ["127.0.0.0/24"])

    def test_they_are_networks(self):
        for value in ("10.0.0.1/8", "proxy.example", "10.0.0.0/33", "10.0.0.0/8,x"):
            done = self.mintd("user", "list", env={"MINTD_TRUSTED_PROXIES": value}, expect=1)
            self.fails_with_one_line(done, "MINTD_TRUSTED_PROXIES", "must be networks such as")

    def test_a_gateway_without_them_is_warned_of(self):
        self.prepare()
        told = self.serve(env={"MINTD_TRUST_GATEWAY": "true"})
        told.wait_line("trusted_proxies")
        quiet = self.serve(env={"MINTD_TRUST_GATEWAY": "true", "MINTD_TRUSTED_PROXIES": "10.0.0.0/8"})
        quiet.login("alice@example.com", "correct horse")
        quiet.wait_line("auth/login")
        self.assertIsNone(quiet.line("name its network"))


@both_engines
class BesideServer(Case):
    """Commands on the database of running servers."""

    def setUp(self):
        super().setUp()
        self.user = self.prepare()
        self.servers = [self.serve(), self.serve()]
        self.token = self.servers[0].login("alice@example.com", "correct horse")
        self.assertEqual([s.verify(self.token) for s in self.servers], [200, 200])

    def dies_within_a_second(self):
        start = time.monotonic()
        self.assertTrue(eventually(lambda: all(s.verify(self.token) == 401 for s in self.servers), 5.0))
        self.assertLess(time.monotonic() - start, 1.5)

    def test_set_password_kills_tokens(self):
        self.mintd("user", "set-password", "--email", "alice@example.com", "--password", "another horse")
        self.dies_within_a_second()
        for server in self.servers:
            server.login("alice@example.com", "correct horse", expect=401)
            self.assertEqual(server.verify(server.login("alice@example.com", "another horse")), 200)

    def test_delete_kills_tokens(self):
        self.mintd("user", "delete", "--id", self.user)
        self.dies_within_a_second()
        self.servers[1].login("alice@example.com", "correct horse", expect=401)

    def test_commands_of_the_original(self):
        """create-user and set-password as scripts call them, on the database of running servers."""
        env = {"USERADM_DB": self.db}
        self.useradm("create-user", "--username", "bob@example.com", "--password", "yet another horse", env=env)
        for server in self.servers:
            server.login("bob@example.com", "yet another horse")
        self.useradm("set-password", "--username", "alice@example.com", "--password", "another horse", env=env)
        self.dies_within_a_second()
        self.useradm("migrate", env=env)
        self.servers[1].login("alice@example.com", "another horse")

    def test_new_user_can_log_in_at_once(self):
        self.create_user("bob@example.com", "yet another horse")
        for server in self.servers:
            server.login("bob@example.com", "yet another horse")

    def test_logout_on_one_server_is_seen_by_the_other(self):
        reply = request(self.servers[1].public, "POST", mintd.USERADM + "/auth/logout", bearer=self.token)
        self.assertEqual(reply.status, 202)
        self.dies_within_a_second()

    def test_generated_key_signs(self):
        kid = self.generate("ed25519")
        self.assertTrue(eventually(lambda: f'"kid":{kid}' in self.header(self.servers[0])))
        self.assertEqual(self.servers[0].verify(self.token), 200)

    @staticmethod
    def header(server):
        token = server.login("alice@example.com", "correct horse")
        return mintd.base64.urlsafe_b64decode(token.split(".")[0] + "==").decode()


class Signals(Case):
    def test_term_and_int_stop_with_code_0(self):
        self.prepare()
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.serve()
            self.assertEqual(server.stop(number), 0)
            self.assertTrue(server.line("stopped"))

    def test_hup_looks_at_the_keys(self):
        self.prepare()
        server = self.serve()
        self.generate(kid=5)
        server.send(signal.SIGHUP)
        server.wait_line("key accepted", "kid=5")
        self.assertEqual(server.verify(server.login("alice@example.com", "correct horse")), 200)

    def test_second_signal_does_not_wait(self):
        self.prepare()
        server = self.serve(env={"MINTD_STOP_TIMEOUT_S": "3600", "MINTD_BODY_TIMEOUT_S": "3600"})
        host, port = server.public.split(":")
        with socket.create_connection((host, int(port)), timeout=DEADLINE) as slow:
            slow.sendall(b"POST /api/management/v1/useradm/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n"
                         b"Expect: 100-continue\r\n\r\n")
            self.assertIn(b"100", slow.recv(100))
            server.send(signal.SIGTERM)
            server.wait_line("stopping")
            code = eventually(lambda: server.process.poll() if server.process.poll() is not None
                              else server.send(signal.SIGTERM))
        self.assertIn(code, (-signal.SIGTERM, 0))
        server._reader.join(DEADLINE)
        self._cleanups.pop()  # its exit code was the point
        server.process.stderr.close()


class Config(Case):
    def test_check_prints_what_is_in_effect_and_reads_it_back(self):
        self.prepare()
        file = self.write("mintd.yaml", "useradm:\n  jwt_issuer: from-file\n  jwt_leeway: 7\n")
        shown = self.mintd("config", "check", "--config", file, env={"USERADM_JWT_LEEWAY": "9"})
        self.assertEqual(shown.stderr, "")
        self.assertIn('jwt_issuer: "from-file"', shown.stdout)
        self.assertIn("jwt_leeway: 9", shown.stdout)
        again = self.write("again.yaml", shown.stdout)
        self.assertEqual(self.mintd("config", "check", "--config", again).stdout.split("\n")[1:],
                         shown.stdout.split("\n")[1:])

    def test_check_finds_all_faults(self):
        done = self.mintd("config", "check", expect=4)
        self.assertIn("key directory cannot be read", done.stderr)
        self.assertIn("there is no database", done.stderr)
        self.assertEqual(os.listdir(self.dir), [])

    def test_flag_over_environment_over_file(self):
        self.prepare()
        file = self.write("mintd.yaml", "listen: :1\ninternal_listen: ':2'\nlog_level: error\n")
        env = {"MINTD_INTERNAL_LISTEN": ":3", "MINTD_LISTEN": ":4", "MINTD_LOG_FORMAT": ""}
        shown = self.mintd("config", "check", "--config", file, "--log-format", "json", env=env).stdout
        for part in ('\nlisten: ":4"', '\ninternal_listen: ":3"', '\nlog_level: "error"', '\nlog_format: "json"'):
            self.assertIn(part, shown)

    def test_json_log(self):
        self.prepare()
        env = {**self.env, "MINTD_LOG_FORMAT": "json"}
        process = subprocess.Popen([os.path.join(mintd.BUILD, "mintd"), "server"], env=env, cwd=self.dir, text=True,
                                   stderr=subprocess.PIPE)
        lines = iter(process.stderr.readline, "")
        serving = next(line for line in map(json.loads, lines) if line["msg"] == "serving")
        process.terminate()
        self.assertEqual(process.wait(DEADLINE), 0)
        process.stderr.close()
        self.assertRegex(serving["listen"], r"^127\.0\.0\.1:[1-9]\d*$")


class Plans(Case):
    """The plan file: it may be missing, a broken one stops a server and nothing else."""

    def setUp(self):
        super().setUp()
        self.prepare()

    def listed(self, server):
        token = server.login("alice@example.com", "correct horse")
        reply = request(server.public, "GET", mintd.USERADM + "/plans", bearer=token)
        self.assertEqual(reply.status, 200)
        return [plan["name"] for plan in reply.json()]

    def test_file_is_served(self):
        text = "plans:\n  b: {display_name: B, features: {rbac: true}}\n  a: {}\n"
        server = self.serve(env={"USERADM_PLAN_DEFINITIONS_PATH": self.write("plans.yml", text)})
        self.assertEqual(self.listed(server), ["a", "b"])
        self.assertIsNone(server.line("plan file"))

    def test_without_a_file_the_built_in_plan_is_served(self):
        self.assertEqual(self.listed(self.serve()), ["Mender_Open_Source"])
        env = {"USERADM_PLAN_DEFINITIONS_PATH": self.path("none.yaml")}
        server = self.serve(env=env)
        self.assertEqual(self.listed(server), ["Mender_Open_Source"])
        self.assertEqual(len([line for line in server.log if "there is no plan file" in line]), 1)
        self.assertIn("there is no plan file", self.mintd("config", "check", env=env).stderr)
        self.assertEqual(self.mintd("user", "list", env=env).stderr, "")

    def test_broken_file_stops_a_server_and_no_other_command(self):
        for name, text, part in (("p.yaml", "plans:\n  x:\n    features: {rbac: 7}\n", 'line 3: plan "x": rbac'),
                                 ("p.toml", "plans: {}", "must end in .yaml, .yml or .json")):
            file = self.write(name, text)
            env = {"USERADM_PLAN_DEFINITIONS_PATH": file}
            self.fails_with_one_line(self.mintd("server", env=env, expect=1), file, part)
            done = self.mintd("config", "check", env=env, expect=1)
            self.assertIn(f"the plan file {file} cannot be used: ", done.stderr)
            for args in (("user", "list"), ("migrate",), ("keys", "list")):
                self.mintd(*args, env=env)
            self.useradm("create-user", "--username", name + "@example.com", "--password", "correct horse", env=env)


class Useradm(Case):
    """Under the name of the original: contract/useradm 7."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("rsa"))
        self.key = self.path("rsa", "private.pem")
        self.mintd("keys", "generate", "--type", "rsa2048", "--out", self.key)
        for name in ("USERADM_KEY_DIRECTORY", "MINTD_LISTEN", "MINTD_INTERNAL_LISTEN", "MINTD_DB"):
            del self.env[name]
        self.env["USERADM_SERVER_PRIV_KEY_PATH"] = self.key
        self.env["USERADM_LISTEN"] = "127.0.0.1:0"
        self.env["USERADM_DB"] = self.db

    def test_create_user(self):
        self.useradm("migrate")
        done = self.useradm("create-user", "--username", "Joe@Example.com", "--password=correct horse")
        self.assertRegex(done.stdout, UUID)
        done = self.useradm("create-user", "-username=a@b.cd", "-password", "correct horse", "-user-id", "42",
                            "--tenant-id", "ignored")
        self.assertEqual(done.stdout, "42\n")
        for args, text in (
                (("--username", "joe@example.com", "--password", "correct horse"),
                 "creating user failed: user with a given email already exists\n"),
                (("--username", "joe", "--password", "correct horse"),
                 "user validation failed: email: must be a valid email address.\n"),
                (("--username", "b@b.cd"), "stdin is not a terminal\n")):
            done = self.useradm("create-user", *args, expect=5)
            self.assertEqual((done.stdout, done.stderr), ("", text))

    def test_missing_flag(self):
        for command in ("create-user", "set-password"):
            done = self.useradm(command, expect=1)
            self.assertEqual(done.stdout, "")
            self.assertTrue(done.stderr.startswith('Required flag "username" not set\n'))
            self.assertIn("Usage: useradm " + command, done.stderr)

    def test_set_password(self):
        self.useradm("migrate")
        self.useradm("create-user", "--username", "joe@example.com", "--password", "correct horse")
        done = self.useradm("set-password", "--username", "joe@example.com", "--password", "another horse")
        self.assertEqual(done.stdout + done.stderr, "")
        done = self.useradm("set-password", "--username", "no@example.com", "--password", "another horse", expect=7)
        self.assertEqual(done.stderr, "setting password failed: user not found\n")
        self.useradm("set-password", "--username", "joe@example.com", "--password", "another horse", "--tenant-id", "t",
                     expect=7)

    def test_migrate(self):
        self.useradm("migrate", "--tenant", "any", env={"USERADM_SERVER_PRIV_KEY_PATH": "/nonexistent"})
        self.useradm("migrate", expect=6, env={"USERADM_DB": "sqlite:/nonexistent/x.db"})

    def test_exit_codes_of_server(self):
        self.fails_with_one_line(self.useradm("server", expect=2), "there is no database")
        self.write(os.path.basename(self.db), "")
        self.useradm("server", expect=3)
        self.useradm("migrate")
        done = self.useradm(expect=4, env={"USERADM_SERVER_PRIV_KEY_PATH": "/nonexistent"})
        self.fails_with_one_line(done, "/nonexistent")
        self.useradm("--config", "/nonexistent.yaml", "server", expect=1)

    def test_one_listener_that_trusts_the_gateway(self):
        text = "listen: 127.0.0.1:0\nmongo: mongodb://x\nno_such_key: 1\njwt_issuer: acme\n"
        config = self.write("config.yaml", text)
        self.useradm("migrate")
        self.useradm("create-user", "--username", "joe@example.com", "--password", "correct horse")
        server = mintd.Server(["--config", config, "server"], self.env, self.dir, "useradm")
        self.addCleanup(server.stop)
        self.assertEqual(server.internal, "")
        token = server.login("joe@example.com", "correct horse")
        claims = json.loads(mintd.base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        self.assertEqual(claims["iss"], "acme")
        self.assertEqual(server.verify(token), 200)
        self.assertTrue(server.line("MongoDB", "mongo"))
        self.assertTrue(server.line("no_such_key", "ignored"))
        self.assertEqual(len([line for line in server.log if "MongoDB" in line]), 1)

    def test_without_a_command_it_serves(self):
        self.useradm("migrate")
        server = mintd.Server([], self.env, self.dir, "useradm")
        self.assertEqual(server.stop(signal.SIGINT), 0)

    def test_version_and_help(self):
        version = self.useradm("version").stdout
        self.assertEqual(self.useradm("--version").stdout, version)
        self.assertEqual(self.useradm("-v").stdout, version)
        for args in (("--help",), ("-h",), ("help",)):
            self.assertIn("create-user", self.useradm(*args).stdout)

    def test_flags_are_spelt_in_any_of_the_four_ways(self):
        file = self.write("config.yaml", "jwt_issuer: x\n")
        for n, args in enumerate((("--username", "a{}@b.cd"), ("--username=a{}@b.cd",), ("-username", "a{}@b.cd"),
                                  ("-username=a{}@b.cd",))):
            self.useradm("-config=" + file if n % 2 else "--config=" + file, "migrate")
            done = self.useradm("--config", file, "create-user", *(part.format(n) for part in args), "-password",
                                "correct horse")
            self.assertRegex(done.stdout, UUID)

    def test_password_is_asked_for_at_a_terminal(self):
        self.useradm("migrate")
        for command, code, text in (("create-user", 0, "correct horse"), ("set-password", 0, "another horse"),
                                    ("create-user", 5, "short"), ("set-password", 7, "short")):
            ours, theirs = pty.openpty()
            email = "joe@example.com" if code == 0 or command == "set-password" else "jim@example.com"
            with subprocess.Popen([os.path.join(mintd.BUILD, "useradm"), command, "--username", email], env=self.env,
                                  cwd=self.dir, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  start_new_session=True) as process:
                os.close(theirs)
                prompt = b""
                while not prompt.endswith(b"Enter password: "):
                    self.assertTrue(select.select([process.stderr], [], [], DEADLINE)[0])
                    prompt += os.read(process.stderr.fileno(), 100)
                os.write(ours, text.encode() + b"\n")
                out, _ = process.communicate(timeout=DEADLINE)
                os.close(ours)
            self.assertEqual(process.returncode, code)
            self.assertRegex(out.decode(), UUID.pattern if (command, code) == ("create-user", 0) else "^$")

    def test_without_a_terminal_nothing_is_asked(self):
        self.useradm("migrate")
        for command, code in (("create-user", 5), ("set-password", 7)):
            done = self.useradm(command, "--username", "a@b.cd", "--password", "", expect=code)
            self.assertEqual((done.stdout, done.stderr), ("", "stdin is not a terminal\n"))

    def test_stdout_is_the_id_whatever_is_warned_of(self):
        """Scripts take it as the id, and collectors take stderr line by line."""
        env = {"USERADM_MONGO": "mongodb://x", "USERADM_MIDDLEWARE": "prod", "LOG_FORMAT": "json"}
        self.useradm("migrate", env=env)
        done = self.useradm("--debug", "create-user", "--username", "a@b.cd", "--password", "correct horse", env=env)
        self.assertRegex(done.stdout, UUID)
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        self.assertTrue(any(line["keys"] == "USERADM_MONGO" for line in lines if "keys" in line))

    def test_version_as_json(self):
        for args in (("version", "--output", "json"), ("version", "-output=json")):
            self.assertEqual(list(json.loads(self.useradm(*args).stdout)), ["version"])
        self.fails_with_one_line(self.useradm("version", "--output", "xml", expect=1), "must be text or json")

    def test_database_that_does_not_answer(self):
        self.fails_with_one_line(self.useradm("server", env={"USERADM_DB": "postgresql://joe@127.0.0.1:1/x"}, expect=2),
                                 "cannot be opened")

    def test_listener_that_cannot_be_had(self):
        self.useradm("migrate")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            self.useradm("server", env={"USERADM_LISTEN": "127.0.0.1:%d" % taken.getsockname()[1]}, expect=4)

    def test_automigrate(self):
        server = mintd.Server(["server", "--automigrate"], self.env, self.dir, "useradm")
        self.assertEqual(server.stop(), 0)

    def test_configuration_formats(self):
        self.useradm("migrate")
        file = self.write("config.json", '{"jwt_issuer": "from-json", "mongo_ssl": false, "request_size_limit": 2048}')
        self.useradm("--config", file, "create-user", "--username", "joe@example.com", "--password", "correct horse")
        server = mintd.Server(["--config", file], self.env, self.dir, "useradm")
        self.addCleanup(server.stop)
        token = server.login("joe@example.com", "correct horse")
        self.assertIn("from-json", mintd.base64.urlsafe_b64decode(token.split(".")[1] + "==").decode())
        for name in ("config.toml", "config.hcl"):
            done = self.useradm("--config", self.write(name, 'listen = ":1"\n'), "server", expect=1)
            self.fails_with_one_line(done, name, "YAML (.yaml, .yml) or JSON (.json)")
        self.fails_with_one_line(self.useradm("--config", self.path("none.yaml"), "migrate", expect=1), "No such file")

    def test_variables_of_the_enterprise_service(self):
        self.useradm("migrate")
        env = {"USERADM_PROXY_COUNT": "1", "USERADM_BASE_URL": "https://x", "USERADM_TOTP_ISSUER": "x",
               "USERADM_INVENTORY_ADDR": "http://i:8080", "USERADM_REDIS_ADDR": "r:6379", "ACCESSLOG_PROXY_DEPTH": "2",
               "LOG_DISABLE_CALLER_CONTEXT": "true"}
        server = mintd.Server(["server"], {**self.env, **env}, self.dir, "useradm")
        self.assertEqual(request(server.public, "GET", mintd.INTERNAL + "/health").status, 204)
        self.assertEqual(request(server.public, "GET", mintd.INTERNAL + "/alive").status, 204)
        self.assertEqual(server.stop(), 0)

    def test_debug_and_log_level(self):
        self.useradm("migrate")
        for args, env in ((["--debug", "server"], {}), (["-debug"], {}), (["server"], {"LOG_LEVEL": "DEBUG"})):
            server = mintd.Server(args, {**self.env, **env}, self.dir, "useradm")
            request(server.public, "GET", mintd.INTERNAL + "/alive")
            self.assertTrue(server.wait_line("debug", "path=" + mintd.INTERNAL + "/alive"))
            self.assertEqual(server.stop(), 0)

    def test_unknown_words(self):
        self.fails_with_one_line(self.useradm("create-usr", expect=1), 'did you mean "create-user"?')
        self.fails_with_one_line(self.useradm("create-user", "--usernam", "x", expect=1), "did you mean --username?")

    def test_log_variables_of_the_original(self):
        self.useradm("migrate", env={"LOG_LEVEL": "panic", "LOG_FORMAT": "ndjson"})
        done = self.useradm("server", env={"LOG_FORMAT": "ndjson", "USERADM_SERVER_PRIV_KEY_PATH": "/none"}, expect=4)
        self.assertEqual(json.loads(done.stderr)["level"], "error")
        for env in ({"LOG_FORMAT": "json"}, {"MINTD_LOG_FORMAT": "json"}):
            done = self.useradm("server", env={**env, "USERADM_JWT_EXP_TIMEOUT": "x"}, expect=1)
            self.assertEqual(json.loads(done.stderr)["key"], "USERADM_JWT_EXP_TIMEOUT")


class Inventory:
    """Takes what it is told, or refuses it, for as long as the test runs; calls are (method, path, JSON)."""

    def __init__(self, case):
        self.calls, self.status = [], 200
        inventory = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inventory.calls.append((self.command, self.path, json.loads(body)))
                self.send_response(inventory.status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            do_POST = do_PATCH = answer

            def log_message(self, *_):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        case.addCleanup(server.server_close)
        case.addCleanup(server.shutdown)
        self.address = "http://127.0.0.1:%d" % server.server_address[1]


class Deviceauth(Case):
    """Under the name of the original: contract/deviceauth 6."""

    def setUp(self):
        super().setUp()
        for name in ("USERADM_KEY_DIRECTORY", "MINTD_LISTEN", "MINTD_INTERNAL_LISTEN", "MINTD_DB"):
            del self.env[name]
        self.key = self.path("private.pem")
        self.mintd("keys", "generate", "--type", "rsa2048", "--out", self.key)
        self.inventory = Inventory(self)
        self.env.update({"DEVICEAUTH_SERVER_PRIV_KEY_PATH": self.key, "DEVICEAUTH_LISTEN": "127.0.0.1:0",
                         "DEVICEAUTH_DB": self.db, "DEVICEAUTH_ORCHESTRATOR_ADDR": "http://127.0.0.1:1",
                         "DEVICEAUTH_INVENTORY_ADDR": self.inventory.address})

    def deviceauth(self, *args, expect=0, **more):
        return self.run_program("deviceauth", *args, expect=expect, **more)

    def import_devices(self, *devices):
        documents = [{"_id": f"d{n}", "id_data": json.dumps({"mac": str(n)}), "status": "accepted", "revision": n,
                      **more} for n, more in enumerate(devices)]
        path = self.write("devices.json", "".join(json.dumps(d) + "\n" for d in documents))
        self.mintd("import", "deviceauth", path, "--db", self.db)

    def test_migrate_of_devices_ends_with_5(self):
        self.deviceauth("migrate", "--tenant", "any", env={"DEVICEAUTH_SERVER_PRIV_KEY_PATH": "/nonexistent"})
        self.deviceauth("migrate", expect=5, env={"DEVICEAUTH_DB": "sqlite:/nonexistent/x.db"})

    def test_migrate_lists_tenants(self):
        self.fails_with_one_line(self.deviceauth("migrate", "--list-tenants", expect=5), "there is no database")
        self.deviceauth("migrate")
        self.fails_with_one_line(self.deviceauth("migrate", "--list-tenants", expect=5), "no tenants")
        self.import_devices({"tenant_id": "b"}, {"tenant_id": "a"}, {"tenant_id": "b"})
        self.assertEqual(self.deviceauth("migrate", "--list-tenants").stdout, "a\nb\n")

    def test_exit_codes_of_the_device_server(self):
        self.fails_with_one_line(self.deviceauth("server", expect=2), "there is no database")
        self.write(os.path.basename(self.db), "")
        self.fails_with_one_line(self.deviceauth("server", expect=3), "run migrate, or start with --automigrate")
        self.deviceauth("migrate")
        done = self.deviceauth(expect=4, env={"DEVICEAUTH_SERVER_PRIV_KEY_PATH": "/nonexistent"})
        self.fails_with_one_line(done, "/nonexistent")
        self.deviceauth("--config", "/nonexistent.yaml", "server", expect=1)
        self.fails_with_one_line(self.deviceauth("check-device-limits", expect=1), "there is no command")
        for env in ({"DEVICEAUTH_JWT_EXP_TIMEOUT": "x"}, {"DEVICEAUTH_RATE_LIMITS_AUTH_ENABLE": "maybe"}):
            self.fails_with_one_line(self.deviceauth("server", env=env, expect=1), next(iter(env)))

    def test_it_serves_with_the_originals_configuration(self):
        config = self.write("config.yaml", "listen: 127.0.0.1:0\nmongo: mongodb://x\nmongo_password: hunter2\n"
                                           "redis_connection_string: redis://x\nno_such_key: 1\njwt_issuer: acme\n"
                                           "have_addons: false\njwt_exp_timeout: 60\n")
        del self.env["DEVICEAUTH_LISTEN"]
        self.env["DEVICEAUTH_JWT_EXP_TIMEOUT"] = "120"  # the environment beats the file
        server = mintd.Server(["--config", config, "server", "--automigrate"], self.env, self.dir, "deviceauth")
        self.addCleanup(server.stop)
        self.assertEqual(server.internal, "")
        board = Board(self.path("board.pem"), "ed25519", mac="0")
        key = board.pubkey
        self.import_devices({"created_ts": {"$date": "2024-01-01T00:00:00Z"}})
        sets = self.write("auth_sets.json", json.dumps({"_id": "s0", "device_id": "d0", "pubkey": key,
                                                        "status": "accepted"}))
        self.mintd("import", "deviceauth", sets, "--db", self.db)
        asked = board.request()
        asked["headers"]["Content-Type"] = "application/json"
        reply = request(server.public, "POST", "/api/devices/v1/authentication/auth_requests", **asked)
        self.assertEqual(reply.status, 200)
        claims = json.loads(mintd.base64.urlsafe_b64decode(reply.text.split(".")[1] + "=="))
        self.assertEqual((claims["iss"], claims["exp"] - claims["iat"], claims["sub"]), ("acme", 120, "d0"))
        verify = request(server.public, "GET", "/api/internal/v1/devauth/tokens/verify", bearer=reply.text)
        self.assertEqual(verify.status, 200)
        self.assertEqual(len([line for line in server.log if "MongoDB" in line]), 1)
        self.assertTrue(server.line("MongoDB", "mongo,mongo_password,redis_connection_string"))
        self.assertTrue(server.line("no_such_key", "ignored"))
        self.assertNotIn("hunter2", "".join(server.log))

    def test_propagate_inventory_statuses(self):
        self.deviceauth("migrate")
        self.import_devices({}, {"status": "pending", "revision": 9}, {"tenant_id": "t"})
        dry = self.deviceauth("propagate-inventory-statuses", "--dry-run", "--force-set-migration", "1.2.3")
        self.assertEqual((dry.stdout, self.inventory.calls), ("dry run: would have 3 devices told, 0 refused\n", []))
        done = self.deviceauth("propagate-inventory-statuses")
        self.assertEqual(done.stdout, "3 devices told, 0 refused\n")
        base = "/api/internal/v1/inventory/tenants/"
        self.assertEqual(self.inventory.calls, [
            ("POST", base + "/devices/status/accepted", [{"id": "d0", "revision": 1}]),
            ("POST", base + "/devices/status/pending", [{"id": "d1", "revision": 9}]),
            ("POST", base + "t/devices/status/accepted", [{"id": "d2", "revision": 2}])])
        self.inventory.status = 500
        done = self.deviceauth("propagate-inventory-statuses", "--tenant_id", "t", expect=7)
        self.assertEqual(done.stdout, "0 devices told, 1 refused\n")
        self.assertIn("answers 500", done.stderr)

    def test_propagate_inventory_id_data(self):
        self.fails_with_one_line(self.deviceauth("propagate-inventory-id-data", expect=7), "there is no database")
        self.deviceauth("migrate")
        self.import_devices({}, {"tenant_id": "t"})
        self.deviceauth("propagate-inventory-id-data", "--tenant_id=t")
        self.assertEqual(self.inventory.calls, [("PATCH", "/api/internal/v1/inventory/tenants/t/device/d1/attributes",
                                                 [{"name": "mac", "value": "1", "scope": "identity"}])])
        env = {"DEVICEAUTH_INVENTORY_ADDR": "http://127.0.0.1:1"}
        self.assertIn("stopped", self.deviceauth("propagate-inventory-id-data", env=env, expect=7).stderr)

    def test_maintenance_propagates_with_care(self):
        self.deviceauth("migrate")
        self.import_devices({}, {})
        self.inventory.status = 412
        done = self.deviceauth("maintenance", "propagate-inventory", "--timeout", "1m30s", "--rate-limit", "1000.5")
        self.assertEqual(done.stdout,
                         "0 devices told, 2 left alone as inventory knew something newer, 0 refused\n")
        self.inventory.status = 400
        self.deviceauth("maintenance", "propagate-inventory", expect=6)
        for args in (("--timeout", "soon"), ("--timeout", "0s"), ("--timeout", "5"), ("--rate-limit", "0"),
                     ("--rate-limit", "x")):
            self.fails_with_one_line(self.deviceauth("maintenance", "propagate-inventory", *args, expect=1), args[0])
        self.fails_with_one_line(self.deviceauth("maintenance", "everything", expect=1), "propagate-inventory")

    def test_maintenance_removes_what_is_being_decommissioned(self):
        self.fails_with_one_line(self.deviceauth("maintenance", "--decommissioning-cleanup", expect=6), "no database")
        self.deviceauth("migrate")
        self.import_devices({}, {"decommissioning": True}, {"decommissioning": True, "tenant_id": "t"})
        title = "devices that are being decommissioned:\n"
        for args, out in ((("--dry-run",), "d1\nd2\n"), (("--tenant", "t"), "d2\n"), ((), "d1\n"), ((), "")):
            done = self.deviceauth("maintenance", "--decommissioning-cleanup", *args)
            self.assertEqual(done.stdout, title + out)
        listed = json.loads(self.mintd("device", "list", "--json", "--db", self.db).stdout)
        self.assertEqual([d["id"] for d in listed], ["d0"])

    def test_version_help_and_health(self):
        self.assertEqual(self.deviceauth("--version").stdout, self.mintd("version").stdout)
        self.assertEqual(list(json.loads(self.deviceauth("version", "--output", "json").stdout)), ["version"])
        for command in ("server", "migrate", "propagate-inventory-statuses", "propagate-inventory-id-data",
                        "maintenance", "version"):
            self.assertIn(f"  {command} ", self.deviceauth("--help").stdout)
            self.assertIn(f"Usage: deviceauth {command}", self.deviceauth(command, "--help").stdout)
        self.assertIn("(default sqlite:/var/lib/deviceauth/deviceauth.db)", self.deviceauth("--help").stdout)
        self.fails_with_one_line(self.deviceauth("health", env={"DEVICEAUTH_LISTEN": "127.0.0.1:1"}, expect=1),
                                 "/api/internal/v1/devauth/health")


class Roles(Case):
    """Which of the two services a process serves."""

    def served(self, server, listener):
        people = request(listener, "GET", mintd.INTERNAL + "/alive").status
        devices = request(listener, "GET", "/api/internal/v1/devauth/alive").status
        asked = request(server.public, "POST", "/api/devices/v1/authentication/auth_requests").status
        return people, devices, asked

    def setUp(self):
        super().setUp()
        self.mintd("keys", "generate", "--type", "es256", "--out", self.path("private.pem"))
        self.mintd("migrate")

    def test_mintd_serves_what_role_says(self):
        os.mkdir(self.path("keys"))
        self.generate()
        for role, want in ((None, (204, 204, 400)), ("useradm", (204, 404, 404)), ("deviceauth", (404, 204, 400))):
            server = self.serve(*(("--role", role) if role else ()))
            self.assertEqual(self.served(server, server.internal), want, role)

    def test_link_name(self):
        server = self.serve(program="deviceauth", env={"DEVICEAUTH_SERVER_PRIV_KEY_PATH": self.path("private.pem")})
        self.assertEqual(self.served(server, server.public), (404, 204, 400))

    def test_link_name_cannot_verify_users(self):
        done = self.run_program("deviceauth", "server", env={"MINTD_TRUST_GATEWAY": "false"}, expect=1)
        self.fails_with_one_line(done, "trust_gateway")
        self.fails_with_one_line(self.run_program("deviceauth", "server", "--role", "useradm", expect=1), "--role")


if __name__ == "__main__":
    mintd.main()
