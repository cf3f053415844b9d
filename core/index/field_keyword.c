/* SPDX-License-Identifier: Apache-2.0
 *
 * field_keyword.c - the body of keyword and bool indexes: a sorted dictionary with postings.
 *
 * Body: entries[entry_count] of { u64 text_end, u64 posting_end, u32 pair_end, u32 zero }, the
 * texts, zeros to a multiple of 8, the postings. Each entry starts where the one before ends;
 * text_end counts from the first text, posting_end from the first posting. The points of a word
 * are a plain u32 list while they are few, an idset from LIST_POINTS on, either with zeros to a
 * multiple of 8: most dictionaries have many rare words, for which a set's head would
 * outweigh its content.
 *
 * Valid when all ends ascend inside the body and reach its end, words strictly ascend bytewise,
 * each word has points, and lists and sets are ascending points. */
#include <string.h>

#include "base/bits.h"
#include "base/endian.h"
#include "base/str.h"
#include "index/field_layout.h"

enum { ENTRY_BYTES = 24, LIST_POINTS = 64 };

typedef struct word_entry {
    size_t text_end;
    size_t posting_end;
    uint32_t pair_end;
} word_entry;

/* Entry -1 is all zeros: where the first one starts. Only of validated bodies. */
static word_entry entry_before(const oct_field *field, uint32_t entry)
{
    if (entry == 0) return (word_entry){ 0 };
    const uint8_t *at = field->body + (size_t)(entry - 1) * ENTRY_BYTES;
    return (word_entry){ .text_end = (size_t)oct_load_u64(at),
                         .posting_end = (size_t)oct_load_u64(at + 8),
                         .pair_end = oct_load_u32(at + 16) };
}

static size_t texts_at(const oct_field *field)
{
    return (size_t)field->entry_count * ENTRY_BYTES;
}

static size_t postings_at(const oct_field *field)
{
    size_t end = texts_at(field) + entry_before(field, field->entry_count).text_end;
    return end + oct_field_pad(end);
}

static oct_str word_at(const oct_field *field, uint32_t entry)
{
    size_t start = entry_before(field, entry).text_end;
    size_t end = entry_before(field, entry + 1).text_end;
    return (oct_str){ (const char *)field->body + texts_at(field) + start, end - start };
}

/* ---- writing ---------------------------------------------------------------------------- */

static oct_status posting_write(const uint32_t *offsets, uint32_t count, oct_buf *out,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    size_t start = out->bytes;
    if (count < LIST_POINTS) {
        for (uint32_t i = 0; i < count; i++)
            TRY(oct_buf_append_u32(out, offsets[i], error));
    } else {
        TRY(oct_idset_write(offsets, count, out, error));
    }
    TRY(oct_buf_append_zeros(out, oct_field_pad(out->bytes - start), error));
done:
    return status;
}

oct_status oct_field_words_write(const oct_str *words, uint32_t word_count,
                                 const oct_sort_pairs *pairs, uint32_t pair_count, oct_buf *out,
                                 oct_error *error)
{
    oct_status status = OCT_OK;
    size_t body = out->bytes;
    uint64_t entries_bytes = (uint64_t)word_count * ENTRY_BYTES;
    if (entries_bytes > SIZE_MAX / 2)
        TRY(oct_fail(error, OCT_LIMIT, "payload index: too many words: %" PRIu32, word_count));
    TRY(oct_buf_append_zeros(out, (size_t)entries_bytes, error));
    for (uint32_t i = 0; i < word_count; i++)
        TRY(oct_buf_append(out, words[i].at, words[i].bytes, error));
    TRY(oct_buf_append_zeros(out, oct_field_pad(out->bytes - body), error));
    size_t postings = out->bytes;
    uint64_t text_end = 0;
    uint32_t pair = 0;
    for (uint32_t i = 0; i < word_count; i++) {
        uint32_t first = pair;
        while (pair < pair_count && pairs->keys[pair] == i)
            pair++;
        TRY(posting_write(pairs->offsets + first, pair - first, out, error));
        text_end += words[i].bytes;
        uint8_t *entry = out->at + body + (size_t)i * ENTRY_BYTES;
        oct_store_u64(entry, text_end);
        oct_store_u64(entry + 8, out->bytes - postings);
        oct_store_u32(entry + 16, pair);
    }
    ASSERT(pair == pair_count);
done:
    return status;
}

/* ---- checking --------------------------------------------------------------------------- */

/* The ends of all entries ascend and fit the body: makes entry_before and word_at safe. */
static oct_status check_entries(const oct_field *field, oct_error *error)
{
    uint64_t entries = (uint64_t)field->entry_count * ENTRY_BYTES;
    if (entries > field->body_bytes)
        return oct_fail(error, OCT_CORRUPT, "payload index: %zu bytes can't hold %" PRIu32 " words",
                        field->body_bytes, field->entry_count);
    uint64_t left = field->body_bytes - entries;
    uint64_t text = 0;
    uint64_t posting = 0;
    uint32_t pair = 0;
    for (uint32_t i = 0; i < field->entry_count; i++) {
        const uint8_t *at = field->body + (size_t)i * ENTRY_BYTES;
        uint64_t text_end = oct_load_u64(at);
        uint64_t posting_end = oct_load_u64(at + 8);
        uint32_t pair_end = oct_load_u32(at + 16);
        if (text_end < text || text_end > left || posting_end <= posting || posting_end > left ||
            posting_end % 8 != 0 || pair_end <= pair || oct_load_u32(at + 20) != 0)
            return oct_fail(error, OCT_CORRUPT, "payload index: word %" PRIu32 " is damaged", i);
        text = text_end;
        posting = posting_end;
        pair = pair_end;
    }
    uint64_t before = entries + text;
    before += oct_field_pad((size_t)before);
    if (before + posting != field->body_bytes || pair != field->pair_count)
        return oct_fail(error, OCT_CORRUPT, "payload index: the words do not fill their %zu bytes",
                        field->body_bytes);
    return OCT_OK;
}

