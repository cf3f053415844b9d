/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a log gives back exactly the records that were appended, in order, from any sizes and any
 * commits; says CORRUPT for damage and never for a torn tail; and keeps its promises about space,
 * memory and failure. Method: records whose every byte follows from their sequence, so the replay
 * itself is the oracle; then every single byte of a small log changed, and hand-made hostile
 * batches. Crashes are tests/sim/store_crash_test.c, failing calls store_fault_test.c. */
#include "base/endian.h"
#include "base/hash.h"
#include "store/wal_read.h"
#include "unit/store_fixture.h"

#define LOG "c/1.log"

static const oct_wal_open_request log_one = { .path = LOG, .first_sequence = 1 };
static const oct_wal_open_request log_sealed = { .path = LOG, .first_sequence = 1, .sealed = true };

/* A log with batches of the given record counts, then closed; false when something failed. */
static bool make_log(const fixture *world, const uint32_t *batches, size_t count,
                     const oct_wal_options *options)
{
    oct_wal *wal;
    bool good = oct_wal_create(world->alloc, world->vfs, LOG, 1, options, &wal, NULL) == OCT_OK;
    if (!good) return false;
    for (size_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < batches[i]; k++)
            good = good && wal_put(wal, NULL) == OCT_OK;
        good = good && wal_commit_all(wal, NULL) == OCT_OK;
    }
    oct_wal_close(wal);
    return good;
}

/* Where batch `number` begins; its header in *header. */
static uint64_t batch_at(const fixture *world, uint32_t number, oct_batch_header *header)
{
    uint64_t at = OCT_WAL_HEADER_BYTES;
    for (;; number--) {
        if (!file_read(world->vfs, LOG, at, header, sizeof *header)) abort();
        if (number == 0) return at;
        at += sizeof *header + oct_round_up(header->payload_bytes, OCT_WAL_UNIT_BYTES);
    }
}

static oct_status open_only(const fixture *world, const oct_wal_open_request *request,
                            const oct_wal_options *options, replayed *seen)
{
    oct_wal *wal;
    oct_error error;
    oct_status status = wal_reopen(world, world->vfs, *request, options, &wal, seen, &error);
    if (status != OCT_OK && (wal || !strstr(error.message, LOG))) seen->wrong = true;
    oct_wal_close(wal);
    return status;
}

TEST(records_come_back_in_order)
{
    fixture world;
    CHECK(fixture_init(&world));
    for (uint32_t round = 0; round < 20; round++) {
        replayed seen = { 0 };
        oct_wal *wal;
        uint64_t first = 1 + test_random() % 1000;
        oct_wal_open_request request = { .path = LOG, .first_sequence = first };
        CHECK(oct_wal_create(world.alloc, world.vfs, LOG, first, &wal_synced, &wal, NULL) ==
              OCT_OK);
        CHECK_EQ_U64(oct_wal_last_sequence(wal), first - 1);
        for (uint32_t life = 0; life < 4; life++) {
            uint32_t batches = test_random_below(6);
            for (uint32_t i = 0; i < batches; i++) {
                for (uint32_t k = test_random_below(40); k > 0; k--)
                    CHECK(wal_put(wal, NULL) == OCT_OK);
                CHECK(oct_wal_synced_sequence(wal) <= oct_wal_last_sequence(wal));
                CHECK(wal_commit_all(wal, NULL) == OCT_OK);
                CHECK_EQ_U64(oct_wal_synced_sequence(wal), oct_wal_last_sequence(wal));
            }
            uint64_t last = oct_wal_last_sequence(wal);
            uint64_t bytes = oct_wal_bytes(wal);
            CHECK(bytes <= file_size(world.vfs, LOG));
            oct_wal_close(wal);
            CHECK(wal_reopen(&world, world.vfs, request, &wal_synced, &wal, &seen, NULL) == OCT_OK);
            CHECK(!seen.wrong);
            CHECK_EQ_U64(seen.count, last - first + 1);
            CHECK_EQ_U64(oct_wal_last_sequence(wal), last);
            CHECK_EQ_U64(oct_wal_synced_sequence(wal), last);
            CHECK_EQ_U64(oct_wal_bytes(wal), bytes);
        }
        oct_wal_close(wal);
    }
    CHECK(fixture_deinit(&world));
}

