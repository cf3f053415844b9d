/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: whatever call of the storage and whatever allocation fails, the store reports it, loses
 * nothing it had acknowledged, invents nothing, leaks nothing, and works again when told to try
 * again, except where a failure is final. And on a full disk deletes and switches go on.
 * Method: short scripts run once for every k, with the k-th call failing (alone or with all later
 * ones; IO or NO_SPACE; without effect, half done, done and reported as failed), then the files
 * are looked at without faults. */
#include "unit/store_fixture.h"
#include "vfs/vfs_fault.h"

#define LOG_ONE "c/1.log"
#define LOG_TWO "c/2.log"
#define PREFIX  "c/manifest"
#define SEGMENT "c/1.seg"

/* --- the sweeps ------------------------------------------------------------------------------- */

/* All kinds of failure; fail_at is filled in by the sweep. */
static const oct_fault_plan kinds[] = {
    { .status = OCT_IO, .effect = OCT_FAULT_NOTHING },
    { .status = OCT_IO, .effect = OCT_FAULT_PART, .seed = 1 },
    { .status = OCT_IO, .effect = OCT_FAULT_ALL_DONE },
    { .status = OCT_NO_SPACE, .effect = OCT_FAULT_PART, .seed = 2, .methods = OCT_FAULT_WRITE },
    { .status = OCT_IO, .effect = OCT_FAULT_NOTHING, .from_then_on = true },
    { .status = OCT_IO, .effect = OCT_FAULT_PART, .from_then_on = true, .seed = 3 },
    { .status = OCT_IO, .effect = OCT_FAULT_ALL_DONE, .from_then_on = true },
    { .status = OCT_NO_SPACE,
      .effect = OCT_FAULT_PART,
      .from_then_on = true,
      .methods = OCT_FAULT_WRITE,
      .seed = 4 },
    { .status = OCT_NO_SPACE,
      .effect = OCT_FAULT_PART,
      .from_then_on = true,
      .methods = OCT_FAULT_CHANGES,
      .seed = 5 },
};

/* One run of a script on storage that fails, from an empty one. */
typedef struct run {
    fixture world;
    oct_vfs_fault *fault;
    const oct_vfs *vfs;   /* fails */
    const oct_vfs *below; /* does not */
    const oct_fault_plan *plan;
    bool in_doubt;  /* what the last write of a manifest said */
    bool failed;    /* a call has failed on purpose */
    char where[80]; /* ... this one first */
} run;

static bool run_begin(run *now, const oct_fault_plan *plan)
{
    if (!fixture_init(&now->world)) return false;
    now->below = now->world.vfs;
    now->plan = plan;
    if (oct_vfs_fault_create(&test_alloc, now->below, &now->fault, NULL) != OCT_OK) return false;
    now->vfs = oct_vfs_fault_vfs(now->fault);
    return true;
}

static bool run_end(run *now)
{
    oct_vfs_fault_destroy(now->fault);
    return fixture_deinit(&now->world);
}

/* From now on nothing fails. */
static void heal(run *now)
{
    if (!now->failed && oct_vfs_fault_failed(now->fault) > 0) {
        now->failed = true;
        snprintf(now->where, sizeof now->where, "%s", oct_vfs_fault_where(now->fault));
    }
    oct_vfs_fault_plan(now->fault, NULL);
    now->world.counting.fail_at = 0;
    now->world.counting.fail_after = false;
}

/* Run `script` with call k of every kind failing, for every k there is. */
static uint64_t sweep_calls(void (*script)(run *now))
{
    uint64_t runs = 0;
    for (size_t kind = 0; kind < ARRAY_COUNT(kinds); kind++) {
        bool more = true;
        for (uint64_t k = 1; more; k++) {
            run now = { .failed = false };
            oct_fault_plan plan = kinds[kind];
            plan.fail_at = k;
            CHECK_OR(runs, run_begin(&now, &plan));
            oct_vfs_fault_plan(now.fault, &plan);
            script(&now);
            heal(&now);
            more = now.failed;
            if (test_failed) printf("kind %zu, call %" PRIu64 ": %s\n", kind, k, now.where);
            CHECK_OR(runs, run_end(&now));
            runs++;
        }
    }
    return runs;
}

