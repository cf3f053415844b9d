#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hnsw_peer.py - our graph and hnswlib's, on the same vectors, in the same run, with ratios.

    hnsw_peer.py BENCH_HNSW FOLDER [COUNT] [ROUNDS]

BENCH_HNSW is the program made from bench/hnsw.c; FOLDER holds vectors.f32, queries.f32, gt.i32
(384 dimensions, unit length, 100 true ids a query). Needs numpy and hnswlib. Both sides build with
M 16 and ef_construct 100 on one thread and answer one thread; times are CPU time, ours and theirs
in turns, and medians of ROUNDS are compared, because the machine is shared. The last line is JSON:
build seconds, queries per second where recall@10 reaches .95 and .99, and the ratios.
"""
import json
import os
import statistics
import subprocess
import sys
import time

import hnswlib
import numpy

DIM, LIMIT, EFS = 384, 10, (16, 24, 32, 48, 64, 96, 128, 192, 256, 400)


def qps_at(curve, recall):
    """Queries per second at a recall, between the two measured points around it."""
    points = sorted(curve)
    for (r0, q0), (r1, q1) in zip(points, points[1:]):
        if r0 < recall <= r1:
            return q0 + (q1 - q0) * (recall - r0) / (r1 - r0)
    return points[0][1] if points and points[0][0] >= recall else 0.0


def run_ours(program, folder, count, truth):
    files = [os.path.join(folder, name) for name in ("vectors.f32", "queries.f32")]
    output = subprocess.run([program, *files, truth, str(count), str(DIM)], check=True,
                            capture_output=True, text=True).stdout
    lines = [json.loads(line) for line in output.splitlines()]
    build = next(line["cpu_s"] for line in lines if line["bench"] == "hnsw_build")
    return build, [(line["recall_at_10"], line["qps_cpu"]) for line in lines
                   if line["bench"] == "hnsw_search"]


def run_theirs(vectors, queries, truth):
    begin = time.process_time()
    index = hnswlib.Index(space="ip", dim=DIM)
    index.init_index(max_elements=len(vectors), M=16, ef_construction=100, random_seed=42)
    index.set_num_threads(1)
    index.add_items(vectors, num_threads=1)
    build = time.process_time() - begin
    curve = []
    for ef in EFS:
        index.set_ef(ef)
        best = float("inf")
        for _ in range(3):
            begin = time.process_time()
            labels, _ = index.knn_query(queries, k=LIMIT, num_threads=1)
            best = min(best, time.process_time() - begin)
        hits = sum(len(set(row) & set(true)) for row, true in zip(labels.tolist(), truth))
        curve.append((hits / (LIMIT * len(queries)), len(queries) / best))
    return build, curve


def main():
    program, folder = sys.argv[1], sys.argv[2]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 100000
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3
    vectors = numpy.fromfile(os.path.join(folder, "vectors.f32"), "<f4").reshape(-1, DIM)
    queries = numpy.fromfile(os.path.join(folder, "queries.f32"), "<f4").reshape(-1, DIM)
    truth_path = os.path.join(folder, "gt.i32")
    if count < len(vectors):  # the stored truth is that of all vectors
        vectors, truth_path = vectors[:count], "-"
        truth = numpy.argsort(-(queries @ vectors.T), axis=1)[:, :LIMIT].tolist()
    else:
        truth = numpy.fromfile(truth_path, "<i4").reshape(len(queries), -1)[:, :LIMIT].tolist()
    table = {}
    for _ in range(rounds):
        for name, (build, curve) in (("ours", run_ours(program, folder, count, truth_path)),
                                     ("hnswlib", run_theirs(vectors, queries, truth))):
            row = {"build_cpu_s": build, "qps_at_95": qps_at(curve, .95),
                   "qps_at_99": qps_at(curve, .99)}
            print(name, {key: round(value, 2) for key, value in row.items()}, flush=True)
            for key, value in row.items():
                table.setdefault(key, {}).setdefault(name, []).append(value)
    summary = {"bench": "hnsw_peer", "count": count, "dim": DIM}
    for key, sides in table.items():
        ours, theirs = (statistics.median(sides[name]) for name in ("ours", "hnswlib"))
        summary[key] = {"ours": round(ours, 2), "hnswlib": round(theirs, 2),
                        "ratio": round(theirs / ours if "build" in key else ours / theirs, 2)}
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
