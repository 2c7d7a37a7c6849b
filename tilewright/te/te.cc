// SPDX-License-Identifier: Apache-2.0
#include "tilewright/te/te.h"

namespace tilewright::te {

namespace {

/// The buffer of a stage's result. It keeps the stage alive; the stage does not hold its buffers, so there is
/// no cycle.
struct ResultBufferNode : BufferNode {
  Ref<Stage> stage;
  size_t index = 0;
};

Buffer MakeResult(const Ref<Stage>& stage, size_t index) {
  auto* node = new ResultBufferNode();
  node->buffer_name = stage->dtypes.size() == 1 ? stage->name : fmt::format("{}.{}", stage->name, index);
  node->dtype = stage->dtypes[index];
  node->shape = stage->shapes[index];
  node->scope = "global";
  node->stage = stage;
  node->index = index;
  return Buffer(node);
}

std::vector<Tensor> Results(Stage stage) {
  Ref<Stage> ref(new Stage(std::move(stage)));
  std::vector<Tensor> results;
  for (size_t i = 0; i < ref->dtypes.size(); ++i) results.push_back(Tensor(MakeResult(ref, i)));
  return results;
}

}  // namespace

Ref<Stage> Tensor::stage() const {
  auto* node = dynamic_cast<const ResultBufferNode*>(buffer_.get());
  return node ? node->stage : Ref<Stage>();
}

size_t Tensor::result_index() const {
  auto* node = dynamic_cast<const ResultBufferNode*>(buffer_.get());
  return node ? node->index : 0;
}

Tensor Placeholder(std::string name, DataType dtype, std::vector<Expr> shape) {
  return Tensor(Buffer(std::move(name), dtype, std::move(shape)));
}

IterVar ReduceAxis(Expr extent, std::string name) {
  return {Var(std::move(name)), {Expr(0), std::move(extent)}, IterKind::kReduce};
}

std::vector<Tensor> ComputeMulti(std::string name, std::vector<Expr> shape,
                                 const std::function<Body(const Axes&)>& f, Annotations annotations) {
  Stage stage;
  stage.name = std::move(name);
  Axes axes;
  for (size_t i = 0; i < shape.size(); ++i) {
    Var var(fmt::format("a{}", i));
    axes.push_back(var);
    stage.axes.push_back({var, {Expr(0), shape[i]}, IterKind::kSpatial});
  }
  stage.body = f(axes);
  for (const Expr& source : stage.body.sources) {
    TW_CHECK(source, "stage {} has no value", stage.name);
    stage.dtypes.push_back(source.dtype());
    stage.shapes.push_back(shape);
  }
  stage.annotations = std::move(annotations);
  return Results(std::move(stage));
}

Tensor Compute(std::string name, std::vector<Expr> shape, const std::function<Body(const Axes&)>& f,
               Annotations annotations) {
  return ComputeMulti(std::move(name), std::move(shape), f, std::move(annotations)).front();
}

std::vector<Tensor> Custom(std::string name, const std::vector<Tensor>& inputs,
                           const std::vector<std::pair<DataType, std::vector<Expr>>>& outputs,
                           const std::function<Stmt(const std::vector<Buffer>&)>& f,
                           Annotations annotations) {
  Stage stage;
  stage.name = std::move(name);
  for (const Tensor& t : inputs) stage.custom_inputs.push_back(t.buffer());
  for (const auto& [dtype, shape] : outputs) {
    stage.dtypes.push_back(dtype);
    stage.shapes.push_back(shape);
  }
  stage.custom = f;
  stage.annotations = std::move(annotations);
  return Results(std::move(stage));
}

Body Sum(Expr source, std::vector<IterVar> axes) {
  return {{std::move(source)}, std::move(axes), Combiner::kSum};
}
Body Prod(Expr source, std::vector<IterVar> axes) {
  return {{std::move(source)}, std::move(axes), Combiner::kProd};
}
Body MaxOver(Expr source, std::vector<IterVar> axes) {
  return {{std::move(source)}, std::move(axes), Combiner::kMax};
}
Body MinOver(Expr source, std::vector<IterVar> axes) {
  return {{std::move(source)}, std::move(axes), Combiner::kMin};
}
Body ArgReduce(Combiner combiner, Expr value, Expr index, std::vector<IterVar> axes) {
  return {{std::move(value), std::move(index)}, std::move(axes), combiner};
}

std::vector<Expr> Identity(Combiner combiner, const std::vector<DataType>& t) {
  switch (combiner) {
    case Combiner::kSum:
      return {MakeConst(t[0], 0)};
    case Combiner::kProd:
      return {MakeConst(t[0], 1)};
    case Combiner::kMax:
      return {MinValue(t[0])};
    case Combiner::kMin:
      return {MaxValue(t[0])};
    case Combiner::kAnd:
      return {MakeBool(true)};
    case Combiner::kOr:
      return {MakeBool(false)};
    // The first index wins ties, so that a row of identities (all -inf) yields index 0 and not the initial
    // one.
    case Combiner::kArgMax:
      return {MinValue(t[0]), MaxValue(t[1])};
    case Combiner::kArgMin:
      return {MaxValue(t[0]), MaxValue(t[1])};
    case Combiner::kArgMaxLast:
      return {MinValue(t[0]), MinValue(t[1])};
    case Combiner::kArgMinLast:
      return {MaxValue(t[0]), MinValue(t[1])};
  }
  return {};
}

std::vector<Expr> Combine(Combiner combiner, const std::vector<Expr>& acc, const std::vector<Expr>& next) {
  auto pick = [&](bool larger, bool last) -> std::vector<Expr> {
    Expr better = larger ? next[0] > acc[0] : next[0] < acc[0];
    Expr tie = Eq(next[0], acc[0]) && (last ? next[1] > acc[1] : next[1] < acc[1]);
    Expr take = better || tie;
    return {MakeSelect(take, next[0], acc[0]), MakeSelect(take, next[1], acc[1])};
  };
  switch (combiner) {
    case Combiner::kSum:
      return {acc[0] + next[0]};
    case Combiner::kProd:
      return {acc[0] * next[0]};
    case Combiner::kMax:
      return {Max(acc[0], next[0])};
    case Combiner::kMin:
      return {Min(acc[0], next[0])};
    case Combiner::kAnd:
      return {acc[0] && next[0]};
    case Combiner::kOr:
      return {acc[0] || next[0]};
    case Combiner::kArgMax:
      return pick(true, false);
    case Combiner::kArgMin:
      return pick(false, false);
    case Combiner::kArgMaxLast:
      return pick(true, true);
    case Combiner::kArgMinLast:
      return pick(false, true);
  }
  return {};
}

}  // namespace tilewright::te
