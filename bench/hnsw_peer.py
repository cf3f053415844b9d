#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hnsw_peer.py - hnswlib, measured as bench/hnsw.c measures our graph, with lines of the same form.

    hnsw_peer.py VECTORS.f32 QUERIES.f32 COUNT DIM

VECTORS and QUERIES are raw little-endian float rows of unit length; the truth is computed. Needs
numpy and hnswlib. M 16, ef_construction 100, one thread, inner product. Times are CPU time; a
search line is the best of three. `peak_bytes` is by how much building made the process grow, less
the vectors, of which hnswlib keeps a copy. Rounds and ratios are the caller's (bench/run.mjs),
which runs both sides in turns.
"""
import json
import sys
import time

import hnswlib
import numpy

LIMIT, EFS = 10, (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 400)


def resident_bytes(which):
    """VmRSS is what the process holds now, VmHWM the most it ever held."""
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith(which))
    return int(line.split()[1]) * 1024


def true_ids(vectors, queries):
    ids = []
    for query in queries:
        best = numpy.argpartition(vectors @ query, len(vectors) - LIMIT)[-LIMIT:]
        ids.append(set(best.tolist()))
    return ids


def build(vectors):
    before = resident_bytes("VmRSS")
    begin = time.process_time()
    index = hnswlib.Index(space="ip", dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), M=16, ef_construction=100, random_seed=42)
    index.set_num_threads(1)
    index.add_items(vectors, num_threads=1)
    took = time.process_time() - begin
    grown = resident_bytes("VmHWM") - before
    print(json.dumps({"bench": "hnsw_build", "isa": "hnswlib", "count": len(vectors),
                      "cpu_s": round(took, 3), "peak_bytes": grown - vectors.nbytes}), flush=True)
    return index


def search(index, queries, truth, ef):
    index.set_ef(ef)
    best = float("inf")
    for _ in range(3):
        begin = time.process_time()
        labels, _ = index.knn_query(queries, k=LIMIT, num_threads=1)
        best = min(best, time.process_time() - begin)
    hits = sum(len(set(row) & true) for row, true in zip(labels.tolist(), truth))
    print(json.dumps({"bench": "hnsw_search", "ef": ef,
                      "recall_at_10": round(hits / (LIMIT * len(queries)), 4),
                      "qps_cpu": round(len(queries) / best)}), flush=True)


def main():
    vectors_path, queries_path, count, dim = sys.argv[1:5]
    vectors = numpy.fromfile(vectors_path, "<f4", int(count) * int(dim)).reshape(-1, int(dim))
    queries = numpy.fromfile(queries_path, "<f4").reshape(-1, int(dim))
    index = build(vectors)
    truth = true_ids(vectors, queries)
    for ef in EFS:
        search(index, queries, truth, ef)


if __name__ == "__main__":
    main()
