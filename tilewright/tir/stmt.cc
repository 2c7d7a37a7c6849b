// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/stmt.h"

namespace tilewright {

std::string_view ForKindName(ForKind kind) {
  switch (kind) {
    case ForKind::kSerial:
      return "serial";
    case ForKind::kParallel:
      return "parallel";
    case ForKind::kVectorized:
      return "vectorized";
    case ForKind::kUnrolled:
      return "unrolled";
    case ForKind::kThreadBound:
      return "thread";
  }
  return "";
}

std::string_view IterKindName(IterKind kind) {
  switch (kind) {
    case IterKind::kSpatial:
      return "spatial";
    case IterKind::kReduce:
      return "reduce";
    case IterKind::kOpaque:
      return "opaque";
  }
  return "";
}

Stmt MakeStore(Buffer buffer, Expr value, std::vector<Expr> indices, Expr predicate) {
  TW_CHECK(buffer.get() && value.get(), "incomplete store");
  TW_CHECK(indices.size() == buffer.shape().size(), "{} has rank {}, stored by {} indices", buffer.name(),
           buffer.shape().size(), indices.size());
  TW_CHECK(value.dtype().element() == buffer.dtype().element(), "store of {} into {}: {}",
           value.dtype().ToString(), buffer.name(), buffer.dtype().ToString());
  return Stmt(new StoreNode(std::move(buffer), std::move(value), std::move(indices), std::move(predicate)));
}

Stmt MakeFor(Var var, Expr min, Expr extent, ForKind kind, Stmt body, Annotations annotations,
             std::string thread_tag, std::vector<CarriedValue> carried) {
  TW_CHECK(var.get() && min.get() && extent.get() && body.get(), "incomplete loop");
  return Stmt(new ForNode(std::move(var), std::move(min), std::move(extent), kind, std::move(body),
                          std::move(annotations), std::move(thread_tag), std::move(carried)));
}

Stmt WithBody(const ForNode& loop, Stmt body) {
  return MakeFor(loop.var, loop.min, loop.extent, loop.for_kind, std::move(body), loop.annotations,
                 loop.thread_tag, loop.carried);
}

Stmt MakeBlock(BlockNode block) {
  TW_CHECK(block.body, "block {} without a body", block.name);
  TW_CHECK(block.iter_vars.size() == block.bindings.size(), "block {} has {} variables and {} bindings",
           block.name, block.iter_vars.size(), block.bindings.size());
  return Stmt(new BlockNode(std::move(block)));
}

Stmt MakeSeq(std::vector<Stmt> stmts) {
  std::vector<Stmt> flat;
  for (Stmt& s : stmts) {
    if (!s) continue;
    if (auto* seq = s.As<SeqNode>()) {
      flat.insert(flat.end(), seq->stmts.begin(), seq->stmts.end());
    } else {
      flat.push_back(std::move(s));
    }
  }
  if (flat.empty()) return nullptr;
  if (flat.size() == 1) return flat.front();
  return Stmt(new SeqNode(std::move(flat)));
}

Stmt MakeIf(Expr condition, Stmt then_case, Stmt else_case) {
  TW_CHECK(condition.dtype() == kBool, "condition of type {}", condition.dtype().ToString());
  if (auto c = AsInt(condition)) return *c ? then_case : else_case;
  if (!then_case) return else_case ? MakeIf(MakeNot(condition), else_case) : nullptr;
  return Stmt(new IfNode(std::move(condition), std::move(then_case), std::move(else_case)));
}

Stmt MakeLetStmt(Var var, Expr value, Stmt body) {
  TW_CHECK(var.dtype() == value.dtype(), "let {}: {} = {}", var.name(), var.dtype().ToString(),
           value.dtype().ToString());
  return Stmt(new LetStmtNode(std::move(var), std::move(value), std::move(body)));
}

Stmt MakeAllocate(Buffer buffer, Stmt body) {
  return Stmt(new AllocateNode(std::move(buffer), std::move(body)));
}
Stmt MakeEvaluate(Expr value) { return Stmt(new EvaluateNode(std::move(value))); }
Stmt MakeYield(std::vector<Expr> values) { return Stmt(new YieldNode(std::move(values))); }

void ForEachChild(const Stmt& s, const std::function<void(const Stmt&)>& f) {
  auto maybe = [&](const Stmt& child) {
    if (child) f(child);
  };
  Dispatch(s, Overloaded{
                  [&](const StoreNode&) {},
                  [&](const ForNode& n) { f(n.body); },
                  [&](const BlockNode& n) { maybe(n.init), f(n.body); },
                  [&](const SeqNode& n) {
                    for (const Stmt& child : n.stmts) f(child);
                  },
                  [&](const IfNode& n) { f(n.then_case), maybe(n.else_case); },
                  [&](const LetStmtNode& n) { f(n.body); },
                  [&](const AllocateNode& n) { f(n.body); },
                  [&](const EvaluateNode&) {},
                  [&](const YieldNode&) {},
              });
}

namespace {

template <class F>
void EachRangeExpr(const std::vector<BufferRegion>& regions, F&& f) {
  for (const BufferRegion& r : regions) {
    for (const Range& range : r.region) f(range.min), f(range.extent);
  }
}

}  // namespace

void ForEachExpr(const Stmt& s, const std::function<void(const Expr&)>& f) {
  auto maybe = [&](const Expr& e) {
    if (e) f(e);
  };
  auto all = [&](const std::vector<Expr>& list) {
    for (const Expr& e : list) f(e);
  };
  Dispatch(s, Overloaded{
                  [&](const StoreNode& n) { f(n.value), all(n.indices), maybe(n.predicate); },
                  [&](const ForNode& n) {
                    f(n.min), f(n.extent);
                    for (const CarriedValue& c : n.carried) f(c.init);
                  },
                  [&](const BlockNode& n) {
                    for (const IterVar& iv : n.iter_vars) f(iv.dom.min), f(iv.dom.extent);
                    all(n.bindings), maybe(n.predicate);
                    EachRangeExpr(n.reads, f), EachRangeExpr(n.writes, f);
                  },
                  [&](const SeqNode&) {},
                  [&](const IfNode& n) { f(n.condition); },
                  [&](const LetStmtNode& n) { f(n.value); },
                  [&](const AllocateNode&) {},
                  [&](const EvaluateNode& n) { f(n.value); },
                  [&](const YieldNode& n) { all(n.values); },
              });
}

namespace {

/// Applies the two functions and remembers whether anything changed.
class Mapper {
 public:
  Mapper(const std::function<Stmt(const Stmt&)>& fs, const std::function<Expr(const Expr&)>& fe)
      : fs_(fs), fe_(fe) {}
  bool changed() const { return changed_; }

