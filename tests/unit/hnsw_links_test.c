/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: links within blocks stay within blocks, are the same however they are built, open only when
 * sound, and let a filtered walk find what it would not find without.
 * Method: blocks by hand over made-up vectors, some points without; changed and cut sections; every
 * allocation refused once. */
#include "index/hnsw_graph.h"
#include "index/hnsw_links.h"
#include "unit/base_heap.h"
#include "unit/hnsw_fixture.h"

enum { COUNT = 900, DIM = 12, BLOCKS = 3 };

/* Thirds by remainder, and the first and the last points; the second and the fourth overlap. */
typedef struct blocks {
    uint32_t offsets[BLOCKS][COUNT];
    oct_hnsw_block at[BLOCKS];
} blocks;

static void make_blocks(blocks *b)
{
    for (uint32_t k = 0; k < BLOCKS; k++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < COUNT; i++)
            if (k == 2 ? i >= COUNT / 2 : i % 3 == k) b->offsets[k][count++] = i;
        b->at[k] = (oct_hnsw_block){ b->offsets[k], count };
    }
}

static bool in_block(uint32_t k, uint32_t offset)
{
    return k == 2 ? offset >= COUNT / 2 : offset % 3 == k;
}

static bool share_block(uint32_t a, uint32_t b)
{
    for (uint32_t k = 0; k < BLOCKS; k++)
        if (in_block(k, a) && in_block(k, b)) return true;
    return false;
}

/* The section, built in steps of budget_ns. */
static oct_status build_links(const oct_host *host, const oct_flat *flat, const blocks *b,
                              uint64_t budget_ns, bytes_sink *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_hnsw_links_builder *builder = NULL;
    bool done = false;
    *out = (bytes_sink){ NULL, 0, 0 };
    const oct_hnsw_sink sink = { sink_append, out };
    TRY(oct_hnsw_links_create(host, flat, &fixture_params, b->at, BLOCKS, &builder, error));
    while (!done)
        TRY(oct_hnsw_links_step(builder, budget_ns, &done, error));
    for (done = false; !done;)
        TRY(oct_hnsw_links_write_piece(builder, &sink, &done, error));
done:
    oct_hnsw_links_destroy(builder);
    return status;
}

static bytes_sink links_of(const oct_flat *flat, const blocks *b, uint64_t budget_ns)
{
    bytes_sink out;
    oct_host host = fixture_host(&test_alloc);
    if (build_links(&host, flat, b, budget_ns, &out, NULL) != OCT_OK) abort();
    return out;
}

TEST(links_stay_within_their_blocks)
{
    static blocks b;
    make_blocks(&b);
    world w = world_create(OCT_METRIC_COSINE, COUNT, DIM, 7);
    oct_hnsw *graph = build_plain(&w.flat, NULL);
    bytes_sink bytes = links_of(&w.flat, &b, UINT64_MAX);
    CHECK(!oct_hnsw_has_block_links(graph));
    CHECK(oct_hnsw_links_open(graph, bytes.at, bytes.bytes, NULL) == OCT_OK);
    CHECK(oct_hnsw_has_block_links(graph));
    uint32_t lonely = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t first = graph->block_starts[i];
        uint32_t end = graph->block_starts[i + 1];
        bool member = oct_flat_has(&w.flat, i) && share_block(i, i);
        CHECK(member || first == end);
        lonely += member && first == end;
        for (uint32_t j = first; j < end; j++) {
            CHECK(share_block(i, graph->block_links[j]));
            CHECK(graph->block_links[j] != i);
            for (uint32_t l = first; l < j; l++)
                CHECK(graph->block_links[l] != graph->block_links[j]);
        }
    }
    CHECK_EQ_U64(lonely, 0);
    free(bytes.at);
    oct_hnsw_destroy(graph);
    world_destroy(&w);
}

TEST(steps_do_not_change_the_links)
{
    static blocks b;
    make_blocks(&b);
    world w = world_create(OCT_METRIC_EUCLID, COUNT, DIM, 5);
    bytes_sink whole = links_of(&w.flat, &b, UINT64_MAX);
    bytes_sink cut = links_of(&w.flat, &b, 0);
    CHECK(whole.bytes == cut.bytes && memcmp(whole.at, cut.at, whole.bytes) == 0);
    free(whole.at);
    free(cut.at);
    world_destroy(&w);
}

TEST(no_blocks_are_no_links)
{
    static blocks b; /* three empty ones */
    world w = world_create(OCT_METRIC_DOT, 50, DIM, 0);
    oct_hnsw *graph = build_plain(&w.flat, NULL);
    bytes_sink bytes = links_of(&w.flat, &b, UINT64_MAX);
    CHECK(oct_hnsw_links_open(graph, bytes.at, bytes.bytes, NULL) == OCT_OK);
    CHECK(!oct_hnsw_has_block_links(graph));
    free(bytes.at);
    oct_hnsw_destroy(graph);
    world_destroy(&w);
}

