/* SPDX-License-Identifier: Apache-2.0 */
/* conformance.c - one function per sentence of the contract. Each starts on an empty storage and
 * returns at its first condition that does not hold; `sweep` closes what it left open. */
#include "conformance.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { HANDLES_MAX = 16, NAMES_MAX = 32, LINE_BYTES_MAX = 512 };

typedef struct run {
    const oct_vfs *vfs;
    const oct_vfs *second;
    struct {
        const oct_vfs *vfs;
        oct_file *file;
    } handles[HANDLES_MAX];
    int handle_count;
    char names[NAMES_MAX][OCT_PATH_BYTES_MAX + 2]; /* the last listing */
    int name_count;
    int bad_line; /* 0 while the running check holds */
    const char *bad_text;
    oct_error error;
} run;

#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            if (r->bad_line == 0) {                                                                \
                r->bad_line = __LINE__;                                                            \
                r->bad_text = #condition;                                                          \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
    } while (0)

enum {
    RW = OCT_OPEN_READ | OCT_OPEN_WRITE,
    RWC = OCT_OPEN_READ | OCT_OPEN_WRITE | OCT_OPEN_CREATE
};

/* ---- short forms ----------------------------------------------------------------------------- */

static oct_status open_on(run *r, const oct_vfs *vfs, const char *path, uint32_t flags,
                          oct_file **out)
{
    oct_status status = vfs->open(vfs->self, path, flags, out, &r->error);
    if (status == OCT_OK && r->handle_count < HANDLES_MAX) {
        r->handles[r->handle_count].vfs = vfs;
        r->handles[r->handle_count++].file = *out;
    }
    return status;
}

static oct_status open_at(run *r, const char *path, uint32_t flags, oct_file **out)
{
    return open_on(r, r->vfs, path, flags, out);
}

static void close_file(run *r, oct_file *file)
{
    for (int i = 0; i < r->handle_count; i++) {
        if (r->handles[i].file != file) continue;
        r->handles[i].vfs->close(r->handles[i].vfs->self, file);
        r->handles[i] = r->handles[--r->handle_count];
        return;
    }
}

static oct_status put(run *r, oct_file *file, uint64_t offset, const char *text)
{
    return r->vfs->write(r->vfs->self, file, offset, text, strlen(text), &r->error);
}

static oct_status truncate_to(run *r, oct_file *file, uint64_t bytes)
{
    return r->vfs->truncate(r->vfs->self, file, bytes, &r->error);
}

static oct_status sync_file(run *r, oct_file *file)
{
    return r->vfs->sync(r->vfs->self, file, &r->error);
}

static oct_status remove_at(run *r, const char *path)
{
    return r->vfs->remove(r->vfs->self, path, &r->error);
}

static uint64_t size_of(run *r, oct_file *file)
{
    uint64_t bytes = UINT64_MAX;
    oct_status status = r->vfs->size(r->vfs->self, file, &bytes, &r->error);
    return status == OCT_OK ? bytes : UINT64_MAX;
}

/* Does the file hold exactly these bytes? */
static bool holds(run *r, oct_file *file, const void *expected, size_t bytes)
{
    char found[256];
    if (bytes > sizeof found || size_of(r, file) != bytes) return false;
    if (r->vfs->read(r->vfs->self, file, 0, found, bytes, &r->error) != OCT_OK) return false;
    return memcmp(found, expected, bytes) == 0;
}

static bool holds_text(run *r, oct_file *file, const char *text)
{
    return holds(r, file, text, strlen(text));
}

/* A new file `path` with this text; false when anything fails. */
static bool make(run *r, const char *path, const char *text)
{
    oct_file *file;
    if (open_at(r, path, RWC, &file) != OCT_OK) return false;
    oct_status status = put(r, file, 0, text);
    close_file(r, file);
    return status == OCT_OK;
}

static bool file_holds(run *r, const char *path, const char *text)
{
    oct_file *file;
    if (open_at(r, path, OCT_OPEN_READ, &file) != OCT_OK) return false;
    bool same = holds_text(r, file, text);
    close_file(r, file);
    return same;
}

static void keep_name(void *arg, const char *name)
{
    run *r = arg;
    if (r->name_count < NAMES_MAX && strlen(name) < sizeof r->names[0])
        memcpy(r->names[r->name_count], name, strlen(name) + 1);
    r->name_count++;
}

static oct_status list(run *r, const char *directory)
{
    r->name_count = 0;
    return r->vfs->list(r->vfs->self, directory, keep_name, r, &r->error);
}

/* How often is `name` in the last listing? */
static int listed(const run *r, const char *name)
{
    int times = 0;
    for (int i = 0; i < r->name_count && i < NAMES_MAX; i++)
        times += strcmp(r->names[i], name) == 0;
    return times;
}

