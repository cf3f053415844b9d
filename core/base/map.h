/* SPDX-License-Identifier: Apache-2.0
 *
 * map.h - open-addressing hash maps to u32: from 128-bit keys (point ids) and from strings
 * (whose bytes the caller keeps). Seeded, so that a stranger can't choose collisions. */
#ifndef OCTANT_BASE_MAP_H
#define OCTANT_BASE_MAP_H

#include "base/check.h"
#include "octant/host.h"
#include "octant/types.h"

typedef struct oct_map_entry {
    uint64_t high, low; /* the key; strings: bytes and address */
    uint32_t value;
    uint32_t state; /* low two bits: 0 empty, 1 used, 2 removed; the rest: a part of the hash */
} oct_map_entry;

typedef struct oct_map {
    const oct_alloc *alloc;
    oct_map_entry *entries; /* [capacity], a power of two */
    size_t capacity;
    size_t used;    /* live entries */
    size_t removed; /* tombstones */
    uint64_t seed;
    bool strings; /* the kind of the keys; set by the first put */
} oct_map;

void oct_map_init(oct_map *map, const oct_alloc *alloc, uint64_t seed);
void oct_map_deinit(oct_map *map);
/* Make room for `more` new keys, so that puts of them can't fail (removals in between do no harm).
 * NOMEM: nothing changed. */
OCT_MUST_CHECK oct_status oct_map_reserve(oct_map *map, size_t more, oct_error *error);

/* 128-bit keys. get returns NULL when missing; the pointer lives until the next put/reserve.
 * put replaces; it needs reserved room (asserted). */
uint32_t *oct_map_get(const oct_map *map, uint64_t high, uint64_t low);
void oct_map_put(oct_map *map, uint64_t high, uint64_t low, uint32_t value);
bool oct_map_remove(oct_map *map, uint64_t high, uint64_t low);

/* String keys; one map holds either kind, never both. The text must outlive the entry. */
uint32_t *oct_map_get_str(const oct_map *map, oct_str key);
void oct_map_put_str(oct_map *map, oct_str key, uint32_t value);
bool oct_map_remove_str(oct_map *map, oct_str key);

#endif
