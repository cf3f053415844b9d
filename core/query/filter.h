/* SPDX-License-Identifier: Apache-2.0
 *
 * filter.h - which points pass a filter: one point by its payload, or all points of a segment with
 * the help of its payload indexes. Both give the same answer. */
#ifndef OCTANT_QUERY_FILTER_H
#define OCTANT_QUERY_FILTER_H

#include "base/arena.h"
#include "base/check.h"
#include "base/json.h"
#include "index/field.h"
#include "octant/types.h"

/* A filter with its key paths parsed: immutable, of no segment, usable by many threads. */
typedef struct oct_filter_program oct_filter_program;

/* Compile `filter` (NULL = the empty filter) into the arena; it borrows the filter's memory.
 * BAD_INPUT: a bad key path, too deep (OCT_FILTER_DEPTH_MAX) or too many conditions
 * (OCT_FILTER_CONDITIONS_MAX). */
OCT_MUST_CHECK oct_status oct_filter_compile(oct_arena *arena, const oct_filter *filter,
                                             const oct_filter_program **out, oct_error *error);

/* Are two filters written the same way? */
bool oct_filter_equal(const oct_filter *a, const oct_filter *b);

/* True when every point passes (no conditions). */
bool oct_filter_is_empty(const oct_filter_program *program);

/* What a segment tells about its points. The caller holds it still during a call. */
typedef struct oct_filter_source {
    void *self;
    uint32_t point_count;  /* offsets 0..point_count-1 */
    const uint64_t *alive; /* bitset of the points that count; NULL = all */
    /* The payload text of a point ("" = none), borrowed during the call or read into the arena. */
    oct_status (*payload)(void *self, uint32_t offset, oct_arena *arena, oct_str *out,
                          oct_error *error);
    oct_point_id (*id)(void *self, uint32_t offset);
    /* The offset of an id; false when the segment does not have it. */
    bool (*find)(void *self, oct_point_id id, uint32_t *offset);
    /* The index of a field by its key in canonical spelling (as in oct_field_config), or NULL.
     * The member itself is NULL for segments without indexes. */
    const oct_field *(*field)(void *self, oct_str key);
} oct_filter_source;

/* Does the point at `offset` pass? Its payload is fetched and parsed at most once, and only when a
 * condition needs it. `scratch` is for the parsed payload: it is reset first, so keep nothing in
 * it; one per thread. `alive` is not looked at. NOMEM, CORRUPT (a payload that is no JSON object),
 * what source->payload gives. */
OCT_MUST_CHECK oct_status oct_filter_matches(const oct_filter_program *program,
                                             const oct_filter_source *source, uint32_t offset,
                                             oct_arena *scratch, bool *out, oct_error *error);

/* The same for a point that is in no segment: `payload` is its text. */
OCT_MUST_CHECK oct_status oct_filter_matches_text(const oct_filter_program *program,
                                                  oct_point_id id, oct_str payload,
                                                  oct_arena *scratch, bool *out, oct_error *error);

/* Points of a segment, each once. */
typedef struct oct_offsets {
    const uint32_t *at; /* [count] */
    uint32_t count;
} oct_offsets;

/* Set bits[oct_bits_words(point_count)] to exactly the alive points that pass. Conditions on
 * indexed fields and ids are answered without payloads; the payload is read only of points these
 * conditions leave undecided. Temporary bitsets come from `work` (a few per nesting level, left to
 * its owner's reset); `scratch` as in oct_filter_matches; they must be two arenas. On failure the
 * bits are unspecified. */
OCT_MUST_CHECK oct_status oct_filter_collect(const oct_filter_program *program,
                                             const oct_filter_source *source, oct_arena *work,
                                             oct_arena *scratch, uint64_t *bits, oct_error *error);

/* The same points as a list, in any order, when that is cheap: one condition that an index of the
 * field answers alone, for at most `most` points, dead ones included. Else *listed is false. The
 * list comes from `work`. NOMEM, LIMIT. */
OCT_MUST_CHECK oct_status oct_filter_list(const oct_filter_program *program,
                                          const oct_filter_source *source, uint32_t most,
                                          oct_arena *work, oct_offsets *out, bool *listed,
                                          oct_error *error);

#endif
