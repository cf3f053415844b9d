/* SPDX-License-Identifier: Apache-2.0
 *
 * build.c - one sealed segment out of several, as a list of small stages.
 *
 * Every section of the file is a stage; most emit the same thing for every point, in id order, and
 * stop between points when the budget is spent. A graph stage first copies the vector's rows side
 * by side into memory (the price: those rows in memory while their graph is built), then builds
 * in steps, then writes; a stage of quantized codes does the same. A merge starts its graph from
 * the source with the most points.
 *
 * Rejected: building graphs on the half-written file through a view (not every vfs has views). */
#include "segment/build.h"

#include <string.h>

#include "base/alloc.h"
#include "model/config.h"
#include "model/point_id.h"
#include "segment/layout.h"
#include "segment/links.h"
#include "simd/metric.h"

enum {
    POINTS_PER_CHECK = 128,   /* points emitted between two looks at the clock */
    LEAST_EF_CONSTRUCT = 8,   /* of a graph that nobody walks */
    GRAPH_SEED = 0x0c7a47,    /* any constant: graphs must not differ between machines */
    INDEX_BYTES_MAX = 1 << 30 /* of one payload index */
};

typedef struct item {
    oct_point_id id;
    uint32_t source;
    uint32_t offset;
} item;

typedef oct_status (*stage_function)(oct_build *build, uint32_t point, oct_error *error);

typedef struct stage {
    uint32_t kind, index;
    stage_function emit; /* per point; NULL: one of the special stages */
} stage;

struct oct_build {
    oct_build_request request;
    const oct_alloc *alloc;
    oct_view_entry *sources; /* [source_count], pinned */
    uint32_t **mappings;     /* [source_count][count] */
    item *items;             /* [count] in id order */
    uint32_t count, capacity, number_count;
    oct_container_writer *writer;
    stage *stages;
    uint32_t stage_count, stage_capacity, at_stage, at_point;
    bool stage_open;
    uint64_t payload_end, vector_end;
    oct_field_builder **fields; /* [schema->count] */
    oct_arena scratch;          /* one parsed payload */
    oct_arena decoded;          /* one decoded vector */
    float *rows;                /* of the vector whose graph is built */
    uint64_t *row_present;
    oct_hnsw_builder *graph_builder;
    oct_segment_links links;
    bool links_wanted; /* of any vector */
    oct_quant_builder *quant_builder;
    oct_sparse_builder *sparse; /* of the vector whose index is built */
    oct_sealed *sealed;
    bool done;
};

/* ---- reading sources ----------------------------------------------------------------- */

static const oct_bitmap *living(const oct_view_entry *source)
{
    return source->sealed ? source->saved : source->alive;
}

static oct_status payload_of(const oct_build *build, uint32_t point, oct_str *out, oct_error *error)
{
    const item *it = &build->items[point];
    const oct_view_entry *source = &build->sources[it->source];
    if (source->sealed) return oct_sealed_payload(source->sealed, it->offset, out, error);
    *out = oct_memory_slot(source->memory, it->offset)->payload;
    return OCT_OK;
}

/* Its values are NULL when the point has none; they last until the next call. */
static oct_status vector_of(oct_build *build, uint32_t point, uint32_t v, oct_named_vector *out,
                            oct_error *error)
{
    oct_arena_reset(&build->decoded);
    const item *it = &build->items[point];
    const oct_view_entry *source = &build->sources[it->source];
    if (source->sealed)
        return oct_sealed_vector_at(source->sealed, it->offset, v, &build->decoded, out, error);
    const float *at =
        oct_memory_vector(source->memory, oct_memory_slot(source->memory, it->offset), v);
    *out = (oct_named_vector){ .values = NULL };
    if (at) *out = oct_layout_vector(&build->request.config->vectors[v], at);
    return OCT_OK;
}

static bool has_row(const oct_build *build, uint32_t point, uint32_t v)
{
    const item *it = &build->items[point];
    const oct_view_entry *source = &build->sources[it->source];
    if (source->sealed) return oct_flat_has(&source->sealed->vectors[v].flat, it->offset);
    return (oct_memory_slot(source->memory, it->offset)->present >> v) & 1;
}

/* ---- planning ------------------------------------------------------------------------ */

