/* SPDX-License-Identifier: Apache-2.0
 *
 * inspect.c - `octant inspect`: describe one file of a database, damaged or not.
 *
 * The report is a JSON object, so that programs can read it; the command prints it for people.
 * Whatever is wrong with the bytes of the file becomes an entry of its `findings`, and the rest is
 * still described; only what keeps the file from being read at all is a failure. What a file is
 * shows its name, because a damaged file may have lost its magic; files of other names (copies)
 * are known by their magic. */
#include <string.h>

#include "base/str.h"
#include "db/inspect.h"
#include "octant/octant.h"
#include "octant/request.h"
#include "store/format.h"
#include "store/wal_read.h"

enum { REPORT_BYTES_MAX = 64 << 20, KINDS = OCT_WRITE_DELETE_INDEX + 1 };

/* ---- the report ---------------------------------------------------------------------- */

void oct_inspect_add(oct_inspection *now, const oct_error *found)
{
    oct_str text = oct_str_of(found->message);
    bool good = oct_str_is_utf8(text);
    oct_json_write_str(&now->findings, good ? text : OCT_STR("a message that is no UTF-8"));
    if (now->finding_count++ == 0 ||
        (now->worst.status == OCT_UNSUPPORTED && found->status == OCT_CORRUPT))
        now->worst = *found;
}

oct_status oct_inspect_judge(oct_inspection *now, oct_status status, const oct_error *problem,
                             oct_error *error)
{
    if (status == OCT_OK) return OCT_OK;
    if (status == OCT_CORRUPT || status == OCT_UNSUPPORTED) {
        oct_inspect_add(now, problem);
        return OCT_OK;
    }
    if (error) *error = *problem;
    return status;
}

void oct_inspect_key(oct_inspection *now, const char *key)
{
    oct_json_key(&now->out, oct_str_of(key));
}

void oct_inspect_uint(oct_inspection *now, const char *key, uint64_t value)
{
    oct_inspect_key(now, key);
    oct_json_write_uint(&now->out, value);
}

void oct_inspect_text(oct_inspection *now, const char *key, oct_str text)
{
    oct_inspect_key(now, key);
    if (oct_str_is_utf8(text)) {
        oct_json_write_str(&now->out, text);
        return;
    }
    oct_json_write_null(&now->out);
    INSPECT_FIND(now, OCT_CORRUPT, "%s: a %s is no UTF-8", now->path, key);
}

void oct_inspect_word(oct_inspection *now, const char *key, const char *word)
{
    oct_inspect_text(now, key, oct_str_of(word));
}

void oct_inspect_name(char name[OCT_INSPECT_NAME_BYTES], const char *prefix, uint64_t number)
{
    static const char digits[] = "0123456789abcdef";
    size_t at = strlen(prefix);
    ASSERT(at + 17 <= OCT_INSPECT_NAME_BYTES);
    memcpy(name, prefix, at);
    for (int shift = 60; shift >= 0; shift -= 4)
        name[at++] = digits[(number >> shift) & 15];
    name[at] = '\0';
}

/* ---- logs ---------------------------------------------------------------------------- */

typedef struct log_count {
    uint64_t records, bytes;
    uint64_t kinds[KINDS];
} log_count;

/* A record's first byte is its kind (db/record.c). */
static oct_status count_record(void *arg, uint64_t sequence, oct_str record, oct_error *error)
{
    log_count *count = arg;
    uint8_t kind = record.bytes > 0 ? (uint8_t)record.at[0] : 0;
    if (kind < 1 || kind > KINDS)
        return oct_fail(error, OCT_CORRUPT, "record %" PRIu64 " is of the unknown kind %d",
                        sequence, kind);
    count->records++;
    count->bytes += record.bytes;
    count->kinds[kind - 1]++;
    return OCT_OK;
}

static void write_kinds(oct_inspection *now, const log_count *count)
{
    static const char *const names[KINDS] = {
        [OCT_WRITE_UPSERT] = "upsert",
        [OCT_WRITE_DELETE] = "delete",
        [OCT_WRITE_SET_PAYLOAD] = "set_payload",
        [OCT_WRITE_OVERWRITE_PAYLOAD] = "overwrite_payload",
        [OCT_WRITE_DELETE_PAYLOAD] = "delete_payload",
        [OCT_WRITE_CLEAR_PAYLOAD] = "clear_payload",
        [OCT_WRITE_UPDATE_VECTORS] = "update_vectors",
        [OCT_WRITE_DELETE_VECTORS] = "delete_vectors",
        [OCT_WRITE_CREATE_INDEX] = "create_index",
        [OCT_WRITE_DELETE_INDEX] = "delete_index",
    };
    oct_inspect_key(now, "kinds");
    oct_json_begin_object(&now->out);
    for (uint32_t i = 0; i < KINDS; i++)
        if (count->kinds[i]) oct_inspect_uint(now, names[i], count->kinds[i]);
    oct_json_end_object(&now->out);
}

