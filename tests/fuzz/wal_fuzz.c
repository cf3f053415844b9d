/* SPDX-License-Identifier: Apache-2.0 */
/* wal_fuzz.c - libFuzzer target: any bytes as a log.
 *
 * Input: one byte of flags, then the file; with flag 1 the bytes behind the header page, whose
 * header is added and whose batches get right magics, offsets, links and checksums, up to the
 * number in the flags' upper four bits. Flag 2 opens it as sealed.
 * Checked beyond memory safety: what opens for reading opens for writing with the same records,
 * takes another one, and then reads back whole even as sealed. */
#include "store/wal_read.h"
#include "store_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

#define LOG "c/1.log"

enum { FLAG_REPAIR = 1, FLAG_SEALED = 2 };

typedef struct counted {
    uint64_t records;
    uint64_t sum; /* depends on every byte and their order */
} counted;

static oct_status count(void *arg, uint64_t sequence, oct_str record, oct_error *error)
{
    counted *seen = arg;
    UNUSED(error);
    ASSERT(sequence == seen->records + 1);
    seen->records++;
    seen->sum = oct_hash_u64(seen->sum, oct_crc32c(0, record.at, record.bytes) + record.bytes);
    return OCT_OK;
}

/* Make a log of `bytes` that `content` stands behind the header page of. */
static void repair(uint8_t *content, size_t bytes, uint32_t batches)
{
    oct_wal_header file = { .magic = OCT_WAL_MAGIC, .first_sequence = 1 };
    memset(content, 0, OCT_WAL_HEADER_BYTES);
    memcpy(content, &file, sizeof file);
    file.crc = oct_wal_header_crc(content);
    memcpy(content, &file, sizeof file);
    uint32_t previous = file.crc;
    size_t at = OCT_WAL_HEADER_BYTES;
    while (batches-- > 0 && bytes - at >= sizeof(oct_batch_header)) {
        oct_batch_header header;
        memcpy(&header, content + at, sizeof header);
        uint64_t padded = oct_round_up(header.payload_bytes, OCT_WAL_UNIT_BYTES);
        header.magic = OCT_BATCH_MAGIC;
        header.offset = at;
        header.previous_crc = previous;
        bool fits = padded <= bytes - at - sizeof header;
        if (fits) header.payload_crc = oct_crc32c(0, content + at + sizeof header, (size_t)padded);
        header.header_crc = oct_batch_header_crc(&header);
        memcpy(content + at, &header, sizeof header);
        if (!fits) break;
        previous = header.header_crc;
        at += sizeof header + (size_t)padded;
    }
}

/* Open, and say what came. */
static oct_status look(const fuzz_world *world, bool sealed, bool read_only, oct_wal **wal,
                       counted *seen)
{
    oct_error error = { .message = "" };
    const oct_wal_open_request request = { LOG, 1, sealed, count, seen };
    const oct_wal_options options = { .sync = true, .read_only = read_only };
    *seen = (counted){ 0, 0 };
    oct_status status = oct_wal_open(world->alloc, world->vfs, &request, &options, wal, &error);
    if (status != OCT_OK) fuzz_check_failure(status, &error, LOG);
    return status;
}

static void use(const fuzz_world *world, bool sealed)
{
    oct_wal *wal;
    counted first, again;
    if (look(world, sealed, true, &wal, &first) != OCT_OK) return;
    oct_wal_close(wal);
    ASSERT(look(world, sealed, false, &wal, &again) == OCT_OK);
    ASSERT(again.records == first.records && again.sum == first.sum);
    ASSERT(oct_wal_last_sequence(wal) == first.records);
    ASSERT(oct_wal_reserve(wal, 6, false, NULL) == OCT_OK);
    ASSERT(oct_wal_append(wal, "record", 6) == first.records + 1);
    ASSERT(oct_wal_commit(wal, first.records + 1, NULL) == OCT_OK);
    oct_wal_close(wal);
    ASSERT(look(world, true, true, &wal, &again) == OCT_OK);
    ASSERT(again.records == first.records + 1);
    oct_wal_close(wal);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
    if (bytes < 1 || bytes > FUZZ_FILE_BYTES_MAX) return 0;
    uint8_t flags = input[0];
    bool mend = flags & FLAG_REPAIR;
    size_t head = mend ? OCT_WAL_HEADER_BYTES : 0;
    size_t file_bytes = head + bytes - 1;
    fuzz_world world;
    fuzz_begin(&world, file_bytes);
    uint8_t *content = oct_new(&test_alloc, file_bytes + 1);
    ASSERT(content);
    memcpy(content + head, input + 1, bytes - 1);
    if (mend) repair(content, file_bytes, flags >> 4);
    fuzz_file(world.vfs, LOG, content, file_bytes);
    use(&world, flags & FLAG_SEALED);
    oct_free(&test_alloc, content, file_bytes + 1);
    fuzz_end(&world);
    return 0;
}
