/* SPDX-License-Identifier: Apache-2.0
 *
 * map.c - open addressing with linear probing, keyed by a seeded SipHash.
 *
 * Linear probing, because the entries a probe visits share cache lines; load at most 3/4, counted
 * with tombstones, so every probe ends at an empty entry. Removal leaves a tombstone (state 2),
 * which a later put reuses and which a rebuild drops. Only oct_map_reserve allocates: a caller
 * reserves while it may still fail and puts when it no longer may.
 *
 * `state` holds the kind of entry in its low two bits and 30 bits of the hash above them. String
 * probes compare those first, so they hardly ever touch the text of another key. The order of
 * entries is not visible through this interface, so nothing can come to depend on the seed. */
#include "base/map.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

enum { EMPTY = 0, USED = 1, REMOVED = 2, KIND_MASK = 3 };
enum { CAPACITY_MIN = 16 };

void oct_map_init(oct_map *map, const oct_alloc *alloc, uint64_t seed)
{
    *map = (oct_map){ .alloc = alloc, .seed = seed };
}

void oct_map_deinit(oct_map *map)
{
    oct_free(map->alloc, map->entries, map->capacity * sizeof map->entries[0]);
    oct_map_init(map, map->alloc, map->seed);
}

static uint64_t hash_of_pair(uint64_t seed, uint64_t high, uint64_t low)
{
    const uint64_t key[2] = { low, high };
    return oct_hash_bytes(seed, key, sizeof key);
}

static uint64_t hash_of_text(uint64_t seed, oct_str text)
{
    return oct_hash_bytes(seed, text.at, text.bytes);
}

static uint32_t used_state(uint64_t hash)
{
    return (uint32_t)(hash >> 32 & ~(uint32_t)KIND_MASK) | USED;
}

static bool is_used(const oct_map_entry *entry)
{
    return (entry->state & KIND_MASK) == USED;
}

static oct_str text_of(const oct_map_entry *entry)
{
    return (oct_str){ (const char *)(uintptr_t)entry->low, (size_t)entry->high };
}

/* Move a used entry into a table that has room. */
static void place(oct_map_entry *entries, size_t capacity, oct_map_entry entry, uint64_t hash)
{
    size_t i = (size_t)hash & (capacity - 1);
    while (entries[i].state != EMPTY)
        i = (i + 1) & (capacity - 1);
    entries[i] = entry;
}

static uint64_t hash_of_entry(const oct_map *map, const oct_map_entry *entry)
{
    if (map->strings) return hash_of_text(map->seed, text_of(entry));
    return hash_of_pair(map->seed, entry->high, entry->low);
}

oct_status oct_map_reserve(oct_map *map, size_t more, oct_error *error)
{
    size_t limit = map->capacity / 4 * 3;
    if (more <= limit - (map->used + map->removed)) return OCT_OK;
    if (more > SIZE_MAX / 4 - map->used) return oct_fail_nomem(error, "a hash map");
    size_t capacity = CAPACITY_MIN;
    while (capacity / 4 * 3 < map->used + more) {
        if (capacity > SIZE_MAX / 2) return oct_fail_nomem(error, "a hash map");
        capacity *= 2;
    }
    /* Mostly tombstones: rebuild at the same size, but with a quarter to spare, so that the next
     * rebuild is far away. */
    if (capacity <= map->capacity && map->used + more > capacity / 2) capacity *= 2;
    size_t bytes;
    if (!oct_size_multiply(capacity, sizeof map->entries[0], &bytes))
        return oct_fail_nomem(error, "a hash map");
    oct_map_entry *entries = oct_new_zeroed(map->alloc, bytes);
    if (!entries) return oct_fail_nomem(error, "a hash map");
    for (size_t i = 0; i < map->capacity; i++) {
        const oct_map_entry *entry = &map->entries[i];
        if (is_used(entry)) place(entries, capacity, *entry, hash_of_entry(map, entry));
    }
    oct_free(map->alloc, map->entries, map->capacity * sizeof map->entries[0]);
    map->entries = entries;
    map->capacity = capacity;
    map->removed = 0;
    return OCT_OK;
}

