/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: queries answer what comparing with every point would: order, ties, thresholds, offsets,
 * filters, deleted points, however the points are spread over segments.
 * Method: random worlds (query_support.h) against a sort of the plain list; graph walks against
 * the same list by recall; refusals by their messages; every allocation failing once. */
#include "query_support.h"

enum { ROUNDS = 60 };

static const char *const metrics[] = { "Dot", "Cosine", "Euclid", "Manhattan" };

/* One point of the list that qualifies, with its shown score. */
typedef struct candidate {
    const known_point *point;
    float similarity, score;
} candidate;

static int best_first(const void *a, const void *b)
{
    const candidate *x = a;
    const candidate *y = b;
    if (x->similarity > y->similarity) return -1;
    if (x->similarity < y->similarity) return 1;
    return oct_point_id_compare(x->point->id, y->point->id);
}

/* The naive similarity, for whole numbers; Cosine's rows are fractions, whose sum depends on its
 * order: there the kernel is asked, which tests of its own check. */
static float naive_similarity(const query_world *world, uint32_t v, const float *a, const float *b)
{
    oct_metric metric = world->config->vectors[v].metric;
    uint32_t size = world->config->vectors[v].size;
    float sum = 0;
    if (metric == OCT_METRIC_COSINE)
        return oct_metric_similarity(world->kernels, metric, a, b, size);
    for (uint32_t i = 0; i < size; i++) {
        float d = a[i] - b[i];
        if (metric == OCT_METRIC_DOT)
            sum += a[i] * b[i];
        else if (metric == OCT_METRIC_EUCLID)
            sum -= d * d;
        else
            sum -= d < 0 ? -d : d;
    }
    return sum;
}

/* Qdrant's rule, told with shown scores. */
static bool beats(oct_metric metric, float score, float threshold)
{
    bool rising = metric == OCT_METRIC_EUCLID || metric == OCT_METRIC_MANHATTAN;
    return rising ? score < threshold : score > threshold;
}

/* All points that qualify, best first. `vector` is prepared. */
static uint32_t naive_search(const query_world *world, const oct_query *query, uint32_t v,
                             const float *vector, const known_filter *filter, candidate *out)
{
    uint32_t count = 0;
    oct_metric metric = world->config->vectors[v].metric;
    for (uint32_t i = 0; i < world->count; i++) {
        const known_point *point = &world->points[i];
        if (!point->alive || !((point->present >> v) & 1) || !filter_passes(filter, point))
            continue;
        if (query->kind == OCT_QUERY_POINT && oct_point_id_equal(point->id, query->point)) continue;
        float similarity = naive_similarity(world, v, vector, point->vectors[v]);
        float score = oct_metric_score(metric, similarity);
        if (query->has_score_threshold && !beats(metric, score, query->score_threshold)) continue;
        out[count++] = (candidate){ point, similarity, score };
    }
    qsort(out, count, sizeof *out, best_first);
    return count;
}

static oct_query random_query(const query_world *world, const known_filter *filter, uint32_t v)
{
    oct_query query = { .kind = OCT_QUERY_VECTOR,
                        .using_vector = world->config->vectors[v].name,
                        .filter = filter->kind || test_random_below(2) ? &filter->filter : NULL,
                        .hnsw_ef = OCT_UNSET,
                        .exact = true,
                        .limit = 1 + test_random_below(30),
                        .offset = test_random_below(3) ? 0 : test_random_below(20),
                        .with_payload = { .mode = OCT_SELECT_ALL },
                        .with_vector = { .mode = OCT_SELECT_ALL } };
    if (test_random_below(8) == 0) query.limit = UINT64_MAX;
    if (test_random_below(8) == 0) query.offset = UINT64_MAX;
    if (test_random_below(3) == 0) {
        query.has_score_threshold = true;
        query.score_threshold = (float)test_random_below(9) - 3.0f;
        if (world->config->vectors[v].metric == OCT_METRIC_COSINE) query.score_threshold /= 4.0f;
    }
    return query;
}

