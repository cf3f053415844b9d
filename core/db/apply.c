/* SPDX-License-Identifier: Apache-2.0
 *
 * apply.c - the only code that changes points: one resolved change becomes the next view.
 *
 * Staging makes everything that can fail: the new slots behind the active segment's published
 * ones, copies of the bitmaps in which points die, the view that will show it, memory and file
 * space for the log record. Then the record is appended and the view swapped, which can't fail.
 * A live change and its replay run the same code. */
#include <string.h>

#include "db/collection.h"
#include "model/config.h"
#include "model/payload.h"
#include "model/point_id.h"
#include "segment/layout.h"

typedef struct staging {
    oct_collection *collection;
    oct_reading reading; /* of the view before */
    const oct_view *before;
    oct_view *after;
    oct_memory_segment *active;
    uint32_t active_at; /* its entry */
    uint32_t from;      /* slots staged from here on */
    uint64_t sequence;
} staging;

/* ---- parts --------------------------------------------------------------------------- */

/* A bitmap of entry `at` that belongs to the new view alone and covers `points`. */
static oct_status own_bitmap(staging *stage, uint32_t at, uint32_t points, oct_error *error)
{
    oct_view_entry *entry = &stage->after->entries[at];
    oct_bitmap *old = entry->alive, *own = NULL;
    bool shared = old == stage->before->entries[at].alive;
    if (old && !shared && old->words * 64 >= points) return OCT_OK;
    oct_status status = oct_bitmap_create(stage->collection->alloc, old, points, &own, error);
    if (status != OCT_OK) return status;
    entry->alive = own;
    oct_bitmap_unpin(old);
    return OCT_OK;
}

static oct_status kill(staging *stage, oct_location where, oct_error *error)
{
    oct_view_entry *entry = &stage->after->entries[where.entry];
    oct_status status = own_bitmap(stage, where.entry, entry->count, error);
    if (status != OCT_OK) return status;
    ASSERT(oct_bits_get(entry->alive->bits, where.offset));
    oct_bits_clear(entry->alive->bits, where.offset);
    entry->alive_count--;
    return OCT_OK;
}

/* Put a new state of a point in place of its old one, if it has one. */
static oct_status replace(staging *stage, const oct_slot *point, const oct_location *old,
                          oct_error *error)
{
    oct_status status = OCT_OK;
    oct_slot slot = *point;
    slot.version = stage->sequence;
    TRY(oct_memory_stage(stage->active, &slot, error));
    if (old) TRY(kill(stage, *old, error));
done:
    return status;
}

/* ---- points -------------------------------------------------------------------------- */

static oct_status upsert(staging *stage, const oct_change *change, oct_error *error)
{
    oct_status status = OCT_OK;
    for (uint32_t i = 0; i < change->point_count; i++) {
        oct_location old;
        bool found = oct_view_find(stage->before, change->points[i].id, &old);
        TRY(replace(stage, &change->points[i], found ? &old : NULL, error));
    }
done:
    return status;
}

static oct_status delete_points(staging *stage, const oct_change *change, oct_error *error)
{
    oct_status status = OCT_OK;
    for (uint32_t i = 0; i < change->id_count; i++) {
        oct_location old;
        if (oct_view_find(stage->before, change->ids[i], &old)) TRY(kill(stage, old, error));
    }
done:
    return status;
}

/* The present state of a point that must exist. */
static oct_status read_old(staging *stage, oct_point_id id, oct_location *where, oct_slot *slot,
                           oct_error *error)
{
    if (!oct_view_find(stage->before, id, where)) {
        char text[OCT_POINT_ID_TEXT_BYTES];
        oct_point_id_print(id, text);
        return oct_fail(error, OCT_NOT_FOUND, "No point with id %s found", text);
    }
    return oct_read_point(&stage->reading, *where, slot, error);
}

/* Bring vector `v` of `from`, if it has it and `mask` too, into target; returns the end. */
static float *copy_vector(const oct_collection_config *config, const oct_slot *from, uint64_t mask,
                          uint32_t v, float *target)
{
    if (!((from->present & mask) >> v & 1)) return target;
    const float *at = from->vectors + oct_layout_words(config, from->present, from->vectors, v);
    const oct_named_vector vector = oct_layout_vector(&config->vectors[v], at);
    return oct_layout_put(&vector, target);
}

static size_t words_of(const oct_collection_config *config, const oct_slot *slot)
{
    return oct_layout_words(config, slot->present, slot->vectors, config->vector_count);
}

