/* SPDX-License-Identifier: Apache-2.0 */
/* db_inspect_test.c - does oct_inspect survive, and find, every damage? A small database is made
 * in memory; each of its files is described whole, then with random bytes changed, then cut. The
 * report must be a JSON object and agree with the status each time. */
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "store/wal_read.h"
#include "unit/store_fixture.h"

typedef struct seen {
    uint32_t calls;
    char verdict[16];
    char end[16];
    uint64_t findings;
    bool broken; /* not the JSON that was promised */
} seen;

static uint64_t no_time(void *self)
{
    UNUSED(self);
    return 1;
}

static oct_status no_entropy(void *self, void *target, size_t bytes, oct_error *error)
{
    UNUSED(self);
    UNUSED(error);
    memset(target, 7, bytes);
    return OCT_OK;
}

static oct_host host_of(const fixture *world)
{
    return (oct_host){ .alloc = world->alloc,
                       .vfs = world->vfs,
                       .unix_ms = no_time,
                       .monotonic_ns = no_time,
                       .entropy = no_entropy };
}

static void keep_word(const oct_json *object, const char *key, char word[16])
{
    const oct_json *value = oct_json_get(object, oct_str_of(key));
    if (!value || oct_json_kind_of(value) != OCT_JSON_STRING) return;
    oct_str text = oct_json_string(value);
    if (text.bytes < 16) memcpy(word, text.at, text.bytes);
}

static void take_report(void *arg, oct_str json)
{
    seen *found = arg;
    const oct_json *report = NULL;
    oct_arena arena;
    found->calls++;
    oct_arena_init(&arena, &test_alloc, 0);
    found->broken = oct_json_parse(&arena, json, &report, NULL) != OCT_OK ||
                    oct_json_kind_of(report) != OCT_JSON_OBJECT;
    if (!found->broken) {
        keep_word(report, "verdict", found->verdict);
        keep_word(report, "end", found->end);
        const oct_json *findings = oct_json_get(report, OCT_STR("findings"));
        found->broken = !findings || oct_json_kind_of(findings) != OCT_JSON_ARRAY;
        if (!found->broken) found->findings = oct_json_count(findings);
    }
    oct_arena_reset(&arena);
}

/* Describe a file; false when status and report contradict each other. */
static bool look(const oct_host *host, const char *path, seen *found, oct_status *status)
{
    oct_error error = { .status = OCT_OK };
    *found = (seen){ .calls = 0 };
    *status = oct_inspect(host, path, take_report, found, &error);
    if (*status != OCT_OK && *status != error.status) return false;
    if (*status != OCT_OK && *status != OCT_CORRUPT && *status != OCT_UNSUPPORTED)
        return found->calls == 0;
    const char *verdict = *status == OCT_OK        ? "ok"
                          : *status == OCT_CORRUPT ? "damaged"
                                                   : "newer version";
    return found->calls == 1 && !found->broken && strcmp(found->verdict, verdict) == 0 &&
           (found->findings > 0) == (*status != OCT_OK);
}

static bool call(oct_db *db, const char *verb, const char *path, const char *body)
{
    oct_reply reply;
    oct_call_request request = { .verb = verb, .path = oct_str_of(path), .body = oct_str_of(body) };
    oct_call(db, &request, &reply);
    bool good = reply.status == OCT_OK;
    oct_reply_free(db, &reply);
    return good;
}

