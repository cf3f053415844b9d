/* SPDX-License-Identifier: Apache-2.0
 * kernels_wasm128.c - the kernels for wasm, compiled with -msimd128. */
#include "simd/vec_wasm128.h"

#include "simd/kernels.inc.h"
