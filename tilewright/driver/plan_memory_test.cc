// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/plan_memory.h"

#include <gtest/gtest.h>

#include <random>

namespace tilewright {
namespace {

void ExpectDisjoint(const std::vector<MemoryRequest>& requests, const MemoryPlan& plan) {
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(plan.offsets[i] % 64, 0);
    EXPECT_LE(plan.offsets[i] + requests[i].bytes, plan.arena_bytes);
    for (size_t j = 0; j < i; ++j) {
      if (requests[i].last < requests[j].first || requests[j].last < requests[i].first) continue;
      EXPECT_TRUE(plan.offsets[i] + requests[i].bytes <= plan.offsets[j] ||
                  plan.offsets[j] + requests[j].bytes <= plan.offsets[i])
          << i << " and " << j;
    }
  }
}

TEST(PlanMemory, ReusesWhatIsDead) {
  std::vector<MemoryRequest> requests = {{1000, 0, 1}, {2000, 1, 2}, {1000, 2, 3}};
  MemoryPlan plan = PlanMemory(requests);
  ExpectDisjoint(requests, plan);
  EXPECT_EQ(plan.arena_bytes, 1024 + 2048);
  EXPECT_EQ(plan.lower_bound, plan.arena_bytes);
}

// The largest first leaves a hole below the second that nothing else fits into.
TEST(PlanMemory, TriesOtherOrders) {
  // Steps 0 to 3; an optimal plan has no gap in any of them.
  std::vector<MemoryRequest> requests = {
      {4 << 10, 0, 0}, {6 << 10, 0, 1}, {5 << 10, 1, 2}, {5 << 10, 2, 3}, {6 << 10, 3, 3}};
  MemoryPlan plan = PlanMemory(requests);
  ExpectDisjoint(requests, plan);
  EXPECT_EQ(plan.arena_bytes, plan.lower_bound);
}

TEST(PlanMemory, StaysCloseToTheBound) {
  std::mt19937 rng(8);
  double worst = 1;
  for (int round = 0; round < 20; ++round) {
    // A chain of layers of which some are kept for later, as in nets with residuals.
    std::vector<MemoryRequest> requests;
    for (int step = 0; step < 60; ++step) {
      const int kept = rng() % 4 == 0 ? 3 : 1;
      requests.push_back({int64_t(1 + rng() % 64) << 14, step, step + kept});
    }
    const MemoryPlan plan = PlanMemory(requests);
    ExpectDisjoint(requests, plan);
    worst = std::max(worst, double(plan.arena_bytes) / double(plan.lower_bound));
  }
  EXPECT_LE(worst, 1.1);
}

TEST(PlanMemory, RandomRequestsNeverOverlap) {
  std::mt19937 rng(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<MemoryRequest> requests(60);
    for (MemoryRequest& r : requests) {
      r.bytes = int64_t(rng() % 5000);
      r.first = int(rng() % 40);
      r.last = r.first + int(rng() % 6);
    }
    MemoryPlan plan = PlanMemory(requests);
    ExpectDisjoint(requests, plan);
    EXPECT_GE(plan.arena_bytes, plan.lower_bound);
  }
}

}  // namespace
}  // namespace tilewright