static oct_point_id source_id(const oct_view_entry *source, uint32_t offset)
{
    return source->sealed ? oct_sealed_id(source->sealed, offset)
                          : oct_memory_slot(source->memory, offset)->id;
}

static void gather(oct_build *build)
{
    for (uint32_t s = 0; s < build->request.source_count; s++) {
        const oct_view_entry *source = &build->sources[s];
        const oct_bitmap *alive = living(source);
        for (uint32_t i = 0; i < source->count; i++) {
            build->mappings[s][i] = UINT32_MAX;
            if (alive && !oct_bits_get(alive->bits, i)) continue;
            ASSERT(build->count < build->capacity);
            build->items[build->count++] = (item){ source_id(source, i), s, i };
        }
    }
}

static void merge_runs(const item *from, item *to, size_t start, size_t middle, size_t end)
{
    size_t a = start, b = middle;
    for (size_t k = start; k < end; k++) {
        bool left = a < middle && (b >= end || oct_point_id_compare(from[a].id, from[b].id) <= 0);
        to[k] = left ? from[a++] : from[b++];
    }
}

/* Merge sort by id, bottom up, with one spare array. */
static oct_status sort_items(oct_build *build, oct_error *error)
{
    size_t count = build->count, bytes = count * sizeof(item);
    if (count < 2) return OCT_OK;
    item *spare = oct_new(build->alloc, bytes);
    if (!spare) return oct_fail_nomem(error, "the order of points");
    item *from = build->items, *to = spare;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width)
            merge_runs(from, to, start, MIN(start + width, count), MIN(start + 2 * width, count));
        item *swap = from;
        from = to;
        to = swap;
    }
    if (from != build->items) memcpy(build->items, from, bytes);
    oct_free(build->alloc, spare, bytes);
    return OCT_OK;
}

/* Number the points; the same id twice means that the sources contradict each other. */
static oct_status number_points(oct_build *build, oct_error *error)
{
    for (uint32_t i = 0; i < build->count; i++) {
        const item *it = &build->items[i];
        if (i > 0 && oct_point_id_compare(build->items[i - 1].id, it->id) >= 0) {
            char id[OCT_POINT_ID_TEXT_BYTES];
            oct_point_id_print(it->id, id);
            return oct_fail(error, OCT_CORRUPT, "%s: point %s lives in two segments",
                            build->request.directory, id);
        }
        build->mappings[it->source][it->offset] = i;
        if (!it->id.is_uuid) build->number_count = i + 1;
    }
    return OCT_OK;
}

/* ---- per-point stages ---------------------------------------------------------------- */

static oct_status emit_u64(oct_build *build, uint64_t value, oct_error *error)
{
    return oct_container_append(build->writer, &value, sizeof value, error);
}

static oct_status emit_low(oct_build *build, uint32_t point, oct_error *error)
{
    return emit_u64(build, build->items[point].id.low, error);
}

static oct_status emit_high(oct_build *build, uint32_t point, oct_error *error)
{
    if (!build->items[point].id.is_uuid) return OCT_OK;
    return emit_u64(build, build->items[point].id.high, error);
}

static oct_status emit_version(oct_build *build, uint32_t point, oct_error *error)
{
    const item *it = &build->items[point];
    const oct_view_entry *source = &build->sources[it->source];
    return emit_u64(build,
                    source->sealed ? source->sealed->versions[it->offset]
                                   : oct_memory_slot(source->memory, it->offset)->version,
                    error);
}

static oct_status emit_payload_end(oct_build *build, uint32_t point, oct_error *error)
{
    oct_str text;
    oct_status status = payload_of(build, point, &text, error);
    if (status != OCT_OK) return status;
    if (point == 0) build->payload_end = 0;
    build->payload_end += text.bytes;
    return emit_u64(build, build->payload_end, error);
}

/* The payload's text; and, parsed once, its values to every payload index. */
static oct_status emit_payload(oct_build *build, uint32_t point, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_str text;
    const oct_json *payload = NULL;
    TRY(payload_of(build, point, &text, error));
    TRY(oct_container_append(build->writer, text.at, text.bytes, error));
    uint32_t fields = build->request.schema->count;
    if (text.bytes == 0 || fields == 0) return OCT_OK;
    oct_arena_reset(&build->scratch);
    TRY(oct_json_parse(&build->scratch, text, &payload, error));
    if (oct_json_kind_of(payload) != OCT_JSON_OBJECT)
        return oct_fail(error, OCT_CORRUPT, "%s: a payload is no object", build->request.directory);
    for (uint32_t f = 0; f < fields; f++)
        TRY(oct_field_builder_add(build->fields[f], point, payload, error));
done:
    return status;
}

