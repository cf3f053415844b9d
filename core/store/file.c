/* SPDX-License-Identifier: Apache-2.0
 *
 * file.c - shared by the log, the manifest and the container. See file.h. */
#include "store/file.h"

#include <string.h>

/* One write's worth of zeros: large enough that a 1 MiB step is 64 calls, small enough to stand
 * in a wasm module's memory for good. */
static const uint8_t zeros[16 << 10];

oct_status oct_store_path_set(oct_store_path *out, const char *path, const char *suffix,
                              oct_error *error)
{
    size_t path_bytes = strlen(path);
    size_t suffix_bytes = strlen(suffix);
    if (path_bytes + suffix_bytes > OCT_PATH_BYTES_MAX)
        return oct_fail(error, OCT_BAD_INPUT, "%.40s...%s: a path has at most %d bytes", path,
                        suffix, OCT_PATH_BYTES_MAX);
    memcpy(out->text, path, path_bytes);
    memcpy(out->text + path_bytes, suffix, suffix_bytes + 1);
    return OCT_OK;
}

oct_status oct_store_write_zeros(const oct_vfs *vfs, oct_file *file, uint64_t from, uint64_t to,
                                 oct_error *error)
{
    while (from < to) {
        size_t bytes = (size_t)MIN(to - from, sizeof zeros);
        oct_status status = vfs->write(vfs->self, file, from, zeros, bytes, error);
        if (status != OCT_OK) return status;
        from += bytes;
    }
    return OCT_OK;
}

bool oct_store_all_zero(const void *at, size_t bytes)
{
    const uint8_t *from = at;
    while (bytes > 0) {
        size_t step = MIN(bytes, sizeof zeros);
        if (memcmp(from, zeros, step) != 0) return false;
        from += step;
        bytes -= step;
    }
    return true;
}
