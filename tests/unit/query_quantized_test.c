/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: searches of quantized vectors do what was asked: exact and ignoring ones don't see the
 * codes, rescored ones give exact scores, the others estimates; memory segments are always exact;
 * codes that the config no longer asks for are still searched.
 * Method: worlds of query_support.h, whose sealed segments are scanned and walked, for every kind
 * of codes; a query of the same world with `exact` is the truth. */
#include "query_support.h"

enum { LIMIT = 10, QUERIES = 25 };

static const char *const metrics[] = { "Dot", "Cosine", "Euclid", "Manhattan" };

/* A kind of codes, and whether it rescores when the query doesn't say. */
static const struct {
    const char *config;
    bool rescores;
} kinds[] = {
    { "{\"scalar\":{\"type\":\"int8\"}}", false },
    { "{\"scalar\":{\"type\":\"int8\",\"quantile\":0.95,\"always_ram\":true}}", false },
    { "{\"product\":{\"compression\":\"x8\"}}", false },
    { "{\"binary\":{}}", true },
    { "{\"turbo\":{}}", false },
    { "{\"turbo\":{\"bits\":\"bits2\"}}", true },
    { "{\"binary\":{\"encoding\":\"two_bits\",\"query_encoding\":\"scalar8bits\"}}", true },
};

typedef struct answers {
    oct_arena arena;
    oct_found found;
} answers;

static answers ask(const query_world *world, const oct_query *query)
{
    answers got;
    oct_error error = { .message = "" };
    oct_arena_init(&got.arena, &model_malloc, 0);
    oct_reading reading = world_reading(world, &got.arena);
    if (oct_read_query(&reading, query, &got.found, &error) != OCT_OK)
        test_fail(__FILE__, __LINE__, error.message);
    return got;
}

/* How many of the hits are among the true ones; with `exact`, their scores must be equal. */
static uint32_t shared_hits(const answers *got, const answers *truth, bool exact)
{
    uint32_t hits = 0;
    for (uint32_t i = 0; i < got->found.count; i++)
        for (uint32_t j = 0; j < truth->found.count; j++) {
            const oct_found_point *a = &got->found.points[i], *b = &truth->found.points[j];
            if (!oct_point_id_equal(a->id, b->id)) continue;
            if (exact) CHECK_OR(0, memcmp(&a->score, &b->score, sizeof a->score) == 0);
            hits++;
        }
    return hits;
}

static bool same_answers(const answers *a, const answers *b)
{
    return a->found.count == b->found.count && shared_hits(a, b, true) == a->found.count;
}

static bool sealed_have_codes(const query_world *world)
{
    bool codes = false;
    for (uint32_t e = 0; e < world->view->count; e++) {
        const oct_sealed *sealed = world->view->entries[e].sealed;
        if (!sealed) continue;
        codes = true;
        CHECK_OR(false, sealed->vectors[0].quant && sealed->vectors[1].quant);
    }
    return codes;
}

/* Every way to ask, for one vector. */
static void check_ways(const query_world *world, oct_query query, bool rescores)
{
    query.exact = true;
    answers truth = ask(world, &query);
    query.quantization = (oct_quantization_search){ .has_rescore = true, .oversampling = 3 };
    answers exact = ask(world, &query);
    CHECK(same_answers(&exact, &truth)); /* exact doesn't see codes */
    query.exact = false;
    query.quantization = (oct_quantization_search){ .ignore = true };
    answers ignoring = ask(world, &query);
    CHECK(shared_hits(&ignoring, &truth, true) * 10 >= truth.found.count * 9);
    query.quantization =
        (oct_quantization_search){ .has_rescore = true, .rescore = true, .oversampling = 1000 };
    answers all = ask(world, &query);
    CHECK(same_answers(&all, &truth)); /* everything is rescored */
    query.quantization.oversampling = 0;
    answers rescored = ask(world, &query);
    CHECK(shared_hits(&rescored, &truth, true) > 0);
    query.quantization = (oct_quantization_search){ .has_rescore = true };
    answers estimates = ask(world, &query);
    query.quantization = (oct_quantization_search){ .ignore = false };
    answers usual = ask(world, &query);
    CHECK(same_answers(&usual, rescores ? &rescored : &estimates));
    answers *all_answers[] = { &truth, &exact, &ignoring, &all, &rescored, &estimates, &usual };
    for (size_t i = 0; i < ARRAY_COUNT(all_answers); i++)
        oct_arena_reset(&all_answers[i]->arena);
}

