/* SPDX-License-Identifier: Apache-2.0
 *
 * field.c - open a payload index and answer conditions with it.
 *
 * Index: { u32 magic, u32 version, u32 type, u32 point_count, u32 pair_count, u32 entry_count,
 *          u64 bytes of the whole, u32 bytes of the four sets, u64 bytes of the body, u64 zero },
 * then the idsets values, other, null, empty, then the body (field_keyword.c, field_number.c); each
 * part is padded with zeros to a multiple of 8. Valid when sizes add up to the whole, the sets
 * hold points only, and the body is valid. That the sets agree with the body is the writer's
 * promise, kept by the file's checksums; a lie gives wrong answers, never wild memory.
 *
 * Why `other`: Qdrant's index of a type does not see values of other types, so there a filter's
 * answer depends on whether a field is indexed. Here it must not (the appendable segment has no
 * indexes), so points with such values are passed on as undecided. */
#include "index/field.h"

#include "base/endian.h"
#include "index/field_header.h"
#include "index/field_layout.h"

/* ---- open ------------------------------------------------------------------------------- */

static oct_status open_header(const uint8_t *at, size_t bytes, uint32_t point_count, oct_field *out,
                              oct_error *error)
{
    if (bytes < FIELD_HEADER_BYTES || oct_load_u32(at) != FIELD_MAGIC)
        return oct_fail(error, OCT_CORRUPT, "payload index: %zu bytes are not an index", bytes);
    if (oct_load_u32(at + 4) != FIELD_VERSION)
        return oct_fail(error, OCT_CORRUPT, "payload index: unknown version %" PRIu32,
                        oct_load_u32(at + 4));
    uint32_t type = oct_load_u32(at + 8);
    if (type >= OCT_FIELD_TYPE_COUNT)
        return oct_fail(error, OCT_CORRUPT, "payload index: unknown type %" PRIu32, type);
    out->type = (oct_field_type)type;
    out->point_count = oct_load_u32(at + 12);
    out->pair_count = oct_load_u32(at + 16);
    out->entry_count = oct_load_u32(at + 20);
    if (out->point_count != point_count)
        return oct_fail(error, OCT_CORRUPT,
                        "payload index: it covers %" PRIu32 " points, the segment has %" PRIu32,
                        out->point_count, point_count);
    if (oct_load_u64(at + 24) != bytes || oct_load_u64(at + 56) != 0)
        return oct_fail(error, OCT_CORRUPT, "payload index: its header does not fit %zu bytes",
                        bytes);
    return OCT_OK;
}

oct_status oct_field_open(const uint8_t *at, size_t bytes, uint32_t point_count, oct_field *out,
                          oct_error *error)
{
    oct_status status = OCT_OK;
    oct_field field = { .type = OCT_FIELD_KEYWORD };
    oct_idset *const sets[FIELD_SETS] = { &field.values, &field.other, &field.null, &field.empty };
    *out = field;
    TRY(open_header(at, bytes, point_count, &field, error));
    oct_reader reader = { .at = at + FIELD_HEADER_BYTES, .bytes = bytes - FIELD_HEADER_BYTES };
    for (size_t i = 0; i < FIELD_SETS; i++) {
        const uint8_t *set;
        size_t set_bytes = oct_load_u32(at + 32 + i * 4);
        if (set_bytes > reader.bytes || set_bytes % 8 != 0)
            TRY(oct_fail(error, OCT_CORRUPT, "payload index: set %zu does not fit", i));
        TRY(oct_read_bytes(&reader, set_bytes, &set, "payload index: a set", error));
        TRY(oct_idset_open(set, set_bytes, point_count, sets[i], error));
    }
    if (oct_load_u64(at + 48) != reader.bytes)
        TRY(oct_fail(error, OCT_CORRUPT, "payload index: its body does not fit"));
    field.value_points = field.values.count;
    field.body = reader.at;
    field.body_bytes = reader.bytes;
    if (field.value_points > field.pair_count)
        TRY(oct_fail(error, OCT_CORRUPT, "payload index: more points than values"));
    if (field.type == OCT_FIELD_INTEGER || field.type == OCT_FIELD_FLOAT)
        TRY(oct_field_numbers_check(&field, error));
    else
        TRY(oct_field_words_check(&field, error));
    *out = field;
done:
    return status;
}

