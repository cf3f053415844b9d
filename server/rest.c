/* SPDX-License-Identifier: Apache-2.0
 *
 * rest.c - HTTP/1.1 by libmicrohttpd: a pool of threads, each with an epoll of its own and its
 * share of the connections. Who is silent for too long is closed by the library, who sends too
 * slowly by deadline.c.
 *
 * A request is collected whole (bodies have a maximum) and answered by its connection's thread
 * with one oct_call: no queue between HTTP and the database. Handing calls to other threads
 * (suspend and resume) was measured to halve throughput. The price is that a slow query delays the
 * other connections of its thread, which is what the number of threads is for.
 *
 * A page of any web site can make a browser send requests to this machine. Until there are API
 * keys, a server on the loopback address therefore refuses a Host or Origin that is not this
 * machine: such a request comes from a foreign page, directly or by rebinding its name. */
#include "rest.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 1024,
    CONNECTIONS_PER_ADDRESS_MAX = 256,
    /* Read buffer per connection: request line and headers must fit in it. */
    CONNECTION_BYTES = 64 << 10,
    /* A body that is too large is read up to here and dropped, because clients that are still
     * writing when the connection closes never see the answer. */
    DRAIN_BYTES_MAX = 4 * OCT_BODY_BYTES_MAX,
    BODY_BYTES_FIRST = 4 << 10
};

struct oct_rest {
    struct MHD_Daemon *daemon;
    oct_rest_options options;
    oct_deadlines *deadlines;
    atomic_uint running; /* requests between their first line and their end */
};

typedef struct rest_request {
    char *uri;              /* as sent: path and query string, not decoded */
    oct_deadline *deadline; /* of the connection; NULL when there was no memory for it */
    bool started;
    bool too_large;      /* the body is being dropped */
    uint64_t body_bytes; /* seen so far */
    size_t body_capacity;
    char *body;
} rest_request;

typedef struct rest_reply { /* lives until its response was sent */
    oct_db *db;
    oct_reply reply;
} rest_reply;

/* ---- answers ---------------------------------------------------------------------------- */

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned http,
                                     const char *content_type, struct MHD_Response *response)
{
    if (!response) return MHD_NO;
    enum MHD_Result queued = MHD_NO;
    if (!content_type ||
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type) == MHD_YES)
        queued = MHD_queue_response(connection, http, response);
    MHD_destroy_response(response);
    return queued;
}

/* An error of the server itself, in the database's envelope. `message` needs no escapes. */
static enum MHD_Result send_error(struct MHD_Connection *connection, unsigned http,
                                  const char *message)
{
    char body[512];
    int bytes = snprintf(body, sizeof body,
                         "{\"result\":null,\"status\":{\"error\":\"%s\"},\"time\":0.0}", message);
    return send_response(
        connection, http, "application/json",
        MHD_create_response_from_buffer((size_t)bytes, body, MHD_RESPMEM_MUST_COPY));
}

static void free_reply(void *arg)
{
    rest_reply *owned = arg;
    oct_reply_free(owned->db, &owned->reply);
    free(owned);
}

static bool may_write(const char *method)
{
    return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
}

static enum MHD_Result send_reply(oct_rest *rest, struct MHD_Connection *connection,
                                  const char *method, const rest_request *request)
{
    rest_reply *owned = calloc(1, sizeof *owned);
    if (!owned) return send_error(connection, 507, "out of memory");
    owned->db = rest->options.db;
    /* The library leaves the body of a HEAD away by itself. */
    oct_call_request call = { .verb = strcmp(method, "HEAD") == 0 ? "GET" : method,
                              .path = { request->uri, strlen(request->uri) },
                              .body = { request->body, (size_t)request->body_bytes } };
    oct_call(owned->db, &call, &owned->reply);
    if (may_write(method)) rest->options.wrote(rest->options.wrote_arg);
    const oct_reply *reply = &owned->reply;
    if (!reply->body) {
        free_reply(owned);
        return send_error(connection, 507, "out of memory");
    }
    unsigned http = (unsigned)reply->http_status;
    const char *content_type = reply->content_type;
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        reply->body_bytes, reply->body, free_reply, owned);
    if (!response) free_reply(owned);
    return send_response(connection, http, content_type, response);
}

