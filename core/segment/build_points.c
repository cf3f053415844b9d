/* SPDX-License-Identifier: Apache-2.0
 *
 * build_points.c - what a build writes of each point: ids, versions, payloads, vectors; and the
 * small sections beside them. */
#include "segment/build_parts.h"

#include <string.h>

#include "base/alloc.h"
#include "model/config.h"
#include "segment/layout.h"
#include "simd/metric.h"

enum { INDEX_BYTES_MAX = 1 << 30 /* of one payload index */ };

/* ---- reading sources ----------------------------------------------------------------- */

/* It lasts until the next call. */
static oct_status payload_of(oct_build *build, uint32_t point, oct_str *out, oct_error *error)
{
    oct_arena_reset(&build->decoded);
    const build_item *it = &build->items[point];
    const oct_view_entry *source = &build->sources[it->source];
    if (source->sealed)
        return oct_sealed_payload(source->sealed, it->offset, &build->decoded, out, error);
    *out = oct_memory_slot(source->memory, it->offset)->payload;
    return OCT_OK;
}

/* Its values are NULL when the point has none; they last until the next call. */
static oct_status vector_of(oct_build *build, uint32_t point, uint32_t v, oct_named_vector *out,
                            oct_error *error)
{
    oct_arena_reset(&build->decoded);
    const build_item *it = &build->items[point];
    const oct_view_entry *source = &build->sources[it->source];
    if (source->sealed)
        return oct_sealed_vector_read(source->sealed, it->offset, v, &build->decoded, out, error);
    *out = oct_memory_vector_at(source->memory, it->offset, v);
    return OCT_OK;
}

bool oct_build_has_row(const oct_build *build, uint32_t point, uint32_t v)
{
    const build_item *it = &build->items[point];
    const oct_view_entry *source = &build->sources[it->source];
    if (source->sealed) return oct_flat_has(&source->sealed->vectors[v].flat, it->offset);
    return (oct_memory_slot(source->memory, it->offset)->present >> v) & 1;
}

uint32_t oct_build_rows_of(const oct_build *build, uint32_t point, uint32_t v)
{
    const build_item *it = &build->items[point];
    const oct_view_entry *source = &build->sources[it->source];
    if (source->sealed) {
        const uint64_t *ends = source->sealed->vectors[v].ends;
        return (uint32_t)(ends[it->offset] - (it->offset ? ends[it->offset - 1] : 0));
    }
    return oct_memory_vector_at(source->memory, it->offset, v).rows;
}

/* ---- per-point stages ---------------------------------------------------------------- */

static oct_status emit_u64(oct_build *build, uint64_t value, oct_error *error)
{
    return oct_container_append(build->writer, &value, sizeof value, error);
}

oct_status oct_build_emit_low(oct_build *build, uint32_t point, oct_error *error)
{
    return emit_u64(build, build->items[point].id.low, error);
}

oct_status oct_build_emit_high(oct_build *build, uint32_t point, oct_error *error)
{
    if (!build->items[point].id.is_uuid) return OCT_OK;
    return emit_u64(build, build->items[point].id.high, error);
}

oct_status oct_build_emit_version(oct_build *build, uint32_t point, oct_error *error)
{
    const build_item *it = &build->items[point];
    const oct_view_entry *source = &build->sources[it->source];
    uint64_t version;
    if (!source->sealed)
        return emit_u64(build, oct_memory_slot(source->memory, it->offset)->version, error);
    oct_status status = oct_sealed_version(source->sealed, it->offset, &version, error);
    return status == OCT_OK ? emit_u64(build, version, error) : status;
}

oct_status oct_build_emit_payload_end(oct_build *build, uint32_t point, oct_error *error)
{
    const build_item *it = &build->items[point];
    const oct_view_entry *source = &build->sources[it->source];
    uint64_t bytes = 0;
    oct_status status = OCT_OK;
    if (source->sealed)
        status = oct_sealed_payload_bytes(source->sealed, it->offset, &bytes, error);
    else
        bytes = oct_memory_slot(source->memory, it->offset)->payload.bytes;
    if (status != OCT_OK) return status;
    if (point == 0) build->payload_end = 0;
    build->payload_end += bytes;
    return emit_u64(build, build->payload_end, error);
}

/* The payload's text; and, parsed once, its values to every payload index. */
oct_status oct_build_emit_payload(oct_build *build, uint32_t point, oct_error *error)
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

