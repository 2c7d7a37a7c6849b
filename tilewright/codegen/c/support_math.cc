// SPDX-License-Identifier: Apache-2.0
// Arithmetic that is no operator of C: docs/ir.md says what each means.
#include <fmt/format.h>

#include <bit>

#include "tilewright/codegen/c/support.h"

namespace tilewright::c_codegen {

namespace {

std::string FunctionStem(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAdd:
      return "add";
    case BinaryOp::kSub:
      return "sub";
    case BinaryOp::kMul:
      return "mul";
    case BinaryOp::kDiv:
      return "div";
    case BinaryOp::kFloorDiv:
      return "floordiv";
    case BinaryOp::kFloorMod:
      return "floormod";
    case BinaryOp::kEq:
      return "eq";
    case BinaryOp::kNe:
      return "ne";
    case BinaryOp::kLt:
      return "lt";
    case BinaryOp::kLe:
      return "le";
    default:
      return std::string(BinaryOpText(op));
  }
}

bool IsHalf(DataType t) { return t.is_float() && t.bits == 16; }

}  // namespace

// Division by zero yields 0 and never traps, nor does the smallest value by -1, which wraps.
std::string Support::IntegerDivision(BinaryOp op, DataType t) {
  const std::string type = Type(t);
  const bool quotient = op == BinaryOp::kTruncDiv || op == BinaryOp::kFloorDiv;
  const bool floor = op == BinaryOp::kFloorDiv || op == BinaryOp::kFloorMod;
  const std::string head = fmt::format("TW_INLINE {0} {0}_{1}({0} a, {0} b) {{\n", type, FunctionStem(op));
  if (t.is_uint())
    return fmt::format("{}  return b == 0 ? 0 : ({})(a {} b);\n}}\n", head, type, quotient ? '/' : '%');
  const std::string wide = t.bits > 32 ? "u64" : "u32";
  if (!floor && quotient) {
    return fmt::format("{0}  return b == 0 ? 0 : b == -1 ? ({1})(0 - ({2})a) : ({1})(a / b);\n}}\n", head,
                       type, wide);
  }
  if (!floor) return fmt::format("{}  return b == 0 || b == -1 ? 0 : ({})(a % b);\n}}\n", head, type);
  const std::string rest = BinaryFunction(BinaryOp::kTruncMod, t);
  std::string text = fmt::format("{}  const {} r = {}(a, b);\n", head, type, rest);
  if (!quotient) return text + fmt::format("  return r != 0 && (r ^ b) < 0 ? ({})(r + b) : r;\n}}\n", type);
  return text + fmt::format("  return ({0})({1}(a, b) - (r != 0 && (r ^ b) < 0));\n}}\n", type,
                            BinaryFunction(BinaryOp::kTruncDiv, t));
}

std::string Support::ScalarBinary(BinaryOp op, DataType t) {
  const std::string type = Type(t), name = fmt::format("{}_{}", type, FunctionStem(op));
  const std::string result = IsComparison(op) ? "bool" : type;
  const std::string head = fmt::format("TW_INLINE {} {}({} a, {} b) {{", result, name, type, type);
  if (IsHalf(t)) {
    const std::string widen = ConvertHalf(t, kF32);
    if (op == BinaryOp::kMin || op == BinaryOp::kMax || op == BinaryOp::kTruncMod) {
      return fmt::format("{} return {}({}({}(a), {}(b))); }}\n", head, ConvertHalf(kF32, t),
                         BinaryFunction(op, kF32), widen, widen);
    }
    const std::string value = fmt::format("{}(a) {} {}(b)", widen, BinaryOpText(op), widen);
    if (IsComparison(op)) return fmt::format("{} return {}; }}\n", head, value);
    return fmt::format("{} return {}({}); }}\n", head, ConvertHalf(kF32, t), value);
  }
  if (op == BinaryOp::kMin || op == BinaryOp::kMax) {
    const char sign = op == BinaryOp::kMin ? '<' : '>';
    const char* nan = t.is_float() ? " || a != a" : "";  // and NaN in b is what a failing comparison takes
    return fmt::format("{} return a {} b{} ? a : b; }}\n", head, sign, nan);
  }
  if (t.is_float()) {
    TW_CHECK(op == BinaryOp::kTruncMod, "{} on {} is an operator of C", BinaryOpText(op), type);
    return fmt::format("{} return {}(a, b); }}\n", head, t.bits == 64 ? "fmod" : "fmodf");
  }
  return IntegerDivision(op, t);
}

