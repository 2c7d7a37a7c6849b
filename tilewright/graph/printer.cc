// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/printer.h"

#include "tilewright/graph/op_def.h"
#include "tilewright/ir/printer.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

namespace {

/// Whether every element is what its text reads back to: NaNs may hold bits that a double does not keep.
bool TextIsExact(const NDArray& data) {
  NDArray copy = NDArray::Empty(data.dtype(), data.shape());
  for (int64_t i = 0; i < data.size(); ++i) {
    data.dtype().is_float() ? copy.SetDouble(i, data.AsDouble(i)) : copy.SetInt(i, data.AsInt(i));
  }
  return copy == data;
}

/// The name of an operator in a binding; those that are words of the grammar are quoted.
std::string OperatorText(const std::string& name) {
  const bool word = name == "call" || name == "host" || name == "constant" || name == "loop";
  return word ? QuoteString(name) : NameOrQuoted(name);
}

/// Prints functions that share symbols.
class GraphPrinter {
 public:
  explicit GraphPrinter(const PrintGraphOptions& options) : options_(options), exprs_(symbol_names_) {}

  std::string Take() { return std::exchange(out_, {}); }

  /// "symbol n in [1, 8]" for each symbol that was not declared yet.
  void Symbols(const GraphFunction& f) {
    Annotated(f->attrs);
    for (const Value& p : f->params) SymbolsOf(p->type);
    SymbolsOf(f->body);
  }

  void Function(const GraphFunction& f) {
    values_ = NameTable();
    out_ += "graph @" + NameOrQuoted(f.name()) + "(";
    Declarations(f->params, true);
    out_ += ") -> (";
    for (size_t i = 0; i < f->result_names.size(); ++i)
      out_ += (i ? ", " : "") + QuoteString(f->result_names[i]);
    out_ += ")";
    if (!f->attrs.empty()) {
      out_ += " attrs ";
      exprs_.PrintAnnotations(f->attrs, out_);
    }
    out_ += " ";
    Block(f->body, "return");
    out_ += "\n";
  }

  void Parameter(const std::string& name, const NDArray& data) {
    out_ += fmt::format("parameter {}: {}[{}] = ", QuoteString(name), data.dtype().ToString(),
                        fmt::join(data.shape(), ", "));
    ConstantText(data);
    out_ += "\n";
  }

 private:
  void Declare(const Expr& e) {
    if (!e) return;
    for (const Var& v : FreeVars(e)) {
      if (!declared_.insert(v.get()).second) continue;
      out_ += "symbol ";
      exprs_.DeclareVar(v, Var::Symbol(""), out_);
      out_ += "\n";
    }
  }

  void SymbolsOf(const Type& type) {
    std::visit(Overloaded{
                   [&](const TensorType& t) {
                     for (const Expr& d : t.shape) Declare(d);
                   },
                   [&](const SequenceType& t) { SymbolsOf(*t.element); },
                   [&](const OptionalType& t) { SymbolsOf(*t.element); },
                   [&](const TupleType& t) {
                     for (const Type& f : t.fields) SymbolsOf(f);
                   },
               },
               type);
  }

  void Annotated(const Annotations& attrs) {
    for (const auto& [key, value] : attrs) {
      if (auto* e = std::get_if<Expr>(&value)) Declare(*e);
      if (auto* list = std::get_if<std::vector<Expr>>(&value)) {
        for (const Expr& e : *list) Declare(e);
      }
    }
  }

  void SymbolsOf(const GraphBlock& block) {
    for (const Value& p : block.params) SymbolsOf(p->type);
    for (const Binding& b : block.bindings) {
      for (const Value& r : b.results) SymbolsOf(r->type);
      if (auto* call = b.operation.As<OpCallNode>()) Annotated(call->attrs.ToMap());
      if (auto* host = b.operation.As<HostCallNode>()) Annotated(host->attrs.ToMap());
      if (auto* branch = b.operation.As<GraphIfNode>())
        SymbolsOf(branch->then_block), SymbolsOf(branch->else_block);
      if (auto* loop = b.operation.As<GraphLoopNode>()) SymbolsOf(loop->body);
    }
  }

  void Line() { out_ += "\n" + std::string(size_t(indent_) * 2, ' '); }

  void Use(const Value& v) { out_ += v ? "%" + values_.Name(v.get(), v.name()) : "_"; }

  void Uses(const std::vector<Value>& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (i) out_ += ", ";
      Use(values[i]);
    }
  }

  /// A parameter is known by its name from outside, so that a name which is no identifier is kept beside.
  void Declaration(const Value& v, bool is_parameter) {
    const std::string& name = values_.Declare(v.get(), v.name());
    out_ += "%" + name + ": ";
    TypeText(v->type);
    const std::string& origin = is_parameter && v->origin.empty() ? v.name() : v->origin;
    if (!origin.empty() && origin != name) out_ += " " + QuoteString(origin);
  }

