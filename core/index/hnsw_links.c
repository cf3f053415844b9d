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
    STEP_POINTS = 512,       /* of a block, looked at in one step */
    STEP_WORDS = 1 << 16,    /* of other arrays */
    COPY_FLOATS = 1 << 17,   /* copied in one step */
    PIECE_BYTES = 256 << 10, /* written in one step */
    SAMPLES = 16             /* points looked at to see whether a filter's points are linked */
};

/* Level 0 of one block's graph. */
typedef struct block_rows {
    uint32_t *members; /* [count] offsets */
    uint32_t *links;   /* [count][m0] offsets or HNSW_NONE */
    uint32_t capacity; /* of members */
    uint32_t count;
} block_rows;

/* What is done one after another; up to RELEASE for each block. */
typedef enum links_phase { COPY, BUILD, KEEP, RELEASE, MEASURE, SUM, FILL, DROP, DONE } links_phase;

struct oct_hnsw_links_builder {
    const oct_host *host;
    const oct_alloc *alloc;
    oct_flat flat;
    oct_hnsw_params params;
    const oct_hnsw_block *blocks;
    uint32_t block_count, at_block;
    links_phase phase;
    uint32_t next;    /* item of the phase: a point, or one of the block's */
    block_rows *rows; /* [block_count], of those before at_block */
    float *copies;    /* rows of the block at hand */
    size_t copy_bytes;
    oct_hnsw_builder *graph_builder;
    oct_hnsw *graph;
    uint32_t *starts; /* [flat.count + 1], when all blocks are done */
    uint32_t *links;  /* [link_capacity], starts[flat.count] used */
    uint32_t link_capacity, read, kept;
    uint32_t
        *scratch; /* [flat.count]: where rows end as they are filled, then who saw a link last */
    uint64_t sum;
    size_t written;
};

/* ---- one block ---------------------------------------------------------------------------- */

static uint32_t places(const oct_hnsw_links_builder *builder)
{
    return 2 * builder->params.m;
}

/* Where the next step of a loop ends; true when that is the loop's end. */
static bool is_over(uint32_t next, uint32_t step, uint32_t count, uint32_t *end)
{
    *end = next + MIN(count - next, step);
    return *end == count;
}

static void free_copies(oct_hnsw_links_builder *builder)
{
    oct_hnsw_builder_destroy(builder->graph_builder);
    builder->graph_builder = NULL;
    oct_hnsw_destroy(builder->graph);
    builder->graph = NULL;
    oct_free(builder->alloc, builder->copies, builder->copy_bytes);
    builder->copies = NULL;
}

/* Take the memory that a block needs. Blocks have points. */
static oct_status take_block(oct_hnsw_links_builder *builder, block_rows *rows, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_hnsw_block *block = &builder->blocks[builder->at_block];
    size_t row_bytes = builder->flat.dim * sizeof(float);
    TRY(oct_array_resize(builder->alloc, &rows->members, 0, block->count, sizeof(uint32_t), error));
    rows->capacity = block->count;
    TRY(oct_array_resize(builder->alloc, &builder->copies, 0, block->count, row_bytes, error));
    builder->copy_bytes = block->count * row_bytes;
done:
    return status;
}

