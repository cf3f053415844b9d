/* SPDX-License-Identifier: Apache-2.0
 *
 * base_heap.h - the host's allocator as nasty as its contract allows, for tests of memory.
 *
 * New memory is full of garbage, a resize always moves, half of the blocks are aligned to 8 bytes
 * and not to 16, and a wrong old size ends the program. heap_counting puts the counting
 * allocator over it: a test ends with CHECK(heap_is_empty()), and an allocation-failure sweep is
 *
 *     for (uint64_t k = 1; heap_fail_at(k); k++) { ... one whole run ... }
 *
 * where heap_fail_at starts a run whose k-th allocation fails and, since the loop asks again
 * before each run, stops as soon as the run before had fewer than k allocations. */
#ifndef OCT_TEST_BASE_HEAP_H
#define OCT_TEST_BASE_HEAP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static size_t heap_turn;

static inline void *heap_resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    enum { HEADER = 32 }; /* the size, then padding of 16 or 24 bytes before the content */
    UNUSED(self);
    char *start = NULL;
    if (old) {
        size_t shift;
        memcpy(&shift, (char *)old - sizeof shift, sizeof shift);
        start = (char *)old - shift;
        size_t known;
        memcpy(&known, start, sizeof known);
        if (known != old_bytes) {
            printf("heap: %zu bytes given back as %zu\n", known, old_bytes);
            abort();
        }
    } else if (old_bytes != 0) {
        printf("heap: NULL given back as %zu bytes\n", old_bytes);
        abort();
    }
    char *content = NULL;
    if (new_bytes > SIZE_MAX / 2) return NULL;
    if (new_bytes > 0) {
        size_t shift = heap_turn++ % 2 ? HEADER : HEADER - 8;
        char *fresh = malloc(new_bytes + shift);
        if (!fresh) return NULL;
        memcpy(fresh, &new_bytes, sizeof new_bytes);
        content = fresh + shift;
        memcpy(content - sizeof shift, &shift, sizeof shift);
        memset(content, 0xA5, new_bytes);
        if (old) memcpy(content, old, old_bytes < new_bytes ? old_bytes : new_bytes);
    }
    free(start);
    return content;
}

static const oct_alloc heap = { NULL, heap_resize };
static oct_counting_alloc heap_counting;

/* Start a run without failures; the allocator to use. */
static inline const oct_alloc *heap_start(void)
{
    oct_counting_alloc_init(&heap_counting, &heap, 0);
    return &heap_counting.alloc;
}

static inline bool heap_is_empty(void)
{
    return oct_atomic_load(&heap_counting.bytes) == 0;
}

/* See above: returns k while the sweep goes on, else 0. */
static inline uint64_t heap_fail_at(uint64_t k)
{
    if (k > 1 && oct_atomic_load(&heap_counting.calls) < k - 1) return 0;
    heap_start();
    heap_counting.fail_at = k;
    return k;
}

/* Was an allocation of this run refused? */
static inline bool heap_failed(void)
{
    return oct_atomic_load(&heap_counting.calls) >= heap_counting.fail_at;
}

#endif
