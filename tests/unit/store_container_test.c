/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: sections come back as they were written, aligned, from any sizes and any way of writing
 * them, with views and without; every damaged byte is found before it is used; hostile footers
 * are refused and cost no memory. Method: contents that follow from (kind, index); each test runs
 * on the storage in memory as it is and with the view capability taken away. */
#include "base/hash.h"
#include "unit/store_fixture.h"

#define FILE_NAME "c/1.seg"

enum { SECTIONS_MAX = 8 };

typedef struct section_plan {
    uint32_t kind;
    uint32_t index;
    size_t bytes;
} section_plan;

/* Around every edge: empty, the unit, the staging buffer, the block, several blocks. */
static const section_plan plan[SECTIONS_MAX] = {
    { 1, 0, 100 }, { 1, 1, 0 },      { 2, 0, 65535 },  { 3, 7, 65536 },
    { 9, 0, 1 },   { 4, 0, 200001 }, { 5, 0, 131072 }, { 6, 0, 64 },
};

static uint64_t content_of(section_plan section)
{
    return section.kind * 1000 + section.index;
}

/* The storage with or without views; the copy shares everything else. */
static oct_vfs vfs_for(const fixture *world, bool views)
{
    oct_vfs vfs = *world->vfs;
    if (!views) vfs.caps &= ~(uint32_t)OCT_CAP_VIEW;
    return vfs;
}

static oct_status write_sections(const fixture *world, size_t count, uint64_t *file_bytes,
                                 oct_container_writer **writer)
{
    static uint8_t content[200001];
    oct_status status = OCT_OK;
    TRY(oct_container_create(world->alloc, world->vfs, FILE_NAME, writer, NULL));
    for (size_t i = 0; i < count; i++) {
        section_plan section = plan[i];
        record_fill(content_of(section), content, section.bytes);
        TRY(oct_container_begin(*writer, section.kind, section.index, NULL));
        for (size_t at = 0; at < section.bytes;) {
            size_t step = test_random_below(100000);
            step = MIN(section.bytes - at, step);
            TRY(oct_container_append(*writer, content + at, step, NULL));
            at += step;
        }
    }
    status = oct_container_finish(*writer, file_bytes, NULL);
    *writer = NULL;
done:
    oct_container_abandon(*writer);
    *writer = NULL;
    return status;
}

static bool make_file(const fixture *world, size_t count)
{
    oct_container_writer *writer = NULL;
    uint64_t bytes;
    return write_sections(world, count, &bytes, &writer) == OCT_OK &&
           bytes == file_size(world->vfs, FILE_NAME);
}

static bool content_is_right(section_plan section, const void *at, size_t bytes)
{
    const uint8_t *content = at;
    if (!at || bytes != section.bytes || (uintptr_t)at % OCT_SECTION_ALIGN != 0) return false;
    for (size_t i = 0; i < bytes; i++)
        if (content[i] != record_byte(content_of(section), i)) return false;
    return true;
}

TEST(sections_come_back)
{
    fixture world;
    CHECK(fixture_init(&world));
    for (size_t round = 0; round < 40; round++) {
        size_t count = round % (SECTIONS_MAX + 1);
        oct_vfs vfs = vfs_for(&world, round % 2 == 0);
        oct_container *container;
        CHECK(make_file(&world, count));
        CHECK(oct_container_open(world.alloc, &vfs, FILE_NAME, &container, NULL) == OCT_OK);
        CHECK_EQ_U64(oct_container_file_bytes(container), file_size(&vfs, FILE_NAME));
        CHECK_EQ_U64(oct_container_section_count(container), count);
        for (size_t i = 0; i < SECTIONS_MAX; i++) {
            const void *at, *again;
            size_t bytes;
            oct_status status =
                oct_container_load(container, plan[i].kind, plan[i].index, &at, &bytes, NULL);
            CHECK(oct_container_has(container, plan[i].kind, plan[i].index) == (i < count));
            CHECK(status == (i < count ? OCT_OK : OCT_NOT_FOUND));
            if (i >= count) continue;
            CHECK(content_is_right(plan[i], at, bytes));
            CHECK(oct_container_load_lazy(container, plan[i].kind, plan[i].index, &again, &bytes,
                                          NULL) == OCT_OK);
            CHECK(again == at);
            CHECK(oct_container_load_memory(container, plan[i].kind, plan[i].index, &again, &bytes,
                                            NULL) == OCT_OK);
            CHECK(content_is_right(plan[i], again, bytes));
            CHECK(oct_container_load(container, plan[i].kind, plan[i].index, &at, &bytes, NULL) ==
                  OCT_OK);
            CHECK(again == at);
            uint32_t kind, index;
            uint64_t listed;
            oct_container_section_at(container, (uint32_t)i, &kind, &index, &listed);
            CHECK(kind == plan[i].kind && index == plan[i].index && listed == bytes);
        }
        CHECK(oct_container_verify(container, NULL) == OCT_OK);
        CHECK(!oct_container_has(container, 77, 0));
        oct_container_close(container);
    }
    CHECK(fixture_deinit(&world));
}

