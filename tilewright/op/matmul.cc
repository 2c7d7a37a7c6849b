// SPDX-License-Identifier: Apache-2.0
// Matrix products and Einstein sums.
#include <map>

#include "tilewright/graph/reduced.h"
#include "tilewright/op/chains.h"
#include "tilewright/op/common.h"
#include "tilewright/op/reduced.h"

namespace tilewright {
namespace {

struct MatMulAttrs {
  bool transpose_a = false, transpose_b = false, wide = false;
  static constexpr auto Fields() {
    return std::tuple(
        AttrField("transpose_a", &MatMulAttrs::transpose_a, "the last two axes of a are swapped"),
        AttrField("transpose_b", &MatMulAttrs::transpose_b, "the last two axes of b are swapped"),
        AttrField("wide", &MatMulAttrs::wide, "of 16-bit floats: the sums, in f32, are the result"));
  }
};

/// Rows, columns and inner extent of a product.
struct MatMulDims {
  Expr m, n, ka, kb;
  std::vector<Expr> batch_a, batch_b;
};

MatMulDims DimsOf(const std::vector<Expr>& a, const std::vector<Expr>& b, const MatMulAttrs& attrs) {
  const size_t ra = a.size(), rb = b.size();
  return {.m = a[ra - (attrs.transpose_a ? 1 : 2)],
          .n = b[rb - (attrs.transpose_b ? 2 : 1)],
          .ka = a[ra - (attrs.transpose_a ? 2 : 1)],
          .kb = b[rb - (attrs.transpose_b ? 1 : 2)],
          .batch_a = {a.begin(), a.end() - 2},
          .batch_b = {b.begin(), b.end() - 2}};
}

std::vector<Expr> ProductShape(const InferContext& ctx, const MatMulAttrs& attrs) {
  RequireRank(ctx, 0, 2, 16);
  RequireRank(ctx, 1, 2, 16);
  MatMulDims d = DimsOf(ctx.Input(0).shape, ctx.Input(1).shape, attrs);
  ctx.SameDim(d.ka, d.kb, "columns of a and rows of b");
  std::vector<Expr> shape = BroadcastShape(ctx, d.batch_a, d.batch_b);
  shape.push_back(d.m);
  shape.push_back(d.n);
  return shape;
}

std::vector<Type> InferMatMul(const InferContext& ctx) {
  RequireSameDType(ctx, 0, 1);
  if (ctx.Input(0).dtype.is_bool()) ctx.Fail("TW2112", "argument 0 is bool, expected a number");
  return OneResult(SumType(ctx, ctx.Attr<MatMulAttrs>().wide), ProductShape(ctx, ctx.Attr<MatMulAttrs>()));
}

Expr ProductFlops(const InferContext& ctx, const MatMulAttrs& attrs) {
  MatMulDims d = DimsOf(ctx.Input(0).shape, ctx.Input(1).shape, attrs);
  return Expr(2) * Product(BroadcastShape(ctx, d.batch_a, d.batch_b)) * d.m * d.n * d.ka;
}

/// Element of argument `i`: batch axes broadcast, then (row, column), swapped when transposed.
Expr ReadMatrix(const LowerContext& ctx, size_t i, const Indices& out, Expr row, Expr column,
                bool transposed) {
  const auto& shape = ctx.InputType(i).shape;
  const size_t batch = shape.size() - 2, skip = out.size() - shape.size();
  Indices at;
  for (size_t d = 0; d < batch; ++d) at.push_back(IsInt(shape[d], 1) ? Expr(0) : out[skip + d]);
  if (transposed) std::swap(row, column);
  at.push_back(std::move(row));
  at.push_back(std::move(column));
  return ToCompute(ctx.Read(i, at));
}

/// How the product's own stages number its elements: as the result does, or, where all matrices of `a` meet
/// one matrix `b`, with the rows of all of them in one axis: many rows make better tiles than many matrices.
class ProductAxes {
 public:
  explicit ProductAxes(const LowerContext& ctx, const MatMulAttrs& attrs) : shape_(ctx.OutputType().shape) {
    const size_t rank = shape_.size();
    // Beyond one axis of matrices the joined index does not simplify, and tiles would not be rectangles. With
    // one column there are none, but reductions along rows.
    if (ctx.InputType(1).rank() != 2 || IsInt(shape_.back(), 1) || rank != 3 || attrs.transpose_a ||
        !ctx.OutputType().layout.natural())
      return;
    int64_t rows = 1, last = 1;
    for (size_t d = 0; d + 1 < rank; ++d) {
      last = AsInt(shape_[d]).value_or(0);
      rows *= last;
    }
    joined_ = rows > last && last > 0;
    if (joined_) stages_ = {Expr(rows), shape_.back()};
  }

