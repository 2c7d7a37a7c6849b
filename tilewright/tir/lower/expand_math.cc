// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/expand_math.h"

#include <optional>

#include "tilewright/tir/lower/math_functions.h"

namespace tilewright {

namespace {

using math::MathBuilder;

bool IsLibraryFunction(Intrinsic op) {
  switch (op) {
    case Intrinsic::k_exp:
    case Intrinsic::k_exp2:
    case Intrinsic::k_log:
    case Intrinsic::k_log2:
    case Intrinsic::k_log1p:
    case Intrinsic::k_expm1:
    case Intrinsic::k_rsqrt:
    case Intrinsic::k_pow:
    case Intrinsic::k_tanh:
    case Intrinsic::k_sigmoid:
    case Intrinsic::k_erf:
    case Intrinsic::k_sin:
    case Intrinsic::k_cos:
    case Intrinsic::k_tan:
    case Intrinsic::k_asin:
    case Intrinsic::k_acos:
    case Intrinsic::k_atan:
    case Intrinsic::k_atan2:
    case Intrinsic::k_sinh:
    case Intrinsic::k_cosh:
    case Intrinsic::k_asinh:
    case Intrinsic::k_acosh:
    case Intrinsic::k_atanh:
      return true;
    default:
      return false;
  }
}

/// Functions with a version of their own for f32; others are computed in f64 and rounded.
bool HasF32(Intrinsic op) {
  switch (op) {
    case Intrinsic::k_exp:
    case Intrinsic::k_exp2:
    case Intrinsic::k_log:
    case Intrinsic::k_log1p:
    case Intrinsic::k_expm1:
    case Intrinsic::k_rsqrt:
    case Intrinsic::k_tanh:
    case Intrinsic::k_sigmoid:
    case Intrinsic::k_erf:
      return true;
    default:
      return false;
  }
}

Expr Apply(MathBuilder& b, Intrinsic op, const std::vector<Expr>& x) {
  switch (op) {
    case Intrinsic::k_exp:
      return Exp(b, x[0]);
    case Intrinsic::k_exp2:
      return Exp2(b, x[0]);
    case Intrinsic::k_log:
      return Log(b, x[0]);
    case Intrinsic::k_log2:
      return Log2(b, x[0]);
    case Intrinsic::k_log1p:
      return Log1p(b, x[0]);
    case Intrinsic::k_expm1:
      return Expm1(b, x[0]);
    case Intrinsic::k_rsqrt:
      return b.C(1) / b.Sqrt(x[0]);
    case Intrinsic::k_pow:
      return Pow(b, x[0], x[1], !b.narrow());
    case Intrinsic::k_tanh:
      return Tanh(b, x[0]);
    case Intrinsic::k_sigmoid:
      return Sigmoid(b, x[0]);
    case Intrinsic::k_erf:
      return Erf(b, x[0]);
    case Intrinsic::k_sin:
      return Sin(b, x[0]);
    case Intrinsic::k_cos:
      return Cos(b, x[0]);
    case Intrinsic::k_tan:
      return Tan(b, x[0]);
    case Intrinsic::k_asin:
      return Asin(b, x[0]);
    case Intrinsic::k_acos:
      return Acos(b, x[0]);
    case Intrinsic::k_atan:
      return Atan(b, x[0]);
    case Intrinsic::k_atan2:
      return Atan2(b, x[0], x[1]);
    case Intrinsic::k_sinh:
      return Sinh(b, x[0]);
    case Intrinsic::k_cosh:
      return Cosh(b, x[0]);
    case Intrinsic::k_asinh:
      return Asinh(b, x[0]);
    case Intrinsic::k_acosh:
      return Acosh(b, x[0]);
    case Intrinsic::k_atanh:
      return Atanh(b, x[0]);
    default:
      TW_CHECK(false, "{} is not expanded", GetIntrinsicInfo(op).name);
      return nullptr;
  }
}

/// The number that all lanes are, if they are constant.
std::optional<double> LaneOf(const Expr& e) {
  auto* broadcast = e.As<BroadcastNode>();
  return AsNumber(broadcast ? broadcast->value : e);
}

/// Whether exp of an f32 value neither vanishes, is subnormal nor infinite, because the value was bounded:
/// Min(Max(x, lo), hi).
bool IsBounded(const Expr& e) {
  auto* above = e.As<BinaryNode>();
  auto* below = above ? above->a.As<BinaryNode>() : nullptr;
  if (!below || above->op != BinaryOp::kMin || below->op != BinaryOp::kMax) return false;
  const auto hi = LaneOf(above->b), lo = LaneOf(below->b);
  return hi && lo && *hi <= 87 && *lo >= -87;
}

/// `f` of the arguments in type `t`, converted back.
template <class F>
Expr Computed(DataType t, bool narrow, bool has_fma, const std::vector<Expr>& args, F&& f) {
  MathBuilder b(t, has_fma, narrow);
  std::vector<Expr> bound;
  for (const Expr& a : args) bound.push_back(b.Bind(MakeCast(t, a)));
  return b.Finish(MakeCast(args[0].dtype(), f(b, bound)));
}

Expr ExpandCall(const CallNode& n, bool has_fma) {
  const DataType t = n.args[0].dtype();
  const bool f64 = t.code == TypeCode::kFloat && t.bits == 64;
  const bool f32 = t.code == TypeCode::kFloat && t.bits == 32;
  const DataType wide = DataType::Float(64, t.lanes), single = DataType::Float(32, t.lanes);
  const bool bounded = !f64 && n.op == Intrinsic::k_exp && IsBounded(n.args[0]);
  auto apply = [&](MathBuilder& b, const std::vector<Expr>& x) {
    return bounded ? math::ExpOfModest(b, x[0]) : Apply(b, n.op, x);
  };
  if (f64) return Computed(wide, false, has_fma, n.args, apply);
  if (HasF32(n.op)) return Computed(single, false, has_fma, n.args, apply);
  if (f32) return Computed(wide, true, has_fma, n.args, apply);
  // A 16-bit argument is an f32 one.
  return Computed(wide, true, has_fma, n.args, apply);
}

Expr Expand(const Expr& e, bool has_fma) {
  if (auto* call = e.As<CallNode>(); call && IsLibraryFunction(call->op)) return ExpandCall(*call, has_fma);
  auto* n = e.As<BinaryNode>();
  if (!n || n->op != BinaryOp::kTruncMod || !n->dtype.is_float()) return e;
  const bool narrow = n->dtype.bits < 64;
  return Computed(DataType::Float(64, n->dtype.lanes), narrow, has_fma, {n->a, n->b},
                  [&](MathBuilder& b, const std::vector<Expr>& x) { return math::Fmod(b, x[0], x[1]); });
}

}  // namespace

Expr ExpandMath(const Expr& e, bool has_fma) {
  return PostOrderRewrite(e, [&](const Expr& x) { return Expand(x, has_fma); });
}

PrimFunc ExpandMath(const PrimFunc& f, const Target& target) {
  return f.WithBody(
      PostOrderRewrite(f->body, nullptr, [&](const Expr& e) { return ExpandMath(e, target.has_fma); }));
}

}  // namespace tilewright
