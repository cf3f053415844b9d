/* SPDX-License-Identifier: Apache-2.0
 *
 * idset.c - posting lists: sets of u32 offsets in one flat byte string, read in place.
 *
 * Set:       header, directory, containers; little-endian; every part starts at a multiple of 8
 *            bytes from the start of the set, and the set ends at one.
 * Header:    { members u32, ranges u32 }
 * Directory: ranges x { range u16, members_minus_1 u16, container u32 }, `range` ascending.
 *            `range` is the high half of its members' offsets; `container` is where its container
 *            starts, in bytes from the start of the set. Containers follow one another in this
 *            order without gaps.
 * Container: at most 4096 members: their low halves, ascending u16, zero-padded to 8 bytes.
 *            More: 1024 words u64; bit b of word w is the low half 64w + b.
 *
 * There is exactly one valid byte string for a set. A set is valid when all of the above holds,
 * nothing is left over, the counts agree with the containers, and the padding is zero;
 * oct_idset_open checks all of it once, and the other functions then trust the bytes.
 *
 * This is Roaring's split (Chambi, Lemire et al., "Better bitmap performance with Roaring
 * bitmaps") without run containers (posting lists of hashed order have no runs), without
 * mutation, and with a directory that is searched in place instead of being deserialised. The
 * CRoaring library was rejected for its global allocator hooks and because its portable format
 * needs a copy to be used. All loads go through memcpy, so alignment is only a matter of speed. */
#include "base/idset.h"

#include <string.h>

#include "base/bits.h"
#include "base/endian.h"

enum {
    HEADER_BYTES = 8,
    ENTRY_BYTES = 8,
    RANGE_MEMBERS = 65536,
    ARRAY_MEMBERS_MAX = 4096, /* beyond it a bitset is smaller */
    BITSET_WORDS = RANGE_MEMBERS / 64,
    BITSET_BYTES = BITSET_WORDS * 8
};

typedef struct range_entry {
    uint32_t range;     /* high half of the offsets */
    uint32_t members;   /* 1..65536 */
    uint32_t container; /* byte offset in the set */
} range_entry;

static range_entry entry_at(const uint8_t *set, uint32_t index)
{
    const uint8_t *at = set + HEADER_BYTES + (size_t)index * ENTRY_BYTES;
    return (range_entry){ .range = oct_load_u16(at),
                          .members = (uint32_t)oct_load_u16(at + 2) + 1,
                          .container = oct_load_u32(at + 4) };
}

static size_t container_bytes(uint32_t members)
{
    if (members > ARRAY_MEMBERS_MAX) return BITSET_BYTES;
    return ((size_t)members * 2 + 7) & ~(size_t)7;
}

static uint64_t word_at(const uint8_t *container, size_t index)
{
    return oct_load_u64(container + index * 8);
}

/* ---- writing -------------------------------------------------------------------------- */

/* How many of the `count` > 0 ascending offsets share the first one's range. */
static uint32_t range_length(const uint32_t *sorted, uint32_t count)
{
    uint32_t range = sorted[0] >> 16;
    uint32_t length = 1;
    while (length < count && sorted[length] >> 16 == range) {
        ASSERT_HOT(sorted[length - 1] < sorted[length]);
        length++;
    }
    return length;
}

/* Fill a zeroed container with the low halves of `members` offsets. */
static void fill_container(const uint32_t *sorted, uint32_t members, uint8_t *container)
{
    if (members <= ARRAY_MEMBERS_MAX) {
        for (uint32_t i = 0; i < members; i++)
            oct_store_u16(container + (size_t)i * 2, (uint16_t)sorted[i]);
        return;
    }
    for (uint32_t i = 0; i < members; i++) {
        uint8_t *word = container + (size_t)(sorted[i] & 0xFFFF) / 64 * 8;
        oct_store_u64(word, oct_load_u64(word) | UINT64_C(1) << (sorted[i] % 64));
    }
}

/* Bytes and ranges of the whole set. The bytes may pass 32 bits before the caller checks. */
static uint64_t measure(const uint32_t *sorted, uint32_t count, uint32_t *ranges)
{
    uint64_t bytes = HEADER_BYTES;
    *ranges = 0;
    for (uint32_t i = 0; i < count; ++*ranges) {
        uint32_t members = range_length(sorted + i, count - i);
        bytes += ENTRY_BYTES + container_bytes(members);
        i += members;
    }
    return bytes;
}