static oct_status update_vectors(staging *stage, const oct_change *change, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_collection_config *config = stage->collection->shape;
    for (uint32_t i = 0; i < change->point_count; i++) {
        const oct_slot *update = &change->points[i];
        oct_location where;
        oct_slot slot;
        float *vectors = NULL;
        TRY(read_old(stage, update->id, &where, &slot, error));
        size_t words = words_of(config, &slot) + words_of(config, update); /* at most */
        TRY(oct_arena_array(stage->reading.arena, words, sizeof(float), &vectors, error));
        float *target = vectors;
        for (uint32_t v = 0; v < config->vector_count; v++) {
            target = copy_vector(config, update, UINT64_MAX, v, target);
            target = copy_vector(config, &slot, ~update->present, v, target);
        }
        slot.present |= update->present;
        slot.vectors = vectors;
        TRY(replace(stage, &slot, &where, error));
    }
done:
    return status;
}

static oct_status delete_vectors(staging *stage, const oct_change *change, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_collection_config *config = stage->collection->shape;
    for (uint32_t i = 0; i < change->id_count; i++) {
        oct_location where;
        oct_slot slot;
        float *vectors = NULL;
        TRY(read_old(stage, change->ids[i], &where, &slot, error));
        TRY(oct_arena_array(stage->reading.arena, words_of(config, &slot), sizeof(float), &vectors,
                            error));
        float *target = vectors;
        for (uint32_t v = 0; v < config->vector_count; v++)
            target = copy_vector(config, &slot, ~change->vectors, v, target);
        slot.present &= ~change->vectors;
        slot.vectors = vectors;
        TRY(replace(stage, &slot, &where, error));
    }
done:
    return status;
}

/* ---- payloads ------------------------------------------------------------------------ */

typedef struct payload_paths {
    const oct_json_path *at;
    uint32_t count;
} payload_paths;

static oct_status parse_paths(oct_arena *arena, const oct_str *keys, uint32_t count,
                              payload_paths *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_json_path *paths = NULL;
    TRY(oct_arena_array(arena, count, sizeof *paths, &paths, error));
    for (uint32_t i = 0; i < count; i++)
        TRY(oct_json_path_parse(arena, keys[i], &paths[i], error));
    *out = (payload_paths){ paths, count };
done:
    return status;
}

static oct_status new_payload(staging *stage, const oct_change *change, payload_paths paths,
                              oct_str old, oct_str *out, oct_error *error)
{
    oct_arena *arena = stage->reading.arena;
    *out = (oct_str){ "", 0 };
    if (change->kind == OCT_WRITE_SET_PAYLOAD)
        return oct_payload_merge(arena, old, change->payload, paths.count ? paths.at : NULL, out,
                                 error);
    if (change->kind == OCT_WRITE_DELETE_PAYLOAD)
        return oct_payload_delete(arena, old, paths.at, paths.count, out, error);
    if (change->kind == OCT_WRITE_OVERWRITE_PAYLOAD) *out = change->payload;
    return OCT_OK; /* cleared */
}

static oct_status change_payloads(staging *stage, const oct_change *change, oct_error *error)
{
    oct_status status = OCT_OK;
    payload_paths paths = { NULL, 0 };
    bool below = change->kind == OCT_WRITE_SET_PAYLOAD && change->payload_key.bytes > 0;
    if (below) TRY(parse_paths(stage->reading.arena, &change->payload_key, 1, &paths, error));
    if (change->kind == OCT_WRITE_DELETE_PAYLOAD)
        TRY(parse_paths(stage->reading.arena, change->keys, change->key_count, &paths, error));
    for (uint32_t i = 0; i < change->id_count; i++) {
        oct_location where;
        oct_slot slot;
        TRY(read_old(stage, change->ids[i], &where, &slot, error));
        TRY(new_payload(stage, change, paths, slot.payload, &slot.payload, error));
        TRY(replace(stage, &slot, &where, error));
    }
done:
    return status;
}

/* ---- payload indexes ----------------------------------------------------------------- */

static oct_status change_schema(staging *stage, const oct_change *change, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_view *after = stage->after;
    bool create = change->kind == OCT_WRITE_CREATE_INDEX;
    oct_schema *schema = NULL;
    if (create && after->schema->count >= OCT_FIELD_INDEXES_MAX)
        return oct_fail(error, OCT_LIMIT, "more than %d payload indexes", OCT_FIELD_INDEXES_MAX);
    TRY(oct_schema_create(stage->collection->alloc, after->schema, change->field.key,
                          create ? &change->field : NULL, &schema, error));
    oct_schema_unpin(after->schema);
    after->schema = schema;
    for (uint32_t i = 0; i < after->count; i++) {
        oct_view_entry *entry = &after->entries[i];
        oct_fields *fields = NULL;
        if (!entry->sealed) continue;
        const oct_fields_request request = { schema->fields, schema->count, entry->fields,
                                             oct_index_work_of(change->index, entry->sealed) };
        TRY(oct_fields_create(entry->sealed, &request, &fields, error));
        oct_fields_unpin(entry->fields);
        entry->fields = fields;
    }
done:
    return status;
}

/* ---- the change ---------------------------------------------------------------------- */

