/* SPDX-License-Identifier: Apache-2.0
 *
 * commands_text.h - a growing text, and just enough JSON to cut a line of input apart.
 *
 * The core parses and validates JSON; commands only find members of objects and pass the rest on
 * as it is, so that a number or an escape reaches the database exactly as it was written. */
#ifndef OCTANT_SERVER_COMMANDS_TEXT_H
#define OCTANT_SERVER_COMMANDS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "octant/status.h"
#include "octant/types.h"

/* Start as all zeros. Once memory ran out `failed` stays set and appending does nothing, so that
 * callers check it once at the end. */
typedef struct oct_text {
    char *at; /* [bytes], not NUL-terminated */
    size_t bytes;
    size_t capacity;
    bool failed;
} oct_text;

void oct_text_add(oct_text *text, const char *at, size_t bytes);
void oct_text_print(oct_text *text, const char *format, ...) OCT_PRINTF(2, 3);
/* Append `value` as a JSON string with its quotes. */
void oct_text_quote(oct_text *text, oct_str value);
/* Append `value` percent-encoded, as one component of a path. */
void oct_text_path(oct_text *text, const char *value);
void oct_text_free(oct_text *text);

/* Read a whole file, or standard input for "-", appending to `text`. False with errno set when
 * that fails or memory runs out. */
bool oct_text_read(oct_text *text, const char *path);

/* Cut the first JSON value off *rest, without the white space around it. False when there is none
 * or it does not end. What is inside is not validated. */
bool oct_text_cut(oct_str *rest, oct_str *value);

/* The member `name` (without escapes) of the text of an object; the last of several, as in the
 * core. False when there is none or the object is broken before its end. */
bool oct_text_member(oct_str object, const char *name, oct_str *value);

/* Number of items of the text of an array; false when it is none. */
bool oct_text_count(oct_str array, size_t *count);

/* Append what the JSON string `value` (with its quotes) stands for. False when it is no string. */
bool oct_text_unquote(oct_str value, oct_text *text);

#endif
