/* SPDX-License-Identifier: Apache-2.0
 *
 * field_sort.c - a bottom-up merge sort of indices, and a byte-wise radix sort of (key, offset).
 *
 * libc's qsort was not taken: it is unstable and differs between targets, and a million pairs sort
 * several times faster by radix. Digits in which all keys agree are skipped, so small numbers cost
 * small work. */
#include "index/field_sort.h"

#include <string.h>

/* Merge the sorted runs from[low..middle) and from[middle..high) into to[low..high). */
static void merge_runs(const uint32_t *from, uint32_t *to, const uint32_t bounds[3],
                       oct_sort_after after, const void *arg)
{
    uint32_t left = bounds[0];
    uint32_t right = bounds[1];
    for (uint32_t at = bounds[0]; at < bounds[2]; at++) {
        bool take_left =
            right == bounds[2] || (left < bounds[1] && !after(arg, from[left], from[right]));
        to[at] = take_left ? from[left++] : from[right++];
    }
}

void oct_sort_indices(uint32_t *indices, uint32_t *temp, uint32_t count, oct_sort_after after,
                      const void *arg)
{
    uint32_t *from = indices;
    uint32_t *to = temp;
    for (uint64_t width = 1; width < count; width *= 2) {
        for (uint64_t low = 0; low < count; low += 2 * width) {
            const uint32_t bounds[3] = { (uint32_t)low, (uint32_t)MIN(low + width, count),
                                         (uint32_t)MIN(low + 2 * width, count) };
            merge_runs(from, to, bounds, after, arg);
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != indices && count > 0) memcpy(indices, from, count * sizeof *indices);
}

/* Move the pairs into *to, ordered by the byte of the key at `shift`. */
static void radix_pass(const oct_sort_pairs *from, oct_sort_pairs *to, uint32_t count,
                       unsigned shift)
{
    uint32_t starts[256] = { 0 };
    for (uint32_t i = 0; i < count; i++)
        starts[from->keys[i] >> shift & 255]++;
    uint32_t sum = 0;
    for (unsigned digit = 0; digit < 256; digit++) {
        uint32_t here = starts[digit];
        starts[digit] = sum;
        sum += here;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = starts[from->keys[i] >> shift & 255]++;
        to->keys[at] = from->keys[i];
        to->offsets[at] = from->offsets[i];
    }
}

void oct_sort_pairs_by_key(oct_sort_pairs *pairs, oct_sort_pairs *temp, uint32_t count)
{
    uint64_t differing = 0;
    for (uint32_t i = 1; i < count; i++)
        differing |= pairs->keys[i] ^ pairs->keys[0];
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if ((differing >> shift & 255) == 0) continue;
        radix_pass(pairs, temp, count, shift);
        oct_sort_pairs swap = *pairs;
        *pairs = *temp;
        *temp = swap;
    }
}
