/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.c - the small file that says what is current, switched atomically.
 *
 * Slot:  two equal copies, at 0 and at half the file: { oct_manifest_header, body, zeros }, each
 *        filling OCT_MANIFEST_STEP_BYTES times a whole number.
 *
 * A copy is whole when its header's and its body's crc are right and its generation belongs into
 * its slot (generation % 2). Of all whole copies in both slots the one with the highest
 * generation is current.
 *
 * The crash argument. Generation g is written over g - 2, in the slot that is not current. Until
 * the sync returned, any mixture of old, new and missing bytes may stand there: if one copy of g
 * is whole, g is current although its writer never heard so, which is allowed; else g - 1 is,
 * whose slot was not touched. After the sync both copies are whole. A slot file never gets
 * shorter, so that a switch on a full disk needs no space.
 *
 * Two copies, because with one a single damaged bit in the current slot would look like a torn
 * write and silently bring g - 1 back. Now the other copy serves.
 *
 * The first write. A leftover slot 1 is removed, slot 0 is written and synced, and only then slot 1
 * is created (zeros), which also takes its space. So without slot 1 a slot 0 that is not whole is
 * the remains of a first write that never finished; with slot 1 it is damage. For the same reason
 * a first write is undone from its end: slot 0 is only touched when slot 1 is durably gone, and
 * stays whole, hence current, when it is not.
 *
 * When a write fails, its slot may hold a whole copy of what was reported as failed. Both headers
 * are then overwritten with zeros through a fresh handle and synced. Should that fail too the
 * write is in doubt until the manifest is read again: a caller must keep the files of both
 * generations until a later write succeeds.
 *
 * Rejected: write a temporary file and rename it, as browsers and some hosts have no rename; a
 * log of edits, as the body is small. */
#include "store/manifest.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "store/file.h"
#include "store/format.h"

enum { SLOTS = 2, COPIES = 2 };

static const char *const suffixes[SLOTS] = { ".0", ".1" };

/* The most a copy can take. */
#define COPY_BYTES_MAX                                                                             \
    oct_round_up(sizeof(oct_manifest_header) + OCT_MANIFEST_BYTES_MAX, OCT_MANIFEST_STEP_BYTES)

typedef struct slot_file {
    oct_store_path path;
    oct_file *file; /* NULL when there is none */
    uint64_t bytes;
    uint32_t number;
} slot_file;

/* A copy whose header is right. */
typedef struct candidate {
    const slot_file *slot;
    uint64_t offset;
    oct_manifest_header header;
} candidate;

static uint32_t header_crc(const oct_manifest_header *header)
{
    return oct_crc32c(0, header, offsetof(oct_manifest_header, header_crc));
}

/* --- reading --------------------------------------------------------------------------------- */

static oct_status slot_open(const oct_vfs *vfs, const char *prefix, uint32_t number, slot_file *out,
                            oct_error *error)
{
    oct_status status = OCT_OK;
    out->number = number;
    TRY(oct_store_path_set(&out->path, prefix, suffixes[number], error));
    status = vfs->open(vfs->self, out->path.text, OCT_OPEN_READ, &out->file, error);
    if (status == OCT_NOT_FOUND) return OCT_OK;
    TRY(status);
    TRY(vfs->size(vfs->self, out->file, &out->bytes, error));
done:
    return status;
}

/* Append the copy at `offset` to the candidates if its header is right. */
static oct_status consider(const oct_vfs *vfs, const slot_file *slot, uint64_t offset,
                           candidate *candidates, uint32_t *count, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_manifest_header header;
    if (slot->bytes - offset < sizeof header) goto done;
    TRY(vfs->read(vfs->self, slot->file, offset, &header, sizeof header, error));
    if (header.magic != OCT_MANIFEST_MAGIC || header.header_crc != header_crc(&header)) goto done;
    if (header.version != OCT_STORE_VERSION)
        TRY(oct_fail(error, OCT_UNSUPPORTED,
                     "%s: manifest version %" PRIu32 ", this program reads %d", slot->path.text,
                     header.version, OCT_STORE_VERSION));
    if (header.generation % SLOTS != slot->number) goto done;
    if (header.body_bytes > OCT_MANIFEST_BYTES_MAX) goto done;
    if (header.body_bytes > slot->bytes - offset - sizeof header) goto done;
    candidates[*count] = (candidate){ slot, offset, header };
    *count += 1;
done:
    return status;
}

/* Read the candidate's body; *whole tells whether it is right. */
static oct_status read_body(const oct_vfs *vfs, const candidate *from, oct_buf *body, bool *whole,
                            oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_manifest_header *header = &from->header;
    oct_buf_clear(body);
    TRY(oct_buf_reserve(body, header->body_bytes, error));
    if (header->body_bytes > 0)
        TRY(vfs->read(vfs->self, from->slot->file, from->offset + sizeof *header, body->at,
                      header->body_bytes, error));
    body->bytes = header->body_bytes;
    *whole = oct_crc32c(0, body->at, body->bytes) == header->body_crc;
done:
    return status;
}

