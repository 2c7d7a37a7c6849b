// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/plan_memory.h"

#include <algorithm>
#include <functional>
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

class Planner {
 public:
  Planner(const std::vector<MemoryRequest>& requests, int64_t alignment)
      : requests_(requests), alignment_(alignment), bound_(LowerBound(requests, alignment)) {}

  MemoryPlan Run() {
    std::vector<size_t> order(requests_.size());
    std::iota(order.begin(), order.end(), size_t(0));
    Try(Sorted(order, [&](size_t i) { return double(Rounded(i)); }));
    Try(Sorted(order,
               [&](size_t i) { return double(Rounded(i)) * (1 + requests_[i].last - requests_[i].first); }));
    Try(Sorted(order, [&](size_t i) { return double(Breadth(requests_[i])); }));
    Repair();
    return best_;
  }

 private:
  bool done() const { return requests_.empty() || (!order_.empty() && best_.arena_bytes == bound_); }
  int64_t Rounded(size_t i) const { return (requests_[i].bytes + alignment_ - 1) / alignment_ * alignment_; }

  /// Requests with a larger key first, of equal ones the larger, then the earlier in the list.
  std::vector<size_t> Sorted(std::vector<size_t> order, const std::function<double(size_t)>& key) const {
    std::vector<double> keys;
    for (size_t i = 0; i < requests_.size(); ++i) keys.push_back(done() ? 0 : key(i));
    std::ranges::sort(order, [&](size_t a, size_t b) {
      if (keys[a] != keys[b]) return keys[a] > keys[b];
      return Rounded(a) != Rounded(b) ? Rounded(a) > Rounded(b) : a < b;
    });
    return order;
  }

  /// The most that lives together in a step of the request.
  int64_t Breadth(const MemoryRequest& r) {
    if (live_.empty()) {
      for (size_t i = 0; i < requests_.size(); ++i) {
        for (int step = requests_[i].first; step <= requests_[i].last; ++step) live_[step] += Rounded(i);
      }
    }
    int64_t most = 0;
    for (auto it = live_.lower_bound(r.first); it != live_.end() && it->first <= r.last; ++it)
      most = std::max(most, it->second);
    return most;
  }

  /// Places the requests in this order; a plan that is better than all before is kept.
  void Try(std::vector<size_t> order) {
    if (done()) return;
    MemoryPlan plan;
    plan.offsets.assign(requests_.size(), 0);
    plan.lower_bound = bound_;
    std::vector<size_t> placed;  // by ascending offset
    for (size_t i : order) {
      int64_t offset = 0;
      for (size_t p : placed) {
        if (requests_[p].last < requests_[i].first || requests_[i].last < requests_[p].first) continue;
        if (offset + Rounded(i) <= plan.offsets[p]) break;
        offset = std::max(offset, plan.offsets[p] + Rounded(p));
      }
      plan.offsets[i] = offset;
      plan.arena_bytes = std::max(plan.arena_bytes, offset + Rounded(i));
      auto at = std::upper_bound(placed.begin(), placed.end(), offset,
                                 [&](int64_t value, size_t p) { return value < plan.offsets[p]; });
      placed.insert(at, i);
    }
    last_end_ = plan.arena_bytes;
    last_ = plan.offsets;
    if (!order_.empty() && plan.arena_bytes >= best_.arena_bytes) return;
    best_ = std::move(plan);
    order_ = std::move(order);
  }

  /// Begins with what stood out at the end of the plan before, again and again.
  void Repair() {
    std::vector<size_t> order = order_;
    Try(order);
    const size_t work = std::max<size_t>(1, requests_.size() * requests_.size());
    for (size_t round = std::min(kRepairs, kRepairWork / work); round > 0 && !done(); --round) {
      size_t top = 0;
      while (top < requests_.size() && last_[top] + Rounded(top) != last_end_) ++top;
      order.erase(std::ranges::find(order, top));
      order.insert(order.begin(), top);
      Try(order);
    }
  }

  static constexpr size_t kRepairs = 64, kRepairWork = 50'000'000;  // placements, and pairs looked at

  const std::vector<MemoryRequest>& requests_;
  const int64_t alignment_, bound_;
  std::map<int, int64_t> live_;  ///< bytes by step
  MemoryPlan best_;
  std::vector<size_t> order_;  ///< that gave it
  std::vector<int64_t> last_;  ///< offsets of the plan that was tried last
  int64_t last_end_ = 0;
};

}  // namespace

MemoryPlan PlanMemory(const std::vector<MemoryRequest>& requests, int64_t alignment) {
  return Planner(requests, alignment).Run();
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
