// SPDX-License-Identifier: Apache-2.0
// Statements.
#include "tilewright/codegen/c/kernel_writer.h"

#include <fmt/format.h>

#include <algorithm>

namespace tilewright::c_codegen {

void KernelWriter::Line(const std::string& text) {
  out_.append(size_t(depth_) * 2, ' ');
  out_ += text + "\n";
}

void KernelWriter::CollectUses() {
  PreOrderExprs(kernel_.kernel->body, [&](const Expr& e) {
    if (auto* var = e.As<VarNode>()) used_vars_.insert(var);
    if (auto* load = e.As<LoadNode>()) used_buffers_.insert(load->buffer.get());
    auto* call = e.As<CallNode>();
    can_fail_ |= call && call->op == Intrinsic::k_extern_call;
  });
  PreOrder(kernel_.kernel->body, [&](const Stmt& s) {
    if (auto* store = s.As<StoreNode>()) used_buffers_.insert(store->buffer.get());
    auto* allocate = s.As<AllocateNode>();
    if (!allocate || allocate->buffer.scope() != "workspace") return true;
    for (const Expr& dim : allocate->buffer.shape()) {
      for (const Var& v : FreeVars(dim)) used_vars_.insert(v.operator->());
    }
    return true;
  });
}

std::string KernelWriter::Signature(const std::string& name) {
  const PrimFuncNode& f = *kernel_.kernel.get();
  const char* restricted = kernel_.arguments_overlap ? "" : " restrict";
  std::vector<std::string> params, unused;
  for (size_t i = 0; i < f.buffers.size(); ++i) {
    const Buffer& b = f.buffers[i];
    const bool written = i + size_t(f.num_outputs) >= f.buffers.size();
    const std::string param = names_.Declare(b.name());
    buffers_[b.get()] = param;
    params.push_back(fmt::format("{}{}*{} {}", written ? "" : "const ", Support::MemoryType(b.dtype()),
                                 restricted, param));
    if (!used_buffers_.contains(b.get())) unused.push_back(param);
  }
  if (f.attrs.contains("workspace_bytes")) {
    params.emplace_back("u8* workspace");
    unused.emplace_back("workspace");
  }
  for (const Var& dim : f.dims) {
    const std::string param = names_.Declare(dim.name());
    vars_[dim.operator->()] = param;
    params.push_back(fmt::format("{} {}", support_.Type(dim.dtype()), param));
    if (dim->min >= 0) nonnegative_.insert(dim.operator->());
    if (!used_vars_.contains(dim.operator->())) unused.push_back(param);
  }
  std::string list = params.empty() ? "void" : "";
  for (const std::string& p : params) list += (list.empty() ? "" : ", ") + p;
  for (const std::string& p : unused) Line(fmt::format("(void){};", p));
  return fmt::format("static {} {}({}) {{\n", can_fail_ ? "const char*" : "void", name, list);
}

std::string KernelWriter::Write(const std::string& name) {
  CollectUses();
  const std::string comment = kernel_.comment.empty() ? "" : "/* " + kernel_.comment + " */\n";
  const std::string signature = Signature(name);
  WriteStmt(kernel_.kernel->body);
  if (can_fail_) Line("return NULL;");
  return comment + signature + out_ + "}\n";
}

void KernelWriter::BeginStatement(std::initializer_list<Expr> exprs) {
  memo_.assign(1, {});
  barrier_ = 0;
  uses_.clear();
  std::function<void(const Expr&)> count = [&](const Expr& e) {
    if (e.get() && ++uses_[e.get()] == 1) ForEachChild(e, count);
  };
  for (const Expr& e : exprs) count(e);
}

void KernelWriter::Define(const Var& var, const std::string& value, bool constant) {
  const std::string name = names_.Declare(var.name());
  vars_[var.operator->()] = name;
  Line(fmt::format("{}{} {} = {};", constant ? "const " : "", support_.Type(var.dtype()), name, value));
  if (!used_vars_.contains(var.operator->())) Line(fmt::format("(void){};", name));
}

void KernelWriter::WriteStmt(const Stmt& first) {
  // Lowering makes chains of thousands of lets, too long for recursion.
  Stmt s = first;
  while (auto* let = s.As<LetStmtNode>()) {
    BeginStatement({let->value});
    if (let->var.dtype().is_integer() && let->var.dtype().is_scalar() && IsNonNegative(let->value))
      nonnegative_.insert(let->var.operator->());
    Define(let->var, Emit(let->value, kConditional));
    s = let->body;
  }
  Dispatch(s, Overloaded{
                  [&](const StoreNode& n) { EmitStore(n); },
                  [&](const ForNode& n) { WriteFor(n); },
                  [&](const BlockNode& n) { TW_CHECK(false, "block {} at code generation", n.name); },
                  [&](const SeqNode& n) {
                    for (const Stmt& child : n.stmts) WriteStmt(child);
                  },
                  [&](const IfNode& n) { WriteIf(n); },
                  [&](const LetStmtNode&) {},  // above
                  [&](const AllocateNode& n) { WriteAllocate(n); },
                  [&](const EvaluateNode& n) { WriteEvaluate(n); },
                  [&](const YieldNode& n) { WriteYield(n); },
              });
}

void KernelWriter::WriteBody(const Stmt& body) {
  names_.Push();
  ++depth_;
  WriteStmt(body);
  --depth_;
  names_.Pop();
}

void KernelWriter::WriteFor(const ForNode& n) {
  TW_CHECK(n.for_kind != ForKind::kVectorized && n.for_kind != ForKind::kThreadBound,
           "{} loop {} at code generation", ForKindName(n.for_kind), n.var.name());
  // What a loop carries is a variable: the body's, until the yield at its end, and then the result.
  for (const CarriedValue& c : n.carried) {
    BeginStatement({c.init});
    const std::string init = Emit(c.init, kConditional);
    if (used_vars_.contains(c.var.operator->())) used_vars_.insert(c.result.operator->());
    Define(c.result, init, /*constant=*/false);
    vars_[c.var.operator->()] = vars_[c.result.operator->()];
  }
  const std::string type = support_.Type(n.var.dtype());
  BeginStatement({n.min});
  const std::string min = Emit(n.min, kConditional);
  const Expr last = n.min + n.extent;
  BeginStatement({last});
  std::string end = Emit(last, kSum);
  if (!AsInt(last) && last.kind() != ExprKind::kVar) {
    const std::string bound = names_.Declare(n.var.name() + "_end");
    Line(fmt::format("const {} {} = {};", type, bound, end));
    end = bound;
  }
  names_.Push();
  const std::string name = names_.Declare(n.var.name());
  vars_[n.var.operator->()] = name;
  if (IsNonNegative(n.min)) nonnegative_.insert(n.var.operator->());
  Line(fmt::format("for ({} {} = {}; {} < {}; ++{}) {{", type, name, min, name, end, name));
  carrying_.push_back(&n);
  WriteBody(n.body);
  carrying_.pop_back();
  Line("}");
  names_.Pop();
}

void KernelWriter::WriteYield(const YieldNode& n) {
  TW_CHECK(!carrying_.empty() && carrying_.back()->carried.size() == n.values.size(), "yield of {} values",
           n.values.size());
  const std::vector<CarriedValue>& carried = carrying_.back()->carried;
  // All values are those from before the assignments.
  std::vector<std::string> values;
  for (size_t k = 0; k < n.values.size(); ++k) {
    BeginStatement({n.values[k]});
    std::string value = Emit(n.values[k], kConditional);
    bool reads_assigned = false;
    for (size_t j = 0; j < k; ++j) reads_assigned |= UsesVar(n.values[k], carried[j].var);
    values.push_back(reads_assigned ? Temporary(n.values[k].dtype(), value) : value);
  }
  // A temporary must stand before the first assignment.
  for (size_t k = 0; k < values.size(); ++k) {
    const std::string& name = vars_.at(carried[k].var.operator->());
    if (name != values[k]) Line(fmt::format("{} = {};", name, values[k]));
  }
}

void KernelWriter::WriteIf(const IfNode& n) {
  BeginStatement({n.condition});
  Line(fmt::format("if ({}) {{", Emit(n.condition, kConditional)));
  WriteBody(n.then_case);
  if (n.else_case) {
    Line("} else {");
    WriteBody(n.else_case);
  }
  Line("}");
}

void KernelWriter::WriteAllocate(const AllocateNode& n) {
  Expr elements(1);
  for (const Expr& dim : n.buffer.shape()) elements = elements * dim;
  const std::string type = Support::MemoryType(n.buffer.dtype());
  const std::string name = names_.Declare(n.buffer.name());
  buffers_[n.buffer.get()] = name;
  const Expr before = workspace_used_;
  if (n.buffer.scope() == "workspace") {
    BeginStatement({workspace_used_});
    const std::string offset = IsInt(workspace_used_, 0) ? "" : " + " + Emit(workspace_used_, kSum + 1);
    Line(fmt::format("{}* const {} = ({}*)(workspace{});", type, name, type, offset));
    const Expr bytes = elements * Expr(n.buffer.dtype().element_bytes());
    workspace_used_ = workspace_used_ + FloorDiv(bytes + Expr(63), 64) * Expr(64);
  } else {
    const auto count = AsInt(elements);
    TW_CHECK(count && *count >= 0, "{} is allocated with an unknown size", n.buffer.name());
    // Not on the stack, which is small where C is needed.
    Line(fmt::format("static _Alignas(64) {} {}[{}];", type, name, std::max<int64_t>(*count, 1)));
  }
  if (!used_buffers_.contains(n.buffer.get())) Line(fmt::format("(void){};", name));
  WriteStmt(n.body);
  workspace_used_ = before;
}

void KernelWriter::WriteEvaluate(const EvaluateNode& n) {
  auto* call = n.value.As<CallNode>();
  if (call && call->op == Intrinsic::k_prefetch) {
    auto* load = call->args[0].As<LoadNode>();
    const auto locality = AsInt(call->args[1]);
    TW_CHECK(load && locality, "prefetch takes a load and a constant");
    const Expr& index = load->indices[0];
    auto* ramp = index.As<RampNode>();
    const Expr first = ramp ? ramp->base : index;
    BeginStatement({first});
    return Line(fmt::format("__builtin_prefetch(&{}[{}], 0, {});", NameOf(load->buffer),
                            Emit(first, kConditional), *locality));
  }
  if (!call) return;  // without an effect
  TW_CHECK(call->op == Intrinsic::k_extern_call || GetIntrinsicInfo(call->op).pure, "{} at code generation",
           GetIntrinsicInfo(call->op).name);
  if (call->op != Intrinsic::k_extern_call) return;
  auto* name = call->args.empty() ? nullptr : call->args[0].As<StringImmNode>();
  auto* message = call->args.size() == 3 ? call->args[1].As<StringImmNode>() : nullptr;
  TW_CHECK(name && name->value == "report_error" && message, "kernels can call no routine but report_error");
  Line(fmt::format("return {};", CString(message->value)));
}

}  // namespace tilewright::c_codegen
