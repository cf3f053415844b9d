/* SPDX-License-Identifier: Apache-2.0
 *
 * build_graphs.c - what a build makes of one vector of all points: graph, links within payload
 * blocks, quantized codes. Each begins with the rows side by side in memory, works in steps, then
 * writes its section. A merge starts its graph from the source with the most points. */
#include "segment/build_parts.h"

#include <string.h>

#include "base/alloc.h"
#include "model/config.h"
#include "segment/graph.h"

/* ---- graphs -------------------------------------------------------------------------- */

static size_t present_bytes(const oct_build *build)
{
    return oct_bits_words(build->count) * 8;
}

static size_t ends_bytes(const oct_build *build)
{
    return build->count * sizeof(uint64_t);
}

void oct_build_free_graph(oct_build *build)
{
    build->distances = oct_build_distances(build);
    oct_hnsw_builder_destroy(build->graph_builder);
    build->graph_builder = NULL;
    build->part_failed = false;
    oct_hnsw_destroy(build->graph);
    build->graph = NULL;
    oct_quant_builder_destroy(build->quant_builder);
    build->quant_builder = NULL;
    oct_quant_destroy(build->quant);
    build->quant = NULL;
    oct_free(build->alloc, build->rows, build->rows_bytes);
    build->rows = NULL;
    oct_free(build->alloc, build->row_present, build->row_present ? present_bytes(build) : 0);
    build->row_present = NULL;
    oct_free(build->alloc, build->row_ends, build->row_ends ? ends_bytes(build) : 0);
    build->row_ends = NULL;
}

bool oct_build_release(oct_build *build)
{
    oct_hnsw_builder_destroy(build->graph_builder);
    build->graph_builder = NULL;
    oct_quant_builder_destroy(build->quant_builder);
    build->quant_builder = NULL;
    if (!oct_hnsw_release(build->graph) || !oct_quant_release(build->quant)) return false;
    if (build->rows && !oct_free_piece(build->alloc, &build->rows, &build->rows_bytes))
        return false;
    oct_build_free_graph(build);
    return true;
}

/* Rows of all points: of a multivector those there are, else one each, absent ones included. NOMEM:
 * there is no memory for where a multivector's points end. */
static oct_status count_rows(oct_build *build, uint32_t v, uint64_t *rows, oct_error *error)
{
    *rows = build->count;
    if (build->request.config->vectors[v].kind != OCT_VECTOR_MULTI) return OCT_OK;
    build->row_ends = oct_new(build->alloc, ends_bytes(build));
    if (!build->row_ends) return oct_fail_nomem(error, "the rows of a graph");
    *rows = 0;
    for (uint32_t i = 0; i < build->count; i++)
        build->row_ends[i] = *rows += oct_build_rows_of(build, i, v);
    return OCT_OK;
}

oct_status oct_build_begin_rows(oct_build *build, uint32_t v, oct_error *error)
{
    uint64_t rows;
    size_t bytes;
    oct_status status = count_rows(build, v, &rows, error);
    if (status != OCT_OK) return status;
    if (rows > UINT32_MAX)
        return oct_fail(error, OCT_LIMIT, "%s: %" PRIu64 " rows are too many for codes",
                        build->request.directory, rows);
    build->row_count = (uint32_t)rows;
    build->rows_gathered = 0;
    if (!oct_size_multiply(build->row_count, build->request.config->vectors[v].size * sizeof(float),
                           &bytes))
        return oct_fail_nomem(error, "the rows of a graph");
    build->rows_bytes = MAX(bytes, sizeof(float)); /* multivectors may all be absent */
    build->rows = oct_new(build->alloc, build->rows_bytes);
    build->row_present = oct_new_zeroed(build->alloc, present_bytes(build));
    if (!build->rows || !build->row_present) return oct_fail_nomem(error, "the rows of a graph");
    for (uint32_t i = 0; i < build->count; i++)
        if (oct_build_has_row(build, i, v)) oct_bits_set(build->row_present, i);
    return OCT_OK;
}

/* The source whose graph is worth keeping: the one with the most points in it. */
static const oct_hnsw_reuse *choose_reuse(const oct_build *build, uint32_t v,
                                          const oct_hnsw_params *wanted, oct_hnsw_reuse *reuse)
{
    uint32_t most = 0;
    for (uint32_t s = 0; s < build->request.source_count; s++) {
        const oct_sealed *sealed = build->sources[s].sealed;
        const oct_hnsw *graph = sealed ? sealed->vectors[v].graph : NULL;
        if (!graph) continue;
        oct_hnsw_params params = oct_hnsw_graph_params(graph);
        if (params.m != wanted->m || params.ef_construct != wanted->ef_construct) continue;
        if (oct_hnsw_point_count(graph) <= most) continue;
        most = oct_hnsw_point_count(graph);
        *reuse = (oct_hnsw_reuse){ graph, build->mappings[s] };
    }
    return most ? reuse : NULL;
}

/* The rows that were gathered. */
static oct_flat gathered(const oct_build *build, uint32_t v)
{
    const oct_vector_params *params = &build->request.config->vectors[v];
    return (oct_flat){ .kernels = build->request.kernels,
                       .rows = build->rows,
                       .present = build->row_present,
                       .ends = build->row_ends,
                       .count = build->count,
                       .dim = params->size,
                       .metric = params->metric };
}

