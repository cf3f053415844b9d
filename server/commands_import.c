/* SPDX-License-Identifier: Apache-2.0
 *
 * commands_import.c - `import`: load a file of points into a collection, then index it.
 *
 * Points go in as ordinary upserts in batches, through the same oct_call as everything else, so an
 * import obeys the rules of the API and what was acknowledged is durable: an import that was
 * interrupted is simply started again, as points keep their ids. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "commands_progress.h"
#include "commands_source.h"
#include "commands_text.h"

enum {
    BATCH_POINTS = 1000,
    BATCH_POINTS_MAX = 100000,
    /* A batch ends here whatever its points, well below the largest body a request may have. */
    BATCH_BYTES = OCT_BODY_BYTES_MAX / 2,
    BATCH_FLOATS_MAX = 1 << 26, /* 256 MiB */
    MAINTAIN_MS = 100
};

typedef struct import_options {
    const char *path, *collection, *directory, *payload, *distance, *ids_from;
    uint64_t vector_size, limit, batch;
} import_options;

typedef struct import_state {
    const import_options *options;
    oct_db *db;
    oct_source source;
    oct_text path; /* "/collections/NAME" */
    oct_text body; /* of the batch; kept between batches */
    float *floats; /* of the batch: [float_count] */
    size_t float_count;
    oct_progress progress;
} import_state;

/* Send one request; returns its HTTP status. The reply is the caller's to free. */
static int call(oct_db *db, const char *verb, const oct_text *path, const import_state *state,
                oct_reply *reply)
{
    oct_call_request request = { .verb = verb, .path = { path->at, path->bytes } };
    if (state) {
        request.body = (oct_str){ state->body.at, state->body.bytes };
        request.floats = state->floats;
        request.float_count = state->float_count;
    }
    oct_call(db, &request, reply);
    return reply->http_status;
}

/* Follow `names` [count] down into nested objects. */
static bool find(oct_str text, const char *const *names, size_t count, oct_str *value)
{
    for (size_t i = 0; i < count; i++)
        if (!oct_text_member(text, names[i], &text)) return false;
    *value = text;
    return true;
}

static uint64_t find_number(oct_str text, const char *const *names, size_t count)
{
    oct_str value;
    return find(text, names, count, &value) ? strtoull(value.at, NULL, 10) : 0;
}

/* Print the error of a reply, with what was tried. */
static void print_refusal(const oct_reply *reply, const char *what)
{
    static const char *const names[] = { "status", "error" };
    oct_str body = { reply->body, reply->body_bytes }, message;
    oct_text text = { 0 };
    if (body.bytes > 0 && find(body, names, 2, &message) && oct_text_unquote(message, &text))
        (void)oct_command_fail("%s: %.*s", what, (int)text.bytes, text.at ? text.at : "");
    else
        (void)oct_command_fail("%s: %s", what, oct_status_text(reply->status));
    oct_text_free(&text);
}

/* ---- the collection --------------------------------------------------------------------- */

static bool create_collection(import_state *state)
{
    oct_reply reply;
    const char *distance = state->options->distance;
    state->body.bytes = 0;
    oct_text_print(&state->body,
                   "{\"vectors\":{\"size\":%" PRIu32 ",\"distance\":", state->source.vector_size);
    oct_text_quote(&state->body, (oct_str){ distance, strlen(distance) });
    oct_text_print(&state->body, "}}");
    int http = call(state->db, "PUT", &state->path, state, &reply);
    if (http != 200) print_refusal(&reply, "the collection can't be created");
    oct_reply_free(state->db, &reply);
    return http == 200;
}

/* Find out the vector size, and create the collection when it is missing. */
static bool prepare_collection(import_state *state)
{
    static const char *const size_names[] = { "result", "config", "params", "vectors", "size" };
    oct_reply reply;
    int http = call(state->db, "GET", &state->path, NULL, &reply);
    uint64_t size = state->options->vector_size;
    if (size == 0 && http == 200)
        size = find_number((oct_str){ reply.body, reply.body_bytes }, size_names, 5);
    if (http != 200 && http != 404) print_refusal(&reply, state->options->collection);
    oct_reply_free(state->db, &reply);
    if (http != 200 && http != 404) return false;
    if (size == 0 && state->source.kind == OCT_SOURCE_JSONL)
        size = oct_source_guess_size(&state->source);
    bool needed = http == 404 || state->source.kind != OCT_SOURCE_JSONL;
    if (needed && (size == 0 || size > OCT_VECTOR_SIZE_MAX)) {
        (void)oct_command_fail("the vector size is not known: give --vector-size (1 to %d)",
                               OCT_VECTOR_SIZE_MAX);
        return false;
    }
    if (!oct_source_set_size(&state->source, (uint32_t)size)) return false;
    return http == 200 || create_collection(state);
}

