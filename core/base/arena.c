/* SPDX-License-Identifier: Apache-2.0
 *
 * arena.c - a bump allocator over a chain of blocks.
 *
 * A push takes the next bytes of the newest block; when they do not fit, a new block is chained
 * in front. Blocks double from 4 KiB to 256 KiB, so small requests stay small and large ones
 * need few blocks; a push larger than that gets a block of exactly its size. What is left of the
 * old block is wasted, at most half of all memory. oct_arena_resize lets the newest push grow in
 * place, and when it is alone in its block grows the block through the host: that is how a
 * parsed body of 32 MB grows without being copied at each step.
 *
 * Rejected: a free list (requests end soon anyway), and fixed-size blocks (a 32 MB body would be
 * a thousand of them). */
#include "base/arena.h"

#include <string.h>

#include "base/alloc.h"

enum { ALIGNMENT = 16, BLOCK_BYTES_MIN = 4096, BLOCK_BYTES_MAX = 256 * 1024 };

struct oct_arena_block {
    oct_arena_block *older;
    size_t bytes; /* of the whole block, this header included */
    size_t used;  /* header included; a multiple of ALIGNMENT */
    size_t last;  /* where the newest push starts */
};

/* The host promises 8-byte alignment only, so the first push starts where 16 begins. */
static size_t content_start(const oct_arena_block *block)
{
    uintptr_t end = (uintptr_t)block + sizeof *block;
    return sizeof *block + (size_t)(-end & (ALIGNMENT - 1));
}

enum { BLOCK_OVERHEAD = sizeof(oct_arena_block) + ALIGNMENT };

void oct_arena_init(oct_arena *arena, const oct_alloc *alloc, size_t bytes_max)
{
    *arena = (oct_arena){ .alloc = alloc, .bytes_max = bytes_max };
}

void oct_arena_reset(oct_arena *arena)
{
    oct_arena_block *block = arena->block;
    while (block) {
        oct_arena_block *older = block->older;
        oct_free(arena->alloc, block, block->bytes);
        block = older;
    }
    oct_arena_init(arena, arena->alloc, arena->bytes_max);
}

/* May the arena ask for `more` bytes? Remembers a refusal, so that it can be told from NOMEM. */
static bool within_limit(oct_arena *arena, size_t more)
{
    if (arena->bytes_max == 0) return true;
    arena->limit_reached = more > arena->bytes_max - arena->bytes;
    return !arena->limit_reached;
}

/* Chain a block in front with room for at least `bytes`. Near the limit it is as small as it can
 * be, so that the limit means bytes pushed and not the luck of doubling. */
static bool add_block(oct_arena *arena, size_t bytes)
{
    size_t newest = arena->block ? arena->block->bytes : BLOCK_BYTES_MIN / 2;
    size_t doubled = newest >= BLOCK_BYTES_MAX / 2 ? BLOCK_BYTES_MAX : newest * 2;
    size_t needed = bytes + BLOCK_OVERHEAD;
    size_t block_bytes = MAX(doubled, needed);
    if (arena->bytes_max != 0 && block_bytes > arena->bytes_max - arena->bytes)
        block_bytes = needed;
    if (!within_limit(arena, block_bytes)) return false;
    oct_arena_block *block = oct_new(arena->alloc, block_bytes);
    if (!block) return false;
    size_t start = content_start(block);
    *block = (oct_arena_block){
        .older = arena->block, .bytes = block_bytes, .used = start, .last = start
    };
    arena->block = block;
    arena->bytes += block_bytes;
    return true;
}