/* Find the whole copy with the highest generation among the opened slots. */
static oct_status read_newest(const oct_vfs *vfs, const slot_file *slots, oct_buf *body,
                              uint64_t *generation, oct_error *error)
{
    oct_status status = OCT_OK;
    candidate candidates[SLOTS * COPIES];
    uint32_t count = 0;
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (!slots[i].file) continue;
        TRY(consider(vfs, &slots[i], 0, candidates, &count, error));
        TRY(consider(vfs, &slots[i], slots[i].bytes / 2, candidates, &count, error));
    }
    while (count > 0) {
        uint32_t newest = 0;
        bool whole;
        for (uint32_t i = 1; i < count; i++)
            if (candidates[i].header.generation > candidates[newest].header.generation) newest = i;
        TRY(read_body(vfs, &candidates[newest], body, &whole, error));
        *generation = candidates[newest].header.generation;
        if (whole) goto done;
        candidates[newest] = candidates[--count];
    }
    if (!slots[1].file)
        TRY(oct_fail(error, OCT_NOT_FOUND, "%s: nothing was published yet", slots[0].path.text));
    TRY(oct_fail(error, OCT_CORRUPT, "%s and %s: neither holds a whole manifest",
                 slots[0].path.text, slots[1].path.text));
done:
    return status;
}

oct_status oct_manifest_read(const oct_vfs *vfs, const char *prefix, oct_buf *body,
                             uint64_t *generation, oct_error *error)
{
    oct_status status = OCT_OK;
    slot_file slots[SLOTS] = { 0 };
    *generation = 0;
    for (uint32_t i = 0; i < SLOTS; i++)
        TRY(slot_open(vfs, prefix, i, &slots[i], error));
    TRY(read_newest(vfs, slots, body, generation, error));
done:
    for (uint32_t i = 0; i < SLOTS; i++)
        if (slots[i].file) vfs->close(vfs->self, slots[i].file);
    if (status != OCT_OK) oct_buf_clear(body);
    return status;
}

/* --- writing --------------------------------------------------------------------------------- */

/* What a slot file becomes. */
typedef struct slot_write {
    const oct_vfs *vfs;
    oct_store_path path;
    const oct_store_path *second; /* slot 1 in a first write, else NULL */
    uint64_t old_bytes;           /* the file's size before; 0 when it is new */
    bool touched;                 /* the file may have changed */
    uint8_t *copy;                /* [copy_bytes] */
    size_t copy_bytes;
} slot_write;

/* How long each copy is to be: never shorter than before. A size that can't be ours (a hostile
 * file) does not count. */
static size_t copy_bytes_for(uint64_t old_bytes, size_t body_bytes)
{
    uint64_t needed = sizeof(oct_manifest_header) + body_bytes;
    uint64_t half = old_bytes / 2 + old_bytes % 2;
    if (half <= COPY_BYTES_MAX) needed = MAX(needed, half);
    return (size_t)oct_round_up(needed, OCT_MANIFEST_STEP_BYTES);
}

static void fill_copy(const slot_write *write, uint64_t generation, oct_str body)
{
    oct_manifest_header header = { .magic = OCT_MANIFEST_MAGIC,
                                   .version = OCT_STORE_VERSION,
                                   .body_bytes = (uint32_t)body.bytes,
                                   .generation = generation,
                                   .body_crc = oct_crc32c(0, body.at, body.bytes) };
    header.header_crc = header_crc(&header);
    memcpy(write->copy, &header, sizeof header);
    if (body.bytes > 0) memcpy(write->copy + sizeof header, body.at, body.bytes);
}

static oct_status write_slot(slot_write *write, oct_file *file, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = write->vfs;
    uint64_t bytes = 2 * (uint64_t)write->copy_bytes;
    write->touched = true;
    if (write->old_bytes > bytes) TRY(vfs->truncate(vfs->self, file, bytes, error));
    TRY(vfs->write(vfs->self, file, 0, write->copy, write->copy_bytes, error));
    TRY(vfs->write(vfs->self, file, write->copy_bytes, write->copy, write->copy_bytes, error));
    TRY(vfs->sync(vfs->self, file, error));
done:
    return status;
}

static oct_status remove_if_there(const oct_vfs *vfs, const oct_store_path *path, oct_error *error)
{
    oct_status status = vfs->remove(vfs->self, path->text, error);
    return status == OCT_NOT_FOUND ? OCT_OK : status;
}

/* Make sure that no copy of what could not be published is found: see the head. The cause of the
 * failure is reported already; a failure here only leaves the write in doubt. */
