/* SPDX-License-Identifier: Apache-2.0
 *
 * vec_scalar.h - the portable instruction set: a register is one number. Runs everywhere and is
 * the meaning the others are tested against. */
#ifndef OCTANT_SIMD_VEC_SCALAR_H
#define OCTANT_SIMD_VEC_SCALAR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_ISA scalar
enum { VF_LANES = 1, VF_ROWS = 1, VI_BYTES = 1 };
#define UNROLL  /* 32 sums of one lane do not fit registers; rolled loops the compiler vectorizes  \
                 */
typedef float vf;
typedef int32_t vi;

static inline vf vf_zero(void)
{
    return 0.0f;
}
static inline vf vf_load(const float *p)
{
    return *p;
}
static inline vf vf_load_once(const float *p)
{
    return vf_load(p);
}
/* A part of one lane is no lane: never called, but the kernels name it. */
static inline vf vf_load_part(const float *p, size_t count)
{
    return count ? *p : 0.0f;
}
static inline vf vf_add(vf a, vf b)
{
    return a + b;
}
static inline vf vf_sub(vf a, vf b)
{
    return a - b;
}
static inline vf vf_mul(vf a, vf b)
{
    return a * b;
}
static inline vf vf_abs(vf v)
{
    return v < 0.0f ? -v : v;
}
static inline float vf_fold(vf v)
{
    return v > -INFINITY ? v : -INFINITY;
}
static inline void vf_fold_x4(const vf v[4], float out[4])
{
    for (int i = 0; i < 4; i++)
        out[i] = vf_fold(v[i]);
}

static inline vi vi_zero(void)
{
    return 0;
}
static inline vi vi_add(vi a, vi b)
{
    return a + b;
}
static inline vi vi_dot(vi sum, const uint8_t *a, const int8_t *b)
{
    return sum + *a * *b;
}
static inline int32_t vi_sum(vi v)
{
    return v;
}

/* Bytes and packed codes (kernels_codes.inc.h). */
typedef uint8_t vb;
static inline vb vb_load(const uint8_t *p)
{
    return *p;
}
static inline vb vb_load_part(const uint8_t *p, size_t count)
{
    return count ? *p : 0;
}
static inline vb vb_table(const int8_t table[16])
{
    return (uint8_t)table[0];
}
static inline vb vb_field(vb v, int shift, uint8_t mask)
{
    return (uint8_t)(v >> shift & mask);
}
static inline vi vi_lookup_dot(vi sum, vb a, vb index, vb first, const int8_t table[16])
{
    (void)first; /* the other sets keep the table in a register */
    return sum + a * table[index];
}
typedef uint8_t vq;
typedef int32_t vn;
static inline vq vq_load(const uint8_t *p)
{
    return *p;
}
static inline vn vn_zero(void)
{
    return 0;
}
static inline vn vn_dot(vn sum, vq low, vq high, vb row)
{
    return sum + low * (row & 15) + high * (row >> 4);
}
static inline vi vi_widen(vi sum, vn v)
{
    return sum + v;
}
static inline vi vi_l1(vi sum, vb a, vb b)
{
    return sum + (a < b ? b - a : a - b);
}
static inline vi vi_hamming(vi sum, vb a, vb b)
{
    return sum + __builtin_popcount(a ^ b);
}

#endif
