/* SPDX-License-Identifier: Apache-2.0
 *
 * links.c - which payload blocks of a segment get links of their own.
 *
 * A block is the set of points with one value of an indexed keyword, bool or integer field. It gets
 * links when a scan of it would read more than full_scan_threshold KiB of rows (smaller ones are
 * never walked), and when it leaves out a tenth of the points at least (else the whole graph serves
 * as well) - unless m is 0 and there is no graph of the whole. These are Qdrant's rules; it adds
 * blocks of numeric ranges, which few filters meet exactly.
 *
 * What the links of a vector depend on beside its points (the indexes, their m, and the threshold
 * where payload_m is given: where tenants alone get links, a change of it is not worth new ones) is
 * in the section, as a mark. Where the settings make another one now, maintenance builds the
 * segment anew, with new links beside the same graph.
 *
 * One departure: where payload_m is not given, Qdrant takes m for every index, so that building
 * with some indexes takes several times as long. Here only tenant fields get it then, because
 * filters on other fields keep their recall without (query/plan.c). */
#include "segment/links.h"

#include <string.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "base/hash.h"
#include "index/field.h"
#include "model/config.h"
#include "segment/graph.h"

enum { LINKS_SEED = 0xb10c }; /* any constant: links must not differ between machines */

static uint64_t block_m(const oct_collection_config *config, uint32_t v,
                        const oct_field_config *field)
{
    return field->type == OCT_FIELD_FLOAT ? 0 : oct_config_payload_m(config, v, field);
}

uint32_t oct_links_mark(const oct_collection_config *config, uint32_t v,
                        const oct_field_config *fields, uint32_t field_count)
{
    uint8_t bytes[17];
    uint32_t mark = 0;
    bool given = oct_config_given_payload_m(config, v) != OCT_UNSET;
    oct_store_u64(bytes, given ? oct_config_hnsw(config, v).full_scan_threshold : 0);
    for (uint32_t f = 0; f < field_count; f++) {
        uint64_t m = block_m(config, v, &fields[f]);
        if (m == 0) continue;
        oct_store_u64(bytes + 8, m);
        bytes[16] = (uint8_t)fields[f].type;
        uint32_t crc = oct_crc32c(0, bytes, sizeof bytes);
        mark += oct_crc32c(crc, fields[f].key.at, fields[f].key.bytes) | 1; /* in any order */
        if (mark == 0) mark = 1;
    }
    return mark;
}

oct_status oct_segment_links_init(oct_segment_links *links, const oct_host *host,
                                  uint32_t field_count, oct_error *error)
{
    *links = (oct_segment_links){ .host = host };
    if (field_count == 0) return OCT_OK;
    links->indexes = oct_new_zeroed(host->alloc, field_count * sizeof *links->indexes);
    if (!links->indexes) return oct_fail_nomem(error, "payload indexes");
    links->field_count = field_count;
    for (uint32_t f = 0; f < field_count; f++)
        oct_buf_init(&links->indexes[f], host->alloc, 0);
    return OCT_OK;
}

void oct_segment_links_keep(oct_segment_links *links, uint32_t f, oct_buf *bytes)
{
    ASSERT(f < links->field_count);
    links->indexes[f] = *bytes;
    oct_buf_init(bytes, links->host->alloc, 0);
}

/* ---- blocks --------------------------------------------------------------------------- */

typedef struct block_limits {
    uint32_t least, most; /* points */
} block_limits;

static block_limits limits_of(const oct_collection_config *config, uint32_t v, uint32_t points)
{
    oct_hnsw_config hnsw = oct_config_hnsw(config, v);
    uint64_t row_bytes = config->vectors[v].size * sizeof(float);
    uint64_t kib = MIN(hnsw.full_scan_threshold, UINT64_MAX / 1024);
    uint64_t rows = kib * 1024 / row_bytes;
    uint64_t most = hnsw.m > 0 ? (uint64_t)points * 9 / 10 : points;
    return (block_limits){ (uint32_t)MIN(rows, UINT32_MAX - 1) + 1, (uint32_t)most };
}

