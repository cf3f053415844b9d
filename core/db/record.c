/* SPDX-License-Identifier: Apache-2.0
 *
 * record.c - the log's records.
 *
 * Record: u8 kind, then by kind (integers little-endian; str = u32 length and bytes;
 * id = u8 is_uuid, u64 high, u64 low):
 *   1 upsert            u32 n, n x { id, u64 present, u32 vectors[...], str payload }
 *   2 delete            ids
 *   3 set payload       ids, str payload, str key
 *   4 overwrite payload ids, str payload
 *   5 delete payload    ids, u32 n, n x str key
 *   6 clear payload     ids
 *   7 update vectors    u32 n, n x { id, u64 present, u32 vectors[...] }
 *   8 delete vectors    ids, u64 mask
 *   9 create index      str key, u8 type, str params
 *  10 delete index      str key
 * where ids = u32 n, n x id, and vectors are those of the config whose bit is set in `present`, in
 * order, as words (segment/layout.h), normalised and rounded already. Ids ascend strictly (a point
 * is changed once by a record), vectors are finite, payloads are JSON objects: applying relies on
 * it, so reading refuses anything else. Kinds are never reused. */
#include "db/record.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "model/point_id.h"
#include "model/vector.h"
#include "segment/layout.h"

/* On disk a kind is its place in oct_write_kind plus 1. */
STATIC_ASSERT(OCT_WRITE_UPSERT == 0 && OCT_WRITE_DELETE_INDEX == 9, "log record kinds are fixed");

enum { ID_BYTES = 17 };

/* ---- writing ------------------------------------------------------------------------- */

static oct_status put_id(oct_buf *out, oct_point_id id, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_buf_append_u8(out, id.is_uuid, error));
    TRY(oct_buf_append_u64(out, id.high, error));
    TRY(oct_buf_append_u64(out, id.low, error));
done:
    return status;
}

static oct_status put_points(oct_buf *out, const oct_change *change,
                             const oct_collection_config *config, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_buf_append_u32(out, change->point_count, error));
    for (uint32_t i = 0; i < change->point_count; i++) {
        const oct_slot *point = &change->points[i];
        size_t words =
            oct_layout_words(config, point->present, point->vectors, config->vector_count);
        TRY(put_id(out, point->id, error));
        TRY(oct_buf_append_u64(out, point->present, error));
        TRY(oct_buf_append(out, point->vectors, words * sizeof(float), error));
        if (change->kind == OCT_WRITE_UPSERT) TRY(oct_buf_append_str(out, point->payload, error));
    }
done:
    return status;
}

static oct_status put_ids(oct_buf *out, const oct_change *change, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_buf_append_u32(out, change->id_count, error));
    for (uint32_t i = 0; i < change->id_count; i++)
        TRY(put_id(out, change->ids[i], error));
done:
    return status;
}

static oct_status put_keys(oct_buf *out, const oct_change *change, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_buf_append_u32(out, change->key_count, error));
    for (uint32_t i = 0; i < change->key_count; i++)
        TRY(oct_buf_append_str(out, change->keys[i], error));
done:
    return status;
}

oct_status oct_record_write(const oct_change *change, const oct_collection_config *config,
                            oct_buf *out, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_buf_append_u8(out, (uint8_t)(change->kind + 1), error));
    switch (change->kind) {
    case OCT_WRITE_UPSERT:
    case OCT_WRITE_UPDATE_VECTORS:
        return put_points(out, change, config, error);
    case OCT_WRITE_DELETE:
    case OCT_WRITE_CLEAR_PAYLOAD:
        return put_ids(out, change, error);
    case OCT_WRITE_SET_PAYLOAD:
        TRY(put_ids(out, change, error));
        TRY(oct_buf_append_str(out, change->payload, error));
        return oct_buf_append_str(out, change->payload_key, error);
    case OCT_WRITE_OVERWRITE_PAYLOAD:
        TRY(put_ids(out, change, error));
        return oct_buf_append_str(out, change->payload, error);
    case OCT_WRITE_DELETE_PAYLOAD:
        TRY(put_ids(out, change, error));
        return put_keys(out, change, error);
    case OCT_WRITE_DELETE_VECTORS:
        TRY(put_ids(out, change, error));
        return oct_buf_append_u64(out, change->vectors, error);
    case OCT_WRITE_CREATE_INDEX:
        TRY(oct_buf_append_str(out, change->field.key, error));
        TRY(oct_buf_append_u8(out, (uint8_t)change->field.type, error));
        return oct_buf_append_str(out, change->field.params, error);
    case OCT_WRITE_DELETE_INDEX:
        return oct_buf_append_str(out, change->field.key, error);
    }
done:
    return status;
}

/* ---- reading ------------------------------------------------------------------------- */

