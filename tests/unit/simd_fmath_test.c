/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the elementary functions are accurate, right at the edges, and give the same bits on every
 * target and compiler.
 * Method: random arguments against libm's long double (which on some targets is only its double
 * function, hence the limit of 2 ulp where we are below 1); the special cases of C11 Annex F one
 * by one; and a hash over a fixed set of arguments that must equal a constant everywhere. */
#include <math.h>

#include "simd/fmath.h"
#include "test.h"

enum { TRIALS = 200000 };
#define ULP_MAX 2.0

static double from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t to_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double uniform(double from, double to)
{
    return from + (to - from) * ((double)(test_random() >> 11) * 0x1p-53);
}

/* Any bit pattern: all exponents, both signs, now and then infinity or NaN. */
static double any_double(void)
{
    return from_bits(test_random());
}

static double ulps(double got, long double want)
{
    double rounded = (double)want;
    if (isnan(rounded) || isnan(got)) return isnan(rounded) && isnan(got) ? 0 : INFINITY;
    if (isinf(rounded) || isinf(got)) return got == rounded ? 0 : INFINITY;
    double magnitude = fabs(rounded);
    double unit = nextafter(magnitude, INFINITY) - magnitude;
    if (isinf(unit)) unit = magnitude - nextafter(magnitude, 0);
    return (double)fabsl(((long double)got - want) / (long double)unit);
}

static bool near_enough(const char *name, double x, double got, long double want)
{
    double error = ulps(got, want);
    if (error <= ULP_MAX) return true;
    printf("%s(%a) = %a, %g ulp away\n", name, x, got, error);
    return false;
}

TEST(exp_is_accurate)
{
    for (int i = 0; i < TRIALS; i++) {
        double x = i % 3 == 0 ? uniform(-746, 710) : i % 3 == 1 ? uniform(-1, 1) : any_double();
        CHECK(near_enough("exp", x, oct_exp(x), expl((long double)x)));
    }
}

TEST(logarithms_are_accurate)
{
    for (int i = 0; i < TRIALS; i++) {
        double x = i % 3 == 0   ? any_double()
                   : i % 3 == 1 ? uniform(0.4, 2.5)
                                : 1 + uniform(-1e-6, 1e-6);
        CHECK(near_enough("log", x, oct_log(x), logl((long double)x)));
        CHECK(near_enough("log10", x, oct_log10(x), log10l((long double)x)));
    }
}

TEST(pow_is_accurate)
{
    for (int i = 0; i < TRIALS; i++) {
        double x = i % 3 == 0   ? any_double()
                   : i % 3 == 1 ? uniform(0, 50)
                                : 1 + uniform(-1e-3, 1e-3);
        double y = i % 3 == 0   ? uniform(-4, 4)
                   : i % 3 == 1 ? uniform(-100, 100)
                                : uniform(-1e5, 1e5);
        if (i % 7 == 0) y = floor(y);
        CHECK(near_enough("pow", x, oct_pow(x, y), powl((long double)x, (long double)y)));
    }
}

TEST(sin_and_cos_are_accurate)
{
    for (int i = 0; i < TRIALS; i++) {
        double x = i % 2 == 0 ? uniform(-10, 10) : uniform(-1e6, 1e6);
        CHECK(near_enough("sin", x, oct_sin(x), sinl((long double)x)));
        CHECK(near_enough("cos", x, oct_cos(x), cosl((long double)x)));
    }
}

/* Long double functions of x87 are poor for huge angles, so these go against the double ones. */
TEST(sin_and_cos_of_huge_angles)
{
    for (int i = 0; i < TRIALS; i++) {
        double x = any_double();
        CHECK(near_enough("sin", x, oct_sin(x), (long double)sin(x)));
        CHECK(near_enough("cos", x, oct_cos(x), (long double)cos(x)));
    }
    /* The doubles nearest to multiples of pi/2: what is left of pi, and the worst of all. */
    CHECK(oct_sin(0x1.921fb54442d18p+1) == 0x1.1a62633145c07p-53);
    CHECK(oct_cos(6381956970095103.0 * 0x1p797) == -0x1.14ae72e6ba22fp-61);
}

/* The angle of a whole turn and its parts, where the quarter changes. */
TEST(quarters_and_signs)
{
    for (int quarter = -8; quarter <= 8; quarter++) {
        double x = quarter * 1.5707963267948966 + 0.25;
        CHECK(near_enough("sin", x, oct_sin(x), sinl((long double)x)));
        CHECK(near_enough("cos", x, oct_cos(x), cosl((long double)x)));
        CHECK(to_bits(oct_sin(-x)) == to_bits(-oct_sin(x)));
        CHECK(to_bits(oct_cos(-x)) == to_bits(oct_cos(x)));
    }
}

static bool is_quiet_nan(double x)
{
    return to_bits(x) == UINT64_C(0x7ff8000000000000);
}
static bool same(double a, double b)
{
    return to_bits(a) == to_bits(b);
}

