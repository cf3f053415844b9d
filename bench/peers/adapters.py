# SPDX-License-Identifier: Apache-2.0
"""adapters.py - Octant and each native peer behind one face, one thread each.

An adapter builds an index of vectors [count][dim] (unit length; point i has id i) and searches it:

    build()              insert everything, index it, wait until that is done
    prepare(mode, ef)    for the searches that follow; mode is one of `modes`
    convert(row)         a query as this library wants it, before the clock starts
    search(query)        the ids of the LIMIT nearest, one query
    batch(rows)          the library's own loop over queries, where it has one

Settings are the same for all: M 16 (32 links on the lowest layer, so graphs without layers get a
degree of 32), ef_construct 100, cosine. A peer is given float vectors as its own documentation
shows; who copies them pays for it in memory, who converts them in time.
"""
import importlib.metadata
import os

import numpy

M, EF_CONSTRUCT, LIMIT = 16, 100, 10


class Adapter:
    modes = ("",)
    package = None  # the distribution whose version is reported

    def __init__(self, vectors, directory, options):
        self.vectors, self.directory, self.options = vectors, directory, options
        self.count, self.dim = vectors.shape

    def version(self):
        return importlib.metadata.version(self.package)

    def prepare(self, mode, ef):
        self.ef = ef

    def convert(self, row):
        return row


class Octant(Adapter):
    isa = None
    config = {}   # members of the collection's creation
    params = {"": {}}  # by mode: members of params
    BATCH = 1000

    def version(self):
        return self.database.version

    def build(self):
        from octant_ctypes import Database
        self.database = Database(self.options.library, self.directory,
                                 threads=self.options.threads, isa=self.isa)
        self.database.call("PUT", "/collections/c", {
            "vectors": {"size": self.dim, "distance": "Cosine"},
            "hnsw_config": {"m": M, "ef_construct": EF_CONSTRUCT},
            "optimizers_config": {"default_segment_number": 1, "indexing_threshold": 100,
                                  "max_segment_size": 100000000}, **self.config})
        for first in range(0, self.count, self.BATCH):
            self.insert(first, min(first + self.BATCH, self.count))
        self.database.maintain()

    def insert(self, first, last):
        floats = numpy.ascontiguousarray(self.vectors[first:last])
        self.database.call("PUT", "/collections/c/points?wait=true", {"batch": {
            "ids": list(range(first, last)),
            "vectors": [{"$f32": [i * self.dim, self.dim]} for i in range(last - first)]}},
            floats)

    def facts(self):
        found = self.database.call("GET", "/collections/c")
        return {name: found[name] for name in ("segments_count", "indexed_vectors_count")}

    def prepare(self, mode, ef):
        options = {"params": self.params[mode]} if self.params[mode] else {}
        members = {"hnsw_ef": ef, **({"options": options} if options else {})}
        self.one = self.database.searcher("c", self.dim, LIMIT, **members)
        self.members = members
        self.many = None

    def search(self, row):
        return self.one(row)[0]

    def batch(self, rows):
        if self.many is None:
            self.many = self.database.searcher("c", self.dim, LIMIT, count=len(rows),
                                               **self.members)
        return self.many(rows)


class OctantAvx2(Octant):
    isa = "avx2"


class OctantInt8(Octant):
    modes = ("", "rescore")
    config = {"quantization_config": {"scalar": {"type": "int8", "always_ram": True}}}
    params = {"": {}, "rescore": {"quantization": {"rescore": True, "oversampling": 2.0}}}


class OctantBinary(OctantInt8):
    config = {"quantization_config": {"binary": {"always_ram": True}}}


class Hnswlib(Adapter):
    package = "hnswlib"

    def build(self):
        import hnswlib
        self.index = hnswlib.Index("cosine", self.dim)
        self.index.init_index(self.count, ef_construction=EF_CONSTRUCT, M=M, random_seed=100)
        self.index.set_num_threads(1)
        self.index.add_items(self.vectors, num_threads=1)

    def prepare(self, mode, ef):
        self.index.set_ef(ef)

    def search(self, row):
        return self.index.knn_query(row, k=LIMIT, num_threads=1)[0][0]

    def batch(self, rows):
        return self.index.knn_query(rows, k=LIMIT, num_threads=1)[0]


