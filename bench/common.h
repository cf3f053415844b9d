/* SPDX-License-Identifier: Apache-2.0
 *
 * common.h - what the C benchmarks share: giving up, reading a file of numbers, memory. */
#ifndef OCTANT_BENCH_COMMON_H
#define OCTANT_BENCH_COMMON_H

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

static inline void die(const char *text)
{
    fprintf(stderr, "bench: %s\n", text);
    exit(1);
}

/* A whole file, at a multiple of 64 bytes. The caller frees it. */
static inline void *read_file(const char *path, size_t bytes_min, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    if (*bytes < bytes_min) die("a file is too short");
    void *at = aligned_alloc(64, (*bytes + 63) / 64 * 64);
    if (!at || fread(at, 1, *bytes, file) != *bytes) die("cannot read a file");
    fclose(file);
    return at;
}

/* An oct_alloc's resize over realloc. */
static inline void *resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    UNUSED(self);
    UNUSED(old_bytes);
    if (new_bytes > 0) return realloc(old, new_bytes);
    free(old);
    return NULL;
}

#endif
