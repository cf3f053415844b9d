/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_checkpoint.c - a half-built graph as bytes, because a browser tab may close at any time.
 *
 * What is saved: the header with HNSW_FLAG_PART, the links, and the set of points in the graph,
 *
 *     the block up to bias, then members u64 [words of count]
 *
 * covered by the header's crc. Codes are not saved: they take as long to write as to compute. The
 * batch in progress is not saved either; its links wait beside the graph until they are applied, so
 * while a batch searches, the graph is whole. While it is applied it is not, and nothing can be
 * saved; that takes a fraction of the search's time. */
#include <string.h>

#include "base/bits.h"
#include "base/hash.h"
#include "index/hnsw_build.h"

enum { COPY_BYTES = 64 << 10 };

bool oct_hnsw_builder_at_rest(const oct_hnsw_builder *builder)
{
    return builder->phase == HNSW_SEARCH ||
           (builder->phase >= HNSW_CONNECT && builder->phase <= HNSW_DONE);
}

oct_status oct_hnsw_builder_save(const oct_hnsw_builder *builder, const oct_hnsw_sink *sink,
                                 oct_error *error)
{
    const oct_hnsw *graph = builder->graph;
    oct_status status = OCT_OK;
    ASSERT(oct_hnsw_builder_at_rest(builder));
    hnsw_header header = graph->header;
    header.flags |= HNSW_FLAG_PART;
    if (oct_hnsw_is_packed(graph)) { /* which will be done again */
        header.flags ^= HNSW_FLAG_PACKED;
        header.row_bytes = graph->space.row_bytes;
        header.step = 0;
    }
    size_t members_bytes = oct_bits_words(header.count) * sizeof(uint64_t);
    header.crc = oct_hnsw_crc(&header, graph->block, graph->layout.bias);
    if (members_bytes > 0) header.crc = oct_crc32c(header.crc, builder->members, members_bytes);
    TRY(sink->append(sink->self, &header, sizeof header, error));
    TRY(sink->append(sink->self, graph->block + sizeof header, graph->layout.bias - sizeof header,
                     error));
    if (members_bytes > 0) TRY(sink->append(sink->self, builder->members, members_bytes, error));
done:
    return status;
}

/* The header is that of a part of this very build. */
static oct_status check_part(const hnsw_header *header, const oct_flat *flat,
                             const oct_hnsw_params *params, oct_error *error)
{
    oct_status status = OCT_OK;
    hnsw_header expected;
    TRY(oct_hnsw_header_init(flat, params, &expected, error));
    if (header->flags != (expected.flags | HNSW_FLAG_PART) || header->m != expected.m ||
        header->ef_construct != expected.ef_construct || header->seed != expected.seed ||
        header->mark != expected.mark)
        TRY(oct_fail(error, OCT_CORRUPT, "hnsw: a checkpoint of another build"));
done:
    return status;
}

/* ---- restoring --------------------------------------------------------------------------- */

/* Pieces of the links, which stand in the block as they did. */
static oct_status copy(oct_hnsw_builder *builder, uint32_t first, uint32_t end, oct_error *error)
{
    size_t links = builder->graph->layout.bias;
    size_t from = (size_t)first * COPY_BYTES, to = MIN((size_t)end * COPY_BYTES, links);
    UNUSED(error);
    memcpy(builder->block + from, builder->part + from, to - from);
    return OCT_OK;
}

/* The members; they exist. */
static oct_status copy_members(oct_hnsw_builder *builder, oct_error *error)
{
    const oct_flat *flat = &builder->graph->flat;
    size_t words = oct_bits_words(flat->count);
    if (words > 0)
        memcpy(builder->members, builder->part + builder->graph->layout.bias,
               words * sizeof(uint64_t));
    for (size_t word = 0; word < words; word++) {
        uint64_t bits = flat->present ? flat->present[word] : UINT64_MAX;
        if (word + 1 == words && flat->count % 64) bits &= (UINT64_C(1) << flat->count % 64) - 1;
        if (builder->members[word] & ~bits)
            return oct_fail(error, OCT_CORRUPT, "hnsw: the checkpoint has points that don't exist");
    }
    return OCT_OK;
}

/* One item: a step of the audit. There are as many as it takes. */
static oct_status audit(oct_hnsw_builder *builder, uint32_t first, uint32_t end, oct_error *error)
{
    oct_hnsw *graph = builder->graph;
    oct_status status = OCT_OK;
    bool done = false;
    for (uint32_t i = first; i < end && !done; i++)
        TRY(oct_hnsw_audit_step(graph, builder->members, &builder->audit, &done, error));
    if (!done) return OCT_OK;
    if (graph->header.levels > 0)
        graph->entry_node = graph->header.levels > 1
                                ? oct_hnsw_upper_find(graph, graph->header.entry)
                                : graph->header.entry;
    builder->part = NULL;
done:
    return status;
}

hnsw_loop oct_hnsw_restore_loop(const oct_hnsw_builder *builder)
{
    size_t links = builder->graph->layout.bias;
    if (builder->phase == HNSW_PART_COPY)
        return (hnsw_loop){ copy, (uint32_t)((links - 1) / COPY_BYTES + 1), 4 };
    /* The last item is the one after which there is no part any more. */
    return (hnsw_loop){ audit, builder->part ? UINT32_MAX : 0, 1 };
}

oct_status oct_hnsw_restore_next(oct_hnsw_builder *builder, oct_error *error)
{
    oct_status status = OCT_OK;
    if (builder->phase == HNSW_PART_COPY) {
        TRY(copy_members(builder, error));
        builder->phase = HNSW_PART_AUDIT;
    } else {
        builder->phase = HNSW_MEMBERS;
        TRY(oct_hnsw_prepare_next(builder, error));
    }
done:
    return status;
}

bool oct_hnsw_builder_restoring(const oct_hnsw_builder *builder)
{
    return builder->part != NULL;
}

oct_status oct_hnsw_builder_restore(const oct_host *host, const oct_flat *flat,
                                    const oct_hnsw_params *params, const void *at, size_t bytes,
                                    oct_hnsw_builder **out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_hnsw_builder *builder = NULL;
    hnsw_header header;
    hnsw_layout layout;
    size_t covered = 0;
    *out = NULL;
    TRY(oct_hnsw_header_read(at, bytes, flat, &header, &layout, &covered, error));
    TRY(check_part(&header, flat, params, error));
    hnsw_audit whole = oct_hnsw_audit_begin(&header, at, covered);
    header.flags &= ~(uint32_t)HNSW_FLAG_PART;
    TRY(oct_hnsw_builder_base(host, flat, &header, &builder, error));
    TRY(oct_hnsw_builder_block(builder, error));
    if (oct_hnsw_has_codes(builder->graph))
        TRY(oct_codes_restore(flat->metric, flat->dim, header.scale, &builder->graph->space,
                              error));
    builder->audit = whole;
    builder->part = at;
    builder->phase = HNSW_CLEAR;
    *out = builder;
    builder = NULL;
done:
    oct_hnsw_builder_destroy(builder);
    return status;
}
