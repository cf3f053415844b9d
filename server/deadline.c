/* SPDX-License-Identifier: Apache-2.0
 *
 * deadline.c - close connections whose requests arrive too slowly.
 *
 * The HTTP library's timeout is about silence: a client that sends one byte a minute keeps its
 * connection for ever, and a thousand of them keep everybody else out. So a thread of our own looks
 * at all connections some times a second and shuts down the sockets of those that are late, after
 * sending a 408; the library then finds an ended connection and cleans up.
 *
 * The library does not tell when the first byte of a request came, only the whole request line.
 * The kernel does: it counts the bytes it received for a socket, so the watcher sees that bytes
 * came after the last answer. Silence between requests is left to the library's timeout.
 *
 * A slow server is not the client's fault. While a thread of the server is busy with a query, the
 * bytes of its other connections wait in the kernel. When between two looks nothing was read of a
 * connection although there is something to read, its time starts anew. (Unread bytes alone are no
 * sign: a client that sends single bytes often enough would mostly have one on the way.)
 *
 * One lock guards the list and every connection. `remove` is called before the socket is closed,
 * so a socket in the list is open and is ours. Rejected: timers per connection (more code, and a
 * deadline need not be exact), counting bytes by reading sockets ourselves (that is a second HTTP
 * parser). */
#include "deadline.h"

#include <linux/tcp.h> /* the C library's struct tcp_info ends before the bytes received */
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

enum { LOOK_MS_MIN = 5, LOOK_MS_MAX = 250, LOOKS = 8 /* within the shortest deadline */ };

typedef enum phase { IDLE, HEADER, BODY, ANSWER, CUT } phase;

struct oct_deadline {
    oct_deadline *next, **link; /* in the list */
    int socket;
    phase phase;
    uint64_t since_ms;      /* when the phase began, or the server was last behind */
    uint64_t idle_received; /* what the kernel had received when the phase became IDLE */
    uint64_t body_bytes;    /* since since_ms */
    uint64_t taken;         /* bytes read by the server, at the last look */
};

