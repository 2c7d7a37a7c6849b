// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/printer.h"

#include "tilewright/graph/op_def.h"
#include "tilewright/ir/printer.h"

namespace tilewright {

namespace {

/// FNV-1a over the bytes, so that elided constants can be told apart.
uint64_t HashBytes(const NDArray& a) {
  uint64_t h = 0xcbf29ce484222325ull;
  const auto* p = static_cast<const unsigned char*>(a.data());
  for (int64_t i = 0; i < a.bytes(); ++i) h = (h ^ p[i]) * 0x100000001b3ull;
  return h;
}

class Printer {
 public:
  explicit Printer(const PrintGraphOptions& options) : options_(options), exprs_(names_) {}

  std::string Function(const GraphFunction& f) {
    out_ += "graph @" + NameOrQuoted(f.name()) + "(";
    Declarations(f->params);
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
    return std::move(out_);
  }

 private:
  void Line() { out_ += "\n" + std::string(size_t(indent_) * 2, ' '); }

  void Use(const Value& v) { out_ += v ? "%" + names_.Name(v.get(), v.name()) : "_"; }

  void Uses(const std::vector<Value>& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (i) out_ += ", ";
      Use(values[i]);
    }
  }

  void Declaration(const Value& v) {
    out_ += "%" + names_.Declare(v.get(), v.name()) + ": " + TypeText(v->type);
    if (!v->origin.empty() && v->origin != v.name()) out_ += " " + QuoteString(v->origin);
  }

  void Declarations(const std::vector<Value>& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (i) out_ += ", ";
      Declaration(values[i]);
    }
  }

  /// Symbols of shapes print by the names that this text gives them.
  std::string TypeText(const Type& type) {
    auto* t = type.tensor();
    if (!t) return type.ToString();
    std::string text = t->dtype.ToString() + "[";
    exprs_.PrintList(t->shape, text);
    text += "]";
    if (!t->layout.natural()) text += " layout(" + t->layout.ToString() + ")";
    if (!t->device.empty()) text += " device(" + QuoteString(t->device) + ")";
    if (t->scope != "global") text += " scope(" + QuoteString(t->scope) + ")";
    return text;
  }

  void Block(const GraphBlock& block, const char* keyword) {
    out_ += "{";
    ++indent_;
    for (const Binding& b : block.bindings) {
      Line();
      if (b.results.size() != 1) out_ += "(";
      Declarations(b.results);
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
    out_ += "constant ";
    if (options_.max_elements >= 0 && data.size() > options_.max_elements) {
      out_ += fmt::format("elided {:016x}", HashBytes(data));
      return;
    }
    out_ += "[";
    for (int64_t i = 0; i < data.size(); ++i) {
      if (i) out_ += ", ";
      out_ += data.dtype().is_float() ? DoubleText(data.AsDouble(i)) : std::to_string(data.AsInt(i));
    }
    out_ += "]";
  }

  void Print(const Operation& o) {
    Dispatch(o, Overloaded{
                    [&](const OpCallNode& n) {
                      out_ += n.op->name + "(";
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
                      Declarations(n.body.params);
                      out_ += ") ";
                      Block(n.body, "yield");
                    },
                });
  }

  const PrintGraphOptions& options_;
  NameTable names_;
  ExprPrinter exprs_;
  std::string out_;
  int indent_ = 0;
};

}  // namespace

std::string PrintGraph(const GraphFunction& f, const PrintGraphOptions& options) {
  return Printer(options).Function(f);
}
std::string ToString(const GraphFunction& f) { return PrintGraph(f); }

}  // namespace tilewright
