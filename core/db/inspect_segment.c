/* SPDX-License-Identifier: Apache-2.0
 *
 * inspect_segment.c - describe the file of a sealed segment, or the checkpoint of one.
 *
 * Checksums are verified block by block with one small buffer, not through the container, which
 * stops at the first damaged block and, without views, would keep every section in memory. What
 * the sections mean is told only from those whose blocks are whole. The segment is not opened as
 * a collection does (segment/sealed.c), because that takes the collection's config, and one file
 * has to be enough here. */
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "db/inspect.h"
#include "index/hnsw_links.h"
#include "model/config.h"
#include "segment/checkpoint.h"
#include "segment/sealed.h"
#include "store/format.h"

enum { BLOCKS_LISTED_MAX = 8 };

typedef struct segment_report {
    oct_inspection *now;
    oct_container *container;
    oct_container_trailer trailer;
    oct_section_entry *sections; /* [section_count], in the arena */
    bool *damaged;               /* [section_count] */
    uint64_t block_count, damaged_blocks;
    uint32_t points, numbers, vector_count, field_count; /* of the meta section */
} segment_report;

/* ---- checksums ----------------------------------------------------------------------- */

static oct_status read_at(const oct_inspection *now, uint64_t offset, void *target, size_t bytes,
                          oct_error *error)
{
    const oct_vfs *vfs = now->host->vfs;
    return vfs->read(vfs->self, now->file, offset, target, bytes, error);
}

/* The table of sections, which opening the container has found valid. */
static oct_status read_sections(segment_report *report, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_inspection *now = report->now;
    oct_container_trailer *trailer = &report->trailer;
    TRY(read_at(now, now->bytes - sizeof *trailer, trailer, sizeof *trailer, error));
    TRY(oct_arena_array(&now->arena, trailer->section_count, sizeof *report->sections,
                        &report->sections, error));
    TRY(oct_arena_array(&now->arena, trailer->section_count, sizeof *report->damaged,
                        &report->damaged, error));
    if (trailer->section_count > 0)
        TRY(read_at(now, trailer->footer_offset, report->sections,
                    trailer->section_count * sizeof *report->sections, error));
done:
    return status;
}

static void block_is_damaged(segment_report *report, uint64_t block, uint64_t start, uint64_t end)
{
    if (++report->damaged_blocks <= BLOCKS_LISTED_MAX)
        INSPECT_FIND(report->now, OCT_CORRUPT,
                     "%s: block %" PRIu64 " (bytes %" PRIu64 " to %" PRIu64 ") is damaged",
                     report->now->path, block, start, end);
    for (uint32_t i = 0; i < report->trailer.section_count; i++) {
        const oct_section_entry *entry = &report->sections[i];
        if (entry->offset < end && entry->offset + entry->bytes > start) report->damaged[i] = true;
    }
}

static oct_status verify_blocks(segment_report *report, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_inspection *now = report->now;
    uint64_t end = report->trailer.footer_offset, block = 0;
    uint64_t table = end + report->trailer.section_count * sizeof(oct_section_entry);
    uint8_t *bytes = oct_new(now->host->alloc, OCT_CONTAINER_BLOCK_BYTES);
    if (!bytes) TRY(oct_fail_nomem(error, "a block"));
    for (uint64_t start = 0; start < end; start += OCT_CONTAINER_BLOCK_BYTES, block++) {
        uint32_t crc = 0;
        size_t length = (size_t)MIN(end - start, (uint64_t)OCT_CONTAINER_BLOCK_BYTES);
        TRY(read_at(now, table + block * sizeof crc, &crc, sizeof crc, error));
        TRY(read_at(now, start, bytes, length, error));
        if (oct_crc32c(0, bytes, length) != crc)
            block_is_damaged(report, block, start, start + length);
    }
    report->block_count = block;
done:
    oct_free(now->host->alloc, bytes, OCT_CONTAINER_BLOCK_BYTES);
    return status;
}

