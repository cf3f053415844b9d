/* SPDX-License-Identifier: Apache-2.0
 *
 * segment_fuzz.c - libFuzzer target: a damaged sealed segment is opened, then searched.
 *
 * Once, two small databases with graphs, links within blocks, payload indexes, quantized, sparse
 * and multivectors and compact datatypes are made through the API: one with all in memory, and one
 * that keeps rows, graphs (without codes), codes and payloads cold, so that searches read rows one
 * by one. The input is edits to the segment file: one byte of flags, then edits
 * (database_fuzz.h). Flag 1 makes the checksums right afterwards, so that the damage reaches the
 * loaders of ids, payloads, indexes, graphs and codes. Flag 2 takes the cold database, flag 4
 * files that can't be mapped. Then the database is opened read-only and asked everything that
 * reads the segment.
 * Checked beyond memory safety: every call is answered, what was opened is closed again without a
 * leak, and a segment without edits is sound and answers. */
#include "database_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

enum { POINTS = 400, FLAG_REPAIR = 1, FLAG_COLD = 2, FLAG_UNMAPPED = 4, FLAG_WRITE = 8 };

#define OK "\"status\":\"ok\""

static fuzz_files places[2]; /* in memory, cold */

static void upsert(oct_db *db, uint32_t i)
{
    char wide[256], body[2048]; /* a vector wide enough that its graph's codes are packed */
    for (uint32_t d = 0; d < 66; d++)
        snprintf(wide + 2 * d, 3, "%u,", (i * (d + 3) + d * d) % 10);
    snprintf(body, sizeof body,
             "{\"points\":[{\"id\":%u,\"vector\":{\"p\":[%.131s],"
             "\"a\":[%u,%u,3,1,%u,0,0,1,%u,2,0,0,1,0,0,%u],\"c\":[%u,1,%u],\"d\":[%u,2,1]%s,"
             "\"e\":[%u,1,2,3,4,5,6,%u],\"t\":[%u,1,2,3,%u],"
             "\"n\":[[%u,2]%s],\"o\":[[1,%u]%s],\"m\":[[%u,1]%s],\"s\":{\"indices\":[%u,%u],"
             "\"values\":[1,-"
             "2.5]}},\"payload\":"
             "{\"n\":%u,\"k\":\"w%u\",\"f\":%u.5,\"b\":%s}}]}",
             i, wide, i % 17, i % 5, i % 13, i % 7, i % 2, i % 13, i % 23, i % 7,
             i % 3 ? ",\"b\":[1,2]" : "", i % 19, i % 3, i % 13, i % 5, i % 8,
             i % 3 ? ",[1,1]" : "", i % 9, i % 4 ? "" : ",[4,5],[6,7]", i % 4,
             i % 2 ? ",[2,3]" : "", i % 6, 10 + i % 13, i % 9, i % 7, i % 11,
             i % 2 ? "true" : "false");
    ASSERT(fuzz_ask(db, "PUT", "/collections/c/points", body, OK));
}

static char *append(char *at, const char *text)
{
    size_t bytes = strlen(text);
    memcpy(at, text, bytes + 1);
    return at + bytes;
}

/* The request with its marks replaced: ^ by the place of rows and graphs, ~ of codes. */
static void create(oct_db *db, bool cold)
{
    static char body[8192];
    static const char text[] =
        "{\"vectors\":{\"a\":{\"size\":16,\"distance\":\"Cosine\"^},"
        "\"p\":{\"size\":66,\"distance\":\"Euclid\"^},"
        "\"b\":{\"size\":2,\"distance\":\"Manhattan\",\"datatype\":\"float16\"^,"
        "\"quantization_config\":"
        "{\"binary\":{\"encoding\":\"two_bits\",\"query_encoding\":\"scalar4bits\"~}}},"
        "\"d\":{\"size\":3,\"distance\":\"Manhattan\"^,\"quantization_config\":"
        "{\"turbo\":{\"bits\":\"bits1_5\"~}}},"
        "\"c\":{\"size\":3,\"distance\":\"Euclid\"^,"
        "\"quantization_config\":{\"scalar\":{\"type\":\"int8\",\"quantile\":0.9~}}},"
        "\"e\":{\"size\":8,\"distance\":\"Dot\"^,"
        "\"quantization_config\":{\"product\":{\"compression\":\"x8\"~}}},"
        "\"t\":{\"size\":5,\"distance\":\"Dot\",\"datatype\":\"turbo4\"^},"
        "\"m\":{\"size\":2,\"distance\":\"Dot\"^,"
        "\"quantization_config\":{\"scalar\":{\"type\":\"int8\"~}},"
        "\"multivector_config\":{\"comparator\":\"max_sim\"}},"
        "\"n\":{\"size\":2,\"distance\":\"Cosine\",\"datatype\":\"turbo4\"^,"
        "\"quantization_config\":{\"turbo\":{\"bits\":\"bits2\"~}},"
        "\"multivector_config\":{\"comparator\":\"max_sim\"}},"
        "\"o\":{\"size\":2,\"distance\":\"Euclid\",\"datatype\":\"uint8\"^,"
        "\"quantization_config\":{\"product\":{\"compression\":\"x4\"~}},"
        "\"multivector_config\":{\"comparator\":\"max_sim\"}}},"
        "\"sparse_vectors\":{\"s\":{\"modifier\":\"idf\",\"index\":{\"datatype\":\"float32\"^}}},"
        "\"hnsw_config\":{\"m\":4,\"payload_m\":3,\"full_scan_threshold\":10*},"
        "\"optimizers_config\":{\"indexing_threshold\":1}$}";
    char *at = body;
    for (const char *from = text; *from; from++) {
        const char *place = *from == '^' || *from == '~' ? ",\"memory\":\"cold\"" : NULL;
        if (*from == '*') place = ",\"memory\":\"cold\",\"inline_storage\":false";
        if (*from == '$') place = ",\"payload\":{\"memory\":\"cold\"}";
        if (!place) *at++ = *from;
        if (place && cold) at = append(at, place);
    }
    *at = '\0';
    ASSERT(fuzz_ask(db, "PUT", "/collections/c", body, OK));
}