TEST(large_sections_begin_on_a_page)
{
    fixture world;
    CHECK(fixture_init(&world));
    CHECK(make_file(&world, SECTIONS_MAX));
    oct_container_trailer trailer;
    uint64_t end = file_size(world.vfs, FILE_NAME);
    CHECK(file_read(world.vfs, FILE_NAME, end - sizeof trailer, &trailer, sizeof trailer));
    for (size_t i = 0; i < SECTIONS_MAX; i++) {
        oct_section_entry entry;
        CHECK(file_read(world.vfs, FILE_NAME, trailer.footer_offset + i * sizeof entry, &entry,
                        sizeof entry));
        CHECK(entry.offset % (plan[i].bytes >= 65536 ? 4096 : 64) == 0);
    }
    CHECK(fixture_deinit(&world));
}

TEST(abandon_leaves_nothing)
{
    fixture world;
    oct_container_writer *writer;
    CHECK(fixture_init(&world));
    oct_container_abandon(NULL);
    CHECK(make_file(&world, 3));
    CHECK(oct_container_create(world.alloc, world.vfs, FILE_NAME, &writer, NULL) == OCT_OK);
    CHECK(oct_container_begin(writer, 1, 1, NULL) == OCT_OK);
    CHECK(oct_container_append(writer, "abc", 3, NULL) == OCT_OK);
    oct_container_abandon(writer);
    CHECK_EQ_U64(file_size(world.vfs, FILE_NAME), UINT64_MAX);
    CHECK(oct_container_create(world.alloc, world.vfs, "a/../b", &writer, NULL) == OCT_BAD_INPUT);
    CHECK(!writer);
    CHECK(fixture_deinit(&world));
}

TEST(at_most_so_many_sections)
{
    fixture world;
    oct_container_writer *writer;
    oct_container *container;
    uint64_t bytes;
    CHECK(fixture_init(&world));
    CHECK(oct_container_create(world.alloc, world.vfs, FILE_NAME, &writer, NULL) == OCT_OK);
    for (uint32_t i = 0; i < OCT_CONTAINER_SECTIONS_MAX; i++) {
        CHECK(oct_container_begin(writer, i % 3, i, NULL) == OCT_OK);
        CHECK(oct_container_append(writer, &i, sizeof i, NULL) == OCT_OK);
    }
    CHECK(oct_container_finish(writer, &bytes, NULL) == OCT_OK);
    CHECK(oct_container_open(world.alloc, world.vfs, FILE_NAME, &container, NULL) == OCT_OK);
    CHECK_EQ_U64(oct_container_section_count(container), OCT_CONTAINER_SECTIONS_MAX);
    oct_container_close(container);
    /* One more fails, and then so does everything else. */
    CHECK(oct_container_create(world.alloc, world.vfs, FILE_NAME, &writer, NULL) == OCT_OK);
    for (uint32_t i = 0; i < OCT_CONTAINER_SECTIONS_MAX; i++)
        CHECK(oct_container_begin(writer, 0, i, NULL) == OCT_OK);
    CHECK(oct_container_begin(writer, 1, 0, NULL) == OCT_LIMIT);
    CHECK(oct_container_finish(writer, &bytes, NULL) == OCT_LIMIT);
    CHECK_EQ_U64(bytes, 0);
    CHECK_EQ_U64(file_size(world.vfs, FILE_NAME), UINT64_MAX);
    CHECK(fixture_deinit(&world));
}

/* Open and load everything. *wrong when a section came back with other bytes than were
 * written. */
static oct_status load_all(const fixture *world, const oct_vfs *vfs, size_t count, bool *wrong)
{
    oct_status status = OCT_OK;
    oct_container *container = NULL;
    TRY(oct_container_open(world->alloc, vfs, FILE_NAME, &container, NULL));
    if (oct_container_section_count(container) != count) *wrong = true;
    for (size_t i = 0; i < count; i++) {
        const void *at;
        size_t bytes;
        TRY(oct_container_load(container, plan[i].kind, plan[i].index, &at, &bytes, NULL));
        if (!content_is_right(plan[i], at, bytes)) *wrong = true;
    }
    TRY(oct_container_verify(container, NULL));
done:
    oct_container_close(container);
    return status;
}

