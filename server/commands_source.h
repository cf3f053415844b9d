/* SPDX-License-Identifier: Apache-2.0
 *
 * commands_source.h - the points of an import, read from files one after the other. */
#ifndef OCTANT_SERVER_COMMANDS_SOURCE_H
#define OCTANT_SERVER_COMMANDS_SOURCE_H

#include <stdio.h>

#include "commands_text.h"

typedef enum oct_source_kind {
    OCT_SOURCE_JSONL, /* a point object a line */
    OCT_SOURCE_F32,   /* rows of little-endian floats, nothing else */
    OCT_SOURCE_F16    /* rows of little-endian halves */
} oct_source_kind;

typedef struct oct_source {
    oct_source_kind kind;
    const char *path;
    const char *payload_path; /* NULL: points without payload */
    const char *ids_from;     /* payload member with the id; NULL: "id" if there, else the row */
    uint32_t vector_size;     /* dimensions; set by the caller before the first row */
    uint64_t rows;            /* how many there are; 0 = unknown (JSONL) */
    uint64_t row;             /* how many were read */
    uint64_t bytes_total, bytes_read; /* of `path` */
    FILE *vectors, *lines;
    char *line;
    size_t line_capacity;
    unsigned char *raw; /* one row as it is in the file */
} oct_source;

/* Open by the ending of `path`: .jsonl, .f32 or .f16. Prints what is wrong and returns false on
 * failure; oct_source_close is due in any case. */
bool oct_source_open(oct_source *source, const char *path, const char *payload_path);

/* For JSONL without a known size: the length of the first line's vector, 0 when that is no plain
 * list of numbers. The source then starts from its beginning. */
uint32_t oct_source_guess_size(oct_source *source);

/* Set the size of raw rows and count them. Prints and returns false when the file is no whole
 * number of rows. */
bool oct_source_set_size(oct_source *source, uint32_t vector_size);

/* Append the next point to the JSON list `body`. Raw vectors are written to `row` (floats
 * [vector_size]) and named in the JSON as {"$f32":[float_start,vector_size]}.
 * Returns 1, 0 at the end, -1 after printing what is wrong. */
int oct_source_next(oct_source *source, oct_text *body, float *row, size_t float_start);

/* After the last row: is the payload file at its end too? Prints and returns false if not. */
bool oct_source_ended(oct_source *source);

void oct_source_close(oct_source *source);

#endif
