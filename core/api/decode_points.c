/* SPDX-License-Identifier: Apache-2.0
 *
 * decode_points.c - the bodies of everything that changes points or payload indexes. */
#include "api/decode_parts.h"
#include "base/str.h"
#include "model/config.h"
#include "model/json_path.h"

/* ---- upsert: a list of points -------------------------------------------------------- */

/* `vector`, or its alias `vectors`. */
static oct_status get_vectors(oct_decoder *decoder, const oct_node *object, oct_node *out)
{
    *out = oct_node_member(object, "vectors");
    if (out->value) return OCT_OK;
    return oct_get(decoder, object, "vector", out);
}

static oct_status read_point(oct_decoder *decoder, const oct_node *node, oct_point *out)
{
    oct_status status = OCT_OK;
    oct_node id, vectors;
    TRY(oct_expect(decoder, node, OCT_JSON_OBJECT));
    TRY(oct_get(decoder, node, "id", &id));
    TRY(oct_read_point_id(decoder, &id, &out->id));
    TRY(get_vectors(decoder, node, &vectors));
    TRY(oct_read_vectors(decoder, &vectors, &out->vectors, &out->vector_count));
    oct_node payload = oct_node_member(node, "payload");
    TRY(oct_read_payload(decoder, &payload, &out->payload));
done:
    return status;
}

static oct_status new_points(oct_decoder *decoder, size_t count, oct_point **points, oct_write *out)
{
    oct_status status =
        oct_arena_array(decoder->arena, count, sizeof **points, points, decoder->error);
    out->points = *points;
    out->point_count = status == OCT_OK ? (uint32_t)count : 0;
    return status;
}

static oct_status read_points(oct_decoder *decoder, const oct_node *node, oct_write *out)
{
    oct_status status = OCT_OK;
    oct_point *points = NULL;
    oct_node item;
    TRY(oct_expect(decoder, node, OCT_JSON_ARRAY));
    TRY(new_points(decoder, oct_json_count(node->value), &points, out));
    oct_items items = oct_items_of(node);
    while (oct_items_next(&items, &item))
        TRY(read_point(decoder, &item, &points[item.index]));
done:
    return status;
}

/* ---- upsert: a batch, one list per property ------------------------------------------ */

/* An array that has as many items as there are ids. */
static oct_status expect_items(oct_decoder *decoder, const oct_node *node, const char *what,
                               uint32_t id_count)
{
    oct_status status = OCT_OK;
    TRY(oct_expect(decoder, node, OCT_JSON_ARRAY));
    size_t count = oct_json_count(node->value);
    if (count != id_count)
        TRY(OCT_FAIL_AT(decoder, node->parent, OCT_VALIDATION,
                        "number of ids and %s must be equal (%" PRIu32 " != %" PRIu64 ")", what,
                        id_count, (uint64_t)count));
done:
    return status;
}

/* "vectors": [vector, ..]: the unnamed vector of each point. */
static oct_status read_batch_list(oct_decoder *decoder, const oct_node *node, oct_point *points,
                                  uint32_t count)
{
    oct_status status = OCT_OK;
    oct_named_vector *vectors = NULL;
    oct_node item;
    TRY(expect_items(decoder, node, "vectors", count));
    TRY(oct_arena_array(decoder->arena, count, sizeof *vectors, &vectors, decoder->error));
    oct_items items = oct_items_of(node);
    while (oct_items_next(&items, &item)) {
        oct_named_vector *vector = &vectors[item.index];
        vector->name = OCT_STR("");
        TRY(oct_read_vector(decoder, &item, vector));
        points[item.index].vectors = vector;
        points[item.index].vector_count = 1;
    }
done:
    return status;
}

/* "vectors": {"name": [vector, ..], ..}: column n of a matrix points x names. */
static oct_status read_batch_column(oct_decoder *decoder, const oct_node *node,
                                    oct_named_vector *first, size_t names, uint32_t count)
{
    oct_status status = OCT_OK;
    oct_node item;
    TRY(expect_items(decoder, node, "vectors", count));
    oct_items items = oct_items_of(node);
    while (oct_items_next(&items, &item)) {
        oct_named_vector *vector = first + item.index * names;
        vector->name = node->key;
        TRY(oct_read_vector(decoder, &item, vector));
    }
done:
    return status;
}

