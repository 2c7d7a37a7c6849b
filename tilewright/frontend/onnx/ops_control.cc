// SPDX-License-Identifier: Apache-2.0
// Control flow that is decided when the model is imported.
#include "tilewright/frontend/onnx/importer.h"

namespace tilewright::onnx {
namespace {

/// The branch that a known condition takes stands in the node's place.
void If(NodeContext& ctx) {
  std::vector<int64_t> condition = ctx.RequireInts(0, "the condition of If");
  if (condition.size() != 1)
    ctx.Fail("TW2017", fmt::format("the condition has {} elements", condition.size()));
  const GraphProto &yes = ctx.Graph("then_branch"), &no = ctx.Graph("else_branch");
  std::vector<EntryRef> results = ctx.importer().Inline(condition[0] ? yes : no, ctx.scope(), {});
  if (results.size() < ctx.outputs().size()) {
    ctx.Fail("TW2017",
             fmt::format("the branch has {} results, expected {}", results.size(), ctx.outputs().size()));
  }
  for (size_t i = 0; i < ctx.outputs().size(); ++i) ctx.SetEntry(i, results[i]);
}

[[maybe_unused]] const bool kRegistered = RegisterRows({{"If", 1, 0, If}});

}  // namespace
}  // namespace tilewright::onnx
