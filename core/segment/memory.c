/* SPDX-License-Identifier: Apache-2.0
 *
 * memory.c - the appendable segment. The design is at the head of memory.h.
 *
 * Slots live in chunks of 1,024, found through a table of chunk pointers that is allocated once,
 * so that a slot's address never changes. Vectors and payloads live in an arena that is freed as
 * a whole with the segment; what an abandoned write left there is waste until then, bounded
 * because it counts towards the size at which the segment is sealed. */
#include "segment/memory.h"

#include <string.h>

#include "base/alloc.h"
#include "segment/layout.h"
#include "segment/memory_sparse.h"

enum {
    SLOTS_PER_CHUNK = 1024,
    CHUNKS = OCT_MEMORY_SLOTS_MAX / SLOTS_PER_CHUNK,
    BLOCKS_PER_CHUNK = SLOTS_PER_CHUNK / OCT_SPARSE_BLOCK_SLOTS
};

struct oct_slot_chunk {
    oct_slot slots[SLOTS_PER_CHUNK];
    oct_sparse_block *blocks[]; /* [vectors x BLOCKS_PER_CHUNK] NULL: none */
};

static size_t block_count(const oct_memory_segment *segment)
{
    return (size_t)segment->config->vector_count * BLOCKS_PER_CHUNK;
}

static size_t chunk_bytes(const oct_memory_segment *segment)
{
    return sizeof(oct_slot_chunk) + block_count(segment) * sizeof(oct_sparse_block *);
}

oct_status oct_memory_segment_create(const oct_alloc *alloc, const oct_collection_config *config,
                                     uint64_t seed, oct_memory_segment **out, oct_error *error)
{
    oct_status status = OCT_OK;
    *out = NULL;
    oct_memory_segment *segment = oct_new_zeroed(alloc, sizeof *segment);
    if (!segment) return oct_fail_nomem(error, "a segment");
    segment->alloc = alloc;
    segment->config = config;
    segment->chunk_capacity = CHUNKS;
    segment->chunks = oct_new_zeroed(alloc, CHUNKS * sizeof(oct_slot_chunk *));
    if (!segment->chunks) TRY(oct_fail_nomem(error, "a segment"));
    if (oct_mutex_init(&segment->map_mutex) != OCT_OK) TRY(oct_fail_nomem(error, "a mutex"));
    oct_atomic_store(&segment->references, 1);
    oct_arena_init(&segment->arena, alloc, 0);
    oct_map_init(&segment->numbers, alloc, seed);
    oct_map_init(&segment->uuids, alloc, seed);
    *out = segment;
    segment = NULL;
done:
    if (segment) {
        oct_free(alloc, segment->chunks, CHUNKS * sizeof(oct_slot_chunk *));
        oct_free(alloc, segment, sizeof *segment);
    }
    return status;
}

void oct_memory_segment_pin(oct_memory_segment *segment)
{
    (void)oct_atomic_add(&segment->references, 1); /* the new count is nobody's business */
}

static void destroy_chunk(const oct_memory_segment *segment, oct_slot_chunk *chunk)
{
    for (size_t i = 0; chunk && i < block_count(segment); i++)
        oct_sparse_block_destroy(segment->alloc, chunk->blocks[i]);
    oct_free(segment->alloc, chunk, chunk_bytes(segment));
}

void oct_memory_segment_unpin(oct_memory_segment *segment)
{
    if (!segment || oct_atomic_subtract(&segment->references, 1) > 0) return;
    for (uint32_t i = 0; i < segment->chunk_capacity; i++)
        destroy_chunk(segment, segment->chunks[i]);
    oct_free(segment->alloc, segment->chunks, segment->chunk_capacity * sizeof(oct_slot_chunk *));
    oct_arena_reset(&segment->arena);
    oct_map_deinit(&segment->numbers);
    oct_map_deinit(&segment->uuids);
    oct_mutex_deinit(&segment->map_mutex);
    oct_free(segment->alloc, segment, sizeof *segment);
}

static oct_slot *slot_at(const oct_memory_segment *segment, uint32_t index)
{
    return &segment->chunks[index / SLOTS_PER_CHUNK]->slots[index % SLOTS_PER_CHUNK];
}

static oct_sparse_block **block_at(const oct_memory_segment *segment, uint32_t first, uint32_t v)
{
    uint32_t place = first % SLOTS_PER_CHUNK / OCT_SPARSE_BLOCK_SLOTS;
    return &segment->chunks[first / SLOTS_PER_CHUNK]->blocks[v * BLOCKS_PER_CHUNK + place];
}

const oct_slot *oct_memory_slot(const oct_memory_segment *segment, uint32_t index)
{
    return slot_at(segment, index);
}

const float *oct_memory_vector(const oct_memory_segment *segment, const oct_slot *slot, uint32_t v)
{
    if (!((slot->present >> v) & 1)) return NULL;
    return slot->vectors + oct_layout_words(segment->config, slot->present, slot->vectors, v);
}

