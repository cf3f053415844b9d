/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: comparison is a total bytewise order, split loses nothing, numbers are exactly decimal
 * u64, and UTF-8 is exactly what the Unicode standard calls well-formed.
 * Method: the number and order functions against printf and memcmp on random input; UTF-8
 * against a decoder that knows only code points and their shortest encoding: all two- and
 * three-byte strings, random longer ones. */
#include "base/str.h"

#include "base/bits.h"

#include "test.h"

static int sign(int order)
{
    return order < 0 ? -1 : order > 0;
}

TEST(order_is_bytewise)
{
    CHECK(oct_str_equal(OCT_STR(""), (oct_str){ NULL, 0 }));
    CHECK(oct_str_compare((oct_str){ NULL, 0 }, OCT_STR("a")) < 0);
    CHECK(oct_str_compare(OCT_STR("a"), OCT_STR("a\0")) < 0);
    CHECK(oct_str_compare(OCT_STR("\x7F"), OCT_STR("\x80")) < 0);
    for (int i = 0; i < 5000; i++) {
        char a[5], b[5];
        for (int j = 0; j < 4; j++) {
            a[j] = (char)('a' + test_random_below(3));
            b[j] = (char)('a' + test_random_below(3));
        }
        a[test_random_below(5)] = b[test_random_below(5)] = '\0';
        a[4] = b[4] = '\0';
        oct_str x = oct_str_of(a);
        oct_str y = oct_str_of(b);
        CHECK(sign(oct_str_compare(x, y)) == sign(strcmp(a, b)));
        CHECK(oct_str_equal(x, y) == (strcmp(a, b) == 0));
    }
}

TEST(split_takes_one_part_at_a_time)
{
    oct_str rest = OCT_STR("/a//bc/");
    static const char *const parts[] = { "", "a", "", "bc" };
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        CHECK(oct_str_equal(oct_str_split(&rest, '/'), oct_str_of(parts[i])));
        CHECK(rest.at != NULL);
    }
    CHECK(rest.bytes == 0); /* behind the last separator: empty, but there */
    CHECK(oct_str_split(&rest, '/').bytes == 0);
    CHECK(rest.at == NULL);
    CHECK(oct_str_split(&rest, '/').bytes == 0);
    rest = OCT_STR("whole");
    CHECK(oct_str_equal(oct_str_split(&rest, '/'), OCT_STR("whole")));
    CHECK(rest.at == NULL && rest.bytes == 0);
}

TEST(numbers_are_decimal_u64)
{
    uint64_t value;
    static const char *const wrong[] = { "",
                                         "-1",
                                         "+1",
                                         " 1",
                                         "1 ",
                                         "1.0",
                                         "0x1",
                                         "a",
                                         "1e3",
                                         "18446744073709551616",
                                         "99999999999999999999",
                                         "184467440737095516150",
                                         "/",
                                         ":" };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        value = 7;
        CHECK(!oct_str_u64(oct_str_of(wrong[i]), &value));
        CHECK(value == 0);
    }
    CHECK(!oct_str_u64(OCT_STR("1\0"), &value));
    CHECK(oct_str_u64(OCT_STR("18446744073709551615"), &value) && value == UINT64_MAX);
    CHECK(oct_str_u64(OCT_STR("00000000000000000000000007"), &value) && value == 7);
    for (int i = 0; i < 10000; i++) {
        uint64_t expected = test_random() >> test_random_below(64);
        char text[32];
        snprintf(text, sizeof text, "%" PRIu64, expected);
        CHECK(oct_str_u64(oct_str_of(text), &value));
        CHECK_EQ_U64(value, expected);
    }
}

