/* SPDX-License-Identifier: Apache-2.0
 *
 * model_check.c - the world a model runs in, and the comparison with the database. Reads go
 * through db.h, whose answers are typed; changes go through oct_call, which is what users have. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "model/point_id.h"
#include "sim/model.h"

enum { QUERY_LIMIT = 10 };

/* ---- the world ---------------------------------------------------------------------------- */

static uint64_t sim_ns(void *self)
{
    sim_world *world = self;
    return oct_atomic_add(&world->clock, world->tick_ns);
}

static uint64_t sim_ms(void *self)
{
    return sim_ns(self) / 1000000;
}

static oct_status sim_entropy(void *self, void *target, size_t bytes, oct_error *error)
{
    sim_world *world = self;
    UNUSED(error);
    for (size_t i = 0; i < bytes; i++) {
        world->entropy = world->entropy * UINT64_C(6364136223846793005) + 1442695040888963407;
        ((uint8_t *)target)[i] = (uint8_t)(world->entropy >> 56);
    }
    return OCT_OK;
}

void sim_init(sim_world *world, const oct_alloc *alloc, const oct_vfs *vfs)
{
    memset(world, 0, sizeof *world);
    world->host = (oct_host){ .alloc = alloc,
                              .vfs = vfs,
                              .self = world,
                              .unix_ms = sim_ms,
                              .monotonic_ns = sim_ns,
                              .entropy = sim_entropy,
                              .parallel_width = 1 };
    world->options.appendable_points_max = 24;
    world->tick_ns = 1000;
}

void sim_save_often(sim_world *world)
{
    world->options.checkpoint_ms = 1;
    world->tick_ns = 1000000;
}

oct_status sim_open(sim_world *world, oct_error *error)
{
    return oct_open(&world->host, &world->options, &world->db, error);
}

void sim_close(sim_world *world)
{
    oct_close(world->db);
    world->db = NULL;
}

oct_status sim_call(sim_world *world, const model_change *change)
{
    oct_call_request request = { .verb = change->verb,
                                 .path = { change->path, strlen(change->path) },
                                 .body = { change->body, strlen(change->body) } };
    oct_reply reply;
    oct_call(world->db, &request, &reply);
    oct_reply_free(world->db, &reply);
    return reply.status;
}

oct_status sim_settle(sim_world *world, uint32_t budget_ms, oct_error *error)
{
    oct_status status = OCT_OK;
    bool more = true;
    for (uint32_t step = 0; more; step++) {
        TRY(oct_maintain(world->db, budget_ms, &more, error));
        if (step == 200000) TRY(oct_fail(error, OCT_TIMEOUT, "maintenance does not end"));
    }
done:
    return status;
}

/* ---- points --------------------------------------------------------------------------------- */

typedef struct checking {
    model *from;
    const model_collection *in;
    oct_collection *collection;
    oct_arena arena;
    oct_error error;
    char *why;
} checking;

enum { WHY_BYTES = 256 };

static oct_point_id id_of(uint32_t id)
{
    if (id % 4 != 3) return oct_point_id_of(id);
    return (oct_point_id){ UINT64_C(0x0000000000004000), UINT64_C(0x8000000000000000) | id, true };
}

static uint32_t index_of(oct_point_id id)
{
    return (uint32_t)(id.is_uuid ? id.low & 0xffff : id.low);
}

static bool differ(checking *now, const char *what, uint64_t a, uint64_t b)
{
    (void)snprintf(now->why, WHY_BYTES, "%s: %llu against the model's %llu", what,
                   (unsigned long long)a, (unsigned long long)b);
    return false;
}

static bool same_payload(const model_point *point, oct_str payload)
{
    uint32_t found = 0, wanted = 0;
    for (uint32_t k = 0; k < MODEL_KEYS; k++) {
        char text[16];
        if (point->keys[k] < 0) continue;
        wanted++;
        int bytes = snprintf(text, sizeof text, k == 3 ? "\"k3\":\"v%d\"" : "\"k%u\":%d",
                             k == 3 ? (unsigned)point->keys[k] : k, point->keys[k]);
        for (size_t at = 0; at + (size_t)bytes <= payload.bytes; at++)
            found += memcmp(payload.at + at, text, (size_t)bytes) == 0;
    }
    uint32_t colons = 0;
    for (size_t at = 0; at < payload.bytes; at++)
        colons += payload.at[at] == ':';
    return found == wanted && colons == wanted && payload.bytes >= 2;
}

