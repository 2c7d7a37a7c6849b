// SPDX-License-Identifier: Apache-2.0
// Parallel, Vectorize, Unroll, Bind, Annotate: what is said of a loop or a block without moving anything.
#include "tilewright/schedule/flow.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

Stmt WithKind(const ForNode& loop, ForKind kind, const std::string& tag = {}) {
  return MakeFor(loop.var, loop.min, loop.extent, kind, loop.body, loop.annotations, tag);
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
  for (const Stmt& above : path.nodes) {
    auto* outer = above.As<ForNode>();
    // A virtual thread is not a register of the hardware: several may nest.
    if (outer && outer != &path.loop() && outer->thread_tag == thread_tag && thread_tag != "vthread") {
      rw.Fail("TW1405", fmt::format("thread axis '{}' is bound by a loop around already", thread_tag),
              {outer, &path.loop()});
    }
  }
  CheckIndependent(rw, path);
  rw.Commit(path.Replace(WithKind(path.loop(), ForKind::kThreadBound, thread_tag)), {loop}, {thread_tag});
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
