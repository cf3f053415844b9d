/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: vfs_posix.c stands what the system does to it: interrupted and short calls, every call
 * failing once, failed syncs, other processes, and strangers' things in its directory.
 * Method: the source is compiled into this test with its system calls replaced by ones that can be
 * told to misbehave (so this program does not link vfs_posix.o, and is for POSIX only, not WASI).
 * What the calls are for is checked through their count: which syncs were made for which names. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- system calls that misbehave on demand --------------------------------------------------- */

static struct flaky {
    uint64_t calls;   /* that could fail */
    uint64_t fail_at; /* 0 = none */
    int code;         /* errno of the failing call */
    bool interrupt;   /* every other interruptible call is EINTR */
    bool odd;
    size_t transfer_bytes_max; /* of one read or write; 0 = no limit */
    bool write_nothing;        /* pwrite returns 0 */
    int fdatasync_code;        /* of the next fdatasync, 0 = none */
    unsigned fdatasyncs, fsyncs;
} flaky;

static bool fails(bool interruptible)
{
    if (interruptible && flaky.interrupt) {
        flaky.odd = !flaky.odd;
        if (flaky.odd) errno = EINTR;
        if (flaky.odd) return true;
    }
    flaky.calls++;
    if (flaky.fail_at == 0 || flaky.calls != flaky.fail_at) return false;
    errno = flaky.code;
    return true;
}

static int flaky_openat(int at, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) ? (mode_t)va_arg(more, unsigned) : 0;
    va_end(more);
    return fails(true) ? -1 : openat(at, path, flags, mode);
}

static size_t shortened(size_t bytes)
{
    size_t most = flaky.transfer_bytes_max;
    return most > 0 && bytes > most ? most : bytes;
}

static ssize_t flaky_pread(int file, void *target, size_t bytes, off_t offset)
{
    return fails(true) ? -1 : pread(file, target, shortened(bytes), offset);
}

static ssize_t flaky_pwrite(int file, const void *source, size_t bytes, off_t offset)
{
    if (flaky.write_nothing) return 0;
    return fails(true) ? -1 : pwrite(file, source, shortened(bytes), offset);
}

static int flaky_ftruncate(int file, off_t bytes)
{
    return fails(true) ? -1 : ftruncate(file, bytes);
}

static int flaky_fsync(int file)
{
    if (fails(true)) return -1;
    flaky.fsyncs++;
    return fsync(file);
}

static int flaky_fdatasync(int file)
{
    if (flaky.fdatasync_code) {
        errno = flaky.fdatasync_code;
        flaky.fdatasync_code = 0;
        return -1;
    }
    if (fails(true)) return -1;
    flaky.fdatasyncs++;
    return fdatasync(file);
}

static int flaky_flock(int file, int operation)
{
    return fails(true) ? -1 : flock(file, operation);
}

static int flaky_fstat(int file, struct stat *found)
{
    return fails(false) ? -1 : fstat(file, found);
}

static int flaky_fstatat(int at, const char *path, struct stat *found, int flags)
{
    return fails(false) ? -1 : fstatat(at, path, found, flags);
}

static int flaky_mkdirat(int at, const char *path, mode_t mode)
{
    return fails(false) ? -1 : mkdirat(at, path, mode);
}

/* Removing an emptied directory may fail unnoticed: it is not counted. */
static int flaky_unlinkat(int at, const char *path, int flags)
{
    return !(flags & AT_REMOVEDIR) && fails(false) ? -1 : unlinkat(at, path, flags);
}

static int flaky_renameat(int at, const char *from, int at_to, const char *to)
{
    return fails(false) ? -1 : renameat(at, from, at_to, to);
}

static void *flaky_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset)
{
    return fails(false) ? MAP_FAILED : mmap(at, bytes, protection, flags, file, offset);
}

static DIR *flaky_fdopendir(int descriptor)
{
    return fails(false) ? NULL : fdopendir(descriptor);
}

static struct dirent *flaky_readdir(DIR *stream)
{
    return fails(false) ? NULL : readdir(stream);
}

