/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: `octant check` finds what checksums can't: codes, graphs, links and indexes of a sealed
 * segment that are not those of its points.
 * Method: a segment with every kind of section is sealed; its file is written again with one
 * section changed and all checksums right, so that it opens and answers searches. The check must
 * name the damage. Sections that are compared byte by byte are also changed at many random places.
 * The same file unchanged is in order. */
#include "base/str.h"
#include "db/collection.h"
#include "index/hnsw_graph.h"
#include "index/quant_codes.h"
#include "model/point_id.h"
#include "model_support.h"
#include "sim/single.h"

enum { POINTS = 600, DIM = 16, WIDE = 80, ROWS = 2, BATCH = 50, SECTIONS_MAX = 64, FLIPS = 60 };
enum { BARE, CODED, MULTI, SPARSE }; /* vectors, in the order of the config */

static const char config[] =
    "{\"vectors\":{\"a\":{\"size\":80,\"distance\":\"Cosine\"},"
    "\"b\":{\"size\":16,\"distance\":\"Euclid\",\"datatype\":\"float16\","
    "\"quantization_config\":{\"product\":{\"compression\":\"x16\"}}},"
    "\"m\":{\"size\":16,\"distance\":\"Dot\",\"multivector_config\":{\"comparator\":\"max_sim\"},"
    "\"quantization_config\":{\"scalar\":{\"type\":\"int8\"}}}},\"sparse_vectors\":{\"s\":{}},"
    "\"hnsw_config\":{\"m\":8,\"ef_construct\":32,\"full_scan_threshold\":10,\"payload_m\":6},"
    "\"optimizers_config\":{\"indexing_threshold\":10,\"default_segment_number\":1}}";

/* ---- the file as sections ------------------------------------------------------------------- */

typedef struct section {
    uint32_t kind, index;
    uint8_t *at;
    size_t bytes;
} section;

static single it;
static char path[OCT_PATH_BYTES_MAX + 1];
static section sections[SECTIONS_MAX];
static uint32_t section_count;

static void must(oct_status status)
{
    if (status == OCT_OK) return;
    printf("fixture: %s\n", it.error.message);
    abort();
}

static void upsert(uint32_t first)
{
    static float values[BATCH][WIDE];
    static uint32_t indices[BATCH][DIM];
    static oct_named_vector vectors[BATCH][4];
    static char payloads[BATCH][48];
    oct_point points[BATCH];
    for (uint32_t i = 0; i < BATCH; i++) {
        for (uint32_t d = 0; d < WIDE; d++)
            values[i][d] = d < ROWS * DIM ? test_random_float()
                                          : values[i][d % 7] * values[i][d % (ROWS * DIM)];
        for (uint32_t d = 0; d < DIM; d++)
            indices[i][d] = d * 3 + test_random_below(3);
        oct_named_vector *to = vectors[i];
        to[0] = (oct_named_vector){ .name = OCT_STR("a"), .values = values[i], .count = WIDE };
        to[1] = (oct_named_vector){ .name = OCT_STR("b"), .values = values[i], .count = DIM };
        to[2] = (oct_named_vector){ .name = OCT_STR("m"),
                                    .kind = OCT_VECTOR_MULTI,
                                    .values = values[i],
                                    .count = ROWS * DIM,
                                    .rows = ROWS };
        to[3] = (oct_named_vector){ .name = OCT_STR("s"),
                                    .kind = OCT_VECTOR_SPARSE,
                                    .values = values[i],
                                    .indices = indices[i],
                                    .count = DIM };
        snprintf(payloads[i], sizeof payloads[i], "{\"k\":\"%s\",\"n\":%u,\"f\":%u.5}",
                 i % 3 ? "x" : "y", i % 5, i % 7);
        points[i] = (oct_point){ .id = oct_point_id_of(first + i),
                                 .vectors = to,
                                 .vector_count = (first + i) % 11 ? 4 : 2, /* some lack the last */
                                 .payload = oct_str_of(payloads[i]) };
    }
    single_write(&it,
                 &(oct_write){ .kind = OCT_WRITE_UPSERT, .points = points, .point_count = BATCH });
}

