// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/lower_blocks.h"

namespace tilewright {

namespace {

Stmt LowerBlock(const BlockNode& block) {
  TW_CHECK(block.allocs.empty(), "block {} still allocates", block.name);
  Stmt init = block.init;
  if (init) {
    Expr at_start = MakeBool(true);
    for (const IterVar& iv : block.iter_vars) {
      if (iv.kind == IterKind::kReduce) at_start = at_start && Eq(iv.var, iv.dom.min);
    }
    init = MakeIf(at_start, init);
  }
  VarMap bindings;
  for (size_t i = 0; i < block.iter_vars.size(); ++i) bindings[block.iter_vars[i].var] = block.bindings[i];
  Stmt body = Substitute(MakeSeq({init, block.body}), bindings);
  return block.predicate ? MakeIf(block.predicate, body) : body;
}

}  // namespace

PrimFunc LowerBlocks(const PrimFunc& f) {
  // Bindings of an inner block name the outer block's variables, so inner blocks go first.
  Stmt body = PostOrderRewrite(f->body, [](const Stmt& s) {
    auto* block = s.As<BlockNode>();
    return block ? LowerBlock(*block) : s;
  });
  PrimFuncNode node = *f;
  node.body = body ? body : MakeEvaluate(MakeConst(kI32, 0));
  node.stage = TirStage::kLowered;
  return PrimFunc(std::move(node));
}

}  // namespace tilewright
