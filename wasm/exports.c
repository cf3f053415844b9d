/* SPDX-License-Identifier: Apache-2.0
 *
 * exports.c - the functions JavaScript calls (js/src/core.ts): thin, pointers in and pointers out.
 *
 * An instance of the module holds one database. The caller puts a request into one block of this
 * memory - floats, verb, path, body, in that order - so that a request is one allocation and the
 * floats are aligned; the reply stays here until it is freed. Structs are read through functions,
 * never by offset from JavaScript. */
#include <stdlib.h>
#include <string.h>

#include "octant/octant.h"
#include "vfs_js.h"

#define EXPORT __attribute__((used, visibility("default")))

extern double oct_js_unix_ms(void);
extern double oct_js_monotonic_ms(void);
extern int oct_js_entropy(void *target, size_t bytes); /* 0, or minus an oct_status */
extern void oct_js_log(int level, const char *message);

typedef struct oct_w_database {
    oct_db *db;
    oct_vfs vfs;
    oct_host_kernels kernels; /* offered before it is opened; without a name there are none */
    oct_reply reply;
    oct_error error; /* of the last open or maintain */
    bool more;       /* after the last maintain */
} oct_w_database;

enum { OCT_W_READ_ONLY = 1, OCT_W_SYNC_NONE = 2 }; /* open flags, as in js/src/core.ts */

EXPORT void *oct_w_alloc(size_t bytes);
EXPORT void oct_w_free(void *block);
EXPORT oct_w_database *oct_w_create(void);
EXPORT void oct_w_offer(oct_w_database *w, uintptr_t first);
EXPORT const char *oct_w_kernels(const oct_w_database *w);
EXPORT int oct_w_open(oct_w_database *w, uint32_t caps, uint32_t flags, double memory_bytes_max,
                      uint32_t appendable_points_max, uint32_t slice_ms);
EXPORT int oct_w_call(oct_w_database *w, const char *block, size_t float_count, size_t verb_bytes,
                      size_t path_bytes, size_t body_bytes);
EXPORT int oct_w_reply_http(const oct_w_database *w);
EXPORT const char *oct_w_reply_content_type(const oct_w_database *w);
EXPORT const char *oct_w_reply_body(const oct_w_database *w);
EXPORT size_t oct_w_reply_body_bytes(const oct_w_database *w);
EXPORT void oct_w_reply_free(oct_w_database *w);
EXPORT int oct_w_search(oct_w_database *w, uint32_t *block, uint32_t *hits);
EXPORT int oct_w_maintain(oct_w_database *w, uint32_t budget_ms);
EXPORT int oct_w_more(const oct_w_database *w);
EXPORT const char *oct_w_message(const oct_w_database *w);
EXPORT void oct_w_close(oct_w_database *w);
EXPORT const char *oct_w_version(void);
EXPORT const char *oct_w_status_text(int status);

/* ---- host ------------------------------------------------------------------------------------ */

static void *resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    (void)self, (void)old_bytes;
    if (new_bytes > 0) return realloc(old, new_bytes);
    free(old);
    return NULL;
}

static const oct_alloc heap = { .resize = resize };

static uint64_t unix_ms(void *self)
{
    (void)self;
    return (uint64_t)oct_js_unix_ms();
}

static uint64_t monotonic_ns(void *self)
{
    (void)self;
    return (uint64_t)(oct_js_monotonic_ms() * 1e6);
}

static oct_status entropy(void *self, void *target, size_t bytes, oct_error *error)
{
    (void)self;
    if (oct_js_entropy(target, bytes) == 0) return OCT_OK;
    if (error == NULL) return OCT_IO;
    *error = (oct_error){ .status = OCT_IO, .message = "crypto.getRandomValues failed" };
    return OCT_IO;
}

static void log_line(void *self, oct_log_level level, const char *message)
{
    (void)self;
    oct_js_log((int)level, message);
}

/* ---- exported -------------------------------------------------------------------------------- */

void *oct_w_alloc(size_t bytes)
{
    return malloc(bytes);
}

void oct_w_free(void *block)
{
    free(block);
}

/* NULL: out of memory. */
oct_w_database *oct_w_create(void)
{
    return calloc(1, sizeof(oct_w_database));
}

/* Kernels with relaxed SIMD (js/src/relaxed.ts): in the table of functions from `first` on. */
void oct_w_offer(oct_w_database *w, uintptr_t first)
{
    const uintptr_t places[] = { first, first + 1, first + 2, first + 3 };
    w->kernels.name = "wasm-relaxed";
    memcpy(&w->kernels.dot_u7i8, &places[0], sizeof places[0]);
    memcpy(&w->kernels.dot_u7i8_x4, &places[1], sizeof places[1]);
    memcpy(&w->kernels.dot_packed, &places[2], sizeof places[2]);
    memcpy(&w->kernels.dot_u7u4_x4, &places[3], sizeof places[3]);
}

/* Returns a status; its message is oct_w_message. slice_ms and appendable_points_max: 0 = default,
 * memory_bytes_max: 0 = no limit. */
