/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: after a power cut at any moment, with any of the disks it could leave, the log holds every
 * acknowledged record, none that was never appended, in order, and says "damaged" only for
 * damage; the manifest reads as the generation before or after the one being written; a finished
 * container is whole. And all of them work on afterwards.
 * Method: each script runs once on the recorder of tests/vfs/vfs_crash.h, writing down at which
 * operation it appended and at which it was told "durable". Then every cut and every disk of it is
 * opened and compared with what was written down; recovery itself is cut too. */
#include <time.h>

#include "unit/store_fixture.h"
#include "vfs/vfs_crash.h"
#include "vfs/vfs_fault.h"

#define PREFIX  "c/manifest"
#define SEGMENT "c/1.seg"

enum { LOGS = 2, RECORDS_MAX = 600 };

static const char *const log_paths[LOGS] = { "c/1.log", "c/2.log" };

/* The recorder's options, one run each. */
static const oct_crash_options worlds[] = {
    { .sector_bytes = 512, .random_states = 64, .seed = 1 },
    { .sector_bytes = 512, .random_states = 16, .seed = 2, .garbage = true },
    { .sector_bytes = 4096, .random_states = 16, .seed = 3, .garbage = true },
};

/* Counts states for the report. */
typedef struct state_meter {
    uint64_t states;
    struct timespec begin;
} state_meter;

static state_meter meter_begin(void)
{
    state_meter now = { .states = 0 };
    timespec_get(&now.begin, TIME_UTC);
    return now;
}

static void meter_end(const state_meter *begun)
{
    struct timespec end;
    timespec_get(&end, TIME_UTC);
    double seconds = (double)(end.tv_sec - begun->begin.tv_sec) +
                     (double)(end.tv_nsec - begun->begin.tv_nsec) / 1e9;
    printf("  %" PRIu64 " states, %.0f a second\n", begun->states,
           (double)begun->states / (seconds > 0 ? seconds : 1));
}

static void describe(oct_vfs_crash *crash, uint64_t cut, uint64_t state)
{
    char text[2000];
    oct_vfs_crash_describe(crash, cut, state, text, sizeof text);
    printf("%s\n", text);
}

/* Check every disk of every cut with check(arg, cut, disk), which may change the disk. */
static void for_each_disk(oct_vfs_crash *crash, state_meter *meter,
                          void (*check)(void *arg, uint64_t cut, oct_vfs *disk), void *arg)
{
    uint64_t last = oct_vfs_crash_operations(crash);
    for (uint64_t cut = oct_vfs_crash_first(crash); cut <= last; cut++) {
        uint64_t states;
        CHECK(oct_vfs_crash_states(crash, cut, &states, NULL) == OCT_OK);
        for (uint64_t state = 0; state < states; state++) {
            oct_vfs *disk;
            CHECK(oct_vfs_crash_state(crash, cut, state, &disk, NULL) == OCT_OK);
            check(arg, cut, disk);
            oct_vfs_memory_destroy(disk);
            meter->states++;
            if (test_failed) describe(crash, cut, state);
            CHECK(!test_failed);
        }
    }
}

/* --- the log --------------------------------------------------------------------------------- */

/* What happened when, in operations of the recorder; sequences count through both logs. */
typedef struct history {
    fixture *world;
    uint64_t appended_at[RECORDS_MAX + 1]; /* the record may be on disks from this cut on */
    uint64_t durable_at[RECORDS_MAX + 1];  /* it is on all disks from this cut on; 0 = never */
    uint64_t appended;
    uint64_t created_at[LOGS]; /* the manifest would name the log from this cut on */
    uint64_t first[LOGS];
    bool nested;        /* the disks are those of a recovery that was cut, ... */
    uint64_t outer_cut; /* ... after this cut */
    uint64_t visited;   /* disks so far, to choose a few for the expensive checks */
    state_meter *meter;
} history;

static void history_put(history *book, oct_vfs_crash *crash, oct_wal *wal)
{
    book->appended_at[++book->appended] = oct_vfs_crash_operations(crash);
    book->durable_at[book->appended] = 0;
    CHECK(book->appended <= RECORDS_MAX);
    CHECK(wal_put(wal, NULL) == OCT_OK);
    CHECK_EQ_U64(oct_wal_last_sequence(wal), book->appended);
}

