/* SPDX-License-Identifier: Apache-2.0
 *
 * links.h - the links within payload blocks of a segment under construction: which blocks there
 * are, and their section, in bounded steps. Used by the build and, to see whether links are still
 * those asked for, by db/choose.c. */
#ifndef OCTANT_SEGMENT_LINKS_H
#define OCTANT_SEGMENT_LINKS_H

#include "base/buf.h"
#include "index/hnsw_links.h"
#include "octant/types.h"

typedef struct oct_segment_links {
    const oct_host *host;
    oct_host narrowed; /* with the threads that the vector at hand may use */
    oct_buf *indexes;  /* [field_count] bytes of the payload indexes, kept for all vectors */
    uint32_t field_count;
    oct_hnsw_block *blocks; /* [block_capacity], block_count used, of the vector at hand */
    size_t block_capacity;
    uint32_t block_count;
    oct_hnsw_links_builder *builder;
} oct_segment_links;

/* What the links of vector v are built for, as a number: another one where the settings ask for
 * other links (oct_hnsw_links_built_for); 0 when they ask for none. */
uint32_t oct_links_mark(const oct_collection_config *config, uint32_t v,
                        const oct_field_config *fields, uint32_t field_count);

/* Start with nothing; allocates room for `field_count` indexes. NOMEM. */
OCT_MUST_CHECK oct_status oct_segment_links_init(oct_segment_links *links, const oct_host *host,
                                                 uint32_t field_count, oct_error *error);
/* Take the bytes of index f; `bytes` is left empty. */
void oct_segment_links_keep(oct_segment_links *links, uint32_t f, oct_buf *bytes);

/* Begin the links of vector v, whose rows are `flat` (copied; its memory outlives the steps). Every
 * index has been kept. NOMEM. */
OCT_MUST_CHECK oct_status oct_segment_links_begin(oct_segment_links *links,
                                                  const oct_collection_config *config, uint32_t v,
                                                  const oct_field_config *fields,
                                                  const oct_flat *flat, oct_error *error);
bool oct_segment_links_begun(const oct_segment_links *links);
/* Work on them; *done when they are written to the sink and forgotten. */
OCT_MUST_CHECK oct_status oct_segment_links_step(oct_segment_links *links, uint64_t budget_ns,
                                                 const oct_hnsw_sink *sink, bool *done,
                                                 oct_error *error);
/* Free everything; allowed on zeroed memory. */
void oct_segment_links_deinit(oct_segment_links *links);

#endif
