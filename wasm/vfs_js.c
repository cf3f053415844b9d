/* SPDX-License-Identifier: Apache-2.0
 *
 * vfs_js.c - an oct_vfs over synchronous JavaScript functions (vfs_js.lib.js).
 *
 * Values cross as plain numbers: text as pointer and length, files as small integers, offsets as
 * doubles (exact to 2^53, and no BigInt on the hot path), results as a number that is >= 0 or
 * minus an oct_status; the message of a failure is fetched with one more call. What does not fit a
 * double, and the contract's rules about ends of files and read-only handles, are settled here,
 * so that a storage in JavaScript is only what differs.
 *
 * Rejected: Asyncify and JSPI, which would let these functions wait for a Promise. The host does
 * its waiting between calls instead, and the module stays small and runs everywhere. */
#include "vfs_js.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest file: what a double counts exactly. */
#define FILE_BYTES_MAX (UINT64_C(1) << 53)

struct oct_file {
    int handle;
    uint32_t flags;
};

/* The imports. Negative results are minus an oct_status. */
extern int oct_js_open(const char *path, size_t bytes, uint32_t flags);
extern void oct_js_close(int handle);
extern double oct_js_size(int handle);
extern double oct_js_read(int handle, double offset, void *target, size_t bytes); /* bytes read */
extern int oct_js_write(int handle, double offset, const void *source, size_t bytes);
extern int oct_js_truncate(int handle, double bytes);
extern int oct_js_sync(int handle);
extern int oct_js_remove(const char *path, size_t bytes);
extern int oct_js_rename(const char *from, size_t from_bytes, const char *to, size_t to_bytes);
/* Keep the names of a directory; how many. Then fetch each, NUL-terminated. */
extern int oct_js_list(const char *directory, size_t bytes);
extern void oct_js_list_name(int index, char *target, size_t capacity);
/* The message of the last failure, NUL-terminated and cut to fit. */
extern void oct_js_message(char *target, size_t capacity);

/* ---- errors ---------------------------------------------------------------------------------- */

/* Report the failure JavaScript answered with. */
static oct_status fail_js(oct_error *error, double result)
{
    int code = (int)-result;
    oct_status status = code > 0 && code < OCT_STATUS_COUNT ? (oct_status)code : OCT_IO;
    if (error == NULL) return status;
    error->status = status;
    error->os_code = 0;
    oct_js_message(error->message, sizeof error->message);
    return status;
}

OCT_PRINTF(3, 4)
static oct_status fail(oct_error *error, oct_status status, const char *format, ...)
{
    if (error == NULL) return status;
    error->status = status;
    error->os_code = 0;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return status;
}

static oct_status status_of(oct_error *error, double result)
{
    return result < 0 ? fail_js(error, result) : OCT_OK;
}

static oct_status check_writable(const oct_file *file, oct_error *error)
{
    if (file->flags & OCT_OPEN_WRITE) return OCT_OK;
    return fail(error, OCT_READONLY, "file %d: opened for reading only", file->handle);
}

static oct_status check_end(uint64_t offset, uint64_t bytes, oct_error *error)
{
    if (offset <= FILE_BYTES_MAX && bytes <= FILE_BYTES_MAX - offset) return OCT_OK;
    return fail(error, OCT_NO_SPACE, "the write ends beyond the longest file, 2^53 bytes");
}

/* ---- methods --------------------------------------------------------------------------------- */

static oct_status js_open(void *self, const char *path, uint32_t flags, oct_file **out,
                          oct_error *error)
{
    (void)self;
    *out = NULL;
    oct_file *file = malloc(sizeof *file);
    if (file == NULL) return fail(error, OCT_NOMEM, "%s: no memory to open it", path);
    int handle = oct_js_open(path, strlen(path), flags);
    if (handle < 0) {
        free(file);
        return fail_js(error, handle);
    }
    *file = (oct_file){ .handle = handle, .flags = flags };
    *out = file;
    return OCT_OK;
}

