/* SPDX-License-Identifier: Apache-2.0
 *
 * state.c - the manifest of a collection: what is on disk before the log.
 *
 * Body (inside the two slots of store/manifest.h; integers little-endian, str = u32 length and
 * bytes): u32 version (0); u64 log_start; u64 next file number; str config (the JSON of a create
 * request); u32 n, n x u64 first sequence of a log file (the first is log_start, ascending);
 * u32 n, n payload indexes: str key, u8 type, str params; u32 n, n segments: u64 file number,
 * u32 points, u32 bytes and the idset (base/idset.h) of its dead points as of log_start, padded in
 * front to 8. File numbers are below the next one and distinct. */
#include <string.h>

#include "base/alloc.h"
#include "base/idset.h"
#include "db/collection.h"
#include "model/config.h"
#include "store/manifest.h"

enum { STATE_VERSION = 0, PREFIX_BYTES = OCT_DIRECTORY_BYTES + sizeof "/manifest" };

static void prefix_of(const oct_collection *collection, char prefix[PREFIX_BYTES])
{
    size_t at = strlen(collection->directory);
    memcpy(prefix, collection->directory, at);
    memcpy(prefix + at, "/manifest", sizeof "/manifest");
}

/* ---- writing ------------------------------------------------------------------------- */

static oct_status put_config(const oct_collection *collection, const oct_view *view, oct_buf *body,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    oct_buf text;
    oct_json_writer writer;
    oct_buf_init(&text, collection->alloc, OCT_MANIFEST_BYTES_MAX);
    oct_json_writer_init(&writer, &text);
    oct_config_store(&writer, view->settings->config);
    status = oct_json_writer_status(&writer);
    if (status != OCT_OK) TRY(oct_fail(error, status, "the collection's config is too large"));
    TRY(oct_buf_append_str(body, (oct_str){ (const char *)text.at, text.bytes }, error));
done:
    oct_buf_deinit(&text);
    return status;
}

static oct_status put_dead(const oct_collection *collection, oct_buf *body,
                           const oct_view_entry *entry, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t *dead = NULL;
    uint32_t count = 0;
    oct_buf set;
    oct_buf_init(&set, collection->alloc, OCT_MANIFEST_BYTES_MAX);
    for (uint32_t i = 0; entry->saved && i < entry->count; i++)
        count += !oct_bits_get(entry->saved->bits, i);
    TRY(oct_array_resize(collection->alloc, &dead, 0, count, sizeof *dead, error));
    for (uint32_t i = 0, n = 0; n < count; i++)
        if (!oct_bits_get(entry->saved->bits, i)) dead[n++] = i;
    TRY(oct_idset_write(dead, count, &set, error));
    TRY(oct_buf_append_u32(body, (uint32_t)set.bytes, error));
    TRY(oct_buf_append_zeros(body, (8 - body->bytes % 8) % 8, error));
    TRY(oct_buf_append(body, set.at, set.bytes, error));
done:
    oct_free(collection->alloc, dead, count * sizeof *dead);
    oct_buf_deinit(&set);
    return status;
}

static oct_status put_schema(oct_buf *body, const oct_schema *schema, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_buf_append_u32(body, schema->count, error));
    for (uint32_t i = 0; i < schema->count; i++) {
        TRY(oct_buf_append_str(body, schema->fields[i].key, error));
        TRY(oct_buf_append_u8(body, (uint8_t)schema->fields[i].type, error));
        TRY(oct_buf_append_str(body, schema->fields[i].params, error));
    }
done:
    return status;
}

static oct_status put_segments(const oct_collection *collection, oct_buf *body,
                               const oct_view *view, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->count; i++)
        count += view->entries[i].sealed != NULL;
    TRY(oct_buf_append_u32(body, count, error));
    for (uint32_t i = 0; i < view->count; i++) {
        const oct_view_entry *entry = &view->entries[i];
        if (!entry->sealed) continue;
        TRY(oct_buf_append_u64(body, entry->sealed->file, error));
        TRY(oct_buf_append_u32(body, entry->count, error));
        TRY(put_dead(collection, body, entry, error));
    }
done:
    return status;
}