/* A graph over the rows that were copied. */
static oct_status begin_graph(oct_hnsw_links_builder *builder, block_rows *rows, oct_error *error)
{
    oct_status status = OCT_OK;
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

/* Copy the rows of the block's next points; true when all are. */
static oct_status copy_rows(oct_hnsw_links_builder *builder, block_rows *rows, bool *over,
                            oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_flat *flat = &builder->flat;
    const oct_hnsw_block *block = &builder->blocks[builder->at_block];
    uint32_t step = MAX((uint32_t)COPY_FLOATS / flat->dim, 1u), end;
    if (!builder->copies && block->count > 0) TRY(take_block(builder, rows, error));
    *over = is_over(builder->next, step, block->count, &end);
    for (; builder->next < end; builder->next++) {
        uint32_t offset = block->offsets[builder->next];
        if (!oct_flat_has(flat, offset)) continue;
        memcpy(builder->copies + (size_t)rows->count * flat->dim, oct_flat_row(flat, offset),
               flat->dim * sizeof(float));
        rows->members[rows->count++] = offset;
    }
    if (*over && rows->count > 0) TRY(begin_graph(builder, rows, error));
done:
    return status;
}

static bool keep_links(oct_hnsw_links_builder *builder, block_rows *rows)
{
    const oct_hnsw *graph = builder->graph;
    uint32_t end;
    bool over = is_over(builder->next, STEP_POINTS, rows->count, &end);
    for (; builder->next < end; builder->next++) {
        const uint32_t *from = oct_hnsw_row(graph, builder->next, 0);
        uint32_t *to = rows->links + (size_t)builder->next * graph->m0;
        for (uint32_t j = 0; j < graph->m0; j++)
            to[j] = from[j] == HNSW_NONE ? HNSW_NONE : rows->members[from[j]];
    }
    return over;
}

static bool release(oct_hnsw_links_builder *builder)
{
    oct_hnsw_builder_destroy(builder->graph_builder);
    builder->graph_builder = NULL;
    if (!oct_hnsw_release(builder->graph)) return false;
    if (builder->copies && !oct_free_piece(builder->alloc, &builder->copies, &builder->copy_bytes))
        return false;
    free_copies(builder);
    return true;
}

/* A step of the phase at hand, of one block; *over when that is done. */
static oct_status step_block(oct_hnsw_links_builder *builder, uint64_t budget_ns, bool *over,
                             oct_error *error)
{
    block_rows *rows = builder->rows ? &builder->rows[builder->at_block] : NULL;
    switch (builder->phase) {
    case COPY:
        return copy_rows(builder, rows, over, error);
    case BUILD:
        *over = true;
        if (!builder->graph_builder) return OCT_OK;
        oct_status status = oct_hnsw_build_step(builder->graph_builder, budget_ns, over, error);
        if (status != OCT_OK || !*over) return status;
        oct_hnsw_builder_finish(builder->graph_builder, &builder->graph);
        ASSERT(builder->graph->m0 == places(builder));
        return OCT_OK;
    case KEEP:
        *over = keep_links(builder, rows);
        return OCT_OK;
    default:
        *over = release(builder);
        return OCT_OK;
    }
}

/* ---- all blocks together ------------------------------------------------------------------ */

static oct_status begin_join(oct_hnsw_links_builder *builder, oct_error *error)
{
    oct_status status = OCT_OK;
    size_t count = builder->flat.count;
    TRY(oct_array_resize(builder->alloc, &builder->starts, 0, count + 1, sizeof(uint32_t), error));
    memset(builder->starts, 0, (count + 1) * sizeof(uint32_t));
done:
    return status;
}

/* Look at the next rows of the block at hand: count their links for their points (MEASURE), or copy
 * them to their places (FILL). True when all blocks are done. */
static bool visit_rows(oct_hnsw_links_builder *builder)
{
    uint32_t m0 = places(builder), end;
    if (builder->at_block == builder->block_count) return true;
    const block_rows *rows = &builder->rows[builder->at_block];
    bool over = is_over(builder->next, STEP_POINTS, rows->count, &end);
    for (; builder->next < end; builder->next++) {
        const uint32_t *row = rows->links + (size_t)builder->next * m0;
        uint32_t point = rows->members[builder->next];
        for (uint32_t j = 0; j < m0 && row[j] != HNSW_NONE; j++) {
            if (builder->phase == FILL)
                builder->links[builder->scratch[point]++] = row[j];
            else
                builder->starts[point + 1]++;
        }
    }
    if (!over) return false;
    builder->next = 0;
    return ++builder->at_block == builder->block_count;
}

/* Counts become starts, upper bounds as yet. */
static oct_status sum_counts(oct_hnsw_links_builder *builder, bool *over, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t count = builder->flat.count, end;
    *over = is_over(builder->next, STEP_WORDS, count, &end);
    for (; builder->next < end; builder->next++) {
        builder->sum += builder->starts[builder->next + 1];
        if (builder->sum > UINT32_MAX)
            return oct_fail(error, OCT_LIMIT, "links of payload blocks: more than 2^32");
        builder->starts[builder->next + 1] = (uint32_t)builder->sum;
    }
    if (!*over || builder->sum == 0) return OCT_OK;
    TRY(oct_array_resize(builder->alloc, &builder->links, 0, builder->starts[count],
                         sizeof(uint32_t), error));
    builder->link_capacity = builder->starts[count];
    TRY(oct_array_resize(builder->alloc, &builder->scratch, 0, count, sizeof(uint32_t), error));
    memcpy(builder->scratch, builder->starts, count * sizeof(uint32_t));
done:
    return status;
}

/* Drop what a row has twice and close the gaps. */
static bool drop_repeats(oct_hnsw_links_builder *builder)
{
    uint32_t count = builder->flat.count, end;
    if (!builder->links) return true;
    if (builder->next == 0) memset(builder->scratch, 0xff, count * sizeof(uint32_t));
    bool over = is_over(builder->next, STEP_POINTS, count, &end);
    for (uint32_t point = builder->next; point < end; point++) {
        uint32_t last = builder->starts[point + 1];
        builder->starts[point] = builder->kept;
        for (; builder->read < last; builder->read++) {
            uint32_t link = builder->links[builder->read];
            if (builder->scratch[link] == point) continue;
            builder->scratch[link] = point;
            builder->links[builder->kept++] = link;
        }
    }
    builder->next = end;
    if (over) builder->starts[count] = builder->kept;
    return over;
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
    builder->phase = block_count > 0 ? COPY : RELEASE;
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
        oct_free(alloc, rows->members, rows->capacity * sizeof(uint32_t));
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
    oct_free(builder->alloc, builder->scratch, builder->flat.count * sizeof(uint32_t));
    oct_free(builder->alloc, builder, sizeof *builder);
}

static oct_status step_phase(oct_hnsw_links_builder *builder, uint64_t budget_ns, bool *over,
                             oct_error *error)
{
    *over = true;
    switch (builder->phase) {
    case MEASURE:
    case FILL:
        *over = (builder->phase == FILL && !builder->links) || visit_rows(builder);
        return OCT_OK;
    case SUM:
        return sum_counts(builder, over, error);
    case DROP:
        *over = drop_repeats(builder);
        return OCT_OK;
    default:
        return step_block(builder, budget_ns, over, error);
    }
}

static oct_status end_phase(oct_hnsw_links_builder *builder, oct_error *error)
{
    oct_status status = OCT_OK;
    builder->next = 0;
    if (builder->phase == RELEASE && ++builder->at_block < builder->block_count) {
        builder->phase = COPY;
        return OCT_OK;
    }
    if (builder->phase == RELEASE) TRY(begin_join(builder, error));
    if (builder->phase == RELEASE || builder->phase == SUM) builder->at_block = 0;
    if (builder->phase == DROP) free_rows(builder);
    builder->phase++;
done:
    return status;
}

oct_status oct_hnsw_links_step(oct_hnsw_links_builder *builder, uint64_t budget_ns, bool *done,
                               oct_error *error)
{
    const oct_host *host = builder->host;
    oct_status status = OCT_OK;
    bool hurry = budget_ns != UINT64_MAX;
    uint64_t begin = hurry ? host->monotonic_ns(host->self) : 0;
    while (builder->phase != DONE) {
        bool over = false;
        uint64_t spent = hurry ? host->monotonic_ns(host->self) - begin : 0;
        uint64_t left = hurry ? budget_ns - MIN(spent, budget_ns) : UINT64_MAX;
        TRY(step_phase(builder, left, &over, error));
        if (over) TRY(end_phase(builder, error));
        if (hurry && host->monotonic_ns(host->self) - begin >= budget_ns) break;
    }
done:
    *done = builder->phase == DONE;
    return status;
}

/* ---- bytes -------------------------------------------------------------------------------- */

/* Append what of [*at, *at + room) lies in an array that begins at `from`. */
static oct_status write_part(const oct_hnsw_sink *sink, const void *array, size_t from,
                             size_t bytes, size_t *at, size_t *room, oct_error *error)
{
    if (*at < from || *at >= from + bytes) return OCT_OK;
    size_t piece = MIN(*room, from + bytes - *at);
    oct_status status =
        sink->append(sink->self, (const uint8_t *)array + (*at - from), piece, error);
    *at += piece;
    *room -= piece;
    return status;
}

oct_status oct_hnsw_links_write_piece(oct_hnsw_links_builder *builder, const oct_hnsw_sink *sink,
                                      bool *done, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t count = builder->flat.count, links = builder->starts[count];
    ASSERT(builder->phase == DONE);
    const uint32_t header[LINKS_HEADER_WORDS] = {
        LINKS_MAGIC, LINKS_VERSION, count, links, builder->params.m, builder->params.mark
    };
    size_t starts_bytes = links ? ((size_t)count + 1) * sizeof(uint32_t) : 0;
    size_t links_bytes = (size_t)links * sizeof(uint32_t), room = PIECE_BYTES;
    size_t *at = &builder->written, from = sizeof header + starts_bytes;
    TRY(write_part(sink, header, 0, sizeof header, at, &room, error));
    TRY(write_part(sink, builder->starts, sizeof header, starts_bytes, at, &room, error));
    TRY(write_part(sink, builder->links, from, links_bytes, at, &room, error));
done:
    *done = status == OCT_OK && builder->written == sizeof header + starts_bytes + links_bytes;
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
