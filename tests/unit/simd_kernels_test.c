/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: every instruction set returns the bits that kernels.h promises: those of the 32-sum rule,
 * written out here once more in the plainest form, on every target.
 * Method: all runnable tables against that form over many dimensions, kinds of numbers and
 * alignments, in buffers that end where the vector ends (a sanitizer sees reads behind them); the
 * integer kernels against 64-bit sums; then hashes over fixed vectors that must equal constants,
 * which compares targets that never run in one process. */
#include <math.h>

#include "simd/cpu.h"
#include "simd/kernels.h"
#include "test.h"

enum { LANES = 32, BIG = 65536 };

typedef enum number_kind { PLAIN, DENORMAL, HUGE_NUMBERS, SIGNED_ZEROS, MIXED, KINDS } number_kind;
typedef enum operation { DOT, L2, L1, OPERATIONS } operation;

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t to_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float random_number(number_kind kind)
{
    uint32_t bits = (uint32_t)test_random();
    switch (kind) {
    case DENORMAL:
        return from_bits(bits & 0x807fffffu);
    case HUGE_NUMBERS:
        return from_bits((bits & 0x80ffffffu) | 0x7e000000u);
    case SIGNED_ZEROS:
        return bits % 3 ? from_bits(bits & 0x80000000u) : test_random_float();
    case MIXED:
        if ((bits >> 23 & 255) == 255) bits &= ~(1u << 23); /* finite, any exponent */
        return from_bits(bits);
    default:
        return test_random_float();
    }
}

static float term(operation what, float a, float b)
{
    if (what == DOT) return a * b;
    float difference = a - b;
    return what == L2 ? difference * difference : fabsf(difference);
}

/* The rule as kernels.inc.h states it. */
static float plain_sum(operation what, const float *a, const float *b, size_t n)
{
    float sums[LANES] = { 0 };
    for (size_t i = 0; i < n; i++)
        sums[i % LANES] += term(what, a[i], b[i]);
    for (size_t w = LANES / 2; w > 0; w /= 2) {
        for (size_t j = 0; j < w; j++)
            sums[j] += sums[j + w];
    }
    return isnan(sums[0]) ? -INFINITY : sums[0];
}

static float call(const oct_kernels *kernels, operation what, const float *a, const float *b,
                  size_t n)
{
    if (what == DOT) return kernels->dot_f32(a, b, n);
    return what == L2 ? kernels->l2_f32(a, b, n) : kernels->l1_f32(a, b, n);
}

static bool same_as_rule(const oct_kernels *kernels, const float *a, const float *b, size_t n)
{
    for (int what = 0; what < OPERATIONS; what++) {
        float got = call(kernels, (operation)what, a, b, n);
        float want = plain_sum((operation)what, a, b, n);
        if (to_bits(got) == to_bits(want)) continue;
        printf("%s operation %d, %zu dimensions: %a, expected %a\n", kernels->name, what, n,
               (double)got, (double)want);
        return false;
    }
    return true;
}

static void call_x4(const oct_kernels *kernels, operation what, const float *a,
                    const float *const b[4], size_t n, float out[4])
{
    if (what == DOT)
        kernels->dot_f32_x4(a, b, n, out);
    else if (what == L2)
        kernels->l2_f32_x4(a, b, n, out);
    else
        kernels->l1_f32_x4(a, b, n, out);
}

static bool four_same_as_one(const oct_kernels *kernels, const float *a, const float *const b[4],
                             size_t n)
{
    for (int what = 0; what < OPERATIONS; what++) {
        float out[4];
        call_x4(kernels, (operation)what, a, b, n, out);
        for (int r = 0; r < 4; r++) {
            float want = call(kernels, (operation)what, a, b[r], n);
            if (to_bits(out[r]) == to_bits(want)) continue;
            printf("%s operation %d, row %d of four, %zu dimensions: %a, expected %a\n",
                   kernels->name, what, r, n, (double)out[r], (double)want);
            return false;
        }
    }
    return true;
}

