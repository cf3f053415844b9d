/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels_relaxed.c - integer kernels with relaxed SIMD, as a WebAssembly module of their own.
 *
 * An engine that doesn't know these instructions refuses every module that contains them. So they
 * stand in this one, which imports the memory of the first and has neither data nor a stack of its
 * own; js/src/relaxed.ts puts its functions into the table of the first, whose core calls kernels
 * by pointer anyway and takes these when oct_kernels_adopt finds their answers right.
 *
 * Rejected: a second build of everything. It ran at the same speed (bench/README.md), and would
 * have doubled the package and its tests. Kernels of floats are not here: a relaxed multiply-add
 * rounds differently from engine to engine. */
#include "simd/vec_wasm128.h"

#include "simd/kernels.inc.h"

#define EXPORT(name) __attribute__((export_name(#name)))

EXPORT(dot_u7i8) int32_t oct_relaxed_dot_u7i8(const uint8_t *a, const int8_t *b, size_t n);
EXPORT(dot_u7i8_x4)
void oct_relaxed_dot_u7i8_x4(const uint8_t *a, const int8_t *const b[4], size_t n, int32_t out[4]);
EXPORT(dot_packed)
int32_t oct_relaxed_dot_packed(const uint8_t *a, const uint8_t *row, size_t n,
                               const oct_packing *packing);
EXPORT(dot_u7u4_x4)
void oct_relaxed_dot_u7u4_x4(const uint8_t *a, const int8_t *const b[4], size_t n, int32_t out[4]);

int32_t oct_relaxed_dot_u7i8(const uint8_t *a, const int8_t *b, size_t n)
{
    return dot_u7i8(a, b, n);
}

void oct_relaxed_dot_u7i8_x4(const uint8_t *a, const int8_t *const b[4], size_t n, int32_t out[4])
{
    dot_u7i8_x4(a, b, n, out);
}

int32_t oct_relaxed_dot_packed(const uint8_t *a, const uint8_t *row, size_t n,
                               const oct_packing *packing)
{
    return dot_packed(a, row, n, packing);
}

void oct_relaxed_dot_u7u4_x4(const uint8_t *a, const int8_t *const b[4], size_t n, int32_t out[4])
{
    dot_u7u4_x4(a, b, n, out);
}
