/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the power-cut simulator loses what it may lose, keeps what it must keep, and so finds
 * protocols that are wrong without accusing those that are right.
 * Method: small facts about single files and names first, each with the set of disks expected;
 * then toy protocols, right ones and ones with one classic mistake each, over every cut and every
 * state; then a random program against the rules stated in vfs_crash.h; and the speed. */
#include <time.h>

#include "base/hash.h"
#include "octant/octant.h"
#include "test_alloc.h"
#include "unit/test.h"
#include "vfs_crash.h"

enum { RWC = OCT_OPEN_READ | OCT_OPEN_WRITE | OCT_OPEN_CREATE };

/* ---- short forms ----------------------------------------------------------------------------- */

static oct_file *open_at(const oct_vfs *vfs, const char *path, uint32_t flags)
{
    oct_file *file = NULL;
    return vfs->open(vfs->self, path, flags, &file, NULL) == OCT_OK ? file : NULL;
}

static bool put(const oct_vfs *vfs, oct_file *file, uint64_t offset, const void *bytes,
                size_t count)
{
    return vfs->write(vfs->self, file, offset, bytes, count, NULL) == OCT_OK;
}

static bool sync_file(const oct_vfs *vfs, oct_file *file)
{
    return vfs->sync(vfs->self, file, NULL) == OCT_OK;
}

/* The file's size and its first bytes (zeros behind its end); false when it is missing. */
static bool get(const oct_vfs *vfs, const char *path, void *bytes, size_t count, uint64_t *size)
{
    oct_file *file = open_at(vfs, path, OCT_OPEN_READ);
    *size = 0;
    memset(bytes, 0, count);
    if (!file) return false;
    bool good = vfs->size(vfs->self, file, size, NULL) == OCT_OK;
    size_t there = *size < count ? (size_t)*size : count;
    good = good && vfs->read(vfs->self, file, 0, bytes, there, NULL) == OCT_OK;
    vfs->close(vfs->self, file);
    return good;
}

/* Make a file with this text, synced or not. */
static bool make(const oct_vfs *vfs, const char *path, const char *text, bool synced)
{
    oct_file *file = open_at(vfs, path, RWC);
    if (!file) return false;
    bool good = put(vfs, file, 0, text, strlen(text));
    if (synced) good = good && sync_file(vfs, file);
    vfs->close(vfs->self, file);
    return good;
}

static oct_vfs_crash *recorder(const oct_crash_options *options)
{
    oct_vfs_crash *crash = NULL;
    return oct_vfs_crash_create(&test_alloc, options, NULL, &crash, NULL) == OCT_OK ? crash : NULL;
}

/* Call check on every disk of cuts first..last; how many said false. `arg` goes to check. */
typedef bool (*disk_check)(const oct_vfs *disk, uint64_t cut, void *arg);

static uint64_t sweep(oct_vfs_crash *crash, uint64_t first, disk_check check, void *arg,
                      uint64_t *disks)
{
    uint64_t bad = 0;
    *disks = 0;
    for (uint64_t cut = first; cut <= oct_vfs_crash_operations(crash); cut++) {
        uint64_t states;
        CHECK_OR(UINT64_MAX, oct_vfs_crash_states(crash, cut, &states, NULL) == OCT_OK);
        for (uint64_t state = 0; state < states; state++) {
            oct_vfs *disk;
            CHECK_OR(UINT64_MAX, oct_vfs_crash_state(crash, cut, state, &disk, NULL) == OCT_OK);
            bad += !check(disk, cut, arg);
            oct_vfs_memory_destroy(disk);
            ++*disks;
        }
    }
    return bad;
}

/* ---- which disks there are ------------------------------------------------------------------- */

/* Which contents of the file "f" were seen: missing, or one of the texts given. */
typedef struct sightings {
    const char *path;
    const char *texts[8]; /* "" is an empty file; NULL ends */
    unsigned seen[8];
    unsigned missing;
    unsigned strange;
} sightings;

static bool sight(const oct_vfs *disk, uint64_t cut, void *arg)
{
    sightings *all = arg;
    char found[2048];
    uint64_t size;
    (void)cut;
    if (!get(disk, all->path, found, sizeof found, &size)) {
        all->missing++;
        return true;
    }
    for (size_t i = 0; all->texts[i]; i++) {
        if (strlen(all->texts[i]) == size && memcmp(found, all->texts[i], (size_t)size) == 0) {
            all->seen[i]++;
            return true;
        }
    }
    all->strange++;
    return true;
}

