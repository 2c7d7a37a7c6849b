// SPDX-License-Identifier: Apache-2.0
// Scalar and vector expressions: shapes of the graph level and everything computed at the kernel level.
// The whole grammar is on this page; semantics (overflow, NaN, rounding, order) are in docs/ir.md.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "tilewright/ir/dtype.h"
#include "tilewright/support/error.h"
#include "tilewright/support/ref.h"

namespace tilewright {

// The one list of node kinds: it drives the enum, the names, and Dispatch below.
#define TW_EXPR_KINDS(X) \
  X(Var)                 \
  X(IntImm)              \
  X(FloatImm)            \
  X(StringImm)           \
  X(Cast)                \
  X(Binary)              \
  X(Not)                 \
  X(Select)              \
  X(IfThenElse)          \
  X(Let)                 \
  X(Call)                \
  X(Load)                \
  X(Ramp)                \
  X(Broadcast)           \
  X(Shuffle)

enum class ExprKind : uint8_t {
#define TW_KIND(name) k##name,
  TW_EXPR_KINDS(TW_KIND)
#undef TW_KIND
};

// Two-operand operators: name, text, binding strength (higher binds tighter; 0 prints as a function).
// Both operands have the node's dtype, but for comparisons, whose dtype is bool with the operands' lanes.
#define TW_BINARY_OPS(X)                                                       \
  X(Add, "+", 6)                                                               \
  X(Sub, "-", 6)                                                               \
  X(Mul, "*", 7)                                                               \
  X(Div, "/", 7)             /* floats: IEEE division */                       \
  X(FloorDiv, "//", 7)       /* integers, rounds towards minus infinity */     \
  X(FloorMod, "%", 7)        /* integers, sign of the divisor */               \
  X(TruncDiv, "truncdiv", 0) /* integers, rounds towards zero (C, ONNX Div) */ \
  X(TruncMod, "truncmod", 0) /* integers and floats: C's % and fmod */         \
  X(Min, "min", 0)           /* floats: NaN if either is NaN */                \
  X(Max, "max", 0)           /* floats: NaN if either is NaN */                \
  X(Eq, "==", 4)                                                               \
  X(Ne, "!=", 4)                                                               \
  X(Lt, "<", 5)                                                                \
  X(Le, "<=", 5)                                                               \
  X(And, "&&", 3)                                                              \
  X(Or, "||", 2)

enum class BinaryOp : uint8_t {
#define TW_OP(name, text, strength) k##name,
  TW_BINARY_OPS(TW_OP)
#undef TW_OP
};

// Intrinsic functions: name, number of arguments (-1: any), pure.
// Pure ones act lane by lane; f(x, y) takes equal dtypes and yields them unless said otherwise.
// clang-format off: it would lay the rows out by their length
#define TW_INTRINSICS(X) \
  X(exp, 1, true) X(exp2, 1, true) X(log, 1, true) X(log2, 1, true) X(log1p, 1, true) X(expm1, 1, true)     \
  X(sqrt, 1, true) X(rsqrt, 1, true) X(pow, 2, true) X(tanh, 1, true) X(sigmoid, 1, true) X(erf, 1, true)   \
  X(sin, 1, true) X(cos, 1, true) X(tan, 1, true) X(asin, 1, true) X(acos, 1, true) X(atan, 1, true)        \
  X(atan2, 2, true) X(sinh, 1, true) X(cosh, 1, true) X(asinh, 1, true) X(acosh, 1, true) X(atanh, 1, true) \
  X(abs, 1, true) X(floor, 1, true) X(ceil, 1, true) X(trunc, 1, true)                                      \
  X(round, 1, true) /* half to even */ X(fma, 3, true) /* a*b+c, rounded once */                            \
  X(isnan, 1, true) X(isinf, 1, true) /* bool */                                                            \
  X(bit_and, 2, true) X(bit_or, 2, true) X(bit_xor, 2, true) X(bit_not, 1, true)                            \
  X(shift_left, 2, true) X(shift_right, 2, true) X(popcount, 1, true)                                       \
  X(reinterpret, 1, true) /* same bits, other dtype of equal width */                                       \
  X(likely, 1, true) /* bool: a hint for loop_partition, no effect on the value */                          \
  X(vector_reduce_add, 1, true) X(vector_reduce_max, 1, true) X(vector_reduce_min, 1, true)                 \
  X(dot_u8s8_i32, 3, true) /* acc: i32xN, a: u8x4N, b: i8x4N; 4-way dot products */                         \
  X(dot_bf16_f32, 3, true) /* acc: f32xN, a, b: bf16x2N; 2-way dot products */                              \
  X(prefetch, 2, false) /* prefetch(load of the address, locality 0..3) */                                  \
  X(barrier, -1, false) /* barrier(scope name): all threads of the scope */                                 \
  X(async_copy, -1, false) X(async_wait, -1, false) /* DMA tokens */                                        \
  X(extern_call, -1, false) /* extern_call(name, args...): a host or device routine */
// clang-format on

enum class Intrinsic : uint16_t {
#define TW_INTRIN(name, arity, pure) k_##name,
  TW_INTRINSICS(TW_INTRIN)
#undef TW_INTRIN
};

struct IntrinsicInfo {
  std::string_view name;
  int arity;  ///< -1: any number
  bool pure;
};
const IntrinsicInfo& GetIntrinsicInfo(Intrinsic op);
std::optional<Intrinsic> FindIntrinsic(std::string_view name);
std::string_view BinaryOpText(BinaryOp op);
int BinaryOpStrength(BinaryOp op);
bool IsComparison(BinaryOp op);

/// Base of all expression nodes; immutable.
struct ExprNode : Object {
  ExprKind kind;
  DataType dtype;
  ExprNode(ExprKind k, DataType t) : kind(k), dtype(t) {}
};

/// A handle to an immutable expression. `==` is identity; see StructuralEqual for meaning.
class Expr : public Ref<ExprNode> {
 public:
  Expr() = default;
  Expr(std::nullptr_t) {}
  explicit Expr(const ExprNode* node) : Ref(node) {}
  Expr(int64_t value);                                    ///< an index constant
  Expr(int value) : Expr(static_cast<int64_t>(value)) {}  ///< an index constant

