// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <random>

#include "tilewright/arith/eval.h"
#include "tilewright/tir/verify_findings.h"

namespace tilewright {

namespace {

/// How a run through the function chooses the iteration of each loop: the first, the last, or any.
enum class Choice { kFirst, kLast, kRandom };

class PointRun {
 public:
  PointRun(const PrimFunc& f, Findings& findings, Choice choice, uint64_t seed)
      : findings_(findings), choice_(choice), random_(seed) {
    for (const Var& v : f->dims) values_[v] = SomeValue(*v.operator->());
    Walk(f->body);
  }

 private:
  /// A box of a buffer at this point; ends are known or the box is of no use.
  struct Box {
    const BufferNode* buffer;
    bool write, known = true;
    std::vector<std::pair<int64_t, int64_t>> ends;  ///< [first, second)
  };
  struct OpenBlock {
    const BlockNode* block;
    std::vector<Box> boxes;
  };

  /// A dimension gets a value that its declaration allows, neither tiny nor large where it may choose.
  static int64_t SomeValue(const VarNode& v) {
    constexpr int64_t kUsual = 24;
    if (v.min > v.max || v.multiple < 1) return v.min;
    const int64_t wanted = std::clamp(kUsual, v.min, v.max);
    const int64_t up = CeilToMultiple(wanted, v.multiple);
    return up <= v.max ? up : v.max / v.multiple * v.multiple;
  }
  static int64_t CeilToMultiple(int64_t value, int64_t multiple) {
    const int64_t r = FloorModInt(value, multiple);
    int64_t up = value;
    if (r != 0 && __builtin_add_overflow(value, multiple - r, &up)) return value - r;
    return up;
  }

  std::optional<int64_t> Eval(const Expr& e) const { return EvalInt(e, values_); }

  void Walk(const Stmt& s) {
    Dispatch(s, [&](const auto& n) { Visit(n); });
  }

  void Visit(const ForNode& n) {
    Exprs(n);
    const auto min = Eval(n.min), extent = Eval(n.extent);
    if (!min || !extent || *extent <= 0) return;
    int64_t offset = choice_ == Choice::kLast ? *extent - 1 : 0;
    if (choice_ == Choice::kRandom) offset = std::uniform_int_distribution<int64_t>(0, *extent - 1)(random_);
    values_[n.var] = *min + offset;
    Walk(n.body);
  }

  void Visit(const BlockNode& n) {
    if (n.predicate.get() && Eval(n.predicate) != 1) return;
    bool starts = true;
    for (size_t i = 0; i < n.iter_vars.size(); ++i) {
      const IterVar& iv = n.iter_vars[i];
      const auto value = Eval(n.bindings[i]), lo = Eval(iv.dom.min), extent = Eval(iv.dom.extent);
      if (!value || !lo || !extent) return;
      if (*value < *lo || *value - *lo >= *extent) {
        findings_.Add(&n, "TW1506",
                      fmt::format("block \"{}\" binds {} to {}, outside [{}, {}), for {}", n.name,
                                  iv.var.name(), *value, *lo, *lo + *extent, Point(n.bindings[i])));
        return;
      }
      starts &= iv.kind != IterKind::kReduce || *value == *lo;
    }
    for (size_t i = 0; i < n.iter_vars.size(); ++i) values_[n.iter_vars[i].var] = *Eval(n.bindings[i]);
    // The root block stands for the whole function and says nothing about what it touches.
    const bool watched = depth_++ > 0;
    if (watched) Open(n);
    if (n.init && starts) Walk(n.init);
    Walk(n.body);
    if (watched) open_.pop_back();
    --depth_;
  }

  void Open(const BlockNode& n) {
    OpenBlock open{&n, {}};
    auto add = [&](const std::vector<BufferRegion>& regions, bool write) {
      for (const BufferRegion& r : regions) {
        Box box{r.buffer.get(), write, true, {}};
        for (const Range& range : r.region) {
          const auto lo = Eval(range.min), extent = Eval(range.extent);
          box.known &= lo.has_value() && extent.has_value();
          if (box.known) box.ends.push_back({*lo, *lo + *extent});
        }
        open.boxes.push_back(std::move(box));
      }
    };
    add(n.reads, false);
    add(n.writes, true);
    open_.push_back(std::move(open));
  }

