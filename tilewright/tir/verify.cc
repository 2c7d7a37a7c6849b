// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/verify.h"

#include <algorithm>

#include "tilewright/ir/type_check.h"
#include "tilewright/tir/printer.h"
#include "tilewright/tir/verify_findings.h"

namespace tilewright {

void Findings::Add(const StmtNode* at, const std::string& id, std::string message) {
  constexpr size_t kEnough = 20;
  if (list_.size() >= kEnough || !seen_.insert({at, id}).second) return;
  std::string where = "function @" + f_.name();
  if (at) {
    const std::string text = ToString(Stmt(at));
    where += ": " + text.substr(0, text.find('\n'));
  }
  list_.push_back({{id, std::move(message), std::move(where), {}}, at});
}

namespace {

/// What both stages check, and calls to what only one does.
class Verifier {
 public:
  Verifier(const PrimFunc& f, Findings& findings) : f_(f), findings_(findings) {}

  void Run() {
    for (const Var& v : f_->dims) Declare(v.get(), v.name(), "TW1502");
    for (const Buffer& b : f_->buffers) DeclareBuffer(b);
    if (f_->num_outputs < 0 || size_t(f_->num_outputs) > f_->buffers.size()) {
      Report("TW1504", fmt::format("{} outputs of {} buffers", f_->num_outputs, f_->buffers.size()));
    }
    if (!f_->body) return Report("TW1501", "a function without a body");
    if (scheduled()) CheckRoot();
    Walk(f_->body);
  }

 private:
  bool scheduled() const { return f_->stage == TirStage::kScheduled; }
  void Report(const std::string& id, std::string message) { findings_.Add(at_, id, std::move(message)); }

  // ---- Names.

  /// Everything declared while it lives is out of sight afterwards.
  class Scope {
   public:
    explicit Scope(Verifier& v) : v_(v), size_(v.order_.size()) {}
    ~Scope() {
      for (; v_.order_.size() > size_; v_.order_.pop_back()) v_.visible_.erase(v_.order_.back());
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Verifier& v_;
    size_t size_;
  };

  void Declare(const Object* object, const std::string& name, const std::string& id) {
    // Passes of the lowered stage may repeat a statement, and with it the loops inside.
    const bool again = scheduled() ? !ever_.insert(object).second : visible_.contains(object);
    if (again) Report(id, fmt::format("{} is declared twice", name));
    if (visible_.insert(object).second) order_.push_back(object);
  }

  void DeclareBuffer(const Buffer& b) {
    CheckExprs(b->shape);
    CheckExprs(b->strides);
    if (b->offset) Check(b->offset);
    Declare(b.get(), b.name(), "TW1504");
    if (scheduled()) return;
    const size_t rank = b->axis_separators.size() + 1;
    if (b->shape.size() != rank) {
      Report("TW1504", fmt::format("{} has {} dimensions, a lowered buffer with {} separators has {}",
                                   b.name(), b->shape.size(), rank - 1, rank));
    }
    if (b->scope == "register") {
      Report("TW1504", fmt::format("{} is of scope \"register\": it was not promoted to values", b.name()));
    }
  }

  void UseBuffer(const Buffer& b) {
    if (visible_.contains(b.get())) return;
    Report("TW1504", fmt::format("{} is neither a parameter nor allocated around its use", b.name()));
  }

  void UseVar(const VarNode& v) {
    if (!visible_.contains(&v)) return Report("TW1502", fmt::format("{} is not bound here", v.name));
    auto loop = loop_depth_.find(&v);
    if (loop != loop_depth_.end() && loop->second < block_depth_) {
      Report("TW1502",
             fmt::format("{} is the variable of a loop outside the block; only bindings and the predicate "
                         "may use it",
                         v.name));
    }
  }

  // ---- Expressions.

  void CheckExprs(const std::vector<Expr>& list) {
    for (const Expr& e : list) Check(e);
  }

  void Check(const Expr& e) {
    if (!e) return Report("TW1501", "an expression is missing");
    if (std::string problem = TypeProblem(e); !problem.empty()) Report("TW1503", std::move(problem));
    if (auto* var = e.As<VarNode>()) return UseVar(*var);
    if (auto* let = e.As<LetNode>()) {
      Check(let->value);
      Scope scope(*this);
      if (visible_.insert(let->var.get()).second) order_.push_back(let->var.get());
      return Check(let->body);
    }
    if (auto* load = e.As<LoadNode>()) UseBuffer(load->buffer);
    ForEachChild(e, [&](const Expr& child) { Check(child); });
  }

  void CheckOf(const Expr& e, DataType dtype, std::string_view what) {
    Check(e);
    if (e.get() && e.dtype() != dtype) {
      Report("TW1503",
             fmt::format("{} is of type {}, expected {}", what, e.dtype().ToString(), dtype.ToString()));
    }
  }

