/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw.c - the graph as a thing: its bytes, their validation, opening and inspecting it.
 *
 * The index is the hierarchical navigable small world graph of Malkov and Yashunin (2016). It
 * departs from the paper in these ways, each argued where it is done:
 *
 *   - It is built and walked on 7-bit codes of the vectors, whose products are exact integers, and
 *     the best are scored again on the floats (hnsw_search.c). A quarter of the memory traffic,
 *     and walks that are equal on every target. Where 4 bits do for walks, the finished graph has
 *     only those (hnsw_pack.c).
 *   - Points are inserted in batches: all points of a batch search the same frozen graph, so they
 *     do so in parallel and the result doesn't depend on who was first (hnsw_insert.c).
 *   - Levels come from integer thresholds on hash(seed, offset), not from a logarithm.
 *   - One array of candidates instead of two heaps (hnsw_walk.c).
 *   - A merge starts from the largest old graph and repairs it (hnsw_repair.c).
 *   - Points that pruning left without a way in are linked at the end (hnsw_connect.c).
 *
 * The graph is one block of bytes (hnsw_graph.h), the same in memory and in a file, so that
 * writing is one append and opening is setting pointers - after everything was checked, because a
 * search follows links without looking. A form with pointers per node was rejected: it costs a
 * conversion on each open, and can't be mapped. */
#include "index/hnsw.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/hash.h"
#include "index/hnsw_graph.h"

enum { AUDIT_LINKS = 1 << 16 /* checked in one step */ };

/* ---- layout ----------------------------------------------------------------------------- */

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + HNSW_ALIGN_BYTES - 1) & ~(uint64_t)(HNSW_ALIGN_BYTES - 1);
}

oct_status oct_hnsw_layout(const hnsw_header *header, hnsw_layout *out, oct_error *error)
{
    /* No overflow: counts are below 2^32, m at most 2^10, a code row at most 2^17 bytes. */
    uint64_t upper_points = aligned(sizeof *header);
    uint64_t upper_starts = aligned(upper_points + UINT64_C(4) * header->upper_count);
    uint64_t starts = header->upper_count + UINT64_C(1);
    uint64_t upper_links = aligned(upper_starts + UINT64_C(4) * starts);
    uint64_t links = aligned(upper_links + UINT64_C(4) * header->upper_rows * header->m);
    uint64_t bias = aligned(links + UINT64_C(8) * header->count * header->m);
    uint64_t codes = bias;
    uint64_t middles = bias;
    uint64_t end = bias;
    if (header->flags & HNSW_FLAG_CODES) {
        uint64_t rows = header->flags & HNSW_FLAG_MULTI ? header->rows : header->count;
        codes = aligned(bias + 4 * rows);
        middles = codes + rows * header->row_bytes;
        end = aligned(middles);
        if (header->flags & HNSW_FLAG_PACKED) end = aligned(middles + header->dim);
    }
    if (end > SIZE_MAX / 2)
        return oct_fail(error, OCT_LIMIT, "hnsw: a graph of %" PRIu64 " bytes is too large here",
                        end);
    *out = (hnsw_layout){ .upper_points = (size_t)upper_points,
                          .upper_starts = (size_t)upper_starts,
                          .upper_links = (size_t)upper_links,
                          .links = (size_t)links,
                          .bias = (size_t)bias,
                          .codes = (size_t)codes,
                          .middles = (size_t)middles,
                          .end = (size_t)end };
    return OCT_OK;
}

void oct_hnsw_attach(oct_hnsw *graph)
{
    const uint8_t *block = graph->block;
    const hnsw_layout *layout = &graph->layout;
    graph->m0 = 2 * graph->header.m;
    graph->upper_points = (const uint32_t *)(const void *)(block + layout->upper_points);
    graph->upper_starts = (const uint32_t *)(const void *)(block + layout->upper_starts);
    graph->upper_links = (const uint32_t *)(const void *)(block + layout->upper_links);
    graph->links = (const uint32_t *)(const void *)(block + layout->links);
    graph->bias = (const int32_t *)(const void *)(block + layout->bias);
    graph->codes = block + layout->codes;
}

oct_status oct_hnsw_block_create(const oct_alloc *alloc, size_t bytes, uint8_t **owned,
                                 size_t *owned_bytes, uint8_t **block, oct_error *error)
{
    *owned_bytes = bytes + HNSW_ALIGN_BYTES;
    *owned = oct_new(alloc, *owned_bytes);
    if (!*owned) return oct_fail_nomem(error, "a search graph");
    *block = *owned + (HNSW_ALIGN_BYTES - (uintptr_t)*owned % HNSW_ALIGN_BYTES);
    return OCT_OK;
}

