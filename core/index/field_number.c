/* SPDX-License-Identifier: Apache-2.0
 *
 * field_number.c - the body of integer and float indexes: (number, point) pairs, sorted.
 *
 * Body: { u64 keys[pair_count], u32 offsets[pair_count], zeros to a multiple of 8 }. A key is the
 * number mapped to an unsigned integer in the same order, so one comparison serves both types.
 * Valid when (key, offset) strictly ascends, offsets are points, and float keys are finite numbers
 * other than -0.0.
 *
 * Ranges compare as doubles, exactly as they do on a payload: the mapping of integers to
 * doubles never decreases, so a binary search by the double is right. A tree was rejected: sealed
 * segments never change. */
#include <math.h>
#include <string.h>

#include "base/bits.h"
#include "base/endian.h"
#include "index/field_layout.h"

#define SIGN_BIT (UINT64_C(1) << 63)

uint64_t oct_field_key_of_integer(int64_t value)
{
    return (uint64_t)value ^ SIGN_BIT;
}

uint64_t oct_field_key_of_float(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & SIGN_BIT ? ~bits : bits ^ SIGN_BIT;
}

static double float_of_key(uint64_t key)
{
    uint64_t bits = key & SIGN_BIT ? key ^ SIGN_BIT : ~key;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int64_t integer_of_key(uint64_t key)
{
    uint64_t bits = key ^ SIGN_BIT;
    int64_t value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t key_at(const oct_field *field, uint32_t entry)
{
    return oct_load_u64(field->body + (size_t)entry * 8);
}

static uint32_t offset_at(const oct_field *field, uint32_t entry)
{
    return oct_load_u32(field->body + (size_t)field->pair_count * 8 + (size_t)entry * 4);
}

static double number_at(const oct_field *field, uint32_t entry)
{
    uint64_t key = key_at(field, entry);
    return field->type == OCT_FIELD_FLOAT ? float_of_key(key) : (double)integer_of_key(key);
}

oct_status oct_field_numbers_write(const oct_sort_pairs *pairs, uint32_t pair_count, oct_buf *out,
                                   oct_error *error)
{
    oct_status status = OCT_OK;
    for (uint32_t i = 0; i < pair_count; i++)
        TRY(oct_buf_append_u64(out, pairs->keys[i], error));
    for (uint32_t i = 0; i < pair_count; i++)
        TRY(oct_buf_append_u32(out, pairs->offsets[i], error));
    TRY(oct_buf_append_zeros(out, oct_field_pad((size_t)pair_count * 12), error));
done:
    return status;
}

oct_status oct_field_numbers_check(const oct_field *field, oct_error *error)
{
    uint64_t used = (uint64_t)field->pair_count * 12;
    if (field->body_bytes < used || field->body_bytes - used >= 8 ||
        field->entry_count != field->pair_count)
        return oct_fail(error, OCT_CORRUPT, "payload index: %zu bytes are not %" PRIu32 " numbers",
                        field->body_bytes, field->pair_count);
    const uint64_t minus_zero = oct_field_key_of_float(-0.0);
    uint64_t last_key = 0;
    uint32_t last_offset = 0;
    for (uint32_t i = 0; i < field->pair_count; i++) {
        uint64_t key = key_at(field, i);
        uint32_t offset = offset_at(field, i);
        bool ascends = i == 0 || last_key < key || (last_key == key && last_offset < offset);
        bool is_number =
            field->type != OCT_FIELD_FLOAT || (isfinite(float_of_key(key)) && key != minus_zero);
        if (offset >= field->point_count || !ascends || !is_number)
            return oct_fail(error, OCT_CORRUPT, "payload index: number %" PRIu32 " is damaged", i);
        last_key = key;
        last_offset = offset;
    }
    return OCT_OK;
}

/* The first entry whose number is not below `number` (after_equal: not at or below it). */
static uint32_t first_not_below(const oct_field *field, double number, bool after_equal)
{
    uint32_t low = 0;
    uint32_t high = field->pair_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        double here = number_at(field, middle);
        if (here < number || (after_equal && here <= number))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t first_key_not_below(const oct_field *field, uint64_t key)
{
    uint32_t low = 0;
    uint32_t high = field->pair_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (key_at(field, middle) < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

oct_field_span oct_field_numbers_find(const oct_field *field, const oct_scalar *scalar)
{
    if (field->type == OCT_FIELD_FLOAT) {
        double number = (double)scalar->integer;
        return (oct_field_span){ first_not_below(field, number, false),
                                 first_not_below(field, number, true) };
    }
    uint64_t key = oct_field_key_of_integer(scalar->integer);
    uint32_t first = first_key_not_below(field, key);
    uint32_t end = key == UINT64_MAX ? field->pair_count : first_key_not_below(field, key + 1);
    return (oct_field_span){ first, end };
}

oct_field_span oct_field_numbers_range(const oct_field *field, const oct_range *range)
{
    uint32_t first = range->has_lower ? first_not_below(field, range->lower, range->lower_open) : 0;
    uint32_t end = range->has_upper ? first_not_below(field, range->upper, !range->upper_open)
                                    : field->pair_count;
    return (oct_field_span){ first, MAX(first, end) };
}

void oct_field_numbers_emit(const oct_field *field, oct_field_span span, uint64_t *bits)
{
    const uint8_t *offsets = field->body + (size_t)field->pair_count * 8;
    for (uint32_t i = span.first; i < span.end; i++)
        oct_bits_set(bits, oct_load_u32(offsets + (size_t)i * 4));
}

uint32_t oct_field_numbers_list(const oct_field *field, oct_field_span span, uint32_t *out)
{
    const uint8_t *offsets = field->body + (size_t)field->pair_count * 8;
    for (uint32_t i = span.first; i < span.end; i++)
        *out++ = oct_load_u32(offsets + (size_t)i * 4);
    return span.end - span.first;
}

uint32_t oct_field_numbers_equal_end(const oct_field *field, uint32_t entry)
{
    uint64_t key = key_at(field, entry);
    return key == UINT64_MAX ? field->pair_count : first_key_not_below(field, key + 1);
}