#define openat    flaky_openat
#define pread     flaky_pread
#define pwrite    flaky_pwrite
#define ftruncate flaky_ftruncate
#define fsync     flaky_fsync
#define fdatasync flaky_fdatasync
#define flock     flaky_flock
#define fstat     flaky_fstat
#define fstatat   flaky_fstatat
#define mkdirat   flaky_mkdirat
#define unlinkat  flaky_unlinkat
#define renameat  flaky_renameat
#define mmap      flaky_mmap
#define fdopendir flaky_fdopendir
#define readdir   flaky_readdir
#include "vfs/vfs_posix.c"
#undef openat
#undef mkdirat
#undef unlinkat
#undef fstat

#include "base/sync.h"
#include "conformance.h"
#include "test_alloc.h"
#include "test_directory.h"
#include "unit/test.h"

enum { RWC = OCT_OPEN_READ | OCT_OPEN_WRITE | OCT_OPEN_CREATE };

/* ---- short forms ----------------------------------------------------------------------------- */

static test_directory directory_;
static oct_vfs *vfs_;

static void begin(void)
{
    flaky = (struct flaky){ .calls = 0 };
    CHECK(test_directory_make(&directory_));
    CHECK(oct_vfs_posix_create(&test_alloc, directory_.path, &vfs_, NULL) == OCT_OK);
}

static void end(void)
{
    flaky = (struct flaky){ .calls = 0 };
    oct_vfs_posix_destroy(vfs_);
    CHECK(test_directory_remove(&directory_));
}

static oct_status open_at(const char *path, uint32_t flags, oct_file **out)
{
    return vfs_->open(vfs_->self, path, flags, out, NULL);
}

static oct_status put(oct_file *file, const char *text)
{
    return vfs_->write(vfs_->self, file, 0, text, strlen(text), NULL);
}

static oct_status sync_file(oct_file *file)
{
    return vfs_->sync(vfs_->self, file, NULL);
}

static oct_status remove_at(const char *path)
{
    return vfs_->remove(vfs_->self, path, NULL);
}

static bool file_holds(const char *path, const char *text)
{
    oct_file *file;
    char found[64] = "";
    uint64_t bytes = 0;
    if (open_at(path, OCT_OPEN_READ, &file) != OCT_OK) return false;
    bool good = vfs_->size(vfs_->self, file, &bytes, NULL) == OCT_OK && bytes == strlen(text) &&
                vfs_->read(vfs_->self, file, 0, found, strlen(text), NULL) == OCT_OK;
    vfs_->close(vfs_->self, file);
    return good && memcmp(found, text, strlen(text)) == 0;
}

static void count_name(void *arg, const char *name)
{
    (void)name;
    ++*(int *)arg;
}

static int names_in(const char *directory)
{
    int names = 0;
    oct_status status = vfs_->list(vfs_->self, directory, count_name, &names, NULL);
    return status == OCT_OK ? names : -1;
}

/* "vfs-test-0/name", for doing things behind the vfs's back. */
static const char *behind(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", directory_.path, name);
    return path;
}

/* The lowest free descriptor: equal before and after means none leaked. */
static int lowest_descriptor(void)
{
    int descriptor = open("/dev/null", O_RDONLY);
    close(descriptor);
    return descriptor;
}

/* ---- misbehaving calls ----------------------------------------------------------------------- */

TEST(interrupted_and_short_calls_are_invisible)
{
    begin();
    flaky.interrupt = true;
    flaky.transfer_bytes_max = 700;
    int bad = oct_vfs_conformance(vfs_, NULL, "posix, interrupted and short", NULL);
    end();
    CHECK(bad == 0);
}

/* ---- signals --------------------------------------------------------------------------------- */

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals++;
}

typedef struct pest {
    pthread_t target;
    oct_atomic_u64 stop;
} pest;

