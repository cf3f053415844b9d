/* SPDX-License-Identifier: Apache-2.0
 *
 * deadline.h - close connections whose requests arrive too slowly. Why and how: deadline.c. */
#ifndef OCTANT_SERVER_DEADLINE_H
#define OCTANT_SERVER_DEADLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct oct_deadlines oct_deadlines; /* of one server */
typedef struct oct_deadline oct_deadline;   /* of one connection */

typedef struct oct_deadline_limits {
    uint32_t header_ms;     /* from the first byte of a request to the end of its header */
    uint32_t body_grace_ms; /* a body may take this long, and ... */
    uint32_t body_rate;     /* ... a second more for each so many bytes that came; 0 = no limit */
} oct_deadline_limits;

/* Start the thread that watches. NULL when it or memory is not to be had. */
oct_deadlines *oct_deadlines_start(const oct_deadline_limits *limits);
/* Stop it; no connection is left. NULL allowed. */
void oct_deadlines_stop(oct_deadlines *all);

/* Watch a new connection that has sent nothing yet. NULL when memory ran out. */
oct_deadline *oct_deadline_add(oct_deadlines *all, int socket);
/* Forget it, before its socket is closed. NULL allowed, also below. */
void oct_deadline_remove(oct_deadlines *all, oct_deadline *one);

/* What the connection's own thread tells. All but `idle` are false when the connection was cut:
 * it must not be answered any more. */
bool oct_deadline_header(oct_deadlines *all, oct_deadline *one); /* a request line came */
bool oct_deadline_body(oct_deadlines *all, oct_deadline *one);   /* the header is complete */
bool oct_deadline_part(oct_deadlines *all, oct_deadline *one, size_t bytes); /* of the body */
bool oct_deadline_answer(oct_deadlines *all, oct_deadline *one);             /* the answer begins */
void oct_deadline_idle(oct_deadlines *all, oct_deadline *one); /* it was sent: the next one */

#endif
