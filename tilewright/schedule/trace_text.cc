// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/trace_text.h"

#include <set>

#include "tilewright/ir/printer.h"
#include "tilewright/ir/text_parser.h"

namespace tilewright {

namespace {

std::string ListText(const std::vector<Expr>& list) {
  std::string text;
  for (const Expr& e : list) text += (text.empty() ? "" : ", ") + (e ? ToString(e) : std::string("None"));
  return "[" + text + "]";
}

std::string Typed(const std::string& what, const std::string& list) {
  return list.starts_with('[') ? what + list : list;
}

std::string ValueText(const AttrValue& value) {
  if (auto* list = std::get_if<std::vector<Expr>>(&value)) return ListText(*list);
  if (std::holds_alternative<std::monostate>(value)) return "None";
  if (auto* flag = std::get_if<bool>(&value)) return *flag ? "True" : "False";
  // A bare list is one of index expressions; others say what they hold.
  if (std::holds_alternative<std::vector<int64_t>>(value)) return Typed("ints", ToString(value));
  if (std::holds_alternative<std::vector<double>>(value)) return Typed("floats", ToString(value));
  if (std::holds_alternative<std::vector<std::string>>(value)) return Typed("strings", ToString(value));
  return ToString(value);
}

/// Primitives whose attributes read as a function of indices: position of the parameters, before the results.
constexpr std::string_view kWithLambda = "transform_layout";
constexpr size_t kLambdaAt = 1;

std::string LambdaText(const TraceStep& step) {
  std::string params;
  for (const Expr& v : std::get<std::vector<Expr>>(step.attributes[kLambdaAt])) {
    params += (params.empty() ? "" : ", ") + ToString(v);
  }
  return fmt::format("lambda {}: {}", params, ValueText(step.attributes[kLambdaAt + 1]));
}

/// Reads one step after another.
class Reader {
 public:
  explicit Reader(const std::string& text) : tokens_(text), exprs_(tokens_) {}

  Trace Read() {
    Trace trace;
    while (!tokens_.AtEnd()) trace.steps.push_back(ReadStep());
    return trace;
  }

 private:
  TraceStep ReadStep() {
    TraceStep step;
    std::vector<std::string> names{Name("a result or 's'")};
    while (tokens_.Accept(",")) names.push_back(Name("a result"));
    if (tokens_.Accept("=")) {
      step.outputs = std::move(names);
      names = {Name("'s'")};
    }
    if (names.size() != 1 || names[0] != "s") tokens_.FailExpected("a call s.primitive(...)");
    tokens_.Expect(".");
    step.primitive = Name("a primitive");
    tokens_.Expect("(");
    bool first_argument = true;
    while (!tokens_.Accept(")")) {
      if (!first_argument) tokens_.Expect(",");
      first_argument = false;
      ReadArgument(step);
    }
    return step;
  }

  std::string Name(std::string_view what) { return std::string(tokens_.ExpectName(what).text); }

  void ReadArgument(TraceStep& step) {
    if (tokens_.Accept("lambda")) return ReadLambda(step);
    if (IsReference()) {
      step.inputs.push_back(Name("a name"));
    } else {
      step.attributes.push_back(ReadValue());
    }
  }

  /// A loop or block of the trace: a letter and a number.
  bool IsReference() const {
    const Token& t = tokens_.Peek();
    if (t.kind != TokenKind::kName || t.text.size() < 2 || (t.text[0] != 'b' && t.text[0] != 'l'))
      return false;
    return t.text.find_first_not_of("0123456789", 1) == std::string_view::npos;
  }

  AttrValue ReadValue() {
    if (tokens_.Accept("None")) return std::monostate();
    if (tokens_.Accept("True")) return true;
    if (tokens_.Accept("False")) return false;
    if (tokens_.PeekIs("[")) return ReadList();
    return exprs_.ParseAttr();
  }

  std::vector<Expr> ReadList() {
    tokens_.Expect("[");
    std::vector<Expr> list;
    while (!tokens_.Accept("]")) {
      if (!list.empty()) tokens_.Expect(",");
      list.push_back(tokens_.Accept("None") ? Expr() : ReadExpr());
    }
    return list;
  }

  /// Names that nothing declares are symbolic dimensions of the function that the trace is for.
  Expr ReadExpr() {
    for (size_t ahead = 0; !tokens_.PeekIs("]", ahead) && tokens_.Peek(ahead).kind != TokenKind::kEnd;
         ++ahead) {
      const Token& t = tokens_.Peek(ahead);
      if (t.kind != TokenKind::kName || tokens_.PeekIs("(", ahead + 1)) continue;
      if (!declared_.insert(std::string(t.text)).second) continue;
      exprs_.Declare({t, std::nullopt, INT64_MIN, INT64_MAX, 1}, DataType::Index());
    }
    return exprs_.ParseExprOf(DataType::Index(), "an index");
  }

  void ReadLambda(TraceStep& step) {
    const std::set<std::string> outside = declared_;
    exprs_.PushScope();
    std::vector<Expr> params;
    while (!tokens_.Accept(":")) {
      if (!params.empty()) tokens_.Expect(",");
      Token name = tokens_.ExpectName("a parameter");
      declared_.insert(std::string(name.text));
      params.push_back(exprs_.Declare({name, std::nullopt, INT64_MIN, INT64_MAX, 1}, DataType::Index()));
    }
    std::vector<Expr> body = ReadList();
    exprs_.PopScope();
    declared_ = outside;
    step.attributes.push_back(std::move(params));
    step.attributes.push_back(std::move(body));
  }

  TokenStream tokens_;
  ExprParser exprs_;
  std::set<std::string> declared_;
};

}  // namespace

std::string ToString(const TraceStep& step) {
  std::string text;
  for (const std::string& output : step.outputs) text += (text.empty() ? "" : ", ") + output;
  if (!text.empty()) text += " = ";
  text += "s." + step.primitive + "(";
  bool first = true;
  auto add = [&](const std::string& argument) {
    text += (first ? "" : ", ") + argument;
    first = false;
  };
  for (const std::string& input : step.inputs) add(input);
  for (size_t i = 0; i < step.attributes.size(); ++i) {
    if (step.primitive == kWithLambda && i == kLambdaAt) {
      add(LambdaText(step));
      ++i;
    } else {
      add(ValueText(step.attributes[i]));
    }
  }
  return text + ")";
}

Trace ParseTrace(const std::string& text) {
  try {
    return Reader(text).Read();
  } catch (const Error& e) {
    throw Error("TW1421", "the trace cannot be read", e.diagnostics().front().where,
                {e.diagnostics().front().message, "a step reads like `l4, l5 = s.split(l1, [None, 8])`"});
  }
}

}  // namespace tilewright
