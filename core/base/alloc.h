/* SPDX-License-Identifier: Apache-2.0
 *
 * alloc.h - owned memory: helpers over the host's one resize function, and a wrapper that counts,
 * limits and (for tests) fails on purpose. */
#ifndef OCTANT_BASE_ALLOC_H
#define OCTANT_BASE_ALLOC_H

#include "base/check.h"
#include "base/sync.h"
#include "octant/host.h"

/* Allocate `bytes` (> 0) uninitialised / zeroed; NULL on failure. Freed with oct_free and the same
 * size. */
void *oct_new(const oct_alloc *alloc, size_t bytes);
void *oct_new_zeroed(const oct_alloc *alloc, size_t bytes);
void oct_free(const oct_alloc *alloc, void *memory, size_t bytes); /* NULL allowed */

/* Free a large piece of the end of *memory, whose *bytes shrink; true when nothing is left, and
 * *memory is NULL. To give much back takes the system a while. */
bool oct_free_piece(const oct_alloc *alloc, void *memory_pointer, size_t *bytes);

/* count * item_bytes, false on overflow. Every size that comes from outside goes through it. */
bool oct_size_multiply(size_t count, size_t item_bytes, size_t *bytes);

/* Allocate / resize / free an array; NOMEM also when the size overflows. On failure *array and its
 * content stay as they were. New items are uninitialised. new_count 0 frees and sets NULL. */
OCT_MUST_CHECK oct_status oct_array_resize(const oct_alloc *alloc, void *array_pointer,
                                           size_t old_count, size_t new_count, size_t item_bytes,
                                           oct_error *error);

/* Make room for `needed` items in an array that doubles: *capacity grows to at least needed (from
 * empty: to at least 256 bytes). array_pointer is the address of the array pointer. On failure
 * (NOMEM) nothing changes. Freed with oct_array_resize(..., *capacity, 0, ...). */
OCT_MUST_CHECK oct_status oct_array_reserve(const oct_alloc *alloc, void *array_pointer,
                                            size_t *capacity, size_t needed, size_t item_bytes,
                                            oct_error *error);

/* An allocator that counts and limits another one. `alloc` is what users take. */
typedef struct oct_counting_alloc {
    oct_alloc alloc;
    const oct_alloc *below;
    oct_atomic_u64 bytes; /* now allocated */
    oct_atomic_u64 peak;  /* the most so far */
    oct_atomic_u64 calls; /* allocations and growths asked for, those refused included */
    uint64_t bytes_max;   /* 0 = no limit */
    uint64_t fail_at;     /* tests: refuse the call number `fail_at` (1 = first); 0 = never */
    bool fail_after;      /* ... and every one after it */
} oct_counting_alloc;

/* `counting` must not move afterwards. Any number of threads may use it. Shrinking and freeing are
 * never refused. */
void oct_counting_alloc_init(oct_counting_alloc *counting, const oct_alloc *below,
                             uint64_t bytes_max);

#endif
