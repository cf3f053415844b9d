/* SPDX-License-Identifier: Apache-2.0
 *
 * commands.h - the command line: a table of commands, and what they have in common. */
#ifndef OCTANT_SERVER_COMMANDS_H
#define OCTANT_SERVER_COMMANDS_H

#include "octant/octant.h"

/* Exit codes of all commands. */
enum { OCT_EXIT_OK = 0, OCT_EXIT_FAILED = 1, OCT_EXIT_USAGE = 2 };

typedef struct oct_command {
    const char *name;
    const char *summary; /* one line */
    const char *help;    /* what --help prints: usage, options with units, errors */
    /* argv[0] is the command's name. `host` has no vfs yet. Returns the exit code. */
    int (*run)(int argc, char **argv, const oct_host *host);
} oct_command;

extern const oct_command oct_command_call;    /* commands_call.c */
extern const oct_command oct_command_import;  /* commands_import.c */
extern const oct_command oct_command_check;   /* commands_check.c */
extern const oct_command oct_command_inspect; /* commands_inspect.c */

/* Run the command argv[1] out of `commands` [count]; --help and --version are answered here. */
int oct_commands_main(int argc, char **argv, const oct_host *host,
                      const oct_command *const *commands, size_t count);

/* Print "octant NAME: message" and where to find help; returns OCT_EXIT_USAGE. */
int oct_command_usage(const oct_command *command, const char *format, ...) OCT_PRINTF(2, 3);

/* Print "octant: message"; returns OCT_EXIT_FAILED. */
int oct_command_fail(const char *format, ...) OCT_PRINTF(1, 2);

/* Read an option's whole number; false when `text` is none or lies outside [min, max]. */
bool oct_command_number(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* An open database and the directory it lives in. */
typedef struct oct_command_db {
    oct_vfs *vfs;
    oct_db *db;
} oct_command_db;

/* Open the database in `directory`, which is created unless `read_only`. Honours variables of the
 * environment that tests need: OCT_ISA (a kernel set's name), OCT_SEGMENT_POINTS (points of the
 * segment in memory before it is sealed) and OCT_CHECKPOINT_MS (oct_open_options.checkpoint_ms).
 * Prints what went wrong and returns false on failure. */
bool oct_command_open(const oct_host *host, const char *directory, bool read_only,
                      oct_command_db *out);
void oct_command_close(oct_command_db *opened);

#endif
