/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a buffer holds exactly what was appended, never more than its maximum, and a failed
 * append changes nothing; the reader gives it back and refuses every truncation.
 * Method: random appends against a plain array, every prefix of a written record, an
 * allocation-failure sweep. */
#include "base/buf.h"

#include "base/endian.h"
#include "base_heap.h"
#include "test.h"

TEST(appends_equal_a_plain_array)
{
    enum { MODEL = 60000 };
    static uint8_t model[MODEL];
    for (int round = 0; round < 20; round++) {
        oct_buf buf;
        size_t bytes = 0;
        size_t bytes_max = 1 + test_random_below(MODEL);
        oct_buf_init(&buf, heap_start(), bytes_max);
        for (int i = 0; i < 200; i++) {
            uint8_t piece[400];
            size_t more = test_random_below(sizeof piece);
            bool zeros = test_random_below(4) == 0;
            for (size_t j = 0; j < more; j++)
                piece[j] = zeros ? 0 : (uint8_t)test_random();
            oct_status status = zeros ? oct_buf_append_zeros(&buf, more, NULL)
                                      : oct_buf_append(&buf, piece, more, NULL);
            bool fits = bytes + more <= bytes_max;
            CHECK(status == (fits ? OCT_OK : OCT_LIMIT));
            if (fits) {
                memcpy(model + bytes, piece, more);
                bytes += more;
            }
            CHECK(buf.bytes == bytes);
            CHECK(buf.capacity <= bytes_max);
        }
        CHECK(bytes == 0 || memcmp(buf.at, model, bytes) == 0);
        oct_buf_deinit(&buf);
        CHECK(heap_is_empty());
    }
}

TEST(reserved_room_needs_no_memory)
{
    oct_buf buf;
    oct_error error;
    oct_buf_init(&buf, heap_start(), 1 << 20);
    CHECK(oct_buf_reserve(&buf, 0, &error) == OCT_OK);
    CHECK(buf.at == NULL);
    CHECK(oct_buf_reserve(&buf, 1000, &error) == OCT_OK);
    heap_counting.fail_after = true;
    heap_counting.fail_at = 1;
    for (int i = 0; i < 1000; i++)
        CHECK(oct_buf_append_u8(&buf, (uint8_t)i, &error) == OCT_OK);
    CHECK(oct_buf_reserve(&buf, 100000, &error) == OCT_NOMEM);
    CHECK(buf.bytes == 1000 && buf.at[999] == (uint8_t)999);
    oct_buf_clear(&buf);
    CHECK(buf.bytes == 0 && buf.capacity >= 1000);
    CHECK(oct_buf_append_zeros(&buf, 1000, &error) == OCT_OK);
    oct_buf_deinit(&buf);
    CHECK(heap_is_empty());
}

TEST(the_maximum_is_a_limit_for_any_size)
{
    oct_buf buf;
    oct_error error;
    oct_buf_init(&buf, heap_start(), 10);
    CHECK(oct_buf_append(&buf, "0123456789", 10, &error) == OCT_OK);
    CHECK(oct_buf_append_u8(&buf, 0, &error) == OCT_LIMIT);
    CHECK(strstr(error.message, "10 bytes") != NULL);
    CHECK(oct_buf_reserve(&buf, SIZE_MAX, &error) == OCT_LIMIT);
    CHECK(oct_buf_append_str(&buf, OCT_STR(""), &error) == OCT_LIMIT);
    CHECK(oct_buf_append_u32(&buf, 1, &error) == OCT_LIMIT);
    CHECK(oct_buf_append_u64(&buf, 1, &error) == OCT_LIMIT);
    CHECK(oct_buf_append_zeros(&buf, 1, &error) == OCT_LIMIT);
    CHECK(oct_buf_append(&buf, NULL, 0, &error) == OCT_OK);
    CHECK(buf.bytes == 10 && memcmp(buf.at, "0123456789", 10) == 0);
    char byte = 'x';
    CHECK(oct_buf_append_str(&buf, (oct_str){ &byte, SIZE_MAX }, &error) == OCT_LIMIT);
    oct_buf_deinit(&buf);
}

TEST(integers_are_little_endian)
{
    oct_buf buf;
    oct_buf_init(&buf, heap_start(), 100);
    CHECK(oct_buf_append_u8(&buf, 0x12, NULL) == OCT_OK);
    CHECK(oct_buf_append_u32(&buf, 0x12345678, NULL) == OCT_OK);
    CHECK(oct_buf_append_u64(&buf, UINT64_C(0x123456789ABCDEF0), NULL) == OCT_OK);
    CHECK(oct_buf_append_str(&buf, OCT_STR("hi"), NULL) == OCT_OK);
    const uint8_t expected[] = { 0x12, 0x78, 0x56, 0x34, 0x12, 0xF0, 0xDE, 0xBC, 0x9A, 0x78,
                                 0x56, 0x34, 0x12, 2,    0,    0,    0,    'h',  'i' };
    CHECK(buf.bytes == sizeof expected && memcmp(buf.at, expected, sizeof expected) == 0);
    CHECK(oct_load_u16(buf.at + 1) == 0x5678);
    CHECK(oct_load_u32(buf.at + 1) == 0x12345678);
    CHECK(oct_load_u64(buf.at + 5) == UINT64_C(0x123456789ABCDEF0));
    oct_store_u16(buf.at + 1, 0xBEEF);
    CHECK(buf.at[1] == 0xEF && buf.at[2] == 0xBE);
    oct_buf_deinit(&buf);
}