static bool same_vector(const oct_found_point *found, const char *name, const int8_t *values,
                        uint32_t count, bool has)
{
    for (uint32_t v = 0; v < found->vector_count; v++) {
        const oct_named_vector *vector = &found->vectors[v];
        if (vector->name.bytes != 1 || vector->name.at[0] != name[0]) continue;
        if (!has || vector->count != count) return false;
        for (uint32_t i = 0; i < count; i++)
            if (vector->values[i] != (float)values[i]) return false;
        return true;
    }
    return !has;
}

static bool same_point(checking *now, const oct_found_point *found)
{
    uint32_t index = index_of(found->id);
    if (index >= MODEL_IDS || !oct_point_id_equal(found->id, id_of(index)))
        return differ(now, "an id nobody wrote", found->id.low, 0);
    const model_point *point = &now->in->points[index];
    if (!point->exists) return differ(now, "a ghost", index, 0);
    if (!same_payload(point, found->payload)) {
        (void)snprintf(now->why, WHY_BYTES, "point %u: payload %.*s against %d %d %d %d", index,
                       (int)found->payload.bytes, found->payload.at, point->keys[0], point->keys[1],
                       point->keys[2], point->keys[3]);
        return false;
    }
    if (!same_vector(found, "a", point->a, MODEL_A, point->has_a) ||
        !same_vector(found, "m", point->a, MODEL_A, point->has_a) ||
        !same_vector(found, "b", point->b, MODEL_B, point->has_b) ||
        !same_vector(found, "s", point->b, MODEL_B, point->has_b))
        return differ(now, "vectors of a point", index, index);
    return true;
}

static uint32_t order_of(uint32_t i) /* numbers before UUIDs */
{
    enum { NUMBERS = MODEL_IDS / 4 * 3 };
    return i < NUMBERS ? i / 3 * 4 + i % 3 : (i - NUMBERS) * 4 + 3;
}

static bool same_points(checking *now, oct_status *status)
{
    oct_scroll scroll = { .limit = MODEL_IDS + 1,
                          .with_payload = { .mode = OCT_SELECT_ALL },
                          .with_vector = { .mode = OCT_SELECT_ALL } };
    oct_found found;
    uint32_t at = 0;
    *status = oct_collection_scroll(now->collection, &now->arena, &scroll, &found, &now->error);
    if (*status != OCT_OK) return false;
    for (uint32_t i = 0; i < MODEL_IDS; i++) {
        uint32_t id = order_of(i);
        if (!now->in->points[id].exists) continue;
        if (at == found.count || index_of(found.points[at].id) != id) {
            if (at < found.count && !same_point(now, &found.points[at])) return false;
            return differ(now, "a lost point", at < found.count ? found.points[at].id.low : 0, id);
        }
        if (!same_point(now, &found.points[at++])) return false;
    }
    if (at != found.count) return differ(now, "points too many", found.count, at);
    return true;
}

/* ---- filters and queries -------------------------------------------------------------------- */

static bool same_count(checking *now, oct_status *status)
{
    uint32_t key = model_below(now->from, MODEL_KEYS), wanted = 0;
    int value = (int)model_below(now->from, 6);
    char name[] = { 'k', (char)('0' + key), 0 }, word[] = { 'v', (char)('0' + value), 0 };
    oct_scalar scalar = { .kind = key == 3 ? OCT_SCALAR_KEYWORD : OCT_SCALAR_INTEGER,
                          .keyword = { word, 2 },
                          .integer = value };
    oct_condition condition = {
        .kind = OCT_CONDITION_MATCH_ANY, .key = { name, 2 }, .values = &scalar, .value_count = 1
    };
    oct_filter filter = { .must = { &condition, 1 } };
    oct_count count = { .filter = &filter, .exact = true };
    uint64_t found = 0;
    for (uint32_t i = 0; i < MODEL_IDS; i++)
        wanted += now->in->points[i].exists && now->in->points[i].keys[key] == value;
    *status = oct_collection_count(now->collection, &now->arena, &count, &found, &now->error);
    if (*status != OCT_OK) return false;
    return found == wanted || differ(now, "a count by filter", found, wanted);
}

typedef struct wanted_point {
    uint32_t id;
    int32_t key; /* smaller is better */
} wanted_point;

