/* SPDX-License-Identifier: Apache-2.0
 *
 * commands_source.c - read points from .jsonl, or from raw .f32/.f16 rows with a payload file.
 *
 * JSON is passed on as it stands: a line of .jsonl becomes an item of the request's list after a
 * look that it is one object, so that the core's errors stay the only rules. Raw rows take the bulk
 * lane. They are assembled byte by byte, which compilers turn into plain loads on little-endian
 * machines. */
#include "commands_source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"

static bool ends_with(const char *path, const char *ending)
{
    size_t bytes = strlen(path), wanted = strlen(ending);
    return bytes > wanted && strcmp(path + bytes - wanted, ending) == 0;
}

static FILE *open_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) (void)oct_command_fail("%s: %s", path, strerror(errno));
    return file;
}

bool oct_source_open(oct_source *source, const char *path, const char *payload_path)
{
    struct stat found;
    *source = (oct_source){ .path = path, .payload_path = payload_path };
    if (ends_with(path, ".f32"))
        source->kind = OCT_SOURCE_F32;
    else if (ends_with(path, ".f16"))
        source->kind = OCT_SOURCE_F16;
    else if (!ends_with(path, ".jsonl")) {
        (void)oct_command_fail("%s: expected a name ending in .jsonl, .f32 or .f16", path);
        return false;
    }
    FILE *file = open_file(path);
    if (!file) return false;
    if (source->kind == OCT_SOURCE_JSONL)
        source->lines = file;
    else
        source->vectors = file;
    if (stat(path, &found) == 0) source->bytes_total = (uint64_t)found.st_size;
    if (!payload_path) return true;
    if (source->kind == OCT_SOURCE_JSONL) {
        (void)oct_command_fail("--payload: the points of a .jsonl file have their payload in it");
        return false;
    }
    source->lines = open_file(payload_path);
    return source->lines != NULL;
}

/* The next line that is not empty; 1, 0 at the end, -1 after printing an error. */
static int next_line(oct_source *source, oct_str *line)
{
    for (;;) {
        ssize_t bytes = getline(&source->line, &source->line_capacity, source->lines);
        if (bytes < 0) break;
        if (source->kind == OCT_SOURCE_JSONL) source->bytes_read += (uint64_t)bytes;
        oct_str rest = { source->line, (size_t)bytes };
        if (rest.bytes == strspn(rest.at, " \t\r\n")) continue;
        if (oct_text_cut(&rest, line) && rest.bytes == 0 && line->at[0] == '{') return 1;
        return -oct_command_fail("%s: object %" PRIu64 " is not one JSON object on one line",
                                 source->payload_path ? source->payload_path : source->path,
                                 source->row + 1);
    }
    if (!ferror(source->lines)) return 0;
    return -oct_command_fail("%s: %s", source->payload_path ? source->payload_path : source->path,
                             strerror(errno));
}

uint32_t oct_source_guess_size(oct_source *source)
{
    oct_str line, vector;
    size_t count = 0;
    bool found = next_line(source, &line) == 1 && oct_text_member(line, "vector", &vector) &&
                 oct_text_count(vector, &count) && count <= OCT_VECTOR_SIZE_MAX;
    rewind(source->lines);
    source->bytes_read = 0;
    return found ? (uint32_t)count : 0;
}

static size_t value_bytes(const oct_source *source)
{
    return source->kind == OCT_SOURCE_F16 ? 2 : 4;
}

bool oct_source_set_size(oct_source *source, uint32_t vector_size)
{
    source->vector_size = vector_size;
    if (source->kind == OCT_SOURCE_JSONL) return true;
    size_t row_bytes = vector_size * value_bytes(source);
    if (source->bytes_total == 0 || source->bytes_total % row_bytes != 0) {
        (void)oct_command_fail("%s: %" PRIu64 " bytes are not a whole number of vectors of %" PRIu32
                               " values (%zu bytes)",
                               source->path, source->bytes_total, vector_size, row_bytes);
        return false;
    }
    source->rows = source->bytes_total / row_bytes;
    source->raw = malloc(row_bytes);
    if (!source->raw) (void)oct_command_fail("out of memory");
    return source->raw != NULL;
}