/* One dimension, one kind: five vectors, each in its own block so that its end is the block's end,
 * and beginning `skew` floats after an aligned address. */
static bool floats_agree(size_t n, number_kind kind, size_t skew)
{
    const oct_kernels *tables[OCT_KERNELS_MAX];
    size_t table_count = oct_kernels_list(tables, OCT_KERNELS_MAX);
    float *blocks[5];
    bool agree = true;
    for (int v = 0; v < 5; v++) {
        blocks[v] = malloc((n + skew) * sizeof(float));
        if (!blocks[v]) abort();
        for (size_t i = 0; i < n + skew; i++)
            blocks[v][i] = random_number(kind);
    }
    const float *const rows[4] = { blocks[1] + skew, blocks[2] + skew, blocks[3] + skew,
                                   blocks[4] + skew };
    for (size_t t = 0; t < table_count && agree; t++) {
        for (int r = 0; r < 4 && agree; r++)
            agree = same_as_rule(tables[t], blocks[0] + skew, rows[r], n);
        agree = agree && four_same_as_one(tables[t], blocks[0] + skew, rows, n);
    }
    for (int v = 0; v < 5; v++)
        free(blocks[v]);
    return agree;
}

TEST(every_table_follows_the_rule)
{
    static const size_t larger[] = { 384, 768, 1000, 1536, 4095, BIG - 1, BIG };
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t n = 1; n <= 300; n++)
            CHECK(floats_agree(n, (number_kind)kind, n % 4));
        for (size_t i = 0; i < sizeof larger / sizeof larger[0]; i++)
            CHECK(floats_agree(larger[i], (number_kind)kind, i % 4));
    }
}

TEST(scalar_is_close_to_the_true_sum)
{
    const oct_kernels *scalar = oct_kernels_select("scalar");
    CHECK(scalar != NULL);
    enum { N = 777 };
    float a[N], b[N];
    double sums[OPERATIONS] = { 0 };
    for (int i = 0; i < N; i++) {
        a[i] = test_random_float();
        b[i] = test_random_float();
        double difference = (double)a[i] - (double)b[i];
        sums[DOT] += (double)a[i] * (double)b[i];
        sums[L2] += difference * difference;
        sums[L1] += fabs(difference);
    }
    for (int what = 0; what < OPERATIONS; what++) {
        float got = call(scalar, (operation)what, a, b, N);
        CHECK(fabs((double)got - sums[what]) < 1e-4);
    }
}

TEST(sums_are_never_nan)
{
    const oct_kernels *tables[OCT_KERNELS_MAX];
    size_t table_count = oct_kernels_list(tables, OCT_KERNELS_MAX);
    float a[40], b[40];
    for (int i = 0; i < 40; i++) {
        a[i] = 3e38f;
        b[i] = i % 2 ? 3e38f : -3e38f;
    }
    for (size_t t = 0; t < table_count; t++) {
        CHECK(tables[t]->dot_f32(a, a, 40) == INFINITY);
        CHECK(tables[t]->dot_f32(a, b, 40) == -INFINITY);
        CHECK(tables[t]->dot_f32(a, b, 2) == -INFINITY);
        CHECK(tables[t]->l2_f32(a, b, 40) == INFINITY);
        CHECK(tables[t]->l1_f32(a, b, 40) == INFINITY);
        const float *const rows[4] = { a, b, b + 1, a + 1 };
        float out[4];
        tables[t]->dot_f32_x4(a, rows, 39, out);
        CHECK(out[0] == INFINITY && out[1] == -INFINITY);
        CHECK(out[2] == -INFINITY && out[3] == INFINITY);
        CHECK(to_bits(tables[t]->dot_f32(a, b, 0)) == 0);
        CHECK(to_bits(tables[t]->l2_f32(a, b, 0)) == 0);
    }
}

static int64_t plain_dot(const uint8_t *a, const int8_t *b, size_t n)
{
    int64_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += (int64_t)a[i] * b[i];
    return total;
}

