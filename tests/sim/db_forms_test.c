/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: sparse vectors, multivectors and compact vectors of a database are what was written, and
 * searches find exactly the points, scores and order that a comparison with every point gives,
 * however the points are spread over segments.
 * Method: random writes over storage in memory beside an array, with small segments, maintenance in
 * small steps and reopenings in between. Scores are compared as bits. Values are small whole
 * numbers half of the time, which makes ties common, and any floats the other half. Multivectors
 * are quantized, each in a way of its own; a search that rescores all of them is exact, too. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "model/point_id.h"
#include "sim/single.h"
#include "simd/fmath.h"
#include "simd/metric.h"
#include "unit/base_heap.h"
#include "unit/test.h"

enum { IDS = 300, DIM = 5, ROWS_MAX = 4, VALUES_MAX = DIM * ROWS_MAX, DIMENSIONS = 40 };
enum { FIELD_IDF = 11, FIELDS = 12 };

/* In the order of the config. */
static const oct_vector_params fields[FIELDS] = {
    { { "b", 1 }, .metric = OCT_METRIC_COSINE, .datatype = OCT_DATATYPE_UINT8 },
    { { "c", 1 }, .metric = OCT_METRIC_COSINE, .kind = OCT_VECTOR_MULTI },
    { { "d", 1 }, .metric = OCT_METRIC_DOT, .kind = OCT_VECTOR_MULTI },
    { { "e", 1 }, .metric = OCT_METRIC_EUCLID, .kind = OCT_VECTOR_MULTI },
    { { "f", 1 }, .metric = OCT_METRIC_DOT, .datatype = OCT_DATATYPE_TURBO4 },
    { { "h", 1 }, .metric = OCT_METRIC_COSINE, .datatype = OCT_DATATYPE_FLOAT16 },
    { { "k", 1 },
      .metric = OCT_METRIC_COSINE,
      .kind = OCT_VECTOR_MULTI,
      .datatype = OCT_DATATYPE_TURBO4 },
    { { "m", 1 },
      .metric = OCT_METRIC_COSINE,
      .kind = OCT_VECTOR_MULTI,
      .datatype = OCT_DATATYPE_UINT8 },
    { { "n", 1 },
      .metric = OCT_METRIC_EUCLID,
      .kind = OCT_VECTOR_MULTI,
      .datatype = OCT_DATATYPE_FLOAT16 },
    { { "p", 1 }, .metric = OCT_METRIC_MANHATTAN },
    { { "s", 1 }, .metric = OCT_METRIC_DOT, .kind = OCT_VECTOR_SPARSE },
    { { "t", 1 }, .metric = OCT_METRIC_DOT, .kind = OCT_VECTOR_SPARSE },
};

#define MULTI ",\"multivector_config\":{\"comparator\":\"max_sim\"},\"quantization_config\":"
static const char config_text[] =
    "{\"vectors\":{"
    "\"b\":{\"size\":5,\"distance\":\"Cosine\",\"datatype\":\"uint8\"},"
    "\"h\":{\"size\":5,\"distance\":\"Cosine\",\"datatype\":\"float16\"},"
    "\"f\":{\"size\":5,\"distance\":\"Dot\",\"datatype\":\"turbo4\"},"
    "\"k\":{\"size\":5,\"distance\":\"Cosine\",\"datatype\":\"turbo4\"" MULTI
    "{\"turbo\":{\"bits\":\"bits2\"}}},"
    "\"m\":{\"size\":5,\"distance\":\"Cosine\",\"datatype\":\"uint8\"" MULTI
    "{\"turbo\":{\"bits\":\"bits1_5\"}}},"
    "\"n\":{\"size\":5,\"distance\":\"Euclid\",\"datatype\":\"float16\"" MULTI "{\"turbo\":{}}},"
    "\"c\":{\"size\":5,\"distance\":\"Cosine\"" MULTI "{\"scalar\":{\"type\":\"int8\"}}},"
    "\"d\":{\"size\":5,\"distance\":\"Dot\"" MULTI "{\"binary\":{\"encoding\":\"two_bits\"}}},"
    "\"e\":{\"size\":5,\"distance\":\"Euclid\"" MULTI "{\"product\":{\"compression\":\"x4\"}}},"
    "\"p\":{\"size\":5,\"distance\":\"Manhattan\"}},"
    "\"sparse_vectors\":{\"s\":{},\"t\":{\"modifier\":\"idf\"}},"
    "\"hnsw_config\":{\"m\":4,\"ef_construct\":8},"
    "\"optimizers_config\":{\"indexing_threshold\":1,\"vacuum_min_vector_number\":100,"
    "\"deleted_threshold\":0.1}}";