/* The float of a half, exactly: halves are a subset of floats. */
static float half_value(uint32_t half)
{
    uint32_t exponent = half >> 10 & 31, fraction = half & 1023, sign = (half & 0x8000) << 16;
    uint32_t bits;
    float value;
    if (exponent == 0) {
        value = (float)fraction * 0x1p-24f; /* zero or subnormal */
        memcpy(&bits, &value, sizeof bits);
    } else {
        bits = (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
    }
    bits |= sign;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool read_row(oct_source *source, float *row)
{
    size_t width = value_bytes(source);
    size_t got = fread(source->raw, width, source->vector_size, source->vectors);
    if (got != source->vector_size) {
        (void)oct_command_fail("%s: row %" PRIu64 " can't be read: %s", source->path, source->row,
                               ferror(source->vectors) ? strerror(errno) : "the file got shorter");
        return false;
    }
    source->bytes_read += width * source->vector_size;
    for (uint32_t i = 0; i < source->vector_size; i++) {
        const unsigned char *at = source->raw + i * width;
        uint32_t bits = at[0] | (uint32_t)at[1] << 8;
        if (width == 2) {
            row[i] = half_value(bits);
        } else {
            bits |= (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
            memcpy(&row[i], &bits, sizeof bits);
        }
    }
    return true;
}

static bool add_id(const oct_source *source, oct_str payload, oct_text *body)
{
    oct_str id;
    const char *member = source->ids_from ? source->ids_from : "id";
    if (payload.bytes > 0 && oct_text_member(payload, member, &id)) {
        oct_text_add(body, id.at, id.bytes);
        return true;
    }
    if (!source->ids_from) {
        oct_text_print(body, "%" PRIu64, source->row);
        return true;
    }
    (void)oct_command_fail("row %" PRIu64 ": its payload has no member %s for the id (--ids-from)",
                           source->row, member);
    return false;
}

static int next_raw(oct_source *source, oct_text *body, float *row, size_t float_start)
{
    oct_str payload = { "", 0 };
    if (source->row == source->rows) return 0;
    if (source->lines) {
        int got = next_line(source, &payload);
        if (got < 0) return got;
        if (got == 0)
            return -oct_command_fail("%s: it ends after %" PRIu64 " lines, but %s has %" PRIu64
                                     " vectors",
                                     source->payload_path, source->row, source->path, source->rows);
    }
    if (!read_row(source, row)) return -1;
    oct_text_print(body, "{\"id\":");
    if (!add_id(source, payload, body)) return -1;
    oct_text_print(body, ",\"vector\":{\"$f32\":[%zu,%" PRIu32 "]}", float_start,
                   source->vector_size);
    if (payload.bytes > 0) {
        oct_text_print(body, ",\"payload\":");
        oct_text_add(body, payload.at, payload.bytes);
    }
    oct_text_add(body, "}", 1);
    source->row++;
    return 1;
}

int oct_source_next(oct_source *source, oct_text *body, float *row, size_t float_start)
{
    oct_str line;
    if (source->kind != OCT_SOURCE_JSONL) return next_raw(source, body, row, float_start);
    int got = next_line(source, &line);
    if (got == 1) {
        oct_text_add(body, line.at, line.bytes);
        source->row++;
    }
    return got;
}

bool oct_source_ended(oct_source *source)
{
    oct_str line;
    if (source->kind == OCT_SOURCE_JSONL || !source->lines) return true;
    int got = next_line(source, &line);
    if (got == 1)
        (void)oct_command_fail("%s: it has more lines than %s has vectors (%" PRIu64 ")",
                               source->payload_path, source->path, source->rows);
    return got == 0;
}

void oct_source_close(oct_source *source)
{
    if (source->vectors) (void)fclose(source->vectors); /* only read from */
    if (source->lines) (void)fclose(source->lines);
    free(source->line);
    free(source->raw);
    *source = (oct_source){ 0 };
}
