// SPDX-License-Identifier: Apache-2.0
// Writes the expressions of expand_math: values are bound by Let, so that each is computed once.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "tilewright/ir/expr.h"

namespace tilewright::math {

/// A value as the unevaluated sum of two of its type.
struct Pair {
  Expr hi, lo;
};

/// Builds an expression over values of one float type (f32 or f64, scalar or vector).
class MathBuilder {
 public:
  /// `narrow`: arguments are values of f32, and results will be rounded to it.
  MathBuilder(DataType dtype, bool has_fma, bool narrow = false)
      : dtype_(dtype), has_fma_(has_fma), narrow_(narrow) {}

  DataType dtype() const { return dtype_; }
  bool is_f64() const { return dtype_.bits == 64; }
  bool narrow() const { return narrow_; }
  bool has_fma() const { return has_fma_; }

  /// The value under a name, to be used several times.
  Expr Bind(Expr e);
  /// `result` inside all bindings made so far.
  Expr Finish(Expr result);
  /// A branch of IfThenElse: what `f` binds stays inside it.
  template <class F>
  Expr Branch(F&& f) {
    std::vector<std::pair<Var, Expr>> outer = std::exchange(lets_, {});
    Expr result = Finish(f());
    lets_ = std::move(outer);
    return result;
  }

  Expr C(double value) const { return MakeConst(dtype_, value); }
  DataType int_dtype() const { return DataType::Int(dtype_.bits, dtype_.lanes); }
  Expr I(int64_t value) const { return MakeConst(int_dtype(), value); }

  /// c[0] + c[1] x + c[2] x^2 + ..., by Horner's rule.
  Expr Polynomial(std::span<const double> c, const Expr& x) const;
  Expr Abs(const Expr& x) const { return MakeCall(Intrinsic::k_abs, {x}); }
  Expr Floor(const Expr& x) const { return MakeCall(Intrinsic::k_floor, {x}); }
  Expr Sqrt(const Expr& x) const { return MakeCall(Intrinsic::k_sqrt, {x}); }
  Expr Round(const Expr& x) const { return MakeCall(Intrinsic::k_round, {x}); }
  Expr Trunc(const Expr& x) const { return MakeCall(Intrinsic::k_trunc, {x}); }
  Expr IsNan(const Expr& x) const { return MakeCall(Intrinsic::k_isnan, {x}); }
  Expr Bits(const Expr& x) const { return MakeCall(int_dtype(), Intrinsic::k_reinterpret, {x}); }
  Expr FromBits(const Expr& i) const { return MakeCall(dtype_, Intrinsic::k_reinterpret, {i}); }
  Expr ShiftLeft(const Expr& i, int n) const { return MakeCall(Intrinsic::k_shift_left, {i, I(n)}); }
  Expr ShiftRight(const Expr& i, int n) const { return MakeCall(Intrinsic::k_shift_right, {i, I(n)}); }
  Expr And(const Expr& a, const Expr& b) const { return MakeCall(Intrinsic::k_bit_and, {a, b}); }
  Expr Or(const Expr& a, const Expr& b) const { return MakeCall(Intrinsic::k_bit_or, {a, b}); }

  int64_t sign_mask() const { return is_f64() ? INT64_MIN : INT32_MIN; }
  int mantissa_bits() const { return is_f64() ? 52 : 23; }
  int64_t exponent_bias() const { return is_f64() ? 1023 : 127; }
  /// Magnitude of the first, sign of the second; `magnitude` is not negative.
  Expr WithSignOf(const Expr& magnitude, const Expr& sign) const {
    return FromBits(Or(Bits(magnitude), And(Bits(sign), I(sign_mask()))));
  }
  Expr SignBit(const Expr& x) const { return Bits(x) < I(0); }
  /// 2^n for an integer vector n whose result is a normal number.
  Expr PowerOfTwo(const Expr& n) const {
    return FromBits(ShiftLeft(n + I(exponent_bias()), mantissa_bits()));
  }
  Expr Inf() const { return C(kInf); }
  Expr Nan() const { return C(kNan); }

  /// The largest lane of a vector; the scalar itself.
  Expr MaxLane(const Expr& x) {
    return x.dtype().lanes == 1 ? x : Bind(MakeCall(Intrinsic::k_vector_reduce_max, {x}));
  }

  /// a + b exactly, where |a| >= |b| or a is 0.
  Pair QuickSum(const Expr& a, const Expr& b);
  /// a + b exactly.
  Pair Sum(const Expr& a, const Expr& b);
  /// a * b exactly, short of overflow and underflow.
  Pair Product(const Expr& a, const Expr& b);

 private:
  static constexpr double kInf = __builtin_inf();
  static constexpr double kNan = __builtin_nan("");
  Pair Split(const Expr& a);

  DataType dtype_;
  bool has_fma_;
  bool narrow_;
  std::vector<std::pair<Var, Expr>> lets_;
};

}  // namespace tilewright::math
