/* SPDX-License-Identifier: Apache-2.0
 *
 * commands_text.c - a growing text, and a scanner that finds where JSON values begin and end.
 *
 * The scanner trusts the core to reject what is not JSON: it only keeps strings and brackets
 * apart. It is not recursive, so depth costs nothing. */
#include "commands_text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_FIRST = 256, READ_BYTES = 1 << 16 };

static bool reserve(oct_text *text, size_t more)
{
    if (text->failed) return false;
    if (more <= text->capacity - text->bytes) return true;
    size_t capacity = text->capacity ? text->capacity : TEXT_BYTES_FIRST;
    while (capacity - text->bytes < more) {
        if (capacity > SIZE_MAX / 2) {
            text->failed = true;
            return false;
        }
        capacity *= 2;
    }
    char *grown = realloc(text->at, capacity);
    if (!grown) {
        text->failed = true;
        return false;
    }
    text->at = grown;
    text->capacity = capacity;
    return true;
}

void oct_text_add(oct_text *text, const char *at, size_t bytes)
{
    if (bytes == 0 || !reserve(text, bytes)) return;
    memcpy(text->at + text->bytes, at, bytes);
    text->bytes += bytes;
}

void oct_text_print(oct_text *text, const char *format, ...)
{
    va_list words, again;
    va_start(words, format);
    va_copy(again, words);
    int bytes = vsnprintf(NULL, 0, format, words);
    if (bytes >= 0 && reserve(text, (size_t)bytes + 1)) {
        (void)vsnprintf(text->at + text->bytes, (size_t)bytes + 1, format, again);
        text->bytes += (size_t)bytes;
    }
    va_end(again);
    va_end(words);
}

void oct_text_quote(oct_text *text, oct_str value)
{
    size_t plain = 0; /* start of what can be copied as it is */
    oct_text_add(text, "\"", 1);
    for (size_t i = 0; i < value.bytes; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        oct_text_add(text, value.at + plain, i - plain);
        plain = i + 1;
        if (c < 0x20)
            oct_text_print(text, "\\u%04x", c);
        else
            oct_text_print(text, "\\%c", c);
    }
    oct_text_add(text, value.at + plain, value.bytes - plain);
    oct_text_add(text, "\"", 1);
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("-._~", c) != NULL);
}

void oct_text_path(oct_text *text, const char *value)
{
    for (const char *c = value; *c; c++) {
        if (is_unreserved(*c))
            oct_text_add(text, c, 1);
        else
            oct_text_print(text, "%%%02X", (unsigned char)*c);
    }
}

void oct_text_free(oct_text *text)
{
    free(text->at);
    *text = (oct_text){ 0 };
}

bool oct_text_read(oct_text *text, const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (!file) return false;
    size_t got = 0;
    do {
        if (!reserve(text, READ_BYTES)) break;
        errno = 0;
        got = fread(text->at + text->bytes, 1, READ_BYTES, file);
        text->bytes += got;
    } while (got > 0);
    bool good = !text->failed && !ferror(file);
    int code = text->failed ? ENOMEM : errno;
    if (file != stdin) (void)fclose(file); /* only read from */
    errno = code;
    return good;
}

/* ---- JSON ------------------------------------------------------------------------------- */

static void skip_space(oct_str *rest)
{
    while (rest->bytes > 0 && rest->at[0] != 0 && strchr(" \t\r\n", rest->at[0])) {
        rest->at++;
        rest->bytes--;
    }
}

static bool take(oct_str *rest, char wanted)
{
    skip_space(rest);
    if (rest->bytes == 0 || rest->at[0] != wanted) return false;
    rest->at++;
    rest->bytes--;
    return true;
}

/* The bytes of the string that `text` begins with, quotes included; 0 when it does not end. */
static size_t string_bytes(oct_str text)
{
    for (size_t i = 1; i < text.bytes; i++) {
        if (text.at[i] == '\\')
            i++;
        else if (text.at[i] == '"')
            return i + 1;
    }
    return 0;
}

static size_t nested_bytes(oct_str text)
{
    size_t depth = 0;
    for (size_t i = 0; i < text.bytes;) {
        char c = text.at[i];
        size_t step = c == '"' ? string_bytes((oct_str){ text.at + i, text.bytes - i }) : 1;
        if (step == 0) return 0;
        i += step;
        if (c == '{' || c == '[') depth++;
        if ((c == '}' || c == ']') && --depth == 0) return i;
    }
    return 0;
}

