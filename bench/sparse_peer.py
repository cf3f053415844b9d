#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sparse_peer.py - sparse search here and in qdrant-edge-py, same vectors, same loop, with ratios.

    sparse_peer.py LIBOCTANT [POINTS] [ROUNDS]

LIBOCTANT is liboctant.so (the target octant-shared), called through ctypes. Needs numpy and
qdrant-edge-py. The vectors are made here, seeded, in the likeness of learned ones: about 120 of
30,000 dimensions a text and 30 a query, frequencies as 1/rank, positive weights. Both sides seal
and index before they are asked; a multiple of 10,000 POINTS is sealed whole here, of others the
rest stays in memory and is compared point by point. One query a call from a loop in Python, on one
thread, with (id, score) of ten points as Python objects at the end; times are CPU time in turns,
medians of ROUNDS. Filling is not compared: we are filled through JSON. Both sides' answers are
checked against the scores of all points, by numpy: a point that is not there must not be better
than the last one that is, by more than the rounding of sums. The last line is JSON.
"""
import json
import os
import shutil
import statistics
import sys
import tempfile
import time

import numpy
import qdrant_edge as edge

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers"))
from octant_ctypes import Database

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


def fill_ours(library, folder, points):
    database = Database(library, folder)
    database.call("PUT", "/collections/c", {"sparse_vectors": {"s": {}}})
    for first in range(0, len(points), 1000):
        batch = [{"id": first + i, "vector": {"s": {"indices": dimensions, "values": weights}}}
                 for i, (dimensions, weights) in enumerate(points[first:first + 1000])]
        database.call("PUT", "/collections/c/points?wait=true", {"points": batch})
    database.maintain()
    return database


def fill_edge(folder, points):
    config = edge.EdgeConfig(
        sparse_vectors={"s": edge.EdgeSparseVectorParams(on_disk=False)}, on_disk_payload=False,
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=100, default_segment_number=1,
                                             max_segment_size=100000000))
    shard = edge.EdgeShard.create(folder, config)
    for first in range(0, len(points), 1000):
        batch = [edge.Point(first + i, {"s": edge.SparseVector(*vector)}, {})
                 for i, vector in enumerate(points[first:first + 1000])]
        shard.update(edge.UpdateOperation.upsert_points(batch))
    shard.optimize()
    shard.flush()
    return shard


def ask_edge(shard, queries):
    requests = [edge.QueryRequest(query=edge.Query.Nearest(edge.SparseVector(*query), using="s"),
                                  limit=LIMIT, with_vector=False, with_payload=False)
                for query in queries]
    begin = time.process_time()
    found = [shard.query(request) for request in requests]
    spent = (time.process_time() - begin) / len(queries) * 1e6
    return spent, [[(point.id, point.score) for point in points] for points in found]


def ask_ours(search, queries):
    begin = time.process_time()
    found = [search(dimensions, values) for dimensions, values in queries]
    return (time.process_time() - begin) / len(queries) * 1e6, found


def lists_of(points):
    """For each dimension its points and their weights."""
    sizes = [len(dimensions) for dimensions, _ in points]
    dimensions = numpy.concatenate([numpy.array(d, numpy.int64) for d, _ in points])
    weights = numpy.concatenate([numpy.array(w, numpy.float64) for _, w in points])
    ids = numpy.repeat(numpy.arange(len(points)), sizes)
    order = numpy.argsort(dimensions, kind="stable")
    ends = numpy.searchsorted(dimensions[order], numpy.arange(DIMENSIONS + 1))
    return ids[order], weights[order], ends


def wrong(found, query, count, lists):
    """Is an answer another one than comparing with every point gives?"""
    ids, weights, ends = lists
    scores = numpy.zeros(count)
    for dimension, value in zip(*query):
        at = slice(ends[dimension], ends[dimension + 1])
        scores[ids[at]] += value * weights[at]
    best = numpy.sort(scores)[::-1][:LIMIT]
    return (len(found) != LIMIT or len({point for point, _ in found}) != LIMIT or
            any(abs(score - scores[point]) > 1e-4 or abs(score - wanted) > 1e-4
                for (point, score), wanted in zip(found, best)))


def main():
    library = os.path.abspath(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 50000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    random = numpy.random.default_rng(7)
    points, queries = make(random, count, 120), make(random, QUERIES, 30)
    arrays = [(numpy.array(dimensions, numpy.uint32), numpy.array(values, numpy.float32))
              for dimensions, values in queries]
    folder = tempfile.mkdtemp(prefix="octant-sparse-")
    try:
        for name in ("ours", "edge"):
            os.mkdir(os.path.join(folder, name))
        database = fill_ours(library, os.path.join(folder, "ours"), points)
        search = database.sparse_searcher("c", "s", LIMIT)
        shard = fill_edge(os.path.join(folder, "edge"), points)
        our_times, their_times = [], []
        for _ in range(rounds):
            spent, ours = ask_ours(search, arrays)
            our_times.append(spent)
            spent, theirs = ask_edge(shard, queries)
            their_times.append(spent)
        database.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    lists = lists_of(points)
    our_time, their_time = statistics.median(our_times), statistics.median(their_times)
    print(json.dumps({
        "points": count, "query_us": [round(our_time, 1), round(their_time, 1)],
        "ratio": round(their_time / our_time, 2),
        "wrong_answers": [sum(wrong(found, query, count, lists)
                              for found, query in zip(answers, queries))
                          for answers in (ours, theirs)]}))


if __name__ == "__main__":
    main()
