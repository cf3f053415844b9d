/* SPDX-License-Identifier: Apache-2.0
 *
 * inspect_manifest.c - describe the two slots of a manifest, the registry's or a collection's.
 *
 * The body is decoded here once more beside db/state.c and db/db.c, which open what it names while
 * they read. They fail at the first fault and need the whole directory; a tool for damaged files
 * can do with neither. A body is decoded whole before anything of it is written. */
#include <string.h>

#include "base/hash.h"
#include "base/idset.h"
#include "base/str.h"
#include "db/collection.h"
#include "db/inspect.h"
#include "model/config.h"
#include "store/file.h"
#include "store/format.h"
#include "store/manifest.h"

enum { SLOTS = 2, COPIES = 2 };

/* ---- what manifests say -------------------------------------------------------------- */

typedef struct segment_entry {
    uint64_t file;
    uint32_t points, dead;
} segment_entry;

typedef struct state { /* of a collection; in the arena */
    uint64_t log_start, next_file;
    const oct_json *config;
    uint64_t logs[OCT_LOGS_MAX];
    oct_field_config *fields;
    segment_entry *segments;
    uint32_t log_count, field_count, segment_count;
} state;

static oct_status decode_config(oct_arena *arena, oct_reader *in, state *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_str text;
    oct_collection_config config;
    TRY(oct_read_str(in, &text, "the config", error));
    status = oct_json_parse(arena, text, &out->config, error);
    if (status == OCT_OK) status = oct_config_parse(arena, out->config, &config, error);
    if (status != OCT_OK && status != OCT_NOMEM)
        status = oct_fail(error, OCT_CORRUPT, "the manifest's config is none");
done:
    return status;
}

static oct_status decode_logs(oct_reader *in, state *out, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_read_u32(in, &out->log_count, "the log files", error));
    if (out->log_count < 1 || out->log_count > OCT_LOGS_MAX)
        TRY(oct_fail(error, OCT_CORRUPT, "the manifest names %" PRIu32 " log files",
                     out->log_count));
    for (uint32_t i = 0; i < out->log_count; i++) {
        TRY(oct_read_u64(in, &out->logs[i], "a log file", error));
        if (i == 0 ? out->logs[0] != out->log_start : out->logs[i] <= out->logs[i - 1])
            TRY(oct_fail(error, OCT_CORRUPT, "the manifest's log files are out of order"));
    }
done:
    return status;
}

static oct_status decode_fields(oct_arena *arena, oct_reader *in, state *out, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_read_u32(in, &out->field_count, "the payload indexes", error));
    if (out->field_count > OCT_FIELD_INDEXES_MAX)
        TRY(oct_fail(error, OCT_CORRUPT, "the manifest has too many payload indexes"));
    TRY(oct_arena_array(arena, out->field_count, sizeof *out->fields, &out->fields, error));
    for (uint32_t i = 0; i < out->field_count; i++) {
        oct_field_config *field = &out->fields[i];
        uint8_t type = 0;
        TRY(oct_read_str(in, &field->key, "a field's key", error));
        TRY(oct_read_u8(in, &type, "a field's type", error));
        TRY(oct_read_str(in, &field->params, "a field's parameters", error));
        if (type >= OCT_FIELD_TYPE_COUNT)
            TRY(oct_fail(error, OCT_CORRUPT, "the manifest has an unknown type of payload index"));
        field->type = (oct_field_type)type;
    }
done:
    return status;
}

static oct_status decode_segment(oct_reader *in, const uint8_t *start, segment_entry *out,
                                 oct_error *error)
{
    oct_status status = OCT_OK;
    const uint8_t *at = NULL;
    uint32_t bytes = 0;
    oct_idset dead;
    TRY(oct_read_u64(in, &out->file, "a segment", error));
    TRY(oct_read_u32(in, &out->points, "a segment", error));
    TRY(oct_read_u32(in, &bytes, "dead points", error));
    TRY(oct_read_bytes(in, (8 - (size_t)(in->at - start) % 8) % 8, &at, "dead points", error));
    TRY(oct_read_bytes(in, bytes, &at, "dead points", error));
    TRY(oct_idset_open(at, bytes, out->points, &dead, error));
    out->dead = dead.count;
done:
    return status;
}