static const oct_crash_options some_random = { .random_states = 40, .seed = 7 };

/* All disks of the last cut only. */
static void look(oct_vfs_crash *crash, sightings *all)
{
    uint64_t disks;
    CHECK(sweep(crash, oct_vfs_crash_operations(crash), sight, all, &disks) == 0);
}

TEST(unsynced_creation_and_bytes_may_be_lost_and_may_be_kept)
{
    oct_vfs_crash *crash = recorder(&some_random);
    CHECK(make(oct_vfs_crash_vfs(crash), "dir/f", "text", false));
    sightings all = { .path = "dir/f", .texts = { "text", "" } };
    look(crash, &all);
    CHECK(all.missing > 0);
    CHECK(all.seen[0] > 0);
    CHECK(all.seen[1] > 0);
    CHECK(all.strange > 0); /* the growth without the bytes: four zeros */
    oct_vfs_crash_destroy(crash);
}

TEST(synced_bytes_and_their_name_are_on_every_disk)
{
    oct_vfs_crash *crash = recorder(&some_random);
    const oct_vfs *vfs = oct_vfs_crash_vfs(crash);
    CHECK(make(vfs, "dir/f", "text", true));
    uint64_t states;
    CHECK(oct_vfs_crash_states(crash, oct_vfs_crash_operations(crash), &states, NULL) == OCT_OK);
    CHECK_EQ_U64(states, 1);
    CHECK(make(vfs, "dir/other", "unsynced", false));
    sightings all = { .path = "dir/f", .texts = { "text" } };
    look(crash, &all);
    CHECK(all.seen[0] > 40);
    CHECK(all.missing == 0 && all.strange == 0);
    oct_vfs_crash_destroy(crash);
}

TEST(a_sync_of_one_file_keeps_nothing_of_another)
{
    oct_vfs_crash *crash = recorder(&some_random);
    const oct_vfs *vfs = oct_vfs_crash_vfs(crash);
    CHECK(make(vfs, "dir/f", "text", false));
    CHECK(make(vfs, "dir/g", "text", true));
    sightings all = { .path = "dir/f", .texts = { "text" } };
    look(crash, &all);
    CHECK(all.missing > 0);
    CHECK(all.seen[0] > 0);
    oct_vfs_crash_destroy(crash);
}

TEST(an_overwrite_is_torn_only_at_sectors)
{
    static char old[2048], new[2048], found[2048];
    memset(old, 'o', sizeof old);
    memset(new, 'n', sizeof new);
    unsigned patterns = 0; /* a bit for each of the 16 mixtures of 4 sectors */
    oct_crash_options options = { .sector_bytes = 512, .random_states = 3000, .seed = test_seed };
    oct_vfs_crash *crash = recorder(&options);
    const oct_vfs *vfs = oct_vfs_crash_vfs(crash);
    oct_file *file = open_at(vfs, "f", RWC);
    CHECK(put(vfs, file, 0, old, sizeof old) && sync_file(vfs, file));
    CHECK(put(vfs, file, 0, new, sizeof new));
    vfs->close(vfs->self, file);
    uint64_t cut = oct_vfs_crash_operations(crash), states, size;
    CHECK(oct_vfs_crash_states(crash, cut, &states, NULL) == OCT_OK);
    CHECK_EQ_U64(states, 2 + 4 + 3 + 3000);
    for (uint64_t state = 0; state < states; state++) {
        oct_vfs *disk;
        unsigned pattern = 0;
        CHECK(oct_vfs_crash_state(crash, cut, state, &disk, NULL) == OCT_OK);
        CHECK(get(disk, "f", found, sizeof found, &size) && size == sizeof old);
        for (unsigned sector = 0; sector < 4; sector++) {
            const char *at = found + (size_t)sector * 512;
            bool is_new = memcmp(at, new, 512) == 0;
            CHECK(is_new || memcmp(at, old, 512) == 0);
            pattern |= is_new ? 1u << sector : 0;
        }
        patterns |= 1u << pattern;
        oct_vfs_memory_destroy(disk);
    }
    CHECK_EQ_U64(patterns, 0xffff);
    oct_vfs_crash_destroy(crash);
}