static oct_status emit_zeros(oct_build *build, size_t bytes, oct_error *error)
{
    static const uint8_t zeros[1024] = { 0 };
    oct_status status = OCT_OK;
    for (; bytes > 0 && status == OCT_OK; bytes -= MIN(bytes, sizeof zeros))
        status = oct_container_append(build->writer, zeros, MIN(bytes, sizeof zeros), error);
    return status;
}

static oct_status emit_numbers(oct_build *build, oct_datatype datatype,
                               const oct_named_vector *vector, oct_error *error)
{
    oct_status status = OCT_OK;
    uint8_t row[1024];
    size_t item_bytes = oct_compact_bytes(datatype), most = sizeof row / item_bytes;
    if (datatype == OCT_DATATYPE_FLOAT32)
        return oct_container_append(build->writer, vector->values, vector->count * item_bytes,
                                    error);
    for (size_t at = 0, count; at < vector->count; at += count) {
        count = MIN(most, vector->count - at);
        oct_compact_encode(datatype, vector->values + at, count, row);
        TRY(oct_container_append(build->writer, row, count * item_bytes, error));
    }
done:
    return status;
}

/* The rows of a dense vector or multivector. */
static oct_status emit_row(oct_build *build, uint32_t point, oct_error *error)
{
    uint32_t v = build->stages[build->at_stage].index;
    const oct_vector_params *params = &build->request.config->vectors[v];
    oct_named_vector vector;
    oct_status status = vector_of(build, point, v, &vector, error);
    if (status != OCT_OK) return status;
    if (vector.values) return emit_numbers(build, params->datatype, &vector, error);
    if (params->kind == OCT_VECTOR_MULTI) return OCT_OK;
    return emit_zeros(build, params->size * oct_compact_bytes(params->datatype), error);
}

/* Where the rows of a multivector, or the values of a sparse one, end. */
static oct_status emit_vector_end(oct_build *build, uint32_t point, oct_error *error)
{
    oct_named_vector vector;
    oct_status status =
        vector_of(build, point, build->stages[build->at_stage].index, &vector, error);
    if (status != OCT_OK) return status;
    if (point == 0) build->vector_end = 0;
    if (vector.values)
        build->vector_end += vector.kind == OCT_VECTOR_MULTI ? vector.rows : vector.count;
    return emit_u64(build, build->vector_end, error);
}

/* A sparse vector's dimensions and values, and the former to the index's first pass. */
static oct_status emit_sparse(oct_build *build, uint32_t point, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_named_vector vector;
    TRY(vector_of(build, point, build->stages[build->at_stage].index, &vector, error));
    if (!vector.values) return OCT_OK;
    size_t bytes = vector.count * sizeof(float);
    TRY(oct_container_append(build->writer, vector.indices, bytes, error));
    TRY(oct_container_append(build->writer, vector.values, bytes, error));
    TRY(oct_sparse_builder_count(build->sparse, point, &vector, error));
done:
    return status;
}

/* The second pass of the index. */
static oct_status gather_sparse(oct_build *build, uint32_t point, oct_error *error)
{
    oct_named_vector vector;
    oct_status status =
        vector_of(build, point, build->stages[build->at_stage].index, &vector, error);
    if (status == OCT_OK && vector.values) oct_sparse_builder_add(build->sparse, point, &vector);
    return status;
}

/* Copy a row beside the others for the graph, as a query of it would be prepared: a graph needs
 * similarities that are made of floats alone. */
static oct_status gather_row(oct_build *build, uint32_t point, oct_error *error)
{
    uint32_t v = build->stages[build->at_stage].index;
    const oct_vector_params *params = &build->request.config->vectors[v];
    size_t size = params->size;
    oct_named_vector vector;
    oct_status status = vector_of(build, point, v, &vector, error);
    if (status != OCT_OK) return status;
    float *target = build->rows + (size_t)point * size;
    if (vector.values)
        memcpy(target, vector.values, size * sizeof(float));
    else
        memset(target, 0, size * sizeof(float));
    oct_metric_prepare_query(build->request.kernels, params, target, size);
    return OCT_OK;
}

