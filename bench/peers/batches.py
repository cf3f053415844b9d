#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""batches.py - queries with one filter, one by one and as a batch: ours and Qdrant Edge's.

    batches.py --data FOLDER [--points 30000] [--queries 100] [--rounds 3] [--library liboctant.so]

FOLDER as for filters_peer.py. A tenth of the points pass the filter (f10), with an index on its
field and without. Same settings, one thread, CPU time of the process, sides and ways in turns, the
least of the rounds. Ours is oct_search, one vector a call or all in one; theirs query and
query_batch. Prints a JSON line for each side, with its answers as a batch compared with those one
by one, and a table of milliseconds for all queries.
"""
import argparse
import json
import os
import tempfile
import time

import numpy
import qdrant_edge as edge

from adapters import EF_CONSTRUCT, LIMIT, M
from octant_ctypes import Database

EF, FILTER = 64, "f10"


class Data:
    def __init__(self, folder, points, queries):
        def rows(name, count):
            with open(os.path.join(folder, name + ".json"), encoding="utf-8") as file:
                dim = json.load(file)["dim"]
            return numpy.fromfile(os.path.join(folder, name), "<f4", count * dim).reshape(-1, dim)
        with open(os.path.join(folder, "filters.json"), encoding="utf-8") as file:
            told = json.load(file)[FILTER]
        self.field, self.value = told["field"], told["value"]
        self.vectors, self.queries = rows("vectors.f32", points), rows("queries.f32", queries)
        self.count, self.dim = self.vectors.shape
        with open(os.path.join(folder, "payload.jsonl"), encoding="utf-8") as lines:
            self.payloads = [{self.field: json.loads(line)[self.field]}
                             for line, _ in zip(lines, range(self.count))]


class Ours:
    name = "octant"

    def __init__(self, data, directory, indexed, options):
        self.data = data
        database = Database(options.library, directory)
        database.call("PUT", "/collections/c", {
            "vectors": {"size": data.dim, "distance": "Cosine"},
            "hnsw_config": {"m": M, "ef_construct": EF_CONSTRUCT},
            "optimizers_config": {"default_segment_number": 1, "indexing_threshold": 100}})
        if indexed:
            database.call("PUT", "/collections/c/index",
                          {"field_name": data.field, "field_schema": "keyword"})
        for first in range(0, data.count, 1000):
            floats = numpy.ascontiguousarray(data.vectors[first:first + 1000])
            ids = list(range(first, first + len(floats)))
            database.call("PUT", "/collections/c/points?wait=true", {"batch": {
                "ids": ids, "payloads": [data.payloads[i] for i in ids],
                "vectors": [{"$f32": [i * data.dim, data.dim]} for i in range(len(ids))]}}, floats)
        database.maintain()
        members = {"hnsw_ef": EF, "options": {"filter": {"must": [
            {"key": data.field, "match": {"value": data.value}}]}}}
        self.one = database.searcher("c", data.dim, LIMIT, **members)
        self.many = database.searcher("c", data.dim, LIMIT, count=len(data.queries), **members)

    def alone(self):
        return [self.one(row)[0].tolist() for row in self.data.queries]

    def batch(self):
        return self.many(self.data.queries).tolist()


class Theirs:
    name = "qdrant-edge"

    def __init__(self, data, directory, indexed, _):
        os.makedirs(directory)
        self.shard = edge.EdgeShard.create(directory, edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(
                size=data.dim, distance=edge.Distance.Cosine, on_disk=False,
                hnsw_config=edge.HnswIndexConfig(
                    m=M, ef_construct=EF_CONSTRUCT, full_scan_threshold=10000,
                    max_indexing_threads=1, on_disk=False)),
            on_disk_payload=False,
            optimizers=edge.EdgeOptimizersConfig(indexing_threshold=100, default_segment_number=1,
                                                 max_segment_size=100000000)))
        if indexed:
            self.shard.update(edge.UpdateOperation.create_field_index(
                data.field, edge.PayloadSchemaType.Keyword))
        for first in range(0, data.count, 1000):
            self.shard.update(edge.UpdateOperation.upsert_points([
                edge.Point(i, data.vectors[i].tolist(), data.payloads[i])
                for i in range(first, min(first + 1000, data.count))]))
        self.shard.optimize()
        wanted = edge.Filter(must=[edge.FieldCondition(
            key=data.field, match=edge.MatchValue(data.value))])
        self.requests = [edge.QueryRequest(
            query=edge.Query.Nearest(row.tolist()), limit=LIMIT, filter=wanted,
            params=edge.SearchParams(hnsw_ef=EF, exact=False), with_vector=False,
            with_payload=False) for row in data.queries]

    def alone(self):
        return [[point.id for point in self.shard.query(one)] for one in self.requests]

    def batch(self):
        found = self.shard.query_batch(edge.QueryBatchRequest(self.requests))
        return [[point.id for point in points] for points in found]


def timed(action):
    begin = time.process_time()
    found = action()
    return time.process_time() - begin, found


def measure(sides, rounds):
    """{side: (ms alone, ms as a batch, are the answers the same)}"""
    best, same = {}, {}
    for _ in range(rounds):
        for side in sides:
            alone, answers = timed(side.alone)
            batch, found = timed(side.batch)
            before = best.get(side.name, (alone, batch))
            best[side.name] = (min(before[0], alone), min(before[1], batch))
            same[side.name] = same.get(side.name, True) and answers == found
    return {name: (*[1000 * value for value in values], same[name])
            for name, values in best.items()}


def main():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--points", type=int, default=30000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--library", default=os.path.join(root, "build/release/liboctant.so"))
    options = parser.parse_args()
    data = Data(options.data, options.points, options.queries)
    table = ["| index | | one by one, ms | as a batch, ms |", "|---|---|---|---|"]
    for indexed in (True, False):
        with tempfile.TemporaryDirectory() as directory:
            sides = [side(data, os.path.join(directory, side.name), indexed, options)
                     for side in (Ours, Theirs)]
            for name, (alone, batch, same) in measure(sides, options.rounds).items():
                print(json.dumps({"bench": "batches", "index": indexed, "peer": name,
                                  "queries": options.queries, "points": data.count,
                                  "alone_ms": round(alone, 2), "batch_ms": round(batch, 2),
                                  "same": same}), flush=True)
                table.append(f"| {'yes' if indexed else 'no'} | {name} | {alone:.1f} "
                             f"| {batch:.1f} |")
    print("\n" + "\n".join(table))


if __name__ == "__main__":
    main()