oct_status oct_state_write(oct_collection *collection, const oct_view *view, uint64_t log_start,
                           bool *in_doubt, oct_error *error)
{
    oct_status status = OCT_OK;
    char prefix[PREFIX_BYTES];
    uint32_t logs = 0;
    oct_buf body;
    oct_manifest_edition edition = { .generation = collection->generation + 1 };
    prefix_of(collection, prefix);
    oct_buf_init(&body, collection->alloc, OCT_MANIFEST_BYTES_MAX);
    TRY(oct_db_check_owner(collection->db, error));
    TRY(oct_buf_append_u32(&body, STATE_VERSION, error));
    TRY(oct_buf_append_u64(&body, log_start, error));
    TRY(oct_buf_append_u64(&body, collection->next_file, error));
    TRY(put_config(collection, view, &body, error));
    for (uint32_t i = 0; i < collection->log_file_count; i++)
        logs += collection->log_files[i] >= log_start;
    TRY(oct_buf_append_u32(&body, logs, error));
    for (uint32_t i = collection->log_file_count - logs; i < collection->log_file_count; i++)
        TRY(oct_buf_append_u64(&body, collection->log_files[i], error));
    TRY(put_schema(&body, view->schema, error));
    TRY(put_segments(collection, &body, view, error));
    edition.body = (oct_str){ (const char *)body.at, body.bytes };
    TRY(oct_manifest_write(collection->alloc, collection->host->vfs, prefix, &edition, error));
    collection->generation++;
done:
    *in_doubt = edition.in_doubt;
    oct_buf_deinit(&body);
    return status;
}

/* ---- reading ------------------------------------------------------------------------- */

static oct_status corrupt(const oct_collection *collection, const char *what, oct_error *error)
{
    return oct_fail(error, OCT_CORRUPT, "%s/manifest: %s", collection->directory, what);
}

static oct_status get_config(oct_collection *collection, oct_reader *in, oct_view *view,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    oct_str text;
    const oct_json *json = NULL;
    oct_collection_config config;
    oct_arena arena;
    oct_arena_init(&arena, collection->alloc, 0);
    TRY(oct_read_str(in, &text, "the config", error));
    TRY(oct_json_parse(&arena, text, &json, error));
    TRY(oct_config_parse(&arena, json, &config, error));
    TRY(oct_settings_create(collection->alloc, &config, 1, &view->settings, error));
    if (!collection->shape) /* else opened before, and memory segments of then may be read still */
        TRY(oct_config_copy(collection->alloc, &config, &collection->shape, error));
    else if (!oct_config_same_shape(collection->shape, &config))
        TRY(corrupt(collection, "the vectors changed", error));
done:
    oct_arena_reset(&arena);
    return status;
}

static oct_status get_logs(oct_collection *collection, oct_reader *in, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t count = 0;
    TRY(oct_read_u32(in, &count, "the log files", error));
    if (count < 1 || count > OCT_LOGS_MAX)
        return corrupt(collection, "impossible number of log files", error);
    for (uint32_t i = 0; i < count; i++) {
        TRY(oct_read_u64(in, &collection->log_files[i], "a log file", error));
        uint64_t least = i ? collection->log_files[i - 1] + 1 : collection->log_start;
        if (collection->log_files[i] < least || (i == 0 && collection->log_files[0] != least))
            return corrupt(collection, "log files out of order", error);
    }
    collection->log_file_count = count;
done:
    return status;
}

static oct_status get_schema(oct_collection *collection, oct_reader *in, oct_view *view,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t count = 0;
    oct_str none = { NULL, 0 };
    TRY(oct_schema_create(collection->alloc, NULL, none, NULL, &view->schema, error));
    TRY(oct_read_u32(in, &count, "the payload indexes", error));
    if (count > OCT_FIELD_INDEXES_MAX) return corrupt(collection, "too many indexes", error);
    for (uint32_t i = 0; i < count; i++) {
        oct_field_config field;
        uint8_t type = 0;
        oct_schema *next = NULL;
        TRY(oct_read_str(in, &field.key, "a field's key", error));
        TRY(oct_read_u8(in, &type, "a field's type", error));
        TRY(oct_read_str(in, &field.params, "a field's parameters", error));
        if (type >= OCT_FIELD_TYPE_COUNT) return corrupt(collection, "unknown field type", error);
        field.type = (oct_field_type)type;
        TRY(oct_schema_create(collection->alloc, view->schema, field.key, &field, &next, error));
        oct_schema_unpin(view->schema);
        view->schema = next;
    }
done:
    return status;
}