static void history_commit(history *book, oct_vfs_crash *crash, oct_wal *wal)
{
    CHECK(wal_commit_all(wal, NULL) == OCT_OK);
    for (uint64_t s = book->appended; s > 0 && book->durable_at[s] == 0; s--)
        book->durable_at[s] = oct_vfs_crash_operations(crash);
}

/* A leftover under the first log's name, with batches that would continue its header. */
static void leave_leftover(const fixture *world)
{
    oct_wal *wal;
    CHECK(oct_wal_create(world->alloc, world->vfs, log_paths[0], 1, &wal_synced, &wal, NULL) ==
          OCT_OK);
    for (uint32_t i = 0; i < 400; i++) {
        CHECK(wal_put(wal, NULL) == OCT_OK);
        CHECK(i % 40 != 0 || wal_commit_all(wal, NULL) == OCT_OK);
    }
    CHECK(wal_commit_all(wal, NULL) == OCT_OK);
    oct_wal_close(wal);
}

/* Two logs, batches of one to many records of all sizes, a reopening in between. */
static void log_script(history *book, oct_vfs_crash *crash, const oct_wal_options *options)
{
    const oct_vfs *vfs = oct_vfs_crash_vfs(crash);
    for (uint32_t i = 0; i < LOGS; i++) {
        oct_wal *wal;
        book->created_at[i] = UINT64_MAX;
        book->first[i] = book->appended + 1;
        CHECK(oct_wal_create(book->world->alloc, vfs, log_paths[i], book->first[i], options, &wal,
                             NULL) == OCT_OK);
        book->created_at[i] = oct_vfs_crash_operations(crash);
        for (uint32_t batch = 0; batch < 14; batch++) {
            /* Batches 0 and 9 are longer than a sector and meet the taking of space. */
            uint32_t records = batch == 0 ? 40 : batch == 9 ? 140 : 1 + test_random_below(6);
            for (uint32_t k = 0; k < records; k++)
                history_put(book, crash, wal);
            history_commit(book, crash, wal);
            if (batch != 7) continue;
            replayed seen = { 0 };
            oct_wal_open_request request = { .path = log_paths[i],
                                             .first_sequence = book->first[i] };
            oct_wal_close(wal);
            CHECK(wal_reopen(book->world, vfs, request, options, &wal, &seen, NULL) == OCT_OK);
        }
        CHECK(oct_wal_seal(wal, NULL) == OCT_OK);
        oct_wal_close(wal);
    }
}

/* Open the logs as a collection would; *last is the newest record. NULL `keep`: close. */
static void recover(const history *book, const oct_vfs *disk, uint64_t cut, uint64_t *last,
                    oct_wal **keep)
{
    oct_wal *wal = NULL;
    *last = 0;
    *keep = NULL;
    for (uint32_t i = 0; i < LOGS && book->created_at[i] <= cut; i++) {
        replayed seen = { 0 };
        oct_error error;
        bool sealed = i + 1 < LOGS && book->created_at[i + 1] <= cut;
        oct_wal_open_request request = { .path = log_paths[i],
                                         .first_sequence = book->first[i],
                                         .sealed = sealed };
        oct_status status = wal_reopen(book->world, disk, request,
                                       sealed ? &wal_reading : &wal_synced, &wal, &seen, &error);
        if (status != OCT_OK) printf("%s\n", error.message);
        CHECK(status == OCT_OK); /* never taken for damage */
        *last = oct_wal_last_sequence(wal);
        if (sealed)
            oct_wal_close(wal);
        else
            *keep = wal;
        CHECK(!seen.wrong); /* whole, in order, none invented */
        CHECK(!sealed || *last + 1 == book->first[i + 1]);
    }
}

/* Between what was acknowledged and what was appended at a cut? */
static void check_last(const history *book, uint64_t cut, uint64_t last)
{
    uint64_t durable = 0, appended = 0;
    for (uint64_t s = 1; s <= book->appended; s++) {
        if (book->durable_at[s] > 0 && book->durable_at[s] <= cut) durable = s;
        if (book->appended_at[s] <= cut) appended = s;
    }
    CHECK(last >= durable);
    CHECK(last <= appended);
}

