# SPDX-License-Identifier: Apache-2.0
# embed.cmake - the bytes of the file FROM as a JavaScript module TO that exports them in hex.
file(READ "${FROM}" bytes HEX)
file(WRITE "${TO}" "export default '${bytes}';\n")
