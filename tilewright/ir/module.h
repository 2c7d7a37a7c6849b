// SPDX-License-Identifier: Apache-2.0
// IRModule: functions of both levels side by side, by name.
#pragma once

#include <map>
#include <string>

#include "tilewright/ir/expr.h"

namespace tilewright {

enum class FunctionKind : uint8_t { kGraph, kPrim };

/// What functions of both levels share.
struct FunctionNode : Object {
  FunctionKind kind;
  std::string name;
  Annotations attrs;
  explicit FunctionNode(FunctionKind k) : kind(k) {}
};
using Function = Ref<FunctionNode>;

/// A program under compilation. A value: passes take one and return one; functions are shared.
class IRModule {
 public:
  /// The function, or null.
  Function Find(const std::string& name) const {
    auto it = functions_.find(name);
    return it == functions_.end() ? Function() : it->second;
  }
  /// Adds or replaces by the function's own name.
  void Set(Function f) {
    // Two steps: in one, the right side is evaluated first and leaves no name to index by.
    Function& slot = functions_[f->name];
    slot = std::move(f);
  }
  void Erase(const std::string& name) { functions_.erase(name); }
  const std::map<std::string, Function>& functions() const { return functions_; }

 private:
  std::map<std::string, Function> functions_;
};

}  // namespace tilewright
