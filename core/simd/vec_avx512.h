/* SPDX-License-Identifier: Apache-2.0
 *
 * vec_avx512.h - 512-bit registers with VNNI (Ice Lake, Zen 4 and later; the flags of this file
 * are F, BW, DQ, VL and VNNI). dpbusd adds four u8 * i8 products to an int32 without saturating. */
#ifndef OCTANT_SIMD_VEC_AVX512_H
#define OCTANT_SIMD_VEC_AVX512_H

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_ISA avx512
enum { VF_LANES = 16, VF_ROWS = 4, VI_BYTES = 64 };
typedef __m512 vf;
typedef __m512i vi;

static inline vf vf_zero(void)
{
    return _mm512_setzero_ps();
}
static inline vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
/* gcc would rather load twice than keep: the empty instruction hides where the value came from.
 * Worth a tenth of dot_f32_x4. */
static inline vf vf_load_once(const float *p)
{
    vf v = vf_load(p);
    __asm__("" : "+v"(v));
    return v;
}
static inline vf vf_load_part(const float *p, size_t count)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1u), p);
}
static inline vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
static inline vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
static inline vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
static inline vf vf_abs(vf v)
{
    return _mm512_abs_ps(v);
}
static inline float vf_fold(vf v)
{
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 w = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    w = _mm_add_ps(w, _mm_movehl_ps(w, w));
    w = _mm_add_ss(w, _mm_shuffle_ps(w, w, 1));
    return _mm_cvtss_f32(_mm_max_ss(w, _mm_set_ss(-INFINITY))); /* the second, when one is NaN */
}
/* Two registers of 16 sums, as four 128-bit parts each, folded into one. */
static inline vf vf_fold_halves(vf a, vf b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
}
static inline void vf_fold_x4(const vf v[4], float out[4])
{
    vf p = vf_fold_halves(v[0], v[1]), q = vf_fold_halves(v[2], v[3]);
    vf four = _mm512_add_ps(_mm512_shuffle_f32x4(p, q, 0x88), _mm512_shuffle_f32x4(p, q, 0xdd));
    four = _mm512_add_ps(four, _mm512_permute_ps(four, 0x4e));
    four = _mm512_add_ps(four, _mm512_permute_ps(four, 0xb1));
    __m128 w = _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, four));
    _mm_storeu_ps(out, _mm_max_ps(w, _mm_set1_ps(-INFINITY)));
}

static inline vi vi_zero(void)
{
    return _mm512_setzero_si512();
}
static inline vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}
static inline vi vi_dot(vi sum, const uint8_t *a, const int8_t *b)
{
    return _mm512_dpbusd_epi32(sum, _mm512_loadu_si512(a), _mm512_loadu_si512(b));
}
static inline int32_t vi_sum(vi v)
{
    return _mm512_reduce_add_epi32(v);
}

/* Bytes and packed codes (kernels_codes.inc.h). Bits are counted by shuffling a table of nibbles:
 * VPOPCNTDQ is missing on the first CPUs with VNNI, and rows are waited for anyway. */
typedef __m512i vb;
static inline vb vb_load(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}
static inline vb vb_load_part(const uint8_t *p, size_t count)
{
    return _mm512_maskz_loadu_epi8((UINT64_C(1) << count) - 1, p);
}
static inline vb vb_table(const int8_t table[16])
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)table));
}
static inline vb vb_field(vb v, int shift, uint8_t mask)
{
    __m512i down = _mm512_srl_epi16(v, _mm_cvtsi32_si128(shift));
    return _mm512_and_si512(down, _mm512_set1_epi8((char)mask));
}
static inline vi vi_lookup_dot(vi sum, vb a, vb index, vb first, const int8_t table[16])
{
    (void)table; /* it is in `first` */
    return _mm512_dpbusd_epi32(sum, a, _mm512_shuffle_epi8(first, index));
}
typedef __m512i vq;
typedef __m512i vn;
static inline vq vq_load(const uint8_t *p)
{
    return vb_load(p);
}
static inline vn vn_zero(void)
{
    return vi_zero();
}
static inline vn vn_dot(vn sum, vq low, vq high, vb row)
{
    sum = _mm512_dpbusd_epi32(sum, low, vb_field(row, 0, 15));
    return _mm512_dpbusd_epi32(sum, high, vb_field(row, 4, 15));
}
static inline vi vi_widen(vi sum, vn v)
{
    return vi_add(sum, v);
}
static inline vi vi_l1(vi sum, vb a, vb b)
{
    return vi_add(sum, _mm512_sad_epu8(a, b));
}
static inline vi vi_hamming(vi sum, vb a, vb b)
{
    static const int8_t bits[16] = { 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4 };
    __m512i v = _mm512_xor_si512(a, b);
    __m512i low = _mm512_shuffle_epi8(vb_table(bits), vb_field(v, 0, 15));
    __m512i high = _mm512_shuffle_epi8(vb_table(bits), vb_field(v, 4, 15));
    return _mm512_dpbusd_epi32(sum, _mm512_add_epi8(low, high), _mm512_set1_epi8(1));
}

#endif
