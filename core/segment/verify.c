/* SPDX-License-Identifier: Apache-2.0
 *
 * verify.c - is what a sealed segment derived from its points still theirs (declared in sealed.h)?
 *
 * Checksums find what changed after it was written; this finds what was written wrong, or changed
 * together with its checksum. Payload and sparse indexes are built again and compared byte by byte:
 * the same points give the same bytes. Codes are made again row by row with the parameters that
 * stand in the file, which needs no training. Graphs are not built again, which would take hours:
 * they are examined (index/hnsw.h), and each link within payload blocks must join two points of one
 * block. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "index/hnsw_links.h"
#include "segment/sealed.h"
#include "simd/codes.h"
#include "simd/metric.h"

static oct_status wrong(const oct_sealed *segment, uint32_t v, const char *what, uint32_t point,
                        oct_error *error)
{
    oct_str name = segment->vectors[v].params.name;
    return oct_fail(error, OCT_CORRUPT, "%s: vector \"%.*s\": %s of point %" PRIu32, segment->path,
                    (int)name.bytes, name.bytes ? name.at : "", what, point);
}

/* ---- bytes that must come again ------------------------------------------------------- */

typedef struct expected_bytes {
    const uint8_t *at;
    size_t bytes; /* not compared yet */
    bool same;
} expected_bytes;

static oct_status compare_bytes(void *self, const void *source, size_t bytes, oct_error *error)
{
    expected_bytes *expected = self;
    UNUSED(error);
    expected->same = expected->same && bytes <= expected->bytes &&
                     (bytes == 0 || memcmp(source, expected->at, bytes) == 0);
    if (!expected->same) return OCT_OK;
    expected->at += bytes;
    expected->bytes -= bytes;
    return OCT_OK;
}

static oct_status verify_field(const oct_sealed *segment, uint32_t f, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_sealed_field *field = &segment->fields[f];
    const void *at = NULL;
    size_t bytes = 0;
    oct_buf made;
    oct_buf_init(&made, segment->host->alloc, 0);
    TRY(oct_container_load(segment->container, OCT_SECTION_FIELD, f, &at, &bytes, error));
    TRY(oct_fields_build(segment, field->type, field->key, &made, error));
    if (made.bytes != bytes || memcmp(made.at, at, bytes) != 0)
        TRY(oct_fail(error, OCT_CORRUPT, "%s: the index of \"%.*s\" is not that of the payloads",
                     segment->path, (int)field->key.bytes, field->key.bytes ? field->key.at : ""));
done:
    oct_buf_deinit(&made);
    return status;
}

/* ---- vectors -------------------------------------------------------------------------- */

/* One vector field on its way through its points. */
typedef struct checking {
    const oct_sealed *segment;
    uint32_t v;
    oct_arena arena;                /* the vector at hand */
    oct_sparse_builder *sparse;     /* of sparse vectors */
    bool arranged;                  /* its second pass */
    uint8_t *memory, *memory_owned; /* for coding a row */
    size_t memory_bytes;
} checking;

static bool are_finite(const oct_named_vector *vector)
{
    for (uint32_t i = 0; i < vector->count; i++)
        if (!isfinite(vector->values[i])) return false;
    return true;
}

/* The codes of one row: `row` counts those of all points. `vector` NULL: there is none. */
static oct_status verify_codes(checking *now, uint32_t point, uint64_t row, const float *vector,
                               oct_error *error)
{
    const oct_sealed_vector *field = &now->segment->vectors[now->v];
    if (field->quant && !oct_quant_check_row(field->quant, (uint32_t)row, vector, now->memory))
        return wrong(now->segment, now->v, "the quantized code is not that", point, error);
    if (field->graph && vector &&
        !oct_hnsw_check_code(field->graph, (size_t)row, vector, now->memory))
        return wrong(now->segment, now->v, "the graph's code is not that", point, error);
    return OCT_OK;
}

/* Rows are coded as queries are prepared (see segment/build_points.c). */
static oct_status verify_rows(checking *now, uint32_t point, const oct_named_vector *vector,
                              oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_sealed_vector *field = &now->segment->vectors[now->v];
    const oct_vector_params *params = &field->params;
    bool multi = params->kind == OCT_VECTOR_MULTI;
    uint64_t first = point;
    float *rows;
    if (multi) first = point > 0 ? field->ends[point - 1] : 0;
    if (!vector->values) return multi ? OCT_OK : verify_codes(now, point, first, NULL, error);
    TRY(oct_arena_array(&now->arena, vector->count, sizeof *rows, &rows, error));
    memcpy(rows, vector->values, vector->count * sizeof *rows);
    oct_metric_prepare_query(field->flat.kernels, params, rows, vector->count);
    for (uint32_t i = 0; i < vector->count / params->size; i++)
        TRY(verify_codes(now, point, first + i, rows + (size_t)i * params->size, error));
done:
    return status;
}

static oct_status verify_points(checking *now, oct_error *error)
{
    oct_status status = OCT_OK;
    for (uint32_t i = 0; i < now->segment->count; i++) {
        oct_named_vector vector;
        oct_arena_reset(&now->arena);
        TRY(oct_sealed_vector_at(now->segment, i, now->v, &now->arena, &vector, error));
        if (vector.values && !are_finite(&vector))
            TRY(wrong(now->segment, now->v, "a number is not finite", i, error));
        if (!now->sparse)
            TRY(verify_rows(now, i, &vector, error));
        else if (vector.values && now->arranged)
            oct_sparse_builder_add(now->sparse, i, &vector);
        else if (vector.values)
            TRY(oct_sparse_builder_count(now->sparse, i, &vector, error));
    }
done:
    return status;
}

