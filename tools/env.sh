# SPDX-License-Identifier: Apache-2.0
# env.sh - where tools/setup.sh puts things; source it: `. tools/env.sh` (any POSIX shell).
#
# OCTANT_TOOLS       the cache of big tools, outside the checkout, shared by all clones
# OCTANT_EMSCRIPTEN  prefix of Emscripten; its bin/ (emcc, emcmake) is put on the PATH
# OCTANT_NODE        a Node >= 22, for long wasm runs (Node 20 can abort in them)
# OCTANT_PYTHON      the Python with qdrant-client (stage python) and the peers of stage bench
# OCTANT_PEERS       the npm packages of stage bench
# OCTANT_CLANG_FORMAT  the clang-format that decides how C looks (stage format)
# OCTANT_WASMTIME    runs a WASI program: "$OCTANT_WASMTIME" --dir . program.wasm arguments
OCTANT_TOOLS=${OCTANT_TOOLS:-$HOME/.cache/octant-tools}
OCTANT_EMSCRIPTEN=$OCTANT_TOOLS/emscripten-3.1.69
OCTANT_NODE=$OCTANT_TOOLS/node-24.21.0/bin/node
OCTANT_PYTHON=$OCTANT_TOOLS/venv/bin/python
OCTANT_CLANG_FORMAT=$OCTANT_TOOLS/venv/bin/clang-format
OCTANT_PEERS=$OCTANT_TOOLS/peers-npm
OCTANT_WASMTIME=$OCTANT_TOOLS/bin/wasmtime
export OCTANT_TOOLS OCTANT_EMSCRIPTEN OCTANT_NODE OCTANT_PYTHON OCTANT_PEERS OCTANT_WASMTIME
export OCTANT_CLANG_FORMAT
case ":$PATH:" in
*":$OCTANT_EMSCRIPTEN/bin:"*) ;;
*) PATH=$OCTANT_EMSCRIPTEN/bin:$PATH ;;
esac
export PATH
