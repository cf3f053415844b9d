/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a manifest always reads as the newest generation that was published, whatever single
 * byte or page of its files is damaged; and what can't be read is refused, never guessed. Method:
 * a body whose every byte follows from its generation; every byte of both slots changed in turn;
 * forged headers. Crashes and failing calls are in tests/sim and store_fault_test.c. */
#include "base/hash.h"
#include "unit/store_fixture.h"

#define PREFIX "c/manifest"

static const char *const slots[] = { PREFIX ".0", PREFIX ".1" };

/* Bodies of all lengths around the 4 KiB steps, growing and shrinking. */
static size_t body_bytes(uint64_t generation)
{
    static const size_t sizes[] = { 10, 4063, 4064, 4065, 0, 9000, 1, 20000, 8160, 100 };
    return sizes[generation % ARRAY_COUNT(sizes)];
}

static oct_status publish(const fixture *world, uint64_t generation)
{
    static uint8_t body[20000];
    size_t bytes = body_bytes(generation);
    record_fill(generation, body, bytes);
    oct_manifest_edition edition = { .generation = generation,
                                     .body = { (const char *)body, bytes } };
    return oct_manifest_write(world->alloc, world->vfs, PREFIX, &edition, NULL);
}

/* Read; *generation is what came. False when status is OK and the body is not that generation's,
 * or the status is not and something came all the same. */
static bool read_back(const fixture *world, oct_status *status, uint64_t *generation)
{
    oct_buf body;
    oct_buf_init(&body, world->alloc, OCT_MANIFEST_BYTES_MAX);
    *status = oct_manifest_read(world->vfs, PREFIX, &body, generation, NULL);
    bool right = body.bytes == (*status == OCT_OK ? body_bytes(*generation) : 0);
    for (size_t i = 0; i < body.bytes && right; i++)
        right = body.at[i] == record_byte(*generation, i);
    oct_buf_deinit(&body);
    return right;
}

TEST(generations_follow_each_other)
{
    fixture world;
    oct_status status;
    uint64_t generation;
    uint64_t largest[2] = { 0, 0 };
    CHECK(fixture_init(&world));
    CHECK(read_back(&world, &status, &generation));
    CHECK(status == OCT_NOT_FOUND);
    for (uint64_t g = 0; g < 40; g++) {
        CHECK(publish(&world, g) == OCT_OK);
        CHECK(read_back(&world, &status, &generation));
        CHECK(status == OCT_OK);
        CHECK_EQ_U64(generation, g);
        uint64_t bytes = file_size(world.vfs, slots[g % 2]);
        CHECK(bytes % 8192 == 0);
        CHECK(bytes >= largest[g % 2]); /* never shorter */
        largest[g % 2] = bytes;
    }
    CHECK_EQ_U64(largest[0], 2 * 8192); /* 8160 and the header fill two pages exactly */
    CHECK_EQ_U64(largest[1], 2 * 20480);
    CHECK(fixture_deinit(&world));
}

TEST(remove_forgets_everything)
{
    fixture world;
    oct_status status;
    uint64_t generation;
    CHECK(fixture_init(&world));
    CHECK(oct_manifest_remove(world.vfs, PREFIX, NULL) == OCT_OK);
    for (uint64_t g = 0; g < 3; g++)
        CHECK(publish(&world, g) == OCT_OK);
    CHECK(oct_manifest_remove(world.vfs, PREFIX, NULL) == OCT_OK);
    CHECK_EQ_U64(file_size(world.vfs, slots[0]), UINT64_MAX);
    CHECK_EQ_U64(file_size(world.vfs, slots[1]), UINT64_MAX);
    CHECK(read_back(&world, &status, &generation));
    CHECK(status == OCT_NOT_FOUND);
    CHECK(publish(&world, 0) == OCT_OK);
    CHECK(read_back(&world, &status, &generation));
    CHECK(status == OCT_OK);
    CHECK_EQ_U64(generation, 0);
    CHECK(fixture_deinit(&world));
}