  Stmt operator()(const Stmt& s) {
    if (!s || !fs_) return s;
    Stmt r = fs_(s);
    changed_ |= r.get() != s.get();
    return r;
  }
  Expr operator()(const Expr& e) {
    if (!e || !fe_) return e;
    Expr r = fe_(e);
    changed_ |= r.get() != e.get();
    return r;
  }
  template <class T>
  std::vector<T> operator()(const std::vector<T>& list) {
    std::vector<T> out;
    out.reserve(list.size());
    for (const T& x : list) out.push_back((*this)(x));
    return out;
  }
  Range operator()(const Range& r) { return {(*this)(r.min), (*this)(r.extent)}; }
  BufferRegion operator()(const BufferRegion& r) { return {r.buffer, (*this)(r.region)}; }
  IterVar operator()(const IterVar& iv) { return {iv.var, (*this)(iv.dom), iv.kind}; }
  CarriedValue operator()(const CarriedValue& c) { return {c.var, (*this)(c.init), c.result}; }

 private:
  const std::function<Stmt(const Stmt&)>& fs_;
  const std::function<Expr(const Expr&)>& fe_;
  bool changed_ = false;
};

}  // namespace

Stmt MapChildren(const Stmt& s, const std::function<Stmt(const Stmt&)>& fs,
                 const std::function<Expr(const Expr&)>& fe) {
  Mapper map(fs, fe);
  Stmt result = Dispatch(s, Overloaded{
                                [&](const StoreNode& n) {
                                  Expr v = map(n.value);
                                  auto i = map(n.indices);
                                  Expr p = map(n.predicate);
                                  return map.changed() ? MakeStore(n.buffer, v, std::move(i), p) : s;
                                },
                                [&](const ForNode& n) {
                                  Expr lo = map(n.min), extent = map(n.extent);
                                  auto carried = map(n.carried);
                                  Stmt body = map(n.body);
                                  if (!map.changed()) return s;
                                  if (!body) return Stmt();
                                  return MakeFor(n.var, lo, extent, n.for_kind, body, n.annotations,
                                                 n.thread_tag, std::move(carried));
                                },
                                [&](const BlockNode& n) {
                                  BlockNode b = n;
                                  b.iter_vars = map(n.iter_vars);
                                  b.bindings = map(n.bindings);
                                  b.predicate = map(n.predicate);
                                  b.reads = map(n.reads), b.writes = map(n.writes);
                                  b.init = map(n.init), b.body = map(n.body);
                                  if (!map.changed()) return s;
                                  return b.body ? MakeBlock(std::move(b)) : Stmt();
                                },
                                [&](const SeqNode& n) {
                                  auto stmts = map(n.stmts);
                                  return map.changed() ? MakeSeq(std::move(stmts)) : s;
                                },
                                [&](const IfNode& n) {
                                  Expr c = map(n.condition);
                                  Stmt t = map(n.then_case), e = map(n.else_case);
                                  return map.changed() ? MakeIf(c, t, e) : s;
                                },
                                [&](const LetStmtNode& n) {
                                  Expr v = map(n.value);
                                  Stmt b = map(n.body);
                                  if (!map.changed()) return s;
                                  return b ? MakeLetStmt(n.var, v, b) : Stmt();
                                },
                                [&](const AllocateNode& n) {
                                  Stmt b = map(n.body);
                                  if (!map.changed()) return s;
                                  return b ? MakeAllocate(n.buffer, b) : Stmt();
                                },
                                [&](const EvaluateNode& n) {
                                  Expr v = map(n.value);
                                  return map.changed() ? MakeEvaluate(v) : s;
                                },
                                [&](const YieldNode& n) {
                                  auto v = map(n.values);
                                  return map.changed() ? MakeYield(std::move(v)) : s;
                                },
                            });
  return result;
}

void PreOrder(const Stmt& s, const std::function<bool(const Stmt&)>& f) {
  if (!s || !f(s)) return;
  ForEachChild(s, [&](const Stmt& child) { PreOrder(child, f); });
}

void PreOrderExprs(const Stmt& s, const std::function<void(const Expr&)>& f) {
  PreOrder(s, [&](const Stmt& x) {
    ForEachExpr(x, [&](const Expr& e) {
      PreOrder(e, [&](const Expr& sub) {
        f(sub);
        return true;
      });
    });
    return true;
  });
}

Stmt PostOrderRewrite(const Stmt& s, const std::function<Stmt(const Stmt&)>& fs,
                      const std::function<Expr(const Expr&)>& fe) {
  Stmt inner = MapChildren(s, [&](const Stmt& child) { return PostOrderRewrite(child, fs, fe); }, fe);
  return inner && fs ? fs(inner) : inner;
}

Stmt Substitute(const Stmt& s, const VarMap& map) {
  if (map.empty()) return s;
  return PostOrderRewrite(s, nullptr, [&](const Expr& e) { return Substitute(e, map); });
}

namespace {

Buffer Mapped(const Buffer& b, const BufferMap& map) {
  auto it = map.find(b);
  return it == map.end() ? b : it->second;
}

}  // namespace

Expr ReplaceBuffers(const Expr& e, const BufferMap& map) {
  return PostOrderRewrite(e, [&](const Expr& x) {
    auto* load = x.As<LoadNode>();
    if (!load || !map.contains(load->buffer)) return x;
    return MakeLoad(Mapped(load->buffer, map), load->indices, load->predicate);
  });
}

Stmt ReplaceBuffers(const Stmt& s, const BufferMap& map) {
  auto regions = [&](std::vector<BufferRegion>& list) {
    for (BufferRegion& r : list) r.buffer = Mapped(r.buffer, map);
  };
  auto on_stmt = [&](const Stmt& x) -> Stmt {
    if (auto* n = x.As<StoreNode>(); n && map.contains(n->buffer)) {
      return MakeStore(Mapped(n->buffer, map), n->value, n->indices, n->predicate);
    }
    if (auto* n = x.As<AllocateNode>(); n && map.contains(n->buffer)) {
      return MakeAllocate(Mapped(n->buffer, map), n->body);
    }
    if (auto* n = x.As<BlockNode>()) {
      BlockNode b = *n;
      regions(b.reads), regions(b.writes);
      for (Buffer& a : b.allocs) a = Mapped(a, map);
      return MakeBlock(std::move(b));
    }
    return x;
  };
  return PostOrderRewrite(s, on_stmt, [&](const Expr& e) { return ReplaceBuffers(e, map); });
}

}  // namespace tilewright
