/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a process that is killed at any moment, with eight writers, a reader and maintenance at
 * work, loses nothing it acknowledged, and nothing appears that was not asked for.
 * Method: a child works on real files and tells through a pipe what each writer begins and what
 * was acknowledged; the parent kills it at a random time (also while it opens), opens the database
 * itself, and compares every point. All cycles work on the same database. Run under the thread
 * sanitizer too (halt_on_error=1), which then sees the child's threads. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/sync.h"
#include "db/db.h"
#include "octant/octant.h"
#include "unit/test.h"
#include "vfs/test_alloc.h"
#include "vfs/test_directory.h"

enum { CYCLES = 220, WRITERS = 8, OWN_IDS = 40, IDS = WRITERS * OWN_IDS, KILL_MS_MAX = 220 };

/* A line of the pipe; small enough to be written at once. */
typedef struct message {
    uint8_t writer;
    uint8_t acknowledged; /* else: begun */
    uint8_t first, count; /* of the writer's own ids */
    uint32_t value;       /* they all get this value; 0: deleted */
} message;

/* ---- the host ------------------------------------------------------------------------------- */

static uint64_t now_ns(void *self)
{
    struct timespec now;
    UNUSED(self);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t now_ms(void *self)
{
    return now_ns(self) / 1000000;
}

static oct_status entropy(void *self, void *target, size_t bytes, oct_error *error)
{
    static oct_atomic_u64 counter;
    UNUSED(self);
    UNUSED(error);
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)target)[i] = (uint8_t)(oct_atomic_add(&counter, 77) ^ now_ns(NULL));
    return OCT_OK;
}

static bool open_db(const char *root, oct_vfs **vfs, oct_db **db)
{
    oct_error error = { .message = "" };
    oct_open_options options = { .appendable_points_max = 100, .maintain_slice_ms = 1 };
    if (oct_vfs_posix_create(&test_alloc, root, vfs, &error) == OCT_OK) {
        oct_host host = { .alloc = &test_alloc,
                          .vfs = *vfs,
                          .unix_ms = now_ms,
                          .monotonic_ns = now_ns,
                          .entropy = entropy,
                          .parallel_width = 1 };
        if (oct_open(&host, &options, db, &error) == OCT_OK) return true;
    }
    printf("open: %s\n", error.message);
    return false;
}

static oct_status call(oct_db *db, const char *verb, const char *path, const char *body)
{
    oct_reply reply;
    oct_call(db,
             &(oct_call_request){
                 .verb = verb, .path = { path, strlen(path) }, .body = { body, strlen(body) } },
             &reply);
    if (reply.status != OCT_OK)
        printf("%s %s: %.*s\n", verb, path, (int)reply.body_bytes, reply.body ? reply.body : "");
    oct_reply_free(db, &reply);
    return reply.status;
}

/* ---- the child ------------------------------------------------------------------------------ */

typedef struct child {
    oct_db *db;
    int pipe;
    uint32_t base; /* values begin behind it */
    oct_atomic_u64 next_writer;
} child;

static void die(const char *why)
{
    printf("child: %s\n", why);
    fflush(stdout);
    _exit(1);
}

static void say(const child *all, message text)
{
    if (write(all->pipe, &text, sizeof text) != (ssize_t)sizeof text) die("the pipe broke");
}

static void point_text(char *at, size_t bytes, uint32_t id, uint32_t value, bool last)
{
    size_t used = strlen(at);
    (void)snprintf(at + used, bytes - used,
                   "{\"id\":%u,\"vector\":[%u,%u],\"payload\":{\"v\":%u}}%s", id, value % 1000, id,
                   value, last ? "]}" : ",");
}

static oct_status change(const child *all, message text)
{
    char body[1024] = "{\"points\":[";
    const char *path = "/collections/c/points?wait=true";
    for (uint32_t i = 0; i < text.count; i++) {
        uint32_t id = (uint32_t)(text.writer * OWN_IDS + text.first) + i;
        bool last = i + 1u == text.count;
        size_t used = strlen(body);
        if (text.value)
            point_text(body, sizeof body, id, text.value, last);
        else
            (void)snprintf(body + used, sizeof body - used, "%u%s", id, last ? "]}" : ",");
    }
    return text.value ? call(all->db, "PUT", path, body)
                      : call(all->db, "POST", "/collections/c/points/delete", body);
}