/* A vector that is in the array itself. */
typedef struct kept_vector {
    bool has;
    uint32_t rows, count;
    uint32_t indices[VALUES_MAX];
    float values[VALUES_MAX];
} kept_vector;

typedef struct kept_point {
    bool exists;
    uint32_t n; /* payload */
    kept_vector vectors[FIELDS];
} kept_point;

typedef struct ranked {
    uint32_t id;
    float score; /* similarity */
} ranked;

static kept_point points[IDS];
static const oct_kernels *kernels;
static single it;

/* ---- random vectors ----------------------------------------------------------------------- */

static float random_value(uint32_t field, bool whole)
{
    if (fields[field].datatype == OCT_DATATYPE_UINT8)
        return (float)test_random_below(whole ? 3 : 3000) / (whole ? 1.0f : 10.0f);
    if (whole) return (float)test_random_below(7) - 3.0f;
    return test_random_float() * (float)(1 + test_random_below(1000));
}

static kept_vector random_vector(uint32_t field)
{
    kept_vector out = { .has = true, .rows = 1, .count = DIM };
    bool whole = test_random_below(2);
    if (fields[field].kind == OCT_VECTOR_MULTI) out.rows = 1 + test_random_below(ROWS_MAX);
    out.count = out.rows * DIM;
    if (fields[field].kind == OCT_VECTOR_SPARSE) {
        out.count = 0;
        uint32_t spread = 1 + test_random_below(9);
        for (uint32_t d = 0; d < DIMENSIONS && out.count < VALUES_MAX; d++)
            if (test_random_below(spread) == 0)
                out.indices[out.count++] = d < 30 ? d * d : UINT32_MAX - 40 + d;
    }
    for (uint32_t i = 0; i < out.count; i++)
        out.values[i] = random_value(field, whole);
    return out;
}

static oct_named_vector named(uint32_t field, const kept_vector *vector)
{
    return (oct_named_vector){ .name = fields[field].name,
                               .values = vector->values,
                               .count = vector->count,
                               .kind = fields[field].kind,
                               .rows = fields[field].kind == OCT_VECTOR_MULTI ? vector->rows : 0,
                               .indices = vector->indices };
}

/* As it is stored. */
static void prepare(uint32_t field, kept_vector *vector)
{
    oct_vector_params params = fields[field];
    params.size = DIM;
    oct_metric_prepare(kernels, &params, vector->values, vector->count);
}

/* As a query is compared; a stored one is prepared already. */
static void prepare_query(uint32_t field, kept_vector *vector, bool stored)
{
    oct_vector_params params = fields[field];
    params.size = DIM;
    if (!stored) oct_metric_prepare_given(kernels, &params, vector->values, vector->count);
    oct_metric_prepare_query(kernels, &params, vector->values, vector->count);
}

/* ---- writes ------------------------------------------------------------------------------- */

