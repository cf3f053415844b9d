/* SPDX-License-Identifier: Apache-2.0
 *
 * source.h - one entry of a view as reads see it: the parts of a point, whichever kind of segment
 * holds it, and which of its points a filter selects. */
#ifndef OCTANT_QUERY_SOURCE_H
#define OCTANT_QUERY_SOURCE_H

#include "query/filter.h"
#include "query/read.h"

/* ---- parts of a point ---------------------------------------------------------------- */

oct_point_id oct_entry_id(const oct_view_entry *entry, uint32_t offset);
OCT_MUST_CHECK oct_status oct_entry_version(const oct_view_entry *entry, uint32_t offset,
                                            uint64_t *out, oct_error *error);
/* The payload text ("" = none), verified, borrowed from the segment or read into the arena.
 * CORRUPT, NOMEM, LIMIT, IO. */
OCT_MUST_CHECK oct_status oct_entry_payload(const oct_view_entry *entry, uint32_t offset,
                                            oct_arena *arena, oct_str *out, oct_error *error);
/* Vector v, verified, borrowed or decoded into the arena; its values are NULL when the point has
 * none. CORRUPT, NOMEM, LIMIT. */
OCT_MUST_CHECK oct_status oct_entry_vector(const oct_view_entry *entry, uint32_t offset, uint32_t v,
                                           oct_arena *arena, oct_named_vector *out,
                                           oct_error *error);

/* The entry as filters see it. Borrows `entry`, which must not move. */
oct_filter_source oct_entry_source(const oct_view_entry *entry);

/* ---- selections ---------------------------------------------------------------------- */

/* The points of one entry that live and pass a filter. */
typedef struct oct_selection {
    const uint64_t *bits; /* NULL: all points of the entry; bits behind the last are unspecified */
    uint32_t count;       /* points selected */
    const uint32_t *list; /* [count] those points in any order, instead of bits; mostly NULL */
} oct_selection;

/* What a filter selects in a whole view, for several searches of it: immutable. */
typedef struct oct_shared_filter {
    const oct_filter_program *program; /* NULL: every point passes */
    const oct_selection *selections;   /* [entries of the view] bits, never lists */
} oct_shared_filter;

/* Compile a filter and select everywhere, into reading->arena. The statuses of oct_selecting_*. */
OCT_MUST_CHECK oct_status oct_filter_share(const oct_reading *reading, const oct_filter *filter,
                                           oct_shared_filter *out, oct_error *error);

/* One filter on its way through the entries of a view. */
typedef struct oct_selecting {
    const oct_filter_program *program; /* NULL: every point passes */
    oct_arena work;    /* the bits of the present entry, and whatever the caller needs for it */
    oct_arena scratch; /* for parsed payloads */
} oct_selecting;

/* Compile `filter` (NULL: everything passes). oct_selecting_end is due afterwards, also after a
 * failure. BAD_INPUT as oct_filter_compile, NOMEM, LIMIT. */
OCT_MUST_CHECK oct_status oct_selecting_begin(oct_selecting *selecting, const oct_reading *reading,
                                              const oct_filter *filter, oct_error *error);
void oct_selecting_end(oct_selecting *selecting);

/* Select points of an entry. What the call before gave, and all else in `work`, is dead. */
OCT_MUST_CHECK oct_status oct_selecting_entry(oct_selecting *selecting, const oct_view_entry *entry,
                                              oct_selection *out, oct_error *error);

/* The same, as a list when there are few and it is cheap; *listed says whether. */
OCT_MUST_CHECK oct_status oct_selecting_list(oct_selecting *selecting, const oct_view_entry *entry,
                                             oct_selection *out, bool *listed, oct_error *error);

/* Not of a list. */
static inline bool oct_selection_has(const oct_selection *selection, uint32_t offset)
{
    return !selection->bits || oct_bits_get(selection->bits, offset);
}

#endif