std::string Support::VectorMinMax(BinaryOp op, DataType t) {
  const std::string type = Type(t), select = Select(t);
  const char sign = op == BinaryOp::kMin ? '<' : '>';
  const std::string nan = t.is_float() ? " | (a != a)" : "";
  return fmt::format("TW_INLINE {0} {0}_{1}({0} a, {0} b) {{\n  return {2}((a {3} b){4}, a, b);\n}}\n", type,
                     FunctionStem(op), select, sign, nan);
}

std::string Support::BinaryFunction(BinaryOp op, DataType t) {
  const std::string name = fmt::format("{}_{}", Type(t), FunctionStem(op));
  if (defined_.contains(name)) return name;
  if (t.is_scalar()) return Define(name, [&] { return ScalarBinary(op, t); });
  if ((op == BinaryOp::kMin || op == BinaryOp::kMax) && !IsHalf(t)) {
    return Define(name, [&] { return VectorMinMax(op, t); });
  }
  return Define(name, [&] {
    const std::string scalar = BinaryFunction(op, t.element());
    const bool compares = IsComparison(op);
    const std::string result = compares ? MaskType(int(t.element_bytes()) * 8, t.lanes) : Type(t);
    auto lane = [&](int i) { return fmt::format("{}{}(a[{}], b[{}])", compares ? "-" : "", scalar, i, i); };
    return fmt::format("TW_INLINE {0} {1}({2} a, {2} b) {{\n  return ({0}){{{3}}};\n}}\n", result, name,
                       Type(t), Listed(t.lanes, lane));
  });
}

std::string Support::ScalarIntrinsic(Intrinsic op, DataType t) {
  const std::string_view stem = GetIntrinsicInfo(op).name;
  const std::string type = Type(t), name = fmt::format("{}_{}", type, stem);
  const bool tests = op == Intrinsic::k_isnan || op == Intrinsic::k_isinf;
  auto unary = [&](const std::string& value) {
    return fmt::format("TW_INLINE {} {}({} x) {{ return {}; }}\n", tests ? "bool" : type, name, type, value);
  };
  if (IsHalf(t)) {
    const std::string widen = ConvertHalf(t, kF32), wide = IntrinsicFunction(op, kF32);
    if (tests) return unary(fmt::format("{}({}(x))", wide, widen));
    const std::string narrow = ConvertHalf(kF32, t);
    if (op == Intrinsic::k_fma) {
      return fmt::format(
          "TW_INLINE {0} {1}({0} a, {0} b, {0} c) {{ return {2}({3}({4}(a), {4}(b), {4}(c))); }}\n", type,
          name, narrow, wide, widen);
    }
    return unary(fmt::format("{}({}({}(x)))", narrow, wide, widen));
  }
  const char* f = t.is_float() && t.bits == 32 ? "f" : "";
  const std::string wide = t.bits > 32 ? "u64" : "u32";
  switch (op) {
    case Intrinsic::k_sqrt:
      return unary(fmt::format("sqrt{}(x)", f));
    case Intrinsic::k_rsqrt:
      return unary(fmt::format("({})1 / sqrt{}(x)", type, f));
    case Intrinsic::k_abs:
      if (t.is_float()) return unary(fmt::format("fabs{}(x)", f));
      return unary(fmt::format("({0})(x < 0 ? 0 - ({1})x : ({1})x)", type, wide));
    case Intrinsic::k_floor:
    case Intrinsic::k_ceil:
    case Intrinsic::k_trunc:
      return unary(fmt::format("{}{}(x)", stem, f));
    case Intrinsic::k_round:  // to even, as the default rounding mode has it
      return unary(fmt::format("nearbyint{}(x)", f));
    case Intrinsic::k_fma:
      return fmt::format("TW_INLINE {0} {1}({0} a, {0} b, {0} c) {{ return fma{2}(a, b, c); }}\n", type, name,
                         f);
    case Intrinsic::k_isnan:
      return unary("x != x");
    case Intrinsic::k_isinf:
      return unary(fmt::format("fabs{}(x) == ({})INFINITY", f, type));
    case Intrinsic::k_popcount:
      return fmt::format(
          "TW_INLINE {0} {1}({0} x) {{\n  {0} n = 0;\n  for (u64 rest = (u{2})x; rest; rest &= rest - 1) "
          "++n;\n"
          "  return n;\n}}\n",
          type, name, std::max<int>(t.bits, 8));
    case Intrinsic::k_shift_left:
      return fmt::format(
          "TW_INLINE {0} {1}({0} x, {0} n) {{\n  return (u64)n < {2} ? ({0})(({3})x << n) : 0;\n}}\n", type,
          name, t.bits, wide);
    case Intrinsic::k_shift_right:
      return fmt::format(
          "TW_INLINE {0} {1}({0} x, {0} n) {{\n  return ({0})((u64)n < {2} ? x >> n : {3});\n}}\n", type,
          name, t.bits, t.is_int() ? fmt::format("x >> {}", t.bits - 1) : "0");
    default:
      break;
  }
  TW_CHECK(false, "{} of {} reached code generation; lowering expands it", stem, t.ToString());
}

