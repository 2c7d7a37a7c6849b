// SPDX-License-Identifier: Apache-2.0
// MoveToPrepare: what a block computes from one parameter alone becomes the parameter. Legal where nothing
// else reads the parameter, and nothing else writes the intermediate buffer.
#include <algorithm>

#include "tilewright/schedule/region.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

/// The prepare function: the block's own nest, from the old parameter to the new one.
PrimFunc PrepareBy(const PrimFunc& func, const Stmt& nest, const Buffer& from, const Buffer& to) {
  BlockNode root;
  root.name = "root";
  root.body = nest;
  PrimFuncNode prepare;
  prepare.name = fmt::format("{}_prepare_{}", func.name(), from.name());
  prepare.buffers = {from, to};
  prepare.num_outputs = 1;
  prepare.body = MakeBlock(std::move(root));
  for (const Var& dim : func->dims) {
    const auto& shape = from.shape();
    if (std::any_of(shape.begin(), shape.end(), [&](const Expr& e) { return UsesVar(e, dim); }))
      prepare.dims.push_back(dim);
  }
  return PrimFunc(std::move(prepare));
}

}  // namespace

void Schedule::MoveToPrepare(const BlockRef& ref) {
  Rewriter rw(*this, "move_to_prepare");
  const Path path = rw.Find(ref);
  const BlockNode& block = path.block();
  if (block.reads.size() != 1 || block.writes.size() != 1 || !rw.IsParameter(block.reads[0].buffer) ||
      rw.IsParameter(block.writes[0].buffer)) {
    rw.Fail("TW1413", fmt::format("block '{}' does not make an intermediate of one parameter", block.name),
            {&block});
  }
  const Buffer from = block.reads[0].buffer, to = block.writes[0].buffer;
  const auto& params = func_->buffers;
  const size_t param = size_t(std::find(params.begin(), params.end(), from) - params.begin());
  if (param + size_t(func_->num_outputs) >= params.size())
    rw.Fail("TW1414", fmt::format("{} is an output", from.name()), {&block});
  for (const Prepare& p : prepare_) {
    if (p.buffer_index == int(param))
      rw.Fail("TW1414", fmt::format("{} has been prepared already", from.name()), {&block});
  }
  PreOrder(rw.body(), [&](const Stmt& s) {
    auto* other = s.As<BlockNode>();
    const bool around = std::find(path.nodes.begin(), path.nodes.end(), s) != path.nodes.end();
    if (other && !around && (ReadsBuffer(*other, from) || WritesBuffer(*other, to)))
      rw.Fail("TW1412", fmt::format("block '{}' shares a buffer with block '{}'", other->name, block.name),
              {other, &block});
    return true;
  });
  const size_t top = path.top();
  if (BlocksBelow(path.nodes[top]).size() != 1)
    rw.Fail("TW1406", fmt::format("block '{}' shares a loop with others", block.name), {&block});

  PrimFuncNode changed = *func_;
  changed.body = RemoveAlloc(path.ReplaceAt(top, nullptr), to);
  changed.buffers[param] = to;
  const PrimFunc prepare = PrepareBy(func_, path.nodes[top], from, to);
  rw.AddPrepare({int(param), prepare});
  rw.Commit(PrimFunc(std::move(changed)), {ref}, {});
}

}  // namespace tilewright
