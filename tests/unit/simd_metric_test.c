/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: similarities, shown scores, thresholds and normalisation are Qdrant's.
 * Method: small vectors worked out by hand, random ones against double arithmetic, and the
 * threshold's definition (s > T exactly when the score beats the threshold) tried on the sums
 * around the threshold's square, one float apart. */
#include <math.h>

#include "simd/metric.h"
#include "test.h"

static const oct_kernels *best(void)
{
    return oct_kernels_select(NULL);
}

TEST(similarity_and_score)
{
    const float a[3] = { 1, 2, 3 }, b[3] = { 4, -2, 1 };
    CHECK(oct_metric_similarity(best(), OCT_METRIC_DOT, a, b, 3) == 3.0f);
    CHECK(oct_metric_similarity(best(), OCT_METRIC_COSINE, a, b, 3) == 3.0f);
    CHECK(oct_metric_similarity(best(), OCT_METRIC_EUCLID, a, b, 3) == -29.0f);
    CHECK(oct_metric_similarity(best(), OCT_METRIC_MANHATTAN, a, b, 3) == -9.0f);
    CHECK(oct_metric_score(OCT_METRIC_DOT, 3.0f) == 3.0f);
    CHECK(oct_metric_score(OCT_METRIC_COSINE, -0.5f) == -0.5f);
    CHECK(oct_metric_score(OCT_METRIC_EUCLID, -16.0f) == 4.0f);
    CHECK(oct_metric_score(OCT_METRIC_MANHATTAN, -9.0f) == 9.0f);
    CHECK(oct_metric_descending(OCT_METRIC_COSINE) && oct_metric_descending(OCT_METRIC_DOT));
    CHECK(!oct_metric_descending(OCT_METRIC_EUCLID));
    CHECK(!oct_metric_descending(OCT_METRIC_MANHATTAN));
}

TEST(four_at_once_are_what_four_calls_give)
{
    enum { DIM = 45 };
    float vectors[5][DIM];
    for (int i = 0; i < 5 * DIM; i++)
        vectors[i / DIM][i % DIM] = test_random_float();
    memcpy(vectors[4], vectors[0], sizeof vectors[4]); /* a distance of +0 */
    const float *const rows[4] = { vectors[1], vectors[2], vectors[3], vectors[4] };
    for (int m = 0; m < OCT_METRIC_COUNT; m++) {
        float four[4], one[4];
        oct_metric_similarity_x4(best(), (oct_metric)m, vectors[0], rows, DIM, four);
        for (int r = 0; r < 4; r++)
            one[r] = oct_metric_similarity(best(), (oct_metric)m, vectors[0], rows[r], DIM);
        CHECK(memcmp(four, one, sizeof one) == 0);
    }
}

TEST(distance_to_itself_is_plus_zero)
{
    const float a[3] = { 1, 2, 3 };
    for (int m = 0; m < OCT_METRIC_COUNT; m++) {
        if (oct_metric_descending((oct_metric)m)) continue;
        float similarity = oct_metric_similarity(best(), (oct_metric)m, a, a, 3);
        CHECK(similarity == 0.0f && !signbit(similarity));
        float score = oct_metric_score((oct_metric)m, similarity);
        CHECK(score == 0.0f && !signbit(score));
    }
}

/* Whether a similarity passes by the threshold, and whether its score passes by Qdrant's rule. */
static bool agrees(oct_metric metric, float similarity, float threshold)
{
    float score = oct_metric_score(metric, similarity);
    bool want = oct_metric_descending(metric) ? score > threshold : score < threshold;
    bool got = similarity > oct_metric_threshold(metric, threshold);
    if (got == want) return true;
    printf("metric %d similarity %a score %a threshold %a\n", (int)metric, (double)similarity,
           (double)score, (double)threshold);
    return false;
}

TEST(threshold_is_exact)
{
    for (int i = 0; i < 20000; i++) {
        uint32_t bits = (uint32_t)(test_random() >> 33) % 0x7f800000u;
        float threshold;
        memcpy(&threshold, &bits, sizeof threshold);
        if (i % 2) threshold = test_random_float() * 8;
        float square = fminf(threshold * threshold, 0x1.fffffep127f);
        float manhattan = fabsf(threshold);
        for (int step = 0; step < 5; step++) { /* two floats below .. two above */
            square =
                step == 0 ? nextafterf(nextafterf(square, 0), 0) : nextafterf(square, INFINITY);
            manhattan = step == 0 ? nextafterf(nextafterf(manhattan, 0), 0)
                                  : nextafterf(manhattan, INFINITY);
            CHECK(agrees(OCT_METRIC_EUCLID, 0.0f - square, threshold));
            CHECK(agrees(OCT_METRIC_MANHATTAN, 0.0f - manhattan, threshold));
            CHECK(agrees(OCT_METRIC_DOT, manhattan, threshold));
            CHECK(agrees(OCT_METRIC_COSINE, -manhattan, threshold));
        }
    }
}

