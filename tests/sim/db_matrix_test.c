/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: every metric x datatype x kind of codes x filter, through the database, with graphs and
 * without: an exact search is brute force to the bit; a search by codes or graph answers with
 * selected points only, with exact scores where they are rescored, and finds enough; answers depend
 * neither on the threads that built the segments nor on a restart.
 * Method: per metric and datatype one collection, in which each point has the same vector once for
 * each kind of codes, under as many names, so that one list of true neighbours serves all. Points
 * are sealed, indexed, changed and merged before they are searched, in every way there is to ask:
 * exactly, as usual, rescored over a walk that keeps to the selected points, ignoring codes, by
 * estimates. A row of the table of codes tells the least share of neighbours it must find. Without
 * graphs (m is 0, codes are compared one by one) there are no payload indexes either. Other
 * vectors have one row too, but as multivectors. */
#include <math.h>

#include "base/hash.h"
#include "base/str.h"
#include "model/point_id.h"
#include "model_support.h"
#include "sim/single.h"
#include "simd/metric.h"
#if OCT_THREADS
#include "threads.h"
#endif

enum { POINTS = 1200, DIM = 32, QUERIES = 6, LIMIT = 10, BATCH = 50, EF = 24, CENTRES = 40 };

/* How many percent of the true neighbours each kind must find: by estimates, and rescored. */
typedef struct coding {
    const char *name;
    const char *config; /* quantization_config; NULL: none */
    bool rescores;      /* when the query doesn't say */
    bool multi;
    uint32_t plain, rescored;
} coding;

#define BINARY(encoding, query)                                                                    \
    "{\"binary\":{\"encoding\":\"" encoding "\",\"query_encoding\":\"" query "\"}}"
#define PRODUCT(x) "{\"product\":{\"compression\":\"x" x "\"}}"
#define TURBO(b)   "{\"turbo\":{\"bits\":\"bits" b "\"}}"
#define BINARIES(label, encoding, ...)                                                             \
    { "binary " label ", default", BINARY(encoding, "default"), true, false, __VA_ARGS__ },        \
        { "binary " label ", binary", BINARY(encoding, "binary"), true, false, __VA_ARGS__ },      \
        { "binary " label ", 4", BINARY(encoding, "scalar4bits"), true, false, __VA_ARGS__ },      \
    {                                                                                              \
        "binary " label ", 8", BINARY(encoding, "scalar8bits"), true, false, __VA_ARGS__           \
    }

static const coding codings[] = {
    { "none", NULL, true, false, 90, 90 },
    { "multi", NULL, true, true, 90, 90 },
    { "multi scalar", "{\"scalar\":{\"type\":\"int8\"}}", false, true, 90, 95 },
    { "multi turbo 2", TURBO("2"), true, true, 50, 95 },
    { "scalar", "{\"scalar\":{\"type\":\"int8\"}}", false, false, 90, 95 },
    { "scalar .95", "{\"scalar\":{\"type\":\"int8\",\"quantile\":0.95}}", false, false, 80, 95 },
    { "product x4", PRODUCT("4"), false, false, 80, 95 },
    { "product x8", PRODUCT("8"), false, false, 70, 95 },
    { "product x16", PRODUCT("16"), false, false, 60, 95 },
    { "product x32", PRODUCT("32"), false, false, 50, 90 },
    { "product x64", PRODUCT("64"), false, false, 30, 85 },
    BINARIES("1", "one_bit", 10, 55),
    BINARIES("1.5", "one_and_half_bits", 10, 55),
    BINARIES("2", "two_bits", 10, 60),
    { "turbo 4", TURBO("4"), false, false, 50, 95 },
    { "turbo 2", TURBO("2"), true, false, 50, 95 },
    { "turbo 1.5", TURBO("1_5"), true, false, 35, 90 },
    { "turbo 1", TURBO("1"), true, false, 30, 85 },
};
enum { CODINGS = (int)(sizeof codings / sizeof *codings) };

/* ---- filters ------------------------------------------------------------------------------ */

typedef struct payload_values {
    int64_t half, tenth, hundredth;
} payload_values;