/* Is the section there, and whole? */
static bool is_whole(const segment_report *report, uint32_t kind, uint32_t index)
{
    for (uint32_t i = 0; i < report->trailer.section_count; i++)
        if (report->sections[i].kind == kind && report->sections[i].index == index)
            return !report->damaged[i];
    return false;
}

static const char *section_name(uint32_t kind)
{
    static const char *const names[] = {
        [OCT_SECTION_META] = "meta",
        [OCT_SECTION_ID_LOW] = "ids",
        [OCT_SECTION_ID_HIGH] = "uuids",
        [OCT_SECTION_VERSIONS] = "versions",
        [OCT_SECTION_PAYLOAD_END] = "payload ends",
        [OCT_SECTION_PAYLOADS] = "payloads",
        [OCT_SECTION_VECTORS] = "vectors",
        [OCT_SECTION_PRESENT] = "presence",
        [OCT_SECTION_GRAPH] = "graph",
        [OCT_SECTION_FIELD] = "payload index",
        [OCT_SECTION_LINKS] = "block links",
        [OCT_SECTION_QUANT] = "quantized codes",
        [OCT_SECTION_ENDS] = "vector ends",
        [OCT_SECTION_SPARSE] = "sparse index",
        [OCT_SECTION_SUBJECT] = "subject",
        [OCT_SECTION_SAVED] = "points of a source",
        [OCT_SECTION_PART] = "graph so far",
    };
    return kind < ARRAY_COUNT(names) && names[kind] ? names[kind] : "unknown";
}

static void write_sections(segment_report *report)
{
    oct_inspection *now = report->now;
    oct_inspect_uint(now, "blocks", report->block_count);
    oct_inspect_uint(now, "damaged_blocks", report->damaged_blocks);
    oct_inspect_key(now, "sections");
    oct_json_begin_array(&now->out);
    for (uint32_t i = 0; i < report->trailer.section_count; i++) {
        const oct_section_entry *entry = &report->sections[i];
        oct_json_begin_object(&now->out);
        oct_inspect_word(now, "name", section_name(entry->kind));
        oct_inspect_uint(now, "kind", entry->kind);
        oct_inspect_uint(now, "index", entry->index);
        oct_inspect_uint(now, "offset", entry->offset);
        oct_inspect_uint(now, "bytes", entry->bytes);
        oct_inspect_word(now, "checksum", report->damaged[i] ? "damaged" : "ok");
        oct_json_end_object(&now->out);
    }
    oct_json_end_array(&now->out);
}

/* ---- vectors and graphs -------------------------------------------------------------- */

typedef struct graph_report {
    oct_hnsw_params params;
    oct_hnsw_report found;
    uint32_t block_links;
} graph_report;

/* The points that have vector v: a bitmap, or NULL when all have it. */
static oct_status load_present(segment_report *report, uint32_t v, oct_flat *flat, uint32_t *points,
                               oct_error *error)
{
    const void *at = NULL;
    size_t bytes = 0, words = oct_bits_words(flat->count);
    *points = flat->count;
    if (!oct_container_has(report->container, OCT_SECTION_PRESENT, v)) return OCT_OK;
    oct_status status =
        oct_container_load(report->container, OCT_SECTION_PRESENT, v, &at, &bytes, error);
    if (status != OCT_OK) return status;
    const uint64_t *bits = at;
    if (bytes != words * 8 || (flat->count % 64 && bits[words - 1] >> (flat->count % 64)))
        return oct_fail(error, OCT_CORRUPT, "%s: presence of vector %" PRIu32 " has a wrong size",
                        report->now->path, v);
    flat->present = bits;
    *points = 0;
    for (uint32_t i = 0; i < flat->count; i++)
        *points += oct_bits_get(bits, i);
    return OCT_OK;
}

/* Give the graph its links within blocks, when they are there and whole. */
static oct_status open_links(segment_report *report, uint32_t v, oct_hnsw *graph, oct_error *error)
{
    oct_status status = OCT_OK;
    const void *at = NULL;
    size_t bytes = 0;
    if (!is_whole(report, OCT_SECTION_LINKS, v)) return OCT_OK;
    TRY(oct_container_load(report->container, OCT_SECTION_LINKS, v, &at, &bytes, error));
    TRY(oct_hnsw_links_open(graph, at, bytes, error));
done:
    return status;
}

