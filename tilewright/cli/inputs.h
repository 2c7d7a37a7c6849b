// SPDX-License-Identifier: Apache-2.0
// Inputs of a model: given, or made up.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tilewright/ir/ndarray.h"
#include "tilewright/runtime/context.h"

namespace tilewright {

/// Shapes for the inputs of a program. A symbolic dimension takes the value that `dims` names, else the one
/// that an array given for an input tells, else the least that it may have, but 1 at least.
class InputShapes {
 public:
  /// Error TW4007 for a name in `dims` that is no symbol of the program.
  InputShapes(const runtime::Program& program, const std::map<std::string, int64_t>& dims,
              const std::map<std::string, NDArray>& given = {});
  std::vector<int64_t> Shape(size_t input) const;
  /// "batch = 1, width = 1": the symbols that nothing gave a value; empty: none.
  const std::string& assumed() const { return assumed_; }

 private:
  const runtime::Program& program_;
  std::vector<int64_t> symbols_;
  std::string assumed_;
};

/// A tensor from a generator seeded with `seed`: floats uniform in [0, 1), integers in [0, 10), bools by
/// coin. The same on every machine.
NDArray GenerateArray(DataType dtype, const std::vector<int64_t>& shape, uint64_t seed);
/// Fills all inputs of a context so, input i with `seed` + i.
void GenerateInputs(runtime::Context& context, uint64_t seed, const std::map<std::string, int64_t>& dims);
/// Sets an input of a context, with its shape where that is symbolic. Error TW4004 unless the array has the
/// type and the constant dimensions that the input asks for.
void SetInput(runtime::Context& context, size_t index, const NDArray& array);
/// The output of the last run as an array of its own.
NDArray OutputArray(const runtime::Context& context, size_t index);
/// The FLOPs of the direct algorithms that the compiler wrote into the module; 0 when it did not.
double ModuleFlops(const runtime::Module& module);

}  // namespace tilewright