std::string Support::IntrinsicFunction(Intrinsic op, DataType t) {
  if (op == Intrinsic::k_vector_reduce_add || op == Intrinsic::k_vector_reduce_max ||
      op == Intrinsic::k_vector_reduce_min)
    return Reduce(op, t);
  if (op == Intrinsic::k_dot_u8s8_i32) return DotU8S8(t);
  if (op == Intrinsic::k_dot_bf16_f32) return DotBf16(t);
  const std::string name = fmt::format("{}_{}", Type(t), GetIntrinsicInfo(op).name);
  if (t.is_scalar()) return Define(name, [&] { return ScalarIntrinsic(op, t); });
  return Define(name, [&] {
    const std::string type = Type(t), scalar = IntrinsicFunction(op, t.element());
    const bool tests = op == Intrinsic::k_isnan || op == Intrinsic::k_isinf;
    const bool shifts = op == Intrinsic::k_shift_left || op == Intrinsic::k_shift_right;
    const std::string result = tests ? MaskType(8, t.lanes) : type;
    const std::string params = op == Intrinsic::k_fma ? fmt::format("{0} x, {0} y, {0} z", type)
                               : shifts               ? fmt::format("{0} x, {0} y", type)
                                                      : fmt::format("{} x", type);
    auto lane = [&](int i) {
      std::string args = fmt::format("x[{}]", i);
      if (shifts || op == Intrinsic::k_fma) args += fmt::format(", y[{}]", i);
      if (op == Intrinsic::k_fma) args += fmt::format(", z[{}]", i);
      return fmt::format("{}{}({})", tests ? "-" : "", scalar, args);
    };
    return fmt::format("TW_INLINE {0} {1}({2}) {{\n  return ({0}){{{3}}};\n}}\n", result, name, params,
                       Listed(t.lanes, lane));
  });
}