TEST(a_rename_is_seen_wholly_or_not_at_all)
{
    oct_vfs_crash *crash = recorder(&some_random);
    const oct_vfs *vfs = oct_vfs_crash_vfs(crash);
    CHECK(make(vfs, "dir/f", "old", true));
    CHECK(make(vfs, "dir/f.new", "new", true));
    CHECK(vfs->rename(vfs->self, "dir/f.new", "dir/f", NULL) == OCT_OK);
    sightings target = { .path = "dir/f", .texts = { "old", "new" } };
    sightings source = { .path = "dir/f.new", .texts = { "new" } };
    look(crash, &target);
    look(crash, &source);
    CHECK(target.seen[0] > 0 && target.seen[1] > 0);
    CHECK(target.missing == 0 && target.strange == 0);
    CHECK_EQ_U64(source.seen[0], target.seen[0]);
    CHECK_EQ_U64(source.missing, target.seen[1]);
    /* Any sync in the directory makes it final. */
    CHECK(make(vfs, "dir/other", "x", true));
    sightings after = { .path = "dir/f", .texts = { "old", "new" } };
    look(crash, &after);
    CHECK(after.seen[1] > 0);
    CHECK(after.seen[0] == 0 && after.missing == 0);
    oct_vfs_crash_destroy(crash);
}

TEST(a_removed_file_may_return_until_its_directory_is_synced)
{
    oct_vfs_crash *crash = recorder(&some_random);
    const oct_vfs *vfs = oct_vfs_crash_vfs(crash);
    CHECK(make(vfs, "dir/f", "text", true));
    CHECK(vfs->remove(vfs->self, "dir/f", NULL) == OCT_OK);
    CHECK(make(vfs, "elsewhere/g", "x", true));
    sightings before = { .path = "dir/f", .texts = { "text" } };
    look(crash, &before);
    CHECK(before.seen[0] > 0 && before.missing > 0 && before.strange == 0);
    CHECK(make(vfs, "dir/g", "x", true));
    sightings after = { .path = "dir/f", .texts = { "text" } };
    look(crash, &after);
    CHECK(after.seen[0] == 0 && after.missing > 0);
    oct_vfs_crash_destroy(crash);
}

TEST(a_name_used_again_is_the_old_file_or_the_new_never_a_mixture)
{
    oct_vfs_crash *crash = recorder(&some_random);
    const oct_vfs *vfs = oct_vfs_crash_vfs(crash);
    CHECK(make(vfs, "f", "first file", true));
    CHECK(vfs->remove(vfs->self, "f", NULL) == OCT_OK);
    CHECK(make(vfs, "f", "2nd", false));
    sightings all = { .path = "f", .texts = { "first file", "2nd", "" } };
    look(crash, &all);
    CHECK(all.seen[0] > 0 && all.seen[1] > 0 && all.missing > 0);
    uint64_t disks;
    sightings zeros = { .path = "f", .texts = { "first file", "2nd", "" } };
    CHECK(sweep(crash, 0, sight, &zeros, &disks) == 0);
    CHECK(make(vfs, "f", "2nd", true));
    sightings synced = { .path = "f", .texts = { "2nd" } };
    look(crash, &synced);
    CHECK(synced.seen[0] > 0 && synced.missing == 0 && synced.strange == 0);
    oct_vfs_crash_destroy(crash);
}

TEST(an_unsynced_truncation_may_be_lost)
{
    oct_vfs_crash *crash = recorder(&some_random);
    const oct_vfs *vfs = oct_vfs_crash_vfs(crash);
    CHECK(make(vfs, "f", "0123456789", true));
    oct_file *file = open_at(vfs, "f", RWC);
    CHECK(vfs->truncate(vfs->self, file, 4, NULL) == OCT_OK);
    sightings all = { .path = "f", .texts = { "0123456789", "0123" } };
    look(crash, &all);
    CHECK(all.seen[0] > 0 && all.seen[1] > 0 && all.strange == 0 && all.missing == 0);
    CHECK(sync_file(vfs, file));
    vfs->close(vfs->self, file);
    sightings synced = { .path = "f", .texts = { "0123" } };
    look(crash, &synced);
    CHECK(synced.seen[0] > 0 && synced.strange == 0);
    oct_vfs_crash_destroy(crash);
}

