/* SPDX-License-Identifier: Apache-2.0
 *
 * json.h - a thin face on yyjson: parse a text into an arena, look at values, write into a buffer.
 * Only json.c and json_write.c include yyjson.h. Parsing copies strings; values live until the
 * arena resets.
 *
 * JSON semantics (pinned by tests/cases): duplicate keys: the last wins (serde_json's maps);
 * -0 is the float -0.0; integers outside [i64, u64] become doubles; invalid UTF-8 and lone
 * surrogates are errors; NaN and infinities can't be written in JSON, and numbers that overflow
 * a double are errors; at most OCT_JSON_DEPTH_MAX levels (error, no recursion). */
#ifndef OCTANT_BASE_JSON_H
#define OCTANT_BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "octant/types.h"

typedef struct oct_json oct_json; /* one value inside a parsed text */

typedef enum oct_json_kind {
    OCT_JSON_NULL,
    OCT_JSON_BOOL,
    OCT_JSON_UINT, /* integer >= 0 that fits u64 */
    OCT_JSON_INT,  /* negative integer that fits i64 */
    OCT_JSON_REAL,
    OCT_JSON_STRING,
    OCT_JSON_ARRAY,
    OCT_JSON_OBJECT
} oct_json_kind;

/* Parse a whole text. BAD_INPUT with "<what> at line L column C (byte B)", lines and columns from 1
 * (columns count characters), bytes from 0; LIMIT on depth (with the position) and when the arena's
 * limit is reached; NOMEM. Memory: a copy of the text and 16 bytes a value (keys are values), while
 * parsing up to 2.7 bytes for each byte of text more. */
OCT_MUST_CHECK oct_status oct_json_parse(oct_arena *arena, oct_str text, const oct_json **out,
                                         oct_error *error);

oct_json_kind oct_json_kind_of(const oct_json *value);
/* "null", "boolean", "integer", "floating point number", "string", "array", "object". */
const char *oct_json_kind_name(const oct_json *value);

/* Values; asserted to be of the kind. number: any of UINT, INT, REAL as a double. */
bool oct_json_bool(const oct_json *value);
uint64_t oct_json_uint(const oct_json *value);
int64_t oct_json_int(const oct_json *value); /* INT, or UINT up to INT64_MAX */
double oct_json_number(const oct_json *value);
bool oct_json_is_number(const oct_json *value);
oct_str oct_json_string(const oct_json *value);

/* Items of an array, or pairs of an object. */
size_t oct_json_count(const oct_json *value);
/* The member named `key` of an object (the last of duplicates), or NULL. */
const oct_json *oct_json_get(const oct_json *object, oct_str key);
/* Iteration over an array or object, in the order of the text. The cursor is caller memory and may
 * be copied. Objects give duplicate keys each time they occur. */
typedef struct oct_json_iter {
    const oct_json *next;
    size_t left;
    bool object;
} oct_json_iter;
oct_json_iter oct_json_iterate(const oct_json *container);
/* The next value (arrays: *key untouched, may be NULL; objects: *key set), or NULL at the end. */
const oct_json *oct_json_next(oct_json_iter *iter, oct_str *key);

/* Copy an array of numbers (all must be) to floats (rounded to f32) - the fast path of vectors.
 * Returns the index of the first item that is no number or does not fit a finite f32, or count. */
size_t oct_json_floats(const oct_json *array, float *out);

/* ---- writing -------------------------------------------------------------------------- */

/* Appends to a buffer; the first failure is kept and everything after it is ignored, so callers
 * check once, with oct_json_writer_status. Commas and colons are its business. */
typedef struct oct_json_writer {
    oct_buf *buf;
    oct_status status;
    bool comma;            /* a value precedes in the innermost container */
    bool tag_big_integers; /* integers beyond +-2^53 become {"$int":"..."} */
} oct_json_writer;

void oct_json_writer_init(oct_json_writer *writer, oct_buf *buf);
oct_status oct_json_writer_status(const oct_json_writer *writer);
void oct_json_begin_object(oct_json_writer *writer);
void oct_json_end_object(oct_json_writer *writer);
void oct_json_begin_array(oct_json_writer *writer);
void oct_json_end_array(oct_json_writer *writer);
void oct_json_key(oct_json_writer *writer, oct_str key); /* escaped */
void oct_json_write_null(oct_json_writer *writer);
void oct_json_write_bool(oct_json_writer *writer, bool value);
void oct_json_write_uint(oct_json_writer *writer, uint64_t value);
void oct_json_write_int(oct_json_writer *writer, int64_t value);
/* Shortest text that reads back as the same double / float; integers get ".0" as serde_json does.
 * NaN and infinities become null. */
void oct_json_write_double(oct_json_writer *writer, double value);
void oct_json_write_float(oct_json_writer *writer, float value);
/* An array of floats. */
void oct_json_write_floats(oct_json_writer *writer, const float *values, size_t count);
/* `text` must be UTF-8, as keys must: it is escaped, not checked. */
void oct_json_write_str(oct_json_writer *writer, oct_str text);
/* A parsed value, minified, with duplicate keys reduced to the last. */
void oct_json_write_value(oct_json_writer *writer, const oct_json *value);
/* JSON text that is known to be valid and minified (a stored payload), re-tagged when
 * tag_big_integers is on. */
void oct_json_write_raw(oct_json_writer *writer, oct_str json);

#endif
