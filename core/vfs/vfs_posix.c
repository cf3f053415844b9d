/* SPDX-License-Identifier: Apache-2.0
 *
 * vfs_posix.c - files of a directory, through POSIX; also WASI, without mmap and locks.
 *
 * Everything is opened relative to descriptors (the root's, then the subdirectory's) and never
 * through a symbolic link, so that no path leaves the root whatever others put there.
 *
 * Durable names: data alone is not enough after a power cut, the directory entry must be on disk
 * too. A handle's first sync therefore also syncs its directory and the root (which holds the
 * directory's own entry), whoever created the file and whenever; later syncs repeat that only
 * when a name changed since, which `name_changes` counts for the whole vfs. So a log pays for
 * directories once and after each remove or rename, and no table of directories is needed.
 *
 * Locks are flock's: they belong to the open file, so that they also hold between two handles of
 * one process, and are not lost when another handle is closed, as fcntl's are. After a lock is
 * taken the name is looked up again: the file may have been removed while we waited for it.
 *
 * After a failed fsync the kernel may have dropped the dirty pages and reports success next time;
 * a handle whose sync failed once therefore fails every later one.
 *
 * Subdirectories are made with their first file and removed with their last. The names' mutex
 * keeps one thread's rmdir from falling between another's mkdir and create. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h> /* renameat */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/sync.h"
#include "octant/octant.h"
#include "vfs/vfs_path.h"

/* What the target lacks. WASI has no file locks, only a copying imitation of mmap, no descriptors
 * for ".." and, in wasmtime, answers EBADF to fsync of a directory: there names are as durable as
 * the host makes them. wasmtime also opens for reading only, without saying so, what is opened for
 * writing below a directory descriptor, unless O_CREAT is given. O_NONBLOCK keeps an open from
 * waiting for the other end of a pipe. */
#if defined(__wasi__)
enum { HAVE_MMAP = 0, HAVE_FLOCK = 0, HAVE_DIRECTORY_SYNC = 0, OPEN_NONBLOCK = 0 };
enum { WRITING_NEEDS_CREATE = 1 };
enum { PROT_READ = 0, MAP_SHARED = 0, LOCK_EX = 0, LOCK_NB = 0 };
#define MAP_FAILED NULL
static void *mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset)
{
    UNUSED(at), UNUSED(bytes), UNUSED(protection), UNUSED(flags), UNUSED(file), UNUSED(offset);
    errno = ENOSYS;
    return MAP_FAILED;
}
static int munmap(void *at, size_t bytes)
{
    UNUSED(at), UNUSED(bytes);
    return -1;
}
static int flock(int file, int operation)
{
    UNUSED(file), UNUSED(operation);
    return 0;
}
#else
#include <sys/file.h>
#include <sys/mman.h>
enum { HAVE_MMAP = 1, HAVE_FLOCK = 1, HAVE_DIRECTORY_SYNC = 1, OPEN_NONBLOCK = O_NONBLOCK };
enum { WRITING_NEEDS_CREATE = 0 };
#endif

STATIC_ASSERT(sizeof(off_t) == 8, "file offsets need 64 bits");

enum {
    FILE_MODE = 0640,
    DIRECTORY_MODE = 0750,
    LOCK_ATTEMPTS_MAX = 100, /* a file that is replaced this often while we lock it is contended */
    TRANSFER_BYTES_MAX = 1 << 30 /* per system call: Linux does no more than 2 GiB at once */
};

struct oct_file {
    int descriptor;
    uint32_t flags;
    uint64_t names_synced; /* the count of name changes this handle's syncs have covered */
    bool sync_failed;
    char path[OCT_PATH_BYTES_MAX + 1]; /* as opened */
};

typedef struct posix_vfs {
    oct_vfs vfs;
    const oct_alloc *alloc;
    int root;
    size_t page_bytes;
    oct_mutex names;             /* held while names appear or go */
    oct_atomic_u64 name_changes; /* starts at 1; names_synced at 0 */
    oct_atomic_u64 opened;
} posix_vfs;

/* ---- errors ---------------------------------------------------------------------------------- */

static oct_status status_of(int code)
{
    switch (code) {
    case ENOENT:
        return OCT_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return OCT_NO_SPACE;
    case EROFS:
        return OCT_READONLY;
    case ENOMEM:
        return OCT_NOMEM;
    default:
        return OCT_IO;
    }
}