oct_status oct_idset_write(const uint32_t *sorted, uint32_t count, oct_buf *buf, oct_error *error)
{
    uint32_t ranges;
    uint64_t bytes = measure(sorted, count, &ranges);
    if (bytes > SIZE_MAX)
        return oct_fail(error, OCT_LIMIT, "a posting list of %" PRIu32 " members", count);
    size_t start = buf->bytes;
    oct_status status = oct_buf_append_zeros(buf, (size_t)bytes, error);
    if (status != OCT_OK) return status;
    uint8_t *set = buf->at + start;
    uint8_t *entry = set + HEADER_BYTES;
    size_t container = HEADER_BYTES + (size_t)ranges * ENTRY_BYTES;
    oct_store_u32(set, count);
    oct_store_u32(set + 4, ranges);
    for (uint32_t i = 0; i < count; entry += ENTRY_BYTES) {
        uint32_t members = range_length(sorted + i, count - i);
        oct_store_u16(entry, (uint16_t)(sorted[i] >> 16));
        oct_store_u16(entry + 2, (uint16_t)(members - 1));
        oct_store_u32(entry + 4, (uint32_t)container);
        fill_container(sorted + i, members, set + container);
        container += container_bytes(members);
        i += members;
    }
    ASSERT(container == bytes);
    return OCT_OK;
}

/* ---- validation ----------------------------------------------------------------------- */

/* Is this an ascending array with zero padding? *last becomes its largest member. */
static bool array_is_valid(const uint8_t *container, uint32_t members, uint32_t *last)
{
    uint32_t previous = oct_load_u16(container);
    for (uint32_t i = 1; i < members; i++) {
        uint32_t member = oct_load_u16(container + (size_t)i * 2);
        if (member <= previous) return false;
        previous = member;
    }
    size_t padded = container_bytes(members);
    for (size_t i = (size_t)members * 2; i < padded; i++)
        if (container[i] != 0) return false;
    *last = previous;
    return true;
}

/* Does this bitset hold exactly `members`? *last becomes its largest member. */
static bool bitset_is_valid(const uint8_t *container, uint32_t members, uint32_t *last)
{
    uint32_t found = 0;
    *last = 0;
    for (uint32_t i = 0; i < BITSET_WORDS; i++) {
        uint64_t word = word_at(container, i);
        if (word == 0) continue;
        found += (uint32_t)__builtin_popcountll(word);
        *last = i * 64 + 63 - (uint32_t)__builtin_clzll(word);
    }
    return found == members;
}

/* The directory: ascending ranges, containers without gaps up to the end, counts that add up. */
static bool directory_is_valid(const oct_idset *set)
{
    size_t expected = HEADER_BYTES + (size_t)set->ranges * ENTRY_BYTES;
    uint64_t members = 0;
    for (uint32_t i = 0; i < set->ranges; i++) {
        range_entry entry = entry_at(set->at, i);
        if (i > 0 && entry.range <= entry_at(set->at, i - 1).range) return false;
        if (entry.container != expected) return false;
        size_t container = container_bytes(entry.members);
        if (container > set->bytes - expected) return false;
        expected += container;
        members += entry.members;
    }
    return expected == set->bytes && members == set->count;
}

