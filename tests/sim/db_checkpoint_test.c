/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a merge that was killed goes on where it was last saved and ends in the same bytes; what is
 * left of a checkpoint that is damaged, or of another time, is never part of a graph.
 * Method: one merge of three segments with deaths, two graphs and a payload index runs on the
 * power-cut simulator and is saved at every chance. It is cut after each of several savings, on
 * every disk the cut may leave; the database is opened again and maintained to the end, and the
 * merged file is compared with that of a run without checkpoints. Work is counted in distances, not
 * in time. Then every byte of a checkpoint is changed, and disks too small for one are used. */
#include <stdio.h>
#include <string.h>

#include "db/collection.h"
#include "fuzz/store_fuzz.h"
#include "sim/model.h"
#include "unit/base_heap.h"
#include "unit/test.h"
#include "vfs/vfs_crash.h"
#include "vfs/vfs_fault.h"

enum { SEGMENT = 150, POINTS = 3 * SEGMENT, DIM = 8, FILE_MAX = 4 << 20, SAVES_MAX = 512 };
enum { AGAIN = 4 }; /* points of the first segment that are newer in the third */

static sim_world world;
static oct_collection *collection;
static oct_error error;
static uint32_t resumed_at, resumed, ignored; /* what the log says */

static void note(void *self, oct_log_level level, const char *message)
{
    const char *at = strstr(message, "goes on at ");
    (void)self;
    if (at && sscanf(at, "goes on at %u", &resumed_at) == 1) resumed++;
    if (level == OCT_LOG_WARN) ignored++;
}

/* A world that saves at every chance, or never. */
static void open_world(const oct_vfs *vfs, uint32_t checkpoint_ms)
{
    sim_init(&world, heap_start(), vfs);
    world.host.log = note;
    sim_save_often(&world);
    world.options.appendable_points_max = SEGMENT;
    world.options.checkpoint_ms = checkpoint_ms;
    if (sim_open(&world, &error) != OCT_OK) printf("open: %s\n", error.message);
    CHECK(world.db != NULL);
    oct_status status = oct_db_pin(world.db, OCT_STR("c"), &collection, &error);
    if (status != OCT_OK) collection = NULL;
}

static void close_world(void)
{
    if (collection) oct_db_unpin(collection);
    sim_close(&world);
}

static oct_status call(const char *verb, const char *path, const char *body)
{
    oct_reply reply;
    oct_call_request request = { .verb = verb,
                                 .path = { path, strlen(path) },
                                 .body = { body, strlen(body) } };
    oct_call(world.db, &request, &reply);
    oct_status status = reply.status;
    oct_reply_free(world.db, &reply);
    return status;
}

/* Whole numbers that look random, the same in every run. */
static int value(uint32_t point, uint32_t i)
{
    uint64_t hash = (point * UINT64_C(64) + i + 1) * UINT64_C(0x9E3779B97F4A7C15);
    return (int)(hash >> 40) % 100;
}

static oct_status put_points(uint32_t first, uint32_t count)
{
    static char body[SEGMENT * 256];
    size_t at = (size_t)snprintf(body, sizeof body, "{\"points\":[");
    for (uint32_t p = first; p < first + count; p++) {
        at += (size_t)snprintf(body + at, sizeof body - at, "%s{\"id\":%u,\"vector\":{\"a\":[",
                               p > first ? "," : "", p);
        for (uint32_t i = 0; i < 2 * DIM; i++)
            at += (size_t)snprintf(body + at, sizeof body - at, "%s%d",
                                   i == 0     ? ""
                                   : i == DIM ? "],\"b\":["
                                              : ",",
                                   value(p, i));
        at +=
            (size_t)snprintf(body + at, sizeof body - at, "]},\"payload\":{\"w\":\"v%u\"}}", p % 9);
    }
    (void)snprintf(body + at, sizeof body - at, "]}");
    return call("PUT", "/collections/c/points?wait=true", body);
}

/* Three sealed segments, deaths in the first two, points of the first that are newer in the third,
 * nothing merged. */
