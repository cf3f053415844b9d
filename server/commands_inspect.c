/* SPDX-License-Identifier: Apache-2.0
 *
 * commands_inspect.c - `inspect FILE`: describe one file of a database.
 *
 * The core describes it as JSON. For people that is printed one member a line, objects indented;
 * an array gets a line per item, so that a table of sections stays a table. Escapes in texts stay
 * as they are in JSON: a damaged file must not send control characters to a terminal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"
#include "commands_text.h"

/* ---- JSON for people --------------------------------------------------------------------- */

/* Texts lose their quotes, unless they are empty. */
static void print_scalar(oct_str value)
{
    if (value.bytes > 2 && value.at[0] == '"') value = (oct_str){ value.at + 1, value.bytes - 2 };
    (void)fwrite(value.at, 1, value.bytes, stdout);
}

/* The next member of an object or item of an array whose bracket is cut off; false at its end. */
static bool next_item(oct_str *rest, bool object, oct_str *key, oct_str *value)
{
    if (rest->bytes > 0 && (rest->at[0] == ',' || rest->at[0] == ' '))
        *rest = (oct_str){ rest->at + 1, rest->bytes - 1 };
    if (rest->bytes == 0 || rest->at[0] == '}' || rest->at[0] == ']') return false;
    if (object) {
        if (!oct_text_cut(rest, key) || rest->bytes == 0) return false;
        *rest = (oct_str){ rest->at + 1, rest->bytes - 1 }; /* the colon */
    }
    return oct_text_cut(rest, value);
}

static oct_str inside(oct_str value)
{
    return (oct_str){ value.at + 1, value.bytes - 1 };
}

static bool is_compound(oct_str value)
{
    return value.bytes > 2 && (value.at[0] == '{' || value.at[0] == '[');
}

static void print_key(oct_str key)
{
    print_scalar(key);
    (void)putchar(':');
}

/* A value on one line; inner objects in braces. */
static void print_inline(oct_str value, bool braces)
{
    oct_str rest = inside(value), key = { NULL, 0 }, item;
    bool object = value.at[0] == '{';
    if (!is_compound(value)) {
        print_scalar(value);
        return;
    }
    if (braces) (void)putchar(value.at[0]);
    for (bool first = true; next_item(&rest, object, &key, &item); first = false) {
        if (!first) (void)fputs(", ", stdout);
        if (object) {
            print_key(key);
            (void)putchar(' ');
        }
        print_inline(item, true);
    }
    if (braces) (void)putchar(object ? '}' : ']');
}

static void print_array(oct_str value, int indent)
{
    oct_str rest = inside(value), item;
    while (next_item(&rest, false, NULL, &item)) {
        (void)printf("%*s- ", indent, "");
        print_inline(item, false);
        (void)putchar('\n');
    }
}

/* Members of objects in objects (a config) are indented; the depth is that of our own report. */
static void print_object(oct_str value, int indent)
{
    oct_str rest = inside(value), key, item;
    while (next_item(&rest, true, &key, &item)) {
        (void)printf("%*s", indent, "");
        print_key(key);
        if (!is_compound(item)) {
            bool none = item.at[0] == '{' || item.at[0] == '[';
            (void)putchar(' ');
            print_scalar(none ? OCT_STR("none") : item);
            (void)putchar('\n');
            continue;
        }
        (void)putchar('\n');
        if (item.at[0] == '[')
            print_array(item, indent + 2);
        else
            print_object(item, indent + 2);
    }
}

static void print_for_people(void *arg, oct_str json)
{
    (void)arg;
    print_object(json, 0);
}

static void print_json(void *arg, oct_str json)
{
    (void)arg;
    (void)fwrite(json.at, 1, json.bytes, stdout);
    (void)putchar('\n');
}

/* ---- the command ------------------------------------------------------------------------- */

/* The directory in front of the name becomes the root of the storage. */
static oct_status inspect(const oct_host *host, char *path, bool json, oct_error *error)
{
    char *slash = strrchr(path, '/');
    const char *root = !slash ? "." : slash == path ? "/" : path;
    const char *name = slash ? slash + 1 : path;
    oct_host whole = *host;
    oct_vfs *vfs = NULL;
    if (slash) *slash = 0;
    oct_status status = oct_vfs_posix_create(host->alloc, root, &vfs, error);
    whole.vfs = vfs;
    if (status == OCT_OK)
        status = oct_inspect(&whole, name, json ? print_json : print_for_people, NULL, error);
    if (vfs) oct_vfs_posix_destroy(vfs);
    return status;
}

static int run(int argc, char **argv, const oct_host *host)
{
    oct_error error = { 0 };
    struct stat found;
    bool json = false;
    const char *file = NULL;
    for (int i = 1; i < argc; i++) {
        bool option = argv[i][0] == '-';
        if (option && strcmp(argv[i], "--json") != 0)
            return oct_command_usage(&oct_command_inspect, "there is no option %s", argv[i]);
        if (!option && file)
            return oct_command_usage(&oct_command_inspect, "expected one file, not also %s",
                                     argv[i]);
        json = json || option;
        if (!option) file = argv[i];
    }
    if (!file) return oct_command_usage(&oct_command_inspect, "expected a file");
    if (stat(file, &found) != 0) return oct_command_fail("%s: %s", file, strerror(errno));
    if (!S_ISREG(found.st_mode))
        return oct_command_fail("%s: not a file (octant check takes directories)", file);
    char *path = strdup(file);
    if (!path) return oct_command_fail("out of memory");
    oct_status status = inspect(host, path, json, &error);
    free(path);
    if (status != OCT_OK) return oct_command_fail("%s: %s", file, error.message);
    return OCT_EXIT_OK;
}

const oct_command oct_command_inspect = {
    .name = "inspect",
    .summary = "describe one file of a database",
    .help = "usage: octant inspect [--json] FILE\n"
            "\n"
            "Describes one file of a database directory, also a damaged one, and changes nothing:\n"
            "\n"
            "  registry.0, registry.1  epoch and collections with their directories\n"
            "  manifest.0, manifest.1  config, log start, logs, payload indexes, segments and how\n"
            "                          many of their points are dead; of both slots: which one is\n"
            "                          current and whether their copies are whole\n"
            "  log-*                   records by kind, first and last sequence, where the valid\n"
            "                          part ends: clean, torn (a write that a crash cut short\n"
            "                          before it was acknowledged) or damaged, and at which byte\n"
            "  s-*                     a segment: sections with checksums, points, vectors,\n"
            "                          graphs with m and levels, payload indexes\n"
            "\n"
            "Of all: format version, size, a verdict (ok, damaged, newer version) and findings.\n"
            "Of a database that is in use a write under way may look like damage.\n"
            "\n"
            "  --json  one JSON object on one line\n"
            "\n"
            "Exit code 0 when nothing is wrong, 1 when anything is or FILE can't be read, 2 for\n"
            "wrong arguments.\n",
    .run = run,
};