static void upsert(void)
{
    enum { BATCH = 8 };
    static oct_named_vector vectors[BATCH][FIELDS];
    static kept_vector given[BATCH][FIELDS];
    static char payloads[BATCH][16];
    oct_point batch[BATCH];
    uint32_t first = test_random_below(IDS - BATCH), count = 1 + test_random_below(BATCH);
    for (uint32_t i = 0; i < count; i++) {
        kept_point *point = &points[first + i];
        memset(point, 0, sizeof *point);
        point->exists = true;
        point->n = test_random_below(20);
        snprintf(payloads[i], sizeof payloads[i], "{\"n\":%u}", point->n);
        batch[i] = (oct_point){ .id = oct_point_id_of(first + i),
                                .vectors = vectors[i],
                                .payload = oct_str_of(payloads[i]) };
        for (uint32_t f = 0; f < FIELDS; f++) {
            if (test_random_below(6) == 0) continue;
            given[i][f] = point->vectors[f] = random_vector(f);
            prepare(f, &point->vectors[f]);
            vectors[i][batch[i].vector_count++] = named(f, &given[i][f]);
        }
    }
    single_write(&it,
                 &(oct_write){ .kind = OCT_WRITE_UPSERT, .points = batch, .point_count = count });
}

static void delete_points(void)
{
    oct_point_id ids[4];
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t id = test_random_below(IDS);
        ids[i] = oct_point_id_of(id);
        memset(&points[id], 0, sizeof points[id]);
    }
    single_write(
        &it, &(oct_write){ .kind = OCT_WRITE_DELETE, .selector = { .ids = ids, .id_count = 4 } });
}

static void change_vectors(void)
{
    uint32_t id = test_random_below(IDS), f = test_random_below(FIELDS);
    oct_str name = fields[f].name;
    if (!points[id].exists) return;
    kept_vector given = random_vector(f);
    const oct_named_vector vector = named(f, &given);
    const oct_point point = { .id = oct_point_id_of(id), .vectors = &vector, .vector_count = 1 };
    if (test_random_below(2)) {
        points[id].vectors[f] = given;
        prepare(f, &points[id].vectors[f]);
        single_write(
            &it,
            &(oct_write){ .kind = OCT_WRITE_UPDATE_VECTORS, .points = &point, .point_count = 1 });
        return;
    }
    points[id].vectors[f].has = false;
    single_write(&it, &(oct_write){ .kind = OCT_WRITE_DELETE_VECTORS,
                                    .selector = { .ids = &point.id, .id_count = 1 },
                                    .keys = &name,
                                    .key_count = 1 });
}

/* ---- what a search should say --------------------------------------------------------------- */

static bool sparse_similarity(const kept_vector *query, const kept_vector *point, float *out)
{
    *out = 0;
    for (uint32_t i = 0; i < query->count; i++)
        for (uint32_t j = 0; j < point->count; j++)
            if (query->indices[i] == point->indices[j]) *out += query->values[i] * point->values[j];
    return *out != 0.0f;
}

static float row_similarity(uint32_t field, const float *a, const float *b)
{
    float similarity = oct_metric_similarity(kernels, fields[field].metric, a, b, DIM);
    if (!oct_metric_query_differs(&fields[field])) return similarity;
    return oct_metric_over_length(similarity, kernels->dot_f32(b, b, DIM));
}

static bool similarity(uint32_t field, const kept_vector *query, const kept_vector *point,
                       float *out)
{
    if (fields[field].kind == OCT_VECTOR_SPARSE) return sparse_similarity(query, point, out);
    *out = 0;
    for (uint32_t i = 0; i < query->rows; i++) {
        float best = -INFINITY;
        for (uint32_t j = 0; j < point->rows; j++)
            best = fmaxf(best,
                         row_similarity(field, query->values + i * DIM, point->values + j * DIM));
        *out += best;
    }
    return true;
}

