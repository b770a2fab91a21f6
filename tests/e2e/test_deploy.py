# SPDX-License-Identifier: Apache-2.0
"""The Dockerfile and docker-compose.yml, without an engine: what they say is carried out as commands, and checked."""
import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
import urllib.parse

import board
import gateway
import image
import mintd
import relay
from mintd import DEADLINE, INTERNAL, POSTGRES, USERADM, VERIFY_DEVICE, Case, psql

try:
    import jsonschema
    import yaml
except ImportError:  # these are Debian's, for Debian's Python
    jsonschema = yaml = None

TREE = image.TREE
USER = ("admin@example.com", "correct horse")
VERSION = "deploy-test"


def stages():
    return image.parse(os.path.join(TREE, "Dockerfile"))


def compose():
    with open(os.path.join(TREE, "docker-compose.yml"), encoding="utf-8") as file:
        return yaml.safe_load(file)


def read(*names):
    with open(os.path.join(TREE, *names), encoding="utf-8") as file:
        return file.read()


class TheDockerfile(unittest.TestCase):
    def test_builds_with_the_packages_that_the_tree_names(self):
        named = re.search(r"^build='([^']*)'", read("tests/deps.sh"), re.MULTILINE).group(1)
        self.assertEqual(stages()[0].packages(), set(named.split()) | {"make"})

    def test_runs_with_the_libraries_that_the_program_needs(self):
        dump = subprocess.run(["readelf", "-d", os.path.join(mintd.BUILD, "mintd")], check=True, capture_output=True,
                              text=True).stdout
        needed = re.findall(r"\(NEEDED\).*\[(lib[^]]*)\]", dump)
        packages = stages()[-1].packages() | {"libc6", "libgcc-s1"}  # the first needs the second
        for library in needed:
            if re.match(r"lib(asan|ubsan|tsan|gcov)", library):
                continue
            owner = subprocess.run(["dpkg-query", "-S", "*/" + library], check=True, capture_output=True, text=True).stdout
            self.assertTrue(packages & set(re.findall(r"^([^:,]+)", owner, re.MULTILINE)), f"{library} is in {owner}")
        self.assertIn("ca-certificates", packages)

    def test_takes_no_compiler_along_and_no_root(self):
        last = stages()[-1]
        self.assertFalse([name for name in last.packages() if name.endswith("-dev") or name in ("gcc", "make")])
        self.assertEqual(last.base, "debian:12-slim")
        self.assertNotIn(last.last("USER"), ("root", "0"))
        self.assertEqual(last.last("EXPOSE"), "8080")

    def test_is_sent_what_it_copies_and_nothing_else(self):
        lines = [line for line in read(".dockerignore").splitlines() if line and not line.startswith("#")]
        copied = {rest.split()[0] for word, rest in stages()[0].steps if word == "COPY"}
        self.assertEqual(lines[0], "*")
        self.assertEqual({line.lstrip("!") for line in lines[1:]}, copied)


@unittest.skipUnless(yaml, "python3-yaml and python3-jsonschema are not installed")
class TheComposeFile(unittest.TestCase):
    def test_follows_the_schema(self):
        schema = json.loads(read("tests/data/compose/compose-spec.json"))
        jsonschema.Draft201909Validator.check_schema(schema)
        jsonschema.Draft201909Validator(schema).validate(compose())

    def test_the_schema_would_speak_up(self):
        schema = json.loads(read("tests/data/compose/compose-spec.json"))
        for wrong in ({"helthcheck": {}}, {"read_only": "perhaps"}, {"depends_on": {"db": {"condition": "soon"}}}):
            broken = compose()
            broken["services"]["db"].update(wrong)
            with self.assertRaises(jsonschema.ValidationError):
                jsonschema.Draft201909Validator(schema).validate(broken)

    def test_names_nothing_that_is_not_there(self):
        project = compose()
        for name, service in project["services"].items():
            for kind in ("networks", "secrets"):
                self.assertLessEqual(set(service.get(kind, [])), set(project[kind]), name)
            self.assertLessEqual(set(service.get("depends_on", {})), set(project["services"]), name)
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                there = os.path.isfile(os.path.join(TREE, source)) if source.startswith(".") else source in project["volumes"]
                self.assertTrue(there, volume)

    def test_has_two_replicas_of_one_kind_behind_the_gateway(self):
        services = compose()["services"]
        self.assertEqual(services["mintd-a"], services["mintd-b"])
        self.assertEqual(set(services["gateway"]["depends_on"]), {"mintd-a", "mintd-b"})
        self.assertFalse([name for name, service in services.items() if "ports" in service and name != "gateway"])

    def test_gives_no_service_more_than_it_needs(self):
        for name, service in compose()["services"].items():
            self.assertTrue(service["read_only"], name)
            self.assertEqual((service["cap_drop"], service["security_opt"]), (["ALL"], ["no-new-privileges:true"]), name)
        self.assertTrue(compose()["networks"]["back"]["internal"])

    def test_has_no_password(self):
        for line in read("docker-compose.yml").splitlines():
            if re.search(r"password", line, re.IGNORECASE):
                self.assertRegex(line, r"_FILE: /run/secrets/|secrets: \[|file: ")
        self.assertEqual(subprocess.run(["git", "-C", TREE, "ls-files", "deploy/secret"], check=True,
                                        capture_output=True).stdout, b"")