static bool cap(const run *r, uint32_t bit)
{
    return (r->vfs->caps & bit) != 0;
}

/* ---- open ------------------------------------------------------------------------------------ */

static void open_missing(run *r)
{
    oct_file *file = (oct_file *)r;
    HOLDS(open_at(r, "missing", OCT_OPEN_READ, &file) == OCT_NOT_FOUND);
    HOLDS(file == NULL);
    HOLDS(open_at(r, "missing", RW, &file) == OCT_NOT_FOUND);
    HOLDS(open_at(r, "no.directory/missing", OCT_OPEN_READ, &file) == OCT_NOT_FOUND);
    HOLDS(open_at(r, "missing", RW | OCT_OPEN_TRUNCATE, &file) == OCT_NOT_FOUND);
    HOLDS(list(r, "") == OCT_OK && r->name_count == 0);
}

static void open_creates(run *r)
{
    oct_file *file;
    HOLDS(open_at(r, "a", RWC, &file) == OCT_OK);
    HOLDS(file != NULL);
    HOLDS(size_of(r, file) == 0);
    HOLDS(open_at(r, "dir/b", RWC, &file) == OCT_OK);
    HOLDS(size_of(r, file) == 0);
}

static void open_keeps(run *r)
{
    HOLDS(make(r, "a", "content"));
    oct_file *file;
    HOLDS(open_at(r, "a", RWC, &file) == OCT_OK);
    HOLDS(holds_text(r, file, "content"));
}

static void open_truncates(run *r)
{
    HOLDS(make(r, "a", "content"));
    oct_file *file;
    HOLDS(open_at(r, "a", RW | OCT_OPEN_TRUNCATE, &file) == OCT_OK);
    HOLDS(size_of(r, file) == 0);
    HOLDS(truncate_to(r, file, 3) == OCT_OK);
    HOLDS(holds(r, file, "\0\0\0", 3));
}

static void write_implies_read(run *r)
{
    oct_file *file;
    HOLDS(open_at(r, "a", OCT_OPEN_WRITE | OCT_OPEN_CREATE, &file) == OCT_OK);
    HOLDS(put(r, file, 0, "text") == OCT_OK);
    HOLDS(holds_text(r, file, "text"));
}

static void bad_flags(run *r)
{
    static const uint32_t flags[] = { 0,
                                      OCT_OPEN_CREATE,
                                      OCT_OPEN_READ | OCT_OPEN_CREATE,
                                      OCT_OPEN_READ | OCT_OPEN_TRUNCATE,
                                      OCT_OPEN_EXCLUSIVE,
                                      RW | 1024 };
    HOLDS(make(r, "a", "content"));
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        oct_file *file;
        HOLDS(open_at(r, "a", flags[i], &file) == OCT_BAD_INPUT);
        HOLDS(file == NULL);
    }
    HOLDS(file_holds(r, "a", "content"));
}

static void read_only_handle(run *r)
{
    HOLDS(make(r, "a", "content"));
    oct_file *file;
    HOLDS(open_at(r, "a", OCT_OPEN_READ, &file) == OCT_OK);
    HOLDS(put(r, file, 0, "x") == OCT_READONLY);
    HOLDS(truncate_to(r, file, 0) == OCT_READONLY);
    HOLDS(holds_text(r, file, "content"));
}

static void several_handles(run *r)
{
    oct_file *one, *two;
    HOLDS(open_at(r, "dir/a", RWC, &one) == OCT_OK);
    HOLDS(open_at(r, "dir/a", RW, &two) == OCT_OK);
    HOLDS(put(r, one, 0, "first") == OCT_OK);
    HOLDS(holds_text(r, two, "first"));
    HOLDS(put(r, two, 5, "+second") == OCT_OK);
    HOLDS(holds_text(r, one, "first+second"));
    close_file(r, one);
    HOLDS(holds_text(r, two, "first+second"));
}

static void other_instance(run *r)
{
    oct_file *file, *other;
    HOLDS(open_at(r, "dir/a", RWC, &file) == OCT_OK);
    HOLDS(put(r, file, 0, "synced") == OCT_OK);
    HOLDS(sync_file(r, file) == OCT_OK);
    close_file(r, file);
    HOLDS(open_on(r, r->second, "dir/a", OCT_OPEN_READ, &other) == OCT_OK);
    char found[6];
    HOLDS(r->second->read(r->second->self, other, 0, found, 6, &r->error) == OCT_OK);
    HOLDS(memcmp(found, "synced", 6) == 0);
}

/* ---- paths ----------------------------------------------------------------------------------- */