/* One random query, answered twice. */
static void check_query(const query_world *world, candidate *wanted)
{
    oct_arena arena;
    oct_error error = { .message = "" };
    oct_found found;
    known_filter filter;
    float raw[QUERY_DIM_MAX];
    float prepared[QUERY_DIM_MAX];
    uint32_t v = test_random_below(QUERY_VECTORS);
    uint32_t size = world->config->vectors[v].size;
    oct_arena_init(&arena, &model_malloc, 0);
    oct_reading reading = world_reading(world, &arena);
    filter_make(world, test_random_below(FILTER_KINDS), &filter);
    oct_query query = random_query(world, &filter, v);
    for (uint32_t i = 0; i < size; i++)
        raw[i] = (float)test_random_below(7) - 3.0f;
    memcpy(prepared, raw, sizeof prepared);
    oct_metric_preprocess(world->kernels, world->config->vectors[v].metric, prepared, size);
    query.vector = raw;
    query.vector_count = size;
    const known_point *self = &world->points[test_random_below(world->count)];
    if (test_random_below(3) == 0 && self->alive && (self->present >> v) & 1) {
        query.kind = OCT_QUERY_POINT;
        query.point = self->id;
        memcpy(prepared, self->vectors[v], sizeof prepared);
    }
    uint32_t all = naive_search(world, &query, v, prepared, &filter, wanted);
    uint64_t skipped = MIN(query.offset, all);
    uint64_t count = MIN(query.limit, all - skipped);
    CHECK(oct_read_query(&reading, &query, &found, &error) == OCT_OK);
    CHECK_EQ_U64(found.count, count);
    CHECK(!found.has_next);
    for (uint32_t i = 0; i < found.count; i++) {
        const candidate *expected = &wanted[skipped + i];
        CHECK(found_is(world, &found.points[i], expected->point));
        CHECK(memcmp(&found.points[i].score, &expected->score, sizeof(float)) == 0);
    }
    oct_arena_reset(&arena);
}

TEST(exact_answers_equal_a_sort_of_everything)
{
    candidate *wanted = calloc(QUERY_POINTS_MAX, sizeof *wanted);
    CHECK(wanted != NULL);
    for (size_t m = 0; m < ARRAY_COUNT(metrics); m++) {
        for (uint32_t shape = 0; shape < 5; shape++) {
            static const uint32_t sealed[] = { 0, 1, 3, 7, 8 };
            query_world *world =
                world_create(&(query_world_request){ .metric = metrics[m],
                                                     .points = 150 + test_random_below(200),
                                                     .dim = 1 + test_random_below(QUERY_DIM_MAX),
                                                     .entries = shape < 2 ? 1 : 4,
                                                     .sealed = sealed[shape],
                                                     .graphs = shape == 2,
                                                     .indexed = shape == 3 });
            for (uint32_t i = 0; i < ROUNDS; i++)
                check_query(world, wanted);
            world_destroy(world);
        }
    }
    free(wanted);
}

/* The way a query of the whole world took is seen by what the graph's scratch counted. */
static uint32_t walked_hits(query_world *world, const oct_query *query, const candidate *wanted,
                            uint32_t wanted_count)
{
    oct_arena arena;
    oct_error error = { .message = "" };
    oct_found found;
    uint32_t hits = 0;
    oct_arena_init(&arena, &model_malloc, 0);
    oct_reading reading = world_reading(world, &arena);
    CHECK_OR(0, oct_read_query(&reading, query, &found, &error) == OCT_OK);
    CHECK_OR(0, oct_hnsw_scratch_cost(world->scratch).walked > 0);
    for (uint32_t i = 0; i < found.count; i++) {
        const known_point *point = known_find(world, found.points[i].id);
        CHECK_OR(0, point && point->alive);
        if (i > 0) CHECK_OR(0, found.points[i - 1].score >= found.points[i].score);
        for (uint32_t j = 0; j < wanted_count; j++)
            hits += wanted[j].point == point;
    }
    oct_arena_reset(&arena);
    return hits;
}