/* Flip a bit somewhere before the last batch of the newest log: that must be called damage. */
static void check_damage(const history *book, const oct_vfs *disk, uint64_t cut)
{
    uint32_t newest = book->created_at[1] <= cut ? 1 : 0;
    const char *path = log_paths[newest];
    uint64_t at = OCT_WAL_HEADER_BYTES, last_at = at;
    oct_batch_header header;
    uint64_t end = file_size(disk, path);
    while (end - at >= sizeof header && file_read(disk, path, at, &header, sizeof header) &&
           header.magic == OCT_BATCH_MAGIC) {
        last_at = at;
        at += sizeof header + oct_round_up(header.payload_bytes, OCT_WAL_UNIT_BYTES);
    }
    uint8_t byte;
    uint64_t place = test_random() % last_at;
    if (!file_read(disk, path, place, &byte, 1)) CHECK(false);
    byte ^= (uint8_t)(1u << test_random_below(8));
    CHECK(file_patch(disk, path, place, &byte, 1));
    replayed seen = { 0 };
    oct_wal *wal;
    oct_wal_open_request request = { .path = path, .first_sequence = book->first[newest] };
    CHECK(wal_reopen(book->world, disk, request, &wal_synced, &wal, &seen, NULL) == OCT_CORRUPT);
    CHECK(!seen.wrong);
}

/* The last check of a disk: recover, compare, append, and find it all again. */
static void check_log_disk(void *arg, uint64_t cut, oct_vfs *disk)
{
    history *book = arg;
    uint64_t last, again;
    oct_wal *wal;
    uint64_t when = book->nested ? book->outer_cut : cut;
    recover(book, disk, when, &last, &wal);
    if (!test_failed) check_last(book, when, last);
    for (uint32_t k = 0; k < 2 && wal && !test_failed; k++) {
        if (wal_put(wal, NULL) != OCT_OK || wal_commit_all(wal, NULL) != OCT_OK)
            test_fail(__FILE__, __LINE__, "a recovered log takes records");
    }
    oct_wal_close(wal);
    CHECK(!test_failed);
    recover(book, disk, when, &again, &wal);
    oct_wal_close(wal);
    CHECK_EQ_U64(again, book->created_at[0] <= when ? last + 2 : 0);
    if (book->created_at[0] <= when) check_damage(book, disk, when);
}

/* As above; and for every 97th disk cut the recovery itself, everywhere. */
static void check_log_disk_and_recovery(void *arg, uint64_t cut, oct_vfs *disk)
{
    history *book = arg;
    if (book->visited++ % 97 == 0 && book->created_at[0] <= cut) {
        oct_crash_options options = { .random_states = 4, .seed = book->visited, .garbage = true };
        oct_vfs_crash *second;
        uint64_t last;
        oct_wal *wal;
        CHECK(oct_vfs_crash_create(&test_alloc, &options, disk, &second, NULL) == OCT_OK);
        recover(book, oct_vfs_crash_vfs(second), cut, &last, &wal);
        oct_wal_close(wal);
        book->nested = true;
        book->outer_cut = cut;
        if (!test_failed) for_each_disk(second, book->meter, check_log_disk, book);
        book->nested = false;
        oct_vfs_crash_destroy(second);
        CHECK(!test_failed);
    }
    check_log_disk(book, cut, disk);
}

TEST(log_survives_every_cut)
{
    static history book;
    state_meter meter = meter_begin();
    for (size_t i = 0; i < ARRAY_COUNT(worlds); i++) {
        fixture world;
        oct_vfs_crash *crash;
        CHECK(fixture_init(&world));
        book = (history){ .world = &world, .meter = &meter };
        leave_leftover(&world);
        CHECK(oct_vfs_crash_create(&test_alloc, &worlds[i], world.vfs, &crash, NULL) == OCT_OK);
        log_script(&book, crash, &wal_synced);
        if (!test_failed) for_each_disk(crash, &meter, check_log_disk_and_recovery, &book);
        oct_vfs_crash_destroy(crash);
        CHECK(fixture_deinit(&world));
    }
    meter_end(&meter);
}

/* Without sync nothing but a prefix is promised, and never a false alarm, until a seal. */
static void check_unsynced_disk(void *arg, uint64_t cut, oct_vfs *disk)
{
    const history *book = arg;
    uint64_t last;
    oct_wal *wal;
    recover(book, disk, cut, &last, &wal);
    oct_wal_close(wal);
    CHECK(!test_failed);
    for (uint32_t i = 1; i < LOGS && book->created_at[i] <= cut; i++)
        CHECK(last + 1 >= book->first[i]); /* sealed is sealed */
}