static void fill(const oct_vfs *vfs, uint32_t checkpoint_ms)
{
    open_world(vfs, checkpoint_ms);
    CHECK(call("PUT", "/collections/c",
               "{\"vectors\":{\"a\":{\"size\":8,\"distance\":\"Euclid\"},"
               "\"b\":{\"size\":8,\"distance\":\"Cosine\","
               "\"quantization_config\":{\"scalar\":{\"type\":\"int8\"}}}},"
               "\"hnsw_config\":{\"m\":6,\"ef_construct\":30,\"full_scan_threshold\":10},"
               "\"optimizers_config\":{\"indexing_threshold\":1}}") == OCT_OK);
    CHECK(call("PUT", "/collections/c/index?wait=true",
               "{\"field_name\":\"w\",\"field_schema\":\"keyword\"}") == OCT_OK);
    CHECK(put_points(0, SEGMENT) == OCT_OK);
    CHECK(put_points(SEGMENT, SEGMENT) == OCT_OK);
    CHECK(call("POST", "/collections/c/points/delete?wait=true",
               "{\"points\":[3,7,20,21,22,160,170,180]}") == OCT_OK);
    CHECK(put_points(2 * SEGMENT, SEGMENT - AGAIN) == OCT_OK);
    CHECK(put_points(30, AGAIN) == OCT_OK);
    close_world();
    open_world(vfs, checkpoint_ms);
}

/* ---- running ------------------------------------------------------------------------- */

typedef struct saving {
    uint64_t operations; /* recorded when it was complete */
    uint64_t distances;  /* computed by then */
} saving;

typedef struct outcome {
    uint64_t distances; /* of the merge */
    uint32_t saves;
    saving saved[SAVES_MAX];
} outcome;

/* Maintain to the end, in the smallest steps. */
static void settle(outcome *out, oct_vfs_crash *crash)
{
    bool more = true;
    uint64_t slots = 0;
    *out = (outcome){ .distances = 0 };
    while (more) {
        if (oct_maintain(world.db, 0, &more, &error) != OCT_OK) {
            printf("maintain: %s\n", error.message);
            CHECK(false);
        }
        const oct_build *build = collection->merge.build;
        if (build) out->distances = oct_build_distances(build);
        uint64_t now = oct_atomic_load(&collection->checkpoints);
        if (now == slots || now == 0) continue;
        slots = now;
        uint64_t operations = crash ? oct_vfs_crash_operations(crash) : 0;
        CHECK(out->saves < SAVES_MAX);
        out->saved[out->saves++] = (saving){ operations, out->distances };
    }
}

static char merged_name[64];
static uint32_t others; /* sealed files but one, checkpoints */

static void look(void *arg, const char *name)
{
    (void)arg;
    bool sealed = strncmp(name, "s-", 2) == 0;
    if (sealed && merged_name[0] == '\0')
        (void)snprintf(merged_name, sizeof merged_name, "%s", name);
    else if (sealed || strncmp(name, "checkpoint", 10) == 0)
        others++;
}

/* The bytes of the one sealed segment; no checkpoint is left beside it. */
static size_t read_merged(const oct_vfs *vfs, uint8_t *bytes)
{
    char path[128];
    oct_file *file;
    uint64_t size = 0;
    merged_name[0] = '\0';
    others = 0;
    CHECK_OR(0, vfs->list(vfs->self, collection->directory, look, NULL, NULL) == OCT_OK);
    CHECK_OR(0, merged_name[0] != '\0' && others == 0);
    (void)snprintf(path, sizeof path, "%s/%s", collection->directory, merged_name);
    CHECK_OR(0, vfs->open(vfs->self, path, OCT_OPEN_READ, &file, NULL) == OCT_OK);
    CHECK_OR(0, vfs->size(vfs->self, file, &size, NULL) == OCT_OK && size <= FILE_MAX);
    CHECK_OR(0, vfs->read(vfs->self, file, 0, bytes, (size_t)size, NULL) == OCT_OK);
    vfs->close(vfs->self, file);
    return (size_t)size;
}

static uint8_t expected[FILE_MAX], got[FILE_MAX];
static size_t expected_bytes;
static outcome whole; /* the run without checkpoints */

