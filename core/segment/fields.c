/* SPDX-License-Identifier: Apache-2.0
 *
 * fields.c - the open payload indexes of a sealed segment for one schema (declared in sealed.h).
 *
 * An index is derived data: it comes from the file when that has it, else it is built here from
 * the payloads and kept in memory until the segment is next rewritten. Built bytes are shared
 * between the field sets of successive schemas. */
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "segment/sealed.h"

enum { INDEX_BYTES_MAX = 1 << 30 };

static void bytes_unpin(oct_index_bytes *bytes)
{
    if (!bytes || oct_atomic_subtract(&bytes->references, 1) > 0) return;
    oct_free(bytes->alloc, bytes->at, bytes->words * 8);
    oct_free(bytes->alloc, bytes, sizeof *bytes);
}

oct_status oct_fields_add(const oct_sealed *segment, oct_field_builder *builder, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_arena arena;
    oct_arena_init(&arena, segment->host->alloc, 0);
    for (uint32_t i = 0; i < segment->count; i++) {
        oct_str text;
        const oct_json *payload = NULL;
        oct_arena_reset(&arena);
        TRY(oct_sealed_payload(segment, i, &arena, &text, error));
        if (text.bytes == 0) continue;
        status = oct_json_parse(&arena, text, &payload, error);
        if (status == OCT_BAD_INPUT ||
            (status == OCT_OK && oct_json_kind_of(payload) != OCT_JSON_OBJECT))
            status = oct_fail(error, OCT_CORRUPT,
                              "%s: the payload of point %" PRIu32 " is no JSON object",
                              segment->path, i);
        TRY(status);
        if (builder) TRY(oct_field_builder_add(builder, i, payload, error));
    }
done:
    oct_arena_reset(&arena);
    return status;
}

oct_status oct_fields_build(const oct_sealed *segment, oct_field_type type, oct_str key,
                            oct_buf *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_field_builder *builder = NULL;
    oct_buf_init(out, segment->host->alloc, INDEX_BYTES_MAX);
    TRY(oct_field_builder_create(segment->host->alloc, type, key, &builder, error));
    TRY(oct_fields_add(segment, builder, error));
    TRY(oct_field_builder_finish(builder, segment->count, out, error));
done:
    oct_field_builder_destroy(builder);
    return status;
}

/* Build the index of one field into memory of its own. */
static oct_status build_index(const oct_sealed *segment, oct_fields_item *item, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_alloc *alloc = segment->host->alloc;
    oct_index_bytes *owned = NULL;
    oct_buf buf;
    TRY(oct_fields_build(segment, item->type, item->key, &buf, error));

    owned = oct_new_zeroed(alloc, sizeof *owned);
    if (!owned) TRY(oct_fail_nomem(error, "a payload index"));
    owned->alloc = alloc;
    owned->words = (buf.bytes + 7) / 8;
    oct_atomic_store(&owned->references, 1);
    owned->at = oct_new_zeroed(alloc, owned->words * 8);
    if (!owned->at) TRY(oct_fail_nomem(error, "a payload index"));
    memcpy(owned->at, buf.at, buf.bytes);
    TRY(oct_field_open((const uint8_t *)owned->at, buf.bytes, segment->count, &item->index, error));
    item->owned = owned;
    owned = NULL;
done:
    if (owned) bytes_unpin(owned);
    oct_buf_deinit(&buf);
    return status;
}

static const oct_fields_item *find_item(const oct_fields *fields, const oct_field_config *wanted)
{
    for (uint32_t i = 0; fields && i < fields->count; i++)
        if (fields->items[i].type == wanted->type &&
            oct_str_equal(fields->items[i].key, wanted->key))
            return &fields->items[i];
    return NULL;
}

static const oct_sealed_field *find_in_file(const oct_sealed *segment,
                                            const oct_field_config *wanted)
{
    for (uint32_t f = 0; f < segment->field_count; f++)
        if (segment->fields[f].type == wanted->type &&
            oct_str_equal(segment->fields[f].key, wanted->key))
            return &segment->fields[f];
    return NULL;
}

static oct_status fill(const oct_sealed *segment, const oct_fields_request *request, uint32_t i,
                       oct_fields_item *item, oct_error *error)
{
    const oct_field_config *wanted = &request->schema[i];
    const oct_fields_item *old = find_item(request->from, wanted);
    if (!old) old = find_item(request->more, wanted);
    const oct_sealed_field *field = old ? NULL : find_in_file(segment, wanted);
    if (!old && !field) return build_index(segment, item, error);
    item->index = old ? old->index : field->index;
    item->owned = old ? old->owned : NULL;
    if (item->owned) (void)oct_atomic_add(&item->owned->references, 1);
    return OCT_OK;
}

bool oct_fields_are_there(const oct_sealed *segment, const oct_fields_request *request)
{
    for (uint32_t i = 0; i < request->count; i++) {
        const oct_field_config *wanted = &request->schema[i];
        if (!find_item(request->from, wanted) && !find_item(request->more, wanted) &&
            !find_in_file(segment, wanted))
            return false;
    }
    return true;
}

oct_status oct_fields_create(const oct_sealed *segment, const oct_fields_request *request,
                             oct_fields **out, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t count = request->count;
    size_t bytes = sizeof(oct_fields) + count * sizeof(oct_fields_item);
    for (uint32_t i = 0; i < count; i++)
        bytes += request->schema[i].key.bytes;
    *out = NULL;
    oct_fields *fields = oct_new_zeroed(segment->host->alloc, bytes);
    if (!fields) return oct_fail_nomem(error, "payload indexes");
    fields->alloc = segment->host->alloc;
    fields->bytes = bytes;
    oct_atomic_store(&fields->references, 1);
    char *text = (char *)&fields->items[count];
    for (uint32_t i = 0; i < count; i++) {
        oct_fields_item *item = &fields->items[i];
        oct_str key = request->schema[i].key;
        memcpy(text, key.at, key.bytes);
        item->key = (oct_str){ text, key.bytes };
        item->type = request->schema[i].type;
        text += key.bytes;
        TRY(fill(segment, request, i, item, error));
        fields->count = i + 1;
    }
    *out = fields;
    fields = NULL;
done:
    oct_fields_unpin(fields);
    return status;
}

oct_fields *oct_fields_pin(oct_fields *fields)
{
    if (fields) (void)oct_atomic_add(&fields->references, 1);
    return fields;
}

void oct_fields_unpin(oct_fields *fields)
{
    if (!fields || oct_atomic_subtract(&fields->references, 1) > 0) return;
    for (uint32_t i = 0; i < fields->count; i++)
        bytes_unpin(fields->items[i].owned);
    oct_free(fields->alloc, fields, fields->bytes);
}

const oct_field *oct_fields_find(const oct_fields *fields, oct_str key)
{
    for (uint32_t i = 0; fields && i < fields->count; i++)
        if (oct_str_equal(fields->items[i].key, key)) return &fields->items[i].index;
    return NULL;
}
