# SPDX-License-Identifier: Apache-2.0
"""Rounds, medians and the table that all parts of make bench share.

A part measures its figure and the reference in turn, round by round, so that whatever else the machine does meets
both; what is reported is the median, and for a ratio the median of the rounds' ratios.
"""
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "0"))  # 0: as many as each part thinks right
QUANTILES = (50, 75, 90, 99)  # that wrk prints
SECONDS = int(os.environ.get("BENCH_SECONDS", "1"))  # of load in each round
HERE = os.path.dirname(os.path.abspath(__file__))


class Sample(dict):
    """What one round of one contender came to; its members by name."""
    __getattr__ = dict.__getitem__


def interleave(rounds=5, **contenders):
    """Let each contender run once per round; a list of samples for each name. Every other round goes backwards."""
    samples = {name: [] for name in contenders}
    for turn in range(ROUNDS or rounds):
        names = list(contenders)
        for name in names if turn % 2 == 0 else reversed(names):
            samples[name].append(contenders[name]())
    return samples


def middle(samples, name):
    return statistics.median(sample[name] for sample in samples)


def ratio(over, under, name, under_name=None):
    """The median of the rounds' ratios."""
    return statistics.median(a[name] / b[under_name or name] for a, b in zip(over, under))


_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def _ms(text, quantile):
    found = re.search(r"%s%%\s+([\d.]+)(us|ms|s|m)\b" % quantile, text)
    return float(found.group(1)) * _UNITS[found.group(2)] if found else 0.0


def wrk(url, connections, headers=(), script=None, arguments=(), seconds=SECONDS):
    """The command that puts a load on a server."""
    args = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "60s"]
    for header in headers:
        args += ["-H", header]
    if script:
        args += ["-s", os.path.join(HERE, script)]
    return args + [url] + (["--", *arguments] if arguments else [])


def load(server, url, connections, headers=(), script=None, arguments=(), seconds=SECONDS):
    """One round of wrk against a server: requests per second, its CPU per request, quantiles of the latency."""
    cpu = server.cpu_us()
    text = subprocess.run(wrk(url, connections, headers, script, arguments, seconds), capture_output=True, text=True,
                          check=True, timeout=seconds + 60).stdout
    cpu = server.cpu_us() - cpu
    if "Non-2xx" in text:
        raise SystemExit(f"bench: {url} refuses:\n{text}")
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    if requests == 0:
        raise SystemExit(f"bench: {url} does not answer:\n{text}")
    rps = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
    return Sample(rps=rps, cpu_us=cpu / requests, per_cpu_s=requests / cpu * 1e6, requests=requests,
                  **{f"p{q}_ms": _ms(text, q) for q in QUANTILES})


def parts_us(build, *names):
    """What the parts of a request cost by themselves, in microseconds of CPU; measured here and now."""
    text = subprocess.run([f"{build}/bench/bench_parts", *names], check=True, capture_output=True, text=True).stdout
    return Sample(json.loads(text))


def eventually(question, what, deadline=60.0):
    end = time.monotonic() + deadline
    while not question():
        if time.monotonic() > end:
            raise SystemExit(f"bench: {what}: not after {deadline:.0f} s")
        time.sleep(0.02)


def number(value):
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


class Report:
    """The rows of the table; each is printed as soon as it is known, and all of them again at the end."""

    HEAD = ("figure", "mintd", "reference", "", "ratio", "goal", "")

    def __init__(self, build):
        self.build = build
        self.rows = []
        self.remarks = []
        self.machine = machine()

    def add(self, figure, ours, reference, value=None, unit="", ratio=None, goal=None, **more):
        """
        One figure beside its reference.
          ours, value  the two figures, both in unit; value None: the goal is an absolute one
          reference    what value is of
          ratio        what the goal is about, when it is not ours / value
          goal         ">= 0.85" or "<= 25"; None: none
          more         goes into the JSON; note goes under the table
        """
        if ratio is None:
            ratio = ours / value if value else ours
        met = None
        if goal:
            sign, bound = goal.split()
            met = ratio >= float(bound) if sign == ">=" else ratio <= float(bound)
        row = dict(figure=figure, mintd=ours, unit=unit, reference=reference, reference_value=value, ratio=ratio,
                   goal=goal, met=met, **more)
        self.rows.append(row)
        print("  ".join(cell for cell in self._cells(row) if cell), flush=True)

    @staticmethod
    def _cells(row):
        value = row["reference_value"]
        beside = ("", "") if value is None else (number(value), f"{row['ratio']:.2f}")
        return (row["figure"], f"{number(row['mintd'])} {row['unit']}", row["reference"], *beside, row["goal"] or "",
                "missed" if row["met"] is False else "")

    def _lines(self):
        """For the terminal, in columns."""
        table = [self.HEAD] + [self._cells(row) for row in self.rows]
        widths = [max(len(line[i]) for line in table) for i in range(len(self.HEAD))]
        table.insert(1, ["-" * width for width in widths])
        return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in table]

    def _markdown(self):
        yield "| " + " | ".join(self.HEAD) + " |"
        yield "|" + "---|" * len(self.HEAD)
        for row in self.rows:
            yield "| " + " | ".join(self._cells(row)) + " |"

    def remark(self, text):
        """Something to know of several figures; it goes under the table."""
        self.remarks.append(text)

    def _notes(self):
        return self.remarks + [f"{row['figure']}: {row['note']}" for row in self.rows if row.get("note")]

    def measured(self):
        return {"machine": self.machine, "seconds": SECONDS, "rows": self.rows, "remarks": self.remarks}

    def finish(self, name):
        """The table, on the terminal and as Markdown, and the same as JSON."""
        if not self.rows:
            return
        print(f"\n{self.machine}\n")
        print("\n".join(self._lines()))
        print("\n" + "\n".join(self._notes()))
        base = f"{self.build}/bench/{name}"
        with open(base + ".json", "w") as out:
            json.dump(self.measured(), out, indent=1)
        with open(base + ".md", "w") as out:
            out.write(self.machine + "\n\n")
            out.write("\n".join(self._markdown()) + "\n")
            out.writelines(f"\n- {note}" for note in self._notes())
            out.write("\n")
        print(f"\nthe same in {base}.json and {base}.md")


def machine():
    with open("/proc/cpuinfo") as file:
        found = re.search(r"model name\s*:\s*(.*)", file.read())
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return (f"{os.cpu_count()} cores of {found.group(1) if found else platform.machine()}, {system}, "
            f"Linux {platform.release()}, {time.strftime('%Y-%m-%d')}, load {os.getloadavg()[0]:.1f} at the start")


def say(text):
    print(f"\n{text}", flush=True)


def fail(text):
    print(f"bench: {text}", file=sys.stderr)
    raise SystemExit(1)