static oct_status verify_sparse(checking *now, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_sealed *segment = now->segment;
    const void *at = NULL;
    size_t bytes = 0;
    TRY(oct_sparse_builder_create(segment->host->alloc, &now->sparse, error));
    TRY(verify_points(now, error));
    TRY(oct_sparse_builder_arrange(now->sparse, segment->count, error));
    now->arranged = true;
    TRY(verify_points(now, error));
    TRY(oct_container_load(segment->container, OCT_SECTION_SPARSE, now->v, &at, &bytes, error));
    expected_bytes expected = { .at = at, .bytes = bytes, .same = true };
    TRY(oct_sparse_builder_write(now->sparse, compare_bytes, &expected, error));
    if (!expected.same || expected.bytes > 0)
        TRY(wrong(segment, now->v, "the sparse index is not that, the last being",
                  segment->count - 1, error));
done:
    return status;
}

static oct_status take_memory(checking *now, oct_error *error)
{
    const oct_sealed_vector *field = &now->segment->vectors[now->v];
    size_t bytes = oct_codes_row_bytes(field->params.size);
    if (field->quant) bytes = MAX(bytes, oct_quant_check_bytes(field->quant));
    now->memory_bytes = bytes + OCT_CODES_ALIGN;
    now->memory_owned = oct_new_zeroed(now->segment->host->alloc, now->memory_bytes);
    if (!now->memory_owned) return oct_fail_nomem(error, "a code to compare with");
    uintptr_t over = (uintptr_t)now->memory_owned % OCT_CODES_ALIGN;
    now->memory = now->memory_owned + (OCT_CODES_ALIGN - over);
    return OCT_OK;
}

static oct_status verify_vector(const oct_sealed *segment, uint32_t v, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_alloc *alloc = segment->host->alloc;
    checking now = { .segment = segment, .v = v };
    oct_arena_init(&now.arena, alloc, 0);
    if (segment->vectors[v].params.kind == OCT_VECTOR_SPARSE) {
        TRY(verify_sparse(&now, error));
    } else {
        TRY(take_memory(&now, error));
        TRY(verify_points(&now, error));
    }
done:
    oct_sparse_builder_destroy(now.sparse);
    oct_free(alloc, now.memory_owned, now.memory_bytes);
    oct_arena_reset(&now.arena);
    return status;
}

/* ---- graphs --------------------------------------------------------------------------- */

static oct_status verify_graph(const oct_sealed *segment, uint32_t v, oct_error *error)
{
    oct_hnsw_report report;
    oct_status status =
        oct_hnsw_check(segment->host->alloc, segment->vectors[v].graph, &report, error);
    if (status != OCT_OK) return status;
    if (report.out_of_range || report.self_links || report.repeated_links || report.wrong_levels ||
        report.unreachable)
        return oct_fail(error, OCT_CORRUPT,
                        "%s: graph of vector %" PRIu32 ": %" PRIu32 " unreachable points, %" PRIu32
                        " bad links",
                        segment->path, v, report.unreachable,
                        report.out_of_range + report.self_links + report.repeated_links +
                            report.wrong_levels);
    return OCT_OK;
}

/* Mark the links within all blocks of one payload index. */
static oct_status mark_blocks(const oct_sealed *segment, const oct_hnsw *graph,
                              const oct_field *index, uint64_t *marks, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t entry = 0, end = 0, count;
    uint64_t *block;
    uint32_t *offsets;
    oct_arena arena;
    oct_arena_init(&arena, segment->host->alloc, 0);
    TRY(oct_arena_array(&arena, oct_bits_words(segment->count), sizeof *block, &block, error));
    TRY(oct_arena_array(&arena, segment->count, sizeof *offsets, &offsets, error));
    while ((count = oct_field_block_next(index, 2, segment->count, &entry, &end)) > 0) {
        oct_field_block_points(index, entry, end, offsets);
        for (uint32_t i = 0; i < count; i++)
            oct_bits_set(block, offsets[i]);
        oct_hnsw_links_mark(graph, block, offsets, count, marks);
        for (uint32_t i = 0; i < count; i++)
            oct_bits_clear(block, offsets[i]);
        entry = end;
    }
done:
    oct_arena_reset(&arena);
    return status;
}

static oct_status verify_links(const oct_sealed *segment, uint32_t v, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_hnsw *graph = segment->vectors[v].graph;
    uint32_t count = oct_hnsw_links_count(graph);
    uint64_t *marks = NULL, explained = 0;
    size_t words = oct_bits_words(count);
    if (count == 0) return OCT_OK;
    TRY(oct_array_resize(segment->host->alloc, &marks, 0, words, sizeof *marks, error));
    memset(marks, 0, words * sizeof *marks);
    for (uint32_t f = 0; f < segment->field_count; f++)
        if (segment->fields[f].type != OCT_FIELD_FLOAT)
            TRY(mark_blocks(segment, graph, &segment->fields[f].index, marks, error));
    explained = oct_bits_count(marks, words);
    if (explained != count)
        TRY(oct_fail(error, OCT_CORRUPT,
                     "%s: %" PRIu64 " of %" PRIu32 " links within payload blocks of vector %" PRIu32
                     " leave their blocks",
                     segment->path, count - explained, count, v));
done:
    oct_free(segment->host->alloc, marks, words * sizeof *marks);
    return status;
}

oct_status oct_sealed_verify(const oct_sealed *segment, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_fields_add(segment, NULL, error));
    for (uint32_t f = 0; f < segment->field_count; f++)
        TRY(verify_field(segment, f, error));
    for (uint32_t v = 0; v < segment->vector_count; v++) {
        TRY(verify_vector(segment, v, error));
        if (!segment->vectors[v].graph) continue;
        TRY(verify_graph(segment, v, error));
        TRY(verify_links(segment, v, error));
    }
done:
    return status;
}