static oct_status read_batch_named(oct_decoder *decoder, const oct_node *node, oct_point *points,
                                   uint32_t count)
{
    oct_status status = OCT_OK;
    oct_named_vector *vectors = NULL;
    oct_node column;
    size_t names = oct_json_count(node->value);
    size_t cells = 0;
    if (names > OCT_NAMED_VECTORS_MAX)
        TRY(OCT_FAIL_AT(decoder, node, OCT_LIMIT,
                        "%" PRIu64 " named vectors, at most %d are allowed", (uint64_t)names,
                        OCT_NAMED_VECTORS_MAX));
    if (names > 0 && count > SIZE_MAX / names) TRY(oct_fail_nomem(decoder->error, "vectors"));
    cells = names * count;
    TRY(oct_arena_array(decoder->arena, cells, sizeof *vectors, &vectors, decoder->error));
    oct_items columns = oct_items_of(node);
    while (oct_items_next(&columns, &column))
        TRY(read_batch_column(decoder, &column, vectors + column.index, names, count));
    for (uint32_t i = 0; i < count; i++) {
        points[i].vectors = vectors + i * names;
        points[i].vector_count = (uint32_t)names;
    }
done:
    return status;
}

static oct_status read_batch_payloads(oct_decoder *decoder, const oct_node *node, oct_point *points,
                                      uint32_t count)
{
    oct_status status = OCT_OK;
    oct_node item;
    TRY(expect_items(decoder, node, "payloads", count));
    oct_items items = oct_items_of(node);
    while (oct_items_next(&items, &item))
        TRY(oct_read_payload(decoder, &item, &points[item.index].payload));
done:
    return status;
}

static oct_status read_batch(oct_decoder *decoder, const oct_node *node, oct_write *out)
{
    oct_status status = OCT_OK;
    oct_node id_node, vectors;
    const oct_point_id *ids = NULL;
    oct_point *points = NULL;
    uint32_t count = 0;
    TRY(oct_expect(decoder, node, OCT_JSON_OBJECT));
    TRY(oct_get(decoder, node, "ids", &id_node));
    TRY(oct_read_point_ids(decoder, &id_node, &ids, &count));
    TRY(new_points(decoder, count, &points, out));
    for (uint32_t i = 0; i < count; i++)
        points[i].id = ids[i];
    TRY(oct_get(decoder, node, "vectors", &vectors));
    if (oct_node_is(&vectors, OCT_JSON_OBJECT))
        TRY(read_batch_named(decoder, &vectors, points, count));
    else
        TRY(read_batch_list(decoder, &vectors, points, count));
    oct_node payloads = oct_node_member(node, "payloads");
    if (payloads.value) TRY(read_batch_payloads(decoder, &payloads, points, count));
done:
    return status;
}

static oct_status read_upsert(oct_decoder *decoder, const oct_node *body, oct_write *out)
{
    static const char *const modes[] = { "upsert", "insert_only", "update_only" };
    STATIC_ASSERT(OCT_UPDATE_INSERT_ONLY == 1 && OCT_UPDATE_UPDATE_ONLY == 2, "order of modes");
    oct_status status = OCT_OK;
    uint32_t mode = 0;
    oct_node batch = oct_node_member(body, "batch");
    oct_node points = oct_node_member(body, "points");
    out->kind = OCT_WRITE_UPSERT;
    if (!batch.value && !points.value)
        TRY(OCT_FAIL_AT(decoder, body, OCT_BAD_INPUT, "missing field `points` or `batch`"));
    if (batch.value)
        TRY(read_batch(decoder, &batch, out));
    else
        TRY(read_points(decoder, &points, out));
    TRY(oct_get_filter(decoder, body, "update_filter", &out->update_filter));
    TRY(oct_get_choice(decoder, body, "update_mode", &(oct_choice){ modes, ARRAY_COUNT(modes) },
                       &mode));
    out->update_mode = (oct_update_mode)mode;
done:
    return status;
}