/* ---- whole-section stages ------------------------------------------------------------ */

static oct_status write_meta(oct_build *build, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_collection_config *config = build->request.config;
    const oct_schema *schema = build->request.schema;
    oct_buf meta;
    oct_buf_init(&meta, build->alloc, 16 << 20);
    TRY(oct_buf_append_u32(&meta, 0, error));
    TRY(oct_buf_append_u32(&meta, build->count, error));
    TRY(oct_buf_append_u32(&meta, build->number_count, error));
    TRY(oct_buf_append_u32(&meta, config->vector_count, error));
    TRY(oct_buf_append_u32(&meta, schema->count, error));
    for (uint32_t v = 0; v < config->vector_count; v++) {
        TRY(oct_buf_append_str(&meta, config->vectors[v].name, error));
        TRY(oct_buf_append_u32(&meta, config->vectors[v].size, error));
        TRY(oct_buf_append_u32(&meta, oct_sealed_form(&config->vectors[v]), error));
    }
    for (uint32_t f = 0; f < schema->count; f++) {
        TRY(oct_buf_append_str(&meta, schema->fields[f].key, error));
        TRY(oct_buf_append_u32(&meta, (uint32_t)schema->fields[f].type, error));
    }
    TRY(oct_container_append(build->writer, meta.at, meta.bytes, error));
done:
    oct_buf_deinit(&meta);
    return status;
}

static oct_status write_present(oct_build *build, uint32_t v, oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t word = 0;
    for (uint32_t i = 0; i < build->count; i++) {
        word |= (uint64_t)has_row(build, i, v) << (i % 64);
        if (i % 64 != 63 && i + 1 < build->count) continue;
        TRY(emit_u64(build, word, error));
        word = 0;
    }
done:
    return status;
}

static oct_status append_section(void *self, const void *source, size_t bytes, oct_error *error)
{
    return oct_container_append(self, source, bytes, error);
}

static oct_status write_field(oct_build *build, uint32_t f, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_buf buf;
    oct_buf_init(&buf, build->alloc, INDEX_BYTES_MAX);
    TRY(oct_field_builder_finish(build->fields[f], build->count, &buf, error));
    TRY(oct_container_append(build->writer, buf.at, buf.bytes, error));
    if (build->links_wanted) oct_segment_links_keep(&build->links, f, &buf);
done:
    oct_buf_deinit(&buf);
    return status;
}

/* ---- graphs -------------------------------------------------------------------------- */

static size_t rows_bytes(const oct_build *build, uint32_t v)
{
    return (size_t)build->count * build->request.config->vectors[v].size * sizeof(float);
}

static size_t present_bytes(const oct_build *build)
{
    return oct_bits_words(build->count) * 8;
}

static void free_graph(oct_build *build, uint32_t v)
{
    oct_hnsw_builder_destroy(build->graph_builder);
    build->graph_builder = NULL;
    oct_quant_builder_destroy(build->quant_builder);
    build->quant_builder = NULL;
    oct_free(build->alloc, build->rows, build->rows ? rows_bytes(build, v) : 0);
    build->rows = NULL;
    oct_free(build->alloc, build->row_present, build->row_present ? present_bytes(build) : 0);
    build->row_present = NULL;
}

static oct_status begin_rows(oct_build *build, uint32_t v, oct_error *error)
{
    size_t bytes = 0;
    if (!oct_size_multiply(build->count, build->request.config->vectors[v].size * sizeof(float),
                           &bytes))
        return oct_fail_nomem(error, "the rows of a graph");
    build->rows = oct_new(build->alloc, bytes);
    build->row_present = oct_new_zeroed(build->alloc, present_bytes(build));
    if (!build->rows || !build->row_present) return oct_fail_nomem(error, "the rows of a graph");
    for (uint32_t i = 0; i < build->count; i++)
        if (has_row(build, i, v)) oct_bits_set(build->row_present, i);
    return OCT_OK;
}

/* The source whose graph is worth keeping: the one with the most points in it. */
static const oct_hnsw_reuse *choose_reuse(const oct_build *build, uint32_t v, uint32_t m,
                                          oct_hnsw_reuse *reuse)
{
    uint32_t most = 0;
    for (uint32_t s = 0; s < build->request.source_count; s++) {
        const oct_sealed *sealed = build->sources[s].sealed;
        const oct_hnsw *graph = sealed ? sealed->vectors[v].graph : NULL;
        if (!graph || oct_hnsw_graph_params(graph).m != m) continue;
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
                       .count = build->count,
                       .dim = params->size,
                       .metric = params->metric };
}