TEST(walks_find_nearly_all)
{
    enum { QUERIES = 40, LIMIT = 10 };
    candidate *wanted = calloc(QUERY_POINTS_MAX, sizeof *wanted);
    uint32_t hits[2] = { 0, 0 };
    uint32_t most[2] = { 0, 0 };
    query_world *world = world_create(&(query_world_request){ .metric = "Cosine",
                                                              .points = QUERY_POINTS_MAX,
                                                              .dim = QUERY_DIM_MAX,
                                                              .entries = 1,
                                                              .sealed = 1,
                                                              .graphs = true,
                                                              .indexed = true });
    CHECK(wanted != NULL);
    for (uint32_t i = 0; i < QUERIES; i++) {
        float vector[QUERY_DIM_MAX];
        known_filter filter;
        random_vector(world, 0, vector);
        filter_make(world, i % 2 ? 2 : 0, &filter);
        oct_query query = { .kind = OCT_QUERY_VECTOR,
                            .vector = vector,
                            .vector_count = QUERY_DIM_MAX,
                            .using_vector = OCT_STR("a"),
                            .filter = i % 2 ? &filter.filter : NULL,
                            .hnsw_ef = 64,
                            .limit = LIMIT };
        uint32_t all = naive_search(world, &query, 0, vector, &filter, wanted);
        most[i % 2] += MIN(all, (uint32_t)LIMIT);
        hits[i % 2] += walked_hits(world, &query, wanted, MIN(all, (uint32_t)LIMIT));
    }
    printf("  walked: %" PRIu32 "/%" PRIu32 ", filtered %" PRIu32 "/%" PRIu32 "\n", hits[0],
           most[0], hits[1], most[1]);
    CHECK(hits[0] * 100 >= most[0] * 95);
    CHECK(hits[1] * 100 >= most[1] * 95);
    free(wanted);
    world_destroy(world);
}

TEST(without_a_vector_points_come_by_id)
{
    oct_arena arena;
    oct_error error = { .message = "" };
    oct_found found;
    known_filter filter;
    query_world *world = world_create(&(query_world_request){
        .metric = "Dot", .points = 200, .dim = 4, .entries = 3, .sealed = 3 });
    oct_arena_init(&arena, &model_malloc, 0);
    oct_reading reading = world_reading(world, &arena);
    filter_make(world, 2, &filter);
    const oct_query query = {
        .kind = OCT_QUERY_NONE, .filter = &filter.filter, .limit = 20, .offset = 7
    };
    CHECK(oct_read_query(&reading, &query, &found, &error) == OCT_OK);
    CHECK_EQ_U64(found.count, 20);
    uint32_t at = 0;
    for (uint32_t i = 0; i < world->count && at < 27; i++) {
        const known_point *point = &world->points[i];
        if (!point->alive || !point->red) continue;
        if (at >= 7) {
            CHECK(oct_point_id_equal(found.points[at - 7].id, point->id));
            CHECK(memcmp(&found.points[at - 7].score, &(float){ 0.0f }, sizeof(float)) == 0);
            CHECK(!found.points[at - 7].payload.at && !found.points[at - 7].vectors);
        }
        at++;
    }
    CHECK(at == 27);
    CHECK(!found.has_next);
    oct_arena_reset(&arena);
    world_destroy(world);
}

/* ---- refusals --------------------------------------------------------------------------- */

static bool refused(const query_world *world, const oct_query *query, oct_status status,
                    const char *message)
{
    oct_arena arena;
    oct_error error = { .message = "" };
    oct_found found;
    oct_arena_init(&arena, &model_malloc, 0);
    oct_reading reading = world_reading(world, &arena);
    oct_status got = oct_read_query(&reading, query, &found, &error);
    oct_arena_reset(&arena);
    if (got == status && strcmp(error.message, message) == 0) return true;
    printf("status %d: %s\n", (int)got, error.message);
    return false;
}

TEST(bad_queries_are_refused)
{
    query_world *world = world_create(&(query_world_request){
        .metric = "Dot", .points = 500, .dim = 2, .entries = 2, .sealed = 1 });
    const float vector[] = { 1, 2, 3 };
    uint32_t lacking = 0;
    const oct_str names[] = { OCT_STR("b"), OCT_STR("c") };
    const oct_query good = { .kind = OCT_QUERY_VECTOR,
                             .vector = vector,
                             .vector_count = 2,
                             .using_vector = OCT_STR("a"),
                             .limit = 1 };
    oct_query query = good;
    CHECK(refused(world, &query, OCT_OK, ""));
    query.using_vector = OCT_STR("zz");
    CHECK(refused(world, &query, OCT_BAD_INPUT, "Wrong input: Not existing vector name error: zz"));
    query.kind = OCT_QUERY_POINT;
    CHECK(refused(world, &query, OCT_BAD_INPUT, "Not existing vector name error: zz"));
    query = good;
    query.vector_count = 3;
    CHECK(refused(world, &query, OCT_BAD_INPUT,
                  "Wrong input: Vector dimension error: expected dim: 2, got 3"));
    query = good;
    query.kind = OCT_QUERY_POINT;
    query.point = oct_point_id_of(77);
    CHECK(refused(world, &query, OCT_NOT_FOUND, "No point with id 77 found"));
    query = good;
    query.with_vector = (oct_selector){ OCT_SELECT_INCLUDE, names, 2 };
    CHECK(refused(world, &query, OCT_BAD_INPUT, "Not existing vector name error: c"));
    for (uint32_t i = 0; i < world->count; i++) {
        bool lacks = !(world->points[i].present & 1);
        query = good;
        query.kind = OCT_QUERY_POINT;
        query.point = world->points[i].id;
        if (!world->points[i].alive || !lacks) continue;
        lacking++;
        CHECK(refused(world, &query, OCT_NOT_FOUND, "Vector with name \"a\" for point not found"));
    }
    CHECK(lacking > 0);
    world->view->entries[0].alive_count += OCT_LIMIT_MAX; /* refused before any point is read */
    query = good;
    query.limit = OCT_LIMIT_MAX;
    query.offset = 1;
    CHECK(refused(world, &query, OCT_LIMIT,
                  "limit and offset ask for 1048577 points, at most 1048576 are possible"));
    world_destroy(world);
}