/* Three named vectors of which two are sparse among the points, an index, a graph, deletions. */
static bool make_database(const oct_host *host)
{
    oct_db *db = NULL;
    bool more = true, good;
    char body[256];
    oct_open_options options = { .appendable_points_max = 300 };
    if (oct_open(host, &options, &db, NULL) != OCT_OK) return false;
    good = call(db, "PUT", "/collections/c",
                "{\"vectors\":{\"a\":{\"size\":4,\"distance\":\"Dot\","
                "\"quantization_config\":{\"turbo\":{\"bits\":\"bits2\"}}},"
                "\"b\":{\"size\":2,\"distance\":\"Cosine\"},"
                "\"m\":{\"size\":3,\"distance\":\"Dot\",\"multivector_config\":{\"comparator\":"
                "\"max_sim\"},\"quantization_config\":{\"scalar\":{\"type\":\"int8\"}}}},"
                "\"optimizers_config\":{\"indexing_threshold\":1}}") &&
           call(db, "PUT", "/collections/c/index?wait=true",
                "{\"field_name\":\"n\",\"field_schema\":\"integer\"}");
    for (int i = 0; good && i < 700; i++) {
        (void)snprintf(body, sizeof body,
                       "{\"points\":[{\"id\":%d,\"payload\":{\"n\":%d},"
                       "\"vector\":{\"a\":[%d,%d,1,2]%s%s}}]}",
                       i, i % 9, i % 31, i % 37, i % 3 ? "" : ",\"b\":[1,2]",
                       i % 4 ? "" : ",\"m\":[[1,2,3],[3,2,1]]");
        good = call(db, "PUT", "/collections/c/points?wait=true", body);
        if (i % 100 == 99) good = good && oct_maintain(db, 1000, &more, NULL) == OCT_OK;
    }
    while (good && more)
        good = oct_maintain(db, 1000, &more, NULL) == OCT_OK;
    good = good &&
           call(db, "POST", "/collections/c/points/delete?wait=true", "{\"points\":[1,2,3,699]}");
    oct_close(db);
    return good;
}

enum { FILES_MAX = 16 };

typedef struct file_list {
    const char *directory;
    char paths[FILES_MAX][OCT_PATH_BYTES_MAX + 1];
    uint32_t count;
} file_list;

static void add_file(void *arg, const char *name)
{
    file_list *files = arg;
    if (name[strlen(name) - 1] == '/' || files->count == FILES_MAX) return;
    (void)snprintf(files->paths[files->count++], sizeof files->paths[0], "%s%s%s", files->directory,
                   files->directory[0] ? "/" : "", name);
}

static bool find_files(const oct_vfs *vfs, file_list *files)
{
    *files = (file_list){ .directory = "" };
    if (vfs->list(vfs->self, "", add_file, files, NULL) != OCT_OK) return false;
    files->directory = "c0000000000000001";
    if (vfs->list(vfs->self, files->directory, add_file, files, NULL) != OCT_OK) return false;
    return files->count >= 7 && files->count < FILES_MAX; /* registry, manifest: 2; owner, log, s */
}

static bool is_named(const char *path, const char *part)
{
    return strstr(path, part) != NULL;
}

TEST(whole_files_are_ok)
{
    fixture world;
    file_list files;
    seen found;
    oct_status status;
    CHECK(fixture_init(&world));
    oct_host host = host_of(&world);
    CHECK(make_database(&host));
    CHECK(find_files(world.vfs, &files));
    uint32_t segments = 0;
    for (uint32_t i = 0; i < files.count; i++) {
        CHECK(look(&host, files.paths[i], &found, &status));
        CHECK(status == OCT_OK);
        segments += is_named(files.paths[i], "/s-");
    }
    CHECK(segments > 0);
    CHECK(look(&host, "none", &found, &status) && status == OCT_NOT_FOUND);
    CHECK(file_patch(world.vfs, "strange", 0, "12345678", 8));
    CHECK(look(&host, "strange", &found, &status) && status == OCT_BAD_INPUT);
    CHECK(fixture_deinit(&world));
}

/* A changed byte is found, unless it makes the last batch of the log a torn one, or stands in a
 * file that says nothing. */
static bool damage_is_told(const char *path, const seen *found, oct_status status)
{
    if (status != OCT_OK) return status == OCT_CORRUPT;
    if (is_named(path, "owner") || is_named(path, "reserve")) return true;
    return is_named(path, "log-") && strcmp(found->end, "torn") == 0;
}

