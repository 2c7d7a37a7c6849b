// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/plan_memory.h"

#include <algorithm>
#include <map>
#include <numeric>

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

}  // namespace tilewright