uint32_t oct_hnsw_upper_find(const oct_hnsw *graph, uint32_t offset)
{
    uint32_t low = 0;
    uint32_t high = graph->header.upper_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (graph->upper_points[middle] < offset)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < graph->header.upper_count && graph->upper_points[low] == offset;
    return found ? low : HNSW_NONE;
}

uint32_t oct_hnsw_header_crc(const hnsw_header *header)
{
    hnsw_header plain = *header;
    plain.crc = 0;
    return oct_crc32c(0, &plain, sizeof plain);
}

uint32_t oct_hnsw_crc(const hnsw_header *header, const uint8_t *block, size_t end)
{
    return oct_crc32c(oct_hnsw_header_crc(header), block + sizeof *header, end - sizeof *header);
}

/* ---- validation ------------------------------------------------------------------------- */

static oct_status check_header(const hnsw_header *header, const oct_flat *flat, oct_error *error)
{
    static const uint8_t zeros[sizeof header->reserved];
    oct_status status = OCT_OK;
    if (header->magic != HNSW_MAGIC || header->version != HNSW_VERSION)
        TRY(oct_fail(error, OCT_CORRUPT, "hnsw: not a graph of version %d", HNSW_VERSION));
    bool multi = (header->flags & HNSW_FLAG_MULTI) != 0;
    if (multi != (flat->ends != NULL) || header->rows != (multi ? oct_flat_row_count(flat) : 0))
        TRY(oct_fail(error, OCT_CORRUPT, "hnsw: a graph of other rows than the vectors"));
    if (header->count != flat->count || header->dim != flat->dim ||
        header->metric != (uint32_t)flat->metric)
        TRY(oct_fail(
            error, OCT_CORRUPT,
            "hnsw: a graph of %" PRIu32 " points with %" PRIu32 " dimensions, metric %" PRIu32
            "; the vectors are %" PRIu32 ", %" PRIu32 ", %d",
            header->count, header->dim, header->metric, flat->count, flat->dim, (int)flat->metric));
    if (header->m < OCT_HNSW_M_MIN || header->m > OCT_HNSW_M_MAX || header->ef_construct < 1 ||
        header->ef_construct > OCT_HNSW_EF_MAX)
        TRY(oct_fail(error, OCT_CORRUPT, "hnsw: m %" PRIu32 ", ef_construct %" PRIu32, header->m,
                     header->ef_construct));
    if (header->inserted > header->count || header->levels > OCT_HNSW_LEVELS_MAX + 1 ||
        (header->inserted == 0) != (header->levels == 0) ||
        (header->count > 0 && header->entry >= header->count) ||
        header->upper_count > header->count ||
        header->upper_rows > (uint64_t)header->upper_count * OCT_HNSW_LEVELS_MAX)
        TRY(oct_fail(error, OCT_CORRUPT, "hnsw: the header contradicts itself"));
    const uint32_t flags = HNSW_FLAG_CODES | HNSW_FLAG_PART | HNSW_FLAG_MULTI | HNSW_FLAG_PACKED;
    if (header->flags & ~flags || (multi && header->flags & HNSW_FLAG_PACKED) ||
        memcmp(header->reserved, zeros, sizeof zeros) != 0)
        TRY(oct_fail(error, OCT_CORRUPT, "hnsw: unknown flags"));
done:
    return status;
}

static oct_status check_header_codes(const hnsw_header *header, const oct_flat *flat,
                                     oct_error *error)
{
    bool codes = (header->flags & HNSW_FLAG_CODES) != 0;
    bool packed = (header->flags & HNSW_FLAG_PACKED) != 0;
    uint32_t row_bytes = codes ? (uint32_t)oct_codes_row_bytes(flat->dim) : 0;
    if (packed) row_bytes = (uint32_t)oct_codes_packed_bytes(flat->dim);
    /* A scale is judged by oct_codes_restore. */
    if (header->row_bytes != row_bytes || (codes && !oct_codes_supports(flat->metric)) ||
        (packed && !codes) || (header->step != 0) != packed || header->step > OCT_CODES_STEP_MAX)
        return oct_fail(error, OCT_CORRUPT, "hnsw: codes of %" PRIu32 " bytes, expected %" PRIu32,
                        header->row_bytes, row_bytes);
    return OCT_OK;
}