static oct_status decode_segments(oct_arena *arena, oct_reader *in, const uint8_t *start,
                                  state *out, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_read_u32(in, &out->segment_count, "the segments", error));
    if (out->segment_count > in->bytes / 16)
        TRY(oct_fail(error, OCT_CORRUPT, "the manifest has an impossible count of segments"));
    TRY(oct_arena_array(arena, out->segment_count, sizeof *out->segments, &out->segments, error));
    for (uint32_t i = 0; i < out->segment_count; i++) {
        TRY(decode_segment(in, start, &out->segments[i], error));
        if (out->segments[i].file >= out->next_file ||
            (i > 0 && out->segments[i].file <= out->segments[i - 1].file))
            TRY(oct_fail(error, OCT_CORRUPT, "the manifest's segments are out of order"));
    }
done:
    return status;
}

static oct_status check_version(oct_reader *in, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t version = 0;
    TRY(oct_read_u32(in, &version, "the version", error));
    if (version != 0)
        TRY(oct_fail(error, OCT_UNSUPPORTED,
                     "manifest body version %" PRIu32 ", this program reads 0", version));
done:
    return status;
}

/* The body of a collection's manifest: layout at the head of db/state.c. */
static oct_status decode_state(oct_arena *arena, const oct_buf *body, state *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_reader in = { body->at, body->bytes };
    *out = (state){ 0 };
    TRY(check_version(&in, error));
    TRY(oct_read_u64(&in, &out->log_start, "the start of the log", error));
    TRY(oct_read_u64(&in, &out->next_file, "the next file", error));
    TRY(decode_config(arena, &in, out, error));
    TRY(decode_logs(&in, out, error));
    TRY(decode_fields(arena, &in, out, error));
    TRY(decode_segments(arena, &in, body->at, out, error));
    if (in.bytes != 0) TRY(oct_fail(error, OCT_CORRUPT, "the manifest has bytes behind its end"));
done:
    return status;
}

static void write_state(oct_inspection *now, const state *from)
{
    char name[OCT_INSPECT_NAME_BYTES];
    oct_json_writer *out = &now->out;
    oct_inspect_uint(now, "log_start", from->log_start);
    oct_inspect_uint(now, "next_file", from->next_file);
    oct_inspect_key(now, "config");
    oct_json_write_value(out, from->config);
    oct_inspect_key(now, "logs");
    oct_json_begin_array(out);
    for (uint32_t i = 0; i < from->log_count; i++) {
        oct_inspect_name(name, "log-", from->logs[i]);
        oct_json_write_str(out, oct_str_of(name));
    }
    oct_json_end_array(out);
    oct_inspect_key(now, "payload_indexes");
    oct_json_begin_array(out);
    for (uint32_t i = 0; i < from->field_count; i++) {
        oct_json_begin_object(out);
        oct_inspect_text(now, "key", from->fields[i].key);
        oct_inspect_word(now, "type", oct_field_type_name(from->fields[i].type));
        oct_inspect_text(now, "params", from->fields[i].params);
        oct_json_end_object(out);
    }
    oct_json_end_array(out);
    oct_inspect_key(now, "segments");
    oct_json_begin_array(out);
    for (uint32_t i = 0; i < from->segment_count; i++) {
        oct_inspect_name(name, "s-", from->segments[i].file);
        oct_json_begin_object(out);
        oct_inspect_word(now, "file", name);
        oct_inspect_uint(now, "points", from->segments[i].points);
        oct_inspect_uint(now, "dead_points", from->segments[i].dead);
        oct_json_end_object(out);
    }
    oct_json_end_array(out);
}