TEST(threshold_edges)
{
    static const float thresholds[] = { 0.0f,   -0.0f, -1.0f,      1e-45f,  1e-30f,
                                        1e-23f, 1.0f,  1.8446e19f, 3.4e38f, INFINITY };
    static const float sums[] = { 0.0f, 1e-45f, 1e-38f, 0.25f, 1.0f, 4.0f, 3.4e38f, INFINITY };
    for (size_t t = 0; t < sizeof thresholds / sizeof thresholds[0]; t++) {
        for (size_t s = 0; s < sizeof sums / sizeof sums[0]; s++) {
            CHECK(agrees(OCT_METRIC_EUCLID, 0.0f - sums[s], thresholds[t]));
            CHECK(agrees(OCT_METRIC_MANHATTAN, 0.0f - sums[s], thresholds[t]));
        }
    }
}

TEST(cosine_normalises)
{
    float v[4] = { 1, 2, 3, 4 };
    oct_metric_preprocess(best(), OCT_METRIC_COSINE, v, 4);
    for (int i = 0; i < 4; i++)
        CHECK(v[i] == (float)(i + 1) / sqrtf(30.0f));
    CHECK(v[0] == 0.18257418f);
}

TEST(cosine_leaves_zero_and_normalised_alone)
{
    static const float kept[][2] = { { 0, 0 },        { -0.0f, 0 },      { 3e-4f, 0 },     { 1, 0 },
                                     { 0.6f, -0.8f }, { 1.0000004f, 0 }, { 0.9999996f, 0 } };
    static const float changed[][2] = { { 4e-4f, 0 }, { 1.000002f, 0 }, { 0.999998f, 0 } };
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        float v[2] = { kept[i][0], kept[i][1] };
        oct_metric_preprocess(best(), OCT_METRIC_COSINE, v, 2);
        CHECK(memcmp(v, kept[i], sizeof v) == 0);
    }
    for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
        float v[2] = { changed[i][0], changed[i][1] };
        oct_metric_preprocess(best(), OCT_METRIC_COSINE, v, 2);
        CHECK(v[0] == 1.0f);
    }
}

TEST(cosine_of_random_vectors)
{
    enum { N = 300 };
    for (size_t n = 1; n <= N; n++) {
        float v[N], once[N], sizes = test_random_float() * 100;
        double length2 = 0, length2_after = 0;
        for (size_t i = 0; i < n; i++) {
            v[i] = once[i] = test_random_float() * sizes;
            length2 += (double)v[i] * (double)v[i];
        }
        if (length2 < 1e-6) continue;
        oct_metric_preprocess(best(), OCT_METRIC_COSINE, once, n);
        for (size_t i = 0; i < n; i++) {
            length2_after += (double)once[i] * (double)once[i];
            CHECK(fabs((double)once[i] - (double)v[i] / sqrt(length2)) < 1e-6);
        }
        CHECK(fabs(length2_after - 1) < 1e-6);
        float twice[N];
        memcpy(twice, once, sizeof twice);
        oct_metric_preprocess(best(), OCT_METRIC_COSINE, twice, n);
        CHECK(memcmp(twice, once, n * sizeof twice[0]) == 0);
    }
}

TEST(other_metrics_are_not_preprocessed)
{
    const float before[3] = { 3, -4, 12 };
    for (int m = 0; m < OCT_METRIC_COUNT; m++) {
        if (m == OCT_METRIC_COSINE) continue;
        float v[3] = { 3, -4, 12 };
        oct_metric_preprocess(best(), (oct_metric)m, v, 3);
        CHECK(memcmp(v, before, sizeof v) == 0);
    }
}

TEST_MAIN(similarity_and_score, four_at_once_are_what_four_calls_give,
          distance_to_itself_is_plus_zero, threshold_is_exact, threshold_edges, cosine_normalises,
          cosine_leaves_zero_and_normalised_alone, cosine_of_random_vectors,
          other_metrics_are_not_preprocessed)
