/* SPDX-License-Identifier: Apache-2.0
 *
 * wal.c - the write-ahead log: every change is here before it is acknowledged.
 *
 * File:   one page of OCT_WAL_HEADER_BYTES { oct_wal_header, zeros }, then batches, then zeros.
 * Batch:  { oct_batch_header, payload, zeros } filling whole units of 64 bytes, so that no two
 *         batches share a unit. One batch is what one commit wrote.
 * Payload: records, one behind the other: { bytes u32, record[bytes] }. A record's sequence is
 *         the batch's first_sequence plus its place.
 *
 * A batch is valid when its header's crc and own offset are right, it names the crc of the batch
 * before it (the first one: of the file's header) and the next sequence, and its payload's crc is
 * right. The valid batches from the header on are the log.
 *
 * The crash argument. Batch k+1 is written only after the sync of batch k succeeded, and a log
 * that is opened for writing is synced before it accepts anything. So a power cut can tear only
 * one batch, the last, which was never acknowledged; it is not valid unless all of it reached the
 * disk, in which case keeping it is as right as dropping it. A torn batch is overwritten with
 * zeros, synced, before the log accepts anything, so remains never meet later batches. What is
 * torn and what is damaged is told apart in wal_read.c. With options.sync off batches are written
 * without these guarantees; they then lack the AFTER_SYNC flag and a power cut loses a suffix.
 * Assumed of the disk: a write changes no byte outside its own range.
 *
 * Space. Zeros are written ahead in growing steps (the file's size, at most 1 MiB), so that a
 * full disk is met in reserve. A reserved record may end up in a batch of its own, so a reserve
 * asks for: the batches so far, the pending one, and a whole batch for the record. Written zeros
 * rather than a longer file, because a sparse file reserves nothing; synced, so that after a crash
 * only zeros stand behind a torn batch.
 *
 * A commit that failed may have brought its batch to the disk all the same. Its header is then
 * overwritten with zeros through a fresh handle, and synced: a refused record does not come back.
 * Where that fails too (a dying disk), the records of this one batch may be there or not.
 *
 * Group commit. Records go to `pending`. The first committer becomes the leader: it swaps
 * `pending` and `writing`, releases the mutex, writes and syncs, and wakes all. `busy` says that
 * somebody owns the file (a leader, or a reserve that takes space): the vfs wants one writer at a
 * time. A reserve makes room in both buffers, because a leader may swap them before the append.
 *
 * Not done: compression (see bench), one log for several collections (dropping one would be more
 * than removing files), retrying a failed sync (the page cache forgets what it could not write). */
#include "store/wal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "base/hash.h"
#include "base/sync.h"
#include "store/file.h"
#include "store/wal_read.h"

enum {
    STEP_BYTES_MAX = 1 << 20,
    PAGE_BYTES = 4096,
    /* A buffer that grew beyond this is given back when idle: 200 idle collections share one
     * memory, two buffers each. */
    KEEP_BYTES = 32 << 10
};

struct oct_wal {
    const oct_alloc *alloc;
    const oct_vfs *vfs;
    oct_file *file;
    oct_store_path path;
    oct_wal_options options;

    oct_mutex mutex; /* innermost lock; guards all below, except what `busy` lends out */
    oct_condition_variable changed; /* busy went, or the log failed */
    bool busy;                      /* somebody writes to the file; lends `writing` to a leader */
    oct_buf pending;                /* a batch in the making; empty, or header and records */
    oct_buf writing;                /* the leader's; else empty */
    uint64_t pending_first;         /* sequence of the first record in `pending` */
    uint32_t pending_count;
    uint32_t last_crc; /* of the newest written batch */
    uint64_t end;      /* behind the newest batch written or being written */
    uint64_t space;    /* the file's size: zeros from `end` on */
    bool reserved;     /* one append of at most ... */
    size_t reserve_bytes;
    oct_error failure; /* why the log failed, valid with `failed` */

