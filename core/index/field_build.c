/* SPDX-License-Identifier: Apache-2.0
 *
 * field_build.c - collect the values of one field over the points of a segment, and write them as
 * an index.
 *
 * Points come in offset order, so everything is appended to plain arrays; one stable sort by value
 * at the end puts pairs into (value, offset) order. Words are numbered as they come, each text
 * kept once, and renumbered by their order at the end. */
#include "base/alloc.h"
#include "base/arena.h"
#include "base/endian.h"
#include "base/map.h"
#include "base/str.h"
#include "index/field_header.h"
#include "index/field_layout.h"

/* A growing list of offsets. */
typedef struct offset_list {
    uint32_t *at;
    size_t count, capacity;
} offset_list;

struct oct_field_builder {
    const oct_alloc *alloc;
    oct_arena arena; /* the path, the texts of words */
    oct_field_type type;
    oct_json_path path;
    uint64_t next_offset; /* the smallest that may be added */
    uint64_t *keys;       /* [pair_count]: number keys, or numbers of words */
    size_t key_capacity;
    offset_list offsets; /* of the pairs */
    offset_list values, other, null, not_empty;
    oct_map word_numbers;
    oct_str *words; /* [word_count], in order of appearance */
    size_t word_count, word_capacity;
};

/* Seeds the map of words; it is rebuilt for each index and never seen, so it needs no secret. */
static const uint64_t word_seed = 0x6f63742d776f7264;

static oct_status list_append(const oct_alloc *alloc, offset_list *list, uint32_t offset,
                              oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_array_reserve(alloc, &list->at, &list->capacity, list->count + 1, sizeof *list->at,
                          error));
    list->at[list->count++] = offset;
done:
    return status;
}

static void list_free(const oct_alloc *alloc, offset_list *list)
{
    oct_free(alloc, list->at, list->capacity * sizeof *list->at);
}

oct_status oct_field_builder_create(const oct_alloc *alloc, oct_field_type type, oct_str key,
                                    oct_field_builder **out, oct_error *error)
{
    oct_status status = OCT_OK;
    *out = NULL;
    oct_field_builder *builder = oct_new_zeroed(alloc, sizeof *builder);
    if (!builder) return oct_fail_nomem(error, "a payload index builder");
    builder->alloc = alloc;
    builder->type = type;
    oct_arena_init(&builder->arena, alloc, 0);
    oct_map_init(&builder->word_numbers, alloc, word_seed);
    TRY(oct_arena_str(&builder->arena, key, &key, error));
    TRY(oct_json_path_parse(&builder->arena, key, &builder->path, error));
    *out = builder;
    builder = NULL;
done:
    oct_field_builder_destroy(builder);
    return status;
}

void oct_field_builder_destroy(oct_field_builder *builder)
{
    if (!builder) return;
    const oct_alloc *alloc = builder->alloc;
    oct_free(alloc, builder->keys, builder->key_capacity * sizeof *builder->keys);
    oct_free(alloc, builder->words, builder->word_capacity * sizeof *builder->words);
    list_free(alloc, &builder->offsets);
    list_free(alloc, &builder->values);
    list_free(alloc, &builder->other);
    list_free(alloc, &builder->null);
    list_free(alloc, &builder->not_empty);
    oct_map_deinit(&builder->word_numbers);
    oct_arena_reset(&builder->arena);
    oct_free(alloc, builder, sizeof *builder);
}

/* ---- adding ----------------------------------------------------------------------------- */

static oct_status word_number(oct_field_builder *builder, oct_str word, uint64_t *out,
                              oct_error *error)
{
    oct_status status = OCT_OK;
    const uint32_t *known = oct_map_get_str(&builder->word_numbers, word);
    if (known) {
        *out = *known;
        return OCT_OK;
    }
    TRY(oct_array_reserve(builder->alloc, &builder->words, &builder->word_capacity,
                          builder->word_count + 1, sizeof *builder->words, error));
    TRY(oct_map_reserve(&builder->word_numbers, 1, error));
    TRY(oct_arena_str(&builder->arena, word, &word, error));
    oct_map_put_str(&builder->word_numbers, word, (uint32_t)builder->word_count);
    *out = builder->word_count;
    builder->words[builder->word_count++] = word;
done:
    return status;
}

static oct_status pair_append(oct_field_builder *builder, uint64_t key, uint32_t offset,
                              oct_error *error)
{
    oct_status status = OCT_OK;
    size_t count = builder->offsets.count;
    if (count == UINT32_MAX) TRY(oct_fail(error, OCT_LIMIT, "payload index: too many values"));
    TRY(oct_array_reserve(builder->alloc, &builder->keys, &builder->key_capacity, count + 1,
                          sizeof *builder->keys, error));
    TRY(list_append(builder->alloc, &builder->offsets, offset, error));
    builder->keys[count] = key;
done:
    return status;
}

