// SPDX-License-Identifier: Apache-2.0
// What the passes over bound loops share.
#pragma once

#include "tilewright/target/device_model.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// The tag of virtual threads: iterations that one thread interleaves. Every memory but "global" is one per
/// virtual thread.
constexpr std::string_view kVirtualThread = "vthread";

inline bool IsThread(const ForNode& loop) {
  return loop.for_kind == ForKind::kThreadBound && loop.thread_tag != kVirtualThread;
}
inline bool IsVirtualThread(const ForNode& loop) {
  return loop.for_kind == ForKind::kThreadBound && loop.thread_tag == kVirtualThread;
}

/// Whether the iterations of a bound loop see the same memory of that scope.
inline bool SharesMemory(const DeviceModel& device, const ForNode& loop, const std::string& scope) {
  return IsThread(loop) && device.FamilyOf(loop.thread_tag) > device.OwnerOf(scope);
}

/// The unit of the device that runs a loop as an instruction, by the annotation "unit"; empty for a loop of
/// the program itself.
inline std::string UnitOf(const ForNode& loop) {
  const auto it = loop.annotations.find("unit");
  auto* name = it == loop.annotations.end() ? nullptr : std::get_if<std::string>(&it->second);
  return name ? *name : std::string();
}

/// Whether there is a loop over threads in the statement.
inline bool HoldsThreads(const Stmt& s) {
  bool holds = false;
  PreOrder(s, [&](const Stmt& x) {
    auto* loop = x.As<ForNode>();
    holds |= loop && IsThread(*loop);
    return !holds;
  });
  return holds;
}

}  // namespace tilewright
