/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_links.c - links within payload blocks: built, written, opened.
 *
 * Each block's rows are copied side by side and a graph is built over them as over a segment of
 * their own; of that graph level 0 is kept, with the points' offsets in the segment. All blocks'
 * links of a point then make one row, without repeats, in the order of the blocks. A filtered walk
 * (hnsw_search.c) follows them beside the links of the whole graph.
 *
 * Section: { u32 magic, version, count, link_count, m, mark, 10 x 0 }, starts u32 [count + 1],
 * links u32 [link_count]; the links of point i are links[starts[i]..starts[i + 1]). Valid when the
 * sizes add up, starts ascend from 0 to link_count, and links name points that have the vector.
 * Without any links there are no starts either.
 *
 * Rejected: rows of the whole graph with more places (a walk without a filter would read and skip
 * them), and a graph of its own per block at rest (a filter of two values, or of one value and a
 * range, would have no graph to walk). Upper levels are not kept: filtered walks start from
 * selected points all over the segment. */
#include "index/hnsw_links.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/endian.h"
#include "index/hnsw_graph.h"

enum {
    LINKS_MAGIC = 0x4b4e4c42, /* "BLNK" */
    LINKS_VERSION = 1,
    LINKS_HEADER_WORDS = 16,
    SAMPLES = 16 /* points looked at to see whether a filter's points are linked */
};

/* Level 0 of one block's graph. */
typedef struct block_rows {
    uint32_t *members; /* [count] offsets */
    uint32_t *links;   /* [count][m0] offsets or HNSW_NONE */
    uint32_t count;
} block_rows;

struct oct_hnsw_links_builder {
    const oct_host *host;
    const oct_alloc *alloc;
    oct_flat flat;
    oct_hnsw_params params;
    const oct_hnsw_block *blocks;
    uint32_t block_count, at_block;
    block_rows *rows; /* [block_count], of those before at_block */
    float *copies;    /* [copy_count][dim] rows of the block at hand */
    uint32_t copy_count;
    oct_hnsw_builder *graph_builder;
    uint32_t *starts; /* [flat.count + 1], when all blocks are done */
    uint32_t *links;  /* [link_capacity], starts[flat.count] used */
    uint32_t link_capacity;
    bool done;
};

/* ---- one block ---------------------------------------------------------------------------- */

static uint32_t places(const oct_hnsw_links_builder *builder)
{
    return 2 * builder->params.m;
}

static void free_copies(oct_hnsw_links_builder *builder)
{
    size_t floats = (size_t)builder->copy_count * builder->flat.dim;
    oct_hnsw_builder_destroy(builder->graph_builder);
    builder->graph_builder = NULL;
    oct_free(builder->alloc, builder->copies, floats * sizeof(float));
    builder->copies = NULL;
}

static oct_status copy_rows(oct_hnsw_links_builder *builder, block_rows *rows, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_flat *flat = &builder->flat;
    const oct_hnsw_block *block = &builder->blocks[builder->at_block];
    for (uint32_t i = 0; i < block->count; i++)
        rows->count += oct_flat_has(flat, block->offsets[i]);
    if (rows->count == 0) return OCT_OK;
    TRY(oct_array_resize(builder->alloc, &rows->members, 0, rows->count, sizeof(uint32_t), error));
    size_t row_bytes = flat->dim * sizeof(float);
    TRY(oct_array_resize(builder->alloc, &builder->copies, 0, rows->count, row_bytes, error));
    builder->copy_count = rows->count;
    uint32_t count = 0;
    for (uint32_t i = 0; i < block->count; i++) {
        uint32_t offset = block->offsets[i];
        if (!oct_flat_has(flat, offset)) continue;
        memcpy(builder->copies + (size_t)count * flat->dim, oct_flat_row(flat, offset), row_bytes);
        rows->members[count++] = offset;
    }
done:
    return status;
}

static oct_status begin_block(oct_hnsw_links_builder *builder, oct_error *error)
{
    oct_status status = OCT_OK;
    block_rows *rows = &builder->rows[builder->at_block];
    TRY(copy_rows(builder, rows, error));
    if (rows->count == 0) return OCT_OK;
    TRY(oct_array_resize(builder->alloc, &rows->links, 0, rows->count,
                         places(builder) * sizeof(uint32_t), error));
    oct_flat flat = builder->flat;
    flat.rows = builder->copies;
    flat.present = NULL;
    flat.count = rows->count;
    flat.touch = NULL;
    TRY(oct_hnsw_builder_create(builder->host, &flat, &builder->params, NULL,
                                &builder->graph_builder, error));
done:
    return status;
}