static void weigh(kept_vector *query)
{
    for (uint32_t q = 0; q < query->count; q++) {
        double all = 0, with = 0;
        for (uint32_t i = 0; i < IDS; i++) {
            const kept_vector *vector = &points[i].vectors[FIELD_IDF];
            if (!points[i].exists || !vector->has || vector->count == 0) continue;
            all++;
            for (uint32_t j = 0; j < vector->count; j++)
                with += vector->indices[j] == query->indices[q];
        }
        query->values[q] =
            (float)((double)query->values[q] * oct_log((all - with + 0.5) / (with + 0.5) + 1.0));
    }
}

static uint32_t rank(uint32_t field, const kept_vector *query, uint32_t below, uint32_t excluded,
                     ranked out[IDS])
{
    uint32_t count = 0;
    kept_vector weighed = *query;
    if (field == FIELD_IDF) weigh(&weighed);
    for (uint32_t i = 0; i < IDS; i++) {
        float score;
        const kept_point *point = &points[i];
        if (!point->exists || !point->vectors[field].has || point->n >= below || i == excluded)
            continue;
        if (!similarity(field, &weighed, &point->vectors[field], &score)) continue;
        uint32_t at = count++;
        for (; at > 0 && out[at - 1].score < score; at--)
            out[at] = out[at - 1];
        out[at] = (ranked){ i, score };
    }
    return count;
}

/* ---- comparison ----------------------------------------------------------------------------- */

static bool same_vector(const oct_named_vector *found, uint32_t field, const kept_vector *kept)
{
    if (found->kind != fields[field].kind || found->count != kept->count) return false;
    if (found->kind == OCT_VECTOR_MULTI && found->rows != kept->rows) return false;
    if (kept->count == 0) return true;
    if (found->kind == OCT_VECTOR_SPARSE &&
        memcmp(found->indices, kept->indices, kept->count * sizeof(uint32_t)) != 0)
        return false;
    kept_vector shown = *kept;
    oct_vector_params params = fields[field];
    params.size = DIM;
    oct_metric_restore(&params, shown.values, shown.count);
    return memcmp(found->values, shown.values, shown.count * sizeof(float)) == 0;
}

static bool same_point(const oct_found_point *found)
{
    const kept_point *point = &points[found->id.low];
    uint32_t at = 0;
    CHECK_OR(false, found->id.low < IDS && point->exists);
    for (uint32_t f = 0; f < FIELDS; f++) {
        if (!point->vectors[f].has) continue;
        CHECK_OR(false, at < found->vector_count);
        CHECK_OR(false, same_vector(&found->vectors[at++], f, &point->vectors[f]));
    }
    CHECK_OR(false, at == found->vector_count);
    return true;
}

static void compare_scroll(void)
{
    const oct_scroll scroll = { .limit = IDS, .with_vector = { .mode = OCT_SELECT_ALL } };
    oct_found found;
    uint32_t alive = 0;
    CHECK(oct_collection_scroll(it.collection, &it.arena, &scroll, &found, &it.error) == OCT_OK);
    for (uint32_t i = 0; i < IDS; i++)
        alive += points[i].exists;
    CHECK_EQ_U64(found.count, alive);
    for (uint32_t i = 0; i < found.count; i++)
        CHECK(same_point(&found.points[i]));
    oct_arena_reset(&it.arena);
}

static bool same_ranking(uint32_t field, const oct_found *found, const ranked *wanted,
                         uint32_t count)
{
    CHECK_OR(false, found->count == count);
    for (uint32_t i = 0; i < count; i++) {
        float score = oct_metric_score(fields[field].metric, wanted[i].score);
        CHECK_OR(false, found->points[i].id.low == wanted[i].id);
        CHECK_OR(false, memcmp(&found->points[i].score, &score, sizeof score) == 0);
    }
    return true;
}

