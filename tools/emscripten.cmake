# SPDX-License-Identifier: Apache-2.0
# emscripten.cmake - toolchain: the Emscripten of tools/setup.sh, whose own file does the work.
# Its test programs run on the modern Node, because Node 20 can abort in long wasm runs.
include("${CMAKE_CURRENT_LIST_DIR}/cache.cmake")
set(NODE_JS_EXECUTABLE "${OCT_TOOLS}/node-24.21.0/bin/node" CACHE FILEPATH "runs the tests")
set(octant_emscripten "${OCT_TOOLS}/emscripten-3.1.69/usr/share/emscripten")
include("${octant_emscripten}/cmake/Modules/Platform/Emscripten.cmake")