static void keep_links(oct_hnsw_links_builder *builder)
{
    block_rows *rows = &builder->rows[builder->at_block];
    oct_hnsw *graph;
    oct_hnsw_builder_finish(builder->graph_builder, &graph);
    ASSERT(graph->m0 == places(builder));
    for (uint32_t i = 0; i < rows->count; i++) {
        const uint32_t *from = oct_hnsw_row(graph, i, 0);
        uint32_t *to = rows->links + (size_t)i * graph->m0;
        for (uint32_t j = 0; j < graph->m0; j++)
            to[j] = from[j] == HNSW_NONE ? HNSW_NONE : rows->members[from[j]];
    }
    oct_hnsw_destroy(graph);
}

static oct_status step_block(oct_hnsw_links_builder *builder, uint64_t budget_ns, oct_error *error)
{
    oct_status status = OCT_OK;
    bool done = true;
    if (!builder->graph_builder) TRY(begin_block(builder, error));
    if (builder->graph_builder) {
        TRY(oct_hnsw_build_step(builder->graph_builder, budget_ns, &done, error));
        if (!done) return OCT_OK;
        keep_links(builder);
    }
    free_copies(builder);
    builder->at_block++;
done:
    return status;
}

/* ---- all blocks together ------------------------------------------------------------------ */

/* Upper bounds of all rows' lengths, as starts. */
static oct_status measure_rows(oct_hnsw_links_builder *builder, oct_error *error)
{
    uint32_t m0 = places(builder);
    uint64_t sum = 0;
    for (uint32_t b = 0; b < builder->block_count; b++) {
        const block_rows *rows = &builder->rows[b];
        for (uint32_t i = 0; i < rows->count; i++)
            for (uint32_t j = 0; j < m0 && rows->links[(size_t)i * m0 + j] != HNSW_NONE; j++)
                builder->starts[rows->members[i] + 1]++;
    }
    for (uint32_t i = 0; i < builder->flat.count; i++) {
        sum += builder->starts[i + 1];
        if (sum > UINT32_MAX)
            return oct_fail(error, OCT_LIMIT, "links of payload blocks: more than 2^32");
        builder->starts[i + 1] = (uint32_t)sum;
    }
    return OCT_OK;
}

static void fill_rows(oct_hnsw_links_builder *builder, uint32_t *ends)
{
    uint32_t m0 = places(builder);
    memcpy(ends, builder->starts, builder->flat.count * sizeof *ends);
    for (uint32_t b = 0; b < builder->block_count; b++) {
        const block_rows *rows = &builder->rows[b];
        for (uint32_t i = 0; i < rows->count; i++) {
            const uint32_t *row = rows->links + (size_t)i * m0;
            for (uint32_t j = 0; j < m0 && row[j] != HNSW_NONE; j++)
                builder->links[ends[rows->members[i]]++] = row[j];
        }
    }
}

/* Drop what a row has twice and close the gaps. `seen_by` is scratch. */
static void drop_repeats(oct_hnsw_links_builder *builder, uint32_t *seen_by)
{
    uint32_t kept = 0;
    uint32_t next = 0;
    memset(seen_by, 0xff, builder->flat.count * sizeof *seen_by);
    for (uint32_t point = 0; point < builder->flat.count; point++) {
        uint32_t end = builder->starts[point + 1];
        builder->starts[point] = kept;
        for (; next < end; next++) {
            uint32_t link = builder->links[next];
            if (seen_by[link] == point) continue;
            seen_by[link] = point;
            builder->links[kept++] = link;
        }
    }
    builder->starts[builder->flat.count] = kept;
}

static oct_status join_blocks(oct_hnsw_links_builder *builder, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t count = builder->flat.count;
    uint32_t *scratch = NULL;
    TRY(oct_array_resize(builder->alloc, &builder->starts, 0, (size_t)count + 1, sizeof(uint32_t),
                         error));
    memset(builder->starts, 0, ((size_t)count + 1) * sizeof(uint32_t));
    TRY(measure_rows(builder, error));
    if (builder->starts[count] == 0) return OCT_OK;
    TRY(oct_array_resize(builder->alloc, &builder->links, 0, builder->starts[count],
                         sizeof(uint32_t), error));
    builder->link_capacity = builder->starts[count];
    TRY(oct_array_resize(builder->alloc, &scratch, 0, count, sizeof *scratch, error));
    fill_rows(builder, scratch);
    drop_repeats(builder, scratch);
done:
    oct_free(builder->alloc, scratch, count * sizeof *scratch);
    return status;
}