static void take_sections(const oct_sealed *sealed)
{
    memcpy(path, sealed->path, sizeof path);
    section_count = oct_container_section_count(sealed->container);
    if (section_count > SECTIONS_MAX) abort();
    for (uint32_t i = 0; i < section_count; i++) {
        section *to = &sections[i];
        uint64_t bytes;
        const void *at;
        oct_container_section_at(sealed->container, i, &to->kind, &to->index, &bytes);
        must(
            oct_container_load(sealed->container, to->kind, to->index, &at, &to->bytes, &it.error));
        to->at = aligned_alloc(64, (to->bytes + 64) / 64 * 64);
        if (!to->at) abort();
        memcpy(to->at, at, to->bytes);
    }
}

/* One sealed segment with all there is, closed; its sections in memory. */
static void start(void)
{
    static const struct {
        const char *key;
        oct_field_type type;
    } fields[] = { { "k", OCT_FIELD_KEYWORD },
                   { "n", OCT_FIELD_INTEGER },
                   { "f", OCT_FIELD_FLOAT } };
    single_create(&it, &model_malloc, config, POINTS, NULL);
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
        single_write(&it, &(oct_write){ .kind = OCT_WRITE_CREATE_INDEX,
                                        .field = { .key = oct_str_of(fields[f].key),
                                                   .type = fields[f].type } });
    for (uint32_t first = 0; first < POINTS; first += BATCH)
        upsert(first);
    single_settle(&it, 1000);
    const oct_sealed *sealed = it.collection->view->entries[0].sealed;
    CHECK(sealed && sealed->count == POINTS);
    take_sections(sealed);
    single_close(&it);
}

static void stop(void)
{
    for (uint32_t i = 0; i < section_count; i++)
        free(sections[i].at);
    single_destroy(&it);
}

static section *find(uint32_t kind, uint32_t index)
{
    for (uint32_t i = 0; i < section_count; i++)
        if (sections[i].kind == kind && sections[i].index == index) return &sections[i];
    printf("no section %u of %u\n", kind, index);
    abort();
}

/* ---- check ---------------------------------------------------------------------------------- */

static void write_file(void)
{
    oct_container_writer *writer;
    uint64_t bytes;
    must(oct_container_create(&model_malloc, it.vfs, path, &writer, &it.error));
    for (uint32_t i = 0; i < section_count; i++) {
        must(oct_container_begin(writer, sections[i].kind, sections[i].index, &it.error));
        must(oct_container_append(writer, sections[i].at, sections[i].bytes, &it.error));
    }
    must(oct_container_finish(writer, &bytes, &it.error));
}

static char finding[OCT_ERROR_MESSAGE_BYTES + 64];

static void keep_line(void *arg, const char *line)
{
    UNUSED(arg);
    snprintf(finding, sizeof finding, "%s", line);
}

/* What the check says of the sections as they are; *opens: nothing was noticed before. */
static oct_status check_file(bool *opens)
{
    oct_collection *collection;
    oct_collection_info info;
    oct_arena arena;
    oct_error error = { .message = "" };
    write_file();
    must(sim_open(&it.world, &it.error));
    must(oct_db_pin(it.world.db, OCT_STR("c"), &collection, &it.error));
    oct_arena_init(&arena, &model_malloc, 0);
    *opens = oct_collection_describe(collection, &arena, &info, &error) == OCT_OK &&
             info.status != OCT_COLLECTION_RED;
    oct_arena_reset(&arena);
    oct_db_unpin(collection);
    oct_status status = oct_check(it.world.db, keep_line, NULL, &error);
    sim_close(&it.world);
    return status;
}

/* The file opens, and the check says so. */
static void check_finds(const char *words)
{
    bool opens;
    oct_status status = check_file(&opens);
    CHECK(opens);
    if (status != OCT_CORRUPT || !strstr(finding, words)) printf("  %s, not: %s\n", finding, words);
    CHECK(status == OCT_CORRUPT && strstr(finding, words));
}

/* Change one byte, see what the check says, change it back. */
static void check_byte(const section *where, size_t at, const char *words)
{
    where->at[at] ^= 0xa1;
    check_finds(words);
    where->at[at] ^= 0xa1;
}