/* ---- spans of entries, of either body --------------------------------------------------- */

static bool has_numbers(const oct_field *field)
{
    return field->type == OCT_FIELD_INTEGER || field->type == OCT_FIELD_FLOAT;
}

static oct_field_span find(const oct_field *field, const oct_scalar *scalar)
{
    return has_numbers(field) ? oct_field_numbers_find(field, scalar)
                              : oct_field_words_find(field, scalar);
}

static void emit(const oct_field *field, oct_field_span span, uint64_t *bits)
{
    if (has_numbers(field))
        oct_field_numbers_emit(field, span, bits);
    else
        oct_field_words_emit(field, span, bits);
}

static uint32_t pairs_of(const oct_field *field, oct_field_span span)
{
    return has_numbers(field) ? span.end - span.first : oct_field_words_pairs(field, span);
}

/* The scalars an index knows for sure to be there or not. */
static oct_scalar_kind own_kind(const oct_field *field)
{
    if (has_numbers(field)) return OCT_SCALAR_INTEGER;
    return field->type == OCT_FIELD_BOOL ? OCT_SCALAR_BOOL : OCT_SCALAR_KEYWORD;
}

/* A float index holds 3 and 3.0 alike, but only the integer matches the integer 3. */
static bool equality_is_unsure(const oct_field *field)
{
    return field->type == OCT_FIELD_FLOAT;
}

/* Does the list hold scalars that only points in `other` can have? */
static bool has_foreign(const oct_field *field, const oct_condition *condition)
{
    for (uint32_t i = 0; i < condition->value_count; i++)
        if (condition->values[i].kind != own_kind(field)) return true;
    return false;
}

/* ---- collect ---------------------------------------------------------------------------- */

static void collect_any(const oct_field *field, const oct_condition *condition, uint64_t *yes,
                        uint64_t *maybe)
{
    for (uint32_t i = 0; i < condition->value_count; i++) {
        const oct_scalar *scalar = &condition->values[i];
        if (scalar->kind != own_kind(field)) continue;
        emit(field, find(field, scalar), equality_is_unsure(field) ? maybe : yes);
    }
    if (has_foreign(field, condition)) oct_idset_or_into(&field->other, maybe);
}

/* All entries but the listed ones: the gaps between them, as both are sorted. */
static void collect_except(const oct_field *field, const oct_condition *condition, uint64_t *yes,
                           uint64_t *maybe)
{
    uint32_t cursor = 0;
    for (uint32_t i = 0; i < condition->value_count; i++) {
        const oct_scalar *scalar = &condition->values[i];
        if (scalar->kind != own_kind(field)) continue;
        oct_field_span listed = find(field, scalar);
        if (listed.first > cursor) emit(field, (oct_field_span){ cursor, listed.first }, yes);
        if (equality_is_unsure(field)) emit(field, listed, maybe);
        cursor = MAX(cursor, listed.end);
    }
    emit(field, (oct_field_span){ cursor, field->entry_count }, yes);
    oct_idset_or_into(&field->other, has_foreign(field, condition) ? maybe : yes);
}

/* Only an integer index leaves numbers that are not its own (floats) in `other`; word indexes
 * leave them all there. */
static bool range_may_match_other(const oct_field *field)
{
    return field->type != OCT_FIELD_FLOAT;
}

void oct_field_collect(const oct_field *field, const oct_condition *condition, uint64_t *yes,
                       uint64_t *maybe)
{
    switch (condition->kind) {
    case OCT_CONDITION_MATCH_ANY:
        collect_any(field, condition, yes, maybe);
        return;
    case OCT_CONDITION_MATCH_EXCEPT:
        collect_except(field, condition, yes, maybe);
        return;
    case OCT_CONDITION_RANGE:
        if (has_numbers(field)) emit(field, oct_field_numbers_range(field, &condition->range), yes);
        if (range_may_match_other(field)) oct_idset_or_into(&field->other, maybe);
        return;
    case OCT_CONDITION_IS_EMPTY:
        oct_idset_or_into(&field->empty, yes);
        return;
    case OCT_CONDITION_IS_NULL:
        oct_idset_or_into(&field->null, yes);
        return;
    case OCT_CONDITION_HAS_ID:
    case OCT_CONDITION_FILTER:
        break;
    }
    ASSERT(false); /* a condition on no field */
}