static void good_paths(run *r)
{
    char longest[OCT_PATH_BYTES_MAX + 1];
    memset(longest, 'n', OCT_PATH_BYTES_MAX);
    longest[OCT_PATH_BYTES_MAX] = '\0';
    HOLDS(make(r, longest, "alone"));
    longest[OCT_PATH_BYTES_MAX / 2] = '/';
    longest[0] = 'd';
    HOLDS(make(r, longest, "in a directory"));
    HOLDS(file_holds(r, longest, "in a directory"));
    HOLDS(make(r, "...", "dots"));
    HOLDS(make(r, ".hidden/-dash_", "1"));
    HOLDS(make(r, "AZaz09._-", "2"));
    HOLDS(file_holds(r, "AZaz09._-", "2"));
}

static void bad_paths(run *r)
{
    char too_long[OCT_PATH_BYTES_MAX + 2];
    memset(too_long, 'n', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    char too_long_pair[OCT_PATH_BYTES_MAX + 2];
    memcpy(too_long_pair, too_long, sizeof too_long);
    too_long_pair[100] = '/';
    const char *paths[] = { "",      ".",    "..",          "/",   "/a",  "a/",     "a//b",
                            "a/b/c", "../a", "a/..",        "a/.", "./a", "a b",    "a\\b",
                            "a:b",   "a*",   "caf\xc3\xa9", "a\n", "~",   too_long, too_long_pair };
    HOLDS(make(r, "a.file", "content"));
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        oct_file *file = (oct_file *)r;
        HOLDS(open_at(r, paths[i], RWC, &file) == OCT_BAD_INPUT);
        HOLDS(file == NULL);
        HOLDS(r->error.status == OCT_BAD_INPUT);
        HOLDS(r->error.message[0] != '\0');
        HOLDS(remove_at(r, paths[i]) == OCT_BAD_INPUT);
        if (!cap(r, OCT_CAP_RENAME)) continue;
        HOLDS(r->vfs->rename(r->vfs->self, "a.file", paths[i], NULL) == OCT_BAD_INPUT);
        HOLDS(r->vfs->rename(r->vfs->self, paths[i], "b", NULL) == OCT_BAD_INPUT);
    }
    HOLDS(list(r, "a/b") == OCT_BAD_INPUT);
    HOLDS(list(r, "..") == OCT_BAD_INPUT);
    HOLDS(list(r, "") == OCT_OK && r->name_count == 1 && listed(r, "a.file") == 1);
}

static void file_or_directory(run *r)
{
    oct_file *file;
    HOLDS(make(r, "file", "content"));
    HOLDS(make(r, "dir/a", "content"));
    HOLDS(open_at(r, "file/b", RWC, &file) == OCT_IO);
    HOLDS(file == NULL);
    HOLDS(open_at(r, "dir", RWC, &file) == OCT_IO);
    HOLDS(open_at(r, "dir", OCT_OPEN_READ, &file) == OCT_NOT_FOUND);
    HOLDS(open_at(r, "file/b", OCT_OPEN_READ, &file) == OCT_NOT_FOUND);
    HOLDS(remove_at(r, "dir") == OCT_NOT_FOUND);
    HOLDS(remove_at(r, "file/b") == OCT_NOT_FOUND);
    HOLDS(list(r, "file") == OCT_OK && r->name_count == 0);
    HOLDS(file_holds(r, "file", "content"));
    HOLDS(file_holds(r, "dir/a", "content"));
}

/* ---- read, write, truncate ------------------------------------------------------------------- */

static void read_exact(run *r)
{
    oct_file *file;
    HOLDS(open_at(r, "a", RWC, &file) == OCT_OK);
    HOLDS(put(r, file, 0, "0123456789") == OCT_OK);
    for (size_t offset = 0; offset <= 10; offset++) {
        for (size_t bytes = 0; bytes + offset <= 10; bytes++) {
            char found[12];
            memset(found, '#', sizeof found);
            HOLDS(r->vfs->read(r->vfs->self, file, offset, found, bytes, &r->error) == OCT_OK);
            HOLDS(memcmp(found, &"0123456789"[offset], bytes) == 0);
            HOLDS(found[bytes] == '#');
        }
    }
}

static void read_beyond(run *r)
{
    oct_file *file;
    HOLDS(open_at(r, "a", RWC, &file) == OCT_OK);
    HOLDS(put(r, file, 0, "01234") == OCT_OK);
    char found[8];
    memset(found, '#', sizeof found);
    HOLDS(r->vfs->read(r->vfs->self, file, 2, found, 6, &r->error) == OCT_CORRUPT);
    HOLDS(memcmp(found, "234\0\0\0##", 8) == 0);
    HOLDS(r->error.status == OCT_CORRUPT);
    const uint64_t offsets[] = { 5, 6, UINT64_C(1) << 33, INT64_MAX, UINT64_MAX - 3, UINT64_MAX };
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        memset(found, '#', sizeof found);
        HOLDS(r->vfs->read(r->vfs->self, file, offsets[i], found, 4, &r->error) == OCT_CORRUPT);
        HOLDS(memcmp(found, "\0\0\0\0####", 8) == 0);
    }
    HOLDS(r->vfs->read(r->vfs->self, file, 9, found, 0, &r->error) == OCT_OK);
}

