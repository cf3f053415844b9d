/* SPDX-License-Identifier: Apache-2.0
 *
 * arena.h - request memory: a bump allocator that is freed as a whole. One per request, one per
 * scratch task; never shared between threads. */
#ifndef OCTANT_BASE_ARENA_H
#define OCTANT_BASE_ARENA_H

#include "base/check.h"
#include "octant/host.h"
#include "octant/types.h"

typedef struct oct_arena_block oct_arena_block;

typedef struct oct_arena {
    const oct_alloc *alloc;
    oct_arena_block *block; /* newest; older ones are chained behind it */
    size_t bytes;           /* asked from alloc so far */
    size_t bytes_max;       /* LIMIT beyond; 0 = no limit */
    bool limit_reached;     /* the last push or resize was refused by bytes_max, not by alloc */
} oct_arena;

/* Start empty; allocates nothing. */
void oct_arena_init(oct_arena *arena, const oct_alloc *alloc, size_t bytes_max);
/* Free everything; the arena may be used again. Every pointer it gave is dead. */
void oct_arena_reset(oct_arena *arena);

/* `bytes` (0 allowed) of memory aligned to 16, living until reset. NULL when memory or the limit
 * is exhausted. */
void *oct_arena_push(oct_arena *arena, size_t bytes);

/* Grow or shrink what oct_arena_push gave, keeping its content; in place (or through the host's
 * resize) when it is the newest push, else by copying. Cost when it is not: the old bytes stay
 * used until reset. Shrinking never fails and may move the newest push. NULL when memory or the
 * limit is exhausted; `old` stays valid. */
void *oct_arena_resize(oct_arena *arena, void *old, size_t old_bytes, size_t new_bytes);

/* Report that the last push or resize gave NULL: LIMIT when bytes_max refused it, else NOMEM. */
OCT_MUST_CHECK oct_status oct_arena_fail(const oct_arena *arena, const char *what,
                                         oct_error *error);

/* count items of item_bytes, zeroed, checked against overflow; *out NULL on failure (NOMEM,
 * LIMIT). */
OCT_MUST_CHECK oct_status oct_arena_array(oct_arena *arena, size_t count, size_t item_bytes,
                                          void *out_pointer, oct_error *error);

/* Copy a string into the arena (with a NUL behind it, not counted). NOMEM, LIMIT. */
OCT_MUST_CHECK oct_status oct_arena_str(oct_arena *arena, oct_str text, oct_str *out,
                                        oct_error *error);

#endif
