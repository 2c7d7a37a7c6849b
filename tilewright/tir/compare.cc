// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/compare.h"

#include <bit>

namespace tilewright {

namespace {

/// Writes a function as bytes. Every node begins with its kind, every list with its length and every string
/// with its size, so that different functions cannot write the same bytes.
class Canonicalizer {
 public:
  std::string Take() { return std::move(out_); }

  void Put(const PrimFuncNode& f) {
    Number(f.dims.size());
    for (const Var& v : f.dims) DeclareVar(v);
    Number(f.buffers.size());
    for (const Buffer& b : f.buffers) DeclareBuffer(b);
    Number(f.num_outputs);
    Number(int64_t(f.stage));
    Put(f.attrs);
    Put(f.body);
  }

 private:
  template <class T>
  void Number(T value) {
    const int64_t wide = int64_t(value);
    out_.append(reinterpret_cast<const char*>(&wide), sizeof(wide));
  }
  void Byte(int value) { out_ += char(value); }
  void Text(const std::string& s) {
    Number(s.size());
    out_ += s;
  }
  void Put(DataType t) {
    Byte(int(t.code)), Byte(t.bits), Byte(t.lanes & 255), Byte(t.lanes >> 8), Byte(t.scalable),
        Byte(t.custom);
  }

  // Declared objects count by order; one that is not declared in the function is itself.
  void Bind(const Object* object) { ids_[object] = next_id_++; }
  void Use(const Object* object) {
    auto it = ids_.find(object);
    Byte(it != ids_.end());
    Number(it != ids_.end() ? it->second : int64_t(reinterpret_cast<intptr_t>(object)));
  }
  void DeclareVar(const Var& v) {
    Bind(v.get());
    Put(v.dtype());
    Number(v->min), Number(v->max), Number(v->multiple);
  }
  void DeclareBuffer(const Buffer& b) {
    Bind(b.get());
    Put(b.dtype());
    PutList(b->shape);
    Text(b->scope);
    Number(b->axis_separators.size());
    for (int s : b->axis_separators) Number(s);
    Number(b->alignment);
    PutList(b->strides);
    Put(b->offset);
  }

  void PutList(const std::vector<Expr>& list) {
    Number(list.size());
    for (const Expr& e : list) Put(e);
  }
  void Put(const Range& r) { Put(r.min), Put(r.extent); }
  void Put(const std::vector<BufferRegion>& regions) {
    Number(regions.size());
    for (const BufferRegion& r : regions) {
      Use(r.buffer.get());
      for (const Range& range : r.region) Put(range);
    }
  }

  void Put(const Annotations& annotations) {
    Number(annotations.size());
    for (const auto& [key, value] : annotations) {
      Text(key);
      Byte(int(value.index()));
      std::visit([&](const auto& x) { PutValue(x); }, value);
    }
  }
  void PutValue(std::monostate) {}
  void PutValue(bool x) { Byte(x); }
  void PutValue(int64_t x) { Number(x); }
  void PutValue(double x) { Number(std::bit_cast<int64_t>(x)); }
  void PutValue(const std::string& x) { Text(x); }
  void PutValue(DataType x) { Put(x); }
  void PutValue(const Expr& x) { Put(x); }
  template <class T>
  void PutValue(const std::vector<T>& list) {
    Number(list.size());
    for (const T& x : list) PutValue(x);
  }

