# SPDX-License-Identifier: Apache-2.0
"""library.py - does liboctant.so do its work for a language that only calls C functions?

Goal: the library exports the API and nothing else; opened by ctypes over a directory, typed
searches find what a search through the REST API's words finds, in one thread and with a pool, and
a second opening finds the points again.
Method: the binding of bench/peers, random vectors, and the numbers of the exported symbols as nm
prints them against the headers' OCT_API functions.
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import traceback

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench" / "peers"))
from octant_ctypes import Database, OctantError  # noqa: E402

LIBRARY = str(ROOT / "build" / "release" / "liboctant.so")
COUNT, DIM, LIMIT, SEARCHES, BATCH = 12000, 24, 7, 40, 1000
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"{actual!r}, expected {expected!r}")


def fill(database, vectors):
    database.call("PUT", "/collections/c", {"vectors": {"size": DIM, "distance": "Cosine"},
                                            "optimizers_config": {"indexing_threshold": 10},
                                            "hnsw_config": {"full_scan_threshold": 10}})
    for first in range(0, COUNT, BATCH):
        database.call("PUT", "/collections/c/points?wait=true", {"batch": {
            "ids": list(range(first, first + BATCH)),
            "vectors": [{"$f32": [(first + i) * DIM, DIM]} for i in range(BATCH)]}}, vectors)
    database.maintain()


def same_answers(database, queries):
    one = database.searcher("c", DIM, LIMIT, hnsw_ef=32)
    many = database.searcher("c", DIM, LIMIT, count=len(queries), hnsw_ef=32)
    expected = [[point["id"] for point in database.call(
        "POST", "/collections/c/points/query",
        {"query": {"$f32": [0, DIM]}, "limit": LIMIT, "params": {"hnsw_ef": 32}}, row)["points"]]
        for row in queries]
    equal([one(row)[0].tolist() for row in queries], expected)
    equal(many(queries).tolist(), expected)
    equal(database.last_counts.tolist(), [LIMIT] * len(queries))


@test
def only_the_api_is_exported():
    headers = "".join((ROOT / "core/include/octant" / name).read_text()
                      for name in ("octant.h", "native.h", "status.h"))
    declared = set(re.findall(r"^OCT_API[^(]*?(\w+)\(", headers, re.M))
    listed = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], capture_output=True,
                            text=True, check=True).stdout
    equal({line.split()[2] for line in listed.splitlines()}, declared)


@test
def typed_searches_find_what_rest_finds():
    random = numpy.random.default_rng(24301)
    vectors = random.standard_normal((COUNT, DIM), dtype="<f4")
    queries = random.standard_normal((SEARCHES, DIM), dtype="<f4")
    with tempfile.TemporaryDirectory() as directory:
        for threads in (1, 2):
            database = Database(LIBRARY, directory, threads=threads)
            if threads == 1:
                fill(database, vectors)
            indexed = database.call("GET", "/collections/c")["indexed_vectors_count"]
            equal(0 < indexed < COUNT, True)  # a graph, and points in memory
            same_answers(database, queries)
            database.close()


@test
def failures_are_messages():
    with tempfile.TemporaryDirectory() as directory:
        database = Database(LIBRARY, directory)
        fill(database, numpy.ones((COUNT, DIM), "<f4"))
        for collection, dim, message in (
                ("d", DIM, "Not found: Collection `d` doesn't exist!"),
                ("c", DIM - 1, "Wrong input: Vector dimension error: expected dim: 24, got 23")):
            try:
                database.searcher(collection, dim, LIMIT)(numpy.ones(DIM, "<f4"))
            except OctantError as error:
                equal(str(error), message)
            else:
                raise AssertionError("it was not refused")
        try:
            Database(LIBRARY, directory)
        except OctantError as error:
            equal("lock" in str(error).lower() or "open" in str(error).lower(), True)
        else:
            raise AssertionError("two owners")
        database.close()


def main():
    failed = 0
    for function in TESTS:
        try:
            function()
            print(f"ok  {function.__name__}")
        except Exception:
            failed += 1
            print(f"BAD {function.__name__}")
            traceback.print_exc()
    print(f"{len(TESTS) - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
