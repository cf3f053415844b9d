#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""native.py - Octant and its native peers on the same vectors, in the same run, one thread.

    native.py --data FOLDER [--points N] [--peers a,b] [--rounds N] [--out FOLDER]

FOLDER holds vectors.f32, queries.f32 (headers beside them, NAME.json with n and dim) and gt.i32.
With --points the first N vectors are taken and the truth is computed. Filters: ../filters_peer.py.

Each index lives in a process of its own, so that memory is its own and a peer that crashes takes
nothing with it. They are built one after the other. Then, in each round and for each ef, every
contender in turn answers all queries: one query per call from one and the same Python loop, then
through its own loop over a batch. So whatever disturbs the machine disturbs all. What counts is CPU
time of the process (all its threads), medians over the rounds; wall times are kept beside them.

Prints progress to standard error and tables to standard output; writes native.jsonl (one line per
contender and ef), native.md and native.svg to --out. Queries a second at a recall are interpolated
between the two measured ef around it, on a logarithmic scale.
"""
import argparse
import itertools
import json
import multiprocessing
import os
import platform
import sys
import tempfile

import common
from adapters import ADAPTERS, F32
from plot import plot_curves
from worker import start_worker

EFS = (10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 400, 512)
RECALLS = (0.95, 0.99)
ENOUGH = 0.995  # no larger ef is measured beyond
STALL, STALL_EF = 0.0005, 128  # nor when recall gains less than this from one ef to the next


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    parser.add_argument("--data", required=True)
    parser.add_argument("--library", default=os.path.join(root, "build/release/liboctant.so"))
    parser.add_argument("--points", type=int, default=0, help="0: all")
    parser.add_argument("--queries", type=int, default=0, help="0: all")
    parser.add_argument("--peers", default="", help="comma-separated; octant is always there")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of Octant's build; peers have one")
    parser.add_argument("--out", default=os.path.join(root, "build/bench"))
    options = parser.parse_args()
    names = options.peers.split(",") if options.peers else list(ADAPTERS)
    unknown = [name for name in names if name not in ADAPTERS]
    if unknown:
        parser.error(f"no peer named {unknown[0]}; there are {', '.join(ADAPTERS)}")
    options.names = list(dict.fromkeys(["octant", *names]))
    return options


def build_all(options, directory):
    """Workers by name, and a row per build; who fails is reported and left out of the tables."""
    workers, builds = {}, []
    for name in options.names:
        common.say(f"build {name} ...")
        worker = start_worker(name, options, os.path.join(directory, name))
        row = worker.ask("build")
        builds.append({"bench": "peer_build", "peer": name, **row})
        common.say(f"build {name}: " + json.dumps(row))
        if "failed" not in row:
            workers[name] = worker
    return workers, builds


def find_recalls(workers, contenders):
    """Which (contender, ef) are worth measuring: up to ENOUGH, or to where recall stands still.
    Warms everything up on the way."""
    worth = []
    for contender in contenders:
        before = -1
        for ef in EFS:
            row = workers[contender[0]].ask("pass", mode=contender[1], ef=ef)
            if "failed" in row:
                common.say(f"{contender}: {row['failed']}")
                break
            if ef > STALL_EF and row["recall"] < before + STALL:
                break
            worth.append((contender, ef))
            before = row["recall"]
            if before >= ENOUGH:
                break
    return worth


def measure(workers, options):
    """After each round of turns, all rows so far: peer, ef, recall, medians over the rounds."""
    contenders = [(name, mode) for name, worker in workers.items() for mode in worker.modes]
    taken = {key: [] for key in find_recalls(workers, contenders)}
    common.say("recalls found")
    for number in range(1, options.rounds + 1):
        turn = contenders if number % 2 else contenders[::-1]
        for ef, contender in itertools.product(EFS, turn):
            if (contender, ef) in taken:
                taken[contender, ef].append(
                    workers[contender[0]].ask("pass", mode=contender[1], ef=ef))
        common.say(f"round {number} of {options.rounds} done")
        yield [{"peer": "-".join(filter(None, contender)), "ef": ef, **common.medians(rows)}
               for (contender, ef), rows in taken.items()]


def table_of(curves, builds):
    """Markdown: one row a contender, and Octant's figure over it."""
    built = {row["peer"]: row for row in builds if "failed" not in row}
    lines = ["| | build, CPU s | memory, MB | q/s at .95 | at .99 | batch .95 | .99 "
             "| Octant over it .95 | .99 | build, it over Octant |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    found = {peer: [common.at_recall(curve, recall, key) for key in ("qps", "batch_qps")
                    for recall in RECALLS] for peer, curve in curves.items()}
    ours = found["octant"]
    for peer, values in sorted(found.items(), key=lambda item: -(item[1][0].value or 0)):
        row = built[peer] if peer in built else built[peer.rsplit("-", 1)[0]]
        memory = row["anonymous_mb"] + row["mapped_mb"]
        ratios = [common.ratio(mine, other) for mine, other in zip(ours[:2], values[:2])]
        lines.append(f"| {peer} | {row['cpu_s']:.1f} | {memory:.0f} | "
                     + " | ".join(str(value) for value in values + ratios)
                     + f" | {row['cpu_s'] / built['octant']['cpu_s']:.2f} |")
    return "\n".join(lines)