/* The used entry of a key, or NULL. */
static oct_map_entry *find_pair(const oct_map *map, uint64_t high, uint64_t low, uint64_t hash)
{
    if (map->used == 0) return NULL;
    ASSERT(!map->strings);
    size_t mask = map->capacity - 1;
    for (size_t i = (size_t)hash & mask; map->entries[i].state != EMPTY; i = (i + 1) & mask) {
        oct_map_entry *entry = &map->entries[i];
        if (entry->low == low && entry->high == high && is_used(entry)) return entry;
    }
    return NULL;
}

static oct_map_entry *find_text(const oct_map *map, oct_str key, uint64_t hash)
{
    if (map->used == 0) return NULL;
    ASSERT(map->strings);
    uint32_t wanted = used_state(hash);
    size_t mask = map->capacity - 1;
    for (size_t i = (size_t)hash & mask; map->entries[i].state != EMPTY; i = (i + 1) & mask) {
        oct_map_entry *entry = &map->entries[i];
        if (entry->state != wanted || entry->high != key.bytes) continue;
        if (key.bytes == 0 || memcmp(text_of(entry).at, key.at, key.bytes) == 0) return entry;
    }
    return NULL;
}

/* Store a key that is not there in the first entry that is not used. */
static void insert(oct_map *map, oct_map_entry entry, uint64_t hash)
{
    size_t mask = map->capacity - 1;
    size_t i = (size_t)hash & mask;
    ASSERT(map->capacity > 0);
    while (is_used(&map->entries[i]))
        i = (i + 1) & mask;
    if (map->entries[i].state == EMPTY) {
        ASSERT(map->used + map->removed < map->capacity / 4 * 3); /* reserved? */
    } else {
        map->removed--;
    }
    entry.state = used_state(hash);
    map->entries[i] = entry;
    map->used++;
}

/* An entry whose probe chain ends right behind it can become empty at once; so can the tombstones
 * that then end the chain before it. That keeps queues of ids (add, remove, add) free of them. */
static void erase(oct_map *map, oct_map_entry *entry)
{
    size_t mask = map->capacity - 1;
    size_t i = (size_t)(entry - map->entries);
    map->used--;
    if (map->entries[(i + 1) & mask].state != EMPTY) {
        entry->state = REMOVED;
        map->removed++;
        return;
    }
    entry->state = EMPTY;
    for (i = (i - 1) & mask; map->entries[i].state == REMOVED; i = (i - 1) & mask) {
        map->entries[i].state = EMPTY;
        map->removed--;
    }
}

uint32_t *oct_map_get(const oct_map *map, uint64_t high, uint64_t low)
{
    oct_map_entry *entry = find_pair(map, high, low, hash_of_pair(map->seed, high, low));
    return entry ? &entry->value : NULL;
}

void oct_map_put(oct_map *map, uint64_t high, uint64_t low, uint32_t value)
{
    uint64_t hash = hash_of_pair(map->seed, high, low);
    oct_map_entry *entry = find_pair(map, high, low, hash);
    if (entry) {
        entry->value = value;
        return;
    }
    map->strings = false;
    insert(map, (oct_map_entry){ .high = high, .low = low, .value = value }, hash);
}

bool oct_map_remove(oct_map *map, uint64_t high, uint64_t low)
{
    oct_map_entry *entry = find_pair(map, high, low, hash_of_pair(map->seed, high, low));
    if (entry) erase(map, entry);
    return entry != NULL;
}

uint32_t *oct_map_get_str(const oct_map *map, oct_str key)
{
    oct_map_entry *entry = find_text(map, key, hash_of_text(map->seed, key));
    return entry ? &entry->value : NULL;
}

void oct_map_put_str(oct_map *map, oct_str key, uint32_t value)
{
    uint64_t hash = hash_of_text(map->seed, key);
    oct_map_entry *entry = find_text(map, key, hash);
    if (entry) {
        entry->value = value;
        return;
    }
    map->strings = true;
    oct_map_entry added = { .high = key.bytes, .low = (uintptr_t)key.at, .value = value };
    insert(map, added, hash);
}

bool oct_map_remove_str(oct_map *map, oct_str key)
{
    oct_map_entry *entry = find_text(map, key, hash_of_text(map->seed, key));
    if (entry) erase(map, entry);
    return entry != NULL;
}