/* ---- points ----------------------------------------------------------------------------- */

/* Send the batch that ends before the source's current row. */
static bool send_batch(import_state *state, const oct_text *path, uint64_t first)
{
    oct_reply reply;
    char what[128];
    oct_text_print(&state->body, "]}");
    if (state->body.failed) return oct_command_fail("out of memory"), false;
    int http = call(state->db, "PUT", path, state, &reply);
    (void)snprintf(what, sizeof what, "points %" PRIu64 " to %" PRIu64, first + 1,
                   state->source.row);
    if (http != 200) print_refusal(&reply, what);
    oct_reply_free(state->db, &reply);
    return http == 200;
}

static double share_done(const import_state *state)
{
    const oct_source *source = &state->source;
    uint64_t limit = state->options->limit;
    double share =
        source->bytes_total ? (double)source->bytes_read / (double)source->bytes_total : 1;
    double of_limit = limit ? (double)source->row / (double)limit : 0;
    return share > of_limit ? share : of_limit;
}

/* Collect and send one batch; 1, 0 when the source is at its end, -1 on failure. */
static int load_batch(import_state *state, const oct_text *path)
{
    oct_source *source = &state->source;
    const import_options *options = state->options;
    uint64_t first = source->row;
    int got = 1;
    state->body.bytes = 0;
    oct_text_print(&state->body, "{\"points\":[");
    while (source->row - first < options->batch && state->body.bytes < BATCH_BYTES) {
        size_t start = (size_t)(source->row - first) * source->vector_size;
        size_t before = state->body.bytes;
        if (options->limit != 0 && source->row == options->limit) got = 0;
        if (got == 1 && source->row > first) oct_text_add(&state->body, ",", 1);
        if (got == 1)
            got = oct_source_next(source, &state->body,
                                  state->floats ? state->floats + start : NULL, start);
        if (got != 1) state->body.bytes = before; /* the comma */
        if (got != 1 || state->body.failed) break;
    }
    if (got < 0 || source->row == first) return got;
    return send_batch(state, path, first) ? got : -1;
}

static bool load_points(import_state *state)
{
    oct_text path = { 0 };
    int got = 1;
    oct_text_add(&path, state->path.at, state->path.bytes);
    oct_text_print(&path, "/points?wait=true");
    oct_progress_start(&state->progress, "imported", "points");
    while (got == 1 && !path.failed) {
        got = load_batch(state, &path);
        oct_progress_step(&state->progress, state->source.row, share_done(state));
    }
    oct_progress_end(&state->progress);
    if (path.failed) (void)oct_command_fail("out of memory");
    oct_text_free(&path);
    if (got != 0) return false;
    double seconds = oct_progress_seconds(&state->progress);
    (void)printf("imported %" PRIu64 " points in %.1f s (%.0f a second)\n", state->source.row,
                 seconds, (double)state->source.row / (seconds > 0 ? seconds : 1));
    return state->options->limit != 0 || oct_source_ended(&state->source);
}

/* ---- indexing --------------------------------------------------------------------------- */

static void show_indexing(import_state *state)
{
    static const char *const indexed_names[] = { "result", "indexed_vectors_count" };
    static const char *const points_names[] = { "result", "points_count" };
    oct_reply reply;
    if (call(state->db, "GET", &state->path, NULL, &reply) == 200) {
        oct_str body = { reply.body, reply.body_bytes };
        uint64_t indexed = find_number(body, indexed_names, 2);
        uint64_t points = find_number(body, points_names, 2);
        oct_progress_step(&state->progress, indexed,
                          points > 0 ? (double)indexed / (double)points : 1);
    }
    oct_reply_free(state->db, &reply);
}

/* Seal, index and merge until nothing is left to do. */
static bool finish(import_state *state)
{
    oct_error error = { 0 };
    bool more = true;
    oct_progress_start(&state->progress, "indexed", "vectors");
    while (more) {
        if (oct_maintain(state->db, MAINTAIN_MS, &more, &error) != OCT_OK) {
            oct_progress_end(&state->progress);
            return oct_command_fail("indexing: %s", error.message), false;
        }
        show_indexing(state);
    }
    oct_progress_end(&state->progress);
    (void)printf("indexed in %.1f s\n", oct_progress_seconds(&state->progress));
    return true;
}

/* ---- the command ------------------------------------------------------------------------ */

