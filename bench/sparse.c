/* SPDX-License-Identifier: Apache-2.0
 *
 * sparse.c - a collection of sparse vectors through the typed API: CPU time of filling it, sealing
 * and merging it, and of queries, as JSON lines. sparse_peer.py makes the data and runs it beside
 * Qdrant's own library.
 *
 *   bench-sparse FILE ROUNDS
 *
 * FILE: u32 points, per point u32 n, u32 dimensions[n], f32 values[n]; then queries the same way.
 * Each of ROUNDS waits for a line from standard input. The last line has the ten best of every
 * query. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "db/db.h"
#include "model/config.h"
#include "model/point_id.h"

enum { BATCH = 1000, LIMIT = 10 };

typedef struct list {
    oct_named_vector *at; /* [count] */
    uint32_t count;
} list;

static void die(const char *text)
{
    fprintf(stderr, "sparse: %s\n", text);
    exit(1);
}

static void *take(size_t count, size_t bytes)
{
    void *memory = calloc(count + 1, bytes);
    if (!memory) die("out of memory");
    return memory;
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- the host ---------------------------------------------------------------------------- */

static void *resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    UNUSED(self);
    UNUSED(old_bytes);
    if (new_bytes > 0) return realloc(old, new_bytes);
    free(old);
    return NULL;
}

static uint64_t clock_ns(void *self)
{
    UNUSED(self);
    return (uint64_t)(cpu_seconds() * 1e9);
}

static oct_status entropy(void *self, void *target, size_t bytes, oct_error *error)
{
    UNUSED(self);
    UNUSED(error);
    memset(target, 7, bytes); /* a bench repeats */
    return OCT_OK;
}

/* ---- data -------------------------------------------------------------------------------- */

static void read_items(FILE *file, void *target, size_t count, size_t bytes)
{
    if (fread(target, bytes, count, file) != count) die("the file is too short");
}

static list read_vectors(FILE *file)
{
    list out = { 0 };
    read_items(file, &out.count, 1, 4);
    out.at = take(out.count, sizeof *out.at);
    for (uint32_t i = 0; i < out.count; i++) {
        uint32_t n;
        read_items(file, &n, 1, 4);
        uint32_t *indices = take(n, sizeof *indices);
        float *values = take(n, sizeof *values);
        read_items(file, indices, n, sizeof *indices);
        read_items(file, values, n, sizeof *values);
        out.at[i] = (oct_named_vector){ .name = OCT_STR("s"),
                                        .values = values,
                                        .count = n,
                                        .kind = OCT_VECTOR_SPARSE,
                                        .indices = indices };
    }
    return out;
}

/* ---- the database ------------------------------------------------------------------------ */

typedef struct bench {
    oct_db *db;
    oct_collection *collection;
    oct_arena arena;
    oct_error error;
} bench;

static void must(bench *b, oct_status status)
{
    if (status != OCT_OK) die(b->error.message);
}

static void create(bench *b, const oct_host *host)
{
    static const char text[] = "{\"sparse_vectors\":{\"s\":{}}}";
    const oct_json *json;
    oct_collection_config config;
    const oct_open_options options = { 0 };
    must(b, oct_open(host, &options, &b->db, &b->error));
    oct_arena_init(&b->arena, host->alloc, 0);
    must(b, oct_json_parse(&b->arena, oct_str_of(text), &json, &b->error));
    must(b, oct_config_parse(&b->arena, json, &config, &b->error));
    must(b, oct_db_create_collection(b->db, OCT_STR("c"), &config, &b->error));
    must(b, oct_db_pin(b->db, OCT_STR("c"), &b->collection, &b->error));
}

static void fill(bench *b, const list *points)
{
    oct_point *batch = take(BATCH, sizeof *batch);
    double start = cpu_seconds();
    for (uint32_t first = 0; first < points->count; first += BATCH) {
        uint32_t count = MIN(points->count - first, (uint32_t)BATCH);
        oct_write_result result;
        for (uint32_t i = 0; i < count; i++)
            batch[i] = (oct_point){ .id = oct_point_id_of(first + i),
                                    .vectors = &points->at[first + i],
                                    .vector_count = 1 };
        const oct_write write = { .kind = OCT_WRITE_UPSERT, .points = batch, .point_count = count };
        must(b, oct_collection_write(b->collection, &b->arena, &write, &result, &b->error));
        oct_arena_reset(&b->arena);
    }
    for (bool more = true; more;)
        must(b, oct_maintain(b->db, 1000, &more, &b->error));
    printf("{\"bench\":\"sparse_build\",\"points\":%" PRIu32 ",\"cpu_s\":%.3f}\n", points->count,
           cpu_seconds() - start);
    fflush(stdout);
    free(batch);
}

static void ask(bench *b, const oct_named_vector *vector, oct_found *out)
{
    const oct_query query = { .kind = OCT_QUERY_VECTOR,
                              .vector = vector->values,
                              .vector_count = vector->count,
                              .vector_kind = OCT_VECTOR_SPARSE,
                              .vector_indices = vector->indices,
                              .using_vector = vector->name,
                              .hnsw_ef = OCT_UNSET,
                              .limit = LIMIT };
    must(b, oct_collection_query(b->collection, &b->arena, &query, out, &b->error));
}

static void time_queries(bench *b, const list *queries)
{
    oct_found found;
    if (getchar() == EOF) die("nobody asks");
    double start = cpu_seconds();
    for (uint32_t i = 0; i < queries->count; i++) {
        ask(b, &queries->at[i], &found);
        oct_arena_reset(&b->arena);
    }
    printf("{\"bench\":\"sparse_query\",\"cpu_us\":%.2f}\n",
           (cpu_seconds() - start) / queries->count * 1e6);
    fflush(stdout);
}

static void print_answers(bench *b, const list *queries)
{
    printf("{\"bench\":\"sparse_answers\",\"answers\":[");
    for (uint32_t i = 0; i < queries->count; i++) {
        oct_found found;
        ask(b, &queries->at[i], &found);
        printf("%s[", i ? "," : "");
        for (uint32_t j = 0; j < found.count; j++)
            printf("%s[%" PRIu64 ",%.9g]", j ? "," : "", found.points[j].id.low,
                   (double)found.points[j].score);
        printf("]");
        oct_arena_reset(&b->arena);
    }
    printf("]}\n");
}

int main(int count, char **words)
{
    static const oct_alloc alloc = { NULL, resize };
    oct_vfs *vfs = NULL;
    bench b = { .db = NULL };
    if (count != 3) die("FILE ROUNDS");
    FILE *file = fopen(words[1], "rb");
    if (!file) die("the file can't be read");
    list points = read_vectors(file), queries = read_vectors(file);
    fclose(file);
    must(&b, oct_vfs_memory_create(&alloc, &vfs, &b.error));
    const oct_host host = { .alloc = &alloc,
                            .vfs = vfs,
                            .unix_ms = clock_ns,
                            .monotonic_ns = clock_ns,
                            .entropy = entropy };
    create(&b, &host);
    fill(&b, &points);
    for (int round = atoi(words[2]); round > 0; round--)
        time_queries(&b, &queries);
    print_answers(&b, &queries);
    oct_db_unpin(b.collection);
    oct_close(b.db);
    oct_vfs_memory_destroy(vfs);
    return 0;
}
