/* SPDX-License-Identifier: Apache-2.0
 *
 * vec_sse2.h - 128-bit registers of every x86-64 CPU. There is no byte multiply before SSSE3, so
 * bytes are widened to 16 bits: the u7 operand with zeros, the i8 operand with its sign. */
#ifndef OCTANT_SIMD_VEC_SSE2_H
#define OCTANT_SIMD_VEC_SSE2_H

#include <emmintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_ISA sse2
enum { VF_LANES = 4, VF_ROWS = 1, VI_BYTES = 16 };
typedef __m128 vf;
typedef __m128i vi;

static inline vf vf_zero(void)
{
    return _mm_setzero_ps();
}
static inline vf vf_load(const float *p)
{
    return _mm_loadu_ps(p);
}
static inline vf vf_load_once(const float *p)
{
    return vf_load(p);
}
static inline vf vf_load_part(const float *p, size_t count)
{
    if (count == 1) return _mm_load_ss(p);
    vf pair = _mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)(const void *)p));
    return count == 2 ? pair : _mm_movelh_ps(pair, _mm_load_ss(p + 2));
}
static inline vf vf_add(vf a, vf b)
{
    return _mm_add_ps(a, b);
}
static inline vf vf_sub(vf a, vf b)
{
    return _mm_sub_ps(a, b);
}
static inline vf vf_mul(vf a, vf b)
{
    return _mm_mul_ps(a, b);
}
static inline vf vf_abs(vf v)
{
    return _mm_andnot_ps(_mm_set1_ps(-0.0f), v);
}
static inline float vf_fold(vf v)
{
    v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    v = _mm_add_ss(v, _mm_shuffle_ps(v, v, 1));
    return _mm_cvtss_f32(_mm_max_ss(v, _mm_set_ss(-INFINITY))); /* the second, when one is NaN */
}
static inline void vf_fold_x4(const vf v[4], float out[4])
{
    vf p = _mm_add_ps(_mm_movelh_ps(v[0], v[1]), _mm_movehl_ps(v[1], v[0])); /* 0 0 1 1 */
    vf q = _mm_add_ps(_mm_movelh_ps(v[2], v[3]), _mm_movehl_ps(v[3], v[2])); /* 2 2 3 3 */
    p = _mm_add_ps(_mm_shuffle_ps(p, q, 0x88), _mm_shuffle_ps(p, q, 0xdd));
    _mm_storeu_ps(out, _mm_max_ps(p, _mm_set1_ps(-INFINITY)));
}

static inline vi vi_zero(void)
{
    return _mm_setzero_si128();
}
static inline vi vi_add(vi a, vi b)
{
    return _mm_add_epi32(a, b);
}
static inline vi vi_dot(vi sum, const uint8_t *a, const int8_t *b)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)a);
    __m128i y = _mm_loadu_si128((const __m128i *)(const void *)b);
    __m128i zero = _mm_setzero_si128();
    __m128i sign = _mm_cmpgt_epi8(zero, y);
    sum = vi_add(sum, _mm_madd_epi16(_mm_unpacklo_epi8(x, zero), _mm_unpacklo_epi8(y, sign)));
    return vi_add(sum, _mm_madd_epi16(_mm_unpackhi_epi8(x, zero), _mm_unpackhi_epi8(y, sign)));
}
static inline int32_t vi_sum(vi v)
{
    v = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(v, _mm_shuffle_epi32(v, 0xb1)));
}

/* Bytes and packed codes (kernels_codes.inc.h). There is no byte shuffle before SSSE3, so table
 * lookups go through memory. */
typedef __m128i vb;
static inline vb vb_load(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}
static inline vb vb_load_part(const uint8_t *p, size_t count)
{
    return count ? vb_load(p) : vi_zero();
}
static inline vb vb_table(const int8_t table[16])
{
    return _mm_loadu_si128((const __m128i *)(const void *)table);
}
static inline vb vb_field(vb v, int shift, uint8_t mask)
{
    return _mm_and_si128(_mm_srl_epi16(v, _mm_cvtsi32_si128(shift)), _mm_set1_epi8((char)mask));
}
static inline vi vi_lookup_dot(vi sum, vb a, vb index, vb first, const int8_t table[16])
{
    uint8_t places[16], bytes[16];
    int8_t values[16];
    (void)first;
    _mm_storeu_si128((__m128i *)(void *)places, index);
    _mm_storeu_si128((__m128i *)(void *)bytes, a);
    for (int i = 0; i < 16; i++)
        values[i] = table[places[i]];
    return vi_dot(sum, bytes, values);
}
/* Every second byte in a lane of 16 bits, so that nothing has to be widened. */
typedef struct vq {
    __m128i even, odd;
} vq;
typedef __m128i vn;
static inline vq vq_load(const uint8_t *p)
{
    vb v = vb_load(p);
    return (vq){ _mm_and_si128(v, _mm_set1_epi16(255)), _mm_srli_epi16(v, 8) };
}
static inline vn vn_zero(void)
{
    return _mm_setzero_si128();
}
static inline vn vn_dot(vn sum, vq low, vq high, vb row)
{
    const __m128i mask = _mm_set1_epi16(15);
    __m128i x = _mm_mullo_epi16(low.even, _mm_and_si128(row, mask));
    __m128i y = _mm_mullo_epi16(high.even, _mm_and_si128(_mm_srli_epi16(row, 4), mask));
    sum = _mm_add_epi16(sum, _mm_add_epi16(x, y));
    x = _mm_mullo_epi16(low.odd, _mm_and_si128(_mm_srli_epi16(row, 8), mask));
    y = _mm_mullo_epi16(high.odd, _mm_srli_epi16(row, 12));
    return _mm_add_epi16(sum, _mm_add_epi16(x, y));
}
static inline vi vi_widen(vi sum, vn v)
{
    return vi_add(sum, _mm_madd_epi16(v, _mm_set1_epi16(1)));
}
static inline vi vi_l1(vi sum, vb a, vb b)
{
    return vi_add(sum, _mm_sad_epu8(a, b));
}
static inline vi vi_hamming(vi sum, vb a, vb b)
{
    const __m128i ones = _mm_set1_epi8(0x55), pairs = _mm_set1_epi8(0x33);
    __m128i v = _mm_xor_si128(a, b);
    v = _mm_sub_epi8(v, _mm_and_si128(_mm_srli_epi16(v, 1), ones));
    v = _mm_add_epi8(_mm_and_si128(v, pairs), _mm_and_si128(_mm_srli_epi16(v, 2), pairs));
    v = _mm_and_si128(_mm_add_epi8(v, _mm_srli_epi16(v, 4)), _mm_set1_epi8(0x0f));
    return vi_add(sum, _mm_sad_epu8(v, _mm_setzero_si128()));
}

#endif