static void run_whole(void)
{
    oct_vfs *vfs = NULL;
    CHECK(oct_vfs_memory_create(&heap, &vfs, NULL) == OCT_OK);
    fill(vfs, UINT32_MAX);
    settle(&whole, NULL);
    CHECK(whole.saves == 0 && whole.distances > 0);
    expected_bytes = read_merged(vfs, expected);
    CHECK(expected_bytes > 0);
    close_world();
    oct_vfs_memory_destroy(vfs);
}

static bool same_bytes(const oct_vfs *vfs)
{
    size_t bytes = read_merged(vfs, got);
    return bytes == expected_bytes && memcmp(got, expected, bytes) == 0;
}

/* ---- kills --------------------------------------------------------------------------- */

TEST(a_killed_merge_goes_on_and_ends_in_the_same_bytes)
{
    oct_vfs_crash *crash = NULL;
    static outcome run, after;
    uint64_t disks = 0, least = UINT64_MAX;
    run_whole();
    CHECK(!test_failed);
    CHECK(oct_vfs_crash_create(&heap, &(oct_crash_options){ .random_states = 2, .seed = 3 }, NULL,
                               &crash, NULL) == OCT_OK);
    fill(oct_vfs_crash_vfs(crash), 1);
    settle(&run, crash);
    CHECK(same_bytes(oct_vfs_crash_vfs(crash)));
    CHECK_EQ_U64(run.distances, whole.distances);
    close_world();
    CHECK(run.saves >= 20); /* of both graphs */
    for (uint32_t s = 0; s < run.saves; s += 4) {
        uint64_t states = 0, cut = run.saved[s].operations;
        CHECK(oct_vfs_crash_states(crash, cut, &states, NULL) == OCT_OK);
        for (uint64_t state = 0; state < states; state++) {
            oct_vfs *disk;
            CHECK(oct_vfs_crash_state(crash, cut, state, &disk, NULL) == OCT_OK);
            resumed = ignored = 0;
            open_world(disk, 1);
            settle(&after, NULL);
            CHECK(same_bytes(disk));
            CHECK(resumed > 0);
            /* Nothing that was saved is done again but the batch that was under way. */
            CHECK(after.distances + run.saved[s].distances <=
                  whole.distances + whole.distances / 20);
            least = after.distances < least ? after.distances : least;
            close_world();
            CHECK(!test_failed);
            oct_vfs_memory_destroy(disk);
            disks++;
        }
    }
    printf("  %" PRIu64 " distances without a kill; %u savings; %" PRIu64
           " disks, the last ones needed %" PRIu64 "\n",
           whole.distances, run.saves, disks, least);
    CHECK(least * 5 < whole.distances);
    oct_vfs_crash_destroy(crash);
}

/* ---- damage -------------------------------------------------------------------------- */

/* A disk on which the merge was killed about half way; the checkpoint's path. */
static oct_vfs *half_done(char *path, size_t path_bytes)
{
    oct_vfs *vfs = NULL;
    bool more = true;
    CHECK_OR(NULL, oct_vfs_memory_create(&heap, &vfs, NULL) == OCT_OK);
    fill(vfs, 1);
    while (more && oct_atomic_load(&collection->checkpoints) == 0)
        CHECK_OR(NULL, oct_maintain(world.db, 0, &more, &error) == OCT_OK);
    for (int i = 0; i < 30; i++)
        CHECK_OR(NULL, oct_maintain(world.db, 0, &more, &error) == OCT_OK);
    uint64_t slots = oct_atomic_load(&collection->checkpoints);
    CHECK_OR(NULL, slots == 1 || slots == 2);
    oct_task_end(&collection->merge); /* it has the checkpoint open */
    (void)snprintf(path, path_bytes, "%s/checkpoint-%d", collection->directory, slots == 2);
    return vfs;
}

static uint64_t size_of(const oct_vfs *vfs, const char *path)
{
    oct_file *file;
    uint64_t size = 0;
    CHECK_OR(0, vfs->open(vfs->self, path, OCT_OPEN_READ, &file, NULL) == OCT_OK);
    CHECK_OR(0, vfs->size(vfs->self, file, &size, NULL) == OCT_OK);
    vfs->close(vfs->self, file);
    return size;
}