/* Run it with allocation k failing, alone and with all later ones, for every k there is. */
static uint64_t sweep_allocations(void (*script)(run *now))
{
    uint64_t runs = 0;
    for (uint64_t k = 1, calls = k; k <= calls; k++) {
        for (uint32_t after = 0; after < 2; after++) {
            run now = { .failed = false };
            CHECK_OR(runs, run_begin(&now, NULL));
            now.world.counting.fail_at = k;
            now.world.counting.fail_after = after == 1;
            script(&now);
            calls = oct_atomic_load(&now.world.counting.calls);
            if (test_failed) printf("allocation %" PRIu64 "\n", k);
            CHECK_OR(runs, run_end(&now));
            runs++;
        }
    }
    return runs;
}

static void sweep(void (*script)(run *now))
{
    uint64_t calls = sweep_calls(script);
    printf("  %" PRIu64 " runs with failing calls\n", calls);
    uint64_t allocations = sweep_allocations(script);
    printf("  %" PRIu64 " runs with failing allocations\n", allocations);
}

/* Is this a status the plan can have caused? */
static bool expected(const run *now, oct_status status)
{
    return now->plan ? status == now->plan->status : status == OCT_NOMEM;
}

static bool lasting(const run *now)
{
    return now->plan ? now->plan->from_then_on : now->world.counting.fail_after;
}

/* --- log -------------------------------------------------------------------------------------- */

/* What the script may claim afterwards. */
typedef struct ledger {
    uint64_t acknowledged;
    uint64_t appended;
    uint64_t second_first; /* first sequence of the second log; 0 = not created */
    bool stopped;
} ledger;

/* Append `count` records and commit. A reserve that failed is tried again: once the cause is gone
 * it works, unless the log says that it is final. */
static void write_batch(run *now, oct_wal *wal, uint32_t count, ledger *book)
{
    for (uint32_t i = 0; i < count && !book->stopped; i++) {
        oct_error error;
        oct_status status = wal_put(wal, &error);
        if (status != OCT_OK) {
            CHECK(expected(now, status));
            CHECK(error.message[0]);
            if (lasting(now)) heal(now);
            status = wal_put(wal, &error);
            CHECK(oct_wal_failed(wal) ? status == OCT_READONLY : status == OCT_OK);
        }
        book->stopped = status != OCT_OK;
        if (status == OCT_OK) book->appended = oct_wal_last_sequence(wal);
    }
    oct_error error;
    oct_status status = wal_commit_all(wal, &error);
    if (status == OCT_OK) {
        book->acknowledged = book->appended;
        CHECK_EQ_U64(oct_wal_synced_sequence(wal), book->appended);
        return;
    }
    book->stopped = true;
    CHECK(expected(now, status) || status == OCT_READONLY);
    CHECK(oct_wal_failed(wal));
    CHECK(wal_commit_all(wal, &error) == OCT_READONLY); /* final */
    CHECK(wal_put(wal, &error) == OCT_READONLY);
    CHECK(oct_wal_seal(wal, &error) == OCT_READONLY);
    CHECK(strstr(error.message, ".log"));
}

static oct_wal *create_log(run *now, const char *path, uint64_t first)
{
    oct_wal *wal;
    oct_error error;
    oct_status status =
        oct_wal_create(now->world.alloc, now->vfs, path, first, &wal_synced, &wal, &error);
    if (status == OCT_OK) return wal;
    CHECK_OR(NULL, !wal);
    CHECK_OR(NULL, expected(now, status));
    heal(now);
    status = oct_wal_create(now->world.alloc, now->vfs, path, first, &wal_synced, &wal, &error);
    CHECK_OR(NULL, status == OCT_OK);
    return wal;
}

static void log_script_write(run *now, ledger *book)
{
    static const uint32_t batches[] = { 3, 1, 40, 2 };
    oct_wal *wal = create_log(now, LOG_ONE, 1);
    CHECK(wal);
    for (size_t i = 0; i < ARRAY_COUNT(batches) && !book->stopped; i++)
        write_batch(now, wal, batches[i], book);
    if (!book->stopped && oct_wal_seal(wal, NULL) != OCT_OK) book->stopped = true;
    oct_wal_close(wal);
    if (book->stopped) return;
    book->second_first = book->appended + 1;
    wal = create_log(now, LOG_TWO, book->second_first);
    CHECK(wal);
    for (size_t i = 0; i < ARRAY_COUNT(batches) && !book->stopped; i++)
        write_batch(now, wal, batches[i], book);
    oct_wal_close(wal);
}

