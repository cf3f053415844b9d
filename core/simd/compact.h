/* SPDX-License-Identifier: Apache-2.0
 *
 * compact.h - rows of numbers in fewer bytes: the datatypes float16, uint8 and turbo4 of a vector.
 *
 * A vector of such a datatype is rounded to what it can hold when it comes in; from then on its
 * floats and its compact row are the same numbers, and a similarity computed from either has the
 * same bits, on every target. Rows are little-endian. */
#ifndef OCTANT_SIMD_COMPACT_H
#define OCTANT_SIMD_COMPACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "octant/types.h"
#include "simd/kernels.h"

/* Bytes of a row of n numbers. */
size_t oct_compact_row_bytes(oct_datatype datatype, size_t n);

/* Can a row be one, whatever its bytes? All can, but for turbo4. */
bool oct_compact_is_sound(oct_datatype datatype, const void *row);

/* Round finite numbers to what the datatype holds (octant/types.h says how), in place. Not turbo4:
 * oct_turbo_round. */
void oct_compact_round(oct_datatype datatype, float *values, size_t n);

/* Rounded numbers to a compact row, and back. float32 is a copy. */
void oct_compact_encode(oct_datatype datatype, const float *values, size_t n, void *row);
void oct_compact_decode(oct_datatype datatype, const void *row, size_t n, float *values);

/* The similarity of a query and a compact row of n numbers: oct_metric_similarity of the decoded
 * row, to the bit. With *square (else NULL) also the row's dot product with itself. */
float oct_compact_similarity(oct_metric metric, oct_datatype datatype, const float *query,
                             const void *row, size_t n, float *square);

/* One binary16 number. Exact, and rounded to the nearest even; beyond the range +-65504. */
float oct_half_decode(uint16_t half);
uint16_t oct_half_encode(float value);

#endif
