// SPDX-License-Identifier: Apache-2.0
#include "tilewright/ir/expr.h"

#include <bit>
#include <cmath>
#include <limits>

#include "tilewright/ir/float16.h"
#include "tilewright/ir/int_arith.h"

namespace tilewright {

namespace {

constexpr IntrinsicInfo kIntrinsics[] = {
#define TW_INTRIN(name, arity, pure) {#name, arity, pure},
    TW_INTRINSICS(TW_INTRIN)
#undef TW_INTRIN
};

struct BinaryInfo {
  std::string_view text;
  int strength;
};
constexpr BinaryInfo kBinaryOps[] = {
#define TW_OP(name, text, strength) {text, strength},
    TW_BINARY_OPS(TW_OP)
#undef TW_OP
};

}  // namespace

const IntrinsicInfo& GetIntrinsicInfo(Intrinsic op) { return kIntrinsics[size_t(op)]; }

std::optional<Intrinsic> FindIntrinsic(std::string_view name) {
  for (size_t i = 0; i < std::size(kIntrinsics); ++i) {
    if (kIntrinsics[i].name == name) return Intrinsic(i);
  }
  return std::nullopt;
}

std::string_view BinaryOpText(BinaryOp op) { return kBinaryOps[size_t(op)].text; }
int BinaryOpStrength(BinaryOp op) { return kBinaryOps[size_t(op)].strength; }
bool IsComparison(BinaryOp op) { return op >= BinaryOp::kEq && op <= BinaryOp::kLe; }

Expr::Expr(int64_t value) : Expr(new IntImmNode(DataType::Index(), value)) {}

Var::Var(std::string name, DataType dtype)
    : Var(new VarNode(std::move(name), dtype, INT64_MIN, INT64_MAX, 1)) {}

Var Var::Symbol(std::string name, int64_t min, int64_t max, int64_t multiple) {
  return Var(new VarNode(std::move(name), DataType::Index(), min, max, multiple));
}

Buffer::Buffer(std::string name, DataType dtype, std::vector<Expr> shape, std::string scope) {
  BufferNode node;
  node.buffer_name = std::move(name);
  node.dtype = dtype;
  node.shape = std::move(shape);
  node.scope = std::move(scope);
  *this = MakeBuffer(std::move(node));
}
const std::string& Buffer::name() const { return get()->buffer_name; }
const std::vector<Expr>& Buffer::shape() const { return get()->shape; }
DataType Buffer::dtype() const { return get()->dtype; }
const std::string& Buffer::scope() const { return get()->scope; }
Expr Buffer::operator()(std::vector<Expr> indices) const { return MakeLoad(*this, std::move(indices)); }
Buffer MakeBuffer(BufferNode node) { return Buffer(new BufferNode(std::move(node))); }

Expr MakeConst(DataType dtype, double value) {
  if (!dtype.is_scalar()) return MakeBroadcast(MakeConst(dtype.element(), value), dtype.lanes);
  if (dtype.is_float()) return Expr(new FloatImmNode(dtype, RoundToType(value, dtype)));
  return MakeConst(dtype, static_cast<int64_t>(value));
}

Expr MakeConst(DataType dtype, int64_t value) {
  if (!dtype.is_scalar()) return MakeBroadcast(MakeConst(dtype.element(), value), dtype.lanes);
  if (dtype.is_float()) return MakeConst(dtype, static_cast<double>(value));
  TW_CHECK(dtype.is_integer() || dtype.is_bool(), "no constant of type {}", dtype.ToString());
  return Expr(new IntImmNode(dtype, WrapToType(value, dtype)));
}

Expr MakeBool(bool value) { return MakeConst(kBool, int64_t(value)); }
Expr MakeString(std::string value) { return Expr(new StringImmNode(std::move(value))); }

namespace {

/// The trivial identities that construction applies; null when none fits.
Expr FoldTrivial(BinaryOp op, const Expr& a, const Expr& b) {
  const auto ia = AsInt(a), ib = AsInt(b);
  if (a.dtype().is_bool()) {
    if (op == BinaryOp::kAnd) return ia ? (*ia ? b : a) : ib ? (*ib ? a : b) : nullptr;
    if (op == BinaryOp::kOr) return ia ? (*ia ? a : b) : ib ? (*ib ? b : a) : nullptr;
  }
  if (!a.dtype().is_integer()) return nullptr;
  if (ia && ib && a.dtype() == DataType::Index()) {
    if (auto r = EvalIntBinary(op, a.dtype(), *ia, *ib))
      return IsComparison(op) ? MakeBool(*r) : MakeConst(a.dtype(), *r);
  }
  switch (op) {
    case BinaryOp::kAdd:
      return ia == 0 ? b : ib == 0 ? a : nullptr;
    case BinaryOp::kSub:
      return ib == 0 ? a : nullptr;
    case BinaryOp::kMul:
      return ia == 1 || ib == 0 ? b : ib == 1 || ia == 0 ? a : nullptr;
    case BinaryOp::kFloorDiv:
    case BinaryOp::kTruncDiv:
      return ib == 1 ? a : nullptr;
    case BinaryOp::kFloorMod:
    case BinaryOp::kTruncMod:
      return ib == 1 ? MakeConst(a.dtype(), 0) : nullptr;
    default:
      return nullptr;
  }
}

}  // namespace

Expr MakeBinary(BinaryOp op, Expr a, Expr b) {
  TW_CHECK(a.get() && b.get(), "operand of {} missing", BinaryOpText(op));
  TW_CHECK(a.dtype() == b.dtype(), "{} of {} and {}", BinaryOpText(op), a.dtype().ToString(),
           b.dtype().ToString());
  const DataType t = a.dtype();
  if (op == BinaryOp::kDiv) TW_CHECK(t.is_float(), "'/' is for floats; got {}", t.ToString());
  if (op == BinaryOp::kFloorDiv || op == BinaryOp::kFloorMod || op == BinaryOp::kTruncDiv) {
    TW_CHECK(t.is_integer(), "{} is for integers; got {}", BinaryOpText(op), t.ToString());
  }
  if (op == BinaryOp::kAnd || op == BinaryOp::kOr)
    TW_CHECK(t.is_bool(), "'{}' of {}", BinaryOpText(op), t.ToString());
  if (Expr folded = FoldTrivial(op, a, b)) return folded;
  DataType result = IsComparison(op) ? DataType::Bool(t.lanes) : t;
  if (IsComparison(op)) result.scalable = t.scalable;
  return Expr(new BinaryNode(op, result, std::move(a), std::move(b)));
}

Expr MakeCast(DataType dtype, Expr value) {
  if (value.dtype() == dtype) return value;
  TW_CHECK(dtype.lanes == value.dtype().lanes, "cast of {} to {}", value.dtype().ToString(),
           dtype.ToString());
  if (auto i = AsInt(value); i && dtype == DataType::Index() && value.dtype().is_int()) return Expr(*i);
  return Expr(new CastNode(dtype, std::move(value)));
}

Expr MakeNot(Expr value) {
  TW_CHECK(value.dtype().is_bool(), "'!' of {}", value.dtype().ToString());
  if (auto v = AsInt(value)) return MakeBool(!*v);
  const DataType t = value.dtype();
  return Expr(new NotNode(t, std::move(value)));
}

Expr MakeSelect(Expr condition, Expr true_value, Expr false_value) {
  TW_CHECK(condition.dtype().is_bool() && true_value.dtype() == false_value.dtype(), "select({}, {}, {})",
           condition.dtype().ToString(), true_value.dtype().ToString(), false_value.dtype().ToString());
  if (auto c = AsInt(condition)) return *c ? true_value : false_value;
  return Expr(new SelectNode(std::move(condition), std::move(true_value), std::move(false_value)));
}

Expr MakeIfThenElse(Expr condition, Expr true_value, Expr false_value) {
  TW_CHECK(condition.dtype().is_bool() && true_value.dtype() == false_value.dtype(),
           "if_then_else({}, {}, {})", condition.dtype().ToString(), true_value.dtype().ToString(),
           false_value.dtype().ToString());
  if (auto c = AsInt(condition)) return *c ? true_value : false_value;
  return Expr(new IfThenElseNode(std::move(condition), std::move(true_value), std::move(false_value)));
}

Expr MakeLet(Var var, Expr value, Expr body) {
  TW_CHECK(var.dtype() == value.dtype(), "let {}: {} = {}", var.name(), var.dtype().ToString(),
           value.dtype().ToString());
  return Expr(new LetNode(std::move(var), std::move(value), std::move(body)));
}

Expr MakeCall(DataType dtype, Intrinsic op, std::vector<Expr> args) {
  const IntrinsicInfo& info = GetIntrinsicInfo(op);
  TW_CHECK(info.arity < 0 || size_t(info.arity) == args.size(), "{} takes {} arguments, got {}", info.name,
           info.arity, args.size());
  return Expr(new CallNode(dtype, op, std::move(args)));
}

Expr MakeCall(Intrinsic op, std::vector<Expr> args) {
  TW_CHECK(!args.empty(), "{} needs an explicit dtype", GetIntrinsicInfo(op).name);
  DataType t = args.front().dtype();
  if (op == Intrinsic::k_isnan || op == Intrinsic::k_isinf) t = DataType::Bool(t.lanes);
  if (op == Intrinsic::k_vector_reduce_add || op == Intrinsic::k_vector_reduce_max ||
      op == Intrinsic::k_vector_reduce_min) {
    t = t.element();
  }
  return MakeCall(t, op, std::move(args));
}

Expr MakeLoad(Buffer buffer, std::vector<Expr> indices, Expr predicate) {
  TW_CHECK(buffer, "load of no buffer");
  TW_CHECK(indices.size() == buffer.shape().size(), "{} has rank {}, indexed by {}", buffer.name(),
           buffer.shape().size(), indices.size());
  int lanes = buffer.dtype().lanes;
  for (const Expr& i : indices) lanes = std::max<int>(lanes, i.dtype().lanes * buffer.dtype().lanes);
  const DataType t = buffer.dtype().WithLanes(lanes);
  return Expr(new LoadNode(t, std::move(buffer), std::move(indices), std::move(predicate)));
}

Expr MakeRamp(Expr base, Expr stride, int lanes) {
  TW_CHECK(base.dtype() == stride.dtype() && base.dtype().is_scalar() && lanes > 1, "ramp({}, {}, {})",
           base.dtype().ToString(), stride.dtype().ToString(), lanes);
  return Expr(new RampNode(std::move(base), std::move(stride), lanes));
}

Expr MakeBroadcast(Expr value, int lanes) {
  TW_CHECK(value.dtype().is_scalar(), "broadcast of {}", value.dtype().ToString());
  if (lanes == 1) return value;
  return Expr(new BroadcastNode(std::move(value), lanes));
}

Expr MakeShuffle(std::vector<Expr> vectors, std::vector<int> lanes) {
  TW_CHECK(!vectors.empty() && !lanes.empty(), "empty shuffle");
  return Expr(new ShuffleNode(std::move(vectors), std::move(lanes)));
}

Expr MaxValue(DataType t) {
  if (t.is_float()) return MakeConst(t, std::numeric_limits<double>::infinity());
  if (t.is_bool()) return MakeBool(true);
  if (t.is_uint()) return MakeConst(t, t.bits == 64 ? int64_t(-1) : (int64_t(1) << t.bits) - 1);
  return MakeConst(t, t.bits == 64 ? INT64_MAX : (int64_t(1) << (t.bits - 1)) - 1);
}

Expr MinValue(DataType t) {
  if (t.is_float()) return MakeConst(t, -std::numeric_limits<double>::infinity());
  if (t.is_bool()) return MakeBool(false);
  if (t.is_uint()) return MakeConst(t, 0);
  return MakeConst(t, t.bits == 64 ? INT64_MIN : -(int64_t(1) << (t.bits - 1)));
}

Expr operator+(Expr a, Expr b) { return MakeBinary(BinaryOp::kAdd, std::move(a), std::move(b)); }
Expr operator-(Expr a, Expr b) { return MakeBinary(BinaryOp::kSub, std::move(a), std::move(b)); }
Expr operator*(Expr a, Expr b) { return MakeBinary(BinaryOp::kMul, std::move(a), std::move(b)); }
Expr operator/(Expr a, Expr b) { return MakeBinary(BinaryOp::kDiv, std::move(a), std::move(b)); }
// -x is not 0 - x for floats: the sign of zero would be lost.
Expr operator-(Expr a) { return a * MakeConst(a.dtype(), int64_t(-1)); }
Expr FloorDiv(Expr a, Expr b) { return MakeBinary(BinaryOp::kFloorDiv, std::move(a), std::move(b)); }
Expr FloorMod(Expr a, Expr b) { return MakeBinary(BinaryOp::kFloorMod, std::move(a), std::move(b)); }
Expr CeilDiv(Expr a, Expr b) { return FloorDiv(a + (b - MakeConst(b.dtype(), 1)), b); }
Expr TruncDiv(Expr a, Expr b) { return MakeBinary(BinaryOp::kTruncDiv, std::move(a), std::move(b)); }
Expr TruncMod(Expr a, Expr b) { return MakeBinary(BinaryOp::kTruncMod, std::move(a), std::move(b)); }
Expr Min(Expr a, Expr b) { return MakeBinary(BinaryOp::kMin, std::move(a), std::move(b)); }
Expr Max(Expr a, Expr b) { return MakeBinary(BinaryOp::kMax, std::move(a), std::move(b)); }
Expr Eq(Expr a, Expr b) { return MakeBinary(BinaryOp::kEq, std::move(a), std::move(b)); }
Expr Ne(Expr a, Expr b) { return MakeBinary(BinaryOp::kNe, std::move(a), std::move(b)); }
Expr operator<(Expr a, Expr b) { return MakeBinary(BinaryOp::kLt, std::move(a), std::move(b)); }
Expr operator<=(Expr a, Expr b) { return MakeBinary(BinaryOp::kLe, std::move(a), std::move(b)); }
Expr operator>(Expr a, Expr b) { return MakeBinary(BinaryOp::kLt, std::move(b), std::move(a)); }
Expr operator>=(Expr a, Expr b) { return MakeBinary(BinaryOp::kLe, std::move(b), std::move(a)); }
Expr operator&&(Expr a, Expr b) { return MakeBinary(BinaryOp::kAnd, std::move(a), std::move(b)); }
Expr operator||(Expr a, Expr b) { return MakeBinary(BinaryOp::kOr, std::move(a), std::move(b)); }

std::optional<int64_t> AsInt(const Expr& e) {
  if (auto* imm = e.As<IntImmNode>()) return imm->value;
  return std::nullopt;
}

std::optional<double> AsNumber(const Expr& e) {
  if (auto* imm = e.As<FloatImmNode>()) return imm->value;
  if (auto* imm = e.As<IntImmNode>()) {
    return imm->dtype == kU64 ? static_cast<double>(static_cast<uint64_t>(imm->value))
                              : static_cast<double>(imm->value);
  }
  return std::nullopt;
}

namespace {

/// A NaN is itself, and the zeros are two.
bool SameBits(double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b); }

}  // namespace

bool AttrEqual(const AttrValue& a, const AttrValue& b) {
  if (a.index() != b.index()) return false;
  if (auto* e = std::get_if<Expr>(&a)) return StructuralEqual(*e, std::get<Expr>(b));
  if (auto* list = std::get_if<std::vector<Expr>>(&a)) {
    const auto& other = std::get<std::vector<Expr>>(b);
    return std::equal(list->begin(), list->end(), other.begin(), other.end(), StructuralEqual);
  }
  return std::visit(
      [&]<class T>(const T& value) {
        if constexpr (std::is_same_v<T, Expr> || std::is_same_v<T, std::vector<Expr>>) {
          return false;
        } else if constexpr (std::is_same_v<T, double>) {
          return SameBits(value, std::get<T>(b));
        } else if constexpr (std::is_same_v<T, std::vector<double>>) {
          return std::ranges::equal(value, std::get<T>(b), SameBits);
        } else {
          return value == std::get<T>(b);
        }
      },
      a);
}

}  // namespace tilewright
