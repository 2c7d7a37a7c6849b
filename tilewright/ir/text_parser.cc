// SPDX-License-Identifier: Apache-2.0
#include "tilewright/ir/text_parser.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "tilewright/ir/type_check.h"

namespace tilewright {

namespace {

/// Expressions of this height would exhaust the stack of recursive passes.
constexpr int kMaxHeight = 2000;

/// A binary operator with an infix form. '>' and '>=' are '<' and '<=' with the operands exchanged.
struct InfixOp {
  BinaryOp op;
  bool exchanged = false;
};

std::optional<InfixOp> FindInfix(const Token& t) {
  if (t.kind != TokenKind::kPunct) return std::nullopt;
  if (t.text == ">") return InfixOp{BinaryOp::kLt, true};
  if (t.text == ">=") return InfixOp{BinaryOp::kLe, true};
#define TW_OP(name, spelling, strength) \
  if (strength > 0 && t.text == spelling) return InfixOp{BinaryOp::k##name};
  TW_BINARY_OPS(TW_OP)
#undef TW_OP
  return std::nullopt;
}

std::optional<BinaryOp> FindBinaryFunction(std::string_view name) {
#define TW_OP(op, spelling, strength) \
  if (strength == 0 && name == spelling) return BinaryOp::k##op;
  TW_BINARY_OPS(TW_OP)
#undef TW_OP
  return std::nullopt;
}

std::optional<DataType> FindDataType(std::string_view name) {
  try {
    return DataType::Parse(name);
  } catch (const Error&) {
    return std::nullopt;
  }
}

bool IsFloatText(std::string_view digits) { return digits.find_first_of(".eE") != std::string_view::npos; }

template <class T>
bool ReadDigits(std::string_view digits, T& value) {
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() && end == digits.data() + digits.size();
}

}  // namespace

struct ExprParser::Sub {
  Expr e;
  int height = 1;
};

void ExprParser::Check(const Token& at, const std::string& problem) {
  if (problem.empty()) return;
  tokens_.Fail(at, "TW1204", problem, {"constants carry their type, as in 1f32; those without are i64"});
}

ExprParser::Sub ExprParser::Limit(Expr e, int height, const Token& at) {
  if (height > kMaxHeight)
    tokens_.Fail(at, "TW1206", fmt::format("an expression of height over {}", kMaxHeight));
  return {std::move(e), height};
}

// ---- Expressions.

ExprParser::Sub ExprParser::ParseSub() {
  TokenStream::Nesting nesting(tokens_);
  return tokens_.PeekIs("let") ? ParseLet() : ParseBinary(0);
}

Expr ExprParser::ParseExpr() { return ParseSub().e; }

Expr ExprParser::ParseExprOf(DataType dtype, std::string_view what) {
  const Token at = tokens_.Peek();
  Expr e = ParseExpr();
  if (e.dtype() != dtype) {
    Check(at, fmt::format("{} is of type {}, expected {}", what, e.dtype().ToString(), dtype.ToString()));
  }
  return e;
}

std::vector<Expr> ExprParser::ParseArgs(std::string_view close, int& height) {
  std::vector<Expr> args;
  if (tokens_.Accept(close)) return args;
  do {
    Sub arg = ParseSub();
    height = std::max(height, arg.height + 1);
    args.push_back(std::move(arg.e));
  } while (tokens_.Accept(","));
  tokens_.Expect(close);
  return args;
}

std::vector<Expr> ExprParser::ParseExprsUntil(std::string_view close) {
  int height = 0;
  return ParseArgs(close, height);
}

ExprParser::Sub ExprParser::ParseLet() {
  tokens_.Expect("let");
  const Token name = tokens_.ExpectName("the name of a variable");
  tokens_.Expect("=");
  Sub value = ParseSub();
  tokens_.Expect("in");
  PushScope();
  Var var(std::string(name.text), value.e.dtype());
  Enter(name, var);
  Sub body = ParseSub();
  PopScope();
  return Limit(MakeLet(var, value.e, body.e), 1 + std::max(value.height, body.height), name);
}

ExprParser::Sub ExprParser::ParseBinary(int min_strength) {
  Sub left = ParseUnary();
  while (true) {
    const Token at = tokens_.Peek();
    const auto infix = FindInfix(at);
    if (!infix || BinaryOpStrength(infix->op) < min_strength) return left;
    tokens_.Next();
    Sub right = ParseBinary(BinaryOpStrength(infix->op) + 1);
    if (infix->exchanged) std::swap(left, right);
    Check(at, BinaryTypeProblem(infix->op, left.e.dtype(), right.e.dtype()));
    left = Limit(MakeBinary(infix->op, left.e, right.e), 1 + std::max(left.height, right.height), at);
  }
}

ExprParser::Sub ExprParser::ParseUnary() {
  const Token at = tokens_.Peek();
  if (tokens_.Accept("!")) {
    TokenStream::Nesting nesting(tokens_);
    Sub value = ParseUnary();
    if (!value.e.dtype().is_bool()) Check(at, fmt::format("'!' of {}", value.e.dtype().ToString()));
    return Limit(MakeNot(value.e), value.height + 1, at);
  }
  if (!tokens_.Accept("-")) return ParsePrimary();
  if (tokens_.Peek().kind == TokenKind::kNumber) return {ParseNumber(true)};
  TokenStream::Nesting nesting(tokens_);
  Sub value = ParseUnary();
  const DataType t = value.e.dtype();
  if (!t.is_integer() && !t.is_float()) Check(at, fmt::format("'-' of {}", t.ToString()));
  return Limit(-value.e, value.height + 1, at);
}

ExprParser::Sub ExprParser::ParsePrimary() {
  const Token& t = tokens_.Peek();
  switch (t.kind) {
    case TokenKind::kNumber:
      return {ParseNumber(false)};
    case TokenKind::kString:
      return {MakeString(tokens_.Next().value)};
    case TokenKind::kName:
      return ParseName();
    default:
      break;
  }
  if (!tokens_.Accept("(")) tokens_.FailExpected("an expression");
  int height = 0;
  const Token at = tokens_.Peek();
  std::vector<Expr> inner = ParseArgs(")", height);
  if (inner.size() != 1) tokens_.Fail(at, "TW1202", "expected one expression in parentheses");
  return {inner[0], std::max(1, height - 1)};
}

ExprParser::Sub ExprParser::ParseName() {
  const Token& t = tokens_.Peek();
  if (t.Is("true") || t.Is("false")) return {MakeBool(tokens_.Next().Is("true"))};
  const bool typed_call = tokens_.PeekIs(".", 1) && tokens_.PeekIs("(", 3);
  if (tokens_.PeekIs("(", 1) || typed_call) return ParseFunction();
  const Token name = tokens_.Next();
  if (tokens_.PeekIs("[")) return ParseAccess(name);
  auto it = names_.find(std::string(name.text));
  if (it == names_.end()) {
    tokens_.Fail(name, "TW1203", fmt::format("'{}' is not a variable that is visible here", name.text));
  }
  if (auto* var = std::get_if<Var>(&it->second)) return {*var};
  tokens_.Fail(name, "TW1202",
               fmt::format("'{}' is a buffer; expected an index in brackets after it", name.text));
}

int64_t ExprParser::LanesOf(const std::vector<Expr>& args, const Token& at) {
  const auto lanes = args.back().dtype() == DataType::Index() ? AsInt(args.back()) : std::nullopt;
  if (!lanes) tokens_.Fail(at, "TW1204", fmt::format("the lanes of {} are not a constant", at.text));
  return *lanes;
}

ExprParser::Sub ExprParser::ParseFunction() {
  const Token at = tokens_.Next();
  const std::string_view name = at.text;
  std::optional<DataType> dtype;
  if (tokens_.Accept(".")) dtype = ParseDataType();
  if (name == "shuffle" && !dtype) return ParseShuffle(at);
  const auto intrinsic = FindIntrinsic(name);
  const auto binary = FindBinaryFunction(name);
  const bool choice = name == "select" || name == "if_then_else";
  const size_t arity = choice || name == "ramp" ? 3 : binary || name == "broadcast" ? 2 : 0;
  if (!intrinsic && (arity == 0 || dtype)) {
    const auto cast = dtype ? std::nullopt : FindDataType(name);
    if (cast) return ParseCast(*cast, at);
    tokens_.Fail(
        at, "TW1203", fmt::format("'{}' is not a function", name),
        {"functions are element types (casts), select, if_then_else, ramp, broadcast, shuffle, min, max, "
         "truncdiv, truncmod and the intrinsics of docs/ir.md"});
  }
  tokens_.Expect("(");
  int height = 1;
  std::vector<Expr> args = ParseArgs(")", height);
  if (intrinsic) {
    if (args.empty() && !dtype)
      tokens_.Fail(at, "TW1202", fmt::format("expected {}.TYPE() without arguments", name));
    const IntrinsicInfo& info = GetIntrinsicInfo(*intrinsic);
    const bool count_fits = info.arity < 0 || size_t(info.arity) == args.size();
    const DataType result = dtype ? *dtype : count_fits ? MakeCall(*intrinsic, args).dtype() : DataType();
    Check(at, CallTypeProblem(*intrinsic, result, args));
    return Limit(MakeCall(result, *intrinsic, std::move(args)), height, at);
  }
  if (args.size() != arity) {
    tokens_.Fail(at, "TW1202",
                 fmt::format("expected {} arguments of {}, found {}", arity, name, args.size()));
  }
  const DataType t = args[0].dtype(), u = args[1].dtype();
  if (binary) {
    Check(at, BinaryTypeProblem(*binary, t, u));
    return Limit(MakeBinary(*binary, args[0], args[1]), height, at);
  }
  if (choice) {
    const bool lane_wise = name == "select";
    Check(at, ChoiceTypeProblem(lane_wise, t, u, args[2].dtype()));
    return Limit((lane_wise ? MakeSelect : MakeIfThenElse)(args[0], args[1], args[2]), height, at);
  }
  const int64_t lanes = LanesOf(args, at);
  if (name == "ramp") {
    Check(at, RampTypeProblem(t, u, lanes));
    return Limit(MakeRamp(args[0], args[1], int(lanes)), height, at);
  }
  Check(at, BroadcastTypeProblem(t, lanes));
  return Limit(MakeBroadcast(args[0], int(lanes)), height, at);
}

ExprParser::Sub ExprParser::ParseCast(DataType dtype, const Token& at) {
  tokens_.Expect("(");
  const bool special =
      tokens_.PeekIs("inf") || tokens_.PeekIs("nan") || (tokens_.PeekIs("-") && tokens_.PeekIs("inf", 1));
  if (special && dtype.is_float()) return {ParseSpecialFloat(dtype)};
  int height = 1;
  std::vector<Expr> args = ParseArgs(")", height);
  if (args.size() != 1) tokens_.Fail(at, "TW1202", fmt::format("expected one argument of {}", at.text));
  Check(at, CastTypeProblem(dtype, args[0].dtype()));
  return Limit(MakeCast(dtype, args[0]), height, at);
}

ExprParser::Sub ExprParser::ParseShuffle(const Token& at) {
  tokens_.Expect("(");
  tokens_.Expect("[");
  int height = 1;
  std::vector<Expr> vectors = ParseArgs("]", height);
  tokens_.Expect(",");
  tokens_.Expect("[");
  std::vector<int> lanes;
  do {
    const int64_t lane = tokens_.ExpectInt("a lane");
    lanes.push_back(lane < 0 || lane > INT32_MAX ? -1 : int(lane));
  } while (tokens_.Accept(","));
  tokens_.Expect("]");
  tokens_.Expect(")");
  Check(at, ShuffleTypeProblem(vectors, lanes));
  return Limit(MakeShuffle(std::move(vectors), std::move(lanes)), height, at);
}

ExprParser::Sub ExprParser::ParseAccess(const Token& at) {
  Buffer buffer = LookUpBuffer(at);
  tokens_.Expect("[");
  int height = 1;
  std::vector<Expr> indices;
  while (!tokens_.PeekIs("]") && !tokens_.PeekIs("where")) {
    if (!indices.empty()) tokens_.Expect(",");
    Sub index = ParseSub();
    height = std::max(height, index.height + 1);
    indices.push_back(index.e);
  }
  Sub predicate{nullptr, 0};
  if (tokens_.Accept("where")) predicate = ParseSub();
  tokens_.Expect("]");
  Check(at, AccessTypeProblem(buffer, indices, predicate.e));
  return Limit(MakeLoad(buffer, std::move(indices), predicate.e), std::max(height, predicate.height + 1), at);
}

Expr ExprParser::ParseLoad(const Token& at) { return ParseAccess(at).e; }

// ---- Constants.

Expr ExprParser::ParseInteger(const Token& t, DataType dtype, bool negative) {
  uint64_t magnitude = 0;
  if (!ReadDigits(t.text, magnitude))
    tokens_.Fail(t, "TW1205", fmt::format("{} does not fit 64 bits", t.text));
  const uint64_t max = dtype.is_int() ? (uint64_t(1) << (dtype.bits - 1)) - !negative
                       : negative     ? 0
                                      : UINT64_MAX >> (64 - dtype.bits);
  if (magnitude > max) {
    tokens_.Fail(t, "TW1205",
                 fmt::format("{}{} is not a value of {}", negative ? "-" : "", t.text, dtype.ToString()));
  }
  return MakeConst(dtype, int64_t(negative ? 0 - magnitude : magnitude));
}

Expr ExprParser::ParseNumber(bool negative) {
  const Token t = tokens_.Next();
  const auto dtype = t.suffix.empty() ? DataType::Index() : FindDataType(t.suffix);
  if (!dtype || !dtype->is_scalar() || !(dtype->is_integer() || dtype->is_float())) {
    tokens_.Fail(t, "TW1202", fmt::format("'{}' is not the type of a constant", t.suffix),
                 {"expected a number such as 3, 3i32, 0.5f32"});
  }
  if (dtype->is_integer()) {
    if (IsFloatText(t.text)) {
      tokens_.Fail(t, "TW1202", fmt::format("'{}{}' is not an integer", t.text, t.suffix),
                   {"a float constant carries its type, as in 0.5f32"});
    }
    return ParseInteger(t, *dtype, negative);
  }
  double value = 0;
  // Digits of a narrow type are read in that type: through double they might round twice.
  float narrow = 0;
  const bool read = dtype->bits <= 32 ? ReadDigits(t.text, narrow) : ReadDigits(t.text, value);
  if (!read) tokens_.Fail(t, "TW1205", fmt::format("{} is not a value of {}", t.text, dtype->ToString()));
  if (dtype->bits <= 32) value = narrow;
  return MakeConst(*dtype, negative ? -value : value);
}

double ExprParser::ParseDouble() {
  const bool negative = tokens_.Accept("-");
  if (tokens_.Accept("inf")) {
    return negative ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  }
  if (!negative && tokens_.Accept("nan")) {
    if (!tokens_.Accept(":")) return std::numeric_limits<double>::quiet_NaN();
    const Token at = tokens_.Peek();
    const double value = std::bit_cast<double>(tokens_.ExpectInt("the bits of a NaN"));
    if (!std::isnan(value)) tokens_.Fail(at, "TW1205", "these are not the bits of a NaN");
    return value;
  }
  if (tokens_.Peek().kind != TokenKind::kNumber || !tokens_.Peek().suffix.empty()) {
    tokens_.FailExpected("a number without a type");
  }
  const Token t = tokens_.Next();
  double value = 0;
  if (!ReadDigits(t.text, value)) tokens_.Fail(t, "TW1205", fmt::format("{} is not a value of f64", t.text));
  return negative ? -value : value;
}

Expr ExprParser::ParseSpecialFloat(DataType dtype) {
  const double value = ParseDouble();
  tokens_.Expect(")");
  return MakeConst(dtype, value);
}

DataType ExprParser::ParseDataType() {
  const Token t = tokens_.ExpectName("an element type");
  const auto dtype = FindDataType(t.text);
  if (!dtype) {
    tokens_.Fail(t, "TW1202", fmt::format("'{}' is not an element type", t.text),
                 {"expected a name such as f32, i64, u8, bf16, bool, or with lanes f32x16"});
  }
  return *dtype;
}

Range ExprParser::ParseRange(bool unit_as_point) {
  const Token at = tokens_.Peek();
  Expr lo = ParseExpr();
  const DataType t = lo.dtype();
  if (!t.is_integer() || !t.is_scalar()) Check(at, fmt::format("a range of {}", t.ToString()));
  if (tokens_.Accept("..+")) return {lo, ParseExprOf(t, "the extent of a range")};
  if (unit_as_point && !tokens_.PeekIs("..")) return {lo, MakeConst(t, 1)};
  tokens_.Expect("..");
  const Token hi_at = tokens_.Peek();
  Expr hi = ParseExprOf(t, "the end of a range");
  if (IsInt(lo, 0)) return {lo, hi};
  const auto from = AsInt(lo), to = AsInt(hi);
  int64_t extent = 0;
  if (t != DataType::Index() || !from || !to || __builtin_sub_overflow(*to, *from, &extent)) {
    tokens_.Fail(hi_at, "TW1202", "expected constants in a range that does not begin at 0",
                 {"write it as lo..+extent"});
  }
  return {lo, Expr(extent)};
}

// ---- Attributes.

AttrValue ExprParser::ParseNumberAttr() {
  const size_t sign = tokens_.PeekIs("-");
  const Token& t = tokens_.Peek(sign);
  if (t.kind == TokenKind::kNumber && !IsFloatText(t.text))
    return tokens_.ExpectInt("a number without a type");
  return ParseDouble();
}

AttrValue ExprParser::ParseAttrList(const Token& at) {
  const bool is_typed = !at.Is("[");
  if (is_typed) tokens_.Expect("[");
  if (at.Is("exprs")) {
    std::vector<Expr> values = ParseExprsUntil("]");
    for (const Expr& e : values) {
      // Extents and indices: nothing else is written as a list of expressions.
      if (e.dtype() != DataType::Index())
        tokens_.Fail(at, "TW1204",
                     fmt::format("an expression of type {}, expected i64", e.dtype().ToString()));
    }
    return values;
  }
  std::vector<int64_t> ints;
  std::vector<double> floats;
  std::vector<std::string> strings;
  bool first = true;
  while (!tokens_.Accept("]")) {
    if (!first) tokens_.Expect(",");
    first = false;
    const Token item = tokens_.Peek();
    if (item.kind == TokenKind::kString) {
      strings.push_back(tokens_.Next().value);
    } else {
      const AttrValue number = ParseNumberAttr();
      if (auto* i = std::get_if<int64_t>(&number)) {
        ints.push_back(*i);
      } else {
        floats.push_back(std::get<double>(number));
      }
    }
    if (!ints.empty() + !floats.empty() + !strings.empty() > 1) {
      tokens_.Fail(item, "TW1204", "a list of values of different types",
                   {"floats are written with a point: 1.0"});
    }
  }
  if (at.Is("ints") || !ints.empty()) return ints;
  if (at.Is("floats") || !floats.empty()) return floats;
  if (at.Is("strings") || !strings.empty()) return strings;
  return std::monostate();
}

AttrValue ExprParser::ParseAttr() {
  const Token& t = tokens_.Peek();
  if (t.kind == TokenKind::kString) return tokens_.Next().value;
  if (t.Is("true") || t.Is("false")) return tokens_.Next().Is("true");
  if (tokens_.Accept("none")) return std::monostate();
  if (t.Is("[") || t.Is("ints") || t.Is("floats") || t.Is("strings") || t.Is("exprs")) {
    const Token at = tokens_.Next();
    return ParseAttrList(at);
  }
  if (tokens_.Accept("dtype")) {
    tokens_.Expect("(");
    const DataType dtype = ParseDataType();
    tokens_.Expect(")");
    return dtype;
  }
  if (tokens_.Accept("expr")) {
    tokens_.Expect("(");
    Expr e = ParseExpr();
    tokens_.Expect(")");
    return e;
  }
  if (t.kind != TokenKind::kNumber && !t.Is("-") && !t.Is("inf") && !t.Is("nan")) {
    tokens_.FailExpected("the value of an attribute");
  }
  return ParseNumberAttr();
}

Annotations ExprParser::ParseAnnotations() {
  Annotations map;
  tokens_.Expect("{");
  while (!tokens_.Accept("}")) {
    if (!map.empty()) tokens_.Expect(",");
    const Token at = tokens_.Peek();
    std::string key = tokens_.ExpectNameOrString("the name of an attribute");
    if (map.contains(key)) tokens_.Fail(at, "TW1207", fmt::format("attribute '{}' is given twice", key));
    tokens_.Expect("=");
    map[key] = ParseAttr();
  }
  return map;
}

// ---- Declarations.

void ExprParser::PopScope() {
  for (const std::string& name : scopes_.back()) names_.erase(name);
  scopes_.pop_back();
}

void ExprParser::MergeScope() {
  std::vector<std::string> names = std::move(scopes_.back());
  scopes_.pop_back();
  scopes_.back().insert(scopes_.back().end(), names.begin(), names.end());
}

void ExprParser::Enter(const Token& name, std::variant<Var, Buffer> what) {
  std::string key(name.text);
  if (!names_.emplace(key, std::move(what)).second) {
    tokens_.Fail(name, "TW1207", fmt::format("'{}' is declared already and visible here", key));
  }
  scopes_.back().push_back(std::move(key));
}

ExprParser::VarDecl ExprParser::ParseVarDecl(const Var& defaults) {
  VarDecl decl{tokens_.ExpectName("the name of a variable"), std::nullopt, defaults->min, defaults->max,
               defaults->multiple};
  if (tokens_.Accept(":")) decl.dtype = ParseDataType();
  auto bound = [&](int64_t infinity) {
    if (infinity < 0 && tokens_.PeekIs("-") && tokens_.PeekIs("inf", 1))
      return tokens_.Next(), tokens_.Next(), infinity;
    if (infinity > 0 && tokens_.Accept("inf")) return infinity;
    return tokens_.ExpectInt("an integer");
  };
  if (tokens_.PeekIs("in") && tokens_.PeekIs("[", 1)) {
    tokens_.Next(), tokens_.Next();
    decl.min = bound(INT64_MIN);
    tokens_.Expect(",");
    decl.max = bound(INT64_MAX);
    tokens_.Expect("]");
  }
  if (tokens_.Accept("by")) decl.multiple = tokens_.ExpectInt("an integer");
  if (decl.min > decl.max || decl.multiple < 1) {
    tokens_.Fail(decl.name, "TW1205", fmt::format("'{}' has no possible value", decl.name.text));
  }
  return decl;
}

Var ExprParser::Declare(const VarDecl& decl, DataType dtype) {
  Var var(new VarNode(std::string(decl.name.text), decl.dtype.value_or(dtype), decl.min, decl.max,
                      decl.multiple));
  Enter(decl.name, var);
  return var;
}

Buffer ExprParser::ParseBufferDecl() {
  const Token name = tokens_.ExpectName("the name of a buffer");
  tokens_.Expect(":");
  BufferNode node;
  node.buffer_name = std::string(name.text);
  node.scope = "global";
  const Token at = tokens_.Peek();
  node.dtype = ParseDataType();
  if (node.dtype.is_string()) Check(at, "a buffer of strings");
  auto integers = [&](const std::vector<Expr>& list) {
    for (const Expr& e : list) {
      if (!e.dtype().is_integer() || !e.dtype().is_scalar()) {
        Check(name, fmt::format("a dimension of type {}", e.dtype().ToString()));
      }
    }
    return list;
  };
  tokens_.Expect("[");
  node.shape = integers(ParseExprsUntil("]"));
  const int64_t rank = int64_t(node.shape.size());
  if (tokens_.Accept("scope")) node.scope = tokens_.ExpectString("the name of a scope");
  if (tokens_.Accept("separators")) {
    tokens_.Expect("[");
    do {
      const int64_t after = node.axis_separators.empty() ? 0 : node.axis_separators.back();
      const Token where = tokens_.Peek();
      const int64_t value = tokens_.ExpectInt("the position of a separator");
      if (value <= after || value >= rank) {
        tokens_.Fail(where, "TW1205", "separators ascend and lie between two dimensions");
      }
      node.axis_separators.push_back(int(value));
    } while (tokens_.Accept(","));
    tokens_.Expect("]");
  }
  if (tokens_.Accept("align")) {
    const Token where = tokens_.Peek();
    node.alignment = tokens_.ExpectInt("an alignment in bytes");
    if (node.alignment < 1 || !std::has_single_bit(uint64_t(node.alignment))) {
      tokens_.Fail(where, "TW1205", "an alignment is a power of two");
    }
  }
  if (tokens_.Accept("strides")) {
    tokens_.Expect("[");
    node.strides = integers(ParseExprsUntil("]"));
    if (int64_t(node.strides.size()) != rank) Check(name, "as many strides as dimensions are expected");
  }
  if (tokens_.Accept("offset")) node.offset = integers({ParseExpr()})[0];
  Buffer buffer = MakeBuffer(std::move(node));
  Enter(name, buffer);
  return buffer;
}

Buffer ExprParser::LookUpBuffer(const Token& name) const {
  auto it = names_.find(std::string(name.text));
  auto* buffer = it == names_.end() ? nullptr : std::get_if<Buffer>(&it->second);
  if (!buffer) {
    tokens_.Fail(name, "TW1203", fmt::format("'{}' is not a buffer that is visible here", name.text));
  }
  return *buffer;
}

Buffer ExprParser::ParseBufferName() { return LookUpBuffer(tokens_.ExpectName("the name of a buffer")); }

}  // namespace tilewright