static oct_status stage_change(staging *stage, const oct_change *change, oct_error *error)
{
    switch (change->kind) {
    case OCT_WRITE_UPSERT:
        return upsert(stage, change, error);
    case OCT_WRITE_DELETE:
        return delete_points(stage, change, error);
    case OCT_WRITE_SET_PAYLOAD:
    case OCT_WRITE_OVERWRITE_PAYLOAD:
    case OCT_WRITE_DELETE_PAYLOAD:
    case OCT_WRITE_CLEAR_PAYLOAD:
        return change_payloads(stage, change, error);
    case OCT_WRITE_UPDATE_VECTORS:
        return update_vectors(stage, change, error);
    case OCT_WRITE_DELETE_VECTORS:
        return delete_vectors(stage, change, error);
    case OCT_WRITE_CREATE_INDEX:
    case OCT_WRITE_DELETE_INDEX:
        return change_schema(stage, change, error);
    }
    return OCT_OK;
}

/* Count the staged slots in; the bitmap, where there is one, must cover them. */
static oct_status extend_active(staging *stage, oct_error *error)
{
    oct_view_entry *entry = &stage->after->entries[stage->active_at];
    uint32_t count = stage->active->staged;
    if (entry->alive && entry->alive->words * 64 < count) {
        oct_status status = own_bitmap(stage, stage->active_at, count, error);
        if (status != OCT_OK) return status;
    }
    entry->alive_count += count - stage->from;
    entry->count = count;
    return oct_memory_prepare(stage->active, stage->from, error);
}

static oct_status begin(oct_collection *collection, oct_arena *arena, uint64_t sequence,
                        staging *stage, oct_error *error)
{
    oct_view *before = collection->view; /* only writers change it, and this is the one */
    uint32_t active_at = before->count - 1;
    oct_memory_segment *active = before->entries[active_at].memory;
    *stage = (staging){ .collection = collection, .before = before, .sequence = sequence };
    stage->reading = (oct_reading){ .host = collection->host,
                                    .kernels = collection->kernels,
                                    .config = collection->view->settings->config,
                                    .view = before,
                                    .arena = arena };
    stage->active = active;
    stage->active_at = active_at;
    stage->from = before->entries[active_at].count;
    oct_memory_unstage(active, stage->from); /* what a failed change left */
    oct_status status = oct_view_create(collection->alloc, before, 0, &stage->after, error);
    if (status == OCT_OK) stage->after->sequence = sequence;
    return status;
}

static void publish(staging *stage)
{
    oct_memory_publish(stage->active, stage->from);
    oct_atomic_store(&stage->collection->active_bytes, oct_memory_bytes(stage->active));
    oct_collection_swap_view(stage->collection, stage->after);
    stage->after = NULL;
}

static void abandon(staging *stage)
{
    if (!stage->after) return;
    oct_view_unpin(stage->after);
    oct_memory_unstage(stage->active, stage->from);
}

/* Space for the change's record, and for sealing what it adds. A delete is what frees space: it
 * needs no reserve, and may use the log's last. */
static oct_status take_space(staging *stage, const oct_change *change, size_t record_bytes,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    oct_collection *collection = stage->collection;
    bool urgent = change->kind == OCT_WRITE_DELETE;
    if (!urgent) TRY(oct_reserve_hold(collection, stage->active, error));
    TRY(oct_wal_reserve(collection->log->wal, record_bytes, urgent, error));
done:
    if (status == OCT_NO_SPACE) {
        collection->pressed = true;
        collection->log_full = collection->log_full || urgent;
    } else if (status == OCT_OK && !urgent) {
        collection->pressed = false;
    }
    return status;
}

oct_status oct_apply(oct_collection *collection, oct_arena *arena, const oct_change *change,
                     uint64_t *sequence, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_wal *wal = collection->log->wal;
    oct_buf record;
    staging stage;
    oct_buf_init(&record, collection->alloc, OCT_WAL_RECORD_BYTES_MAX);
    TRY(begin(collection, arena, oct_wal_last_sequence(wal) + 1, &stage, error));
    TRY(stage_change(&stage, change, error));
    TRY(extend_active(&stage, error));
    TRY(oct_record_write(change, collection->shape, &record, error));
    TRY(take_space(&stage, change, record.bytes, error));
    *sequence = oct_wal_append(wal, record.at, record.bytes);
    ASSERT(*sequence == stage.sequence);
    publish(&stage);
done:
    abandon(&stage);
    oct_buf_deinit(&record);
    return status;
}

oct_status oct_apply_logged(oct_collection *collection, oct_arena *arena, const oct_change *change,
                            uint64_t sequence, oct_error *error)
{
    oct_status status = OCT_OK;
    staging stage;
    TRY(begin(collection, arena, sequence, &stage, error));
    TRY(stage_change(&stage, change, error));
    TRY(extend_active(&stage, error));
    publish(&stage);
done:
    abandon(&stage);
    return status;
}
