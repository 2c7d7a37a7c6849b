// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/flush_tiny.h"

#include <cmath>
#include <cstring>

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

constexpr float kLeast = 0x1p-100f;

/// Whether the value is tiny and not zero.
bool IsTiny(float v) { return v != 0 && std::fabs(v) < kLeast; }

bool HasTiny(const NDArray& data) {
  // Views of files need not be aligned.
  const auto* bytes = static_cast<const char*>(data.data());
  unsigned any = 0;  // no early end, so that vectors do it
  for (int64_t i = 0; i < data.size(); ++i) {
    float v;
    std::memcpy(&v, bytes + i * int64_t(sizeof v), sizeof v);
    any |= unsigned(IsTiny(v));
  }
  return any != 0;
}

NDArray Flushed(const NDArray& data) {
  NDArray copy = data.Copy();
  for (float& v : copy.mutable_as<float>()) {
    if (IsTiny(v)) v = std::copysign(0.0f, v);
  }
  return copy;
}

}  // namespace

IRModule FlushTiny(const IRModule& module) {
  return OnMainAndBlocks(module, [](const GraphFunction& f) {
    const auto definitions = Definitions(f->body);
    return RewriteBindings(
        f, [&](const Binding& b, GraphBuilder& builder) -> std::optional<std::vector<Value>> {
          auto* call = b.operation.As<OpCallNode>();
          if (!call || call->op->pattern != FusePattern::kHeavy) return std::nullopt;
          std::vector<Value> args = call->args;
          bool flushed = false;
          for (Value& arg : args) {
            const NDArray* data = arg ? ConstantOf(arg, definitions) : nullptr;
            if (!data || data->dtype() != kF32 || !HasTiny(*data)) continue;
            arg = builder.Constant(Flushed(*data), arg->name);
            flushed = true;
          }
          if (!flushed) return std::nullopt;
          return builder.CallOp(call->op, std::move(args), call->attrs, b.results[0]->origin);
        });
  });
}

}  // namespace tilewright