@functools.cache
def built():
    """The image, from what is tracked; made once."""
    work = tempfile.mkdtemp(prefix="mintd-image-")
    unittest.addModuleCleanup(shutil.rmtree, work, ignore_errors=True)
    os.chmod(work, 0o755)
    return image.build(stages(), work, {"VERSION": VERSION})


@unittest.skipUnless(os.geteuid() == 0, "needs root, for chroot and another user")
class InTheImage(Case):
    def setUp(self):
        super().setUp()
        self.image = built()
        os.chmod(self.dir, 0o755)

    def state(self):
        """A new, empty directory that the image's user owns, as a volume at /var/lib/mintd is."""
        place = tempfile.mkdtemp(dir=self.dir)
        os.chown(place, *self.image.ids(self.image.user))
        return place


class TheImage(InTheImage):
    def test_is_each_of_the_three_programs(self):
        self.assertEqual(self.image.run(["mintd", "version"]).stdout, VERSION + "\n")
        self.assertEqual(self.image.run(["useradm", "--version"]).stdout, VERSION + "\n")
        self.assertIn("Device authentication", self.image.run(["deviceauth", "--help"]).stdout)

    def test_serves_alone_on_sqlite(self):
        how = {"volumes": [(self.state(), "/var/lib/mintd")], "is_read_only": True}
        self.image.run(["mintd", "keys", "generate", "--type", "es256"], **how)
        self.image.run(["mintd", "migrate"], **how)
        env = {"MINTD_LISTEN": "127.0.0.1:0", "MINTD_INTERNAL_LISTEN": "127.0.0.1:0"}
        server = image.Server(self.image, self.image.entrypoint + self.image.cmd, env=env, **how)
        self.addCleanup(server.stop)
        with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
        self.assertEqual((status["Uid"].split(), status["NoNewPrivs"]), (["10001"] * 4, "1"))
        self.assertEqual((int(status["CapEff"], 16), int(status["CapBnd"], 16)), (0, 0))
        env["MINTD_INTERNAL_LISTEN"] = server.internal
        self.assertEqual(self.image.run(self.image.health, env=env, **how).stdout,
                         f"healthy: http://{server.internal}{INTERNAL}/health\n")
        self.assertEqual(server.stop(), 0)
        sick = self.image.run(self.image.health, env=env, expect=1, **how)
        self.assertEqual((sick.stdout, sick.stderr.count("\n")), ("", 1))