/* The shortest encoding of a code point; 0 bytes when it has none. */
static size_t encode(uint32_t code, unsigned char *out)
{
    if (code >= 0xD800 && code <= 0xDFFF) return 0;
    if (code < 0x80) {
        out[0] = (unsigned char)code;
        return 1;
    }
    size_t bytes = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned first[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    for (size_t i = bytes - 1; i > 0; i--) {
        out[i] = (unsigned char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (unsigned char)(first[bytes] | code);
    return bytes;
}

/* Read code points without any check of ranges, encode each again, compare. */
static bool reencodes(const unsigned char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes;) {
        unsigned char lead = text[i];
        size_t length = lead < 0x80 ? 1 : lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        if (length == 0 || length > bytes - i) return false;
        uint32_t code = length == 1 ? lead : lead & (0xFFu >> (length + 1));
        for (size_t j = 1; j < length; j++)
            code = code << 6 | (text[i + j] & 0x3F);
        unsigned char again[4];
        if (lead >= 0xF8 || code > 0x10FFFF || encode(code, again) != length) return false;
        if (memcmp(again, text + i, length) != 0) return false;
        i += length;
    }
    return true;
}

static bool is_utf8(const unsigned char *text, size_t bytes)
{
    return oct_str_is_utf8((oct_str){ (const char *)text, bytes });
}

TEST(utf8_of_up_to_three_bytes)
{
    CHECK(oct_str_is_utf8((oct_str){ NULL, 0 }));
    for (uint32_t all = 0; all < 1 << 24; all++) {
        unsigned char text[] = { (unsigned char)(all >> 16), (unsigned char)(all >> 8),
                                 (unsigned char)all };
        CHECK(is_utf8(text, 3) == reencodes(text, 3));
        if (!(all & 0xFF)) CHECK(is_utf8(text, 2) == reencodes(text, 2));
    }
}

TEST(utf8_of_every_code_point)
{
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        unsigned char text[4];
        size_t bytes = encode(code, text);
        CHECK(bytes == 0 || is_utf8(text, bytes));
        CHECK(bytes < 2 || !is_utf8(text, bytes - 1));
        CHECK(bytes < 2 || !is_utf8(text + 1, bytes - 1));
    }
}

TEST(utf8_of_random_strings)
{
    for (int i = 0; i < 200000; i++) {
        unsigned char text[40];
        size_t bytes = 0;
        while (bytes < 36 && test_random_below(20) > 0) {
            uint32_t limit = test_random_below(4) ? 0x80 : 0x110000;
            bytes += encode(test_random_below(limit), text + bytes);
        }
        if (bytes > 0 && test_random_below(2)) /* damage */
            text[test_random_below((uint32_t)bytes)] = (unsigned char)test_random();
        CHECK(is_utf8(text, bytes) == reencodes(text, bytes));
    }
}

TEST(bits_are_those_of_an_array_of_bools)
{
    enum { COUNT = 300 };
    bool model[COUNT] = { false };
    uint64_t bits[(COUNT + 63) / 64] = { 0 };
    CHECK(oct_bits_words(0) == 0 && oct_bits_words(1) == 1 && oct_bits_words(64) == 1);
    CHECK(oct_bits_words(65) == 2 && oct_bits_words(COUNT) == ARRAY_COUNT(bits));
    CHECK(oct_bits_words(SIZE_MAX) == SIZE_MAX / 64 + 1);
    for (int i = 0; i < 2000; i++) {
        size_t index = test_random_below(COUNT);
        bool on = test_random_below(2);
        if (on)
            oct_bits_set(bits, index);
        else
            oct_bits_clear(bits, index);
        model[index] = on;
        size_t count = 0;
        for (size_t j = 0; j < COUNT; j++) {
            CHECK(oct_bits_get(bits, j) == model[j]);
            count += model[j];
        }
        CHECK(oct_bits_count(bits, ARRAY_COUNT(bits)) == count);
    }
}

TEST(shown_cuts_between_characters)
{
    oct_str text = OCT_STR("a\xc3\xa9\xf0\x9f\x98\x80z"); /* 1, 2, 4 and 1 bytes */
    static const int shown[] = { 0, 1, 1, 3, 3, 3, 3, 7, 8, 8 };
    for (size_t most = 0; most < ARRAY_COUNT(shown); most++)
        CHECK(oct_str_shown(text, most) == shown[most]);
}

TEST_MAIN(shown_cuts_between_characters, order_is_bytewise, split_takes_one_part_at_a_time,
          numbers_are_decimal_u64, utf8_of_up_to_three_bytes, utf8_of_every_code_point,
          utf8_of_random_strings, bits_are_those_of_an_array_of_bools)
