/* SPDX-License-Identifier: Apache-2.0
 *
 * sealed.c - opening and reading a sealed segment.
 *
 * META: u32 version (0), u32 point count, u32 count of numeric ids, u32 vector count, u32 field
 *       count; per vector: name (u32 length, bytes), u32 size (sparse: 0), u32 metric + 256 x form
 *       + 65536 x datatype (oct_vector_kind, oct_datatype); per field: key, u32 type.
 * ID_LOW u64[points], ID_HIGH u64[points - numbers]: strictly ascending in the order of point ids,
 *       numbers first. VERSIONS u64[points].
 * PAYLOAD_END u64[points], never falling; the payload of point i is PAYLOADS[end(i-1) .. end(i)).
 * VECTORS(v) f32[points][size], or numbers of another datatype (simd/compact.h); absent points
 *       have zero rows.
 *       Of multivectors f32[rows][size], and ENDS(v) u64[points], never falling: rows
 *       end(i-1) .. end(i) are those of point i, at least one when it has any.
 *       Of sparse vectors u32[2 x values], and ENDS(v) likewise: from word 2 x end(i-1) on stand
 *       the dimensions of point i, strictly ascending, and then its values. SPARSE(v): the index
 *       over them, see index/sparse.c.
 * PRESENT(v): one bit per point in whole u64 words, unused bits zero.
 * GRAPH(v): see index/hnsw.c. QUANT(v): see index/quant_codes.h, with one code for each point, or
 *       for each row of multivectors; with it, GRAPH(v) has no codes of
 *       its own. LINKS(v), only beside GRAPH(v): see index/hnsw_links.c. FIELD(f): see
 *       index/field.c.
 *
 * A file is valid for a collection when its vectors are those of the config, in order. Payload
 * indexes are derived data: what the file lacks, oct_fields_create builds. */
#include "segment/sealed.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "index/hnsw_links.h"
#include "model/config.h"
#include "model/point_id.h"
#include "model/vector.h"
#include "segment/sealed_cold.h"

enum { OPEN_BYTES = 512 << 10 /* verified in a step of opening */ };

void oct_sealed_path(char *path, const char *directory, uint64_t number)
{
    static const char digits[] = "0123456789abcdef";
    size_t at = strlen(directory);
    ASSERT(at + sizeof "/s-0123456789abcdef" <= OCT_PATH_BYTES_MAX + 1);
    memcpy(path, directory, at);
    memcpy(path + at, "/s-", 3);
    at += 3;
    for (int shift = 60; shift >= 0; shift -= 4)
        path[at++] = digits[(number >> shift) & 15];
    path[at] = '\0';
}

static oct_status corrupt(const oct_sealed *segment, const char *what, oct_error *error)
{
    return oct_fail(error, OCT_CORRUPT, "%s: %s", segment->path, what);
}

/* A section that must hold exactly count items of item_bytes. */
static oct_status load_items(oct_sealed *segment, uint32_t kind, size_t count, size_t item_bytes,
                             void *out_pointer, oct_error *error)
{
    const void *at = NULL;
    size_t bytes = 0, wanted = 0;
    oct_status status = oct_container_load(segment->container, kind, 0, &at, &bytes, error);
    if (status != OCT_OK) return status;
    if (!oct_size_multiply(count, item_bytes, &wanted) || bytes != wanted)
        return corrupt(segment, "a section has the wrong size", error);
    memcpy(out_pointer, &at, sizeof at);
    return OCT_OK;
}

uint32_t oct_sealed_form(const oct_vector_params *params)
{
    return (uint32_t)params->metric | (uint32_t)params->kind << 8 |
           (uint32_t)params->datatype << 16;
}

/* ---- meta ---------------------------------------------------------------------------- */

