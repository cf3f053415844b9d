# SPDX-License-Identifier: Apache-2.0
"""python_client.py - does the official Python client work against `octant serve`?

Goal: every operation we have, called the way users call it, gives exactly what Qdrant gives.
Method: one server on a free port over an empty directory; each test has a collection of its own
with four points whose scores (Dot) are whole numbers, so that answers can be compared with ==.
"""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

PROGRAM = os.environ.get("OCTANT_PROGRAM") or str(
    pathlib.Path(__file__).resolve().parents[2] / "build" / "release" / "octant")
START_SECONDS = 10
TESTS = []
UUID = "550e8400-e29b-41d4-a716-446655440000"
VECTORS = {1: [1.0, 0.0, 0.0], 2: [2.0, 1.0, 0.0], 3: [3.0, 0.0, 1.0], UUID: [4.0, 2.0, 2.0]}
PAYLOADS = {1: {"city": "Berlin", "price": 10}, 2: {"city": "London", "price": 20},
            3: {"city": "Berlin", "price": 30}, UUID: {"city": "Paris", "tags": ["a", "b"]}}


def test(function):
    TESTS.append(function)
    return function


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"{actual!r}, expected {expected!r}")


def refused(status, text, call):
    """The call fails with this HTTP status and an error that contains `text`."""
    try:
        call()
    except UnexpectedResponse as error:
        equal(error.status_code, status)
        if text not in error.content.decode():
            raise AssertionError(f"{error.content!r} does not contain {text!r}") from error
        return
    raise AssertionError(f"accepted; expected HTTP {status} {text}")


def matches(key, value):
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def fill(client, name):
    """A collection with the four points."""
    equal(client.create_collection(name, vectors_config=models.VectorParams(
        size=3, distance=models.Distance.DOT)), True)
    points = [models.PointStruct(id=i, vector=VECTORS[i], payload=PAYLOADS[i]) for i in VECTORS]
    equal(client.upsert(name, points=points, wait=True).status, models.UpdateStatus.COMPLETED)


def ids(points):
    return [point.id for point in points]


def payload(client, name, point):
    return client.retrieve(name, ids=[point])[0].payload


@test
def collections_live_and_die(client, name):
    equal(client.collection_exists(name), False)
    fill(client, name)
    equal(client.collection_exists(name), True)
    equal(name in [each.name for each in client.get_collections().collections], True)
    collection = client.get_collection(name)
    equal(collection.points_count, 4)
    equal(collection.config.params.vectors.size, 3)
    equal(collection.config.params.vectors.distance, models.Distance.DOT)
    refused(409, "already exists", lambda: client.create_collection(
        name, vectors_config=models.VectorParams(size=3, distance=models.Distance.DOT)))
    equal(client.delete_collection(name), True)
    equal(client.collection_exists(name), False)
    refused(404, "doesn't exist", lambda: client.get_collection(name))


@test
def settings_change(client, name):
    fill(client, name)
    equal(client.update_collection(
        name, vectors_config={"": models.VectorParamsDiff(
            hnsw_config=models.HnswConfigDiff(m=6), on_disk=True)},
        hnsw_config=models.HnswConfigDiff(ef_construct=77),
        quantization_config=models.ScalarQuantization(scalar=models.ScalarQuantizationConfig(
            type=models.ScalarType.INT8, always_ram=True)),
        optimizers_config=models.OptimizersConfigDiff(indexing_threshold=123),
        collection_params=models.CollectionParamsDiff(on_disk_payload=False)), True)
    config = client.get_collection(name).config
    equal((config.params.vectors.hnsw_config.m, config.params.vectors.on_disk), (6, True))
    equal(config.params.on_disk_payload, False)
    equal((config.hnsw_config.m, config.hnsw_config.ef_construct), (16, 77))
    equal(config.optimizer_config.indexing_threshold, 123)
    equal(config.quantization_config.scalar.always_ram, True)
    equal(client.update_collection(name, quantization_config=models.Disabled.DISABLED), True)
    equal(client.get_collection(name).config.quantization_config, None)
    refused(400, "Not existing vector name error: x", lambda: client.update_collection(
        name, vectors_config={"x": models.VectorParamsDiff(on_disk=True)}))
    equal(client.count(name).count, 4)