oct_status oct_hnsw_header_read(const void *at, size_t bytes, const oct_flat *flat,
                                hnsw_header *out, hnsw_layout *layout, size_t *covered,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    if (bytes < sizeof *out)
        TRY(oct_fail(error, OCT_CORRUPT, "hnsw: %zu bytes are not a graph", bytes));
    memcpy(out, at, sizeof *out);
    TRY(check_header(out, flat, error));
    TRY(check_header_codes(out, flat, error));
    TRY(oct_hnsw_layout(out, layout, error));
    size_t end = layout->end;
    if (out->flags & HNSW_FLAG_PART)
        end = layout->bias + oct_bits_words(out->count) * sizeof(uint64_t);
    if (bytes != end)
        TRY(oct_fail(error, OCT_CORRUPT, "hnsw: %zu bytes, expected %zu", bytes, end));
    *covered = out->flags & HNSW_FLAG_PART ? end : layout->bias;
done:
    return status;
}

static bool is_member(const uint64_t *members, uint32_t offset)
{
    return !members || oct_bits_get(members, offset);
}

/* The list of upper points: ascending, each with at least one row and at most the maximum. */
static bool good_upper_point(const oct_hnsw *graph, uint32_t i)
{
    const hnsw_header *header = &graph->header;
    uint32_t rows = graph->upper_starts[i + 1] - graph->upper_starts[i];
    return graph->upper_points[i] < header->count &&
           graph->upper_starts[i + 1] > graph->upper_starts[i] && rows <= OCT_HNSW_LEVELS_MAX &&
           (i == 0 || graph->upper_points[i - 1] < graph->upper_points[i]) &&
           oct_flat_has(&graph->flat, graph->upper_points[i]);
}

/* A row of level 0: members only, not itself, nothing behind the end; empty for others. */
static bool good_row(const oct_hnsw *graph, const uint64_t *members, uint32_t offset)
{
    const uint32_t *row = graph->links + (size_t)offset * graph->m0;
    uint32_t i = 0;
    for (; i < graph->m0 && row[i] != HNSW_NONE; i++) {
        if (row[i] >= graph->header.count || row[i] == offset || !is_member(members, row[i]))
            return false;
    }
    if (i > 0 && !is_member(members, offset)) return false;
    for (; i < graph->m0; i++) {
        if (row[i] != HNSW_NONE) return false;
    }
    return true;
}

/* The same for a row of an upper level, whose links must have that level, too. */
static bool good_upper_row(const oct_hnsw *graph, const uint64_t *members, uint32_t node,
                           uint32_t level)
{
    const uint32_t *row = oct_hnsw_row(graph, node, level);
    uint32_t m = graph->header.m;
    uint32_t i = 0;
    for (; i < m && row[i] != HNSW_NONE; i++) {
        if (row[i] >= graph->header.upper_count || row[i] == node ||
            oct_hnsw_upper_level(graph, row[i]) < level ||
            !is_member(members, graph->upper_points[row[i]]))
            return false;
    }
    if (i > 0 && !is_member(members, graph->upper_points[node])) return false;
    for (; i < m; i++) {
        if (row[i] != HNSW_NONE) return false;
    }
    return true;
}

/* The entry is in the graph and stands on the top level. */
static bool good_entry(const oct_hnsw *graph, const uint64_t *members)
{
    const hnsw_header *header = &graph->header;
    if (header->levels == 0) return header->entry == 0;
    if (!is_member(members, header->entry)) return false;
    uint32_t node = oct_hnsw_upper_find(graph, header->entry);
    uint32_t level = node == HNSW_NONE ? 0 : oct_hnsw_upper_level(graph, node);
    return level + 1 == header->levels;
}

/* What is checked once the list of upper points is. */
static oct_status check_whole(const oct_hnsw *graph, const uint64_t *members, oct_error *error)
{
    const hnsw_header *header = &graph->header;
    if (graph->upper_starts[0] != 0 ||
        graph->upper_starts[header->upper_count] != header->upper_rows)
        return oct_fail(error, OCT_CORRUPT, "hnsw: the list of upper points is damaged");
    if (!good_entry(graph, members))
        return oct_fail(error, OCT_CORRUPT, "hnsw: the entry is not on the top level");
    size_t points = header->count;
    if (members) points = oct_bits_count(members, oct_bits_words(header->count));
    if (points != header->inserted)
        return oct_fail(error, OCT_CORRUPT, "hnsw: %" PRIu32 " points in the graph, expected %zu",
                        header->inserted, points);
    return OCT_OK;
}