    oct_atomic_u64 last; /* written under the mutex, read by anyone */
    oct_atomic_u64 synced;
    oct_atomic_u64 bytes;
    oct_atomic_u64 failed;
};

/* What a batch holding one record of `bytes` takes in the file. */
static size_t own_batch_bytes(size_t bytes)
{
    size_t payload = OCT_RECORD_HEADER_BYTES + bytes;
    return OCT_WAL_UNIT_BYTES + (size_t)oct_round_up(payload, OCT_WAL_UNIT_BYTES);
}

/* --- making, opening, closing ---------------------------------------------------------------- */

static oct_status wal_new(const oct_alloc *alloc, const oct_vfs *vfs, const char *path,
                          const oct_wal_options *options, oct_wal **out, oct_error *error)
{
    oct_status status = OCT_OK;
    bool mutex_made = false;
    oct_wal *wal = oct_new_zeroed(alloc, sizeof *wal);
    *out = NULL;
    if (!wal) TRY(oct_fail_nomem(error, "a log"));
    wal->alloc = alloc;
    wal->vfs = vfs;
    wal->options = *options;
    oct_buf_init(&wal->pending, alloc, OCT_WAL_PENDING_BYTES_MAX);
    oct_buf_init(&wal->writing, alloc, OCT_WAL_PENDING_BYTES_MAX);
    TRY(oct_store_path_set(&wal->path, path, "", error));
    if (oct_mutex_init(&wal->mutex) != OCT_OK) TRY(oct_fail_nomem(error, "a log's mutex"));
    mutex_made = true;
    if (oct_condition_variable_init(&wal->changed) != OCT_OK)
        TRY(oct_fail_nomem(error, "a log's condition"));
    *out = wal;
    wal = NULL;
done:
    if (wal && mutex_made) oct_mutex_deinit(&wal->mutex);
    oct_free(alloc, wal, sizeof *wal);
    return status;
}

static void set_position(oct_wal *wal, const oct_wal_tail *tail)
{
    wal->end = tail->end;
    wal->space = tail->file_bytes;
    wal->last_crc = tail->last_crc;
    oct_atomic_store(&wal->last, tail->last_sequence);
    oct_atomic_store(&wal->synced, tail->last_sequence);
    oct_atomic_store(&wal->bytes, tail->end);
}

static oct_status write_file_header(oct_wal *wal, uint64_t first_sequence, oct_error *error)
{
    oct_wal_tail tail = { .end = OCT_WAL_HEADER_BYTES,
                          .file_bytes = OCT_WAL_HEADER_BYTES + OCT_WAL_HEADROOM_BYTES,
                          .last_sequence = first_sequence - 1 };
    oct_status status = OCT_OK;
    oct_wal_header header = { .magic = OCT_WAL_MAGIC,
                              .version = OCT_STORE_VERSION,
                              .first_sequence = first_sequence };
    uint8_t page[OCT_WAL_HEADER_BYTES] = { 0 };
    memcpy(page, &header, sizeof header);
    header.crc = oct_wal_header_crc(page);
    memcpy(page, &header, sizeof header);
    TRY(wal->vfs->write(wal->vfs->self, wal->file, 0, page, sizeof page, error));
    TRY(oct_store_write_zeros(wal->vfs, wal->file, tail.end, tail.file_bytes, error));
    TRY(wal->vfs->sync(wal->vfs->self, wal->file, error));
    tail.last_crc = header.crc;
    set_position(wal, &tail);
done:
    return status;
}

