// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/eliminate_common.h"

#include <cstring>

#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

uint64_t Mix(uint64_t h, uint64_t v) { return (h ^ v) * 0x9E3779B97F4A7C15ull + (h >> 31); }

/// A hash of the constant's type and of samples of its bytes: equality is decided exactly afterwards, and
/// reading all of a large model's weights here would cost more than it finds.
uint64_t Hash(const NDArray& a) {
  uint64_t h = Mix(a.dtype().bits, uint64_t(a.bytes()));
  const auto* bytes = static_cast<const unsigned char*>(a.data());
  const int64_t n = a.bytes(), step = std::max<int64_t>(1, n / 64);
  for (int64_t i = 0; i < n; i += step) h = Mix(h, bytes[i]);
  return h;
}

uint64_t Hash(const Operation& o) {
  if (auto* c = o.As<ConstantNode>()) return Hash(c->data);
  uint64_t h = 0;
  if (auto* call = o.As<OpCallNode>()) h = reinterpret_cast<uintptr_t>(call->op);
  for (const Value& v : UsedValues(o)) h = Mix(h, reinterpret_cast<uintptr_t>(v.get()));
  return h;
}

bool Equal(const Operation& a, const Operation& b) {
  if (a.kind() != b.kind()) return false;
  if (auto* x = a.As<ConstantNode>()) return x->data == b.As<ConstantNode>()->data;
  auto *x = a.As<OpCallNode>(), *y = b.As<OpCallNode>();
  return x && x->op == y->op && x->args == y->args && StructuralEqual(x->attrs, y->attrs);
}

}  // namespace

IRModule EliminateCommonSubexpressions(const IRModule& module) {
  return OnMainAndBlocks(module, [](const GraphFunction& f) {
    std::unordered_multimap<uint64_t, Binding> seen;
    return RewriteBindings(f, [&](const Binding& b, GraphBuilder&) -> std::optional<std::vector<Value>> {
      if (!b.operation.As<OpCallNode>() && !b.operation.As<ConstantNode>()) return std::nullopt;
      const uint64_t hash = Hash(b.operation);
      auto [begin, end] = seen.equal_range(hash);
      for (auto it = begin; it != end; ++it) {
        const Binding& other = it->second;
        if (Equal(other.operation, b.operation) &&
            StructuralEqual(other.results[0]->type, b.results[0]->type)) {
          return other.results;
        }
      }
      seen.emplace(hash, b);
      return std::nullopt;
    });
  });
}

}  // namespace tilewright
