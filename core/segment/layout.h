/* SPDX-License-Identifier: Apache-2.0
 *
 * layout.h - how the named vectors of a collection lie in one point: their order is the config's,
 * and a point keeps only the vectors it has, one after another, with a bit set for each.
 *
 * All lie in one array of 32-bit words: a dense vector as its floats; a multivector as u32 rows
 * and the floats of all rows; a sparse one as u32 n, n u32 dimensions (ascending) and n floats. The
 * array's type is float for the sake of the most common form; other words are copied out. */
#ifndef OCTANT_SEGMENT_LAYOUT_H
#define OCTANT_SEGMENT_LAYOUT_H

#include <string.h>

#include "base/check.h"
#include "base/str.h"
#include "octant/types.h"

STATIC_ASSERT(OCT_NAMED_VECTORS_MAX <= 64, "the presence mask is one word");
STATIC_ASSERT(sizeof(float) == 4, "a word");

/* The index of the vector called `name`, or vector_count. */
static inline uint32_t oct_layout_find(const oct_collection_config *config, oct_str name)
{
    uint32_t v = 0;
    while (v < config->vector_count && !oct_str_equal(config->vectors[v].name, name))
        v++;
    return v;
}

/* The vector of these params that lies at `at`, borrowed. */
static inline oct_named_vector oct_layout_vector(const oct_vector_params *params, const float *at)
{
    oct_named_vector out = {
        .name = params->name, .values = at, .count = params->size, .kind = params->kind
    };
    if (params->kind == OCT_VECTOR_DENSE) return out;
    uint32_t head;
    memcpy(&head, at, sizeof head);
    out.values = at + 1;
    if (params->kind == OCT_VECTOR_MULTI) {
        out.rows = head;
        out.count = head * params->size;
    } else {
        out.count = head;
        out.indices = (const uint32_t *)(const void *)(at + 1);
        out.values = at + 1 + head;
    }
    return out;
}

/* Words that a vector takes. */
static inline size_t oct_layout_words_of(const oct_named_vector *vector)
{
    if (vector->kind == OCT_VECTOR_DENSE) return vector->count;
    return 1 + (vector->kind == OCT_VECTOR_SPARSE ? 2 : 1) * (size_t)vector->count;
}

/* Lay a vector down; returns its end. */
static inline float *oct_layout_put(const oct_named_vector *vector, float *at)
{
    uint32_t head = vector->kind == OCT_VECTOR_MULTI ? vector->rows : vector->count;
    if (vector->kind != OCT_VECTOR_DENSE) memcpy(at++, &head, sizeof head);
    if (vector->kind == OCT_VECTOR_SPARSE && head) {
        memcpy(at, vector->indices, head * sizeof(uint32_t));
        at += head;
    }
    if (vector->count) memcpy(at, vector->values, vector->count * sizeof(float));
    return at + vector->count;
}

/* Words in front of vector `v` (up to vector_count: all) of a point that has those in `present`,
 * laid down at `vectors`. */
static inline size_t oct_layout_words(const oct_collection_config *config, uint64_t present,
                                      const float *vectors, uint32_t v)
{
    size_t words = 0;
    for (uint32_t i = 0; i < v; i++) {
        if (!((present >> i) & 1)) continue;
        const oct_named_vector vector = oct_layout_vector(&config->vectors[i], vectors + words);
        words += oct_layout_words_of(&vector);
    }
    return words;
}

#endif