/* At least one unit, so that two pushes never share an address. */
static bool round_up(size_t bytes, size_t *rounded)
{
    if (bytes > SIZE_MAX / 2 - BLOCK_OVERHEAD) return false;
    *rounded = (MAX(bytes, 1) + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    return true;
}

void *oct_arena_push(oct_arena *arena, size_t bytes)
{
    size_t rounded;
    arena->limit_reached = false;
    if (!round_up(bytes, &rounded)) return NULL;
    oct_arena_block *block = arena->block;
    if (!block || rounded > block->bytes - block->used) {
        if (!add_block(arena, rounded)) return NULL;
        block = arena->block;
    }
    block->last = block->used;
    block->used += rounded;
    return (uint8_t *)block + block->last;
}

/* Make the newest block, which holds one push only, fit `rounded` bytes of content. */
static void *resize_block(oct_arena *arena, size_t bytes_kept, size_t rounded)
{
    oct_arena_block *block = arena->block;
    size_t old_bytes = block->bytes;
    size_t new_bytes = rounded + BLOCK_OVERHEAD;
    if (new_bytes > old_bytes && !within_limit(arena, new_bytes - old_bytes)) return NULL;
    size_t old_start = block->last;
    block = arena->alloc->resize(arena->alloc->self, block, old_bytes, new_bytes);
    if (!block) return NULL;
    size_t start = content_start(block);
    if (start != old_start)
        memmove((uint8_t *)block + start, (uint8_t *)block + old_start, bytes_kept);
    block->bytes = new_bytes;
    block->last = start;
    block->used = start + rounded;
    arena->block = block;
    arena->bytes = arena->bytes - old_bytes + new_bytes;
    return (uint8_t *)block + start;
}

static void *push_copy(oct_arena *arena, const void *old, size_t old_bytes, size_t new_bytes)
{
    void *copy = oct_arena_push(arena, new_bytes);
    if (copy) memcpy(copy, old, old_bytes);
    return copy;
}

void *oct_arena_resize(oct_arena *arena, void *old, size_t old_bytes, size_t new_bytes)
{
    size_t rounded;
    arena->limit_reached = false;
    if (!round_up(new_bytes, &rounded)) return NULL;
    oct_arena_block *block = arena->block;
    ASSERT(old != NULL && block != NULL);
    bool newest = (uint8_t *)old == (uint8_t *)block + block->last;
    if (!newest) return new_bytes <= old_bytes ? old : push_copy(arena, old, old_bytes, new_bytes);
    bool alone = block->last == content_start(block);
    bool large = block->bytes > BLOCK_BYTES_MAX;
    if (alone && (large || rounded > block->bytes - block->last)) {
        void *moved = resize_block(arena, MIN(old_bytes, new_bytes), rounded);
        /* A shrink can't fail: the memory it would give back is simply kept. */
        if (moved || new_bytes > old_bytes) return moved;
    }
    if (rounded > block->bytes - block->last) return push_copy(arena, old, old_bytes, new_bytes);
    block->used = block->last + rounded;
    return old;
}

oct_status oct_arena_fail(const oct_arena *arena, const char *what, oct_error *error)
{
    if (!arena->limit_reached) return oct_fail_nomem(error, what);
    return oct_fail(error, OCT_LIMIT, "%s: more than the %zu bytes a request may use", what,
                    arena->bytes_max);
}

oct_status oct_arena_array(oct_arena *arena, size_t count, size_t item_bytes, void *out_pointer,
                           oct_error *error)
{
    size_t bytes;
    void *array = NULL;
    arena->limit_reached = false;
    if (oct_size_multiply(count, item_bytes, &bytes)) array = oct_arena_push(arena, bytes);
    memcpy(out_pointer, &array, sizeof array);
    if (!array) return oct_arena_fail(arena, "an array of a request", error);
    memset(array, 0, bytes);
    return OCT_OK;
}

oct_status oct_arena_str(oct_arena *arena, oct_str text, oct_str *out, oct_error *error)
{
    *out = (oct_str){ NULL, 0 };
    char *copy = text.bytes < SIZE_MAX ? oct_arena_push(arena, text.bytes + 1) : NULL;
    if (!copy) return oct_arena_fail(arena, "a string of a request", error);
    if (text.bytes > 0) memcpy(copy, text.at, text.bytes);
    copy[text.bytes] = '\0';
    *out = (oct_str){ copy, text.bytes };
    return OCT_OK;
}