oct_status oct_wal_create(const oct_alloc *alloc, const oct_vfs *vfs, const char *path,
                          uint64_t first_sequence, const oct_wal_options *options, oct_wal **out,
                          oct_error *error)
{
    oct_status status = OCT_OK;
    oct_wal *wal = NULL;
    uint32_t flags = OCT_OPEN_READ | OCT_OPEN_WRITE | OCT_OPEN_CREATE | OCT_OPEN_TRUNCATE;
    ASSERT(first_sequence >= 1);
    ASSERT(!options->read_only);
    *out = NULL;
    TRY(wal_new(alloc, vfs, path, options, &wal, error));
    TRY(vfs->open(vfs->self, path, flags, &wal->file, error));
    TRY(write_file_header(wal, first_sequence, error));
    *out = wal;
    wal = NULL;
done:
    if (wal) {
        bool opened = wal->file != NULL;
        oct_wal_close(wal);
        /* The cause is reported already; a file that stays is a leftover, replaced next time. */
        if (opened) (void)vfs->remove(vfs->self, path, NULL);
    }
    return status;
}

/* Before the first append: nothing torn behind the chain, and nothing in the file that a power cut
 * could still take (a process may have died between its write and its sync). Without
 * options.sync too: later opens rely on it, and once per open it is cheap. */
static oct_status settle(const oct_wal *wal, const oct_wal_tail *tail, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_store_write_zeros(wal->vfs, wal->file, tail->end, tail->torn_end, error));
    TRY(wal->vfs->sync(wal->vfs->self, wal->file, error));
done:
    return status;
}

oct_status oct_wal_open(const oct_alloc *alloc, const oct_vfs *vfs,
                        const oct_wal_open_request *request, const oct_wal_options *options,
                        oct_wal **out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_wal *wal = NULL;
    oct_wal_tail tail;
    uint32_t flags = options->read_only ? OCT_OPEN_READ : OCT_OPEN_READ | OCT_OPEN_WRITE;
    ASSERT(request->first_sequence >= 1);
    *out = NULL;
    TRY(wal_new(alloc, vfs, request->path, options, &wal, error));
    TRY(vfs->open(vfs->self, request->path, flags, &wal->file, error));
    TRY(oct_wal_read(alloc, vfs, wal->file, request, &tail, error));
    if (!options->read_only) TRY(settle(wal, &tail, error));
    set_position(wal, &tail);
    *out = wal;
    wal = NULL;
done:
    oct_wal_close(wal);
    return status;
}

void oct_wal_close(oct_wal *wal)
{
    if (!wal) return;
    ASSERT(!wal->busy);
    if (wal->file) wal->vfs->close(wal->vfs->self, wal->file);
    oct_buf_deinit(&wal->pending);
    oct_buf_deinit(&wal->writing);
    oct_condition_variable_deinit(&wal->changed);
    oct_mutex_deinit(&wal->mutex);
    oct_free(wal->alloc, wal, sizeof *wal);
}

/* --- the file's owner, and failure; all with the mutex held ---------------------------------- */

/* Own the file, and let others at the log while its owner writes. */
static void busy_begin(oct_wal *wal)
{
    ASSERT(!wal->busy);
    wal->busy = true;
    oct_mutex_unlock(&wal->mutex);
}

static void busy_end(oct_wal *wal)
{
    oct_mutex_lock(&wal->mutex);
    ASSERT(wal->busy);
    wal->busy = false;
    oct_condition_variable_broadcast(&wal->changed);
}

/* Nothing about the file is known any more: from now on the log refuses. */
static void fail(oct_wal *wal, const oct_error *cause)
{
    wal->failure = *cause;
    oct_atomic_store(&wal->failed, 1);
}

static oct_status refuse_if_failed(const oct_wal *wal, oct_error *error)
{
    if (!oct_wal_failed(wal)) return OCT_OK;
    return oct_fail_os(error, OCT_READONLY, wal->failure.os_code,
                       "%s: read-only since writing the log failed: %s", wal->path.text,
                       wal->failure.message);
}

static void trim_buf(const oct_wal *wal, oct_buf *buf)
{
    if (buf->bytes > 0 || buf->capacity <= KEEP_BYTES) return;
    oct_buf_deinit(buf);
    oct_buf_init(buf, wal->alloc, OCT_WAL_PENDING_BYTES_MAX);
}