static void flip(const oct_vfs *vfs, const char *path, uint64_t at, uint8_t bits)
{
    oct_file *file;
    uint8_t byte;
    CHECK(vfs->open(vfs->self, path, OCT_OPEN_WRITE, &file, NULL) == OCT_OK);
    CHECK(vfs->read(vfs->self, file, at, &byte, 1, NULL) == OCT_OK);
    byte ^= bits;
    CHECK(vfs->write(vfs->self, file, at, &byte, 1, NULL) == OCT_OK);
    vfs->close(vfs->self, file);
}

TEST(any_changed_byte_makes_a_checkpoint_nothing)
{
    char path[128];
    oct_vfs *vfs = half_done(path, sizeof path);
    CHECK(vfs != NULL);
    oct_view *view = oct_collection_view(collection);
    const oct_checkpoint_subject subject = { &world.host, view->settings->config, view->schema };
    oct_checkpoint *checkpoint = NULL;
    CHECK(oct_checkpoint_open(&subject, path, &checkpoint, &error) == OCT_OK);
    oct_checkpoint_close(checkpoint);
    uint64_t size = size_of(vfs, path);
    for (uint64_t at = 0; at < size; at++) {
        uint8_t bits = (uint8_t)(1u << test_random_below(8));
        flip(vfs, path, at, bits);
        CHECK(oct_checkpoint_open(&subject, path, &checkpoint, &error) != OCT_OK);
        CHECK(checkpoint == NULL && error.message[0] != '\0');
        flip(vfs, path, at, bits);
    }
    printf("  %" PRIu64 " bytes\n", size);
    oct_view_unpin(view);
    close_world();
    oct_vfs_memory_destroy(vfs);
}

TEST(after_damage_the_build_starts_over_with_a_line_in_the_log)
{
    static outcome after;
    run_whole();
    for (int run = 0; run < 12; run++) {
        char path[128];
        oct_vfs *vfs = half_done(path, sizeof path);
        CHECK(vfs != NULL);
        close_world();
        flip(vfs, path, test_random_below((uint32_t)size_of(vfs, path)), 0x10);
        resumed = ignored = 0;
        open_world(vfs, 1);
        settle(&after, NULL);
        CHECK(ignored == 1 && resumed == 0);
        CHECK_EQ_U64(after.distances, whole.distances);
        CHECK(same_bytes(vfs));
        close_world();
        oct_vfs_memory_destroy(vfs);
    }
}

/* Let the checkpoint say that all points of its sources go into the merge, the old ones, too. All
 * checksums are right. */
static void contradict(const oct_vfs *vfs, const char *path)
{
    static uint8_t bytes[FILE_MAX];
    size_t size = (size_t)size_of(vfs, path);
    oct_container_trailer trailer;
    oct_section_entry entry;
    oct_file *file;
    uint32_t sets = 0;
    CHECK(size > sizeof trailer && size <= FILE_MAX);
    CHECK(vfs->open(vfs->self, path, OCT_OPEN_WRITE, &file, NULL) == OCT_OK);
    CHECK(vfs->read(vfs->self, file, 0, bytes, size, NULL) == OCT_OK);
    memcpy(&trailer, bytes + size - sizeof trailer, sizeof trailer);
    for (uint32_t i = 0; i < trailer.section_count; i++) {
        memcpy(&entry, bytes + trailer.footer_offset + i * sizeof entry, sizeof entry);
        if (entry.kind != OCT_SECTION_SAVED) continue;
        memset(bytes + entry.offset, 0xff, SEGMENT / 8);
        bytes[entry.offset + SEGMENT / 8] |= (uint8_t)((1 << SEGMENT % 8) - 1);
        sets++;
    }
    CHECK(sets == 1);
    fuzz_repair_container(bytes, size, false);
    CHECK(vfs->write(vfs->self, file, 0, bytes, size, NULL) == OCT_OK);
    vfs->close(vfs->self, file);
}

TEST(a_checkpoint_whose_sources_contradict_each_other_is_ignored)
{
    static outcome after;
    char path[128];
    run_whole();
    oct_vfs *vfs = half_done(path, sizeof path);
    CHECK(vfs != NULL);
    close_world();
    contradict(vfs, path);
    resumed = ignored = 0;
    open_world(vfs, 1);
    settle(&after, NULL);
    CHECK(ignored == 1 && resumed == 0);
    CHECK_EQ_U64(after.distances, whole.distances);
    CHECK(same_bytes(vfs));
    close_world();
    oct_vfs_memory_destroy(vfs);
}

