# SPDX-License-Identifier: Apache-2.0
"""Draw what make bench has measured.   picture.py JSON SVG"""
import json
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plot

from harness import QUANTILES

OURS, OTHER = "#0b6e6e", "#9a9a9a"


def throughput(axes, rows):
    axes.set_title("Verifying a token")
    for threads, style in ((1, "-"), (2, "--")):
        mine = sorted((row for row in rows if row["kind"] == "warm" and row["threads"] == threads),
                      key=lambda row: row["connections"])
        connections = [str(row["connections"]) for row in mine]
        label = f"{threads} I/O thread" + "s"[:threads - 1]
        for key, color, who in (("reference_value", OTHER, "libmicrohttpd alone"), ("mintd", OURS, "mintd")):
            axes.plot(connections, [row[key] / 1000 for row in mine], style, color=color, marker="o",
                      label=f"{who}, {label}")
    axes.set_xlabel("connections")
    axes.set_ylabel("thousand requests per CPU second")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, loc="lower left")


def storm(axes, rows):
    axes.set_title("Latency of verifying, while 64 clients log in")
    row = next(row for row in rows if row["kind"] == "storm-p99")
    places = range(len(QUANTILES))
    contenders = (("alone", OTHER, "nobody logs in", -0.2), ("storm", OURS, "64 clients log in", 0.2))
    for which, color, label, shift in contenders:
        values = [row[f"{which}_p{q}_ms"] for q in QUANTILES]
        bars = axes.bar([place + shift for place in places], values, 0.38, color=color, label=label)
        axes.bar_label(bars, [f"{value:.2g}" for value in values], fontsize=8, padding=2)
    axes.set_xticks(list(places), [f"p{q}" for q in QUANTILES])
    axes.set_yscale("log")
    axes.set_ylabel("ms")
    axes.margins(y=0.15)
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def draw(measured, path):
    plot.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, right) = plot.subplots(1, 2, figsize=(9.6, 3.8))
    throughput(left, measured["rows"])
    storm(right, measured["rows"])
    figure.text(0.995, 0.008, measured["machine"], ha="right", fontsize=6, color="#666666")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        draw(json.load(file), sys.argv[2])
