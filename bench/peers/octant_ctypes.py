# SPDX-License-Identifier: Apache-2.0
"""octant_ctypes.py - liboctant.so (octant/octant.h, octant/native.h) from Python.

The structs here must match the headers. A search is one C call: the request struct is kept and only
the pointer of its vectors changes, hits are read through a numpy view of the C array, so that what
a loop in Python measures is the library and one foreign call, as with the peers' own modules.
"""
import ctypes
import json

import numpy

MESSAGE_BYTES = 1024


class Str(ctypes.Structure):
    _fields_ = [("at", ctypes.c_char_p), ("bytes", ctypes.c_size_t)]

    @classmethod
    def of(cls, text):
        raw = text.encode()
        return cls(raw, len(raw))


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("os_code", ctypes.c_int),
                ("message", ctypes.c_char * MESSAGE_BYTES)]


class OpenOptions(ctypes.Structure):
    _fields_ = [("read_only", ctypes.c_bool), ("wal_sync", ctypes.c_int),
                ("isa", ctypes.c_char_p), ("memory_bytes_max", ctypes.c_uint64),
                ("appendable_points_max", ctypes.c_uint32),
                ("appendable_bytes_max", ctypes.c_uint64),
                ("maintain_slice_ms", ctypes.c_uint32)]


class CallRequest(ctypes.Structure):
    _fields_ = [("verb", ctypes.c_char_p), ("path", Str), ("body", Str),
                ("floats", ctypes.c_void_p), ("float_count", ctypes.c_size_t),
                ("tag_big_integers", ctypes.c_bool)]


class Reply(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("http_status", ctypes.c_int),
                ("content_type", ctypes.c_char_p), ("body", ctypes.c_void_p),
                ("body_bytes", ctypes.c_size_t), ("body_capacity", ctypes.c_size_t)]


class SearchRequest(ctypes.Structure):
    _fields_ = [("collection", Str), ("using_vector", Str), ("vectors", ctypes.c_void_p),
                ("vector_count", ctypes.c_uint32), ("dim", ctypes.c_uint32),
                ("limit", ctypes.c_uint32), ("hnsw_ef", ctypes.c_uint32),
                ("exact", ctypes.c_bool), ("options", Str), ("indices", ctypes.c_void_p)]


class PointId(ctypes.Structure):
    _fields_ = [("high", ctypes.c_uint64), ("low", ctypes.c_uint64), ("is_uuid", ctypes.c_bool)]


class Hit(ctypes.Structure):
    _fields_ = [("id", PointId), ("score", ctypes.c_float)]


class OctantError(Exception):
    pass


class Database:
    """A database in a directory. isa: a kernel set by name, None for the best there is."""

    def __init__(self, library, directory, threads=1, isa=None):
        self._lib = ctypes.CDLL(library)
        self._lib.oct_native_db.restype = ctypes.c_void_p
        self._lib.oct_call.restype = None
        self._lib.oct_version.restype = ctypes.c_char_p
        self.version = self._lib.oct_version().decode()
        self._error = Error()
        self._native = ctypes.c_void_p()
        self._db = None
        options = OpenOptions(isa=isa.encode() if isa else None)
        self._check(self._lib.oct_native_open(
            directory.encode(), ctypes.byref(options), ctypes.c_uint32(threads),
            ctypes.byref(self._native), ctypes.byref(self._error)))
        self._db = ctypes.c_void_p(self._lib.oct_native_db(self._native))

    def _check(self, status):
        if status != 0:
            raise OctantError(self._error.message.decode())

    def call(self, verb, path, body=None, floats=None):
        """One request of the REST API, body a text or a value; the result of its reply. floats: the
        bulk lane."""
        request = CallRequest(verb=verb.encode(), path=Str.of(path),
                              body=Str.of(body if isinstance(body, str) else
                                          "" if body is None else json.dumps(body)))
        if floats is not None:
            request.floats, request.float_count = floats.ctypes.data, floats.size
        reply = Reply()
        self._lib.oct_call(self._db, ctypes.byref(request), ctypes.byref(reply))
        text = ctypes.string_at(reply.body, reply.body_bytes).decode() if reply.body else ""
        self._lib.oct_reply_free(self._db, ctypes.byref(reply))
        if reply.status != 0:
            raise OctantError(text)
        return json.loads(text)["result"]

    def maintain(self):
        """Seal, index and merge until nothing is left to do."""
        more = ctypes.c_bool(True)
        while more.value:
            self._check(self._lib.oct_maintain(self._db, ctypes.c_uint32(1000),
                                               ctypes.byref(more), ctypes.byref(self._error)))

    def searcher(self, collection, dim, limit, count=1, **members):
        """A function from float32 rows [count][dim] to a numpy array of ids [count][limit]. With
        fewer hits than `limit` the rest of a row is what was there before; see last_counts."""
        options = json.dumps(members.pop("options")) if "options" in members else ""
        self._request = request = SearchRequest(
            collection=Str.of(collection), using_vector=Str.of(""), vector_count=count, dim=dim,
            limit=limit, options=Str.of(options), **members)
        hits = (Hit * (limit * count))()
        counts = (ctypes.c_uint32 * count)()
        ids = numpy.frombuffer(hits, numpy.dtype({
            "names": ["low"], "formats": ["<u8"], "offsets": [Hit.id.offset + PointId.low.offset],
            "itemsize": ctypes.sizeof(Hit)}))["low"].reshape(count, limit)
        self.last_counts = numpy.frombuffer(counts, "<u4")
        function = self._lib.oct_search
        arguments = (self._db, ctypes.byref(request), hits, counts, ctypes.byref(self._error))

        def search(rows):
            request.vectors = rows.__array_interface__["data"][0]
            if function(*arguments) != 0:
                raise OctantError(self._error.message.decode())
            return ids.copy()
        return search

    def sparse_searcher(self, collection, using, limit):
        """A function from uint32 dimensions and float32 values to [(id, score)], best first."""
        request = SearchRequest(collection=Str.of(collection), using_vector=Str.of(using),
                                vector_count=1, limit=limit)
        hits = (Hit * limit)()
        counts = (ctypes.c_uint32 * 1)()
        self._sparse_request = request
        function = self._lib.oct_search
        arguments = (self._db, ctypes.byref(request), hits, counts, ctypes.byref(self._error))

        def search(dimensions, values):
            request.dim = len(values)
            request.indices = dimensions.__array_interface__["data"][0]
            request.vectors = values.__array_interface__["data"][0]
            if function(*arguments) != 0:
                raise OctantError(self._error.message.decode())
            return [(hit.id.low, hit.score) for hit in hits[:counts[0]]]
        return search

    def close(self):
        self._lib.oct_native_close(self._native)
        self._native, self._db = None, None