static bool allocate_batch(import_state *state)
{
    uint64_t floats = state->options->batch * state->source.vector_size;
    if (state->source.kind == OCT_SOURCE_JSONL) return true;
    if (floats > BATCH_FLOATS_MAX)
        return oct_command_fail("a batch would hold %" PRIu64 " floats: lower --batch", floats),
               false;
    state->floats = malloc((size_t)floats * sizeof *state->floats);
    state->float_count = (size_t)floats;
    if (!state->floats) (void)oct_command_fail("out of memory");
    return state->floats != NULL;
}

static int import(const import_options *options, const oct_host *host)
{
    import_state state = { .options = options };
    oct_command_db opened = { 0 };
    bool good = oct_source_open(&state.source, options->path, options->payload) &&
                oct_command_open(host, options->directory, false, &opened);
    if (good) {
        state.db = opened.db;
        state.source.ids_from = options->ids_from;
        oct_text_print(&state.path, "/collections/");
        oct_text_path(&state.path, options->collection);
        good = !state.path.failed && prepare_collection(&state) && allocate_batch(&state) &&
               load_points(&state) && finish(&state);
    }
    free(state.floats);
    oct_text_free(&state.body);
    oct_text_free(&state.path);
    oct_source_close(&state.source);
    oct_command_close(&opened);
    return good ? OCT_EXIT_OK : OCT_EXIT_FAILED;
}

static bool set_option(import_options *options, int letter, const char *value)
{
    switch (letter) {
    case 'c':
        options->collection = value;
        return true;
    case 'd':
        options->directory = value;
        return true;
    case 'p':
        options->payload = value;
        return true;
    case 'm':
        options->distance = value;
        return true;
    case 'i':
        options->ids_from = value;
        return true;
    case 's':
        return oct_command_number(value, 1, OCT_VECTOR_SIZE_MAX, &options->vector_size);
    case 'l':
        return oct_command_number(value, 1, UINT64_MAX, &options->limit);
    case 'b':
        return oct_command_number(value, 1, BATCH_POINTS_MAX, &options->batch);
    default:
        return false;
    }
}

static int run(int argc, char **argv, const oct_host *host)
{
    static const struct option known[] = { { "collection", required_argument, NULL, 'c' },
                                           { "data", required_argument, NULL, 'd' },
                                           { "payload", required_argument, NULL, 'p' },
                                           { "distance", required_argument, NULL, 'm' },
                                           { "ids-from", required_argument, NULL, 'i' },
                                           { "vector-size", required_argument, NULL, 's' },
                                           { "limit", required_argument, NULL, 'l' },
                                           { "batch", required_argument, NULL, 'b' },
                                           { 0 } };
    import_options options = { .directory = "./octant-data",
                               .distance = "Cosine",
                               .batch = BATCH_POINTS };
    int letter;
    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (letter == '?' || !set_option(&options, letter, optarg))
            return oct_command_usage(&oct_command_import, "%s is not possible",
                                     letter == '?' ? "this option" : optarg);
    }
    if (argc - optind != 1 || !options.collection)
        return oct_command_usage(&oct_command_import, "expected one FILE and --collection NAME");
    options.path = argv[optind];
    return import(&options, host);
}

const oct_command oct_command_import = {
    .name = "import",
    .summary = "load a file of points into a collection and index it",
    .help =
        "usage: octant import FILE --collection NAME [--data DIR] [options]\n"
        "\n"
        "FILE is one of\n"
        "  *.jsonl  one point a line: {\"id\":1,\"vector\":[...],\"payload\":{...}}\n"
        "  *.f32    vectors as little-endian 32-bit floats, one after the other, no header\n"
        "  *.f16    the same as 16-bit floats\n"
        "\n"
        "  --collection NAME    created when it is missing\n"
        "  --data DIR           the database's directory (./octant-data), created when missing\n"
        "  --payload FILE       raw vectors: one JSON object a line, the payload of each row\n"
        "  --ids-from MEMBER    raw vectors: take ids from this payload member (default: id,\n"
        "                       else the row's number from 0)\n"
        "  --vector-size N      numbers per vector; known for existing collections and .jsonl\n"
        "  --distance NAME      of a new collection: Cosine (default), Dot, Euclid, Manhattan\n"
        "  --limit N            only the first N points\n"
        "  --batch N            points per write (1000, at most 100000)\n"
        "\n"
        "Every batch is durable once the next one starts; points keep their ids, so that an\n"
        "interrupted import can be repeated. Exit code 1 when a file, a point or the directory\n"
        "is refused; the batches before it stay.\n",
    .run = run,
};