/* Opening checks all but what only a walk shows. */
static oct_status check_graph(segment_report *report, uint32_t v, const oct_flat *flat,
                              graph_report *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_hnsw_report *found = &out->found;
    const oct_alloc *alloc = report->now->host->alloc;
    const void *at = NULL;
    size_t bytes = 0;
    oct_hnsw *graph = NULL;
    TRY(oct_container_load(report->container, OCT_SECTION_GRAPH, v, &at, &bytes, error));
    TRY(oct_hnsw_open(alloc, flat, at, bytes, &graph, error));
    TRY(oct_hnsw_check(alloc, graph, found, error));
    out->params = oct_hnsw_graph_params(graph);
    TRY(open_links(report, v, graph, error));
    out->block_links = oct_hnsw_links_count(graph);
    if (found->unreachable || found->repeated_links)
        TRY(oct_fail(error, OCT_CORRUPT,
                     "%s: graph of vector %" PRIu32 ": %" PRIu32 " unreachable points, %" PRIu32
                     " repeated links",
                     report->now->path, v, found->unreachable, found->repeated_links));
done:
    oct_hnsw_destroy(graph);
    return status;
}

/* The member "graph": null when there is none, or none that can be read. */
static oct_status write_graph(segment_report *report, uint32_t v, const oct_flat *flat,
                              oct_error *error)
{
    oct_inspection *now = report->now;
    oct_error problem = { .status = OCT_OK };
    graph_report graph = { .block_links = 0 };
    oct_status status = OCT_OK;
    bool readable = is_whole(report, OCT_SECTION_GRAPH, v);
    if (readable) {
        status = check_graph(report, v, flat, &graph, &problem);
        readable = status == OCT_OK;
        status = oct_inspect_judge(now, status, &problem, error);
    }
    oct_inspect_key(now, "graph");
    if (!readable) {
        oct_json_write_null(&now->out);
        return status;
    }
    oct_json_begin_object(&now->out);
    oct_inspect_uint(now, "m", graph.params.m);
    oct_inspect_uint(now, "ef_construct", graph.params.ef_construct);
    oct_inspect_uint(now, "levels", graph.found.levels);
    oct_inspect_uint(now, "points", graph.found.points);
    oct_inspect_uint(now, "links_of_level_0", graph.found.links);
    oct_inspect_uint(now, "block_links", graph.block_links);
    oct_inspect_key(now, "codes");
    oct_json_write_bool(&now->out, graph.params.codes);
    oct_json_end_object(&now->out);
    return status;
}

/* A vector as the meta section has it. */
static oct_status read_params(const segment_report *report, uint32_t v, oct_reader *meta,
                              oct_vector_params *out, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t form = 0;
    TRY(oct_read_str(meta, &out->name, "a vector's name", error));
    TRY(oct_read_u32(meta, &out->size, "a vector's size", error));
    TRY(oct_read_u32(meta, &form, "a vector's metric", error));
    bool sparse = (form >> 8 & 255) == OCT_VECTOR_SPARSE;
    bool sized = sparse ? out->size == 0 : out->size >= 1 && out->size <= OCT_VECTOR_SIZE_MAX;
    if (!sized || (form & 255) >= OCT_METRIC_COUNT || (form >> 8 & 255) > OCT_VECTOR_SPARSE ||
        form >> 16 >= OCT_DATATYPE_COUNT)
        TRY(oct_fail(error, OCT_CORRUPT, "%s: vector %" PRIu32 " is impossible", report->now->path,
                     v));
    out->metric = (oct_metric)(form & 255);
    out->kind = (oct_vector_kind)(form >> 8 & 255);
    out->datatype = (oct_datatype)(form >> 16);
done:
    return status;
}

/* How many rows of a multivector or values of a sparse one each point and those before it have;
 * *rows is the last. */