static oct_status read_vector_params(oct_sealed *segment, oct_reader *reader,
                                     const oct_collection_config *config, oct_error *error)
{
    oct_status status = OCT_OK;
    size_t bytes = segment->vector_count * sizeof(oct_sealed_vector);
    if (bytes == 0) return OCT_OK;
    segment->vectors = oct_new_zeroed(segment->host->alloc, bytes);
    if (!segment->vectors) TRY(oct_fail_nomem(error, "a segment"));
    for (uint32_t v = 0; v < segment->vector_count; v++) {
        const oct_vector_params *params = &config->vectors[v];
        oct_str name;
        uint32_t size = 0, form = 0;
        TRY(oct_read_str(reader, &name, "a vector's name", error));
        TRY(oct_read_u32(reader, &size, "a vector's size", error));
        TRY(oct_read_u32(reader, &form, "a vector's metric", error));
        if (!oct_str_equal(name, params->name) || size != params->size ||
            form != oct_sealed_form(params))
            return corrupt(segment, "its vectors are not the collection's", error);
        segment->vectors[v].params = *params;
        segment->vectors[v].params.name = name;
    }
done:
    return status;
}

static oct_status read_fields(oct_sealed *segment, oct_reader *reader, oct_error *error)
{
    oct_status status = OCT_OK;
    if (segment->field_count > OCT_FIELD_INDEXES_MAX)
        return corrupt(segment, "too many payload indexes", error);
    if (segment->field_count == 0) return OCT_OK;
    TRY(oct_array_resize(segment->host->alloc, &segment->fields, 0, segment->field_count,
                         sizeof(oct_sealed_field), error));
    for (uint32_t f = 0; f < segment->field_count; f++) {
        oct_sealed_field *field = &segment->fields[f];
        uint32_t type = 0;
        TRY(oct_read_str(reader, &field->key, "a field's key", error));
        TRY(oct_read_u32(reader, &type, "a field's type", error));
        if (type >= OCT_FIELD_TYPE_COUNT) return corrupt(segment, "unknown field type", error);
        field->type = (oct_field_type)type;
    }
done:
    return status;
}

static oct_status load_field(oct_sealed *segment, uint32_t f, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_sealed_field *field = &segment->fields[f];
    const void *at = NULL;
    size_t bytes = 0;
    TRY(oct_container_load(segment->container, OCT_SECTION_FIELD, f, &at, &bytes, error));
    TRY(oct_field_open(at, bytes, segment->count, &field->index, error));
    if (field->index.type != field->type)
        return corrupt(segment, "a payload index has another type", error);
done:
    return status;
}

static oct_status read_meta(oct_sealed *segment, const oct_collection_config *config,
                            oct_error *error)
{
    oct_status status = OCT_OK;
    const void *at = NULL;
    size_t bytes = 0;
    uint32_t version = 0, vectors = 0;
    TRY(oct_container_load(segment->container, OCT_SECTION_META, 0, &at, &bytes, error));
    oct_reader reader = { at, bytes };
    TRY(oct_read_u32(&reader, &version, "the segment's version", error));
    if (version != 0) return corrupt(segment, "written by a newer version", error);
    TRY(oct_read_u32(&reader, &segment->count, "the point count", error));
    TRY(oct_read_u32(&reader, &segment->number_count, "the count of numeric ids", error));
    TRY(oct_read_u32(&reader, &vectors, "the vector count", error));
    TRY(oct_read_u32(&reader, &segment->field_count, "the field count", error));
    if (segment->count == 0 || segment->count > OCT_HNSW_POINTS_MAX ||
        segment->number_count > segment->count)
        return corrupt(segment, "impossible counts", error);
    if (vectors != config->vector_count)
        return corrupt(segment, "its vectors are not the collection's", error);
    segment->vector_count = vectors;
    TRY(read_vector_params(segment, &reader, config, error));
    TRY(read_fields(segment, &reader, error));
    if (reader.bytes != 0) return corrupt(segment, "bytes behind the meta section", error);
done:
    return status;
}

/* ---- ids and payloads ---------------------------------------------------------------- */

oct_point_id oct_sealed_id(const oct_sealed *segment, uint32_t offset)
{
    ASSERT_HOT(offset < segment->count);
    if (offset < segment->number_count) return oct_point_id_of(segment->low[offset]);
    return (oct_point_id){ segment->high[offset - segment->number_count], segment->low[offset],
                           true };
}

