// SPDX-License-Identifier: Apache-2.0
// Element-wise operators.
#include <limits>

#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {
namespace {

// ---- One argument, no attributes: the name there and here.

struct Renamed {
  const char* onnx;
  const char* core;
};
constexpr Renamed kUnary[] = {
    {"Abs", "Abs"},
    {"Neg", "Neg"},
    {"Sign", "Sign"},
    {"Relu", "Relu"},
    {"Sqrt", "Sqrt"},
    {"Reciprocal", "Reciprocal"},
    {"Exp", "Exp"},
    {"Log", "Log"},
    {"Floor", "Floor"},
    {"Ceil", "Ceil"},
    {"Round", "Round"},
    {"Sin", "Sin"},
    {"Cos", "Cos"},
    {"Tan", "Tan"},
    {"Asin", "Asin"},
    {"Acos", "Acos"},
    {"Atan", "Atan"},
    {"Sinh", "Sinh"},
    {"Cosh", "Cosh"},
    {"Tanh", "Tanh"},
    {"Asinh", "Asinh"},
    {"Acosh", "Acosh"},
    {"Atanh", "Atanh"},
    {"Erf", "Erf"},
    {"Sigmoid", "Sigmoid"},
    {"Softplus", "Softplus"},
    {"Softsign", "Softsign"},
    {"Mish", "Mish"},
    {"HardSwish", "HardSwish"},
    {"Not", "Not"},
    {"BitwiseNot", "BitwiseNot"},
    {"IsNaN", "IsNaN"},
};

const char* CoreUnary(const std::string& onnx) {
  for (const Renamed& r : kUnary) {
    if (onnx == r.onnx) return r.core;
  }
  return nullptr;
}

void Unary(NodeContext& ctx) { ctx.Set(0, ctx.Call(CoreUnary(ctx.node().op_type()), {ctx.Arg(0)})); }

// ---- Two arguments.

constexpr Renamed kBinary[] = {
    {"Add", "Add"},
    {"Sub", "Sub"},
    {"Mul", "Mul"},
    {"Div", "Div"},
    {"Pow", "Pow"},
    {"And", "And"},
    {"Or", "Or"},
    {"Xor", "Xor"},
    {"Equal", "Equal"},
    {"Less", "Less"},
    {"LessOrEqual", "LessEqual"},
    {"BitwiseAnd", "BitwiseAnd"},
    {"BitwiseOr", "BitwiseOr"},
    {"BitwiseXor", "BitwiseXor"},
    {"PRelu", "PRelu"},
};

/// The second argument as operator sets up to 6 broadcast it: its axes lie at `axis` of the first's.
Value LegacyOperand(NodeContext& ctx) {
  Value b = ctx.Arg(1);
  if (ctx.opset() >= 7 || ctx.Int("broadcast", 0) == 0) {
    ctx.Ignore({"broadcast", "axis"});
    return b;
  }
  const int64_t rank = ctx.Rank(0), mine = b.tensor().rank();
  const int64_t axis = ctx.HasAttr("axis") ? AxisFromFront(ctx, ctx.Int("axis"), rank) : rank - mine;
  if (axis + mine > rank)
    ctx.Fail("TW2015", fmt::format("axis {} leaves no room for the second argument", axis));
  std::vector<Expr> shape = b.tensor().shape;
  shape.resize(size_t(rank - axis), Expr(1));
  return ctx.Reshape(b, shape);
}

/// Up to operator set 6 a slope per channel is a vector.
void EarlyPRelu(NodeContext& ctx) {
  Value slope = ctx.Arg(1);
  std::vector<Expr> shape(size_t(std::max(ctx.Rank(0) - 1, 1)), Expr(1));
  shape[0] = slope.tensor().NumElements();
  if (IsInt(shape[0], 1)) shape.clear();
  ctx.Set(0, ctx.Call("PRelu", {ctx.Arg(0), ctx.Reshape(slope, shape)}));
}

void Binary(NodeContext& ctx) {
  for (const Renamed& r : kBinary) {
    if (ctx.node().op_type() == r.onnx) {
      Value b = ctx.opset() < 7 ? LegacyOperand(ctx) : ctx.Arg(1);
      return ctx.Set(0, ctx.Call(r.core, {ctx.Arg(0), b}));
    }
  }
}

/// Small whole powers are products: closer to the exact result than exp(y log x), and faster by far.
void Pow(NodeContext& ctx) {
  const std::optional<Known> exponent = ctx.Has(1) ? ctx.KnownInput(1) : std::nullopt;
  const auto numbers = exponent ? exponent->Numbers() : std::nullopt;
  if (!numbers || numbers->size() != 1 || int64_t(exponent->shape.size()) > ctx.Rank(0)) return Binary(ctx);
  ctx.Ignore({"broadcast", "axis"});
  const Value x = ctx.Arg(0);
  const double n = numbers->front();
  if (n == 2) return ctx.Set(0, ctx.Call("Mul", {x, x}));
  if (n == 3) return ctx.Set(0, ctx.Call("Mul", {ctx.Call("Mul", {x, x}), x}));
  Binary(ctx);
}

void Greater(NodeContext& ctx) {
  Value b = ctx.opset() < 7 ? LegacyOperand(ctx) : ctx.Arg(1);
  ctx.Set(0, ctx.Call("Less", {b, ctx.Arg(0)}));
}
void GreaterOrEqual(NodeContext& ctx) { ctx.Set(0, ctx.Call("LessEqual", {ctx.Arg(1), ctx.Arg(0)})); }

void Mod(NodeContext& ctx) {
  bool truncated = ctx.Int("fmod", 0) != 0;
  if (!truncated && ctx.opset() < 28 && ctx.DType(0).is_float()) {
    ctx.Fail("TW2015", "Mod of floating-point numbers needs fmod = 1 before operator set 28");
  }
  ctx.Set(0, ctx.Call(truncated ? "TruncMod" : "FloorMod", {ctx.Arg(0), ctx.Arg(1)}));
}

void BitShift(NodeContext& ctx) {
  std::string direction = ctx.String("direction");
  if (direction != "LEFT" && direction != "RIGHT") {
    ctx.Fail("TW2015", fmt::format("direction is '{}', expected LEFT or RIGHT", direction));
  }
  ctx.Set(0, ctx.Call(direction == "LEFT" ? "ShiftLeft" : "ShiftRight", {ctx.Arg(0), ctx.Arg(1)}));
}

/// Folds any number of arguments by a core operator of two.
Value FoldArgs(NodeContext& ctx, const char* core) {
  Value y = ctx.Arg(0);
  for (size_t i = 1; i < ctx.size(); ++i) y = ctx.Call(core, {y, ctx.Arg(i)});
  return y;
}
void Sum(NodeContext& ctx) { ctx.Set(0, FoldArgs(ctx, "Add")); }
void Max(NodeContext& ctx) { ctx.Set(0, FoldArgs(ctx, "Maximum")); }
void Min(NodeContext& ctx) { ctx.Set(0, FoldArgs(ctx, "Minimum")); }
void Mean(NodeContext& ctx) {
  Value sum = FoldArgs(ctx, "Add");
  ctx.Set(0, ctx.Call("Div", {sum, ctx.Scalar(sum.tensor().dtype, double(ctx.size()))}));
}

void Where(NodeContext& ctx) { ctx.Set(0, ctx.Call("Where", {ctx.Arg(0), ctx.Arg(1), ctx.Arg(2)})); }

void Clip(NodeContext& ctx) {
  Value x = ctx.Arg(0), low, high;
  const DataType t = ctx.DType(0);
  if (ctx.opset() < 11) {
    if (ctx.HasAttr("min")) low = ctx.Scalar(t, ctx.Float("min"));
    if (ctx.HasAttr("max")) high = ctx.Scalar(t, ctx.Float("max"));
  } else {
    low = ctx.OptionalArg(1);
    high = ctx.OptionalArg(2);
  }
  // Where min exceeds max, ONNX wants max.
  if (low) x = ctx.Call("Maximum", {x, ctx.Reshape(low, {})});
  if (high) x = ctx.Call("Minimum", {x, ctx.Reshape(high, {})});
  ctx.Set(0, !low && !high ? ctx.Call("Identity", {x}) : x);
}

// ---- Types.

void Cast(NodeContext& ctx) {
  ctx.Ignore({"saturate", "round_mode"});
  // The first operator sets name the type.
  if (ctx.opset() < 6) {
    static const std::map<std::string, DataType> kNames = {
        {"FLOAT", kF32},  {"DOUBLE", kF64}, {"FLOAT16", kF16}, {"INT8", kI8},
        {"INT16", kI16},  {"INT32", kI32},  {"INT64", kI64},   {"UINT8", kU8},
        {"UINT16", kU16}, {"UINT32", kU32}, {"UINT64", kU64},  {"BOOL", kBool}};
    auto it = kNames.find(ctx.String("to"));
    if (it == kNames.end()) ctx.Fail("TW2016", fmt::format("type '{}' is not supported", ctx.String("to")));
    return ctx.Set(0, ctx.Call("Cast", {ctx.Arg(0)}, {{"to", it->second}}));
  }
  int64_t to = ctx.Int("to");
  DataType type = ElementType(to < 0 || to > 1000 ? -1 : int32_t(to), "the result of Cast");
  ctx.Set(0, ctx.Call("Cast", {ctx.Arg(0)}, {{"to", type}}));
}

void CastLike(NodeContext& ctx) {
  ctx.Ignore({"saturate", "round_mode"});
  ctx.Set(0, ctx.Call("Cast", {ctx.Arg(0)}, {{"to", ctx.DType(1)}}));
}

void BitCast(NodeContext& ctx) {
  const int64_t to = ctx.Int("to");
  DataType type = ElementType(to < 0 || to > 1000 ? -1 : int32_t(to), "the result of BitCast");
  ctx.Set(0, ctx.Call("BitCast", {ctx.Arg(0)}, {{"to", type}}));
}

// ---- Activations.

void AlphaBeta(NodeContext& ctx, const char* core, double alpha, double beta) {
  ctx.Set(0, ctx.Call(core, {ctx.Arg(0)}, {{"alpha", alpha}, {"beta", beta}}));
}
void LeakyRelu(NodeContext& ctx) { AlphaBeta(ctx, "LeakyRelu", ctx.Float("alpha", 0.01f), 0); }
void Elu(NodeContext& ctx) { AlphaBeta(ctx, "Elu", ctx.Float("alpha", 1), 0); }
void Celu(NodeContext& ctx) { AlphaBeta(ctx, "Celu", ctx.Float("alpha", 1), 0); }
void ThresholdedRelu(NodeContext& ctx) { AlphaBeta(ctx, "ThresholdedRelu", ctx.Float("alpha", 1), 0); }
void Swish(NodeContext& ctx) { AlphaBeta(ctx, "Swish", ctx.Float("alpha", 1), 0); }
void HardSigmoid(NodeContext& ctx) {
  AlphaBeta(ctx, "HardSigmoid", ctx.Float("alpha", 0.2f), ctx.Float("beta", 0.5f));
}
void Selu(NodeContext& ctx) {
  // Defaults of operator set 6 on; before, they had fewer digits.
  bool early = ctx.opset() < 6;
  AlphaBeta(ctx, "Selu", ctx.Float("alpha", early ? 1.6732f : 1.67326319217681884765625f),
            ctx.Float("gamma", early ? 1.0507f : 1.05070102214813232421875f));
}
void Shrink(NodeContext& ctx) { AlphaBeta(ctx, "Shrink", ctx.Float("lambd", 0.5), ctx.Float("bias", 0)); }
void Gelu(NodeContext& ctx) {
  std::string approximate = ctx.String("approximate", "none");
  if (approximate != "none" && approximate != "tanh") {
    ctx.Fail("TW2015", fmt::format("approximate is '{}', expected none or tanh", approximate));
  }
  ctx.Set(0, ctx.Call(approximate == "tanh" ? "GeluTanh" : "Gelu", {ctx.Arg(0)}));
}
void IsInf(NodeContext& ctx) {
  ctx.Set(0, ctx.Call("IsInf", {ctx.Arg(0)},
                      {{"negative", ctx.Int("detect_negative", 1) != 0},
                       {"positive", ctx.Int("detect_positive", 1) != 0}}));
}

std::vector<OpRow> Rows() {
  std::vector<OpRow> rows = {
      {"Greater", 1, 0, Greater},
      {"GreaterOrEqual", 12, 0, GreaterOrEqual},
      {"PRelu", 1, 6, EarlyPRelu},
      {"Mod", 10, 0, Mod},
      {"BitShift", 11, 0, BitShift},
      {"Sum", 1, 0, Sum},
      {"Max", 1, 0, Max},
      {"Min", 1, 0, Min},
      {"Mean", 1, 0, Mean},
      {"Where", 9, 0, Where},
      {"Clip", 1, 0, Clip},
      {"Cast", 1, 0, Cast},
      {"CastLike", 15, 0, CastLike},
      {"BitCast", 26, 0, BitCast},
      {"LeakyRelu", 1, 0, LeakyRelu},
      {"Elu", 1, 0, Elu},
      {"Celu", 12, 0, Celu},
      {"ThresholdedRelu", 10, 0, ThresholdedRelu},
      {"Swish", 24, 0, Swish},
      {"HardSigmoid", 1, 0, HardSigmoid},
      {"Selu", 1, 0, Selu},
      {"Shrink", 9, 0, Shrink},
      {"Gelu", 20, 0, Gelu},
      {"IsInf", 10, 0, IsInf},
  };
  for (const Renamed& r : kUnary) rows.push_back({r.onnx, 1, 0, Unary});
  for (const Renamed& r : kBinary) {
    rows.push_back({r.onnx, 1, 0, std::string_view(r.onnx) == "Pow" ? Pow : Binary});
  }
  return rows;
}

[[maybe_unused]] const bool kRegistered = RegisterRows(Rows());

}  // namespace
}  // namespace tilewright::onnx