static void write_overwrites(run *r)
{
    oct_file *file;
    HOLDS(open_at(r, "a", RWC, &file) == OCT_OK);
    HOLDS(put(r, file, 0, "0123456789") == OCT_OK);
    HOLDS(put(r, file, 3, "abc") == OCT_OK);
    HOLDS(holds_text(r, file, "012abc6789"));
    HOLDS(put(r, file, 8, "wxyz") == OCT_OK);
    HOLDS(holds_text(r, file, "012abc67wxyz"));
    HOLDS(put(r, file, 40, "") == OCT_OK);
    HOLDS(holds_text(r, file, "012abc67wxyz"));
}

static void write_gap(run *r)
{
    oct_file *file;
    HOLDS(open_at(r, "a", RWC, &file) == OCT_OK);
    HOLDS(put(r, file, 0, "ab") == OCT_OK);
    HOLDS(put(r, file, 5, "c") == OCT_OK);
    HOLDS(holds(r, file, "ab\0\0\0c", 6));
    HOLDS(put(r, file, 100000, "d") == OCT_OK);
    HOLDS(size_of(r, file) == 100001);
    char found[4];
    HOLDS(r->vfs->read(r->vfs->self, file, 99997, found, 4, &r->error) == OCT_OK);
    HOLDS(memcmp(found, "\0\0\0d", 4) == 0);
}

static void write_too_far(run *r)
{
    oct_file *file;
    HOLDS(open_at(r, "a", RWC, &file) == OCT_OK);
    HOLDS(put(r, file, 0, "ab") == OCT_OK);
    HOLDS(put(r, file, INT64_MAX, "x") == OCT_NO_SPACE);
    HOLDS(put(r, file, UINT64_MAX, "x") == OCT_NO_SPACE);
    HOLDS(truncate_to(r, file, UINT64_MAX) == OCT_NO_SPACE);
    HOLDS(holds_text(r, file, "ab"));
}

static void truncate_cuts(run *r)
{
    oct_file *file;
    HOLDS(open_at(r, "a", RWC, &file) == OCT_OK);
    HOLDS(put(r, file, 0, "0123456789") == OCT_OK);
    HOLDS(truncate_to(r, file, 10) == OCT_OK);
    HOLDS(holds_text(r, file, "0123456789"));
    HOLDS(truncate_to(r, file, 4) == OCT_OK);
    HOLDS(holds_text(r, file, "0123"));
    HOLDS(truncate_to(r, file, 7) == OCT_OK);
    HOLDS(holds(r, file, "0123\0\0\0", 7));
    HOLDS(truncate_to(r, file, 2) == OCT_OK);
    HOLDS(put(r, file, 5, "x") == OCT_OK);
    HOLDS(holds(r, file, "01\0\0\0x", 6));
    HOLDS(truncate_to(r, file, 0) == OCT_OK);
    HOLDS(size_of(r, file) == 0);
}

/* A file against a model in memory: writes and truncations at random, read back whole. */
static void random_changes(run *r)
{
    static unsigned char model[20000], found[20000];
    uint64_t state = 1;
    size_t size = 0;
    oct_file *file;
    HOLDS(open_at(r, "dir/a", RWC, &file) == OCT_OK);
    for (int step = 0; step < 300; step++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t offset = (size_t)(state >> 33) % 10000;
        size_t bytes = (size_t)(state >> 20) % 10000;
        if (step % 5 == 4) {
            if (bytes > size) memset(model + size, 0, bytes - size);
            size = bytes;
            HOLDS(truncate_to(r, file, size) == OCT_OK);
        } else {
            if (offset > size) memset(model + size, 0, offset - size);
            memset(model + offset, (int)(state >> 56), bytes);
            if (bytes > 0 && offset + bytes > size) size = offset + bytes;
            HOLDS(r->vfs->write(r->vfs->self, file, offset, model + offset, bytes, &r->error) ==
                  OCT_OK);
        }
        HOLDS(size_of(r, file) == size);
        HOLDS(r->vfs->read(r->vfs->self, file, 0, found, size, &r->error) == OCT_OK);
        HOLDS(memcmp(found, model, size) == 0);
    }
}

static void sync_keeps(run *r)
{
    oct_file *file;
    HOLDS(open_at(r, "dir/a", RWC, &file) == OCT_OK);
    HOLDS(sync_file(r, file) == OCT_OK);
    HOLDS(put(r, file, 0, "text") == OCT_OK);
    HOLDS(sync_file(r, file) == OCT_OK);
    HOLDS(sync_file(r, file) == OCT_OK);
    HOLDS(make(r, "dir/b", "other"));
    HOLDS(remove_at(r, "dir/b") == OCT_OK);
    HOLDS(sync_file(r, file) == OCT_OK);
    HOLDS(holds_text(r, file, "text"));
    HOLDS(remove_at(r, "dir/a") == OCT_OK);
    HOLDS(sync_file(r, file) == OCT_OK);
}

