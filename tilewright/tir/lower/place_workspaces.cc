// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/place_workspaces.h"

namespace tilewright {

namespace {

constexpr int64_t kAlignment = 64;

Expr AlignedBytes(const Buffer& b) {
  Expr elements = 1;
  for (const Expr& extent : b.shape()) elements = elements * extent;
  return FloorDiv(elements * b.dtype().bytes() + (kAlignment - 1), kAlignment) * kAlignment;
}

/// Chooses by one walk, outer allocations first, so that small inner ones stay on the stack.
class Placer {
 public:
  explicit Placer(int64_t stack_bytes) : limit_(stack_bytes) {}

  void Visit(const Stmt& s, int64_t on_stack, Expr in_workspace) {
    if (auto* alloc = s.As<AllocateNode>();
        alloc && alloc->buffer.scope() != "register" && alloc->buffer.scope() != "tile") {
      Expr bytes = AlignedBytes(alloc->buffer);
      auto known = AsInt(bytes);
      if (known && *known <= limit_ / 2 && on_stack + *known <= limit_) {
        on_stack += *known;
      } else {
        in_workspace = in_workspace + bytes;
        total = AsInt(total) && AsInt(in_workspace) ? Expr(std::max(*AsInt(total), *AsInt(in_workspace)))
                                                    : Max(total, in_workspace);
        BufferNode node = *alloc->buffer;
        node.scope = "workspace";
        moved[alloc->buffer] = MakeBuffer(std::move(node));
      }
    }
    ForEachChild(s, [&](const Stmt& child) { Visit(child, on_stack, in_workspace); });
  }

  BufferMap moved;
  Expr total = 0;

 private:
  int64_t limit_;
};

}  // namespace

void PlaceWorkspaces(KernelLaunch& launch, int64_t stack_bytes) {
  Placer placer(stack_bytes);
  placer.Visit(launch.kernel->body, 0, 0);
  if (placer.moved.empty()) return;
  PrimFuncNode kernel = *launch.kernel;
  kernel.body = ReplaceBuffers(kernel.body, placer.moved);
  kernel.attrs["workspace_bytes"] = placer.total;
  launch.workspace_bytes = placer.total;
  launch.kernel = PrimFunc(std::move(kernel));
}

}  // namespace tilewright