/* With m 0 a graph only carries the codes, and the links within blocks: it is the least one that
 * is sound, and no query without such links walks it. */
static oct_status begin_graph(oct_build *build, uint32_t v, oct_error *error)
{
    oct_hnsw_config config = oct_config_hnsw(build->request.config, v);
    oct_flat flat = gathered(build, v);
    uint64_t ef_construct = config.m > 0 ? config.ef_construct : (uint64_t)LEAST_EF_CONSTRUCT;
    oct_hnsw_params wanted = {
        .m = (uint32_t)MIN(MAX(config.m, OCT_HNSW_M_MIN), OCT_HNSW_M_MAX),
        .ef_construct = (uint32_t)MIN(ef_construct, OCT_HNSW_EF_MAX),
        .seed = GRAPH_SEED,
        .codes = true,
    };
    oct_hnsw_reuse reuse = { 0 };
    return oct_hnsw_builder_create(build->request.host, &flat, &wanted,
                                   choose_reuse(build, v, wanted.m, &reuse), &build->graph_builder,
                                   error);
}

static oct_status step_graph(oct_build *build, uint32_t v, uint64_t budget_ns, bool *done,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    oct_hnsw *graph = NULL;
    if (!build->graph_builder) TRY(begin_graph(build, v, error));
    TRY(oct_hnsw_build_step(build->graph_builder, budget_ns, done, error));
    if (!*done) return OCT_OK;
    oct_hnsw_builder_finish(build->graph_builder, &graph);
    oct_hnsw_sink sink = { append_section, build->writer };
    if (oct_config_quantization(build->request.config, v))
        TRY(oct_hnsw_write_bare(graph, &sink, error));
    else
        TRY(oct_hnsw_write(graph, &sink, error));
done:
    oct_hnsw_destroy(graph);
    if (*done || status != OCT_OK) free_graph(build, v);
    return status;
}

static oct_status step_links(oct_build *build, uint32_t v, uint64_t budget_ns, bool *done,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_flat flat = gathered(build, v);
    const oct_hnsw_sink sink = { append_section, build->writer };
    *done = false;
    if (!oct_segment_links_begun(&build->links))
        TRY(oct_segment_links_begin(&build->links, build->request.config, v,
                                    build->request.schema->fields, &flat, error));
    TRY(oct_segment_links_step(&build->links, budget_ns, &sink, done, error));
done:
    if (*done || status != OCT_OK) free_graph(build, v);
    return status;
}

/* ---- quantized codes ------------------------------------------------------------------ */

static oct_status step_quant(oct_build *build, uint32_t v, uint64_t budget_ns, bool *done,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    oct_quant *quant = NULL;
    const oct_quantization_config *config = oct_config_quantization(build->request.config, v);
    if (!build->quant_builder) {
        oct_flat flat = gathered(build, v);
        oct_quant_params params = oct_quant_params_of(config);
        TRY(oct_quant_builder_create(build->request.host, &flat, &params, &build->quant_builder,
                                     error));
    }
    *done = oct_quant_build_step(build->quant_builder, budget_ns);
    if (!*done) return OCT_OK;
    quant = oct_quant_builder_finish(build->quant_builder);
    oct_hnsw_sink sink = { append_section, build->writer };
    TRY(oct_quant_write(quant, &sink, error));
done:
    oct_quant_destroy(quant);
    if (*done || status != OCT_OK) free_graph(build, v);
    return status;
}

/* ---- stages -------------------------------------------------------------------------- */

static oct_status add_stage(oct_build *build, uint32_t kind, uint32_t index, stage_function emit,
                            oct_error *error)
{
    size_t capacity = build->stage_capacity;
    oct_status status = oct_array_reserve(build->alloc, &build->stages, &capacity,
                                          build->stage_count + 1, sizeof(stage), error);
    build->stage_capacity = (uint32_t)capacity;
    if (status == OCT_OK) build->stages[build->stage_count++] = (stage){ kind, index, emit };
    return status;
}