  void Declarations(const std::vector<Value>& values, bool are_parameters) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (i) out_ += ", ";
      Declaration(values[i], are_parameters);
    }
  }

  void TypeText(const Type& type) {
    std::visit(Overloaded{
                   [&](const TensorType& t) { TensorText(t); },
                   [&](const SequenceType& t) {
                     out_ += "seq<";
                     TypeText(*t.element);
                     out_ += ">";
                   },
                   [&](const OptionalType& t) {
                     out_ += "optional<";
                     TypeText(*t.element);
                     out_ += ">";
                   },
                   [&](const TupleType& t) {
                     out_ += "(";
                     for (size_t i = 0; i < t.fields.size(); ++i) {
                       if (i) out_ += ", ";
                       TypeText(t.fields[i]);
                     }
                     out_ += ")";
                   },
               },
               type);
  }

  /// Symbols of shapes print by the names that this text gives them.
  void TensorText(const TensorType& t) {
    out_ += t.dtype.ToString() + "[";
    exprs_.PrintList(t.shape, out_);
    out_ += "]";
    if (!t.layout.natural()) out_ += " layout(" + t.layout.ToString() + ")";
    if (!t.device.empty()) out_ += " device(" + QuoteString(t.device) + ")";
    if (t.scope != "global") out_ += " scope(" + QuoteString(t.scope) + ")";
  }

  void Block(const GraphBlock& block, const char* keyword) {
    out_ += "{";
    ++indent_;
    for (const Binding& b : block.bindings) {
      Line();
      if (b.results.size() != 1) out_ += "(";
      Declarations(b.results, false);
      if (b.results.size() != 1) out_ += ")";
      out_ += " = ";
      Print(b.operation);
    }
    Line();
    out_ += std::string(keyword) + (block.results.empty() ? "" : " ");
    Uses(block.results);
    --indent_;
    Line();
    out_ += "}";
  }

  void AttrText(const Attrs& attrs) {
    Annotations map = attrs.ToMap();
    if (map.empty()) return;
    out_ += " ";
    exprs_.PrintAnnotations(map, out_);
  }

  void ConstantText(const NDArray& data) {
    const bool small = options_.max_elements < 0 || data.size() <= options_.max_elements;
    if (!small || !TextIsExact(data)) {
      if (options_.data) {
        const int64_t offset = options_.data->Add(data);
        out_ += fmt::format("constant data {} hash \"{:016x}\"", offset, HashBytes(data));
      } else {
        out_ += fmt::format("constant elided \"{:016x}\"", HashBytes(data));
      }
      return;
    }
    out_ += "constant [";
    for (int64_t i = 0; i < data.size(); ++i) {
      if (i) out_ += ", ";
      out_ += data.dtype().is_float() ? DoubleText(data.AsDouble(i)) : std::to_string(data.AsInt(i));
    }
    out_ += "]";
  }

  void Print(const Operation& o) {
    Dispatch(o, Overloaded{
                    [&](const OpCallNode& n) {
                      out_ += OperatorText(n.op->name) + "(";
                      Uses(n.args);
                      out_ += ")";
                      AttrText(n.attrs);
                    },
                    [&](const FunctionCallNode& n) {
                      out_ += "call @" + NameOrQuoted(n.callee) + "(";
                      Uses(n.args);
                      out_ += ")";
                    },
                    [&](const HostCallNode& n) {
                      out_ += "host " + QuoteString(n.routine) + "(";
                      Uses(n.args);
                      out_ += ")";
                      AttrText(n.attrs);
                    },
                    [&](const ConstantNode& n) { ConstantText(n.data); },
                    [&](const GraphIfNode& n) {
                      out_ += "if ";
                      Use(n.condition);
                      out_ += " ";
                      Block(n.then_block, "yield");
                      out_ += " else ";
                      Block(n.else_block, "yield");
                    },
                    [&](const GraphLoopNode& n) {
                      out_ += "loop trip ";
                      Use(n.trip_count);
                      out_ += " while ";
                      Use(n.condition);
                      out_ += " carry (";
                      Uses(n.carried);
                      out_ += ") body (";
                      Declarations(n.body.params, false);
                      out_ += ") ";
                      Block(n.body, "yield");
                    },
                });
  }

  const PrintGraphOptions& options_;
  NameTable symbol_names_, values_;
  ExprPrinter exprs_;
  std::unordered_set<const Object*> declared_;
  std::string out_;
  int indent_ = 0;
};

template <class Node>
std::vector<const Node*> FunctionsOf(const IRModule& module, FunctionKind kind) {
  std::vector<const Node*> found;
  for (const auto& [name, f] : module.functions()) {
    if (f->kind == kind) found.push_back(static_cast<const Node*>(f.get()));
  }
  return found;
}

}  // namespace

std::string PrintGraph(const GraphFunction& f, const PrintGraphOptions& options) {
  GraphPrinter printer(options);
  printer.Symbols(f);
  printer.Function(f);
  return printer.Take();
}

std::string PrintModule(const TextModule& text, const PrintGraphOptions& options) {
  const auto graphs = FunctionsOf<GraphFunctionNode>(text.module, FunctionKind::kGraph);
  GraphPrinter printer(options);
  for (const GraphFunctionNode* f : graphs) printer.Symbols(GraphFunction(f));
  std::vector<std::string> parts = {printer.Take()};
  for (const auto& [name, data] : text.parameters) printer.Parameter(name, data);
  parts.push_back(printer.Take());
  for (const GraphFunctionNode* f : graphs) {
    printer.Function(GraphFunction(f));
    parts.push_back(printer.Take());
  }
  for (const PrimFuncNode* f : FunctionsOf<PrimFuncNode>(text.module, FunctionKind::kPrim))
    parts.push_back(ToString(PrimFunc(f)));

  std::string out;
  if (!text.attrs.empty()) out += "module " + ToString(text.attrs) + "\n";
  if (options.data && !options.data->bytes().empty()) out += "data " + QuoteString(options.data_name) + "\n";
  for (const std::string& part : parts) out += (out.empty() || part.empty() ? "" : "\n") + part;
  return out;
}

std::string ToString(const GraphFunction& f) { return PrintGraph(f); }

}  // namespace tilewright
