/* SPDX-License-Identifier: Apache-2.0
 *
 * host.h - everything the core takes from the world: memory, storage, time, randomness, log
 * lines and worker threads. The browser, WASI, the server and the crash simulator are four
 * hosts; the core is the same. */
#ifndef OCTANT_HOST_H
#define OCTANT_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "octant/status.h"
#include "octant/vfs.h"

/* One function for all memory (the shape of Lua's allocator).
 * old == NULL, old_bytes == 0: allocate new_bytes (> 0). new_bytes == 0: free, returns NULL.
 * Otherwise resize, keeping the content; on failure returns NULL and `old` stays valid.
 * Results are aligned for any scalar type (>= 8 bytes). Must be callable by several threads. */
typedef struct oct_alloc {
    void *self;
    void *(*resize)(void *self, void *old, size_t old_bytes, size_t new_bytes);
} oct_alloc;

typedef enum oct_log_level {
    OCT_LOG_DEBUG,
    OCT_LOG_INFO,
    OCT_LOG_WARN,
    OCT_LOG_ERROR
} oct_log_level;

/* What the bits of a packed row mean (core/simd/kernels.h). */
typedef struct oct_packing oct_packing;

/* Kernels that the host has and this build of the core can't contain, as instructions that only
 * some machines load are in a module of their own. core/simd/kernels.h says what each does. */
typedef struct oct_host_kernels {
    const char *name;
    int32_t (*dot_u7i8)(const uint8_t *a, const int8_t *b, size_t n);
    void (*dot_u7i8_x4)(const uint8_t *a, const int8_t *const b[4], size_t n, int32_t out[4]);
    int32_t (*dot_packed)(const uint8_t *a, const uint8_t *row, size_t n,
                          const oct_packing *packing);
    void (*dot_u7u4_x4)(const uint8_t *a, const int8_t *const b[4], size_t n, int32_t out[4]);
} oct_host_kernels;

typedef struct oct_host {
    const oct_alloc *alloc; /* outlives the database, as does the vfs */
    const oct_vfs *vfs;
    void *self;
    /* Wall clock in milliseconds since 1970 (only shown to users, never used to order anything)
     * and a clock that never goes back, in nanoseconds, from any start. */
    uint64_t (*unix_ms)(void *self);
    uint64_t (*monotonic_ns)(void *self);
    /* Fill `target` with random bytes (names, hash seeds). */
    oct_status (*entropy)(void *self, void *target, size_t bytes, oct_error *error);
    /* One line for the operator; may be NULL. */
    void (*log)(void *self, oct_log_level level, const char *message);
    /* Run run(arg, 0..tasks-1), each once, on any threads, and return when all are done. NULL, or
     * parallel_width 1, means a plain loop. Results never depend on the width. */
    void (*parallel)(void *self, uint32_t tasks, void (*run)(void *arg, uint32_t task), void *arg);
    uint32_t parallel_width;
    /* Tried when a database is opened that isn't told which kernels to use, and taken when their
     * answers are right, with a warning to `log` when not. NULL: none. */
    const oct_host_kernels *kernels;
} oct_host;

#endif