static bool measure(const model_point *point, bool dot, const float *query, int32_t *out)
{
    int32_t sum = 0;
    const int8_t *values = dot ? point->a : point->b;
    for (uint32_t i = 0; i < (uint32_t)(dot ? MODEL_A : MODEL_B); i++) {
        int32_t q = (int32_t)query[i], x = values[i];
        sum += dot ? -q * x : (q - x) * (q - x);
    }
    *out = sum;
    return point->exists && (dot ? point->has_a : point->has_b);
}

/* All points that have the vector, best first (insertion sort: ties stay in the order of ids). */
static uint32_t rank(const model_collection *in, bool dot, const float *query,
                     wanted_point out[MODEL_IDS])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < MODEL_IDS; i++) {
        wanted_point next = { .id = order_of(i) };
        if (!measure(&in->points[next.id], dot, query, &next.key)) continue;
        uint32_t at = count++;
        for (; at > 0 && out[at - 1].key > next.key; at--)
            out[at] = out[at - 1];
        out[at] = next;
    }
    return count;
}

static bool same_found(checking *now, const oct_query *query, const oct_found *found,
                       const wanted_point *wanted, uint32_t count)
{
    bool dot = query->vector_count == MODEL_A;
    uint32_t expected = MIN(count, (uint32_t)QUERY_LIMIT);
    if (found->count > expected || (found->count < expected && query->exact))
        return differ(now, "length of a query's answer", found->count, expected);
    for (uint32_t i = 0; i < found->count; i++) {
        const oct_found_point *point = &found->points[i];
        int32_t key = 0;
        uint32_t id = index_of(point->id);
        if (!same_point(now, point)) return false;
        if (query->exact && id != wanted[i].id)
            return differ(now, "a place of an exact query", id, wanted[i].id);
        if (!measure(&now->in->points[id], dot, query->vector, &key))
            return differ(now, "a query found a point without the vector", id, id);
        float score = dot ? (float)-key : sqrtf((float)key);
        if (fabsf(point->score - score) > 1e-4f) return differ(now, "a score of point", id, id);
    }
    return true;
}

/* How many points have a similarity in the sparse vector s that is not 0, and the best. */
static uint32_t rank_sparse(const model_collection *in, const float *query, float *best)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < MODEL_IDS; i++) {
        const model_point *point = &in->points[i];
        float score = 0;
        for (uint32_t d = 0; d < MODEL_B; d++)
            score += query[d] * (float)point->b[d];
        if (!point->exists || !point->has_b || score == 0.0f) continue;
        if (count++ == 0 || score > *best) *best = score;
    }
    return count;
}

static bool same_sparse_query(checking *now, oct_status *status)
{
    static const uint32_t indices[MODEL_B] = { 0, 1, 2 };
    float vector[MODEL_B], best = 0;
    const oct_query query = { .kind = OCT_QUERY_VECTOR,
                              .vector = vector,
                              .vector_count = MODEL_B,
                              .vector_kind = OCT_VECTOR_SPARSE,
                              .vector_indices = indices,
                              .using_vector = { "s", 1 },
                              .hnsw_ef = OCT_UNSET,
                              .limit = MODEL_IDS };
    oct_found found;
    for (uint32_t i = 0; i < MODEL_B; i++)
        vector[i] = (float)model_below(now->from, 17) - 8.0f;
    uint32_t count = rank_sparse(now->in, vector, &best);
    *status = oct_collection_query(now->collection, &now->arena, &query, &found, &now->error);
    if (*status != OCT_OK) return false;
    if (found.count != count) return differ(now, "a sparse answer", found.count, count);
    return count == 0 || found.points[0].score == best || differ(now, "a sparse score", 0, 0);
}

static bool same_queries(checking *now, bool exact, oct_status *status)
{
    wanted_point wanted[MODEL_IDS];
    float vector[MODEL_A];
    bool dot = model_below(now->from, 3) > 0;
    oct_query query = { .kind = OCT_QUERY_VECTOR,
                        .vector = vector,
                        .vector_count = dot ? MODEL_A : MODEL_B,
                        .using_vector = { dot ? "a" : "b", 1 },
                        .hnsw_ef = OCT_UNSET,
                        .exact = exact,
                        .quantization = { .has_rescore = true, .rescore = true },
                        .limit = QUERY_LIMIT,
                        .with_payload = { .mode = OCT_SELECT_ALL },
                        .with_vector = { .mode = OCT_SELECT_ALL } };
    oct_found found;
    for (uint32_t i = 0; i < query.vector_count; i++)
        vector[i] = (float)model_below(now->from, 17) - 8.0f;
    uint32_t count = rank(now->in, dot, vector, wanted);
    *status = oct_collection_query(now->collection, &now->arena, &query, &found, &now->error);
    return *status == OCT_OK && same_found(now, &query, &found, wanted, count);
}

