# SPDX-License-Identifier: Apache-2.0
# tests.cmake - every tests/AREA/NAME_test.c is a program and a ctest entry "AREA/NAME_test", on
# every target system; ctest starts wasm programs through Node and WASI programs through wasmtime.
#
#   tests/AREA/*_test.c           one program each
#   tests/AREA/*_native_test.c    the same, but not for wasm and WASI (threads, processes, signals)
#   tests/AREA/*.c                anything else: helpers, in one library that all tests may use
#   tests/fuzz/*_fuzz.c           libFuzzer targets; corpus in tests/fuzz/corpus/NAME_fuzz/
#
# A test runs in an empty directory of its own below the build directory.
set(test_areas unit vfs sim oom recall)

set(test_sources)
set(helper_sources)
foreach(area IN LISTS test_areas)
  file(GLOB found CONFIGURE_DEPENDS tests/${area}/*.c)
  list(APPEND helper_sources ${found})
  list(FILTER found INCLUDE REGEX "_test\\.c$")
  list(APPEND test_sources ${found})
endforeach()
list(FILTER helper_sources EXCLUDE REGEX "_test\\.c$")
if(NOT OCT_SYSTEM STREQUAL "native")
  list(FILTER test_sources EXCLUDE REGEX "_native_test\\.c$")
endif()

# Tests may look inside the core; yyjson.h is for the tests of base/json only.
function(octant_test_target target)
  target_include_directories(${target} PRIVATE core tests tests/unit)
  target_link_libraries(${target} PRIVATE octant-flags octant-core yyjson)
endfunction()

if(helper_sources)
  add_library(octant-test-helpers STATIC ${helper_sources})
  octant_test_target(octant-test-helpers)
endif()

function(octant_test area source)
  get_filename_component(name "${source}" NAME_WE)
  set(target ${area}-${name})
  set(directory "${PROJECT_BINARY_DIR}/test-files/${target}")
  file(MAKE_DIRECTORY "${directory}")
  add_executable(${target} ${source})
  if(TARGET octant-test-helpers)
    target_link_libraries(${target} PRIVATE octant-test-helpers)
  endif()
  octant_test_target(${target})
  if(OCT_SYSTEM STREQUAL "wasm")
    # NODERAWFS: the POSIX files of a test are real ones. The suffix says CommonJS to Node, which
    # would otherwise read package.json and take it for an ES module.
    set_target_properties(${target} PROPERTIES SUFFIX .cjs)
    target_link_options(${target} PRIVATE -sNODERAWFS=1 -sEXIT_RUNTIME=1
      -sALLOW_MEMORY_GROWTH=1 -sMAXIMUM_MEMORY=4GB)
  elseif(OCT_SYSTEM STREQUAL "wasi")
    set_target_properties(${target} PROPERTIES SUFFIX .wasm)
  endif()
  add_test(NAME ${area}/${name} COMMAND ${target} WORKING_DIRECTORY "${directory}")
  set_tests_properties(${area}/${name} PROPERTIES TIMEOUT 900)
  if(area STREQUAL "oom") # the longest, so it starts first
    set_tests_properties(${area}/${name} PROPERTIES COST 1000)
  endif()
endfunction()

if(OCT_TESTS)
  foreach(source IN LISTS test_sources)
    get_filename_component(area "${source}" DIRECTORY)
    get_filename_component(area "${area}" NAME)
    octant_test(${area} ${source})
  endforeach()
  # The test prints which kernels it found: where others were built, more than scalar ones.
  if(NOT kernel_sets STREQUAL "scalar")
    set_tests_properties(unit/simd_kernels_test PROPERTIES
      FAIL_REGULAR_EXPRESSION "best here: scalar")
  endif()
endif()

if(OCT_FUZZ)
  file(GLOB fuzz_sources CONFIGURE_DEPENDS tests/fuzz/*_fuzz.c)
  foreach(source IN LISTS fuzz_sources)
    get_filename_component(name "${source}" NAME_WE)
    # New inputs go to the build directory; the checked-in corpus is only read.
    set(corpus "${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name}")
    set(directory "${PROJECT_BINARY_DIR}/test-files/${name}")
    file(MAKE_DIRECTORY "${directory}")
    add_executable(${name} ${source})
    octant_test_target(${name})
    if(TARGET octant-test-helpers)
      target_link_libraries(${name} PRIVATE octant-test-helpers)
    endif()
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set(inputs "${directory}")
    if(EXISTS "${corpus}")
      list(APPEND inputs "${corpus}")
    endif()
    add_test(NAME fuzz/${name} WORKING_DIRECTORY "${directory}"
      COMMAND ${name} -max_total_time=${OCT_FUZZ_SECONDS} -seed=24301 ${inputs})
  endforeach()
endif()
