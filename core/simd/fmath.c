/* SPDX-License-Identifier: Apache-2.0
 *
 * fmath.c - elementary functions from range reduction and Taylor series.
 *
 * Every function reduces its argument to a small interval, keeps the reduced value as a pair of
 * doubles hi + lo (106 bits), and sums a series whose truncation error is far below an ulp. The
 * coefficients are 1/n and 1/n!, so nothing here had to be fitted or copied. Pairs cost time (a
 * power takes about 200 ns) but make the error bounds short to argue, and nothing in the core
 * computes millions of these.
 *
 *   log   x = 2^k m, m in [sqrt 1/2, sqrt 2); with s = (m - 1) / (m + 1), |s| <= .172,
 *         log m = 2 atanh s = 2s (1 + z/3 + z^2/5 + ...), z = s^2. Pairs up to z^2/5, doubles
 *         behind: z^3 < 2^-15, so the whole is good to about 68 bits, which pow needs because
 *         y * log x reaches 745.
 *   exp   x = k log 2 + r, |r| <= .347; e^r = 1 + r + r^2 (1/2 + r/6 + ...) up to r^14.
 *   pow   exp(y log x) on pairs.
 *   sin   x = n pi/2 + r, |r| <= pi/4. The fraction of x * 2/pi comes from an integer product with
 *         1184 bits of 2/pi, of which the 224 that matter are used (those in front only add
 *         multiples of 4 quarter turns, those behind are below 2^-138). So r is exact to a pair
 *         even beside a multiple of pi/2, and one method serves every size.
 *
 * Rejected: tables (fewer terms, but data nobody can check by eye); Cody-Waite reduction (a second
 * path for large angles would be needed anyway); fma (see kernels.inc.h). */
#include "simd/fmath.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"

/* Wider intermediate results (x87) would change the bits and break two_sum. */
STATIC_ASSERT(__FLT_EVAL_METHOD__ == 0, "double arithmetic must round to double");

typedef struct pair { /* the unevaluated sum hi + lo, |lo| <= ulp(hi) / 2 */
    double hi, lo;
} pair;

#define QUIET_NAN     UINT64_C(0x7ff8000000000000)
#define INFINITY_BITS UINT64_C(0x7ff0000000000000)
#define FRACTION_BITS UINT64_C(0x000fffffffffffff)
#define ONE_BITS      UINT64_C(0x3ff0000000000000)
#define SIGN_BIT      (UINT64_C(1) << 63)

/* log 2 = LN2_HI + LN2_LO; LN2_HI has 42 bits, so k * LN2_HI is exact for |k| < 2^11. */
#define LN2_HI      0x1.62e42fefa3800p-1
#define LN2_LO      0x1.ef35793c76730p-45
#define INVERSE_LN2 0x1.71547652b82fep+0
#define SQRT2       0x1.6a09e667f3bcdp+0
#define PI_4        0x1.921fb54442d18p-1

static const pair THIRD = { 0x1.5555555555555p-2, 0x1.5555555555555p-56 };
static const pair FIFTH = { 0x1.999999999999ap-3, -0x1.999999999999ap-57 };
static const pair INVERSE_LN10 = { 0x1.bcb7b1526e50ep-2, 0x1.95355baaafad3p-57 };
static const pair PI_2 = { 0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54 };

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static bool is_nan(double x)
{
    return x != x;
}
static bool is_infinite(double x)
{
    return (bits_of(x) & ~SIGN_BIT) == INFINITY_BITS;
}
static double absolute(double x)
{
    return from_bits(bits_of(x) & ~SIGN_BIT);
}
static bool is_negative(double x)
{
    return bits_of(x) >> 63;
}

/* ---- pairs ------------------------------------------------------------------------------ */

/* a + b exactly, for |a| >= |b| or a == 0. */
static pair sum_ordered(double a, double b)
{
    double hi = a + b;
    return (pair){ hi, b - (hi - a) };
}

/* a + b exactly. */
static pair sum(double a, double b)
{
    double hi = a + b;
    double part = hi - a;
    return (pair){ hi, (a - (hi - part)) + (b - part) };
}

