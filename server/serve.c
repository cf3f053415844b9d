/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.c - `serve`: own a database and answer its REST API until SIGTERM or SIGINT.
 *
 * Threads: those of rest.c answer requests, one does the background work, the pool's help with
 * both, and the main thread waits for the signal. The order of the end is the point of this file:
 * no new connections, running requests finish, background work stops, the database closes. */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rest.h"

enum {
    MAINTAIN_MS = 50, /* one slice of background work */
    IDLE_MS = 200,    /* look again after this even when nobody wrote: timers of the core */
    RETRY_MS = 5000,  /* after a failure, so that a full disk does not fill the log */
    LISTEN_BACKLOG = 512,
    STOP_WAIT_MS = 30000, /* for running requests */
    TIMEOUT_MS_MAX = 3600000
};

typedef struct serve_options {
    const char *host, *directory;
    uint64_t port, threads;
    uint64_t header_ms, body_grace_ms, body_rate, idle_ms;
} serve_options;

/* ---- background work -------------------------------------------------------------------- */

typedef struct maintainer {
    oct_db *db;
    const oct_host *host;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool wrote; /* since the last slice */
    bool stop;
} maintainer;

static void wake_maintainer(void *arg)
{
    maintainer *self = arg;
    (void)pthread_mutex_lock(&self->lock);
    self->wrote = true;
    (void)pthread_cond_signal(&self->changed);
    (void)pthread_mutex_unlock(&self->lock);
}

/* Sleep until a write, the end or `ms` from now; with ms 0 only look. Returns whether to go on. */
static bool maintainer_rest(maintainer *self, uint32_t ms, bool until_write)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    uint64_t ns = (uint64_t)end.tv_nsec + (uint64_t)ms * 1000000u;
    end.tv_sec += (time_t)(ns / 1000000000u);
    end.tv_nsec = (long)(ns % 1000000000u);
    (void)pthread_mutex_lock(&self->lock);
    int code = 0;
    while (ms > 0 && code == 0 && !self->stop && !(until_write && self->wrote))
        code = pthread_cond_timedwait(&self->changed, &self->lock, &end);
    self->wrote = false;
    bool go_on = !self->stop;
    (void)pthread_mutex_unlock(&self->lock);
    return go_on;
}

static void *maintain(void *arg)
{
    maintainer *self = arg;
    bool go_on = true;
    while (go_on) {
        oct_error error = { 0 };
        bool more = false;
        if (oct_maintain(self->db, MAINTAIN_MS, &more, &error) == OCT_OK) {
            go_on = maintainer_rest(self, more ? 0 : IDLE_MS, true);
        } else {
            self->host->log(self->host->self, OCT_LOG_ERROR, error.message);
            go_on = maintainer_rest(self, RETRY_MS, false);
        }
    }
    return NULL;
}

static bool start_maintainer(maintainer *self, oct_db *db, const oct_host *host)
{
    pthread_condattr_t clock;
    *self = (maintainer){ .db = db, .host = host };
    (void)pthread_mutex_init(&self->lock, NULL);
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&self->changed, &clock);
    (void)pthread_condattr_destroy(&clock);
    return pthread_create(&self->thread, NULL, maintain, self) == 0;
}

static void stop_maintainer(maintainer *self)
{
    (void)pthread_mutex_lock(&self->lock);
    self->stop = true;
    (void)pthread_cond_signal(&self->changed);
    (void)pthread_mutex_unlock(&self->lock);
    (void)pthread_join(self->thread, NULL);
    (void)pthread_cond_destroy(&self->changed);
    (void)pthread_mutex_destroy(&self->lock);
}

/* ---- the socket ------------------------------------------------------------------------- */

static int listen_at(const struct addrinfo *address)
{
    int yes = 1;
    int listener = socket(address->ai_family, SOCK_STREAM, 0);
    if (listener < 0) return -1;
    /* Start again right after a stop, though closed connections of before still linger. */
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, address->ai_addr, address->ai_addrlen) == 0 &&
        listen(listener, LISTEN_BACKLOG) == 0 && fcntl(listener, F_SETFL, O_NONBLOCK) == 0 &&
        fcntl(listener, F_SETFD, FD_CLOEXEC) == 0)
        return listener;
    int code = errno;
    (void)close(listener);
    errno = code;
    return -1;
}

/* A listening socket, or -1 after printing why. */
static int open_listener(const serve_options *options)
{
    struct addrinfo wanted = { .ai_family = AF_UNSPEC,
                               .ai_socktype = SOCK_STREAM,
                               .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    char port[24];
    (void)snprintf(port, sizeof port, "%" PRIu64, options->port);
    int code = getaddrinfo(options->host, port, &wanted, &found);
    if (code != 0) {
        (void)oct_command_fail("--host %s: %s", options->host, gai_strerror(code));
        return -1;
    }
    int listener = listen_at(found);
    if (listener < 0)
        (void)oct_command_fail("http://%s:%s: %s", options->host, port, strerror(errno));
    freeaddrinfo(found);
    return listener;
}

static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           strncmp(host, "127.", 4) == 0;
}

/* ---- the command ------------------------------------------------------------------------ */

static void announce(const serve_options *options)
{
    bool six = strchr(options->host, ':') != NULL;
    (void)printf("octant %s serving %s on http://%s%s%s:%" PRIu64 "\n", oct_version(),
                 options->directory, six ? "[" : "", options->host, six ? "]" : "", options->port);
    (void)fflush(stdout);
    if (!is_loopback(options->host))
        (void)fprintf(stderr,
                      "octant: warning: everyone who can reach %s can read and change "
                      "this database: there are no API keys\n",
                      options->host);
}