int oct_w_open(oct_w_database *w, uint32_t caps, uint32_t flags, double memory_bytes_max,
               uint32_t appendable_points_max, uint32_t slice_ms)
{
    oct_vfs_js_init(&w->vfs, caps);
    oct_host host = {
        .alloc = &heap,
        .vfs = &w->vfs,
        .unix_ms = unix_ms,
        .monotonic_ns = monotonic_ns,
        .entropy = entropy,
        .log = log_line,
        .parallel_width = 1,
        .kernels = w->kernels.name ? &w->kernels : NULL,
    };
    oct_open_options options = {
        .read_only = (flags & OCT_W_READ_ONLY) != 0,
        .wal_sync = (flags & OCT_W_SYNC_NONE) ? OCT_WAL_SYNC_NONE : OCT_WAL_SYNC_ALWAYS,
        .memory_bytes_max = (uint64_t)memory_bytes_max,
        .appendable_points_max = appendable_points_max,
        .maintain_slice_ms = slice_ms,
    };
    return (int)oct_open(&host, &options, &w->db, &w->error);
}

/* Do a request; returns the reply's status. verb_bytes counts the NUL that ends the verb. Integers
 * beyond 2^53 in the reply are tagged. */
int oct_w_call(oct_w_database *w, const char *block, size_t float_count, size_t verb_bytes,
               size_t path_bytes, size_t body_bytes)
{
    const char *verb = block + float_count * sizeof(float);
    oct_call_request request = {
        .verb = verb,
        .path = { verb + verb_bytes, path_bytes },
        .body = { verb + verb_bytes + path_bytes, body_bytes },
        .floats = float_count > 0 ? (const float *)(const void *)block : NULL,
        .float_count = float_count,
        .tag_big_integers = true,
    };
    oct_call(w->db, &request, &w->reply);
    return (int)w->reply.status;
}

int oct_w_reply_http(const oct_w_database *w)
{
    return w->reply.http_status;
}

const char *oct_w_reply_content_type(const oct_w_database *w)
{
    return w->reply.content_type;
}

const char *oct_w_reply_body(const oct_w_database *w)
{
    return w->reply.body;
}

size_t oct_w_reply_body_bytes(const oct_w_database *w)
{
    return w->reply.body ? w->reply.body_bytes : 0;
}

void oct_w_reply_free(oct_w_database *w)
{
    oct_reply_free(w->db, &w->reply);
}

/* A typed search. `block` holds SEARCH_WORDS numbers, in the order of `enum search_word`, then the
 * floats of the vectors, then the texts collection, vector name and options. The answer goes to
 * `hits`: the counts [vector_count], then HIT_WORDS a hit [vector_count][limit]: its score as a
 * float, whether its id is a UUID, the id's four 32-bit parts from the lowest. Returns a status. */
enum search_word {
    VECTOR_COUNT,
    DIM,
    LIMIT,
    HNSW_EF,
    EXACT,
    NAME_BYTES,
    USING_BYTES,
    OPTIONS_BYTES,
    SEARCH_WORDS
};
enum { HIT_WORDS = 6 };

static void write_hit(const oct_search_hit *hit, uint32_t *words)
{
    memcpy(words, &hit->score, sizeof hit->score);
    words[1] = hit->id.is_uuid;
    words[2] = (uint32_t)hit->id.low;
    words[3] = (uint32_t)(hit->id.low >> 32);
    words[4] = (uint32_t)hit->id.high;
    words[5] = (uint32_t)(hit->id.high >> 32);
}

int oct_w_search(oct_w_database *w, uint32_t *block, uint32_t *hits)
{
    const float *vectors = (const float *)(const void *)(block + SEARCH_WORDS);
    const char *texts = (const char *)(vectors + (size_t)block[VECTOR_COUNT] * block[DIM]);
    const oct_search_request request = {
        .collection = { texts, block[NAME_BYTES] },
        .using_vector = { texts + block[NAME_BYTES], block[USING_BYTES] },
        .options = { texts + block[NAME_BYTES] + block[USING_BYTES], block[OPTIONS_BYTES] },
        .vectors = vectors,
        .vector_count = block[VECTOR_COUNT],
        .dim = block[DIM],
        .limit = block[LIMIT],
        .hnsw_ef = block[HNSW_EF],
        .exact = block[EXACT] != 0,
    };
    size_t count = (size_t)request.vector_count * request.limit;
    oct_search_hit *found = calloc(count + 1, sizeof *found); /* + 1: zero is not "no memory" */
    if (!found) {
        w->error = (oct_error){ .status = OCT_NOMEM, .message = "no memory for the hits" };
        return OCT_NOMEM;
    }
    oct_status status = oct_search(w->db, &request, found, hits, &w->error);
    for (size_t i = 0; i < count; i++)
        write_hit(&found[i], hits + request.vector_count + i * HIT_WORDS);
    free(found);
    return (int)status;
}

/* Returns a status; then oct_w_more says whether there is more to do now. */
int oct_w_maintain(oct_w_database *w, uint32_t budget_ms)
{
    w->more = false;
    return (int)oct_maintain(w->db, budget_ms, &w->more, &w->error);
}

/* The name of the kernels an open database uses. */
const char *oct_w_kernels(const oct_w_database *w)
{
    return oct_kernels_in_use(w->db);
}

int oct_w_more(const oct_w_database *w)
{
    return w->more;
}

const char *oct_w_message(const oct_w_database *w)
{
    return w->error.message;
}

/* Close the database and free `w`; NULL is allowed. */
void oct_w_close(oct_w_database *w)
{
    if (w == NULL) return;
    oct_close(w->db);
    free(w);
}

const char *oct_w_version(void)
{
    return oct_version();
}

const char *oct_w_status_text(int status)
{
    return oct_status_text((oct_status)status);
}
