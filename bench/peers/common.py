# SPDX-License-Identifier: Apache-2.0
"""common.py - data, truth, memory and arithmetic of the peer benchmarks.

    common.py OPTIONS     # {"data":..,"points":..,"queries":..,"directory":..}, for wasm.mjs:
                          # prints the truth's path and the shape as JSON
"""
import json
import math
import os
import statistics
import sys
import time
import types

import numpy

LIMIT = 10
BLOCK = 100  # queries at a time when the truth is computed
_started = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - _started:6.0f} s] {text}", file=sys.stderr, flush=True)


# ---- data ------------------------------------------------------------------------------------

def rows_of(options, name):
    """The rows of NAME, mapped, as its header NAME.json describes them."""
    path = os.path.join(options.data, name)
    with open(path + ".json", encoding="utf-8") as file:
        head = json.load(file)
    return numpy.memmap(path, "<i4" if name.endswith(".i32") else "<f4", "r",
                        shape=(head["n"], head["dim"]))


def queries_of(options):
    queries = rows_of(options, "queries.f32")
    return queries[:options.queries] if options.queries else queries


def shape_of(options):
    count, dim = rows_of(options, "vectors.f32").shape
    return min(options.points or count, count), dim


def exact(options):
    """Ids of the nearest points, -1 where there are fewer than LIMIT."""
    vectors = numpy.array(rows_of(options, "vectors.f32")[:options.count])
    queries = queries_of(options)
    truth = numpy.full((len(queries), LIMIT), -1, "<i4")
    for first in range(0, len(queries), BLOCK):
        scores = queries[first:first + BLOCK] @ vectors.T
        best = numpy.argsort(-scores, axis=1, kind="stable")[:, :LIMIT]
        truth[first:first + BLOCK, :best.shape[1]] = best
    return truth


def prepare_truth(options, directory):
    """The path of an array of truth: the stored one where it fits the points."""
    if options.count == len(rows_of(options, "vectors.f32")):
        truth = numpy.array(rows_of(options, "gt.i32"))[:len(queries_of(options)), :LIMIT]
    else:
        say("computing the truth")
        truth = exact(options)
    path = os.path.join(directory, "truth.i32")
    truth.astype("<i4").tofile(path)
    return path


def load_truth(path):
    return numpy.fromfile(path, "<i4").reshape(-1, LIMIT)


def recall(found, truth):
    """Share of the true nearest that were found, over all queries."""
    hits = wanted = 0
    for ids, true in zip(found, truth):
        true = set(true[true >= 0].tolist())
        hits += len(true & {int(i) for i in ids})
        wanted += len(true)
    return hits / max(wanted, 1)


# ---- memory ----------------------------------------------------------------------------------

def resident(directory):
    """Resident MB of this process: anonymous, and mapped from files below `directory`."""
    sums = {"anonymous_mb": 0.0, "mapped_mb": 0.0}
    kind = None
    with open("/proc/self/smaps", encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                path = words[5] if len(words) > 5 else ""
                inside = path.startswith(os.path.abspath(directory))
                kind = "mapped_mb" if inside else None
            elif words[0] == "Rss:" and kind == "mapped_mb":
                sums["mapped_mb"] += int(words[1]) / 1024
            elif words[0] == "Anonymous:" and kind is None:
                sums["anonymous_mb"] += int(words[1]) / 1024
    return sums


# ---- arithmetic ------------------------------------------------------------------------------

class Figure:
    """Queries a second; `bound` when the curve does not reach down to that recall."""

    def __init__(self, value, bound=False):
        self.value, self.bound = value, bound

    def __str__(self):
        if not self.value:
            return "–"
        return (">" if self.bound else "") + f"{self.value:,.0f}"


def ratio(mine, other):
    return f"{mine.value / other.value:.2f}" if mine.value and other.value else "–"


def at_recall(curve, wanted, key):
    """Between the two measured points around the recall, in order of ef."""
    points = sorted((row["ef"], row["recall"], row[key]) for row in curve if row.get(key))
    for number, (_, found, qps) in enumerate(points):
        if found < wanted:
            continue
        if number == 0:
            return Figure(qps, bound=found > wanted)
        _, before, qps_before = points[number - 1]
        share = (wanted - before) / (found - before)
        return Figure(math.exp(math.log(qps_before) * (1 - share) + math.log(qps) * share))
    return Figure(None)


def by_peer(rows):
    curves = {}
    for row in rows:
        curves.setdefault(row["peer"], []).append(row)
    return curves


def medians(rows):
    keys = rows[0].keys() if rows else ()
    return {key: round(statistics.median(row[key] for row in rows), 4) for key in keys}


def write_results(folder, name, rows, text):
    with open(os.path.join(folder, name + ".jsonl"), "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    with open(os.path.join(folder, name + ".md"), "w", encoding="utf-8") as file:
        file.write(text)


def main():
    options = types.SimpleNamespace(**json.loads(sys.argv[1]))
    options.count, options.dim = shape_of(options)
    truth = prepare_truth(options, options.directory)
    print(json.dumps({"truth": truth, "count": options.count, "dim": options.dim}))


if __name__ == "__main__":
    main()