/* Shape 0: scans of two sealed segments and one in memory; 1: walks of a large one. */
static void check_world(const char *metric, size_t kind, uint32_t shape)
{
    query_world *world = world_create(&(query_world_request){ .metric = metric,
                                                              .points = shape == 1 ? 3000 : 300,
                                                              .dim = QUERY_DIM_MAX,
                                                              .entries = shape == 1 ? 1 : 3,
                                                              .sealed = shape == 1 ? 1 : 3,
                                                              .graphs = true,
                                                              .indexed = true,
                                                              .quantization = kinds[kind].config });
    CHECK(sealed_have_codes(world));
    for (uint32_t i = 0; i < QUERIES; i++) {
        float vector[QUERY_DIM_MAX];
        known_filter filter;
        random_vector(world, 0, vector);
        filter_make(world, i % 2 ? 2 : 0, &filter);
        const oct_query query = { .kind = OCT_QUERY_VECTOR,
                                  .vector = vector,
                                  .vector_count = QUERY_DIM_MAX,
                                  .using_vector = OCT_STR("a"),
                                  .filter = i % 2 ? &filter.filter : NULL,
                                  .hnsw_ef = 128,
                                  .limit = LIMIT };
        check_ways(world, query, kinds[kind].rescores);
    }
    world_destroy(world);
}

TEST(quantized_searches_do_as_asked)
{
    for (size_t kind = 0; kind < ARRAY_COUNT(kinds); kind++)
        for (size_t m = 0; m < ARRAY_COUNT(metrics); m++)
            for (uint32_t shape = 0; shape < 2; shape++) {
                check_world(metrics[m], kind, shape);
                if (test_failed) printf("  %s %s\n", kinds[kind].config, metrics[m]);
                CHECK(!test_failed);
            }
}

TEST(memory_segments_are_exact)
{
    query_world *world = world_create(&(query_world_request){ .metric = "Cosine",
                                                              .points = 200,
                                                              .dim = 8,
                                                              .entries = 1,
                                                              .quantization = kinds[0].config });
    float vector[QUERY_DIM_MAX];
    random_vector(world, 0, vector);
    oct_query query = { .kind = OCT_QUERY_VECTOR,
                        .vector = vector,
                        .vector_count = 8,
                        .using_vector = OCT_STR("a"),
                        .hnsw_ef = OCT_UNSET,
                        .limit = LIMIT,
                        .quantization = { .has_rescore = true } };
    answers estimates = ask(world, &query);
    query.exact = true;
    answers truth = ask(world, &query);
    CHECK(same_answers(&estimates, &truth));
    oct_arena_reset(&estimates.arena);
    oct_arena_reset(&truth.arena);
    world_destroy(world);
}

/* A score that was not rescored is an estimate: not the exact one, but near it. */
TEST(estimates_are_shown)
{
    query_world *world = world_create(&(query_world_request){ .metric = "Cosine",
                                                              .points = 400,
                                                              .dim = QUERY_DIM_MAX,
                                                              .entries = 1,
                                                              .sealed = 1,
                                                              .graphs = true,
                                                              .quantization = kinds[0].config });
    uint32_t different = 0;
    for (uint32_t i = 0; i < QUERIES; i++) {
        float vector[QUERY_DIM_MAX];
        random_vector(world, 0, vector);
        oct_query query = { .kind = OCT_QUERY_VECTOR,
                            .vector = vector,
                            .vector_count = QUERY_DIM_MAX,
                            .using_vector = OCT_STR("a"),
                            .hnsw_ef = OCT_UNSET,
                            .limit = 1 };
        answers usual = ask(world, &query);
        query.exact = true;
        answers truth = ask(world, &query);
        CHECK(usual.found.count == 1 && truth.found.count == 1);
        float a = usual.found.points[0].score, b = truth.found.points[0].score;
        different += memcmp(&a, &b, sizeof a) != 0;
        CHECK(a - b < 0.02f && b - a < 0.02f);
        oct_arena_reset(&usual.arena);
        oct_arena_reset(&truth.arena);
    }
    CHECK(different > QUERIES / 2);
    world_destroy(world);
}

TEST_MAIN(quantized_searches_do_as_asked, memory_segments_are_exact, estimates_are_shown)