/* Change bytes anywhere: whatever opens must be found. How many times it opened. */
static uint32_t check_bytes(uint32_t kind, uint32_t index)
{
    const section *where = find(kind, index);
    uint32_t opened = 0;
    for (uint32_t i = 0; i < FLIPS; i++) {
        size_t at = (size_t)test_random() % where->bytes;
        uint8_t before = where->at[at];
        bool opens;
        where->at[at] ^= (uint8_t)(1 + test_random_below(255));
        oct_status status = check_file(&opens);
        if (status != OCT_CORRUPT) printf("  section %u of %u, byte %zu\n", kind, index, at);
        CHECK_OR(0, status == OCT_CORRUPT);
        opened += opens;
        where->at[at] = before;
    }
    return opened;
}

TEST(an_unchanged_segment_is_in_order)
{
    bool opens;
    start();
    CHECK(check_file(&opens) == OCT_OK && opens);
    stop();
}

TEST(indexes_are_compared_byte_by_byte)
{
    start();
    uint32_t opened = 0; /* or else there was nothing for the check to find */
    for (uint32_t f = 0; f < 3; f++)
        opened += check_bytes(OCT_SECTION_FIELD, f);
    CHECK(opened > 0);
    CHECK(check_bytes(OCT_SECTION_SPARSE, SPARSE) > 0);
    stop();
}

/* The codes behind the header and what training found. */
static void check_codes(uint32_t v)
{
    oct_quant quant = { .kind = NULL };
    memcpy(&quant.header, find(OCT_SECTION_QUANT, v)->at, sizeof quant.header);
    must(oct_quant_layout(&quant, &it.error));
    const section *where = find(OCT_SECTION_QUANT, v);
    check_byte(where, quant.rows_at + 3 * quant.header.row_bytes, "quantized code");
    size_t used = quant.rows_at + (size_t)quant.header.count * quant.header.row_bytes;
    check_byte(where, used - 1, "quantized code");
}

/* The same row with other signs. */
static void check_row(uint32_t v, size_t row, size_t number_bytes, const char *words)
{
    section *where = find(OCT_SECTION_VECTORS, v);
    uint32_t dim = v == BARE ? WIDE : DIM;
    for (uint32_t d = 0; d < dim; d++)
        where->at[(row * dim + d + 1) * number_bytes - 1] ^= 0x80;
    check_finds(words);
    for (uint32_t d = 0; d < dim; d++)
        where->at[(row * dim + d + 1) * number_bytes - 1] ^= 0x80;
}

TEST(codes_are_made_again)
{
    start();
    check_codes(CODED);
    check_codes(MULTI);
    check_row(CODED, 65, 2, "quantized code");
    check_row(MULTI, 65, 4, "quantized code");
    check_row(BARE, 65, 4, "graph's code");
    check_byte(find(OCT_SECTION_VECTORS, SPARSE), DIM * 4 + 3, "sparse");
    stop();
}

TEST(numbers_and_payloads_are_looked_at)
{
    start();
    section *rows = find(OCT_SECTION_VECTORS, MULTI);
    static const uint8_t infinite[4] = { 0, 0, 0x80, 0x7f };
    memcpy(rows->at + 40, infinite, sizeof infinite);
    check_finds("not finite");
    stop();
    start();
    section *payloads = find(OCT_SECTION_PAYLOADS, 0);
    payloads->at[6] ^= 'x' ^ 'z'; /* {"k":"y", becomes another word */
    check_finds("the index of \"k\"");
    payloads->at[0] = '[';
    check_finds("payload of point 0");
    stop();
}

/* ---- graphs --------------------------------------------------------------------------------- */

typedef struct graph_parts {
    section *where;
    hnsw_header header;
    hnsw_layout layout;
    uint32_t *links; /* rows of level 0 */
    uint32_t m0;
} graph_parts;

static graph_parts parts_of(uint32_t v)
{
    graph_parts parts = { .where = find(OCT_SECTION_GRAPH, v) };
    memcpy(&parts.header, parts.where->at, sizeof parts.header);
    must(oct_hnsw_layout(&parts.header, &parts.layout, &it.error));
    parts.links = (uint32_t *)(void *)(parts.where->at + parts.layout.links);
    parts.m0 = 2 * parts.header.m;
    return parts;
}

/* The graph's own checksum, too. */
static void sign(graph_parts *parts)
{
    parts->header.crc = 0;
    parts->header.crc = oct_hnsw_crc(&parts->header, parts->where->at, parts->layout.bias);
    memcpy(parts->where->at, &parts->header, sizeof parts->header);
}