TEST(garbage_appears_only_where_growth_survived_without_its_bytes)
{
    oct_crash_options options = { .sector_bytes = 512, .random_states = 200, .garbage = true };
    oct_vfs_crash *crash = recorder(&options);
    const oct_vfs *vfs = oct_vfs_crash_vfs(crash);
    oct_file *file = open_at(vfs, "f", RWC);
    CHECK(put(vfs, file, 0, "0123", 4) && sync_file(vfs, file));
    CHECK(put(vfs, file, 4, "4567", 4));
    vfs->close(vfs->self, file);
    unsigned garbage = 0;
    uint64_t cut = oct_vfs_crash_operations(crash), states, size;
    CHECK(oct_vfs_crash_states(crash, cut, &states, NULL) == OCT_OK);
    for (uint64_t state = 0; state < states; state++) {
        oct_vfs *disk;
        char found[8];
        CHECK(oct_vfs_crash_state(crash, cut, state, &disk, NULL) == OCT_OK);
        CHECK(get(disk, "f", found, sizeof found, &size));
        oct_vfs_memory_destroy(disk);
        CHECK(memcmp(found, "0123", 4) == 0);
        CHECK(size == 4 || size == 8);
        if (size == 8 && memcmp(found + 4, "4567", 4) != 0) {
            garbage++;
            CHECK(memcmp(found + 4, "\0\0\0\0", 4) != 0);
        }
    }
    CHECK(garbage > 0);
    oct_vfs_crash_destroy(crash);
}

TEST(the_same_state_is_the_same_disk_and_cuts_may_go_back)
{
    oct_vfs_crash *crash = recorder(&some_random);
    const oct_vfs *vfs = oct_vfs_crash_vfs(crash);
    for (int i = 0; i < 6; i++) {
        char path[] = { 'd', '/', (char)('a' + i), 0 };
        CHECK(make(vfs, path, "some text", i % 3 == 0));
    }
    uint32_t sums[2] = { 0, 0 };
    for (int pass = 0; pass < 2; pass++) {
        uint64_t last = oct_vfs_crash_operations(crash);
        for (uint64_t step = 0; step <= last; step++) {
            uint64_t cut = pass ? last - step : step, states, size;
            CHECK(oct_vfs_crash_states(crash, cut, &states, NULL) == OCT_OK);
            for (uint64_t state = 0; state < states; state++) {
                oct_vfs *disk;
                CHECK(oct_vfs_crash_state(crash, cut, state, &disk, NULL) == OCT_OK);
                uint32_t sum = 0;
                for (int i = 0; i < 6; i++) {
                    char path[] = { 'd', '/', (char)('a' + i), 0 }, found[16];
                    bool there = get(disk, path, found, sizeof found, &size);
                    sum = oct_crc32c(sum, &there, sizeof there);
                    sum = oct_crc32c(sum, found, sizeof found);
                    sum = oct_crc32c(sum, &size, sizeof size);
                }
                oct_vfs_memory_destroy(disk);
                sums[pass] += sum * (uint32_t)(cut * 1000 + state + 1);
            }
        }
    }
    CHECK_EQ_U64(sums[0], sums[1]);
    oct_vfs_crash_destroy(crash);
}

TEST(a_state_can_be_told_in_words)
{
    oct_vfs_crash *crash = recorder(&some_random);
    const oct_vfs *vfs = oct_vfs_crash_vfs(crash);
    char text[400], little[10];
    CHECK(make(vfs, "dir/f", "text", false));
    CHECK(vfs->rename(vfs->self, "dir/f", "dir/g", NULL) == OCT_OK);
    oct_vfs_crash_describe(crash, 3, 0, text, sizeof text);
    CHECK_EQ_STR(text, "cut 3 state 0 (sectors of 512):\n"
                       "  #0 create dir/f: lost\n"
                       "  #1 write dir/f 0+4: lost 1 of 1 sectors, growth lost\n"
                       "  #2 rename dir/f to dir/g: lost");
    oct_vfs_crash_describe(crash, 3, 3, text, sizeof text);
    CHECK(strstr(text, "kept 1 of 1 sectors, growth lost") != NULL);
    oct_vfs_crash_describe(crash, 3, 0, little, sizeof little);
    CHECK_EQ_STR(little, "cut 3 sta");
    oct_vfs_crash_destroy(crash);
}

/* ---- toy protocols --------------------------------------------------------------------------- */

/* Each protocol stores a growing number, the last of STEPS, in blocks of BLOCK bytes that hold the
 * number over and over, and acknowledges each. After a cut it must read a number that is at least
 * the last acknowledged one and at most the next. */