@test
def upserts_take_lists_and_batches(client, name):
    fill(client, name)
    client.upsert(name, wait=True, points=models.Batch(
        ids=[3, 5], vectors=[[9.0, 9.0, 9.0], [5.0, 5.0, 5.0]], payloads=[{"n": 3}, {"n": 5}]))
    equal(client.count(name).count, 5)
    found = client.retrieve(name, ids=[5, 3, 77], with_vectors=True)
    equal({point.id: (point.vector, point.payload) for point in found},
          {3: ([9.0, 9.0, 9.0], {"n": 3}), 5: ([5.0, 5.0, 5.0], {"n": 5})})
    refused(400, "expected dim: 3, got 2", lambda: client.upsert(
        name, points=[models.PointStruct(id=1, vector=[1.0, 2.0])]))
    client.upload_collection(name, vectors=[[0.0, 0.0, 1.0]] * 70, ids=list(range(100, 170)),
                             batch_size=32, wait=True)
    equal(client.count(name, exact=True).count, 75)


@test
def queries_rank_and_filter(client, name):
    fill(client, name)
    answer = client.query_points(name, query=[1.0, 0.0, 0.0], with_payload=True, limit=3)
    equal([(p.id, p.score) for p in answer.points], [(UUID, 4.0), (3, 3.0), (2, 2.0)])
    equal(answer.points[1].payload, PAYLOADS[3])
    berlin = models.Filter(must=[matches("city", "Berlin")])
    answer = client.query_points(name, query=[1.0, 0.0, 0.0], query_filter=berlin,
                                 with_vectors=True)
    equal([(p.id, p.score, p.vector) for p in answer.points],
          [(3, 3.0, VECTORS[3]), (1, 1.0, VECTORS[1])])
    cheap = models.Filter(must=[models.FieldCondition(key="price", range=models.Range(lt=25))],
                          must_not=[models.HasIdCondition(has_id=[1])])
    equal(ids(client.query_points(name, query=[0.0, 1.0, 0.0], query_filter=cheap).points), [2])
    answer = client.query_points(name, query=[1.0, 0.0, 0.0], score_threshold=2.5, offset=1)
    equal(ids(answer.points), [3])


@test
def queries_by_id_leave_that_point_out(client, name):
    fill(client, name)
    equal([(p.id, p.score) for p in client.query_points(name, query=2).points],
          [(UUID, 10.0), (3, 6.0), (1, 2.0)])
    equal(ids(client.query_points(name, query=UUID, limit=1).points), [3])


@test
def batches_answer_in_order(client, name):
    fill(client, name)
    requests = [models.QueryRequest(query=[1.0, 0.0, 0.0], limit=3, with_payload=True),
                models.QueryRequest(query=2, limit=1, with_payload=True)]
    answers = client.query_batch_points(name, requests)
    equal(answers[0].points,
          client.query_points(name, query=[1.0, 0.0, 0.0], limit=3, with_payload=True).points)
    equal(answers[1].points, client.query_points(name, query=2, limit=1).points)
    equal(len(answers), 2)


