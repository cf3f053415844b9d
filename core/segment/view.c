/* SPDX-License-Identifier: Apache-2.0
 *
 * view.c - reference-counted snapshots of a collection. The design is at the head of view.h. */
#include "segment/view.h"

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "model/config.h"

/* ---- bitmaps ------------------------------------------------------------------------- */

/* Room is rounded up so that a growing memory segment needs a new bitmap only every 4,096 slots. */
enum { BITMAP_STEP_BITS = 4096 };

static size_t bitmap_bytes(size_t words)
{
    return sizeof(oct_bitmap) + words * sizeof(uint64_t);
}

oct_status oct_bitmap_create(const oct_alloc *alloc, const oct_bitmap *from, size_t points,
                             oct_bitmap **out, oct_error *error)
{
    size_t steps = points / BITMAP_STEP_BITS + 1;
    size_t words = steps * BITMAP_STEP_BITS / 64;
    if (from && from->words > words) words = from->words;
    oct_bitmap *bitmap = oct_new(alloc, bitmap_bytes(words));
    *out = bitmap;
    if (!bitmap) return oct_fail_nomem(error, "a bitmap of points");
    bitmap->alloc = alloc;
    bitmap->words = words;
    oct_atomic_store(&bitmap->references, 1);
    memset(bitmap->bits, 0xff, words * sizeof(uint64_t));
    if (from) memcpy(bitmap->bits, from->bits, from->words * sizeof(uint64_t));
    return OCT_OK;
}

oct_bitmap *oct_bitmap_pin(oct_bitmap *bitmap)
{
    if (bitmap) (void)oct_atomic_add(&bitmap->references, 1);
    return bitmap;
}

void oct_bitmap_unpin(oct_bitmap *bitmap)
{
    if (!bitmap || oct_atomic_subtract(&bitmap->references, 1) > 0) return;
    oct_free(bitmap->alloc, bitmap, bitmap_bytes(bitmap->words));
}

/* ---- schemas ------------------------------------------------------------------------- */

static size_t field_bytes(const oct_field_config *field)
{
    return sizeof *field + field->key.bytes + field->params.bytes;
}

static oct_str place(char **at, oct_str text)
{
    oct_str copy = { *at, text.bytes };
    if (text.bytes) memcpy(*at, text.at, text.bytes);
    *at += text.bytes;
    return copy;
}

static void schema_add(oct_schema *schema, char **text, const oct_field_config *field)
{
    oct_field_config *copy = &schema->fields[schema->count++];
    copy->type = field->type;
    copy->key = place(text, field->key);
    copy->params = place(text, field->params);
}

oct_status oct_schema_create(const oct_alloc *alloc, const oct_schema *from, oct_str without,
                             const oct_field_config *with, oct_schema **out, oct_error *error)
{
    uint32_t count = 0;
    size_t bytes = sizeof(oct_schema);
    for (uint32_t i = 0; from && i < from->count; i++) {
        if (without.at && oct_str_equal(from->fields[i].key, without)) continue;
        bytes += field_bytes(&from->fields[i]);
        count++;
    }
    if (with) {
        bytes += field_bytes(with);
        count++;
    }
    oct_schema *schema = oct_new_zeroed(alloc, bytes);
    *out = schema;
    if (!schema) return oct_fail_nomem(error, "the payload schema");
    schema->alloc = alloc;
    schema->bytes = bytes;
    oct_atomic_store(&schema->references, 1);
    char *text = (char *)&schema->fields[count];
    for (uint32_t i = 0; from && i < from->count; i++)
        if (!without.at || !oct_str_equal(from->fields[i].key, without))
            schema_add(schema, &text, &from->fields[i]);
    if (with) schema_add(schema, &text, with);
    ASSERT(schema->count == count && text == (char *)schema + bytes);
    return OCT_OK;
}

oct_schema *oct_schema_pin(oct_schema *schema)
{
    if (schema) (void)oct_atomic_add(&schema->references, 1);
    return schema;
}

void oct_schema_unpin(oct_schema *schema)
{
    if (!schema || oct_atomic_subtract(&schema->references, 1) > 0) return;
    oct_free(schema->alloc, schema, schema->bytes);
}

const oct_field_config *oct_schema_find(const oct_schema *schema, oct_str key)
{
    for (uint32_t i = 0; i < schema->count; i++)
        if (oct_str_equal(schema->fields[i].key, key)) return &schema->fields[i];
    return NULL;
}

/* ---- settings ------------------------------------------------------------------------ */

