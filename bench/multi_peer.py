#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""multi_peer.py - multivectors here and in qdrant-edge-py, same vectors, same loop, with ratios.

    multi_peer.py LIBOCTANT [POINTS] [DIM] [ROWS] [ROUNDS]

LIBOCTANT is liboctant.so (the target octant-shared), called through ctypes. Needs numpy and
qdrant-edge-py. The vectors are made here, seeded, as multi.c describes: words of topics, pulled to
them; ROWS a point on average and ROWS a query, Cosine. Both sides build HNSW over max_sim (m 16,
ef_construct 100) on one thread and are asked for ten points, one query a call from a loop in
Python: by the graph at several hnsw_ef, and exactly, which is the truth. Ours go through the REST
API's JSON, written beforehand, parsing of which counts. Times are CPU time in turns, medians of
ROUNDS; those of building include filling. The last line is JSON.
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

LIMIT, QUERIES, WORDS, TOPIC_WORDS, EFS = 10, 100, 4000, 40, (32, 64, 100, 200)
QUERY = "/collections/c/points/query"


def make(random, count, dim, rows):
    """Points and queries as lists of rows, unit length."""
    topics = count // 50 + 1
    words, pulls = random.normal(size=(WORDS, dim)), random.normal(size=(topics, dim)) * 0.5
    of_topic = random.integers(WORDS, size=(topics, TOPIC_WORDS))

    def one(length):
        topic = random.integers(topics)
        chosen = of_topic[topic, random.integers(TOPIC_WORDS, size=length)]
        strays = random.random(length) < 0.25
        chosen = numpy.where(strays, random.integers(WORDS, size=length), chosen)
        values = words[chosen] + pulls[topic] + 0.6 * random.normal(size=(length, dim))
        values /= numpy.linalg.norm(values, axis=1, keepdims=True)
        return values.astype(numpy.float32).tolist()
    points = [one(random.integers(max(rows // 2, 1), rows + rows // 2 + 1)) for _ in range(count)]
    return points, [one(rows) for _ in range(QUERIES)]


def fill_ours(library, folder, points):
    database = Database(library, folder)
    database.call("PUT", "/collections/c", {
        "vectors": {"size": len(points[0][0]), "distance": "Cosine",
                    "multivector_config": {"comparator": "max_sim"}},
        "hnsw_config": {"m": 16, "ef_construct": 100},
        "optimizers_config": {"indexing_threshold": 100, "default_segment_number": 1}})
    for first in range(0, len(points), 500):
        batch = [{"id": first + i, "vector": rows}
                 for i, rows in enumerate(points[first:first + 500])]
        database.call("PUT", "/collections/c/points?wait=true", {"points": batch})
    database.maintain()
    return database


def fill_edge(folder, points):
    config = edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(
            size=len(points[0][0]), distance=edge.Distance.Cosine, on_disk=False,
            multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim),
            hnsw_config=edge.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10000,
                                             max_indexing_threads=1, on_disk=False)),
        on_disk_payload=False,
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=100, default_segment_number=1,
                                             max_segment_size=100000000))
    shard = edge.EdgeShard.create(folder, config)
    for first in range(0, len(points), 500):
        batch = [edge.Point(first + i, rows, {})
                 for i, rows in enumerate(points[first:first + 500])]
        shard.update(edge.UpdateOperation.upsert_points(batch))
    shard.optimize()
    shard.flush()
    return shard


def timed(ask, requests):
    begin = time.process_time()
    found = [ask(request) for request in requests]
    return len(requests) / (time.process_time() - begin), found


def asking_ours(database, queries, params):
    bodies = [json.dumps({"query": query, "limit": LIMIT, "params": params}) for query in queries]
    return lambda: timed(lambda body: [point["id"] for point in
                                       database.call("POST", QUERY, body)["points"]], bodies)


def asking_edge(shard, queries, params):
    requests = [edge.QueryRequest(query=edge.Query.Nearest(query), limit=LIMIT, with_vector=False,
                                  with_payload=False, params=edge.SearchParams(**params))
                for query in queries]
    return lambda: timed(lambda request: [point.id for point in shard.query(request)], requests)


def main():
    library = os.path.abspath(sys.argv[1])
    numbers = [int(word) for word in sys.argv[2:]] + [None] * 4
    count, dim, rows = numbers[0] or 10000, numbers[1] or 64, numbers[2] or 8
    rounds = numbers[3] or 3
    points, queries = make(numpy.random.default_rng(7), count, dim, rows)
    folder = tempfile.mkdtemp(prefix="octant-multi-")
    built, rates, recalls = [], {}, {}
    try:
        for name in ("ours", "edge"):
            os.mkdir(os.path.join(folder, name))
        begin = time.process_time()
        database = fill_ours(library, os.path.join(folder, "ours"), points)
        built.append(round(time.process_time() - begin, 1))
        begin = time.process_time()
        shard = fill_edge(os.path.join(folder, "edge"), points)
        built.append(round(time.process_time() - begin, 1))
        ways = [("exact", {"exact": True})] + [(str(ef), {"hnsw_ef": ef}) for ef in EFS]
        for name, params in ways:
            sides = [asking_ours(database, queries, params), asking_edge(shard, queries, params)]
            times = [[], []]
            for _ in range(rounds if name != "exact" else 1):
                answers = []
                for side, side_times in zip(sides, times):
                    rate, found = side()
                    side_times.append(rate)
                    answers.append(found)
            rates[name] = [round(statistics.median(side), 1) for side in times]
            if name == "exact":
                truth = answers[0]
            recalls[name] = [round(sum(len(set(a) & set(b)) for a, b in zip(found, truth)) /
                                   (LIMIT * QUERIES), 3) for found in answers]
        database.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"points": count, "dim": dim, "rows": rows, "build_s": built,
                      "queries_per_s": rates, "recall": recalls}))


if __name__ == "__main__":
    main()