static bool wants_graph(const oct_build *build, uint32_t v)
{
    return build->request.graphs && oct_config_has_graph(build->request.config, v);
}

static bool wants_quant(const oct_build *build, uint32_t v)
{
    return build->request.graphs && oct_config_quantization(build->request.config, v);
}

static bool wants_links(const oct_build *build, uint32_t v)
{
    const oct_schema *schema = build->request.schema;
    return wants_graph(build, v) &&
           oct_links_wanted(build->request.config, v, schema->fields, schema->count);
}

static oct_status write_sparse(oct_build *build, oct_error *error)
{
    oct_status status =
        oct_sparse_builder_write(build->sparse, append_section, build->writer, error);
    oct_sparse_builder_destroy(build->sparse);
    build->sparse = NULL;
    return status;
}

static bool all_present(const oct_build *build, uint32_t v)
{
    for (uint32_t i = 0; i < build->count; i++)
        if (!has_row(build, i, v)) return false;
    return true;
}

static oct_status plan_vector(oct_build *build, uint32_t v, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_vector_kind kind = build->request.config->vectors[v].kind;
    bool sparse = kind == OCT_VECTOR_SPARSE;
    if (kind != OCT_VECTOR_DENSE)
        TRY(add_stage(build, OCT_SECTION_ENDS, v, emit_vector_end, error));
    TRY(add_stage(build, OCT_SECTION_VECTORS, v, sparse ? emit_sparse : emit_row, error));
    if (sparse) TRY(add_stage(build, OCT_SECTION_SPARSE, v, gather_sparse, error));
    if (!all_present(build, v)) TRY(add_stage(build, OCT_SECTION_PRESENT, v, NULL, error));
    if (wants_quant(build, v)) TRY(add_stage(build, OCT_SECTION_QUANT, v, gather_row, error));
    if (wants_graph(build, v)) TRY(add_stage(build, OCT_SECTION_GRAPH, v, gather_row, error));
    if (!wants_links(build, v)) return OCT_OK;
    TRY(add_stage(build, OCT_SECTION_LINKS, v, gather_row, error));
    build->links_wanted = true;
done:
    return status;
}

static oct_status plan_stages(oct_build *build, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(add_stage(build, OCT_SECTION_META, 0, NULL, error));
    TRY(add_stage(build, OCT_SECTION_ID_LOW, 0, emit_low, error));
    TRY(add_stage(build, OCT_SECTION_ID_HIGH, 0, emit_high, error));
    TRY(add_stage(build, OCT_SECTION_VERSIONS, 0, emit_version, error));
    TRY(add_stage(build, OCT_SECTION_PAYLOAD_END, 0, emit_payload_end, error));
    TRY(add_stage(build, OCT_SECTION_PAYLOADS, 0, emit_payload, error));
    for (uint32_t f = 0; f < build->request.schema->count; f++)
        TRY(add_stage(build, OCT_SECTION_FIELD, f, NULL, error));
    for (uint32_t v = 0; v < build->request.config->vector_count; v++)
        TRY(plan_vector(build, v, error));
done:
    return status;
}

/* Emit points until the stage or the budget ends. */
static oct_status step_points(oct_build *build, uint64_t deadline_ns, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_host *host = build->request.host;
    stage_function emit = build->stages[build->at_stage].emit;
    while (build->at_point < build->count) {
        uint32_t end = MIN(build->at_point + POINTS_PER_CHECK, build->count);
        for (; build->at_point < end; build->at_point++)
            TRY(emit(build, build->at_point, error));
        if (host->monotonic_ns(host->self) >= deadline_ns) break;
    }
done:
    return status;
}

static oct_status begin_stage(oct_build *build, const stage *now, oct_error *error)
{
    oct_status status = OCT_OK;
    build->at_point = 0;
    TRY(oct_container_begin(build->writer, now->kind, now->index, error));
    if (now->kind == OCT_SECTION_GRAPH || now->kind == OCT_SECTION_LINKS ||
        now->kind == OCT_SECTION_QUANT)
        TRY(begin_rows(build, now->index, error));
    if (now->emit == emit_sparse)
        TRY(oct_sparse_builder_create(build->alloc, &build->sparse, error));
    if (now->kind == OCT_SECTION_SPARSE)
        TRY(oct_sparse_builder_arrange(build->sparse, build->count, error));
    build->stage_open = true;
done:
    return status;
}

