// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <unordered_set>

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Which values of a function a derivative goes through: those of floats that depend on one of `sources`
/// and that a result in `targets` depends on, blocks of branches and loops included.
class Activity {
 public:
  Activity(const GraphFunction& f, const std::vector<Value>& sources, const std::vector<Value>& targets);
  bool operator()(const Value& v) const {
    return v && varied_.contains(v.get()) && useful_.contains(v.get());
  }

 private:
  void MarkVaried(const GraphBlock& block);
  void MarkVaried(const Binding& b);
  void MarkUseful(const GraphBlock& block);
  void MarkUseful(const Binding& b);
  /// Runs `round` until it marks nothing more.
  void Repeat(const std::function<void()>& round);
  bool Vary(const Value& v);
  bool Use(const Value& v);

  std::unordered_set<const ValueNode*> varied_, useful_;
  bool changed_ = false;
};

}  // namespace tilewright
