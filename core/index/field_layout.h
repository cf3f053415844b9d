/* SPDX-License-Identifier: Apache-2.0
 *
 * field_layout.h - what the files of the payload index share: the two kinds of body. Private to
 * core/index.
 *
 * A body is a sorted list of entries, each with some points. For keyword and bool an entry is a
 * distinct word (field_keyword.c; the words of a bool are "f" and "t"), for integer and float one
 * (number, point) pair (field_number.c). Conditions become spans of entries. */
#ifndef OCTANT_INDEX_FIELD_LAYOUT_H
#define OCTANT_INDEX_FIELD_LAYOUT_H

#include "base/buf.h"
#include "index/field.h"
#include "index/field_sort.h"

/* Entries first..end-1. */
typedef struct oct_field_span {
    uint32_t first, end;
} oct_field_span;

/* Bytes up to the next multiple of 8. */
static inline size_t oct_field_pad(size_t bytes)
{
    return (8 - bytes % 8) % 8;
}

/* The words of a bool index. */
static inline oct_str oct_field_bool_word(bool value)
{
    return value ? OCT_STR("t") : OCT_STR("f");
}

/* Numbers as unsigned keys in the same order. Doubles must not be NaN; -0.0 and 0.0 differ, so
 * callers turn the first into the second. */
uint64_t oct_field_key_of_integer(int64_t value);
uint64_t oct_field_key_of_float(double value);

/* Append a body of words: pairs sorted by (index into words, offset) without duplicates; words
 * sorted, each with a pair. `padded_from` is the length of `out` at the start of the index. */
OCT_MUST_CHECK oct_status oct_field_words_write(const oct_str *words, uint32_t word_count,
                                                const oct_sort_pairs *pairs, uint32_t pair_count,
                                                oct_buf *out, oct_error *error);
/* Append a body of numbers: pairs sorted by (key, offset) without duplicates. */
OCT_MUST_CHECK oct_status oct_field_numbers_write(const oct_sort_pairs *pairs, uint32_t pair_count,
                                                  oct_buf *out, oct_error *error);

/* Validate field->body against the counts in *field. */
OCT_MUST_CHECK oct_status oct_field_words_check(const oct_field *field, oct_error *error);
OCT_MUST_CHECK oct_status oct_field_numbers_check(const oct_field *field, oct_error *error);

/* The entries equal to a scalar of the index's own kind; empty at its place when there are none. */
oct_field_span oct_field_words_find(const oct_field *field, const oct_scalar *scalar);
oct_field_span oct_field_numbers_find(const oct_field *field, const oct_scalar *scalar);
/* The numbers in a range. */
oct_field_span oct_field_numbers_range(const oct_field *field, const oct_range *range);

/* OR the points of a span into a bitset. */
void oct_field_words_emit(const oct_field *field, oct_field_span span, uint64_t *bits);
void oct_field_numbers_emit(const oct_field *field, oct_field_span span, uint64_t *bits);

/* Write the points of each pair of a span to `out`; how many. */
uint32_t oct_field_words_list(const oct_field *field, oct_field_span span, uint32_t *out);
uint32_t oct_field_numbers_list(const oct_field *field, oct_field_span span, uint32_t *out);

/* Behind the last number equal to that of `entry`. */
uint32_t oct_field_numbers_equal_end(const oct_field *field, uint32_t entry);

/* The pairs of a span. */
uint32_t oct_field_words_pairs(const oct_field *field, oct_field_span span);

#endif
