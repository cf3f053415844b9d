/* SPDX-License-Identifier: Apache-2.0
 *
 * native.c - what liboctant.so adds to the core: octant/native.h, a host over the C library and
 * the thread pool, both of which the native program uses too. */
#include "octant/native.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands_host.h"
#include "pool.h"

struct oct_native {
    oct_host host;
    oct_vfs *vfs;
    oct_pool *pool;
    oct_db *db;
};

static oct_status refuse(oct_error *error, const char *what)
{
    int code = errno;
    if (!error) return OCT_NOMEM;
    *error = (oct_error){ .status = OCT_NOMEM, .os_code = code };
    (void)snprintf(error->message, sizeof error->message, "%s: %s", what, strerror(code));
    return OCT_NOMEM;
}

static oct_status start_threads(oct_native *native, uint32_t threads, oct_error *error)
{
    uint32_t width = threads ? threads : oct_pool_processors();
    if (width == 1) return OCT_OK;
    native->pool = oct_pool_create(width);
    if (!native->pool) return refuse(error, "worker threads can't be started");
    native->host.self = native->pool;
    native->host.parallel = oct_pool_run;
    native->host.parallel_width = width;
    return OCT_OK;
}

static oct_status open_all(oct_native *native, const char *directory,
                           const oct_open_options *options, uint32_t threads, oct_error *error)
{
    const oct_open_options defaults = { .read_only = false };
    native->host = oct_host_create();
    oct_status status = start_threads(native, threads, error);
    if (status == OCT_OK)
        status = oct_vfs_posix_create(native->host.alloc, directory, &native->vfs, error);
    native->host.vfs = native->vfs;
    if (status == OCT_OK)
        status = oct_open(&native->host, options ? options : &defaults, &native->db, error);
    return status;
}

oct_status oct_native_open(const char *directory, const oct_open_options *options, uint32_t threads,
                           oct_native **out, oct_error *error)
{
    oct_native *native = calloc(1, sizeof *native);
    *out = NULL;
    if (!native) return refuse(error, directory);
    oct_status status = open_all(native, directory, options, threads, error);
    if (status == OCT_OK)
        *out = native;
    else
        oct_native_close(native);
    return status;
}

oct_db *oct_native_db(const oct_native *native)
{
    return native->db;
}

void oct_native_close(oct_native *native)
{
    if (!native) return;
    oct_close(native->db);
    if (native->vfs) oct_vfs_posix_destroy(native->vfs);
    oct_pool_destroy(native->pool);
    free(native);
}