/* Report that `action` on `path` failed with `code`. */
static oct_status fail_errno(oct_error *error, int code, const char *action, const char *path)
{
    char text[128];
    if (strerror_r(code, text, sizeof text) != 0) memcpy(text, "unknown", sizeof "unknown");
    return oct_fail_os(error, status_of(code), code, "%s: %s: %s (error %d)",
                       path[0] ? path : "(root)", action, text, code);
}

/* Where a file is looked for, a directory of that name (or a file where its directory should be)
 * is the same as nothing. */
static int code_of_missing(int code)
{
    return code == ENOTDIR || code == EISDIR ? ENOENT : code;
}

/* ---- directories ----------------------------------------------------------------------------- */

/* The directory part of `path` and the file's name behind it. */
static const char *split(const char *path, char directory[OCT_PATH_BYTES_MAX + 1])
{
    size_t bytes = oct_vfs_directory_bytes(path);
    memcpy(directory, path, bytes);
    directory[bytes] = '\0';
    return bytes > 0 ? path + bytes + 1 : path;
}

static int open_retrying(int at, const char *name, int flags)
{
    int descriptor;
    do {
        descriptor = openat(at, name, flags | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    } while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

static int directory_open(const posix_vfs *posix, const char *directory)
{
    return open_retrying(posix->root, directory[0] ? directory : ".", O_RDONLY | O_DIRECTORY);
}

/* Linux releases the descriptor even when close is interrupted, so it is called once; what a
 * failing close could say about the data, sync has said before. */
static void descriptor_close(int descriptor)
{
    if (descriptor >= 0) (void)close(descriptor);
}

/* Call `flush` (fsync or fdatasync) until it is not interrupted; 0 or the error number. */
static int flush_retrying(int (*flush)(int), int descriptor)
{
    int result;
    do {
        result = flush(descriptor);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

/* Make the entries of one directory durable. A directory that is gone has none. */
static oct_status directory_sync(const posix_vfs *posix, const char *directory, oct_error *error)
{
    int descriptor = directory_open(posix, directory);
    if (descriptor < 0 && errno == ENOENT) return OCT_OK;
    if (descriptor < 0) return fail_errno(error, errno, "open the directory to sync", directory);
    int code = flush_retrying(fsync, descriptor);
    descriptor_close(descriptor);
    bool cannot = !HAVE_DIRECTORY_SYNC && (code == EBADF || code == EINVAL || code == ENOTSUP);
    if (code == 0 || cannot) return OCT_OK;
    return fail_errno(error, code, "sync the directory", directory);
}

/* Make the name `path` (or its absence) durable, up to the root. */
static oct_status names_sync(const posix_vfs *posix, const char *path, oct_error *error)
{
    char directory[OCT_PATH_BYTES_MAX + 1];
    (void)split(path, directory);
    oct_status status = OCT_OK;
    if (directory[0]) status = directory_sync(posix, directory, error);
    if (status == OCT_OK) status = directory_sync(posix, "", error);
    return status;
}

/* Open the directory of `path`, making it first when `create`; -1 with errno. */
static int parent_open(const posix_vfs *posix, const char *directory, bool create)
{
    int parent = directory_open(posix, directory);
    if (parent >= 0 || errno != ENOENT || !create) return parent;
    if (mkdirat(posix->root, directory, DIRECTORY_MODE) != 0 && errno != EEXIST) return -1;
    return directory_open(posix, directory);
}

/* Remove a subdirectory if its last file is gone; that it is not empty, or gone already, is the
 * usual case, and an empty directory left behind is not seen through list(). */
static void directory_prune(const posix_vfs *posix, const char *directory)
{
    if (directory[0]) (void)unlinkat(posix->root, directory, AT_REMOVEDIR);
}

/* ---- open and close -------------------------------------------------------------------------- */

/* Is `descriptor` still the file called `name`? -1 with errno, 0 no, 1 yes. */
static int same_file(int parent, const char *name, int descriptor)
{
    struct stat ours, named;
    if (fstat(descriptor, &ours) != 0) return -1;
    if (fstatat(parent, name, &named, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT ? 0 : -1;
    return ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/* Take the lock of an open file. EAGAIN: somebody has it; ESTALE: the file lost its name. */
static int lock_take(int parent, const char *name, int descriptor)
{
    int result;
    do {
        result = flock(descriptor, LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result != 0) return errno == EWOULDBLOCK ? EAGAIN : errno;
    int same = same_file(parent, name, descriptor);
    if (same < 0) return errno;
    return same ? 0 : ESTALE;
}

/* Open and, if asked, lock; -1 with errno, EAGAIN when another opener holds the lock. */
static int file_open(int parent, const char *name, uint32_t flags)
{
    int mode = ((flags & OCT_OPEN_WRITE) ? O_RDWR : O_RDONLY) | OPEN_NONBLOCK |
               ((flags & OCT_OPEN_CREATE) ? O_CREAT : 0);
    if (WRITING_NEEDS_CREATE && (flags & OCT_OPEN_WRITE) && !(flags & OCT_OPEN_CREATE)) {
        struct stat found;
        if (fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) != 0) return -1;
        mode |= O_CREAT; /* it is there, and nobody removes names while we hold their mutex */
    }
    for (int attempt = 0; attempt < LOCK_ATTEMPTS_MAX; attempt++) {
        int descriptor = open_retrying(parent, name, mode);
        if (descriptor < 0 || !HAVE_FLOCK || !(flags & OCT_OPEN_EXCLUSIVE)) return descriptor;
        int code = lock_take(parent, name, descriptor);
        if (code == 0) return descriptor;
        descriptor_close(descriptor);
        errno = code;
        if (code != ESTALE) return -1;
    }
    errno = EAGAIN;
    return -1;
}

static oct_status file_check_and_empty(int descriptor, const char *path, uint32_t flags,
                                       oct_error *error)
{
    struct stat found;
    if (fstat(descriptor, &found) != 0) return fail_errno(error, errno, "look at", path);
    if (S_ISDIR(found.st_mode)) {
        int code = (flags & OCT_OPEN_CREATE) ? EISDIR : ENOENT;
        return fail_errno(error, code, "open", path);
    }
    if (!S_ISREG(found.st_mode))
        return oct_fail(error, OCT_IO, "%s: expected a regular file", path);
    if (!(flags & OCT_OPEN_TRUNCATE) || found.st_size == 0) return OCT_OK;
    int result;
    do {
        result = ftruncate(descriptor, 0);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? OCT_OK : fail_errno(error, errno, "empty", path);
}

static oct_status descriptor_open(posix_vfs *posix, const char *path, uint32_t flags, int *out,
                                  oct_error *error)
{
    char directory[OCT_PATH_BYTES_MAX + 1];
    const char *name = split(path, directory);
    oct_mutex_lock(&posix->names);
    int parent = parent_open(posix, directory, (flags & OCT_OPEN_CREATE) != 0);
    int descriptor = parent < 0 ? -1 : file_open(parent, name, flags);
    int code = descriptor < 0 ? errno : 0;
    descriptor_close(parent);
    if (descriptor < 0 && (flags & OCT_OPEN_CREATE)) directory_prune(posix, directory);
    oct_mutex_unlock(&posix->names);
    *out = descriptor;
    if (descriptor >= 0) return OCT_OK;
    if (code == EAGAIN && (flags & OCT_OPEN_EXCLUSIVE))
        return oct_fail_os(error, OCT_LOCKED, code, "%s: locked by another opener", path);
    if (!(flags & OCT_OPEN_CREATE)) code = code_of_missing(code);
    return fail_errno(error, code, "open", path);
}

static oct_status disk_open(void *self, const char *path, uint32_t flags, oct_file **out,
                            oct_error *error)
{
    posix_vfs *posix = self;
    oct_status status = OCT_OK;
    oct_file *file = NULL;
    int descriptor = -1;
    *out = NULL;
    TRY(oct_vfs_check_open(path, flags, error));
    file = oct_new_zeroed(posix->alloc, sizeof *file);
    if (!file) TRY(oct_fail_nomem(error, "a file handle"));
    TRY(descriptor_open(posix, path, flags, &descriptor, error));
    TRY(file_check_and_empty(descriptor, path, flags, error));
    file->descriptor = descriptor;
    file->flags = flags;
    memcpy(file->path, path, strlen(path) + 1);
    (void)oct_atomic_add(&posix->opened, 1);
    *out = file;
    file = NULL;
    descriptor = -1;
done:
    descriptor_close(descriptor);
    oct_free(posix->alloc, file, sizeof *file);
    return status;
}

static void disk_close(void *self, oct_file *file)
{
    posix_vfs *posix = self;
    descriptor_close(file->descriptor); /* which also releases the lock */
    (void)oct_atomic_subtract(&posix->opened, 1);
    oct_free(posix->alloc, file, sizeof *file);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static oct_status disk_size(void *self, oct_file *file, uint64_t *bytes, oct_error *error)
{
    UNUSED(self);
    struct stat found;
    *bytes = 0;
    if (fstat(file->descriptor, &found) != 0)
        return fail_errno(error, errno, "take the size", file->path);
    *bytes = (uint64_t)found.st_size;
    return OCT_OK;
}

/* Read until `bytes` are there or the file ends. */
static oct_status read_all(const oct_file *file, uint64_t offset, uint8_t *target, size_t bytes,
                           size_t *done, oct_error *error)
{
    for (*done = 0; *done < bytes;) {
        ssize_t got =
            pread(file->descriptor, target + *done, MIN(bytes - *done, (size_t)TRANSFER_BYTES_MAX),
                  (off_t)(offset + *done));
        if (got == 0) break;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(error, errno, "read", file->path);
        *done += (size_t)got;
    }
    return OCT_OK;
}

static oct_status disk_read(void *self, oct_file *file, uint64_t offset, void *target, size_t bytes,
                            oct_error *error)
{
    size_t done = 0;
    oct_status status = OCT_OK;
    if (offset <= OCT_FILE_BYTES_MAX && bytes <= OCT_FILE_BYTES_MAX - offset)
        status = read_all(file, offset, target, bytes, &done, error);
    if (done == bytes) return status;
    memset((uint8_t *)target + done, 0, bytes - done);
    uint64_t size = 0;
    if (status == OCT_OK) status = disk_size(self, file, &size, error);
    if (status != OCT_OK) return status;
    /* The file may have grown since; what was read is what counts. */
    size = MIN(size, offset + done);
    return oct_vfs_check_inside(file->path, offset, bytes, size, error);
}

static oct_status disk_write(void *self, oct_file *file, uint64_t offset, const void *source,
                             size_t bytes, oct_error *error)
{
    UNUSED(self);
    oct_status status = oct_vfs_check_writable(file->path, file->flags, error);
    if (status == OCT_OK) status = oct_vfs_check_end(file->path, offset, bytes, error);
    if (status != OCT_OK) return status;
    for (size_t done = 0; done < bytes;) {
        ssize_t put = pwrite(file->descriptor, (const uint8_t *)source + done,
                             MIN(bytes - done, (size_t)TRANSFER_BYTES_MAX), (off_t)(offset + done));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail_errno(error, errno, "write", file->path);
        if (put == 0) return oct_fail(error, OCT_IO, "%s: a write wrote nothing", file->path);
        done += (size_t)put;
    }
    return OCT_OK;
}

static oct_status disk_truncate(void *self, oct_file *file, uint64_t bytes, oct_error *error)
{
    UNUSED(self);
    oct_status status = oct_vfs_check_writable(file->path, file->flags, error);
    if (status == OCT_OK) status = oct_vfs_check_end(file->path, 0, bytes, error);
    if (status != OCT_OK) return status;
    int result;
    do {
        result = ftruncate(file->descriptor, (off_t)bytes);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? OCT_OK : fail_errno(error, errno, "set the size", file->path);
}

static oct_status disk_sync(void *self, oct_file *file, oct_error *error)
{
    posix_vfs *posix = self;
    if (file->sync_failed)
        return oct_fail(error, OCT_IO, "%s: an earlier sync failed; what is on disk is unknown",
                        file->path);
    /* The count is read first: a change that comes meanwhile is left for the next sync. */
    uint64_t changes = oct_atomic_load(&posix->name_changes);
    oct_status status = OCT_OK;
    int code = flush_retrying(fdatasync, file->descriptor);
    if (code != 0) status = fail_errno(error, code, "sync", file->path);
    if (status == OCT_OK && file->names_synced != changes)
        status = names_sync(posix, file->path, error);
    if (status == OCT_OK) file->names_synced = changes;
    if (status != OCT_OK) file->sync_failed = true;
    return status;
}

/* ---- views ----------------------------------------------------------------------------------- */

/* mmap wants whole pages: the view starts inside its first page, and unview rounds down again. */
static oct_status disk_view(void *self, oct_file *file, uint64_t offset, size_t bytes,
                            const void **out, oct_error *error)
{
    static const _Alignas(64) uint8_t nothing[1] = { 0 };
    posix_vfs *posix = self;
    uint64_t size = 0;
    oct_status status = OCT_OK;
    *out = NULL;
    if (!HAVE_MMAP) TRY(oct_fail(error, OCT_UNSUPPORTED, "%s: no views here", file->path));
    TRY(disk_size(self, file, &size, error));
    TRY(oct_vfs_check_inside(file->path, offset, bytes, size, error));
    if (bytes == 0) {
        *out = nothing;
        goto done;
    }
    size_t lead = (size_t)(offset % posix->page_bytes);
    if (bytes > SIZE_MAX - lead) TRY(oct_fail_nomem(error, "a view of a file"));
    uint8_t *pages =
        mmap(NULL, lead + bytes, PROT_READ, MAP_SHARED, file->descriptor, (off_t)(offset - lead));
    if (pages == MAP_FAILED) TRY(fail_errno(error, errno, "map", file->path));
    *out = pages + lead;
done:
    return status;
}

static void disk_unview(void *self, oct_file *file, const void *view, size_t bytes)
{
    posix_vfs *posix = self;
    UNUSED(file);
    if (bytes == 0) return;
    size_t lead = (size_t)((uintptr_t)view % posix->page_bytes);
    union {
        const uint8_t *view;
        void *pages;
    } start = { .view = (const uint8_t *)view - lead };
    int result = munmap(start.pages, lead + bytes);
    ASSERT(result == 0);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Not synced here: the count makes the next sync of any file do it, as the contract allows. */
static oct_status disk_remove(void *self, const char *path, oct_error *error)
{
    posix_vfs *posix = self;
    oct_status status = oct_vfs_check_path(path, error);
    if (status != OCT_OK) return status;
    char directory[OCT_PATH_BYTES_MAX + 1];
    const char *name = split(path, directory);
    oct_mutex_lock(&posix->names);
    int parent = directory_open(posix, directory);
    int code = parent < 0 || unlinkat(parent, name, 0) != 0 ? errno : 0;
    descriptor_close(parent);
    if (code == 0) {
        directory_prune(posix, directory);
        (void)oct_atomic_add(&posix->name_changes, 1);
    }
    oct_mutex_unlock(&posix->names);
    return code == 0 ? OCT_OK : fail_errno(error, code_of_missing(code), "remove", path);
}

/* 0 or the error number. */
static int rename_names(posix_vfs *posix, const char *from, const char *to)
{
    char from_directory[OCT_PATH_BYTES_MAX + 1], to_directory[OCT_PATH_BYTES_MAX + 1];
    const char *from_name = split(from, from_directory);
    const char *to_name = split(to, to_directory);
    oct_mutex_lock(&posix->names);
    struct stat found;
    int target = -1;
    int source = directory_open(posix, from_directory);
    bool missing = source < 0 || fstatat(source, from_name, &found, AT_SYMLINK_NOFOLLOW) != 0;
    int code = missing ? code_of_missing(errno) : 0;
    if (code == 0 && !S_ISREG(found.st_mode)) code = ENOENT;
    if (code == 0) {
        target = parent_open(posix, to_directory, true);
        code = target < 0 || renameat(source, from_name, target, to_name) != 0 ? errno : 0;
        directory_prune(posix, code == 0 ? from_directory : to_directory);
        (void)oct_atomic_add(&posix->name_changes, 1);
    }
    descriptor_close(target);
    descriptor_close(source);
    oct_mutex_unlock(&posix->names);
    return code;
}

/* The new name first: a crash between the two syncs must not lose the file. */
static oct_status disk_rename(void *self, const char *from, const char *to, oct_error *error)
{
    posix_vfs *posix = self;
    oct_status status = oct_vfs_check_path(from, error);
    if (status == OCT_OK) status = oct_vfs_check_path(to, error);
    if (status != OCT_OK) return status;
    int code = rename_names(posix, from, to);
    if (code != 0) return fail_errno(error, code, "rename", from);
    status = names_sync(posix, to, error);
    if (status == OCT_OK) status = names_sync(posix, from, error);
    return status;
}

/* ---- list ------------------------------------------------------------------------------------ */

typedef struct list_call {
    const posix_vfs *posix;
    void (*each)(void *arg, const char *name);
    void *arg;
} list_call;

static void count_file(void *arg, const char *name)
{
    UNUSED(name);
    ++*(uint64_t *)arg;
}

static int list_directory(const list_call *call, const char *directory);

/* Give one entry to `each` if the contract knows such a thing; 0 or the error number. What can't
 * be opened by a path (foreign names, links, pipes, directories without files) is not listed. */
static int list_entry(const list_call *call, int parent, const char *name, bool in_root)
{
    struct stat found;
    if (!oct_vfs_component_valid(name)) return 0;
    if (fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT ? 0 : errno;
    if (S_ISREG(found.st_mode)) {
        call->each(call->arg, name);
        return 0;
    }
    if (!in_root || !S_ISDIR(found.st_mode)) return 0;
    uint64_t files = 0;
    list_call inside = { call->posix, count_file, &files };
    int code = list_directory(&inside, name);
    if (code != 0 || files == 0) return code;
    char directory[OCT_PATH_BYTES_MAX + 2];
    size_t bytes = strlen(name);
    memcpy(directory, name, bytes);
    memcpy(directory + bytes, "/", 2);
    call->each(call->arg, directory);
    return 0;
}

/* Recursion ends at depth two: only the root's entries are looked into. 0 or the error number. */
static int list_directory(const list_call *call, const char *directory)
{
    int descriptor = directory_open(call->posix, directory);
    if (descriptor < 0) return code_of_missing(errno) == ENOENT ? 0 : errno;
    DIR *stream = fdopendir(descriptor);
    if (!stream) {
        int code = errno;
        descriptor_close(descriptor);
        return code;
    }
    int code = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (!entry) code = errno;
        if (!entry) break;
        code = list_entry(call, descriptor, entry->d_name, directory[0] == '\0');
        if (code != 0) break;
    }
    (void)closedir(stream); /* which closes the descriptor; reading found no error */
    return code;
}

static oct_status disk_list(void *self, const char *directory,
                            void (*each)(void *arg, const char *name), void *arg, oct_error *error)
{
    oct_status status = oct_vfs_check_directory(directory, error);
    if (status != OCT_OK) return status;
    int code = list_directory(&(list_call){ self, each, arg }, directory);
    return code == 0 ? OCT_OK : fail_errno(error, code, "list", directory);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* The root itself may be a symbolic link. */
static int root_open_retrying(const char *root)
{
    int descriptor;
    do {
        descriptor = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

/* Open the root, making it (durably) when it is missing. */
static oct_status root_open(const char *root, int *out, oct_error *error)
{
    *out = root_open_retrying(root);
    if (*out >= 0) return OCT_OK;
    if (errno != ENOENT) return fail_errno(error, errno, "open the directory", root);
    if (mkdir(root, DIRECTORY_MODE) != 0 && errno != EEXIST)
        return fail_errno(error, errno, "make the directory", root);
    *out = root_open_retrying(root);
    if (*out < 0) return fail_errno(error, errno, "open the directory", root);
    if (!HAVE_DIRECTORY_SYNC) return OCT_OK;
    int parent = open_retrying(*out, "..", O_RDONLY | O_DIRECTORY);
    int code = parent < 0 ? errno : flush_retrying(fsync, parent);
    descriptor_close(parent);
    if (code == 0) return OCT_OK;
    descriptor_close(*out);
    *out = -1;
    return fail_errno(error, code, "sync the directory above", root);
}

static const oct_vfs methods = {
    .name = "posix",
    .caps = OCT_CAP_WRITE | OCT_CAP_RENAME | (HAVE_MMAP ? OCT_CAP_VIEW : 0) |
            (HAVE_FLOCK ? OCT_CAP_LOCK : 0),
    .open = disk_open,
    .close = disk_close,
    .size = disk_size,
    .read = disk_read,
    .write = disk_write,
    .truncate = disk_truncate,
    .sync = disk_sync,
    .view = disk_view,
    .unview = disk_unview,
    .remove = disk_remove,
    .rename = disk_rename,
    .list = disk_list,
};

oct_status oct_vfs_posix_create(const oct_alloc *alloc, const char *root, oct_vfs **out,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    *out = NULL;
    posix_vfs *posix = oct_new_zeroed(alloc, sizeof *posix);
    if (!posix) return oct_fail_nomem(error, "the storage");
    *posix = (posix_vfs){ .vfs = methods, .alloc = alloc, .root = -1, .name_changes = 1 };
    posix->vfs.self = posix;
    posix->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    TRY(root_open(root, &posix->root, error));
    if (oct_mutex_init(&posix->names) != OCT_OK)
        TRY(oct_fail_nomem(error, "the lock of the storage"));
    *out = &posix->vfs;
    posix = NULL;
done:
    if (posix) descriptor_close(posix->root);
    oct_free(alloc, posix, sizeof *posix);
    return status;
}

void oct_vfs_posix_destroy(oct_vfs *vfs)
{
    if (!vfs) return;
    posix_vfs *posix = vfs->self;
    ASSERT(oct_atomic_load(&posix->opened) == 0);
    descriptor_close(posix->root);
    oct_mutex_deinit(&posix->names);
    oct_free(posix->alloc, posix, sizeof *posix);
}
