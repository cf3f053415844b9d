/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c - the WASI program: the portable commands of server/, without threads or sockets. */
#include "commands.h"
#include "commands_host.h"

int main(int argc, char **argv)
{
    static const oct_command *const commands[] = { &oct_command_call, &oct_command_import,
                                                   &oct_command_check, &oct_command_inspect };
    oct_host host = oct_host_create();
    return oct_commands_main(argc, argv, &host, commands, sizeof commands / sizeof commands[0]);
}