enum { STEPS = 6, BLOCK = 1500, FLAWS_MAX = 8 };

typedef struct protocol_run {
    const oct_vfs *vfs;
    oct_vfs_crash *crash;
    uint64_t acknowledged_at[STEPS + 1]; /* operations recorded when number i was acknowledged */
    int flaw;
} protocol_run;

typedef struct toy_block {
    uint32_t sum; /* of the numbers */
    uint32_t numbers[BLOCK / 4];
} toy_block;

static toy_block block_of(uint32_t number)
{
    toy_block made;
    for (size_t i = 0; i < BLOCK / 4; i++)
        made.numbers[i] = number;
    made.sum = oct_crc32c(0, made.numbers, sizeof made.numbers);
    return made;
}

enum { MIXTURE = 1000 };

/* The number in a file, or -1 when there is none that can be trusted. Who trusts without looking
 * gets what is there, be it a mixture of two blocks. */
static int number_in(const oct_vfs *disk, const char *path, bool trust)
{
    toy_block found;
    uint64_t size;
    if (!get(disk, path, &found, sizeof found, &size) || size != sizeof found) return -1;
    for (size_t i = 0; trust && i < BLOCK / 4; i++)
        if (found.numbers[i] != found.numbers[0]) return MIXTURE;
    if (trust) return (int)found.numbers[0];
    return found.sum == oct_crc32c(0, found.numbers, sizeof found.numbers) ? (int)found.numbers[0]
                                                                           : -1;
}

/* Right: number n goes to slot n % 2 with a checksum, and is synced before it is acknowledged.
 * Flaws: 1 no sync, 2 one slot, 3 checksums not looked at, 4 synced every second time. */
static bool slots_write(protocol_run *run, uint32_t number)
{
    toy_block block = block_of(number);
    const char *path = number % 2 && run->flaw != 2 ? "slots/1" : "slots/0";
    oct_file *file = open_at(run->vfs, path, RWC);
    bool good = file && put(run->vfs, file, 0, &block, sizeof block);
    if (run->flaw != 1 && (run->flaw != 4 || number % 2)) good = good && sync_file(run->vfs, file);
    if (file) run->vfs->close(run->vfs->self, file);
    return good;
}

static int slots_read(const oct_vfs *disk, int flaw)
{
    int zero = number_in(disk, "slots/0", flaw == 3);
    int one = number_in(disk, "slots/1", flaw == 3);
    return zero > one ? zero : one;
}

/* Right: write a temporary file, sync it, rename it over the old one, sync in the directory.
 * Flaws: 1 no sync before the rename, 2 none after it, 3 written in place. */
static bool rename_write(protocol_run *run, uint32_t number)
{
    const oct_vfs *vfs = run->vfs;
    toy_block block = block_of(number);
    const char *path = run->flaw == 3 ? "r/current" : "r/new";
    oct_file *file = open_at(vfs, path, RWC | OCT_OPEN_TRUNCATE);
    bool good = file && put(vfs, file, 0, &block, sizeof block);
    if (run->flaw != 1) good = good && sync_file(vfs, file);
    if (run->flaw != 3) good = good && vfs->rename(vfs->self, "r/new", "r/current", NULL) == OCT_OK;
    if (run->flaw != 2) good = good && sync_file(vfs, file);
    if (file) vfs->close(vfs->self, file);
    return good;
}

static int rename_read(const oct_vfs *disk, int flaw)
{
    (void)flaw;
    return number_in(disk, "r/current", false);
}

/* Right: append a block with checksum and sync; the last whole block counts. Flaws: 1 no sync,
 * 2 the number of blocks is taken from the file's size alone. */
static bool log_write(protocol_run *run, uint32_t number)
{
    toy_block block = block_of(number);
    oct_file *file = open_at(run->vfs, "log", RWC);
    bool good = file && put(run->vfs, file, (number - 1) * sizeof block, &block, sizeof block);
    if (run->flaw != 1) good = good && sync_file(run->vfs, file);
    if (file) run->vfs->close(run->vfs->self, file);
    return good;
}

