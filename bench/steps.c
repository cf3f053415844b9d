/* SPDX-License-Identifier: Apache-2.0
 *
 * steps.c - how long maintenance keeps its caller: a collection is filled, sealed, merged and
 * indexed with a budget of one millisecond a call, and the longest calls are named.
 *
 *     steps DIRECTORY [COUNT [DIM [BUDGET_MS [CONFIG]]]]
 *
 * DIRECTORY is new, or empty. CONFIG is the JSON of quantization_config. Vectors are random, in
 * clusters; every point has a payload of a word and two numbers, all indexed, the first one with
 * links within its blocks. One thread; times are its CPU time, by which the budget is measured,
 * too, so that other programs don't count; waiting for a disk doesn't, either. One JSON line for
 * each place where a call ended in: calls, the longest, their sum, how many took twice the budget.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "common.h"
#include "sim/steps.h"

enum { PLACES_MAX = 256, PLACE_BYTES = 2 * STEPS_NAME_BYTES, BATCH = 500, CLUSTERS = 512 };

typedef struct place {
    char name[PLACE_BYTES];
    uint32_t calls, over;
    double most, sum; /* ms */
} place;

static oct_db *db;
static oct_collection *collection;
static place places[PLACES_MAX];
static uint32_t place_count, dim = 384;
static uint32_t budget_ms = 1;

/* ---- the host ------------------------------------------------------------------------- */

