/* SPDX-License-Identifier: Apache-2.0
 *
 * graph.c - from settings to the parameters of a graph, and back to see whether they still agree.
 *
 * m and ef_construct stand in the graph's header. What decides on the links beside it is in
 * links.c, and doesn't count here: new links don't need a new graph. */
#include "segment/graph.h"

#include "base/check.h"
#include "model/config.h"
#include "simd/codes.h"

enum {
    LEAST_EF_CONSTRUCT = 8, /* of a graph that nobody walks */
    GRAPH_SEED = 0x0c7a47   /* any constant: graphs must not differ between machines */
};

/* With m 0 a graph only carries the codes, and the links within blocks: it is the least one that
 * is sound, and no query without such links walks it. */
oct_hnsw_params oct_graph_params(const oct_collection_config *config, uint32_t v)
{
    oct_hnsw_config hnsw = oct_config_hnsw(config, v);
    uint64_t ef_construct = hnsw.m > 0 ? hnsw.ef_construct : (uint64_t)LEAST_EF_CONSTRUCT;
    return (oct_hnsw_params){ .m = (uint32_t)MIN(MAX(hnsw.m, OCT_HNSW_M_MIN), OCT_HNSW_M_MAX),
                              .ef_construct = (uint32_t)MIN(ef_construct, OCT_HNSW_EF_MAX),
                              .seed = GRAPH_SEED,
                              .codes = true };
}

bool oct_graph_keeps_codes(const oct_collection_config *config, uint32_t v)
{
    return !oct_config_quantization(config, v) && oct_config_hnsw(config, v).inline_storage != 0;
}

bool oct_graph_is_stale(const oct_collection_config *config, uint32_t v, const oct_hnsw *graph)
{
    if (!oct_config_has_graph(config, v)) return true;
    oct_hnsw_params has = oct_hnsw_graph_params(graph), asked = oct_graph_params(config, v);
    bool bare = oct_config_hnsw(config, v).inline_storage == 0;
    bool may = oct_graph_keeps_codes(config, v) && oct_codes_supports(config->vectors[v].metric);
    if (has.codes ? bare : may) return true; /* Manhattan's graphs never have codes */
    return has.m != asked.m || has.ef_construct != asked.ef_construct;
}

oct_host oct_graph_host(const oct_host *host, const oct_collection_config *config, uint32_t v)
{
    oct_host narrowed = *host;
    uint64_t threads = oct_config_hnsw(config, v).max_indexing_threads;
    if (threads > 0 && threads < narrowed.parallel_width)
        narrowed.parallel_width = (uint32_t)threads;
    return narrowed;
}