static int log_read(const oct_vfs *disk, int flaw)
{
    static toy_block found[STEPS];
    uint64_t size;
    int last = 0;
    if (!get(disk, "log", found, sizeof found, &size)) return 0;
    for (size_t i = 0; i < size / sizeof found[0]; i++) {
        bool whole = found[i].sum == oct_crc32c(0, found[i].numbers, sizeof found[i].numbers);
        if (!whole && flaw != 2) break;
        last = (int)found[i].numbers[BLOCK / 4 - 1];
    }
    return last;
}

typedef struct toy_protocol {
    const char *name;
    bool (*write)(protocol_run *run, uint32_t number);
    int (*read)(const oct_vfs *disk, int flaw);
    int flaws;
} toy_protocol;

typedef struct toy_judgement {
    const toy_protocol *protocol;
    const protocol_run *run;
} toy_judgement;

static bool number_is_right(const oct_vfs *disk, uint64_t cut, void *arg)
{
    const toy_judgement *judgement = arg;
    int found = judgement->protocol->read(disk, judgement->run->flaw);
    int acknowledged = 0;
    while (acknowledged < STEPS && judgement->run->acknowledged_at[acknowledged + 1] <= cut)
        acknowledged++;
    if (found < 0) found = 0; /* nothing was ever stored */
    return found >= acknowledged && found <= acknowledged + 1;
}

/* Run one protocol with one flaw (0 = none); how many disks were wrong. */
static uint64_t try_protocol(const toy_protocol *protocol, int flaw,
                             const oct_crash_options *options)
{
    protocol_run run = { .crash = recorder(options), .flaw = flaw };
    uint64_t disks;
    run.vfs = oct_vfs_crash_vfs(run.crash);
    for (uint32_t number = 1; number <= STEPS; number++) {
        CHECK_OR(UINT64_MAX, protocol->write(&run, number));
        run.acknowledged_at[number] = oct_vfs_crash_operations(run.crash);
    }
    toy_judgement judgement = { protocol, &run };
    uint64_t bad = sweep(run.crash, 0, number_is_right, &judgement, &disks);
    printf("  %s, flaw %d: %" PRIu64 " of %" PRIu64 " disks wrong\n", protocol->name, flaw, bad,
           disks);
    oct_vfs_crash_destroy(run.crash);
    return bad;
}

static const toy_protocol protocols[] = {
    { "two slots", slots_write, slots_read, 4 },
    { "rename", rename_write, rename_read, 3 },
    { "log", log_write, log_read, 2 },
};

TEST(right_protocols_survive_and_each_flaw_is_found)
{
    const oct_crash_options variants[] = {
        { .random_states = 64, .seed = test_seed },
        { .random_states = 64, .seed = test_seed + 1, .sector_bytes = 4096, .garbage = true },
    };
    for (size_t v = 0; v < 2; v++) {
        for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
            CHECK_EQ_U64(try_protocol(&protocols[i], 0, &variants[v]), 0);
            for (int flaw = 1; flaw <= protocols[i].flaws; flaw++) {
                /* A block inside one large sector can't be torn: there one slot without a
                 * second, or without a look at its checksum, does no harm. */
                bool untearable =
                    variants[v].sector_bytes == 4096 && i == 0 && (flaw == 2 || flaw == 3);
                uint64_t bad = try_protocol(&protocols[i], flaw, &variants[v]);
                CHECK(bad > 0 || untearable);
            }
        }
    }
}

/* Writing without any sync, every cut: some disk has nothing, some has everything. */
TEST(without_sync_everything_may_be_gone)
{
    protocol_run run = { .crash = recorder(&some_random), .flaw = 1 };
    run.vfs = oct_vfs_crash_vfs(run.crash);
    for (uint32_t number = 1; number <= STEPS; number++)
        CHECK(log_write(&run, number));
    uint64_t cut = oct_vfs_crash_operations(run.crash);
    for (uint64_t state = 0; state < 2; state++) {
        oct_vfs *disk;
        CHECK(oct_vfs_crash_state(run.crash, cut, state, &disk, NULL) == OCT_OK);
        CHECK_EQ_I64(log_read(disk, 0), state == 0 ? 0 : STEPS);
        oct_vfs_memory_destroy(disk);
    }
    oct_vfs_crash_destroy(run.crash);
}

