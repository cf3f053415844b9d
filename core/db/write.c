/* SPDX-License-Identifier: Apache-2.0
 *
 * write.c - from a request to a durable change: resolve, apply, wait for the sync.
 *
 * Resolving settles everything a change depends on: filters become ids, conditional writes lose
 * the points that fail the condition, vectors are checked and normalised, ids are sorted and
 * made distinct (the last state of a point given twice wins). The result is what the log holds. */
#include <string.h>

#include "db/collection.h"
#include "model/config.h"
#include "model/point_id.h"
#include "model/vector.h"
#include "query/filter.h"
#include "segment/layout.h"
#include "simd/metric.h"

/* ---- distinct ids -------------------------------------------------------------------- */

typedef struct numbered_id {
    oct_point_id id;
    uint32_t index;
} numbered_id;

static bool comes_before(const numbered_id *a, const numbered_id *b)
{
    int order = oct_point_id_compare(a->id, b->id);
    return order < 0 || (order == 0 && a->index < b->index);
}

static void sift_down(numbered_id *heap, uint32_t root, uint32_t count)
{
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= count) return;
        if (child + 1 < count && comes_before(&heap[child], &heap[child + 1])) child++;
        if (!comes_before(&heap[root], &heap[child])) return;
        numbered_id swap = heap[root];
        heap[root] = heap[child];
        heap[child] = swap;
        root = child;
    }
}

/* Sort by id and keep the last index of each id; returns how many are left. In place, no memory. */
static uint32_t make_distinct(numbered_id *list, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;)
        sift_down(list, i, count);
    for (uint32_t end = count; end > 1; end--) {
        numbered_id swap = list[0];
        list[0] = list[end - 1];
        list[end - 1] = swap;
        sift_down(list, 0, end - 1);
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i + 1 < count && oct_point_id_equal(list[i].id, list[i + 1].id)) continue;
        list[kept++] = list[i];
    }
    return kept;
}

/* ---- conditions ---------------------------------------------------------------------- */

typedef struct condition {
    const oct_reading *reading;
    oct_update_mode mode;
    const oct_filter_program *filter; /* NULL: none */
    oct_arena scratch;
} condition;

/* Does this point of an upsert or update go ahead? */
static oct_status passes(condition *now, oct_point_id id, bool *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_location where;
    oct_slot slot;
    bool exists = oct_view_find(now->reading->view, id, &where);
    *out = !(now->mode == OCT_UPDATE_INSERT_ONLY && exists) &&
           !(now->mode == OCT_UPDATE_UPDATE_ONLY && !exists);
    if (!*out || !exists || !now->filter) return OCT_OK;
    TRY(oct_read_point(now->reading, where, &slot, error));
    TRY(oct_filter_matches_text(now->filter, id, slot.payload, &now->scratch, out, error));
done:
    return status;
}

/* ---- points -------------------------------------------------------------------------- */

/* Check a point's vectors and lay them out as in a slot, prepared for their metrics. */
static oct_status resolve_point(const oct_reading *reading, const oct_point *point, oct_slot *out,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_collection_config *config = reading->config;
    const oct_named_vector *given[OCT_NAMED_VECTORS_MAX] = { NULL };
    float *vectors = NULL;
    size_t words = 0;
    *out = (oct_slot){ .id = point->id, .payload = point->payload };
    TRY(oct_vectors_check(config, point->vectors, point->vector_count, error));
    for (uint32_t i = 0; i < point->vector_count; i++) {
        uint32_t v = oct_layout_find(config, point->vectors[i].name);
        given[v] = &point->vectors[i];
        words += oct_layout_words_of(given[v]) + 1; /* one for the rows of a dense one */
        out->present |= UINT64_C(1) << v;
    }
    TRY(oct_arena_array(reading->arena, words, sizeof(float), &vectors, error));
    out->vectors = vectors;
    for (uint32_t v = 0; v < config->vector_count; v++) {
        if (!given[v]) continue;
        const oct_named_vector vector = oct_vector_as(&config->vectors[v], given[v]);
        vectors = oct_layout_put(&vector, vectors);
        oct_metric_prepare(reading->kernels, &config->vectors[v], vectors - vector.count,
                           vector.count);
    }
done:
    return status;
}

static oct_status resolve_points(const oct_reading *reading, const oct_write *write,
                                 oct_change *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_slot *slots = NULL;
    numbered_id *order = NULL;
    uint32_t count = write->point_count;
    condition now = { .reading = reading, .mode = write->update_mode };
    oct_arena_init(&now.scratch, reading->arena->alloc, 0);
    if (write->kind == OCT_WRITE_UPDATE_VECTORS) now.mode = OCT_UPDATE_UPSERT;
    if (write->update_filter)
        TRY(oct_filter_compile(reading->arena, write->update_filter, &now.filter, error));
    TRY(oct_arena_array(reading->arena, count, sizeof *slots, &slots, error));
    TRY(oct_arena_array(reading->arena, count, sizeof *order, &order, error));
    for (uint32_t i = 0; i < count; i++)
        order[i] = (numbered_id){ write->points[i].id, i };
    count = make_distinct(order, count);
    for (uint32_t i = 0; i < count; i++) {
        bool go = false;
        oct_slot *slot = &slots[out->point_count];
        TRY(resolve_point(reading, &write->points[order[i].index], slot, error));
        TRY(passes(&now, slot->id, &go, error));
        if (go) out->point_count++;
    }
    out->points = slots;
done:
    oct_arena_reset(&now.scratch);
    return status;
}