oct_status oct_idset_open(const uint8_t *at, size_t bytes, uint32_t limit, oct_idset *out,
                          oct_error *error)
{
    *out = (oct_idset){ NULL, 0, 0, 0 };
    if (bytes < HEADER_BYTES)
        return oct_fail(error, OCT_CORRUPT, "posting list: %zu bytes are no header", bytes);
    oct_idset set = {
        .at = at, .bytes = bytes, .count = oct_load_u32(at), .ranges = oct_load_u32(at + 4)
    };
    if (set.ranges > RANGE_MEMBERS || (bytes - HEADER_BYTES) / ENTRY_BYTES < set.ranges)
        return oct_fail(error, OCT_CORRUPT, "posting list: %" PRIu32 " ranges in %zu bytes",
                        set.ranges, bytes);
    if (!directory_is_valid(&set))
        return oct_fail(error, OCT_CORRUPT, "posting list: its directory contradicts its size");
    for (uint32_t i = 0; i < set.ranges; i++) {
        range_entry entry = entry_at(at, i);
        const uint8_t *container = at + entry.container;
        uint32_t last = 0;
        bool valid = entry.members <= ARRAY_MEMBERS_MAX
                         ? array_is_valid(container, entry.members, &last)
                         : bitset_is_valid(container, entry.members, &last);
        if (!valid)
            return oct_fail(error, OCT_CORRUPT, "posting list: damaged range %" PRIu32,
                            entry.range);
        if ((entry.range << 16 | last) >= limit)
            return oct_fail(error, OCT_CORRUPT,
                            "posting list: offset %" PRIu32 ", expected less than %" PRIu32,
                            entry.range << 16 | last, limit);
    }
    *out = set;
    return OCT_OK;
}

oct_idset oct_idset_again(const uint8_t *at, size_t bytes)
{
    ASSERT_HOT(bytes >= HEADER_BYTES);
    return (oct_idset){
        .at = at, .bytes = bytes, .count = oct_load_u32(at), .ranges = oct_load_u32(at + 4)
    };
}

/* ---- reading -------------------------------------------------------------------------- */

static bool array_contains(const uint8_t *container, uint32_t members, uint32_t low_half)
{
    uint32_t from = 0;
    uint32_t to = members;
    while (from < to) {
        uint32_t middle = (from + to) / 2;
        uint32_t member = oct_load_u16(container + (size_t)middle * 2);
        if (member == low_half) return true;
        if (member < low_half)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

bool oct_idset_contains(const oct_idset *set, uint32_t offset)
{
    uint32_t from = 0;
    uint32_t to = set->ranges;
    while (from < to) {
        uint32_t middle = (from + to) / 2;
        range_entry entry = entry_at(set->at, middle);
        if (entry.range == offset >> 16) {
            const uint8_t *container = set->at + entry.container;
            uint32_t low_half = offset & 0xFFFF;
            if (entry.members <= ARRAY_MEMBERS_MAX)
                return array_contains(container, entry.members, low_half);
            return word_at(container, low_half / 64) >> (low_half % 64) & 1;
        }
        if (entry.range < offset >> 16)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

void oct_idset_or_into(const oct_idset *set, uint64_t *bits)
{
    for (uint32_t r = 0; r < set->ranges; r++) {
        range_entry entry = entry_at(set->at, r);
        const uint8_t *container = set->at + entry.container;
        uint64_t *base = bits + (size_t)entry.range * BITSET_WORDS;
        if (entry.members <= ARRAY_MEMBERS_MAX) {
            for (uint32_t i = 0; i < entry.members; i++)
                oct_bits_set(base, oct_load_u16(container + (size_t)i * 2));
            continue;
        }
        /* Empty words are skipped: behind the last member the caller's bitset may end. */
        for (size_t i = 0; i < BITSET_WORDS; i++) {
            uint64_t word = word_at(container, i);
            if (word != 0) base[i] |= word;
        }
    }
}

/* Write the members of a bitset container; returns behind the last one. */
static uint32_t *bitset_members(const uint8_t *container, uint32_t high_half, uint32_t *out)
{
    for (uint32_t i = 0; i < BITSET_WORDS; i++) {
        for (uint64_t word = word_at(container, i); word != 0; word &= word - 1)
            *out++ = high_half | (i * 64 + (uint32_t)__builtin_ctzll(word));
    }
    return out;
}

void oct_idset_members(const oct_idset *set, uint32_t *out)
{
    for (uint32_t r = 0; r < set->ranges; r++) {
        range_entry entry = entry_at(set->at, r);
        const uint8_t *container = set->at + entry.container;
        uint32_t high_half = entry.range << 16;
        if (entry.members > ARRAY_MEMBERS_MAX) {
            out = bitset_members(container, high_half, out);
            continue;
        }
        for (uint32_t i = 0; i < entry.members; i++)
            *out++ = high_half | oct_load_u16(container + (size_t)i * 2);
    }
}