static void forget_blocks(oct_segment_links *links)
{
    const oct_alloc *alloc = links->host->alloc;
    for (uint32_t b = 0; b < links->block_count; b++)
        oct_free(alloc, (void *)(uintptr_t)links->blocks[b].offsets,
                 links->blocks[b].count * sizeof(uint32_t));
    links->block_count = 0;
}

static oct_status add_block(oct_segment_links *links, const oct_field *index, uint32_t entry,
                            uint32_t end, uint32_t points, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_alloc *alloc = links->host->alloc;
    uint32_t *offsets = NULL;
    TRY(oct_array_reserve(alloc, &links->blocks, &links->block_capacity, links->block_count + 1u,
                          sizeof *links->blocks, error));
    TRY(oct_array_resize(alloc, &offsets, 0, points, sizeof *offsets, error));
    oct_field_block_points(index, entry, end, offsets);
    links->blocks[links->block_count++] = (oct_hnsw_block){ offsets, points };
done:
    return status;
}

static oct_status add_blocks(oct_segment_links *links, const oct_buf *bytes, uint32_t points,
                             block_limits limits, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_field index;
    uint32_t entry = 0, end = 0, count;
    TRY(oct_field_open(bytes->at, bytes->bytes, points, &index, error));
    while ((count = oct_field_block_next(&index, limits.least, limits.most, &entry, &end)) > 0) {
        TRY(add_block(links, &index, entry, end, count, error));
        entry = end;
    }
done:
    return status;
}

/* ---- building ------------------------------------------------------------------------- */

oct_status oct_segment_links_begin(oct_segment_links *links, const oct_collection_config *config,
                                   uint32_t v, const oct_field_config *fields, const oct_flat *flat,
                                   oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t m = 0;
    block_limits limits = limits_of(config, v, flat->count);
    oct_hnsw_config hnsw = oct_config_hnsw(config, v);
    forget_blocks(links);
    for (uint32_t f = 0; f < links->field_count; f++) {
        uint64_t own = block_m(config, v, &fields[f]);
        if (own == 0) continue;
        m = own; /* the same for all fields that have any */
        TRY(add_blocks(links, &links->indexes[f], flat->count, limits, error));
    }
    const oct_hnsw_params params = { .m = (uint32_t)MIN(MAX(m, OCT_HNSW_M_MIN), OCT_HNSW_M_MAX),
                                     .ef_construct =
                                         (uint32_t)MIN(hnsw.ef_construct, OCT_HNSW_EF_MAX),
                                     .seed = LINKS_SEED,
                                     .codes = true,
                                     .mark =
                                         oct_links_mark(config, v, fields, links->field_count) };
    links->narrowed = oct_graph_host(links->host, config, v);
    TRY(oct_hnsw_links_create(&links->narrowed, flat, &params, links->blocks, links->block_count,
                              &links->builder, error));
done:
    return status;
}

bool oct_segment_links_begun(const oct_segment_links *links)
{
    return links->builder != NULL;
}

oct_status oct_segment_links_step(oct_segment_links *links, uint64_t budget_ns,
                                  const oct_hnsw_sink *sink, bool *done, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_hnsw_links_step(links->builder, budget_ns, done, error));
    if (!*done) return OCT_OK;
    TRY(oct_hnsw_links_write_piece(links->builder, sink, done, error));
    if (!*done) return OCT_OK;
    oct_hnsw_links_destroy(links->builder);
    links->builder = NULL;
    forget_blocks(links);
done:
    return status;
}

void oct_segment_links_deinit(oct_segment_links *links)
{
    if (!links->host) return;
    const oct_alloc *alloc = links->host->alloc;
    oct_hnsw_links_destroy(links->builder);
    forget_blocks(links);
    oct_free(alloc, links->blocks, links->block_capacity * sizeof *links->blocks);
    for (uint32_t f = 0; f < links->field_count; f++)
        oct_buf_deinit(&links->indexes[f]);
    oct_free(alloc, links->indexes, links->field_count * sizeof *links->indexes);
    *links = (oct_segment_links){ .host = NULL };
}
