/* SPDX-License-Identifier: Apache-2.0 */
/* db_inspect_test.c - does oct_inspect survive, and find, every damage? A small database is made
 * in memory: segments of every form of vector, and a merge that was cut off behind a checkpoint.
 * Each of its files is described whole, then with random bytes changed, then cut. The report must
 * be a JSON object and agree with the status each time. */
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "fuzz/store_fuzz.h"
#include "segment/checkpoint.h"
#include "segment/sealed.h"
#include "store/wal_read.h"
#include "unit/store_fixture.h"

enum { TEXT_BYTES_MAX = 16 << 10 };

typedef struct seen {
    uint32_t calls;
    char verdict[16];
    char end[16];
    uint64_t findings;
    bool broken; /* not the JSON that was promised */
    char text[TEXT_BYTES_MAX + 1];
} seen;

/* Stands, unless a look at it takes tick_ns: only then can a step of maintenance run out of time,
 * and a merge be saved. */
static uint64_t tick_ns, now_ns = 1;

static uint64_t clock_ns(void *self)
{
    UNUSED(self);
    return now_ns += tick_ns;
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
                       .unix_ms = clock_ns,
                       .monotonic_ns = clock_ns,
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
    if (json.bytes <= TEXT_BYTES_MAX) memcpy(found->text, json.at, json.bytes);
    found->text[json.bytes <= TEXT_BYTES_MAX ? json.bytes : 0] = '\0';
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

/* Every form of vector, of which some points have not all; rows and links that stay on disk, links
 * within payload blocks. */
static const char forms[] =
    "{\"vectors\":{\"a\":{\"size\":4,\"distance\":\"Dot\","
    "\"quantization_config\":{\"turbo\":{\"bits\":\"bits2\"}}},"
    "\"b\":{\"size\":2,\"distance\":\"Cosine\"},"
    "\"m\":{\"size\":3,\"distance\":\"Dot\",\"multivector_config\":{\"comparator\":"
    "\"max_sim\"},\"quantization_config\":{\"scalar\":{\"type\":\"int8\"}}},"
    "\"n\":{\"size\":3,\"distance\":\"Euclid\",\"datatype\":\"float16\",\"on_disk\":true,"
    "\"multivector_config\":{\"comparator\":\"max_sim\"}},"
    "\"t\":{\"size\":5,\"distance\":\"Dot\",\"datatype\":\"turbo4\"},"
    "\"z\":{\"size\":32,\"distance\":\"Euclid\",\"memory\":\"cold\","
    "\"hnsw_config\":{\"memory\":\"cold\",\"inline_storage\":false}}},"
    "\"sparse_vectors\":{\"s\":{\"index\":{\"memory\":\"cold\"}}},"
    "\"hnsw_config\":{\"payload_m\":4,\"full_scan_threshold\":10},"
    "\"optimizers_config\":{\"indexing_threshold\":1}}";

static bool put_forms(oct_db *db, int i)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"points\":[{\"id\":%d,\"payload\":{\"n\":%d},"
                   "\"vector\":{\"a\":[%d,%d,1,2]%s%s,\"n\":[[%d,2,3]],\"t\":[%d,2,%d,4,5],"
                   "\"z\":[%d,%d,1,2,3,4,5,6,7,8,9,8,7,6,5,4,3,2,1,0,1,2,3,4,5,6,7,8,9,8,7,6],"
                   "\"s\":{\"indices\":[%d,9],\"values\":[1,-2.5]}}}]}",
                   i, i % 2, i % 31, i % 37, i % 3 ? "" : ",\"b\":[1,2]",
                   i % 4 ? "" : ",\"m\":[[1,2,3],[3,2,1]]", i % 5, i % 11, i % 13, i % 29, i % 17,
                   i % 7);
    return call(db, "PUT", "/collections/c/points?wait=true", body);
}

static bool make_forms(oct_db *db)
{
    bool more = true;
    bool good = call(db, "PUT", "/collections/c", forms) &&
                call(db, "PUT", "/collections/c/index?wait=true",
                     "{\"field_name\":\"n\",\"field_schema\":\"integer\"}");
    for (int i = 0; good && i < 700; i++) {
        good = put_forms(db, i);
        if (i % 100 == 99) good = good && oct_maintain(db, 1000, &more, NULL) == OCT_OK;
    }
    while (good && more)
        good = oct_maintain(db, 1000, &more, NULL) == OCT_OK;
    return good &&
           call(db, "POST", "/collections/c/points/delete?wait=true", "{\"points\":[1,2,3,699]}");
}

enum { MERGED = 130, SEGMENTS = 3 }; /* points of each source */