/* Work on the current stage; *done when it is complete. */
static oct_status step_stage(oct_build *build, uint64_t deadline_ns, bool *done, oct_error *error)
{
    oct_status status = OCT_OK;
    const stage *now = &build->stages[build->at_stage];
    const oct_host *host = build->request.host;
    *done = true;
    if (!build->stage_open) TRY(begin_stage(build, now, error));
    if (now->emit) {
        TRY(step_points(build, deadline_ns, error));
        *done = build->at_point == build->count;
    }
    if (now->kind == OCT_SECTION_META) TRY(write_meta(build, error));
    if (now->kind == OCT_SECTION_PRESENT) TRY(write_present(build, now->index, error));
    if (now->kind == OCT_SECTION_FIELD) TRY(write_field(build, now->index, error));
    if (now->kind == OCT_SECTION_SPARSE && *done) TRY(write_sparse(build, error));
    uint64_t time = host->monotonic_ns(host->self);
    uint64_t left = deadline_ns > time ? deadline_ns - time : 0;
    if (now->kind == OCT_SECTION_GRAPH && *done)
        TRY(step_graph(build, now->index, left, done, error));
    if (now->kind == OCT_SECTION_LINKS && *done)
        TRY(step_links(build, now->index, left, done, error));
    if (now->kind == OCT_SECTION_QUANT && *done)
        TRY(step_quant(build, now->index, left, done, error));
done:
    return status;
}

static oct_status finish(oct_build *build, oct_error *error)
{
    const oct_build_request *request = &build->request;
    uint64_t bytes = 0;
    oct_container_writer *writer = build->writer;
    build->writer = NULL; /* finish frees it in any case */
    oct_status status = oct_container_finish(writer, &bytes, error);
    if (status != OCT_OK) return status;
    oct_sealed_open_request open = { request->host, request->kernels, request->config,
                                     request->directory, request->number };
    return oct_sealed_open(&open, &build->sealed, error);
}

oct_status oct_build_step(oct_build *build, uint64_t budget_ns, bool *done, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_host *host = build->request.host;
    uint64_t start = host->monotonic_ns(host->self);
    uint64_t deadline = budget_ns > UINT64_MAX - start ? UINT64_MAX : start + budget_ns;
    *done = false;
    do {
        if (build->at_stage == build->stage_count) {
            if (build->count > 0) TRY(finish(build, error));
            build->done = *done = true;
            return OCT_OK;
        }
        bool stage_done = false;
        TRY(step_stage(build, deadline, &stage_done, error));
        if (stage_done) {
            build->at_stage++;
            build->stage_open = false;
        }
    } while (host->monotonic_ns(host->self) < deadline);
done:
    return status;
}

/* ---- life ---------------------------------------------------------------------------- */

static oct_status pin_sources(oct_build *build, oct_error *error)
{
    uint32_t count = build->request.source_count;
    build->sources = oct_new_zeroed(build->alloc, count * sizeof(oct_view_entry));
    build->mappings = oct_new_zeroed(build->alloc, count * sizeof(uint32_t *));
    if (!build->sources || !build->mappings) return oct_fail_nomem(error, "a merge");
    for (uint32_t s = 0; s < count; s++) {
        oct_view_entry *source = &build->sources[s];
        *source = build->request.sources[s];
        if (source->memory) oct_memory_segment_pin(source->memory);
        if (source->sealed) oct_sealed_pin(source->sealed);
        source->fields = NULL;
        source->alive = oct_bitmap_pin(source->alive);
        source->saved = oct_bitmap_pin(source->saved);
        build->capacity += source->count;
    }
    for (uint32_t s = 0; s < count; s++) {
        uint32_t points = build->sources[s].count;
        if (points == 0) continue;
        build->mappings[s] = oct_new(build->alloc, points * sizeof(uint32_t));
        if (!build->mappings[s]) return oct_fail_nomem(error, "a merge");
    }
    return OCT_OK;
}

static oct_status create_fields(oct_build *build, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_schema *schema = build->request.schema;
    if (schema->count == 0) return OCT_OK;
    build->fields = oct_new_zeroed(build->alloc, schema->count * sizeof(oct_field_builder *));
    if (!build->fields) return oct_fail_nomem(error, "payload indexes");
    for (uint32_t f = 0; f < schema->count; f++)
        TRY(oct_field_builder_create(build->alloc, schema->fields[f].type, schema->fields[f].key,
                                     &build->fields[f], error));
done:
    return status;
}

