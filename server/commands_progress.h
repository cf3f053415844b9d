/* SPDX-License-Identifier: Apache-2.0
 *
 * commands_progress.h - how far a long command is, on standard error. */
#ifndef OCTANT_SERVER_COMMANDS_PROGRESS_H
#define OCTANT_SERVER_COMMANDS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct oct_progress {
    const char *verb;  /* "imported" */
    const char *noun;  /* "points" */
    uint64_t start_ns; /* of the whole */
    uint64_t shown_ns; /* when something was printed last */
    bool terminal;     /* a bar that redraws itself, not a line every few seconds */
} oct_progress;

void oct_progress_start(oct_progress *progress, const char *verb, const char *noun);

/* `count` nouns are done; `share` in 0..1 is how much of the whole that is. Prints at most some
 * times a second. */
void oct_progress_step(oct_progress *progress, uint64_t count, double share);

/* Wipe the bar. */
void oct_progress_end(oct_progress *progress);

/* Seconds since the start. */
double oct_progress_seconds(const oct_progress *progress);

#endif
