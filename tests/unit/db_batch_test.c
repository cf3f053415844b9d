/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the queries of a batch, which share the selections of equal filters, answer as they do
 * alone: ids, scores, and the error of the first that fails.
 * Method: a collection of sealed segments with graphs and one in memory (290 points, more than a
 * block of sparse vectors); batches of random queries, dense and sparse, with filters out of a few,
 * each written anew in memory of its own; every answer is compared with that of the query alone.
 * Then filters that differ in one thing. */
#include "base/str.h"
#include "model/point_id.h"
#include "model_support.h"
#include "query/filter.h"
#include "sim/single.h"

enum { POINTS = 1190, DIM = 8, BATCH = 40, ROUNDS = 20, SHAPES = 24 };

static const char config[] =
    "{\"vectors\":{\"a\":{\"size\":8,\"distance\":\"Dot\",\"quantization_config\":"
    "{\"scalar\":{\"type\":\"int8\"}}}},\"sparse_vectors\":{\"s\":{}},"
    "\"hnsw_config\":{\"m\":8,\"full_scan_threshold\":10},"
    "\"optimizers_config\":{\"indexing_threshold\":5}}";

static single it;

static void fill(void)
{
    static float values[POINTS][DIM];
    static const uint32_t indices[DIM] = { 1, 2, 3, 5, 8, 13, 21, 34 };
    single_create(&it, &model_malloc, config, 300, NULL);
    single_write(&it, &(oct_write){ .kind = OCT_WRITE_CREATE_INDEX,
                                    .field = { .key = OCT_STR("n"), .type = OCT_FIELD_INTEGER } });
    for (uint32_t i = 0; i < POINTS; i++) {
        char payload[48];
        for (uint32_t d = 0; d < DIM; d++)
            values[i][d] = test_random_float();
        snprintf(payload, sizeof payload, "{\"n\":%u,\"k\":\"w%u\"}", i % 20, i % 3);
        const oct_named_vector vectors[] = {
            { .name = OCT_STR("a"), .values = values[i], .count = DIM },
            { .name = OCT_STR("s"),
              .kind = OCT_VECTOR_SPARSE,
              .values = values[i],
              .indices = indices,
              .count = DIM },
        };
        const oct_point point = { .id = oct_point_id_of(i),
                                  .vectors = vectors,
                                  .vector_count = 2,
                                  .payload = oct_str_of(payload) };
        single_write(&it,
                     &(oct_write){ .kind = OCT_WRITE_UPSERT, .points = &point, .point_count = 1 });
        if (i % 250 == 249) single_settle(&it, 1000);
    }
}

/* ---- filters -------------------------------------------------------------------------------- */

/* A filter in memory of its own. */
typedef struct made_filter {
    oct_filter filter;
    oct_condition conditions[2];
    oct_scalar value;
    char key[4], word[4];
} made_filter;

static void make_filter(made_filter *to, uint32_t shape)
{
    memset(to, 0, sizeof *to);
    snprintf(to->key, sizeof to->key, "%s", shape % 2 ? "n" : "k");
    snprintf(to->word, sizeof to->word, "w%u", shape % 3);
    to->value = (oct_scalar){ .kind = shape % 2 ? OCT_SCALAR_INTEGER : OCT_SCALAR_KEYWORD,
                              .keyword = oct_str_of(to->word),
                              .integer = (int64_t)shape };
    to->conditions[0] = (oct_condition){ .kind = OCT_CONDITION_MATCH_ANY,
                                         .key = oct_str_of(to->key),
                                         .values = &to->value,
                                         .value_count = 1 };
    to->conditions[1] = (oct_condition){
        .kind = OCT_CONDITION_RANGE,
        .key = OCT_STR("n"),
        .range = { .lower = shape, .upper = 12, .has_lower = true, .has_upper = true }
    };
    if (shape % 4 == 0)
        to->filter.must_not = (oct_conditions){ to->conditions, 1 };
    else
        to->filter.should = (oct_conditions){ to->conditions, shape % 4 == 3 ? 1 : 2 };
}

/* ---- batches -------------------------------------------------------------------------------- */

