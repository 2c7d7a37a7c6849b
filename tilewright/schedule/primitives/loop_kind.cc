// SPDX-License-Identifier: Apache-2.0
// Parallel, Vectorize, Unroll, Bind, Annotate: what is said of a loop or a block without moving anything.
#include "tilewright/schedule/flow.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

Stmt WithKind(const ForNode& loop, ForKind kind, const std::string& tag = {}) {
  return MakeFor(loop.var, loop.min, loop.extent, kind, loop.body, loop.annotations, tag);
}

/// Threads may share the iterations of a loop inside of theirs that is bound as theirs is, where all of them
/// do the same in memory that they share: each then does the iteration of its own number.
void CheckShared(const Rewriter& rw, const ForNode& outer, const ForNode& inner) {
  auto refuse = [&](const std::string& why, std::vector<const StmtNode*> guilty) {
    rw.Fail("TW1405",
            fmt::format("thread axis '{}' is bound by loop '{}' around already, whose threads cannot share "
                        "the iterations of loop '{}': {}",
                        inner.thread_tag, outer.var.name(), inner.var.name(), why),
            guilty);
  };
  const auto have = AsInt(outer.extent), want = AsInt(inner.extent);
  if (!have || !want || *want > *have)
    refuse(fmt::format("there are {} threads", ToString(outer.extent)), {&outer, &inner});
  for (const BlockSite& site : BlocksBelow(Stmt(&inner))) {
    const BlockNode& block = *site.block;
    bool differs = bool(block.predicate) && UsesVar(block.predicate, outer.var);
    for (const Expr& binding : block.bindings) differs |= UsesVar(binding, outer.var);
    for (const ForNode* loop : site.loops)
      differs |= UsesVar(loop->min, outer.var) || UsesVar(loop->extent, outer.var);
    if (differs) {
      refuse(fmt::format("block '{}' depends on '{}'", block.name, outer.var.name()),
             {&outer, &inner, &block});
    }
    for (const BufferRegion& written : block.writes) {
      if (rw.IsParameter(written.buffer) || written.buffer.scope() == "global")
        refuse(
            fmt::format("block '{}' writes {}, which is not theirs alone", block.name, written.buffer.name()),
            {&outer, &inner, &block});
    }
  }
}

}  // namespace

void Schedule::Parallel(const LoopRef& loop) {
  Rewriter rw(*this, "parallel");
  Path path = rw.Find(loop);
  rw.RequireSerial(path.loop());
  CheckIndependent(rw, path);
  rw.Commit(path.Replace(WithKind(path.loop(), ForKind::kParallel)), {loop}, {});
}

void Schedule::Vectorize(const LoopRef& loop) {
  Rewriter rw(*this, "vectorize");
  Path path = rw.Find(loop);
  rw.RequireSerial(path.loop());
  rw.RequireConstantExtent(path.loop());
  CheckIndependent(rw, path, true);
  rw.Commit(path.Replace(WithKind(path.loop(), ForKind::kVectorized)), {loop}, {});
}

void Schedule::Unroll(const LoopRef& loop) {
  Rewriter rw(*this, "unroll");
  Path path = rw.Find(loop);
  rw.RequireSerial(path.loop());
  rw.RequireConstantExtent(path.loop());
  rw.Commit(path.Replace(WithKind(path.loop(), ForKind::kUnrolled)), {loop}, {});
}

void Schedule::Bind(const LoopRef& loop, const std::string& thread_tag) {
  Rewriter rw(*this, "bind");
  Path path = rw.Find(loop);
  rw.RequireSerial(path.loop());
  if (thread_tag.empty()) rw.Fail("TW1422", "the thread axis has no name", {&path.loop()});
  const Stmt bound = WithKind(path.loop(), ForKind::kThreadBound, thread_tag);
  auto same = [&](const ForNode* other) {
    // A virtual thread is not a register of the hardware: several may nest.
    return other && other != &path.loop() && other->thread_tag == thread_tag && thread_tag != "vthread";
  };
  for (const Stmt& above : path.nodes) {
    if (auto* outer = above.As<ForNode>(); same(outer)) CheckShared(rw, *outer, *bound.As<ForNode>());
  }
  PreOrder(path.loop().body, [&](const Stmt& below) {
    if (auto* inner = below.As<ForNode>(); same(inner)) CheckShared(rw, *bound.As<ForNode>(), *inner);
    return true;
  });
  CheckIndependent(rw, path);
  rw.Commit(path.Replace(bound), {loop}, {thread_tag});
}

void Schedule::Annotate(const LoopRef& loop, const std::string& key, AttrValue value) {
  Rewriter rw(*this, "annotate");
  Path path = rw.Find(loop);
  const ForNode& old = path.loop();
  Annotations annotations = old.annotations;
  annotations[key] = value;
  Stmt annotated =
      MakeFor(old.var, old.min, old.extent, old.for_kind, old.body, std::move(annotations), old.thread_tag);
  rw.Commit(path.Replace(annotated), {loop}, {key, std::move(value)});
}

void Schedule::Annotate(const BlockRef& block, const std::string& key, AttrValue value) {
  Rewriter rw(*this, "annotate");
  Path path = rw.Find(block);
  BlockNode copy = path.block();
  copy.annotations[key] = value;
  rw.Commit(path.Replace(MakeBlock(std::move(copy))), {block}, {key, std::move(value)});
}

}  // namespace tilewright
