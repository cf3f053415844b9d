#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""filters_peer.py - filtered search, ours and Qdrant Edge's, on the same data in the same run.

    filters_peer.py BENCH_FILTERS FOLDER WORK [ROUNDS]

BENCH_FILTERS is the program made from bench/filters.c, whose head says what FOLDER holds; both
databases are made in WORK (and used again when they are there). Needs numpy and qdrant-edge-py.
Both build with m 16, ef_construct 100 and an index on each filtered field, and answer on one
thread, one query a call, in turns; times are CPU time, best pass of each round, medians over
ROUNDS. Ours is oct_call, JSON in and out; theirs is the query method with the vector already a
list. Prints JSON lines; the last ones give for each filter the queries per second of each side at
the cheapest ef whose recall@10 reaches the goal, and the ratio.
"""
import json
import os
import statistics
import subprocess
import sys
import time

import numpy
import qdrant_edge as edge

DIM, LIMIT, GOAL = 384, 10, .98
EFS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256)
FIELDS = ("registry", "decile", "cent", "mille", "topic", "score")


def cheapest(curve):
    """(q/s, recall, ef) of the fastest point of {ef: (recall, q/s)} that reaches the goal."""
    good = [(qps, recall, ef) for ef, (recall, qps) in curve.items() if recall >= GOAL]
    return max(good) if good else (0.0, max(recall for recall, _ in curve.values()), None)


def run_ours(program, folder, work, options):
    output = subprocess.run([program, folder, os.path.join(work, "ours"), *options], check=True,
                            capture_output=True, text=True).stdout
    table = {}
    for line in map(json.loads, output.splitlines()):
        if line["bench"] == "filters" and line["way"] == "call":
            table.setdefault(line["filter"], {})[line["ef"]] = (line["recall"], line["qps_cpu"])
    return table


def open_theirs(folder, work):
    path = os.path.join(work, "theirs")
    if os.path.exists(path):
        return edge.EdgeShard.load(path)
    os.makedirs(path)
    config = edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(
            size=DIM, distance=edge.Distance.Cosine, on_disk=False,
            hnsw_config=edge.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10000,
                                             max_indexing_threads=2, on_disk=False)),
        on_disk_payload=False,
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=100, default_segment_number=1,
                                             max_segment_size=100000000))
    shard = edge.EdgeShard.create(path, config)
    kinds = edge.PayloadSchemaType
    for field in FIELDS:
        kind = kinds.Integer if field == "score" else kinds.Keyword
        shard.update(edge.UpdateOperation.create_field_index(field, kind))
    vectors = numpy.fromfile(os.path.join(folder, "vectors.f32"), "<f4").reshape(-1, DIM)
    with open(os.path.join(folder, "payload.jsonl"), encoding="utf-8") as lines:
        payloads = [json.loads(line) for line in lines]
    for first in range(0, len(vectors), 1000):
        points = [edge.Point(i, vectors[i].tolist(), {key: payloads[i][key] for key in FIELDS})
                  for i in range(first, min(len(vectors), first + 1000))]
        shard.update(edge.UpdateOperation.upsert_points(points))
    shard.optimize()
    shard.flush()
    return shard


def run_theirs(shard, queries, filters, truths):
    table = {}
    for name, entry in filters.items():
        if "value" in entry:
            condition = edge.FieldCondition(key=entry["field"],
                                            match=edge.MatchValue(entry["value"]))
        else:
            condition = edge.FieldCondition(key=entry["field"],
                                            range=edge.RangeFloat(lt=entry["range"]["lt"]))
        wanted = edge.Filter(must=[condition])
        for ef in EFS:
            params = edge.SearchParams(hnsw_ef=ef, exact=False)
            best, found = float("inf"), []
            for _ in range(2):
                begin = time.process_time()
                found = [[point.id for point in shard.query(edge.QueryRequest(
                    query=edge.Query.Nearest(query), limit=LIMIT, params=params, filter=wanted,
                    with_vector=False, with_payload=False))] for query in queries]
                best = min(best, time.process_time() - begin)
            hits = sum(len(set(row) & set(true)) for row, true in zip(found, truths[name]))
            table.setdefault(name, {})[ef] = (hits / (LIMIT * len(queries)), len(queries) / best)
    return table


def main():
    program, folder, work = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3
    options = [f"ef={ef}" for ef in EFS]
    with open(os.path.join(folder, "filters.json"), encoding="utf-8") as file:
        filters = json.load(file)
    queries = numpy.fromfile(os.path.join(folder, "queries.f32"), "<f4").reshape(-1, DIM)
    truths = {name: numpy.fromfile(os.path.join(folder, entry["gt"]), "<i4")
              .reshape(len(queries), -1)[:, :LIMIT].tolist() for name, entry in filters.items()}
    queries = queries.tolist()
    shard = open_theirs(folder, work)
    best = {}
    for _ in range(rounds):
        for side, table in (("ours", run_ours(program, folder, work, options)),
                            ("theirs", run_theirs(shard, queries, filters, truths))):
            for name, curve in table.items():
                best.setdefault(name, {}).setdefault(side, []).append(cheapest(curve))
    shard.close()
    for name, sides in best.items():
        row = {"bench": "filters_peer", "filter": name}
        for side, points in sides.items():
            row[side] = {"qps": round(statistics.median(point[0] for point in points)),
                         "recall": round(points[0][1], 4), "ef": points[0][2]}
        row["ratio"] = round(row["ours"]["qps"] / max(row["theirs"]["qps"], 1), 2)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