static enum MHD_Result send_options(struct MHD_Connection *connection)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    static const char verbs[] = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    if (response && MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, verbs) != MHD_YES) {
        MHD_destroy_response(response);
        return MHD_NO;
    }
    return send_response(connection, MHD_HTTP_NO_CONTENT, NULL, response);
}

/* ---- who is asking ---------------------------------------------------------------------- */

/* Does "host" or "host:port" name this machine by its loopback address? */
static bool is_local(const char *host)
{
    static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t bytes = strlen(names[i]);
        if (strncasecmp(host, names[i], bytes) != 0) continue;
        if (host[bytes] == 0) return true;
        const char *port = host + bytes + 1;
        if (host[bytes] == ':' && strspn(port, "0123456789") == strlen(port)) return true;
    }
    return false;
}

/* NULL, or why the request is refused. */
static const char *foreign_request(const oct_rest *rest, struct MHD_Connection *connection)
{
    if (!rest->options.local_only) return NULL;
    const char *host =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    const char *origin =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    if (host && !is_local(host))
        return "Forbidden: the Host header must be localhost, 127.0.0.1 or [::1] while the server "
               "listens on the loopback address";
    if (!origin) return NULL;
    const char *name = strstr(origin, "://");
    if (name && is_local(name + 3)) return NULL;
    return "Forbidden: requests of web pages from other machines are not accepted while the "
           "server listens on the loopback address";
}

/* ---- one request ------------------------------------------------------------------------ */

/* Called with each connection, and again before its socket is closed. */
static void on_connection(void *self, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    oct_rest *rest = self;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        oct_deadline_remove(rest->deadlines, *context);
        *context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *context = info ? oct_deadline_add(rest->deadlines, info->connect_fd) : NULL;
}

/* Called with the request line, before the library decodes it. The result becomes *state below. */
static void *begin_request(void *self, const char *uri, struct MHD_Connection *connection)
{
    oct_rest *rest = self;
    rest_request *request = calloc(1, sizeof *request);
    char *copy = request ? strdup(uri) : NULL;
    if (!copy) {
        free(request);
        return NULL;
    }
    request->uri = copy;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    request->deadline = info ? info->socket_context : NULL;
    (void)oct_deadline_header(rest->deadlines, request->deadline); /* cut: seen with the rest */
    (void)atomic_fetch_add(&rest->running, 1);
    return request;
}

static void end_request(void *self, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode code)
{
    oct_rest *rest = self;
    rest_request *request = *state;
    (void)connection;
    (void)code;
    if (!request) return;
    oct_deadline_idle(rest->deadlines, request->deadline);
    free(request->uri);
    free(request->body);
    free(request);
    *state = NULL;
    (void)atomic_fetch_sub(&rest->running, 1);
}

/* The headers are here. Answers at once when the body need not be read. */
static enum MHD_Result start_request(const oct_rest *rest, struct MHD_Connection *connection,
                                     rest_request *request)
{
    request->started = true;
    const char *refused = foreign_request(rest, connection);
    if (refused) return send_error(connection, MHD_HTTP_FORBIDDEN, refused);
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *expect =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    unsigned long long bytes = length ? strtoull(length, NULL, 10) : 0;
    request->too_large = bytes > OCT_BODY_BYTES_MAX;
    if (bytes > DRAIN_BYTES_MAX || (request->too_large && expect))
        return send_error(connection, MHD_HTTP_CONTENT_TOO_LARGE,
                          "the body is larger than 33554432 bytes (32 MiB)");
    return MHD_YES;
}