  bool joined() const { return joined_; }
  const std::vector<Expr>& shape() const { return joined_ ? stages_ : shape_; }
  /// Indices of the result from those of a stage, and back.
  Indices ToResult(const Indices& i) const {
    if (!joined_) return i;
    Indices out = {i[1]};
    Expr row = i[0];
    for (size_t d = shape_.size() - 1; d-- > 0;) {
      out.insert(out.begin(), d > 0 ? FloorMod(row, shape_[d]) : row);
      row = FloorDiv(row, shape_[d]);
    }
    return out;
  }
  Indices ToStage(const Indices& i) const {
    if (!joined_) return i;
    Expr row = 0;
    for (size_t d = 0; d + 1 < i.size(); ++d) row = row * shape_[d] + i[d];
    return {row, i.back()};
  }

 private:
  std::vector<Expr> shape_, stages_;
  bool joined_ = false;
};

/// One of the product's stages, which holds the result or leads to it.
te::Tensor ProductStage(const LowerContext& ctx, const ProductAxes& axes,
                        const std::function<te::Body(const Indices&)>& f, Annotations annotations,
                        const std::string& suffix) {
  if (axes.joined()) return ctx.Intermediate("rows", axes.shape(), f, std::move(annotations));
  return ctx.Compute(f, 0, std::move(annotations), suffix);
}

/// The product as a sum over runs of the inner dimension, each run a product of its own.
te::Tensor ProductOfRuns(const LowerContext& ctx, const MatMulAttrs& attrs, const ProductAxes& axes,
                         int64_t k, int64_t run, const std::string& suffix) {
  std::vector<Expr> shape = axes.shape();
  shape.insert(shape.begin(), Expr(k / run));
  te::Tensor runs =
      ctx.Intermediate("runs", shape,
                       [&](const Indices& i) {
                         IterVar r = te::ReduceAxis(Expr(run), "k");
                         const Indices out = axes.ToResult(Indices(i.begin() + 1, i.end()));
                         const size_t rank = out.size();
                         const Expr depth = i[0] * Expr(run) + r.var;
                         Expr a = ReadMatrix(ctx, 0, out, out[rank - 2], depth, attrs.transpose_a);
                         Expr b = ReadMatrix(ctx, 1, out, depth, out[rank - 1], attrs.transpose_b);
                         return te::Sum(a * b, {r});
                       },
                       {{"rule", std::string("matmul")}, {"runs", true}});
  auto total = [&](const Indices& i) {
    IterVar r = te::ReduceAxis(Expr(k / run), "run");
    Indices at = {r.var};
    at.insert(at.end(), i.begin(), i.end());
    return te::Sum(runs(at), {r});
  };
  return ProductStage(ctx, axes, total, {}, suffix);
}

/// The product as one chain per element.
te::Tensor ProductOfChains(const LowerContext& ctx, const MatMulAttrs& attrs, const ProductAxes& axes,
                           const Expr& k, const std::string& suffix) {
  auto chain = [&](const Indices& i) -> te::Body {
    // No iteration would set the initial value.
    if (IsInt(k, 0)) return MakeConst(ComputeType(ctx.OutputType().dtype), 0);
    IterVar r = te::ReduceAxis(k, "k");
    const Indices out = axes.ToResult(i);
    const size_t rank = out.size();
    Expr a = ReadMatrix(ctx, 0, out, out[rank - 2], r.var, attrs.transpose_a);
    Expr b = ReadMatrix(ctx, 1, out, r.var, out[rank - 1], attrs.transpose_b);
    return te::Sum(a * b, {r});
  };
  return ProductStage(ctx, axes, chain, {{"rule", std::string("matmul")}}, suffix);
}

std::vector<te::Tensor> LowerMatMul(const LowerContext& ctx) {
  const auto& attrs = ctx.Attr<MatMulAttrs>();
  const MatMulDims dims = DimsOf(ctx.InputType(0).shape, ctx.InputType(1).shape, attrs);
  const Expr& k = dims.ka;
  // A product with one column is a reduction along rows, in which each lane of vectors is a run.
  const int64_t run = IsInt(dims.n, 1) ? AsInt(k).value_or(0) : RunLength(AsInt(k).value_or(0), 1, 1);
  const DataType result = ctx.OutputType().dtype;
  const bool rounds = ComputeType(result) != result;
  // Arguments of 16 bits round more than long chains of f32 do.
  const bool cut = !attrs.wide && AsInt(k) && run < *AsInt(k) && ctx.OutputType().layout.natural();
  const std::string suffix = rounds ? ".matmul" : "";
  const ProductAxes axes(ctx, attrs);
  te::Tensor product = cut ? ProductOfRuns(ctx, attrs, axes, *AsInt(k), run, suffix)
                           : ProductOfChains(ctx, attrs, axes, k, suffix);
  if (axes.joined())
    return {ctx.Compute([&](const Indices& i) { return MakeCast(result, product(axes.ToStage(i))); })};
  if (!rounds) return {product};
  return {ctx.Compute([&](const Indices& i) { return MakeCast(result, AtLogical(ctx, product, i)); })};
}

/// Pays where weights are most of the memory that is read, and everywhere on a unit that multiplies faster.
std::optional<Attrs> ReducedMatMul(const InferContext& ctx, const ChoiceContext& choice) {
  MatMulAttrs attrs = ctx.Attr<MatMulAttrs>();
  const MatMulDims d = DimsOf(ctx.Input(0).shape, ctx.Input(1).shape, attrs);
  const auto rows = AsInt(d.m), columns = AsInt(d.n), depth = AsInt(d.ka);
  if (attrs.transpose_a || ctx.Input(1).rank() != 2 || !rows || !columns || !depth) return std::nullopt;
  const auto elements = AsInt(ctx.Input(0).NumElements());
  if (!elements || *depth == 0) return std::nullopt;
  const ReducedProduct product{.rows = *rows,
                               .lines = *rows == 0 ? 0 : *elements / *depth / *rows,
                               .columns = *columns,
                               .depth = *depth,
                               .chunk = *depth,
                               .arguments = *elements};
  if (!ReducedPays(product, choice.target)) return std::nullopt;
  attrs.wide = true;
  return Attrs(attrs);
}

/// With A and B the matrices as they are multiplied, after transposition, the cotangents are g B' and A' g;
/// of an argument that is transposed, their transposes.
std::vector<Value> MatMulGradient(const GradientContext& ctx) {
  const auto& attrs = ctx.Attr<MatMulAttrs>();
  const Value &a = ctx.Arg(0), &b = ctx.Arg(1), &g = ctx.Cotangent();
  auto product = [&](const Value& x, const Value& y, bool transpose_x, bool transpose_y) {
    return ctx.CallSame({x, y}, MatMulAttrs{transpose_x, transpose_y});
  };
  std::vector<Value> cotangents(2);
  if (ctx.Wanted(0)) {
    Value of_a =
        attrs.transpose_a ? product(b, g, attrs.transpose_b, true) : product(g, b, false, !attrs.transpose_b);
    cotangents[0] = ctx.SumTo(of_a, ctx.Shape(0));
  }
  if (ctx.Wanted(1)) {
    Value of_b =
        attrs.transpose_b ? product(g, a, true, attrs.transpose_a) : product(a, g, !attrs.transpose_a, false);
    cotangents[1] = ctx.SumTo(of_b, ctx.Shape(1));
  }
  return cotangents;
}

TW_OP(MatMul) = OpDef{
    .name = "MatMul",
    .doc = "matrix product of the last two axes; the axes before them broadcast",
    .inputs = {{"a"}, {"b"}},
    .attrs = DescribeAttrs<MatMulAttrs>(),
    .infer = InferMatMul,
    .lower = LowerMatMul,
    .pattern = FusePattern::kHeavy,
    .gradient = MatMulGradient,
    .flops = [](const InferContext& ctx) { return ProductFlops(ctx, ctx.Attr<MatMulAttrs>()); },
};

const RegisterReduced kReducedMatMul("MatMul", ReducedMatMul);

/// Bytes of either sign, widened: sums wrap at 32 bits, as ONNX's integer products do.
std::vector<te::Tensor> LowerMatMulInteger(const LowerContext& ctx) {
  const Expr k = ctx.InputType(0).shape.back();
  return {ctx.Compute(
      [&](const Indices& i) -> te::Body {
        if (IsInt(k, 0)) return MakeConst(kI32, 0);
        IterVar r = te::ReduceAxis(k, "k");
        const size_t rank = i.size();
        Expr a = ReadMatrix(ctx, 0, i, i[rank - 2], r.var, false);
        Expr b = ReadMatrix(ctx, 1, i, r.var, i[rank - 1], false);
        return te::Sum(MakeCast(kI32, a) * MakeCast(kI32, b), {r});
      },
      0, {{"rule", std::string("matmul")}})};
}

TW_OP(MatMulInteger) = OpDef{
    .name = "MatMulInteger",
    .doc = "matrix product of the last two axes, of bytes (u8 or i8, each for itself), in i32",
    .inputs = {{"a"}, {"b"}},
    .infer =
        [](const InferContext& ctx) {
          for (size_t i : {size_t{0}, size_t{1}}) {
            const DataType t = ctx.Input(i).dtype;
            if (t == kU8 || t == kI8) continue;
            ctx.Fail("TW2112", fmt::format("argument {} is {}, expected u8 or i8", i, t.ToString()));
          }
          return OneResult(kI32, ProductShape(ctx, {}));
        },
    .lower = LowerMatMulInteger,
    .pattern = FusePattern::kHeavy,
    .flops = [](const InferContext& ctx) { return ProductFlops(ctx, {}); },
};

struct EinsumAttrs {
  std::string equation;
  static constexpr auto Fields() {
    return std::tuple(AttrField("equation", &EinsumAttrs::equation,
                                "letters per argument and result, without ellipsis: \"bij,bjk->bik\""));
  }
};

struct Equation {
  std::vector<std::string> terms;
  std::string result;
};

/// Splits "ab,bc->ac"; the result part is required.
std::optional<Equation> SplitEquation(const std::string& text) {
  size_t arrow = text.find("->");
  if (arrow == std::string::npos) return std::nullopt;
  Equation equation{{""}, text.substr(arrow + 2)};
  for (char c : text.substr(0, arrow)) {
    if (c == ',') {
      equation.terms.emplace_back();
    } else {
      equation.terms.back() += c;
    }
  }
  return equation;
}

std::map<char, Expr> LabelExtents(const Equation& equation,
                                  const std::function<const std::vector<Expr>&(size_t)>& shape_of) {
  std::map<char, Expr> extents;
  for (size_t t = 0; t < equation.terms.size(); ++t) {
    for (size_t d = 0; d < equation.terms[t].size(); ++d) {
      Expr& extent = extents[equation.terms[t][d]];
      const Expr& mine = shape_of(t)[d];
      if (!extent || IsInt(extent, 1)) extent = mine;
    }
  }
  return extents;
}

std::vector<Type> InferEinsum(const InferContext& ctx) {
  const std::string& text = ctx.Attr<EinsumAttrs>().equation;
  auto equation = SplitEquation(text);
  if (!equation || equation->terms.size() != ctx.size()) {
    ctx.Fail("TW2110", fmt::format("equation '{}' does not fit {} arguments", text, ctx.size()));
  }
  for (size_t t = 0; t < ctx.size(); ++t) {
    RequireSameDType(ctx, 0, t);
    int rank = int(equation->terms[t].size());
    RequireRank(ctx, t, rank, rank);
  }
  auto extents =
      LabelExtents(*equation, [&](size_t t) -> const std::vector<Expr>& { return ctx.Input(t).shape; });
  for (size_t t = 0; t < ctx.size(); ++t) {
    for (size_t d = 0; d < equation->terms[t].size(); ++d) {
      const Expr& mine = ctx.Input(t).shape[d];
      char label = equation->terms[t][d];
      if (!IsInt(mine, 1)) ctx.SameDim(mine, extents[label], fmt::format("dimension '{}'", label));
    }
  }
  std::vector<Expr> shape;
  for (char label : equation->result) {
    if (!extents.count(label)) {
      ctx.Fail("TW2110", fmt::format("'{}' of the result of '{}' is in no argument", label, text));
    }
    shape.push_back(extents[label]);
  }
  return OneResult(ctx.Input(0).dtype, shape);
}

std::vector<te::Tensor> LowerEinsum(const LowerContext& ctx) {
  const Equation equation = *SplitEquation(ctx.Attr<EinsumAttrs>().equation);
  auto extents =
      LabelExtents(equation, [&](size_t t) -> const std::vector<Expr>& { return ctx.InputType(t).shape; });
  te::Tensor total = ctx.Compute(
      [&](const Indices& out) -> te::Body {
        std::map<char, Expr> at;
        for (size_t d = 0; d < out.size(); ++d) at[equation.result[d]] = out[d];
        std::vector<IterVar> axes;
        for (auto& [label, extent] : extents) {
          if (at.count(label)) continue;
          axes.push_back(te::ReduceAxis(extent, std::string(1, label)));
          at[label] = axes.back().var;
        }
        Expr product = nullptr;
        for (size_t t = 0; t < equation.terms.size(); ++t) {
          Indices index;
          for (size_t d = 0; d < equation.terms[t].size(); ++d) {
            index.push_back(IsInt(ctx.InputType(t).shape[d], 1) ? Expr(0) : at[equation.terms[t][d]]);
          }
          Expr x = ToCompute(ctx.Read(t, index));
          product = product ? product * x : x;
        }
        if (axes.empty()) return product;
        return te::Sum(product, axes);
      },
      0, {}, ".sum");
  return {ctx.Compute(
      [&](const Indices& i) { return MakeCast(ctx.OutputType().dtype, AtLogical(ctx, total, i)); })};
}

TW_OP(Einsum) = OpDef{
    .name = "Einsum",
    .doc = "sum of products over the letters that the result lacks",
    .inputs = {{.name = "x", .variadic = true}},
    .attrs = DescribeAttrs<EinsumAttrs>(),
    .infer = InferEinsum,
    .lower = LowerEinsum,
    .pattern = FusePattern::kReduction,
};

}  // namespace
}  // namespace tilewright
