/* SPDX-License-Identifier: Apache-2.0
 *
 * commands_host.c - oct_host over the C library.
 *
 * getentropy is asked for instead of reading /dev/urandom because WASI has no such file; both C
 * libraries show it only beyond plain POSIX, hence _DEFAULT_SOURCE. So they do madvise. */
#define _DEFAULT_SOURCE

#include "commands_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

/* What one call of getentropy gives at most, on every system that has it. */
enum { ENTROPY_BYTES_MAX = 256 };

/* Blocks from this size on ask for large pages. */
enum { LARGE_BLOCK_BYTES = 8 << 20, LARGE_PAGE_BYTES = 2 << 20 };

/* Graphs are read at random: with pages of 4 KiB nearly every read also waits for an address to be
 * translated. The kernel may say no, and then nothing is lost. */
static void ask_for_large_pages(void *block, size_t bytes)
{
#ifdef __linux__
    size_t skipped = (LARGE_PAGE_BYTES - (uintptr_t)block % LARGE_PAGE_BYTES) % LARGE_PAGE_BYTES;
    size_t inside = (bytes - skipped) / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES;
    (void)madvise((char *)block + skipped, inside, MADV_HUGEPAGE);
#else
    (void)block;
    (void)bytes;
#endif
}

static void *host_resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    (void)self;
    (void)old_bytes;
    if (new_bytes == 0) {
        free(old);
        return NULL;
    }
    void *block = realloc(old, new_bytes);
    if (block && new_bytes >= LARGE_BLOCK_BYTES) ask_for_large_pages(block, new_bytes);
    return block;
}

static const oct_alloc host_alloc = { .self = NULL, .resize = host_resize };

const oct_alloc *oct_host_alloc(void)
{
    return &host_alloc;
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now = { 0 };
    (void)clock_gettime(clock, &now); /* these two clocks exist wherever this compiles */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t oct_host_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t host_monotonic_ns(void *self)
{
    (void)self;
    return oct_host_now_ns();
}

static uint64_t host_unix_ms(void *self)
{
    (void)self;
    return clock_ns(CLOCK_REALTIME) / 1000000u;
}

static oct_status host_entropy(void *self, void *target, size_t bytes, oct_error *error)
{
    (void)self;
    for (size_t done = 0; done < bytes;) {
        size_t part = bytes - done < ENTROPY_BYTES_MAX ? bytes - done : ENTROPY_BYTES_MAX;
        if (getentropy((char *)target + done, part) != 0) {
            if (error) {
                error->status = OCT_IO;
                error->os_code = errno;
                (void)snprintf(error->message, sizeof error->message,
                               "getentropy: the system gave no random bytes: %s", strerror(errno));
            }
            return OCT_IO;
        }
        done += part;
    }
    return OCT_OK;
}

static void host_log(void *self, oct_log_level level, const char *message)
{
    static const char *const names[] = { "debug", "info", "warning", "error" };
    (void)self;
    (void)fprintf(stderr, "octant: %s: %s\n", names[level], message);
}

oct_host oct_host_create(void)
{
    return (oct_host){
        .alloc = &host_alloc,
        .unix_ms = host_unix_ms,
        .monotonic_ns = host_monotonic_ns,
        .entropy = host_entropy,
        .log = host_log,
        .parallel_width = 1,
    };
}
