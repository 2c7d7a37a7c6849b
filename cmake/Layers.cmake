# How a layer (a folder below tilewright/) becomes a library and a unit-test program.
# Sources are globbed, so that a new operator, pass or primitive touches no build file:
#   *_test.cc   the layer's unit tests (test support headers are plain headers)
#   main.cc     a program's entry, left out of the library
#   *.cc        the library

find_package(Threads REQUIRED)
if(NOT TW_RUNTIME_ONLY)
  find_package(fmt REQUIRED)
  find_package(JPEG REQUIRED)
  find_package(PNG REQUIRED)
  find_package(nlohmann_json REQUIRED)
endif()
if(TW_BUILD_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

add_library(tw_options INTERFACE)
target_include_directories(tw_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
# Warnings are errors with the project's own compiler; others, on devices, warn about other things.
target_compile_options(tw_options INTERFACE
  -Wall -Wextra $<$<CXX_COMPILER_ID:Clang>:-Werror> -Wno-unused-parameter -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:Clang>:-Wno-missing-designated-field-initializers>
  -fno-omit-frame-pointer)
target_compile_definitions(tw_options INTERFACE FMT_HEADER_ONLY=0 TW_VERSION="${PROJECT_VERSION}")
if(TW_SANITIZE STREQUAL "address")
  target_compile_options(tw_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined)
  # Kernels made at run time carry no signature of their type before their entry, and may begin a page.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_compile_options(tw_options INTERFACE -fno-sanitize=function)
  endif()
  target_link_options(tw_options INTERFACE -fsanitize=address,undefined)
elseif(TW_SANITIZE STREQUAL "thread")
  target_compile_options(tw_options INTERFACE -fsanitize=thread)
  target_link_options(tw_options INTERFACE -fsanitize=thread)
elseif(NOT TW_SANITIZE STREQUAL "")
  message(FATAL_ERROR "TW_SANITIZE is '${TW_SANITIZE}'; expected empty, address or thread")
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  set(CMAKE_PCH_INSTANTIATE_TEMPLATES ON)
  find_program(TW_LLD NAMES ld.lld-19 ld.lld)
  if(TW_LLD)
    add_link_options(--ld-path=${TW_LLD})
  endif()
endif()
set(TW_STD_HEADERS <algorithm> <array> <atomic> <cstdint> <functional> <map> <memory> <optional>
    <set> <span> <sstream> <string> <string_view> <unordered_map> <unordered_set> <utility>
    <variant> <vector>)

# The unit tests of one layer: build/bin/<name>_test, linked with everything the layer needs.
function(tw_layer_tests name)
  if(NOT TW_BUILD_TESTS OR NOT ARGN)
    return()
  endif()
  add_executable(${name}_test ${ARGN})
  tw_link_program(${name}_test ${name})
  target_link_libraries(${name}_test PRIVATE GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name}_test DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT 300 LABELS unit)
endfunction()

function(tw_layer folder)
  cmake_parse_arguments(ARG "" "" "DEPS;LIBS;TEST_DEPS" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  set(dir ${CMAKE_SOURCE_DIR}/tilewright/${folder})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${dir}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$|/main\\.cc$")
  # For a device support is its headers alone: its sources need fmt, and the runtime none of them.
  if(TW_RUNTIME_ONLY AND folder STREQUAL "support")
    set(sources)
  endif()
  if(NOT sources)
    set(sources ${CMAKE_SOURCE_DIR}/cmake/empty.cc)
  endif()
  add_library(tw_${name} STATIC ${sources})
  # A device gets the shared library, which has objects of its own.
  if(TW_RUNTIME_ONLY)
    set_target_properties(tw_${name} PROPERTIES EXCLUDE_FROM_ALL TRUE)
  endif()
  list(TRANSFORM ARG_DEPS PREPEND tw_)
  target_link_libraries(tw_${name} PUBLIC tw_options ${ARG_DEPS} ${ARG_LIBS})
  # The runtime and what it builds on stay free of fmt and JSON, so that they build on a device.
  if(NOT folder STREQUAL "runtime" AND NOT TW_RUNTIME_ONLY)
    target_link_libraries(tw_${name} PUBLIC fmt::fmt)
  endif()
  if(folder MATCHES "^(op|schedule|frontend/.*)$")
    # These register operators, rules and importers from static objects that nobody names.
    set_property(GLOBAL APPEND PROPERTY TW_WHOLE_ARCHIVES tw_${name})
  endif()
  if(folder STREQUAL "runtime" OR folder STREQUAL "support")
    target_precompile_headers(tw_${name} PRIVATE ${TW_STD_HEADERS})
  elseif(NOT TARGET tw_pch_owner)
    add_library(tw_pch_owner ALIAS tw_${name})
    set_property(GLOBAL PROPERTY TW_PCH tw_${name})
    target_precompile_headers(tw_${name} PRIVATE ${TW_STD_HEADERS} <fmt/format.h>)
  elseif(NOT ARG_LIBS)
    get_property(owner GLOBAL PROPERTY TW_PCH)
    target_precompile_headers(tw_${name} REUSE_FROM ${owner})
  endif()
  tw_layer_tests(${name} ${tests})
  if(TARGET ${name}_test)
    # What the tests run on, though the layer itself does not see it.
    list(TRANSFORM ARG_TEST_DEPS PREPEND tw_)
    target_link_libraries(${name}_test PRIVATE ${ARG_TEST_DEPS})
  endif()
endfunction()

function(tw_llvm_layer folder)
  find_package(LLVM 19.1 REQUIRED CONFIG HINTS /usr/lib/llvm-19/lib/cmake/llvm)
  find_package(LLD 19.1 REQUIRED CONFIG HINTS /usr/lib/llvm-19/lib/cmake/lld)
  # LLD's archives with the one shared libLLVM: static components would bring in a second LLVM.
  add_library(tw_llvm INTERFACE)
  target_include_directories(tw_llvm SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
  target_link_directories(tw_llvm INTERFACE ${LLVM_LIBRARY_DIRS})
  target_link_libraries(tw_llvm INTERFACE lldELF lldWasm lldCommon LLVM)
  tw_layer(${folder} ${ARGN} LIBS tw_llvm)
  string(REPLACE "/" "_" name ${folder})
  target_precompile_headers(tw_${name} PRIVATE
    "$<$<COMPILE_LANGUAGE:CXX>:${CMAKE_SOURCE_DIR}/tilewright/${folder}/llvm_headers.h>")
endfunction()

function(tw_protobuf_layer folder)
  find_package(Protobuf REQUIRED)
  string(REPLACE "/" "_" name ${folder})
  tw_layer(${folder} ${ARGN} LIBS protobuf::libprotobuf-lite)
  file(GLOB protos CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tilewright/${folder}/*.proto)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/generated)
  foreach(proto ${protos})
    file(RELATIVE_PATH rel ${CMAKE_SOURCE_DIR} ${proto})
    string(REGEX REPLACE "\\.proto$" "" stem ${rel})
    set(out ${CMAKE_BINARY_DIR}/generated/${stem}.pb)
    add_custom_command(OUTPUT ${out}.cc ${out}.h
      COMMAND protobuf::protoc --cpp_out=lite:${CMAKE_BINARY_DIR}/generated -I ${CMAKE_SOURCE_DIR} ${proto}
      DEPENDS ${proto} VERBATIM)
    target_sources(tw_${name} PRIVATE ${out}.cc ${out}.h)
    set_source_files_properties(${out}.cc PROPERTIES COMPILE_OPTIONS -w SKIP_PRECOMPILE_HEADERS ON)
  endforeach()
  target_include_directories(tw_${name} SYSTEM PRIVATE ${Protobuf_INCLUDE_DIRS})
endfunction()

# The library that a deployed program links: the runtime, with the C ABI as its only exports.
function(tw_shared_runtime)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tilewright/runtime/*.cc)
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$|/main\\.cc$")
  if(sources)
    add_library(tilewright_runtime SHARED ${sources})
    target_link_libraries(tilewright_runtime PRIVATE tw_options Threads::Threads ${CMAKE_DL_LIBS})
    target_compile_options(tilewright_runtime PRIVATE -ffunction-sections -fdata-sections)
    # Workers outlive every use of the library, so it stays loaded until the process ends (nodelete).
    set(exports ${CMAKE_SOURCE_DIR}/tilewright/runtime/exports.map)
    target_link_options(tilewright_runtime PRIVATE -Wl,--gc-sections -Wl,-z,nodelete -Wl,--version-script=${exports})
    # The library holds all that it needs; only a sanitizer's functions come from the program.
    if(NOT TW_SANITIZE)
      target_link_options(tilewright_runtime PRIVATE -Wl,-z,defs)
    endif()
    set_target_properties(tilewright_runtime PROPERTIES LINK_DEPENDS ${exports}
      VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  endif()
endfunction()

# Links a program with a layer and keeps every registering object of the layers below it.
function(tw_link_program target layer)
  target_link_libraries(${target} PRIVATE tw_${layer})
  get_property(whole GLOBAL PROPERTY TW_WHOLE_ARCHIVES)
  foreach(archive ${whole})
    set_property(TARGET ${target} PROPERTY LINK_LIBRARY_OVERRIDE_${archive} WHOLE_ARCHIVE)
  endforeach()
endfunction()

function(tw_command name source)
  if(EXISTS ${CMAKE_SOURCE_DIR}/${source})
    add_executable(${name} ${source})
    tw_link_program(${name} cli)
  endif()
endfunction()
