/* SPDX-License-Identifier: Apache-2.0
 *
 * native.h - liboctant.so beyond octant.h: a database in a directory, with this system's memory,
 * clocks, randomness and threads, so that a language that can only call C functions (Python's
 * ctypes, LuaJIT, ...) need not write an oct_host. Programs in C may as well use octant.h alone.
 *
 *     lib = ctypes.CDLL("liboctant.so")
 *     lib.oct_native_open(b"./octant-data", None, 1, ctypes.byref(native), ctypes.byref(error))
 *     db = lib.oct_native_db(native)      # for oct_call, oct_search, oct_maintain, oct_check */
#ifndef OCTANT_NATIVE_H
#define OCTANT_NATIVE_H

#include "octant/octant.h"

typedef struct oct_native oct_native;

/* Open (create when empty) the database in `directory`, as oct_open does. options NULL: all
 * defaults. threads: how many the library may use for one piece of background work, the caller's
 * included; 1 = no other, 0 = as many as there are processors. */
OCT_API OCT_MUST_CHECK oct_status oct_native_open(const char *directory,
                                                  const oct_open_options *options, uint32_t threads,
                                                  oct_native **out, oct_error *error);

/* The database; it lives until oct_native_close. */
OCT_API oct_db *oct_native_db(const oct_native *native);

/* Close it and end the threads. NULL is allowed. No call may be under way. */
OCT_API void oct_native_close(oct_native *native);

#endif
