/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: codes are what codes.h says, their scores are exact, and they rank like the floats.
 * Method: rows, biases and scores against the definitions in plain 64-bit arithmetic; the fitted
 * limit against a sorted quantile; recall of the true nearest among the best by code; hostile
 * parameters for restore; and a hash over fixed vectors that must be equal on every target. */
#include <float.h>
#include <math.h>

#include "simd/codes.h"
#include "simd/metric.h"
#include "test.h"

enum { DIM = 96, POINTS = 2000 };
static const oct_metric METRICS[] = { OCT_METRIC_COSINE, OCT_METRIC_DOT, OCT_METRIC_EUCLID };

static float points[POINTS][DIM];

static const float *point_at(void *self, uint32_t index)
{
    return (const float *)self + (size_t)index * DIM;
}

static oct_codes_source source_of(uint32_t count)
{
    return (oct_codes_source){ .vector = point_at, .self = points, .count = count };
}

/* Sums of uniforms: bell-shaped, as embeddings mostly are; one component in 500 `larger` times. */
static void fill_points(oct_metric metric, float larger)
{
    for (int p = 0; p < POINTS; p++) {
        for (int i = 0; i < DIM; i++) {
            float x = test_random_float() + test_random_float() + test_random_float();
            points[p][i] = test_random_below(500) == 0 ? larger * x : x;
        }
        oct_metric_preprocess(oct_kernels_select(NULL), metric, points[p], DIM);
    }
}

static int magnitude_order(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

TEST(fit_finds_the_quantile)
{
    static float magnitudes[POINTS * DIM];
    fill_points(OCT_METRIC_DOT, 1);
    for (int i = 0; i < POINTS * DIM; i++)
        magnitudes[i] = fabsf(points[i / DIM][i % DIM]);
    qsort(magnitudes, POINTS * DIM, sizeof magnitudes[0], magnitude_order);
    float quantile = magnitudes[POINTS * DIM - POINTS * DIM / 500 - 1];
    oct_codes codes;
    oct_codes_source source = source_of(POINTS);
    oct_codes_fit(&codes, OCT_METRIC_DOT, DIM, &source);
    float limit = codes.scale * 63;
    CHECK(limit >= quantile * 0.9999f && limit <= quantile * 1.004f);
    CHECK(codes.dim == DIM && codes.row_bytes == 128 && codes.metric == OCT_METRIC_DOT);
}

/* The squared error of coding and decoding all points with this clip limit. */
static double coding_error(float limit)
{
    oct_codes codes;
    uint8_t row[128];
    double error = 0;
    if (oct_codes_restore(OCT_METRIC_DOT, DIM, limit / 63, &codes, NULL) != OCT_OK) return INFINITY;
    for (int p = 0; p < POINTS; p++) {
        oct_codes_encode(&codes, points[p], row);
        for (int i = 0; i < DIM; i++) {
            double lost = (double)points[p][i] - (double)codes.scale * (row[i] - 64);
            error += lost * lost;
        }
    }
    return error;
}

TEST(fit_makes_room_for_large_components)
{
    for (int larger = 2; larger <= 32; larger *= 2) {
        fill_points(OCT_METRIC_DOT, (float)larger);
        oct_codes codes;
        oct_codes_source source = source_of(POINTS);
        oct_codes_fit(&codes, OCT_METRIC_DOT, DIM, &source);
        double fitted = coding_error(codes.scale * 63);
        for (float limit = 2; limit < 100; limit *= 1.1f)
            CHECK(coding_error(limit) > 0.8 * fitted);
    }
}

TEST(fit_of_degenerate_sets)
{
    static const float values[] = { 0.0f, 1e-45f, -1e-38f, FLT_MAX, -FLT_MAX };
    uint8_t row[128];
    for (size_t v = 0; v <= sizeof values / sizeof values[0]; v++) {
        bool empty = v == sizeof values / sizeof values[0];
        for (int i = 0; i < DIM; i++)
            points[0][i] = empty ? 0 : values[v];
        oct_codes codes, again;
        oct_codes_source source = source_of(empty ? 0 : 1);
        oct_codes_fit(&codes, OCT_METRIC_EUCLID, DIM, &source);
        CHECK(codes.scale > 0 && isfinite(codes.scale));
        CHECK(oct_codes_restore(OCT_METRIC_EUCLID, DIM, codes.scale, &again, NULL) == OCT_OK);
        oct_codes_encode(&codes, points[0], row);
        int want = empty || fabsf(values[v]) < 1e-30f ? 64 : values[v] > 0 ? 127 : 1;
        for (int i = 0; i < DIM; i++)
            CHECK(row[i] == want);
    }
}

TEST(restore_gives_the_same_space_and_rejects_damage)
{
    fill_points(OCT_METRIC_DOT, 1);
    oct_codes codes, again;
    oct_error error;
    oct_codes_source source = source_of(POINTS);
    oct_codes_fit(&codes, OCT_METRIC_DOT, DIM, &source);
    CHECK(oct_codes_restore(OCT_METRIC_DOT, DIM, codes.scale, &again, &error) == OCT_OK);
    CHECK(again.scale == codes.scale && again.row_bytes == codes.row_bytes);
    CHECK(again.dim == codes.dim && again.metric == codes.metric);
    static const float scales[] = { 0.0f, -0.0f, -1.0f, 1e-45f, 1e-35f, FLT_MAX, INFINITY, NAN };
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++)
        CHECK(oct_codes_restore(OCT_METRIC_DOT, DIM, scales[i], &again, &error) == OCT_CORRUPT);
    CHECK(oct_codes_restore(OCT_METRIC_MANHATTAN, DIM, 1, &again, &error) == OCT_CORRUPT);
    CHECK(oct_codes_restore((oct_metric)99, DIM, 1, &again, &error) == OCT_CORRUPT);
    CHECK(oct_codes_restore(OCT_METRIC_DOT, 0, 1, &again, &error) == OCT_CORRUPT);
    CHECK(oct_codes_restore(OCT_METRIC_DOT, 65537, 1, &again, &error) == OCT_CORRUPT);
    CHECK(!oct_codes_supports(OCT_METRIC_MANHATTAN) && oct_codes_supports(OCT_METRIC_EUCLID));
}