/* Give back the memory of a large batch. Kept while an append was promised room. */
static void trim(oct_wal *wal)
{
    if (wal->reserved) return;
    trim_buf(wal, &wal->pending);
    trim_buf(wal, &wal->writing);
}

/* --- commit ---------------------------------------------------------------------------------- */

/* What the leader took along when it left the mutex. */
typedef struct taken_batch {
    uint64_t offset;
    uint64_t first_sequence;
    uint32_t count;
    uint32_t crc; /* known when sealed */
} taken_batch;

/* Swap the buffers. Mutex held. */
static taken_batch take_pending(oct_wal *wal)
{
    taken_batch taken = { wal->end, wal->pending_first, wal->pending_count, 0 };
    oct_buf batch = wal->pending;
    ASSERT(wal->pending_count > 0);
    ASSERT(wal->writing.bytes == 0);
    wal->pending = wal->writing;
    wal->writing = batch;
    wal->pending_count = 0;
    wal->end += oct_round_up(batch.bytes, OCT_WAL_UNIT_BYTES);
    ASSERT(wal->end <= wal->space);
    return taken;
}

/* Finish the taken batch: zeros to a whole unit, checksums, header. The mutex is not needed:
 * `writing` and last_crc are the leader's. */
static void seal_batch(oct_wal *wal, taken_batch *taken)
{
    oct_buf *batch = &wal->writing;
    size_t payload = batch->bytes - sizeof(oct_batch_header);
    size_t padded = (size_t)oct_round_up(payload, OCT_WAL_UNIT_BYTES);
    oct_batch_header header = { .magic = OCT_BATCH_MAGIC,
                                .offset = taken->offset,
                                .first_sequence = taken->first_sequence,
                                .payload_bytes = (uint32_t)payload,
                                .record_count = taken->count,
                                .flags = wal->options.sync ? OCT_BATCH_AFTER_SYNC : 0,
                                .previous_crc = wal->last_crc };
    ASSERT(padded - payload <= batch->capacity - batch->bytes);
    memset(batch->at + batch->bytes, 0, padded - payload);
    batch->bytes += padded - payload;
    header.payload_crc = oct_crc32c(0, batch->at + sizeof header, padded);
    header.header_crc = oct_batch_header_crc(&header);
    memcpy(batch->at, &header, sizeof header);
    taken->crc = header.header_crc;
}

/* Take back a batch whose writers are told that it failed; see the head. Best effort: the cause is
 * reported, and a batch that stays is whole or torn, as any that was under way. */
static void withdraw(const oct_wal *wal, uint64_t offset)
{
    const oct_vfs *vfs = wal->vfs;
    const oct_batch_header nothing = { 0 };
    uint32_t flags = OCT_OPEN_READ | OCT_OPEN_WRITE;
    oct_file *file;
    if (vfs->open(vfs->self, wal->path.text, flags, &file, NULL) != OCT_OK) return;
    if (vfs->write(vfs->self, file, offset, &nothing, sizeof nothing, NULL) == OCT_OK)
        (void)vfs->sync(vfs->self, file, NULL);
    vfs->close(vfs->self, file);
}

/* Write and sync what is pending, for everybody. Mutex held on entry and on return. */
static oct_status lead(oct_wal *wal, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_error cause = { OCT_OK, 0, "" };
    taken_batch taken = take_pending(wal);
    busy_begin(wal);
    seal_batch(wal, &taken);
    TRY(wal->vfs->write(wal->vfs->self, wal->file, taken.offset, wal->writing.at,
                        wal->writing.bytes, &cause));
    if (wal->options.sync) TRY(wal->vfs->sync(wal->vfs->self, wal->file, &cause));
done:
    if (status != OCT_OK) withdraw(wal, taken.offset);
    busy_end(wal);
    oct_buf_clear(&wal->writing);
    trim(wal);
    if (status == OCT_OK) {
        wal->last_crc = taken.crc;
        oct_atomic_store(&wal->synced, taken.first_sequence + taken.count - 1);
    } else {
        fail(wal, &cause);
        if (error) *error = cause;
    }
    return status;
}

