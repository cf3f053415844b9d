/* SPDX-License-Identifier: Apache-2.0
 *
 * rotation.h - a fixed random rotation of n dimensions: what makes the components of any vector
 * look like those of a random one, so that levels made for the normal distribution fit them.
 *
 * Three times random signs and a Walsh-Hadamard transform of the first p components, then signs and
 * one of the last p, p the largest power of two up to n: orthogonal for any n. Signs come from a
 * hash of a constant. + - * in one order: equal bits on all targets. Files depend on it. */
#ifndef OCTANT_SIMD_ROTATION_H
#define OCTANT_SIMD_ROTATION_H

#include <stddef.h>
#include <stdint.h>

/* Rotate n components, or undo it, in place. Sums of all components must not overflow. */
void oct_rotate(float *y, uint32_t n);
void oct_rotate_back(float *y, uint32_t n);

/* Divide by the length, unless that is 0; gives the length. Any finite vector. */
double oct_rotation_normalize(float *y, uint32_t n);

#endif
