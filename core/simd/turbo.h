/* SPDX-License-Identifier: Apache-2.0
 *
 * turbo.h - rows of the datatype turbo4: 4 bits a component of the rotated vector, and its length.
 *
 * A vector is rotated (rotation.h; not for Manhattan, whose distances a rotation changes), each
 * component is rounded to the nearest of 16 levels made for the normal distribution, and a scale
 * keeps the length. The stored form, in memory and in the log, is the floats scale * level of the
 * rotated vector; distances between stored forms and rotated queries are those between the vectors
 * themselves, so nothing is rotated back but what is shown. Scales have 14 significant bits and
 * levels 7, so that these products are exact: floats and row are the same numbers, to the bit.
 *
 * Rounding what is shown again gives the same stored form: the components of a shown vector lie on
 * the levels but for the errors of floats, and are recognized by that.
 *
 * A row: u32 the bits of the scale, then a byte for two components, the first one in the low bits.
 * Any codes are valid; a scale is 0 or within 2^-120 .. 2^121, the low 10 bits of its float 0. */
#ifndef OCTANT_SIMD_TURBO_H
#define OCTANT_SIMD_TURBO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "octant/types.h"

size_t oct_turbo_row_bytes(size_t n);

/* A finite vector of n components (of length one or 0 for Cosine) to its stored form, in place. A
 * length that no scale can keep becomes 0 or the largest. */
void oct_turbo_round(oct_metric metric, float *values, uint32_t n);
/* The same without rounding: how a query is compared with stored forms. */
void oct_turbo_turn(oct_metric metric, float *values, uint32_t n);
/* A stored form to the vector that is shown for it, in place. */
void oct_turbo_restore(oct_metric metric, float *values, uint32_t n);

/* A stored form to its row. Other floats are rounded to one first. */
void oct_turbo_encode(const float *values, uint32_t n, void *row);
/* Components [at, at + count) of a row, at even. With a scale that none can be: zeros. */
void oct_turbo_decode(const void *row, size_t at, size_t count, float *values);
/* Can the row be one? */
bool oct_turbo_is_sound(const void *row);

#endif