static void make_query(oct_query *query, float vector[DIM], made_filter *filter)
{
    static const uint32_t indices[DIM] = { 1, 2, 3, 4, 5, 8, 13, 21 };
    bool sparse = test_random_below(4) == 0;
    for (uint32_t d = 0; d < DIM; d++)
        vector[d] = test_random_float();
    make_filter(filter, test_random_below(test_random_below(2) ? 3 : SHAPES));
    *query = (oct_query){ .kind = OCT_QUERY_VECTOR,
                          .vector = vector,
                          .vector_count = DIM,
                          .vector_kind = sparse ? OCT_VECTOR_SPARSE : OCT_VECTOR_DENSE,
                          .vector_indices = sparse ? indices : NULL,
                          .using_vector = sparse ? OCT_STR("s") : OCT_STR("a"),
                          .filter = test_random_below(5) ? &filter->filter : NULL,
                          .hnsw_ef = 16,
                          .exact = test_random_below(4) == 0,
                          .limit = 1 + test_random_below(10) };
    uint32_t dice = test_random_below(10);
    if (dice == 0) query->kind = OCT_QUERY_NONE;
    if (dice == 1) query->kind = OCT_QUERY_POINT;
    query->point = oct_point_id_of(test_random_below(POINTS));
}

static bool same_answer(const oct_query *query, const oct_found *found)
{
    oct_found alone;
    CHECK_OR(false,
             oct_collection_query(it.collection, &it.arena, query, &alone, &it.error) == OCT_OK);
    CHECK_OR(false, alone.count == found->count);
    for (uint32_t i = 0; i < alone.count; i++) {
        const oct_found_point *a = &alone.points[i], *b = &found->points[i];
        CHECK_OR(false, oct_point_id_equal(a->id, b->id));
        CHECK_OR(false, memcmp(&a->score, &b->score, sizeof a->score) == 0);
    }
    return true;
}

TEST(a_batch_answers_as_its_queries_do)
{
    static oct_query queries[BATCH];
    static float vectors[BATCH][DIM];
    static made_filter filters[BATCH];
    fill();
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const oct_found *founds;
        for (uint32_t i = 0; i < BATCH; i++)
            make_query(&queries[i], vectors[i], &filters[i]);
        CHECK(oct_collection_query_batch(it.collection, &it.arena, queries, BATCH, &founds,
                                         &it.error) == OCT_OK);
        for (uint32_t i = 0; i < BATCH; i++)
            CHECK(same_answer(&queries[i], &founds[i]));
        oct_arena_reset(&it.arena);
    }
    single_destroy(&it);
}

TEST(the_first_failure_is_the_error)
{
    static oct_query queries[BATCH];
    static float vectors[BATCH][DIM];
    static made_filter filters[BATCH];
    const oct_found *founds;
    oct_error alone;
    fill();
    for (uint32_t i = 0; i < BATCH; i++) {
        make_query(&queries[i], vectors[i], &filters[i]);
        queries[i].kind = OCT_QUERY_VECTOR;
        if (i < 7) continue;
        queries[i].filter = &filters[i].filter; /* with a key that is none */
        filters[i].conditions[0].key = i % 2 ? OCT_STR("a[") : OCT_STR("b[");
    }
    oct_status status =
        oct_collection_query(it.collection, &it.arena, &queries[7], &(oct_found){ 0 }, &alone);
    CHECK(status == OCT_BAD_INPUT);
    CHECK(oct_collection_query_batch(it.collection, &it.arena, queries, BATCH, &founds,
                                     &it.error) == status);
    CHECK_EQ_STR(it.error.message, alone.message);
    single_destroy(&it);
}

TEST(equal_filters_are_those_of_one_shape)
{
    static made_filter a, b;
    for (uint32_t x = 0; x < SHAPES; x++)
        for (uint32_t y = 0; y < SHAPES; y++) {
            make_filter(&a, x);
            make_filter(&b, y);
            bool same_range = x == y || x % 4 == 0 || x % 4 == 3;
            bool same = x % 4 == y % 4 && same_range && strcmp(a.key, b.key) == 0 &&
                        (x % 2 ? x == y : strcmp(a.word, b.word) == 0);
            CHECK(oct_filter_equal(&a.filter, &b.filter) == same);
        }
    make_filter(&a, 1);
    make_filter(&b, 1);
    b.conditions[1].range.upper_open = true;
    CHECK(!oct_filter_equal(&a.filter, &b.filter));
    make_filter(&b, 1);
    const oct_filter nested_a = {
        .must = { &(oct_condition){ .kind = OCT_CONDITION_FILTER, .filter = &a.filter }, 1 }
    };
    const oct_filter nested_b = {
        .must = { &(oct_condition){ .kind = OCT_CONDITION_FILTER, .filter = &b.filter }, 1 }
    };
    CHECK(oct_filter_equal(&nested_a, &nested_b));
    b.value.integer++;
    CHECK(!oct_filter_equal(&nested_a, &nested_b));
}

TEST_MAIN(a_batch_answers_as_its_queries_do, the_first_failure_is_the_error,
          equal_filters_are_those_of_one_shape)
