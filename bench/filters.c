/* SPDX-License-Identifier: Apache-2.0
 *
 * filters.c - filtered search through the whole database: how fast, and how much it finds.
 *
 *     filters FOLDER DATABASE [name=value ...]
 *
 * FOLDER holds vectors.f32 (COUNT x 384, unit length), payload.jsonl, queries.f32, filters.json
 * and for each filter the file of true ids it names (100 a query). DATABASE is a folder: when it
 * has no collection yet, one is made and filled, with an index on each field that a filter names.
 * Options: repeats=3, limit=10, acorn=0, payload_m=0 (of a new collection), only=FILTER,
 * ef=N (several; when none is given, a list).
 *
 * Two ways in: `call`, JSON in and out with the vector in the bulk lane, as a door calls; and
 * `typed`, the function below it, without any text. Prints a JSON object per filter, way and ef.
 * Times are CPU time of the one thread, best of `repeats` passes over all queries. The allocator
 * asks for large pages, as that of the native program does. */
#define _DEFAULT_SOURCE

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/json.h"
#include "db/db.h"
#include "octant/octant.h"

enum {
    DIM = 384,
    TRUTH_IDS = 100,
    FILTERS_MAX = 16,
    EFS_MAX = 16,
    BATCH = 1000,
    BODY_BYTES = 1 << 21,
    ANSWER_BYTES = 1 << 14
};

typedef struct filter {
    char name[32], field[32], value[32], truth_file[64];
    double below; /* without a value: field < below */
    int32_t *truth;
    oct_scalar scalar;
    oct_condition condition;
    oct_filter filter;
} filter;

typedef struct bench {
    const char *folder;
    oct_db *db;
    float *vectors, *queries;
    size_t count, query_count;
    filter filters[FILTERS_MAX];
    uint32_t filter_count;
    uint64_t efs[EFS_MAX];
    uint32_t ef_count, repeats, limit, acorn, payload_m;
    const char *only;
} bench;

static void die(const char *text)
{
    fprintf(stderr, "filters: %s\n", text);
    exit(1);
}

/* ---- host ------------------------------------------------------------------------------- */

static void *plain_resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    (void)self;
    (void)old_bytes;
    const size_t page = 2 << 20;
    void *block = NULL;
    if (new_bytes == 0)
        free(old);
    else
        block = realloc(old, new_bytes);
    if (block && new_bytes >= 4 * page) {
        size_t skipped = (page - (uintptr_t)block % page) % page;
        (void)madvise((char *)block + skipped, (new_bytes - skipped) / page * page, MADV_HUGEPAGE);
    }
    return block;
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static uint64_t unix_ms(void *self)
{
    (void)self;
    return (uint64_t)(seconds(CLOCK_REALTIME) * 1e3);
}

static uint64_t monotonic_ns(void *self)
{
    (void)self;
    return (uint64_t)(seconds(CLOCK_MONOTONIC) * 1e9);
}

static oct_status entropy(void *self, void *target, size_t bytes, oct_error *error)
{
    (void)self;
    (void)error;
    memset(target, 7, bytes); /* a benchmark is better off without chance */
    return OCT_OK;
}

static const oct_alloc plain_alloc = { .resize = plain_resize };

/* ---- input ------------------------------------------------------------------------------ */

static void *read_file(const bench *b, const char *name, size_t *bytes)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", b->folder, name);
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    char *at = malloc(*bytes + 1);
    if (!at || fread(at, 1, *bytes, file) != *bytes) die("cannot read a file");
    at[*bytes] = 0;
    fclose(file);
    return at;
}

static void copy_text(char *target, size_t bytes, const oct_json *value)
{
    oct_str text = value ? oct_json_string(value) : OCT_STR("");
    snprintf(target, bytes, "%.*s", (int)text.bytes, text.at);
}