static void log_script_check(run *now, const ledger *book)
{
    oct_wal *wal;
    replayed seen = { 0 };
    bool two = book->second_first > 0;
    oct_wal_open_request first = { .path = LOG_ONE, .first_sequence = 1, .sealed = two };
    oct_wal_open_request second = { .path = LOG_TWO, .first_sequence = book->second_first };
    CHECK(wal_reopen(&now->world, now->below, first, &wal_synced, &wal, &seen, NULL) == OCT_OK);
    CHECK(!seen.wrong);
    uint64_t last = oct_wal_last_sequence(wal);
    oct_wal_close(wal);
    if (two) {
        CHECK_EQ_U64(last + 1, book->second_first);
        CHECK(wal_reopen(&now->world, now->below, second, &wal_synced, &wal, &seen, NULL) ==
              OCT_OK);
        CHECK(!seen.wrong);
        last = oct_wal_last_sequence(wal);
        oct_wal_close(wal);
    }
    CHECK(last >= book->acknowledged);
    CHECK(last <= book->appended);
}

static void log_script(run *now)
{
    ledger book = { 0 };
    log_script_write(now, &book);
    heal(now);
    log_script_check(now, &book);
}

TEST(log_writing_survives_every_failure)
{
    sweep(log_script);
}

/* Open a log with a torn tail on failing storage; afterwards it opens as if nothing had been. */
static void log_open_script(run *now)
{
    oct_wal *wal;
    replayed seen = { 0 };
    oct_wal_open_request request = { .path = LOG_ONE, .first_sequence = 1 };
    fixture *world = &now->world;
    CHECK(oct_wal_create(&test_alloc, now->below, LOG_ONE, 1, &wal_synced, &wal, NULL) == OCT_OK);
    for (uint32_t i = 0; i < 30; i++) {
        CHECK(wal_put(wal, NULL) == OCT_OK);
        CHECK(i % 10 != 9 || wal_commit_all(wal, NULL) == OCT_OK);
    }
    uint64_t end = oct_wal_bytes(wal);
    oct_wal_close(wal);
    CHECK(file_patch(now->below, LOG_ONE, end - 200, "torn", 4));
    oct_status status = wal_reopen(world, now->vfs, request, &wal_synced, &wal, &seen, NULL);
    CHECK(!seen.wrong);
    CHECK(status == OCT_OK || expected(now, status));
    oct_wal_close(wal);
    heal(now);
    CHECK(wal_reopen(world, now->vfs, request, &wal_synced, &wal, &seen, NULL) == OCT_OK);
    CHECK(!seen.wrong);
    CHECK_EQ_U64(seen.count, 20);
    CHECK(wal_put(wal, NULL) == OCT_OK);
    CHECK(wal_commit_all(wal, NULL) == OCT_OK);
    oct_wal_close(wal);
    request.sealed = true;
    CHECK(wal_reopen(world, now->vfs, request, &wal_synced, &wal, &seen, NULL) == OCT_OK);
    CHECK_EQ_U64(seen.count, 21);
    oct_wal_close(wal);
}

TEST(log_opening_survives_every_failure)
{
    sweep(log_open_script);
}

