# SPDX-License-Identifier: Apache-2.0
"""A Dockerfile carried out without an engine: its steps are run as commands in directories that become the root by chroot.

What a package would install is taken from this machine: /usr is mounted read-only below each root, so steps that call
apt-get are left out, and the tests look at their lists of packages instead. Needs root, as a mount namespace does.
"""
import json
import os
import re
import shlex
import shutil
import subprocess

import mintd

TREE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PACKAGES = re.compile(r"apt-get install -y --no-install-recommends\s+([^&]*)")
# what Debian's base system has in /etc, as far as a step looks at it
ETC = {"passwd": "root:x:0:0:root:/root:/bin/sh\n", "group": "root:x:0:\n", "shadow": "root:*:19000:0:99999:7:::\n",
       "gshadow": "root:*::\n", "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
       "hosts": "127.0.0.1 localhost\n", "login.defs": None, "ld.so.cache": None}


class Stage:
    def __init__(self, base, name):
        self.base, self.name, self.steps = base, name, []

    def packages(self):
        return {name for word, rest in self.steps if word == "RUN" for names in PACKAGES.findall(rest)
                for name in names.split()}

    def last(self, word):
        return [rest for step, rest in self.steps if step == word][-1]


def parse(path):
    """Its stages."""
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if not line.lstrip().startswith("#")]
    stages = []
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name))
        elif word:
            stages[-1].steps.append((word, rest.strip()))
    return stages


class Root:
    """The file system of a stage, and what its steps say of whoever runs in it."""

    def __init__(self, directory):
        self.dir = directory
        self.env, self.args = {"PATH": PATH}, {}
        self.workdir, self.user, self.entrypoint, self.cmd, self.health = "/", "root", [], [], []
        for name in ("usr/local", "etc", "proc", "dev", "tmp", "run/secrets", "run/db"):
            os.makedirs(self.path(name))
        os.chmod(self.path("tmp"), 0o1777)
        for name in ("bin", "sbin", "lib", "lib64"):
            if os.path.islink("/" + name):
                os.symlink(os.readlink("/" + name), self.path(name))
        for name, text in ETC.items():
            with open(self.path("etc", name), "wb") as file:
                file.write(text.encode() if text is not None else self.from_host("/etc/" + name))

    @staticmethod
    def from_host(path):
        with open(path, "rb") as file:
            return file.read()

    def path(self, *names):
        return os.path.join(self.dir, *(name.lstrip("/") for name in names))

    def command(self, argv, env=None, user=None, volumes=(), is_read_only=False):
        """The words that run argv in here, in place of the process that starts them; volumes: (source, target)."""
        root, local = shlex.quote(self.dir), shlex.quote(self.dir + ".local")
        script = ["set -e", f"mkdir -p {local}", f"mount --bind {root}/usr/local {local}",
                  f"mount --bind {root} {root}", f"mount --bind -o ro /usr {root}/usr",
                  f"mount --bind {local} {root}/usr/local", f"mount --rbind /dev {root}/dev", f"mount --rbind /proc {root}/proc"]
        if is_read_only:
            script += [f"mount -o remount,ro,bind {root}", f"mount -o remount,ro,bind {root}/usr/local"]
        script += [f"mount --bind {shlex.quote(source)} {shlex.quote(self.path(target))}" for source, target in volumes]
        words = ["chroot", self.dir, "env", "-i", "-C", self.workdir]
        words += [f"{name}={value}" for name, value in {**self.env, **(env or {})}.items()]
        if (user or self.user) != "root":
            uid, gid = self.ids(user or self.user)
            words += ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs",
                      "--bounding-set=-all", "--inh-caps=-all"]
        script.append("exec " + shlex.join(words + list(argv)))
        return ["unshare", "--mount", "sh", "-c", "\n".join(script)]

    def ids(self, user):
        """As numbers, from the passwd file in here."""
        with open(self.path("etc/passwd"), encoding="utf-8") as file:
            rows = [line.split(":") for line in file]
        return next((int(row[2]), int(row[3])) for row in rows if row[0] == user)

    def run(self, argv, expect=0, **how):
        done = subprocess.run(self.command(argv, **how), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=300, check=False)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"{argv} gave {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def copy(self, rest, others):
        """COPY SOURCE TARGET from the tracked files, or COPY --from=STAGE."""
        words = rest.split()
        if words[0].startswith("--from="):
            source, target = words[1:]
            shutil.copytree(others[words[0][len("--from="):]].path(source), self.path(target), symlinks=True,
                            dirs_exist_ok=True)
            return
        source, target = words
        found = subprocess.run(["git", "-C", TREE, "ls-files", "-z", "--", source], check=True, capture_output=True,
                               text=True).stdout.split("\0")[:-1]
        if not found:
            raise AssertionError(f"COPY {source}: no tracked file")
        for name in found:
            below = os.path.relpath(name, source) if name != source else os.path.basename(name)
            place = self.path(self.workdir, target, below)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            shutil.copy2(os.path.join(TREE, name), place)

    def step(self, word, rest, others, args):
        if word == "RUN" and "apt-get" not in rest:
            self.run(["sh", "-c", rest], env=self.args)
        elif word == "COPY":
            self.copy(rest, others)
        elif word == "WORKDIR":
            self.workdir = rest
            os.makedirs(self.path(rest), exist_ok=True)
        elif word == "ENV":
            self.env.update(part.split("=", 1) for part in shlex.split(rest))
        elif word == "ARG":
            name, _, initial = rest.partition("=")
            self.args[name] = args.get(name, initial)
        elif word == "USER":
            self.user = rest
        elif word == "ENTRYPOINT":
            self.entrypoint = json.loads(rest)
        elif word == "CMD":
            self.cmd = json.loads(rest)
        elif word == "HEALTHCHECK":
            self.health = json.loads(rest[rest.index("CMD") + 3:])
        elif word not in ("RUN", "EXPOSE", "STOPSIGNAL", "LABEL"):
            raise AssertionError(f"what is {word} {rest}?")


def build(stages, directory, args):
    """Carry out all stages; the root of the last one, which is the image."""
    roots, root = {}, None
    for i, stage in enumerate(stages):
        root = Root(os.path.join(directory, f"stage{i}"))
        for word, rest in stage.steps:
            root.step(word, rest, roots, args)
        roots[stage.name or str(i)] = root
    return root


class Server(mintd.Server):
    """A server that runs in a root."""

    def __init__(self, root, argv, **how):
        words = root.command(argv, **how)
        super().__init__(words[1:], dict(os.environ), "/", program=shutil.which(words[0]))
