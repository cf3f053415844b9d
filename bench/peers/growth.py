#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""growth.py - how the cost of a query grows with the number of points, in its two factors.

    growth.py --data FOLDER [--counts 10000,100000] [--program build/release/bench-hnsw]

Builds the index alone (bench/hnsw.c) over the first 10,000, 100,000, ... rows of FOLDER and tells,
at recall@10 .95 and .99, how many distances a query computes (that is the algorithm: candidates
walked plus candidates rescored) and what one of them takes (that is the memory: caches, pages),
both interpolated between measured ef. FOLDER holds vectors.f32 and queries.f32 with headers, and
gt.i32 for all rows; without it, or for fewer rows, the truth is computed. Prints JSON lines, then a
table with the factor per step.
"""
import argparse
import json
import os
import subprocess
import sys

RECALLS = (0.95, 0.99)
KEYS = ("walked", "rescored", "us")


def arguments():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--counts", default="10000,100000")
    parser.add_argument("--program", default=os.path.join(root, "build/release/bench-hnsw"))
    return parser.parse_args()


def measure(options, count):
    """The rows of bench-hnsw for the first `count` points."""
    path = {name: os.path.join(options.data, name)
            for name in ("vectors.f32", "queries.f32", "gt.i32")}
    with open(path["vectors.f32"] + ".json", encoding="utf-8") as file:
        head = json.load(file)
    truth = path["gt.i32"] if count == head["n"] and os.path.exists(path["gt.i32"]) else "-"
    output = subprocess.run(
        [options.program, path["vectors.f32"], path["queries.f32"], truth, str(count),
         str(head["dim"])], check=True, capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in output.splitlines()]
    for row in rows:
        print(json.dumps({"count": count, **row}), flush=True)
    return rows


def at_recall(rows, wanted):
    """KEYS between the two points around the recall; None when the curve does not have it."""
    points = [{**row, "us": 1e6 / row["qps_cpu"]} for row in rows if row["bench"] == "hnsw_search"]
    for below, above in zip(points, points[1:]):
        if below["recall_at_10"] < wanted <= above["recall_at_10"]:
            share = ((wanted - below["recall_at_10"])
                     / (above["recall_at_10"] - below["recall_at_10"]))
            return {key: below[key] + (above[key] - below[key]) * share for key in KEYS}
    return None


def main():
    options = arguments()
    found = {count: measure(options, count) for count in map(int, options.counts.split(","))}
    lines = ["| recall | points | distances a query | of them on floats | ns each | µs a query "
             "| distances, times the step before |", "|---|---|---|---|---|---|---|"]
    for recall in RECALLS:
        before = None
        for count, rows in found.items():
            at = at_recall(rows, recall)
            if at is None:
                lines.append(f"| {recall} | {count:,} | not between two measured ef |  |  |  |  |")
                continue
            distances = at["walked"] + at["rescored"]
            factor = f"{distances / before:.2f}" if before else ""
            lines.append(f"| {recall} | {count:,} | {distances:.0f} | {at['rescored']:.0f} | "
                         f"{at['us'] * 1000 / distances:.1f} | {at['us']:.1f} | {factor} |")
            before = distances
    print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