/* ---- list ------------------------------------------------------------------------------- */

typedef struct point_list {
    uint32_t *out; /* [most] */
    uint32_t most, count;
} point_list;

static bool list_span(const oct_field *field, oct_field_span span, point_list *list)
{
    if (pairs_of(field, span) > list->most - list->count) return false;
    list->count += has_numbers(field) ? oct_field_numbers_list(field, span, list->out + list->count)
                                      : oct_field_words_list(field, span, list->out + list->count);
    return true;
}

static bool list_set(const oct_idset *set, point_list *list)
{
    if (set->count > list->most) return false;
    oct_idset_members(set, list->out);
    list->count = set->count;
    return true;
}

/* One value's points come once; those of several values only if no point has two. */
static bool list_any(const oct_field *field, const oct_condition *condition, point_list *list)
{
    uint32_t cursor = 0;
    bool single = condition->value_count == 1 || field->pair_count == field->value_points;
    if (!single || equality_is_unsure(field)) return false;
    if (field->other.count > 0 && has_foreign(field, condition)) return false;
    for (uint32_t i = 0; i < condition->value_count; i++) {
        const oct_scalar *scalar = &condition->values[i];
        if (scalar->kind != own_kind(field)) continue;
        oct_field_span span = find(field, scalar);
        if (span.end <= cursor) continue; /* a repeated value */
        if (!list_span(field, span, list)) return false;
        cursor = span.end;
    }
    return true;
}

bool oct_field_list(const oct_field *field, const oct_condition *condition, uint32_t most,
                    uint32_t *out, uint32_t *count)
{
    point_list list = { .out = out, .most = most };
    bool listed = false;
    switch (condition->kind) {
    case OCT_CONDITION_MATCH_ANY:
        listed = list_any(field, condition, &list);
        break;
    case OCT_CONDITION_RANGE:
        listed = has_numbers(field) && field->pair_count == field->value_points &&
                 (!range_may_match_other(field) || field->other.count == 0) &&
                 list_span(field, oct_field_numbers_range(field, &condition->range), &list);
        break;
    case OCT_CONDITION_IS_EMPTY:
        listed = list_set(&field->empty, &list);
        break;
    case OCT_CONDITION_IS_NULL:
        listed = list_set(&field->null, &list);
        break;
    case OCT_CONDITION_MATCH_EXCEPT:
        break; /* seldom few */
    case OCT_CONDITION_HAS_ID:
    case OCT_CONDITION_FILTER:
        ASSERT(false); /* a condition on no field */
    }
    *count = list.count;
    return listed;
}

/* ---- blocks ----------------------------------------------------------------------------- */

uint32_t oct_field_block_next(const oct_field *field, uint32_t least, uint32_t most,
                              uint32_t *entry, uint32_t *end)
{
    if (field->type == OCT_FIELD_FLOAT) return 0;
    while (*entry < field->entry_count) {
        oct_field_span span = { *entry, *entry + 1 };
        if (has_numbers(field)) span.end = oct_field_numbers_equal_end(field, *entry);
        uint32_t points = pairs_of(field, span);
        *end = span.end;
        if (points >= least && points <= most) return points;
        *entry = span.end;
    }
    return 0;
}

void oct_field_block_points(const oct_field *field, uint32_t entry, uint32_t end, uint32_t *out)
{
    oct_field_span span = { entry, end };
    if (has_numbers(field))
        (void)oct_field_numbers_list(field, span, out);
    else
        (void)oct_field_words_list(field, span, out);
}

/* ---- estimate --------------------------------------------------------------------------- */