static oct_status check_upper_rows(const oct_hnsw *graph, const uint64_t *members, uint32_t node,
                                   oct_error *error)
{
    for (uint32_t level = 1; level <= oct_hnsw_upper_level(graph, node); level++)
        if (!good_upper_row(graph, members, node, level))
            return oct_fail(error, OCT_CORRUPT,
                            "hnsw: the links of point %" PRIu32 " on level %" PRIu32 " are damaged",
                            graph->upper_points[node], level);
    return OCT_OK;
}

/* Items are, in order: the upper points, the whole, the rows, the upper rows. */
static oct_status check_item(const oct_hnsw *graph, const uint64_t *members, uint32_t item,
                             oct_error *error)
{
    uint32_t uppers = graph->header.upper_count, count = graph->header.count;
    if (item < uppers) {
        if (good_upper_point(graph, item)) return OCT_OK;
        return oct_fail(error, OCT_CORRUPT, "hnsw: the list of upper points is damaged");
    }
    item -= uppers;
    if (item == 0) return check_whole(graph, members, error);
    item--;
    if (item >= count) return check_upper_rows(graph, members, item - count, error);
    if (good_row(graph, members, item)) return OCT_OK;
    return oct_fail(error, OCT_CORRUPT, "hnsw: the links of point %" PRIu32 " are damaged", item);
}

hnsw_audit oct_hnsw_audit_begin(const hnsw_header *header, const void *at, size_t covered)
{
    return (hnsw_audit){ .at = at,
                         .covered = covered,
                         .summed = sizeof *header,
                         .expected = header->crc,
                         .crc = oct_hnsw_header_crc(header) };
}

oct_status oct_hnsw_audit_step(const oct_hnsw *graph, const uint64_t *members, hnsw_audit *audit,
                               bool *done, oct_error *error)
{
    oct_status status = OCT_OK;
    const hnsw_header *header = &graph->header;
    *done = false;
    if (audit->summed < audit->covered) {
        size_t bytes = MIN(audit->covered - audit->summed, (size_t)OCT_HNSW_PIECE_BYTES);
        audit->crc = oct_crc32c(audit->crc, audit->at + audit->summed, bytes);
        audit->summed += bytes;
        if (audit->summed < audit->covered) return OCT_OK;
    }
    if (audit->crc != audit->expected)
        TRY(oct_fail(error, OCT_CORRUPT, "hnsw: the checksum of the links is wrong"));
    uint32_t items = 2 * header->upper_count + 1 + header->count;
    uint32_t rows = MAX((uint32_t)AUDIT_LINKS / graph->m0, 1u);
    uint32_t end = audit->checked + MIN(items - audit->checked, rows);
    for (; audit->checked < end; audit->checked++)
        TRY(check_item(graph, members, audit->checked, error));
    *done = audit->checked == items;
done:
    return status;
}

/* ---- open and write --------------------------------------------------------------------- */

oct_status oct_hnsw_open_begin(const oct_alloc *alloc, const oct_flat *flat, const void *at,
                               size_t bytes, oct_hnsw **out, oct_error *error)
{
    oct_status status = OCT_OK;
    size_t covered = 0;
    *out = NULL;
    ASSERT((uintptr_t)at % HNSW_ALIGN_BYTES == 0);
    oct_hnsw *graph = oct_new_zeroed(alloc, sizeof *graph);
    if (!graph) return oct_fail_nomem(error, "a search graph");
    graph->alloc = alloc;
    graph->flat = *flat;
    graph->block = at;
    TRY(oct_hnsw_header_read(at, bytes, flat, &graph->header, &graph->layout, &covered, error));
    if (graph->header.flags & HNSW_FLAG_PART)
        TRY(oct_fail(error, OCT_CORRUPT, "hnsw: a checkpoint, expected a whole graph"));
    oct_hnsw_attach(graph);
    graph->audit = oct_hnsw_audit_begin(&graph->header, at, covered);
    *out = graph;
    graph = NULL;
done:
    oct_hnsw_destroy(graph);
    return status;
}