static void add_filter(bench *b, oct_str name, const oct_json *value)
{
    if (b->filter_count == FILTERS_MAX) die("too many filters");
    filter *f = &b->filters[b->filter_count++];
    size_t bytes;
    snprintf(f->name, sizeof f->name, "%.*s", (int)name.bytes, name.at);
    copy_text(f->field, sizeof f->field, oct_json_get(value, OCT_STR("field")));
    copy_text(f->value, sizeof f->value, oct_json_get(value, OCT_STR("value")));
    copy_text(f->truth_file, sizeof f->truth_file, oct_json_get(value, OCT_STR("gt")));
    f->truth = read_file(b, f->truth_file, &bytes);
    if (bytes < b->query_count * TRUTH_IDS * sizeof(int32_t)) die("a truth is too short");
    f->condition = (oct_condition){ .key = { f->field, strlen(f->field) } };
    if (f->value[0]) {
        f->scalar =
            (oct_scalar){ .kind = OCT_SCALAR_KEYWORD, .keyword = { f->value, strlen(f->value) } };
        f->condition.kind = OCT_CONDITION_MATCH_ANY;
        f->condition.values = &f->scalar;
        f->condition.value_count = 1;
    } else {
        const oct_json *range = oct_json_get(value, OCT_STR("range"));
        f->below = oct_json_number(oct_json_get(range, OCT_STR("lt")));
        f->condition.kind = OCT_CONDITION_RANGE;
        f->condition.range =
            (oct_range){ .has_upper = true, .upper_open = true, .upper = f->below };
    }
    f->filter = (oct_filter){ .must = { &f->condition, 1 } };
}

static void read_filters(bench *b)
{
    oct_arena arena;
    oct_error error;
    const oct_json *root;
    size_t bytes;
    char *text = read_file(b, "filters.json", &bytes);
    oct_arena_init(&arena, &plain_alloc, 0);
    if (oct_json_parse(&arena, (oct_str){ text, bytes }, &root, &error)) die(error.message);
    oct_json_iter each = oct_json_iterate(root);
    oct_str key;
    const oct_json *value;
    while ((value = oct_json_next(&each, &key)) != NULL)
        add_filter(b, key, value);
    oct_arena_reset(&arena);
    free(text);
}

static void parse(bench *b, int argc, char **argv)
{
    const struct {
        const char *name;
        uint32_t *value;
    } numbers[] = { { "repeats", &b->repeats },
                    { "limit", &b->limit },
                    { "acorn", &b->acorn },
                    { "payload_m", &b->payload_m } };
    for (int i = 3; i < argc; i++) {
        char *equal = strchr(argv[i], '=');
        if (!equal) die("options are name=value");
        *equal = 0;
        if (strcmp(argv[i], "only") == 0) b->only = equal + 1;
        if (strcmp(argv[i], "ef") == 0 && b->ef_count < EFS_MAX)
            b->efs[b->ef_count++] = strtoull(equal + 1, NULL, 10);
        for (size_t j = 0; j < sizeof numbers / sizeof *numbers; j++)
            if (strcmp(argv[i], numbers[j].name) == 0)
                *numbers[j].value = (uint32_t)strtoul(equal + 1, NULL, 10);
    }
    static const uint64_t usual[] = { 10, 16, 24, 32, 48, 64, 96, 128, 192, 256 };
    if (b->ef_count > 0) return;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        b->efs[b->ef_count++] = usual[i];
}

/* ---- filling ---------------------------------------------------------------------------- */

/* The answer's text goes to `answer` [ANSWER_BYTES]. */
static void call(bench *b, const oct_call_request *request, char *answer)
{
    oct_reply reply;
    oct_call(b->db, request, &reply);
    snprintf(answer, ANSWER_BYTES, "%.*s", (int)reply.body_bytes, reply.body ? reply.body : "");
    if (reply.http_status != 200) die(answer);
    oct_reply_free(b->db, &reply);
}

static void change(bench *b, const char *verb, const char *path, const char *body, char *answer)
{
    oct_call_request request = { .verb = verb,
                                 .path = { path, strlen(path) },
                                 .body = { body, strlen(body) },
                                 .floats = b->vectors,
                                 .float_count = b->count * DIM };
    call(b, &request, answer);
}

