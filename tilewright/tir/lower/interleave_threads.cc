// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/interleave_threads.h"

#include "tilewright/support/error.h"
#include "tilewright/tir/lower/fresh_copy.h"
#include "tilewright/tir/lower/threads.h"

namespace tilewright {

namespace {

/// The iterations of one loop, by what differs in each: its number, and its own buffers.
class Interleaver {
 public:
  explicit Interleaver(const ForNode& loop) : var_(loop.var), min_(loop.min) {
    const auto extent = AsInt(loop.extent);
    if (!extent || *extent < 1) {
      throw Error("TW1310",
                  fmt::format("loop {} over virtual threads has the extent {}", loop.var.name(),
                              ToString(loop.extent)),
                  "", {"virtual threads are interleaved in the program: their number must be constant"});
    }
    buffers_.resize(size_t(*extent));
  }

  Stmt Run(const Stmt& s) {
    if (auto* seq = s.As<SeqNode>()) {
      std::vector<Stmt> result;
      for (const Stmt& x : seq->stmts) result.push_back(Run(x));
      return MakeSeq(std::move(result));
    }
    if (auto* alloc = s.As<AllocateNode>()) {
      std::vector<Buffer> copies;
      for (size_t t = 0; t < buffers_.size(); ++t) {
        BufferNode copy = *alloc->buffer;
        copy.buffer_name += "_" + std::to_string(t);
        copies.push_back(MakeBuffer(std::move(copy)));
        buffers_[t][alloc->buffer] = copies.back();
      }
      Stmt body = Run(alloc->body);
      for (size_t t = copies.size(); t-- > 0;) body = MakeAllocate(copies[t], body);
      return body;
    }
    auto* loop = s.As<ForNode>();
    const bool together = loop && loop->for_kind == ForKind::kSerial && UnitOf(*loop).empty() &&
                          loop->carried.empty() && !UsesVar(loop->min, var_) && !UsesVar(loop->extent, var_);
    if (together) return WithBody(*loop, Run(loop->body));
    std::vector<Stmt> copies;
    for (size_t t = 0; t < buffers_.size(); ++t)
      copies.push_back(ReplaceBuffers(FreshCopy(s, {{var_, min_ + Expr(int64_t(t))}}), buffers_[t]));
    return MakeSeq(std::move(copies));
  }

 private:
  Var var_;
  Expr min_;
  std::vector<BufferMap> buffers_;  ///< per iteration: what it has in place of an allocation
};

}  // namespace

PrimFunc InterleaveThreads(const PrimFunc& f) {
  return f.WithBody(PostOrderRewrite(f->body, [](const Stmt& s) {
    auto* loop = s.As<ForNode>();
    return loop && IsVirtualThread(*loop) ? Interleaver(*loop).Run(loop->body) : s;
  }));
}

}  // namespace tilewright