@test
def sparse_and_multivectors(client, name):
    client.create_collection(name, vectors_config={
        "rows": models.VectorParams(
            size=2, distance=models.Distance.DOT, datatype=models.Datatype.FLOAT16,
            multivector_config=models.MultiVectorConfig(
                comparator=models.MultiVectorComparator.MAX_SIM))},
        sparse_vectors_config={
            "words": models.SparseVectorParams(modifier=models.Modifier.IDF),
            "plain": models.SparseVectorParams(index=models.SparseIndexParams(on_disk=True))})
    params = client.get_collection(name).config.params
    equal(params.sparse_vectors["words"].modifier, models.Modifier.IDF)
    equal(params.sparse_vectors["plain"].index.on_disk, True)
    equal(params.vectors["rows"].multivector_config.comparator,
          models.MultiVectorComparator.MAX_SIM)
    sparse = models.SparseVector(indices=[9, 4], values=[0.5, 2.0])
    client.upsert(name, wait=True, points=[
        models.PointStruct(id=1, vector={"plain": sparse, "words": sparse,
                                         "rows": [[1, 0], [0, 1]]}),
        models.PointStruct(id=2, vector={"words": models.SparseVector(indices=[4], values=[1.0]),
                                         "rows": [[3, 3]]})])
    [point] = client.retrieve(name, ids=[1], with_vectors=True)
    equal((point.vector["plain"].indices, point.vector["plain"].values), ([4, 9], [2.0, 0.5]))
    equal(point.vector["rows"], [[1.0, 0.0], [0.0, 1.0]])
    query = models.SparseVector(indices=[4], values=[3.0])
    answer = client.query_points(name, query=query, using="plain")
    equal([(p.id, p.score) for p in answer.points], [(1, 6.0)])
    query = models.SparseVector(indices=[4, 9], values=[1.0, 1.0])
    answer = client.query_points(name, query=query, using="words")
    equal(ids(answer.points), [1, 2])
    equal([round(p.score, 5) for p in answer.points], [0.71122, 0.18232])
    answer = client.query_points(name, query=[[1.0, 0.0], [0.0, 2.0]], using="rows")
    equal([(p.id, p.score) for p in answer.points], [(2, 9.0), (1, 3.0)])


@test
def scroll_pages_in_order_of_ids(client, name):
    fill(client, name)
    first, next_id = client.scroll(name, limit=2, with_payload=["city"])
    equal([(p.id, p.payload) for p in first], [(1, {"city": "Berlin"}), (2, {"city": "London"})])
    equal(next_id, 3)
    second, next_id = client.scroll(name, limit=2, offset=next_id, with_vectors=True)
    equal([(p.id, p.vector) for p in second], [(3, VECTORS[3]), (UUID, VECTORS[UUID])])
    equal(next_id, None)
    none, next_id = client.scroll(name, scroll_filter=models.Filter(must=[matches("city", "Rome")]))
    equal((none, next_id), ([], None))


@test
def counts_are_exact(client, name):
    fill(client, name)
    either = models.Filter(should=[matches("city", "Paris"), matches("tags", "b"),
                                   matches("price", 20)])
    equal(client.count(name, count_filter=either, exact=True).count, 2)
    empty = models.Filter(must=[models.IsEmptyCondition(
        is_empty=models.PayloadField(key="price"))])
    equal(client.count(name, count_filter=empty, exact=True).count, 1)


@test
def payload_indexes_do_not_change_answers(client, name):
    fill(client, name)
    berlin = models.Filter(must=[matches("city", "Berlin")])
    before = client.query_points(name, query=[1.0, 0.0, 0.0], query_filter=berlin).points
    done = client.create_payload_index(name, "city", models.PayloadSchemaType.KEYWORD, wait=True)
    equal(done.status, models.UpdateStatus.COMPLETED)
    client.create_payload_index(name, "price", models.PayloadSchemaType.INTEGER, wait=True)
    schema = client.get_collection(name).payload_schema
    equal({key: (field.data_type, field.points) for key, field in schema.items()},
          {"city": (models.PayloadSchemaType.KEYWORD, 4),
           "price": (models.PayloadSchemaType.INTEGER, 3)})
    equal(client.query_points(name, query=[1.0, 0.0, 0.0], query_filter=berlin).points, before)
    client.delete_payload_index(name, "city", wait=True)
    equal(list(client.get_collection(name).payload_schema), ["price"])
    equal(client.query_points(name, query=[1.0, 0.0, 0.0], query_filter=berlin).points, before)