/* One query: by vector or by a stored point, perhaps filtered, perhaps with a threshold. */
static void compare_query(uint32_t field)
{
    static ranked wanted[IDS];
    uint32_t below = test_random_below(3) ? 20 : test_random_below(20), stored = IDS;
    kept_vector vector = random_vector(field);
    oct_condition condition = {
        .kind = OCT_CONDITION_RANGE,
        .key = OCT_STR("n"),
        .range = { .lower = -INFINITY, .upper = below, .has_upper = true, .upper_open = true }
    };
    const oct_filter filter = { .must = { &condition, 1 } };
    const oct_named_vector query_vector = named(field, &vector);
    oct_query query = { .kind = OCT_QUERY_VECTOR,
                        .vector = query_vector.values,
                        .vector_count = query_vector.count,
                        .vector_kind = query_vector.kind,
                        .vector_rows = query_vector.rows,
                        .vector_indices = query_vector.indices,
                        .using_vector = query_vector.name,
                        .filter = below < 20 ? &filter : NULL,
                        .hnsw_ef = OCT_UNSET,
                        .exact = true,
                        .limit = 1 + test_random_below(12) };
    uint32_t id = test_random_below(IDS);
    if (test_random_below(4) == 0 && points[id].exists && points[id].vectors[field].has) {
        query.kind = OCT_QUERY_POINT;
        query.point = oct_point_id_of(id);
        vector = points[id].vectors[field];
        stored = id;
    }
    kept_vector given = vector; /* what the database is shown */
    query.vector = given.values;
    prepare_query(field, &vector, query.kind == OCT_QUERY_POINT);
    uint32_t count = rank(field, &vector, below, stored, wanted);
    if (count > 5 && test_random_below(4) == 0) {
        query.has_score_threshold = true;
        query.score_threshold = oct_metric_score(fields[field].metric, wanted[5].score);
        float least = oct_metric_threshold(fields[field].metric, query.score_threshold);
        while (count > 0 && !(wanted[count - 1].score > least))
            count--;
    }
    query.offset = test_random_below(3);
    uint32_t skipped = MIN(count, (uint32_t)query.offset);
    if (fields[field].kind == OCT_VECTOR_MULTI && test_random_below(2)) {
        query.exact = false;
        query.quantization =
            (oct_quantization_search){ .has_rescore = true, .rescore = true, .oversampling = IDS };
    }
    oct_found found;
    CHECK(oct_collection_query(it.collection, &it.arena, &query, &found, &it.error) == OCT_OK);
    if (!same_ranking(field, &found, wanted + skipped, MIN(count - skipped, (uint32_t)query.limit)))
        printf("  field %s, %s, below %u\n", fields[field].name.at,
               stored < IDS ? "stored" : "given", below);
    oct_arena_reset(&it.arena);
}

/* ---- runs ----------------------------------------------------------------------------------- */

static void change(void)
{
    uint32_t dice = test_random_below(10);
    bool more;
    if (dice < 6)
        upsert();
    else if (dice < 8)
        change_vectors();
    else
        delete_points();
    if (test_random_below(2)) CHECK(oct_maintain(it.world.db, 0, &more, &it.error) == OCT_OK);
}

static void run(uint32_t segment_points)
{
    memset(points, 0, sizeof points);
    kernels = oct_kernels_select(NULL);
    single_create(&it, heap_start(), config_text, segment_points, NULL);
    for (uint32_t round = 0; round < 60 && !test_failed; round++) {
        for (uint32_t i = 0; i < 25; i++)
            change();
        if (round % 7 == 3) single_settle(&it, 1);
        if (round % 5 == 4) single_reopen(&it);
        compare_scroll();
        for (uint32_t i = 0; i < 4; i++)
            for (uint32_t f = 0; f < FIELDS; f++)
                compare_query(f);
    }
    single_reopen(&it);
    single_check(&it);
    single_destroy(&it);
    CHECK(heap_is_empty());
}

TEST(small_segments)
{
    run(24);
}
TEST(larger_segments)
{
    run(150);
}
TEST(one_memory_segment)
{
    run(100000);
}

TEST_MAIN(small_segments, larger_segments, one_memory_segment)
