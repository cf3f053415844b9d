/* SPDX-License-Identifier: Apache-2.0
 *
 * wal_read.c - reading a log: replay the chain of batches, then judge what stands behind it.
 *
 * The layout is at the head of wal.c. The chain ends at the first place where no batch continues
 * it. What stands there is one of three things:
 *   zeros          the normal end: space that was taken ahead;
 *   a torn batch   the crash hit between its write and the end of its sync: it was never
 *                  acknowledged. Its bytes may have reached the disk in any mixture;
 *   damage         a batch that had been acknowledged was changed.
 * Only one batch can be torn, so it is damage when there is a sign of a second one:
 *   - a valid batch *header* that says AFTER_SYNC anywhere behind the end of the chain. Such a
 *     header is written only when everything before it is durable. A header is enough, its payload
 *     may itself be torn; and it names its own offset and carries its own crc, so that neither a
 *     record that happens to hold log bytes nor a misdirected block looks like one;
 *   - a batch at the end of the chain whose header is valid and AFTER_SYNC, and anything but zeros
 *     behind where it ends: those bytes were written after it was durable.
 * (A record made on purpose to look like a header at the right offset, torn so that its own header
 * is lost, reads as damage: the log is then refused, nothing is lost.)
 *
 * Damage that takes the last batch, or takes the header of the last and of the one before, looks
 * like a torn batch; no log can tell without a second sync. For a log that has a successor
 * (`sealed`) it is told all the same: such a log was synced whole, so anything but zeros behind its
 * chain is damage, and the caller compares its last sequence with the successor's first.
 *
 * All sizes are checked against the file before memory is taken for them. */
#include "store/wal_read.h"

#include <string.h>

#include "base/endian.h"
#include "base/hash.h"
#include "store/file.h"

enum { SCAN_BYTES = 64 << 10 };

typedef struct log_reader {
    const oct_vfs *vfs;
    oct_file *file;
    const oct_wal_open_request *request;
    oct_wal_tail *tail;
    uint64_t torn_end_max; /* where the batch that ended the chain ends, if its header tells */
    oct_buf bytes;         /* one batch, then one step of the scan */
} log_reader;

uint32_t oct_wal_header_crc(const uint8_t *page)
{
    size_t at = offsetof(oct_wal_header, crc);
    size_t behind = sizeof(oct_wal_header);
    uint32_t crc = oct_crc32c(0, page, at);
    return oct_crc32c(crc, page + behind, OCT_WAL_HEADER_BYTES - behind);
}

uint32_t oct_batch_header_crc(const oct_batch_header *header)
{
    return oct_crc32c(0, header, offsetof(oct_batch_header, header_crc));
}

/* Read [offset, offset + bytes) to the front of the buffer. */
static oct_status load(log_reader *reader, uint64_t offset, size_t bytes, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_buf_clear(&reader->bytes);
    TRY(oct_buf_reserve(&reader->bytes, bytes, error));
    TRY(reader->vfs->read(reader->vfs->self, reader->file, offset, reader->bytes.at, bytes, error));
    reader->bytes.bytes = bytes;
done:
    return status;
}

static oct_status read_file_header(log_reader *reader, oct_error *error)
{
    oct_status status = OCT_OK;
    const char *path = reader->request->path;
    oct_wal_tail *tail = reader->tail;
    oct_wal_header header;
    if (tail->file_bytes < OCT_WAL_HEADER_BYTES)
        TRY(oct_fail(error, OCT_CORRUPT, "%s: %" PRIu64 " bytes can't be a log, its header has %d",
                     path, tail->file_bytes, OCT_WAL_HEADER_BYTES));
    TRY(load(reader, 0, OCT_WAL_HEADER_BYTES, error));
    memcpy(&header, reader->bytes.at, sizeof header);
    if (header.magic != OCT_WAL_MAGIC || header.crc != oct_wal_header_crc(reader->bytes.at))
        TRY(oct_fail(error, OCT_CORRUPT, "%s: the log's header is damaged", path));
    if (header.version != OCT_STORE_VERSION)
        TRY(oct_fail(error, OCT_UNSUPPORTED, "%s: log version %" PRIu32 ", this program reads %d",
                     path, header.version, OCT_STORE_VERSION));
    if (header.first_sequence != reader->request->first_sequence)
        TRY(oct_fail(error, OCT_CORRUPT,
                     "%s: the log begins at record %" PRIu64 " where %" PRIu64 " was expected",
                     path, header.first_sequence, reader->request->first_sequence));
    tail->end = OCT_WAL_HEADER_BYTES;
    tail->last_sequence = header.first_sequence - 1;
    tail->last_crc = header.crc;
done:
    return status;
}

