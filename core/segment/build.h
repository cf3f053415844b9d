/* SPDX-License-Identifier: Apache-2.0
 *
 * build.h - writing one sealed segment from the living points of others, in bounded steps. Sealing
 * the memory segment, indexing, merging and vacuum are all this. */
#ifndef OCTANT_SEGMENT_BUILD_H
#define OCTANT_SEGMENT_BUILD_H

#include "segment/checkpoint.h"
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
    oct_checkpoint *checkpoint; /* to go on from, of these sources with these `saved`; NULL: none.
                                 * Taken over in any case */
} oct_build_request;

/* Plan: collects and sorts the ids. NOMEM. */
OCT_MUST_CHECK oct_status oct_build_create(const oct_build_request *request, oct_build **out,
                                           oct_error *error);
/* Work for about budget_ns; *done when the file is complete, synced and opened. On failure the
 * file is gone and the build can only be destroyed. */
OCT_MUST_CHECK oct_status oct_build_step(oct_build *build, uint64_t budget_ns, bool *done,
                                         oct_error *error);
/* Can it be saved now? While it builds a graph it mostly can. Sources must be sealed. */
bool oct_build_can_save(const oct_build *build);
/* Save it into a new file: the build's checkpoint from now on. The file of the last one is the
 * caller's to remove. On failure there is no new file, and the build goes on. */
OCT_MUST_CHECK oct_status oct_build_save(oct_build *build, const char *path, oct_error *error);
/* Close the checkpoint it has: it takes space. */
void oct_build_forget_checkpoint(oct_build *build);
/* Distances computed for graphs so far: walks, and rows that were repaired or pruned. */
uint64_t oct_build_distances(const oct_build *build);

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