TEST(parts_of_points_are_shown_as_asked)
{
    oct_arena arena;
    oct_error error = { .message = "" };
    oct_found found;
    const float vector[] = { 1, 2 };
    const oct_str names[] = { OCT_STR("b"), OCT_STR("b") };
    const oct_str keys[] = { OCT_STR("n") };
    query_world *world = world_create(&(query_world_request){
        .metric = "Dot", .points = 40, .dim = 2, .entries = 2, .sealed = 1, .whole = true });
    oct_arena_init(&arena, &model_malloc, 0);
    oct_reading reading = world_reading(world, &arena);
    const oct_query query = { .kind = OCT_QUERY_VECTOR,
                              .vector = vector,
                              .vector_count = 2,
                              .using_vector = OCT_STR("a"),
                              .limit = 40,
                              .with_payload = { OCT_SELECT_EXCLUDE, keys, 1 },
                              .with_vector = { OCT_SELECT_INCLUDE, names, 2 } };
    CHECK(oct_read_query(&reading, &query, &found, &error) == OCT_OK);
    CHECK_EQ_U64(found.count, 40);
    for (uint32_t i = 0; i < found.count; i++) {
        const known_point *point = known_find(world, found.points[i].id);
        char payload[64];
        CHECK(point != NULL);
        snprintf(payload, sizeof payload, "{%s", strstr(point->payload, "\"g\""));
        CHECK(model_is(found.points[i].payload, payload));
        CHECK(found.points[i].vector_count == 1);
        CHECK(memcmp(found.points[i].vectors[0].values, point->vectors[1], 3 * sizeof(float)) == 0);
    }
    oct_arena_reset(&arena);
    world_destroy(world);
}

/* ---- memory ----------------------------------------------------------------------------- */

static oct_status query_once(const oct_alloc *alloc, void *arg)
{
    query_world *world = arg;
    const float vector[] = { 1, 2 };
    oct_host host = world->host;
    oct_arena arena;
    oct_error error;
    oct_found found;
    known_filter filter;
    filter_make(world, 3, &filter);
    oct_arena_init(&arena, alloc, 0);
    host.alloc = alloc;
    oct_reading reading = world_reading(world, &arena);
    reading.host = &host;
    const oct_query query = { .kind = OCT_QUERY_VECTOR,
                              .vector = vector,
                              .vector_count = 2,
                              .using_vector = OCT_STR("a"),
                              .filter = &filter.filter,
                              .limit = 50,
                              .with_payload = { .mode = OCT_SELECT_ALL },
                              .with_vector = { .mode = OCT_SELECT_ALL } };
    oct_status status = oct_read_query(&reading, &query, &found, &error);
    oct_arena_reset(&arena);
    return status;
}

TEST(every_allocation_may_fail)
{
    query_world *world = world_create(&(query_world_request){
        .metric = "Dot", .points = 100, .dim = 2, .entries = 3, .sealed = 3, .indexed = true });
    CHECK(model_sweep(query_once, world));
    world_destroy(world);
}

TEST_MAIN(exact_answers_equal_a_sort_of_everything, walks_find_nearly_all,
          without_a_vector_points_come_by_id, bad_queries_are_refused,
          parts_of_points_are_shown_as_asked, every_allocation_may_fail)
