/* SPDX-License-Identifier: Apache-2.0
 *
 * layout.h - how the named vectors of a collection lie in one point: their order is the config's,
 * and a point keeps only the vectors it has, one after another, with a bit set for each. */
#ifndef OCTANT_SEGMENT_LAYOUT_H
#define OCTANT_SEGMENT_LAYOUT_H

#include "base/check.h"
#include "base/str.h"
#include "octant/types.h"

STATIC_ASSERT(OCT_NAMED_VECTORS_MAX <= 64, "the presence mask is one word");

/* The index of the vector called `name`, or vector_count. */
static inline uint32_t oct_layout_find(const oct_collection_config *config, oct_str name)
{
    uint32_t v = 0;
    while (v < config->vector_count && !oct_str_equal(config->vectors[v].name, name))
        v++;
    return v;
}

/* Floats in front of vector `v` (up to vector_count: all) of a point that has those in `present`.
 */
static inline size_t oct_layout_floats(const oct_collection_config *config, uint64_t present,
                                       uint32_t v)
{
    size_t floats = 0;
    for (uint32_t i = 0; i < v; i++)
        if ((present >> i) & 1) floats += config->vectors[i].size;
    return floats;
}

#endif
