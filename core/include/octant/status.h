/* SPDX-License-Identifier: Apache-2.0
 *
 * status.h - how every function of Octant reports failure.
 *
 * A function that can fail returns oct_status and takes `oct_error *error` last. The error is
 * caller memory, so reporting can't fail. The first reporter writes the message; callers above
 * pass it through. `error` may be NULL when only the status matters. */
#ifndef OCTANT_STATUS_H
#define OCTANT_STATUS_H

#if defined(__GNUC__)
#define OCT_MUST_CHECK          __attribute__((warn_unused_result))
#define OCT_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define OCT_API                 __attribute__((visibility("default")))
#else
#define OCT_MUST_CHECK
#define OCT_PRINTF(text, first)
#define OCT_API
#endif

typedef enum oct_status {
#define OCT_STATUS(name, http, grpc, text) OCT_##name,
#include "octant/status.def"
#undef OCT_STATUS
    OCT_STATUS_COUNT
} oct_status;

enum { OCT_ERROR_MESSAGE_BYTES = 1024 };

typedef struct oct_error {
    oct_status status;
    int os_code; /* errno of the host's call, 0 when there was none */
    char
        message[OCT_ERROR_MESSAGE_BYTES]; /* NUL-terminated UTF-8: where, what, what was expected */
} oct_error;

/* The constant text, HTTP status and gRPC code of a status. Unknown values give "unknown", 500, 2.
 */
OCT_API const char *oct_status_text(oct_status status);
OCT_API int oct_status_http(oct_status status);
OCT_API int oct_status_grpc(oct_status status);

#endif