static void *writer(void *arg)
{
    child *all = arg;
    message text = { .writer = (uint8_t)(oct_atomic_add(&all->next_writer, 1) - 1) };
    uint64_t random = all->base * UINT64_C(2654435761) + text.writer + 1;
    for (uint32_t value = all->base + 1;; value++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        text.count = (uint8_t)(1 + (random >> 33) % 4);
        text.first = (uint8_t)((random >> 40) % (OWN_IDS - 3));
        text.value = (random >> 50) % 4 ? value : 0;
        text.acknowledged = 0;
        say(all, text);
        if (change(all, text) != OCT_OK) die("a change was refused");
        text.acknowledged = 1;
        say(all, text);
    }
    return NULL;
}

static void *reader(void *arg)
{
    child *all = arg;
    for (;;) {
        if (call(all->db, "POST", "/collections/c/points/query",
                 "{\"query\":[1,1],\"limit\":20,\"with_payload\":true}") != OCT_OK ||
            call(all->db, "POST", "/collections/c/points/scroll",
                 "{\"limit\":50,\"filter\":{\"must\":[{\"key\":\"v\",\"range\":{\"gte\":5}}]}}") !=
                OCT_OK)
            die("a read was refused");
    }
    return NULL;
}

static void work(const char *root, int out, uint32_t base)
{
    oct_vfs *vfs;
    pthread_t thread;
    static child all;
    all.pipe = out;
    all.base = base;
    oct_atomic_store(&all.next_writer, 0);
    if (!open_db(root, &vfs, &all.db)) die("can't open");
    for (int i = 0; i < WRITERS; i++)
        if (pthread_create(&thread, NULL, writer, &all) != 0) die("no thread");
    if (pthread_create(&thread, NULL, reader, &all) != 0) die("no thread");
    for (;;) {
        bool more;
        oct_error error;
        const struct timespec pause = { .tv_nsec = 1000000 };
        if (oct_maintain(all.db, 2, &more, &error) != OCT_OK) die(error.message);
        if (!more) nanosleep(&pause, NULL);
    }
}

/* ---- the parent ---------------------------------------------------------------------------- */

typedef struct parent {
    uint32_t values[IDS];    /* acknowledged; 0: none */
    message flying[WRITERS]; /* begun and not acknowledged: count > 0 */
    uint64_t acknowledged, in_doubt, kept, empty_cycles;
    test_directory root;
} parent;

static parent book;

static void take(const message *text)
{
    CHECK(text->writer < WRITERS);
    message *flying = &book.flying[text->writer];
    if (!text->acknowledged) {
        *flying = *text;
        return;
    }
    CHECK(flying->count == text->count && flying->value == text->value);
    uint32_t first = (uint32_t)(text->writer * OWN_IDS + text->first);
    for (uint32_t i = 0; i < text->count; i++)
        book.values[first + i] = text->value;
    flying->count = 0;
    book.acknowledged++;
}

/* Read what comes; false at the end. */
static bool listen_for(int in, int ms)
{
    struct pollfd wait = { .fd = in, .events = POLLIN };
    message texts[64];
    if (poll(&wait, 1, ms) <= 0) return true;
    ssize_t bytes = read(in, texts, sizeof texts);
    if (bytes <= 0) return bytes < 0 && errno == EINTR;
    for (size_t i = 0; i < (size_t)bytes / sizeof texts[0]; i++)
        take(&texts[i]);
    return bytes % (ssize_t)sizeof texts[0] == 0;
}

static void run_child(uint32_t base, uint32_t life_ms)
{
    int ends[2], how = 0;
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        work(book.root.path, ends[1], base);
    }
    close(ends[1]);
    uint64_t end = now_ms(NULL) + life_ms;
    bool open = true;
    while (open && now_ms(NULL) < end)
        open = listen_for(ends[0], (int)(end - now_ms(NULL)) + 1);
    (void)kill(pid, SIGKILL);
    while (open)
        open = listen_for(ends[0], -1);
    close(ends[0]);
    CHECK(waitpid(pid, &how, 0) == pid);
    CHECK(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL); /* it did not end by itself */
}

/* The value of each id in the database; UINT32_MAX for a point that is not whole. */
static bool read_all(oct_db *db, uint32_t values[IDS])
{
    oct_arena arena;
    oct_collection *collection;
    oct_found found;
    oct_error error = { .message = "" };
    oct_scroll scroll = { .limit = IDS + 1,
                          .with_payload = { .mode = OCT_SELECT_ALL },
                          .with_vector = { .mode = OCT_SELECT_ALL } };
    oct_arena_init(&arena, &test_alloc, 0);
    memset(values, 0, IDS * sizeof values[0]);
    oct_status status = oct_db_pin(db, OCT_STR("c"), &collection, &error);
    if (status == OCT_OK) {
        status = oct_collection_scroll(collection, &arena, &scroll, &found, &error);
        for (uint32_t i = 0; status == OCT_OK && i < found.count; i++) {
            const oct_found_point *point = &found.points[i];
            CHECK_OR(false, point->id.low < IDS && point->vector_count == 1);
            CHECK_OR(false, point->payload.bytes > 6);
            uint32_t value = (uint32_t)strtoul(point->payload.at + 5, NULL, 10);
            const float *vector = point->vectors[0].values;
            bool whole = vector[0] == (float)(value % 1000) && vector[1] == (float)point->id.low;
            values[point->id.low] = whole && value > 0 ? value : UINT32_MAX;
        }
        oct_db_unpin(collection);
    }
    if (status != OCT_OK) printf("scroll: %s\n", error.message);
    oct_arena_reset(&arena);
    return status == OCT_OK;
}