/* Without sync only the seal syncs; its failure is as final as that of a commit. */
static void log_seal_script(run *now)
{
    oct_wal *wal;
    oct_error error;
    replayed seen = { 0 };
    oct_wal_open_request request = { .path = LOG_ONE, .first_sequence = 1, .sealed = true };
    CHECK(oct_wal_create(&test_alloc, now->below, LOG_ONE, 1, &wal_unsynced, &wal, NULL) == OCT_OK);
    oct_wal_close(wal);
    request.sealed = false;
    oct_status status =
        wal_reopen(&now->world, now->vfs, request, &wal_unsynced, &wal, &seen, &error);
    for (uint32_t i = 0; i < 3 && status == OCT_OK; i++)
        status = wal_put(wal, &error);
    if (status == OCT_OK) status = oct_wal_seal(wal, &error);
    CHECK(status == OCT_OK || expected(now, status));
    heal(now);
    if (wal && oct_wal_failed(wal))
        CHECK(oct_wal_seal(wal, &error) == OCT_READONLY);
    else if (wal)
        CHECK(oct_wal_seal(wal, &error) == OCT_OK);
    oct_wal_close(wal);
    request.sealed = status == OCT_OK;
    CHECK(wal_reopen(&now->world, now->below, request, &wal_synced, &wal, &seen, NULL) == OCT_OK);
    CHECK(seen.count <= 3 && !seen.wrong);
    CHECK(status != OCT_OK || seen.count == 3);
    oct_wal_close(wal);
}

TEST(log_sealing_survives_every_failure)
{
    sweep(log_seal_script);
}

static void put_urgent(oct_wal *wal, uint32_t *done)
{
    static const uint8_t record[32];
    while (oct_wal_reserve(wal, sizeof record, true, NULL) == OCT_OK) {
        CHECK(oct_wal_append(wal, record, sizeof record) == oct_wal_last_sequence(wal));
        CHECK(wal_commit_all(wal, NULL) == OCT_OK);
        ++*done;
    }
}

TEST(a_full_disk_leaves_room_for_deletes)
{
    run now;
    oct_wal *wal;
    CHECK(run_begin(&now, NULL));
    oct_vfs_fault_quota(now.fault, 300000);
    CHECK(oct_wal_create(now.world.alloc, now.vfs, LOG_ONE, 1, &wal_synced, &wal, NULL) == OCT_OK);
    for (uint32_t round = 0; round < 3; round++) {
        oct_status status;
        uint64_t bytes = file_size(now.below, LOG_ONE);
        CHECK(oct_wal_reserve(wal, 900000, false, NULL) == OCT_NO_SPACE);
        CHECK_EQ_U64(file_size(now.below, LOG_ONE), bytes); /* what was refused took nothing */
        while ((status = wal_put(wal, NULL)) == OCT_OK) {
            bytes = file_size(now.below, LOG_ONE);
            if (test_random_below(4) > 0) continue;
            CHECK(wal_commit_all(wal, NULL) == OCT_OK);
        }
        CHECK(status == OCT_NO_SPACE);
        CHECK(!oct_wal_failed(wal));
        CHECK(wal_commit_all(wal, NULL) == OCT_OK);
        CHECK_EQ_U64(file_size(now.below, LOG_ONE), bytes);
        uint32_t urgent = 0;
        put_urgent(wal, &urgent);
        CHECK(urgent >= OCT_WAL_HEADROOM_BYTES / 128 - 1);
        CHECK(!oct_wal_failed(wal));
        oct_vfs_fault_quota(now.fault, 300000 + (round + 1) * 200000);
    }
    CHECK(wal_put(wal, NULL) == OCT_OK); /* there is space again, and no restart was needed */
    oct_wal_close(wal);
    /* A log that can't be created leaves nothing. */
    oct_vfs_fault_quota(now.fault, 1);
    CHECK(oct_wal_create(now.world.alloc, now.vfs, LOG_TWO, 9, &wal_synced, &wal, NULL) ==
          OCT_NO_SPACE);
    CHECK_EQ_U64(file_size(now.below, LOG_TWO), UINT64_MAX);
    CHECK(run_end(&now));
}

/* --- manifest --------------------------------------------------------------------------------- */

static size_t manifest_bytes(uint64_t generation)
{
    return 1000 + 3000 * (size_t)generation;
}

static oct_status manifest_write(run *now, uint64_t generation, oct_error *error)
{
    static uint8_t body[40000];
    record_fill(generation, body, manifest_bytes(generation));
    oct_manifest_edition edition = { .generation = generation,
                                     .body = { (const char *)body, manifest_bytes(generation) } };
    oct_status status = oct_manifest_write(now->world.alloc, now->vfs, PREFIX, &edition, error);
    now->in_doubt = edition.in_doubt;
    return status;
}