/* What was found in one point so far. */
typedef struct point_visit {
    oct_field_builder *builder;
    uint32_t offset;
    bool value, other, null, not_empty;
    oct_status status;
    oct_error *error;
} point_visit;

/* The key of a value of the index's own kind; *own false for any other value. */
static oct_status own_key(oct_field_builder *builder, const oct_json *value, bool *own,
                          uint64_t *key, oct_error *error)
{
    oct_json_kind kind = oct_json_kind_of(value);
    *own = true;
    switch (builder->type) {
    case OCT_FIELD_KEYWORD:
        if (kind == OCT_JSON_STRING)
            return word_number(builder, oct_json_string(value), key, error);
        break;
    case OCT_FIELD_BOOL:
        if (kind == OCT_JSON_BOOL)
            return word_number(builder, oct_field_bool_word(oct_json_bool(value)), key, error);
        break;
    case OCT_FIELD_INTEGER:
        if (kind == OCT_JSON_INT || (kind == OCT_JSON_UINT && oct_json_uint(value) <= INT64_MAX)) {
            *key = oct_field_key_of_integer(oct_json_int(value));
            return OCT_OK;
        }
        break;
    case OCT_FIELD_FLOAT:
        if (oct_json_is_number(value)) {
            *key = oct_field_key_of_float(oct_json_number(value) + 0.0); /* -0.0 becomes 0.0 */
            return OCT_OK;
        }
        break;
    case OCT_FIELD_TYPE_COUNT:
        break;
    }
    *own = false;
    return OCT_OK;
}

static bool visit_value(void *arg, const oct_json *value)
{
    point_visit *visit = arg;
    if (oct_json_kind_of(value) == OCT_JSON_NULL) {
        visit->null = true;
        return true;
    }
    bool own;
    uint64_t key;
    visit->status = own_key(visit->builder, value, &own, &key, visit->error);
    if (visit->status != OCT_OK) return false;
    if (!own) {
        visit->other = true;
        return true;
    }
    visit->value = true;
    visit->status = pair_append(visit->builder, key, visit->offset, visit->error);
    return visit->status == OCT_OK;
}

/* A value at the end of the path: an array stands for its items. */
static bool visit_end(void *arg, const oct_json *value)
{
    point_visit *visit = arg;
    oct_json_kind kind = oct_json_kind_of(value);
    if (kind != OCT_JSON_ARRAY) {
        if (kind != OCT_JSON_NULL) visit->not_empty = true;
        return visit_value(arg, value);
    }
    oct_json_iter iter = oct_json_iterate(value);
    const oct_json *item;
    while ((item = oct_json_next(&iter, NULL)) != NULL) {
        visit->not_empty = true;
        if (!visit_value(arg, item)) return false;
    }
    return true;
}

oct_status oct_field_builder_add(oct_field_builder *builder, uint32_t offset,
                                 const oct_json *payload, oct_error *error)
{
    oct_status status = OCT_OK;
    ASSERT(offset >= builder->next_offset);
    builder->next_offset = (uint64_t)offset + 1;
    point_visit visit = { .builder = builder, .offset = offset, .status = OCT_OK, .error = error };
    (void)oct_json_path_walk(&builder->path, payload, visit_end, &visit);
    TRY(visit.status);
    const oct_alloc *alloc = builder->alloc;
    if (visit.value) TRY(list_append(alloc, &builder->values, offset, error));
    if (visit.other) TRY(list_append(alloc, &builder->other, offset, error));
    if (visit.null) TRY(list_append(alloc, &builder->null, offset, error));
    if (visit.not_empty) TRY(list_append(alloc, &builder->not_empty, offset, error));
done:
    return status;
}

/* ---- finishing -------------------------------------------------------------------------- */

static bool word_after(const void *arg, uint32_t a, uint32_t b)
{
    const oct_str *words = arg;
    return oct_str_compare(words[a], words[b]) > 0;
}

/* Number the words by their order: keys of the pairs become ranks, and *sorted (in the builder's
 * arena) the words in that order. */
static oct_status rank_words(oct_field_builder *builder, const oct_str **sorted, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t count = (uint32_t)builder->word_count;
    uint32_t *order;
    uint32_t *ranks; /* first the sort's temporary, then rank by number */
    oct_str *words;
    TRY(oct_arena_array(&builder->arena, count, sizeof *order, &order, error));
    TRY(oct_arena_array(&builder->arena, count, sizeof *ranks, &ranks, error));
    TRY(oct_arena_array(&builder->arena, count, sizeof *words, &words, error));
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    oct_sort_indices(order, ranks, count, word_after, builder->words);
    for (uint32_t i = 0; i < count; i++) {
        ranks[order[i]] = i;
        words[i] = builder->words[order[i]];
    }
    for (size_t i = 0; i < builder->offsets.count; i++)
        builder->keys[i] = ranks[builder->keys[i]];
    *sorted = words;
done:
    return status;
}