/* The body of the registry: layout at the head of db/db.c. Without `now` it is only tried. */
static oct_status walk_registry(oct_inspection *now, const oct_buf *body, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_reader in = { body->at, body->bytes };
    uint64_t epoch = 0, next = 0;
    uint32_t count = 0;
    TRY(check_version(&in, error));
    TRY(oct_read_u64(&in, &epoch, "the epoch", error));
    TRY(oct_read_u64(&in, &next, "the next directory", error));
    TRY(oct_read_u32(&in, &count, "the collections", error));
    if (now) {
        oct_inspect_uint(now, "epoch", epoch);
        oct_inspect_uint(now, "next_directory", next);
        oct_inspect_key(now, "collections");
        oct_json_begin_array(&now->out);
    }
    for (uint32_t i = 0; i < count; i++) {
        oct_str text;
        uint64_t number = 0;
        char name[OCT_INSPECT_NAME_BYTES];
        TRY(oct_read_str(&in, &text, "a collection's name", error));
        TRY(oct_read_u64(&in, &number, "a collection's directory", error));
        if (text.bytes == 0 || number >= next)
            TRY(oct_fail(error, OCT_CORRUPT, "the registry has a bad collection entry"));
        if (!now) continue;
        oct_inspect_name(name, "c", number);
        oct_json_begin_object(&now->out);
        oct_inspect_text(now, "name", text);
        oct_inspect_word(now, "directory", name);
        oct_json_end_object(&now->out);
    }
    if (now) oct_json_end_array(&now->out);
    if (in.bytes != 0) TRY(oct_fail(error, OCT_CORRUPT, "the registry has bytes behind its end"));
done:
    return status;
}

/* ---- the slots of a manifest --------------------------------------------------------- */

typedef struct slot_copy {
    const char *state; /* "whole", "empty" (zeros), "damaged", "newer version" */
    uint64_t offset, bytes;
    oct_manifest_header header;
} slot_copy;

typedef struct slot {
    oct_inspection *now;
    char path[OCT_PATH_BYTES_MAX + 1];
    uint32_t number;
    oct_file *file; /* NULL: there is none */
    uint64_t bytes;
    slot_copy copies[COPIES];
} slot;

static oct_status slot_open(oct_inspection *now, uint32_t number, slot *out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = now->host->vfs;
    size_t bytes = strlen(now->path);
    *out = (slot){ .now = now, .number = number };
    memcpy(out->path, now->path, bytes + 1);
    out->path[bytes - 1] = (char)('0' + number);
    status = vfs->open(vfs->self, out->path, OCT_OPEN_READ, &out->file, error);
    if (status == OCT_NOT_FOUND) return OCT_OK;
    TRY(status);
    TRY(vfs->size(vfs->self, out->file, &out->bytes, error));
done:
    return status;
}

/* Is everything from `offset` of the file to `end` zero? */
static oct_status zeros_until(const slot *from, uint64_t offset, uint64_t end, bool *zero,
                              oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = from->now->host->vfs;
    uint8_t piece[OCT_MANIFEST_STEP_BYTES];
    for (*zero = true; *zero && offset < end;) {
        size_t bytes = (size_t)MIN(end - offset, (uint64_t)sizeof piece);
        TRY(vfs->read(vfs->self, from->file, offset, piece, bytes, error));
        *zero = oct_store_all_zero(piece, bytes);
        offset += bytes;
    }
done:
    return status;
}

static bool header_is_right(const slot *from, const slot_copy *copy)
{
    const oct_manifest_header *header = &copy->header;
    return header->magic == OCT_MANIFEST_MAGIC &&
           header->header_crc == oct_crc32c(0, header, offsetof(oct_manifest_header, header_crc)) &&
           header->generation % SLOTS == from->number &&
           header->body_bytes <= OCT_MANIFEST_BYTES_MAX &&
           header->body_bytes <= copy->bytes - sizeof *header;
}

