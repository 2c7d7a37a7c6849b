// SPDX-License-Identifier: Apache-2.0
// A kernel: parameters and a body at one of the two stages of the kernel level.
#pragma once

#include <string>
#include <vector>

#include "tilewright/ir/module.h"
#include "tilewright/tir/stmt.h"

namespace tilewright {

enum class TirStage : uint8_t { kScheduled, kLowered };

/// A kernel function. Buffers come first in the call, in the order of `buffers`, then the values of
/// `dims` (symbolic dimensions that the shapes use). Outputs are buffers that the body writes.
///
/// Scheduled stage: the body is one root block named "root" without iteration variables, whose
/// `allocs` are the function's intermediate buffers.
/// Lowered stage: at most one outermost kParallel loop per statement of the body's top-level sequence;
/// the code generator turns the function's single top-level parallel loop into chunks.
struct PrimFuncNode : FunctionNode {
  std::vector<Buffer> buffers;
  std::vector<Var> dims;
  int num_outputs = 1;  ///< the last `num_outputs` buffers are written
  TirStage stage = TirStage::kScheduled;
  Stmt body;
  PrimFuncNode() : FunctionNode(FunctionKind::kPrim) {}
};

class PrimFunc : public Ref<PrimFuncNode> {
 public:
  PrimFunc() = default;
  explicit PrimFunc(const PrimFuncNode* node) : Ref(node) {}
  PrimFunc(PrimFuncNode node) : Ref(new PrimFuncNode(std::move(node))) {}
  const std::string& name() const { return get()->name; }
  /// The function with another body, all else alike.
  PrimFunc WithBody(Stmt body) const {
    PrimFuncNode copy = *get();
    copy.body = std::move(body);
    return PrimFunc(std::move(copy));
  }
};

std::string ToString(const PrimFunc& f);  ///< the text form (tir/printer.h)

}  // namespace tilewright
