// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/unroll_loops.h"

#include "tilewright/tir/lower/fresh_copy.h"

namespace tilewright {

namespace {

Stmt Unroll(const Stmt& s) {
  auto* loop = s.As<ForNode>();
  if (!loop || loop->for_kind != ForKind::kUnrolled) return s;
  auto extent = AsInt(loop->extent);
  if (!extent) {
    return MakeFor(loop->var, loop->min, loop->extent, ForKind::kSerial, loop->body, loop->annotations);
  }
  std::vector<Stmt> copies;
  for (int64_t i = 0; i < *extent; ++i)
    copies.push_back(FreshCopy(loop->body, {{loop->var, loop->min + Expr(i)}}));
  return MakeSeq(std::move(copies));
}

}  // namespace

PrimFunc UnrollLoops(const PrimFunc& f) {
  Stmt body = PostOrderRewrite(f->body, Unroll);
  return f.WithBody(body ? body : MakeEvaluate(MakeConst(kI32, 0)));
}

}  // namespace tilewright
