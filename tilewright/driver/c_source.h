// SPDX-License-Identifier: Apache-2.0
// A model as C sources that need nothing of Tilewright to run: all memory is static, the program is one
// function.
#pragma once

#include <string>

#include "tilewright/driver/compile.h"

namespace tilewright {

struct CProgramText {
  std::string header;      ///< the types of inputs and outputs, and the function
  std::string source;      ///< kernels, memory and the function
  std::string parameters;  ///< a source with the parameters alone; empty where there are none
};

/// The program of `model` as sources in which names begin with `name`, an identifier; the header is included
/// as `header`. Error TW3402 for shapes that are not constant, TW3403 for instructions that a program without
/// a runtime cannot have.
CProgramText CProgram(const CompiledModel& model, const std::string& name, const std::string& header);

/// Writes FILE.c, FILE.h and FILE_parameters.c, where `path` is FILE.c (Error TW3401 if it is not). Returns
/// their names, for people.
std::string WriteCSource(const CompiledModel& model, const std::string& path);

}  // namespace tilewright