TEST(row_bytes_round_up)
{
    CHECK(oct_codes_row_bytes(1) == 64 && oct_codes_row_bytes(64) == 64);
    CHECK(oct_codes_row_bytes(65) == 128 && oct_codes_row_bytes(65536) == 65536);
}

TEST(packed_bytes_round_up)
{
    CHECK(oct_codes_packed_bytes(1) == 64 && oct_codes_packed_bytes(128) == 64);
    CHECK(oct_codes_packed_bytes(129) == 128 && oct_codes_packed_bytes(65536) == 32768);
    for (uint32_t dim = 1; dim < 1000; dim++)
        CHECK(oct_codes_packed_bytes(dim) <= oct_codes_row_bytes(dim));
}

TEST(steps_are_rounded_and_clipped)
{
    static const float x[] = { 0,    0.49f, 0.51f, -0.49f, -0.51f, 62.4f, 62.6f,
                               63.f, 64.f,  1e38f, -1e38f, -62.6f, -63.f, -0.0f };
    static const int step[] = { 0, 0, 1, 0, -1, 62, 63, 63, 63, 63, -63, -63, -63, 0 };
    enum { N = sizeof x / sizeof x[0] };
    oct_codes codes;
    uint8_t row[64];
    memset(row, 0xee, sizeof row);
    CHECK(oct_codes_restore(OCT_METRIC_EUCLID, N, 1.0f, &codes, NULL) == OCT_OK);
    int32_t bias = oct_codes_encode(&codes, x, row);
    int32_t sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        CHECK_EQ_I64(row[i], step[i] + 64);
        sum += step[i];
        squares += step[i] * step[i];
    }
    for (size_t i = N; i < sizeof row; i++)
        CHECK(row[i] == 0);
    CHECK_EQ_I64(bias, -64 * sum - squares / 2);
}