static oct_status read_ends(const segment_report *report, uint32_t v, const uint64_t **out,
                            uint64_t *rows, oct_error *error)
{
    oct_status status = OCT_OK;
    const void *at = NULL;
    size_t bytes = 0;
    TRY(oct_container_load(report->container, OCT_SECTION_ENDS, v, &at, &bytes, error));
    const uint64_t *ends = at;
    bool sound = bytes == (uint64_t)report->points * 8;
    for (uint32_t i = 1; sound && i < report->points; i++)
        sound = ends[i - 1] <= ends[i];
    if (!sound)
        TRY(oct_fail(error, OCT_CORRUPT, "%s: the ends of vector %" PRIu32 " are impossible",
                     report->now->path, v));
    *out = ends;
    *rows = report->points ? ends[report->points - 1] : 0;
done:
    return status;
}

/* Rows of that form, for as many points as the segment has. */
static oct_status check_rows(const segment_report *report, uint32_t v,
                             const oct_vector_params *params, oct_error *error)
{
    oct_status status = OCT_OK;
    bool sparse = params->kind == OCT_VECTOR_SPARSE;
    const uint64_t *ends;
    uint64_t rows = report->points;
    size_t row_bytes = sparse ? 8 : oct_compact_row_bytes(params->datatype, params->size);
    if (params->kind != OCT_VECTOR_DENSE) {
        if (!is_whole(report, OCT_SECTION_ENDS, v)) return OCT_OK; /* said already */
        TRY(read_ends(report, v, &ends, &rows, error));
    }
    for (uint32_t i = 0; i < report->trailer.section_count; i++) {
        const oct_section_entry *entry = &report->sections[i];
        if (entry->kind == OCT_SECTION_VECTORS && entry->index == v &&
            entry->bytes / row_bytes == rows && entry->bytes % row_bytes == 0)
            return OCT_OK;
    }
    status = oct_fail(error, OCT_CORRUPT,
                      "%s: the rows of vector %" PRIu32 " are missing or have a wrong size",
                      report->now->path, v);
done:
    return status;
}

/* The index of a sparse vector, when it is whole. */
static oct_status check_sparse(segment_report *report, uint32_t v, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_error problem = { .status = OCT_OK };
    const void *at = NULL;
    size_t bytes = 0;
    oct_sparse sparse;
    if (!is_whole(report, OCT_SECTION_SPARSE, v)) return OCT_OK;
    status = oct_container_load(report->container, OCT_SECTION_SPARSE, v, &at, &bytes, &problem);
    if (status == OCT_OK)
        status =
            oct_sparse_open(report->now->host->alloc, at, bytes, report->points, &sparse, &problem);
    if (status == OCT_OK) oct_sparse_close(report->now->host->alloc, &sparse);
    return oct_inspect_judge(report->now, status, &problem, error);
}

/* The member "quantization", when there are codes that can be read. */
static oct_status write_quant(segment_report *report, uint32_t v, const oct_flat *flat,
                              oct_error *error)
{
    oct_inspection *now = report->now;
    oct_error problem = { .status = OCT_OK };
    const void *at = NULL;
    size_t bytes = 0;
    oct_quant *quant = NULL;
    if (!is_whole(report, OCT_SECTION_QUANT, v)) return OCT_OK;
    oct_status status =
        oct_container_load(report->container, OCT_SECTION_QUANT, v, &at, &bytes, &problem);
    if (status == OCT_OK)
        status = oct_quant_open(now->host->alloc, flat, at, bytes, &quant, &problem);
    if (status == OCT_OK) {
        oct_inspect_key(now, "quantization");
        oct_json_begin_object(&now->out);
        oct_inspect_word(now, "kind", oct_quantization_name(oct_quant_params_get(quant).kind));
        oct_inspect_uint(now, "bytes_of_a_row", oct_quant_row_bytes(quant));
        oct_json_end_object(&now->out);
    }
    oct_quant_destroy(quant);
    return oct_inspect_judge(now, status, &problem, error);
}