/* ---- other times --------------------------------------------------------------------- */

TEST(points_that_came_and_went_do_not_matter_another_schema_does)
{
    static outcome after;
    for (int change = 0; change < 3; change++) {
        char path[128];
        oct_vfs *vfs = half_done(path, sizeof path);
        CHECK(vfs != NULL);
        close_world();
        open_world(vfs, UINT32_MAX);
        resumed = ignored = 0;
        /* Deaths, and enough new points for a seal, before the first step of maintenance. */
        if (change == 0)
            CHECK(call("POST", "/collections/c/points/delete?wait=true",
                       "{\"points\":[50,51,52,200]}") == OCT_OK);
        if (change <= 1) CHECK(put_points(POINTS, SEGMENT + 1) == OCT_OK);
        if (change <= 1) CHECK(put_points(POINTS + SEGMENT, 2) == OCT_OK);
        if (change == 2) CHECK(call("DELETE", "/collections/c/index/w?wait=true", "") == OCT_OK);
        settle(&after, NULL);
        CHECK(change == 2 ? resumed == 0 && ignored == 1 : resumed == 1 && ignored == 0);
        oct_error finding;
        CHECK(oct_collection_check(collection, &finding) == OCT_OK);
        close_world();
        oct_vfs_memory_destroy(vfs);
    }
}

/* ---- full disks ---------------------------------------------------------------------- */

typedef struct tight {
    bool merged;     /* one segment is left */
    uint32_t seen;   /* steps with a checkpoint on the disk */
    uint64_t builds; /* begun */
} tight;

/* Merge on a disk with `spare` bytes left. */
static tight merge_in(uint64_t spare, uint32_t checkpoint_ms)
{
    oct_vfs *vfs = NULL;
    oct_vfs_fault *fault = NULL;
    uint64_t used = 0;
    bool more = true;
    tight out = { .seen = 0 };
    CHECK_OR(out, oct_vfs_memory_create(&heap, &vfs, NULL) == OCT_OK);
    CHECK_OR(out, oct_vfs_fault_create(&heap, vfs, &fault, NULL) == OCT_OK);
    fill(oct_vfs_fault_vfs(fault), checkpoint_ms);
    while (more && !collection->merge.build) /* until all is sealed */
        CHECK_OR(out, oct_maintain(world.db, 0, &more, &error) == OCT_OK);
    CHECK_OR(out, oct_vfs_fault_used(fault, &used, NULL) == OCT_OK);
    oct_vfs_fault_quota(fault, used + spare);
    for (uint32_t step = 0; more && step < 8000; step++) {
        oct_status status = oct_maintain(world.db, 0, &more, &error);
        CHECK_OR(out, status == OCT_OK || status == OCT_NO_SPACE);
        out.seen += oct_atomic_load(&collection->checkpoints) != 0;
    }
    out.builds = collection->next_file;
    merged_name[0] = '\0';
    others = 0;
    CHECK_OR(out, vfs->list(vfs->self, collection->directory, look, NULL, NULL) == OCT_OK);
    out.merged = others == 0;
    if (out.merged) CHECK_OR(out, same_bytes(vfs));
    CHECK_OR(out, put_points(POINTS, 1) == OCT_OK || !out.merged);
    close_world();
    oct_vfs_fault_destroy(fault);
    oct_vfs_memory_destroy(vfs);
    return out;
}

/* A merge that there is space for ends, also where a checkpoint was in its way. */
TEST(a_checkpoint_takes_no_space_that_a_merge_needs)
{
    uint32_t in_the_way = 0, saved = 0, hopeless = 0;
    run_whole();
    for (uint64_t spare = 4 << 10; spare <= 320 << 10; spare += 4 << 10) {
        tight without = merge_in(spare, UINT32_MAX), with = merge_in(spare, 1);
        CHECK(!test_failed);
        CHECK(with.merged == without.merged);
        hopeless += !with.merged;
        in_the_way += with.merged && with.builds > without.builds;
        saved += with.merged && with.seen > 0;
    }
    printf("  of 80 disks %u were too small for the merge, %u for a checkpoint beside it; %u had "
           "one\n",
           hopeless, in_the_way, saved);
    CHECK(hopeless > 0 && in_the_way > 0 && saved > in_the_way);
}

