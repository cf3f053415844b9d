/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: after a power cut at any moment, with any of the disks it could leave, the database opens,
 * holds every acknowledged change and no other (but perhaps the one under way), and works on.
 * Method: a run of random changes with rotation, seals and merges is recorded by
 * tests/vfs/vfs_crash.h; the model after each change and the place of each acknowledgement are
 * noted. Then the disks of every cut are opened, compared, written to, maintained until nothing is
 * left, opened again and compared again. */
#include "sim/model.h"
#include "unit/base_heap.h"
#include "unit/test.h"
#include "vfs/vfs_crash.h"

enum { CHANGES_MAX = 160, SETTLE_EVERY = 8 };

/* What happened at which operation of the recorder: entry n is after n changes. */
typedef struct history {
    model after[CHANGES_MAX + 1];
    uint64_t begun[CHANGES_MAX + 2]; /* change n may be on disks from this cut on */
    uint64_t acked[CHANGES_MAX + 2]; /* ... and must be from this one on */
    uint32_t count;
    uint64_t steps, states, settled, in_flight;
} history;

static history book;
static model_change change;

static void fail_with(const char *what, const oct_error *error)
{
    printf("%s: %s\n", what, error->message);
    CHECK(false);
}

/* A random run on the recorder. */
static void record(oct_vfs_crash *crash, uint64_t seed)
{
    sim_world world;
    oct_error error = { .message = "" };
    sim_init(&world, heap_start(), oct_vfs_crash_vfs(crash));
    sim_save_often(&world);
    world.options.appendable_points_max = 16;
    model_init(&book.after[0], seed);
    if (sim_open(&world, &error) != OCT_OK) fail_with("open", &error);
    CHECK(!test_failed);
    for (uint32_t n = 1; n <= CHANGES_MAX; n++) {
        model_next(&book.after[n - 1], &change);
        book.begun[n] = oct_vfs_crash_operations(crash);
        oct_status status = sim_call(&world, &change);
        CHECK_EQ_U64(status, change.expected);
        book.after[n] = status == OCT_OK ? change.after : book.after[n - 1];
        book.after[n].random = change.after.random;
        book.acked[n] = oct_vfs_crash_operations(crash);
        book.count = n;
        for (uint32_t step = model_below(&book.after[n], 4); step > 0; step--) {
            bool more;
            CHECK(oct_maintain(world.db, 0, &more, &error) == OCT_OK);
            book.steps++;
        }
        if (n % 50 != 0) continue;
        sim_close(&world);
        CHECK(sim_open(&world, &error) == OCT_OK);
    }
    CHECK(sim_settle(&world, 0, &error) == OCT_OK);
    sim_close(&world);
    CHECK(heap_is_empty());
}

/* Compare with history entry n; the generator of the comparison is not the history's. */
static bool is_entry(sim_world *world, uint32_t n, uint64_t seed, char *why)
{
    static model copy;
    oct_status status;
    copy = book.after[n];
    copy.random = seed;
    return model_matches(&copy, world, why, &status);
}

/* The database works: one more change, maintenance to the end, and all of it is there later. */
static void work_on(sim_world *world, uint32_t n, uint64_t seed)
{
    static model now;
    char why[256] = "";
    oct_status status;
    oct_error error = { .message = "" };
    now = book.after[n];
    now.random = seed;
    model_next(&now, &change);
    status = sim_call(world, &change);
    CHECK_EQ_U64(status, change.expected);
    if (status == OCT_OK) now = change.after;
    if (seed % SETTLE_EVERY == 0) {
        if (sim_settle(world, 1, &error) != OCT_OK) fail_with("maintain", &error);
        CHECK(!test_failed);
        book.settled++;
    }
    sim_close(world);
    if (sim_open(world, &error) != OCT_OK) fail_with("open again", &error);
    CHECK(!test_failed);
    if (!model_matches(&now, world, why, &status)) printf("after working on: %s\n", why);
    CHECK(why[0] == '\0');
}

static void check_disk(uint64_t cut, oct_vfs *disk, uint32_t acked)
{
    char why[256], why_next[256] = "no change was under way";
    sim_world world;
    oct_error error = { .message = "" };
    uint32_t n = acked;
    uint64_t seed = book.states;
    sim_init(&world, heap_start(), disk);
    world.options.appendable_points_max = 16;
    if (sim_open(&world, &error) != OCT_OK) fail_with("open", &error);
    CHECK(!test_failed);
    if (!is_entry(&world, n, seed, why)) {
        n++;
        bool next = n <= book.count && book.begun[n] < cut && is_entry(&world, n, seed, why_next);
        if (!next) printf("after change %u: %s; after the next: %s\n", acked, why, why_next);
        CHECK(next);
        book.in_flight++;
    }
    work_on(&world, n, seed);
    sim_close(&world);
    CHECK(test_failed || heap_is_empty());
}

static void check_cuts(oct_vfs_crash *crash)
{
    uint64_t last = oct_vfs_crash_operations(crash);
    uint32_t acked = 0;
    for (uint64_t cut = oct_vfs_crash_first(crash); cut <= last; cut++) {
        uint64_t states;
        while (acked < book.count && book.acked[acked + 1] <= cut)
            acked++;
        CHECK(oct_vfs_crash_states(crash, cut, &states, NULL) == OCT_OK);
        for (uint64_t state = 0; state < states; state++) {
            oct_vfs *disk;
            CHECK(oct_vfs_crash_state(crash, cut, state, &disk, NULL) == OCT_OK);
            check_disk(cut, disk, acked);
            if (test_failed) {
                char text[4000];
                oct_vfs_crash_describe(crash, cut, state, text, sizeof text);
                printf("%s\n", text);
            }
            CHECK(!test_failed);
            oct_vfs_memory_destroy(disk);
            book.states++;
        }
    }
}

static void run(uint64_t seed, const oct_crash_options *options)
{
    oct_vfs_crash *crash;
    CHECK(oct_vfs_crash_create(&heap, options, NULL, &crash, NULL) == OCT_OK);
    memset(&book, 0, sizeof book);
    record(crash, seed);
    if (!test_failed) check_cuts(crash);
    printf("  %u changes, %" PRIu64 " maintenance steps, %" PRIu64 " disks, %" PRIu64
           " with the change under way, %" PRIu64 " maintained to the end\n",
           book.count, book.steps, book.states, book.in_flight, book.settled);
    if (!test_failed) oct_vfs_crash_destroy(crash);
    CHECK(book.states > 10000 && book.in_flight > 100);
}

TEST(nothing_acknowledged_is_lost_and_nothing_else_appears)
{
    run(test_seed, &(oct_crash_options){ .sector_bytes = 512, .random_states = 6, .seed = 1 });
}

TEST(nor_with_garbage_in_large_sectors)
{
    run(test_seed + 1, &(oct_crash_options){
                           .sector_bytes = 4096, .random_states = 6, .seed = 2, .garbage = true });
}

TEST_MAIN(nothing_acknowledged_is_lost_and_nothing_else_appears, nor_with_garbage_in_large_sectors)