static oct_status undo(const slot_write *write)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = write->vfs;
    const oct_manifest_header nothing = { 0 };
    uint64_t bytes;
    oct_file *file = NULL;
    TRY(vfs->open(vfs->self, write->path.text, OCT_OPEN_READ | OCT_OPEN_WRITE, &file, NULL));
    if (write->second) { /* its absence is durable before anything happens to slot 0 */
        TRY(remove_if_there(vfs, write->second, NULL));
        TRY(vfs->sync(vfs->self, file, NULL));
    }
    TRY(vfs->size(vfs->self, file, &bytes, NULL));
    if (bytes > write->old_bytes &&
        vfs->truncate(vfs->self, file, write->old_bytes, NULL) == OCT_OK)
        bytes = write->old_bytes;
    for (uint64_t copy = 0; copy < COPIES && bytes >= sizeof nothing; copy++)
        TRY(vfs->write(vfs->self, file, copy * (bytes / 2), &nothing, sizeof nothing, NULL));
    TRY(vfs->sync(vfs->self, file, NULL));
done:
    if (file) vfs->close(vfs->self, file);
    /* An empty file says as little as none. */
    if (status == OCT_OK && write->old_bytes == 0)
        (void)vfs->remove(vfs->self, write->path.text, NULL);
    return status;
}

/* After the very first write: the empty slot 1 that says "slot 0 is safe". */
static oct_status create_second_slot(const slot_write *first, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = first->vfs;
    uint32_t flags = OCT_OPEN_READ | OCT_OPEN_WRITE | OCT_OPEN_CREATE | OCT_OPEN_TRUNCATE;
    oct_file *file = NULL;
    TRY(vfs->open(vfs->self, first->second->text, flags, &file, error));
    TRY(oct_store_write_zeros(vfs, file, 0, 2 * (uint64_t)first->copy_bytes, error));
    TRY(vfs->sync(vfs->self, file, error));
done:
    if (file) vfs->close(vfs->self, file);
    return status;
}

/* Generation 0: slot 1 comes only when slot 0 is safe. A slot 1 is there already when an earlier
 * attempt could not be undone; `file` is synced so that its removal comes before what follows. */
static oct_status write_first(slot_write *write, oct_file *file, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = write->vfs;
    status = vfs->remove(vfs->self, write->second->text, error);
    if (status == OCT_OK) status = vfs->sync(vfs->self, file, error);
    if (status != OCT_NOT_FOUND) TRY(status);
    TRY(write_slot(write, file, error));
    TRY(create_second_slot(write, error));
done:
    return status;
}

oct_status oct_manifest_write(const oct_alloc *alloc, const oct_vfs *vfs, const char *prefix,
                              oct_manifest_edition *edition, oct_error *error)
{
    oct_status status = OCT_OK;
    slot_write write = { .vfs = vfs };
    oct_store_path second;
    uint64_t generation = edition->generation;
    uint32_t flags = OCT_OPEN_READ | OCT_OPEN_WRITE | OCT_OPEN_CREATE;
    oct_file *file = NULL;
    edition->in_doubt = false;
    if (edition->body.bytes > OCT_MANIFEST_BYTES_MAX)
        TRY(oct_fail(error, OCT_LIMIT, "%s: a manifest of %" PRIu64 " bytes, at most %d fit",
                     prefix, (uint64_t)edition->body.bytes, OCT_MANIFEST_BYTES_MAX));
    TRY(oct_store_path_set(&write.path, prefix, suffixes[generation % SLOTS], error));
    TRY(oct_store_path_set(&second, prefix, suffixes[1], error));
    if (generation == 0) write.second = &second;
    TRY(vfs->open(vfs->self, write.path.text, flags, &file, error));
    TRY(vfs->size(vfs->self, file, &write.old_bytes, error));
    write.copy_bytes = copy_bytes_for(write.old_bytes, edition->body.bytes);
    write.copy = oct_new_zeroed(alloc, write.copy_bytes);
    if (!write.copy) TRY(oct_fail_nomem(error, "a manifest"));
    fill_copy(&write, generation, edition->body);
    TRY(generation == 0 ? write_first(&write, file, error) : write_slot(&write, file, error));
done:
    if (file) vfs->close(vfs->self, file);
    if (status != OCT_OK && file && (write.touched || write.old_bytes == 0))
        edition->in_doubt = undo(&write) != OCT_OK && write.touched;
    oct_free(alloc, write.copy, write.copy_bytes);
    return status;
}

oct_status oct_manifest_remove(const oct_vfs *vfs, const char *prefix, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_store_path path;
    for (uint32_t i = 0; i < SLOTS; i++) {
        TRY(oct_store_path_set(&path, prefix, suffixes[i], error));
        TRY(remove_if_there(vfs, &path, error));
    }
done:
    return status;
}
