/* SPDX-License-Identifier: Apache-2.0
 *
 * commands_check.c - `check DIR`: verify every file of a database without changing one. */
#include <stdio.h>

#include "commands.h"

static void print_line(void *arg, const char *line)
{
    (void)arg;
    (void)puts(line);
}

static int run(int argc, char **argv, const oct_host *host)
{
    oct_command_db opened;
    oct_error error = { 0 };
    if (argc != 2 || argv[1][0] == '-')
        return oct_command_usage(&oct_command_check, "expected one directory");
    if (!oct_command_open(host, argv[1], true, &opened)) return OCT_EXIT_FAILED;
    oct_status status = oct_check(opened.db, print_line, NULL, &error);
    oct_command_close(&opened);
    if (status != OCT_OK) return oct_command_fail("%s: %s", argv[1], error.message);
    (void)printf("%s: no damage found\n", argv[1]);
    return OCT_EXIT_OK;
}

const oct_command oct_command_check = {
    .name = "check",
    .summary = "verify every file of a database",
    .help =
        "usage: octant check DIR\n"
        "\n"
        "Reads all files of the database in DIR and verifies checksums, structure and ids, and\n"
        "that graphs, codes and indexes are those of the points. One line per collection and\n"
        "per finding. Changes nothing.\n"
        "\n"
        "Exit code 1 when anything is damaged or DIR can't be opened.\n",
    .run = run,
};
