/* SPDX-License-Identifier: Apache-2.0
 *
 * call.h - what the ways into the core (call.c, search.c) share: how an error is worded. */
#ifndef OCTANT_API_CALL_H
#define OCTANT_API_CALL_H

#include "api/message.h"

enum {
    OCT_ERROR_PREFIX_BYTES_MAX = 64,
    OCT_ERROR_TEXT_BYTES = OCT_ERROR_PREFIX_BYTES_MAX + OCT_ERROR_MESSAGE_BYTES
};

/* The whole text a client reads, "Wrong input: ..", from the bare message of the layer that found
 * the problem, into text[OCT_ERROR_TEXT_BYTES]. */
oct_str oct_error_text(const char *message, oct_status status, oct_stage stage, char *text);

#endif
