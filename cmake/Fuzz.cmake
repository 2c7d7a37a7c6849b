# TW_FUZZ: programs of tests/fuzz, which try what reads files on inputs that libFuzzer makes up. The readers are
# compiled with the counters that guide it, in every program of the build: no object is there twice.
file(GLOB TW_READERS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tilewright/frontend/onnx/*.cc)
list(FILTER TW_READERS EXCLUDE REGEX "_test\\.cc$")
foreach(source graph/parser graph/infer ir/text_parser ir/tokens ir/type tir/parser tir/verify runtime/module_reader
    runtime/program_codec runtime/program_check runtime/shape_expr)
  list(APPEND TW_READERS ${CMAKE_SOURCE_DIR}/tilewright/${source}.cc)
endforeach()
set_property(SOURCE ${TW_READERS} APPEND PROPERTY COMPILE_OPTIONS
  -fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp)

# fuzz_<name> from <name>.cc, over `layer`.
function(tw_fuzz_program name layer)
  add_executable(fuzz_${name} ${name}.cc)
  tw_link_program(fuzz_${name} ${layer})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endfunction()