  void CheckRange(const Range& r, DataType dtype, std::string_view what) {
    if (!dtype.is_integer() || !dtype.is_scalar()) {
      Report("TW1503", fmt::format("{} of type {}", what, dtype.ToString()));
    }
    CheckOf(r.min, dtype, what);
    CheckOf(r.extent, dtype, what);
  }

  // ---- Statements.

  void Walk(const Stmt& s) {
    Scope scope(*this);
    const Stmt* next = &s;
    while (next) {
      const StmtNode* outside = std::exchange(at_, next->get());
      next = *next ? Dispatch(*next, [&](const auto& n) { return Visit(n); }) : nullptr;
      at_ = outside;
    }
  }

  // Each returns what follows in the same scope, or null.

  const Stmt* Visit(const StoreNode& n) {
    UseBuffer(n.buffer);
    CheckExprs(n.indices);
    if (n.predicate) Check(n.predicate);
    Check(n.value);
    std::string problem = StoreTypeProblem(n.buffer, n.indices, n.predicate, n.value.dtype());
    if (!problem.empty()) Report("TW1503", std::move(problem));
    return nullptr;
  }

  const Stmt* Visit(const ForNode& n) {
    CheckRange({n.min, n.extent}, n.var.dtype(), "the range of a loop");
    for (const CarriedValue& c : n.carried) {
      CheckOf(c.init, c.var.dtype(), "the first value of what a loop carries");
      if (c.result.dtype() != c.var.dtype()) Report("TW1503", "what a loop carries changes its type");
    }
    scheduled() ? CheckScheduledLoop(n) : CheckLoweredLoop(n);
    {
      Scope scope(*this);
      Declare(n.var.get(), n.var.name(), "TW1502");
      loop_depth_[n.var.get()] = block_depth_;
      for (const CarriedValue& c : n.carried) Declare(c.var.get(), c.var.name(), "TW1502");
      const bool parallel = std::exchange(in_parallel_, in_parallel_ || n.for_kind == ForKind::kParallel);
      Walk(n.body);
      in_parallel_ = parallel;
    }
    for (const CarriedValue& c : n.carried) Declare(c.result.get(), c.result.name(), "TW1502");
    return nullptr;
  }

  const Stmt* Visit(const BlockNode& n) {
    if (!scheduled()) {
      Report("TW1501", fmt::format("block \"{}\" in a lowered function", n.name));
      return nullptr;
    }
    CheckBlock(n);
    return nullptr;
  }

  const Stmt* Visit(const SeqNode& n) {
    // What one statement declares (results of a loop) the next may use, so that all share a scope.
    for (const Stmt& s : n.stmts) {
      const Stmt* next = &s;
      if (s.As<LetStmtNode>() || s.As<AllocateNode>() || s.As<SeqNode>()) {
        Walk(s);
        continue;
      }
      const StmtNode* outside = std::exchange(at_, next->get());
      if (s) Dispatch(s, [&](const auto& x) { return Visit(x); });
      at_ = outside;
    }
    return nullptr;
  }

  const Stmt* Visit(const IfNode& n) {
    CheckOf(n.condition, kBool, "a condition");
    Walk(n.then_case);
    if (n.else_case) Walk(n.else_case);
    return nullptr;
  }

  const Stmt* Visit(const LetStmtNode& n) {
    CheckOf(n.value, n.var.dtype(), "the value of a let");
    Declare(n.var.get(), n.var.name(), "TW1502");
    return &n.body;
  }

  const Stmt* Visit(const AllocateNode& n) {
    if (scheduled()) Report("TW1501", "an Allocate in a scheduled function; blocks have allocs");
    DeclareBuffer(n.buffer);
    return &n.body;
  }

  const Stmt* Visit(const EvaluateNode& n) {
    Check(n.value);
    return nullptr;
  }

  const Stmt* Visit(const YieldNode& n) {
    CheckExprs(n.values);
    if (scheduled()) Report("TW1501", "a Yield in a scheduled function");
    if (!allowed_yields_.contains(&n))
      Report("TW1509", "a Yield that is not the end of a loop with carried values");
    return nullptr;
  }

  // ---- The scheduled stage.

  void CheckRoot() {
    auto* root = f_->body.As<BlockNode>();
    if (!root || root->name != "root" || !root->iter_vars.empty() || root->predicate.get()) {
      Report("TW1501", "the body is not a block \"root\" without iteration variables and predicate");
    }
  }