/* The symmetric score from its definition. */
static int64_t plain_score(const oct_codes *codes, const uint8_t *a, const uint8_t *b)
{
    int64_t product = 0, squares_a = 0, squares_b = 0;
    for (uint32_t i = 0; i < codes->dim; i++) {
        int64_t q = a[i] - 64, r = b[i] - 64;
        product += q * r;
        squares_a += q * q;
        squares_b += r * r;
    }
    if (codes->metric == OCT_METRIC_EUCLID) product -= squares_a / 2 + squares_b / 2;
    return product + (int64_t)4096 * codes->dim;
}

TEST(scores_are_exact_and_symmetric)
{
    const oct_kernels *tables[OCT_KERNELS_MAX];
    size_t table_count = oct_kernels_list(tables, OCT_KERNELS_MAX);
    uint8_t a[128], b[128];
    for (size_t m = 0; m < 3; m++) {
        fill_points(METRICS[m], 6);
        oct_codes codes;
        oct_codes_source source = source_of(POINTS);
        oct_codes_fit(&codes, METRICS[m], DIM, &source);
        for (int p = 1; p < POINTS; p++) {
            int32_t bias_a = oct_codes_encode_query(&codes, points[p - 1], a);
            int32_t bias_b = oct_codes_encode(&codes, points[p], b);
            for (size_t t = 0; t < table_count; t++) {
                int32_t ab = oct_codes_score(&codes, tables[t], a, b, bias_b) + bias_a;
                int32_t ba = oct_codes_score(&codes, tables[t], b, a, bias_a) + bias_b;
                CHECK_EQ_I64(ab, plain_score(&codes, a, b));
                CHECK_EQ_I64(ab, ba);
            }
        }
    }
}

/* What a packed row's score is over one step, from its definition, but for what is the query's
 * alone and for rounding down. */
static double plain_packed_score(const oct_codes *codes, const oct_codes_packing *packing,
                                 const uint8_t *query, const uint8_t *row)
{
    double score = 0, step = packing->step;
    for (uint32_t i = 0; i < codes->dim; i++) {
        double q = query[i] - 64, r = row[i] - 64, middle = packing->middles[i] - 64;
        double v = fmin(fmax(floor((r - middle) / step + 8), 0), 15);
        double s = (v - 7.5) * step + middle;
        score += q * s + (r + middle) / 2 * (r - s) - q * middle + q * step / 2 * 15;
        if (codes->metric == OCT_METRIC_EUCLID) score -= r * r / 2;
    }
    return score / step;
}

/* Over widths whose rows are padded and aren't, in place as well. */
TEST(packed_scores_are_exact)
{
    static const uint32_t dims[] = { 1, 64, 65, 128, 130, 191, 192, 200, 256, 384, 500 };
    enum { ROW = 512 };
    const oct_kernels *tables[OCT_KERNELS_MAX];
    size_t table_count = oct_kernels_list(tables, OCT_KERNELS_MAX);
    for (uint32_t m = 0; m < 16 * sizeof dims / sizeof dims[0]; m++) {
        uint8_t query[ROW] = { 0 }, row[ROW] = { 0 }, packed[ROW] = { 0 }, middles[ROW];
        float x[ROW];
        oct_codes codes;
        uint32_t dim = dims[m / 16];
        const oct_codes_packing packing = { m % OCT_CODES_STEP_MAX + 1, middles };
        CHECK(oct_codes_restore(METRICS[m % 3], dim, 1.0f / 63, &codes, NULL) == OCT_OK);
        for (int r = 0; r < 2; r++) {
            for (uint32_t i = 0; i < dim; i++) {
                x[i] = test_random_float() * 1.2f;
                middles[i] = (uint8_t)(1 + test_random_below(127));
            }
            oct_codes_encode(&codes, x, r ? row : query);
        }
        double want = plain_packed_score(&codes, &packing, query, row);
        int32_t bias = oct_codes_pack(&codes, &packing, row, packed);
        CHECK(oct_codes_pack(&codes, &packing, row, row) == bias);
        CHECK(memcmp(row, packed, oct_codes_packed_bytes(dim)) == 0);
        const int8_t *const b[4] = { (int8_t *)packed, (int8_t *)packed, (int8_t *)packed,
                                     (int8_t *)packed };
        for (size_t t = 0; t < table_count; t++) {
            int32_t dots[4];
            tables[t]->dot_u7u4_x4(query, b, oct_codes_packed_bytes(dim), dots);
            CHECK(fabs(dots[0] + bias - want) <= 1.0);
            CHECK(dots[1] == dots[0] && dots[2] == dots[0] && dots[3] == dots[0]);
        }
    }
}