static bool put_merged(oct_db *db, int first)
{
    static char body[MERGED * 96];
    size_t at = (size_t)snprintf(body, sizeof body, "{\"points\":[");
    for (int i = first; i < first + MERGED; i++)
        at += (size_t)snprintf(body + at, sizeof body - at,
                               "%s{\"id\":%d,\"vector\":{\"a\":[%d,%d,1,2],\"b\":[%d,%d]}}",
                               i > first ? "," : "", i, i % 31, i % 37, i % 7, i % 11);
    (void)snprintf(body + at, sizeof body - at, "]}");
    return call(db, "PUT", "/collections/d/points?wait=true", body);
}

/* Segments with a death in one, before their merge. */
static bool make_sources(oct_db *db)
{
    bool good = call(db, "PUT", "/collections/d",
                     "{\"vectors\":{\"a\":{\"size\":4,\"distance\":\"Euclid\"},"
                     "\"b\":{\"size\":2,\"distance\":\"Dot\"}},\"hnsw_config\":{\"m\":6,"
                     "\"ef_construct\":30,\"full_scan_threshold\":10},"
                     "\"optimizers_config\":{\"indexing_threshold\":1}}") &&
                call(db, "PUT", "/collections/d/index?wait=true",
                     "{\"field_name\":\"w\",\"field_schema\":\"keyword\"}");
    for (int s = 0; good && s < SEGMENTS; s++)
        good = put_merged(db, s * MERGED);
    return good &&
           call(db, "POST", "/collections/d/points/delete?wait=true", "{\"points\":[5,7,9]}");
}

#define CHECKPOINT_0 "c0000000000000002/checkpoint-0"
#define CHECKPOINT_1 "c0000000000000002/checkpoint-1"

static bool has_file(const oct_vfs *vfs, const char *path)
{
    return file_size(vfs, path) != UINT64_MAX;
}

/* Maintain in the smallest steps until a merge has been saved into the second file, and stop. */
static bool cut_merge(const oct_host *host)
{
    oct_db *db = NULL;
    bool more = true, saved = false;
    oct_open_options options = { .appendable_points_max = MERGED, .checkpoint_ms = 1 };
    tick_ns = 1000000;
    bool good = oct_open(host, &options, &db, NULL) == OCT_OK;
    while (good && more && !saved) {
        good = oct_maintain(db, 0, &more, NULL) == OCT_OK;
        saved = has_file(host->vfs, CHECKPOINT_1);
    }
    oct_close(db);
    tick_ns = 0;
    return good && saved;
}

static bool make_database(const oct_host *host)
{
    oct_db *db = NULL;
    oct_open_options options = { .appendable_points_max = 300 };
    if (oct_open(host, &options, &db, NULL) != OCT_OK) return false;
    bool good = make_forms(db);
    oct_close(db);
    if (!good) return false;
    options = (oct_open_options){ .appendable_points_max = MERGED };
    if (oct_open(host, &options, &db, NULL) != OCT_OK) return false;
    good = make_sources(db);
    oct_close(db);
    return good && cut_merge(host);
}

enum { FILES_MAX = 32 };

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
    static const char *const directories[] = { "", "c0000000000000001", "c0000000000000002" };
    files->count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(directories); i++) {
        files->directory = directories[i];
        if (vfs->list(vfs->self, files->directory, add_file, files, NULL) != OCT_OK) return false;
    }
    /* registry and two manifests: 2 each; owner, two logs, a segment, sources, a checkpoint */
    return files->count >= 11 + SEGMENTS && files->count < FILES_MAX;
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

/* Is the word in the report of one of the files whose path has `part`? */
static bool is_told(const oct_host *host, const file_list *files, const char *part,
                    const char *word)
{
    seen found;
    oct_status status;
    for (uint32_t i = 0; i < files->count; i++) {
        if (!is_named(files->paths[i], part)) continue;
        CHECK_OR(false, look(host, files->paths[i], &found, &status) && found.text[0] != '\0');
        if (strstr(found.text, word)) return true;
    }
    printf("  %s is missing\n", word);
    return false;
}

/* Does a graph have them? */
static bool has_block_links(const oct_host *host, const file_list *files)
{
    static const char key[] = "\"block_links\":";
    seen found;
    oct_status status;
    for (uint32_t i = 0; i < files->count; i++) {
        if (!look(host, files->paths[i], &found, &status)) return false;
        const char *at = found.text;
        while ((at = strstr(at, key)) != NULL)
            if (*(at += sizeof key - 1) != '0') return true;
    }
    return false;
}