static oct_status write_vector(segment_report *report, uint32_t v, oct_reader *meta,
                               oct_error *error)
{
    static const char *const forms[] = { [OCT_VECTOR_DENSE] = "dense",
                                         [OCT_VECTOR_MULTI] = "multivector",
                                         [OCT_VECTOR_SPARSE] = "sparse" };
    oct_status status = OCT_OK;
    oct_inspection *now = report->now;
    oct_vector_params params = { .size = 0 };
    uint32_t points = 0;
    TRY(read_params(report, v, meta, &params, error));
    TRY(check_rows(report, v, &params, error));
    oct_flat flat = { .count = report->points,
                      .dim = params.size,
                      .metric = params.metric,
                      .datatype = params.datatype };
    bool known = !oct_container_has(report->container, OCT_SECTION_PRESENT, v) ||
                 is_whole(report, OCT_SECTION_PRESENT, v);
    if (known) TRY(load_present(report, v, &flat, &points, error));
    oct_json_begin_object(&now->out);
    oct_inspect_text(now, "name", params.name);
    oct_inspect_word(now, "form", forms[params.kind]);
    oct_inspect_word(now, "datatype", oct_datatype_name(params.datatype));
    oct_inspect_uint(now, "size", params.size);
    oct_inspect_word(now, "distance", oct_metric_name(params.metric));
    if (known) oct_inspect_uint(now, "points", points);
    if (params.kind == OCT_VECTOR_MULTI && is_whole(report, OCT_SECTION_ENDS, v)) {
        uint64_t rows = 0;
        TRY(read_ends(report, v, &flat.ends, &rows, error)); /* after check_rows: it passes */
        oct_flat coded = flat;
        coded.count = (uint32_t)MIN(rows, (uint64_t)UINT32_MAX);
        coded.present = coded.ends = NULL;
        status = write_quant(report, v, &coded, error);
        if (status == OCT_OK && known) status = write_graph(report, v, &flat, error);
    } else if (known && params.kind == OCT_VECTOR_DENSE) {
        status = write_quant(report, v, &flat, error);
        if (status == OCT_OK) status = write_graph(report, v, &flat, error);
    } else if (params.kind == OCT_VECTOR_SPARSE) {
        status = check_sparse(report, v, error);
    }
    oct_json_end_object(&now->out);
done:
    return status;
}

/* ---- payload indexes and meta -------------------------------------------------------- */

static oct_status write_field(segment_report *report, uint32_t f, oct_reader *meta,
                              oct_error *error)
{
    oct_status status = OCT_OK;
    oct_inspection *now = report->now;
    oct_error problem = { .status = OCT_OK };
    oct_str key;
    uint32_t type = 0;
    const void *at = NULL;
    size_t bytes = 0;
    oct_field field = { .value_points = 0 };
    TRY(oct_read_str(meta, &key, "a field's key", error));
    TRY(oct_read_u32(meta, &type, "a field's type", error));
    if (type >= OCT_FIELD_TYPE_COUNT)
        TRY(oct_fail(error, OCT_CORRUPT, "%s: unknown type of a payload index", now->path));
    if (!oct_container_has(report->container, OCT_SECTION_FIELD, f))
        TRY(oct_fail(error, OCT_CORRUPT, "%s: payload index %" PRIu32 " is missing", now->path, f));
    bool whole = is_whole(report, OCT_SECTION_FIELD, f);
    if (whole) {
        status = oct_container_load(report->container, OCT_SECTION_FIELD, f, &at, &bytes, &problem);
        if (status == OCT_OK) status = oct_field_open(at, bytes, report->points, &field, &problem);
        if (status == OCT_OK && field.type != (oct_field_type)type)
            status = oct_fail(&problem, OCT_CORRUPT,
                              "%s: payload index %" PRIu32 " has another type", now->path, f);
        whole = status == OCT_OK;
        TRY(oct_inspect_judge(now, status, &problem, error));
    }
    oct_json_begin_object(&now->out);
    oct_inspect_text(now, "key", key);
    oct_inspect_word(now, "type", oct_field_type_name((oct_field_type)type));
    if (whole) {
        oct_inspect_uint(now, "points", field.value_points);
        oct_inspect_uint(now, "entries", field.entry_count);
    }
    oct_json_end_object(&now->out);
done:
    return status;
}