TEST(packing_fits_the_spread)
{
    uint32_t counts[256] = { 0 };
    CHECK(oct_codes_fit_packing(counts) > 0); /* nothing is lost of nothing */
    for (int d = -31; d <= 31; d++)
        counts[d + 128] = 100;
    CHECK_EQ_U64(oct_codes_fit_packing(counts), 4);
    for (int d = -127; d <= 127; d++)
        counts[d + 128] = 100;
    CHECK_EQ_U64(oct_codes_fit_packing(counts), 16);
    counts[128] = 1000000; /* most of them in the middle: no step fits both */
    CHECK_EQ_U64(oct_codes_fit_packing(counts), 0);
}

/* All components at the ends of the interval in the largest dimension: the range of int32. */
TEST(scores_of_the_largest_vectors)
{
    enum { N = 65536 };
    static float ends[2][N];
    static uint8_t rows[2][N];
    for (size_t m = 0; m < 3; m++) {
        int32_t bias[2];
        oct_codes codes;
        CHECK(oct_codes_restore(METRICS[m], N, 1.0f, &codes, NULL) == OCT_OK);
        for (int e = 0; e < 2; e++) {
            for (int i = 0; i < N; i++)
                ends[e][i] = e ? 1000.0f : -1000.0f;
            bias[e] = oct_codes_encode(&codes, ends[e], rows[e]);
        }
        for (int e = 0; e < 4; e++) {
            const uint8_t *a = rows[e / 2], *b = rows[e % 2];
            int64_t dot = oct_kernels_select(NULL)->dot_u7i8(a, (const int8_t *)b, N);
            int64_t walk = dot + bias[e % 2];
            CHECK(walk <= INT32_MAX && walk >= INT32_MIN);
            CHECK_EQ_I64(walk + bias[e / 2], plain_score(&codes, a, b));
        }
    }
}

/* Scores estimate similarities: within what half a step in every component can do, for vectors
 * that are not clipped. */
TEST(similarity_is_estimated)
{
    uint8_t a[128], b[128];
    for (size_t m = 0; m < 3; m++) {
        oct_codes codes;
        CHECK(oct_codes_restore(METRICS[m], DIM, 1.0f / 63, &codes, NULL) == OCT_OK);
        for (int trial = 0; trial < 2000; trial++) {
            float x[DIM], y[DIM];
            double bound = (METRICS[m] == OCT_METRIC_EUCLID ? 2.0 : 0.0) / 63 / 63 + 1e-4;
            for (int i = 0; i < DIM; i++) {
                x[i] = test_random_float();
                y[i] = test_random_float();
                double size = METRICS[m] == OCT_METRIC_EUCLID
                                  ? 2 * fabs((double)x[i] - (double)y[i])
                                  : (fabs((double)x[i]) + fabs((double)y[i])) / 2;
                bound += size / 63 + 1.0 / 63 / 63;
            }
            const oct_kernels *kernels = oct_kernels_select(NULL);
            int32_t bias_a = oct_codes_encode_query(&codes, x, a);
            int32_t bias_b = oct_codes_encode(&codes, y, b);
            int32_t score = oct_codes_score(&codes, kernels, a, b, bias_b) + bias_a;
            double want = (double)oct_metric_similarity(kernels, METRICS[m], x, y, DIM);
            double got = (double)oct_codes_similarity(&codes, score);
            CHECK(fabs(got - want) <= bound);
        }
    }
}