TEST(what_was_not_committed_is_gone)
{
    fixture world;
    oct_wal *wal;
    replayed seen = { 0 };
    CHECK(fixture_init(&world));
    CHECK(oct_wal_create(world.alloc, world.vfs, LOG, 1, &wal_synced, &wal, NULL) == OCT_OK);
    for (uint32_t i = 0; i < 5; i++)
        CHECK(wal_put(wal, NULL) == OCT_OK);
    CHECK(oct_wal_commit(wal, 3, NULL) == OCT_OK); /* shares one batch with 4 and 5 */
    CHECK_EQ_U64(oct_wal_synced_sequence(wal), 5);
    for (uint32_t i = 0; i < 5; i++)
        CHECK(wal_put(wal, NULL) == OCT_OK);
    CHECK(oct_wal_commit(wal, 5, NULL) == OCT_OK); /* nothing to do */
    CHECK_EQ_U64(oct_wal_synced_sequence(wal), 5);
    oct_wal_close(wal);
    CHECK(open_only(&world, &log_sealed, &wal_reading, &seen) == OCT_OK);
    CHECK_EQ_U64(seen.count, 5);
    CHECK(!seen.wrong);
    CHECK(fixture_deinit(&world));
}

TEST(create_replaces_a_leftover)
{
    static const uint32_t batches[] = { 3, 3 };
    fixture world;
    replayed seen = { 0 };
    CHECK(fixture_init(&world));
    CHECK(make_log(&world, batches, 2, &wal_synced));
    CHECK(make_log(&world, batches, 0, &wal_synced));
    CHECK(open_only(&world, &log_sealed, &wal_synced, &seen) == OCT_OK);
    CHECK_EQ_U64(seen.count, 0);
    CHECK(fixture_deinit(&world));
}

TEST(refusals_of_create_and_open)
{
    static const uint32_t batches[] = { 3 };
    fixture world;
    replayed seen = { 0 };
    oct_wal *wal;
    char path[OCT_PATH_BYTES_MAX + 2];
    CHECK(fixture_init(&world));
    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    CHECK(oct_wal_create(world.alloc, world.vfs, path, 1, &wal_synced, &wal, NULL) ==
          OCT_BAD_INPUT);
    CHECK(!wal);
    CHECK(oct_wal_create(world.alloc, world.vfs, "../x", 1, &wal_synced, &wal, NULL) ==
          OCT_BAD_INPUT);
    CHECK(!wal);
    CHECK(wal_reopen(&world, world.vfs, log_one, &wal_synced, &wal, &seen, NULL) == OCT_NOT_FOUND);
    CHECK(!wal);
    CHECK(make_log(&world, batches, 1, &wal_synced));
    oct_wal_open_request other = { .path = LOG, .first_sequence = 2 };
    CHECK(open_only(&world, &other, &wal_synced, &seen) == OCT_CORRUPT);
    CHECK(!seen.wrong);
    seen.fail_at = 2;
    CHECK(wal_reopen(&world, world.vfs, log_one, &wal_synced, &wal, &seen, NULL) == OCT_CONFLICT);
    CHECK_EQ_U64(seen.count, 1);
    CHECK(!wal);
    oct_wal_close(NULL);
    CHECK(fixture_deinit(&world));
}

TEST(a_newer_version_is_named)
{
    static const uint32_t batches[] = { 3 };
    fixture world;
    replayed seen = { 0 };
    uint8_t page[OCT_WAL_HEADER_BYTES];
    oct_wal_header header;
    CHECK(fixture_init(&world));
    CHECK(make_log(&world, batches, 1, &wal_synced));
    CHECK(file_read(world.vfs, LOG, 0, page, sizeof page));
    memcpy(&header, page, sizeof header);
    header.version++;
    memcpy(page, &header, sizeof header);
    header.crc = oct_wal_header_crc(page);
    memcpy(page, &header, sizeof header);
    CHECK(file_patch(world.vfs, LOG, 0, page, sizeof page));
    CHECK(open_only(&world, &log_one, &wal_synced, &seen) == OCT_UNSUPPORTED);
    CHECK(fixture_deinit(&world));
}