/* A filter that is a block is seen to be one; a filter across blocks is not. */
TEST(linked_filters_are_recognised)
{
    static blocks b;
    make_blocks(&b);
    world w = world_create(OCT_METRIC_COSINE, COUNT, DIM, 0);
    oct_hnsw *graph = build_plain(&w.flat, NULL);
    bytes_sink bytes = links_of(&w.flat, &b, UINT64_MAX);
    uint64_t block[COUNT / 64 + 1] = { 0 }, across[COUNT / 64 + 1] = { 0 };
    uint64_t none[COUNT / 64 + 1] = { 0 };
    for (uint32_t i = 0; i < COUNT; i++) {
        if (in_block(0, i)) oct_bits_set(block, i);
        if (i % 20 == 0) oct_bits_set(across, i);
    }
    CHECK(!oct_hnsw_is_linked(graph, block));
    CHECK(oct_hnsw_links_open(graph, bytes.at, bytes.bytes, NULL) == OCT_OK);
    CHECK(oct_hnsw_is_linked(graph, block));
    CHECK(!oct_hnsw_is_linked(graph, across));
    CHECK(!oct_hnsw_is_linked(graph, none));
    free(bytes.at);
    oct_hnsw_destroy(graph);
    world_destroy(&w);
}

/* A graph with a single link a point is useless to a walk; with the links of its block, the walk
 * finds nearly all. */
TEST(links_carry_a_filtered_walk)
{
    static blocks b;
    make_blocks(&b);
    world w = world_create(OCT_METRIC_COSINE, COUNT, DIM, 0);
    oct_host host = fixture_host(&test_alloc);
    oct_hnsw_params poor = { .m = 1, .ef_construct = 8, .seed = 3, .codes = true };
    oct_hnsw *graph;
    CHECK(build_graph(&host, &w.flat, &poor, NULL, &graph, NULL) == OCT_OK);
    uint64_t allowed[COUNT / 64 + 1] = { 0 };
    for (uint32_t i = 1; i < COUNT; i += 3)
        oct_bits_set(allowed, i);
    const oct_hnsw_query ask = {
        .way = OCT_HNSW_WALK_ALLOWED, .ef = 40, .allowed = allowed, .allowed_count = COUNT / 3
    };
    double without = recall_asking(&w, graph, ask);
    bytes_sink bytes = links_of(&w.flat, &b, UINT64_MAX);
    CHECK(oct_hnsw_links_open(graph, bytes.at, bytes.bytes, NULL) == OCT_OK);
    double with = recall_asking(&w, graph, ask);
    printf("  recall without %.3f, with %.3f\n", without, with);
    CHECK(without < 0.9 && with >= 0.97);
    free(bytes.at);
    oct_hnsw_destroy(graph);
    world_destroy(&w);
}

/* Any word changed: refused, or links that still go to points that are there. */
TEST(damaged_sections_never_crash)
{
    static blocks b;
    make_blocks(&b);
    world w = world_create(OCT_METRIC_COSINE, COUNT, DIM, 7);
    oct_hnsw *graph = build_plain(&w.flat, NULL);
    bytes_sink bytes = links_of(&w.flat, &b, UINT64_MAX);
    uint64_t allowed[COUNT / 64 + 1];
    uint32_t refused = 0;
    memset(allowed, 0xff, sizeof allowed);
    const oct_hnsw_query ask = {
        .way = OCT_HNSW_WALK_ALLOWED, .ef = 30, .allowed = allowed, .allowed_count = COUNT
    };
    for (int round = 0; round < 400; round++) {
        uint32_t *copy = malloc(bytes.bytes); /* exact, for the sanitizer */
        if (!copy) abort();
        memcpy(copy, bytes.at, bytes.bytes);
        uint32_t words = (uint32_t)(bytes.bytes / 4);
        uint32_t at = test_random_below(round % 2 ? 16 : words);
        copy[at] = test_random_below(3) ? (uint32_t)test_random() : copy[at] + 1;
        bool opened = oct_hnsw_links_open(graph, copy, bytes.bytes, NULL) == OCT_OK;
        if (opened && round % 8 == 0) CHECK(recall_asking(&w, graph, ask) >= 0);
        refused += !opened;
        free(copy);
    }
    for (size_t cut = 0; cut < 100; cut += 3)
        CHECK(oct_hnsw_links_open(graph, bytes.at, cut, NULL) == OCT_CORRUPT);
    CHECK(oct_hnsw_links_open(graph, bytes.at, bytes.bytes - 4, NULL) == OCT_CORRUPT);
    CHECK(refused > 200);
    free(bytes.at);
    oct_hnsw_destroy(graph);
    world_destroy(&w);
}

TEST(every_allocation_may_fail)
{
    static blocks b;
    make_blocks(&b);
    world w = world_create(OCT_METRIC_COSINE, COUNT, DIM, 7);
    uint32_t failures = 0;
    for (uint64_t k = 1; heap_fail_at(k); k++) {
        bytes_sink bytes;
        oct_host host = fixture_host(&heap_counting.alloc);
        oct_status status = build_links(&host, &w.flat, &b, UINT64_MAX, &bytes, NULL);
        CHECK(status == (heap_failed() ? OCT_NOMEM : OCT_OK));
        CHECK(heap_is_empty());
        failures += status == OCT_NOMEM;
        free(bytes.at);
    }
    CHECK(failures > 20);
    world_destroy(&w);
}

TEST_MAIN(links_stay_within_their_blocks, steps_do_not_change_the_links, no_blocks_are_no_links,
          linked_filters_are_recognised, links_carry_a_filtered_walk, damaged_sections_never_crash,
          every_allocation_may_fail)
