/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c - the native program: the portable commands, and `serve`. */
#include <errno.h>
#include <string.h>

#include "commands.h"
#include "commands_host.h"
#include "pool.h"
#include "serve.h"

int main(int argc, char **argv)
{
    static const oct_command *const commands[] = { &oct_command_serve, &oct_command_call,
                                                   &oct_command_import, &oct_command_check,
                                                   &oct_command_inspect };
    oct_host host = oct_host_create();
    oct_pool *pool = oct_pool_create(oct_pool_processors());
    if (!pool) return oct_command_fail("worker threads can't be started: %s", strerror(errno));
    host.self = pool;
    host.parallel = oct_pool_run;
    host.parallel_width = oct_pool_processors();
    int code = oct_commands_main(argc, argv, &host, commands, sizeof commands / sizeof commands[0]);
    oct_pool_destroy(pool);
    return code;
}
