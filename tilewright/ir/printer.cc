// SPDX-License-Identifier: Apache-2.0
#include "tilewright/ir/printer.h"

#include <bit>
#include <cctype>
#include <cmath>
#include <limits>

namespace tilewright {

namespace {

/// Words that begin a statement or stand for a value: never the name of a variable or buffer.
const std::unordered_set<std::string_view>& ReservedWords() {
  static const std::unordered_set<std::string_view> words = {
      "true",  "false",    "inf",   "nan",        "none",   "let",     "in",    "where",    "if",
      "else",  "for",      "block", "reads",      "writes", "init",    "alloc", "allocate", "evaluate",
      "yield", "primfunc", "scope", "separators", "align",  "strides", "offset"};
  return words;
}

bool IsIdentifierChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

bool IsIdentifier(std::string_view text) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0]))) return false;
  for (char c : text) {
    if (!IsIdentifierChar(c)) return false;
  }
  return true;
}

std::string MakeIdentifier(std::string_view text) {
  std::string name(text);
  for (char& c : name) {
    if (!IsIdentifierChar(c)) c = '_';
  }
  return IsIdentifier(name) ? name : "_" + name;
}

}  // namespace

void NameTable::PushScope() { scopes_.emplace_back(); }

void NameTable::PopScope() {
  for (const Object* object : scopes_.back()) {
    auto it = names_.find(object);
    if (it == names_.end()) continue;
    taken_.erase(it->second);
    names_.erase(it);
  }
  scopes_.pop_back();
}

const std::string& NameTable::Enter(const Object* object, const std::string& wanted, size_t scope) {
  const std::string base = MakeIdentifier(wanted);
  std::string name = base;
  for (int i = 1; ReservedWords().contains(name) || taken_.contains(name); ++i) {
    name = base + "_" + std::to_string(i);
  }
  taken_.insert(name);
  scopes_[scope].push_back(object);
  return names_[object] = std::move(name);
}

const std::string& NameTable::Declare(const Object* object, const std::string& wanted) {
  // Declared twice (not legal IR, but it must print): both uses share the name.
  if (auto it = names_.find(object); it != names_.end()) return it->second;
  return Enter(object, wanted, scopes_.size() - 1);
}

const std::string& NameTable::Name(const Object* object, const std::string& wanted) {
  if (auto it = names_.find(object); it != names_.end()) return it->second;
  return Enter(object, wanted, 0);
}