class Faiss(Adapter):
    package = "faiss-cpu"

    def make(self, faiss):
        return faiss.IndexHNSWFlat(self.dim, M, faiss.METRIC_INNER_PRODUCT)

    def build(self):
        import faiss
        faiss.omp_set_num_threads(1)
        self.index = self.make(faiss)
        self.index.hnsw.efConstruction = EF_CONSTRUCT
        if not self.index.is_trained:
            self.index.train(self.vectors[:20000])
        self.index.add(self.vectors)

    def prepare(self, mode, ef):
        self.index.hnsw.efSearch = ef

    def search(self, row):
        return self.index.search(row[None], LIMIT)[1][0]

    def batch(self, rows):
        return self.index.search(rows, LIMIT)[1]


class FaissSq8(Faiss):
    def make(self, faiss):
        return faiss.IndexHNSWSQ(self.dim, faiss.ScalarQuantizer.QT_8bit, M,
                                 faiss.METRIC_INNER_PRODUCT)


class Svs(Adapter):
    """Its quantized kinds (LVQ, LeanVec) refuse processors that are not Intel's."""
    package = "scalable-vs"

    def build(self):
        import svs
        settings = svs.VamanaBuildParameters(
            alpha=0.95, graph_max_degree=2 * M, window_size=EF_CONSTRUCT,
            max_candidate_pool_size=500)
        self.index = svs.Vamana.build(settings, self.vectors, svs.DistanceType.MIP,
                                      num_threads=1)
        self.index.num_threads = 1

    def prepare(self, mode, ef):
        self.index.search_window_size = ef

    def search(self, row):
        return self.index.search(row[None], LIMIT)[0][0]

    def batch(self, rows):
        return self.index.search(rows, LIMIT)[0]


class Usearch(Adapter):
    package = "usearch"
    dtype = "f32"

    def build(self):
        from usearch.index import Index
        self.index = Index(ndim=self.dim, metric="cos", dtype=self.dtype, connectivity=M,
                           expansion_add=EF_CONSTRUCT)
        self.index.add(numpy.arange(self.count, dtype="<u8"), self.vectors, threads=1)

    def prepare(self, mode, ef):
        self.index.expansion_search = ef

    def search(self, row):
        return self.index.search(row, LIMIT, threads=1).keys

    def batch(self, rows):
        return self.index.search(rows, LIMIT, threads=1).keys


class UsearchI8(Usearch):
    dtype = "i8"


class Voyager(Adapter):
    package = "voyager"

    def build(self):
        import voyager
        self.index = voyager.Index(voyager.Space.Cosine, self.dim, M=M,
                                   ef_construction=EF_CONSTRUCT, max_elements=self.count)
        self.index.add_items(self.vectors, num_threads=1)

    def search(self, row):
        return self.index.query(row, k=LIMIT, query_ef=self.ef)[0]

    def batch(self, rows):
        return self.index.query(rows, k=LIMIT, query_ef=self.ef, num_threads=1)[0]


class Alaya(Adapter):
    package = "alayalite"
    settings = {}

    def build(self):
        import alayalite
        self.client = alayalite.Client()
        self.index = self.client.create_index(name="i", metric="cos", max_nbrs=2 * M,
                                              capacity=self.count + 16, **self.settings)
        self.index.fit(self.vectors, ef_construction=EF_CONSTRUCT, num_threads=1)

    def search(self, row):
        return self.index.search(row, LIMIT, ef_search=self.ef)

    def batch(self, rows):
        return self.index.batch_search(rows, LIMIT, ef_search=self.ef, num_threads=1)


class AlayaSq8(Alaya):
    settings = {"quantization_type": "sq8"}


