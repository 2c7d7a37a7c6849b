// SPDX-License-Identifier: Apache-2.0
// What operators' gradients are written with (OpDef::gradient). The gradient of an operator maps the
// cotangents of its results, the derivatives of one number with respect to their elements, to those of its
// arguments; it sees arguments and results of the call as values that are there when it runs.
#pragma once

#include <string>
#include <vector>

#include "tilewright/graph/op_def.h"

namespace tilewright {

/// One call whose gradient is taken, and the builder to which the gradient appends.
class GradientContext {
 public:
  /// `cotangents` has one value per result, null where it is zero; `wanted` says which arguments need one.
  GradientContext(const OpCallNode& call, const std::vector<Value>& results,
                  const std::vector<Value>& cotangents, const std::vector<bool>& wanted,
                  GraphBuilder& builder, const std::string& origin)
      : call_(call),
        results_(results),
        cotangents_(cotangents),
        wanted_(wanted),
        builder_(builder),
        origin_(origin) {}

  size_t size() const { return call_.args.size(); }
  bool Has(size_t i) const { return i < call_.args.size() && call_.args[i]; }
  bool Wanted(size_t i) const { return i < wanted_.size() && wanted_[i]; }
  const Value& Arg(size_t i) const { return call_.args[i]; }
  const std::vector<Expr>& Shape(size_t i) const { return call_.args[i].tensor().shape; }
  const Value& Result(size_t i = 0) const { return results_[i]; }
  /// The cotangent of the first result, which every operator with one result has.
  const Value& Cotangent() const { return cotangents_[0]; }
  template <class S>
  const S& Attr() const {
    return call_.attrs.Get<S>();
  }
  const Attrs& attrs() const { return call_.attrs; }

  /// The result of an operator, by name.
  Value Call(const std::string& op, std::vector<Value> args, const Annotations& attrs = {}) const;
  /// The result of this call's own operator with other attributes.
  Value CallSame(std::vector<Value> args, Attrs attrs) const;
  Value Add(const Value& a, const Value& b) const { return Call("Add", {a, b}); }
  Value Sub(const Value& a, const Value& b) const { return Call("Sub", {a, b}); }
  Value Mul(const Value& a, const Value& b) const { return Call("Mul", {a, b}); }
  Value Div(const Value& a, const Value& b) const { return Call("Div", {a, b}); }
  Value Neg(const Value& a) const { return Call("Neg", {a}); }
  /// A constant of rank 0 in the type of `like`.
  Value Scalar(double value, const Value& like) const;
  /// A tensor of zeros with the shape and type of `like`.
  Value Zeros(const Value& like) const;
  Value Reshape(const Value& x, std::vector<Expr> shape) const;
  Value Transpose(const Value& x, std::vector<int64_t> perm) const;
  /// The sum over `axes`, which stay with extent 1 if `keepdims`; x itself where there are none.
  Value Sum(const Value& x, std::vector<int64_t> axes, bool keepdims) const;
  /// `g` summed over what broadcasting from `shape` has repeated.
  Value SumTo(const Value& g, const std::vector<Expr>& shape) const;
  /// Throws Error TW2203: this call has no gradient, for the reason given.
  [[noreturn]] void Fail(const std::string& reason) const;

 private:
  const OpCallNode& call_;
  const std::vector<Value>& results_;
  const std::vector<Value>& cotangents_;
  const std::vector<bool>& wanted_;
  GraphBuilder& builder_;
  const std::string& origin_;
};

using Gradient = std::function<std::vector<Value>(const GradientContext&)>;

/// Of operators that are constant between jumps: nothing is propagated.
std::vector<Value> ZeroGradient(const GradientContext& ctx);

}  // namespace tilewright