static oct_status begin_graph(oct_build *build, uint32_t v, oct_error *error)
{
    const oct_flat flat = gathered(build, v);
    const oct_hnsw_params wanted = oct_graph_params(build->request.config, v);
    oct_hnsw_reuse reuse = { 0 };
    build->host = oct_graph_host(build->request.host, build->request.config, v);
    oct_status status = oct_build_restore_graph(build, v, &flat, &wanted, error);
    if (status != OCT_OK || build->graph_builder) return status;
    return oct_hnsw_builder_create(&build->host, &flat, &wanted,
                                   choose_reuse(build, v, &wanted, &reuse), &build->graph_builder,
                                   error);
}

uint64_t oct_build_distances(const oct_build *build)
{
    uint64_t now = build->graph_builder ? oct_hnsw_builder_distances(build->graph_builder) : 0;
    return build->distances + now;
}

/* A step of the builder: if that shows that its checkpoint is no good, the graph begins anew. */
static oct_status step_graph(oct_build *build, uint64_t budget_ns, bool *done, oct_error *error)
{
    oct_error cause = { .message = "" };
    bool restoring = oct_hnsw_builder_restoring(build->graph_builder);
    oct_status status = oct_hnsw_build_step(build->graph_builder, budget_ns, done, &cause);
    if (status == OCT_CORRUPT && oct_hnsw_builder_restoring(build->graph_builder)) {
        oct_build_drop_part(build, &cause);
        return OCT_OK;
    }
    if (status != OCT_OK && error) *error = cause;
    if (status == OCT_OK && restoring && !oct_hnsw_builder_restoring(build->graph_builder))
        oct_build_note_part(build);
    return status;
}

/* Build on; *done when build->graph is it. */
static oct_status make_graph(oct_build *build, uint32_t v, uint64_t budget_ns, bool *done,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    if (!build->graph_builder) TRY(begin_graph(build, v, error));
    TRY(step_graph(build, budget_ns, done, error));
    if (!*done) return OCT_OK;
    build->distances = oct_build_distances(build);
    oct_hnsw_builder_finish(build->graph_builder, &build->graph);
    build->graph_written = 0;
    oct_hnsw_builder_destroy(build->graph_builder);
    build->graph_builder = NULL;
done:
    return status;
}

oct_status oct_build_step_graph(oct_build *build, uint32_t v, uint64_t budget_ns, bool *done,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_host *host = build->request.host;
    const oct_hnsw_sink sink = { oct_build_append, build->writer };
    bool bare = !oct_graph_keeps_codes(build->request.config, v), made = build->graph != NULL;
    uint64_t begin = host->monotonic_ns(host->self);
    *done = false;
    if (!made) TRY(make_graph(build, v, budget_ns, &made, error));
    while (made && !*done) {
        TRY(oct_hnsw_write_piece(build->graph, bare, &build->graph_written, &sink, done, error));
        if (host->monotonic_ns(host->self) - begin >= budget_ns) break;
    }
done:
    if (status != OCT_OK) oct_build_free_graph(build);
    return status;
}

oct_status oct_build_step_links(oct_build *build, uint32_t v, uint64_t budget_ns, bool *done,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_flat flat = gathered(build, v);
    const oct_hnsw_sink sink = { oct_build_append, build->writer };
    *done = false;
    if (!oct_segment_links_begun(&build->links))
        TRY(oct_segment_links_begin(&build->links, build->request.config, v,
                                    build->request.schema->fields, &flat, error));
    TRY(oct_segment_links_step(&build->links, budget_ns, &sink, done, error));
done:
    if (status != OCT_OK) oct_build_free_graph(build);
    return status;
}

/* ---- quantized codes ------------------------------------------------------------------ */

oct_status oct_build_step_quant(oct_build *build, uint32_t v, uint64_t budget_ns, bool *done,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_host *host = build->request.host;
    const oct_quantization_config *config = oct_config_quantization(build->request.config, v);
    const oct_hnsw_sink sink = { oct_build_append, build->writer };
    uint64_t begin = host->monotonic_ns(host->self);
    *done = false;
    if (!build->quant_builder) {
        oct_flat flat = gathered(build, v);
        if (flat.ends) flat.present = flat.ends = NULL; /* codes are of rows */
        flat.count = build->row_count;
        oct_quant_params params = oct_quant_params_of(config);
        build->host = oct_graph_host(build->request.host, build->request.config, v);
        TRY(oct_quant_builder_create(&build->host, &flat, &params, &build->quant_builder, error));
    }
    if (!build->quant) {
        if (!oct_quant_build_step(build->quant_builder, budget_ns)) return OCT_OK;
        build->quant = oct_quant_builder_finish(build->quant_builder);
        build->graph_written = 0;
    }
    while (!*done) {
        TRY(oct_quant_write_piece(build->quant, &build->graph_written, &sink, done, error));
        if (host->monotonic_ns(host->self) - begin >= budget_ns) break;
    }
done:
    if (status != OCT_OK) oct_build_free_graph(build);
    return status;
}