/* ---- life --------------------------------------------------------------------------------- */

oct_status oct_hnsw_links_create(const oct_host *host, const oct_flat *flat,
                                 const oct_hnsw_params *params, const oct_hnsw_block *blocks,
                                 uint32_t block_count, oct_hnsw_links_builder **out,
                                 oct_error *error)
{
    oct_status status = OCT_OK;
    *out = NULL;
    oct_hnsw_links_builder *builder = oct_new_zeroed(host->alloc, sizeof *builder);
    if (!builder) return oct_fail_nomem(error, "links of payload blocks");
    builder->host = host;
    builder->alloc = host->alloc;
    builder->flat = *flat;
    builder->params = *params;
    builder->blocks = blocks;
    builder->block_count = block_count;
    if (block_count > 0) {
        builder->rows = oct_new_zeroed(host->alloc, block_count * sizeof *builder->rows);
        if (!builder->rows) TRY(oct_fail_nomem(error, "links of payload blocks"));
    }
    *out = builder;
    builder = NULL;
done:
    oct_hnsw_links_destroy(builder);
    return status;
}

static void free_rows(oct_hnsw_links_builder *builder)
{
    const oct_alloc *alloc = builder->alloc;
    for (uint32_t b = 0; builder->rows && b < builder->block_count; b++) {
        block_rows *rows = &builder->rows[b];
        oct_free(alloc, rows->members, rows->count * sizeof(uint32_t));
        oct_free(alloc, rows->links, (size_t)rows->count * places(builder) * sizeof(uint32_t));
    }
    oct_free(alloc, builder->rows, builder->block_count * sizeof *builder->rows);
    builder->rows = NULL;
}

void oct_hnsw_links_destroy(oct_hnsw_links_builder *builder)
{
    if (!builder) return;
    free_copies(builder);
    free_rows(builder);
    oct_free(builder->alloc, builder->starts, ((size_t)builder->flat.count + 1) * sizeof(uint32_t));
    oct_free(builder->alloc, builder->links, builder->link_capacity * sizeof(uint32_t));
    oct_free(builder->alloc, builder, sizeof *builder);
}

oct_status oct_hnsw_links_step(oct_hnsw_links_builder *builder, uint64_t budget_ns, bool *done,
                               oct_error *error)
{
    const oct_host *host = builder->host;
    oct_status status = OCT_OK;
    bool hurry = budget_ns != UINT64_MAX;
    uint64_t begin = hurry ? host->monotonic_ns(host->self) : 0;
    while (!builder->done) {
        uint64_t spent = hurry ? host->monotonic_ns(host->self) - begin : 0;
        uint64_t left = hurry ? budget_ns - MIN(spent, budget_ns) : UINT64_MAX;
        if (builder->at_block < builder->block_count) {
            TRY(step_block(builder, left, error));
        } else {
            TRY(join_blocks(builder, error));
            free_rows(builder);
            builder->done = true;
        }
        if (hurry && host->monotonic_ns(host->self) - begin >= budget_ns) break;
    }
done:
    *done = builder->done;
    return status;
}

/* ---- bytes -------------------------------------------------------------------------------- */

oct_status oct_hnsw_links_write(const oct_hnsw_links_builder *builder, const oct_hnsw_sink *sink,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t count = builder->flat.count;
    ASSERT(builder->done);
    uint32_t header[LINKS_HEADER_WORDS] = {
        LINKS_MAGIC,       LINKS_VERSION,       count, builder->starts[count],
        builder->params.m, builder->params.mark
    };
    TRY(sink->append(sink->self, header, sizeof header, error));
    if (header[3] == 0) return OCT_OK;
    TRY(sink->append(sink->self, builder->starts, ((size_t)count + 1) * sizeof(uint32_t), error));
    TRY(sink->append(sink->self, builder->links, builder->starts[count] * sizeof(uint32_t), error));
done:
    return status;
}

