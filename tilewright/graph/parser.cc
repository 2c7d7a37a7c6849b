// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/parser.h"

#include "tilewright/graph/host_attrs.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/ir/text_parser.h"
#include "tilewright/tir/parser.h"

namespace tilewright {

namespace {

/// What is wrong with a layout of a tensor of this shape; empty when nothing is.
std::string LayoutProblem(const Layout& layout, const std::vector<Expr>& shape) {
  std::vector<int> rests(shape.size());
  std::vector<int64_t> blocks(shape.size(), 1);
  for (const Layout::Dim& d : layout.dims) {
    if (size_t(d.axis) >= shape.size())
      return fmt::format("a tensor of rank {} has no axis {}", shape.size(), d.axis);
    if (d.factor == 0) {
      ++rests[size_t(d.axis)];
    } else if (rests[size_t(d.axis)] == 0) {
      return fmt::format("what remains of axis {} comes before its blocks", d.axis);
    } else if (__builtin_mul_overflow(blocks[size_t(d.axis)], d.factor, &blocks[size_t(d.axis)])) {
      return fmt::format("the blocks of axis {} exceed 64 bits", d.axis);
    }
  }
  for (size_t i = 0; i < shape.size(); ++i) {
    if (rests[i] != 1)
      return fmt::format("axis {} stands {} times in the layout, expected once", i, rests[i]);
    auto extent = AsInt(shape[i]);
    if (extent && *extent % blocks[i] != 0)
      return fmt::format("blocks of {} do not divide axis {} of {}", blocks[i], i, *extent);
  }
  return {};
}

/// Values by name, as far as they are visible.
class ValueScopes {
 public:
  explicit ValueScopes(TokenStream& tokens) : t_(tokens) {}

  void Push() { scopes_.emplace_back(); }
  void Pop() {
    for (const std::string& name : scopes_.back()) values_.erase(name);
    scopes_.pop_back();
  }

  void Enter(const Token& at, const Value& v) {
    if (!values_.emplace(v.name(), v).second)
      t_.Fail(at, "TW1207", fmt::format("%{} is declared already and visible here", v.name()));
    scopes_.back().push_back(v.name());
  }

  Value LookUp(const Token& at) const {
    auto it = values_.find(std::string(at.text));
    if (it == values_.end())
      t_.Fail(at, "TW1203", fmt::format("%{} is not a value that is visible here", at.text));
    return it->second;
  }

 private:
  TokenStream& t_;
  std::unordered_map<std::string, Value> values_;
  std::vector<std::vector<std::string>> scopes_;
};

class GraphParser {
 public:
  GraphParser(std::string_view text, const ConstantDataReader& read_data)
      : t_(text), expr_(t_), values_(t_), read_data_(read_data) {}

  TextModule Module();

 private:
  /// A value and where it is declared; it becomes visible later.
  struct Declared {
    Token at;
    Value value;
  };

  /// Runs `f`; an Error that does not point into the text points to `at`.
  template <class F>
  auto At(const Token& at, F&& f) {
    try {
      return f();
    } catch (const Error& e) {
      const Diagnostic& d = e.diagnostics().front();
      if (!d.where.empty()) throw;
      t_.Fail(at, d.id, d.message, d.notes);
    }
  }

  void Symbol();
  void Data();
  void Parameter(TextModule& module);
  void AddFunction(TextModule& module, const Token& at, Function f);
  GraphFunction ParseFunction();

  GraphBlock Block(const char* keyword, std::vector<Value> params = {});
  Binding ParseBinding();
  Operation ParseOperation(const std::vector<Declared>& results, const Token& at);
  Operation OperatorCall();
  Operation If();
  Operation Loop();
  NDArray Constant(DataType dtype, const std::vector<int64_t>& shape, const Token& at);
  NDArray Elements(DataType dtype, const std::vector<int64_t>& shape, const Token& at);
  NDArray StoredElements(DataType dtype, const std::vector<int64_t>& shape);
  void SetElement(NDArray& array, int64_t i);
  std::vector<int64_t> StaticShapeOf(const Value& v, const Token& at);

  Declared Declaration();
  std::vector<Declared> Declarations();
  std::vector<Value> EnterAll(const std::vector<Declared>& list);
  Value Argument();
  std::vector<Value> Arguments();
  std::string FunctionName();

  Type ParseType();
  TensorType ParseTensorType();
  Layout ParseLayout();
  std::vector<Expr> Shape();

