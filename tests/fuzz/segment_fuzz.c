/* SPDX-License-Identifier: Apache-2.0
 *
 * segment_fuzz.c - libFuzzer target: a damaged sealed segment is opened, then searched.
 *
 * Once, a small database with graphs, links within blocks, payload indexes, quantized, sparse and
 * multivectors is made through the API. The input is edits to its segment file: one byte of flags,
 * then records of u16 place, u8 value, u8 how (set, xor, add, cut the file there; two bits more of
 * the place). Flag 1 makes the checksums right afterwards, so that the damage reaches the loaders
 * of ids, payloads, indexes, graphs and codes. Then the database is opened read-only and asked
 * everything that reads the segment.
 * Checked beyond memory safety: every call is answered, and what was opened is closed again
 * without a leak. */
#include "store_fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

enum { POINTS = 400, EDIT_BYTES = 4, FILES_MAX = 16 };

typedef struct fuzz_copy {
    char path[OCT_PATH_BYTES_MAX + 1];
    uint8_t *content;
    size_t bytes;
} fuzz_copy;

static fuzz_copy files[FILES_MAX];
static size_t file_count;

static void ask(oct_db *db, const char *verb, const char *path, const char *body)
{
    oct_reply reply;
    oct_call_request request = { .verb = verb,
                                 .path = { path, strlen(path) },
                                 .body = { body, strlen(body) } };
    oct_call(db, &request, &reply);
    ASSERT(reply.body);
    oct_reply_free(db, &reply);
}

static void upsert(oct_db *db, uint32_t i)
{
    char body[1024];
    snprintf(body, sizeof body,
             "{\"points\":[{\"id\":%u,\"vector\":{"
             "\"a\":[%u,%u,3,1,%u,0,0,1,%u,2,0,0,1,0,0,%u],\"c\":[%u,1,%u],\"d\":[%u,2,1]%s,"
             "\"e\":[%u,1,2,3,4,5,6,%u],\"m\":[[%u,1]%s],\"s\":{\"indices\":[%u,%u],\"values\":[1,-"
             "2.5]}},\"payload\":"
             "{\"n\":%u,\"k\":\"w%u\",\"f\":%u.5,\"b\":%s}}]}",
             i, i % 17, i % 5, i % 13, i % 7, i % 2, i % 13, i % 23, i % 7,
             i % 3 ? ",\"b\":[1,2]" : "", i % 19, i % 3, i % 4, i % 2 ? ",[2,3]" : "", i % 6,
             10 + i % 13, i % 9, i % 7, i % 11, i % 2 ? "true" : "false");
    ask(db, "PUT", "/collections/c/points", body);
}

static void keep_file(void *arg, const char *name)
{
    ASSERT(file_count < FILES_MAX);
    snprintf(files[file_count++].path, sizeof files[0].path, "%s%s", (const char *)arg, name);
}

static void read_file(const oct_vfs *vfs, fuzz_copy *copy)
{
    oct_file *file;
    uint64_t bytes = 0;
    ASSERT(vfs->open(vfs->self, copy->path, OCT_OPEN_READ, &file, NULL) == OCT_OK);
    ASSERT(vfs->size(vfs->self, file, &bytes, NULL) == OCT_OK);
    copy->bytes = (size_t)bytes;
    copy->content = malloc(copy->bytes + 1);
    ASSERT(copy->content);
    if (bytes) ASSERT(vfs->read(vfs->self, file, 0, copy->content, copy->bytes, NULL) == OCT_OK);
    vfs->close(vfs->self, file);
}

/* Make the database all inputs start from and keep its files. */
static void make_files(void)
{
    static char directory[] = "c0000000000000001/";
    oct_vfs *vfs = NULL;
    sim_world world;
    ASSERT(oct_vfs_memory_create(&test_alloc, &vfs, NULL) == OCT_OK);
    sim_init(&world, &test_alloc, vfs);
    world.options.appendable_points_max = POINTS;
    ASSERT(sim_open(&world, NULL) == OCT_OK);
    ask(world.db, "PUT", "/collections/c",
        "{\"vectors\":{\"a\":{\"size\":16,\"distance\":\"Cosine\"},"
        "\"b\":{\"size\":2,\"distance\":\"Manhattan\",\"datatype\":\"float16\","
        "\"quantization_config\":"
        "{\"binary\":{\"encoding\":\"two_bits\",\"query_encoding\":\"scalar4bits\"}}},"
        "\"d\":{\"size\":3,\"distance\":\"Manhattan\",\"quantization_config\":"
        "{\"turbo\":{\"bits\":\"bits1_5\"}}},"
        "\"c\":{\"size\":3,\"distance\":\"Euclid\","
        "\"quantization_config\":{\"scalar\":{\"type\":\"int8\",\"quantile\":0.9}}},"
        "\"e\":{\"size\":8,\"distance\":\"Dot\","
        "\"quantization_config\":{\"product\":{\"compression\":\"x8\"}}},"
        "\"m\":{\"size\":2,\"distance\":\"Dot\","
        "\"quantization_config\":{\"scalar\":{\"type\":\"int8\"}},"
        "\"multivector_config\":{\"comparator\":\"max_sim\"}}},"
        "\"sparse_vectors\":{\"s\":{\"modifier\":\"idf\"}},\"hnsw_config\":{\"m\":4,"
        "\"payload_m\":3,\"full_scan_threshold\":10},"
        "\"optimizers_config\":{\"indexing_threshold\":1}}");
    static const char *const indexes[][2] = {
        { "n", "integer" }, { "k", "keyword" }, { "f", "float" }, { "b", "bool" }
    };
    for (size_t i = 0; i < ARRAY_COUNT(indexes); i++) {
        char body[128];
        snprintf(body, sizeof body, "{\"field_name\":\"%s\",\"field_schema\":\"%s\"}",
                 indexes[i][0], indexes[i][1]);
        ask(world.db, "PUT", "/collections/c/index", body);
    }
    for (uint32_t i = 0; i < POINTS; i++)
        upsert(world.db, i);
    ASSERT(sim_settle(&world, 1000, NULL) == OCT_OK);
    sim_close(&world);
    ASSERT(vfs->list(vfs->self, "c0000000000000001", keep_file, directory, NULL) == OCT_OK);
    keep_file((void *)(uintptr_t)"", "registry.0");
    keep_file((void *)(uintptr_t)"", "registry.1");
    for (size_t i = 0; i < file_count; i++)
        read_file(vfs, &files[i]);
    oct_vfs_memory_destroy(vfs);
}