static bool sizes_add_up(const uint32_t *header, size_t bytes, uint32_t count)
{
    if (bytes < LINKS_HEADER_WORDS * sizeof *header || bytes % sizeof *header != 0) return false;
    for (uint32_t i = 6; i < LINKS_HEADER_WORDS; i++)
        if (header[i] != 0) return false;
    uint64_t words = LINKS_HEADER_WORDS;
    if (header[3] > 0) words += (uint64_t)count + 1 + header[3];
    return header[0] == LINKS_MAGIC && header[1] == LINKS_VERSION && header[2] == count &&
           header[4] >= 1 && header[4] <= OCT_HNSW_M_MAX && bytes / sizeof *header == words;
}

oct_status oct_hnsw_links_open(oct_hnsw *graph, const void *at, size_t bytes, oct_error *error)
{
    const uint32_t *header = at;
    const oct_flat *flat = &graph->flat;
    uint32_t count = graph->header.count;
    if (!sizes_add_up(header, bytes, count))
        return oct_fail(error, OCT_CORRUPT,
                        "links of payload blocks: %zu bytes are not a section "
                        "over %" PRIu32 " points",
                        bytes, count);
    graph->block_mark = header[5];
    if (header[3] == 0) return OCT_OK;
    const uint32_t *starts = header + LINKS_HEADER_WORDS;
    const uint32_t *links = starts + count + 1;
    for (uint32_t i = 0; i < count; i++)
        if (starts[i] > starts[i + 1])
            return oct_fail(error, OCT_CORRUPT,
                            "links of payload blocks: point %" PRIu32 " ends before it starts", i);
    if (starts[0] != 0 || starts[count] != header[3])
        return oct_fail(error, OCT_CORRUPT, "links of payload blocks: rows do not fill them");
    for (uint32_t i = 0; i < header[3]; i++)
        if (links[i] >= count || !oct_flat_has(flat, links[i]))
            return oct_fail(error, OCT_CORRUPT,
                            "links of payload blocks: link %" PRIu32 " goes to point %" PRIu32
                            ", which is not there",
                            i, links[i]);
    graph->block_starts = starts;
    graph->block_links = links;
    graph->block_m = header[4];
    return OCT_OK;
}

/* ---- check -------------------------------------------------------------------------------- */

uint32_t oct_hnsw_links_built_for(const oct_hnsw *graph)
{
    return graph->block_mark;
}

uint32_t oct_hnsw_links_count(const oct_hnsw *graph)
{
    return graph->block_starts ? graph->block_starts[graph->header.count] : 0;
}

static bool stands_before(const uint32_t *links, uint32_t start, uint32_t at)
{
    for (uint32_t i = start; i < at; i++)
        if (links[i] == links[at]) return true;
    return false;
}

void oct_hnsw_links_mark(const oct_hnsw *graph, const uint64_t *block, const uint32_t *offsets,
                         uint32_t count, uint64_t *marks)
{
    const uint32_t *links = graph->block_links;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t start = graph->block_starts[offsets[i]];
        for (uint32_t at = start; at < graph->block_starts[offsets[i] + 1]; at++)
            if (links[at] != offsets[i] && oct_bits_get(block, links[at]) &&
                !stands_before(links, start, at))
                oct_bits_set(marks, at);
    }
}

/* ---- use ---------------------------------------------------------------------------------- */

/* Links of a point to allowed points, within blocks. */
static uint32_t allowed_links(const oct_hnsw *graph, const uint64_t *allowed, uint32_t offset)
{
    uint32_t count = 0;
    for (uint32_t i = graph->block_starts[offset]; i < graph->block_starts[offset + 1]; i++)
        count += oct_bits_get(allowed, graph->block_links[i]);
    return count;
}

bool oct_hnsw_has_block_links(const oct_hnsw *graph)
{
    return graph->block_starts != NULL;
}

bool oct_hnsw_is_linked(const oct_hnsw *graph, const uint64_t *allowed)
{
    uint32_t samples = 0;
    uint32_t links = 0;
    if (!graph->block_starts) return false;
    uint32_t words = (uint32_t)oct_bits_words(graph->header.count);
    uint32_t stride = MAX(words / SAMPLES, 1u);
    for (uint32_t first = 0; first < words; first += stride)
        for (uint32_t word = first; word < MIN(words, first + stride); word++) {
            if (allowed[word] == 0) continue;
            uint32_t offset = word * 64 + (uint32_t)__builtin_ctzll(allowed[word]);
            if (offset >= graph->header.count) break; /* bits behind the last point */
            samples++;
            links += allowed_links(graph, allowed, offset);
            break;
        }
    /* Within a block a point has between m and 2m links. */
    return samples > 0 && links >= samples * MAX(graph->block_m * 3 / 4, 1u);
}