static oct_status read_counts(segment_report *report, oct_reader *meta, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t version = 0;
    TRY(oct_read_u32(meta, &version, "the segment's version", error));
    if (version != 0)
        TRY(oct_fail(error, OCT_UNSUPPORTED,
                     "%s: segment version %" PRIu32 ", this program reads 0", report->now->path,
                     version));
    TRY(oct_read_u32(meta, &report->points, "the point count", error));
    TRY(oct_read_u32(meta, &report->numbers, "the count of numeric ids", error));
    TRY(oct_read_u32(meta, &report->vector_count, "the vector count", error));
    TRY(oct_read_u32(meta, &report->field_count, "the field count", error));
    if (report->points > OCT_HNSW_POINTS_MAX || report->numbers > report->points ||
        report->vector_count > OCT_NAMED_VECTORS_MAX || report->field_count > OCT_FIELD_INDEXES_MAX)
        TRY(oct_fail(error, OCT_CORRUPT, "%s: impossible counts", report->now->path));
done:
    return status;
}

/* Each array of the report is ended also when an item can't be read. */
static oct_status write_items(segment_report *report, oct_reader *meta, oct_error *error)
{
    oct_inspection *now = report->now;
    oct_status status = OCT_OK;
    oct_inspect_key(now, "vectors");
    oct_json_begin_array(&now->out);
    for (uint32_t v = 0; v < report->vector_count && status == OCT_OK; v++)
        status = write_vector(report, v, meta, error);
    oct_json_end_array(&now->out);
    oct_inspect_key(now, "payload_indexes");
    oct_json_begin_array(&now->out);
    for (uint32_t f = 0; f < report->field_count && status == OCT_OK; f++)
        status = write_field(report, f, meta, error);
    oct_json_end_array(&now->out);
    if (status == OCT_OK && meta->bytes != 0)
        status = oct_fail(error, OCT_CORRUPT, "%s: bytes behind the meta section", now->path);
    return status;
}

static oct_status write_meta(segment_report *report, oct_error *error)
{
    oct_status status = OCT_OK;
    const void *at = NULL;
    size_t bytes = 0;
    TRY(oct_container_load(report->container, OCT_SECTION_META, 0, &at, &bytes, error));
    oct_reader meta = { at, bytes };
    TRY(read_counts(report, &meta, error));
    oct_inspect_uint(report->now, "points", report->points);
    oct_inspect_uint(report->now, "numeric_ids", report->numbers);
    oct_inspect_uint(report->now, "uuids", report->points - report->numbers);
    TRY(write_items(report, &meta, error));
done:
    return status;
}

/* ---- checkpoints --------------------------------------------------------------------- */

/* A source of which some points stay behind has a set of the others. */
static oct_status check_saved(segment_report *report, uint32_t s, uint32_t points, oct_error *error)
{
    const void *at = NULL;
    size_t bytes = 0;
    if (!oct_container_has(report->container, OCT_SECTION_SAVED, s))
        return oct_fail(error, OCT_CORRUPT, "%s: the points of source %" PRIu32 " are missing",
                        report->now->path, s);
    if (!is_whole(report, OCT_SECTION_SAVED, s)) return OCT_OK; /* said already */
    oct_status status =
        oct_container_load(report->container, OCT_SECTION_SAVED, s, &at, &bytes, error);
    if (status == OCT_OK && bytes != oct_bits_words(points) * sizeof(uint64_t))
        status =
            oct_fail(error, OCT_CORRUPT, "%s: the points of source %" PRIu32 " have a wrong size",
                     report->now->path, s);
    return status;
}

