// SPDX-License-Identifier: Apache-2.0
// Tensor expressions: what is computed, without a word on how. Example, a matrix product with ReLU:
//
//   Tensor a = te::Placeholder("A", kF32, {m, k}), b = te::Placeholder("B", kF32, {k, n});
//   IterVar r = te::ReduceAxis(k, "k");
//   Tensor c = te::Compute("C", {m, n}, [&](auto& i) { return te::Sum(a({i[0], r.var}) * b({r.var, i[1]}),
//   {r}); }); Tensor d = te::Compute("D", {m, n}, [&](auto& i) { return Max(c(i), MakeConst(kF32, 0.0)); });
//   PrimFunc f = te::CreatePrimFunc("gemm_relu", {a, b}, {d});
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tilewright/tir/prim_func.h"

namespace tilewright::te {

/// How a reduction combines. The identity is its initial value.
enum class Combiner : uint8_t {
  kSum,   ///< 0
  kProd,  ///< 1
  kMax,   ///< the smallest value; NaN propagates
  kMin,   ///< the largest value; NaN propagates
  kAnd,
  kOr,
  /// Pairs {value, index}: the larger (smaller) value, of equal ones the smaller index.
  kArgMax,
  kArgMin,
  /// As above, of equal values the larger index.
  kArgMaxLast,
  kArgMinLast,
};

/// The value of a stage: an expression, or a reduction of `sources` over `axes`; a reduction over no point is
/// the combiner's initial value.
/// Several results (argmax) have several sources; each result is an output of its stage.
struct Body {
  std::vector<Expr> sources;
  std::vector<IterVar> axes;  ///< empty: no reduction, one source per result
  Combiner combiner = Combiner::kSum;
  Expr condition = nullptr;  ///< with axes: points where it is false take no part; null: all do
  Body(Expr e) : sources{std::move(e)} {}
  Body(std::vector<Expr> s, std::vector<IterVar> a, Combiner c)
      : sources(std::move(s)), axes(std::move(a)), combiner(c) {}
};

/// One computation: for each point of `axes` (all spatial), each result element = body.
struct Stage : Object {
  std::string name;
  std::vector<IterVar> axes;
  Body body{Expr()};
  std::vector<DataType> dtypes;           ///< of the results
  std::vector<std::vector<Expr>> shapes;  ///< of the results; all alike unless the stage is custom
  Annotations annotations;            ///< go to the block: hints for schedule rules ("rule" = "conv2d", ...)
  std::vector<Buffer> custom_inputs;  ///< of a custom stage: what it reads
  /// A hand-built stage (sort, NMS, scatter): statements instead of a body, one opaque block.
  std::function<Stmt(const std::vector<Buffer>& outputs)> custom;
};

/// A tensor: an input, or a result of a stage. Loads of its buffer in other bodies are what links stages.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Buffer buffer) : buffer_(std::move(buffer)) {}
  Expr operator()(const std::vector<Expr>& indices) const { return buffer_(indices); }
  const Buffer& buffer() const { return buffer_; }
  const std::vector<Expr>& shape() const { return buffer_.shape(); }
  int rank() const { return int(shape().size()); }
  DataType dtype() const { return buffer_.dtype(); }
  const std::string& name() const { return buffer_.name(); }
  /// The computation that yields it; null for an input.
  Ref<Stage> stage() const;
  size_t result_index() const;  ///< which result of its stage it is
  explicit operator bool() const { return bool(buffer_); }

 private:
  Buffer buffer_;
};

Tensor Placeholder(std::string name, DataType dtype, std::vector<Expr> shape);
IterVar ReduceAxis(Expr extent, std::string name);
using Axes = std::vector<Expr>;  ///< the axis variables, as expressions

Tensor Compute(std::string name, std::vector<Expr> shape, const std::function<Body(const Axes&)>& f,
               Annotations annotations = {});
/// Several results over the same axes (argmax); `f` returns a body with as many sources.
std::vector<Tensor> ComputeMulti(std::string name, std::vector<Expr> shape,
                                 const std::function<Body(const Axes&)>& f, Annotations annotations = {});
/// A stage written by hand. `f` gets the output buffers and returns the statement that fills them; it may
/// read `inputs` in any order.
std::vector<Tensor> Custom(std::string name, const std::vector<Tensor>& inputs,
                           const std::vector<std::pair<DataType, std::vector<Expr>>>& outputs,
                           const std::function<Stmt(const std::vector<Buffer>&)>& f,
                           Annotations annotations = {});

Body Sum(Expr source, std::vector<IterVar> axes);
Body Prod(Expr source, std::vector<IterVar> axes);
Body MaxOver(Expr source, std::vector<IterVar> axes);
Body MinOver(Expr source, std::vector<IterVar> axes);
/// Sources {value, index}; outputs the same two.
Body ArgReduce(Combiner combiner, Expr value, Expr index, std::vector<IterVar> axes);

/// The initial values of a combiner, for sources of these types.
std::vector<Expr> Identity(Combiner combiner, const std::vector<DataType>& dtypes);
/// The combination of accumulated values with new ones.
std::vector<Expr> Combine(Combiner combiner, const std::vector<Expr>& acc, const std::vector<Expr>& next);

/// The scheduled-stage function that computes `outputs` from `inputs`: a root block with one block per stage
/// in topological order, each below one serial loop per axis (spatial axes first, then reduction axes), named
/// after its stage (made unique by a suffix). Symbolic dimensions of the shapes become `dims`.
PrimFunc CreatePrimFunc(std::string name, const std::vector<Tensor>& inputs,
                        const std::vector<Tensor>& outputs);

}  // namespace tilewright::te