@test
def payloads_are_set_overwritten_deleted_cleared(client, name):
    fill(client, name)
    client.set_payload(name, {"stars": 5}, points=[1], wait=True)
    equal(payload(client, name, 1), {"city": "Berlin", "price": 10, "stars": 5})
    berlin = models.Filter(must=[matches("city", "Berlin")])
    client.set_payload(name, {"country": {"code": "de"}}, points=berlin, wait=True)
    equal(payload(client, name, 3), {"city": "Berlin", "price": 30, "country": {"code": "de"}})
    client.overwrite_payload(name, {"only": None}, points=[2], wait=True)
    equal(payload(client, name, 2), {"only": None})
    client.delete_payload(name, keys=["price", "country.code"], points=[3], wait=True)
    equal(payload(client, name, 3), {"city": "Berlin", "country": {}})
    client.clear_payload(name, points_selector=[UUID], wait=True)
    equal(payload(client, name, UUID), {})


@test
def named_vectors_are_updated_and_deleted(client, name):
    params = {key: models.VectorParams(size=2, distance=models.Distance.DOT) for key in "ab"}
    client.create_collection(name, vectors_config=params)
    client.upsert(name, wait=True, points=[
        models.PointStruct(id=i, vector={"a": [i, 0.0], "b": [0.0, i]}) for i in (1, 2)])
    client.update_vectors(name, wait=True, points=[
        models.PointVectors(id=1, vector={"a": [7.0, 7.0]})])
    equal(client.retrieve(name, ids=[1], with_vectors=True)[0].vector,
          {"a": [7.0, 7.0], "b": [0.0, 1.0]})
    client.delete_vectors(name, vectors=["b"], points=[2], wait=True)
    equal(client.retrieve(name, ids=[2], with_vectors=True)[0].vector, {"a": [2.0, 0.0]})
    equal(ids(client.query_points(name, query=[0.0, 1.0], using="b").points), [1])
    equal(client.retrieve(name, ids=[1], with_vectors=["b"])[0].vector, {"b": [0.0, 1.0]})


@test
def points_are_deleted(client, name):
    fill(client, name)
    client.delete(name, points_selector=[1, UUID], wait=True)
    equal(ids(client.scroll(name)[0]), [2, 3])
    client.delete(name, wait=True, points_selector=models.Filter(must=[matches("price", 20)]))
    equal(ids(client.scroll(name)[0]), [3])
    equal(ids(client.query_points(name, query=[1.0, 1.0, 1.0]).points), [3])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(directory, port):
    """The server process, once it said that it is ready."""
    server = subprocess.Popen(
        [PROGRAM, "serve", "--data", directory, "--port", str(port)], stdout=subprocess.PIPE,
        text=True)
    line = server.stdout.readline()
    if not line.rstrip().endswith(f"on http://127.0.0.1:{port}"):
        sys.exit(f"octant serve is not ready: {line!r}, exit code {server.wait(START_SECONDS)}")
    return server


def stop(server):
    server.send_signal(signal.SIGTERM)
    return server.wait(START_SECONDS)


def run(client):
    """Run all tests; the number that failed."""
    failed = 0
    for function in TESTS:
        try:
            function(client, function.__name__)
        except Exception:  # a broken answer may raise anything in the client
            failed += 1
            print(f"FAILED {function.__name__}")
            traceback.print_exc(file=sys.stdout)
    return failed


def main():
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="octant-python-") as directory:
        port = free_port()
        server = start(directory, port)
        try:
            failed = run(QdrantClient(url=f"http://127.0.0.1:{port}", timeout=30))
        finally:
            code = stop(server)
        if code != 0:
            failed += 1
            print(f"FAILED: octant serve ended with {code}")
    total = len(TESTS) + (code != 0)
    print(f"{total - failed} passed, {failed} failed ({time.monotonic() - started:.1f} s)")
    sys.exit(1 if failed else 0)


main()
