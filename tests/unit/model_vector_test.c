/* SPDX-License-Identifier: Apache-2.0 */
/* model_vector_test.c - which vectors a collection takes. */
#include "model/vector.h"

#include <math.h>

#include "model_support.h"

static const oct_vector_params params[] = {
    { .name = { "image", 5 }, .size = 2, .metric = OCT_METRIC_DOT },
    { .name = { "text", 4 }, .size = 4, .metric = OCT_METRIC_COSINE },
    { .name = { "many", 4 }, .size = 2, .kind = OCT_VECTOR_MULTI },
    { .name = { "sparse", 6 }, .metric = OCT_METRIC_DOT, .kind = OCT_VECTOR_SPARSE },
};
static const oct_collection_config config = { .vectors = params, .vector_count = 4 };
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
    const oct_named_vector vectors[] = {
        { .name = OCT_STR("text"), .values = values, .count = 4 },
        { .name = OCT_STR("image"), .values = values, .count = 2 },
    };
    uint32_t index;
    check(vectors, 2, "");
    check(vectors, 1, "");
    check(vectors, 0, "");
    CHECK(oct_vector_check(&config, vectors, &index, NULL) == OCT_OK);
    CHECK_EQ_U64(index, 1);
}

/* A vector of one form where another one is wanted. */
TEST(forms_are_checked)
{
    static const uint32_t indices[] = { 0, 7, UINT32_MAX }, twice[] = { 3, 3 };
    const char *const sparse = "Wrong input: Conversion between sparse and regular vectors failed";
    const char *const multi = "Wrong input: Conversion between multi and regular vectors failed";
    oct_named_vector vector = { OCT_STR("many"), values, 4, OCT_VECTOR_MULTI, 2, NULL };
    check(&vector, 1, "");
    vector.rows = 1;
    check(&vector, 1, "Wrong input: Vector dimension error: expected dim: 2, got 4");
    vector.name = OCT_STR("text");
    check(&vector, 1, multi);
    vector.name = OCT_STR("sparse");
    check(&vector, 1, sparse);
    vector = (oct_named_vector){ OCT_STR("many"), values, 2, OCT_VECTOR_DENSE, 0, NULL };
    check(&vector, 1, "");
    oct_named_vector as = oct_vector_as(&params[2], &vector);
    CHECK(as.kind == OCT_VECTOR_MULTI && as.rows == 1 && as.count == 2);
    vector.name = OCT_STR("sparse");
    check(&vector, 1, sparse);
    vector = (oct_named_vector){ OCT_STR("sparse"), values, 3, OCT_VECTOR_SPARSE, 0, indices };
    check(&vector, 1, "");
    vector.count = 0;
    check(&vector, 1, "");
    vector = (oct_named_vector){ OCT_STR("sparse"), values, 2, OCT_VECTOR_SPARSE, 0, twice };
    check(&vector, 1, "Wrong input: indices of `sparse` do not ascend");
    vector.name = OCT_STR("image");
    check(&vector, 1, sparse);
}

TEST(wrong_dimensions_are_refused)
{
    const oct_named_vector shorter = { .name = OCT_STR("text"), .values = values, .count = 3 };
    const oct_named_vector longer = { .name = OCT_STR("text"), .values = values, .count = 5 };
    const oct_named_vector empty = { .name = OCT_STR("text"), .values = values, .count = 0 };
    check(&shorter, 1, "Wrong input: Vector dimension error: expected dim: 4, got 3");
    check(&longer, 1, "Wrong input: Vector dimension error: expected dim: 4, got 5");
    check(&empty, 1, "Wrong input: Vector dimension error: expected dim: 4, got 0");
    CHECK(true);
}

TEST(unknown_names_are_refused)
{
    const oct_named_vector other = { .name = OCT_STR("zz"), .values = values, .count = 4 };
    const oct_named_vector unnamed = { .name = { NULL, 0 }, .values = values, .count = 4 };
    check(&other, 1, "Wrong input: Not existing vector name error: zz");
    check(&unnamed, 1, "Wrong input: Not existing vector name error: ");
    CHECK(true);
}

TEST(repeated_names_are_refused)
{
    const oct_named_vector vectors[] = {
        { .name = OCT_STR("image"), .values = values, .count = 2 },
        { .name = OCT_STR("image"), .values = values, .count = 2 },
    };
    check(vectors, 2, "Wrong input: vector `image` is given twice");
    CHECK(true);
}

TEST(only_finite_values_pass)
{
    const float bad[] = { NAN, INFINITY, -INFINITY };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        float with_bad[] = { 1, 2, bad[i], 4 };
        const oct_named_vector vector = { .name = OCT_STR("text"), .values = with_bad, .count = 4 };
        check(&vector, 1, "Wrong input: vector `text`: value 2 is not a finite 32-bit float");
    }
    CHECK(true);
}

TEST_MAIN(right_vectors_pass, forms_are_checked, wrong_dimensions_are_refused,
          unknown_names_are_refused, repeated_names_are_refused, only_finite_values_pass)
