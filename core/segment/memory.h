/* SPDX-License-Identifier: Apache-2.0
 *
 * memory.h - the appendable segment: points in memory, rebuilt from the log at open.
 *
 * Slots are only ever added; a point that changes gets a new slot, and its old slot stays as it
 * was. So whoever knows a count and a bitmap of living slots (a view, see view.h) may read
 * without a lock while a writer adds slots behind that count. Only the map from ids to slots
 * changes in place; it has a mutex of its own, and slots chain to their predecessors, so that a
 * reader with an older view finds the slot that was current then.
 *
 * Rejected: one array that moves when it grows (readers would need a lock for their whole scan);
 * updating points in place (readers would see halves). */
#ifndef OCTANT_SEGMENT_MEMORY_H
#define OCTANT_SEGMENT_MEMORY_H

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/sync.h"
#include "octant/request.h"

#define OCT_SLOT_NONE UINT32_MAX

enum {
    OCT_MEMORY_SLOTS_MAX = 4 << 20, /* a request can't hold more points than this */
    OCT_SPARSE_BLOCK_SLOTS = 256    /* memory_sparse.h */
};

typedef struct oct_sparse_block oct_sparse_block;
typedef struct oct_slot_chunk oct_slot_chunk;

typedef struct oct_slot {
    oct_point_id id;
    uint64_t version;
    uint64_t present;     /* bit v: has vector v of the config */
    const float *vectors; /* those present, one after another (layout.h) */
    oct_str payload;      /* minified JSON object, "" = none */
    uint32_t previous;    /* the slot this one replaced in this segment, or OCT_SLOT_NONE */
} oct_slot;

typedef struct oct_memory_segment {
    const oct_alloc *alloc;
    const oct_collection_config *config; /* outlives the segment */
    oct_atomic_u64 references;
    oct_slot_chunk **chunks; /* [chunk_capacity] allocated as needed */
    uint32_t chunk_capacity;
    uint32_t staged;      /* slots written, published or not */
    oct_arena arena;      /* vectors and payloads */
    uint64_t block_bytes; /* of all sparse blocks */
    oct_mutex map_mutex;
    oct_map numbers, uuids; /* id -> newest published slot */
} oct_memory_segment;

OCT_MUST_CHECK oct_status oct_memory_segment_create(const oct_alloc *alloc,
                                                    const oct_collection_config *config,
                                                    uint64_t seed, oct_memory_segment **out,
                                                    oct_error *error);
void oct_memory_segment_pin(oct_memory_segment *segment);
/* Destroys it with the last reference. NULL allowed. */
void oct_memory_segment_unpin(oct_memory_segment *segment);

/* Slot `index`, below a view's count (or staged, for the writer). */
const oct_slot *oct_memory_slot(const oct_memory_segment *segment, uint32_t index);

/* Where vector v of a slot lies (oct_layout_vector reads it), or NULL when it has none. */
const float *oct_memory_vector(const oct_memory_segment *segment, const oct_slot *slot, uint32_t v);

/* Vector v of slot `index`, borrowed; its values are NULL when the slot has none. */
oct_named_vector oct_memory_vector_at(const oct_memory_segment *segment, uint32_t index,
                                      uint32_t v);

/* The block of sparse vector v that begins at slot `first`, a multiple of OCT_SPARSE_BLOCK_SLOTS;
 * NULL when there is none. All its slots are below a view's count (or staged, for the writer). */
const oct_sparse_block *oct_memory_block(const oct_memory_segment *segment, uint32_t first,
                                         uint32_t v);

/* Writer: copy a point into the next unpublished slot. NOMEM/LIMIT leave the count as it was. */
OCT_MUST_CHECK oct_status oct_memory_stage(oct_memory_segment *segment, const oct_slot *point,
                                           oct_error *error);
/* Writer: forget the slots staged at and above `count`. */
void oct_memory_unstage(oct_memory_segment *segment, uint32_t count);
/* Writer: make room in the id map for the slots in [from, staged), so that publish can't fail. */
OCT_MUST_CHECK oct_status oct_memory_prepare(oct_memory_segment *segment, uint32_t from,
                                             oct_error *error);
/* Writer: enter the slots in [from, staged) into the id map, and make the sparse blocks that they
 * complete. */
void oct_memory_publish(oct_memory_segment *segment, uint32_t from);

/* The newest slot of `id` below `count` (alive or not), or OCT_SLOT_NONE. Any thread. */
uint32_t oct_memory_find(oct_memory_segment *segment, oct_point_id id, uint32_t count);

/* Bytes of points, sparse blocks not counted. Writer only. */
uint64_t oct_memory_bytes(const oct_memory_segment *segment);

#endif