/* `extreme` fills with the largest products, where 16-bit steps would saturate. */
static bool integers_agree(size_t n, int extreme)
{
    const oct_kernels *tables[OCT_KERNELS_MAX];
    size_t table_count = oct_kernels_list(tables, OCT_KERNELS_MAX);
    uint8_t *a = malloc(n + 1);
    int8_t *rows[4];
    bool agree = true;
    if (!a) abort();
    for (size_t i = 0; i < n; i++)
        a[i + 1] = extreme ? 127 : (uint8_t)test_random_below(128);
    for (int r = 0; r < 4; r++) {
        rows[r] = malloc(n + 3);
        if (!rows[r]) abort();
        for (size_t i = 0; i < n + 3; i++)
            rows[r][i] = extreme ? (r % 2 ? -128 : 127) : (int8_t)(test_random_below(256) - 128u);
    }
    const int8_t *const b[4] = { rows[0] + 3, rows[1] + 3, rows[2] + 3, rows[3] + 3 };
    for (size_t t = 0; t < table_count && agree; t++) {
        int32_t out[4];
        tables[t]->dot_u7i8_x4(a + 1, b, n, out);
        for (int r = 0; r < 4; r++) {
            int64_t want = plain_dot(a + 1, b[r], n);
            agree = agree && out[r] == want && tables[t]->dot_u7i8(a + 1, b[r], n) == want;
        }
        if (!agree) printf("%s, %zu bytes\n", tables[t]->name, n);
    }
    for (int r = 0; r < 4; r++)
        free(rows[r]);
    free(a);
    return agree;
}

TEST(integer_dots_are_exact)
{
    for (int extreme = 0; extreme < 2; extreme++) {
        for (size_t n = 0; n <= 300; n++)
            CHECK(integers_agree(n, extreme));
        CHECK(integers_agree(384, extreme));
        CHECK(integers_agree(768, extreme));
        CHECK(integers_agree(1536, extreme));
        CHECK(integers_agree(BIG, extreme));
    }
}

static int64_t plain_nibbles(const uint8_t *a, const uint8_t *row, size_t n)
{
    int64_t total = 0;
    for (size_t k = 0; k < n; k++)
        total += a[k] * (row[k] % 16) + a[n + k] * (row[k] / 16);
    return total;
}

/* Rows of 4 bits; `extreme` fills two of them with the largest products, in blocks that end where
 * the vectors end. */
static bool nibbles_agree(size_t n, int extreme)
{
    const oct_kernels *tables[OCT_KERNELS_MAX];
    size_t table_count = oct_kernels_list(tables, OCT_KERNELS_MAX);
    uint8_t *a = malloc(2 * n + 1);
    int8_t *rows[4];
    bool agree = true;
    if (!a) abort();
    for (size_t i = 0; i < 2 * n; i++)
        a[i + 1] = extreme ? 127 : (uint8_t)test_random_below(128);
    for (int r = 0; r < 4; r++) {
        rows[r] = malloc(n + 3);
        if (!rows[r]) abort();
        for (size_t i = 0; i < n + 3; i++)
            rows[r][i] = (int8_t)(extreme && r % 2 ? -1 : (int)test_random_below(256) - 128);
    }
    const int8_t *const b[4] = { rows[0] + 3, rows[1] + 3, rows[2] + 3, rows[3] + 3 };
    for (size_t t = 0; t < table_count && agree; t++) {
        int32_t out[4];
        tables[t]->dot_u7u4_x4(a + 1, b, n, out);
        for (int r = 0; r < 4; r++) {
            int64_t want = plain_nibbles(a + 1, (const uint8_t *)b[r], n);
            agree = agree && out[r] == want && tables[t]->dot_u7u4(a + 1, b[r], n) == want;
        }
        if (!agree) printf("%s, %zu bytes\n", tables[t]->name, n);
    }
    for (int r = 0; r < 4; r++)
        free(rows[r]);
    free(a);
    return agree;
}