def goals_of(curves, builds):
    """The figures the project set itself, one line each."""
    lines = []
    for recall in RECALLS:
        found = {peer: common.at_recall(curve, recall, "qps").value
                 for peer, curve in curves.items()}
        ours = found.pop("octant")
        rivals = {peer: value for peer, value in found.items()
                  if value and not peer.startswith("octant")}
        groups = {"any peer": rivals, "scalable-vs f32": {p: v for p, v in rivals.items()
                                                          if p == "svs"},
                  "f32 HNSW peers": {p: v for p, v in rivals.items() if p in F32}}
        for group, members in groups.items():
            if ours and members:
                best = max(members, key=members.get)
                lines.append(f"q/s at {recall}: Octant over the best of {group} ({best}): "
                             f"{ours / members[best]:.2f}")
    cpu = {row["peer"]: row["cpu_s"] for row in builds if "failed" not in row}
    f32 = [peer for peer in F32 if peer in cpu]
    if f32:
        best = min(f32, key=cpu.get)
        lines.append(f"build: Octant over the fastest f32 HNSW peer ({best}): "
                     f"{cpu['octant'] / cpu[best]:.2f}")
    if "qdrant-edge-sq8" in cpu:
        lines.append(f"build: Octant over qdrant-edge-sq8: "
                     f"{cpu['octant'] / cpu['qdrant-edge-sq8']:.2f}")
    return "\n".join(lines)


def run_curves(options, workers, builds):
    title = f"{options.count} x {options.dim}, cosine, 10 nearest, one thread, one query a call"
    for rows in measure(workers, options):  # a run that is stopped leaves what it has
        curves = common.by_peer(rows)
        rows = [{"bench": "peer_search", **row} for row in rows]
        text = f"{table_of(curves, builds)}\n\n{goals_of(curves, builds)}\n"
        common.write_results(options.out, "native", builds + rows, text)
        plot_curves(os.path.join(options.out, "native.svg"), title, curves)
    print(text)


def main():
    options = arguments()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    multiprocessing.set_start_method("spawn")
    options.count, options.dim = common.shape_of(options)
    common.say(f"{options.count} x {options.dim} on {platform.machine()}, {os.cpu_count()} cores")
    os.makedirs(options.out, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out) as directory:
        options.truth = common.prepare_truth(options, directory)
        workers, builds = build_all(options, directory)
        try:
            run_curves(options, workers, builds)
        finally:
            for worker in workers.values():
                worker.end()
    return 1 if any("failed" in row for row in builds) else 0


if __name__ == "__main__":
    sys.exit(main())
