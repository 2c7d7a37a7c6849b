// SPDX-License-Identifier: Apache-2.0
// The reference interpreter of the kernel level, both stages: docs/ir.md as code, with a check of every
// access. It defines what a kernel computes; schedules and code generators are tested against it.
#pragma once

#include <cstdint>
#include <span>

#include "tilewright/ir/ndarray.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

struct InterpretOptions {
  enum class Order { kAscending, kDescending, kShuffled };
  /// Of parallel, vectorized and thread-bound loops, whose iterations must be independent.
  Order independent_order = Order::kAscending;
  uint64_t seed = 0;  ///< of kShuffled
  /// Report iterations of such loops (the outermost of each nest) that touch the same element.
  bool detect_races = true;
  /// What the outputs hold on entry is not a value; false for kernels that update them.
  bool outputs_start_undefined = true;
  /// Iterations of all loops together after which to give up.
  int64_t max_steps = int64_t(1) << 40;
};

/// Runs `f` on one array per buffer and one value per symbolic dimension. An array has the buffer's element
/// type and at least as many elements as the buffer spans; its shape does not matter.
///
/// Float operations compute in double and round each result to the type (fma of f32 rounds once); nothing is
/// contracted or reassociated, and vector_reduce_* goes from the first lane to the last. f32 and narrower
/// transcendentals are double's libm, rounded.
///
/// Threads of a nest of thread-bound loops with barriers run up to each barrier, one after the other, before
/// any goes on; what they touch between two barriers must be independent (TW1608). A loop or branch around a
/// barrier goes the same way in all of them (TW1610).
///
/// Programs for units of a device (docs/ir.md) are issued first and then run, by each unit its instructions
/// in order; which unit goes first where several may is `independent_order`: that of the instructions that
/// come first in the program, that of the last, or another each time. Accesses that no token orders are
/// TW1608.
///
/// Throws Error with the statement and the loop variables at that moment:
///   TW1601 an index out of bounds            TW1602 arrays or dimensions that do not fit the function
///   TW1603 integer division by zero, shift out of range
///   TW1604 malformed IR                      TW1605 what cannot be interpreted: async_*, extern_call,
///   a barrier outside of threads
///   TW1606 a block bound outside its domain  TW1607 use of an element that nothing has written
///   TW1608 iterations of a parallel loop that are not independent
///   TW1609 more than max_steps                TW1610 threads that part on the way to a barrier
///   TW1611 units that wait for each other, or tokens that nobody takes
void Interpret(const PrimFunc& f, std::span<NDArray> buffers, std::span<const int64_t> dims = {},
               const InterpretOptions& options = {});

}  // namespace tilewright