/* The bitmap of living points from the set of dead ones; NULL when none died. */
static oct_status get_saved(oct_collection *collection, oct_reader *in, const uint8_t *start,
                            oct_view_entry *entry, oct_error *error)
{
    oct_status status = OCT_OK;
    const uint8_t *at = NULL;
    uint32_t bytes = 0;
    uint32_t *dead = NULL;
    oct_idset set = { .count = 0 };
    TRY(oct_read_u32(in, &bytes, "dead points", error));
    TRY(oct_read_bytes(in, (8 - (size_t)(in->at - start) % 8) % 8, &at, "dead points", error));
    TRY(oct_read_bytes(in, bytes, &at, "dead points", error));
    TRY(oct_idset_open(at, bytes, entry->count, &set, error));
    entry->alive_count = entry->count - set.count;
    if (set.count == 0) return OCT_OK;
    TRY(oct_array_resize(collection->alloc, &dead, 0, set.count, sizeof *dead, error));
    oct_idset_members(&set, dead);
    TRY(oct_bitmap_create(collection->alloc, NULL, entry->count, &entry->saved, error));
    for (uint32_t i = 0; i < set.count; i++)
        oct_bits_clear(entry->saved->bits, dead[i]);
    entry->alive = oct_bitmap_pin(entry->saved);
done:
    oct_free(collection->alloc, dead, set.count * sizeof *dead);
    return status;
}

/* One segment; what was opened goes into *entry also on failure, for the caller to release. */
static oct_status get_segment(oct_collection *collection, oct_reader *in, const uint8_t *start,
                              const oct_view *view, oct_view_entry *entry, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_schema *schema = view->schema;
    oct_sealed_open_request open = { collection->host, collection->kernels, view->settings->config,
                                     collection->directory, 0 };
    TRY(oct_read_u64(in, &open.number, "a segment", error));
    TRY(oct_read_u32(in, &entry->count, "a segment", error));
    if (open.number >= collection->next_file) return corrupt(collection, "file number", error);
    status = oct_sealed_open(&open, &entry->sealed, error);
    if (status == OCT_NOT_FOUND) TRY(corrupt(collection, "a segment's file is missing", error));
    TRY(status);
    if (entry->sealed->count != entry->count)
        return corrupt(collection, "a segment has another number of points", error);
    TRY(get_saved(collection, in, start, entry, error));
    const oct_fields_request fields = { schema->fields, schema->count, NULL, NULL };
    TRY(oct_fields_create(entry->sealed, &fields, &entry->fields, error));
done:
    return status;
}

static oct_status get_segments(oct_collection *collection, oct_reader *in, const uint8_t *start,
                               oct_view **view, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t count = 0;
    oct_view *more = NULL;
    TRY(oct_read_u32(in, &count, "the segments", error));
    if (count > in->bytes / 16) return corrupt(collection, "impossible segment count", error);
    TRY(oct_view_create(collection->alloc, *view, count, &more, error));
    oct_view_unpin(*view);
    *view = more;
    for (uint32_t i = 0; i < count; i++) {
        oct_view_insert(more, more->count, (oct_view_entry){ .count = 0 });
        oct_view_entry *entry = &more->entries[more->count - 1];
        TRY(get_segment(collection, in, start, more, entry, error));
        for (uint32_t k = 0; k < i; k++)
            if (more->entries[k].sealed->file >= entry->sealed->file)
                return corrupt(collection, "segments out of order", error);
    }
done:
    return status;
}

oct_status oct_state_read(oct_collection *collection, oct_view **out, oct_error *error)
{
    oct_status status = OCT_OK;
    char prefix[PREFIX_BYTES];
    uint32_t version = 0;
    oct_view *view = NULL;
    oct_buf body;
    *out = NULL;
    prefix_of(collection, prefix);
    oct_buf_init(&body, collection->alloc, OCT_MANIFEST_BYTES_MAX);
    TRY(oct_manifest_read(collection->host->vfs, prefix, &body, &collection->generation, error));
    oct_reader in = { body.at, body.bytes };
    TRY(oct_read_u32(&in, &version, "the version", error));
    if (version != STATE_VERSION)
        TRY(oct_fail(error, OCT_UNSUPPORTED, "%s: written by a newer version", prefix));
    TRY(oct_read_u64(&in, &collection->log_start, "the start of the log", error));
    TRY(oct_read_u64(&in, &collection->next_file, "the next file", error));
    TRY(oct_view_create(collection->alloc, NULL, 0, &view, error));
    TRY(get_config(collection, &in, view, error));
    TRY(get_logs(collection, &in, error));
    TRY(get_schema(collection, &in, view, error));
    TRY(get_segments(collection, &in, body.at, &view, error));
    if (in.bytes != 0) TRY(corrupt(collection, "bytes behind its end", error));
    view->sequence = collection->log_start - 1;
    *out = view;
    view = NULL;
done:
    oct_view_unpin(view);
    oct_buf_deinit(&body);
    return status;
}