  void CheckScheduledLoop(const ForNode& n) {
    if (!n.carried.empty()) Report("TW1501", "carried values in a scheduled function");
    const bool unrolled = n.for_kind == ForKind::kVectorized || n.for_kind == ForKind::kUnrolled;
    if (unrolled && !AsInt(n.extent)) {
      Report("TW1508", fmt::format("loop {} is {} but its extent is not a constant", n.var.name(),
                                   ForKindName(n.for_kind)));
    }
    if ((n.for_kind == ForKind::kThreadBound) == n.thread_tag.empty()) {
      Report("TW1508", "a loop is bound to hardware threads exactly if it names them");
    }
    const bool independent = n.for_kind == ForKind::kParallel || n.for_kind == ForKind::kVectorized ||
                             n.for_kind == ForKind::kThreadBound;
    if (!independent) return;
    PreOrder(n.body, [&](const Stmt& s) {
      auto* block = s.As<BlockNode>();
      if (!block) return true;
      for (size_t i = 0; i < block->iter_vars.size(); ++i) {
        const IterVar& iv = block->iter_vars[i];
        if (iv.kind == IterKind::kSpatial || !UsesVar(block->bindings[i], n.var)) continue;
        Report("TW1507",
               fmt::format("loop {} is {} and binds {}, which block \"{}\" declares {}", n.var.name(),
                           ForKindName(n.for_kind), iv.var.name(), block->name, IterKindName(iv.kind)));
      }
      return false;
    });
  }

  void CheckBlock(const BlockNode& n) {
    if (!block_names_.insert(n.name).second) {
      Report("TW1501", fmt::format("a second block named \"{}\"", n.name));
    }
    for (size_t i = 0; i < n.iter_vars.size(); ++i) {
      CheckRange(n.iter_vars[i].dom, n.iter_vars[i].var.dtype(), "the domain of an iteration variable");
      CheckOf(n.bindings[i], n.iter_vars[i].var.dtype(), "a binding");
    }
    if (n.predicate) CheckOf(n.predicate, kBool, "the predicate of a block");
    Scope scope(*this);
    ++block_depth_;
    for (const IterVar& iv : n.iter_vars) Declare(iv.var.get(), iv.var.name(), "TW1502");
    for (const Buffer& b : n.allocs) DeclareBuffer(b);
    CheckRegions(n.reads);
    CheckRegions(n.writes);
    CheckTouched(n);
    if (n.init) Walk(n.init);
    Walk(n.body);
    --block_depth_;
  }

  void CheckRegions(const std::vector<BufferRegion>& regions) {
    for (const BufferRegion& r : regions) {
      UseBuffer(r.buffer);
      if (r.region.size() != r.buffer.shape().size()) {
        Report("TW1503", fmt::format("a region of {} has {} dimensions, the buffer {}", r.buffer.name(),
                                     r.region.size(), r.buffer.shape().size()));
      }
      for (const Range& range : r.region) {
        if (range.min) CheckRange(range, range.min.dtype(), "a region");
      }
    }
  }

  /// The buffers that a block touches, against those that it says it does.
  void CheckTouched(const BlockNode& n) {
    // Lists, in the order of the program, so that what is found does not depend on addresses.
    std::vector<Buffer> own = n.allocs, loads, stores;
    auto contains = [](const std::vector<Buffer>& list, const Buffer& b) {
      return std::find(list.begin(), list.end(), b) != list.end();
    };
    auto add = [&](std::vector<Buffer>& list, const Buffer& b) {
      if (!contains(list, b)) list.push_back(b);
    };
    auto on_expr = [&](const Expr& e) {
      auto* call = e.As<CallNode>();
      if (call && call->op == Intrinsic::k_prefetch) return false;
      if (auto* load = e.As<LoadNode>()) add(loads, load->buffer);
      return true;
    };
    auto collect = [&](const Stmt& s) {
      PreOrder(s, [&](const Stmt& x) {
        if (auto* block = x.As<BlockNode>())
          own.insert(own.end(), block->allocs.begin(), block->allocs.end());
        if (auto* store = x.As<StoreNode>()) add(stores, store->buffer);
        ForEachExpr(x, [&](const Expr& e) { PreOrder(e, on_expr); });
        return true;
      });
    };
    collect(n.body);
    const std::vector<Buffer> body_loads = loads;
    if (n.init) collect(n.init);
    auto in = [](const std::vector<BufferRegion>& regions, const Buffer& b) {
      return std::any_of(regions.begin(), regions.end(),
                         [&](const BufferRegion& r) { return r.buffer == b; });
    };
    // The root block stands for the whole function and says nothing about what it touches.
    if (block_depth_ > 1) {
      for (const Buffer& b : stores) {
        if (!contains(own, b) && !in(n.writes, b)) {
          Report("TW1505",
                 fmt::format("block \"{}\" stores to {}, which is not in its writes", n.name, b.name()));
        }
      }
      for (const Buffer& b : loads) {
        if (!contains(own, b) && !in(n.writes, b) && !in(n.reads, b)) {
          Report("TW1505",
                 fmt::format("block \"{}\" loads from {}, which is not in its reads", n.name, b.name()));
        }
      }
    }
    const bool reduces = std::any_of(n.iter_vars.begin(), n.iter_vars.end(),
                                     [](const IterVar& iv) { return iv.kind == IterKind::kReduce; });
    for (const Buffer& b : stores) {
      if (!reduces || contains(own, b) || contains(body_loads, b)) continue;
      Report("TW1507", fmt::format("block \"{}\" has reduce variables and overwrites {} without reading it",
                                   n.name, b.name()));
    }
  }