/* The next id, which is behind `before` (NULL: the first). */
static oct_status get_id(oct_reader *in, const oct_point_id *before, oct_point_id *id,
                         oct_error *error)
{
    oct_status status = OCT_OK;
    uint8_t is_uuid = 0;
    TRY(oct_read_u8(in, &is_uuid, "a point id", error));
    TRY(oct_read_u64(in, &id->high, "a point id", error));
    TRY(oct_read_u64(in, &id->low, "a point id", error));
    if (is_uuid > 1 || (!is_uuid && id->high != 0))
        return oct_fail(error, OCT_CORRUPT, "log record: not a point id");
    id->is_uuid = is_uuid;
    if (before && oct_point_id_compare(*before, *id) >= 0)
        return oct_fail(error, OCT_CORRUPT, "log record: ids out of order");
done:
    return status;
}

/* A count of things of at least item_bytes each must fit into what is left. */
static oct_status get_count(oct_reader *in, size_t item_bytes, uint32_t *count, oct_error *error)
{
    oct_status status = oct_read_u32(in, count, "a count", error);
    if (status == OCT_OK && *count > in->bytes / item_bytes)
        status = oct_fail(error, OCT_CORRUPT, "log record: impossible count %" PRIu32, *count);
    return status;
}

/* The bytes that vector `params` takes at the front of `in`, which is moved behind it. */
static oct_status skip_vector(const oct_vector_params *params, oct_reader *in, size_t *bytes,
                              oct_error *error)
{
    oct_status status = OCT_OK;
    const uint8_t *at = NULL;
    uint32_t head = 1;
    size_t before = in->bytes, words = params->size;
    if (params->kind != OCT_VECTOR_DENSE) TRY(oct_read_u32(in, &head, "a vector", error));
    if (params->kind == OCT_VECTOR_MULTI) {
        if (head < 1 || head > OCT_VECTOR_VALUES_MAX / params->size)
            TRY(oct_fail(error, OCT_CORRUPT, "log record: impossible rows %" PRIu32, head));
        words *= head;
    } else if (params->kind == OCT_VECTOR_SPARSE) {
        if (head > OCT_VECTOR_VALUES_MAX)
            TRY(oct_fail(error, OCT_CORRUPT, "log record: impossible size %" PRIu32, head));
        words = 2 * (size_t)head;
    }
    TRY(oct_read_bytes(in, words * sizeof(float), &at, "a vector", error));
    *bytes += before - in->bytes;
done:
    return status;
}

/* A payload: "" or the text of an object. The memory of looking at it is given back at once. */
static oct_status get_payload(oct_arena *arena, oct_reader *in, oct_str *out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_json *json = NULL;
    oct_arena scratch;
    oct_arena_init(&scratch, arena->alloc, 0);
    TRY(oct_read_str(in, out, "a payload", error));
    if (out->bytes == 0) return OCT_OK;
    status = oct_json_parse(&scratch, *out, &json, error);
    if (status != OCT_NOMEM && (status != OCT_OK || oct_json_kind_of(json) != OCT_JSON_OBJECT))
        status = oct_fail(error, OCT_CORRUPT, "log record: a payload is no JSON object");
done:
    oct_arena_reset(&scratch);
    return status;
}

static oct_status check_vector(const oct_named_vector *vector, oct_error *error)
{
    if (vector->indices && !oct_vector_ascends(vector->indices, vector->count))
        return oct_fail(error, OCT_CORRUPT, "log record: dimensions do not ascend");
    for (uint32_t i = 0; i < vector->count; i++)
        if (!isfinite(vector->values[i]))
            return oct_fail(error, OCT_CORRUPT, "log record: a vector is not finite");
    return OCT_OK;
}

static oct_status get_vectors(oct_arena *arena, oct_reader *in, const oct_collection_config *config,
                              oct_slot *point, oct_error *error)
{
    oct_status status = OCT_OK;
    const uint8_t *start = in->at;
    float *vectors = NULL;
    size_t bytes = 0, words = 0;
    for (uint32_t v = 0; v < config->vector_count; v++)
        if ((point->present >> v) & 1) TRY(skip_vector(&config->vectors[v], in, &bytes, error));
    TRY(oct_arena_array(arena, bytes / sizeof(float), sizeof(float), &vectors, error));
    if (bytes) memcpy(vectors, start, bytes);
    point->vectors = vectors;
    for (uint32_t v = 0; v < config->vector_count; v++) {
        if (!((point->present >> v) & 1)) continue;
        oct_named_vector vector = oct_layout_vector(&config->vectors[v], vectors + words);
        TRY(check_vector(&vector, error));
        words += oct_layout_words_of(&vector);
    }
done:
    return status;
}