/* Where the k-th change to the disk is refused, and that was one of a checkpoint, the merge goes on
 * without. */
TEST(a_checkpoint_that_fails_is_none)
{
    static outcome after;
    uint32_t refused = 0;
    run_whole();
    for (uint64_t k = 1; k < 60; k++) {
        oct_vfs *vfs = NULL;
        oct_vfs_fault *fault = NULL;
        CHECK(oct_vfs_memory_create(&heap, &vfs, NULL) == OCT_OK);
        CHECK(oct_vfs_fault_create(&heap, vfs, &fault, NULL) == OCT_OK);
        fill(oct_vfs_fault_vfs(fault), 1);
        oct_vfs_fault_plan(fault, &(oct_fault_plan){ .fail_at = k,
                                                     .methods = OCT_FAULT_WRITE | OCT_FAULT_SYNC,
                                                     .status = OCT_NO_SPACE,
                                                     .effect = OCT_FAULT_PART });
        ignored = 0;
        settle(&after, NULL);
        if (ignored > 0) CHECK(same_bytes(vfs));
        refused += ignored > 0 && after.distances == whole.distances;
        close_world();
        oct_vfs_fault_destroy(fault);
        oct_vfs_memory_destroy(vfs);
        CHECK(!test_failed);
    }
    printf("  %u savings failed\n", refused);
    CHECK(refused > 10);
}

static void count_file(void *arg, const char *name)
{
    uint32_t *files = arg;
    *files += strncmp(name, "s-", 2) == 0 || strncmp(name, "checkpoint", 10) == 0;
}

/* Where the k-th file can't be mapped, what was written of it does not stay. */
TEST(a_file_that_can_not_be_opened_is_removed)
{
    uint32_t failed = 0;
    bool more;
    for (uint64_t k = 1; k == failed + 1; k++) {
        oct_vfs *vfs = NULL;
        oct_vfs_fault *fault = NULL;
        uint32_t files = 0, named; /* sealed ones and checkpoints; those known */
        CHECK(oct_vfs_memory_create(&heap, &vfs, NULL) == OCT_OK);
        CHECK(oct_vfs_fault_create(&heap, vfs, &fault, NULL) == OCT_OK);
        fill(oct_vfs_fault_vfs(fault), 1);
        oct_vfs_fault_plan(
            fault, &(oct_fault_plan){ .fail_at = k, .methods = OCT_FAULT_VIEW, .status = OCT_IO });
        for (uint32_t step = 0; step < 2000; step++)
            if (oct_maintain(world.db, 0, &more, &error) == OCT_OK && !more) break;
        failed += oct_vfs_fault_failed(fault) > 0;
        uint64_t slots = oct_atomic_load(&collection->checkpoints);
        named = (uint32_t)oct_bits_count(&slots, 1);
        for (uint32_t i = 0; i < collection->view->count; i++)
            named += collection->view->entries[i].sealed != NULL;
        CHECK(vfs->list(vfs->self, collection->directory, count_file, &files, NULL) == OCT_OK);
        if (files != named) printf("  k %" PRIu64 ": %u files, %u named\n", k, files, named);
        CHECK(files == named);
        close_world();
        oct_vfs_fault_destroy(fault);
        oct_vfs_memory_destroy(vfs);
        CHECK(!test_failed);
    }
    printf("  %u files could not be opened\n", failed);
    CHECK(failed > 4);
}

TEST_MAIN(a_killed_merge_goes_on_and_ends_in_the_same_bytes,
          any_changed_byte_makes_a_checkpoint_nothing,
          after_damage_the_build_starts_over_with_a_line_in_the_log,
          a_checkpoint_whose_sources_contradict_each_other_is_ignored,
          points_that_came_and_went_do_not_matter_another_schema_does,
          a_checkpoint_takes_no_space_that_a_merge_needs, a_checkpoint_that_fails_is_none,
          a_file_that_can_not_be_opened_is_removed)