struct oct_deadlines {
    oct_deadline_limits limits;
    uint32_t look_ms;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    oct_deadline *first;
    bool stop;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- looking ---------------------------------------------------------------------------- */

/* Bytes ever received, read or not. A kernel that can't tell gives UINT64_MAX: then a connection
 * counts as one that has begun to send. */
static uint64_t received(int socket)
{
    struct tcp_info info;
    socklen_t bytes = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0 ||
        bytes < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
        return UINT64_MAX;
    return info.tcpi_bytes_received;
}

/* Do bytes wait for the server, which read none since the last look? */
static bool server_is_behind(oct_deadline *one)
{
    int unread = 0;
    if (ioctl(one->socket, FIONREAD, &unread) != 0 || unread < 0) unread = 0;
    uint64_t taken = received(one->socket) - (uint64_t)unread;
    bool behind = unread > 0 && taken == one->taken;
    one->taken = taken;
    return behind;
}

static bool is_late(const oct_deadlines *all, const oct_deadline *one, uint64_t now)
{
    uint64_t ms = now - one->since_ms;
    if (one->phase == HEADER) return ms > all->limits.header_ms;
    if (one->phase != BODY || all->limits.body_rate == 0 || ms <= all->limits.body_grace_ms)
        return false;
    return one->body_bytes * 1000 / all->limits.body_rate < ms - all->limits.body_grace_ms;
}

static void cut(oct_deadline *one)
{
    static const char reply[] = "HTTP/1.1 408 Request Timeout\r\n"
                                "Connection: close\r\nContent-Length: 0\r\n\r\n";
    /* Whether it is heard does not matter. */
    (void)send(one->socket, reply, sizeof reply - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(one->socket, SHUT_RDWR);
    one->phase = CUT;
}

static void look_at(const oct_deadlines *all, oct_deadline *one, uint64_t now)
{
    if (one->phase == IDLE && received(one->socket) != one->idle_received) {
        one->phase = HEADER;
        one->since_ms = now;
    }
    if (one->phase != HEADER && one->phase != BODY) return;
    if (server_is_behind(one)) {
        one->since_ms = now;
        one->body_bytes = 0;
    }
    if (is_late(all, one, now)) cut(one);
}

/* Wait for the next look; false when it is time to stop. The lock is held. */
static bool rest(oct_deadlines *all)
{
    struct timespec end;
    int code = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += (long)all->look_ms * 1000000;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    while (!all->stop && code == 0)
        code = pthread_cond_timedwait(&all->changed, &all->lock, &end);
    return !all->stop;
}

static void *watch(void *arg)
{
    oct_deadlines *all = arg;
    (void)pthread_mutex_lock(&all->lock);
    while (rest(all)) {
        uint64_t now = now_ms();
        for (oct_deadline *one = all->first; one; one = one->next)
            look_at(all, one, now);
    }
    (void)pthread_mutex_unlock(&all->lock);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------- */

static uint32_t look_ms_of(const oct_deadline_limits *limits)
{
    uint32_t shortest = limits->header_ms;
    if (limits->body_rate > 0 && limits->body_grace_ms < shortest) shortest = limits->body_grace_ms;
    uint32_t ms = shortest / LOOKS;
    return ms < LOOK_MS_MIN ? LOOK_MS_MIN : ms > LOOK_MS_MAX ? LOOK_MS_MAX : ms;
}

oct_deadlines *oct_deadlines_start(const oct_deadline_limits *limits)
{
    pthread_condattr_t clock;
    oct_deadlines *all = calloc(1, sizeof *all);
    if (!all) return NULL;
    all->limits = *limits;
    all->look_ms = look_ms_of(limits);
    (void)pthread_mutex_init(&all->lock, NULL);
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&all->changed, &clock);
    (void)pthread_condattr_destroy(&clock);
    if (pthread_create(&all->thread, NULL, watch, all) == 0) return all;
    (void)pthread_cond_destroy(&all->changed);
    (void)pthread_mutex_destroy(&all->lock);
    free(all);
    return NULL;
}

void oct_deadlines_stop(oct_deadlines *all)
{
    if (!all) return;
    (void)pthread_mutex_lock(&all->lock);
    all->stop = true;
    (void)pthread_cond_signal(&all->changed);
    (void)pthread_mutex_unlock(&all->lock);
    (void)pthread_join(all->thread, NULL);
    (void)pthread_cond_destroy(&all->changed);
    (void)pthread_mutex_destroy(&all->lock);
    free(all);
}

/* ---- one connection --------------------------------------------------------------------- */

oct_deadline *oct_deadline_add(oct_deadlines *all, int socket)
{
    oct_deadline *one = calloc(1, sizeof *one);
    if (!one) return NULL;
    one->socket = socket;
    (void)pthread_mutex_lock(&all->lock);
    one->since_ms = now_ms();
    one->next = all->first;
    one->link = &all->first;
    if (one->next) one->next->link = &one->next;
    all->first = one;
    (void)pthread_mutex_unlock(&all->lock);
    return one;
}

void oct_deadline_remove(oct_deadlines *all, oct_deadline *one)
{
    if (!one) return;
    (void)pthread_mutex_lock(&all->lock);
    *one->link = one->next;
    if (one->next) one->next->link = one->link;
    (void)pthread_mutex_unlock(&all->lock);
    free(one);
}

/* Enter a phase, unless the connection was cut. The time of a header the watcher has seen begin
 * goes on. */
static bool enter(oct_deadlines *all, oct_deadline *one, phase next)
{
    if (!one) return true;
    (void)pthread_mutex_lock(&all->lock);
    bool open = one->phase != CUT;
    if (open && one->phase != next) {
        one->phase = next;
        one->since_ms = now_ms();
        one->body_bytes = 0;
        if (next == IDLE) one->idle_received = received(one->socket);
    }
    (void)pthread_mutex_unlock(&all->lock);
    return open;
}

bool oct_deadline_header(oct_deadlines *all, oct_deadline *one)
{
    return enter(all, one, HEADER);
}

bool oct_deadline_body(oct_deadlines *all, oct_deadline *one)
{
    return enter(all, one, BODY);
}

bool oct_deadline_answer(oct_deadlines *all, oct_deadline *one)
{
    return enter(all, one, ANSWER);
}

void oct_deadline_idle(oct_deadlines *all, oct_deadline *one)
{
    (void)enter(all, one, IDLE);
}

bool oct_deadline_part(oct_deadlines *all, oct_deadline *one, size_t bytes)
{
    if (!one) return true;
    (void)pthread_mutex_lock(&all->lock);
    bool open = one->phase != CUT;
    one->body_bytes += bytes;
    (void)pthread_mutex_unlock(&all->lock);
    return open;
}
