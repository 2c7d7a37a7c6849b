// SPDX-License-Identifier: Apache-2.0
// Results that are their arguments one behind the other (graph/joins.h): kernels that make an argument write
// it where it belongs in the result, and what cannot be written there is copied.
#include <algorithm>
#include <limits>
#include <numeric>

#include "tilewright/driver/program_builder.h"
#include "tilewright/graph/joins.h"
#include "tilewright/graph/rewrite.h"
#include "tilewright/runtime/kernel_abi.h"

namespace tilewright {

static_assert(kPartAlignment == TW_MEMORY_ALIGNMENT);

std::vector<ProgramBuilder::Part> ProgramBuilder::PartsOf(const Binding& b) const {
  auto* outer = b.operation.As<FunctionCallNode>();
  if (!outer) return {};
  const GraphFunction& f = kernels_.units()[unit_of_.at(outer->callee)].graph;
  if (!f || f->body.bindings.size() != 1) return {};
  auto* call = f->body.bindings[0].operation.As<OpCallNode>();
  if (!call || f->body.results.size() != 1 || !JoinsMemory(*call, f->body.results[0].tensor())) return {};
  std::vector<Part> parts;
  runtime::ShapeExpr offset = 0;
  for (const Value& v : call->args) {
    const auto at = std::find(f->params.begin(), f->params.end(), v) - f->params.begin();
    const Value& part = outer->args[size_t(at)];
    const TensorType& t = part.tensor();
    const runtime::ShapeExpr bytes = symbols_.Bytes(t.PhysicalShape(), t.dtype, part.name());
    parts.push_back({part, offset, bytes});
    offset = offset + bytes;
  }
  return parts;
}

bool ProgramBuilder::IsShareable(const Place& place) const {
  const bool moves = place.swap_loop != kNone || place.walk_loop != kNone;
  if (moves || place.constant) return false;
  // What is donated may still be read when a part of the output is made.
  return place.storage == runtime::Storage::kArena ||
         (place.storage == runtime::Storage::kOutput && donor_[place.index] == kNone);
}

bool ProgramBuilder::LieBehindOneAnother(const std::vector<Part>& parts) const {
  const Place* first = nullptr;
  for (const Part& p : parts) {
    auto it = places_.find(Root(p.value).get());
    if (it == places_.end() || it->second.storage != runtime::Storage::kArena || !IsShareable(it->second))
      return false;
    if (!first) first = &it->second;
    if (it->second.request != first->request || !(it->second.offset == first->offset + p.offset))
      return false;
  }
  return true;
}

void ProgramBuilder::PlaceJoin(const GraphBlock& block, const Binding& b, const std::vector<Part>& parts) {
  const Value& result = b.results[0];
  const auto placed = places_.find(result.get());
  if (placed != places_.end() && !IsShareable(placed->second)) return;
  if (placed == places_.end() && LieBehindOneAnother(parts)) {
    places_[result.get()] = Place(places_.at(Root(parts[0].value).get()));
    joins_[&b] = {};
    return;
  }
  // Values that kernels of the block make, and that lie nowhere yet.
  std::vector<Value> roots;
  int64_t in_place = 0, total = 0;
  const std::vector<int64_t> typical = symbols_.TypicalValues();
  for (const Part& p : parts) {
    const Value root = Root(p.value);
    const Binding* maker = BindingOf(block, root);
    const bool free = !places_.contains(root.get()) && maker && maker->operation.As<FunctionCallNode>() &&
                      std::find(roots.begin(), roots.end(), root) == roots.end();
    const int64_t bytes = p.bytes.Evaluate(typical);
    roots.push_back(free ? root : nullptr);
    in_place += free ? bytes : 0;
    total += bytes;
  }
  if (2 * in_place <= total) return;
  if (placed == places_.end()) {
    // It lives from its first part on.
    places_[result.get()] = {.request = Request(result, std::numeric_limits<int>::max())};
    requests_.back().last = -1;
  }
  std::vector<ValueCopy> copies;
  for (size_t i = 0; i < parts.size(); ++i) {
    Place place = places_.at(result.get());
    place.offset = place.offset + parts[i].offset;
    if (roots[i]) {
      places_[roots[i].get()] = place;
    } else {
      const Value& part = parts[i].value;
      copies.push_back({part, MakeValue(part.name() + ".part", part->type, place)});
    }
  }
  joins_[&b] = std::move(copies);
}

void ProgramBuilder::PlaceJoins(const GraphBlock& block) {
  struct Join {
    const Binding* binding;
    std::vector<Part> parts;
    int64_t bytes;
  };
  std::vector<Join> joins;
  std::unordered_set<const ValueNode*> updated;  // memory that may be written again
  const std::vector<int64_t> typical = symbols_.TypicalValues();
  for (const Binding& b : block.bindings) {
    if (const Value argument = UpdatedBy(b)) {
      updated.insert(Root(argument).get());
      updated.insert(b.results[0].get());
    }
    std::vector<Part> parts = PartsOf(b);
    if (parts.empty()) continue;
    const int64_t bytes = (parts.back().offset + parts.back().bytes).Evaluate(typical);
    joins.push_back({&b, std::move(parts), bytes});
  }
  // The largest first: in a chain of joins, each with one part more, all others are then windows of the last.
  std::sort(joins.begin(), joins.end(), [](const Join& x, const Join& y) {
    return x.bytes != y.bytes ? x.bytes > y.bytes : x.binding < y.binding;
  });
  for (const Join& join : joins) {
    const bool rewritten = updated.contains(join.binding->results[0].get()) ||
                           std::any_of(join.parts.begin(), join.parts.end(),
                                       [&](const Part& p) { return updated.contains(Root(p.value).get()); });
    if (!rewritten) PlaceJoin(block, *join.binding, join.parts);
  }
}

}  // namespace tilewright