/* Take a link out of a row, if it is there. */
static void drop_link(uint32_t *row, uint32_t m0, uint32_t link)
{
    uint32_t kept = 0;
    for (uint32_t j = 0; j < m0; j++)
        if (row[j] != link) row[kept++] = row[j];
    while (kept < m0)
        row[kept++] = HNSW_NONE;
}

TEST(graphs_are_examined)
{
    start();
    graph_parts parts = parts_of(BARE);
    check_byte(parts.where, parts.layout.codes + 7, "graph's code");
    check_byte(parts.where, parts.layout.bias + 5, "graph's code");
    check_byte(parts.where, parts.layout.middles + 7, "graph's code"); /* its codes are packed */
    uint32_t lost = parts.header.entry == 5 ? 6 : 5;
    for (uint32_t i = 0; i < POINTS; i++)
        drop_link(parts.links + (size_t)i * parts.m0, parts.m0, lost);
    sign(&parts);
    check_finds("1 unreachable points");
    stop();
    start();
    parts = parts_of(CODED);
    parts.links[1] = parts.links[0];
    sign(&parts);
    check_finds("bad links");
    stop();
}

TEST(block_links_stay_in_their_blocks)
{
    enum { HEADER_WORDS = 16 };
    start();
    const section *where = find(OCT_SECTION_LINKS, BARE);
    uint32_t *words = (uint32_t *)(void *)where->at;
    const uint32_t *starts = words + HEADER_WORDS;
    uint32_t *links = words + HEADER_WORDS + POINTS + 1;
    CHECK(words[3] > POINTS); /* there are links */
    uint32_t *first = &links[starts[0]], kept = *first;
    *first = 0; /* to itself */
    check_finds("leave their blocks");
    *first = 1; /* n and k of points 0 and 1 are others */
    check_finds("leave their blocks");
    *first = links[starts[0] + 1]; /* twice */
    check_finds("leave their blocks");
    *first = kept;
    bool opens;
    CHECK(check_file(&opens) == OCT_OK);
    stop();
}

/* ---- no points ------------------------------------------------------------------------------- */

/* Nobody writes such a segment; were it opened, there would be no last point to look at. */
TEST(a_segment_without_points_is_none)
{
    static const oct_vector_params params = { .name = { "m", 1 },
                                              .size = DIM,
                                              .kind = OCT_VECTOR_MULTI };
    static const oct_collection_config empty = { .vectors = &params, .vector_count = 1 };
    static const uint32_t kinds[] = { OCT_SECTION_ID_LOW,   OCT_SECTION_ID_HIGH,
                                      OCT_SECTION_VERSIONS, OCT_SECTION_PAYLOAD_END,
                                      OCT_SECTION_PAYLOADS, OCT_SECTION_ENDS,
                                      OCT_SECTION_VECTORS };
    const uint32_t meta[] = { 0, 0, 0, 1, 0, 1, 'm' };
    const uint32_t form[] = { DIM, oct_sealed_form(&params) };
    oct_container_writer *writer;
    uint64_t bytes;
    oct_sealed *sealed = NULL;
    start();
    must(sim_open(&it.world, &it.error));
    oct_sealed_path(path, "c0", 7);
    must(oct_container_create(&model_malloc, it.vfs, path, &writer, &it.error));
    must(oct_container_begin(writer, OCT_SECTION_META, 0, &it.error));
    must(oct_container_append(writer, meta, sizeof meta - 3, &it.error));
    must(oct_container_append(writer, form, sizeof form, &it.error));
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        must(oct_container_begin(writer, kinds[i], 0, &it.error));
    must(oct_container_finish(writer, &bytes, &it.error));
    const oct_sealed_open_request request = { oct_db_host(it.world.db), oct_db_kernels(it.world.db),
                                              &empty, "c0", 7 };
    CHECK(oct_sealed_open(&request, &sealed, &it.error) == OCT_CORRUPT);
    CHECK(strstr(it.error.message, "impossible counts"));
    sim_close(&it.world);
    stop();
}

TEST_MAIN(an_unchanged_segment_is_in_order, indexes_are_compared_byte_by_byte, codes_are_made_again,
          numbers_and_payloads_are_looked_at, graphs_are_examined, block_links_stay_in_their_blocks,
          a_segment_without_points_is_none)