/* Interrupt the target again and again. */
static void *disturb(void *arg)
{
    pest *me = arg;
    const struct timespec pause = { .tv_nsec = 20000 };
    while (!oct_atomic_load(&me->stop)) {
        (void)pthread_kill(me->target, SIGUSR1);
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

/* Write, sync and read back a file that takes the kernel a while; the number of rounds that came
 * back whole. */
static unsigned large_rounds(unsigned rounds)
{
    enum { BYTES = 8 << 20 };
    unsigned good = 0;
    oct_file *file;
    uint8_t *bytes = malloc(2 * BYTES);
    if (!bytes) return 0;
    for (unsigned i = 0; i < rounds && open_at("large", RWC, &file) == OCT_OK; i++) {
        memset(bytes, (int)i + 1, BYTES);
        memset(bytes + BYTES, 0, BYTES);
        good += vfs_->write(vfs_->self, file, 0, bytes, BYTES, NULL) == OCT_OK &&
                sync_file(file) == OCT_OK &&
                vfs_->read(vfs_->self, file, 0, bytes + BYTES, BYTES, NULL) == OCT_OK &&
                memcmp(bytes, bytes + BYTES, BYTES) == 0;
        vfs_->close(vfs_->self, file);
    }
    free(bytes);
    return remove_at("large") == OCT_OK ? good : 0;
}

TEST(signals_without_restart_are_invisible)
{
    enum { ROUNDS = 12 };
    struct sigaction action = { .sa_handler = on_signal }, before; /* not SA_RESTART */
    pest me = { .target = pthread_self() };
    pthread_t thread;
    begin();
    signals = 0;
    CHECK(sigaction(SIGUSR1, &action, &before) == 0);
    CHECK(pthread_create(&thread, NULL, disturb, &me) == 0);
    int bad = oct_vfs_conformance(vfs_, NULL, "posix, with signals", NULL);
    unsigned good = large_rounds(ROUNDS);
    oct_atomic_store(&me.stop, 1);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(sigaction(SIGUSR1, &before, NULL) == 0);
    end();
    printf("  %d signals\n", (int)signals);
    CHECK(bad == 0);
    CHECK_EQ_U64(good, ROUNDS);
    CHECK(signals > 20);
}

/* ---- every call, every allocation ------------------------------------------------------------ */

/* Everything the vfs can do, on two files; the first failure ends it. */
static oct_status script(void)
{
    oct_status status = OCT_OK;
    oct_file *file = NULL;
    const void *view = NULL;
    char found[9000];
    int names = 0;
    static char bytes[9000];
    TRY(open_at("made/a", RWC | OCT_OPEN_EXCLUSIVE, &file));
    TRY(vfs_->write(vfs_->self, file, 0, bytes, sizeof bytes, NULL));
    TRY(sync_file(file));
    TRY(vfs_->view(vfs_->self, file, 4000, 5000, &view, NULL));
    vfs_->unview(vfs_->self, file, view, 5000);
    TRY(vfs_->read(vfs_->self, file, 0, found, sizeof found, NULL));
    TRY(vfs_->truncate(vfs_->self, file, 100, NULL));
    vfs_->close(vfs_->self, file);
    file = NULL;
    TRY(open_at("made/a", OCT_OPEN_WRITE | OCT_OPEN_TRUNCATE, &file));
    TRY(vfs_->rename(vfs_->self, "made/a", "moved/b", NULL));
    TRY(vfs_->list(vfs_->self, "", count_name, &names, NULL));
    TRY(vfs_->list(vfs_->self, "moved", count_name, &names, NULL));
    TRY(remove_at("moved/b"));
    TRY(sync_file(file));
done:
    if (file) vfs_->close(vfs_->self, file);
    return status;
}

static void clean_up(void)
{
    (void)remove_at("made/a"); /* either may be there, or neither */
    (void)remove_at("moved/b");
}

TEST(every_call_may_fail_once_with_any_error)
{
    static const struct {
        int code;
        oct_status status;
    } kinds[] = {
        { EIO, OCT_IO },         { ENOSPC, OCT_NO_SPACE }, { EDQUOT, OCT_NO_SPACE },
        { EFBIG, OCT_NO_SPACE }, { EROFS, OCT_READONLY },  { ENOMEM, OCT_NOMEM },
        { EACCES, OCT_IO },      { EMFILE, OCT_IO },
    };
    oct_file *keep;
    uint64_t failures = 0;
    begin();
    CHECK(open_at("kept/file", RWC, &keep) == OCT_OK);
    CHECK(put(keep, "acknowledged") == OCT_OK && sync_file(keep) == OCT_OK);
    vfs_->close(vfs_->self, keep);
    int free_before = lowest_descriptor();
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
        for (uint64_t k = 1;; k++) {
            flaky = (struct flaky){ .fail_at = k, .code = kinds[kind].code };
            oct_status status = script();
            bool reached = flaky.calls >= k;
            flaky = (struct flaky){ .calls = 0 };
            if (!reached) break;
            CHECK(status == kinds[kind].status);
            CHECK_EQ_I64(lowest_descriptor(), free_before);
            CHECK(file_holds("kept/file", "acknowledged"));
            clean_up();
            CHECK_EQ_I64(names_in(""), 1);
            /* Nothing of the failure is left behind: the same script works at once. */
            CHECK(script() == OCT_OK);
            failures++;
        }
        CHECK(script() == OCT_OK);
    }
    printf("  %" PRIu64 " failures, each reported as itself\n", failures);
    CHECK(failures > 200);
    CHECK(remove_at("kept/file") == OCT_OK);
    end();
}

TEST(any_allocation_may_fail)
{
    uint64_t failures = 0;
    CHECK(test_directory_make(&directory_));
    flaky = (struct flaky){ .calls = 0 };
    int free_before = lowest_descriptor();
    for (uint64_t k = 1;; k++) {
        oct_counting_alloc counting;
        oct_counting_alloc_init(&counting, &test_alloc, 0);
        counting.fail_at = k;
        oct_status status = oct_vfs_posix_create(&counting.alloc, directory_.path, &vfs_, NULL);
        if (status == OCT_OK) {
            status = script();
            CHECK(status == OCT_OK || status == OCT_NOMEM);
            counting.fail_at = 0;
            clean_up();
            CHECK(script() == OCT_OK);
            oct_vfs_posix_destroy(vfs_);
        }
        CHECK_EQ_U64(oct_atomic_load(&counting.bytes), 0);
        CHECK_EQ_I64(lowest_descriptor(), free_before);
        if (status == OCT_OK) break;
        CHECK(status == OCT_NOMEM);
        failures++;
    }
    CHECK(failures >= 3);
    CHECK(test_directory_remove(&directory_));
}

TEST(a_write_that_writes_nothing_is_an_error_not_a_loop)
{
    oct_file *file;
    begin();
    CHECK(open_at("a", RWC, &file) == OCT_OK);
    flaky.write_nothing = true;
    CHECK(put(file, "text") == OCT_IO);
    flaky.write_nothing = false;
    vfs_->close(vfs_->self, file);
    CHECK(remove_at("a") == OCT_OK);
    end();
}

TEST(a_full_disk_fails_in_the_middle_of_a_write)
{
    oct_file *file;
    begin();
    CHECK(open_at("a", RWC, &file) == OCT_OK);
    flaky = (struct flaky){ .transfer_bytes_max = 3, .fail_at = 3, .code = ENOSPC };
    CHECK(put(file, "0123456789") == OCT_NO_SPACE);
    flaky = (struct flaky){ .calls = 0 };
    uint64_t bytes;
    CHECK(vfs_->size(vfs_->self, file, &bytes, NULL) == OCT_OK);
    CHECK_EQ_U64(bytes, 6);
    vfs_->close(vfs_->self, file);
    CHECK(remove_at("a") == OCT_OK);
    end();
}

/* ---- durability ------------------------------------------------------------------------------ */

TEST(a_failed_sync_is_final_for_its_handle)
{
    oct_file *file, *other;
    begin();
    CHECK(open_at("dir/a", RWC, &file) == OCT_OK);
    CHECK(put(file, "text") == OCT_OK);
    flaky.fdatasync_code = EIO;
    CHECK(sync_file(file) == OCT_IO);
    CHECK(sync_file(file) == OCT_IO);
    CHECK(sync_file(file) == OCT_IO);
    CHECK(open_at("dir/a", RWC, &other) == OCT_OK);
    CHECK(sync_file(other) == OCT_OK);
    vfs_->close(vfs_->self, file);
    vfs_->close(vfs_->self, other);
    CHECK(remove_at("dir/a") == OCT_OK);
    end();
}

/* Sync and say how many data syncs * 10 + directory syncs it took. */
static unsigned cost_of_sync(oct_file *file)
{
    flaky.fdatasyncs = flaky.fsyncs = 0;
    if (sync_file(file) != OCT_OK) return 99;
    return flaky.fdatasyncs * 10 + flaky.fsyncs;
}

TEST(a_sync_covers_names_once_and_again_after_they_changed)
{
    oct_file *log, *other, *root;
    begin();
    CHECK(open_at("dir/log", RWC, &log) == OCT_OK);
    CHECK_EQ_U64(cost_of_sync(log), 12); /* its directory, and the root that holds that */
    CHECK_EQ_U64(cost_of_sync(log), 10);
    CHECK(open_at("dir/other", RWC, &other) == OCT_OK);
    CHECK_EQ_U64(cost_of_sync(log), 10); /* other's name is not log's business */
    CHECK_EQ_U64(cost_of_sync(other), 12);
    vfs_->close(vfs_->self, other);
    CHECK(remove_at("dir/other") == OCT_OK);
    CHECK_EQ_U64(cost_of_sync(log), 12); /* the contract: the remove is durable after this */
    CHECK_EQ_U64(cost_of_sync(log), 10);
    CHECK(open_at("root.file", RWC, &root) == OCT_OK);
    CHECK_EQ_U64(cost_of_sync(root), 11);
    vfs_->close(vfs_->self, root);
    flaky.fsyncs = 0;
    CHECK(vfs_->rename(vfs_->self, "root.file", "dir/moved", NULL) == OCT_OK);
    CHECK(flaky.fsyncs >= 2); /* both directories, before it returns */
    /* A file that existed before, made by nobody knows whom, is covered too. */
    vfs_->close(vfs_->self, log);
    CHECK(open_at("dir/log", RWC, &log) == OCT_OK);
    CHECK_EQ_U64(cost_of_sync(log), 12);
    vfs_->close(vfs_->self, log);
    CHECK(remove_at("dir/log") == OCT_OK);
    CHECK(remove_at("dir/moved") == OCT_OK);
    end();
}

/* ---- strangers ------------------------------------------------------------------------------- */

TEST(what_is_no_plain_file_is_neither_followed_nor_listed)
{
    oct_file *file;
    test_directory outside;
    char target[96], link[96];
    begin();
    CHECK(test_directory_make(&outside));
    (void)snprintf(target, sizeof target, "../%s", outside.path);
    CHECK(symlink(target, behind("linked.dir")) == 0);
    (void)snprintf(link, sizeof link, "../%s/made", outside.path);
    CHECK(symlink(link, behind("linked.file")) == 0);
    CHECK(mkfifo(behind("pipe"), 0600) == 0);
    CHECK(mkdir(behind("empty"), 0700) == 0);
    CHECK(open_at("linked.file", RWC, &file) == OCT_IO);
    CHECK(open_at("linked.file", OCT_OPEN_READ, &file) == OCT_IO);
    CHECK(open_at("linked.dir/made", RWC, &file) == OCT_IO);
    CHECK(open_at("linked.dir/made", OCT_OPEN_READ, &file) != OCT_OK);
    CHECK(open_at("pipe", OCT_OPEN_READ, &file) == OCT_IO);
    CHECK(open_at("pipe", RWC, &file) == OCT_IO);
    CHECK(vfs_->rename(vfs_->self, "pipe", "moved", NULL) == OCT_NOT_FOUND);
    CHECK_EQ_I64(names_in(""), 0);
    CHECK_EQ_I64(names_in("linked.dir"), 0);
    CHECK(open_at("empty/a", RWC, &file) == OCT_OK);
    vfs_->close(vfs_->self, file);
    FILE *foreign = fopen(behind("empty/not our name"), "w");
    CHECK(foreign != NULL && fclose(foreign) == 0);
    CHECK_EQ_I64(names_in("empty"), 1);
    CHECK(remove_at("empty/a") == OCT_OK);
    CHECK_EQ_I64(names_in(""), 0);
    CHECK(unlink(behind("empty/not our name")) == 0);
    CHECK(rmdir(behind("empty")) == 0);
    CHECK(unlink(behind("linked.dir")) == 0 && unlink(behind("linked.file")) == 0);
    CHECK(unlink(behind("pipe")) == 0);
    CHECK(test_directory_remove(&outside)); /* nothing was made through the links */
    end();
}

TEST(the_root_is_made_if_its_parent_exists)
{
    oct_vfs *made;
    begin();
    CHECK(oct_vfs_posix_create(&test_alloc, behind("new"), &made, NULL) == OCT_OK);
    oct_vfs_posix_destroy(made);
    CHECK(rmdir(behind("new")) == 0);
    oct_error error;
    CHECK(oct_vfs_posix_create(&test_alloc, behind("no/parent"), &made, &error) == OCT_NOT_FOUND);
    CHECK(made == NULL);
    CHECK(error.os_code == ENOENT);
    FILE *file = fopen(behind("file"), "w");
    CHECK(file != NULL && fclose(file) == 0);
    CHECK(oct_vfs_posix_create(&test_alloc, behind("file"), &made, NULL) == OCT_IO);
    CHECK(unlink(behind("file")) == 0);
    end();
}

/* ---- other processes ------------------------------------------------------------------------- */

/* In a child: open the owner file exclusively, say the status, then wait to be killed. */
static void child_owner(int report)
{
    oct_vfs *own;
    oct_file *file;
    uint8_t status = 255;
    if (oct_vfs_posix_create(&test_alloc, directory_.path, &own, NULL) == OCT_OK)
        status = (uint8_t)own->open(own->self, "owner", RWC | OCT_OPEN_EXCLUSIVE, &file, NULL);
    if (write(report, &status, 1) != 1) _exit(1);
    for (;;)
        (void)pause();
}

static pid_t start_owner(uint8_t *status)
{
    int ends[2];
    if (pipe(ends) != 0) return -1;
    pid_t child = fork();
    if (child == 0) child_owner(ends[1]);
    close(ends[1]);
    if (child > 0 && read(ends[0], status, 1) != 1) *status = 255;
    close(ends[0]);
    return child;
}

static void stop_owner(pid_t child)
{
    int result;
    CHECK(kill(child, SIGKILL) == 0);
    CHECK(waitpid(child, &result, 0) == child);
}

TEST(the_lock_holds_between_processes_and_ends_with_its_owner)
{
    uint8_t first, second;
    oct_file *file;
    begin();
    pid_t owner = start_owner(&first);
    CHECK(owner > 0);
    pid_t rival = start_owner(&second);
    CHECK(rival > 0);
    oct_status ours = open_at("owner", RWC | OCT_OPEN_EXCLUSIVE, &file);
    stop_owner(rival);
    stop_owner(owner);
    CHECK_EQ_U64(first, OCT_OK);
    CHECK_EQ_U64(second, OCT_LOCKED);
    CHECK(ours == OCT_LOCKED);
    CHECK(open_at("owner", RWC | OCT_OPEN_EXCLUSIVE, &file) == OCT_OK);
    vfs_->close(vfs_->self, file);
    CHECK(remove_at("owner") == OCT_OK);
    end();
}

TEST_MAIN(interrupted_and_short_calls_are_invisible, signals_without_restart_are_invisible,
          every_call_may_fail_once_with_any_error, any_allocation_may_fail,
          a_write_that_writes_nothing_is_an_error_not_a_loop,
          a_full_disk_fails_in_the_middle_of_a_write, a_failed_sync_is_final_for_its_handle,
          a_sync_covers_names_once_and_again_after_they_changed,
          what_is_no_plain_file_is_neither_followed_nor_listed,
          the_root_is_made_if_its_parent_exists,
          the_lock_holds_between_processes_and_ends_with_its_owner)