static payload_values payload_of(uint32_t id)
{
    return (payload_values){ id % 2, id / 2 % 10, id / 3 % 100 };
}

static const oct_scalar numbers[] = {
    { .kind = OCT_SCALAR_INTEGER, .integer = 1 },
    { .kind = OCT_SCALAR_INTEGER, .integer = 3 },
    { .kind = OCT_SCALAR_INTEGER, .integer = 42 },
};

#define IS(name, n)                                                                                \
    { .kind = OCT_CONDITION_MATCH_ANY,                                                             \
      .key = { name, sizeof(name) - 1 },                                                           \
      .values = &numbers[n],                                                                       \
      .value_count = 1 }

static const oct_condition half_is_1 = IS("half", 0), tenth_is_3 = IS("tenth", 1),
                           hundredth_is_42 = IS("hundredth", 2);
static const oct_condition either[] = { IS("tenth", 0), IS("tenth", 1) };

enum { FILTERS = 6 };
static const oct_filter filters[FILTERS] = {
    { .min_should_count = 0 },          { .must = { &half_is_1, 1 } },
    { .must = { &tenth_is_3, 1 } },     { .must = { &hundredth_is_42, 1 } },
    { .must_not = { &tenth_is_3, 1 } }, { .should = { either, 2 } },
};

static bool passes(uint32_t filter, uint32_t id)
{
    payload_values at = payload_of(id);
    switch (filter) {
    case 1:
        return at.half == 1;
    case 2:
        return at.tenth == 3;
    case 3:
        return at.hundredth == 42;
    case 4:
        return at.tenth != 3;
    case 5:
        return at.tenth == 1 || at.tenth == 3;
    default:
        return true;
    }
}

/* ---- points and true neighbours ------------------------------------------------------------ */

static float rows[POINTS][DIM]; /* as given; some points get another row later, or go */
static bool alive[POINTS];
static float queries[QUERIES][DIM];
static float similarities[QUERIES][POINTS];
static uint32_t truth[QUERIES][FILTERS][LIMIT], truth_count[QUERIES][FILTERS];

/* Near one of a few centres, as real vectors are. Half of the numbers of uint8 are 0: the others'
 * signs would say nothing. */
static void random_row(float out[DIM], oct_datatype datatype)
{
    uint64_t centre = test_random_below(CENTRES) * UINT64_C(0x9E3779B97F4A7C15);
    for (uint32_t i = 0; i < DIM; i++) {
        centre = centre * UINT64_C(6364136223846793005) + 1442695040888963407;
        out[i] = (float)(centre >> 57) - 64.0f + 60.0f * test_random_float();
        if (datatype == OCT_DATATYPE_UINT8) out[i] = fmaxf(out[i], 0);
    }
}

static float similarity(const oct_kernels *kernels, const oct_vector_params *params,
                        const float query[DIM], const float given[DIM])
{
    float row[DIM];
    memcpy(row, given, sizeof row);
    oct_metric_prepare(kernels, params, row, DIM);
    float found = oct_metric_similarity(kernels, params->metric, query, row, DIM);
    if (!oct_metric_query_differs(params)) return found;
    return oct_metric_over_length(found, kernels->dot_f32(row, row, DIM));
}

/* The best points of a query that pass, ties by id. */
static void rank(uint32_t q, uint32_t filter)
{
    uint32_t *best = truth[q][filter], count = 0;
    for (uint32_t id = 0; id < POINTS; id++) {
        if (!alive[id] || !passes(filter, id)) continue;
        uint32_t at = count < LIMIT ? count++ : LIMIT;
        for (; at > 0 && similarities[q][best[at - 1]] < similarities[q][id]; at--)
            if (at < LIMIT) best[at] = best[at - 1];
        if (at < LIMIT) best[at] = id;
    }
    truth_count[q][filter] = count;
}

static void find_truth(const oct_vector_params *params)
{
    const oct_kernels *kernels = oct_kernels_select(NULL);
    for (uint32_t q = 0; q < QUERIES; q++) {
        float query[DIM];
        memcpy(query, queries[q], sizeof query);
        oct_metric_prepare_given(kernels, params, query, DIM);
        oct_metric_prepare_query(kernels, params, query, DIM);
        for (uint32_t id = 0; id < POINTS; id++)
            similarities[q][id] = similarity(kernels, params, query, rows[id]);
        for (uint32_t f = 0; f < FILTERS; f++)
            rank(q, f);
    }
}