/* Answer until a signal comes. The database is open, the signals are blocked. */
static int serve_until_signal(const serve_options *options, const oct_host *host, oct_db *db,
                              const sigset_t *signals)
{
    maintainer background;
    int listener = open_listener(options), signal_number = 0;
    if (listener < 0) return OCT_EXIT_FAILED;
    if (!start_maintainer(&background, db, host)) {
        (void)close(listener);
        return oct_command_fail("a thread can't be started");
    }
    oct_rest *rest = oct_rest_start(&(oct_rest_options){
        .db = db,
        .listener = listener,
        .thread_count = (unsigned)options->threads,
        .local_only = is_loopback(options->host),
        .idle_seconds = (unsigned)((options->idle_ms + 999) / 1000),
        .limits = { .header_ms = (uint32_t)options->header_ms,
                    .body_grace_ms = (uint32_t)options->body_grace_ms,
                    .body_rate = (uint32_t)options->body_rate },
        .wrote = wake_maintainer,
        .wrote_arg = &background,
    });
    int code = OCT_EXIT_OK;
    if (rest) {
        announce(options);
        while (sigwait(signals, &signal_number) != 0)
            continue; /* only EINTR-like trouble */
        oct_rest_stop(rest, STOP_WAIT_MS);
    } else {
        code = oct_command_fail("the HTTP server can't be started: no threads or memory");
    }
    stop_maintainer(&background);
    return code;
}

static int serve(const serve_options *options, const oct_host *host)
{
    oct_command_db opened;
    sigset_t signals;
    /* Blocked before the first thread of the server, so that only sigwait receives them. */
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    (void)sigaction(SIGPIPE, &ignore, NULL); /* a client that went away is no reason to die */
    if (!oct_command_open(host, options->directory, false, &opened)) return OCT_EXIT_FAILED;
    int code = serve_until_signal(options, host, opened.db, &signals);
    oct_command_close(&opened);
    return code;
}

static bool set_option(serve_options *options, int letter, const char *value)
{
    switch (letter) {
    case 'd':
        options->directory = value;
        return true;
    case 'h':
        options->host = value;
        return true;
    case 'p':
        return oct_command_number(value, 1, 65535, &options->port);
    case 't':
        return oct_command_number(value, 1, 256, &options->threads);
    case 'H':
        return oct_command_number(value, 1, TIMEOUT_MS_MAX, &options->header_ms);
    case 'g':
        return oct_command_number(value, 1, TIMEOUT_MS_MAX, &options->body_grace_ms);
    case 'r':
        return oct_command_number(value, 0, UINT32_MAX, &options->body_rate);
    case 'i':
        return oct_command_number(value, 1, TIMEOUT_MS_MAX, &options->idle_ms);
    default:
        return false;
    }
}

static int run(int argc, char **argv, const oct_host *host)
{
    static const struct option known[] = { { "data", required_argument, NULL, 'd' },
                                           { "host", required_argument, NULL, 'h' },
                                           { "port", required_argument, NULL, 'p' },
                                           { "threads", required_argument, NULL, 't' },
                                           { "header-timeout-ms", required_argument, NULL, 'H' },
                                           { "body-grace-ms", required_argument, NULL, 'g' },
                                           { "body-rate", required_argument, NULL, 'r' },
                                           { "idle-timeout-ms", required_argument, NULL, 'i' },
                                           { 0 } };
    serve_options options = { .host = "127.0.0.1",
                              .directory = "./octant-data",
                              .port = 6333,
                              .threads = 4,
                              .header_ms = 5000,
                              .body_grace_ms = 5000,
                              .body_rate = 1024,
                              .idle_ms = 60000 };
    int letter;
    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (letter == '?' || !set_option(&options, letter, optarg))
            return oct_command_usage(&oct_command_serve, "%s is not possible",
                                     letter == '?' ? "this option" : optarg);
    }
    if (optind != argc)
        return oct_command_usage(&oct_command_serve, "%s is one word too many", argv[optind]);
    return serve(&options, host);
}

const oct_command oct_command_serve = {
    .name = "serve",
    .summary = "answer the REST API over HTTP",
    .help = "usage: octant serve [OPTIONS]\n"
            "\n"
            "  --data DIR      directory of the database (./octant-data), created when missing\n"
            "  --host ADDRESS  address to listen on (127.0.0.1); there are no API keys, so choose\n"
            "                  another one only in a network where everybody is trusted\n"
            "  --port N        1 to 65535 (6333)\n"
            "  --threads N     threads that answer requests, 1 to 256 (4)\n"
            "\n"
            "Connections are closed, with status 408 where there was a request, when\n"
            "  --header-timeout-ms N  the header of a request is not there N ms after its first\n"
            "                         byte (5000)\n"
            "  --body-grace-ms N      a body takes longer than N ms (5000) and a second more for\n"
            "  --body-rate N          each N bytes that came (1024); 0 = bodies may be slow\n"
            "  --idle-timeout-ms N    nothing came or went for N ms, in whole seconds (60000)\n"
            "\n"
            "Prints one line when it is ready. SIGTERM and SIGINT stop it: running requests\n"
            "finish, the exit code is 0. Bodies have at most 32 MiB. On a loopback address\n"
            "requests whose Host or Origin header is not this machine are refused.\n"
            "\n"
            "Exit code 1 when the port or directory is in use or the database can't be opened.\n",
    .run = run,
};