/* What is known before points are counted: pairs that match for sure, the most points that one
 * of their entries' values has, and points or pairs that may match. */
typedef struct pair_tally {
    uint64_t sure;
    uint32_t one_value; /* points of the most frequent sure value: a lower bound */
    uint64_t unsure;
} pair_tally;

/* `sure` pairs lie on at least sure - (pairs - points) points, as each point has a pair. */
static oct_cardinality points_of(const oct_field *field, pair_tally tally)
{
    uint64_t excess = field->pair_count - field->value_points;
    uint64_t min = tally.sure > excess ? tally.sure - excess : 0;
    min = MAX(min, tally.one_value);
    min = MIN(min, field->value_points);
    uint64_t sure_max = MIN(tally.sure, field->value_points);
    uint64_t expected =
        field->pair_count == 0 ? 0 : tally.sure * field->value_points / field->pair_count;
    uint64_t max = MIN(sure_max + tally.unsure, field->point_count);
    expected = MIN(MAX(expected + tally.unsure / 2, min), max);
    return (oct_cardinality){ (uint32_t)min, (uint32_t)expected, (uint32_t)max };
}

/* The distinct own scalars of a list: their pairs, and those of the most frequent one. */
static uint64_t listed_pairs(const oct_field *field, const oct_condition *condition, uint32_t *most)
{
    uint64_t sum = 0;
    uint32_t cursor = 0;
    *most = 0;
    for (uint32_t i = 0; i < condition->value_count; i++) {
        const oct_scalar *scalar = &condition->values[i];
        if (scalar->kind != own_kind(field)) continue;
        oct_field_span span = find(field, scalar);
        if (span.end <= cursor) continue; /* a repeated value */
        uint32_t pairs = pairs_of(field, span);
        *most = MAX(*most, pairs);
        sum += pairs;
        cursor = span.end;
    }
    return sum;
}

static oct_cardinality estimate_any(const oct_field *field, const oct_condition *condition)
{
    pair_tally tally = { 0 };
    uint64_t pairs = listed_pairs(field, condition, &tally.one_value);
    if (equality_is_unsure(field)) {
        tally.one_value = 0;
        tally.unsure = pairs;
    } else {
        tally.sure = pairs;
    }
    if (has_foreign(field, condition)) tally.unsure += field->other.count;
    return points_of(field, tally);
}

static oct_cardinality estimate_except(const oct_field *field, const oct_condition *condition)
{
    uint32_t most;
    uint64_t listed = listed_pairs(field, condition, &most);
    pair_tally tally = { .sure = field->pair_count - listed };
    if (equality_is_unsure(field)) tally.unsure = listed;
    /* Points with a value of another kind match too, unless they are listed; they may be points
     * counted already, so they raise only the upper bound. */
    tally.unsure += field->other.count;
    return points_of(field, tally);
}

static oct_cardinality estimate_range(const oct_field *field, const oct_range *range)
{
    pair_tally tally = { 0 };
    if (has_numbers(field)) tally.sure = pairs_of(field, oct_field_numbers_range(field, range));
    if (range_may_match_other(field)) tally.unsure = field->other.count;
    return points_of(field, tally);
}

oct_cardinality oct_field_estimate(const oct_field *field, const oct_condition *condition)
{
    switch (condition->kind) {
    case OCT_CONDITION_MATCH_ANY:
        return estimate_any(field, condition);
    case OCT_CONDITION_MATCH_EXCEPT:
        return estimate_except(field, condition);
    case OCT_CONDITION_RANGE:
        return estimate_range(field, &condition->range);
    case OCT_CONDITION_IS_EMPTY:
        return (oct_cardinality){ field->empty.count, field->empty.count, field->empty.count };
    case OCT_CONDITION_IS_NULL:
        return (oct_cardinality){ field->null.count, field->null.count, field->null.count };
    case OCT_CONDITION_HAS_ID:
    case OCT_CONDITION_FILTER:
        break;
    }
    ASSERT(false); /* a condition on no field */
    return (oct_cardinality){ 0, 0, 0 };
}