TEST(a_log_without_a_whole_header_is_damaged)
{
    static const uint32_t batches[] = { 3 };
    fixture world;
    CHECK(fixture_init(&world));
    CHECK(make_log(&world, batches, 1, &wal_synced));
    file_image whole = file_save(world.vfs, LOG);
    for (size_t bytes = 0; bytes <= OCT_WAL_HEADER_BYTES; bytes++) {
        replayed seen = { 0 };
        CHECK(file_restore(world.vfs, LOG, (file_image){ whole.at, bytes }));
        CHECK(open_only(&world, &log_sealed, &wal_synced, &seen) ==
              (bytes < OCT_WAL_HEADER_BYTES ? OCT_CORRUPT : OCT_OK));
        CHECK_EQ_U64(seen.count, 0);
        CHECK(!seen.wrong);
    }
    free(whole.at);
    CHECK(fixture_deinit(&world));
}

TEST(a_cut_in_the_last_batch_is_a_torn_tail)
{
    static const uint32_t batches[] = { 4, 9, 5 };
    fixture world;
    oct_batch_header header;
    CHECK(fixture_init(&world));
    CHECK(make_log(&world, batches, 3, &wal_synced));
    file_image whole = file_save(world.vfs, LOG);
    uint64_t at = batch_at(&world, 2, &header);
    uint64_t end = at + sizeof header + oct_round_up(header.payload_bytes, OCT_WAL_UNIT_BYTES);
    for (uint64_t cut = at; cut < end; cut++) {
        replayed seen = { 0 };
        CHECK(file_restore(world.vfs, LOG, (file_image){ whole.at, (size_t)cut }));
        CHECK(open_only(&world, &log_one, &wal_reading, &seen) == OCT_OK);
        CHECK_EQ_U64(seen.count, 13);
        CHECK(!seen.wrong);
        bool zeros = true;
        for (uint64_t i = at; i < cut; i++)
            zeros = zeros && whole.at[i] == 0;
        CHECK(open_only(&world, &log_sealed, &wal_reading, &seen) ==
              (zeros ? OCT_OK : OCT_CORRUPT));
        /* A writable open cuts it off for good and goes on behind record 13. */
        oct_wal *wal;
        CHECK(wal_reopen(&world, world.vfs, log_one, &wal_synced, &wal, &seen, NULL) == OCT_OK);
        CHECK(open_only(&world, &log_sealed, &wal_reading, &seen) == OCT_OK);
        CHECK_EQ_U64(oct_wal_last_sequence(wal), 13);
        CHECK(wal_put(wal, NULL) == OCT_OK);
        CHECK(wal_commit_all(wal, NULL) == OCT_OK);
        oct_wal_close(wal);
        CHECK(open_only(&world, &log_sealed, &wal_reading, &seen) == OCT_OK);
        CHECK_EQ_U64(seen.count, 14);
        CHECK(!seen.wrong);
    }
    free(whole.at);
    CHECK(fixture_deinit(&world));
}

/* With [from, to) of the log changed: what may opening say? Damage before the last batch is
 * CORRUPT. In the last batch it looks torn, and is CORRUPT when sealed. In the zeros behind
 * it is cut off, or CORRUPT when sealed. Never a wrong record. */
static void check_damage(const fixture *world, uint64_t from, uint64_t last_at, uint64_t end)
{
    replayed seen = { 0 };
    oct_status status = open_only(world, &log_one, &wal_reading, &seen);
    CHECK(!seen.wrong);
    if (from < last_at) {
        CHECK(status == OCT_CORRUPT);
    } else {
        CHECK(status == OCT_OK);
        CHECK_EQ_U64(seen.count, from < end ? 13 : 18);
    }
    status = open_only(world, &log_sealed, &wal_reading, &seen);
    CHECK(!seen.wrong);
    CHECK(status == OCT_CORRUPT);
}

