/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.h - the command `serve` (native only). */
#ifndef OCTANT_SERVER_SERVE_H
#define OCTANT_SERVER_SERVE_H

#include "commands.h"

extern const oct_command oct_command_serve;

#endif
