#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh - all comparisons with peers, one after the other: `npm run bench:peers`.
#
#     OCTANT_DATA=FOLDER npm run bench:peers                # FOLDER/minilm: about an hour
#     OCTANT_DATA=FOLDER bash bench/peers/run.sh --points 20000 --rounds 3
#
# Installs and builds what is missing, then runs native.py, ../filters_peer.py, batches.py, wasm.mjs
# in Node and in Chromium, and growth.py. Options go to native.py; wasm.mjs has 20,000 points
# anyway. Tables are printed; they, the JSON lines and the plots are in build/bench.
set -euo pipefail
cd "$(dirname "$0")/../.."
data=${OCTANT_DATA:?is to name the folder that holds minilm/}/minilm
bash tools/setup.sh core wasm js browser bench
. tools/env.sh
mkdir -p build/logs
{
    cmake --preset release
    cmake --build --preset release -j 2 --target octant-shared bench-hnsw bench-filters
    cmake --preset wasm
    cmake --build --preset wasm -j 2 --target octant-wasm
    npm run build:js
} >build/logs/bench-peers.log 2>&1 || { tail -n 40 build/logs/bench-peers.log >&2; exit 1; }
"$OCTANT_PYTHON" bench/peers/native.py --data "$data" "$@"
rm -rf build/bench/filters # both databases, which filters_peer.py would use again
mkdir -p build/bench/filters
"$OCTANT_PYTHON" bench/filters_peer.py build/release/bench-filters "$data" build/bench/filters
"$OCTANT_PYTHON" bench/peers/batches.py --data "$data"
"$OCTANT_NODE" bench/peers/wasm.mjs --data "$data"
"$OCTANT_NODE" bench/peers/wasm.mjs --data "$data" --browser
"$OCTANT_PYTHON" bench/peers/growth.py --data "$data"
