#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sparse_peer.py - sparse search here and in qdrant-edge-py, same vectors, same loop, with ratios.

    sparse_peer.py LIBOCTANT [POINTS] [ROUNDS] [UNSEALED]

LIBOCTANT is liboctant.so (the target octant-shared), called through ctypes. Needs numpy and
qdrant-edge-py. The vectors are made here, seeded, in the likeness of learned ones: about 120 of
30,000 dimensions a text and 30 a query, frequencies as 1/rank, positive weights. First POINTS of
them, sealed and indexed on both sides before they are asked (here a multiple of 10,000 is sealed
whole; of others the rest stays in memory). Then UNSEALED of them, which nothing was done for
since they were written here, while the peer is measured as written (`appendable`) and indexed.
One query a call from a loop in Python, on one thread, with (id, score) of ten points as Python
objects at the end; times are CPU time in turns, medians of ROUNDS. Filling is not compared: we are
filled through JSON. All answers are checked against the scores of all points, by numpy: a point
that is not there must not be better than the last one that is, by more than the rounding of sums.
Both lines are JSON.
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


def fill_ours(library, folder, points, seal):
    os.mkdir(folder)
    database = Database(library, folder)
    database.call("PUT", "/collections/c", {"sparse_vectors": {"s": {}}})
    for first in range(0, len(points), 1000):
        batch = [{"id": first + i, "vector": {"s": {"indices": dimensions, "values": weights}}}
                 for i, (dimensions, weights) in enumerate(points[first:first + 1000])]
        database.call("PUT", "/collections/c/points?wait=true", {"points": batch})
    if seal:
        database.maintain()
    return database


def fill_edge(folder, points, index):
    os.mkdir(folder)
    config = edge.EdgeConfig(
        sparse_vectors={"s": edge.EdgeSparseVectorParams(on_disk=False)}, on_disk_payload=False,
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=100, default_segment_number=1,
                                             max_segment_size=100000000))
    shard = edge.EdgeShard.create(folder, config)
    for first in range(0, len(points), 1000):
        batch = [edge.Point(first + i, {"s": edge.SparseVector(*vector)}, {})
                 for i, vector in enumerate(points[first:first + 1000])]
        shard.update(edge.UpdateOperation.upsert_points(batch))
    if index:
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


def compare(contenders, points, queries, rounds):
    """Functions from queries to (microseconds a query, answers), by name; what to print."""
    lists, times, answers = lists_of(points), {name: [] for name in contenders}, {}
    for _ in range(rounds):
        for name, ask in contenders.items():
            spent, answers[name] = ask()
            times[name].append(spent)
    medians = {name: statistics.median(spent) for name, spent in times.items()}
    return {"points": len(points),
            "query_us": {name: round(median, 1) for name, median in medians.items()},
            "ratio": {name: round(median / medians["ours"], 2)
                      for name, median in medians.items() if name != "ours"},
            "wrong_answers": {name: sum(wrong(found, query, len(points), lists)
                                        for found, query in zip(answers[name], queries))
                              for name in contenders}}


def main():
    library = os.path.abspath(sys.argv[1])
    given, defaults = sys.argv[2:], [50000, 5, 5000]
    count, rounds, unsealed = [int(text) for text in given] + defaults[len(given):]
    random = numpy.random.default_rng(7)
    points, queries = make(random, count, 120), make(random, QUERIES, 30)
    arrays = [(numpy.array(dimensions, numpy.uint32), numpy.array(values, numpy.float32))
              for dimensions, values in queries]
    folder = tempfile.mkdtemp(prefix="octant-sparse-")
    try:
        for seal, those in ((True, points), (False, points[:unsealed])):
            at = os.path.join(folder, str(seal))
            database = fill_ours(library, at + "-ours", those, seal)
            search = database.sparse_searcher("c", "s", LIMIT)
            indexed = fill_edge(at + "-edge", those, True)
            contenders = {"ours": lambda: ask_ours(search, arrays),
                          "edge": lambda: ask_edge(indexed, queries)}
            if not seal:
                appendable = fill_edge(at + "-appendable", those, False)
                contenders["edge, appendable"] = lambda: ask_edge(appendable, queries)
            print(json.dumps({"sealed": seal, **compare(contenders, those, queries, rounds)}))
            database.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