  TokenStream t_;
  ExprParser expr_;
  ValueScopes values_;
  const ConstantDataReader& read_data_;
  std::shared_ptr<const std::string> data_;
};

// ---- The module.

TextModule GraphParser::Module() {
  TextModule module;
  if (t_.Accept("module")) module.attrs = expr_.ParseAnnotations();
  while (!t_.AtEnd()) {
    const Token at = t_.Peek();
    if (at.Is("graph")) {
      AddFunction(module, at, ParseFunction());
    } else if (at.Is("primfunc")) {
      AddFunction(module, at, ParsePrimFunc(t_));
    } else if (at.Is("symbol")) {
      Symbol();
    } else if (at.Is("parameter")) {
      Parameter(module);
    } else if (at.Is("data")) {
      Data();
    } else {
      t_.FailExpected("'graph', 'primfunc', 'symbol', 'parameter' or 'data'");
    }
  }
  return module;
}

void GraphParser::AddFunction(TextModule& module, const Token& at, Function f) {
  if (module.module.Find(f->name)) t_.Fail(at, "TW1207", fmt::format("a second function named {}", f->name));
  module.module.Set(std::move(f));
}

void GraphParser::Symbol() {
  t_.Expect("symbol");
  expr_.Declare(expr_.ParseVarDecl(Var::Symbol("")), DataType::Index());
}

void GraphParser::Data() {
  const Token at = t_.Next();
  const std::string name = t_.ExpectString("the name of the file that holds constants");
  if (data_) t_.Fail(at, "TW1207", "a second file of constants");
  if (!read_data_) t_.Fail(at, "TW1209", "the constants lie in a file, and this text came without one");
  data_ = read_data_(name);
}

void GraphParser::Parameter(TextModule& module) {
  t_.Expect("parameter");
  const Token at = t_.Peek();
  const std::string name = t_.ExpectString("the name of the parameter");
  t_.Expect(":");
  const DataType dtype = expr_.ParseDataType();
  t_.Expect("[");
  std::vector<int64_t> shape;
  while (!t_.Accept("]")) {
    if (!shape.empty()) t_.Expect(",");
    shape.push_back(t_.ExpectInt("an extent"));
  }
  t_.Expect("=");
  t_.Expect("constant");
  if (!module.parameters.emplace(name, Constant(dtype, shape, at)).second)
    t_.Fail(at, "TW1207", fmt::format("a second parameter '{}'", name));
}

std::string GraphParser::FunctionName() {
  t_.Expect("@");
  return t_.ExpectNameOrString("the name of a function");
}

GraphFunction GraphParser::ParseFunction() {
  t_.Expect("graph");
  GraphFunctionNode f;
  f.name = FunctionName();
  values_.Push();
  f.params = EnterAll(Declarations());
  t_.Expect("->");
  t_.Expect("(");
  while (!t_.Accept(")")) {
    if (!f.result_names.empty()) t_.Expect(",");
    f.result_names.push_back(t_.ExpectString("the name of a result"));
  }
  if (t_.Accept("attrs")) f.attrs = expr_.ParseAnnotations();
  f.body = Block("return");
  values_.Pop();
  return GraphFunction(std::move(f));
}

// ---- Blocks and bindings.

GraphBlock GraphParser::Block(const char* keyword, std::vector<Value> params) {
  TokenStream::Nesting nesting(t_);
  GraphBlock block{std::move(params), {}, {}};
  t_.Expect("{");
  values_.Push();
  while (!t_.Accept(keyword)) block.bindings.push_back(ParseBinding());
  while (!t_.Accept("}")) {
    if (!block.results.empty()) t_.Expect(",");
    const Token at = t_.Peek();
    block.results.push_back(Argument());
    if (!block.results.back()) t_.Fail(at, "TW1202", "a result cannot be left out");
  }
  values_.Pop();
  return block;
}

Binding GraphParser::ParseBinding() {
  const Token at = t_.Peek();
  if (!at.Is("%") && !at.Is("(")) t_.FailExpected("a binding or the end of the block");
  const std::vector<Declared> results = at.Is("(") ? Declarations() : std::vector{Declaration()};
  t_.Expect("=");
  Operation operation = ParseOperation(results, at);
  return {EnterAll(results), std::move(operation)};
}

Operation GraphParser::ParseOperation(const std::vector<Declared>& results, const Token& at) {
  if (t_.Accept("call")) {
    std::string callee = FunctionName();
    return MakeFunctionCall(std::move(callee), Arguments());
  }
  if (t_.Accept("host")) {
    std::string routine = t_.ExpectString("the name of a routine of the host");
    std::vector<Value> args = Arguments();
    Annotations attrs;
    if (t_.PeekIs("{")) attrs = expr_.ParseAnnotations();
    return MakeHostCall(std::move(routine), std::move(args), MakeHostAttrs(std::move(attrs)));
  }
  if (t_.Accept("constant")) {
    if (results.size() != 1) t_.Fail(at, "TW1204", "a constant is bound to one name");
    const Value& v = results[0].value;
    const std::vector<int64_t> shape = StaticShapeOf(v, results[0].at);
    return MakeConstant(Constant(v.tensor().dtype, shape, results[0].at));
  }
  if (t_.PeekIs("if")) return If();
  if (t_.PeekIs("loop")) return Loop();
  return OperatorCall();
}

Operation GraphParser::OperatorCall() {
  const Token at = t_.Peek();
  const std::string name = t_.ExpectNameOrString("an operation");
  const OpDef* op = OpRegistry::Find(name);
  if (!op) t_.Fail(at, "TW1203", fmt::format("'{}' is not an operator", name));
  std::vector<Value> args = Arguments();
  const Token attrs_at = t_.Peek();
  Annotations map;
  if (attrs_at.Is("{")) map = expr_.ParseAnnotations();
  return MakeOpCall(op, std::move(args), At(attrs_at, [&] { return op->attrs.from_map(map); }));
}

Operation GraphParser::If() {
  t_.Expect("if");
  const Token at = t_.Peek();
  Value condition = Argument();
  if (!condition) t_.Fail(at, "TW1202", "the condition of an if cannot be left out");
  GraphBlock then_block = Block("yield");
  t_.Expect("else");
  GraphBlock else_block = Block("yield");
  return MakeGraphIf(std::move(condition), std::move(then_block), std::move(else_block));
}

Operation GraphParser::Loop() {
  t_.Expect("loop");
  t_.Expect("trip");
  Value trip_count = Argument();
  t_.Expect("while");
  Value condition = Argument();
  t_.Expect("carry");
  std::vector<Value> carried = Arguments();
  t_.Expect("body");
  values_.Push();
  GraphBlock body = Block("yield", EnterAll(Declarations()));
  values_.Pop();
  return MakeGraphLoop(std::move(trip_count), std::move(condition), std::move(carried), std::move(body));
}

// ---- Constants.

std::vector<int64_t> GraphParser::StaticShapeOf(const Value& v, const Token& at) {
  const TensorType* type = v->type.tensor();
  if (!type) t_.Fail(at, "TW1204", "a constant is a tensor");
  std::vector<int64_t> shape;
  for (const Expr& d : type->PhysicalShape()) {
    auto extent = AsInt(d);
    if (!extent) t_.Fail(at, "TW1204", "the shape of a constant is constant");
    shape.push_back(*extent);
  }
  return shape;
}

NDArray GraphParser::Constant(DataType dtype, const std::vector<int64_t>& shape, const Token& at) {
  if (t_.Accept("elided")) {
    t_.Fail(at, "TW1209", "the elements of this constant were left out when the text was written",
            {"write the text into a file: constants then lie beside it"});
  }
  if (t_.Accept("data")) return At(at, [&] { return StoredElements(dtype, shape); });
  return At(at, [&] { return Elements(dtype, shape, at); });
}

NDArray GraphParser::StoredElements(DataType dtype, const std::vector<int64_t>& shape) {
  const Token at = t_.Peek();
  const int64_t offset = t_.ExpectInt("where the elements begin");
  t_.Expect("hash");
  const std::string hash = t_.ExpectString("the hash of the elements");
  if (!data_) t_.Fail(at, "TW1209", "no file of constants was named above: data STRING");
  NDArray array = ReadConstant(data_, dtype, shape, offset);
  if (!array)
    t_.Fail(at, "TW1209", fmt::format("the {} bytes of constants end before this one", data_->size()));
  if (const std::string found = fmt::format("{:016x}", HashBytes(array)); found != hash) {
    t_.Fail(at, "TW1209", fmt::format("the elements there are not this constant's: their hash is {}", found));
  }
  return array;
}

NDArray GraphParser::Elements(DataType dtype, const std::vector<int64_t>& shape, const Token& at) {
  t_.Expect("[");
  // Counted as they come: a text that declares more than it holds must not decide how much memory is taken.
  const int64_t size = CheckedSize(shape, dtype.element_bytes());
  NDArray one = NDArray::Empty(dtype, {1});
  std::string bytes;
  int64_t count = 0;
  for (; !t_.Accept("]"); ++count) {
    if (count) t_.Expect(",");
    SetElement(one, 0);
    bytes.append(static_cast<const char*>(one.data()), size_t(one.bytes()));
  }
  if (count != size) {
    t_.Fail(at, "TW1204", fmt::format("%{} has {} elements, the constant {}", at.text, size, count));
  }
  NDArray array = NDArray::Empty(dtype, shape);
  if (count) std::memcpy(array.mutable_data(), bytes.data(), bytes.size());
  return array;
}

void GraphParser::SetElement(NDArray& array, int64_t i) {
  const Token at = t_.Peek();
  const AttrValue value = expr_.ParseAttr();
  if (auto* whole = std::get_if<int64_t>(&value)) {
    array.dtype().is_float() ? array.SetDouble(i, double(*whole)) : array.SetInt(i, *whole);
    // Unsigned integers of 64 bits print as signed ones.
    if (!array.dtype().is_float() && array.AsInt(i) != *whole)
      t_.Fail(at, "TW1205", fmt::format("{} is not a value of {}", *whole, array.dtype().ToString()));
    return;
  }
  auto* real = std::get_if<double>(&value);
  if (!real || !array.dtype().is_float())
    t_.Fail(at, "TW1204", fmt::format("expected an element of type {}", array.dtype().ToString()));
  array.SetDouble(i, *real);
}

// ---- Values.

GraphParser::Declared GraphParser::Declaration() {
  t_.Expect("%");
  const Token at = t_.ExpectName("the name of a value");
  t_.Expect(":");
  Type type = ParseType();
  std::string origin;
  if (t_.Peek().kind == TokenKind::kString) origin = t_.Next().value;
  return {at, Value(std::string(at.text), std::move(type), std::move(origin))};
}

std::vector<GraphParser::Declared> GraphParser::Declarations() {
  std::vector<Declared> list;
  t_.Expect("(");
  while (!t_.Accept(")")) {
    if (!list.empty()) t_.Expect(",");
    list.push_back(Declaration());
  }
  return list;
}

std::vector<Value> GraphParser::EnterAll(const std::vector<Declared>& list) {
  std::vector<Value> values;
  for (const Declared& d : list) {
    values_.Enter(d.at, d.value);
    values.push_back(d.value);
  }
  return values;
}

Value GraphParser::Argument() {
  if (t_.Accept("_")) return nullptr;
  t_.Expect("%");
  return values_.LookUp(t_.ExpectName("the name of a value"));
}

std::vector<Value> GraphParser::Arguments() {
  std::vector<Value> args;
  t_.Expect("(");
  while (!t_.Accept(")")) {
    if (!args.empty()) t_.Expect(",");
    args.push_back(Argument());
  }
  return args;
}

// ---- Types.

Type GraphParser::ParseType() {
  TokenStream::Nesting nesting(t_);
  const bool sequence = t_.PeekIs("seq");
  if (sequence || t_.PeekIs("optional")) {
    t_.Next();
    t_.Expect("<");
    auto element = std::make_shared<const Type>(ParseType());
    t_.Expect(">");
    return sequence ? Type(SequenceType{element}) : Type(OptionalType{element});
  }
  if (!t_.Accept("(")) return ParseTensorType();
  TupleType tuple;
  while (!t_.Accept(")")) {
    if (!tuple.fields.empty()) t_.Expect(",");
    tuple.fields.push_back(ParseType());
  }
  return tuple;
}

std::vector<Expr> GraphParser::Shape() {
  const Token at = t_.Peek();
  t_.Expect("[");
  std::vector<Expr> shape = expr_.ParseExprsUntil("]");
  for (const Expr& d : shape) {
    if (d.dtype() != DataType::Index())
      t_.Fail(at, "TW1204", fmt::format("a dimension of type {}, expected i64", d.dtype().ToString()));
    if (AsInt(d).value_or(0) < 0) t_.Fail(at, "TW1205", "a negative dimension");
  }
  return shape;
}

TensorType GraphParser::ParseTensorType() {
  const Token at = t_.Peek();
  TensorType type{expr_.ParseDataType(), {}, {}, "", "global"};
  if (!type.dtype.is_scalar()) t_.Fail(at, "TW1204", "elements of tensors are scalars");
  type.shape = Shape();
  auto text = [&](const char* what) {
    t_.Expect("(");
    std::string value = t_.ExpectString(what);
    t_.Expect(")");
    return value;
  };
  if (const Token layout_at = t_.Peek(); t_.Accept("layout")) {
    type.layout = ParseLayout();
    const std::string problem = LayoutProblem(type.layout, type.shape);
    if (!problem.empty()) t_.Fail(layout_at, "TW1204", problem);
  }
  if (t_.Accept("device")) type.device = text("the name of a device");
  if (t_.Accept("scope")) type.scope = text("the name of a memory scope");
  return type;
}

Layout GraphParser::ParseLayout() {
  Layout layout;
  t_.Expect("(");
  while (!t_.Accept(")")) {
    const Token at = t_.Peek();
    const int64_t axis = t_.ExpectInt("an axis");
    const int64_t factor = t_.Accept(":") ? t_.ExpectInt("the size of a block") : 0;
    if (axis < 0 || axis > INT32_MAX || factor < 0) t_.Fail(at, "TW1205", "not an axis and its block");
    layout.dims.push_back({int(axis), factor});
  }
  return layout;
}

}  // namespace

TextModule ParseModule(std::string_view text, const ConstantDataReader& read_data) {
  return GraphParser(text, read_data).Module();
}

}  // namespace tilewright