/* A crash during recovery: the second recorder starts on a disk of the first, all of it synced. */
TEST(a_crash_can_follow_a_crash)
{
    oct_vfs_crash *first = recorder(&some_random), *second;
    const oct_vfs *vfs = oct_vfs_crash_vfs(first);
    CHECK(make(vfs, "dir/f", "text", false));
    CHECK(make(vfs, "g", "text", false));
    oct_vfs *disk;
    CHECK(oct_vfs_crash_state(first, oct_vfs_crash_operations(first), 1, &disk, NULL) == OCT_OK);
    CHECK(oct_vfs_crash_create(&test_alloc, &some_random, disk, &second, NULL) == OCT_OK);
    oct_vfs_memory_destroy(disk);
    CHECK(oct_vfs_crash_first(second) > 0);
    CHECK_EQ_U64(oct_vfs_crash_first(second), oct_vfs_crash_operations(second));
    vfs = oct_vfs_crash_vfs(second);
    CHECK(vfs->remove(vfs->self, "g", NULL) == OCT_OK);
    sightings f = { .path = "dir/f", .texts = { "text" } };
    sightings g = { .path = "g", .texts = { "text" } };
    look(second, &f);
    look(second, &g);
    CHECK(f.seen[0] > 0 && f.missing == 0 && f.strange == 0);
    CHECK(g.seen[0] > 0 && g.missing > 0 && g.strange == 0);
    oct_vfs_crash_destroy(second);
    oct_vfs_crash_destroy(first);
}

/* ---- random programs ------------------------------------------------------------------------- */

enum { FILES = 5, PROGRAM = 120, FILE_BYTES = 3000 };

/* What must be on every disk: for each file the content of its last sync, if nothing touched it
 * since. Files are never renamed here, so the model stays this simple. */
typedef struct program_model {
    char content[FILES][FILE_BYTES];
    size_t size[FILES];
    bool certain[FILES]; /* synced, and not changed since */
    bool removed[FILES]; /* the last that happened to it */
    bool absent[FILES];  /* removed, and a file of its directory synced since */
} program_model;

static void file_path(int file, char path[8])
{
    memcpy(path, "d/f0", 5);
    path[3] = (char)('0' + file);
}

static bool program_step(const oct_vfs *vfs, program_model *model)
{
    char path[8];
    int which = (int)test_random_below(FILES);
    uint32_t action = test_random_below(10);
    file_path(which, path);
    if (action == 9) {
        oct_status removed = vfs->remove(vfs->self, path, NULL);
        if (removed != OCT_OK) return removed == OCT_NOT_FOUND;
        model->certain[which] = false;
        model->removed[which] = true;
        model->size[which] = 0;
        return true;
    }
    model->removed[which] = model->absent[which] = false; /* it is created if it was */
    oct_file *file = open_at(vfs, path, RWC);
    if (!file) return false;
    size_t offset = test_random_below(FILE_BYTES / 2);
    size_t bytes = 1 + test_random_below(FILE_BYTES / 2);
    size_t size = model->size[which];
    bool good = true;
    if (action < 5) {
        char *at = model->content[which];
        if (offset > size) memset(at + size, 0, offset - size);
        for (size_t i = 0; i < bytes; i++)
            at[offset + i] = (char)test_random();
        if (offset + bytes > size) model->size[which] = offset + bytes;
        good = put(vfs, file, offset, at + offset, bytes);
        model->certain[which] = false;
    } else if (action < 6) {
        if (bytes > size) memset(model->content[which] + size, 0, bytes - size);
        model->size[which] = bytes;
        good = vfs->truncate(vfs->self, file, bytes, NULL) == OCT_OK;
        model->certain[which] = false;
    } else {
        good = sync_file(vfs, file);
        model->certain[which] = true;
        for (int i = 0; i < FILES; i++)
            model->absent[i] |= model->removed[i];
    }
    vfs->close(vfs->self, file);
    return good;
}

static bool model_holds(const program_model *model, const oct_vfs *disk)
{
    for (int i = 0; i < FILES; i++) {
        static char found[FILE_BYTES];
        char path[8];
        uint64_t size;
        file_path(i, path);
        if (model->absent[i] && get(disk, path, found, sizeof found, &size)) return false;
        if (!model->certain[i]) continue;
        if (!get(disk, path, found, sizeof found, &size)) return false;
        if (size != model->size[i] || memcmp(found, model->content[i], (size_t)size) != 0)
            return false;
    }
    return true;
}

