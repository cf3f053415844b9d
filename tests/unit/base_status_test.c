/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every status has its codes and text, whatever number a host returns; a message is always
 * NUL-terminated, never torn inside a character, and NULL errors are fine.
 * Method: the table against Qdrant's codes by hand; messages of every length around the limit,
 * made of characters of every width. */
#include "base/check.h"

#include "test.h"

TEST(every_status_has_text_and_codes)
{
    for (int i = 0; i < OCT_STATUS_COUNT; i++) {
        oct_status status = (oct_status)i;
        CHECK(strlen(oct_status_text(status)) > 1);
        int http = oct_status_http(status);
        CHECK((http >= 400 && http <= 599) || (status == OCT_OK && http == 200));
        int grpc = oct_status_grpc(status);
        CHECK((grpc >= 1 && grpc <= 16) || (status == OCT_OK && grpc == 0));
    }
    CHECK_EQ_STR(oct_status_text(OCT_NOMEM), "out of memory");
    CHECK(oct_status_http(OCT_VALIDATION) == 422);
    CHECK(oct_status_grpc(OCT_CORRUPT) == 15);
}

TEST(numbers_that_are_no_status_are_unknown)
{
    const int wrong[] = { OCT_STATUS_COUNT, OCT_STATUS_COUNT + 1, 1 << 20, -1 };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        CHECK_EQ_STR(oct_status_text((oct_status)wrong[i]), "unknown");
        CHECK(oct_status_http((oct_status)wrong[i]) == 500);
        CHECK(oct_status_grpc((oct_status)wrong[i]) == 2);
    }
}

TEST(fail_fills_the_error)
{
    oct_error error;
    memset(&error, 0xFF, sizeof error);
    CHECK(oct_fail(&error, OCT_BAD_INPUT, "%s: %" PRIu64 " of %.*s", "here", UINT64_MAX, 2,
                   "abc") == OCT_BAD_INPUT);
    CHECK(error.status == OCT_BAD_INPUT);
    CHECK(error.os_code == 0);
    CHECK_EQ_STR(error.message, "here: 18446744073709551615 of ab");
    CHECK(oct_fail_os(&error, OCT_IO, 28, "write %s", "x") == OCT_IO);
    CHECK(error.status == OCT_IO);
    CHECK(error.os_code == 28);
    CHECK_EQ_STR(error.message, "write x");
    CHECK(oct_fail_nomem(&error, "a thing") == OCT_NOMEM);
    CHECK(error.os_code == 0);
    CHECK_EQ_STR(error.message, "out of memory allocating a thing");
}

TEST(fail_without_an_error_gives_the_status)
{
    CHECK(oct_fail(NULL, OCT_LIMIT, "%d", 1) == OCT_LIMIT);
    CHECK(oct_fail_os(NULL, OCT_IO, 1, "%d", 1) == OCT_IO);
    CHECK(oct_fail_nomem(NULL, "x") == OCT_NOMEM);
}

/* A message of `ascii` letters and then `character` often enough is cut so that it ends behind a
 * whole character and no more than one character short of the limit. */
static void check_cut(size_t ascii, const char *character)
{
    char text[OCT_ERROR_MESSAGE_BYTES * 2];
    size_t width = strlen(character);
    size_t bytes = ascii;
    memset(text, 'a', ascii);
    while (bytes + width < sizeof text) {
        memcpy(text + bytes, character, width);
        bytes += width;
    }
    text[bytes] = '\0';
    oct_error error;
    CHECK(oct_fail(&error, OCT_IO, "%s", text) == OCT_IO);
    size_t kept = strlen(error.message);
    CHECK(kept < OCT_ERROR_MESSAGE_BYTES);
    CHECK(kept + width >= OCT_ERROR_MESSAGE_BYTES);
    CHECK(memcmp(error.message, text, kept) == 0);
    CHECK((kept - ascii) % width == 0);
}

TEST(long_messages_are_cut_between_characters)
{
    static const char *const characters[] = { "b", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80" };
    for (size_t c = 0; c < ARRAY_COUNT(characters); c++)
        for (size_t ascii = 0; ascii < 9; ascii++)
            check_cut(ascii, characters[c]);
}

TEST(the_longest_message_fits_whole)
{
    char text[OCT_ERROR_MESSAGE_BYTES];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    oct_error error;
    CHECK(oct_fail(&error, OCT_IO, "%s", text) == OCT_IO);
    CHECK_EQ_STR(error.message, text);
}

TEST(bytes_that_are_no_characters_are_cut_anywhere)
{
    char text[OCT_ERROR_MESSAGE_BYTES + 100];
    memset(text, 0x80, sizeof text);
    text[sizeof text - 1] = '\0';
    oct_error error;
    CHECK(oct_fail(&error, OCT_IO, "%s", text) == OCT_IO);
    CHECK(strlen(error.message) == OCT_ERROR_MESSAGE_BYTES - 1);
}

TEST(try_leaves_at_the_first_failure)
{
    oct_status status = OCT_OK;
    int reached = 0;
    TRY(OCT_OK);
    reached++;
    TRY(OCT_CONFLICT);
    reached++;
done:
    CHECK(status == OCT_CONFLICT);
    CHECK(reached == 1);
}

TEST_MAIN(every_status_has_text_and_codes, numbers_that_are_no_status_are_unknown,
          fail_fills_the_error, fail_without_an_error_gives_the_status,
          long_messages_are_cut_between_characters, the_longest_message_fits_whole,
          bytes_that_are_no_characters_are_cut_anywhere, try_leaves_at_the_first_failure)
