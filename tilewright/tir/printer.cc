// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/printer.h"

#include "tilewright/ir/printer.h"

namespace tilewright {

namespace {

/// A function's first line is broken, one buffer a line, beyond this many characters.
constexpr size_t kMaxHeader = 100;

class TirPrinter {
 public:
  explicit TirPrinter(const PrintOptions& options) : options_(options) {}

  void Function(const PrimFunc& f);
  /// Prints a statement. `last` says that nothing follows in these braces, so that the scope of a let or an
  /// allocation may extend to their end without braces of its own.
  void Statement(const Stmt& s, bool last);
  const std::string& text() const { return out_; }

 private:
  void Line(const std::string& text) { out_ += std::string(size_t(indent_) * 2, ' ') + text + "\n"; }
  /// The first line of a statement, with its mark.
  void Header(const StmtNode& n, const std::string& text);
  /// `first {`, the statement in a scope of its own, `}`.
  void Braces(const Stmt& body);
  std::string Text(const Expr& e) {
    std::string out;
    expr_.Print(e, out);
    return out;
  }
  std::string Access(const Buffer& buffer, const std::vector<Expr>& indices, const Expr& predicate);
  std::string Regions(const std::vector<BufferRegion>& regions);
  std::string AnnotationText(const Annotations& annotations);

  void Visit(const StoreNode& n, bool last);
  void Visit(const ForNode& n, bool last);
  void Visit(const BlockNode& n, bool last);
  void Visit(const SeqNode& n, bool last);
  void Visit(const IfNode& n, bool last);
  void Visit(const LetStmtNode& n, bool last);
  void Visit(const AllocateNode& n, bool last);
  void Visit(const EvaluateNode& n, bool last);
  void Visit(const YieldNode& n, bool last);
  std::string LetHeader(const LetStmtNode& n);
  std::string AllocateHeader(const AllocateNode& n);

