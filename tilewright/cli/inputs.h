// SPDX-License-Identifier: Apache-2.0
// Inputs of a model: given, or made up.
#pragma once

#include <cstdint>

#include "tilewright/ir/ndarray.h"
#include "tilewright/runtime/context.h"

namespace tilewright {

/// A tensor of the input's type from a generator seeded with `seed`: floats uniform in [0, 1), integers in
/// [0, 10), bools by coin. The same on every machine.
NDArray GenerateInput(const runtime::TensorSpec& spec, uint64_t seed);
/// Fills all inputs of a context so, input i with `seed` + i.
void GenerateInputs(runtime::Context& context, uint64_t seed);
/// Error TW4004 unless the array has the type and shape that the input asks for.
void CheckInput(const runtime::TensorSpec& spec, const NDArray& array);
/// The output of the last run as an array of its own.
NDArray OutputArray(const runtime::Context& context, size_t index);
/// The FLOPs of the direct algorithms that the compiler wrote into the module; 0 when it did not.
double ModuleFlops(const runtime::Module& module);

}  // namespace tilewright