/* Rows of turbo4, each as a whole. */
static oct_status emit_turbo(oct_build *build, const oct_named_vector *vector, uint32_t size,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    size_t bytes = oct_compact_row_bytes(OCT_DATATYPE_TURBO4, size);
    uint8_t *row;
    TRY(oct_arena_array(&build->decoded, bytes, 1, &row, error));
    for (size_t at = 0; at < vector->count; at += size) {
        oct_compact_encode(OCT_DATATYPE_TURBO4, vector->values + at, size, row);
        TRY(oct_container_append(build->writer, row, bytes, error));
    }
done:
    return status;
}

static oct_status emit_numbers(oct_build *build, oct_datatype datatype,
                               const oct_named_vector *vector, oct_error *error)
{
    oct_status status = OCT_OK;
    uint8_t row[1024];
    size_t item_bytes = oct_compact_row_bytes(datatype, 1), most = sizeof row / item_bytes;
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
oct_status oct_build_emit_row(oct_build *build, uint32_t point, oct_error *error)
{
    uint32_t v = build->stages[build->at_stage].index;
    const oct_vector_params *params = &build->request.config->vectors[v];
    oct_named_vector vector;
    oct_status status = vector_of(build, point, v, &vector, error);
    if (status != OCT_OK) return status;
    if (vector.values && params->datatype == OCT_DATATYPE_TURBO4)
        return emit_turbo(build, &vector, params->size, error);
    if (vector.values) return emit_numbers(build, params->datatype, &vector, error);
    if (params->kind == OCT_VECTOR_MULTI) return OCT_OK;
    return emit_zeros(build, oct_compact_row_bytes(params->datatype, params->size), error);
}

/* Where the rows of a multivector, or the values of a sparse one, end. */
oct_status oct_build_emit_vector_end(oct_build *build, uint32_t point, oct_error *error)
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
oct_status oct_build_emit_sparse(oct_build *build, uint32_t point, oct_error *error)
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
oct_status oct_build_gather_sparse(oct_build *build, uint32_t point, oct_error *error)
{
    oct_named_vector vector;
    oct_status status =
        vector_of(build, point, build->stages[build->at_stage].index, &vector, error);
    if (status == OCT_OK && vector.values) oct_sparse_builder_add(build->sparse, point, &vector);
    return status;
}

/* Copy a point's rows beside the others for the graph, as a query of it would be prepared: a graph
 * needs similarities that are made of floats alone. */
oct_status oct_build_gather_row(oct_build *build, uint32_t point, oct_error *error)
{
    uint32_t v = build->stages[build->at_stage].index;
    const oct_vector_params *params = &build->request.config->vectors[v];
    oct_named_vector vector;
    oct_status status = vector_of(build, point, v, &vector, error);
    if (status != OCT_OK) return status;
    uint32_t rows = params->kind == OCT_VECTOR_MULTI ? vector.rows : 1;
    size_t numbers = (size_t)rows * params->size;
    float *target = build->rows + (size_t)build->rows_gathered * params->size;
    ASSERT(rows <= build->row_count - build->rows_gathered);
    build->rows_gathered += rows;
    if (vector.values)
        memcpy(target, vector.values, numbers * sizeof(float));
    else
        memset(target, 0, numbers * sizeof(float));
    oct_metric_prepare_query(build->request.kernels, params, target, numbers);
    return OCT_OK;
}

/* ---- whole-section stages ------------------------------------------------------------ */

oct_status oct_build_write_meta(oct_build *build, oct_error *error)
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

oct_status oct_build_write_present(oct_build *build, uint32_t v, oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t word = 0;
    for (uint32_t i = 0; i < build->count; i++) {
        word |= (uint64_t)oct_build_has_row(build, i, v) << (i % 64);
        if (i % 64 != 63 && i + 1 < build->count) continue;
        TRY(emit_u64(build, word, error));
        word = 0;
    }
done:
    return status;
}

oct_status oct_build_append(void *self, const void *source, size_t bytes, oct_error *error)
{
    return oct_container_append(self, source, bytes, error);
}

oct_status oct_build_write_field(oct_build *build, uint32_t f, oct_error *error)
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

oct_status oct_build_write_sparse(oct_build *build, oct_error *error)
{
    oct_status status =
        oct_sparse_builder_write(build->sparse, oct_build_append, build->writer, error);
    oct_sparse_builder_destroy(build->sparse);
    build->sparse = NULL;
    return status;
}
