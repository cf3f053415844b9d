/* SPDX-License-Identifier: Apache-2.0 */
/* query_support.h - for the tests of reads: a view of several memory and sealed segments with
 * random points, beside a plain list of the same points, which is what answers are compared with.
 *
 * Vectors hold small whole numbers, so that similarities are exact and ties are common. Some points
 * were replaced within their memory segment, some are deleted, some lack a vector. */
#ifndef OCT_TEST_QUERY_SUPPORT_H
#define OCT_TEST_QUERY_SUPPORT_H

#include "model/config.h"
#include "model/point_id.h"
#include "model_support.h"
#include "octant/octant.h"
#include "query/read.h"
#include "segment/build.h"
#include "segment/layout.h"
#include "simd/metric.h"

enum { QUERY_POINTS_MAX = 4000, QUERY_DIM_MAX = 16, QUERY_VECTORS = 2, QUERY_ENTRIES_MAX = 6 };

/* A point as the list has it. */
typedef struct known_point {
    oct_point_id id;
    uint64_t version;
    bool alive;
    int64_t n; /* payload member */
    bool red;  /* payload member "g": "red" or ["blue","red"], against "blue" */
    uint64_t present;
    float vectors[QUERY_VECTORS][QUERY_DIM_MAX]; /* prepared */
    char payload[64];
} known_point;

typedef struct query_world {
    oct_vfs *vfs;
    oct_host host;
    const oct_kernels *kernels;
    const oct_collection_config *config; /* vectors "a" and "b" */
    oct_arena config_arena;
    oct_schema *schema;
    oct_view *view;
    oct_hnsw_scratch *scratch;
    known_point *points; /* [count], by id */
    uint32_t count;
} query_world;

typedef struct query_world_request {
    const char *metric; /* of both vectors */
    uint32_t points;
    uint32_t dim;     /* of "a"; "b" has 3 */
    uint32_t entries; /* points go to random ones */
    uint32_t sealed;  /* bit e: entry e is a sealed segment */
    bool graphs;
    bool indexed;             /* payload indexes on n and g */
    bool whole;               /* nothing deleted, replaced or absent */
    const char *quantization; /* quantization_config of the collection; NULL: none */
} query_world_request;

static inline void must(oct_status status, const oct_error *error)
{
    if (status == OCT_OK) return;
    printf("fixture: %s\n", error->message);
    abort();
}

static uint64_t query_clock_ns;

static inline uint64_t query_clock(void *self)
{
    UNUSED(self);
    return query_clock_ns += 1000;
}

/* ---- points ----------------------------------------------------------------------------- */

static inline void random_vector(const query_world *world, uint32_t v, float *out)
{
    uint32_t size = world->config->vectors[v].size;
    for (uint32_t i = 0; i < size; i++)
        out[i] = (float)test_random_below(5) - 2.0f;
    oct_metric_preprocess(world->kernels, world->config->vectors[v].metric, out, size);
}

/* Ascending ids, numbers first, with gaps. */
static inline oct_point_id known_id(uint32_t i, uint32_t count)
{
    if (i < count - count / 4) return oct_point_id_of(10 + 3 * (uint64_t)i);
    return (oct_point_id){ .high = i / 8, .low = UINT64_MAX - 100000 + i, .is_uuid = true };
}

static inline void random_point(query_world *world, uint32_t i, bool whole)
{
    known_point *point = &world->points[i];
    point->id = known_id(i, world->count);
    point->version = 1 + test_random_below(1000000);
    point->alive = whole || test_random_below(5) > 0;
    point->n = (int64_t)test_random_below(100);
    uint32_t form = test_random_below(3);
    point->red = form < 2;
    static const char *const forms[] = { "\"red\"", "[\"blue\",\"red\"]", "\"blue\"" };
    snprintf(point->payload, sizeof point->payload, "{\"n\":%" PRId64 ",\"g\":%s}", point->n,
             forms[form]);
    point->present = whole ? 3 : (uint64_t)test_random_below(8) | 1;
    if (point->present > 3) point->present = 3;
    if (!whole && test_random_below(10) == 0) point->present = test_random_below(2) * 2;
    for (uint32_t v = 0; v < QUERY_VECTORS; v++)
        random_vector(world, v, point->vectors[v]);
}