@unittest.skipUnless(yaml and POSTGRES and gateway.NGINX, "needs PostgreSQL, nginx, python3-yaml and python3-jsonschema")
class TheServices(InTheImage):
    """What docker-compose.yml starts, in its order, on a PostgreSQL of the tests."""

    def setUp(self):
        super().setUp()
        self.services = compose()["services"]
        self.volumes = {name: self.state() for name in ("keys", "device-keys")}
        self.make_database()
        self.make_secrets()

    def make_database(self):
        name = f"deploy{os.getpid()}"
        psql(f"CREATE DATABASE {name}")
        self.addCleanup(psql, f"DROP DATABASE {name} WITH (FORCE)")
        query = urllib.parse.parse_qs(urllib.parse.urlparse(POSTGRES).query)
        os.makedirs(self.path("db"))
        # the user in the image does not get into the directory of the test's PostgreSQL
        here = relay.Relay(self, os.path.join(query["host"][0], ".s.PGSQL.5432"), self.path("db", ".s.PGSQL.5432"))
        os.chmod(here.address, 0o777)
        self.database = {"host=db": "host=/run/db", "dbname=mintd": "dbname=" + name,
                         "user=mintd": "user=" + query["user"][0]}

    def make_secrets(self):
        """As the shipped script makes them; then the names of the test's server in place of those in the compose file."""
        os.makedirs(self.path("deploy"))
        script = shutil.copy(os.path.join(TREE, "deploy/secrets.sh"), self.path("deploy"))
        subprocess.run([script], check=True, timeout=DEADLINE)
        path = self.path("deploy", "secret", "db_service")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for old, new in self.database.items():
            self.assertIn(old + "\n", text)
            text = text.replace(old + "\n", new + "\n")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def how(self, service, **env):
        secrets = [(self.path(compose()["secrets"][name]["file"]), "/run/secrets/" + name)
                   for name in service["secrets"]]
        for _, target in secrets:
            with open(self.image.path(target), "a", encoding="ascii"):
                pass
        volumes = [volume.split(":") for volume in service["volumes"]]
        return {"env": {**service["environment"], **env}, "is_read_only": service["read_only"],
                "volumes": secrets + [(self.volumes[name], target) for name, target in volumes] +
                           [(self.path("db"), "/run/db")]}

    def argv(self, service):
        """An entrypoint in the compose file takes the place of the image's, and its command with it."""
        if "entrypoint" in service:
            return service["entrypoint"] + [word.replace("$$", "$") for word in service.get("command", [])]
        return self.image.entrypoint + service.get("command", self.image.cmd)

    def start(self, name):
        service = self.services[name]
        env = {"MINTD_LISTEN": "127.0.0.1:0", "MINTD_INTERNAL_LISTEN": "127.0.0.1:0"}
        server = image.Server(self.image, self.argv(service), **self.how(service, **env))
        self.addCleanup(server.stop)
        healthy = self.how(service, MINTD_INTERNAL_LISTEN=server.internal)
        self.image.run(service.get("healthcheck", {}).get("test", self.image.health), **healthy)
        return server

    def test_the_password_is_made_once(self):
        secret = self.path("deploy", "secret")
        names = ("db_password", "db_service")
        before = [read(secret, name) for name in names]
        self.assertRegex(before[0], r"\A[0-9a-f]{48}\Z")
        self.assertIn("password=" + before[0] + "\n", before[1])
        self.assertEqual(os.stat(secret).st_mode & 0o777, 0o700)
        subprocess.run([self.path("deploy", "secrets.sh")], check=True, timeout=DEADLINE, stderr=subprocess.DEVNULL)
        self.assertEqual([read(secret, name) for name in names], before)

    def test_the_setup_step_can_be_repeated(self):
        setup = self.services["setup"]
        self.image.run(self.argv(setup), **self.how(setup))
        first = self.keys()
        self.assertEqual([list(files) for files in first], [["private.id.1.pem"]] * 2)
        self.assertNotEqual(*first)
        self.image.run(self.argv(setup), **self.how(setup))
        self.assertEqual(self.keys(), first)

    def keys(self):
        """The key files of people's tokens, and of devices'."""
        return [{file: read(path, file) for file in os.listdir(path)} for path in self.volumes.values()]

    def start_all(self):
        """The replicas, and the gateway in front of them."""
        setup = self.services["setup"]
        self.image.run(self.argv(setup), **self.how(setup))
        replicas = [self.start(name) for name in ("mintd-a", "mintd-b")]
        front = gateway.Gateway(self, [(server.public, server.internal) for server in replicas])
        create = ["mintd", "user", "create", "--email", USER[0], "--password", USER[1]]
        self.image.run(create, **self.how(self.services["mintd-a"]))
        return replicas, front

    def test_one_replica_may_go(self):
        replicas, front = self.start_all()
        token = front.ask("POST", USERADM + "/auth/login", basic=USER).text
        for _ in range(8):
            self.assertEqual(front.ask("GET", USERADM + "/users/me", bearer=token).json()["email"], USER[0])
        self.assertEqual(front.ask("GET", USERADM + "/users/me").status, 401)
        replicas[0].process.kill()
        replicas[0].process.wait(DEADLINE)
        for _ in range(8):
            self.assertEqual(front.ask("GET", USERADM + "/users/me", bearer=token).status, 200)
        self.assertEqual(front.ask("POST", USERADM + "/auth/login", basic=USER).status, 200)
        self.assertEqual(front.ask("POST", USERADM + "/auth/logout", bearer=token).status, 202)
        self.assertEqual(front.ask("GET", USERADM + "/users/me", bearer=token).status, 401)

    def test_a_device_is_let_in_by_whichever_replica(self):
        replicas, front = self.start_all()
        user = front.ask("POST", USERADM + "/auth/login", basic=USER).text
        device = board.Board(self.path("board.pem"), "ed25519", mac="02:00:00:00:00:01")

        self.assertEqual([front.enrol(device).status for _ in range(4)], [401] * 4)
        front.decide(user, "accepted")
        token = front.enrol(device).text

        def verify():
            return [mintd.request(server.internal, "GET", VERIFY_DEVICE, bearer=token).status for server in replicas]
        self.assertEqual(verify(), [200, 200])
        self.assertEqual(front.ask("GET", USERADM + "/users/me", bearer=token).status, 401)
        # mintd is no inventory, but who is let through hears that from mintd
        self.assertEqual([front.ask("GET", "/api/devices/v1/nothing", bearer=token).status for _ in range(4)], [404] * 4)
        self.assertEqual(front.ask("GET", "/api/devices/v1/nothing", bearer=user).status, 401)
        front.decide(user, "rejected")
        self.assertTrue(mintd.eventually(lambda: verify() == [401, 401]))


if __name__ == "__main__":
    mintd.main()