/* ---- a collection -------------------------------------------------------------------------- */

static const char *const metric_names[] = { "Cosine", "Euclid", "Dot", "Manhattan" };
static const char *const datatype_names[] = { "float32", "float16", "uint8", "turbo4" };
static char vector_names[CODINGS][4]; /* ascending, as configs have them */
static single it;

static void name_vectors(void)
{
    for (uint32_t v = 0; v < CODINGS; v++)
        snprintf(vector_names[v], sizeof vector_names[v], "%c%02u", 'v', v % 100);
}

static void create(const oct_vector_params *params, bool indexed, bool threads)
{
    static char text[8192];
    size_t at = 0;
    for (uint32_t v = 0; v < CODINGS; v++)
        at += (size_t)snprintf(
            text + at, sizeof text - at,
            "%s\"%s\":{\"size\":%d,\"distance\":\"%s\",\"datatype\":\"%s\"%s%s%s}",
            v ? "," : "{\"vectors\":{", vector_names[v], DIM, metric_names[params->metric],
            datatype_names[params->datatype], codings[v].config ? ",\"quantization_config\":" : "",
            codings[v].config ? codings[v].config : "",
            codings[v].multi ? ",\"multivector_config\":{\"comparator\":\"max_sim\"}" : "");
    snprintf(text + at, sizeof text - at,
             "},\"hnsw_config\":{\"m\":%d,\"ef_construct\":40,\"full_scan_threshold\":10},"
             "\"optimizers_config\":{\"indexing_threshold\":10,\"default_segment_number\":1,"
             "\"deleted_threshold\":0.1,\"vacuum_min_vector_number\":100}}",
             indexed ? 8 : 0);
#if OCT_THREADS
    single_create(&it, &model_malloc, text, 400, threads ? test_parallel : NULL);
#else
    UNUSED(threads);
    single_create(&it, &model_malloc, text, 400, NULL);
#endif
}

/* The points first, first + step, ... with the rows they have. */
static void upsert(uint32_t first, uint32_t step)
{
    static oct_named_vector vectors[BATCH][CODINGS];
    static char payloads[BATCH][64];
    oct_point points[BATCH];
    while (first < POINTS) {
        uint32_t count = 0;
        for (; count < BATCH && first < POINTS; count++, first += step) {
            for (uint32_t v = 0; v < CODINGS; v++)
                vectors[count][v] = (oct_named_vector){ .name = oct_str_of(vector_names[v]),
                                                        .values = rows[first],
                                                        .count = DIM,
                                                        .kind = codings[v].multi ? OCT_VECTOR_MULTI
                                                                                 : OCT_VECTOR_DENSE,
                                                        .rows = codings[v].multi ? 1 : 0 };
            payload_values has = payload_of(first);
            snprintf(payloads[count], sizeof payloads[count],
                     "{\"half\":%d,\"tenth\":%d,\"hundredth\":%d}", (int)has.half, (int)has.tenth,
                     (int)has.hundredth);
            points[count] = (oct_point){ .id = oct_point_id_of(first),
                                         .vectors = vectors[count],
                                         .vector_count = CODINGS,
                                         .payload = oct_str_of(payloads[count]) };
            alive[first] = true;
        }
        single_write(
            &it, &(oct_write){ .kind = OCT_WRITE_UPSERT, .points = points, .point_count = count });
    }
}

static void delete_some(uint32_t first, uint32_t step)
{
    static oct_point_id ids[POINTS];
    uint32_t count = 0;
    for (uint32_t id = first; id < POINTS; id += step) {
        ids[count++] = oct_point_id_of(id);
        alive[id] = false;
    }
    single_write(&it, &(oct_write){ .kind = OCT_WRITE_DELETE,
                                    .selector = { .ids = ids, .id_count = count } });
}

/* Points that were sealed, indexed, changed and merged. The random numbers are the same each time.
 */