TEST(a_first_write_hides_leftovers)
{
    fixture world;
    oct_status status;
    uint64_t generation;
    CHECK(fixture_init(&world));
    for (uint64_t g = 0; g < 8; g++)
        CHECK(publish(&world, g) == OCT_OK);
    CHECK(publish(&world, 0) == OCT_OK);
    CHECK(read_back(&world, &status, &generation));
    CHECK(status == OCT_OK);
    CHECK_EQ_U64(generation, 0);
    CHECK(fixture_deinit(&world));
}

TEST(refusals)
{
    fixture world;
    oct_buf body;
    uint64_t generation;
    char prefix[OCT_PATH_BYTES_MAX];
    CHECK(fixture_init(&world));
    memset(prefix, 'p', sizeof prefix);
    prefix[sizeof prefix - 1] = '\0'; /* with ".0" one byte too long */
    oct_manifest_edition small = { .body = OCT_STR("x") };
    oct_manifest_edition large = { .body = { prefix, OCT_MANIFEST_BYTES_MAX + 1 } };
    CHECK(oct_manifest_write(world.alloc, world.vfs, prefix, &small, NULL) == OCT_BAD_INPUT);
    CHECK(oct_manifest_remove(world.vfs, prefix, NULL) == OCT_BAD_INPUT);
    oct_buf_init(&body, world.alloc, OCT_MANIFEST_BYTES_MAX);
    CHECK(oct_manifest_read(world.vfs, prefix, &body, &generation, NULL) == OCT_BAD_INPUT);
    CHECK(oct_manifest_write(world.alloc, world.vfs, PREFIX, &large, NULL) == OCT_LIMIT);
    CHECK_EQ_U64(file_size(world.vfs, slots[0]), UINT64_MAX);
    oct_buf_deinit(&body);
    CHECK(fixture_deinit(&world));
}

TEST(the_largest_body_fits)
{
    fixture world;
    oct_buf body;
    uint64_t generation;
    char *text = malloc(OCT_MANIFEST_BYTES_MAX);
    CHECK(text);
    memset(text, 'm', OCT_MANIFEST_BYTES_MAX);
    CHECK(fixture_init(&world));
    oct_buf_init(&body, world.alloc, OCT_MANIFEST_BYTES_MAX);
    oct_manifest_edition edition = { .body = { text, OCT_MANIFEST_BYTES_MAX } };
    CHECK(oct_manifest_write(world.alloc, world.vfs, PREFIX, &edition, NULL) == OCT_OK);
    CHECK(oct_manifest_read(world.vfs, PREFIX, &body, &generation, NULL) == OCT_OK);
    CHECK(body.bytes == OCT_MANIFEST_BYTES_MAX && memcmp(body.at, text, body.bytes) == 0);
    oct_buf_deinit(&body);
    free(text);
    CHECK(fixture_deinit(&world));
}

/* Change each byte of both slots, and zero each page: generation `now` is read all the same. */
static void damage_everywhere(const fixture *world, uint64_t now)
{
    static const uint8_t zeros[4096];
    for (uint32_t s = 0; s < 2; s++) {
        file_image whole = file_save(world->vfs, slots[s]);
        for (size_t i = 0; i < whole.bytes; i++) {
            oct_status status;
            uint64_t generation;
            uint8_t changed = whole.at[i] ^ (uint8_t)(1u << test_random_below(8));
            bool page = i % sizeof zeros == 0;
            CHECK(file_patch(world->vfs, slots[s], i, page ? zeros : &changed,
                             page ? sizeof zeros : 1));
            CHECK(read_back(world, &status, &generation));
            CHECK(status == OCT_OK);
            CHECK_EQ_U64(generation, now);
            CHECK(file_patch(world->vfs, slots[s], i, whole.at + i, page ? sizeof zeros : 1));
        }
        free(whole.at);
    }
}

TEST(damage_to_one_copy_is_healed)
{
    fixture world;
    CHECK(fixture_init(&world));
    for (uint64_t g = 0; g < 7; g++) {
        CHECK(publish(&world, g) == OCT_OK);
        damage_everywhere(&world, g);
    }
    CHECK(fixture_deinit(&world));
}