/* Make the database that inputs start from and keep its files. */
static void make_files(bool cold)
{
    oct_vfs *vfs = NULL;
    sim_world world;
    ASSERT(oct_vfs_memory_create(&test_alloc, &vfs, NULL) == OCT_OK);
    sim_init(&world, &test_alloc, vfs);
    world.options.appendable_points_max = POINTS;
    ASSERT(sim_open(&world, NULL) == OCT_OK);
    create(world.db, cold);
    static const char *const indexes[][2] = {
        { "n", "integer" }, { "k", "keyword" }, { "f", "float" }, { "b", "bool" }
    };
    for (size_t i = 0; i < ARRAY_COUNT(indexes); i++) {
        char body[128];
        snprintf(body, sizeof body, "{\"field_name\":\"%s\",\"field_schema\":\"%s\"}",
                 indexes[i][0], indexes[i][1]);
        ASSERT(fuzz_ask(world.db, "PUT", "/collections/c/index", body, OK));
    }
    for (uint32_t i = 0; i < POINTS; i++)
        upsert(world.db, i);
    ASSERT(sim_settle(&world, 1000, NULL) == OCT_OK);
    sim_close(&world);
    fuzz_keep_files(&places[cold], vfs);
    oct_vfs_memory_destroy(vfs);
}

/* All of them succeed where nothing was edited. */
static void ask_all(oct_db *db, bool whole)
{
    static const char *const queries[] = {
        "{\"query\":11,\"using\":\"a\",\"limit\":20,\"with_payload\":true,"
        "\"with_vector\":true}",
        "{\"query\":11,\"using\":\"p\",\"limit\":9}",
        "{\"query\":[1,2],\"using\":\"b\",\"limit\":9}",
        "{\"query\":[1,2,3],\"using\":\"c\",\"limit\":9}",
        "{\"query\":[1,2,3,4,5,6,7,8],\"using\":\"e\",\"limit\":9}",
        "{\"query\":[1,2,3],\"using\":\"d\",\"limit\":9,\"params\":{\"quantization\":"
        "{\"rescore\":false}}}",
        "{\"query\":[1,2,3],\"using\":\"c\",\"limit\":9,\"params\":{\"quantization\":"
        "{\"rescore\":true,\"oversampling\":2}}}",
        "{\"query\":[1,2,3],\"using\":\"c\",\"limit\":9,\"params\":{\"quantization\":"
        "{\"ignore\":true}}}",
        "{\"query\":9,\"using\":\"c\",\"limit\":300,\"filter\":{\"must\":{\"key\":\"n\","
        "\"range\":{\"gt\":1}}}}",
        "{\"query\":{\"indices\":[1,2,3,11,12],\"values\":[1,-1,1,1,2]},\"using\":\"s\"}",
        "{\"query\":7,\"using\":\"s\",\"limit\":300,\"params\":{\"exact\":true},"
        "\"filter\":{\"must\":{\"key\":\"n\",\"range\":{\"gt\":7}}}}",
        "{\"query\":[[1,2],[3,-1]],\"using\":\"m\",\"limit\":9}",
        "{\"query\":[[1,2],[3,-1]],\"using\":\"m\",\"limit\":9,\"params\":{\"quantization\":"
        "{\"rescore\":true}}}",
        "{\"query\":[1,2,3,4,5],\"using\":\"t\",\"limit\":9}",
        "{\"query\":8,\"using\":\"t\",\"limit\":9,\"params\":{\"exact\":true}}",
        "{\"query\":[[1,2],[3,-1]],\"using\":\"n\",\"limit\":9}",
        "{\"query\":9,\"using\":\"n\",\"limit\":9,\"params\":{\"quantization\":"
        "{\"rescore\":false}}}",
        "{\"query\":[[1,2],[3,1]],\"using\":\"o\",\"limit\":9,\"params\":{\"quantization\":"
        "{\"rescore\":true,\"oversampling\":2}}}",
        "{\"query\":[[1,2]],\"using\":\"m\",\"limit\":9,\"params\":{\"exact\":true}}",
        "{\"query\":7,\"using\":\"a\",\"filter\":{\"must\":{\"key\":\"n\",\"range\":{\"gt\":3}}}}",
        "{\"query\":12,\"using\":\"a\",\"limit\":3,\"params\":{\"hnsw_ef\":4},"
        "\"filter\":{\"must\":{\"key\":\"b\",\"match\":{\"value\":true}}}}",
        "{\"query\":13,\"using\":\"a\",\"params\":{\"exact\":true},\"filter\":"
        "{\"should\":[{\"key\":\"k\",\"match\":{\"value\":\"w3\"}},"
        "{\"key\":\"f\",\"range\":{\"lt\":2}},{\"key\":\"b\",\"match\":{\"value\":true}}]}}",
        "{\"filter\":{\"must_not\":{\"is_empty\":{\"key\":\"k\"}}},\"limit\":500}",
    };
    const char *wanted = whole ? OK : NULL;
    for (size_t i = 0; i < ARRAY_COUNT(queries); i++)
        ASSERT(fuzz_ask(db, "POST", "/collections/c/points/query", queries[i], wanted));
    ASSERT(fuzz_ask(db, "POST", "/collections/c/points/scroll",
                    "{\"limit\":500,\"with_vector\":true}", wanted));
    ASSERT(fuzz_ask(db, "POST", "/collections/c/points/count", "{}", wanted));
    ASSERT(fuzz_ask(db, "GET", "/collections/c/points/17", "", wanted));
    ASSERT(fuzz_ask(db, "GET", "/collections/c", "", wanted));
}