/* ---- which points -------------------------------------------------------------------- */

static oct_status read_points_selector(oct_decoder *decoder, const oct_node *body,
                                       oct_points_selector *out)
{
    oct_node points = oct_node_member(body, "points");
    if (points.value) return oct_read_point_ids(decoder, &points, &out->ids, &out->id_count);
    if (oct_node_member(body, "filter").value)
        return oct_get_filter(decoder, body, "filter", &out->filter);
    return OCT_FAIL_AT(decoder, body, OCT_BAD_INPUT,
                       "Either list of point ids or filter must be provided");
}

/* ---- payload ------------------------------------------------------------------------- */

static oct_status read_set_payload(oct_decoder *decoder, const oct_node *body, oct_write *out)
{
    oct_status status = OCT_OK;
    oct_node payload;
    TRY(oct_get(decoder, body, "payload", &payload));
    TRY(oct_read_payload(decoder, &payload, &out->payload));
    TRY(read_points_selector(decoder, body, &out->selector));
    oct_node key = oct_node_member(body, "key");
    if (key.value) TRY(oct_read_path(decoder, &key, &out->payload_key));
done:
    return status;
}

static oct_status read_delete_payload(oct_decoder *decoder, const oct_node *body, oct_write *out)
{
    oct_status status = OCT_OK;
    oct_node keys;
    TRY(oct_get(decoder, body, "keys", &keys));
    TRY(oct_read_paths(decoder, &keys, &out->keys, &out->key_count));
    TRY(read_points_selector(decoder, body, &out->selector));
done:
    return status;
}

/* ---- vectors ------------------------------------------------------------------------- */

static oct_status read_point_vectors(oct_decoder *decoder, const oct_node *node, oct_point *out)
{
    oct_status status = OCT_OK;
    oct_node id, vectors;
    TRY(oct_expect(decoder, node, OCT_JSON_OBJECT));
    TRY(oct_get(decoder, node, "id", &id));
    TRY(oct_read_point_id(decoder, &id, &out->id));
    TRY(get_vectors(decoder, node, &vectors));
    TRY(oct_read_vectors(decoder, &vectors, &out->vectors, &out->vector_count));
    if (out->vector_count == 0)
        TRY(OCT_FAIL_AT(decoder, &vectors, OCT_VALIDATION,
                        "must specify vectors to update for point"));
done:
    return status;
}

static oct_status read_update_vectors(oct_decoder *decoder, const oct_node *body, oct_write *out)
{
    oct_status status = OCT_OK;
    oct_node list, item;
    oct_point *points = NULL;
    TRY(oct_get(decoder, body, "points", &list));
    TRY(oct_expect(decoder, &list, OCT_JSON_ARRAY));
    if (oct_json_count(list.value) == 0)
        TRY(OCT_FAIL_AT(decoder, &list, OCT_VALIDATION, "must specify points to update"));
    TRY(new_points(decoder, oct_json_count(list.value), &points, out));
    oct_items items = oct_items_of(&list);
    while (oct_items_next(&items, &item))
        TRY(read_point_vectors(decoder, &item, &points[item.index]));
    TRY(oct_get_filter(decoder, body, "update_filter", &out->update_filter));
done:
    return status;
}

static oct_status read_delete_vectors(oct_decoder *decoder, const oct_node *body, oct_write *out)
{
    oct_status status = OCT_OK;
    oct_node names;
    TRY(get_vectors(decoder, body, &names));
    TRY(oct_read_strs(decoder, &names, &out->keys, &out->key_count));
    if (out->key_count == 0)
        TRY(OCT_FAIL_AT(decoder, &names, OCT_VALIDATION, "must specify vector names to delete"));
    oct_node filter = oct_node_member(body, "filter");
    if (filter.value && oct_node_member(body, "points").value) /* Qdrant would do both */
        TRY(oct_refuse_node(decoder, &filter, "points and a filter at once are"));
    TRY(read_points_selector(decoder, body, &out->selector));
done:
    return status;
}