/* ---- everything ------------------------------------------------------------------------------ */

/* Living points with a value, as an index counts them. */
static bool same_values(checking *now, const oct_field_info *field, uint32_t key)
{
    uint64_t wanted = 0;
    for (uint32_t i = 0; i < MODEL_IDS; i++)
        wanted += now->in->points[i].exists && now->in->points[i].keys[key] >= 0;
    return field->points == wanted || differ(now, "points of an index", field->points, wanted);
}

/* All of the last update's settings, and none of another's. */
static bool same_settings(checking *now, const oct_collection_config *config)
{
    char metadata[32] = "";
    uint32_t number = now->in->settings;
    model_settings wanted = model_settings_of(number);
    if (number > 0) (void)snprintf(metadata, sizeof metadata, "{\"n\":%u}", number);
    if (config->metadata.bytes != strlen(metadata) ||
        (number > 0 && memcmp(config->metadata.at, metadata, config->metadata.bytes) != 0))
        return differ(now, "the metadata, not of update", config->metadata.bytes, number);
    if (number == 0) return true;
    const oct_vector_params *a = &config->vectors[0];
    if (config->hnsw.m != wanted.m || a->hnsw.m != 8 - wanted.m)
        return differ(now, "m", config->hnsw.m, wanted.m);
    if (config->quantization.kind != wanted.quantization ||
        a->quantization.kind != OCT_QUANTIZATION_NONE)
        return differ(now, "codes", config->quantization.kind, wanted.quantization);
    return config->optimizers.indexing_threshold == wanted.indexing_threshold ||
           differ(now, "indexing_threshold", config->optimizers.indexing_threshold,
                  wanted.indexing_threshold);
}

static bool same_fields(checking *now, oct_status *status)
{
    oct_collection_info info;
    uint32_t wanted = 0, alive = 0;
    *status = oct_collection_describe(now->collection, &now->arena, &info, &now->error);
    if (*status != OCT_OK) return false;
    for (uint32_t k = 0; k < MODEL_KEYS; k++)
        wanted += now->in->indexes[k];
    for (uint32_t i = 0; i < MODEL_IDS; i++)
        alive += now->in->points[i].exists;
    if (info.field_count != wanted) return differ(now, "indexes", info.field_count, wanted);
    for (uint32_t f = 0; f < info.field_count; f++) {
        uint32_t key = (uint32_t)(info.fields[f].config.key.at[1] - '0');
        if (!now->in->indexes[key]) return differ(now, "an index that was deleted", f, f);
        if (!same_values(now, &info.fields[f], key)) return false;
    }
    if (!same_settings(now, info.config)) return false;
    return info.points_count == alive || differ(now, "points_count", info.points_count, alive);
}

static bool same_collection(checking *now, sim_world *world, uint32_t number, oct_status *status)
{
    char name[] = { 'c', (char)('0' + number), 0 };
    now->in = &now->from->collections[number];
    *status = oct_db_pin(world->db, (oct_str){ name, 2 }, &now->collection, &now->error);
    if (*status == OCT_NOT_FOUND) {
        *status = OCT_OK;
        return !now->in->exists || differ(now, "a lost collection", number, number);
    }
    if (*status != OCT_OK) return false;
    bool same = now->in->exists || differ(now, "a ghost collection", number, number);
    oct_arena_init(&now->arena, oct_db_alloc(world->db), 0);
    same = same && same_fields(now, status) && same_points(now, status) &&
           same_count(now, status) && same_queries(now, true, status) &&
           same_queries(now, false, status) && same_sparse_query(now, status);
    oct_arena_reset(&now->arena);
    oct_db_unpin(now->collection);
    return same;
}

bool model_matches(model *from, sim_world *world, char *why, oct_status *status)
{
    checking now = { .from = from, .why = why };
    why[0] = '\0';
    *status = OCT_OK;
    for (uint32_t number = 0; number < MODEL_COLLECTIONS; number++) {
        if (same_collection(&now, world, number, status)) continue;
        if (*status != OCT_OK)
            (void)snprintf(why, WHY_BYTES, "c%u: %.200s", number, now.error.message);
        return false;
    }
    return true;
}