static oct_status check_list(const oct_field *field, const uint8_t *at, uint32_t count,
                             oct_error *error)
{
    uint32_t before = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t offset = oct_load_u32(at + (size_t)i * 4);
        if (offset >= field->point_count || (i > 0 && offset <= before))
            return oct_fail(error, OCT_CORRUPT, "payload index: a posting list is out of order");
        before = offset;
    }
    return OCT_OK;
}

/* The points of a word: where, how many bytes with padding, how many. */
typedef struct word_posting {
    const uint8_t *at;
    size_t bytes;
    uint32_t count;
} word_posting;

/* `postings` is postings_at(field). */
static word_posting posting_of(const oct_field *field, size_t postings, uint32_t entry)
{
    word_entry before = entry_before(field, entry);
    word_entry own = entry_before(field, entry + 1);
    return (word_posting){ .at = field->body + postings + before.posting_end,
                           .bytes = own.posting_end - before.posting_end,
                           .count = own.pair_end - before.pair_end };
}

static oct_status check_posting(const oct_field *field, word_posting posting, oct_error *error)
{
    oct_status status = OCT_OK;
    if (posting.count < LIST_POINTS) {
        size_t bytes = (size_t)posting.count * 4;
        if (posting.bytes != bytes + oct_field_pad(bytes))
            TRY(oct_fail(error, OCT_CORRUPT, "payload index: a posting list has a wrong size"));
        TRY(check_list(field, posting.at, posting.count, error));
    } else {
        oct_idset set;
        TRY(oct_idset_open(posting.at, posting.bytes, field->point_count, &set, error));
        if (set.count != posting.count)
            TRY(oct_fail(error, OCT_CORRUPT, "payload index: a posting set has a wrong count"));
    }
done:
    return status;
}

oct_status oct_field_words_check(const oct_field *field, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(check_entries(field, error));
    size_t postings = postings_at(field);
    for (uint32_t i = 0; i < field->entry_count; i++) {
        oct_str word = word_at(field, i);
        if (i > 0 && oct_str_compare(word_at(field, i - 1), word) >= 0)
            TRY(oct_fail(error, OCT_CORRUPT, "payload index: word %" PRIu32 " is out of order", i));
        if (field->type == OCT_FIELD_BOOL && !oct_str_equal(word, oct_field_bool_word(false)) &&
            !oct_str_equal(word, oct_field_bool_word(true)))
            TRY(oct_fail(error, OCT_CORRUPT, "payload index: word %" PRIu32 " is no boolean", i));
        TRY(check_posting(field, posting_of(field, postings, i), error));
    }
done:
    return status;
}

/* ---- using ------------------------------------------------------------------------------ */

oct_field_span oct_field_words_find(const oct_field *field, const oct_scalar *scalar)
{
    oct_str wanted =
        field->type == OCT_FIELD_BOOL ? oct_field_bool_word(scalar->integer != 0) : scalar->keyword;
    uint32_t low = 0;
    uint32_t high = field->entry_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = oct_str_compare(word_at(field, middle), wanted);
        if (order == 0) return (oct_field_span){ middle, middle + 1 };
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return (oct_field_span){ low, low };
}

void oct_field_words_emit(const oct_field *field, oct_field_span span, uint64_t *bits)
{
    size_t postings = postings_at(field);
    for (uint32_t i = span.first; i < span.end; i++) {
        word_posting posting = posting_of(field, postings, i);
        if (posting.count >= LIST_POINTS) {
            oct_idset set = oct_idset_again(posting.at, posting.bytes);
            oct_idset_or_into(&set, bits);
            continue;
        }
        for (uint32_t j = 0; j < posting.count; j++)
            oct_bits_set(bits, oct_load_u32(posting.at + (size_t)j * 4));
    }
}

uint32_t oct_field_words_list(const oct_field *field, oct_field_span span, uint32_t *out)
{
    size_t postings = postings_at(field);
    uint32_t count = 0;
    for (uint32_t i = span.first; i < span.end; i++) {
        word_posting posting = posting_of(field, postings, i);
        if (posting.count >= LIST_POINTS) {
            oct_idset set = oct_idset_again(posting.at, posting.bytes);
            oct_idset_members(&set, out + count);
        } else {
            for (uint32_t j = 0; j < posting.count; j++)
                out[count + j] = oct_load_u32(posting.at + (size_t)j * 4);
        }
        count += posting.count;
    }
    return count;
}

uint32_t oct_field_words_pairs(const oct_field *field, oct_field_span span)
{
    return entry_before(field, span.end).pair_end - entry_before(field, span.first).pair_end;
}