  const PrintOptions& options_;
  NameTable names_;
  ExprPrinter expr_{names_};
  std::string out_;
  int indent_ = 0;
};

void TirPrinter::Header(const StmtNode& n, const std::string& text) {
  Line(text);
  auto it = options_.marks.find(&n);
  if (it == options_.marks.end()) return;
  std::string message = it->second;
  // Each further line starts with a caret of its own: that is what makes it a comment.
  for (size_t at = 0; (at = message.find('\n', at)) != std::string::npos;) {
    const std::string next = "\n" + std::string(size_t(indent_) * 2, ' ') + "^ ";
    message.replace(at, 1, next);
    at += next.size();
  }
  const size_t width = text.ends_with(" {") ? text.size() - 2 : text.size();
  Line(std::string(width, '^') + " " + message);
}

void TirPrinter::Braces(const Stmt& body) {
  ++indent_;
  names_.PushScope();
  Statement(body, true);
  names_.PopScope();
  --indent_;
}

std::string TirPrinter::AnnotationText(const Annotations& annotations) {
  if (annotations.empty()) return "";
  std::string out = " annotations ";
  expr_.PrintAnnotations(annotations, out);
  return out;
}

std::string TirPrinter::Access(const Buffer& buffer, const std::vector<Expr>& indices,
                               const Expr& predicate) {
  std::string out = expr_.BufferName(buffer) + "[";
  expr_.PrintList(indices, out);
  if (predicate) {
    out += " where ";
    expr_.Print(predicate, out);
  }
  return out + "]";
}

std::string TirPrinter::Regions(const std::vector<BufferRegion>& regions) {
  std::string out;
  for (const BufferRegion& r : regions) {
    if (!out.empty()) out += ", ";
    out += expr_.BufferName(r.buffer) + "[";
    for (size_t i = 0; i < r.region.size(); ++i) {
      if (i) out += ", ";
      expr_.PrintRange(r.region[i], true, out);
    }
    out += "]";
  }
  return out;
}

void TirPrinter::Statement(const Stmt& s, bool last) {
  const Stmt* next = &s;
  // Chains of lets and allocations may be thousands long.
  while (last && *next) {
    if (auto* let = next->As<LetStmtNode>()) {
      Header(*let, LetHeader(*let));
      next = &let->body;
    } else if (auto* allocate = next->As<AllocateNode>()) {
      Header(*allocate, AllocateHeader(*allocate));
      next = &allocate->body;
    } else {
      break;
    }
  }
  if (*next) Dispatch(*next, [&](const auto& n) { Visit(n, last); });
}

void TirPrinter::Visit(const StoreNode& n, bool) {
  Header(n, Access(n.buffer, n.indices, n.predicate) + " = " + Text(n.value));
}

void TirPrinter::Visit(const ForNode& n, bool) {
  std::string range;
  expr_.PrintRange({n.min, n.extent}, false, range);
  std::vector<std::string> inits, results;
  for (const CarriedValue& c : n.carried) inits.push_back(Text(c.init));
  for (const CarriedValue& c : n.carried) {
    results.push_back(names_.Declare(c.result.get(), c.result.name()));
  }
  names_.PushScope();
  std::string header = "for ";
  expr_.DeclareVar(n.var, Var("", n.min.dtype()), header);
  header += " in " + range;
  if (n.for_kind == ForKind::kThreadBound) {
    header += " thread " + QuoteString(n.thread_tag);
  } else if (n.for_kind != ForKind::kSerial) {
    header += " " + std::string(ForKindName(n.for_kind));
  }
  for (size_t i = 0; i < n.carried.size(); ++i) {
    header += i ? ", " : " carry (";
    expr_.DeclareVar(n.carried[i].var, Var("", n.carried[i].init.dtype()), header);
    header += " = " + inits[i] + " -> " + results[i];
  }
  if (!n.carried.empty()) header += ")";
  Header(n, header + AnnotationText(n.annotations) + " {");
  Braces(n.body);
  Line("}");
  names_.PopScope();
}

void TirPrinter::Visit(const BlockNode& n, bool) {
  std::vector<std::string> bindings;
  for (const Expr& b : n.bindings) bindings.push_back(Text(b));
  std::vector<std::string> domains;
  for (const IterVar& iv : n.iter_vars) expr_.PrintRange(iv.dom, false, domains.emplace_back());
  std::string predicate = n.predicate ? " where " + Text(n.predicate) : "";
  std::string annotations = AnnotationText(n.annotations);
  names_.PushScope();
  std::string header = "block " + QuoteString(n.name);
  for (size_t i = 0; i < n.iter_vars.size(); ++i) {
    const Var& v = n.iter_vars[i].var;
    header += i ? ", " : " (";
    header += names_.Declare(v.get(), v.name()) + ": ";
    if (v.dtype() != DataType::Index()) header += v.dtype().ToString() + " ";
    header += std::string(IterKindName(n.iter_vars[i].kind)) + " " + domains[i] + " = " + bindings[i];
  }
  if (!n.iter_vars.empty()) header += ")";
  Header(n, header + predicate + annotations + " {");
  ++indent_;
  if (!n.reads.empty()) Line("reads " + Regions(n.reads));
  if (!n.writes.empty()) Line("writes " + Regions(n.writes));
  for (const Buffer& b : n.allocs) {
    std::string line = "alloc ";
    expr_.DeclareBuffer(b, line);
    Line(line);
  }
  if (n.init) {
    Line("init {");
    Braces(n.init);
    Line("}");
  }
  --indent_;
  Braces(n.body);
  Line("}");
  names_.PopScope();
}

void TirPrinter::Visit(const SeqNode& n, bool last) {
  for (size_t i = 0; i < n.stmts.size(); ++i) Statement(n.stmts[i], last && i + 1 == n.stmts.size());
}

void TirPrinter::Visit(const IfNode& n, bool) {
  Header(n, "if " + Text(n.condition) + " {");
  Braces(n.then_case);
  if (n.else_case) {
    Line("} else {");
    Braces(n.else_case);
  }
  Line("}");
}

std::string TirPrinter::LetHeader(const LetStmtNode& n) {
  const std::string value = Text(n.value);
  std::string header = "let ";
  expr_.DeclareVar(n.var, Var("", n.value.dtype()), header);
  return header + " = " + value;
}

std::string TirPrinter::AllocateHeader(const AllocateNode& n) {
  std::string header = "allocate ";
  expr_.DeclareBuffer(n.buffer, header);
  return header;
}

/// With braces of its own: something follows in the braces around.
void TirPrinter::Visit(const LetStmtNode& n, bool) {
  names_.PushScope();
  Header(n, LetHeader(n) + " {");
  Braces(n.body);
  Line("}");
  names_.PopScope();
}

void TirPrinter::Visit(const AllocateNode& n, bool) {
  names_.PushScope();
  Header(n, AllocateHeader(n) + " {");
  Braces(n.body);
  Line("}");
  names_.PopScope();
}

void TirPrinter::Visit(const EvaluateNode& n, bool) { Header(n, "evaluate " + Text(n.value)); }

void TirPrinter::Visit(const YieldNode& n, bool) {
  std::string text = "yield ";
  expr_.PrintList(n.values, text);
  Header(n, text);
}

void TirPrinter::Function(const PrimFunc& f) {
  std::string head = "primfunc @" + NameOrQuoted(f.name());
  for (size_t i = 0; i < f->dims.size(); ++i) {
    head += i ? ", " : "<";
    expr_.DeclareVar(f->dims[i], Var::Symbol(""), head);
  }
  if (!f->dims.empty()) head += ">";
  std::vector<std::string> buffers;
  for (const Buffer& b : f->buffers) expr_.DeclareBuffer(b, buffers.emplace_back());
  std::string tail = fmt::format(") outputs({}) {}", f->num_outputs,
                                 f->stage == TirStage::kScheduled ? "scheduled" : "lowered");
  if (!f->attrs.empty()) {
    tail += " attrs ";
    expr_.PrintAnnotations(f->attrs, tail);
  }
  const std::string joined = fmt::format("{}", fmt::join(buffers, ", "));
  if (head.size() + joined.size() + tail.size() > kMaxHeader) {
    head += fmt::format("(\n    {}", fmt::join(buffers, ",\n    "));
  } else {
    head += "(" + joined;
  }
  Line(head + tail + " {");
  Braces(f->body);
  Line("}");
}

}  // namespace

std::string Print(const PrimFunc& f, const PrintOptions& options) {
  TirPrinter printer(options);
  printer.Function(f);
  return printer.text();
}

std::string Print(const Stmt& s, const PrintOptions& options) {
  if (!s) return "";
  TirPrinter printer(options);
  printer.Statement(s, true);
  return printer.text();
}

std::string PrintPrimFuncs(const IRModule& module) {
  std::string out;
  for (const auto& [name, f] : module.functions()) {
    if (f->kind != FunctionKind::kPrim) continue;
    if (!out.empty()) out += "\n";
    out += ToString(PrimFunc(static_cast<const PrimFuncNode*>(f.get())));
  }
  return out;
}

std::string ToString(const PrimFunc& f) { return Print(f, {}); }
std::string ToString(const Stmt& s) { return Print(s, {}); }

}  // namespace tilewright