static void upsert_all(bench *b)
{
    size_t bytes;
    char *text = read_file(b, "payload.jsonl", &bytes);
    char *line = text;
    char answer[ANSWER_BYTES];
    char *body = malloc(BODY_BYTES);
    if (!body) die("no memory");
    for (size_t first = 0; first < b->count; first += BATCH) {
        size_t at = (size_t)sprintf(body, "{\"points\":[");
        for (size_t i = first; i < first + BATCH && i < b->count; i++) {
            char *end = strchr(line, '\n');
            if (!end || at + (size_t)(end - line) + 100 > BODY_BYTES) die("payload.jsonl is odd");
            at += (size_t)sprintf(body + at, "%s{\"id\":%zu,\"vector\":{\"$f32\":[%zu,%d]},",
                                  i > first ? "," : "", i, i * DIM, DIM);
            at += (size_t)sprintf(body + at, "\"payload\":%.*s}", (int)(end - line), line);
            line = end + 1;
        }
        sprintf(body + at, "]}");
        change(b, "PUT", "/collections/c/points?wait=true", body, answer);
    }
    free(body);
    free(text);
}

static void fill(bench *b)
{
    oct_error error;
    char body[512], answer[ANSWER_BYTES];
    double begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
    int bytes = snprintf(body, sizeof body,
                         "{\"vectors\":{\"size\":%d,\"distance\":\"Cosine\"},"
                         "\"optimizers_config\":{\"default_segment_number\":1}",
                         DIM);
    snprintf(body + bytes, sizeof body - (size_t)bytes, ",\"hnsw_config\":{\"payload_m\":%u}}",
             b->payload_m);
    change(b, "PUT", "/collections/c", body, answer);
    for (uint32_t i = 0; i < b->filter_count; i++) {
        snprintf(body, sizeof body, "{\"field_name\":\"%s\",\"field_schema\":\"%s\"}",
                 b->filters[i].field, b->filters[i].value[0] ? "keyword" : "integer");
        change(b, "PUT", "/collections/c/index?wait=true", body, answer);
    }
    upsert_all(b);
    bool more = true;
    while (more)
        if (oct_maintain(b->db, 1000000, &more, &error)) die(error.message);
    printf("{\"bench\":\"filters_fill\",\"points\":%zu,\"cpu_s\":%.2f}\n", b->count,
           seconds(CLOCK_PROCESS_CPUTIME_ID) - begin);
}

/* ---- measuring -------------------------------------------------------------------------- */

static void print_row(const bench *b, const filter *f, const char *way, uint64_t ef,
                      const int64_t *found, double best)
{
    size_t hits = 0, possible = 0;
    for (size_t q = 0; q < b->query_count; q++)
        for (uint32_t t = 0; t < b->limit && f->truth[q * TRUTH_IDS + t] >= 0; t++) {
            possible++;
            for (uint32_t i = 0; i < b->limit; i++)
                hits += found[q * b->limit + i] == f->truth[q * TRUTH_IDS + t];
        }
    printf("{\"bench\":\"filters\",\"filter\":\"%s\",\"way\":\"%s\",\"ef\":%" PRIu64
           ",\"recall\":%.4f,\"qps_cpu\":%.0f}\n",
           f->name, way, ef, (double)hits / (double)possible, (double)b->query_count / best);
    fflush(stdout);
}

static void run_typed(bench *b, const filter *f, uint64_t ef, int64_t *found)
{
    oct_collection *collection;
    oct_arena arena;
    oct_error error;
    oct_found answer;
    oct_arena_init(&arena, oct_db_alloc(b->db), 0);
    if (oct_db_pin(b->db, OCT_STR("c"), &collection, &error)) die(error.message);
    for (size_t q = 0; q < b->query_count; q++) {
        oct_query query = { .kind = OCT_QUERY_VECTOR,
                            .vector = b->queries + q * DIM,
                            .vector_count = DIM,
                            .using_vector = OCT_STR(""),
                            .filter = &f->filter,
                            .hnsw_ef = ef,
                            .limit = b->limit };
        oct_arena_reset(&arena);
        if (oct_collection_query(collection, &arena, &query, &answer, &error)) die(error.message);
        for (uint32_t i = 0; i < b->limit; i++)
            found[q * b->limit + i] = i < answer.count ? (int64_t)answer.points[i].id.low : -2;
    }
    oct_db_unpin(collection);
    oct_arena_reset(&arena);
}