TEST(every_changed_byte_is_found)
{
    fixture world;
    CHECK(fixture_init(&world));
    CHECK(make_file(&world, 2)); /* small: every byte */
    for (uint32_t round = 0; round < 2; round++) {
        size_t count = round == 0 ? 2 : 6;
        CHECK(make_file(&world, count));
        file_image whole = file_save(world.vfs, FILE_NAME);
        size_t step = round == 0 ? 1 : 1009;
        for (size_t i = 0; i < whole.bytes; i += i + 400 < whole.bytes ? step : 1) {
            oct_vfs vfs = vfs_for(&world, i % 2 == 0);
            uint8_t changed = whole.at[i] ^ (uint8_t)(1u << test_random_below(8));
            bool wrong = false;
            CHECK(file_patch(world.vfs, FILE_NAME, i, &changed, 1));
            CHECK(load_all(&world, &vfs, count, &wrong) == OCT_CORRUPT);
            CHECK(!wrong);
            CHECK(file_patch(world.vfs, FILE_NAME, i, &whole.at[i], 1));
        }
        bool wrong = false;
        CHECK(load_all(&world, world.vfs, count, &wrong) == OCT_OK);
        CHECK(!wrong);
        free(whole.at);
    }
    CHECK(fixture_deinit(&world));
}

TEST(every_zeroed_page_and_every_length_is_found)
{
    static const uint8_t zeros[4096];
    fixture world;
    CHECK(fixture_init(&world));
    CHECK(make_file(&world, 6));
    file_image whole = file_save(world.vfs, FILE_NAME);
    for (size_t i = 0; i < whole.bytes; i += sizeof zeros) {
        size_t bytes = MIN(sizeof zeros, whole.bytes - i);
        bool wrong = false;
        CHECK(file_patch(world.vfs, FILE_NAME, i, zeros, bytes));
        CHECK(load_all(&world, world.vfs, 6, &wrong) == OCT_CORRUPT);
        CHECK(!wrong);
        CHECK(file_patch(world.vfs, FILE_NAME, i, whole.at + i, bytes));
    }
    CHECK(make_file(&world, 2));
    free(whole.at);
    whole = file_save(world.vfs, FILE_NAME);
    for (size_t bytes = 0; bytes < whole.bytes + 300; bytes++) {
        bool wrong = false;
        CHECK(file_restore(world.vfs, FILE_NAME, whole));
        CHECK(file_truncate(world.vfs, FILE_NAME, bytes));
        CHECK(load_all(&world, world.vfs, 2, &wrong) ==
              (bytes == whole.bytes ? OCT_OK : OCT_CORRUPT));
        CHECK(!wrong);
    }
    free(whole.at);
    CHECK(fixture_deinit(&world));
}