TEST(special_values_of_one_argument)
{
    const double infinity = (double)INFINITY, nan = (double)NAN;
    CHECK(same(oct_exp(0), 1) && same(oct_exp(-0.0), 1));
    CHECK(same(oct_exp(infinity), infinity) && same(oct_exp(-infinity), 0));
    CHECK(same(oct_exp(710), infinity) && same(oct_exp(-750), 0));
    CHECK(same(oct_exp(1e300), infinity) && same(oct_exp(-1e300), 0));
    CHECK(oct_exp(-745) > 0 && oct_exp(709.78) < infinity);
    CHECK(same(oct_log(0), -infinity) && same(oct_log(-0.0), -infinity));
    CHECK(same(oct_log(1), 0) && same(oct_log10(1), 0));
    CHECK(same(oct_log(infinity), infinity) && same(oct_log10(infinity), infinity));
    CHECK(is_quiet_nan(oct_log(-1)) && is_quiet_nan(oct_log10(-infinity)));
    CHECK(near_enough("log", 5e-324, oct_log(5e-324), logl((long double)5e-324)));
    CHECK(same(oct_sin(0), 0) && same(oct_sin(-0.0), -0.0) && same(oct_cos(-0.0), 1));
    CHECK(same(oct_sin(5e-324), 5e-324) && same(oct_cos(5e-324), 1));
    CHECK(is_quiet_nan(oct_sin(infinity)) && is_quiet_nan(oct_cos(-infinity)));
    CHECK(is_quiet_nan(oct_exp(-nan)) && is_quiet_nan(oct_log(nan)));
    CHECK(is_quiet_nan(oct_log10(-nan)) && is_quiet_nan(oct_sin(-nan)));
    CHECK(is_quiet_nan(oct_cos(nan)));
    double power = 1;
    for (int i = 0; i <= 22; i++, power *= 10)
        CHECK(same(oct_log10(power), i));
}

TEST(special_values_of_pow)
{
    const double infinity = (double)INFINITY, nan = (double)NAN;
    CHECK(same(oct_pow(nan, 0), 1) && same(oct_pow(1, nan), 1) && same(oct_pow(0, -0.0), 1));
    CHECK(is_quiet_nan(oct_pow(-nan, 1)) && is_quiet_nan(oct_pow(2, -nan)));
    CHECK(is_quiet_nan(oct_pow(-8, 1.0 / 3)) && is_quiet_nan(oct_pow(-1, 0.5)));
    CHECK(same(oct_pow(-2, 3), -8) && same(oct_pow(-2, 2), 4) && same(oct_pow(-2, -1), -0.5));
    CHECK(same(oct_pow(-1, infinity), 1) && same(oct_pow(-1, -infinity), 1));
    CHECK(same(oct_pow(0, 3), 0) && same(oct_pow(-0.0, 3), -0.0) && same(oct_pow(-0.0, 2), 0));
    CHECK(same(oct_pow(0, -1), infinity) && same(oct_pow(-0.0, -1), -infinity));
    CHECK(same(oct_pow(-0.0, -2), infinity) && same(oct_pow(-0.0, 0.5), 0));
    CHECK(same(oct_pow(infinity, 0.5), infinity) && same(oct_pow(infinity, -2), 0));
    CHECK(same(oct_pow(-infinity, 3), -infinity) && same(oct_pow(-infinity, 2), infinity));
    CHECK(same(oct_pow(-infinity, -3), -0.0) && same(oct_pow(-infinity, -0.5), 0));
    CHECK(same(oct_pow(0.5, infinity), 0) && same(oct_pow(0.5, -infinity), infinity));
    CHECK(same(oct_pow(-3, infinity), infinity) && same(oct_pow(-3, -infinity), 0));
    CHECK(same(oct_pow(2, 1024), infinity) && same(oct_pow(2, -1100), 0));
    CHECK(same(oct_pow(2, -1074), 5e-324) && same(oct_pow(-2, -1101), -0.0));
    CHECK(same(oct_pow(1 - 0x1p-53, 1e300), 0) && same(oct_pow(1 + 0x1p-52, 1e300), infinity));
    for (int i = -300; i <= 300; i++)
        CHECK(same(oct_pow(2, i), ldexp(1, i)));
}

/* Inputs from integers alone, so that they are the same everywhere whatever the seed. */
static uint64_t hash_state;

static double hashed_input(double from, double to)
{
    hash_state = hash_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return from + (to - from) * ((double)(hash_state >> 33) * 0x1p-31);
}

static void fnv(uint64_t *hash, double value)
{
    uint64_t bits = to_bits(value);
    for (int i = 0; i < 64; i += 8)
        *hash = (*hash ^ (bits >> i & 255)) * UINT64_C(0x100000001b3);
}

TEST(same_bits_on_every_target)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    hash_state = 1;
    for (int i = 0; i < 20000; i++) {
        fnv(&hash, oct_exp(hashed_input(-746, 711)));
        fnv(&hash, oct_log(hashed_input(0, 4)));
        fnv(&hash, oct_log(from_bits((hash_state ^ hash_state << 29) >> 1)));
        fnv(&hash, oct_log10(hashed_input(0, 1e6)));
        double base = hashed_input(0, 8); /* not inside the call, whose order is unspecified */
        fnv(&hash, oct_pow(base, hashed_input(-90, 90)));
        fnv(&hash, oct_sin(hashed_input(-7, 7)));
        fnv(&hash, oct_cos(hashed_input(-7, 7)));
        fnv(&hash, oct_sin(from_bits(hash_state ^ hash_state << 29)));
    }
    CHECK_EQ_U64(hash, UINT64_C(0x70da3c4586d15f09));
}

TEST_MAIN(exp_is_accurate, logarithms_are_accurate, pow_is_accurate, sin_and_cos_are_accurate,
          sin_and_cos_of_huge_angles, quarters_and_signs, special_values_of_one_argument,
          special_values_of_pow, same_bits_on_every_target)