oct_named_vector oct_memory_vector_at(const oct_memory_segment *segment, uint32_t index, uint32_t v)
{
    const float *at = oct_memory_vector(segment, slot_at(segment, index), v);
    if (!at) return (oct_named_vector){ .values = NULL };
    return oct_layout_vector(&segment->config->vectors[v], at);
}

const oct_sparse_block *oct_memory_block(const oct_memory_segment *segment, uint32_t first,
                                         uint32_t v)
{
    return *block_at(segment, first, v);
}

static bool add_chunk(oct_memory_segment *segment, oct_slot_chunk **out)
{
    oct_slot_chunk *chunk = oct_new(segment->alloc, chunk_bytes(segment));
    if (chunk) memset(chunk->blocks, 0, block_count(segment) * sizeof *chunk->blocks);
    *out = chunk;
    return chunk;
}

oct_status oct_memory_stage(oct_memory_segment *segment, const oct_slot *point, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t index = segment->staged;
    if (index >= OCT_MEMORY_SLOTS_MAX)
        return oct_fail(error, OCT_LIMIT, "more than %d points in one request",
                        OCT_MEMORY_SLOTS_MAX);
    oct_slot_chunk **chunk = &segment->chunks[index / SLOTS_PER_CHUNK];
    if (!*chunk && !add_chunk(segment, chunk)) return oct_fail_nomem(error, "points");
    const oct_collection_config *config = segment->config;
    size_t words = oct_layout_words(config, point->present, point->vectors, config->vector_count);
    float *vectors = oct_arena_push(&segment->arena, words * sizeof(float));
    if (!vectors) TRY(oct_fail_nomem(error, "a point's vectors"));
    if (words) memcpy(vectors, point->vectors, words * sizeof(float));
    oct_slot copy = *point;
    copy.vectors = vectors;
    copy.previous = OCT_SLOT_NONE;
    TRY(oct_arena_str(&segment->arena, point->payload, &copy.payload, error));
    *slot_at(segment, index) = copy;
    segment->staged = index + 1;
done:
    return status;
}

void oct_memory_unstage(oct_memory_segment *segment, uint32_t count)
{
    ASSERT(count <= segment->staged);
    segment->staged = count;
}

oct_status oct_memory_prepare(oct_memory_segment *segment, uint32_t from, oct_error *error)
{
    oct_status status = OCT_OK;
    size_t numbers = 0, uuids = 0;
    for (uint32_t i = from; i < segment->staged; i++) {
        if (slot_at(segment, i)->id.is_uuid)
            uuids++;
        else
            numbers++;
    }
    oct_mutex_lock(&segment->map_mutex);
    if (numbers) status = oct_map_reserve(&segment->numbers, numbers, error);
    if (status == OCT_OK && uuids) status = oct_map_reserve(&segment->uuids, uuids, error);
    oct_mutex_unlock(&segment->map_mutex);
    return status;
}

static oct_map *map_of(oct_memory_segment *segment, oct_point_id id)
{
    return id.is_uuid ? &segment->uuids : &segment->numbers;
}

/* Make the sparse blocks whose last slots are in [from, staged). */
static void make_blocks(oct_memory_segment *segment, uint32_t from)
{
    uint32_t first = from - from % OCT_SPARSE_BLOCK_SLOTS;
    for (; first + OCT_SPARSE_BLOCK_SLOTS <= segment->staged; first += OCT_SPARSE_BLOCK_SLOTS)
        for (uint32_t v = 0; v < segment->config->vector_count; v++) {
            size_t bytes;
            if (segment->config->vectors[v].kind != OCT_VECTOR_SPARSE) continue;
            oct_sparse_block *block = oct_sparse_block_create(segment, first, v, &bytes);
            *block_at(segment, first, v) = block;
            if (block) segment->block_bytes += bytes;
        }
}

void oct_memory_publish(oct_memory_segment *segment, uint32_t from)
{
    oct_mutex_lock(&segment->map_mutex);
    for (uint32_t i = from; i < segment->staged; i++) {
        oct_slot *slot = slot_at(segment, i);
        oct_map *map = map_of(segment, slot->id);
        const uint32_t *older = oct_map_get(map, slot->id.high, slot->id.low);
        slot->previous = older ? *older : OCT_SLOT_NONE;
        oct_map_put(map, slot->id.high, slot->id.low, i);
    }
    oct_mutex_unlock(&segment->map_mutex);
    make_blocks(segment, from);
}

uint32_t oct_memory_find(oct_memory_segment *segment, oct_point_id id, uint32_t count)
{
    oct_mutex_lock(&segment->map_mutex);
    const uint32_t *newest = oct_map_get(map_of(segment, id), id.high, id.low);
    uint32_t slot = newest ? *newest : OCT_SLOT_NONE;
    while (slot != OCT_SLOT_NONE && slot >= count)
        slot = slot_at(segment, slot)->previous;
    oct_mutex_unlock(&segment->map_mutex);
    return slot;
}

uint64_t oct_memory_bytes(const oct_memory_segment *segment)
{
    return segment->arena.bytes + (uint64_t)segment->staged * sizeof(oct_slot);
}