  DataType dtype() const { return get()->dtype; }
  ExprKind kind() const { return get()->kind; }
  /// The node as a T, or null when it is of another kind.
  template <class T>
  const T* As() const {
    return get() && get()->kind == T::kKind ? static_cast<const T*>(get()) : nullptr;
  }
};

/// A variable: loop index, let-bound value, symbolic dimension or scalar parameter. Identity is the node.
struct VarNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kVar;
  std::string name;
  /// What a symbolic dimension declares; every value lies in [min, max] and is divisible by `multiple`.
  int64_t min, max, multiple;
  VarNode(std::string n, DataType t, int64_t lo, int64_t hi, int64_t mult)
      : ExprNode(kKind, t), name(std::move(n)), min(lo), max(hi), multiple(mult) {}
};

/// An Expr known to be a variable.
class Var : public Expr {
 public:
  Var() = default;
  Var(std::nullptr_t) {}
  explicit Var(const VarNode* node) : Expr(node) {}
  explicit Var(std::string name, DataType dtype = DataType::Index());
  /// A symbolic dimension with its declared range and divisibility.
  static Var Symbol(std::string name, int64_t min = 0, int64_t max = INT64_MAX, int64_t multiple = 1);
  const VarNode* operator->() const { return static_cast<const VarNode*>(get()); }
  const std::string& name() const { return (*this)->name; }
};

struct IntImmNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kIntImm;
  int64_t value;  ///< integers, and bool as 0 or 1; u64 by bit pattern
  IntImmNode(DataType t, int64_t v) : ExprNode(kKind, t), value(v) {}
};

struct FloatImmNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kFloatImm;
  double value;
  FloatImmNode(DataType t, double v) : ExprNode(kKind, t), value(v) {}
};

/// A string argument of an intrinsic (a scope, the name of a routine).
struct StringImmNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kStringImm;
  std::string value;
  explicit StringImmNode(std::string v) : ExprNode(kKind, DataType::String()), value(std::move(v)) {}
};

/// Converts the value, lane by lane. Float to integer truncates; out of range is unspecified.
struct CastNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kCast;
  Expr value;
  CastNode(DataType t, Expr v) : ExprNode(kKind, t), value(std::move(v)) {}
};

struct BinaryNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kBinary;
  BinaryOp op;
  Expr a, b;
  BinaryNode(BinaryOp o, DataType t, Expr x, Expr y)
      : ExprNode(kKind, t), op(o), a(std::move(x)), b(std::move(y)) {}
};

struct NotNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kNot;
  Expr value;
  NotNode(DataType t, Expr v) : ExprNode(kKind, t), value(std::move(v)) {}
};

/// Lane-wise choice; both sides are always evaluated, so both must be safe to evaluate.
struct SelectNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kSelect;
  Expr condition, true_value, false_value;
  SelectNode(Expr c, Expr t, Expr f)
      : ExprNode(kKind, t.dtype()),
        condition(std::move(c)),
        true_value(std::move(t)),
        false_value(std::move(f)) {}
};

/// Choice by a scalar condition; only the chosen side is evaluated, so it may guard a load.
struct IfThenElseNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kIfThenElse;
  Expr condition, true_value, false_value;
  IfThenElseNode(Expr c, Expr t, Expr f)
      : ExprNode(kKind, t.dtype()),
        condition(std::move(c)),
        true_value(std::move(t)),
        false_value(std::move(f)) {}
};