static void run_call(bench *b, const filter *f, uint64_t ef, int64_t *found)
{
    char body[512], answer[ANSWER_BYTES];
    for (size_t q = 0; q < b->query_count; q++) {
        int at = snprintf(body, sizeof body,
                          "{\"query\":{\"$f32\":[%zu,%d]},\"limit\":%u,"
                          "\"params\":{\"hnsw_ef\":%" PRIu64 ","
                          "\"acorn\":{\"enable\":%s,\"max_selectivity\":1}},"
                          "\"filter\":{\"must\":[{\"key\":\"%s\",",
                          q * DIM, DIM, b->limit, ef, b->acorn ? "true" : "false", f->field);
        if (f->value[0])
            sprintf(body + at, "\"match\":{\"value\":\"%s\"}}]}}", f->value);
        else
            sprintf(body + at, "\"range\":{\"lt\":%g}}]}}", f->below);
        oct_call_request request = { .verb = "POST",
                                     .path = OCT_STR("/collections/c/points/query"),
                                     .body = { body, strlen(body) },
                                     .floats = b->queries,
                                     .float_count = b->query_count * DIM };
        call(b, &request, answer);
        const char *text = answer;
        for (uint32_t i = 0; i < b->limit; i++) {
            text = text ? strstr(text, "\"id\":") : NULL;
            found[q * b->limit + i] = text ? strtoll(text + 5, NULL, 10) : -2;
            text = text ? text + 5 : NULL;
        }
    }
}

static void measure(bench *b)
{
    int64_t *found = malloc(b->query_count * b->limit * sizeof *found);
    if (!found) die("no memory");
    for (uint32_t i = 0; i < b->filter_count; i++) {
        const filter *f = &b->filters[i];
        if (b->only && strcmp(b->only, f->name) != 0) continue;
        for (uint32_t e = 0; e < b->ef_count; e++)
            for (int way = 0; way < 2; way++) {
                double best = 1e9;
                for (uint32_t r = 0; r < b->repeats; r++) {
                    double begin = seconds(CLOCK_THREAD_CPUTIME_ID);
                    if (way == 0)
                        run_call(b, f, b->efs[e], found);
                    else
                        run_typed(b, f, b->efs[e], found);
                    double took = seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
                    best = took < best ? took : best;
                }
                print_row(b, f, way == 0 ? "call" : "typed", b->efs[e], found, best);
            }
    }
    free(found);
}

int main(int argc, char **argv)
{
    bench b = { .repeats = 3, .limit = 10 };
    oct_error error;
    oct_vfs *vfs;
    size_t bytes;
    if (argc < 3) die("FOLDER DATABASE [name=value ...]");
    b.folder = argv[1];
    parse(&b, argc, argv);
    b.vectors = read_file(&b, "vectors.f32", &bytes);
    b.count = bytes / (DIM * sizeof(float));
    b.queries = read_file(&b, "queries.f32", &bytes);
    b.query_count = bytes / (DIM * sizeof(float));
    read_filters(&b);
    if (oct_vfs_posix_create(&plain_alloc, argv[2], &vfs, &error)) die(error.message);
    oct_host host = { .alloc = &plain_alloc,
                      .vfs = vfs,
                      .unix_ms = unix_ms,
                      .monotonic_ns = monotonic_ns,
                      .entropy = entropy,
                      .parallel_width = 1 };
    const oct_open_options options = { .wal_sync = OCT_WAL_SYNC_NONE };
    if (oct_open(&host, &options, &b.db, &error)) die(error.message);
    char answer[ANSWER_BYTES];
    change(&b, "GET", "/collections/c/exists", "", answer);
    if (!strstr(answer, "true}")) fill(&b);
    measure(&b);
    oct_close(b.db);
    oct_vfs_posix_destroy(vfs);
    return 0;
}
