/* SPDX-License-Identifier: Apache-2.0
 *
 * view.h - what a reader sees: an immutable list of segments with an immutable bitmap of living
 * points each. Every write makes a new view and publishes it with one pointer swap; a reader pins
 * the current one and works without locks for as long as it likes. Parts that a write does not
 * change are shared by reference count, so a write to one point copies one bitmap at most. */
#ifndef OCTANT_SEGMENT_VIEW_H
#define OCTANT_SEGMENT_VIEW_H

#include "base/bits.h"
#include "base/check.h"
#include "base/sync.h"
#include "octant/host.h"
#include "octant/types.h"
#include "segment/memory.h"
#include "segment/sealed.h"

/* An immutable bitset, shared. bits beyond the segment's points are unspecified. */
typedef struct oct_bitmap {
    const oct_alloc *alloc;
    oct_atomic_u64 references;
    size_t words;
    uint64_t bits[];
} oct_bitmap;

/* A copy of `from` (NULL: all ones) that has room for at least `points` bits; new bits are ones. */
OCT_MUST_CHECK oct_status oct_bitmap_create(const oct_alloc *alloc, const oct_bitmap *from,
                                            size_t points, oct_bitmap **out, oct_error *error);
oct_bitmap *oct_bitmap_pin(oct_bitmap *bitmap); /* NULL gives NULL */
void oct_bitmap_unpin(oct_bitmap *bitmap);      /* NULL allowed */

/* The payload indexes a collection has (its schema), shared. Deep copies of keys and params. */
typedef struct oct_schema {
    const oct_alloc *alloc;
    oct_atomic_u64 references;
    uint32_t count;
    size_t bytes; /* of this allocation */
    oct_field_config fields[];
} oct_schema;

/* `from` (NULL: empty) without the field called `without` (at NULL: none), plus `with` (NULL: none)
 * at its end. */
OCT_MUST_CHECK oct_status oct_schema_create(const oct_alloc *alloc, const oct_schema *from,
                                            oct_str without, const oct_field_config *with,
                                            oct_schema **out, oct_error *error);
oct_schema *oct_schema_pin(oct_schema *schema);
void oct_schema_unpin(oct_schema *schema);
const oct_field_config *oct_schema_find(const oct_schema *schema, oct_str key);

/* A collection's config, shared and never changed: an update makes another one. */
typedef struct oct_settings {
    const oct_alloc *alloc;
    oct_atomic_u64 references;
    const oct_collection_config *config; /* owned */
    uint64_t edition;                    /* another one where segments are built otherwise */
} oct_settings;

/* With a deep copy of the config. */
OCT_MUST_CHECK oct_status oct_settings_create(const oct_alloc *alloc,
                                              const oct_collection_config *config, uint64_t edition,
                                              oct_settings **out, oct_error *error);
oct_settings *oct_settings_pin(oct_settings *settings); /* NULL gives NULL */
void oct_settings_unpin(oct_settings *settings);        /* NULL allowed */

/* One segment of a view: exactly one of memory and sealed is set. */
typedef struct oct_view_entry {
    oct_memory_segment *memory;
    oct_sealed *sealed;
    oct_fields *fields; /* sealed: its open payload indexes, one per schema field */
    oct_bitmap *alive;  /* NULL: every point lives */
    oct_bitmap *saved;  /* sealed: alive as the manifest has it (see db/collection.h) */
    uint32_t count;     /* points or slots, dead ones included */
    uint32_t alive_count;
} oct_view_entry;

typedef struct oct_view {
    const oct_alloc *alloc;
    oct_atomic_u64 references;
    uint64_t sequence; /* of the last change it shows */
    oct_settings *settings;
    oct_schema *schema;
    uint32_t capacity; /* entries allocated */
    uint32_t count;
    oct_view_entry entries[]; /* sealed by file number; then the frozen and the active segment */
} oct_view;

/* A new, unpublished view with the same entries as `from` (NULL: none) sharing all parts, with
 * room for `more` entries. */
OCT_MUST_CHECK oct_status oct_view_create(const oct_alloc *alloc, const oct_view *from,
                                          uint32_t more, oct_view **out, oct_error *error);
void oct_view_pin(oct_view *view);
/* Releases all parts with the last reference. NULL allowed. */
void oct_view_unpin(oct_view *view);

/* Take over the references in `entry`. There must be room (asserted). */
void oct_view_insert(oct_view *view, uint32_t at, oct_view_entry entry);
/* Release and take out entry `at`. */
void oct_view_remove(oct_view *view, uint32_t at);

static inline bool oct_entry_alive(const oct_view_entry *entry, uint32_t offset)
{
    return !entry->alive || oct_bits_get(entry->alive->bits, offset);
}

/* Where a living point is. */
typedef struct oct_location {
    uint32_t entry;
    uint32_t offset;
} oct_location;

/* Find a living point; false when there is none. */
bool oct_view_find(const oct_view *view, oct_point_id id, oct_location *out);

uint64_t oct_view_alive_count(const oct_view *view);

#endif