TEST(unsynced_log_keeps_a_prefix)
{
    static history book;
    state_meter meter = meter_begin();
    for (size_t i = 0; i < ARRAY_COUNT(worlds); i++) {
        fixture world;
        oct_vfs_crash *crash;
        CHECK(fixture_init(&world));
        book = (history){ .world = &world, .meter = &meter };
        leave_leftover(&world);
        CHECK(oct_vfs_crash_create(&test_alloc, &worlds[i], world.vfs, &crash, NULL) == OCT_OK);
        log_script(&book, crash, &wal_unsynced);
        if (!test_failed) for_each_disk(crash, &meter, check_unsynced_disk, &book);
        oct_vfs_crash_destroy(crash);
        CHECK(fixture_deinit(&world));
    }
    meter_end(&meter);
}

/* A process that died (nothing of the page cache lost) between write and sync, or while taking
 * space; its successor goes on, and then the power goes. The first life's unsynced changes and
 * the second's meet on one disk. */
TEST(a_kill_and_then_a_cut)
{
    static history book;
    state_meter meter = meter_begin();
    fixture world;
    CHECK(fixture_init(&world));
    for (uint32_t records = 1; records < 60; records += 3) {
        const oct_crash_options options = { .random_states = 16, .seed = records };
        oct_vfs_crash *crash;
        oct_wal *wal;
        uint64_t last;
        book = (history){
            .world = &world, .meter = &meter, .first = { 1 }, .created_at = { 0, UINT64_MAX }
        };
        CHECK(oct_vfs_crash_create(&test_alloc, &options, NULL, &crash, NULL) == OCT_OK);
        const oct_vfs *vfs = oct_vfs_crash_vfs(crash);
        /* Writing without sync is what a killed process leaves behind. */
        CHECK(oct_wal_create(world.alloc, vfs, log_paths[0], 1, &wal_synced, &wal, NULL) == OCT_OK);
        book.created_at[0] = oct_vfs_crash_operations(crash);
        for (uint32_t k = 0; k < records; k++)
            history_put(&book, crash, wal);
        history_commit(&book, crash, wal);
        oct_wal_close(wal);
        oct_vfs unsyncing = *vfs;
        oct_wal_open_request request = { .path = log_paths[0], .first_sequence = 1 };
        replayed seen = { 0 };
        CHECK(wal_reopen(&world, &unsyncing, request, &wal_unsynced, &wal, &seen, NULL) == OCT_OK);
        for (uint32_t k = 0; k < records; k++)
            history_put(&book, crash, wal);
        CHECK(wal_commit_all(wal, NULL) == OCT_OK);
        oct_wal_close(wal);
        recover(&book, vfs, UINT64_MAX - 1, &last, &wal);
        CHECK_EQ_U64(last, book.appended);
        for (uint64_t s = 1; s <= last; s++)
            if (book.durable_at[s] == 0) book.durable_at[s] = oct_vfs_crash_operations(crash);
        for (uint32_t k = 0; k < 5; k++)
            history_put(&book, crash, wal);
        history_commit(&book, crash, wal);
        for (uint32_t k = 0; k < 5; k++)
            history_put(&book, crash, wal);
        history_commit(&book, crash, wal);
        oct_wal_close(wal);
        if (!test_failed) for_each_disk(crash, &meter, check_log_disk, &book);
        oct_vfs_crash_destroy(crash);
        CHECK(!test_failed);
    }
    CHECK(fixture_deinit(&world));
    meter_end(&meter);
}

/* --- the manifest ---------------------------------------------------------------------------- */

enum { GENERATIONS = 14 };

typedef struct publications {
    fixture *world;
    uint64_t begun_at[GENERATIONS + 1];
    uint64_t done_at[GENERATIONS + 1];
} publications;

static size_t manifest_bytes(uint64_t generation)
{
    static const size_t sizes[] = { 50, 5000, 3000, 4064, 9000, 12000, 0, 700 };
    return sizes[generation % ARRAY_COUNT(sizes)];
}

static oct_status publish(const fixture *world, const oct_vfs *vfs, uint64_t generation)
{
    static uint8_t body[12000];
    size_t bytes = manifest_bytes(generation);
    record_fill(generation, body, bytes);
    oct_manifest_edition edition = { .generation = generation,
                                     .body = { (const char *)body, bytes } };
    return oct_manifest_write(world->alloc, vfs, PREFIX, &edition, NULL);
}