static bool grow_body(rest_request *request, size_t more)
{
    size_t capacity = request->body_capacity ? request->body_capacity : BODY_BYTES_FIRST;
    while (capacity - request->body_bytes < more)
        capacity *= 2;
    if (capacity == request->body_capacity) return true;
    char *grown = realloc(request->body, capacity);
    if (!grown) return false;
    request->body = grown;
    request->body_capacity = capacity;
    return true;
}

/* Returns MHD_NO, which closes the connection, when there is no other way to say no. */
static enum MHD_Result take_body(rest_request *request, const char *at, size_t bytes)
{
    if (request->body_bytes + bytes > DRAIN_BYTES_MAX) return MHD_NO;
    if (request->body_bytes + bytes > OCT_BODY_BYTES_MAX) request->too_large = true;
    if (!request->too_large) {
        if (!grow_body(request, bytes)) return MHD_NO;
        memcpy(request->body + request->body_bytes, at, bytes);
    }
    request->body_bytes += bytes;
    return MHD_YES;
}

/* Called by the library with the headers, with each part of the body, and at the end. */
static enum MHD_Result on_request(void *self, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_bytes, void **state)
{
    oct_rest *rest = self;
    rest_request *request = *state;
    (void)url;
    (void)version;
    if (!request) return MHD_NO; /* no memory when the request began */
    if (!request->started) {
        if (!oct_deadline_body(rest->deadlines, request->deadline)) return MHD_NO;
        return start_request(rest, connection, request);
    }
    if (*upload_bytes > 0) {
        if (!oct_deadline_part(rest->deadlines, request->deadline, *upload_bytes)) return MHD_NO;
        enum MHD_Result taken = take_body(request, upload, *upload_bytes);
        *upload_bytes = 0;
        return taken;
    }
    if (!oct_deadline_answer(rest->deadlines, request->deadline)) return MHD_NO;
    if (request->too_large)
        return send_error(connection, MHD_HTTP_CONTENT_TOO_LARGE,
                          "the body is larger than 33554432 bytes (32 MiB)");
    if (strcmp(method, "OPTIONS") == 0) return send_options(connection);
    return send_reply(rest, connection, method, request);
}

/* ---- the server ------------------------------------------------------------------------- */

oct_rest *oct_rest_start(const oct_rest_options *options)
{
    oct_rest *rest = calloc(1, sizeof *rest);
    if (rest) rest->deadlines = oct_deadlines_start(&options->limits);
    if (rest && rest->deadlines) {
        rest->options = *options;
        atomic_init(&rest->running, 0);
        unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC;
        /* A pool of one is refused by the library: one thread is what it has without a pool. */
        unsigned pool = options->thread_count > 1 ? options->thread_count : 0;
        rest->daemon = MHD_start_daemon(
            flags, 0, NULL, NULL, on_request, rest, MHD_OPTION_LISTEN_SOCKET, options->listener,
            MHD_OPTION_THREAD_POOL_SIZE, pool, MHD_OPTION_CONNECTION_LIMIT,
            (unsigned)CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
            (unsigned)CONNECTIONS_PER_ADDRESS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
            options->idle_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
            MHD_OPTION_NOTIFY_CONNECTION, on_connection, rest, MHD_OPTION_URI_LOG_CALLBACK,
            begin_request, rest, MHD_OPTION_NOTIFY_COMPLETED, end_request, rest, MHD_OPTION_END);
    }
    if (rest && rest->daemon) return rest;
    (void)close(options->listener);
    if (rest) oct_deadlines_stop(rest->deadlines);
    free(rest);
    return NULL;
}

void oct_rest_stop(oct_rest *rest, unsigned wait_ms)
{
    MHD_socket listener = MHD_quiesce_daemon(rest->daemon);
    for (unsigned ms = 0; ms < wait_ms && atomic_load(&rest->running) > 0; ms += 5)
        (void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    MHD_stop_daemon(rest->daemon);
    oct_deadlines_stop(rest->deadlines);
    if (listener != MHD_INVALID_SOCKET) (void)close(listener);
    free(rest);
}