/* Is this a header that some batch at `offset` of a log may have? */
static bool header_is_valid(const oct_batch_header *header, uint64_t offset)
{
    return header->magic == OCT_BATCH_MAGIC && header->offset == offset &&
           header->header_crc == oct_batch_header_crc(header);
}

/* Does a valid header name the batch before and the next sequence, with possible sizes? */
static bool header_continues(const oct_batch_header *header, const oct_wal_tail *tail)
{
    return header->previous_crc == tail->last_crc &&
           header->first_sequence == tail->last_sequence + 1 && header->record_count > 0 &&
           header->record_count <= header->payload_bytes / OCT_RECORD_HEADER_BYTES &&
           header->payload_bytes <= OCT_WAL_PENDING_BYTES_MAX - OCT_WAL_UNIT_BYTES &&
           header->record_count <= UINT64_MAX - header->first_sequence &&
           header->flags <= OCT_BATCH_AFTER_SYNC;
}

/* Read the batch at the end of the chain into the buffer. *bytes is 0 when there is none, or
 * not a whole one. */
static oct_status read_batch(log_reader *reader, oct_batch_header *header, size_t *bytes,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_wal_tail *tail = reader->tail;
    uint64_t left = tail->file_bytes - tail->end;
    uint64_t padded;
    *bytes = 0;
    reader->torn_end_max = UINT64_MAX;
    if (left < sizeof *header) goto done;
    TRY(reader->vfs->read(reader->vfs->self, reader->file, tail->end, header, sizeof *header,
                          error));
    if (!header_is_valid(header, tail->end) || !header_continues(header, tail)) goto done;
    padded = oct_round_up(header->payload_bytes, OCT_WAL_UNIT_BYTES);
    if (header->flags & OCT_BATCH_AFTER_SYNC)
        reader->torn_end_max = tail->end + sizeof *header + padded;
    if (padded > left - sizeof *header) goto done;
    TRY(load(reader, tail->end + sizeof *header, (size_t)padded, error));
    if (oct_crc32c(0, reader->bytes.at, (size_t)padded) == header->payload_crc)
        *bytes = (size_t)padded + sizeof *header;
done:
    return status;
}

/* Hand out the records of the batch in the buffer. Its checksum was right, so a wrong structure
 * is not a torn write. */
static oct_status replay_batch(log_reader *reader, const oct_batch_header *header, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_wal_open_request *request = reader->request;
    const uint8_t *at = reader->bytes.at;
    size_t left = header->payload_bytes;
    for (uint32_t i = 0; i < header->record_count; i++) {
        size_t bytes = left >= OCT_RECORD_HEADER_BYTES ? oct_load_u32(at) : SIZE_MAX;
        if (bytes > OCT_WAL_RECORD_BYTES_MAX || bytes > left - OCT_RECORD_HEADER_BYTES)
            TRY(oct_fail(error, OCT_CORRUPT,
                         "%s: record %" PRIu32 " of the batch at byte %" PRIu64
                         " is longer than the batch",
                         request->path, i, header->offset));
        at += OCT_RECORD_HEADER_BYTES;
        TRY(request->replay(request->arg, header->first_sequence + i,
                            (oct_str){ (const char *)at, bytes }, error));
        at += bytes;
        left -= OCT_RECORD_HEADER_BYTES + bytes;
    }
    if (left != 0)
        TRY(oct_fail(error, OCT_CORRUPT,
                     "%s: the batch at byte %" PRIu64 " has %" PRIu64
                     " bytes behind its last record",
                     request->path, header->offset, (uint64_t)left));
done:
    return status;
}

