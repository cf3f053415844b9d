/* SPDX-License-Identifier: Apache-2.0
 *
 * status.c - the table of statuses and the one place where error messages are formatted.
 *
 * The table is expanded from status.def, so a status can't lack a code or a text. Messages go
 * through vsnprintf, the only stdio function of the core: it writes into caller memory, needs no
 * file and is in every C library we link. A formatter of our own was rejected, because the
 * compilers check only the format strings of the real one. */
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"

typedef struct status_row {
    const char *text;
    int http;
    int grpc;
} status_row;

static const status_row rows[] = {
#define OCT_STATUS(name, http, grpc, text) [OCT_##name] = { text, http, grpc },
#include "octant/status.def"
#undef OCT_STATUS
};

STATIC_ASSERT(ARRAY_COUNT(rows) == OCT_STATUS_COUNT, "every status has a row");

static const status_row *row_of(oct_status status)
{
    static const status_row unknown = { "unknown", 500, 2 };
    /* The value may come from a host, which may return anything; through unsigned because the
     * sign of an enum's type is the compiler's choice. */
    return (unsigned)status < OCT_STATUS_COUNT ? &rows[status] : &unknown;
}

const char *oct_status_text(oct_status status)
{
    return row_of(status)->text;
}
int oct_status_http(oct_status status)
{
    return row_of(status)->http;
}
int oct_status_grpc(oct_status status)
{
    return row_of(status)->grpc;
}

/* Where a text of which only the first `bytes` bytes are kept must end so that no character is
 * torn: back over continuation bytes to the last first byte, and keep it if it is complete. */
static size_t character_boundary(const char *text, size_t bytes)
{
    size_t start = bytes;
    while (start > 0 && bytes - start < 4) {
        unsigned char byte = (unsigned char)text[--start];
        if ((byte & 0xC0) == 0x80) continue;
        size_t needed = byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
        return start + needed <= bytes ? bytes : start;
    }
    return bytes; /* not UTF-8 anyway */
}

static void OCT_PRINTF(2, 0) write_message(oct_error *error, const char *format, va_list arguments)
{
    int bytes = vsnprintf(error->message, sizeof error->message, format, arguments);
    if (bytes < 0) {
        error->message[0] = '\0';
    } else if ((size_t)bytes >= sizeof error->message) {
        error->message[character_boundary(error->message, sizeof error->message - 1)] = '\0';
    }
}

oct_status oct_fail(oct_error *error, oct_status status, const char *format, ...)
{
    ASSERT(status != OCT_OK);
    if (!error) return status;
    error->status = status;
    error->os_code = 0;
    va_list arguments;
    va_start(arguments, format);
    write_message(error, format, arguments);
    va_end(arguments);
    return status;
}

void oct_note(oct_error *text, const char *format, ...)
{
    text->status = OCT_OK;
    text->os_code = 0;
    va_list arguments;
    va_start(arguments, format);
    write_message(text, format, arguments);
    va_end(arguments);
}

oct_status oct_fail_os(oct_error *error, oct_status status, int os_code, const char *format, ...)
{
    ASSERT(status != OCT_OK);
    if (!error) return status;
    error->status = status;
    error->os_code = os_code;
    va_list arguments;
    va_start(arguments, format);
    write_message(error, format, arguments);
    va_end(arguments);
    return status;
}

oct_status oct_fail_nomem(oct_error *error, const char *what)
{
    return oct_fail(error, OCT_NOMEM, "out of memory allocating %s", what);
}
