#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sparse_peer.py - sparse search here and in qdrant-edge-py, same vectors, same run, with ratios.

    sparse_peer.py BENCH_SPARSE [POINTS] [ROUNDS]

BENCH_SPARSE is the program made from bench/sparse.c. Needs numpy and qdrant-edge-py. The vectors
are made here, seeded, in the likeness of learned ones: about 120 of 30,000 dimensions a text and 30
a query, frequencies as 1/rank, positive weights. Both sides seal and index everything before they
are asked, one query a call, on one thread; times are CPU time in turns, medians of ROUNDS. Answers
are compared: ids and scores, where scores that differ by less than 1e-3 may change places.
The last line is JSON.
"""
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import numpy
import qdrant_edge as edge

DIMENSIONS, LIMIT, QUERIES = 30000, 10, 300


def make(random, count, mean):
    """Sparse vectors as (dimensions ascending, weights)."""
    vectors = []
    for _ in range(count):
        want = max(1, int(random.normal(mean, mean * 0.3)))
        ranks = numpy.exp(random.random(2 * want) * numpy.log(DIMENSIONS)).astype(int) - 1
        ranks = random.permutation(numpy.unique(ranks))[:want]
        dimensions = numpy.sort(ranks * 7919 % DIMENSIONS)
        weights = (random.gamma(2.0, 0.5, len(dimensions)) + 0.01).astype(numpy.float32)
        vectors.append((dimensions.tolist(), weights.tolist()))
    return vectors


def write(path, *lists):
    with open(path, "wb") as file:
        for vectors in lists:
            file.write(struct.pack("<I", len(vectors)))
            for dimensions, weights in vectors:
                count = len(dimensions)
                file.write(struct.pack(f"<I{count}I{count}f", count, *dimensions, *weights))


def fill_edge(folder, points):
    config = edge.EdgeConfig(
        sparse_vectors={"s": edge.EdgeSparseVectorParams(on_disk=False)}, on_disk_payload=False,
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=100, default_segment_number=1,
                                             max_segment_size=100000000))
    begin = time.process_time()
    shard = edge.EdgeShard.create(folder, config)
    for first in range(0, len(points), 1000):
        batch = [edge.Point(first + i, {"s": edge.SparseVector(*vector)}, {})
                 for i, vector in enumerate(points[first:first + 1000])]
        shard.update(edge.UpdateOperation.upsert_points(batch))
    shard.optimize()
    shard.flush()
    return shard, time.process_time() - begin


def ask_edge(shard, queries):
    requests = [edge.QueryRequest(query=edge.Query.Nearest(edge.SparseVector(*query), using="s"),
                                  limit=LIMIT, with_vector=False, with_payload=False)
                for query in queries]
    begin = time.process_time()
    found = [shard.query(request) for request in requests]
    spent = (time.process_time() - begin) / len(queries) * 1e6
    return spent, [[(point.id, point.score) for point in points] for points in found]


def differ(ours, theirs):
    """Is it another answer, beyond the rounding of sums made in another order?"""
    scores = zip([score for _, score in ours], [score for _, score in theirs])
    return len(ours) != len(theirs) or any(abs(a - b) > 1e-3 for a, b in scores)


def main():
    program = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 50000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    random = numpy.random.default_rng(7)
    points, queries = make(random, count, 120), make(random, QUERIES, 30)
    folder = tempfile.mkdtemp(prefix="octant-sparse-")
    try:
        path, place = os.path.join(folder, "vectors"), os.path.join(folder, "edge")
        os.mkdir(place)
        write(path, points, queries)
        shard, their_build = fill_edge(place, points)
        ours = subprocess.Popen([program, path, str(rounds)], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
        our_build = json.loads(ours.stdout.readline())["cpu_s"]
        our_times, their_times = [], []
        for _ in range(rounds):
            ours.stdin.write("\n")
            ours.stdin.flush()
            our_times.append(json.loads(ours.stdout.readline())["cpu_us"])
            spent, theirs = ask_edge(shard, queries)
            their_times.append(spent)
        answers = json.loads(ours.stdout.readline())["answers"]
        ours.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    our_time, their_time = statistics.median(our_times), statistics.median(their_times)
    print(json.dumps({
        "points": count, "build_s": [our_build, round(their_build, 2)],
        "query_us": [round(our_time, 1), round(their_time, 1)],
        "ratio": round(their_time / our_time, 2),
        "answers_that_differ": sum(differ(a, b) for a, b in zip(answers, theirs))}))


if __name__ == "__main__":
    main()
