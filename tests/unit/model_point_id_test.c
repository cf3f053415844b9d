/* SPDX-License-Identifier: Apache-2.0 */
/* model_point_id_test.c - spellings, order and messages of point ids. */
#include "model/point_id.h"

#include "model_support.h"

static const char uuid_text[] = "550e8400-e29b-41d4-a716-446655440000";

static bool parses(const char *text, oct_point_id *id)
{
    *id = (oct_point_id){ 0 };
    return oct_point_id_parse(oct_str_of(text), id);
}

static bool prints(oct_point_id id, const char *wanted)
{
    char text[OCT_POINT_ID_TEXT_BYTES];
    size_t bytes = oct_point_id_print(id, text);
    return bytes == strlen(wanted) && strcmp(text, wanted) == 0;
}

TEST(numbers_are_u64)
{
    oct_point_id id;
    CHECK(parses("0", &id) && oct_point_id_equal(id, oct_point_id_of(0)) && prints(id, "0"));
    CHECK(parses("18446744073709551615", &id) && prints(id, "18446744073709551615"));
    CHECK(!parses("18446744073709551616", &id));
    CHECK(!parses("-1", &id));
    CHECK(!parses("", &id));
    CHECK(!parses("1.0", &id));
}

TEST(uuids_have_four_spellings)
{
    const char *const spellings[] = { "550e8400e29b41d4a716446655440000",
                                      "550E8400-E29B-41D4-A716-446655440000",
                                      "urn:uuid:550e8400-e29b-41d4-a716-446655440000",
                                      "{550e8400-e29b-41d4-a716-446655440000}" };
    for (size_t i = 0; i < ARRAY_COUNT(spellings); i++) {
        oct_point_id id;
        CHECK(parses(spellings[i], &id));
        CHECK(id.is_uuid && id.high == 0x550e8400e29b41d4 && id.low == 0xa716446655440000);
        CHECK(prints(id, uuid_text));
    }
}

TEST(other_texts_are_no_ids)
{
    const char *const texts[] = { "nouuid",
                                  "550e8400-e29b-41d4-a716-44665544000",
                                  "550e8400-e29b-41d4-a716-4466554400000",
                                  "550e8400-e29b-41d4-a716-44665544000g",
                                  "550e8400e29b-41d4-a716-446655440000-",
                                  "550e8400-e29b41d4-a716-4466-55440000",
                                  "urn:uuid:550e8400e29b41d4a716446655440000",
                                  "URN:UUID:550e8400-e29b-41d4-a716-446655440000",
                                  "{550e8400-e29b-41d4-a716-446655440000",
                                  "{550e8400e29b41d4a716446655440000}" };
    oct_point_id id;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        CHECK(!parses(texts[i], &id));
}

TEST(random_uuids_survive_printing)
{
    for (int i = 0; i < 1000; i++) {
        oct_point_id id = { .high = test_random(), .low = test_random(), .is_uuid = true };
        char text[OCT_POINT_ID_TEXT_BYTES];
        oct_point_id back;
        oct_point_id_print(id, text);
        CHECK(parses(text, &back) && oct_point_id_equal(id, back));
    }
}

TEST(numbers_come_before_uuids)
{
    const oct_point_id order[] = { { 0, 0, false },          { 0, 7, false },
                                   { 0, UINT64_MAX, false }, { 0, 0, true },
                                   { 0, 7, true },           { 1, 0, true },
                                   { UINT64_MAX, 0, true } };
    for (size_t i = 0; i < ARRAY_COUNT(order); i++)
        for (size_t j = 0; j < ARRAY_COUNT(order); j++) {
            int compared = oct_point_id_compare(order[i], order[j]);
            CHECK(i < j ? compared < 0 : i > j ? compared > 0 : compared == 0);
            CHECK(oct_point_id_equal(order[i], order[j]) == (i == j));
        }
}

static void check_json(const char *json, oct_status wanted, const char *message)
{
    oct_arena arena;
    oct_point_id id;
    oct_error error = { .message = "" };
    oct_arena_init(&arena, &model_malloc, 0);
    const oct_json *value = model_json(&arena, json);
    CHECK(value);
    oct_status status = oct_point_id_from_json(value, &id, &error);
    oct_arena_reset(&arena);
    CHECK_EQ_U64(status, wanted);
    CHECK_EQ_STR(error.message, message);
}

TEST(json_ids_are_integers_or_uuid_strings)
{
#define ENDING " is not a valid point ID, valid values are either an unsigned integer or a UUID"
    check_json("77", OCT_OK, "");
    check_json("\"550e8400-e29b-41d4-a716-446655440000\"", OCT_OK, "");
    check_json("\"nouuid\"", OCT_BAD_INPUT, "Format error in JSON body: value nouuid" ENDING);
    check_json("\"77\"", OCT_BAD_INPUT, "Format error in JSON body: value 77" ENDING);
    check_json("-3", OCT_BAD_INPUT, "Format error in JSON body: value -3" ENDING);
    check_json("1.0", OCT_BAD_INPUT,
               "Format error in JSON body: value of type floating point number" ENDING);
    check_json("null", OCT_BAD_INPUT, "Format error in JSON body: value of type null" ENDING);
    CHECK(true);
}

TEST(ids_are_written_as_json)
{
    oct_buf buf;
    oct_json_writer writer;
    oct_buf_init(&buf, &model_malloc, 1000);
    oct_json_writer_init(&writer, &buf);
    oct_point_id id;
    CHECK(parses(uuid_text, &id));
    oct_json_begin_array(&writer);
    oct_point_id_write(&writer, oct_point_id_of(12));
    oct_point_id_write(&writer, id);
    oct_json_end_array(&writer);
    bool same = model_is((oct_str){ (const char *)buf.at, buf.bytes },
                         "[12,\"550e8400-e29b-41d4-a716-446655440000\"]");
    oct_buf_deinit(&buf);
    CHECK(same);
}

TEST_MAIN(numbers_are_u64, uuids_have_four_spellings, other_texts_are_no_ids,
          random_uuids_survive_printing, numbers_come_before_uuids,
          json_ids_are_integers_or_uuid_strings, ids_are_written_as_json)