/* Only vectors that the collection has may be named. */
static oct_status check_vectors(const oct_collection_config *config, uint64_t mask,
                                oct_error *error)
{
    if (config->vector_count == 64 || mask >> config->vector_count == 0) return OCT_OK;
    return oct_fail(error, OCT_CORRUPT, "log record: vectors the collection lacks");
}

static oct_status get_points(oct_arena *arena, oct_reader *in, const oct_collection_config *config,
                             oct_change *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_slot *points = NULL;
    TRY(get_count(in, ID_BYTES + 8, &out->point_count, error));
    TRY(oct_arena_array(arena, out->point_count, sizeof *points, &points, error));
    for (uint32_t i = 0; i < out->point_count; i++) {
        oct_slot *point = &points[i];
        TRY(get_id(in, i ? &points[i - 1].id : NULL, &point->id, error));
        TRY(oct_read_u64(in, &point->present, "the vectors of a point", error));
        TRY(check_vectors(config, point->present, error));
        TRY(get_vectors(arena, in, config, point, error));
        if (out->kind == OCT_WRITE_UPSERT) TRY(get_payload(arena, in, &point->payload, error));
    }
    out->points = points;
done:
    return status;
}

static oct_status get_ids(oct_arena *arena, oct_reader *in, oct_change *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_point_id *ids = NULL;
    TRY(get_count(in, ID_BYTES, &out->id_count, error));
    TRY(oct_arena_array(arena, out->id_count, sizeof *ids, &ids, error));
    for (uint32_t i = 0; i < out->id_count; i++)
        TRY(get_id(in, i ? &ids[i - 1] : NULL, &ids[i], error));
    out->ids = ids;
done:
    return status;
}

static oct_status get_keys(oct_arena *arena, oct_reader *in, oct_change *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_str *keys = NULL;
    TRY(get_count(in, 4, &out->key_count, error));
    TRY(oct_arena_array(arena, out->key_count, sizeof *keys, &keys, error));
    for (uint32_t i = 0; i < out->key_count; i++)
        TRY(oct_read_str(in, &keys[i], "a key", error));
    out->keys = keys;
done:
    return status;
}

static oct_status get_field(oct_reader *in, oct_change *out, oct_error *error)
{
    oct_status status = OCT_OK;
    uint8_t type = 0;
    TRY(oct_read_str(in, &out->field.key, "a field's key", error));
    if (out->kind == OCT_WRITE_DELETE_INDEX) return OCT_OK;
    TRY(oct_read_u8(in, &type, "a field's type", error));
    if (type >= OCT_FIELD_TYPE_COUNT)
        return oct_fail(error, OCT_CORRUPT, "log record: unknown field type %d", type);
    out->field.type = (oct_field_type)type;
    TRY(oct_read_str(in, &out->field.params, "a field's parameters", error));
done:
    return status;
}

oct_status oct_record_read(oct_arena *arena, oct_str record, const oct_collection_config *config,
                           oct_change *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_reader in = { (const uint8_t *)record.at, record.bytes };
    uint8_t kind = 0;
    *out = (oct_change){ .kind = OCT_WRITE_UPSERT };
    TRY(oct_read_u8(&in, &kind, "a log record", error));
    if (kind < 1 || kind > OCT_WRITE_DELETE_INDEX + 1)
        return oct_fail(error, OCT_CORRUPT, "log record: unknown kind %d", kind);
    out->kind = (oct_write_kind)(kind - 1);
    switch (out->kind) {
    case OCT_WRITE_UPSERT:
    case OCT_WRITE_UPDATE_VECTORS:
        TRY(get_points(arena, &in, config, out, error));
        break;
    case OCT_WRITE_CREATE_INDEX:
    case OCT_WRITE_DELETE_INDEX:
        TRY(get_field(&in, out, error));
        break;
    default:
        TRY(get_ids(arena, &in, out, error));
        break;
    }
    if (out->kind == OCT_WRITE_SET_PAYLOAD || out->kind == OCT_WRITE_OVERWRITE_PAYLOAD)
        TRY(get_payload(arena, &in, &out->payload, error));
    if (out->kind == OCT_WRITE_SET_PAYLOAD)
        TRY(oct_read_str(&in, &out->payload_key, "a key", error));
    if (out->kind == OCT_WRITE_DELETE_PAYLOAD) TRY(get_keys(arena, &in, out, error));
    if (out->kind == OCT_WRITE_DELETE_VECTORS) {
        TRY(oct_read_u64(&in, &out->vectors, "a vector mask", error));
        TRY(check_vectors(config, out->vectors, error));
    }
    if (in.bytes != 0) return oct_fail(error, OCT_CORRUPT, "log record: bytes behind its end");
done:
    return status;
}