namespace {

/// Lanes [begin, begin + n) of `v` combined by halves: lane i with lane i + n/2, again and again, the order
/// that all code generators keep; lanes beyond the largest power of two apart and last.
std::string Halves(std::vector<std::string> lanes,
                   const std::function<std::string(const std::string&, const std::string&)>& combine) {
  const size_t whole = std::bit_floor(lanes.size());
  if (whole != lanes.size()) {
    std::vector<std::string> rest(lanes.begin() + int64_t(whole), lanes.end());
    lanes.resize(whole);
    return combine(Halves(lanes, combine), Halves(rest, combine));
  }
  for (size_t n = whole / 2; n > 0; n /= 2) {
    for (size_t i = 0; i < n; ++i) lanes[i] = combine(lanes[i], lanes[i + n]);
  }
  return lanes[0];
}

}  // namespace

std::string Support::Reduce(Intrinsic op, DataType vector) {
  const std::string name = fmt::format("{}_{}", Type(vector), GetIntrinsicInfo(op).name.substr(7));
  const DataType element = vector.element();
  const BinaryOp combine = op == Intrinsic::k_vector_reduce_add   ? BinaryOp::kAdd
                           : op == Intrinsic::k_vector_reduce_max ? BinaryOp::kMax
                                                                  : BinaryOp::kMin;
  return Define(name, [&] {
    std::vector<std::string> lanes;
    for (int i = 0; i < vector.lanes; ++i) lanes.push_back(fmt::format("v[{}]", i));
    const bool operates = combine == BinaryOp::kAdd && !IsHalf(element);
    const std::string function = operates ? "" : BinaryFunction(combine, element);
    // Sums of integers wrap, which only unsigned ones do in C.
    auto pair = [&](const std::string& a, const std::string& b) {
      if (!operates) return fmt::format("{}({}, {})", function, a, b);
      if (!element.is_int()) return fmt::format("({} + {})", a, b);
      const char* wide = element.bits > 32 ? "u64" : "u32";
      return fmt::format("({})(({}){} + ({}){})", Type(element), wide, a, wide, b);
    };
    return fmt::format("TW_INLINE {} {}({} v) {{\n  return {};\n}}\n", Type(element), name, Type(vector),
                       Halves(std::move(lanes), pair));
  });
}

std::string Support::DotU8S8(DataType acc) {
  const DataType a = DataType::UInt(8, acc.lanes * 4), b = DataType::Int(8, acc.lanes * 4);
  return Define(fmt::format("{}_dot_u8s8", Type(acc)), [&] {
    auto lane = [&](int i) {
      const std::string from = acc.is_scalar() ? "acc" : fmt::format("acc[{}]", i);
      std::string sum = fmt::format("(u32){}", from);
      for (int k = 0; k < 4; ++k) sum += fmt::format(" + (u32)(a[{0}] * b[{0}])", i * 4 + k);
      return fmt::format("(i32)({})", sum);
    };
    const std::string value =
        acc.is_scalar() ? lane(0) : fmt::format("({}){{{}}}", Type(acc), Listed(acc.lanes, lane));
    return fmt::format("TW_INLINE {0} {0}_dot_u8s8({0} acc, {1} a, {2} b) {{\n  return {3};\n}}\n", Type(acc),
                       Type(a), Type(b), value);
  });
}

std::string Support::DotBf16(DataType acc) {
  const DataType pairs = DataType::BFloat16(acc.lanes * 2);
  return Define(fmt::format("{}_dot_bf16", Type(acc)), [&] {
    const std::string widen = ConvertHalf(kBF16, kF32);
    auto lane = [&](int i) {
      std::string sum = acc.is_scalar() ? "acc" : fmt::format("acc[{}]", i);
      for (int k = 0; k < 2; ++k) sum += fmt::format(" + {0}(a[{1}]) * {0}(b[{1}])", widen, i * 2 + k);
      return sum;
    };
    const std::string value =
        acc.is_scalar() ? lane(0) : fmt::format("({}){{{}}}", Type(acc), Listed(acc.lanes, lane));
    return fmt::format("TW_INLINE {0} {0}_dot_bf16({0} acc, {1} a, {1} b) {{\n  return {2};\n}}\n", Type(acc),
                       Type(pairs), value);
  });
}

}  // namespace tilewright::c_codegen
