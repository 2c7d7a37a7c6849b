// SPDX-License-Identifier: Apache-2.0
// Running compiled models in this process.
#pragma once

#include <memory>

#include "tilewright/driver/compile.h"
#include "tilewright/runtime/module.h"
#include "tilewright/transform/fold_constants.h"

namespace tilewright {

/// The compiled model as a runtime module of this process: code is loaded from memory, no file is written.
/// Error TW3203 for code that this machine cannot run.
std::shared_ptr<const runtime::Module> LoadInProcess(const CompiledModel& model);

/// Runs a module once on these inputs, in order; the outputs, in order. Error TW3201 for inputs that do not
/// fit.
std::vector<NDArray> RunModule(std::shared_ptr<const runtime::Module> module,
                               const std::vector<NDArray>& inputs, int threads = 0);

/// An evaluator for constant folding that compiles for the machine at hand.
ConstantEvaluator ConstantEvaluatorFor(const CompileOptions& options);

}  // namespace tilewright