/* The current generation plus 1; 0 for none yet. */
static uint64_t current(const fixture *world, const oct_vfs *vfs)
{
    oct_buf body;
    uint64_t generation = 0;
    oct_buf_init(&body, world->alloc, OCT_MANIFEST_BYTES_MAX);
    oct_status status = oct_manifest_read(vfs, PREFIX, &body, &generation, NULL);
    bool right = status == OCT_OK && body.bytes == manifest_bytes(generation);
    for (size_t i = 0; i < body.bytes && right; i++)
        right = body.at[i] == record_byte(generation, i);
    oct_buf_deinit(&body);
    CHECK_OR(0, right || status == OCT_NOT_FOUND);
    return right ? generation + 1 : 0;
}

static void check_manifest_disk(void *arg, uint64_t cut, oct_vfs *disk)
{
    const publications *book = arg;
    uint64_t least = 0, most = 0;
    for (uint64_t g = 0; g < GENERATIONS; g++) {
        if (book->begun_at[g] <= cut) most = g + 1;
        if (book->done_at[g] <= cut) least = g + 1;
    }
    uint64_t now = current(book->world, disk);
    CHECK(now >= least);
    CHECK(now <= most);
    for (uint32_t k = 0; k < 3; k++) {
        CHECK(publish(book->world, disk, now) == OCT_OK);
        now++;
        CHECK_EQ_U64(current(book->world, disk), now);
    }
}

TEST(manifest_survives_every_cut)
{
    state_meter meter = meter_begin();
    for (size_t i = 0; i < ARRAY_COUNT(worlds); i++) {
        fixture world;
        oct_vfs_crash *crash;
        publications book = { .world = &world };
        CHECK(fixture_init(&world));
        oct_crash_options options = worlds[i];
        options.random_states = 300;
        CHECK(oct_vfs_crash_create(&test_alloc, &options, NULL, &crash, NULL) == OCT_OK);
        for (uint64_t g = 0; g < GENERATIONS; g++) {
            book.begun_at[g] = oct_vfs_crash_operations(crash);
            CHECK(publish(&world, oct_vfs_crash_vfs(crash), g) == OCT_OK);
            book.done_at[g] = oct_vfs_crash_operations(crash);
        }
        for_each_disk(crash, &meter, check_manifest_disk, &book);
        oct_vfs_crash_destroy(crash);
        CHECK(fixture_deinit(&world));
    }
    meter_end(&meter);
}

/* A first write that fails anywhere is undone, and done again: no cut finds damage. */
static bool first_write_fails(fixture *world, const oct_fault_plan *plan, state_meter *meter)
{
    oct_vfs_crash *crash;
    oct_vfs_fault *fault;
    publications book = { .world = world };
    oct_crash_options options = worlds[0];
    options.random_states = 40;
    CHECK_OR(false, oct_vfs_crash_create(&test_alloc, &options, NULL, &crash, NULL) == OCT_OK);
    CHECK_OR(false,
             oct_vfs_fault_create(&test_alloc, oct_vfs_crash_vfs(crash), &fault, NULL) == OCT_OK);
    oct_vfs_fault_plan(fault, plan);
    bool reached = publish(world, oct_vfs_fault_vfs(fault), 0) != OCT_OK;
    oct_vfs_fault_plan(fault, NULL);
    for (uint64_t g = 0; g < GENERATIONS; g++) {
        CHECK_OR(false, publish(world, oct_vfs_fault_vfs(fault), g) == OCT_OK);
        book.done_at[g] = oct_vfs_crash_operations(crash);
        if (g + 1 < GENERATIONS) book.begun_at[g + 1] = book.done_at[g];
    }
    for_each_disk(crash, meter, check_manifest_disk, &book);
    oct_vfs_fault_destroy(fault);
    oct_vfs_crash_destroy(crash);
    return reached;
}

TEST(a_first_manifest_that_fails_survives_every_cut)
{
    state_meter meter = meter_begin();
    fixture world;
    CHECK(fixture_init(&world));
    for (uint32_t effect = 0; effect <= OCT_FAULT_ALL_DONE; effect++)
        for (uint32_t lasting = 0; lasting < 2; lasting++)
            for (uint64_t k = 1, more = 1; more && !test_failed; k++) {
                oct_fault_plan plan = { .fail_at = k,
                                        .status = OCT_IO,
                                        .seed = k,
                                        .methods = OCT_FAULT_CHANGES,
                                        .effect = (oct_fault_effect)effect,
                                        .from_then_on = lasting == 1 };
                more = first_write_fails(&world, &plan, &meter);
            }
    CHECK(fixture_deinit(&world));
    meter_end(&meter);
}