TEST(reports_name_every_part)
{
    static const char *const of_segments[] = {
        "\"name\":\"presence\"",
        "\"name\":\"graph\"",
        "\"name\":\"payload index\"",
        "\"name\":\"block links\"",
        "\"name\":\"quantized codes\"",
        "\"name\":\"vector ends\"",
        "\"name\":\"sparse index\"",
        "\"form\":\"sparse\"",
        "\"form\":\"multivector\"",
        "\"datatype\":\"turbo4\"",
        "\"datatype\":\"float16\"",
        "\"kind\":\"turbo\"",
        "\"kind\":\"scalar\"",
        "\"codes\":true",
        "\"codes\":false",
        "\"block_links\":0",
    };
    static const char *const of_checkpoints[] = {
        "\"contents\":\"checkpoint\"",     "\"name\":\"subject\"",
        "\"name\":\"points of a source\"", "\"name\":\"graph so far\"",
        "\"sources\":[{\"file\":\"s-0",    "\"points\":130",
    };
    fixture world;
    file_list files;
    CHECK(fixture_init(&world));
    oct_host host = host_of(&world);
    CHECK(make_database(&host));
    CHECK(find_files(world.vfs, &files));
    for (size_t i = 0; i < ARRAY_COUNT(of_segments); i++)
        CHECK(is_told(&host, &files, "1/s-", of_segments[i]));
    CHECK(has_block_links(&host, &files));
    for (size_t i = 0; i < ARRAY_COUNT(of_checkpoints); i++)
        CHECK(is_told(&host, &files, "/checkpoint-", of_checkpoints[i]));
    CHECK(fixture_deinit(&world));
}

/* Fill up to 16 bytes of section i with ones, and make the checksums right. */
static bool spoil(const oct_vfs *vfs, const char *path, file_image image,
                  const oct_section_entry *entry)
{
    size_t bytes = (size_t)MIN(entry->bytes, (uint64_t)16);
    uint8_t *spoilt = malloc(image.bytes);
    if (!spoilt) return false;
    memcpy(spoilt, image.at, image.bytes);
    memset(spoilt + entry->offset, 0xff, bytes);
    fuzz_repair_container(spoilt, image.bytes, false);
    bool good = file_restore(vfs, path, (file_image){ spoilt, image.bytes });
    free(spoilt);
    return good;
}

/* What only the database's other files show: which points have a vector, ids, rows, payloads. */
static bool says_nothing_alone(uint32_t kind)
{
    return kind == OCT_SECTION_ID_LOW || kind == OCT_SECTION_ID_HIGH ||
           kind == OCT_SECTION_VERSIONS || kind == OCT_SECTION_PAYLOAD_END ||
           kind == OCT_SECTION_PAYLOADS || kind == OCT_SECTION_VECTORS ||
           kind == OCT_SECTION_PRESENT || kind == OCT_SECTION_SAVED || kind == OCT_SECTION_PART;
}

/* Damage under right checksums, as a fault of a program or of its memory leaves it. */
TEST(wrong_content_under_right_checksums_is_found)
{
    fixture world;
    file_list files;
    seen found;
    oct_status status;
    bool links = false, subject = false, sparse = false;
    CHECK(fixture_init(&world));
    oct_host host = host_of(&world);
    CHECK(make_database(&host));
    CHECK(find_files(world.vfs, &files));
    for (uint32_t i = 0; i < files.count; i++) {
        const char *path = files.paths[i];
        if (!is_named(path, "/s-") && !is_named(path, "/checkpoint-")) continue;
        file_image image = file_save(world.vfs, path);
        oct_container_trailer trailer;
        memcpy(&trailer, image.at + image.bytes - sizeof trailer, sizeof trailer);
        for (uint32_t n = 0; n < trailer.section_count; n++) {
            oct_section_entry entry;
            memcpy(&entry, image.at + trailer.footer_offset + n * sizeof entry, sizeof entry);
            if (entry.bytes == 0) continue;
            CHECK(spoil(world.vfs, path, image, &entry));
            CHECK(look(&host, path, &found, &status));
            links |= entry.kind == OCT_SECTION_LINKS;
            sparse |= entry.kind == OCT_SECTION_SPARSE;
            subject |= entry.kind == OCT_SECTION_SUBJECT;
            bool head = entry.kind == OCT_SECTION_META || entry.kind == OCT_SECTION_SUBJECT;
            if (head) CHECK(status == OCT_UNSUPPORTED);
            if (!head && !says_nothing_alone(entry.kind)) CHECK(status == OCT_CORRUPT);
        }
        CHECK(file_restore(world.vfs, path, image));
        free(image.at);
    }
    CHECK(links && sparse && subject);
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
            if (is_named(path, "/s-") || is_named(path, "/checkpoint-"))
                CHECK(status == OCT_CORRUPT);
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

TEST_MAIN(whole_files_are_ok, reports_name_every_part, wrong_content_under_right_checksums_is_found,
          every_changed_byte_is_found, cut_files_are_described, newer_versions_are_told_from_damage,
          each_failed_allocation_is_reported)