TEST(every_changed_byte_is_found)
{
    fixture world;
    file_list files;
    seen found;
    oct_status status;
    CHECK(fixture_init(&world));
    oct_host host = host_of(&world);
    CHECK(make_database(&host));
    CHECK(find_files(world.vfs, &files));
    for (uint32_t i = 0; i < files.count; i++) {
        const char *path = files.paths[i];
        file_image image = file_save(world.vfs, path);
        for (uint32_t n = 0; image.bytes > 0 && n < 400; n++) {
            /* Half of them where headers are, the others anywhere, trailers included. */
            uint32_t limit = (uint32_t)image.bytes, reach = test_random_below(3);
            uint32_t at = test_random_below(reach == 0 ? MIN(limit, 160u) : limit);
            if (reach == 1) at = limit - 1 - at % MIN(limit, 160u);
            uint8_t byte = (uint8_t)(image.at[at] ^ (1 + test_random_below(255)));
            CHECK(file_patch(world.vfs, path, at, &byte, 1));
            CHECK(look(&host, path, &found, &status));
            CHECK(damage_is_told(path, &found, status));
            CHECK(file_patch(world.vfs, path, at, &image.at[at], 1));
        }
        CHECK(look(&host, path, &found, &status) && status == OCT_OK);
        free(image.at);
    }
    CHECK(fixture_deinit(&world));
}

TEST(cut_files_are_described)
{
    fixture world;
    file_list files;
    seen found;
    oct_status status;
    CHECK(fixture_init(&world));
    oct_host host = host_of(&world);
    CHECK(make_database(&host));
    CHECK(find_files(world.vfs, &files));
    for (uint32_t i = 0; i < files.count; i++) {
        const char *path = files.paths[i];
        file_image image = file_save(world.vfs, path);
        for (uint32_t n = 0; image.bytes > 0 && n < 100; n++) {
            uint32_t bytes = test_random_below((uint32_t)image.bytes);
            CHECK(file_truncate(world.vfs, path, bytes));
            CHECK(look(&host, path, &found, &status));
            CHECK(status == OCT_OK || status == OCT_CORRUPT);
            if (is_named(path, "/s-")) CHECK(status == OCT_CORRUPT);
            CHECK(file_restore(world.vfs, path, image));
        }
        free(image.at);
    }
    CHECK(fixture_deinit(&world));
}

/* A right checksum over a version from the future is no damage. */
TEST(newer_versions_are_told_from_damage)
{
    fixture world;
    seen found;
    oct_status status;
    oct_error error = { .status = OCT_OK };
    uint8_t page[OCT_WAL_HEADER_BYTES] = { 0 };
    oct_wal_header header = { .magic = OCT_WAL_MAGIC, .version = 9, .first_sequence = 5 };
    CHECK(fixture_init(&world));
    oct_host host = host_of(&world);
    memcpy(page, &header, sizeof header);
    header.crc = oct_wal_header_crc(page);
    memcpy(page, &header, sizeof header);
    CHECK(file_patch(world.vfs, "log-0000000000000005", 0, page, sizeof page));
    CHECK(look(&host, "log-0000000000000005", &found, &status));
    CHECK(status == OCT_UNSUPPORTED && found.findings == 1);
    CHECK(oct_inspect(&host, "log-0000000000000005", take_report, &found, &error) != OCT_OK);
    CHECK(strstr(error.message, "log version 9, this program reads 0"));
    page[100] ^= 1;
    CHECK(file_patch(world.vfs, "log-0000000000000005", 0, page, sizeof page));
    CHECK(look(&host, "log-0000000000000005", &found, &status));
    CHECK(status == OCT_CORRUPT);
    CHECK(fixture_deinit(&world));
}

TEST(each_failed_allocation_is_reported)
{
    fixture world;
    file_list files;
    seen found;
    oct_status status;
    CHECK(fixture_init(&world));
    oct_host host = host_of(&world);
    CHECK(make_database(&host));
    CHECK(find_files(world.vfs, &files));
    for (uint32_t i = 0; i < files.count; i++) {
        uint64_t held = oct_atomic_load(&world.counting.bytes);
        for (uint64_t n = 1;; n++) {
            world.counting.fail_at = oct_atomic_load(&world.counting.calls) + n;
            CHECK(look(&host, files.paths[i], &found, &status));
            CHECK(oct_atomic_load(&world.counting.bytes) == held);
            if (status == OCT_OK) break;
            CHECK(status == OCT_NOMEM);
        }
        world.counting.fail_at = 0;
    }
    CHECK(fixture_deinit(&world));
}

TEST_MAIN(whole_files_are_ok, every_changed_byte_is_found, cut_files_are_described,
          newer_versions_are_told_from_damage, each_failed_allocation_is_reported)
