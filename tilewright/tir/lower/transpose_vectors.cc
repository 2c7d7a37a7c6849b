// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/transpose_vectors.h"

#include <algorithm>
#include <bit>

#include "tilewright/tir/lower/fresh_copy.h"

namespace tilewright {

namespace {

/// Bytes within which shuffles are cheap on all targets: a vector of the oldest.
constexpr int64_t kPartBytes = 16;

/// How much an index grows by one more of `var`; nothing where that is not the same everywhere.
std::optional<int64_t> Step(const Expr& e, const Var& var) {
  if (e.get() == var.get()) return 1;
  if (!UsesVar(e, var)) return 0;
  auto* n = e.As<BinaryNode>();
  if (!n) return std::nullopt;
  const auto a = Step(n->a, var), b = Step(n->b, var);
  if (!a || !b) return std::nullopt;
  if (n->op == BinaryOp::kAdd) return *a + *b;
  if (n->op == BinaryOp::kSub) return *a - *b;
  if (n->op != BinaryOp::kMul) return std::nullopt;
  if (auto factor = AsInt(n->b)) return *a * *factor;
  if (auto factor = AsInt(n->a)) return *b * *factor;
  return std::nullopt;
}

/// Vectors and the variables that hold what is made of them.
class Square {
 public:
  Var Bind(Expr value) {
    const DataType t = value.dtype();
    lets_.emplace_back(Var("t", t), std::move(value));
    return lets_.back().first;
  }
  Expr Pick(const Expr& a, const Expr& b, std::vector<int> lanes) {
    return Bind(MakeShuffle({a, b}, std::move(lanes)));
  }

  /// Transposes as many vectors as they have lanes, of `part` neighbours that shuffle cheaply: first squares
  /// of these within all parts, then parts.
  std::vector<Expr> Transpose(std::vector<Expr> rows, int part) {
    const int lanes = int(rows.size());
    for (int first = 0; first < lanes; first += part)
      Interleave(std::span(rows).subspan(size_t(first), size_t(part)), lanes);
    std::vector<Expr> columns(rows.size());
    const int parts = lanes / part;
    for (int i = 0; i < part; ++i) {
      std::vector<Expr> own;
      for (int g = 0; g < parts; ++g) own.push_back(rows[size_t(g * part + i)]);
      for (int stage = 1; stage < parts; stage *= 2) Deal(own, part);
      for (int q = 0; q < parts; ++q) columns[size_t(q * part + i)] = own[size_t(q)];
    }
    return columns;
  }

  Stmt Around(Stmt body) const {
    for (auto it = lets_.rbegin(); it != lets_.rend(); ++it)
      body = MakeLetStmt(it->first, it->second, std::move(body));
    return body;
  }

 private:
  /// Within each part, by turns elements of two vectors, first one of each, then twice as many, until the
  /// square is transposed.
  void Interleave(std::span<Expr> rows, int lanes) {
    const int n = int(rows.size());
    for (int step = 1; step < n; step *= 2) {
      std::vector<Expr> next(rows.size());
      for (int at = 0; at < n; at += 2) {
        const int first = at / (2 * step) * 2 * step + at % (2 * step) / 2;
        for (int half : {0, 1}) {
          std::vector<int> pick;
          for (int from = half * n / 2; from < lanes; from += n) {
            for (int t = 0; t < n; ++t)
              pick.push_back((t / step % 2) * lanes + from + t / (2 * step) * step + t % step);
          }
          next[size_t(at + half)] = Pick(rows[size_t(first)], rows[size_t(first + step)], std::move(pick));
        }
      }
      std::copy(next.begin(), next.end(), rows.begin());
    }
  }

  /// Of neighbouring vectors the parts at even places, and those at odd ones.
  void Deal(std::vector<Expr>& rows, int part) {
    const int n = int(rows.size());
    std::vector<Expr> next(rows.size());
    for (int i = 0; i < n / 2; ++i) {
      for (int odd : {0, 1}) {
        std::vector<int> pick;
        for (int q = odd; q < 2 * n; q += 2) {
          for (int t = 0; t < part; ++t) pick.push_back(q * part + t);
        }
        next[size_t(i + odd * n / 2)] = Pick(rows[size_t(2 * i)], rows[size_t(2 * i + 1)], std::move(pick));
      }
    }
    rows = std::move(next);
  }

  std::vector<std::pair<Var, Expr>> lets_;
};

Stmt TransposeLoop(const Stmt& s, const Target& target) {
  auto* loop = s.As<ForNode>();
  if (!loop || loop->for_kind != ForKind::kUnrolled || !loop->carried.empty()) return s;
  const auto count = AsInt(loop->extent);
  auto* store = loop->body.As<StoreNode>();
  auto* load = store ? store->value.As<LoadNode>() : nullptr;
  if (!count || *count < 2 || !load || bool(store->predicate) || bool(load->predicate) ||
      load->indices.size() != 1 || load->buffer == store->buffer)
    return s;
  auto* ramp = load->indices[0].As<RampNode>();
  if (!ramp || IsInt(ramp->stride, 1) || !AsInt(ramp->stride) || Step(ramp->base, loop->var) != 1) return s;
  const int64_t bytes = load->buffer.dtype().bytes(), part = kPartBytes / std::max<int64_t>(1, bytes);
  const int64_t rows = load->dtype.lanes;
  const int64_t side = int64_t(std::bit_ceil(uint64_t(std::max(rows, *count))));
  // Beyond half of a square the elements are moved one by one in as many steps.
  if (side < part || side > target.VectorLanes(int(bytes)) || 2 * std::min(rows, *count) <= side) return s;
  if (part < 2 || load->buffer.dtype().lanes != 1 || (*count < side && !target.has_masked_memory)) return s;

  Square square;
  const Expr first = Substitute(ramp->base, {{loop->var, loop->min}});
  const DataType wide = load->dtype.WithLanes(int(side));
  const Expr inside = *count == side ? Expr(nullptr)
                                     : MakeBinary(BinaryOp::kLt, MakeRamp(Expr(0), Expr(1), int(side)),
                                                  MakeBroadcast(Expr(*count), int(side)));
  std::vector<Expr> lines;
  for (int64_t i = 0; i < rows; ++i) {
    const Expr at = MakeRamp(first + Expr(i) * ramp->stride, Expr(1), int(side));
    lines.push_back(square.Bind(MakeLoad(load->buffer, {at}, inside)));
  }
  while (std::ssize(lines) < side) lines.push_back(MakeBroadcast(MakeConst(wide.element(), 0), int(side)));
  const std::vector<Expr> columns = square.Transpose(std::move(lines), int(part));
  std::vector<int> own;
  for (int i = 0; i < int(rows); ++i) own.push_back(i);
  std::vector<Stmt> stores;
  for (int64_t i = 0; i < *count; ++i) {
    const Expr value = rows == side ? columns[size_t(i)] : MakeShuffle({columns[size_t(i)]}, own);
    const VarMap map = {{loop->var, loop->min + Expr(i)}};
    stores.push_back(MakeStore(store->buffer, value, {Substitute(store->indices[0], map)}));
  }
  return square.Around(MakeSeq(std::move(stores)));
}

}  // namespace

PrimFunc TransposeVectors(const PrimFunc& f, const Target& target) {
  return f.WithBody(PostOrderRewrite(f->body, [&](const Stmt& s) { return TransposeLoop(s, target); }));
}

}  // namespace tilewright