class Zvec(Adapter):
    package = "zvec"
    quantize = None

    def build(self):
        import zvec
        self.zvec = zvec
        zvec.init(log_level=zvec.LogLevel.ERROR, query_threads=1, optimize_threads=1)
        kind = {"quantize_type": getattr(zvec.QuantizeType, self.quantize)} if self.quantize else {}
        index = zvec.HnswIndexParam(metric_type=zvec.MetricType.COSINE, m=M,
                                    ef_construction=EF_CONSTRUCT, **kind)
        schema = zvec.CollectionSchema(name="c", fields=[], vectors=zvec.VectorSchema(
            "v", zvec.DataType.VECTOR_FP32, self.dim, index_param=index))
        self.index = zvec.create_and_open(path=os.path.join(self.directory, "c"), schema=schema)
        for first in range(0, self.count, 500):
            self.index.insert([zvec.Doc(id=str(i), vectors={"v": self.vectors[i].tolist()})
                               for i in range(first, min(first + 500, self.count))])
        self.index.optimize(option=zvec.OptimizeOption(concurrency=1))
        self.index.flush()

    def convert(self, row):
        return row.tolist()

    def search(self, row):
        query = self.zvec.Query(field_name="v", vector=row,
                                param=self.zvec.HnswQueryParam(ef=self.ef))
        found = self.index.query(query, topk=LIMIT, output_fields=[], include_vector=False)
        return [int(point.id) for point in found]


class ZvecInt8(Zvec):
    quantize = "INT8"


class QdrantEdge(Adapter):
    package = "qdrant-edge-py"

    def quantization(self, edge):
        return {}

    def config(self, edge):
        return edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(
                size=self.dim, distance=edge.Distance.Cosine, on_disk=False,
                hnsw_config=edge.HnswIndexConfig(
                    m=M, ef_construct=EF_CONSTRUCT, full_scan_threshold=10000,
                    max_indexing_threads=1, on_disk=False), **self.quantization(edge)),
            on_disk_payload=False,
            optimizers=edge.EdgeOptimizersConfig(indexing_threshold=100, default_segment_number=1,
                                                 max_segment_size=100000000))

    def build(self):
        import qdrant_edge as edge
        self.edge = edge
        path = os.path.join(self.directory, "shard")
        os.makedirs(path)
        self.index = edge.EdgeShard.create(path, self.config(edge))
        for first in range(0, self.count, 1000):
            self.index.update(edge.UpdateOperation.upsert_points([
                edge.Point(i, self.vectors[i].tolist(), {})
                for i in range(first, min(first + 1000, self.count))]))
        self.index.optimize()
        self.index.flush()

    def prepare(self, mode, ef):
        self.params = self.edge.SearchParams(hnsw_ef=ef, exact=False)

    def convert(self, row):
        return row.tolist()

    def search(self, row):
        edge = self.edge
        found = self.index.query(edge.QueryRequest(
            query=edge.Query.Nearest(row), limit=LIMIT, params=self.params,
            with_vector=False, with_payload=False))
        return [point.id for point in found]


class QdrantEdgeSq8(QdrantEdge):
    modes = ("", "rescore")

    def quantization(self, edge):
        return {"quantization_config": edge.ScalarQuantizationConfig(
            type=edge.ScalarType.Int8, always_ram=True)}

    def prepare(self, mode, ef):
        rescore = {"quantization": self.edge.QuantizationSearchParams(
            ignore=False, rescore=True, oversampling=2.0)} if mode else {}
        self.params = self.edge.SearchParams(hnsw_ef=ef, exact=False, **rescore)


ADAPTERS = {
    "octant": Octant, "octant-avx2": OctantAvx2, "octant-int8": OctantInt8,
    "octant-binary": OctantBinary,
    "hnswlib": Hnswlib, "faiss": Faiss, "faiss-sq8": FaissSq8,
    "svs": Svs,
    "usearch": Usearch, "usearch-i8": UsearchI8, "voyager": Voyager,
    "alaya": Alaya, "alaya-sq8": AlayaSq8, "zvec": Zvec, "zvec-int8": ZvecInt8,
    "qdrant-edge": QdrantEdge, "qdrant-edge-sq8": QdrantEdgeSq8,
}
# Walk on float vectors only: the f32 HNSW peers of the goals, and those that walk on codes.
F32 = ("hnswlib", "faiss", "usearch", "voyager", "alaya", "zvec", "qdrant-edge")
