# SPDX-License-Identifier: Apache-2.0
# wasi.cmake - toolchain: Debian's clang-19 and wasi-libc make WASI preview 1 programs.
#
# The triple is wasm32-wasi: Debian's compiler runtime stands under that name only. Linking is
# done with -O0, because at other levels clang runs any wasm-opt it finds on the PATH over the
# result, and an old one leaves no file and no error; the code is already optimised by then.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(OCT_WASI ON)

set(CMAKE_C_COMPILER clang-19)
set(CMAKE_C_COMPILER_TARGET wasm32-wasi)
set(CMAKE_AR llvm-ar-19)
set(CMAKE_RANLIB llvm-ranlib-19)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
add_link_options(-fuse-ld=/usr/bin/wasm-ld-19 -O0)

# ctest starts programs with this; "." is the directory the test runs in.
include("${CMAKE_CURRENT_LIST_DIR}/cache.cmake")
set(CMAKE_CROSSCOMPILING_EMULATOR "${OCT_TOOLS}/bin/wasmtime;--dir;.")