/* Did the writer's last, unacknowledged change happen? It must be all there or not at all. */
static void settle_flying(uint32_t w, const uint32_t values[IDS])
{
    const message *flying = &book.flying[w];
    uint32_t *before = &book.values[w * OWN_IDS + flying->first];
    const uint32_t *after = &values[w * OWN_IDS + flying->first];
    uint32_t old = 0, new = 0;
    if (flying->count == 0) return;
    book.in_doubt++;
    for (uint32_t i = 0; i < flying->count; i++) {
        old += after[i] == before[i];
        new += after[i] == flying->value;
    }
    if (old == flying->count) return;
    CHECK_EQ_U64(new, flying->count);
    for (uint32_t i = 0; i < flying->count; i++)
        before[i] = flying->value;
    book.kept++;
}

static void check_files(void)
{
    static uint32_t values[IDS];
    oct_vfs *vfs;
    oct_db *db;
    CHECK(open_db(book.root.path, &vfs, &db));
    CHECK(read_all(db, values));
    for (uint32_t w = 0; w < WRITERS; w++)
        settle_flying(w, values);
    CHECK(!test_failed);
    for (uint32_t id = 0; id < IDS; id++) {
        if (values[id] != book.values[id]) printf("point %u\n", id);
        CHECK_EQ_U64(values[id], book.values[id]);
    }
    memset(book.flying, 0, sizeof book.flying);
    oct_close(db);
    oct_vfs_posix_destroy(vfs);
}

static void create_collection(void)
{
    oct_vfs *vfs;
    oct_db *db;
    CHECK(open_db(book.root.path, &vfs, &db));
    CHECK(call(db, "PUT", "/collections/c",
               "{\"vectors\":{\"size\":2,\"distance\":\"Dot\"},\"hnsw_config\":{\"m\":4,"
               "\"ef_construct\":8},\"optimizers_config\":{\"indexing_threshold\":1,"
               "\"vacuum_min_vector_number\":100}}") == OCT_OK);
    CHECK(call(db, "PUT", "/collections/c/index",
               "{\"field_name\":\"v\",\"field_schema\":\"integer\"}") == OCT_OK);
    oct_close(db);
    oct_vfs_posix_destroy(vfs);
}

/* Drop the collection, and nothing but the registry is left. */
static void drop_collection(void)
{
    static const char *const names[] = { "registry.0", "registry.1", "owner" };
    oct_vfs *vfs;
    oct_db *db;
    CHECK(open_db(book.root.path, &vfs, &db));
    CHECK(call(db, "DELETE", "/collections/c", "") == OCT_OK);
    oct_close(db);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        CHECK(vfs->remove(vfs->self, names[i], NULL) == OCT_OK);
    oct_vfs_posix_destroy(vfs);
    CHECK(test_directory_remove(&book.root));
}

TEST(a_killed_process_loses_nothing)
{
    memset(&book, 0, sizeof book);
    CHECK(test_directory_make(&book.root));
    create_collection();
    CHECK(!test_failed);
    for (uint32_t cycle = 0; cycle < CYCLES; cycle++) {
        uint64_t before = book.acknowledged;
        run_child(cycle * 1000000, 1 + test_random_below(KILL_MS_MAX));
        CHECK(!test_failed);
        check_files();
        if (test_failed) printf("cycle %u\n", cycle);
        CHECK(!test_failed);
        book.empty_cycles += book.acknowledged == before;
    }
    printf("  %d kills (%" PRIu64 " before anything was acknowledged), %" PRIu64
           " changes acknowledged, %" PRIu64 " under way, of which %" PRIu64 " were kept\n",
           CYCLES, book.empty_cycles, book.acknowledged, book.in_doubt, book.kept);
    CHECK(book.acknowledged > CYCLES && book.in_doubt > CYCLES);
    drop_collection();
}

TEST_MAIN(a_killed_process_loses_nothing)