oct_status oct_settings_create(const oct_alloc *alloc, const oct_collection_config *config,
                               uint64_t edition, oct_settings **out, oct_error *error)
{
    oct_settings *settings = oct_new_zeroed(alloc, sizeof *settings);
    *out = NULL;
    if (!settings) return oct_fail_nomem(error, "a collection's settings");
    settings->alloc = alloc;
    settings->edition = edition;
    oct_atomic_store(&settings->references, 1);
    oct_status status = oct_config_copy(alloc, config, &settings->config, error);
    if (status == OCT_OK)
        *out = settings;
    else
        oct_settings_unpin(settings);
    return status;
}

oct_settings *oct_settings_pin(oct_settings *settings)
{
    if (settings) (void)oct_atomic_add(&settings->references, 1);
    return settings;
}

void oct_settings_unpin(oct_settings *settings)
{
    if (!settings || oct_atomic_subtract(&settings->references, 1) > 0) return;
    oct_config_free(settings->alloc, settings->config);
    oct_free(settings->alloc, settings, sizeof *settings);
}

/* ---- views --------------------------------------------------------------------------- */

static size_t view_bytes(uint32_t capacity)
{
    return sizeof(oct_view) + capacity * sizeof(oct_view_entry);
}

static oct_view_entry entry_pin(oct_view_entry entry)
{
    if (entry.memory) oct_memory_segment_pin(entry.memory);
    if (entry.sealed) oct_sealed_pin(entry.sealed);
    entry.fields = oct_fields_pin(entry.fields);
    entry.alive = oct_bitmap_pin(entry.alive);
    entry.saved = oct_bitmap_pin(entry.saved);
    return entry;
}

static void entry_unpin(oct_view_entry *entry)
{
    oct_fields_unpin(entry->fields); /* before the file it may point into */
    oct_memory_segment_unpin(entry->memory);
    oct_sealed_unpin(entry->sealed);
    oct_bitmap_unpin(entry->alive);
    oct_bitmap_unpin(entry->saved);
}

oct_status oct_view_create(const oct_alloc *alloc, const oct_view *from, uint32_t more,
                           oct_view **out, oct_error *error)
{
    uint32_t count = from ? from->count : 0;
    oct_view *view = oct_new_zeroed(alloc, view_bytes(count + more));
    *out = view;
    if (!view) return oct_fail_nomem(error, "a view of the segments");
    view->alloc = alloc;
    view->capacity = count + more;
    view->count = count;
    oct_atomic_store(&view->references, 1);
    if (!from) return OCT_OK;
    view->sequence = from->sequence;
    view->settings = oct_settings_pin(from->settings);
    view->schema = oct_schema_pin(from->schema);
    for (uint32_t i = 0; i < count; i++)
        view->entries[i] = entry_pin(from->entries[i]);
    return OCT_OK;
}

void oct_view_pin(oct_view *view)
{
    (void)oct_atomic_add(&view->references, 1);
}

void oct_view_unpin(oct_view *view)
{
    if (!view || oct_atomic_subtract(&view->references, 1) > 0) return;
    for (uint32_t i = 0; i < view->count; i++)
        entry_unpin(&view->entries[i]);
    oct_settings_unpin(view->settings);
    oct_schema_unpin(view->schema);
    oct_free(view->alloc, view, view_bytes(view->capacity));
}

void oct_view_insert(oct_view *view, uint32_t at, oct_view_entry entry)
{
    ASSERT(view->count < view->capacity && at <= view->count);
    memmove(&view->entries[at + 1], &view->entries[at],
            (view->count - at) * sizeof(oct_view_entry));
    view->entries[at] = entry;
    view->count++;
}

void oct_view_remove(oct_view *view, uint32_t at)
{
    ASSERT(at < view->count);
    entry_unpin(&view->entries[at]);
    view->count--;
    memmove(&view->entries[at], &view->entries[at + 1],
            (view->count - at) * sizeof(oct_view_entry));
}

bool oct_view_find(const oct_view *view, oct_point_id id, oct_location *out)
{
    for (uint32_t i = view->count; i-- > 0;) { /* the newest segments are at the end */
        const oct_view_entry *entry = &view->entries[i];
        uint32_t offset = entry->memory ? oct_memory_find(entry->memory, id, entry->count)
                                        : oct_sealed_find(entry->sealed, id);
        if (offset == OCT_SLOT_NONE || !oct_entry_alive(entry, offset)) continue;
        *out = (oct_location){ i, offset };
        return true;
    }
    return false;
}

uint64_t oct_view_alive_count(const oct_view *view)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < view->count; i++)
        count += view->entries[i].alive_count;
    return count;
}
