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

bool oct_hnsw_builder_at_rest(const oct_hnsw_builder *builder)
{
    return builder->phase == HNSW_SEARCH || builder->phase == HNSW_CONNECT ||
           builder->phase == HNSW_DONE;
}

oct_status oct_hnsw_builder_save(const oct_hnsw_builder *builder, const oct_hnsw_sink *sink,
                                 oct_error *error)
{
    const oct_hnsw *graph = builder->graph;
    oct_status status = OCT_OK;
    ASSERT(oct_hnsw_builder_at_rest(builder));
    hnsw_header header = graph->header;
    header.flags |= HNSW_FLAG_PART;
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

/* Take links and members out of the bytes, then check them. */
static oct_status restore_links(oct_hnsw_builder *builder, const uint8_t *at, oct_error *error)
{
    oct_hnsw *graph = builder->graph;
    const oct_flat *flat = &graph->flat;
    oct_status status = OCT_OK;
    size_t words = oct_bits_words(flat->count);
    memcpy(builder->block, at, graph->layout.bias);
    if (words > 0) memcpy(builder->members, at + graph->layout.bias, words * sizeof(uint64_t));
    for (size_t word = 0; word < words; word++) {
        uint64_t bits = flat->present ? flat->present[word] : UINT64_MAX;
        if (word + 1 == words && flat->count % 64) bits &= (UINT64_C(1) << flat->count % 64) - 1;
        if (builder->members[word] & ~bits)
            TRY(oct_fail(error, OCT_CORRUPT, "hnsw: the checkpoint has points that don't exist"));
    }
    TRY(oct_hnsw_validate(graph, builder->members, error));
    if (graph->header.levels > 0)
        graph->entry_node = graph->header.levels > 1
                                ? oct_hnsw_upper_find(graph, graph->header.entry)
                                : graph->header.entry;
done:
    return status;
}

oct_status oct_hnsw_builder_restore(const oct_host *host, const oct_flat *flat,
                                    const oct_hnsw_params *params, const void *at, size_t bytes,
                                    oct_hnsw_builder **out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_hnsw_builder *builder = NULL;
    hnsw_header header;
    hnsw_layout layout;
    *out = NULL;
    TRY(oct_hnsw_header_read(at, bytes, flat, &header, &layout, error));
    TRY(check_part(&header, flat, params, error));
    header.flags &= ~(uint32_t)HNSW_FLAG_PART;
    TRY(oct_hnsw_builder_base(host, flat, &header, &builder, error));
    TRY(oct_hnsw_builder_block(builder, error));
    TRY(restore_links(builder, at, error));
    if (oct_hnsw_has_codes(builder->graph))
        TRY(oct_codes_restore(flat->metric, flat->dim, header.scale, &builder->graph->space,
                              error));
    TRY(oct_hnsw_builder_plan(builder, error));
    *out = builder;
    builder = NULL;
done:
    oct_hnsw_builder_destroy(builder);
    return status;
}
