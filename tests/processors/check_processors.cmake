# Holds the sources below ROOT/tilewright to this: a processor, an instruction set or one of its extensions is
# named in target/ and codegen/ alone, and in runtime/, which asks the processor what it has. All others see the
# facts of target/target.h. Comments may name what they like, and tests what they test.
#   cmake -DROOT=<source tree> -P check_processors.cmake

cmake_minimum_required(VERSION 3.25)

set(names "x86(_64|-64)?(-v[0-9])?|amd64|i[3-6]86|sse[0-9._]*|avx[0-9a-z_]*|amx[a-z0-9_]*|[xyz]mm[0-9]*|vnni|fma3|bmi[12]?"
  "aarch64|arm|arm64|armv[0-9a-z.]+|neon|sve2?|sme|i8mm|dotprod|cortex[a-z0-9_-]*|neoverse[a-z0-9_-]*"
  "riscv(32|64)?|rv(32|64)[a-z]*|rvv|zvl[0-9]+b|intel|amd|zen[1-6]?|haswell|skylake[a-z0-9_-]*|nehalem|cpuid|hwcap2?|getauxval"
  "__builtin_cpu_[a-z]+")
list(JOIN names "|" names)

set(problems "")
file(GLOB_RECURSE files RELATIVE "${ROOT}/tilewright"
  "${ROOT}/tilewright/*.h" "${ROOT}/tilewright/*.cc" "${ROOT}/tilewright/*.c" "${ROOT}/tilewright/*.inc")
list(FILTER files EXCLUDE REGEX "^(target|codegen|runtime)/|_test\\.cc$|(^|/)test_[^/]*\\.h$")
foreach(file IN LISTS files)
  file(READ "${ROOT}/tilewright/${file}" text)
  string(REGEX REPLACE "//[^\n]*" "" text "${text}")
  string(TOLOWER "${text}" text)
  # A name stands between characters that no name has.
  string(REGEX MATCHALL "[^a-z0-9_](${names})[^a-z0-9_]" found "${text}")
  list(REMOVE_DUPLICATES found)
  foreach(name IN LISTS found)
    string(REGEX REPLACE "^.(.*).$" "\\1" name "${name}")
    list(APPEND problems "tilewright/${file}: names '${name}'")
  endforeach()
endforeach()

list(LENGTH files count)
if(count EQUAL 0)
  message(FATAL_ERROR "no sources below ${ROOT}/tilewright")
endif()
if(problems)
  list(JOIN problems "\n  " text)
  message(FATAL_ERROR "Processors that only target/, codegen/ and runtime/ may know:\n  ${text}\n")
endif()
message(STATUS "${count} files name no processor")
