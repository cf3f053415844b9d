/* SPDX-License-Identifier: Apache-2.0
 *
 * vec_avx2.h - 256-bit registers. maddubs adds two u8 * i8 products in 16 bits with saturation;
 * with u7 operands the largest sum is 2 * 127 * 128 = 32512, so it never saturates. FMA exists on
 * every CPU with AVX2 but rounds differently from the other targets, so it is not used. */
#ifndef OCTANT_SIMD_VEC_AVX2_H
#define OCTANT_SIMD_VEC_AVX2_H

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_ISA avx2
enum { VF_LANES = 8, VF_ROWS = 2, VI_BYTES = 32 }; /* 2 rows * 4 sums leave 8 registers to work */
typedef __m256 vf;
typedef __m256i vi;

static inline vf vf_zero(void)
{
    return _mm256_setzero_ps();
}
static inline vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
/* gcc would rather load twice than keep: the empty instruction hides where the value came from.
 * Worth a tenth of dot_f32_x4. */
static inline vf vf_load_once(const float *p)
{
    vf v = vf_load(p);
    __asm__("" : "+x"(v));
    return v;
}
static inline vf vf_load_part(const float *p, size_t count)
{
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane));
}
static inline vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
static inline vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
static inline vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
static inline vf vf_abs(vf v)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
}
static inline float vf_fold(vf v)
{
    __m128 w = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    w = _mm_add_ps(w, _mm_movehl_ps(w, w));
    w = _mm_add_ss(w, _mm_shuffle_ps(w, w, 1));
    return _mm_cvtss_f32(_mm_max_ss(w, _mm_set_ss(-INFINITY))); /* the second, when one is NaN */
}
/* The sums of a and b folded once: four of a, four of b. */
static inline vf vf_fold_pair(vf a, vf b)
{
    return _mm256_add_ps(_mm256_blend_ps(a, b, 0xf0), _mm256_permute2f128_ps(a, b, 0x21));
}
static inline void vf_fold_x4(const vf v[4], float out[4])
{
    __m256d p = _mm256_castps_pd(vf_fold_pair(v[0], v[2]));
    __m256d q = _mm256_castps_pd(vf_fold_pair(v[1], v[3]));
    vf pairs = _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(p, q)),
                             _mm256_castpd_ps(_mm256_unpackhi_pd(p, q))); /* 0 0 1 1, 2 2 3 3 */
    __m128 low = _mm256_castps256_ps128(pairs), high = _mm256_extractf128_ps(pairs, 1);
    low = _mm_add_ps(_mm_shuffle_ps(low, high, 0x88), _mm_shuffle_ps(low, high, 0xdd));
    _mm_storeu_ps(out, _mm_max_ps(low, _mm_set1_ps(-INFINITY)));
}

static inline vi vi_zero(void)
{
    return _mm256_setzero_si256();
}
static inline vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}
static inline vi vi_dot(vi sum, const uint8_t *a, const int8_t *b)
{
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)a);
    __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)b);
    __m256i pairs = _mm256_maddubs_epi16(x, y);
    return vi_add(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
static inline int32_t vi_sum(vi v)
{
    __m128i w = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    w = _mm_add_epi32(w, _mm_shuffle_epi32(w, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(w, _mm_shuffle_epi32(w, 0xb1)));
}

/* Bytes and packed codes (kernels_codes.inc.h). */
typedef __m256i vb;
static inline vb vb_load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
static inline vb vb_load_part(const uint8_t *p, size_t count)
{
    __m256i low = _mm256_zextsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p));
    return count ? low : _mm256_setzero_si256();
}
static inline vb vb_table(const int8_t table[16])
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
}
static inline vb vb_field(vb v, int shift, uint8_t mask)
{
    __m256i down = _mm256_srl_epi16(v, _mm_cvtsi32_si128(shift));
    return _mm256_and_si256(down, _mm256_set1_epi8((char)mask));
}
static inline vi vi_lookup_dot(vi sum, vb a, vb index, vb first, const int8_t table[16])
{
    (void)table; /* it is in `first` */
    __m256i pairs = _mm256_maddubs_epi16(a, _mm256_shuffle_epi8(first, index));
    return vi_add(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
typedef __m256i vq;
typedef __m256i vn;
static inline vq vq_load(const uint8_t *p)
{
    return vb_load(p);
}
static inline vn vn_zero(void)
{
    return _mm256_setzero_si256();
}
static inline vn vn_dot(vn sum, vq low, vq high, vb row)
{
    __m256i x = _mm256_maddubs_epi16(low, vb_field(row, 0, 15));
    return _mm256_add_epi16(sum,
                            _mm256_add_epi16(x, _mm256_maddubs_epi16(high, vb_field(row, 4, 15))));
}
static inline vi vi_widen(vi sum, vn v)
{
    return vi_add(sum, _mm256_madd_epi16(v, _mm256_set1_epi16(1)));
}
static inline vi vi_l1(vi sum, vb a, vb b)
{
    return vi_add(sum, _mm256_sad_epu8(a, b));
}
static inline vi vi_hamming(vi sum, vb a, vb b)
{
    static const int8_t bits[16] = { 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4 };
    __m256i v = _mm256_xor_si256(a, b);
    __m256i low = _mm256_shuffle_epi8(vb_table(bits), vb_field(v, 0, 15));
    __m256i high = _mm256_shuffle_epi8(vb_table(bits), vb_field(v, 4, 15));
    return vi_add(sum, _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256()));
}

#endif