/* Change points of the segment, and have it written anew for other settings. */
static void change_all(sim_world *sim, bool whole)
{
    const char *wanted = whole ? OK : NULL;
    bool more = true;
    ASSERT(fuzz_ask(sim->db, "POST", "/collections/c/points/payload",
                    "{\"payload\":{\"n\":3},\"points\":[1,5,200]}", wanted));
    ASSERT(fuzz_ask(sim->db, "POST", "/collections/c/points/delete",
                    "{\"filter\":{\"must\":{\"key\":\"n\",\"match\":{\"value\":2}}}}", wanted));
    ASSERT(fuzz_ask(sim->db, "PUT", "/collections/c/points/vectors",
                    "{\"points\":[{\"id\":9,\"vector\":{\"c\":[1,2,3]}}]}", wanted));
    ASSERT(fuzz_ask(sim->db, "PUT", "/collections/c/index",
                    "{\"field_name\":\"z\",\"field_schema\":\"keyword\"}", wanted));
    ASSERT(fuzz_ask(sim->db, "PATCH", "/collections/c",
                    "{\"hnsw_config\":{\"m\":5},\"optimizers_config\":{\"deleted_threshold\":0.01,"
                    "\"vacuum_min_vector_number\":100}}",
                    wanted));
    for (int i = 0; more && i < 100; i++)
        if (oct_maintain(sim->db, 1000, &more, NULL) != OCT_OK) break;
    ASSERT(!whole || !more);
    ASSERT(fuzz_ask(sim->db, "GET", "/collections/c/memory", "", wanted));
}

static void ignore_line(void *arg, const char *line)
{
    (void)arg;
    (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
    if (bytes < 1) return 0;
    bool cold = input[0] & FLAG_COLD;
    if (places[cold].count == 0) make_files(cold);
    fuzz_world world;
    sim_world sim;
    fuzz_begin(&world, 32 << 20);
    fuzz_lay_files(world.vfs, &places[cold], "/s-", input[0] & FLAG_REPAIR, input + 1, bytes - 1);
    oct_vfs vfs = *world.vfs;
    if (input[0] & FLAG_UNMAPPED) vfs.caps &= ~(uint32_t)OCT_CAP_VIEW;
    sim_init(&sim, world.alloc, &vfs);
    sim.options.read_only = !(input[0] & FLAG_WRITE);
    oct_error error;
    bool whole = bytes <= FUZZ_EDIT_BYTES, opened = sim_open(&sim, &error) == OCT_OK;
    ASSERT(opened || !whole);
    if (opened) {
        ask_all(sim.db, whole);
        if (input[0] & FLAG_WRITE) change_all(&sim, whole);
        oct_status status = oct_check(sim.db, ignore_line, NULL, &error);
        ASSERT(status == OCT_OK || (error.message[0] && !whole));
        sim_close(&sim);
    }
    fuzz_end(&world);
    return 0;
}
