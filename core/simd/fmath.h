/* SPDX-License-Identifier: Apache-2.0
 *
 * fmath.h - exponentials, logarithms, powers and circular functions with the same bits everywhere.
 *
 * The libm of each target rounds its own way, and a score that depends on it would differ between
 * server and browser; so the core calls none of libm's but sqrt, which IEEE 754 fixes. These are
 * made of + - * / and bit operations only. Error: below 1 ulp over the whole range of each
 * function, 2 ulp where the result is subnormal.
 *
 * Special values are those of C11 Annex F (infinities, signed zeros, domain errors). NaN results
 * are always the same quiet NaN, whatever NaN came in. errno and floating-point flags mean
 * nothing. All functions are pure and thread-safe; one call takes 10 to 230 ns. */
#ifndef OCTANT_SIMD_FMATH_H
#define OCTANT_SIMD_FMATH_H

double oct_exp(double x);
double oct_log(double x); /* natural; NaN for x < 0, -infinity for 0 */
double oct_log10(double x);
double oct_pow(double x, double y);
double oct_sin(double x); /* radians, of any size */
double oct_cos(double x);

#endif