/* Drop pairs equal to the one before; the count left. */
static uint32_t drop_repeated(oct_sort_pairs *pairs, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (kept > 0 && pairs->keys[kept - 1] == pairs->keys[i] &&
            pairs->offsets[kept - 1] == pairs->offsets[i])
            continue;
        pairs->keys[kept] = pairs->keys[i];
        pairs->offsets[kept] = pairs->offsets[i];
        kept++;
    }
    return kept;
}

/* The points 0..point_count-1 that are not in `list`. */
static oct_status complement(const oct_alloc *alloc, const offset_list *list, uint32_t point_count,
                             offset_list *out, oct_error *error)
{
    oct_status status = OCT_OK;
    ASSERT(list->count <= point_count);
    size_t missing = point_count - list->count;
    if (missing == 0) return OCT_OK;
    TRY(oct_array_resize(alloc, &out->at, 0, missing, sizeof *out->at, error));
    out->capacity = missing;
    size_t next = 0;
    for (uint32_t offset = 0; offset < point_count; offset++) {
        if (next < list->count && list->at[next] == offset)
            next++;
        else
            out->at[out->count++] = offset;
    }
    ASSERT(out->count == missing);
done:
    return status;
}

static oct_status set_write(const offset_list *list, oct_buf *out, uint32_t *bytes,
                            oct_error *error)
{
    oct_status status = OCT_OK;
    size_t start = out->bytes;
    TRY(oct_idset_write(list->at, (uint32_t)list->count, out, error));
    TRY(oct_buf_append_zeros(out, oct_field_pad(out->bytes - start), error));
    ASSERT(out->bytes - start <= UINT32_MAX);
    *bytes = (uint32_t)(out->bytes - start);
done:
    return status;
}

/* What the header says besides the builder. */
typedef struct index_counts {
    uint32_t points, pairs, entries;
    uint32_t set_bytes[FIELD_SETS];
} index_counts;

static void header_store(const oct_field_builder *builder, const index_counts *counts, uint8_t *at,
                         size_t bytes)
{
    size_t before_body = FIELD_HEADER_BYTES;
    for (size_t i = 0; i < FIELD_SETS; i++) {
        oct_store_u32(at + 32 + i * 4, counts->set_bytes[i]);
        before_body += counts->set_bytes[i];
    }
    oct_store_u32(at, FIELD_MAGIC);
    oct_store_u32(at + 4, FIELD_VERSION);
    oct_store_u32(at + 8, (uint32_t)builder->type);
    oct_store_u32(at + 12, counts->points);
    oct_store_u32(at + 16, counts->pairs);
    oct_store_u32(at + 20, counts->entries);
    oct_store_u64(at + 24, bytes);
    oct_store_u64(at + 48, bytes - before_body);
}

/* Sort the pairs and write the body of the type. Keys and offsets may change places with the
 * arena's temporaries, so only *pairs is valid afterwards. */
static oct_status body_write(oct_field_builder *builder, index_counts *counts, oct_buf *out,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t count = (uint32_t)builder->offsets.count;
    bool numbers = builder->type == OCT_FIELD_INTEGER || builder->type == OCT_FIELD_FLOAT;
    const oct_str *words = NULL;
    oct_sort_pairs pairs = { .keys = builder->keys, .offsets = builder->offsets.at };
    oct_sort_pairs temp;
    TRY(oct_arena_array(&builder->arena, count, sizeof *temp.keys, &temp.keys, error));
    TRY(oct_arena_array(&builder->arena, count, sizeof *temp.offsets, &temp.offsets, error));
    if (!numbers) TRY(rank_words(builder, &words, error));
    oct_sort_pairs_by_key(&pairs, &temp, count);
    counts->pairs = drop_repeated(&pairs, count);
    if (numbers) {
        counts->entries = counts->pairs;
        TRY(oct_field_numbers_write(&pairs, counts->pairs, out, error));
    } else {
        counts->entries = (uint32_t)builder->word_count;
        TRY(oct_field_words_write(words, counts->entries, &pairs, counts->pairs, out, error));
    }
done:
    return status;
}

oct_status oct_field_builder_finish(oct_field_builder *builder, uint32_t point_count, oct_buf *out,
                                    oct_error *error)
{
    oct_status status = OCT_OK;
    size_t start = out->bytes;
    offset_list empty = { 0 };
    index_counts counts = { .points = point_count };
    ASSERT(start % 8 == 0 && builder->next_offset <= point_count);
    TRY(complement(builder->alloc, &builder->not_empty, point_count, &empty, error));
    TRY(oct_buf_append_zeros(out, FIELD_HEADER_BYTES, error));
    const offset_list *const sets[FIELD_SETS] = { &builder->values, &builder->other, &builder->null,
                                                  &empty };
    for (size_t i = 0; i < FIELD_SETS; i++)
        TRY(set_write(sets[i], out, &counts.set_bytes[i], error));
    TRY(body_write(builder, &counts, out, error));
    header_store(builder, &counts, out->at + start, out->bytes - start);
done:
    list_free(builder->alloc, &empty);
    return status;
}