/* Read one copy; its body, if whole, into *body. */
static oct_status read_copy(const slot *from, slot_copy *copy, oct_buf *body, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = from->now->host->vfs;
    const oct_manifest_header *header = &copy->header;
    bool zero = false;
    copy->state = from->bytes == 0 ? "empty" : "damaged"; /* as the undoing of a write leaves it */
    if (copy->bytes < sizeof *header) goto done;
    TRY(vfs->read(vfs->self, from->file, copy->offset, &copy->header, sizeof *header, error));
    if (oct_store_all_zero(header, sizeof *header)) copy->state = "empty";
    if (!header_is_right(from, copy)) goto done;
    if (header->version != OCT_STORE_VERSION) {
        copy->state = "newer version";
        goto done;
    }
    oct_buf_clear(body);
    TRY(oct_buf_reserve(body, header->body_bytes, error));
    if (header->body_bytes > 0)
        TRY(vfs->read(vfs->self, from->file, copy->offset + sizeof *header, body->at,
                      header->body_bytes, error));
    body->bytes = header->body_bytes;
    TRY(zeros_until(from, copy->offset + sizeof *header + header->body_bytes,
                    copy->offset + copy->bytes, &zero, error));
    if (zero && oct_crc32c(0, body->at, body->bytes) == header->body_crc) copy->state = "whole";
done:
    return status;
}

static bool is_state(const slot_copy *copy, const char *word)
{
    return copy->state && strcmp(copy->state, word) == 0;
}

/* Read both copies; the newest whole body of all goes to *best, its generation to *generation
 * (UINT64_MAX: none yet). */
static oct_status read_slot(slot *from, oct_buf *best, uint64_t *generation, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_inspection *now = from->now;
    oct_buf body;
    oct_buf_init(&body, now->host->alloc, OCT_MANIFEST_BYTES_MAX);
    for (uint32_t i = 0; from->file && i < COPIES; i++) {
        slot_copy *copy = &from->copies[i];
        copy->offset = i * (from->bytes / 2);
        copy->bytes = from->bytes / 2;
        TRY(read_copy(from, copy, &body, error));
        if (is_state(copy, "damaged"))
            INSPECT_FIND(now, OCT_CORRUPT,
                         "%s: the copy at byte %" PRIu64 " is damaged, or its write was cut "
                         "short by a crash",
                         from->path, copy->offset);
        if (is_state(copy, "newer version"))
            INSPECT_FIND(now, OCT_UNSUPPORTED,
                         "%s: manifest version %" PRIu32 ", this program reads %d", from->path,
                         copy->header.version, OCT_STORE_VERSION);
        if (!is_state(copy, "whole")) continue;
        if (*generation != UINT64_MAX && copy->header.generation <= *generation) continue;
        oct_buf swap = *best;
        *best = body;
        body = swap;
        *generation = copy->header.generation;
    }
    if (from->file && from->bytes % (2 * OCT_MANIFEST_STEP_BYTES) != 0)
        INSPECT_FIND(now, OCT_CORRUPT, "%s: %" PRIu64 " bytes are not two copies of pages",
                     from->path, from->bytes);
done:
    oct_buf_deinit(&body);
    return status;
}

static const char *slot_state(const slot *from, uint64_t generation)
{
    if (!from->file) return "missing";
    for (uint32_t i = 0; i < COPIES; i++)
        if (is_state(&from->copies[i], "whole"))
            return from->copies[i].header.generation == generation ? "current" : "previous";
    bool empty = is_state(&from->copies[0], "empty") && is_state(&from->copies[1], "empty");
    return empty ? "empty" : "unreadable";
}

static void write_slot(const slot *from, uint64_t generation)
{
    oct_inspection *now = from->now;
    oct_json_begin_object(&now->out);
    oct_inspect_word(now, "file", from->path + now->directory_bytes);
    oct_inspect_word(now, "state", slot_state(from, generation));
    if (from->file) oct_inspect_uint(now, "bytes", from->bytes);
    for (uint32_t i = 0; from->file && i < COPIES; i++) {
        const slot_copy *copy = &from->copies[i];
        oct_inspect_word(now, i == 0 ? "first_copy" : "second_copy", copy->state);
        if (is_state(copy, "whole"))
            oct_inspect_uint(now, i == 0 ? "first_generation" : "second_generation",
                             copy->header.generation);
    }
    oct_json_end_object(&now->out);
}

