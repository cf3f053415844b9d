/* SPDX-License-Identifier: Apache-2.0
 *
 * commands.c - find the command and run it.
 *
 * Nothing here knows a single operation of the database: commands speak the REST API through
 * oct_call. A program gives the table of its commands: the native one has `serve` in it, the WASI
 * one can't. */
#include "commands.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands_host.h"

static void print_overview(FILE *file, const oct_command *const *commands, size_t count)
{
    (void)fprintf(file, "octant %s, a vector database with the API of Qdrant %s\n\n", oct_version(),
                  oct_qdrant_version());
    (void)fputs("usage: octant COMMAND ... (octant COMMAND --help for its options)\n\n", file);
    for (size_t i = 0; i < count; i++)
        (void)fprintf(file, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    (void)fputs("\nExit codes: 0 success, 1 the command failed, 2 it was called wrongly.\n", file);
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

int oct_commands_main(int argc, char **argv, const oct_host *host,
                      const oct_command *const *commands, size_t count)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--version") == 0) {
        (void)printf("octant %s\n", oct_version());
        return OCT_EXIT_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_overview(stdout, commands, count);
        return OCT_EXIT_OK;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, commands[i]->name) != 0) continue;
        if (!wants_help(argc - 1, argv + 1)) return commands[i]->run(argc - 1, argv + 1, host);
        (void)fputs(commands[i]->help, stdout);
        return OCT_EXIT_OK;
    }
    if (name[0]) (void)fprintf(stderr, "octant: there is no command %s\n\n", name);
    print_overview(stderr, commands, count);
    return OCT_EXIT_USAGE;
}

int oct_command_usage(const oct_command *command, const char *format, ...)
{
    va_list words;
    va_start(words, format);
    (void)fprintf(stderr, "octant %s: ", command->name);
    (void)vfprintf(stderr, format, words);
    (void)fprintf(stderr, " (see octant %s --help)\n", command->name);
    va_end(words);
    return OCT_EXIT_USAGE;
}

int oct_command_fail(const char *format, ...)
{
    va_list words;
    va_start(words, format);
    (void)fputs("octant: ", stderr);
    (void)vfprintf(stderr, format, words);
    (void)fputc('\n', stderr);
    va_end(words);
    return OCT_EXIT_FAILED;
}

bool oct_command_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end = NULL;
    if (text[0] < '0' || text[0] > '9') return false; /* no sign, no space: strtoull takes both */
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != 0 || number < min || number > max) return false;
    *out = number;
    return true;
}

/* A number from the environment into *out, which stays as it is without one. */
static bool read_setting(const char *name, uint32_t *out)
{
    const char *text = getenv(name);
    uint64_t number = 0;
    if (!text) return true;
    if (!oct_command_number(text, 1, UINT32_MAX, &number))
        return oct_command_fail("%s: %s is no such number", name, text), false;
    *out = (uint32_t)number;
    return true;
}

bool oct_command_open(const oct_host *host, const char *directory, bool read_only,
                      oct_command_db *out)
{
    oct_error error = { 0 };
    oct_host whole = *host;
    struct stat found;
    oct_open_options options = { .read_only = read_only, .isa = getenv("OCT_ISA") };
    *out = (oct_command_db){ 0 };
    if (!read_setting("OCT_SEGMENT_POINTS", &options.appendable_points_max) ||
        !read_setting("OCT_CHECKPOINT_MS", &options.checkpoint_ms))
        return false;
    if (read_only && (stat(directory, &found) != 0 || !S_ISDIR(found.st_mode))) {
        (void)oct_command_fail("%s: there is no such directory", directory);
        return false;
    }
    oct_status status = oct_vfs_posix_create(host->alloc, directory, &out->vfs, &error);
    if (status == OCT_OK) {
        whole.vfs = out->vfs;
        status = oct_open(&whole, &options, &out->db, &error);
    }
    if (status == OCT_OK) return true;
    (void)oct_command_fail("%s: the database can't be opened: %s", directory, error.message);
    oct_command_close(out);
    return false;
}

void oct_command_close(oct_command_db *opened)
{
    oct_close(opened->db);
    if (opened->vfs) oct_vfs_posix_destroy(opened->vfs);
    *opened = (oct_command_db){ 0 };
}
