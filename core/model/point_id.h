/* SPDX-License-Identifier: Apache-2.0
 *
 * point_id.h - point ids: a u64 or a UUID; parse, print, compare. */
#ifndef OCTANT_MODEL_POINT_ID_H
#define OCTANT_MODEL_POINT_ID_H

#include "base/check.h"
#include "base/json.h"
#include "octant/types.h"

/* The longest printed id (a UUID) with its NUL. */
enum { OCT_POINT_ID_TEXT_BYTES = 37 };

static inline oct_point_id oct_point_id_of(uint64_t number)
{
    return (oct_point_id){ .high = 0, .low = number, .is_uuid = false };
}

static inline bool oct_point_id_equal(oct_point_id a, oct_point_id b)
{
    return a.low == b.low && a.high == b.high && a.is_uuid == b.is_uuid;
}

/* < 0, 0, > 0: every number before every UUID, then by value. */
int oct_point_id_compare(oct_point_id a, oct_point_id b);

/* A decimal u64, or a UUID in simple, hyphenated, braced or urn:uuid: spelling, any letter case.
 * False (and *out untouched) when it is neither. */
bool oct_point_id_parse(oct_str text, oct_point_id *out);

/* An id in a JSON body: an integer >= 0 or a string holding a UUID (not a number in quotes).
 * BAD_INPUT "Format error in JSON body: value x is not a valid point ID, ...". */
OCT_MUST_CHECK oct_status oct_point_id_from_json(const oct_json *value, oct_point_id *out,
                                                 oct_error *error);

/* Print into text[OCT_POINT_ID_TEXT_BYTES] with a NUL: decimal, or hyphenated lower case. Returns
 * the bytes before the NUL. */
size_t oct_point_id_print(oct_point_id id, char *text);

/* As a JSON value: a number, or the hyphenated UUID as a string. */
void oct_point_id_write(oct_json_writer *writer, oct_point_id id);

#endif
