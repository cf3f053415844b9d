/* SPDX-License-Identifier: Apache-2.0
 *
 * rest.h - the REST door: HTTP requests in, oct_call, replies out. */
#ifndef OCTANT_SERVER_REST_H
#define OCTANT_SERVER_REST_H

#include <stdbool.h>

#include "deadline.h"
#include "octant/octant.h"

typedef struct oct_rest oct_rest;

typedef struct oct_rest_options {
    oct_db *db;                 /* outlives the server */
    int listener;               /* a listening socket; the server closes it */
    unsigned thread_count;      /* threads that answer requests, at least 1 */
    bool local_only;            /* refuse requests whose Host or Origin is not this machine */
    unsigned idle_seconds;      /* close connections after so long without a byte, at least 1 */
    oct_deadline_limits limits; /* close those whose requests arrive too slowly */
    /* Called by any thread after a request that may have changed something. */
    void (*wrote)(void *arg);
    void *wrote_arg;
} oct_rest_options;

/* Start answering. NULL when threads or memory are not to be had (the listener is closed then). */
oct_rest *oct_rest_start(const oct_rest_options *options);

/* Take no new connection, let running requests end (for at most `wait_ms`), then close all. */
void oct_rest_stop(oct_rest *rest, unsigned wait_ms);

#endif
