// SPDX-License-Identifier: Apache-2.0
// Statements of the kernel level. Two stages with a verifier each (tir/verify.h):
//   scheduled: loops around blocks over multi-dimensional buffers; what schedules rewrite;
//   lowered:   flat buffers, explicit vectors and carried values; no blocks; what code generators read.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tilewright/ir/expr.h"

namespace tilewright {

// The one list of node kinds: it drives the enum, the names, and Dispatch below.
#define TW_STMT_KINDS(X)                                        \
  X(Store)                                                      \
  X(For)                                                        \
  X(Block) /* scheduled stage only */                           \
  X(Seq)                                                        \
  X(If)                                                         \
  X(LetStmt)                                                    \
  X(Allocate) /* lowered stage only; Block::allocs before it */ \
  X(Evaluate)                                                   \
  X(Yield) /* lowered stage only */

enum class StmtKind : uint8_t {
#define TW_KIND(name) k##name,
  TW_STMT_KINDS(TW_KIND)
#undef TW_KIND
};

struct StmtNode : Object {
  StmtKind kind;
  explicit StmtNode(StmtKind k) : kind(k) {}
};

/// A handle to an immutable statement; `==` is identity.
class Stmt : public Ref<StmtNode> {
 public:
  Stmt() = default;
  Stmt(std::nullptr_t) {}
  explicit Stmt(const StmtNode* node) : Ref(node) {}
  StmtKind kind() const { return get()->kind; }
  template <class T>
  const T* As() const {
    return get() && get()->kind == T::kKind ? static_cast<const T*>(get()) : nullptr;
  }
};

/// buffer[indices] = value. With a vector index several elements are written; `predicate` (bool with the
/// value's lanes, or null) names the lanes that are.
struct StoreNode : StmtNode {
  static constexpr StmtKind kKind = StmtKind::kStore;
  Buffer buffer;
  Expr value;
  std::vector<Expr> indices;
  Expr predicate;
  StoreNode(Buffer b, Expr v, std::vector<Expr> i, Expr p)
      : StmtNode(kKind),
        buffer(std::move(b)),
        value(std::move(v)),
        indices(std::move(i)),
        predicate(std::move(p)) {}
};

enum class ForKind : uint8_t {
  kSerial,
  kParallel,     ///< iterations are independent and may run on the thread pool
  kVectorized,   ///< becomes vector operations; extent is constant
  kUnrolled,     ///< repeated in the code; extent is constant
  kThreadBound,  ///< iterations are hardware threads named by thread_tag ("blockIdx.x", "vthread")
};
std::string_view ForKindName(ForKind kind);

/// A value carried from one iteration to the next (a phi): `var` in the body, `init` before the first
/// iteration, `result` after the loop. The body ends with Yield of the next values, in order.
struct CarriedValue {
  Var var;
  Expr init;
  Var result;
};

/// for var in [min, min + extent), ascending. Extents of 0 or less run nothing.
struct ForNode : StmtNode {
  static constexpr StmtKind kKind = StmtKind::kFor;
  Var var;
  Expr min, extent;
  ForKind for_kind;
  std::string thread_tag;
  Annotations annotations;
  std::vector<CarriedValue> carried;  ///< lowered stage only
  Stmt body;
  ForNode(Var v, Expr m, Expr e, ForKind k, Stmt b, Annotations a = {}, std::string tag = {},
          std::vector<CarriedValue> c = {})
      : StmtNode(kKind),
        var(std::move(v)),
        min(std::move(m)),
        extent(std::move(e)),
        for_kind(k),
        thread_tag(std::move(tag)),
        annotations(std::move(a)),
        carried(std::move(c)),
        body(std::move(b)) {}
};

/// What an iteration variable of a block means for reordering.
enum class IterKind : uint8_t {
  kSpatial,  ///< instances write different elements: any order, in parallel
  kReduce,   ///< instances update the same elements by an associative, commutative combination
  kOpaque,   ///< order matters
};
std::string_view IterKindName(IterKind kind);

/// An iteration variable with its domain.
struct IterVar {
  Var var;
  Range dom;
  IterKind kind;
};

/// A box of a buffer: per dimension [min, min + extent).
struct BufferRegion {
  Buffer buffer;
  std::vector<Range> region;
};

/// The unit of scheduling. For each point of the surrounding loops where `predicate` holds, binds
/// `iter_vars[i] = bindings[i]` and runs `init` (when every reduce variable is at the start of its
/// domain; null for none) and then `body`. Names are unique in a function.
struct BlockNode : StmtNode {
  static constexpr StmtKind kKind = StmtKind::kBlock;
  std::string name;
  std::vector<IterVar> iter_vars;
  std::vector<Expr> bindings;
  Expr predicate;                           ///< scalar bool, over the loops outside; null: always
  std::vector<BufferRegion> reads, writes;  ///< over iter_vars; a superset of what init and body touch
  std::vector<Buffer> allocs;               ///< buffers that live for one instance of this block
  Annotations annotations;
  Stmt init;
  Stmt body;
  BlockNode() : StmtNode(kKind) {}
};

struct SeqNode : StmtNode {
  static constexpr StmtKind kKind = StmtKind::kSeq;
  std::vector<Stmt> stmts;
  explicit SeqNode(std::vector<Stmt> s) : StmtNode(kKind), stmts(std::move(s)) {}
};

struct IfNode : StmtNode {
  static constexpr StmtKind kKind = StmtKind::kIf;
  Expr condition;
  Stmt then_case, else_case;  ///< else_case may be null
  IfNode(Expr c, Stmt t, Stmt e)
      : StmtNode(kKind), condition(std::move(c)), then_case(std::move(t)), else_case(std::move(e)) {}
};

struct LetStmtNode : StmtNode {
  static constexpr StmtKind kKind = StmtKind::kLetStmt;
  Var var;
  Expr value;
  Stmt body;
  LetStmtNode(Var x, Expr v, Stmt b)
      : StmtNode(kKind), var(std::move(x)), value(std::move(v)), body(std::move(b)) {}
};

/// Memory for the duration of `body`.
struct AllocateNode : StmtNode {
  static constexpr StmtKind kKind = StmtKind::kAllocate;
  Buffer buffer;
  Stmt body;
  AllocateNode(Buffer b, Stmt s) : StmtNode(kKind), buffer(std::move(b)), body(std::move(s)) {}
};

/// Evaluates an expression for its effect.
struct EvaluateNode : StmtNode {
  static constexpr StmtKind kKind = StmtKind::kEvaluate;
  Expr value;
  explicit EvaluateNode(Expr v) : StmtNode(kKind), value(std::move(v)) {}
};

/// The values that the innermost carrying loop takes into its next iteration; last in its body.
struct YieldNode : StmtNode {
  static constexpr StmtKind kKind = StmtKind::kYield;
  std::vector<Expr> values;
  explicit YieldNode(std::vector<Expr> v) : StmtNode(kKind), values(std::move(v)) {}
};

template <class F>
decltype(auto) Dispatch(const Stmt& s, F&& f) {
  switch (s.kind()) {
#define TW_CASE(name)     \
  case StmtKind::k##name: \
    return f(static_cast<const name##Node&>(*s));
    TW_STMT_KINDS(TW_CASE)
#undef TW_CASE
  }
  FailCheck("known statement kind", __FILE__, __LINE__, "");
}

// ---- Construction.

Stmt MakeStore(Buffer buffer, Expr value, std::vector<Expr> indices, Expr predicate = nullptr);
Stmt MakeFor(Var var, Expr min, Expr extent, ForKind kind, Stmt body, Annotations annotations = {},
             std::string thread_tag = {}, std::vector<CarriedValue> carried = {});
/// A copy of the loop with another body.
Stmt WithBody(const ForNode& loop, Stmt body);
Stmt MakeBlock(BlockNode block);
/// Flattens nested sequences and drops null statements; the statement itself when there is one, null when
/// none.
Stmt MakeSeq(std::vector<Stmt> stmts);
Stmt MakeIf(Expr condition, Stmt then_case, Stmt else_case = nullptr);
Stmt MakeLetStmt(Var var, Expr value, Stmt body);
Stmt MakeAllocate(Buffer buffer, Stmt body);
Stmt MakeEvaluate(Expr value);
Stmt MakeYield(std::vector<Expr> values);

// ---- Traversal and rewriting. Expressions of a statement are its direct operands only.

void ForEachChild(const Stmt& s, const std::function<void(const Stmt&)>& f);
void ForEachExpr(const Stmt& s, const std::function<void(const Expr&)>& f);
/// Rebuilds with `fs` of each direct sub-statement and `fe` of each direct expression (either may be
/// null for identity); the same node when nothing changed. `fs` may return null to drop a statement.
Stmt MapChildren(const Stmt& s, const std::function<Stmt(const Stmt&)>& fs,
                 const std::function<Expr(const Expr&)>& fe);
/// Visits every statement, parents first; `f` returns false to skip what is inside.
void PreOrder(const Stmt& s, const std::function<bool(const Stmt&)>& f);
/// Visits every expression of every statement, with all sub-expressions, parents first.
void PreOrderExprs(const Stmt& s, const std::function<void(const Expr&)>& f);
/// Rewrites bottom up: inner statements first (expressions through `fe` if given), then `fs` on the rebuilt
/// node.
Stmt PostOrderRewrite(const Stmt& s, const std::function<Stmt(const Stmt&)>& fs,
                      const std::function<Expr(const Expr&)>& fe = nullptr);
/// Replaces variables in all expressions of the statement.
Stmt Substitute(const Stmt& s, const VarMap& map);

using BufferMap = std::unordered_map<Buffer, Buffer>;
/// Replaces buffers in loads, stores, regions and allocations.
Stmt ReplaceBuffers(const Stmt& s, const BufferMap& map);
Expr ReplaceBuffers(const Expr& e, const BufferMap& map);

std::string ToString(const Stmt& s);  ///< as in the text form (tir/printer.h)

}  // namespace tilewright