/* --- the container --------------------------------------------------------------------------- */

enum { CONTAINERS = 3 };

typedef struct finishing {
    fixture *world;
    uint64_t finished_at[CONTAINERS];
} finishing;

static const size_t section_bytes[] = { 100, 0, 70000, 66000, 900 };

/* The content of a section depends on which container of the name it is in. */
static uint64_t content_of(uint32_t container, uint32_t i)
{
    return container * 100 + i;
}

static void container_write(finishing *book, oct_vfs_crash *crash, uint32_t number)
{
    static uint8_t content[70000];
    oct_container_writer *writer;
    uint64_t bytes;
    CHECK(oct_container_create(book->world->alloc, oct_vfs_crash_vfs(crash), SEGMENT, &writer,
                               NULL) == OCT_OK);
    for (uint32_t i = 0; i < ARRAY_COUNT(section_bytes); i++) {
        record_fill(content_of(number, i), content, section_bytes[i]);
        CHECK(oct_container_begin(writer, number, i, NULL) == OCT_OK);
        CHECK(oct_container_append(writer, content, section_bytes[i], NULL) == OCT_OK);
    }
    CHECK(oct_container_finish(writer, &bytes, NULL) == OCT_OK);
    book->finished_at[number] = oct_vfs_crash_operations(crash);
}

/* Read what is there; *number is whose file it is. Wrong content fails the test. */
static oct_status container_read(const finishing *book, const oct_vfs *disk, uint32_t *number)
{
    oct_status status = OCT_OK;
    oct_container *container = NULL;
    bool right = true;
    uint64_t listed;
    uint32_t index;
    TRY(oct_container_open(book->world->alloc, disk, SEGMENT, &container, NULL));
    oct_container_section_at(container, 0, number, &index, &listed);
    for (uint32_t i = 0; i < ARRAY_COUNT(section_bytes); i++) {
        const void *at;
        size_t bytes;
        TRY(oct_container_load(container, *number, i, &at, &bytes, NULL));
        const uint8_t *content = at;
        right = right && bytes == section_bytes[i];
        for (size_t k = 0; k < bytes && right; k += bytes > 5000 ? 61 : 1)
            right = content[k] == record_byte(content_of(*number, i), k);
    }
    TRY(oct_container_verify(container, NULL));
done:
    oct_container_close(container);
    CHECK_OR(status, right);
    return status;
}

static void check_container_disk(void *arg, uint64_t cut, oct_vfs *disk)
{
    const finishing *book = arg;
    uint32_t number = 0;
    uint32_t finished = CONTAINERS;
    for (uint32_t i = 0; i < CONTAINERS; i++)
        if (book->finished_at[i] == cut) finished = i; /* and the next one is not begun */
    oct_status status = container_read(book, disk, &number);
    CHECK(status == OCT_OK || status == OCT_CORRUPT || status == OCT_NOT_FOUND);
    if (finished < CONTAINERS) CHECK(status == OCT_OK && number == finished);
}

TEST(container_survives_every_cut)
{
    state_meter meter = meter_begin();
    for (size_t i = 0; i < ARRAY_COUNT(worlds); i++) {
        fixture world;
        oct_vfs_crash *crash;
        finishing book = { .world = &world };
        CHECK(fixture_init(&world));
        oct_crash_options options = worlds[i];
        options.random_states = 200;
        CHECK(oct_vfs_crash_create(&test_alloc, &options, NULL, &crash, NULL) == OCT_OK);
        for (uint32_t number = 0; number < CONTAINERS; number++)
            container_write(&book, crash, number);
        if (!test_failed) for_each_disk(crash, &meter, check_container_disk, &book);
        oct_vfs_crash_destroy(crash);
        CHECK(fixture_deinit(&world));
    }
    meter_end(&meter);
}

TEST_MAIN(log_survives_every_cut, unsynced_log_keeps_a_prefix, a_kill_and_then_a_cut,
          manifest_survives_every_cut, a_first_manifest_that_fails_survives_every_cut,
          container_survives_every_cut)