TEST(lost_slots)
{
    fixture world;
    oct_status status;
    uint64_t generation;
    CHECK(fixture_init(&world));
    CHECK(publish(&world, 0) == OCT_OK);
    /* Only a first write that never ended: short, or without slot 1. */
    file_image first = file_save(world.vfs, slots[0]);
    CHECK(world.vfs->remove(world.vfs->self, slots[1], NULL) == OCT_OK);
    for (uint64_t cut = 0; cut < 42; cut++) {
        CHECK(file_truncate(world.vfs, slots[0], cut));
        CHECK(read_back(&world, &status, &generation));
        CHECK(status == OCT_NOT_FOUND);
    }
    /* With slot 1 there it is damage. */
    CHECK(file_restore(world.vfs, slots[0], first));
    CHECK(publish(&world, 0) == OCT_OK);
    CHECK(file_truncate(world.vfs, slots[0], 41));
    CHECK(read_back(&world, &status, &generation));
    CHECK(status == OCT_CORRUPT);
    CHECK(file_truncate(world.vfs, slots[0], 0));
    CHECK(read_back(&world, &status, &generation));
    CHECK(status == OCT_CORRUPT);
    CHECK(world.vfs->remove(world.vfs->self, slots[0], NULL) == OCT_OK);
    CHECK(read_back(&world, &status, &generation));
    CHECK(status == OCT_CORRUPT);
    free(first.at);
    CHECK(fixture_deinit(&world));
}

static bool forge(const fixture *world, oct_manifest_header header, const char *slot)
{
    header.magic = OCT_MANIFEST_MAGIC;
    header.body_crc = oct_crc32c(0, "body", 4);
    header.header_crc = oct_crc32c(0, &header, offsetof(oct_manifest_header, header_crc));
    return file_patch(world->vfs, slot, 0, &header, sizeof header) &&
           file_patch(world->vfs, slot, sizeof header, "body", 4);
}

TEST(forged_headers_are_refused)
{
    fixture world;
    oct_status status;
    uint64_t generation;
    oct_manifest_header header = { .body_bytes = 4, .generation = 5 };
    CHECK(fixture_init(&world));
    CHECK(forge(&world, header, slots[1]));
    oct_buf body;
    oct_buf_init(&body, world.alloc, OCT_MANIFEST_BYTES_MAX);
    CHECK(oct_manifest_read(world.vfs, PREFIX, &body, &generation, NULL) == OCT_OK);
    CHECK_EQ_U64(generation, 5);
    oct_buf_deinit(&body);
    header.generation = 4; /* belongs into the other slot */
    CHECK(forge(&world, header, slots[1]));
    CHECK(read_back(&world, &status, &generation));
    CHECK(status == OCT_CORRUPT);
    world.counting.bytes_max = 1 << 20; /* no size is believed that the file does not have */
    header.generation = 5;
    for (uint32_t bytes = 5; bytes != 0; bytes *= 2) {
        header.body_bytes = bytes;
        CHECK(forge(&world, header, slots[1]));
        CHECK(read_back(&world, &status, &generation));
        CHECK(status == OCT_CORRUPT);
    }
    header.body_bytes = 4;
    header.version = 1;
    CHECK(forge(&world, header, slots[1]));
    CHECK(read_back(&world, &status, &generation));
    CHECK(status == OCT_UNSUPPORTED);
    CHECK(fixture_deinit(&world));
}

TEST(a_hostile_size_is_not_kept)
{
    fixture world;
    CHECK(fixture_init(&world));
    for (uint64_t g = 0; g < 2; g++)
        CHECK(publish(&world, g) == OCT_OK);
    CHECK(file_truncate(world.vfs, slots[0], (2u << 24) + 100000));
    CHECK(publish(&world, 2) == OCT_OK);
    CHECK_EQ_U64(file_size(world.vfs, slots[0]), 8192);
    CHECK(file_truncate(world.vfs, slots[1], 12289)); /* odd: a torn growth */
    CHECK(publish(&world, 3) == OCT_OK);
    CHECK_EQ_U64(file_size(world.vfs, slots[1]), 16384);
    CHECK(fixture_deinit(&world));
}

TEST_MAIN(generations_follow_each_other, remove_forgets_everything, a_first_write_hides_leftovers,
          refusals, the_largest_body_fits, damage_to_one_copy_is_healed, lost_slots,
          forged_headers_are_refused, a_hostile_size_is_not_kept)
