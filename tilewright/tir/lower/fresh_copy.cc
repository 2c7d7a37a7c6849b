// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/fresh_copy.h"

namespace tilewright {

namespace {

class Copier {
 public:
  explicit Copier(const VarMap& map) : vars_(map) {}

  Stmt Copy(const Stmt& s) {
    if (auto* loop = s.As<ForNode>()) return CopyLoop(*loop);
    if (auto* let = s.As<LetStmtNode>()) {
      Expr value = Copy(let->value);
      Var var = Fresh(let->var);
      Stmt body = Copy(let->body);
      return body ? MakeLetStmt(var, value, body) : nullptr;
    }
    if (auto* alloc = s.As<AllocateNode>()) {
      buffers_[alloc->buffer] = MakeBuffer(BufferNode(*alloc->buffer));
      Stmt body = Copy(alloc->body);
      return body ? MakeAllocate(buffers_[alloc->buffer], body) : nullptr;
    }
    Stmt result =
        MapChildren(s, [&](const Stmt& x) { return Copy(x); }, [&](const Expr& e) { return Copy(e); });
    if (auto* store = result.As<StoreNode>(); store && buffers_.contains(store->buffer)) {
      return MakeStore(buffers_.at(store->buffer), store->value, store->indices, store->predicate);
    }
    return result;
  }

 private:
  Expr Copy(const Expr& e) {
    if (auto* var = e.As<VarNode>()) {
      auto it = vars_.find(Var(var));
      return it == vars_.end() ? e : it->second;
    }
    if (auto* let = e.As<LetNode>()) {
      Expr value = Copy(let->value);
      Var var = Fresh(let->var);
      return MakeLet(var, value, Copy(let->body));
    }
    Expr result = MapChildren(e, [&](const Expr& x) { return Copy(x); });
    if (auto* load = result.As<LoadNode>(); load && buffers_.contains(load->buffer)) {
      return MakeLoad(buffers_.at(load->buffer), load->indices, load->predicate);
    }
    return result;
  }

  Stmt CopyLoop(const ForNode& loop) {
    Expr min = Copy(loop.min), extent = Copy(loop.extent);
    std::vector<CarriedValue> carried;
    for (const CarriedValue& c : loop.carried) {
      Expr init = Copy(c.init);
      carried.push_back({Fresh(c.var), init, Fresh(c.result)});
    }
    Var var = Fresh(loop.var);
    Stmt body = Copy(loop.body);
    if (!body) return nullptr;
    return MakeFor(var, min, extent, loop.for_kind, body, loop.annotations, loop.thread_tag,
                   std::move(carried));
  }

  Var Fresh(const Var& old) {
    Var var(new VarNode(*old.operator->()));
    vars_[old] = var;
    return var;
  }

  VarMap vars_;
  BufferMap buffers_;
};

}  // namespace

Stmt FreshCopy(const Stmt& s, const VarMap& map) { return Copier(map).Copy(s); }

}  // namespace tilewright
