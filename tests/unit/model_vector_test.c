/* SPDX-License-Identifier: Apache-2.0 */
/* model_vector_test.c - which vectors a collection takes. */
#include "model/vector.h"

#include <math.h>

#include "model_support.h"

static const oct_vector_params params[] = {
    { .name = { "image", 5 }, .size = 2, .metric = OCT_METRIC_DOT },
    { .name = { "text", 4 }, .size = 4, .metric = OCT_METRIC_COSINE },
};
static const oct_collection_config config = { .vectors = params, .vector_count = 2 };
static const float values[] = { 1, -2, 3.5f, 0, 0 };

static void check(const oct_named_vector *vectors, uint32_t count, const char *message)
{
    oct_error error = { .message = "" };
    oct_status status = oct_vectors_check(&config, vectors, count, &error);
    CHECK_EQ_STR(error.message, message);
    CHECK_EQ_U64(status, *message ? OCT_BAD_INPUT : OCT_OK);
}

TEST(right_vectors_pass)
{
    const oct_named_vector vectors[] = { { OCT_STR("text"), values, 4 },
                                         { OCT_STR("image"), values, 2 } };
    uint32_t index;
    check(vectors, 2, "");
    check(vectors, 1, "");
    check(vectors, 0, "");
    CHECK(oct_vector_check(&config, OCT_STR("text"), values, 4, &index, NULL) == OCT_OK);
    CHECK_EQ_U64(index, 1);
}

TEST(wrong_dimensions_are_refused)
{
    const oct_named_vector shorter = { OCT_STR("text"), values, 3 };
    const oct_named_vector longer = { OCT_STR("text"), values, 5 };
    const oct_named_vector empty = { OCT_STR("text"), values, 0 };
    check(&shorter, 1, "Wrong input: Vector dimension error: expected dim: 4, got 3");
    check(&longer, 1, "Wrong input: Vector dimension error: expected dim: 4, got 5");
    check(&empty, 1, "Wrong input: Vector dimension error: expected dim: 4, got 0");
    CHECK(true);
}

TEST(unknown_names_are_refused)
{
    const oct_named_vector other = { OCT_STR("zz"), values, 4 };
    const oct_named_vector unnamed = { { NULL, 0 }, values, 4 };
    check(&other, 1, "Wrong input: Not existing vector name error: zz");
    check(&unnamed, 1, "Wrong input: Not existing vector name error: ");
    CHECK(true);
}

TEST(repeated_names_are_refused)
{
    const oct_named_vector vectors[] = { { OCT_STR("image"), values, 2 },
                                         { OCT_STR("image"), values, 2 } };
    check(vectors, 2, "Wrong input: vector `image` is given twice");
    CHECK(true);
}

TEST(only_finite_values_pass)
{
    const float bad[] = { NAN, INFINITY, -INFINITY };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        float with_bad[] = { 1, 2, bad[i], 4 };
        const oct_named_vector vector = { OCT_STR("text"), with_bad, 4 };
        check(&vector, 1, "Wrong input: vector `text`: value 2 is not a finite 32-bit float");
    }
    CHECK(true);
}

TEST_MAIN(right_vectors_pass, wrong_dimensions_are_refused, unknown_names_are_refused,
          repeated_names_are_refused, only_finite_values_pass)