/* The current generation, -1 for none yet, -2 for anything else. */
static int64_t manifest_current(const oct_vfs *vfs)
{
    oct_buf body;
    uint64_t generation;
    oct_buf_init(&body, &test_alloc, OCT_MANIFEST_BYTES_MAX);
    oct_status status = oct_manifest_read(vfs, PREFIX, &body, &generation, NULL);
    bool right = status == OCT_OK && body.bytes == manifest_bytes(generation);
    for (size_t i = 0; i < body.bytes && right; i++)
        right = body.at[i] == record_byte(generation, i);
    oct_buf_deinit(&body);
    if (status == OCT_NOT_FOUND) return -1;
    return right ? (int64_t)generation : -2;
}

static void manifest_script(run *now)
{
    for (uint64_t g = 0; g < 6; g++) {
        oct_error error;
        oct_status status = manifest_write(now, g, &error);
        if (status == OCT_OK) {
            CHECK_EQ_I64(manifest_current(now->below), (int64_t)g);
            continue;
        }
        CHECK(expected(now, status));
        CHECK(error.message[0]);
        int64_t current = manifest_current(now->below);
        CHECK(!now->in_doubt || lasting(now)); /* one failure can be undone */
        if (current != (int64_t)g || !now->in_doubt) CHECK_EQ_I64(current, (int64_t)g - 1);
        heal(now);
        CHECK(manifest_write(now, g, NULL) == OCT_OK);
        CHECK_EQ_I64(manifest_current(now->below), (int64_t)g);
    }
    CHECK(oct_manifest_remove(now->vfs, PREFIX, NULL) == OCT_OK ||
          oct_vfs_fault_failed(now->fault) > 0);
    heal(now);
    CHECK(oct_manifest_remove(now->vfs, PREFIX, NULL) == OCT_OK);
    CHECK_EQ_I64(manifest_current(now->below), -1);
}

TEST(manifest_writing_survives_every_failure)
{
    sweep(manifest_script);
}

static void manifest_read_script(run *now)
{
    oct_buf body;
    uint64_t generation;
    oct_vfs *healthy = now->world.vfs;
    run quiet = *now;
    quiet.vfs = healthy;
    quiet.world.alloc = &test_alloc;
    for (uint64_t g = 0; g < 3; g++)
        CHECK(manifest_write(&quiet, g, NULL) == OCT_OK);
    oct_buf_init(&body, now->world.alloc, OCT_MANIFEST_BYTES_MAX);
    oct_status status = oct_manifest_read(now->vfs, PREFIX, &body, &generation, NULL);
    /* Never an older one because the newer could not be read. */
    if (status == OCT_OK)
        CHECK_EQ_U64(generation, 2);
    else
        CHECK(expected(now, status) && body.bytes == 0);
    oct_buf_deinit(&body);
}

TEST(manifest_reading_survives_every_failure)
{
    sweep(manifest_read_script);
}

TEST(a_full_disk_still_switches)
{
    run now;
    uint64_t used;
    CHECK(run_begin(&now, NULL));
    for (uint64_t g = 0; g < 2; g++)
        CHECK(manifest_write(&now, g, NULL) == OCT_OK);
    CHECK(oct_vfs_fault_used(now.fault, &used, NULL) == OCT_OK);
    oct_vfs_fault_quota(now.fault, used);
    static const char same[3000];
    oct_manifest_edition edition = { .body = { same, sizeof same } };
    for (edition.generation = 2; edition.generation < 9; edition.generation++)
        CHECK(oct_manifest_write(now.world.alloc, now.vfs, PREFIX, &edition, NULL) == OCT_OK);
    CHECK(manifest_write(&now, 9, NULL) == OCT_NO_SPACE); /* a longer one does not fit */
    oct_buf body;
    uint64_t generation;
    oct_buf_init(&body, &test_alloc, OCT_MANIFEST_BYTES_MAX);
    CHECK(oct_manifest_read(now.vfs, PREFIX, &body, &generation, NULL) == OCT_OK);
    CHECK_EQ_U64(generation, 8);
    oct_buf_deinit(&body);
    uint64_t after;
    CHECK(oct_vfs_fault_used(now.fault, &after, NULL) == OCT_OK);
    CHECK_EQ_U64(after, used);
    CHECK(oct_manifest_write(now.world.alloc, now.vfs, PREFIX, &edition, NULL) == OCT_OK);
    CHECK(run_end(&now));
}