  // ---- The lowered stage.

  void CheckLoweredLoop(const ForNode& n) {
    if (n.for_kind == ForKind::kVectorized || n.for_kind == ForKind::kUnrolled) {
      Report("TW1501", fmt::format("loop {} is {}, which no loop of the lowered stage is", n.var.name(),
                                   ForKindName(n.for_kind)));
    }
    if (n.for_kind == ForKind::kParallel && in_parallel_) Report("TW1501", "a parallel loop within another");
    if (n.carried.empty()) return;
    if (n.for_kind != ForKind::kSerial) {
      Report("TW1509", fmt::format("loop {} carries values and is {}, not serial", n.var.name(),
                                   ForKindName(n.for_kind)));
    }
    const Stmt* last = &n.body;
    while (true) {
      if (auto* seq = last->As<SeqNode>(); seq && !seq->stmts.empty()) {
        last = &seq->stmts.back();
      } else if (auto* let = last->As<LetStmtNode>()) {
        last = &let->body;
      } else if (auto* allocate = last->As<AllocateNode>()) {
        last = &allocate->body;
      } else {
        break;
      }
    }
    auto* yield = last->As<YieldNode>();
    if (!yield || yield->values.size() != n.carried.size()) {
      return Report("TW1509", "the body of a loop with carried values does not end with a Yield of as many");
    }
    allowed_yields_.insert(yield);
    for (size_t i = 0; i < n.carried.size(); ++i) {
      if (yield->values[i].dtype() == n.carried[i].var.dtype()) continue;
      Report("TW1503", fmt::format("{} carries {}, its Yield has {}", n.carried[i].var.name(),
                                   n.carried[i].var.dtype().ToString(), yield->values[i].dtype().ToString()));
    }
  }

  const PrimFunc& f_;
  Findings& findings_;
  const StmtNode* at_ = nullptr;
  std::unordered_set<const Object*> visible_, ever_;
  std::vector<const Object*> order_;
  std::unordered_map<const Object*, int> loop_depth_;  ///< of a loop variable: the number of blocks around it
  std::unordered_set<std::string> block_names_;
  std::unordered_set<const YieldNode*> allowed_yields_;
  int block_depth_ = 0;
  bool in_parallel_ = false;
};

Findings Verify(const PrimFunc& f, TirStage stage) {
  Findings findings(f);
  if (f->stage != stage) {
    findings.Add(nullptr, "TW1501",
                 fmt::format("the function is of the {} stage",
                             f->stage == TirStage::kScheduled ? "scheduled" : "lowered"));
    return findings;
  }
  Verifier(f, findings).Run();
  // Points need well-formed IR.
  if (stage == TirStage::kScheduled && findings.list().empty()) VerifyAtPoints(f, findings);
  return findings;
}

std::vector<Diagnostic> Diagnostics(const Findings& findings) {
  std::vector<Diagnostic> out;
  for (const Findings::Finding& x : findings.list()) out.push_back(x.diagnostic);
  return out;
}

}  // namespace

std::vector<Diagnostic> VerifyScheduled(const PrimFunc& f) {
  return Diagnostics(Verify(f, TirStage::kScheduled));
}
std::vector<Diagnostic> VerifyLowered(const PrimFunc& f) {
  return Diagnostics(Verify(f, TirStage::kLowered));
}

void CheckPrimFunc(const PrimFunc& f) {
  const Findings findings = Verify(f, f->stage);
  if (findings.list().empty()) return;
  PrintOptions options;
  for (const Findings::Finding& x : findings.list()) {
    std::string& mark = options.marks[x.stmt];
    mark += (mark.empty() ? "" : "; ") + x.diagnostic.message;
  }
  std::vector<Diagnostic> diagnostics = Diagnostics(findings);
  diagnostics.back().notes.push_back("in the function\n" + Print(f, options));
  throw Error(std::move(diagnostics));
}

}  // namespace tilewright