static void fill(const oct_vector_params *params, bool indexed)
{
    static const char *const keys[] = { "half", "tenth", "hundredth" };
    test_random_state = test_seed;
    for (uint32_t q = 0; q < QUERIES; q++)
        random_row(queries[q], params->datatype);
    for (uint32_t i = 0; i < POINTS; i++)
        random_row(rows[i], params->datatype);
    for (uint32_t k = 0; k < 3 && indexed; k++)
        single_write(&it, &(oct_write){
                              .kind = OCT_WRITE_CREATE_INDEX,
                              .field = { .key = oct_str_of(keys[k]), .type = OCT_FIELD_INTEGER } });
    upsert(0, 1);
    single_settle(&it, 1000);
    delete_some(5, 7);
    for (uint32_t i = 1; i < POINTS; i += 4)
        random_row(rows[i], params->datatype);
    upsert(1, 4);
    single_settle(&it, 1000);
}

/* ---- searches ------------------------------------------------------------------------------ */

typedef enum way { EXACT, USUAL, RESCORED, IGNORING, ESTIMATES, WAYS } way;

/* What was found, over the queries; the digest has every id and score. */
typedef struct tally {
    uint32_t found[CODINGS][FILTERS][WAYS], wanted[FILTERS];
    uint64_t digest;
} tally;

static void digest_point(tally *sum, const oct_found_point *point)
{
    uint32_t score;
    memcpy(&score, &point->score, sizeof score);
    sum->digest = (sum->digest ^ (point->id.low << 32 ^ score)) * UINT64_C(0x9E3779B97F4A7C15);
    sum->digest ^= sum->digest >> 29;
}

static oct_query query_of(uint32_t q, uint32_t v, uint32_t filter, way how)
{
    oct_query query = { .kind = OCT_QUERY_VECTOR,
                        .vector = queries[q],
                        .vector_count = DIM,
                        .using_vector = oct_str_of(vector_names[v]),
                        .filter = filter ? &filters[filter] : NULL,
                        .hnsw_ef = EF,
                        .exact = how == EXACT,
                        .indexed_only = how == USUAL,
                        .limit = LIMIT };
    if (how == RESCORED || how == ESTIMATES) {
        query.acorn =
            (oct_acorn){ .enable = true, .has_max_selectivity = true, .max_selectivity = 1 };
        query.quantization =
            (oct_quantization_search){ .has_rescore = true, .rescore = how == RESCORED };
    }
    query.quantization.ignore = how == IGNORING;
    return query;
}

static bool is_true_score(oct_metric metric, uint32_t q, const oct_found_point *point)
{
    float score = oct_metric_score(metric, similarities[q][point->id.low]);
    return memcmp(&score, &point->score, sizeof score) == 0;
}

/* Every point may be there, is there once, in order, with the score it should have. */
static bool check_answer(const oct_vector_params *params, uint32_t q, uint32_t filter,
                         bool rescored, const oct_found *found)
{
    CHECK_OR(false, found->count <= LIMIT);
    for (uint32_t i = 0; i < found->count; i++) {
        const oct_found_point *point = &found->points[i];
        CHECK_OR(false, point->id.low < POINTS && alive[point->id.low]);
        CHECK_OR(false, passes(filter, (uint32_t)point->id.low));
        CHECK_OR(false, !rescored || is_true_score(params->metric, q, point));
        if (i == 0) continue;
        const oct_found_point *before = &found->points[i - 1];
        if (before->score == point->score)
            CHECK_OR(false, before->id.low < point->id.low);
        else
            CHECK_OR(false,
                     (before->score > point->score) == oct_metric_descending(params->metric));
    }
    return true;
}