TEST(dots_of_nibbles_are_exact)
{
    for (int extreme = 0; extreme < 2; extreme++) {
        for (size_t n = 0; n <= 20 * OCT_PACKED_LINE; n += OCT_PACKED_LINE)
            CHECK(nibbles_agree(n, extreme));
        CHECK(nibbles_agree(BIG / 2, extreme));
    }
}

TEST(select_and_list_agree)
{
    const oct_kernels *tables[OCT_KERNELS_MAX];
    size_t count = oct_kernels_list(tables, OCT_KERNELS_MAX);
    CHECK(count >= 1 && count <= OCT_KERNELS_MAX);
    CHECK_EQ_STR(tables[0]->name, "scalar");
    for (size_t i = 0; i < count; i++)
        CHECK(oct_kernels_select(tables[i]->name) == tables[i]);
    CHECK(oct_kernels_select(NULL) == tables[count - 1]);
    CHECK(oct_kernels_select("") == tables[count - 1]);
    CHECK(oct_kernels_select("avx1024") == NULL);
    CHECK(oct_kernels_select("AVX2") == NULL);
    CHECK(oct_kernels_list(tables, 0) == 0);
    CHECK(oct_kernels_list(tables, 1) == 1);
    int foreign = (oct_kernels_select("neon") != NULL) + (oct_kernels_select("wasm128") != NULL) +
                  (oct_kernels_select("sse2") != NULL);
    CHECK(foreign <= 1); /* no build has tables of two kinds of CPU */
    CHECK(oct_cpu_keeps_denormals());
    printf("best here: %s of %zu\n", tables[count - 1]->name, count);
}

static uint32_t fixed_state;

static float fixed_number(void)
{
    fixed_state = fixed_state * 1664525u + 1013904223u;
    return (float)(fixed_state >> 8) / 8388608.0f - 1.0f;
}

/* FNV over the bits of all scores of 32 vectors against the first, with one table. */
static uint64_t hash_scores(const oct_kernels *kernels, size_t n)
{
    enum { ROWS = 32, N_MAX = 1536 };
    static float rows[ROWS][N_MAX];
    static uint8_t codes[ROWS][N_MAX];
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    fixed_state = (uint32_t)n;
    for (int r = 0; r < ROWS; r++) {
        for (size_t i = 0; i < n; i++) {
            rows[r][i] = fixed_number();
            codes[r][i] = (uint8_t)(fixed_state >> 25);
        }
    }
    for (int r = 0; r < ROWS; r++) {
        uint32_t scores[4];
        for (int what = 0; what < OPERATIONS; what++)
            scores[what] = to_bits(call(kernels, (operation)what, rows[0], rows[r], n));
        scores[3] = (uint32_t)kernels->dot_u7i8(codes[0], (const int8_t *)codes[r], n);
        for (int i = 0; i < 4; i++)
            hash = (hash ^ scores[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

TEST(same_bits_on_every_target)
{
    static const struct {
        size_t n;
        uint64_t hash;
    } known[] = {
        { 3, UINT64_C(0xcd643c492cdfb442) },   { 100, UINT64_C(0x25f83a006fdfddcd) },
        { 128, UINT64_C(0x1cc7f3f7cc3d32ac) }, { 333, UINT64_C(0xb2eeae8e9506ed53) },
        { 768, UINT64_C(0xeffce830d5d78d7d) }, { 1536, UINT64_C(0x7a3c63269f46cfab) },
    };
    const oct_kernels *tables[OCT_KERNELS_MAX];
    size_t count = oct_kernels_list(tables, OCT_KERNELS_MAX);
    for (size_t t = 0; t < count; t++) {
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
            CHECK_EQ_U64(hash_scores(tables[t], known[k].n), known[k].hash);
    }
}

TEST_MAIN(every_table_follows_the_rule, scalar_is_close_to_the_true_sum, sums_are_never_nan,
          integer_dots_are_exact, dots_of_nibbles_are_exact, select_and_list_agree,
          same_bits_on_every_target)