/* Where the log ends, and why there. */
static void write_end(oct_inspection *now, const oct_wal_tail *tail, bool damaged)
{
    const char *end = "clean";
    if (tail->torn_end > tail->end) end = "torn";
    if (damaged) end = "damaged";
    oct_inspect_uint(now, "valid_bytes", tail->end);
    oct_inspect_word(now, "end", end);
    if (damaged) {
        oct_inspect_uint(now, "damaged_at", tail->end);
    } else {
        oct_inspect_uint(now, "torn_bytes", tail->torn_end - tail->end);
        oct_inspect_uint(now, "zeros_ahead", tail->file_bytes - tail->torn_end);
    }
}

/* The name of a log says its first sequence; the next log, which one it must end before. */
static void check_place(oct_inspection *now, uint64_t first, const oct_wal_tail *tail,
                        const oct_inspect_place *place, bool whole)
{
    char name[OCT_INSPECT_NAME_BYTES];
    oct_inspect_name(name, "log-", first);
    if (strncmp(now->name, "log-", 4) == 0 && strcmp(now->name, name) != 0)
        INSPECT_FIND(now, OCT_CORRUPT, "%s: it begins at record %" PRIu64 ", so its name is %s",
                     now->path, first, name);
    if (whole && place->named && place->successor && tail->last_sequence + 1 != place->successor)
        INSPECT_FIND(now, OCT_CORRUPT,
                     "%s: it ends with record %" PRIu64 ", but the next log begins at %" PRIu64,
                     now->path, tail->last_sequence, place->successor);
}

static oct_status read_first_sequence(const oct_inspection *now, uint64_t *first, oct_error *error)
{
    const oct_vfs *vfs = now->host->vfs;
    oct_wal_header header;
    if (now->bytes < sizeof header) return OCT_OK; /* the reader says so */
    oct_status status = vfs->read(vfs->self, now->file, 0, &header, sizeof header, error);
    if (status == OCT_OK) *first = header.first_sequence;
    return status;
}

static oct_status inspect_log(oct_inspection *now, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_error problem = { .status = OCT_OK };
    log_count count = { 0 };
    oct_wal_tail tail;
    oct_inspect_place place;
    oct_wal_open_request request = { .path = now->path, .replay = count_record, .arg = &count };
    TRY(read_first_sequence(now, &request.first_sequence, error));
    TRY(oct_inspect_place_log(now, request.first_sequence, &place, error));
    request.sealed = place.named && place.successor;
    status = oct_wal_read(now->host->alloc, now->host->vfs, now->file, &request, &tail, &problem);
    bool whole = status == OCT_OK;
    TRY(oct_inspect_judge(now, status, &problem, error));
    bool opened = tail.end > 0; /* the header was right */
    if (opened) {
        check_place(now, request.first_sequence, &tail, &place, whole);
        oct_inspect_uint(now, "format_version", OCT_STORE_VERSION);
        oct_inspect_uint(now, "first_sequence", request.first_sequence);
        oct_inspect_uint(now, "last_sequence", tail.last_sequence);
        oct_inspect_uint(now, "records", count.records);
        oct_inspect_uint(now, "record_bytes", count.bytes);
        write_kinds(now, &count);
    }
    if (place.known) oct_inspect_word(now, "in_manifest", place.named ? "yes" : "no");
    if (place.successor) oct_inspect_uint(now, "next_log", place.successor);
    write_end(now, &tail, !whole);
done:
    return status;
}

/* ---- which file is it? --------------------------------------------------------------- */

typedef enum file_kind {
    FILE_UNKNOWN,
    FILE_MANIFEST,
    FILE_LOG,
    FILE_SEGMENT,
    FILE_FILLER
} file_kind;

static bool ends_like_a_slot(const char *name)
{
    size_t bytes = strlen(name);
    return bytes > 2 && name[bytes - 2] == '.' && (name[bytes - 1] & ~1) == '0';
}

/* A prefix and 16 digits. */
static bool is_numbered(const char *name, const char *prefix)
{
    size_t bytes = strlen(prefix);
    return strncmp(name, prefix, bytes) == 0 && strlen(name) == bytes + 16 &&
           strspn(name + bytes, "0123456789abcdef") == 16;
}

static file_kind kind_by_name(const char *name)
{
    static const char *const slots[] = { "registry.0", "registry.1", "manifest.0", "manifest.1" };
    for (size_t i = 0; i < ARRAY_COUNT(slots); i++)
        if (strcmp(name, slots[i]) == 0) return FILE_MANIFEST;
    if (is_numbered(name, "log-")) return FILE_LOG;
    if (is_numbered(name, "s-")) return FILE_SEGMENT;
    if (strcmp(name, "checkpoint-0") == 0 || strcmp(name, "checkpoint-1") == 0) return FILE_SEGMENT;
    bool filler = strcmp(name, "owner") == 0 || strcmp(name, "reserve") == 0;
    return filler ? FILE_FILLER : FILE_UNKNOWN;
}