TEST(every_changed_bit_is_found)
{
    static const uint32_t batches[] = { 4, 9, 5 };
    fixture world;
    oct_batch_header header;
    CHECK(fixture_init(&world));
    CHECK(make_log(&world, batches, 3, &wal_synced));
    file_image whole = file_save(world.vfs, LOG);
    uint64_t last_at = batch_at(&world, 2, &header);
    uint64_t end = last_at + sizeof header + oct_round_up(header.payload_bytes, OCT_WAL_UNIT_BYTES);
    for (size_t i = 0; i < whole.bytes; i += i < end + 200 ? 1 : 97) {
        uint8_t changed = whole.at[i] ^ (uint8_t)(1u << test_random_below(8));
        CHECK(file_patch(world.vfs, LOG, i, &changed, 1));
        check_damage(&world, i, last_at, end);
        CHECK(file_patch(world.vfs, LOG, i, &whole.at[i], 1));
    }
    CHECK(file_equals(world.vfs, LOG, whole)); /* reading changed nothing */
    free(whole.at);
    CHECK(fixture_deinit(&world));
}

TEST(every_zeroed_page_is_found)
{
    static const uint32_t batches[] = { 60, 60, 60 };
    static const uint8_t zeros[4096];
    fixture world;
    oct_batch_header header;
    replayed seen = { 0 };
    CHECK(fixture_init(&world));
    CHECK(make_log(&world, batches, 3, &wal_synced));
    file_image whole = file_save(world.vfs, LOG);
    uint64_t last_at = batch_at(&world, 2, &header);
    uint64_t end = last_at + sizeof header + oct_round_up(header.payload_bytes, OCT_WAL_UNIT_BYTES);
    CHECK(last_at > 3 * sizeof zeros);
    for (size_t i = 0; i + sizeof zeros <= whole.bytes; i += sizeof zeros) {
        CHECK(file_patch(world.vfs, LOG, i, zeros, sizeof zeros));
        oct_status status = open_only(&world, &log_one, &wal_reading, &seen);
        CHECK(!seen.wrong);
        CHECK(status == (i < last_at ? OCT_CORRUPT : OCT_OK));
        CHECK(status != OCT_OK || seen.count == (i < end ? 120 : 180));
        CHECK(file_patch(world.vfs, LOG, i, whole.at + i, sizeof zeros));
    }
    free(whole.at);
    CHECK(fixture_deinit(&world));
}

TEST(without_sync_a_lost_batch_is_no_damage)
{
    static const uint32_t batches[] = { 4, 9, 5 };
    fixture world;
    oct_batch_header header;
    replayed seen = { 0 };
    oct_wal *wal;
    uint8_t changed = 0x55;
    CHECK(fixture_init(&world));
    CHECK(make_log(&world, batches, 3, &wal_unsynced));
    CHECK(file_patch(world.vfs, LOG, batch_at(&world, 1, &header) + 70, &changed, 1));
    CHECK(open_only(&world, &log_one, &wal_reading, &seen) == OCT_OK);
    CHECK_EQ_U64(seen.count, 4);
    CHECK(open_only(&world, &log_sealed, &wal_reading, &seen) == OCT_CORRUPT);
    /* Cut off, the rest never comes back, whatever is written over it. */
    CHECK(wal_reopen(&world, world.vfs, log_one, &wal_unsynced, &wal, &seen, NULL) == OCT_OK);
    CHECK(wal_put(wal, NULL) == OCT_OK);
    CHECK(wal_commit_all(wal, NULL) == OCT_OK);
    oct_wal_close(wal);
    CHECK(open_only(&world, &log_sealed, &wal_reading, &seen) == OCT_OK);
    CHECK_EQ_U64(seen.count, 5);
    CHECK(!seen.wrong);
    CHECK(fixture_deinit(&world));
}

