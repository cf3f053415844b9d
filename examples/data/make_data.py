#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_data.py - cut this folder's files out of the full collection: make_data.py SOURCE_FOLDER.

SOURCE_FOLDER holds vectors.f32 and payload.jsonl (100,000 points), queries.f32 and queries.jsonl
(500 held-out queries), all of 384 dimensions. The first POINTS and QUERIES rows are kept. Vectors
become 16-bit floats: half the bytes, and every program that reads them gets the same 32-bit
floats, since each half is exactly one of those. Of the payload only MEMBERS are kept.
"""
import array
import json
import os
import struct
import sys

DIMENSIONS = 384
POINTS = 10000
QUERIES = 100
MEMBERS = ["id", "name", "registry", "topic", "decile", "score", "price"]


def halves(path, rows):
    """The first `rows` rows of a file of little-endian 32-bit floats, as 16-bit floats."""
    count = rows * DIMENSIONS
    floats = array.array("f")
    with open(path, "rb") as file:
        floats.frombytes(file.read(4 * count))
    if len(floats) != count:
        sys.exit(f"make_data.py: {path}: {len(floats)} numbers, expected at least {count}")
    if sys.byteorder == "big":
        floats.byteswap()
    return struct.pack(f"<{count}e", *floats)


def records(path, rows):
    """The first `rows` lines of a JSON-lines file."""
    with open(path, encoding="utf-8") as file:
        found = [json.loads(line) for line, _ in zip(file, range(rows))]
    if len(found) != rows:
        sys.exit(f"make_data.py: {path}: {len(found)} lines, expected at least {rows}")
    return found


def lines(values):
    return "".join(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
                   for value in values).encode()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    source, target = sys.argv[1], os.path.dirname(os.path.abspath(__file__))
    payload = records(os.path.join(source, "payload.jsonl"), POINTS)
    queries = records(os.path.join(source, "queries.jsonl"), QUERIES)
    files = {
        "vectors.f16": halves(os.path.join(source, "vectors.f32"), POINTS),
        "payload.jsonl": lines({name: point[name] for name in MEMBERS} for point in payload),
        "queries.f16": halves(os.path.join(source, "queries.f32"), QUERIES),
        "queries.jsonl": lines({"text": f"{query['name']}: {query['summary']}"}
                               for query in queries),
    }
    for name, content in files.items():
        with open(os.path.join(target, name), "wb") as file:
            file.write(content)
        print(f"{name}: {len(content)} bytes")


main()