TEST(lazy_sections_are_verified_where_touched)
{
    fixture world;
    oct_container *container;
    const void *at;
    size_t bytes;
    CHECK(fixture_init(&world));
    CHECK(make_file(&world, 6));
    /* Section 5 is 200001 bytes: damage its third block of the file's. */
    CHECK(oct_container_open(world.alloc, world.vfs, FILE_NAME, &container, NULL) == OCT_OK);
    CHECK(oct_container_load_lazy(container, 4, 0, &at, &bytes, NULL) == OCT_OK);
    oct_container_close(container);
    size_t offset;
    oct_container_trailer trailer;
    oct_section_entry entry;
    uint64_t end = file_size(world.vfs, FILE_NAME);
    CHECK(file_read(world.vfs, FILE_NAME, end - sizeof trailer, &trailer, sizeof trailer));
    CHECK(file_read(world.vfs, FILE_NAME, trailer.footer_offset + 5 * sizeof entry, &entry,
                    sizeof entry));
    offset = 65536 - (size_t)(entry.offset % 65536); /* where the section's second block begins */
    uint8_t changed = record_byte(content_of(plan[5]), offset + 10) ^ 4;
    CHECK(file_patch(world.vfs, FILE_NAME, entry.offset + offset + 10, &changed, 1));

    CHECK(oct_container_open(world.alloc, world.vfs, FILE_NAME, &container, NULL) == OCT_OK);
    CHECK(oct_container_load_lazy(container, 4, 0, &at, &bytes, NULL) == OCT_OK);
    const uint8_t *content = at;
    oct_error error;
    CHECK(oct_container_touch(container, content, 0, NULL) == OCT_OK);
    CHECK(oct_container_touch(container, content, offset, NULL) == OCT_OK);
    CHECK(oct_container_touch(container, content + offset - 1, 2, &error) == OCT_CORRUPT);
    CHECK(strstr(error.message, FILE_NAME));
    CHECK(oct_container_touch(container, content + offset + 65536, 1, NULL) == OCT_OK);
    CHECK(oct_container_touch(container, content, bytes, NULL) == OCT_CORRUPT);
    CHECK(oct_container_load(container, 4, 0, &at, &bytes, NULL) == OCT_CORRUPT);
    CHECK(!at && bytes == 0);
    CHECK(oct_container_load(container, 1, 0, &at, &bytes, NULL) == OCT_OK);
    CHECK(oct_container_verify(container, NULL) == OCT_CORRUPT);
    oct_container_close(container);

    oct_vfs vfs = vfs_for(&world, false);
    CHECK(oct_container_open(world.alloc, &vfs, FILE_NAME, &container, NULL) == OCT_OK);
    CHECK(oct_container_load_lazy(container, 4, 0, &at, &bytes, NULL) == OCT_CORRUPT);
    CHECK(oct_container_load_lazy(container, 3, 7, &at, &bytes, NULL) == OCT_OK);
    CHECK(content_is_right(plan[3], at, bytes));
    CHECK(oct_container_touch(container, at, bytes, NULL) == OCT_OK);
    oct_container_close(container);
    CHECK(fixture_deinit(&world));
}

/* Rewrite footer and trailer of a file with right checksums after `change`. */
typedef void footer_change(oct_container_trailer *trailer, oct_section_entry *entries);

static void count_too_large(oct_container_trailer *t, oct_section_entry *e)
{
    UNUSED(e);
    t->section_count = UINT32_MAX;
}
static void count_too_small(oct_container_trailer *t, oct_section_entry *e)
{
    UNUSED(e);
    t->section_count--;
}
static void footer_before_header(oct_container_trailer *t, oct_section_entry *e)
{
    UNUSED(e);
    t->footer_offset = 0;
}
static void footer_not_aligned(oct_container_trailer *t, oct_section_entry *e)
{
    UNUSED(e);
    t->footer_offset += 8;
    t->footer_bytes -= 8;
}
static void footer_beyond(oct_container_trailer *t, oct_section_entry *e)
{
    UNUSED(e);
    t->footer_offset = UINT64_MAX - 63;
}
static void footer_bytes_huge(oct_container_trailer *t, oct_section_entry *e)
{
    UNUSED(e);
    t->footer_bytes = UINT64_MAX - t->footer_offset;
}
static void other_file_size(oct_container_trailer *t, oct_section_entry *e)
{
    UNUSED(e);
    t->file_bytes++;
}
static void offset_not_aligned(oct_container_trailer *t, oct_section_entry *e)
{
    UNUSED(t);
    e[0].offset += 4;
}
static void offset_in_header(oct_container_trailer *t, oct_section_entry *e)
{
    UNUSED(t);
    e[0].offset = 0;
}
static void offset_beyond(oct_container_trailer *t, oct_section_entry *e)
{
    UNUSED(t);
    e[1].offset = UINT64_MAX - 63;
}
static void section_beyond(oct_container_trailer *t, oct_section_entry *e)
{
    UNUSED(t);
    e[1].bytes = UINT64_MAX;
}
static void sections_overlap(oct_container_trailer *t, oct_section_entry *e)
{
    UNUSED(t);
    e[0].bytes += 64;
}
static void section_twice(oct_container_trailer *t, oct_section_entry *e)
{
    UNUSED(t);
    e[1].kind = e[0].kind;
    e[1].index = e[0].index;
}
static void newer_version(oct_container_trailer *t, oct_section_entry *e)
{
    UNUSED(e);
    t->version++;
}