/* ---- payload indexes ----------------------------------------------------------------- */

static oct_status read_create_index(oct_decoder *decoder, const oct_node *body, oct_write *out)
{
    oct_status status = OCT_OK;
    oct_node name;
    oct_str key;
    TRY(oct_get(decoder, body, "field_name", &name));
    TRY(oct_read_path(decoder, &name, &key));
    oct_node schema = oct_node_member(body, "field_schema");
    if (!schema.value) schema = oct_node_member(body, "field_type");
    TRY(oct_field_config_parse(decoder->arena, key, schema.value, &out->field, decoder->error));
done:
    return status;
}

/* The key comes from the path, not from a body. */
static oct_status read_delete_index(oct_decoder *decoder, oct_request *out)
{
    oct_status status = OCT_OK;
    oct_json_path path;
    decoder->stage = OCT_STAGE_PATH;
    TRY(oct_json_path_parse(decoder->arena, out->field, &path, decoder->error));
    TRY(oct_json_path_print(decoder->arena, &path, &out->write.field.key, decoder->error));
done:
    return status;
}

/* ---- by operation -------------------------------------------------------------------- */

static oct_status read_by_op(oct_decoder *decoder, const oct_node *body, oct_request *out)
{
    oct_write *write = &out->write;
    switch (write->kind) {
    case OCT_WRITE_UPSERT:
        return read_upsert(decoder, body, write);
    case OCT_WRITE_DELETE:
    case OCT_WRITE_CLEAR_PAYLOAD:
        return read_points_selector(decoder, body, &write->selector);
    case OCT_WRITE_SET_PAYLOAD:
    case OCT_WRITE_OVERWRITE_PAYLOAD:
        return read_set_payload(decoder, body, write);
    case OCT_WRITE_DELETE_PAYLOAD:
        return read_delete_payload(decoder, body, write);
    case OCT_WRITE_UPDATE_VECTORS:
        return read_update_vectors(decoder, body, write);
    case OCT_WRITE_DELETE_VECTORS:
        return read_delete_vectors(decoder, body, write);
    case OCT_WRITE_CREATE_INDEX:
        return read_create_index(decoder, body, write);
    case OCT_WRITE_DELETE_INDEX:
        return read_delete_index(decoder, out);
    }
    return OCT_OK;
}

/* Does it name any point (or filter, or field)? */
static bool changes_something(const oct_write *write)
{
    switch (write->kind) {
    case OCT_WRITE_UPSERT:
    case OCT_WRITE_UPDATE_VECTORS:
        return write->point_count > 0;
    case OCT_WRITE_CREATE_INDEX:
    case OCT_WRITE_DELETE_INDEX:
        return true;
    case OCT_WRITE_DELETE:
    case OCT_WRITE_SET_PAYLOAD:
    case OCT_WRITE_OVERWRITE_PAYLOAD:
    case OCT_WRITE_DELETE_PAYLOAD:
    case OCT_WRITE_CLEAR_PAYLOAD:
    case OCT_WRITE_DELETE_VECTORS:
        break;
    }
    return write->selector.id_count > 0 || write->selector.filter;
}

oct_status oct_read_write_body(oct_decoder *decoder, const oct_node *body, oct_request *out)
{
    oct_status status = OCT_OK;
    if (out->write.kind != OCT_WRITE_DELETE_INDEX) {
        TRY(oct_expect(decoder, body, OCT_JSON_OBJECT));
        TRY(oct_refuse(decoder, body, "shard_key"));
    }
    TRY(read_by_op(decoder, body, out));
    if (!changes_something(&out->write)) /* an error in Qdrant, in these words */
        TRY(oct_fail(decoder->error, OCT_BAD_INPUT, "Bad request: Empty update request"));
done:
    return status;
}