/// `let var = value in body`; evaluated once.
struct LetNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kLet;
  Var var;
  Expr value, body;
  LetNode(Var x, Expr v, Expr b)
      : ExprNode(kKind, b.dtype()), var(std::move(x)), value(std::move(v)), body(std::move(b)) {}
};

struct CallNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kCall;
  Intrinsic op;
  std::vector<Expr> args;
  CallNode(DataType t, Intrinsic o, std::vector<Expr> a) : ExprNode(kKind, t), op(o), args(std::move(a)) {}
};

struct BufferNode;

/// A handle to a buffer. Identity is the node.
class Buffer : public Ref<BufferNode> {
 public:
  using Ref::Ref;
  explicit Buffer(const BufferNode* node) : Ref(node) {}
  Buffer(std::string name, DataType dtype, std::vector<Expr> shape, std::string scope = "global");
  const std::string& name() const;
  const std::vector<Expr>& shape() const;
  DataType dtype() const;
  const std::string& scope() const;
  Expr operator()(std::vector<Expr> indices) const;  ///< a Load
};

/// A multi-dimensional typed piece of memory. Elements are row-major; physical rank follows from
/// `axis_separators`: dimensions between two separators flatten into one physical dimension.
struct BufferNode : Object {
  std::string buffer_name;
  DataType dtype;                    ///< element type; lanes 1 but for promoted vector registers
  std::vector<Expr> shape;           ///< in elements
  std::string scope;                 ///< memory scope of the target: "global", "register", "shared", ...
  std::vector<int> axis_separators;  ///< positions in (0, rank); empty: one physical dimension
  int64_t alignment = 64;            ///< bytes, of the first element
  /// Elements before the logical origin and between rows, for views into a larger allocation; empty: compact.
  std::vector<Expr> strides;
  Expr offset = nullptr;  ///< elements from the start of the allocation; null: 0
};

/// Reads an element (or, at the lowered stage with a vector index, several).
struct LoadNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kLoad;
  Buffer buffer;
  std::vector<Expr> indices;
  Expr predicate;  ///< bool with the load's lanes: lanes that are false read as 0 without touching memory; or
                   ///< null
  LoadNode(DataType t, Buffer b, std::vector<Expr> i, Expr p = nullptr)
      : ExprNode(kKind, t), buffer(std::move(b)), indices(std::move(i)), predicate(std::move(p)) {}
};

/// base, base + stride, ..., `lanes` values.
struct RampNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kRamp;
  Expr base, stride;
  RampNode(Expr b, Expr s, int lanes)
      : ExprNode(kKind, b.dtype().WithLanes(lanes)), base(std::move(b)), stride(std::move(s)) {}
};

/// `lanes` copies of a scalar.
struct BroadcastNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kBroadcast;
  Expr value;
  BroadcastNode(Expr v, int lanes) : ExprNode(kKind, v.dtype().WithLanes(lanes)), value(std::move(v)) {}
};

/// Concatenates `vectors` (all of one dtype) and picks lanes by constant index.
struct ShuffleNode : ExprNode {
  static constexpr ExprKind kKind = ExprKind::kShuffle;
  std::vector<Expr> vectors;
  std::vector<int> lanes;
  ShuffleNode(std::vector<Expr> v, std::vector<int> l)
      : ExprNode(kKind, v.front().dtype().WithLanes(int(l.size()))),
        vectors(std::move(v)),
        lanes(std::move(l)) {}
};