/* a * b exactly, by halves of 26 bits; |a|, |b| < 2^990 and no underflow, which callers see to. */
static pair product(double a, double b)
{
    const double halver = 0x1p27 + 1;
    double a_up = a * halver, b_up = b * halver;
    double a_hi = a_up - (a_up - a), b_hi = b_up - (b_up - b);
    double a_lo = a - a_hi, b_lo = b - b_hi;
    double hi = a * b;
    return (pair){ hi, ((a_hi * b_hi - hi) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo };
}

static pair pair_add(pair a, pair b)
{
    pair s = sum(a.hi, b.hi);
    return sum_ordered(s.hi, s.lo + (a.lo + b.lo));
}

static pair pair_multiply(pair a, pair b)
{
    pair p = product(a.hi, b.hi);
    return sum_ordered(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

/* a / b for a double a. */
static pair pair_divide(double a, pair b)
{
    double quotient = a / b.hi;
    pair back = product(quotient, b.hi);
    double rest = ((a - back.hi) - back.lo) - quotient * b.lo;
    return sum_ordered(quotient, rest / b.hi);
}

/* c[0] + x (c[1] + x (c[2] + ...)) */
static double polynomial(double x, const double *c, int count)
{
    double value = c[count - 1];
    for (int i = count - 2; i >= 0; i--)
        value = value * x + c[i];
    return value;
}

/* ---- logarithms ------------------------------------------------------------------------- */

/* log x to about 68 bits, for finite x > 0. */
static pair log_pair(double x)
{
    static const double tail[] = { 1.0 / 7,  1.0 / 9,  1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17,
                                   1.0 / 19, 1.0 / 21, 1.0 / 23, 1.0 / 25, 1.0 / 27 };
    int k = -1023;
    if (bits_of(x) < UINT64_C(1) << 52) {
        x *= 0x1p54; /* subnormal */
        k -= 54;
    }
    k += (int)(bits_of(x) >> 52);
    double m = from_bits((bits_of(x) & FRACTION_BITS) | ONE_BITS);
    if (m > SQRT2) {
        m *= 0.5;
        k++;
    }
    pair s = pair_divide(m - 1, sum(m, 1));
    pair z = pair_multiply(s, s);
    pair series = { polynomial(z.hi, tail, (int)ARRAY_COUNT(tail)), 0 };
    series = pair_add(FIFTH, pair_multiply(z, series));
    series = pair_add(THIRD, pair_multiply(z, series));
    series = pair_add((pair){ 1, 0 }, pair_multiply(z, series));
    pair log_m = pair_multiply((pair){ 2 * s.hi, 2 * s.lo }, series);
    pair result = sum(k * LN2_HI, log_m.hi);
    return sum_ordered(result.hi, result.lo + (log_m.lo + k * LN2_LO));
}

/* What any logarithm gives for x that is not positive and finite. */
static double log_special(double x)
{
    if (x == 0) return from_bits(INFINITY_BITS | SIGN_BIT);
    if (is_nan(x) || x < 0) return from_bits(QUIET_NAN);
    return x;
}

double oct_log(double x)
{
    if (!(x > 0) || is_infinite(x)) return log_special(x);
    return log_pair(x).hi;
}

double oct_log10(double x)
{
    if (!(x > 0) || is_infinite(x)) return log_special(x);
    return pair_multiply(log_pair(x), INVERSE_LN10).hi;
}

/* ---- exponential and power -------------------------------------------------------------- */

/* y * 2^k for y in [0.5, 2], rounded once more only when the result is subnormal. */
static double scale(double y, int k)
{
    if (k > 1023) return y * 0x1p1023 * from_bits((uint64_t)k << 52); /* 2^(k - 1023) */
    if (k >= -1022) return y * from_bits((uint64_t)(k + 1023) << 52);
    return y * from_bits((uint64_t)(k + 200 + 1023) << 52) * 0x1p-200;
}

/* e^(x.hi + x.lo) for any finite x. */
static double exp_pair(pair x)
{
    static const double series[] = { 1.0 / 2,          1.0 / 6,         1.0 / 24,
                                     1.0 / 120,        1.0 / 720,       1.0 / 5040,
                                     1.0 / 40320,      1.0 / 362880,    1.0 / 3628800,
                                     1.0 / 39916800,   1.0 / 479001600, 1.0 / 6227020800,
                                     1.0 / 87178291200 };
    if (x.hi > 710) return from_bits(INFINITY_BITS);
    if (x.hi < -746) return 0;
    int k = (int)(x.hi * INVERSE_LN2 + (x.hi < 0 ? -0.5 : 0.5));
    pair r = sum(x.hi, -(k * LN2_HI));
    r = sum_ordered(r.hi, r.lo + (x.lo - k * LN2_LO));
    double rest = r.hi * r.hi * polynomial(r.hi, series, (int)ARRAY_COUNT(series));
    pair y = sum_ordered(1, r.hi);
    return scale(y.hi + (y.lo + (rest + r.lo * (1 + r.hi))), k);
}

double oct_exp(double x)
{
    if (is_nan(x)) return from_bits(QUIET_NAN);
    if (is_infinite(x)) return x > 0 ? x : 0;
    return exp_pair((pair){ x, 0 });
}

typedef enum integer_kind { NOT_INTEGER, EVEN_INTEGER, ODD_INTEGER } integer_kind;

static integer_kind kind_of(double y)
{
    double magnitude = absolute(y);
    if (magnitude >= 0x1p53) return EVEN_INTEGER; /* infinity too, as Annex F has it */
    int64_t whole = (int64_t)magnitude;
    if ((double)whole != magnitude) return NOT_INTEGER;
    return whole % 2 ? ODD_INTEGER : EVEN_INTEGER;
}

/* |x|^y for x = 0 or infinite, or y infinite; |x| is not 1. */
static double power_special(double magnitude, double y)
{
    bool grows = magnitude > 1;
    return grows == (y > 0) ? from_bits(INFINITY_BITS) : 0;
}

double oct_pow(double x, double y)
{
    if (x == 1 || y == 0) return 1; /* even when the other is NaN */
    if (is_nan(x) || is_nan(y)) return from_bits(QUIET_NAN);
    double magnitude = absolute(x);
    integer_kind kind = kind_of(y);
    bool infinite = is_infinite(x) || is_infinite(y);
    if (x < 0 && kind == NOT_INTEGER && !infinite) return from_bits(QUIET_NAN);
    double result;
    if (magnitude == 1) {
        result = 1;
    } else if (magnitude == 0 || infinite) {
        result = power_special(magnitude, y);
    } else {
        /* Beyond 2^65 the power of any double but 1 has long over- or underflowed. */
        double bounded = y > 0x1p65 ? 0x1p65 : y < -0x1p65 ? -0x1p65 : y;
        result = exp_pair(pair_multiply(log_pair(magnitude), (pair){ bounded, 0 }));
    }
    return is_negative(x) && kind == ODD_INTEGER ? -result : result;
}

/* ---- sine and cosine -------------------------------------------------------------------- */

enum { WINDOW = 7, PRODUCT = WINDOW + 1, TWO_OVER_PI_ZEROS = 2 };

/* 2/pi in words of 32 bits behind the binary point, after two words of zeros in front of it. */
static const uint32_t TWO_OVER_PI[] = {
    0x00000000, 0x00000000, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041,
    0xfe5163ab, 0xdebbc561, 0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e,
    0xe88235f5, 0x2ebb4484, 0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b,
    0x1ff897ff, 0xde05980f, 0xef2f118b, 0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d,
    0x7527bac7, 0xebe5f17b, 0x3d0739f7, 0x8a5292ea, 0x6bfb5fb1, 0x1f8d5d08, 0x56033046,
};

/* x * 2/pi modulo 2^32 for x >= pi/4, as words of 32 bits, lowest first: word WINDOW is the integer
 * part, those below it are the fraction.
 *
 * x = mantissa * 2^e, and word i behind the point weighs 2^(-32 i). Where e - 32 i >= 2 the product
 * is a multiple of 4 and is skipped: the first word that matters is floor((e - 2) / 32) + 1. The
 * mantissa is shifted by e - 32 first + 32, which lies in 2..33, so that word 0 of the product
 * weighs 2^-224 whatever x is. */
static void multiply_by_two_over_pi(double x, uint32_t out[PRODUCT])
{
    int e = (int)(bits_of(x) >> 52) - 1075;
    int first = (e + 62) / 32 - 1; /* e >= -53, so the division does round down */
    int shift = e - 32 * first + 32;
    uint64_t mantissa = (bits_of(x) & FRACTION_BITS) | UINT64_C(1) << 52;
    uint64_t low = mantissa << shift;
    uint64_t factors[3] = { low & UINT32_MAX, low >> 32, mantissa >> (64 - shift) };
    const uint32_t *last = TWO_OVER_PI + TWO_OVER_PI_ZEROS - 1 + first + WINDOW - 1;
    memset(out, 0, PRODUCT * sizeof out[0]);
    for (int i = 0; i < 3; i++) {
        uint64_t carry = 0;
        for (int j = 0; i + j < PRODUCT; j++) {
            uint64_t word = j < WINDOW ? last[-j] : 0;
            uint64_t at = factors[i] * word + out[i + j] + carry;
            out[i + j] = (uint32_t)at;
            carry = at >> 32;
        }
    }
}

/* x = (4 n + quarter) * pi/2 + rest for finite x >= 0, |rest| <= pi/4. Returns quarter, 0..3. */
static unsigned reduce(double x, pair *rest)
{
    *rest = (pair){ x, 0 };
    if (x <= PI_4) return 0;
    uint32_t words[PRODUCT];
    multiply_by_two_over_pi(x, words);
    unsigned quarter = words[WINDOW];
    bool above_half = words[WINDOW - 1] >> 31;
    uint32_t flip = above_half ? UINT32_MAX : 0; /* 1 - fraction is ~fraction, up to 2^-224 */
    pair fraction = { 0, 0 };
    double weight = 0x1p-32;
    for (int i = WINDOW - 1; i >= 0; i--) {
        fraction = pair_add(fraction, (pair){ (double)(words[i] ^ flip) * weight, 0 });
        weight *= 0x1p-32;
    }
    *rest = pair_multiply(fraction, PI_2);
    if (above_half) *rest = (pair){ -rest->hi, -rest->lo };
    return (quarter + above_half) & 3;
}

/* Sine and cosine of r.hi + r.lo, |r| <= pi/4. */
static double sin_reduced(pair r)
{
    static const double series[] = {
        -1.0 / 6,        1.0 / 120,        -1.0 / 5040,          1.0 / 362880,
        -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000, 1.0 / 355687428096000
    };
    double z = r.hi * r.hi;
    double cubic = r.hi * z * polynomial(z, series, (int)ARRAY_COUNT(series));
    return r.hi + (cubic + r.lo * (1 - z / 2));
}

static double cos_reduced(pair r)
{
    static const double series[] = {
        1.0 / 24,        -1.0 / 720,         1.0 / 40320,          -1.0 / 3628800,
        1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000, -1.0 / 6402373705728000
    };
    double z = r.hi * r.hi;
    pair head = sum_ordered(1, -z / 2);
    double quartic = z * z * polynomial(z, series, (int)ARRAY_COUNT(series));
    return head.hi + (head.lo + (quartic - r.hi * r.lo));
}

double oct_sin(double x)
{
    if (is_nan(x) || is_infinite(x)) return from_bits(QUIET_NAN);
    if (absolute(x) < 0x1p-27) return x; /* x^3/6 is below half an ulp; keeps -0 */
    pair rest;
    unsigned quarter = reduce(absolute(x), &rest);
    double value = quarter % 2 ? cos_reduced(rest) : sin_reduced(rest);
    return is_negative(x) == (quarter >= 2) ? value : -value;
}

double oct_cos(double x)
{
    if (is_nan(x) || is_infinite(x)) return from_bits(QUIET_NAN);
    pair rest;
    unsigned quarter = reduce(absolute(x), &rest);
    double value = quarter % 2 ? sin_reduced(rest) : cos_reduced(rest);
    return quarter == 1 || quarter == 2 ? -value : value;
}
