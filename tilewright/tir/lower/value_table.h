// SPDX-License-Identifier: Apache-2.0
// NumberedValue numbering of expressions: equal expressions under equal memory get one number.
#pragma once

#include <unordered_map>
#include <vector>

#include "tilewright/tir/stmt.h"

namespace tilewright {

using ValueId = int;
using ScopeId = int;

/// A numbered expression. Operands have smaller numbers.
struct NumberedValue {
  Expr node;  ///< the node as found; its operands are `operands`, in the order of ForEachChild
  std::vector<ValueId> operands;
  ScopeId home;  ///< the innermost scope that binds a variable, or a state of memory, that it needs
  bool safe;     ///< may be evaluated where the program would not: no load, no division, no effect
};

/// The tree of scopes that bind variables: 0 is the whole; deeper ones have larger depths.
struct ScopeTree {
  std::vector<ScopeId> parent{-1};
  std::vector<int> depth{0};

  ScopeId Add(ScopeId outer) {
    parent.push_back(outer);
    depth.push_back(depth[size_t(outer)] + 1);
    return ScopeId(parent.size()) - 1;
  }
  ScopeId Deeper(ScopeId a, ScopeId b) const { return depth[size_t(a)] >= depth[size_t(b)] ? a : b; }
};

/// Numbers expressions. Index sums are put in the order of the depth of their terms, constants last, so that
/// what outer loops determine is a common prefix. Let expressions dissolve: their variables are other names
/// of values.
class ValueTable {
 public:
  explicit ValueTable(const ScopeTree& scopes) : scopes_(scopes) {}

  ValueId Number(const Expr& e);
  const NumberedValue& operator[](ValueId id) const { return values_[size_t(id)]; }

  void BindVar(const Var& var, ScopeId scope) { var_scope_[var.get()] = scope; }
  /// From here on loads of the buffer may read other values, which exist from `scope` on.
  void Clobber(const Buffer& b, ScopeId scope) { memory_[b] = {++last_state_, scope}; }
  /// What loads of buffers currently read, to be restored for another branch.
  struct State {
    int64_t number = 0;
    ScopeId scope = 0;
  };
  using Memory = std::unordered_map<Buffer, State>;
  const Memory& memory() const { return memory_; }
  void set_memory(Memory m) { memory_ = std::move(m); }

 private:
  using Key = std::vector<int64_t>;
  struct KeyHash {
    size_t operator()(const Key& k) const {
      uint64_t h = 1469598103934665603ull;
      for (int64_t v : k) h = (h ^ uint64_t(v)) * 0x9E3779B97F4A7C15ull, h ^= h >> 29;
      return size_t(h);
    }
  };
  /// A sum of values with coefficients.
  struct Sum {
    std::map<ValueId, int64_t> terms;
    int64_t constant = 0;
  };

  ValueId Intern(const Expr& node, std::vector<ValueId> operands);
  ValueId NumberIndex(const Expr& e);
  void AddTerms(const Expr& e, int64_t factor, Sum& sum);
  ValueId BuildSum(const Sum& sum);
  ValueId Constant(int64_t value);

  const ScopeTree& scopes_;
  std::vector<NumberedValue> values_;
  std::unordered_map<Key, ValueId, KeyHash> ids_;
  std::unordered_map<const ExprNode*, ScopeId> var_scope_;
  std::unordered_map<const ExprNode*, ValueId> alias_;
  Memory memory_;
  int64_t last_state_ = 0;
};

}  // namespace tilewright