static oct_status replay_chain(log_reader *reader, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_wal_tail *tail = reader->tail;
    for (;;) {
        oct_batch_header header;
        size_t bytes;
        TRY(read_batch(reader, &header, &bytes, error));
        if (bytes == 0) break;
        TRY(replay_batch(reader, &header, error));
        tail->end += bytes;
        tail->last_sequence += header.record_count;
        tail->last_crc = header.header_crc;
    }
done:
    return status;
}

/* Does this unit, which is not zero, show that a batch stood behind the one at the end of the
 * chain? */
static bool shows_later_batch(const log_reader *reader, const uint8_t *unit, uint64_t offset,
                              size_t bytes)
{
    oct_batch_header header;
    if (offset >= reader->torn_end_max) return true;
    if (bytes < sizeof header) return false;
    memcpy(&header, unit, sizeof header);
    if (!header_is_valid(&header, offset)) return false;
    if (!(header.flags & OCT_BATCH_AFTER_SYNC)) return false;
    return offset != reader->tail->end || !header_continues(&header, reader->tail);
}

/* Judge one unit (or the part of one at the end of the file) behind the chain. */
static oct_status scan_unit(log_reader *reader, const uint8_t *unit, uint64_t offset, size_t bytes,
                            oct_error *error)
{
    oct_wal_tail *tail = reader->tail;
    if (oct_store_all_zero(unit, bytes)) return OCT_OK;
    tail->torn_end = offset + bytes;
    if (!shows_later_batch(reader, unit, offset, bytes)) return OCT_OK;
    return oct_fail(error, OCT_CORRUPT,
                    "%s: damaged at byte %" PRIu64 ", behind record %" PRIu64
                    ": a later batch, which was written only when all before it was safe, stands "
                    "at byte %" PRIu64,
                    reader->request->path, tail->end, tail->last_sequence, offset);
}

static oct_status scan_tail(log_reader *reader, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_wal_tail *tail = reader->tail;
    tail->torn_end = tail->end;
    for (uint64_t offset = tail->end; offset < tail->file_bytes; offset += SCAN_BYTES) {
        size_t bytes = (size_t)MIN(tail->file_bytes - offset, (uint64_t)SCAN_BYTES);
        TRY(load(reader, offset, bytes, error));
        for (size_t at = 0; at < bytes; at += OCT_WAL_UNIT_BYTES)
            TRY(scan_unit(reader, reader->bytes.at + at, offset + at,
                          MIN(bytes - at, (size_t)OCT_WAL_UNIT_BYTES), error));
    }
    if (reader->request->sealed && tail->torn_end != tail->end)
        TRY(oct_fail(error, OCT_CORRUPT,
                     "%s: damaged at byte %" PRIu64 ", behind record %" PRIu64
                     ": a log with a successor ends with a whole batch",
                     reader->request->path, tail->end, tail->last_sequence));
done:
    return status;
}

oct_status oct_wal_read(const oct_alloc *alloc, const oct_vfs *vfs, oct_file *file,
                        const oct_wal_open_request *request, oct_wal_tail *tail, oct_error *error)
{
    oct_status status = OCT_OK;
    log_reader reader = { .vfs = vfs, .file = file, .request = request, .tail = tail };
    *tail = (oct_wal_tail){ 0 };
    oct_buf_init(&reader.bytes, alloc, OCT_WAL_PENDING_BYTES_MAX);
    TRY(vfs->size(vfs->self, file, &tail->file_bytes, error));
    TRY(read_file_header(&reader, error));
    TRY(replay_chain(&reader, error));
    TRY(scan_tail(&reader, error));
done:
    oct_buf_deinit(&reader.bytes);
    return status;
}