static void close_keeps(run *r)
{
    HOLDS(make(r, "dir/a", "never synced"));
    HOLDS(file_holds(r, "dir/a", "never synced"));
}

/* ---- views ----------------------------------------------------------------------------------- */

static void no_view(run *r, oct_file *file)
{
    const void *at = r;
    HOLDS(r->vfs->view(r->vfs->self, file, 0, 1, &at, &r->error) == OCT_UNSUPPORTED);
    HOLDS(at == NULL);
}

/* A file of 200,000 bytes whose byte i is pattern(i). */
static unsigned char pattern(size_t i)
{
    return (unsigned char)(i * 31 + i / 256);
}

static void make_pattern(run *r, oct_file **file)
{
    unsigned char piece[1000];
    HOLDS(open_at(r, "dir/a", RWC, file) == OCT_OK);
    for (size_t at = 0; at < 200000; at += sizeof piece) {
        for (size_t i = 0; i < sizeof piece; i++)
            piece[i] = pattern(at + i);
        HOLDS(r->vfs->write(r->vfs->self, *file, at, piece, sizeof piece, &r->error) == OCT_OK);
    }
}

static bool view_shows(run *r, oct_file *file, size_t offset, size_t bytes)
{
    const void *at;
    if (r->vfs->view(r->vfs->self, file, offset, bytes, &at, &r->error) != OCT_OK) return false;
    bool good = at != NULL && (offset % 64 != 0 || (uintptr_t)at % 64 == 0);
    for (size_t i = 0; good && i < bytes; i++)
        good = ((const unsigned char *)at)[i] == pattern(offset + i);
    r->vfs->unview(r->vfs->self, file, at, bytes);
    return good;
}

static void view_range(run *r)
{
    oct_file *file = NULL;
    make_pattern(r, &file);
    HOLDS(r->bad_line == 0);
    if (!cap(r, OCT_CAP_VIEW)) {
        no_view(r, file);
        return;
    }
    static const size_t offsets[] = { 0, 1, 63, 64, 4095, 4096, 65536, 65600, 131072, 199999 };
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        HOLDS(view_shows(r, file, offsets[i], 1));
        HOLDS(view_shows(r, file, offsets[i], 0));
        HOLDS(view_shows(r, file, offsets[i], 200000 - offsets[i]));
    }
}

static void view_outside(run *r)
{
    oct_file *file;
    HOLDS(open_at(r, "a", RWC, &file) == OCT_OK);
    HOLDS(put(r, file, 0, "01234") == OCT_OK);
    if (!cap(r, OCT_CAP_VIEW)) {
        no_view(r, file);
        return;
    }
    const void *at = r;
    HOLDS(r->vfs->view(r->vfs->self, file, 0, 6, &at, &r->error) == OCT_CORRUPT);
    HOLDS(at == NULL);
    HOLDS(r->vfs->view(r->vfs->self, file, 5, 1, &at, &r->error) == OCT_CORRUPT);
    HOLDS(r->vfs->view(r->vfs->self, file, UINT64_MAX, 1, &at, &r->error) == OCT_CORRUPT);
    HOLDS(r->vfs->view(r->vfs->self, file, UINT64_MAX - 1, 4, &at, &r->error) == OCT_CORRUPT);
    HOLDS(r->vfs->view(r->vfs->self, file, 0, 5, &at, &r->error) == OCT_OK);
    r->vfs->unview(r->vfs->self, file, at, 5);
}

