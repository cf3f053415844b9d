# SPDX-License-Identifier: Apache-2.0
# yyjson.cmake - yyjson as the module for browsers has it: a copy of its source, in which powers of
# ten are made by core/base/json_powers.h instead of read from a table (10 KB gzipped). A source
# that doesn't have the lines expected here stops the build. Sets yyjson_source.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${yyjson_source}")
file(READ "${yyjson_source}" text)

# oct_cut(TEXT, FROM, TO, NEW): from the first FROM to the end of the next TO, NEW instead.
function(oct_cut variable from to new)
  string(FIND "${${variable}}" "${from}" start)
  if(start EQUAL -1)
    message(FATAL_ERROR "${yyjson_source}: \"${from}\" is not there")
  endif()
  string(SUBSTRING "${${variable}}" 0 ${start} before)
  string(SUBSTRING "${${variable}}" ${start} -1 rest)
  string(FIND "${rest}" "${to}" end)
  if(end EQUAL -1)
    message(FATAL_ERROR "${yyjson_source}: no \"${to}\" behind \"${from}\"")
  endif()
  string(LENGTH "${to}" length)
  math(EXPR end "${end} + ${length}")
  string(SUBSTRING "${rest}" ${end} -1 after)
  set(${variable} "${before}${new}${after}" PARENT_SCOPE)
endfunction()

oct_cut(text "static const u64 pow10_sig_table[] = {" "};" "#include \"base/json_powers.h\"")
oct_cut(text "    i32 idx = exp10 - (POW10_SIG_TABLE_MIN_EXP);" "pow10_sig_table[idx * 2 + 1];"
  "    oct_power_of_ten(exp10, hi, lo);")
set(yyjson_source "${PROJECT_BINARY_DIR}/yyjson.c")
file(WRITE "${yyjson_source}.new" "${text}")
file(COPY_FILE "${yyjson_source}.new" "${yyjson_source}" ONLY_IF_DIFFERENT)

# Its reader and writer force the same long functions into many places. Left to the compiler they
# are 12 KB smaller gzipped, and parse a body of vectors in three quarters of the time.
set_source_files_properties("${yyjson_source}" PROPERTIES
  INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/core"
  COMPILE_OPTIONS -Os COMPILE_DEFINITIONS yyjson_inline=inline)