static oct_status write_body(oct_inspection *now, const oct_buf *body, oct_error *error)
{
    state found;
    bool registry =
        strncmp(now->name, "registry", 8) == 0 ||
        (strncmp(now->name, "manifest", 8) != 0 && walk_registry(NULL, body, NULL) == OCT_OK);
    oct_inspect_word(now, "contents", registry ? "registry" : "collection");
    oct_inspect_uint(now, "body_bytes", body->bytes);
    if (registry) { /* first without writing, so that a damaged one leaves no open array */
        oct_status status = walk_registry(NULL, body, error);
        return status == OCT_OK ? walk_registry(now, body, error) : status;
    }
    oct_status status = decode_state(&now->arena, body, &found, error);
    if (status == OCT_OK) write_state(now, &found);
    return status;
}

oct_status oct_inspect_manifest(oct_inspection *now, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = now->host->vfs;
    oct_error problem = { .status = OCT_OK };
    uint64_t generation = UINT64_MAX;
    slot slots[SLOTS] = { { 0 }, { 0 } };
    oct_buf body;
    oct_buf_init(&body, now->host->alloc, OCT_MANIFEST_BYTES_MAX);
    for (uint32_t i = 0; i < SLOTS; i++) {
        TRY(slot_open(now, i, &slots[i], error));
        TRY(read_slot(&slots[i], &body, &generation, error));
    }
    oct_inspect_uint(now, "format_version", OCT_STORE_VERSION);
    oct_inspect_key(now, "slots");
    oct_json_begin_array(&now->out);
    for (uint32_t i = 0; i < SLOTS; i++)
        write_slot(&slots[i], generation);
    oct_json_end_array(&now->out);
    if (generation == UINT64_MAX) {
        INSPECT_FIND(now, OCT_CORRUPT, "%s: no slot holds a whole copy", now->path);
        goto done;
    }
    oct_inspect_uint(now, "generation", generation);
    status = write_body(now, &body, &problem);
    TRY(oct_inspect_judge(now, status, &problem, error));
done:
    for (uint32_t i = 0; i < SLOTS; i++)
        if (slots[i].file) vfs->close(vfs->self, slots[i].file);
    oct_buf_deinit(&body);
    return status;
}

/* ---- for logs ------------------------------------------------------------------------ */

oct_status oct_inspect_place_log(oct_inspection *now, uint64_t first_sequence,
                                 oct_inspect_place *out, oct_error *error)
{
    oct_status status = OCT_OK;
    char prefix[OCT_PATH_BYTES_MAX + sizeof "manifest"];
    uint64_t generation = 0;
    state found;
    oct_buf body;
    *out = (oct_inspect_place){ .known = false };
    memcpy(prefix, now->path, now->directory_bytes);
    memcpy(prefix + now->directory_bytes, "manifest", sizeof "manifest");
    oct_buf_init(&body, now->host->alloc, OCT_MANIFEST_BYTES_MAX);
    status = oct_manifest_read(now->host->vfs, prefix, &body, &generation, error);
    if (status == OCT_OK) status = decode_state(&now->arena, &body, &found, error);
    out->known = status == OCT_OK;
    for (uint32_t i = 0; out->known && i < found.log_count; i++) {
        out->named = out->named || found.logs[i] == first_sequence;
        if (found.logs[i] <= first_sequence || out->successor) continue;
        out->successor = found.logs[i];
    }
    oct_buf_deinit(&body);
    /* A missing or damaged manifest is not what is looked at. */
    return status == OCT_NOMEM || status == OCT_IO ? status : OCT_OK;
}