/* Commit with the mutex held. */
static oct_status commit_locked(oct_wal *wal, uint64_t sequence, oct_error *error)
{
    oct_status status = OCT_OK;
    ASSERT(sequence <= oct_wal_last_sequence(wal));
    while (oct_wal_synced_sequence(wal) < sequence) {
        TRY(refuse_if_failed(wal, error));
        if (wal->busy)
            oct_condition_variable_wait(&wal->changed, &wal->mutex);
        else
            TRY(lead(wal, error));
    }
done:
    return status;
}

oct_status oct_wal_commit(oct_wal *wal, uint64_t sequence, oct_error *error)
{
    oct_status status;
    oct_mutex_lock(&wal->mutex);
    status = commit_locked(wal, sequence, error);
    oct_mutex_unlock(&wal->mutex);
    return status;
}

oct_status oct_wal_seal(oct_wal *wal, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_error cause = { OCT_OK, 0, "" };
    ASSERT(!wal->options.read_only);
    oct_mutex_lock(&wal->mutex);
    TRY(commit_locked(wal, oct_wal_last_sequence(wal), error));
    while (wal->busy)
        oct_condition_variable_wait(&wal->changed, &wal->mutex);
    TRY(refuse_if_failed(wal, error));
    if (wal->options.sync) goto done; /* every commit was synced */
    busy_begin(wal);
    status = wal->vfs->sync(wal->vfs->self, wal->file, &cause);
    busy_end(wal);
    if (status == OCT_OK) goto done;
    fail(wal, &cause);
    if (error) *error = cause;
done:
    oct_mutex_unlock(&wal->mutex);
    return status;
}

/* --- reserve and append ---------------------------------------------------------------------- */

/* Lengthen the file from `from` to `to` with zeros, durably, or leave it as it was. *lost tells
 * that neither came true. The caller owns the file. */
static oct_status lengthen(const oct_wal *wal, uint64_t from, uint64_t to, bool *lost,
                           oct_error *error)
{
    const oct_vfs *vfs = wal->vfs;
    oct_status status = oct_store_write_zeros(vfs, wal->file, from, to, error);
    *lost = false;
    if (status != OCT_OK) {
        /* The bytes behind `from` are now unknown, and on a full disk others need them. */
        *lost = vfs->truncate(vfs->self, wal->file, from, NULL) != OCT_OK;
        return status;
    }
    if (!wal->options.sync) return OCT_OK;
    status = vfs->sync(vfs->self, wal->file, error);
    *lost = status != OCT_OK;
    return status;
}

/* Take file space so that [0, needed) is there: by a step, or by no more than needed when the
 * disk has no step left. Mutex held, released meanwhile. */
static oct_status take_space(oct_wal *wal, uint64_t needed, oct_error *error)
{
    oct_error cause = { OCT_OK, 0, "" };
    uint64_t from = wal->space;
    uint64_t step = MIN(from, (uint64_t)STEP_BYTES_MAX);
    uint64_t to = oct_round_up(MAX(needed, from + step), PAGE_BYTES);
    oct_status status;
    bool lost;
    busy_begin(wal);
    status = lengthen(wal, from, to, &lost, &cause);
    if (status == OCT_NO_SPACE && !lost) {
        to = needed;
        status = lengthen(wal, from, to, &lost, &cause);
    }
    busy_end(wal);
    if (status == OCT_OK)
        wal->space = to;
    else if (error)
        *error = cause;
    if (lost) fail(wal, &cause);
    return status;
}

/* Room in `buf` for `more` bytes behind the content. */
static bool has_room(const oct_buf *buf, size_t more)
{
    return more <= buf->capacity - buf->bytes;
}

