# SPDX-License-Identifier: Apache-2.0
# neon.cmake - toolchain: Debian's cross compiler makes aarch64 programs, whose tests run under
# qemu's emulation of the processor. Only tests are built with it (CMakePresets.json names them):
# the server would need libmicrohttpd for aarch64 too.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)

# ctest starts programs with this; the C library of the cross compiler stands below that prefix.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)