/* --- container -------------------------------------------------------------------------------- */

static const size_t section_bytes[] = { 100, 70000, 0, 150000 };

static oct_status container_write(run *now, const oct_vfs *vfs, oct_error *error)
{
    static uint8_t content[150000];
    oct_status status = OCT_OK;
    oct_container_writer *writer = NULL;
    uint64_t bytes;
    TRY(oct_container_create(now->world.alloc, vfs, SEGMENT, &writer, error));
    for (uint32_t i = 0; i < ARRAY_COUNT(section_bytes); i++) {
        record_fill(i, content, section_bytes[i]);
        TRY(oct_container_begin(writer, i, i, error));
        TRY(oct_container_append(writer, content, section_bytes[i], error));
    }
    status = oct_container_finish(writer, &bytes, error);
    writer = NULL;
done:
    oct_container_abandon(writer);
    return status;
}

/* Read all sections; *wrong when one is not what was written. */
static oct_status container_read(run *now, const oct_vfs *vfs, bool *wrong)
{
    oct_status status = OCT_OK;
    oct_container *container = NULL;
    TRY(oct_container_open(now->world.alloc, vfs, SEGMENT, &container, NULL));
    for (uint32_t i = 0; i < ARRAY_COUNT(section_bytes); i++) {
        const void *at;
        size_t bytes;
        TRY(oct_container_load(container, i, i, &at, &bytes, NULL));
        const uint8_t *content = at;
        if (bytes != section_bytes[i]) *wrong = true;
        for (size_t k = 0; k < bytes && !*wrong; k++)
            *wrong = content[k] != record_byte(i, k);
    }
    TRY(oct_container_verify(container, NULL));
done:
    oct_container_close(container);
    return status;
}

static void container_write_script(run *now)
{
    bool wrong = false;
    oct_error error;
    oct_status status = container_write(now, now->vfs, &error);
    CHECK(status == OCT_OK || expected(now, status));
    CHECK(status == OCT_OK || error.message[0]);
    if (status != OCT_OK && !lasting(now) && strncmp(oct_vfs_fault_where(now->fault), "open", 4))
        CHECK_EQ_U64(file_size(now->below, SEGMENT), UINT64_MAX);
    heal(now);
    if (status != OCT_OK) CHECK(container_write(now, now->vfs, NULL) == OCT_OK);
    CHECK(container_read(now, now->below, &wrong) == OCT_OK);
    CHECK(!wrong);
}

TEST(container_writing_survives_every_failure)
{
    sweep(container_write_script);
}

static void read_container_on(run *now, const oct_vfs *vfs)
{
    bool wrong = false;
    oct_status status = container_read(now, vfs, &wrong);
    CHECK(!wrong);
    CHECK(status == OCT_OK || expected(now, status));
    heal(now);
    CHECK(container_read(now, vfs, &wrong) == OCT_OK);
    CHECK(!wrong);
}

static void container_read_script(run *now)
{
    run quiet = *now;
    quiet.world.alloc = &test_alloc;
    CHECK(container_write(&quiet, now->below, NULL) == OCT_OK);
    read_container_on(now, now->vfs);
}

static void container_read_script_without_views(run *now)
{
    run quiet = *now;
    quiet.world.alloc = &test_alloc;
    CHECK(container_write(&quiet, now->below, NULL) == OCT_OK);
    oct_vfs vfs = *now->vfs;
    vfs.caps &= ~(uint32_t)OCT_CAP_VIEW;
    read_container_on(now, &vfs);
}

TEST(container_reading_survives_every_failure)
{
    sweep(container_read_script);
    sweep(container_read_script_without_views);
}

TEST_MAIN(log_writing_survives_every_failure, log_opening_survives_every_failure,
          log_sealing_survives_every_failure, a_full_disk_leaves_room_for_deletes,
          manifest_writing_survives_every_failure, manifest_reading_survives_every_failure,
          a_full_disk_still_switches, container_writing_survives_every_failure,
          container_reading_survives_every_failure)