static size_t edit(uint8_t *content, size_t bytes, const uint8_t *input, size_t input_bytes)
{
    for (; input_bytes >= EDIT_BYTES && bytes; input += EDIT_BYTES, input_bytes -= EDIT_BYTES) {
        size_t at = (size_t)input[0] | (size_t)input[1] << 8 | (size_t)(input[3] / 64) << 16;
        at %= bytes;
        switch (input[3] % 64) {
        case 0:
            bytes = at;
            break;
        case 1:
            content[at] = (uint8_t)(content[at] + input[2]);
            break;
        case 2:
            content[at] = input[2];
            break;
        default:
            content[at] ^= input[2];
            break;
        }
    }
    return bytes;
}

static void ask_all(oct_db *db)
{
    static const char *const queries[] = {
        "{\"query\":11,\"using\":\"a\",\"limit\":20,\"with_payload\":true,"
        "\"with_vector\":true}",
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
        "{\"query\":[[1,2]],\"using\":\"m\",\"limit\":9,\"params\":{\"exact\":true}}",
        "{\"query\":7,\"using\":\"a\",\"filter\":{\"must\":{\"key\":\"n\",\"range\":{\"gt\":3}}}}",
        "{\"query\":12,\"using\":\"a\",\"limit\":3,\"params\":{\"hnsw_ef\":4},"
        "\"filter\":{\"must\":{\"key\":\"b\",\"match\":{\"value\":true}}}}",
        "{\"query\":13,\"using\":\"a\",\"params\":{\"exact\":true},\"filter\":"
        "{\"should\":[{\"key\":\"k\",\"match\":{\"value\":\"w3\"}},"
        "{\"key\":\"f\",\"range\":{\"lt\":2}},{\"key\":\"b\",\"match\":{\"value\":true}}]}}",
        "{\"filter\":{\"must_not\":{\"is_empty\":{\"key\":\"k\"}}},\"limit\":500}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(queries); i++)
        ask(db, "POST", "/collections/c/points/query", queries[i]);
    ask(db, "POST", "/collections/c/points/scroll", "{\"limit\":500,\"with_vector\":true}");
    ask(db, "POST", "/collections/c/points/count", "{}");
    ask(db, "GET", "/collections/c/points/17", "");
    ask(db, "GET", "/collections/c", "");
}

static void ignore_line(void *arg, const char *line)
{
    (void)arg;
    (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
    if (file_count == 0) make_files();
    if (bytes < 1) return 0;
    fuzz_world world;
    sim_world sim;
    fuzz_begin(&world, 32 << 20);
    for (size_t i = 0; i < file_count; i++) {
        const fuzz_copy *copy = &files[i];
        if (!strstr(copy->path, "/s-")) {
            fuzz_file(world.vfs, copy->path, copy->content, copy->bytes);
            continue;
        }
        uint8_t *content = malloc(copy->bytes + 1);
        ASSERT(content);
        memcpy(content, copy->content, copy->bytes);
        size_t left = edit(content, copy->bytes, input + 1, bytes - 1);
        if (input[0] & 1) fuzz_repair_container(content, left, false);
        fuzz_file(world.vfs, copy->path, content, left);
        free(content);
    }
    sim_init(&sim, world.alloc, world.vfs);
    sim.options.read_only = true;
    oct_error error;
    if (sim_open(&sim, &error) == OCT_OK) {
        ask_all(sim.db);
        if (oct_check(sim.db, ignore_line, NULL, &error) != OCT_OK) ASSERT(error.message[0]);
        sim_close(&sim);
    }
    fuzz_end(&world);
    return 0;
}