/// Calls `f` with the node as its concrete type. `f` is an overload set; a missing kind fails the build.
template <class F>
decltype(auto) Dispatch(const Expr& e, F&& f) {
  switch (e.kind()) {
#define TW_CASE(name)     \
  case ExprKind::k##name: \
    return f(static_cast<const name##Node&>(*e));
    TW_EXPR_KINDS(TW_CASE)
#undef TW_CASE
  }
  FailCheck("known expression kind", __FILE__, __LINE__, "");
}

/// An overload set from lambdas, for Dispatch.
template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

// ---- Construction. Types are checked (TW_CHECK); nothing is simplified but constants with constants,
// x + 0, x * 1, x * 0 (integers), and x // 1.

/// A constant of any numeric dtype, rounded or wrapped to it; vectors are broadcast.
Expr MakeConst(DataType dtype, double value);
Expr MakeConst(DataType dtype, int64_t value);
inline Expr MakeConst(DataType dtype, int value) { return MakeConst(dtype, int64_t(value)); }
Expr MakeBool(bool value);
Expr MakeString(std::string value);
Expr MakeBinary(BinaryOp op, Expr a, Expr b);
Expr MakeCast(DataType dtype, Expr value);  ///< the value itself when it has the type already
Expr MakeNot(Expr value);
Expr MakeSelect(Expr condition, Expr true_value, Expr false_value);
Expr MakeIfThenElse(Expr condition, Expr true_value, Expr false_value);
Expr MakeLet(Var var, Expr value, Expr body);
Expr MakeCall(DataType dtype, Intrinsic op, std::vector<Expr> args);
Expr MakeCall(Intrinsic op, std::vector<Expr> args);  ///< dtype of the first argument (bool for isnan, isinf)
Expr MakeLoad(Buffer buffer, std::vector<Expr> indices, Expr predicate = nullptr);
Expr MakeRamp(Expr base, Expr stride, int lanes);
Expr MakeBroadcast(Expr value, int lanes);
Expr MakeShuffle(std::vector<Expr> vectors, std::vector<int> lanes);
Buffer MakeBuffer(BufferNode node);

/// The largest and the smallest value of a dtype (infinities for floats); identities of min and max.
Expr MaxValue(DataType dtype);
Expr MinValue(DataType dtype);

Expr operator+(Expr a, Expr b);
Expr operator-(Expr a, Expr b);
Expr operator*(Expr a, Expr b);
Expr operator/(Expr a, Expr b);  ///< floats only; integers say FloorDiv or TruncDiv
Expr operator-(Expr a);
Expr FloorDiv(Expr a, Expr b);
Expr FloorMod(Expr a, Expr b);
Expr CeilDiv(Expr a, Expr b);
Expr TruncDiv(Expr a, Expr b);
Expr TruncMod(Expr a, Expr b);
Expr Min(Expr a, Expr b);
Expr Max(Expr a, Expr b);
Expr Eq(Expr a, Expr b);
Expr Ne(Expr a, Expr b);
Expr operator<(Expr a, Expr b);
Expr operator<=(Expr a, Expr b);
Expr operator>(Expr a, Expr b);
Expr operator>=(Expr a, Expr b);
Expr operator&&(Expr a, Expr b);
Expr operator||(Expr a, Expr b);

// ---- Inspection.

/// The value of an integer (or bool) constant.
std::optional<int64_t> AsInt(const Expr& e);
/// The value of a constant of any numeric dtype.
std::optional<double> AsNumber(const Expr& e);
inline bool IsInt(const Expr& e, int64_t value) { return AsInt(e) == value; }
/// Equal up to the names of let-bound variables; other variables and buffers by identity.
bool StructuralEqual(const Expr& a, const Expr& b);
uint64_t StructuralHash(const Expr& e);

// ---- Traversal and rewriting.

/// Calls `f` on each direct operand.
void ForEachChild(const Expr& e, const std::function<void(const Expr&)>& f);
/// Rebuilds the node with `f` of each operand; the same node when nothing changed.
Expr MapChildren(const Expr& e, const std::function<Expr(const Expr&)>& f);
/// Visits every sub-expression, parents first; `f` returns false to skip the operands.
void PreOrder(const Expr& e, const std::function<bool(const Expr&)>& f);
/// Rewrites bottom up: operands first, then `f` on the rebuilt node.
Expr PostOrderRewrite(const Expr& e, const std::function<Expr(const Expr&)>& f);

struct RefLess {
  bool operator()(const Var& a, const Var& b) const { return a.get() < b.get(); }
};
using VarMap = std::map<Var, Expr, RefLess>;
/// Replaces variables; what is bound inside (let) is left alone.
Expr Substitute(const Expr& e, const VarMap& map);
bool UsesVar(const Expr& e, const Var& var);
/// Variables that occur free, in order of first occurrence.
std::vector<Var> FreeVars(const Expr& e);

// ---- Small value types that all levels share.

/// The value of an attribute or annotation.
using AttrValue =
    std::variant<std::monostate, bool, int64_t, double, std::string, DataType, std::vector<int64_t>,
                 std::vector<double>, std::vector<std::string>, Expr, std::vector<Expr>>;
using Annotations = std::map<std::string, AttrValue>;
bool AttrEqual(const AttrValue& a, const AttrValue& b);

/// A half-open interval [min, min + extent).
struct Range {
  Expr min, extent;
};

std::string ToString(const Expr& e);  ///< as in the text form (ir/printer.h)

}  // namespace tilewright

template <>
struct std::hash<tilewright::Var> {
  size_t operator()(const tilewright::Var& v) const noexcept { return std::hash<const void*>()(v.get()); }
};
template <>
struct std::hash<tilewright::Buffer> {
  size_t operator()(const tilewright::Buffer& b) const noexcept { return std::hash<const void*>()(b.get()); }
};