  static constexpr int kNull = 255;
  void Put(const Expr& e) {
    if (!e) return Byte(kNull);
    Byte(int(e.kind()));
    Put(e.dtype());
    Dispatch(e, [&](const auto& n) { Node(n); });
  }
  void Node(const VarNode& n) { Use(&n); }
  void Node(const IntImmNode& n) { Number(n.value); }
  void Node(const FloatImmNode& n) { PutValue(n.value); }
  void Node(const StringImmNode& n) { Text(n.value); }
  void Node(const CastNode& n) { Put(n.value); }
  void Node(const BinaryNode& n) { Byte(int(n.op)), Put(n.a), Put(n.b); }
  void Node(const NotNode& n) { Put(n.value); }
  void Node(const SelectNode& n) { Put(n.condition), Put(n.true_value), Put(n.false_value); }
  void Node(const IfThenElseNode& n) { Put(n.condition), Put(n.true_value), Put(n.false_value); }
  void Node(const LetNode& n) { Put(n.value), DeclareVar(n.var), Put(n.body); }
  void Node(const CallNode& n) { Number(int(n.op)), PutList(n.args); }
  void Node(const LoadNode& n) { Use(n.buffer.get()), PutList(n.indices), Put(n.predicate); }
  void Node(const RampNode& n) { Put(n.base), Put(n.stride); }
  void Node(const BroadcastNode& n) { Put(n.value); }
  void Node(const ShuffleNode& n) {
    PutList(n.vectors);
    for (int lane : n.lanes) Number(lane);
  }

  void Put(const Stmt& s) {
    const Stmt* next = &s;
    while (*next) {
      Byte(int(next->kind()));
      // What is left to write, for kinds whose body comes last: chains of these may be thousands long.
      next = Dispatch(*next, [&](const auto& n) { return Node(n); });
      if (!next) return;
    }
    Byte(kNull);
  }
  const Stmt* Node(const StoreNode& n) {
    Use(n.buffer.get()), PutList(n.indices), Put(n.predicate), Put(n.value);
    return nullptr;
  }
  const Stmt* Node(const ForNode& n) {
    Put(n.min), Put(n.extent);
    Byte(int(n.for_kind));
    Text(n.thread_tag);
    Put(n.annotations);
    Number(n.carried.size());
    for (const CarriedValue& c : n.carried) Put(c.init);
    DeclareVar(n.var);
    for (const CarriedValue& c : n.carried) DeclareVar(c.var), DeclareVar(c.result);
    return &n.body;
  }
  const Stmt* Node(const BlockNode& n) {
    Number(n.iter_vars.size());
    for (size_t i = 0; i < n.iter_vars.size(); ++i) {
      Put(n.iter_vars[i].dom), Put(n.bindings[i]);
      Byte(int(n.iter_vars[i].kind));
    }
    Put(n.predicate), Put(n.annotations);
    for (const IterVar& iv : n.iter_vars) DeclareVar(iv.var);
    Number(n.allocs.size());
    for (const Buffer& b : n.allocs) DeclareBuffer(b);
    Put(n.reads), Put(n.writes), Put(n.init);
    return &n.body;
  }
  const Stmt* Node(const SeqNode& n) {
    Number(n.stmts.size());
    for (const Stmt& s : n.stmts) Put(s);
    return nullptr;
  }
  const Stmt* Node(const IfNode& n) {
    Put(n.condition), Put(n.then_case);
    return &n.else_case;
  }
  const Stmt* Node(const LetStmtNode& n) {
    Put(n.value), DeclareVar(n.var);
    return &n.body;
  }
  const Stmt* Node(const AllocateNode& n) {
    DeclareBuffer(n.buffer);
    return &n.body;
  }
  const Stmt* Node(const EvaluateNode& n) {
    Put(n.value);
    return nullptr;
  }
  const Stmt* Node(const YieldNode& n) {
    PutList(n.values);
    return nullptr;
  }

  std::string out_;
  std::unordered_map<const Object*, int64_t> ids_;
  int64_t next_id_ = 0;
};

}  // namespace

std::string CanonicalBytes(const PrimFunc& f) {
  Canonicalizer c;
  c.Put(*f);
  return c.Take();
}

bool StructuralEqual(const PrimFunc& a, const PrimFunc& b) {
  return a == b || CanonicalBytes(a) == CanonicalBytes(b);
}

uint64_t StructuralHash(const PrimFunc& f) {
  // FNV-1a, 64 bits.
  uint64_t h = 0xCBF29CE484222325u;
  for (unsigned char c : CanonicalBytes(f)) h = (h ^ c) * 0x100000001B3u;
  return h;
}

}  // namespace tilewright