/* Do one thing that brings the reserve of a record nearer; *ready when nothing is left to do.
 * After every step that let go of the mutex all conditions are looked at again. */
static oct_status reserve_step(oct_wal *wal, size_t bytes, bool urgent, bool *ready,
                               oct_error *error)
{
    oct_status status = OCT_OK;
    size_t own = own_batch_bytes(bytes);
    uint64_t needed = wal->end + oct_round_up(wal->pending.bytes, OCT_WAL_UNIT_BYTES) + own;
    if (!urgent) needed += OCT_WAL_HEADROOM_BYTES;
    *ready = false;
    TRY(refuse_if_failed(wal, error));
    if (own > OCT_WAL_PENDING_BYTES_MAX - wal->pending.bytes)
        TRY(commit_locked(wal, oct_wal_last_sequence(wal), error));
    else if (!has_room(&wal->pending, own))
        TRY(oct_buf_reserve(&wal->pending, own, error));
    else if (own <= wal->writing.capacity && needed <= wal->space)
        *ready = true;
    else if (wal->busy)
        oct_condition_variable_wait(&wal->changed, &wal->mutex);
    else if (needed > wal->space)
        TRY(take_space(wal, needed, error));
    else
        TRY(oct_buf_reserve(&wal->writing, own, error));
done:
    return status;
}

oct_status oct_wal_reserve(oct_wal *wal, size_t bytes, bool urgent, oct_error *error)
{
    oct_status status = OCT_OK;
    bool ready = false;
    ASSERT(!wal->options.read_only);
    if (bytes > OCT_WAL_RECORD_BYTES_MAX)
        return oct_fail(error, OCT_LIMIT, "%s: a record of %" PRIu64 " bytes, at most %d fit",
                        wal->path.text, (uint64_t)bytes, OCT_WAL_RECORD_BYTES_MAX);
    oct_mutex_lock(&wal->mutex);
    wal->reserved = false;
    while (!ready)
        TRY(reserve_step(wal, bytes, urgent, &ready, error));
    wal->reserved = true;
    wal->reserve_bytes = bytes;
done:
    oct_mutex_unlock(&wal->mutex);
    return status;
}

uint64_t oct_wal_append(oct_wal *wal, const void *record, size_t bytes)
{
    uint64_t sequence;
    oct_buf *pending = &wal->pending;
    oct_mutex_lock(&wal->mutex);
    ASSERT(wal->reserved);
    ASSERT(bytes <= wal->reserve_bytes);
    ASSERT(has_room(pending, own_batch_bytes(bytes)));
    sequence = oct_wal_last_sequence(wal) + 1;
    wal->reserved = false;
    if (pending->bytes == 0) {
        pending->bytes = sizeof(oct_batch_header); /* filled in by the leader */
        wal->pending_first = sequence;
    }
    oct_store_u32(pending->at + pending->bytes, (uint32_t)bytes);
    pending->bytes += OCT_RECORD_HEADER_BYTES;
    if (bytes > 0) memcpy(pending->at + pending->bytes, record, bytes);
    pending->bytes += bytes;
    wal->pending_count++;
    oct_atomic_store(&wal->last, sequence);
    oct_atomic_store(&wal->bytes, wal->end + oct_round_up(pending->bytes, OCT_WAL_UNIT_BYTES));
    oct_mutex_unlock(&wal->mutex);
    return sequence;
}

uint64_t oct_wal_last_sequence(const oct_wal *wal)
{
    return oct_atomic_load(&wal->last);
}
uint64_t oct_wal_synced_sequence(const oct_wal *wal)
{
    return oct_atomic_load(&wal->synced);
}
uint64_t oct_wal_bytes(const oct_wal *wal)
{
    return oct_atomic_load(&wal->bytes);
}
bool oct_wal_failed(const oct_wal *wal)
{
    return oct_atomic_load(&wal->failed) != 0;
}