/* Put a batch made by hand behind an empty log, with right checksums. */
static bool forge(const fixture *world, oct_batch_header header, const void *payload, size_t bytes)
{
    uint8_t batch[512] = { 0 };
    size_t padded = (size_t)oct_round_up(bytes, OCT_WAL_UNIT_BYTES);
    oct_wal_header file;
    if (!make_log(world, NULL, 0, &wal_synced)) return false;
    if (!file_read(world->vfs, LOG, 0, &file, sizeof file)) return false;
    header.magic = OCT_BATCH_MAGIC;
    header.offset = OCT_WAL_HEADER_BYTES;
    header.previous_crc ^= file.crc; /* 0 makes it right */
    memcpy(batch + sizeof header, payload, bytes);
    header.payload_crc = oct_crc32c(0, batch + sizeof header, padded);
    header.header_crc = oct_batch_header_crc(&header);
    memcpy(batch, &header, sizeof header);
    return file_patch(world->vfs, LOG, OCT_WAL_HEADER_BYTES, batch, sizeof header + padded);
}

TEST(forged_batches_are_refused)
{
    fixture world;
    replayed seen = { 0 };
    uint8_t two[10] = { 1, 0, 0, 0, 'a', 1, 0, 0, 0, 'b' };
    oct_batch_header good = { .first_sequence = 1,
                              .payload_bytes = sizeof two,
                              .record_count = 2,
                              .flags = OCT_BATCH_AFTER_SYNC };
    CHECK(fixture_init(&world));
    CHECK(forge(&world, good, two, sizeof two));
    CHECK(open_only(&world, &log_one, &wal_reading, &seen) == OCT_OK);
    CHECK_EQ_U64(seen.count, 2);

    const oct_batch_header wrong[] = {
        { 0, 0, 1, 10, 1, 1, 0, 0, { 0 }, 0 }, /* bytes behind the last record */
        { 0, 0, 1, 9, 2, 1, 0, 0, { 0 }, 0 },  /* the last record is longer */
        { 0, 0, 1, 8, 2, 1, 0, 0, { 0 }, 0 },  /* ... its length is cut */
        { 0, 0, 1, 10, 3, 1, 0, 0, { 0 }, 0 }, /* more records than fit */
        { 0, 0, 1, 10, 0, 1, 0, 0, { 0 }, 0 }, /* none */
        { 0, 0, 2, 10, 2, 1, 0, 0, { 0 }, 0 }, /* not the next sequence */
        { 0, 0, 0, 10, 2, 1, 0, 0, { 0 }, 0 },
        { 0, 0, 1, 10, 2, 3, 0, 0, { 0 }, 0 },         /* an unknown flag */
        { 0, 0, 1, UINT32_MAX, 2, 1, 0, 0, { 0 }, 0 }, /* a size beyond all limits */
        { 0, 0, 1, 10, UINT32_MAX, 1, 0, 0, { 0 }, 0 },
        { 0, 0, 1, 10, 2, 1, 1, 0, { 0 }, 0 }, /* follows another batch */
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        CHECK(forge(&world, wrong[i], two, sizeof two));
        CHECK(open_only(&world, &log_one, &wal_synced, &seen) == OCT_CORRUPT);
    }
    /* A size within the limits but beyond the file is a torn batch, and takes no memory. */
    good.payload_bytes = OCT_WAL_PENDING_BYTES_MAX - OCT_WAL_UNIT_BYTES;
    CHECK(forge(&world, good, two, sizeof two));
    world.counting.bytes_max = 1 << 20;
    CHECK(open_only(&world, &log_one, &wal_synced, &seen) == OCT_OK);
    CHECK_EQ_U64(seen.count, 0);
    CHECK(fixture_deinit(&world));
}