  void Visit(const SeqNode& n) {
    for (const Stmt& s : n.stmts) Walk(s);
  }
  void Visit(const IfNode& n) {
    Exprs(n);
    const auto condition = Eval(n.condition);
    // Not known here: whether the branch runs is not either.
    if (!condition) return;
    if (*condition) {
      Walk(n.then_case);
    } else if (n.else_case) {
      Walk(n.else_case);
    }
  }
  void Visit(const LetStmtNode& n) {
    Exprs(n);
    if (auto value = Eval(n.value)) values_[n.var] = *value;
    Walk(n.body);
    values_.erase(n.var);
  }
  void Visit(const AllocateNode& n) { Walk(n.body); }
  void Visit(const EvaluateNode& n) { Exprs(n); }
  void Visit(const YieldNode& n) { Exprs(n); }
  void Visit(const StoreNode& n) {
    Exprs(n);
    if (!n.predicate) Touch(n, n.buffer, n.indices, true);
  }

  void Exprs(const StmtNode& n) {
    ForEachExpr(Stmt(&n), [&](const Expr& e) { Loads(n, e); });
  }

  void Loads(const StmtNode& at, const Expr& e) {
    if (auto* choice = e.As<IfThenElseNode>()) {
      Loads(at, choice->condition);
      const auto condition = Eval(choice->condition);
      if (condition) Loads(at, *condition ? choice->true_value : choice->false_value);
      return;
    }
    if (auto* let = e.As<LetNode>()) {
      Loads(at, let->value);
      if (auto value = Eval(let->value)) values_[let->var] = *value;
      Loads(at, let->body);
      values_.erase(let->var);
      return;
    }
    // A prefetch reads nothing.
    if (auto* call = e.As<CallNode>(); call && call->op == Intrinsic::k_prefetch) return;
    if (auto* load = e.As<LoadNode>(); load && !load->predicate)
      Touch(at, load->buffer, load->indices, false);
    ForEachChild(e, [&](const Expr& child) { Loads(at, child); });
  }

  /// An access at this point, against the boxes of every block around it that does not own the buffer.
  void Touch(const StmtNode& at, const Buffer& buffer, const std::vector<Expr>& indices, bool store) {
    std::vector<int64_t> index;
    for (const Expr& i : indices) {
      const auto value = i.dtype().is_scalar() ? Eval(i) : std::nullopt;
      if (!value) return;
      index.push_back(*value);
    }
    for (size_t b = open_.size(); b-- > 0;) {
      const BlockNode& block = *open_[b].block;
      const auto& own = block.allocs;
      if (std::find(own.begin(), own.end(), buffer) != own.end()) return;
      if (Covered(open_[b], buffer, index, store)) continue;
      findings_.Add(&at, "TW1505",
                    fmt::format("block \"{}\" {} {}[{}], which is outside the regions that it states, for {}",
                                block.name, store ? "stores to" : "loads", buffer.name(),
                                fmt::join(index, ", "), Point(block)));
      return;
    }
  }

  static bool Covered(const OpenBlock& open, const Buffer& buffer, const std::vector<int64_t>& index,
                      bool store) {
    for (const Box& box : open.boxes) {
      if (box.buffer != buffer.get() || (store && !box.write)) continue;
      if (!box.known) return true;
      bool inside = true;
      for (size_t d = 0; d < index.size(); ++d) {
        inside &= index[d] >= box.ends[d].first && index[d] < box.ends[d].second;
      }
      if (inside) return true;
    }
    return false;
  }

  std::string Point(const Expr& e) const {
    std::string text;
    for (const Var& v : FreeVars(e)) AddValue(v, text);
    return text.empty() ? "every iteration" : text;
  }
  std::string Point(const BlockNode& n) const {
    std::string text;
    for (const IterVar& iv : n.iter_vars) AddValue(iv.var, text);
    return text.empty() ? "every iteration" : text;
  }
  void AddValue(const Var& v, std::string& text) const {
    auto it = values_.find(v);
    if (it != values_.end()) text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", v.name(), it->second);
  }

  Findings& findings_;
  Choice choice_;
  std::mt19937_64 random_;
  VarValues values_;
  std::vector<OpenBlock> open_;
  int depth_ = 0;
};

}  // namespace

void VerifyAtPoints(const PrimFunc& f, Findings& findings) {
  constexpr uint64_t kRandomRuns = 4;
  PointRun(f, findings, Choice::kFirst, 0);
  PointRun(f, findings, Choice::kLast, 0);
  for (uint64_t seed = 0; seed < kRandomRuns; ++seed) PointRun(f, findings, Choice::kRandom, seed);
}

}  // namespace tilewright