static void js_close(void *self, oct_file *file)
{
    (void)self;
    oct_js_close(file->handle);
    free(file);
}

static oct_status js_size(void *self, oct_file *file, uint64_t *bytes, oct_error *error)
{
    (void)self;
    double size = oct_js_size(file->handle);
    if (size < 0) return fail_js(error, size);
    *bytes = (uint64_t)size;
    return OCT_OK;
}

static oct_status js_read(void *self, oct_file *file, uint64_t offset, void *target, size_t bytes,
                          oct_error *error)
{
    (void)self;
    if (bytes == 0) return OCT_OK;
    double got = 0;
    if (offset < FILE_BYTES_MAX) got = oct_js_read(file->handle, (double)offset, target, bytes);
    if (got < 0) return fail_js(error, got);
    if (got >= (double)bytes) return OCT_OK;
    memset((char *)target + (size_t)got, 0, bytes - (size_t)got);
    return fail(error, OCT_CORRUPT, "file %d: %zu bytes reach beyond the end", file->handle, bytes);
}

static oct_status js_write(void *self, oct_file *file, uint64_t offset, const void *source,
                           size_t bytes, oct_error *error)
{
    (void)self;
    oct_status status = check_writable(file, error);
    if (status == OCT_OK) status = check_end(offset, bytes, error);
    if (status != OCT_OK || bytes == 0) return status;
    return status_of(error, oct_js_write(file->handle, (double)offset, source, bytes));
}

static oct_status js_truncate(void *self, oct_file *file, uint64_t bytes, oct_error *error)
{
    (void)self;
    oct_status status = check_writable(file, error);
    if (status == OCT_OK) status = check_end(bytes, 0, error);
    if (status != OCT_OK) return status;
    return status_of(error, oct_js_truncate(file->handle, (double)bytes));
}

static oct_status js_sync(void *self, oct_file *file, oct_error *error)
{
    (void)self;
    return status_of(error, oct_js_sync(file->handle));
}

static oct_status js_view(void *self, oct_file *file, uint64_t offset, size_t bytes,
                          const void **out, oct_error *error)
{
    (void)self, (void)offset, (void)bytes;
    *out = NULL;
    return fail(error, OCT_UNSUPPORTED, "file %d: storage in JavaScript has no views",
                file->handle);
}

static void js_unview(void *self, oct_file *file, const void *view, size_t bytes)
{
    (void)self, (void)file, (void)view, (void)bytes; /* there are none */
}

static oct_status js_remove(void *self, const char *path, oct_error *error)
{
    (void)self;
    return status_of(error, oct_js_remove(path, strlen(path)));
}

static oct_status js_rename(void *self, const char *from, const char *to, oct_error *error)
{
    (void)self;
    return status_of(error, oct_js_rename(from, strlen(from), to, strlen(to)));
}

static oct_status js_list(void *self, const char *directory, void (*each)(void *, const char *),
                          void *arg, oct_error *error)
{
    (void)self;
    int count = oct_js_list(directory, strlen(directory));
    if (count < 0) return fail_js(error, count);
    for (int i = 0; i < count; i++) {
        char name[OCT_PATH_BYTES_MAX + 2]; /* a '/' at the end and NUL */
        oct_js_list_name(i, name, sizeof name);
        each(arg, name);
    }
    return OCT_OK;
}

void oct_vfs_js_init(oct_vfs *vfs, uint32_t caps)
{
    *vfs = (oct_vfs){
        .name = "js",
        .caps = caps & ~(uint32_t)OCT_CAP_VIEW,
        .open = js_open,
        .close = js_close,
        .size = js_size,
        .read = js_read,
        .write = js_write,
        .truncate = js_truncate,
        .sync = js_sync,
        .view = js_view,
        .unview = js_unview,
        .remove = js_remove,
        .rename = js_rename,
        .list = js_list,
    };
}