static size_t word_bytes(oct_str text)
{
    size_t i = 0;
    while (i < text.bytes && text.at[i] != 0 && !strchr(",:{}[]\" \t\r\n", text.at[i]))
        i++;
    return i;
}

bool oct_text_cut(oct_str *rest, oct_str *value)
{
    skip_space(rest);
    if (rest->bytes == 0) return false;
    char first = rest->at[0];
    size_t bytes = first == '"'                   ? string_bytes(*rest)
                   : first == '{' || first == '[' ? nested_bytes(*rest)
                                                  : word_bytes(*rest);
    if (bytes == 0) return false;
    *value = (oct_str){ rest->at, bytes };
    rest->at += bytes;
    rest->bytes -= bytes;
    skip_space(rest);
    return true;
}

bool oct_text_member(oct_str object, const char *name, oct_str *value)
{
    bool found = false;
    size_t name_bytes = strlen(name);
    if (!take(&object, '{')) return false;
    if (take(&object, '}')) return false;
    do {
        oct_str key, member;
        if (!oct_text_cut(&object, &key) || key.at[0] != '"' || !take(&object, ':') ||
            !oct_text_cut(&object, &member))
            return false;
        if (key.bytes == name_bytes + 2 && memcmp(key.at + 1, name, name_bytes) == 0) {
            *value = member;
            found = true;
        }
    } while (take(&object, ','));
    return found && take(&object, '}');
}

bool oct_text_count(oct_str array, size_t *count)
{
    oct_str item;
    *count = 0;
    if (!take(&array, '[')) return false;
    if (take(&array, ']')) return true;
    do {
        if (!oct_text_cut(&array, &item)) return false;
        ++*count;
    } while (take(&array, ','));
    return take(&array, ']');
}

static bool hex4(oct_str text, size_t at, uint32_t *unit)
{
    if (text.bytes < at || text.bytes - at < 4) return false;
    *unit = 0;
    for (size_t i = at; i < at + 4; i++) {
        char c = text.at[i];
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A') + 10;
        else
            return false;
        *unit = *unit * 16 + digit;
    }
    return true;
}

static void add_utf8(oct_text *text, uint32_t code)
{
    unsigned char bytes[4];
    size_t count;
    if (code < 0x80) {
        bytes[0] = (unsigned char)code;
        count = 1;
    } else if (code < 0x800) {
        bytes[0] = (unsigned char)(0xC0 | code >> 6);
        count = 2;
    } else if (code < 0x10000) {
        bytes[0] = (unsigned char)(0xE0 | code >> 12);
        count = 3;
    } else {
        bytes[0] = (unsigned char)(0xF0 | code >> 18);
        count = 4;
    }
    for (size_t i = 1; i < count; i++)
        bytes[i] = (unsigned char)(0x80 | (code >> (6 * (count - 1 - i)) & 0x3F));
    oct_text_add(text, (const char *)bytes, count);
}

/* The \uXXXX (or the pair of them) whose 'u' is at *i; leaves *i on its last digit. */
static bool unescape_unicode(oct_str value, size_t *i, oct_text *text)
{
    uint32_t code, low;
    if (!hex4(value, *i + 1, &code)) return false;
    *i += 4;
    if (code >= 0xDC00 && code < 0xE000) return false;
    if (code >= 0xD800 && code < 0xDC00) {
        if (value.bytes - *i < 3 || value.at[*i + 1] != '\\' || value.at[*i + 2] != 'u' ||
            !hex4(value, *i + 3, &low) || low < 0xDC00 || low >= 0xE000)
            return false;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        *i += 6;
    }
    add_utf8(text, code);
    return true;
}

bool oct_text_unquote(oct_str value, oct_text *text)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (value.bytes < 2 || value.at[0] != '"' || value.at[value.bytes - 1] != '"') return false;
    value.bytes--; /* the closing quote */
    for (size_t i = 1; i < value.bytes; i++) {
        if (value.at[i] != '\\') {
            oct_text_add(text, value.at + i, 1);
            continue;
        }
        if (++i >= value.bytes) return false;
        const char *letter = value.at[i] ? strchr(letters, value.at[i]) : NULL;
        if (letter)
            oct_text_add(text, &meanings[letter - letters], 1);
        else if (value.at[i] != 'u' || !unescape_unicode(value, &i, text))
            return false;
    }
    return true;
}
