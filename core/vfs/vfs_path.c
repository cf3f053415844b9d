/* SPDX-License-Identifier: Apache-2.0
 *
 * vfs_path.c - one judge of paths, flags and ranges for all backends.
 *
 * The alphabet of a path is small on purpose: what passes here means the same file name on every
 * file system, in OPFS and as an IndexedDB key, and can't leave the database's directory. Names
 * users choose (collections, vectors) never become paths; the layers above number their files. */
#include "vfs/vfs_path.h"

#include <string.h>

/* Bytes of the valid component at the start of `text`, ended by NUL or '/'; 0 when it is none. */
static size_t component_bytes(const char *text)
{
    size_t bytes = 0;
    for (; text[bytes] != '\0' && text[bytes] != '/'; bytes++) {
        char c = text[bytes];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool other = (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (!letter && !other) return 0;
        if (bytes == OCT_PATH_BYTES_MAX) return 0;
    }
    bool dots = text[0] == '.' && (bytes == 1 || (bytes == 2 && text[1] == '.'));
    return dots ? 0 : bytes;
}

bool oct_vfs_component_valid(const char *name)
{
    size_t bytes = component_bytes(name);
    return bytes > 0 && name[bytes] == '\0';
}

static bool path_valid(const char *path)
{
    size_t first = component_bytes(path);
    if (first == 0) return false;
    if (path[first] == '\0') return true;
    size_t second = component_bytes(path + first + 1);
    return second > 0 && path[first + 1 + second] == '\0' &&
           first + 1 + second <= OCT_PATH_BYTES_MAX;
}

oct_status oct_vfs_check_path(const char *path, oct_error *error)
{
    if (path_valid(path)) return OCT_OK;
    return oct_fail(error, OCT_BAD_INPUT,
                    "\"%.*s\" is not a storage path: expected one or two names of [A-Za-z0-9._-] "
                    "joined by '/', at most %d bytes",
                    2 * OCT_PATH_BYTES_MAX, path, OCT_PATH_BYTES_MAX);
}

oct_status oct_vfs_check_directory(const char *directory, oct_error *error)
{
    if (directory[0] == '\0' || oct_vfs_component_valid(directory)) return OCT_OK;
    return oct_fail(error, OCT_BAD_INPUT,
                    "\"%.*s\" is not a storage directory: expected \"\" or one name of "
                    "[A-Za-z0-9._-]",
                    2 * OCT_PATH_BYTES_MAX, directory);
}

oct_status oct_vfs_check_open(const char *path, uint32_t flags, oct_error *error)
{
    const uint32_t known =
        OCT_OPEN_READ | OCT_OPEN_WRITE | OCT_OPEN_CREATE | OCT_OPEN_TRUNCATE | OCT_OPEN_EXCLUSIVE;
    oct_status status = oct_vfs_check_path(path, error);
    if (status != OCT_OK) return status;
    bool access = (flags & (OCT_OPEN_READ | OCT_OPEN_WRITE)) != 0;
    bool changes = (flags & (OCT_OPEN_CREATE | OCT_OPEN_TRUNCATE)) != 0;
    if (access && (flags & ~known) == 0 && (!changes || (flags & OCT_OPEN_WRITE))) return OCT_OK;
    return oct_fail(error, OCT_BAD_INPUT,
                    "%s: open flags 0x%" PRIx32 ": expected READ or WRITE, and WRITE with CREATE "
                    "and TRUNCATE",
                    path, flags);
}

size_t oct_vfs_directory_bytes(const char *path)
{
    const char *slash = strchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

oct_status oct_vfs_check_inside(const char *path, uint64_t offset, uint64_t bytes, uint64_t size,
                                oct_error *error)
{
    if (offset <= size && bytes <= size - offset) return OCT_OK;
    return oct_fail(error, OCT_CORRUPT,
                    "%s: %" PRIu64 " bytes at %" PRIu64 " reach beyond the end at %" PRIu64, path,
                    bytes, offset, size);
}

oct_status oct_vfs_check_end(const char *path, uint64_t offset, uint64_t bytes, oct_error *error)
{
    if (offset <= OCT_FILE_BYTES_MAX && bytes <= OCT_FILE_BYTES_MAX - offset) return OCT_OK;
    return oct_fail(error, OCT_NO_SPACE,
                    "%s: %" PRIu64 " bytes at %" PRIu64 " end beyond the longest file", path, bytes,
                    offset);
}

oct_status oct_vfs_check_writable(const char *path, uint32_t flags, oct_error *error)
{
    if (flags & OCT_OPEN_WRITE) return OCT_OK;
    return oct_fail(error, OCT_READONLY, "%s: opened for reading only", path);
}
