/* SPDX-License-Identifier: Apache-2.0
 *
 * commands_progress.c - a progress bar for people, plain lines for logs. */
#include "commands_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "commands_host.h"

enum { BAR_COLUMNS = 24 };
#define REDRAW_NS UINT64_C(100000000)
#define LINE_NS   UINT64_C(5000000000) /* a log should stay readable */

void oct_progress_start(oct_progress *progress, const char *verb, const char *noun)
{
    uint64_t now = oct_host_now_ns();
    *progress = (oct_progress){ .verb = verb,
                                .noun = noun,
                                .start_ns = now,
                                .shown_ns = now,
                                .terminal = isatty(STDERR_FILENO) == 1 };
}

double oct_progress_seconds(const oct_progress *progress)
{
    return (double)(oct_host_now_ns() - progress->start_ns) / 1e9;
}

void oct_progress_step(oct_progress *progress, uint64_t count, double share)
{
    uint64_t now = oct_host_now_ns();
    if (now - progress->shown_ns < (progress->terminal ? REDRAW_NS : LINE_NS)) return;
    progress->shown_ns = now;
    double seconds = oct_progress_seconds(progress);
    double rate = seconds > 0 ? (double)count / seconds : 0;
    double left = share > 0 ? seconds * (1 - share) / share : 0;
    if (progress->terminal) {
        char bar[BAR_COLUMNS + 1] = { 0 };
        int full = (int)(share * (double)BAR_COLUMNS);
        for (int i = 0; i < BAR_COLUMNS; i++)
            bar[i] = i < full ? '#' : '.';
        (void)fprintf(stderr, "\r[%s] ", bar);
    }
    (void)fprintf(stderr, "%s %" PRIu64 " %s, %.0f%%, %.0f a second, %.0f s left", progress->verb,
                  count, progress->noun, share * 100, rate, left);
    (void)fputs(progress->terminal ? "\033[K" : "\n", stderr);
}

void oct_progress_end(oct_progress *progress)
{
    if (progress->terminal) (void)fputs("\r\033[K", stderr);
}