static bool ask(const oct_vector_params *params, uint32_t q, uint32_t v, uint32_t filter, way how,
                tally *sum)
{
    oct_found found;
    oct_query query = query_of(q, v, filter, how);
    bool rescored = !codings[v].config || how == EXACT || how == RESCORED || how == IGNORING ||
                    (how == USUAL && codings[v].rescores);
    uint32_t wanted = truth_count[q][filter], hits = 0;
    const uint32_t *best = truth[q][filter];
    CHECK_OR(false,
             oct_collection_query(it.collection, &it.arena, &query, &found, &it.error) == OCT_OK);
    CHECK_OR(false, check_answer(params, q, filter, rescored, &found));
    CHECK_OR(false, how != EXACT || found.count == wanted);
    for (uint32_t i = 0; i < found.count; i++) {
        CHECK_OR(false, how != EXACT || found.points[i].id.low == best[i]);
        for (uint32_t j = 0; j < wanted; j++)
            hits += found.points[i].id.low == best[j];
        digest_point(sum, &found.points[i]);
    }
    sum->found[v][filter][how] += hits;
    oct_arena_reset(&it.arena);
    return true;
}

static void ask_all(const oct_vector_params *params, uint32_t query_count, tally *sum)
{
    memset(sum, 0, sizeof *sum);
    for (uint32_t filter = 0; filter < FILTERS; filter++)
        for (uint32_t q = 0; q < query_count; q++) {
            sum->wanted[filter] += truth_count[q][filter];
            for (uint32_t v = 0; v < CODINGS; v++)
                for (uint32_t how = 0; how < WAYS; how++) {
                    if (!ask(params, q, v, filter, (way)how, sum))
                        printf("  %s, filter %u, way %u, query %u\n", codings[v].name, filter, how,
                               q);
                    CHECK(!test_failed);
                }
        }
}

static void check_recall(const oct_vector_params *params, const tally *sum)
{
    for (uint32_t v = 0; v < CODINGS; v++)
        for (uint32_t how = 0; how < WAYS; how++)
            for (uint32_t filter = 0; filter < FILTERS; filter++) {
                bool plain = how == ESTIMATES || (how == USUAL && !codings[v].rescores);
                uint32_t least = plain ? codings[v].plain : codings[v].rescored;
                uint32_t percent = 100 * sum->found[v][filter][how] / sum->wanted[filter];
                if (percent >= least) continue;
                printf("  %s %s: %s, filter %u, way %u: %u %% found, not %u\n",
                       metric_names[params->metric], datatype_names[params->datatype],
                       codings[v].name, filter, how, percent, least);
                test_failed = true;
            }
}

/* ---- runs ---------------------------------------------------------------------------------- */

/* Graphs and payload indexes, built on one thread or on three. */
static void run_indexed(const oct_vector_params *params, bool threads, tally *sum)
{
    static tally again;
    oct_collection_info info;
    create(params, true, threads);
    fill(params, true);
    if (!threads) find_truth(params);
    CHECK(oct_collection_describe(it.collection, &it.arena, &info, &it.error) == OCT_OK);
    CHECK(info.indexed_vectors_count >= CODINGS * POINTS / 2); /* there are graphs to walk */
    oct_arena_reset(&it.arena);
    ask_all(params, QUERIES, sum);
    CHECK(!test_failed);
    single_check(&it);
    single_reopen(&it);
    ask_all(params, threads ? 0 : QUERIES, &again);
    CHECK(threads || again.digest == sum->digest);
    single_destroy(&it);
}

/* Without graphs and payload indexes, one query: each payload is read for each filter. */
static void run_plain(const oct_vector_params *params)
{
    static tally sum;
    create(params, false, false);
    fill(params, false);
    ask_all(params, 1, &sum);
    single_destroy(&it);
}

static void run(oct_metric metric)
{
    static tally one, three;
    name_vectors();
    for (uint32_t datatype = 0; datatype < OCT_DATATYPE_COUNT; datatype++) {
        const oct_vector_params params = { .size = DIM,
                                           .metric = metric,
                                           .datatype = (oct_datatype)datatype };
        run_indexed(&params, false, &one);
        run_indexed(&params, true, &three);
        CHECK(one.digest == three.digest);
        run_plain(&params);
        check_recall(&params, &one);
    }
}

TEST(cosine)
{
    run(OCT_METRIC_COSINE);
}
TEST(euclid)
{
    run(OCT_METRIC_EUCLID);
}
TEST(dot)
{
    run(OCT_METRIC_DOT);
}
TEST(manhattan)
{
    run(OCT_METRIC_MANHATTAN);
}

TEST_MAIN(cosine, euclid, dot, manhattan)