/* Also: the disk that keeps everything is the running storage, whatever happened. */
static bool everything_is_everything(const oct_vfs *disk, const oct_vfs *running)
{
    for (int i = 0; i < FILES; i++) {
        static char found[FILE_BYTES], expected[FILE_BYTES];
        char path[8];
        uint64_t size, expected_size;
        file_path(i, path);
        bool there = get(disk, path, found, sizeof found, &size);
        bool should = get(running, path, expected, sizeof expected, &expected_size);
        if (there != should || size != expected_size) return false;
        if (memcmp(found, expected, sizeof found) != 0) return false;
    }
    return true;
}

TEST(random_programs_keep_what_they_synced)
{
    static program_model model;
    uint64_t disks = 0;
    for (int round = 0; round < 10; round++) {
        oct_crash_options options = { .random_states = 10,
                                      .seed = test_random(),
                                      .garbage = round % 2 };
        oct_vfs_crash *crash = recorder(&options);
        const oct_vfs *vfs = oct_vfs_crash_vfs(crash);
        memset(&model, 0, sizeof model);
        for (int step = 0; step < PROGRAM; step++) {
            CHECK(program_step(vfs, &model));
            uint64_t cut = oct_vfs_crash_operations(crash), states;
            CHECK(oct_vfs_crash_states(crash, cut, &states, NULL) == OCT_OK);
            for (uint64_t state = 0; state < states; state++) {
                oct_vfs *disk;
                CHECK(oct_vfs_crash_state(crash, cut, state, &disk, NULL) == OCT_OK);
                bool holds = model_holds(&model, disk);
                bool all = (state != 1 && states > 1) || everything_is_everything(disk, vfs);
                if (!holds || !all) {
                    char text[2000];
                    oct_vfs_crash_describe(crash, cut, state, text, sizeof text);
                    puts(text);
                }
                oct_vfs_memory_destroy(disk);
                CHECK(holds);
                CHECK(all);
                disks++;
            }
        }
        oct_vfs_crash_destroy(crash);
    }
    printf("  %" PRIu64 " disks\n", disks);
}

/* ---- speed and memory ------------------------------------------------------------------------ */

static uint64_t now_ns(void)
{
    struct timespec now = { 0, 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* only a figure to print */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Not a threshold (the machine is shared), a figure: 8 files of 16 KiB, the last being written. */
TEST(speed)
{
    static char bytes[16384];
    oct_crash_options options = { .random_states = 4000 };
    oct_vfs_crash *crash = recorder(&options);
    const oct_vfs *vfs = oct_vfs_crash_vfs(crash);
    for (int i = 0; i < 8; i++) {
        char path[] = { 'd', '/', (char)('a' + i), 0 };
        oct_file *file = open_at(vfs, path, RWC);
        for (size_t at = 0; at < sizeof bytes; at += 1024)
            CHECK(put(vfs, file, at, bytes, 1024));
        if (i < 7) CHECK(sync_file(vfs, file));
        vfs->close(vfs->self, file);
    }
    uint64_t start = now_ns();
    uint64_t cut = oct_vfs_crash_operations(crash), states;
    CHECK(oct_vfs_crash_states(crash, cut, &states, NULL) == OCT_OK);
    for (uint64_t state = 0; state < states; state++) {
        oct_vfs *disk;
        CHECK(oct_vfs_crash_state(crash, cut, state, &disk, NULL) == OCT_OK);
        oct_vfs_memory_destroy(disk);
    }
    double seconds = (double)(now_ns() - start) / 1e9;
    printf("  %" PRIu64 " disks of 128 KiB in %.3f s: %.0f a second\n", states, seconds,
           (double)states / seconds);
    oct_vfs_crash_destroy(crash);
}

TEST_MAIN(unsynced_creation_and_bytes_may_be_lost_and_may_be_kept,
          synced_bytes_and_their_name_are_on_every_disk,
          a_sync_of_one_file_keeps_nothing_of_another, an_overwrite_is_torn_only_at_sectors,
          a_rename_is_seen_wholly_or_not_at_all,
          a_removed_file_may_return_until_its_directory_is_synced,
          a_name_used_again_is_the_old_file_or_the_new_never_a_mixture,
          an_unsynced_truncation_may_be_lost,
          garbage_appears_only_where_growth_survived_without_its_bytes,
          the_same_state_is_the_same_disk_and_cuts_may_go_back, a_state_can_be_told_in_words,
          right_protocols_survive_and_each_flaw_is_found, without_sync_everything_may_be_gone,
          a_crash_can_follow_a_crash, random_programs_keep_what_they_synced, speed)
