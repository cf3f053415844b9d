/* SPDX-License-Identifier: Apache-2.0
 *
 * graph.h - which graph a collection's settings ask for, and whether one that exists is it. A build
 * writes down with each graph what it was asked for; when the settings have changed since,
 * maintenance builds the segment anew. */
#ifndef OCTANT_SEGMENT_GRAPH_H
#define OCTANT_SEGMENT_GRAPH_H

#include "index/hnsw.h"
#include "octant/types.h"

/* The parameters of the graph of vector v, which has one (oct_config_has_graph). */
oct_hnsw_params oct_graph_params(const oct_collection_config *config, uint32_t v);

/* Is `graph`, of vector v, other than the settings ask for now? */
bool oct_graph_is_stale(const oct_collection_config *config, uint32_t v, const oct_hnsw *graph);

/* `host`, with as many threads for a build over vector v as its max_indexing_threads allows. */
oct_host oct_graph_host(const oct_host *host, const oct_collection_config *config, uint32_t v);

/* Is a graph of vector v stored with codes of its own? Not beside quantized codes, nor with
 * inline_storage false: then it is walked on the rows, which takes less memory and more time. */
bool oct_graph_keeps_codes(const oct_collection_config *config, uint32_t v);

#endif