static oct_status write_sources(segment_report *report, oct_reader *in, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_inspection *now = report->now;
    uint32_t count = 0;
    oct_inspect_key(now, "sources");
    oct_json_begin_array(&now->out);
    TRY(oct_read_u32(in, &count, "the sources", error));
    for (uint32_t s = 0; s < count; s++) {
        char name[OCT_INSPECT_NAME_BYTES];
        uint64_t file = 0;
        uint32_t points = 0;
        uint8_t some = 0;
        TRY(oct_read_u64(in, &file, "a source", error));
        TRY(oct_read_u32(in, &points, "a source", error));
        TRY(oct_read_u8(in, &some, "a source", error));
        if (some) TRY(check_saved(report, s, points, error));
        oct_inspect_name(name, "s-", file);
        oct_json_begin_object(&now->out);
        oct_inspect_word(now, "file", name);
        oct_inspect_uint(now, "points", points);
        oct_json_end_object(&now->out);
    }
    if (in->bytes != 0)
        TRY(oct_fail(error, OCT_CORRUPT, "%s: bytes behind its sources", now->path));
done:
    oct_json_end_array(&now->out);
    return status;
}

/* What a checkpoint (segment/checkpoint.c) is of. */
static oct_status write_subject(segment_report *report, oct_error *error)
{
    oct_status status = OCT_OK;
    const void *at = NULL;
    size_t bytes = 0;
    uint32_t version = 0, fields = 0;
    uint64_t serial = 0;
    oct_str text;
    TRY(oct_container_load(report->container, OCT_SECTION_SUBJECT, 0, &at, &bytes, error));
    oct_reader in = { at, bytes };
    TRY(oct_read_u32(&in, &version, "the version", error));
    if (version != 0)
        TRY(oct_fail(error, OCT_UNSUPPORTED,
                     "%s: checkpoint version %" PRIu32 ", this program reads 0", report->now->path,
                     version));
    TRY(oct_read_u64(&in, &serial, "the serial", error));
    oct_inspect_uint(report->now, "serial", serial);
    TRY(oct_read_str(&in, &text, "the config", error));
    TRY(oct_read_u32(&in, &fields, "the payload indexes", error));
    for (uint32_t f = 0; f < fields; f++) {
        uint8_t type = 0;
        TRY(oct_read_str(&in, &text, "a field's key", error));
        TRY(oct_read_u8(&in, &type, "a field's type", error));
        TRY(oct_read_str(&in, &text, "a field's parameters", error));
    }
    TRY(write_sources(report, &in, error));
done:
    return status;
}

/* ---- the file ------------------------------------------------------------------------ */

/* The version stands at both ends of the file; the header's is under a block's checksum. */
static oct_status check_header(segment_report *report, oct_error *error)
{
    oct_inspection *now = report->now;
    oct_container_header header;
    oct_status status = read_at(now, 0, &header, sizeof header, error);
    if (status != OCT_OK) return status;
    oct_inspect_uint(now, "format_version", report->trailer.version);
    if (header.magic != OCT_CONTAINER_MAGIC || header.version != report->trailer.version)
        INSPECT_FIND(now, OCT_CORRUPT, "%s: the header is not a segment's", now->path);
    return OCT_OK;
}

oct_status oct_inspect_segment(oct_inspection *now, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_error problem = { .status = OCT_OK };
    segment_report report = { .now = now };
    status = oct_container_open(now->host->alloc, now->host->vfs, now->path, &report.container,
                                &problem);
    TRY(oct_inspect_judge(now, status, &problem, error));
    if (!report.container) goto done; /* without the footer nothing is to be found */
    TRY(read_sections(&report, error));
    TRY(check_header(&report, error));
    TRY(verify_blocks(&report, error));
    write_sections(&report);
    bool checkpoint = oct_container_has(report.container, OCT_SECTION_SUBJECT, 0);
    uint32_t head = OCT_SECTION_META;
    if (checkpoint) head = OCT_SECTION_SUBJECT;
    oct_inspect_word(now, "contents", checkpoint ? "checkpoint" : "segment");
    if (is_whole(&report, head, 0)) {
        problem = (oct_error){ .status = OCT_OK };
        status = (checkpoint ? write_subject : write_meta)(&report, &problem);
        TRY(oct_inspect_judge(now, status, &problem, error));
    }
    if (!oct_container_has(report.container, head, 0))
        INSPECT_FIND(now, OCT_CORRUPT, "%s: it has no meta section", now->path);
done:
    oct_container_close(report.container);
    return status;
}