oct_status oct_build_create(const oct_build_request *request, oct_build **out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_host *host = request->host;
    *out = NULL;
    oct_build *build = oct_new_zeroed(host->alloc, sizeof *build);
    if (!build) return oct_fail_nomem(error, "a merge");
    build->request = *request;
    build->alloc = host->alloc;
    oct_arena_init(&build->scratch, host->alloc, 0);
    oct_arena_init(&build->decoded, host->alloc, 0);
    (void)oct_schema_pin(request->schema);
    TRY(pin_sources(build, error));
    if (build->capacity) {
        build->items = oct_new(build->alloc, build->capacity * sizeof(item));
        if (!build->items) TRY(oct_fail_nomem(error, "a merge"));
    }
    gather(build);
    TRY(sort_items(build, error));
    TRY(number_points(build, error));
    if (build->count > 0) {
        char path[OCT_PATH_BYTES_MAX + 1];
        TRY(create_fields(build, error));
        TRY(plan_stages(build, error));
        TRY(oct_segment_links_init(&build->links, host, request->schema->count, error));
        oct_sealed_path(path, request->directory, request->number);
        TRY(oct_container_create(host->alloc, host->vfs, path, &build->writer, error));
    }
    *out = build;
    build = NULL;
done:
    oct_build_destroy(build);
    return status;
}

oct_sealed *oct_build_take(oct_build *build)
{
    ASSERT(build->done);
    oct_sealed *sealed = build->sealed;
    build->sealed = NULL;
    return sealed;
}

const uint32_t *oct_build_mapping(const oct_build *build, uint32_t s)
{
    return build->mappings[s];
}

uint32_t oct_build_point_count(const oct_build *build)
{
    return build->count;
}

float oct_build_progress(const oct_build *build)
{
    if (build->stage_count == 0) return 1;
    float share = build->count ? (float)build->at_point / (float)build->count : 0;
    if (build->graph_builder) {
        uint32_t inserted = 0, total = 0;
        oct_hnsw_builder_progress(build->graph_builder, &inserted, &total);
        share = total ? (float)inserted / (float)total : 1;
    }
    if (build->quant_builder) share = oct_quant_builder_progress(build->quant_builder);
    return ((float)build->at_stage + share) / (float)build->stage_count;
}

static void unpin_sources(oct_build *build)
{
    uint32_t count = build->request.source_count;
    for (uint32_t s = 0; build->sources && s < count; s++) {
        oct_view_entry *source = &build->sources[s];
        if (build->mappings && build->mappings[s])
            oct_free(build->alloc, build->mappings[s], source->count * sizeof(uint32_t));
        oct_memory_segment_unpin(source->memory);
        oct_sealed_unpin(source->sealed);
        oct_bitmap_unpin(source->alive);
        oct_bitmap_unpin(source->saved);
    }
    oct_free(build->alloc, build->sources, count * sizeof(oct_view_entry));
    oct_free(build->alloc, build->mappings, count * sizeof(uint32_t *));
}

void oct_build_destroy(oct_build *build)
{
    if (!build) return;
    const oct_alloc *alloc = build->alloc;
    oct_segment_links_deinit(&build->links); /* before the rows it reads */
    if (build->at_stage < build->stage_count)
        free_graph(build, build->stages[build->at_stage].index);
    oct_sparse_builder_destroy(build->sparse);
    oct_container_abandon(build->writer);
    if (build->sealed) { /* finished but not taken */
        oct_sealed_doom(build->sealed);
        oct_sealed_unpin(build->sealed);
    }
    for (uint32_t f = 0; build->fields && f < build->request.schema->count; f++)
        oct_field_builder_destroy(build->fields[f]);
    oct_free(alloc, build->fields, build->request.schema->count * sizeof(oct_field_builder *));
    oct_free(alloc, build->stages, build->stage_capacity * sizeof(stage));
    oct_free(alloc, build->items, build->capacity * sizeof(item));
    oct_arena_reset(&build->scratch);
    oct_arena_reset(&build->decoded);
    unpin_sources(build);
    oct_schema_unpin(build->request.schema);
    oct_free(alloc, build, sizeof *build);
}
