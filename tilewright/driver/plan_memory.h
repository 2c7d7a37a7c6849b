// SPDX-License-Identifier: Apache-2.0
// Places values that live for parts of a run in one arena.
#pragma once

#include <cstdint>
#include <vector>

#include "tilewright/runtime/shape_expr.h"

namespace tilewright {

/// A piece of memory needed from step `first` to step `last`, both included.
struct MemoryRequest {
  int64_t bytes = 0;
  int first = 0, last = 0;
};

struct MemoryPlan {
  std::vector<int64_t> offsets;  ///< bytes, one per request
  int64_t arena_bytes = 0;
  int64_t lower_bound = 0;  ///< the largest sum of sizes that live in one step
};

/// Offsets, multiples of `alignment`, such that requests that live at the same time do not overlap. Each is
/// placed at the lowest gap that fits, in several orders, until a plan keeps the lower bound: by size and by
/// breadth (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020,
/// sections 5.2 and 5.3), by size and lifetime, and with what stood out of the last plan in front. The best
/// one is taken.
MemoryPlan PlanMemory(const std::vector<MemoryRequest>& requests, int64_t alignment = 64);

/// A piece of memory whose size depends on symbols.
struct SymbolicRequest {
  runtime::ShapeExpr bytes;
  int64_t typical = 0;  ///< bytes at typical values of the symbols
  int first = 0, last = 0;
};

/// Blocks that requests share one after the other; each is as large as the largest of its requests.
struct SlotPlan {
  std::vector<size_t> slots;              ///< one per request
  std::vector<runtime::ShapeExpr> bytes;  ///< one per slot
};

/// Requests that live at the same time get different slots. In the order of their first steps, each takes the
/// free slot whose typical size is nearest to its own, or a new one where it would more than double that.
SlotPlan PlanSlots(const std::vector<SymbolicRequest>& requests);

}  // namespace tilewright