TEST(forged_footers_are_refused)
{
    static footer_change *const changes[] = {
        count_too_large,  count_too_small,   footer_before_header, footer_not_aligned,
        footer_beyond,    footer_bytes_huge, other_file_size,      offset_not_aligned,
        offset_in_header, offset_beyond,     section_beyond,       sections_overlap,
        section_twice,    newer_version,
    };
    fixture world;
    CHECK(fixture_init(&world));
    CHECK(make_file(&world, 2));
    file_image whole = file_save(world.vfs, FILE_NAME);
    for (size_t i = 0; i < ARRAY_COUNT(changes); i++) {
        oct_container_trailer trailer;
        oct_section_entry entries[2];
        uint8_t *forged = malloc(whole.bytes);
        CHECK(forged);
        memcpy(forged, whole.at, whole.bytes);
        memcpy(&trailer, forged + whole.bytes - sizeof trailer, sizeof trailer);
        uint8_t *footer = forged + trailer.footer_offset;
        memcpy(entries, footer, sizeof entries);
        size_t footer_bytes = (size_t)trailer.footer_bytes;
        changes[i](&trailer, entries);
        memcpy(footer, entries, sizeof entries);
        trailer.footer_crc = oct_crc32c(0, footer, footer_bytes);
        trailer.trailer_crc = oct_crc32c(0, &trailer, offsetof(oct_container_trailer, trailer_crc));
        memcpy(forged + whole.bytes - sizeof trailer, &trailer, sizeof trailer);
        CHECK(file_restore(world.vfs, FILE_NAME, (file_image){ forged, whole.bytes }));
        free(forged);
        oct_container *container;
        world.counting.bytes_max = 64 << 10;
        oct_status status = oct_container_open(world.alloc, world.vfs, FILE_NAME, &container, NULL);
        CHECK(status == (changes[i] == newer_version ? OCT_UNSUPPORTED : OCT_CORRUPT));
        CHECK(!container);
    }
    free(whole.at);
    CHECK(fixture_deinit(&world));
}

/* Random pieces of random sections; *wrong when other bytes came back than were written. */
static oct_status read_pieces(oct_container *container, bool *wrong)
{
    oct_status status = OCT_OK;
    static uint8_t piece[200001];
    for (uint32_t round = 0; round < 60; round++) {
        const section_plan section = plan[test_random_below(SECTIONS_MAX)];
        oct_section_place place;
        TRY(oct_container_place(container, section.kind, section.index, &place, NULL));
        size_t at = test_random_below((uint32_t)section.bytes + 1);
        size_t bytes = test_random_below((uint32_t)(section.bytes - at) + 1);
        if (round % 2) bytes = MIN(bytes, (size_t)100);
        TRY(oct_container_read(&place, at, piece, bytes, NULL));
        for (size_t i = 0; i < bytes; i++)
            *wrong = *wrong || piece[i] != record_byte(content_of(section), at + i);
        *wrong = *wrong || place.bytes != section.bytes;
    }
done:
    return status;
}

TEST(pieces_are_read_and_verified)
{
    fixture world;
    CHECK(fixture_init(&world));
    CHECK(make_file(&world, SECTIONS_MAX));
    file_image whole = file_save(world.vfs, FILE_NAME);
    uint32_t found = 0;
    for (uint32_t round = 0; round < 60; round++) {
        oct_vfs vfs = vfs_for(&world, round % 2 == 0);
        oct_container *container;
        bool wrong = false;
        CHECK(file_restore(world.vfs, FILE_NAME, whole));
        CHECK(oct_container_open(world.alloc, &vfs, FILE_NAME, &container, NULL) == OCT_OK);
        CHECK(read_pieces(container, &wrong) == OCT_OK && !wrong);
        for (uint32_t i = 0; i < SECTIONS_MAX; i++) {
            oct_section_held held = oct_container_section_held(container, i);
            CHECK(held.memory_bytes == 0 && !held.viewed && held.touched_bytes == 0);
        }
        oct_section_place place;
        CHECK(oct_container_place(container, 77, 0, &place, NULL) == OCT_NOT_FOUND);
        oct_container_close(container);

        whole.at[test_random_below((uint32_t)whole.bytes)] ^= 8;
        CHECK(file_restore(world.vfs, FILE_NAME, whole));
        if (oct_container_open(world.alloc, &vfs, FILE_NAME, &container, NULL) == OCT_OK)
            found += read_pieces(container, &wrong) == OCT_CORRUPT;
        CHECK(!wrong);
        oct_container_close(container);
        free(whole.at);
        CHECK(make_file(&world, SECTIONS_MAX));
        whole = file_save(world.vfs, FILE_NAME);
    }
    CHECK(found > 10);
    free(whole.at);
    CHECK(fixture_deinit(&world));
}

TEST_MAIN(pieces_are_read_and_verified, sections_come_back, large_sections_begin_on_a_page,
          abandon_leaves_nothing, at_most_so_many_sections, every_changed_byte_is_found,
          every_zeroed_page_and_every_length_is_found, lazy_sections_are_verified_where_touched,
          forged_footers_are_refused)