uint32_t oct_sealed_lower_bound(const oct_sealed *segment, oct_point_id id)
{
    uint32_t first = id.is_uuid ? segment->number_count : 0;
    uint32_t end = id.is_uuid ? segment->count : segment->number_count;
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        if (oct_point_id_compare(oct_sealed_id(segment, middle), id) < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

uint32_t oct_sealed_find(const oct_sealed *segment, oct_point_id id)
{
    uint32_t offset = oct_sealed_lower_bound(segment, id);
    bool found = offset < segment->count && oct_point_id_equal(oct_sealed_id(segment, offset), id);
    return found ? offset : UINT32_MAX;
}

static oct_status load_ids(oct_sealed *segment, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t count = segment->count;
    TRY(load_items(segment, OCT_SECTION_ID_LOW, count, 8, &segment->low, error));
    TRY(load_items(segment, OCT_SECTION_ID_HIGH, count - segment->number_count, 8, &segment->high,
                   error));
    for (uint32_t i = 1; i < count; i++)
        if (oct_point_id_compare(oct_sealed_id(segment, i - 1), oct_sealed_id(segment, i)) >= 0)
            return corrupt(segment, "its ids are not ascending", error);
done:
    return status;
}

static oct_status load_ends(oct_sealed *segment, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t count = segment->count;
    uint64_t end = 0;
    TRY(load_items(segment, OCT_SECTION_VERSIONS, count, 8, &segment->versions, error));
    TRY(load_items(segment, OCT_SECTION_PAYLOAD_END, count, 8, &segment->payload_ends, error));
    for (uint32_t i = 0; i < count; i++) {
        if (segment->payload_ends[i] < end) return corrupt(segment, "payloads overlap", error);
        end = segment->payload_ends[i];
    }
    segment->payload_bytes = end;
done:
    return status;
}

/* Does no vector keep its rows in memory? */
static bool is_lean(const oct_collection_config *config)
{
    bool lean = config->vector_count > 0;
    for (uint32_t v = 0; v < config->vector_count; v++)
        lean = lean && oct_config_rows_placement(config, v) == OCT_PLACEMENT_COLD;
    return lean;
}

static bool leaves_payloads(const oct_sealed *segment, const oct_collection_config *config)
{
    return oct_config_payload_placement(config) == OCT_PLACEMENT_COLD &&
           !oct_container_is_viewed(segment->container);
}

static oct_status load_payloads(oct_sealed *segment, const oct_collection_config *config,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    oct_container *container = segment->container;
    const void *at = NULL;
    size_t loaded = 0;
    uint64_t bytes = 0;
    segment->payloads_left = leaves_payloads(segment, config);
    TRY(is_lean(config) ? oct_sealed_leave_ends(segment, error) : load_ends(segment, error));
    if (segment->payloads_left) {
        TRY(oct_sealed_leave_payloads(segment, &bytes, error));
    } else {
        TRY(oct_container_load_lazy(container, OCT_SECTION_PAYLOADS, 0, &at, &loaded, error));
        segment->payloads = at;
        bytes = loaded;
    }
    if (segment->payload_bytes != bytes)
        return corrupt(segment, "payloads have the wrong size", error);
done:
    return status;
}

/* ---- vectors ------------------------------------------------------------------------- */

static oct_status touch_rows(void *container, const void *at, size_t bytes, oct_error *error)
{
    return oct_container_touch(container, at, bytes, error);
}

static oct_status load_present(oct_sealed *segment, uint32_t v, oct_error *error)
{
    const void *at = NULL;
    size_t bytes = 0, words = oct_bits_words(segment->count);
    if (!oct_container_has(segment->container, OCT_SECTION_PRESENT, v)) return OCT_OK;
    oct_status status =
        oct_container_load(segment->container, OCT_SECTION_PRESENT, v, &at, &bytes, error);
    if (status != OCT_OK) return status;
    if (bytes != words * 8) return corrupt(segment, "a presence section has the wrong size", error);
    const uint64_t *bits = at;
    if (segment->count % 64 && bits[words - 1] >> (segment->count % 64))
        return corrupt(segment, "a presence section has bits behind its end", error);
    segment->vectors[v].flat.present = bits;
    return OCT_OK;
}

/* Where each point's rows or values end; *total is the last. */
static oct_status load_vector_ends(oct_sealed *segment, uint32_t v, uint64_t *total,
                                   oct_error *error)
{
    oct_status status = OCT_OK;
    oct_sealed_vector *vector = &segment->vectors[v];
    const void *at = NULL;
    size_t bytes = 0;
    uint64_t end = 0;
    bool multi = vector->params.kind == OCT_VECTOR_MULTI;
    uint32_t most = OCT_VECTOR_VALUES_MAX / (multi ? vector->params.size : 1);
    TRY(oct_container_load(segment->container, OCT_SECTION_ENDS, v, &at, &bytes, error));
    if (bytes / 8 != segment->count || bytes % 8)
        return corrupt(segment, "ends of vectors have the wrong size", error);
    vector->ends = at;
    vector->filled = 0;
    if (multi) vector->flat.ends = at;
    for (uint32_t i = 0; i < segment->count; i++) {
        if (vector->ends[i] < end || vector->ends[i] - end > most)
            return corrupt(segment, "impossible ends of vectors", error);
        bool any = vector->ends[i] > end, has = oct_flat_has(&vector->flat, i);
        if ((any && !has) || (multi && has && !any))
            return corrupt(segment, "ends of vectors contradict their presence", error);
        end = vector->ends[i];
        vector->filled += any;
    }
    *total = end;
done:
    return status;
}

static oct_status load_sparse(oct_sealed *segment, uint32_t v, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_sealed_vector *vector = &segment->vectors[v];
    const void *at = NULL;
    size_t bytes = 0;
    uint64_t total = 0;
    TRY(load_vector_ends(segment, v, &total, error));
    TRY(oct_container_load_lazy(segment->container, OCT_SECTION_VECTORS, v, &at, &bytes, error));
    if (bytes / 8 != total || bytes % 8)
        return corrupt(segment, "a vector section has the wrong size", error);
    vector->values = at;
    TRY(oct_container_load(segment->container, OCT_SECTION_SPARSE, v, &at, &bytes, error));
    TRY(oct_sparse_open(segment->host->alloc, at, bytes, segment->count, &vector->sparse, error));
done:
    return status;
}

/* The rows of a dense vector or multivector. */
static oct_status load_rows(oct_sealed *segment, const oct_collection_config *config, uint32_t v,
                            oct_error *error)
{
    oct_status status = OCT_OK;
    oct_sealed_vector *vector = &segment->vectors[v];
    const void *at = NULL;
    size_t loaded = 0, row_bytes = oct_flat_row_bytes(&vector->flat);
    uint64_t rows = segment->count, bytes = 0;
    bool cold = oct_config_rows_placement(config, v) == OCT_PLACEMENT_COLD;
    TRY(oct_container_place(segment->container, OCT_SECTION_VECTORS, v, &vector->place, error));
    if (vector->params.kind == OCT_VECTOR_MULTI) TRY(load_vector_ends(segment, v, &rows, error));
    if (cold) {
        TRY(oct_sealed_leave_rows(segment, v, &bytes, error));
    } else {
        TRY(oct_container_load_lazy(segment->container, OCT_SECTION_VECTORS, v, &at, &loaded,
                                    error));
        bytes = loaded;
    }
    if (bytes / row_bytes != rows || bytes % row_bytes)
        return corrupt(segment, "a vector section has the wrong size", error);
    if (cold) return OCT_OK;
    if (vector->flat.datatype == OCT_DATATYPE_FLOAT32)
        vector->flat.rows = at;
    else
        vector->flat.compact = at;
done:
    return status;
}

/* A walk jumps about in its graph: in memory of ours it may lie in large pages, of which the
 * processor remembers more (a fifth more queries a second on 100,000 x 384). A cold graph lies in
 * its file: there is not the memory for that. */
static oct_status load_graph(oct_sealed *segment, const oct_collection_config *config, uint32_t v,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    const void *at = NULL;
    size_t bytes = 0;
    oct_container *container = segment->container;
    oct_sealed_vector *vector = &segment->vectors[v];
    bool cold = oct_config_graph_placement(config, v) == OCT_PLACEMENT_COLD;
    if (!oct_container_has(container, OCT_SECTION_GRAPH, v)) return OCT_OK;
    TRY(cold ? oct_container_load(container, OCT_SECTION_GRAPH, v, &at, &bytes, error)
             : oct_container_load_memory(container, OCT_SECTION_GRAPH, v, &at, &bytes, error));
    TRY(oct_hnsw_open_begin(segment->host->alloc, &vector->flat, at, bytes, &vector->graph, error));
done:
    return status;
}

static oct_status check_graph(oct_sealed *segment, uint32_t v, oct_error *error)
{
    bool done = false;
    if (!segment->vectors[v].graph) return OCT_OK;
    oct_status status = oct_hnsw_open_step(segment->vectors[v].graph, &done, error);
    return status == OCT_OK && !done ? OCT_AGAIN : status;
}

static oct_status load_links(oct_sealed *segment, const oct_collection_config *config, uint32_t v,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    const void *at = NULL;
    size_t bytes = 0;
    oct_container *container = segment->container;
    bool cold = oct_config_graph_placement(config, v) == OCT_PLACEMENT_COLD;
    if (!segment->vectors[v].graph || !oct_container_has(container, OCT_SECTION_LINKS, v))
        return OCT_OK;
    TRY(cold ? oct_container_load(container, OCT_SECTION_LINKS, v, &at, &bytes, error)
             : oct_container_load_memory(container, OCT_SECTION_LINKS, v, &at, &bytes, error));
    TRY(oct_hnsw_links_open(segment->vectors[v].graph, at, bytes, error));
done:
    return status;
}

/* A multivector has a code for every row. */
static oct_status load_quant(oct_sealed *segment, const oct_collection_config *config, uint32_t v,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    oct_sealed_vector *vector = &segment->vectors[v];
    oct_flat rows = vector->flat;
    const void *at = NULL;
    size_t bytes = 0;
    if (!oct_container_has(segment->container, OCT_SECTION_QUANT, v)) return OCT_OK;
    if (vector->params.kind == OCT_VECTOR_MULTI) {
        uint64_t count = rows.count ? vector->ends[rows.count - 1] : 0;
        if (count > UINT32_MAX) return corrupt(segment, "codes of too many rows", error);
        rows.count = (uint32_t)count;
        rows.present = NULL;
        rows.ends = NULL;
    }
    bool pinned = oct_config_codes_placement(config, v) == OCT_PLACEMENT_PINNED;
    TRY((pinned ? oct_container_load_memory : oct_container_load)(
        segment->container, OCT_SECTION_QUANT, v, &at, &bytes, error));
    TRY(oct_quant_open(segment->host->alloc, &rows, at, bytes, &vector->quant, error));
    vector->flat.quant = vector->quant;
done:
    return status;
}

/* ---- where parts are held ------------------------------------------------------------ */

enum { ROWS_COLD = 1, GRAPH_COLD = 2, CODES_PINNED = 4 };

/* What can be held in one way or another, as `config` wants it. */
static uint32_t placed_by(const oct_sealed_vector *vector, const oct_collection_config *config,
                          uint32_t v)
{
    uint32_t placed = 0;
    if (vector->params.kind == OCT_VECTOR_SPARSE) return 0;
    if (oct_config_rows_placement(config, v) == OCT_PLACEMENT_COLD) placed |= ROWS_COLD;
    if (vector->graph && oct_config_graph_placement(config, v) == OCT_PLACEMENT_COLD)
        placed |= GRAPH_COLD;
    if (vector->quant && oct_config_codes_placement(config, v) == OCT_PLACEMENT_PINNED)
        placed |= CODES_PINNED;
    return placed;
}

bool oct_sealed_is_placed(const oct_sealed *segment, const oct_collection_config *config)
{
    bool same = segment->payloads_left == leaves_payloads(segment, config);
    for (uint32_t v = 0; v < segment->vector_count; v++)
        same = same && segment->vectors[v].placed == placed_by(&segment->vectors[v], config, v);
    return same;
}

static oct_status load_vector(oct_sealed *segment, const oct_sealed_open_request *request,
                              uint32_t v, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_sealed_vector *vector = &segment->vectors[v];
    vector->flat = (oct_flat){ .kernels = request->kernels,
                               .count = segment->count,
                               .dim = vector->params.size,
                               .metric = vector->params.metric,
                               .datatype = vector->params.datatype,
                               .touch = touch_rows,
                               .touch_arg = segment->container };
    TRY(load_present(segment, v, error));
    if (vector->params.kind == OCT_VECTOR_SPARSE) return load_sparse(segment, v, error);
    TRY(load_rows(segment, request->config, v, error));
done:
    return status;
}

/* The dimensions and values of a sparse vector. */
static oct_status sparse_at(const oct_sealed *segment, uint32_t offset, uint32_t v,
                            oct_named_vector *out, oct_error *error)
{
    const oct_sealed_vector *vector = &segment->vectors[v];
    uint64_t start = offset ? vector->ends[offset - 1] : 0;
    out->count = (uint32_t)(vector->ends[offset] - start);
    out->indices = vector->values + 2 * start;
    out->values = (const float *)(const void *)(out->indices + out->count);
    if (out->count == 0) return OCT_OK;
    oct_status status =
        oct_container_touch(segment->container, out->indices, out->count * (size_t)8, error);
    if (status == OCT_OK && !oct_vector_ascends(out->indices, out->count))
        status = corrupt(segment, "dimensions of a vector do not ascend", error);
    return status;
}

/* Rows of a viewed file are borrowed, or read like those that stay on disk. */
static oct_status vector_at(const oct_sealed *segment, uint32_t offset, uint32_t v, bool borrow,
                            oct_arena *arena, oct_named_vector *out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_sealed_vector *vector = &segment->vectors[v];
    const oct_flat *flat = &vector->flat;
    size_t row = offset, rows = 1;
    *out = (oct_named_vector){ .name = vector->params.name, .kind = vector->params.kind };
    if (!oct_flat_has(flat, offset)) return OCT_OK;
    if (out->kind == OCT_VECTOR_SPARSE) return sparse_at(segment, offset, v, out, error);
    if (out->kind == OCT_VECTOR_MULTI) {
        row = offset ? (size_t)vector->ends[offset - 1] : 0;
        rows = (size_t)vector->ends[offset] - row;
        out->rows = (uint32_t)rows;
    }
    out->count = (uint32_t)(rows * flat->dim);
    if (flat->read || !borrow) return oct_sealed_read_rows(segment, v, row, arena, out, error);
    TRY(oct_flat_touch(flat, row, rows, error));
    if (flat->rows) {
        out->values = flat->rows + row * flat->dim;
        return OCT_OK;
    }
    float *values;
    TRY(oct_arena_array(arena, out->count, sizeof *values, &values, error));
    if (!oct_flat_decode(flat, oct_flat_stored(flat, row), rows, values))
        TRY(corrupt(segment, "a row is none of its datatype", error));
    out->values = values;
done:
    return status;
}

oct_status oct_sealed_vector_at(const oct_sealed *segment, uint32_t offset, uint32_t v,
                                oct_arena *arena, oct_named_vector *out, oct_error *error)
{
    return vector_at(segment, offset, v, true, arena, out, error);
}

oct_status oct_sealed_vector_read(const oct_sealed *segment, uint32_t offset, uint32_t v,
                                  oct_arena *arena, oct_named_vector *out, oct_error *error)
{
    bool borrow = !oct_container_is_viewed(segment->container);
    return vector_at(segment, offset, v, borrow, arena, out, error);
}

/* ---- life ---------------------------------------------------------------------------- */

static void destroy(oct_sealed *segment)
{
    const oct_alloc *alloc = segment->host->alloc;
    for (uint32_t v = 0; segment->vectors && v < segment->vector_count; v++) {
        oct_hnsw_destroy(segment->vectors[v].graph);
        oct_quant_destroy(segment->vectors[v].quant);
        oct_sparse_close(alloc, &segment->vectors[v].sparse);
    }
    oct_free(alloc, segment->vectors, segment->vector_count * sizeof(oct_sealed_vector));
    oct_free(alloc, segment->fields,
             segment->fields ? segment->field_count * sizeof(oct_sealed_field) : 0);
    oct_sealed_cold_deinit(segment);
    oct_container_close(segment->container);
    if (oct_atomic_load(&segment->doomed)) {
        const oct_vfs *vfs = segment->host->vfs;
        (void)vfs->remove(vfs->self, segment->path, NULL); /* a leftover is removed at open */
    }
    oct_free(alloc, segment, sizeof *segment);
}

oct_status oct_sealed_open_begin(const oct_sealed_open_request *request, oct_sealed **out,
                                 oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_host *host = request->host;
    *out = NULL;
    oct_sealed *segment = oct_new_zeroed(host->alloc, sizeof *segment);
    if (!segment) return oct_fail_nomem(error, "a segment");
    segment->host = host;
    segment->file = request->number;
    oct_atomic_store(&segment->references, 1);
    oct_sealed_path(segment->path, request->directory, request->number);
    TRY(oct_container_open(host->alloc, host->vfs, segment->path, &segment->container, error));
    *out = segment;
    segment = NULL;
done:
    if (segment) destroy(segment);
    return status;
}

/* What is done one after another; from ROWS on for each vector. */
enum {
    OPEN_META,
    OPEN_FIELDS,
    OPEN_IDS,
    OPEN_PAYLOADS,
    OPEN_ROWS,
    OPEN_QUANT,
    OPEN_GRAPH,
    OPEN_CHECK,
    OPEN_LINKS,
    OPEN_DONE
};

/* The stage at hand, for one field or vector. AGAIN: there is more of it. Until it has loaded what
 * it needs it changes nothing, so that it may begin again then. */
static oct_status run_stage(oct_sealed *segment, const oct_sealed_open_request *request,
                            oct_error *error)
{
    uint32_t item = segment->open_item;
    switch (segment->open_stage) {
    case OPEN_META:
        return read_meta(segment, request->config, error);
    case OPEN_FIELDS:
        return item < segment->field_count ? load_field(segment, item, error) : OCT_OK;
    case OPEN_IDS:
        return load_ids(segment, error);
    case OPEN_PAYLOADS:
        return load_payloads(segment, request->config, error);
    case OPEN_ROWS:
        return load_vector(segment, request, item, error);
    case OPEN_QUANT:
        return load_quant(segment, request->config, item, error);
    case OPEN_GRAPH:
        return load_graph(segment, request->config, item, error);
    case OPEN_CHECK:
        return check_graph(segment, item, error);
    default:
        return load_links(segment, request->config, item, error);
    }
}

static void next_stage(oct_sealed *segment, const oct_collection_config *config)
{
    uint32_t v = segment->open_item;
    bool fields = segment->open_stage == OPEN_FIELDS;
    if (fields && ++segment->open_item < segment->field_count) return;
    if (fields) segment->open_item = 0;
    segment->open_stage++;
    if (segment->open_stage == OPEN_DONE) { /* of a vector */
        segment->vectors[v].placed = placed_by(&segment->vectors[v], config, v);
        segment->open_item++;
        segment->open_stage = OPEN_ROWS;
    }
    bool sparse = segment->open_stage > OPEN_ROWS &&
                  segment->vectors[segment->open_item].params.kind == OCT_VECTOR_SPARSE;
    if (sparse) segment->open_stage = OPEN_LINKS;
    if (segment->open_stage == OPEN_ROWS && segment->open_item == segment->vector_count)
        segment->open_stage = OPEN_DONE;
}

oct_status oct_sealed_open_step(oct_sealed *segment, const oct_sealed_open_request *request,
                                bool *done, oct_error *error)
{
    oct_container_pace(segment->container, OPEN_BYTES);
    oct_status status = run_stage(segment, request, error);
    if (status == OCT_OK) next_stage(segment, request->config);
    *done = status == OCT_OK && segment->open_stage == OPEN_DONE;
    if (*done) oct_container_pace(segment->container, SIZE_MAX);
    return status == OCT_AGAIN ? OCT_OK : status;
}

oct_status oct_sealed_open(const oct_sealed_open_request *request, oct_sealed **out,
                           oct_error *error)
{
    oct_status status = oct_sealed_open_begin(request, out, error);
    for (bool done = false; status == OCT_OK && !done;)
        status = oct_sealed_open_step(*out, request, &done, error);
    if (status == OCT_OK) return OCT_OK;
    oct_sealed_unpin(*out);
    *out = NULL;
    return status;
}

void oct_sealed_pin(oct_sealed *segment)
{
    (void)oct_atomic_add(&segment->references, 1);
}

void oct_sealed_unpin(oct_sealed *segment)
{
    if (segment && oct_atomic_subtract(&segment->references, 1) == 0) destroy(segment);
}

void oct_sealed_doom(oct_sealed *segment)
{
    oct_atomic_store(&segment->doomed, 1);
}
