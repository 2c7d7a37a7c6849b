// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/plan_memory.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

namespace tilewright {

namespace {

int64_t LowerBound(const std::vector<MemoryRequest>& requests, int64_t alignment) {
  std::map<int, int64_t> change;  // by step
  for (const MemoryRequest& r : requests) {
    const int64_t bytes = (r.bytes + alignment - 1) / alignment * alignment;
    change[r.first] += bytes;
    change[r.last + 1] -= bytes;
  }
  int64_t live = 0, most = 0;
  for (auto& [step, delta] : change) most = std::max(most, live += delta);
  return most;
}

}  // namespace

MemoryPlan PlanMemory(const std::vector<MemoryRequest>& requests, int64_t alignment) {
  MemoryPlan plan;
  plan.offsets.assign(requests.size(), 0);
  plan.lower_bound = LowerBound(requests, alignment);
  auto rounded = [&](size_t i) { return (requests[i].bytes + alignment - 1) / alignment * alignment; };

  std::vector<size_t> order(requests.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return rounded(a) != rounded(b) ? rounded(a) > rounded(b) : a < b; });
  std::vector<size_t> placed;  // by ascending offset
  for (size_t i : order) {
    int64_t offset = 0;
    for (size_t p : placed) {
      if (requests[p].last < requests[i].first || requests[i].last < requests[p].first) continue;
      if (offset + rounded(i) <= plan.offsets[p]) break;
      offset = std::max(offset, plan.offsets[p] + rounded(p));
    }
    plan.offsets[i] = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, offset + rounded(i));
    auto at = std::upper_bound(placed.begin(), placed.end(), offset,
                               [&](int64_t value, size_t p) { return value < plan.offsets[p]; });
    placed.insert(at, i);
  }
  return plan;
}

namespace {

struct Slot {
  std::vector<runtime::ShapeExpr> sizes;  // of its requests, each once
  int64_t typical = 0;
  int last = 0;  // step in which its present request is last used
};

/// How much worse a slot fits than a new one: the bytes that one of the two leaves unused; nothing where a
/// new slot is better.
std::optional<int64_t> Misfit(const Slot& slot, const SymbolicRequest& request) {
  if (slot.last >= request.first) return std::nullopt;
  const int64_t larger = std::max(slot.typical, request.typical),
                smaller = std::min(slot.typical, request.typical);
  if (larger > 2 * smaller) return std::nullopt;
  return larger - smaller;
}

}  // namespace

SlotPlan PlanSlots(const std::vector<SymbolicRequest>& requests) {
  std::vector<size_t> order(requests.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return requests[a].first != requests[b].first ? requests[a].first < requests[b].first : a < b;
  });
  std::vector<Slot> slots;
  SlotPlan plan;
  plan.slots.assign(requests.size(), 0);
  for (size_t i : order) {
    const SymbolicRequest& request = requests[i];
    size_t best = slots.size();
    std::optional<int64_t> least;
    for (size_t k = 0; k < slots.size(); ++k) {
      const std::optional<int64_t> misfit = Misfit(slots[k], request);
      if (misfit && (!least || *misfit < *least)) best = k, least = misfit;
    }
    if (best == slots.size()) slots.emplace_back();
    Slot& slot = slots[best];
    if (std::find(slot.sizes.begin(), slot.sizes.end(), request.bytes) == slot.sizes.end())
      slot.sizes.push_back(request.bytes);
    slot.typical = std::max(slot.typical, request.typical);
    slot.last = request.last;
    plan.slots[i] = best;
  }
  for (const Slot& slot : slots) {
    runtime::ShapeExpr bytes = slot.sizes[0];
    for (size_t k = 1; k < slot.sizes.size(); ++k)
      bytes = runtime::ShapeExpr::Binary(runtime::ExprOp::kMax, bytes, slot.sizes[k]);
    plan.bytes.push_back(bytes);
  }
  return plan;
}

}  // namespace tilewright