std::string QuoteString(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string NameOrQuoted(std::string_view text) {
  return IsIdentifier(text) && !ReservedWords().contains(text) ? std::string(text) : QuoteString(text);
}

namespace {

std::string NotFinite(double value) {
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  const int64_t bits = std::bit_cast<int64_t>(value);
  const bool plain = bits == std::bit_cast<int64_t>(std::numeric_limits<double>::quiet_NaN());
  return plain ? "nan" : fmt::format("nan:{}", bits);
}

/// The shortest digits that give the value back in its own type (16-bit types by way of f32).
std::string FloatImmText(const FloatImmNode& n) {
  if (!std::isfinite(n.value)) return fmt::format("{}({})", n.dtype.ToString(), NotFinite(n.value));
  const float narrow = static_cast<float>(n.value);
  const bool exact = n.dtype.bits <= 32 && double(narrow) == n.value;
  return (exact ? fmt::format("{}", narrow) : fmt::format("{}", n.value)) + n.dtype.ToString();
}

std::string IntImmText(const IntImmNode& n) {
  if (n.dtype.is_bool()) return n.value ? "true" : "false";
  if (n.dtype == DataType::Index()) return fmt::format("{}", n.value);
  if (n.dtype == kU64) return fmt::format("{}u64", uint64_t(n.value));
  return fmt::format("{}{}", n.value, n.dtype.ToString());
}

/// The dtype that MakeCall(op, args) gives; what differs from it is printed.
bool HasDefaultDtype(const CallNode& n) {
  if (n.args.empty()) return false;
  return MakeCall(n.op, n.args).dtype() == n.dtype;
}

}  // namespace

std::string DoubleText(double value) {
  if (!std::isfinite(value)) return NotFinite(value);
  std::string text = fmt::format("{}", value);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

void ExprPrinter::PrintList(const std::vector<Expr>& list, std::string& out) {
  for (size_t i = 0; i < list.size(); ++i) {
    if (i) out += ", ";
    Print(list[i], out);
  }
}

void ExprPrinter::PrintFunction(std::string_view name, std::initializer_list<Expr> args, std::string& out) {
  out += name;
  out += '(';
  PrintList(args, out);
  out += ')';
}

/// One overload per kind; a missing one fails the build.
struct ExprPrinter::Kinds {
  ExprPrinter& p;
  std::string& out;
  int min_strength;

  void operator()(const VarNode& n) { out += p.VarName(Var(&n)); }
  void operator()(const IntImmNode& n) { out += IntImmText(n); }
  void operator()(const FloatImmNode& n) { out += FloatImmText(n); }
  void operator()(const StringImmNode& n) { out += QuoteString(n.value); }
  void operator()(const CastNode& n) { p.PrintFunction(n.dtype.ToString(), {n.value}, out); }
  void operator()(const BinaryNode& n) {
    const int strength = BinaryOpStrength(n.op);
    if (strength == 0) return p.PrintFunction(BinaryOpText(n.op), {n.a, n.b}, out);
    const bool parens = strength < min_strength;
    if (parens) out += '(';
    p.Print(n.a, out, strength);
    out += ' ';
    out += BinaryOpText(n.op);
    out += ' ';
    p.Print(n.b, out, strength + 1);
    if (parens) out += ')';
  }
  void operator()(const NotNode& n) {
    out += '!';
    p.Print(n.value, out, kTightest);
  }
  void operator()(const SelectNode& n) {
    p.PrintFunction("select", {n.condition, n.true_value, n.false_value}, out);
  }
  void operator()(const IfThenElseNode& n) {
    p.PrintFunction("if_then_else", {n.condition, n.true_value, n.false_value}, out);
  }
  void operator()(const LetNode& n) {
    const bool parens = min_strength > 0;
    std::string value;
    p.Print(n.value, value);
    p.names_.PushScope();
    out += parens ? "(let " : "let ";
    out += p.names_.Declare(n.var.get(), n.var.name()) + " = " + value + " in ";
    p.Print(n.body, out);
    if (parens) out += ')';
    p.names_.PopScope();
  }
  void operator()(const CallNode& n) {
    out += GetIntrinsicInfo(n.op).name;
    if (!HasDefaultDtype(n)) out += "." + n.dtype.ToString();
    out += '(';
    p.PrintList(n.args, out);
    out += ')';
  }
  void operator()(const LoadNode& n) {
    out += p.BufferName(n.buffer) + "[";
    p.PrintList(n.indices, out);
    if (n.predicate) {
      out += " where ";
      p.Print(n.predicate, out);
    }
    out += ']';
  }
  void operator()(const RampNode& n) {
    p.PrintFunction("ramp", {n.base, n.stride, Expr(int64_t(n.dtype.lanes))}, out);
  }
  void operator()(const BroadcastNode& n) {
    p.PrintFunction("broadcast", {n.value, Expr(int64_t(n.dtype.lanes))}, out);
  }
  void operator()(const ShuffleNode& n) {
    out += "shuffle([";
    p.PrintList(n.vectors, out);
    out += fmt::format("], [{}])", fmt::join(n.lanes, ", "));
  }

  static constexpr int kTightest = 100;
};

void ExprPrinter::Print(const Expr& e, std::string& out, int min_strength) {
  if (!e) {
    out += "null";
    return;
  }
  Dispatch(e, Kinds{*this, out, min_strength});
}

void ExprPrinter::PrintRange(const Range& range, bool unit_as_point, std::string& out) {
  Print(range.min, out);
  const auto lo = AsInt(range.min), extent = AsInt(range.extent);
  const bool index = range.min.dtype() == range.extent.dtype();
  if (unit_as_point && index && extent == 1) return;
  int64_t hi;
  if (index && lo == 0) {
    out += "..";
    Print(range.extent, out);
  } else if (index && range.min.dtype() == DataType::Index() && lo && extent &&
             !__builtin_add_overflow(*lo, *extent, &hi)) {
    out += fmt::format("..{}", hi);
  } else {
    out += "..+";
    Print(range.extent, out);
  }
}

void ExprPrinter::PrintAttr(const AttrValue& value, std::string& out) {
  auto list = [&](std::string_view empty, const auto& items, auto&& print) {
    out += items.empty() ? empty : "";
    out += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i) out += ", ";
      print(items[i]);
    }
    out += ']';
  };
  std::visit(
      Overloaded{
          [&](std::monostate) { out += "none"; },
          [&](bool x) { out += x ? "true" : "false"; },
          [&](int64_t x) { out += fmt::format("{}", x); },
          [&](double x) { out += DoubleText(x); },
          [&](const std::string& x) { out += QuoteString(x); },
          [&](DataType x) { out += "dtype(" + x.ToString() + ")"; },
          [&](const std::vector<int64_t>& x) {
            list("ints", x, [&](int64_t v) { out += fmt::format("{}", v); });
          },
          [&](const std::vector<double>& x) { list("floats", x, [&](double v) { out += DoubleText(v); }); },
          [&](const std::vector<std::string>& x) {
            list("strings", x, [&](const std::string& v) { out += QuoteString(v); });
          },
          [&](const Expr& x) {
            out += "expr(";
            Print(x, out);
            out += ')';
          },
          [&](const std::vector<Expr>& x) {
            out += "exprs[";
            PrintList(x, out);
            out += ']';
          },
      },
      value);
}