typedef struct ranked {
    double score;
    int point;
} ranked;

static int best_first(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->point - y->point;
}

/* How many of the true 10 nearest of `query` are among the best 20 by walk score. */
static int found_of_ten(const oct_codes *codes, const uint8_t *rows, const int32_t *biases,
                        const float *query)
{
    static ranked exact[POINTS], coded[POINTS];
    uint8_t code[128];
    oct_codes_encode_query(codes, query, code);
    for (int p = 0; p < POINTS; p++) {
        float similarity =
            oct_metric_similarity(oct_kernels_select(NULL), codes->metric, query, points[p], DIM);
        exact[p] = (ranked){ (double)similarity, p };
        coded[p] = (ranked){ (double)oct_codes_score(codes, oct_kernels_select(NULL), code,
                                                     rows + p * 128, biases[p]),
                             p };
    }
    qsort(exact, POINTS, sizeof exact[0], best_first);
    qsort(coded, POINTS, sizeof coded[0], best_first);
    int found = 0;
    for (int i = 0; i < 10; i++) {
        for (int j = 0; j < 20; j++)
            found += exact[i].point == coded[j].point;
    }
    return found;
}

TEST(codes_rank_like_floats)
{
    static uint8_t rows[POINTS * 128];
    static int32_t biases[POINTS];
    for (size_t m = 0; m < 3; m++) {
        fill_points(METRICS[m], 6);
        oct_codes codes;
        oct_codes_source source = source_of(POINTS);
        oct_codes_fit(&codes, METRICS[m], DIM, &source);
        for (int p = 0; p < POINTS; p++)
            biases[p] = oct_codes_encode(&codes, points[p], rows + p * 128);
        int found = 0;
        enum { QUERIES = 50 };
        for (int q = 0; q < QUERIES; q++) {
            float query[DIM];
            for (int i = 0; i < DIM; i++)
                query[i] = test_random_float() + test_random_float() + test_random_float();
            oct_metric_preprocess(oct_kernels_select(NULL), METRICS[m], query, DIM);
            found += found_of_ten(&codes, rows, biases, query);
        }
        printf("metric %d: %d of %d true neighbours in the best 20 by code\n", (int)METRICS[m],
               found, 10 * QUERIES);
        CHECK(found >= 10 * QUERIES * 97 / 100);
    }
}

TEST(same_codes_on_every_target)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    uint8_t row[128];
    test_random_state = 7; /* not the seed: the hash is of these vectors */
    for (size_t m = 0; m < 3; m++) {
        fill_points(METRICS[m], 6);
        oct_codes codes;
        oct_codes_source source = source_of(POINTS);
        oct_codes_fit(&codes, METRICS[m], DIM, &source);
        for (int p = 0; p < POINTS; p++) {
            uint32_t bias = (uint32_t)oct_codes_encode(&codes, points[p], row);
            hash = (hash ^ bias) * UINT64_C(0x100000001b3);
            for (int i = 0; i < 128; i++)
                hash = (hash ^ row[i]) * UINT64_C(0x100000001b3);
        }
    }
    CHECK_EQ_U64(hash, UINT64_C(0xc6ec396ff894efa2));
}

TEST_MAIN(fit_finds_the_quantile, fit_makes_room_for_large_components, fit_of_degenerate_sets,
          restore_gives_the_same_space_and_rejects_damage, row_bytes_round_up,
          packed_bytes_round_up, steps_are_rounded_and_clipped, scores_are_exact_and_symmetric,
          packed_scores_are_exact, packing_fits_the_spread, scores_of_the_largest_vectors,
          similarity_is_estimated, codes_rank_like_floats, same_codes_on_every_target)
