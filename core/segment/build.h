/* SPDX-License-Identifier: Apache-2.0
 *
 * build.h - writing one sealed segment from the living points of others, in bounded steps. Sealing
 * the memory segment, indexing, merging and vacuum are all this. */
#ifndef OCTANT_SEGMENT_BUILD_H
#define OCTANT_SEGMENT_BUILD_H

#include "segment/view.h"

typedef struct oct_build oct_build;

typedef struct oct_build_request {
    const oct_host *host;
    const oct_kernels *kernels;
    const oct_collection_config *config;
    oct_schema *schema;            /* payload indexes to write; pinned by the build */
    const oct_view_entry *sources; /* [source_count], pinned; points alive in `saved` (sealed) or
                                    * `alive` (memory) go in, and no id may live in two */
    uint32_t source_count;
    const char *directory; /* outlives the build */
    uint64_t number;       /* of the new file */
    bool graphs;           /* build graphs and quantized codes (of vectors whose config asks) */
} oct_build_request;

/* Plan: collects and sorts the ids. NOMEM. */
OCT_MUST_CHECK oct_status oct_build_create(const oct_build_request *request, oct_build **out,
                                           oct_error *error);
/* Work for about budget_ns; *done when the file is complete, synced and opened. On failure the
 * file is gone and the build can only be destroyed. */
OCT_MUST_CHECK oct_status oct_build_step(oct_build *build, uint64_t budget_ns, bool *done,
                                         oct_error *error);
/* The finished segment, still the build's; NULL before, when there is none, and when taken. */
const oct_sealed *oct_build_made(const oct_build *build);
/* Take the finished segment (asserted done). NULL when no point lives: there is no file. */
oct_sealed *oct_build_take(oct_build *build);
/* Where the points of source `s` went: new_offsets[old offset] = the new one or UINT32_MAX.
 * [sources[s].count]; until destroy. */
const uint32_t *oct_build_mapping(const oct_build *build, uint32_t s);
uint32_t oct_build_point_count(const oct_build *build);
/* Share of the work done, 0..1, for progress. */
float oct_build_progress(const oct_build *build);
void oct_build_destroy(oct_build *build); /* NULL allowed; removes an unfinished file */

#endif