static uint64_t cpu_ns(void *self)
{
    struct timespec now;
    UNUSED(self);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t unix_ms(void *self)
{
    UNUSED(self);
    return 0;
}

static oct_status entropy(void *self, void *target, size_t bytes, oct_error *error)
{
    UNUSED(self);
    UNUSED(error);
    memset(target, 7, bytes);
    return OCT_OK;
}

static void say(void *self, oct_log_level level, const char *message)
{
    UNUSED(self);
    if (level >= OCT_LOG_WARN) fprintf(stderr, "steps: %s\n", message);
}

/* ---- counting ------------------------------------------------------------------------- */

static void count(const char *from, const char *to, double ms)
{
    char name[PLACE_BYTES];
    uint32_t i = 0;
    snprintf(name, sizeof name, strcmp(from, to) == 0 ? "%s" : "%s > %s", from, to);
    while (i < place_count && strcmp(places[i].name, name) != 0)
        i++;
    if (i == PLACES_MAX) die("too many places");
    if (i == place_count) memcpy(places[place_count++].name, name, sizeof name);
    places[i].calls++;
    places[i].sum += ms;
    places[i].over += ms > 2.0 * budget_ms;
    if (ms > places[i].most) places[i].most = ms;
}

static bool step(void)
{
    char from[STEPS_NAME_BYTES], to[STEPS_NAME_BYTES];
    bool more = false;
    oct_error error;
    steps_name(collection, from);
    uint64_t begin = cpu_ns(NULL);
    if (oct_maintain(db, budget_ms, &more, &error) != OCT_OK) die(error.message);
    double ms = (double)(cpu_ns(NULL) - begin) / 1e6;
    steps_name(collection, to);
    count(from, to, ms);
    return more;
}

/* ---- filling -------------------------------------------------------------------------- */

static void call(const char *verb, const char *path, const char *body, const float *floats,
                 size_t float_count)
{
    if (!steps_call(db, verb, path, body, floats, float_count)) die(path);
}

static void fill(uint32_t points)
{
    static char body[BATCH * 160];
    oct_rng rng = oct_rng_seeded(11);
    float *centres = malloc(sizeof(float) * CLUSTERS * dim);
    float *rows = malloc(sizeof(float) * BATCH * dim);
    if (!centres || !rows) die("no memory");
    for (size_t i = 0; i < (size_t)CLUSTERS * dim; i++)
        centres[i] = oct_rng_float(&rng) - 0.5f;
    for (uint32_t first = 0; first < points; first += BATCH) {
        size_t at = (size_t)snprintf(body, sizeof body, "{\"points\":[");
        uint32_t end = MIN(points, first + BATCH);
        for (uint32_t p = first; p < end; p++) {
            float *row = rows + (size_t)(p - first) * dim;
            const float *centre = centres + oct_rng_below(&rng, CLUSTERS) * dim;
            for (uint32_t i = 0; i < dim; i++)
                row[i] = centre[i] + (oct_rng_float(&rng) - 0.5f);
            at += (size_t)snprintf(body + at, sizeof body - at,
                                   "%s{\"id\":%u,\"vector\":{\"$f32\":[%u,%u]},\"payload\":"
                                   "{\"w\":\"word %u\",\"n\":%u,\"x\":%u.5}}",
                                   p > first ? "," : "", p * 7919u % points, (p - first) * dim, dim,
                                   p % 7, p * 31u % 50021u, p * 17u % 90001u);
        }
        snprintf(body + at, sizeof body - at, "]}");
        call("PUT", "/collections/c/points?wait=true", body, rows, (size_t)BATCH * dim);
        for (int i = 0; i < 1000 && collection->rotation; i++)
            step();
    }
    free(centres);
    free(rows);
}

static int by_most(const void *a, const void *b)
{
    double x = ((const place *)a)->most, y = ((const place *)b)->most;
    return (x < y) - (x > y);
}

int main(int argc, char **argv)
{
    static const oct_alloc alloc = { .resize = resize };
    static char config[4096];
    oct_vfs *vfs = NULL;
    oct_error error;
    if (argc < 2) die("steps DIRECTORY [COUNT [DIM [BUDGET_MS [QUANTIZATION]]]]");
    uint32_t points = argc > 2 ? (uint32_t)atoi(argv[2]) : 100000;
    if (argc > 3) dim = (uint32_t)atoi(argv[3]);
    if (argc > 4) budget_ms = (uint32_t)atoi(argv[4]);
    if (oct_vfs_posix_create(&alloc, argv[1], &vfs, &error) != OCT_OK) die(error.message);
    const oct_host host = { .alloc = &alloc,
                            .vfs = vfs,
                            .unix_ms = unix_ms,
                            .monotonic_ns = cpu_ns,
                            .entropy = entropy,
                            .log = say };
    const oct_open_options options = { .wal_sync = OCT_WAL_SYNC_NONE };
    if (oct_open(&host, &options, &db, &error) != OCT_OK) die(error.message);
    snprintf(config, sizeof config,
             "{\"vectors\":{\"size\":%u,\"distance\":\"Cosine\"},\"hnsw_config\":{\"m\":8,"
             "\"ef_construct\":40,\"payload_m\":8}%s%s}",
             dim, argc > 5 ? ",\"quantization_config\":" : "", argc > 5 ? argv[5] : "");
    call("PUT", "/collections/c", config, NULL, 0);
    call("PUT", "/collections/c/index?wait=true",
         "{\"field_name\":\"w\",\"field_schema\":\"keyword\"}", NULL, 0);
    call("PUT", "/collections/c/index?wait=true",
         "{\"field_name\":\"n\",\"field_schema\":\"integer\"}", NULL, 0);
    call("PUT", "/collections/c/index?wait=true",
         "{\"field_name\":\"x\",\"field_schema\":\"float\"}", NULL, 0);
    if (oct_db_pin(db, OCT_STR("c"), &collection, &error) != OCT_OK) die(error.message);
    fill(points);
    while (step()) {
    }
    qsort(places, place_count, sizeof *places, by_most);
    for (uint32_t i = 0; i < place_count; i++)
        printf("{\"place\":\"%s\",\"calls\":%u,\"longest_ms\":%.2f,\"sum_ms\":%.1f,\"over\":%u}\n",
               places[i].name, places[i].calls, places[i].most, places[i].sum, places[i].over);
    oct_db_unpin(collection);
    oct_close(db);
    oct_vfs_posix_destroy(vfs);
    return 0;
}
