/* SPDX-License-Identifier: Apache-2.0
 *
 * field.h - the payload index of one field over the points of one sealed segment: keyword,
 * integer, float or bool.
 *
 * One flat byte string, built once, used in place from a file section or from owned memory.
 * The index and the payloads never disagree: beside its own values each index knows the points
 * holding a value of another kind (`other`), a null, or nothing, so that each condition gives
 * points that match for sure and, where the index can't tell, points to be looked at. Byte layout
 * and validity rules: head of field.c. */
#ifndef OCTANT_INDEX_FIELD_H
#define OCTANT_INDEX_FIELD_H

#include "base/buf.h"
#include "base/check.h"
#include "base/idset.h"
#include "base/json.h"
#include "model/json_path.h"
#include "octant/types.h"

/* How many points: at least, likely, at most. min <= expected <= max. */
typedef struct oct_cardinality {
    uint32_t min, expected, max;
} oct_cardinality;

/* ---- building --------------------------------------------------------------------------- */

typedef struct oct_field_builder oct_field_builder;

/* Start an index of `type` over the path `key`, which is copied. */
OCT_MUST_CHECK oct_status oct_field_builder_create(const oct_alloc *alloc, oct_field_type type,
                                                   oct_str key, oct_field_builder **out,
                                                   oct_error *error);
void oct_field_builder_destroy(oct_field_builder *builder); /* NULL allowed */

/* Add a point; offsets ascend (asserted), points without payload may be left out. `payload` is an
 * object and may go away afterwards. On failure the builder can only be destroyed. */
OCT_MUST_CHECK oct_status oct_field_builder_add(oct_field_builder *builder, uint32_t offset,
                                                const oct_json *payload, oct_error *error);

/* Append the index over offsets 0..point_count-1 to `out`, whose content must be a multiple of 8
 * bytes long. Ends the adding. Same points, same bytes. LIMIT from the buffer. */
OCT_MUST_CHECK oct_status oct_field_builder_finish(oct_field_builder *builder, uint32_t point_count,
                                                   oct_buf *out, oct_error *error);

/* ---- using ------------------------------------------------------------------------------ */

/* A validated index over borrowed bytes; plain value, nothing to close. */
typedef struct oct_field {
    oct_field_type type;
    uint32_t point_count;
    uint32_t value_points; /* points with at least one indexed value (Qdrant's `points`) */
    uint32_t pair_count;   /* (value, point) pairs; a value repeated in one point counts once */
    uint32_t entry_count;  /* distinct words; for numbers the pairs */
    oct_idset values;      /* the points with an indexed value */
    oct_idset other;       /* ... with a non-null value of another kind */
    oct_idset null;        /* ... for which IS_NULL holds */
    oct_idset empty;       /* ... for which IS_EMPTY holds */
    const uint8_t *body;   /* the part of the type */
    size_t body_bytes;
} oct_field;

/* Take hostile bytes (8-aligned in memory) as an index over point_count points; CORRUPT says what
 * is wrong. The bytes must outlive *out. O(bytes), no allocation. */
OCT_MUST_CHECK oct_status oct_field_open(const uint8_t *at, size_t bytes, uint32_t point_count,
                                         oct_field *out, oct_error *error);

/* For a condition of kind MATCH_*, RANGE, IS_EMPTY or IS_NULL on this field's key, its values
 * sorted by oct_scalar_compare: OR the points that match for sure into `yes`, and those the index
 * can't decide (values of another kind: seldom) into `maybe`. A point may be in both; points in
 * neither do not match. Both are bitsets of point_count bits. */
void oct_field_collect(const oct_field *field, const oct_condition *condition, uint64_t *yes,
                       uint64_t *maybe);

/* The points that match, each once, in any order, into out [most]; their number into *count. False
 * when this index alone can't say it so simply (it leaves points to be looked at, or points have
 * several values) or there are more than `most`; `out` is then undefined. */
bool oct_field_list(const oct_field *field, const oct_condition *condition, uint32_t most,
                    uint32_t *out, uint32_t *count);

/* The values that many points share: find the next one, from entry *entry on (0 at first), that
 * `least` to `most` points have; their number, or 0 at the end. Then *entry is the value's own, to
 * be read with oct_field_block_points and moved on by the caller to its end. Of keyword, bool and
 * integer indexes; float indexes have none. */
uint32_t oct_field_block_next(const oct_field *field, uint32_t least, uint32_t most,
                              uint32_t *entry, uint32_t *end);
/* Those points, ascending, to out [their number]. */
void oct_field_block_points(const oct_field *field, uint32_t entry, uint32_t end, uint32_t *out);

/* How many points match, for the same conditions; cheap (no posting is read). Bounds are true
 * bounds. */
oct_cardinality oct_field_estimate(const oct_field *field, const oct_condition *condition);

#endif