TEST(record_and_pending_limits)
{
    fixture world;
    oct_wal *wal;
    replayed seen = { 0 };
    size_t large = OCT_WAL_RECORD_BYTES_MAX;
    uint8_t *record = calloc(1, large);
    CHECK(record);
    CHECK(fixture_init(&world));
    CHECK(oct_wal_create(world.alloc, world.vfs, LOG, 1, &wal_synced, &wal, NULL) == OCT_OK);
    CHECK(oct_wal_reserve(wal, large + 1, false, NULL) == OCT_LIMIT);
    CHECK(oct_wal_reserve(wal, SIZE_MAX, true, NULL) == OCT_LIMIT);
    for (uint64_t i = 1; i <= 3; i++) {
        CHECK(oct_wal_reserve(wal, large, false, NULL) == OCT_OK);
        CHECK_EQ_U64(oct_wal_append(wal, record, large), i);
        CHECK_EQ_U64(oct_wal_synced_sequence(wal), i - 1); /* two don't fit in pending */
    }
    CHECK(wal_commit_all(wal, NULL) == OCT_OK);
    CHECK(oct_atomic_load(&world.counting.bytes) < 100 << 10); /* large buffers are given back */
    oct_wal_close(wal);
    world.counting.bytes_max = 50u << 20; /* reading holds one batch at a time */
    oct_wal_open_request request = { .path = LOG, .first_sequence = 1, .sealed = true };
    oct_status status = wal_reopen(&world, world.vfs, request, &wal_reading, &wal, &seen, NULL);
    CHECK(status == OCT_OK);
    CHECK_EQ_U64(seen.count, 3);
    oct_wal_close(wal);
    free(record);
    CHECK(fixture_deinit(&world));
}

TEST(idle_logs_are_small)
{
    fixture world;
    oct_wal *wal;
    CHECK(fixture_init(&world));
    CHECK(oct_wal_create(world.alloc, world.vfs, LOG, 1, &wal_synced, &wal, NULL) == OCT_OK);
    CHECK(oct_atomic_load(&world.counting.bytes) < 4096);
    for (uint32_t i = 0; i < 2000; i++)
        CHECK(wal_put(wal, NULL) == OCT_OK);
    CHECK(wal_commit_all(wal, NULL) == OCT_OK);
    CHECK(oct_atomic_load(&world.counting.bytes) < 80 << 10);
    CHECK(file_size(world.vfs, LOG) < oct_wal_bytes(wal) + (2 << 20));
    CHECK(!oct_wal_failed(wal));
    oct_wal_close(wal);
    CHECK(fixture_deinit(&world));
}

TEST(a_reserve_survives_a_commit_before_its_append)
{
    static uint8_t record[300000];
    fixture world;
    oct_wal *wal;
    CHECK(fixture_init(&world));
    CHECK(oct_wal_create(world.alloc, world.vfs, LOG, 1, &wal_synced, &wal, NULL) == OCT_OK);
    for (size_t bytes = 0; bytes <= sizeof record; bytes = bytes * 2 + 31) {
        CHECK(wal_put(wal, NULL) == OCT_OK);
        CHECK(oct_wal_reserve(wal, bytes, false, NULL) == OCT_OK);
        CHECK(wal_commit_all(wal, NULL) == OCT_OK); /* swaps the buffers */
        uint64_t calls = oct_atomic_load(&world.counting.calls);
        uint64_t size = file_size(world.vfs, LOG);
        uint64_t sequence = oct_wal_append(wal, record, bytes / 2); /* less than reserved: fine */
        CHECK(oct_wal_commit(wal, sequence, NULL) == OCT_OK);
        CHECK_EQ_U64(oct_atomic_load(&world.counting.calls), calls);
        CHECK_EQ_U64(file_size(world.vfs, LOG), size);
    }
    oct_wal_close(wal);
    CHECK(fixture_deinit(&world));
}

TEST_MAIN(records_come_back_in_order, what_was_not_committed_is_gone, create_replaces_a_leftover,
          refusals_of_create_and_open, a_newer_version_is_named,
          a_log_without_a_whole_header_is_damaged, a_cut_in_the_last_batch_is_a_torn_tail,
          every_changed_bit_is_found, every_zeroed_page_is_found,
          without_sync_a_lost_batch_is_no_damage, forged_batches_are_refused,
          record_and_pending_limits, idle_logs_are_small,
          a_reserve_survives_a_commit_before_its_append)