/* Read the record that every_prefix_is_corrupt writes; the first failure. */
static oct_status read_record(oct_reader *reader, oct_error *error)
{
    oct_status status = OCT_OK;
    uint8_t small;
    uint32_t middle;
    uint64_t large;
    oct_str text;
    const uint8_t *raw;
    TRY(oct_read_u8(reader, &small, "record: small", error));
    TRY(oct_read_u32(reader, &middle, "record: middle", error));
    TRY(oct_read_u64(reader, &large, "record: large", error));
    TRY(oct_read_str(reader, &text, "record: text", error));
    TRY(oct_read_bytes(reader, 3, &raw, "record: raw", error));
    CHECK_OR(OCT_IO, small == 200 && middle == 4000000000u && large == UINT64_MAX - 1);
    CHECK_OR(OCT_IO, text.bytes == 5 && memcmp(text.at, "he\0lo", 5) == 0);
    CHECK_OR(OCT_IO, memcmp(raw, "raw", 3) == 0);
done:
    return status;
}

TEST(every_prefix_is_corrupt)
{
    oct_buf buf;
    oct_error error;
    oct_buf_init(&buf, heap_start(), 1000);
    CHECK(oct_buf_append_u8(&buf, 200, NULL) == OCT_OK);
    CHECK(oct_buf_append_u32(&buf, 4000000000u, NULL) == OCT_OK);
    CHECK(oct_buf_append_u64(&buf, UINT64_MAX - 1, NULL) == OCT_OK);
    CHECK(oct_buf_append_str(&buf, OCT_STR("he\0lo"), NULL) == OCT_OK);
    CHECK(oct_buf_append(&buf, "raw", 3, NULL) == OCT_OK);
    for (size_t bytes = 0; bytes < buf.bytes; bytes++) {
        uint8_t *exact = malloc(bytes + !bytes); /* so that ASan sees a read behind it */
        CHECK(exact != NULL);
        memcpy(exact, buf.at, bytes);
        oct_reader reader = { exact, bytes };
        CHECK(read_record(&reader, &error) == OCT_CORRUPT);
        CHECK(memcmp(error.message, "record: ", 8) == 0);
        free(exact);
    }
    oct_reader reader = { buf.at, buf.bytes };
    CHECK(read_record(&reader, &error) == OCT_OK);
    CHECK(reader.bytes == 0);
    oct_buf_deinit(&buf);
}

TEST(a_failed_read_moves_nothing)
{
    const uint8_t bytes[] = { 255, 255, 255, 255, 1, 2 };
    oct_reader reader = { bytes, sizeof bytes };
    oct_str text;
    uint64_t large;
    const uint8_t *raw;
    oct_error error;
    CHECK(oct_read_str(&reader, &text, "name", &error) == OCT_CORRUPT);
    CHECK_EQ_STR(error.message, "name: 4294967295 bytes expected, 2 left");
    CHECK(text.at == NULL && text.bytes == 0);
    CHECK(oct_read_u64(&reader, &large, "x", &error) == OCT_CORRUPT && large == 0);
    CHECK(oct_read_bytes(&reader, SIZE_MAX, &raw, "x", &error) == OCT_CORRUPT && raw == NULL);
    CHECK(reader.at == bytes && reader.bytes == sizeof bytes);
    oct_reader empty = { NULL, 0 };
    CHECK(oct_read_bytes(&empty, 0, &raw, "x", &error) == OCT_OK);
}

TEST(every_allocation_may_fail)
{
    uint64_t runs = 0;
    for (uint64_t k = 1; heap_fail_at(k); k++) {
        oct_buf buf;
        oct_error error;
        oct_buf_init(&buf, &heap_counting.alloc, 1 << 20);
        size_t kept = 0;
        for (uint32_t i = 0; i < 2000; i++) {
            oct_status status = oct_buf_append_u32(&buf, i, &error);
            CHECK(status == OCT_OK || (status == OCT_NOMEM && heap_failed()));
            if (status == OCT_OK) kept++;
            CHECK(buf.bytes == kept * 4);
        }
        uint32_t expected = 0;
        for (size_t i = 0; i < kept; i++) {
            uint32_t value = oct_load_u32(buf.at + 4 * i);
            CHECK(value - expected <= 1); /* at most the one that failed is missing */
            expected = value + 1;
        }
        CHECK(kept == 2000 - (heap_failed() ? 1u : 0u));
        oct_buf_deinit(&buf);
        CHECK(heap_is_empty());
        runs++;
    }
    CHECK(runs >= 8);
}

TEST_MAIN(appends_equal_a_plain_array, reserved_room_needs_no_memory,
          the_maximum_is_a_limit_for_any_size, integers_are_little_endian, every_prefix_is_corrupt,
          a_failed_read_moves_nothing, every_allocation_may_fail)