static void view_survives(run *r)
{
    oct_file *file;
    HOLDS(open_at(r, "dir/a", RWC, &file) == OCT_OK);
    HOLDS(put(r, file, 0, "viewed") == OCT_OK);
    if (!cap(r, OCT_CAP_VIEW)) {
        no_view(r, file);
        return;
    }
    const void *one, *two;
    HOLDS(r->vfs->view(r->vfs->self, file, 0, 6, &one, &r->error) == OCT_OK);
    for (uint64_t end = 6; end < 300000; end = end * 3 + 1) {
        if (put(r, file, end, "more") == OCT_OK) continue;
        r->bad_line = __LINE__, r->bad_text = "the file grows while it is viewed";
    }
    oct_status status = r->vfs->view(r->vfs->self, file, 0, 8, &two, &r->error);
    bool same = memcmp(one, "viewed", 6) == 0;
    bool removed = remove_at(r, "dir/a") == OCT_OK;
    same = same && memcmp(one, "viewed", 6) == 0;
    if (status == OCT_OK) same = same && memcmp(two, "viewedmo", 8) == 0;
    if (status == OCT_OK) r->vfs->unview(r->vfs->self, file, two, 8);
    r->vfs->unview(r->vfs->self, file, one, 6);
    HOLDS(status == OCT_OK);
    HOLDS(same);
    HOLDS(removed);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void remove_missing(run *r)
{
    HOLDS(remove_at(r, "a") == OCT_NOT_FOUND);
    HOLDS(remove_at(r, "dir/a") == OCT_NOT_FOUND);
    HOLDS(make(r, "dir/a", "x"));
    HOLDS(remove_at(r, "dir/a") == OCT_OK);
    HOLDS(remove_at(r, "dir/a") == OCT_NOT_FOUND);
}

static void remove_open(run *r)
{
    oct_file *old, *made;
    HOLDS(open_at(r, "dir/a", RWC, &old) == OCT_OK);
    HOLDS(put(r, old, 0, "old") == OCT_OK);
    HOLDS(remove_at(r, "dir/a") == OCT_OK);
    HOLDS(open_at(r, "dir/a", OCT_OPEN_READ, &made) == OCT_NOT_FOUND);
    HOLDS(open_at(r, "dir/a", RWC, &made) == OCT_OK);
    HOLDS(size_of(r, made) == 0);
    HOLDS(put(r, made, 0, "new file") == OCT_OK);
    HOLDS(put(r, old, 3, "er") == OCT_OK);
    HOLDS(holds_text(r, old, "older"));
    HOLDS(holds_text(r, made, "new file"));
}

static void directories_vanish(run *r)
{
    HOLDS(list(r, "") == OCT_OK && r->name_count == 0);
    HOLDS(make(r, "dir/a", "1"));
    HOLDS(make(r, "dir/b", "2"));
    HOLDS(list(r, "") == OCT_OK && r->name_count == 1 && listed(r, "dir/") == 1);
    HOLDS(remove_at(r, "dir/a") == OCT_OK);
    HOLDS(list(r, "") == OCT_OK && r->name_count == 1);
    HOLDS(remove_at(r, "dir/b") == OCT_OK);
    HOLDS(list(r, "") == OCT_OK && r->name_count == 0);
    HOLDS(make(r, "dir", "now a file"));
    HOLDS(file_holds(r, "dir", "now a file"));
}

static void list_all(run *r)
{
    HOLDS(make(r, "root.file", "1"));
    HOLDS(make(r, "one/a", "2"));
    HOLDS(make(r, "one/b", "3"));
    HOLDS(make(r, "two/a", "4"));
    HOLDS(make(r, "on", "5"));
    HOLDS(list(r, "") == OCT_OK);
    HOLDS(r->name_count == 4);
    HOLDS(listed(r, "root.file") == 1 && listed(r, "on") == 1);
    HOLDS(listed(r, "one/") == 1 && listed(r, "two/") == 1);
    HOLDS(list(r, "one") == OCT_OK);
    HOLDS(r->name_count == 2 && listed(r, "a") == 1 && listed(r, "b") == 1);
    HOLDS(list(r, "two") == OCT_OK);
    HOLDS(r->name_count == 1 && listed(r, "a") == 1);
    HOLDS(list(r, "three") == OCT_OK && r->name_count == 0);
    HOLDS(list(r, "o") == OCT_OK && r->name_count == 0);
}

static void rename_moves(run *r)
{
    HOLDS(make(r, "dir/a", "content"));
    if (!cap(r, OCT_CAP_RENAME)) {
        HOLDS(r->vfs->rename(r->vfs->self, "dir/a", "dir/b", &r->error) == OCT_UNSUPPORTED);
        HOLDS(file_holds(r, "dir/a", "content"));
        return;
    }
    HOLDS(r->vfs->rename(r->vfs->self, "dir/a", "dir/b", &r->error) == OCT_OK);
    HOLDS(file_holds(r, "dir/b", "content"));
    HOLDS(list(r, "dir") == OCT_OK && r->name_count == 1);
    HOLDS(r->vfs->rename(r->vfs->self, "dir/b", "new/c", &r->error) == OCT_OK);
    HOLDS(file_holds(r, "new/c", "content"));
    HOLDS(list(r, "") == OCT_OK && r->name_count == 1 && listed(r, "new/") == 1);
    HOLDS(r->vfs->rename(r->vfs->self, "new/c", "new/c", &r->error) == OCT_OK);
    HOLDS(file_holds(r, "new/c", "content"));
}

static void rename_replaces(run *r)
{
    if (!cap(r, OCT_CAP_RENAME)) {
        HOLDS(r->vfs->rename(r->vfs->self, "a", "b", &r->error) == OCT_UNSUPPORTED);
        return;
    }
    oct_file *old, *moved;
    HOLDS(make(r, "a", "old"));
    HOLDS(make(r, "a.new", "new"));
    HOLDS(open_at(r, "a", RW, &old) == OCT_OK);
    HOLDS(open_at(r, "a.new", RW, &moved) == OCT_OK);
    HOLDS(r->vfs->rename(r->vfs->self, "a.new", "a", &r->error) == OCT_OK);
    HOLDS(file_holds(r, "a", "new"));
    HOLDS(holds_text(r, old, "old"));
    HOLDS(put(r, moved, 3, "er") == OCT_OK);
    HOLDS(file_holds(r, "a", "newer"));
    HOLDS(list(r, "") == OCT_OK && r->name_count == 1);
}

static void rename_missing(run *r)
{
    oct_status expected = cap(r, OCT_CAP_RENAME) ? OCT_NOT_FOUND : OCT_UNSUPPORTED;
    HOLDS(make(r, "b", "target"));
    HOLDS(make(r, "dir/c", "in the way"));
    HOLDS(r->vfs->rename(r->vfs->self, "a", "b", &r->error) == expected);
    HOLDS(r->vfs->rename(r->vfs->self, "dir", "b", &r->error) == expected);
    HOLDS(file_holds(r, "b", "target"));
    if (!cap(r, OCT_CAP_RENAME)) return;
    HOLDS(r->vfs->rename(r->vfs->self, "b", "dir", &r->error) == OCT_IO);
    HOLDS(r->vfs->rename(r->vfs->self, "b", "b/x", &r->error) == OCT_IO);
    HOLDS(file_holds(r, "b", "target"));
    HOLDS(file_holds(r, "dir/c", "in the way"));
}

/* ---- locks ----------------------------------------------------------------------------------- */

static void lock_excludes(run *r)
{
    oct_file *owner, *other;
    HOLDS(open_at(r, "owner", RWC | OCT_OPEN_EXCLUSIVE, &owner) == OCT_OK);
    HOLDS(put(r, owner, 0, "mine") == OCT_OK);
    oct_status second = cap(r, OCT_CAP_LOCK) ? OCT_LOCKED : OCT_OK;
    HOLDS(open_at(r, "owner", RWC | OCT_OPEN_EXCLUSIVE, &other) == second);
    if (!cap(r, OCT_CAP_LOCK)) return;
    HOLDS(other == NULL);
    HOLDS(open_on(r, r->second, "owner", RW | OCT_OPEN_EXCLUSIVE, &other) == OCT_LOCKED);
    HOLDS(open_at(r, "owner", RW | OCT_OPEN_EXCLUSIVE | OCT_OPEN_TRUNCATE, &other) == OCT_LOCKED);
    HOLDS(holds_text(r, owner, "mine"));
}

static void lock_ends(run *r)
{
    oct_file *owner, *other;
    HOLDS(open_at(r, "dir/owner", RWC | OCT_OPEN_EXCLUSIVE, &owner) == OCT_OK);
    /* Plain openers are not kept out, and their close does not release the owner's lock. */
    HOLDS(open_at(r, "dir/owner", OCT_OPEN_READ, &other) == OCT_OK);
    close_file(r, other);
    if (cap(r, OCT_CAP_LOCK))
        HOLDS(open_at(r, "dir/owner", RW | OCT_OPEN_EXCLUSIVE, &other) == OCT_LOCKED);
    close_file(r, owner);
    HOLDS(open_on(r, r->second, "dir/owner", RW | OCT_OPEN_EXCLUSIVE, &other) == OCT_OK);
    close_file(r, other);
    /* A removed file's lock says nothing about a new file of that name. */
    HOLDS(open_at(r, "dir/owner", RW | OCT_OPEN_EXCLUSIVE, &owner) == OCT_OK);
    HOLDS(remove_at(r, "dir/owner") == OCT_OK);
    HOLDS(open_at(r, "dir/owner", RWC | OCT_OPEN_EXCLUSIVE, &other) == OCT_OK);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void errors_optional(run *r)
{
    oct_file *file;
    HOLDS(r->vfs->open(r->vfs->self, "missing", OCT_OPEN_READ, &file, NULL) == OCT_NOT_FOUND);
    HOLDS(r->vfs->open(r->vfs->self, "..", OCT_OPEN_READ, &file, NULL) == OCT_BAD_INPUT);
    HOLDS(r->vfs->remove(r->vfs->self, "missing", NULL) == OCT_NOT_FOUND);
    memset(&r->error, 0, sizeof r->error);
    HOLDS(remove_at(r, "dir/missing.file") == OCT_NOT_FOUND);
    HOLDS(r->error.status == OCT_NOT_FOUND);
    HOLDS(strstr(r->error.message, "dir/missing.file") != NULL);
}

/* ---- the suite ------------------------------------------------------------------------------- */

static const struct {
    const char *sentence;
    void (*check)(run *r);
} checks[] = {
    { "opening a missing file is NOT_FOUND, gives NULL and makes nothing", open_missing },
    { "CREATE makes a missing file, empty, and its directory", open_creates },
    { "CREATE leaves an existing file as it is", open_keeps },
    { "TRUNCATE empties an existing file for good", open_truncates },
    { "WRITE implies READ", write_implies_read },
    { "flags that contradict each other are BAD_INPUT and change nothing", bad_flags },
    { "a handle opened for reading refuses changes with READONLY", read_only_handle },
    { "several handles of one path see one file", several_handles },
    { "what one instance synced another instance reads", other_instance },
    { "every path of the allowed form works", good_paths },
    { "any other path is BAD_INPUT in every method", bad_paths },
    { "a path is a file or a directory, never both", file_or_directory },
    { "read gives exactly the bytes asked for", read_exact },
    { "a read across the end zero-fills the rest and is CORRUPT", read_beyond },
    { "write changes exactly its range", write_overwrites },
    { "a gap left by a write beyond the end reads as zeros", write_gap },
    { "a write beyond 2^63 - 1 is NO_SPACE and changes nothing", write_too_far },
    { "truncate cuts, and growth reads as zeros whatever was there before", truncate_cuts },
    { "a file equals its model after any writes and truncations", random_changes },
    { "sync succeeds at any time and changes nothing that is read", sync_keeps },
    { "closing keeps what was written, synced or not", close_keeps },
    { "a view shows the file's bytes, 64-byte aligned, or is UNSUPPORTED", view_range },
    { "a view must lie inside the file, else CORRUPT and NULL", view_outside },
    { "a view outlives growth and removal of its file", view_survives },
    { "removing a missing file is NOT_FOUND", remove_missing },
    { "open handles of a removed file stay usable, apart from a new file", remove_open },
    { "a directory vanishes with its last file", directories_vanish },
    { "list names every file once, and in the root every directory", list_all },
    { "rename moves a file, also between directories, or is UNSUPPORTED", rename_moves },
    { "rename replaces its target; handles stay with their files", rename_replaces },
    { "a rename that can't be is refused and changes nothing", rename_missing },
    { "EXCLUSIVE keeps a second owner out, before it can truncate", lock_excludes },
    { "the lock ends with its handle, and only with that", lock_ends },
    { "errors name the path and may be left out", errors_optional },
};

static void print_line(const char *line)
{
    puts(line);
}

/* Close what is open and remove every file. */
static bool sweep(run *r)
{
    while (r->handle_count > 0)
        close_file(r, r->handles[0].file);
    for (int pass = 0; pass < NAMES_MAX; pass++) {
        if (list(r, "") != OCT_OK) return false;
        if (r->name_count == 0) return true;
        char first[OCT_PATH_BYTES_MAX + 2];
        memcpy(first, r->names[0], sizeof first);
        size_t bytes = strlen(first);
        if (first[bytes - 1] != '/') {
            if (remove_at(r, first) != OCT_OK) return false;
            continue;
        }
        first[bytes - 1] = '\0';
        if (list(r, first) != OCT_OK) return false;
        for (int i = 0; i < r->name_count && i < NAMES_MAX; i++) {
            char path[2 * OCT_PATH_BYTES_MAX];
            (void)snprintf(path, sizeof path, "%s/%s", first, r->names[i]); /* names are short */
            if (remove_at(r, path) != OCT_OK) return false;
        }
    }
    return false;
}

int oct_vfs_conformance(const oct_vfs *vfs, const oct_vfs *second, const char *backend_name,
                        void (*print)(const char *line))
{
    static run only; /* large; the suite does not run twice at once */
    run *r = &only;
    char line[LINE_BYTES_MAX];
    int bad = 0;
    const int count = (int)(sizeof checks / sizeof checks[0]);
    memset(r, 0, sizeof *r);
    r->vfs = vfs;
    r->second = second ? second : vfs;
    if (!print) print = print_line;
    for (int i = 0; i < count; i++) {
        r->bad_line = 0;
        if (!sweep(r)) r->bad_line = __LINE__, r->bad_text = "the storage can be emptied";
        if (r->bad_line == 0) checks[i].check(r);
        bool good = r->bad_line == 0;
        if (good)
            (void)snprintf(line, sizeof line, "ok  %s: %s", backend_name, checks[i].sentence);
        else
            (void)snprintf(line, sizeof line, "BAD %s: %s (%d: %s)", backend_name,
                           checks[i].sentence, r->bad_line, r->bad_text);
        print(line);
        bad += !good;
    }
    if (!sweep(r)) bad++;
    (void)snprintf(line, sizeof line, "%s: %d checks, %d failed", backend_name, count, bad);
    print(line);
    return bad;
}