static oct_status resolve_ids(const oct_reading *reading, const oct_points_selector *selector,
                              oct_change *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_point_id *ids = NULL;
    numbered_id *order = NULL;
    if (selector->filter)
        return oct_read_ids(reading, selector->filter, &out->ids, &out->id_count, error);
    TRY(oct_arena_array(reading->arena, selector->id_count, sizeof *ids, &ids, error));
    TRY(oct_arena_array(reading->arena, selector->id_count, sizeof *order, &order, error));
    for (uint32_t i = 0; i < selector->id_count; i++)
        order[i] = (numbered_id){ selector->ids[i], i };
    out->id_count = make_distinct(order, selector->id_count);
    for (uint32_t i = 0; i < out->id_count; i++)
        ids[i] = order[i].id;
    out->ids = ids;
done:
    return status;
}

static oct_status resolve_names(const oct_reading *reading, const oct_write *write, oct_change *out,
                                oct_error *error)
{
    for (uint32_t i = 0; i < write->key_count; i++) {
        uint32_t v = oct_layout_find(reading->config, write->keys[i]);
        if (v == reading->config->vector_count)
            return oct_fail(error, OCT_BAD_INPUT,
                            "Wrong input: Not existing vector name error: %.*s",
                            (int)write->keys[i].bytes, write->keys[i].at);
        out->vectors |= UINT64_C(1) << v;
    }
    return OCT_OK;
}

static oct_status resolve(const oct_reading *reading, const oct_write *write, oct_change *out,
                          oct_error *error)
{
    oct_status status = OCT_OK;
    *out = (oct_change){ .kind = write->kind,
                         .payload = write->payload,
                         .payload_key = write->payload_key,
                         .field = write->field };
    switch (write->kind) {
    case OCT_WRITE_UPSERT:
    case OCT_WRITE_UPDATE_VECTORS:
        return resolve_points(reading, write, out, error);
    case OCT_WRITE_CREATE_INDEX:
    case OCT_WRITE_DELETE_INDEX:
        return OCT_OK;
    case OCT_WRITE_DELETE_VECTORS:
        TRY(resolve_names(reading, write, out, error));
        break;
    case OCT_WRITE_DELETE_PAYLOAD:
        out->keys = write->keys;
        out->key_count = write->key_count;
        break;
    case OCT_WRITE_DELETE:
    case OCT_WRITE_SET_PAYLOAD:
    case OCT_WRITE_OVERWRITE_PAYLOAD:
    case OCT_WRITE_CLEAR_PAYLOAD:
        break;
    }
    TRY(resolve_ids(reading, &write->selector, out, error));
done:
    return status;
}

/* ---- the write ----------------------------------------------------------------------- */

/* A write under way. */
typedef struct writing {
    const oct_write *write;
    oct_arena *arena;
    oct_index_work index; /* of a CREATE_INDEX */
    uint64_t sequence;
    oct_log *log; /* pinned for the wait */
} writing;

/* Resolve and apply under the writer lock. */
static oct_status write_locked(oct_collection *collection, writing *now, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_change change;
    TRY(oct_collection_problem(collection, error));
    if (oct_atomic_load(&collection->dropped))
        return oct_fail(error, OCT_NOT_FOUND, "Collection `%.*s` doesn't exist!",
                        (int)collection->name.bytes, collection->name.at);
    oct_reading reading = { .host = collection->host,
                            .kernels = collection->kernels,
                            .config = collection->view->settings->config,
                            .view = collection->view,
                            .arena = now->arena };
    TRY(resolve(&reading, now->write, &change, error));
    change.index = &now->index;
    TRY(oct_apply(collection, now->arena, &change, &now->sequence, error));
    now->log = collection->log;
    (void)oct_atomic_add(&collection->log->references, 1);
done:
    return status;
}

/* The same with the lock; indexes are built before it is taken, and again what is new by then. */
static oct_status write_once(oct_collection *collection, writing *now, oct_error *error)
{
    oct_status status = OCT_OK;
    bool creates_index = now->write->kind == OCT_WRITE_CREATE_INDEX, ready;
    do {
        if (creates_index)
            TRY(oct_index_work_step(collection, &now->write->field, &now->index, error));
        oct_mutex_lock(&collection->writer);
        ready = !creates_index || oct_index_work_covers(&now->index, collection->view);
        if (ready) status = write_locked(collection, now, error);
        oct_mutex_unlock(&collection->writer);
    } while (!ready);
done:
    oct_index_work_end(collection, &now->index);
    return status;
}

oct_status oct_collection_write(oct_collection *collection, oct_arena *arena,
                                const oct_write *write, oct_write_result *out, oct_error *error)
{
    oct_status status = OCT_OK;
    writing now = { .write = write, .arena = arena };
    if (oct_db_options(collection->db)->read_only)
        return oct_fail(error, OCT_READONLY, "the database was opened read-only");
    status = oct_collection_make_room(collection, error);
    /* A delete adds no points, and on a full disk it is what helps. */
    if (status != OCT_NO_SPACE || write->kind != OCT_WRITE_DELETE) TRY(status);
    TRY(write_once(collection, &now, error));
    status = oct_wal_commit(now.log->wal, now.sequence, error);
    if (status != OCT_OK) {
        oct_error cause;
        if (error)
            cause = *error;
        else
            (void)oct_fail(&cause, status, "the log could not be written");
        oct_mutex_lock(&collection->writer);
        if (collection->log == now.log) oct_collection_fail(collection, status, &cause);
        oct_mutex_unlock(&collection->writer);
        TRY(status);
    }
    *out = (oct_write_result){ .operation_id = now.sequence, .completed = write->wait };
done:
    oct_log_unpin(now.log);
    return status;
}