oct_status oct_hnsw_open_step(oct_hnsw *graph, bool *done, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_flat *flat = &graph->flat;
    TRY(oct_hnsw_audit_step(graph, flat->present, &graph->audit, done, error));
    if (!*done) return OCT_OK;
    graph->entry_node = graph->header.levels > 1 ? oct_hnsw_upper_find(graph, graph->header.entry)
                                                 : graph->header.entry;
    if (oct_hnsw_has_codes(graph))
        TRY(oct_codes_restore(flat->metric, flat->dim, graph->header.scale, &graph->space, error));
    else if (flat->count > 0 && !flat->quant)
        TRY(oct_flat_touch(flat, 0, (size_t)oct_flat_row_count(flat), error));
done:
    return status;
}

oct_status oct_hnsw_open(const oct_alloc *alloc, const oct_flat *flat, const void *at, size_t bytes,
                         oct_hnsw **out, oct_error *error)
{
    oct_status status = oct_hnsw_open_begin(alloc, flat, at, bytes, out, error);
    for (bool done = false; status == OCT_OK && !done;)
        status = oct_hnsw_open_step(*out, &done, error);
    if (status != OCT_OK) {
        oct_hnsw_destroy(*out);
        *out = NULL;
    }
    return status;
}

void oct_hnsw_destroy(oct_hnsw *graph)
{
    if (!graph) return;
    oct_free(graph->alloc, graph->owned, graph->owned_bytes);
    oct_free(graph->alloc, graph, sizeof *graph);
}

bool oct_hnsw_release(oct_hnsw *graph)
{
    return !graph || !graph->owned ||
           oct_free_piece(graph->alloc, &graph->owned, &graph->owned_bytes);
}

uint64_t oct_hnsw_bytes(const oct_hnsw *graph)
{
    return graph->layout.end;
}

oct_status oct_hnsw_write_piece(const oct_hnsw *graph, bool bare, size_t *at,
                                const oct_hnsw_sink *sink, bool *done, oct_error *error)
{
    oct_status status = OCT_OK;
    hnsw_header header = graph->header;
    size_t end = bare ? graph->layout.bias : graph->layout.end;
    if (*at == 0 && bare) {
        header.flags &= ~(uint32_t)(HNSW_FLAG_CODES | HNSW_FLAG_PACKED);
        header.row_bytes = 0;
        header.scale = 0;
        header.step = 0;
        header.crc = oct_hnsw_crc(&header, graph->block, end);
        TRY(sink->append(sink->self, &header, sizeof header, error));
        *at = sizeof header;
    }
    size_t bytes = MIN(end - *at, (size_t)OCT_HNSW_PIECE_BYTES);
    TRY(sink->append(sink->self, graph->block + *at, bytes, error));
    *at += bytes;
done:
    *done = status == OCT_OK && *at == end;
    return status;
}

static oct_status write_all(const oct_hnsw *graph, bool bare, const oct_hnsw_sink *sink,
                            oct_error *error)
{
    oct_status status = OCT_OK;
    size_t at = 0;
    for (bool done = false; !done && status == OCT_OK;)
        status = oct_hnsw_write_piece(graph, bare, &at, sink, &done, error);
    return status;
}

oct_status oct_hnsw_write(const oct_hnsw *graph, const oct_hnsw_sink *sink, oct_error *error)
{
    return write_all(graph, false, sink, error);
}

oct_status oct_hnsw_write_bare(const oct_hnsw *graph, const oct_hnsw_sink *sink, oct_error *error)
{
    return write_all(graph, true, sink, error);
}

bool oct_hnsw_check_code(const oct_hnsw *graph, size_t row, const float *vector, uint8_t *memory)
{
    size_t bytes = graph->header.row_bytes;
    if (!oct_hnsw_has_codes(graph)) return true;
    int32_t bias = oct_codes_encode(&graph->space, vector, memory);
    const oct_codes_packing packing = { graph->header.step, graph->block + graph->layout.middles };
    if (oct_hnsw_is_packed(graph)) bias = oct_codes_pack(&graph->space, &packing, memory, memory);
    return bias == graph->bias[row] && memcmp(memory, graph->codes + row * bytes, bytes) == 0;
}

oct_hnsw_params oct_hnsw_graph_params(const oct_hnsw *graph)
{
    return (oct_hnsw_params){ .m = graph->header.m,
                              .ef_construct = graph->header.ef_construct,
                              .seed = graph->header.seed,
                              .mark = graph->header.mark,
                              .codes = oct_hnsw_has_codes(graph) };
}

uint32_t oct_hnsw_point_count(const oct_hnsw *graph)
{
    return graph->header.inserted;
}