static oct_status kind_of(const oct_inspection *now, file_kind *kind, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = now->host->vfs;
    uint64_t magic = 0;
    *kind = kind_by_name(now->name);
    if (*kind != FILE_UNKNOWN) goto done;
    if (now->bytes >= sizeof magic)
        TRY(vfs->read(vfs->self, now->file, 0, &magic, sizeof magic, error));
    if (magic == OCT_WAL_MAGIC) *kind = FILE_LOG;
    if (magic == OCT_CONTAINER_MAGIC) *kind = FILE_SEGMENT;
    if (magic == OCT_MANIFEST_MAGIC && !ends_like_a_slot(now->name))
        TRY(oct_fail(error, OCT_BAD_INPUT, "%s: a manifest's name ends with .0 or .1", now->path));
    if (magic == OCT_MANIFEST_MAGIC) *kind = FILE_MANIFEST;
    if (*kind == FILE_UNKNOWN)
        TRY(oct_fail(error, OCT_BAD_INPUT,
                     "%s: not a file of an Octant database: neither its name nor its first bytes "
                     "are those of a registry, manifest, log or segment",
                     now->path));
done:
    return status;
}

static oct_status describe(oct_inspection *now, file_kind kind, oct_error *error)
{
    static const char *const names[] = {
        [FILE_MANIFEST] = "manifest", [FILE_LOG] = "log", [FILE_SEGMENT] = "segment"
    };
    oct_inspect_word(now, "file", now->name);
    oct_inspect_word(now, "kind", kind == FILE_FILLER ? now->name : names[kind]);
    oct_inspect_uint(now, "bytes", now->bytes);
    switch (kind) {
    case FILE_MANIFEST:
        return oct_inspect_manifest(now, error);
    case FILE_LOG:
        return inspect_log(now, error);
    case FILE_SEGMENT:
        return oct_inspect_segment(now, error);
    case FILE_FILLER: /* says nothing: `owner` is only locked, `reserve` only takes space */
        break;
    case FILE_UNKNOWN:
        break;
    }
    return OCT_OK;
}

/* The verdict and the findings, behind everything else. */
static oct_status finish(oct_inspection *now, oct_error *error)
{
    oct_status status = OCT_OK;
    const char *verdict = "ok";
    if (now->finding_count > 0)
        verdict = now->worst.status == OCT_UNSUPPORTED ? "newer version" : "damaged";
    oct_inspect_word(now, "verdict", verdict);
    oct_json_end_array(&now->findings);
    oct_inspect_key(now, "findings");
    TRY(oct_json_writer_status(&now->findings));
    oct_json_write_raw(&now->out,
                       (oct_str){ (const char *)now->findings_text.at, now->findings_text.bytes });
    oct_json_end_object(&now->out);
    TRY(oct_json_writer_status(&now->out));
done:
    if (status != OCT_OK) (void)oct_fail(error, status, "%s: the report is too large", now->path);
    return status;
}

oct_status oct_inspect(const oct_host *host, const char *path,
                       void (*report)(void *arg, oct_str json), void *arg, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = host->vfs;
    const char *slash = strrchr(path, '/');
    file_kind kind = FILE_UNKNOWN;
    oct_inspection now = { .host = host, .path = path, .name = slash ? slash + 1 : path };
    now.directory_bytes = (size_t)(now.name - path);
    oct_arena_init(&now.arena, host->alloc, 0);
    oct_buf_init(&now.text, host->alloc, REPORT_BYTES_MAX);
    oct_buf_init(&now.findings_text, host->alloc, REPORT_BYTES_MAX);
    oct_json_writer_init(&now.out, &now.text);
    oct_json_writer_init(&now.findings, &now.findings_text);
    oct_json_begin_object(&now.out);
    oct_json_begin_array(&now.findings);
    TRY(vfs->open(vfs->self, path, OCT_OPEN_READ, &now.file, error));
    TRY(vfs->size(vfs->self, now.file, &now.bytes, error));
    TRY(kind_of(&now, &kind, error));
    TRY(describe(&now, kind, error));
    TRY(finish(&now, error));
    report(arg, (oct_str){ (const char *)now.text.at, now.text.bytes });
    status = now.finding_count > 0 ? now.worst.status : OCT_OK;
    if (status != OCT_OK && error) *error = now.worst;
done:
    if (now.file) vfs->close(vfs->self, now.file);
    oct_buf_deinit(&now.findings_text);
    oct_buf_deinit(&now.text);
    oct_arena_reset(&now.arena);
    return status;
}