/* ---- segments --------------------------------------------------------------------------- */

static inline uint32_t stage_point(const query_world *world, oct_memory_segment *segment,
                                   const known_point *point)
{
    oct_error error;
    float joined[QUERY_VECTORS * QUERY_DIM_MAX];
    size_t floats = 0;
    uint32_t at = segment->staged;
    for (uint32_t v = 0; v < QUERY_VECTORS; v++) {
        if (!((point->present >> v) & 1)) continue;
        uint32_t size = world->config->vectors[v].size;
        memcpy(joined + floats, point->vectors[v], size * sizeof(float));
        floats += size;
    }
    const oct_slot slot = { .id = point->id,
                            .version = point->version,
                            .present = point->present,
                            .vectors = joined,
                            .payload = oct_str_of(point->payload) };
    must(oct_memory_stage(segment, &slot, &error), &error);
    must(oct_memory_prepare(segment, at, &error), &error);
    oct_memory_publish(segment, at);
    return at;
}

/* A memory entry with the points of `owner` e, in random order, all living; with `replace`, some
 * have an older slot too. */
static inline oct_view_entry memory_entry(const query_world *world, const uint32_t *owners,
                                          uint32_t e, bool replace)
{
    oct_error error;
    oct_view_entry entry = { .memory = NULL };
    must(oct_memory_segment_create(world->host.alloc, world->config, 7, &entry.memory, &error),
         &error);
    must(oct_bitmap_create(world->host.alloc, NULL, 2 * world->count, &entry.alive, &error),
         &error);
    uint32_t *order = calloc(world->count, sizeof *order);
    if (!order) abort();
    for (uint32_t i = 0; i < world->count; i++) {
        uint32_t j = test_random_below(i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (uint32_t i = 0; i < world->count; i++) {
        const known_point *point = &world->points[order[i]];
        if (owners[order[i]] != e) continue;
        if (replace && test_random_below(4) == 0) {
            known_point older = *point;
            memset(older.vectors, 0, sizeof older.vectors);
            older.present = 3;
            strcpy(older.payload, "{\"n\":1,\"g\":\"red\"}");
            oct_bits_clear(entry.alive->bits, stage_point(world, entry.memory, &older));
        }
        (void)stage_point(world, entry.memory, point); /* its slot is not needed */
        entry.alive_count++;
    }
    free(order);
    entry.count = entry.memory->staged;
    return entry;
}

static inline void entry_release(oct_view_entry *entry)
{
    oct_bitmap_unpin(entry->alive);
    oct_memory_segment_unpin(entry->memory);
}

static inline oct_view_entry seal_entry(const query_world *world, oct_view_entry from,
                                        uint64_t number, bool graphs)
{
    oct_error error;
    oct_build *build;
    bool done = false;
    const oct_build_request request = { .host = &world->host,
                                        .kernels = world->kernels,
                                        .config = world->config,
                                        .schema = world->schema,
                                        .sources = &from,
                                        .source_count = 1,
                                        .directory = "c",
                                        .number = number,
                                        .graphs = graphs };
    must(oct_build_create(&request, &build, &error), &error);
    while (!done)
        must(oct_build_step(build, UINT64_MAX, &done, &error), &error);
    oct_view_entry entry = { .sealed = oct_build_take(build) };
    oct_build_destroy(build);
    if (!entry.sealed) abort(); /* worlds are large enough for every entry to have a point */
    entry.count = entry.alive_count = entry.sealed->count;
    must(oct_fields_create(
             entry.sealed,
             &(oct_fields_request){ world->schema->fields, world->schema->count, NULL, NULL },
             &entry.fields, &error),
         &error);
    entry_release(&from);
    return entry;
}

static inline void kill_dead(const query_world *world, oct_view_entry *entry)
{
    oct_error error;
    for (uint32_t i = 0; i < world->count; i++) {
        oct_point_id id = world->points[i].id;
        if (world->points[i].alive) continue;
        uint32_t at = entry->sealed ? oct_sealed_find(entry->sealed, id)
                                    : oct_memory_find(entry->memory, id, entry->count);
        if (at == UINT32_MAX) continue;
        if (!entry->alive)
            must(oct_bitmap_create(world->host.alloc, NULL, entry->count, &entry->alive, &error),
                 &error);
        oct_bits_clear(entry->alive->bits, at);
        entry->alive_count--;
    }
}

/* ---- worlds ----------------------------------------------------------------------------- */

static inline void world_config(query_world *world, const query_world_request *request)
{
    char text[512];
    oct_error error;
    oct_collection_config *config;
    oct_arena_init(&world->config_arena, &model_malloc, 0);
    snprintf(text, sizeof text,
             "{\"vectors\":{\"a\":{\"size\":%" PRIu32 ",\"distance\":\"%s\"},"
             "\"b\":{\"size\":3,\"distance\":\"%s\"}},"
             "\"hnsw_config\":{\"full_scan_threshold\":10,\"ef_construct\":40},"
             "\"quantization_config\":%s}",
             request->dim, request->metric, request->metric,
             request->quantization ? request->quantization : "null");
    must(oct_arena_array(&world->config_arena, 1, sizeof *config, &config, &error), &error);
    must(oct_config_parse(&world->config_arena, model_json(&world->config_arena, text), config,
                          &error),
         &error);
    world->config = config;
}

static inline void world_schema(query_world *world, bool indexed)
{
    oct_error error;
    const oct_field_config fields[] = { { .key = OCT_STR("n"), .type = OCT_FIELD_INTEGER },
                                        { .key = OCT_STR("g"), .type = OCT_FIELD_KEYWORD } };
    const oct_str none = { NULL, 0 };
    oct_schema *before = NULL;
    must(oct_schema_create(world->host.alloc, NULL, none, NULL, &world->schema, &error), &error);
    for (size_t i = 0; indexed && i < ARRAY_COUNT(fields); i++) {
        before = world->schema;
        must(oct_schema_create(world->host.alloc, before, none, &fields[i], &world->schema, &error),
             &error);
        oct_schema_unpin(before);
    }
}

static inline query_world *world_create(const query_world_request *request)
{
    oct_error error;
    query_world *world = calloc(1, sizeof *world);
    if (!world || request->points > QUERY_POINTS_MAX) abort();
    must(oct_vfs_memory_create(&model_malloc, &world->vfs, &error), &error);
    world->host =
        (oct_host){ .alloc = &model_malloc, .vfs = world->vfs, .monotonic_ns = query_clock };
    world->kernels = oct_kernels_select(NULL);
    world_config(world, request);
    world_schema(world, request->indexed);
    must(oct_hnsw_scratch_create(&model_malloc, &world->scratch, &error), &error);
    must(oct_view_create(&model_malloc, NULL, request->entries, &world->view, &error), &error);
    world->view->schema = oct_schema_pin(world->schema);
    world->count = request->points;
    world->points = calloc(world->count, sizeof *world->points);
    uint32_t *owners = calloc(world->count, sizeof *owners);
    if (!world->points || !owners) abort();
    for (uint32_t i = 0; i < world->count; i++) {
        random_point(world, i, request->whole);
        owners[i] = i < request->entries ? i : test_random_below(request->entries);
    }
    for (uint32_t e = 0; e < request->entries; e++) {
        oct_view_entry entry = memory_entry(world, owners, e, !request->whole);
        if ((request->sealed >> e) & 1) entry = seal_entry(world, entry, e + 1, request->graphs);
        kill_dead(world, &entry);
        oct_view_insert(world->view, e, entry);
    }
    free(owners);
    return world;
}

static inline void world_destroy(query_world *world)
{
    oct_view_unpin(world->view);
    oct_schema_unpin(world->schema);
    oct_hnsw_scratch_destroy(world->scratch);
    oct_arena_reset(&world->config_arena);
    oct_vfs_memory_destroy(world->vfs);
    free(world->points);
    free(world);
}

static inline oct_reading world_reading(const query_world *world, oct_arena *arena)
{
    return (oct_reading){ .host = &world->host,
                          .kernels = world->kernels,
                          .config = world->config,
                          .view = world->view,
                          .arena = arena,
                          .scratch = world->scratch };
}

/* ---- filters ---------------------------------------------------------------------------- */

/* A filter and what it means, told in C. */
typedef struct known_filter {
    oct_filter filter;
    oct_condition conditions[3];
    oct_scalar red;
    oct_point_id ids[3];
    uint32_t kind;
    int64_t below;
} known_filter;

enum { FILTER_KINDS = 6 };

/* Kind 0: none; 1: n < below; 2: g is red; 3: not red and n < below; 4: ids; 5: nothing passes. */
static inline void filter_make(const query_world *world, uint32_t kind, known_filter *out)
{
    *out = (known_filter){ .kind = kind, .below = (int64_t)test_random_below(110) };
    out->red = (oct_scalar){ .kind = OCT_SCALAR_KEYWORD, .keyword = OCT_STR("red") };
    if (kind == 5) out->below = -1;
    const oct_condition less = { .kind = OCT_CONDITION_RANGE,
                                 .key = OCT_STR("n"),
                                 .range = { .lower = -1e300,
                                            .upper = (double)out->below,
                                            .has_upper = true,
                                            .upper_open = true } };
    const oct_condition red = {
        .kind = OCT_CONDITION_MATCH_ANY, .key = OCT_STR("g"), .values = &out->red, .value_count = 1
    };
    for (uint32_t i = 0; i < 2; i++)
        out->ids[i] = world->points[test_random_below(world->count)].id;
    out->ids[2] = oct_point_id_of(11); /* never used */
    const oct_condition ids = { .kind = OCT_CONDITION_HAS_ID, .ids = out->ids, .id_count = 3 };
    out->conditions[0] = kind == 2 ? red : kind == 4 ? ids : less;
    out->conditions[1] = red;
    if (kind > 0) out->filter.must = (oct_conditions){ out->conditions, 1 };
    if (kind == 3) out->filter.must_not = (oct_conditions){ out->conditions + 1, 1 };
}

static inline bool filter_passes(const known_filter *filter, const known_point *point)
{
    bool below = point->n < filter->below;
    switch (filter->kind) {
    case 1:
    case 5:
        return below;
    case 2:
        return point->red;
    case 3:
        return below && !point->red;
    case 4:
        return oct_point_id_equal(point->id, filter->ids[0]) ||
               oct_point_id_equal(point->id, filter->ids[1]);
    default:
        return true;
    }
}

/* ---- answers ---------------------------------------------------------------------------- */

static inline const known_point *known_find(const query_world *world, oct_point_id id)
{
    for (uint32_t i = 0; i < world->count; i++)
        if (oct_point_id_equal(world->points[i].id, id)) return &world->points[i];
    return NULL;
}

/* Is this the point as the list has it, with its whole payload and all its vectors? */
static inline bool found_is(const query_world *world, const oct_found_point *found,
                            const known_point *point)
{
    CHECK_OR(false, oct_point_id_equal(found->id, point->id));
    CHECK_OR(false, found->version == point->version);
    CHECK_OR(false, model_is(found->payload, point->payload));
    CHECK_OR(false, found->vectors != NULL);
    uint32_t at = 0;
    for (uint32_t v = 0; v < QUERY_VECTORS; v++) {
        const oct_vector_params *params = &world->config->vectors[v];
        if (!((point->present >> v) & 1)) continue;
        CHECK_OR(false, at < found->vector_count);
        CHECK_OR(false, oct_str_equal(found->vectors[at].name, params->name));
        CHECK_OR(false, found->vectors[at].count == params->size);
        CHECK_OR(false, memcmp(found->vectors[at].values, point->vectors[v],
                               params->size * sizeof(float)) == 0);
        at++;
    }
    CHECK_OR(false, at == found->vector_count);
    return true;
}

#endif