void ExprPrinter::PrintAnnotations(const Annotations& annotations, std::string& out) {
  out += '{';
  bool first = true;
  for (const auto& [key, value] : annotations) {
    if (!first) out += ", ";
    first = false;
    out += NameOrQuoted(key) + " = ";
    PrintAttr(value, out);
  }
  out += '}';
}

void ExprPrinter::DeclareBuffer(const Buffer& buffer, std::string& out) {
  const BufferNode defaults;
  out += names_.Declare(buffer.get(), buffer.name()) + ": " + buffer.dtype().ToString() + "[";
  PrintList(buffer->shape, out);
  out += ']';
  if (buffer->scope != "global") out += " scope " + QuoteString(buffer->scope);
  if (!buffer->axis_separators.empty()) {
    out += fmt::format(" separators [{}]", fmt::join(buffer->axis_separators, ", "));
  }
  if (buffer->alignment != defaults.alignment) out += fmt::format(" align {}", buffer->alignment);
  if (!buffer->strides.empty()) {
    out += " strides [";
    PrintList(buffer->strides, out);
    out += ']';
  }
  if (buffer->offset) {
    out += " offset ";
    Print(buffer->offset, out);
  }
}

void ExprPrinter::DeclareVar(const Var& var, const Var& defaults, std::string& out) {
  out += names_.Declare(var.get(), var.name());
  if (var.dtype() != defaults.dtype()) out += ": " + var.dtype().ToString();
  if (var->min != defaults->min || var->max != defaults->max) {
    auto bound = [](int64_t v) {
      return v == INT64_MIN ? "-inf" : v == INT64_MAX ? "inf" : std::to_string(v);
    };
    out += " in [" + bound(var->min) + ", " + bound(var->max) + "]";
  }
  if (var->multiple != defaults->multiple) out += fmt::format(" by {}", var->multiple);
}

std::string ToString(const Expr& e) {
  NameTable names;
  std::string out;
  ExprPrinter(names).Print(e, out);
  return out;
}

std::string ToString(const AttrValue& value) {
  NameTable names;
  std::string out;
  ExprPrinter(names).PrintAttr(value, out);
  return out;
}

std::string ToString(const Annotations& annotations) {
  NameTable names;
  std::string out;
  ExprPrinter(names).PrintAnnotations(annotations, out);
  return out;
}

}  // namespace tilewright
