// SPDX-License-Identifier: Apache-2.0
#include "tilewright/frontend/onnx/loops.h"

namespace tilewright::onnx {

namespace {

/// As many steps cost no more code than a loop's body and its surroundings.
constexpr int64_t kMostUnrolled = 4;

Value Sliced(NodeContext& ctx, const Value& x, std::vector<Expr> begin, std::vector<int64_t> stride,
             std::vector<Expr> shape) {
  return ctx.Call("Slice", {x},
                  {{"begin", std::move(begin)}, {"stride", std::move(stride)}, {"shape", std::move(shape)}});
}

std::vector<Expr> WithLeadingAxis(const std::vector<Expr>& shape, const Expr& extent) {
  std::vector<Expr> result = {extent};
  result.insert(result.end(), shape.begin(), shape.end());
  return result;
}

std::vector<Value> Unrolled(NodeContext& ctx, int64_t steps, std::vector<Value> carried,
                            const LoopBody& body) {
  std::vector<std::vector<Value>> stacks;
  const size_t count = carried.size();
  for (int64_t i = 0; i < steps; ++i) {
    std::vector<Value> out = body({Value(), i}, carried);
    stacks.resize(out.size() - count);
    for (size_t s = 0; s < stacks.size(); ++s) stacks[s].push_back(out[count + s]);
    out.resize(count);
    carried = std::move(out);
  }
  for (const auto& rows : stacks) carried.push_back(StackRows(ctx, rows));
  return carried;
}

}  // namespace

Value IndexValue(NodeContext& ctx, const Expr& value) {
  if (auto n = AsInt(value)) return ctx.Constant(NDArray::FromInts(kI64, {}, std::vector<int64_t>{*n}));
  return ctx.Call("IndexList", {},
                  {{"elements", std::vector<Expr>{value}}, {"shape", std::vector<int64_t>{}}});
}

Value PartOf(NodeContext& ctx, const Value& x, size_t axis, const Expr& begin, const Expr& extent) {
  std::vector<Expr> shape = x.tensor().shape, first(shape.size(), Expr(0));
  if (StructuralEqual(shape[axis], extent)) return x;
  first[axis] = begin;
  shape[axis] = extent;
  const size_t rank = shape.size();
  return Sliced(ctx, x, std::move(first), std::vector<int64_t>(rank, 1), std::move(shape));
}

Value ReverseRows(NodeContext& ctx, const Value& x) {
  const std::vector<Expr>& shape = x.tensor().shape;
  if (IsInt(shape[0], 1)) return x;
  std::vector<Expr> begin(shape.size(), Expr(0));
  std::vector<int64_t> stride(shape.size(), 1);
  begin[0] = shape[0] - Expr(1);
  stride[0] = -1;
  return Sliced(ctx, x, std::move(begin), std::move(stride), shape);
}

Value StackRows(NodeContext& ctx, const std::vector<Value>& rows) {
  std::vector<Value> lifted;
  for (const Value& row : rows)
    lifted.push_back(ctx.Reshape(row, WithLeadingAxis(row.tensor().shape, Expr(1))));
  return lifted.size() == 1 ? lifted[0] : ctx.Call("Concat", lifted, {{"axis", int64_t{0}}});
}

Value RowOf(NodeContext& ctx, const Value& x, const LoopStep& step, bool from_end) {
  if (step.number) return ctx.Call("Row", {x, step.number}, {{"from_end", from_end}});
  const std::vector<Expr>& shape = x.tensor().shape;
  const Expr at = from_end ? shape[0] - Expr(step.index + 1) : Expr(step.index);
  Value row = PartOf(ctx, x, 0, at, Expr(1));
  return ctx.Reshape(row, {shape.begin() + 1, shape.end()});
}

void CheckCarried(const NodeContext& ctx, size_t i, const TensorType& before, const TensorType& after) {
  if (StructuralEqual(Type(before), Type(after))) return;
  ctx.Fail("TW2060",
           fmt::format("value {} that the loop carries changes its type, which is not supported", i),
           {fmt::format("before a step it is {}", Type(before).ToString()),
            fmt::format("after it, {}", Type(after).ToString())});
}

std::vector<Value> RepeatSteps(NodeContext& ctx, const Expr& steps, std::vector<Value> carried,
                               const LoopBody& body) {
  auto known = AsInt(steps);
  if (known && *known > 0 && *known <= kMostUnrolled) return Unrolled(ctx, *known, std::move(carried), body);

  GraphBlock block;
  const TensorType index{kI64, {}, {}, "", "global"}, flag{kBool, {}, {}, "", "global"};
  block.params = {Value("step", Type(index)), Value("go", Type(flag))};
  std::vector<Value> inside;
  for (const Value& v : carried) inside.push_back(Value("carried", v->type, v->origin));
  block.params.insert(block.params.end(), inside.begin(), inside.end());
  GraphBuilder builder;
  std::vector<Value> out;
  ctx.importer().BuildIn(builder, [&] { out = body({block.params[0], 0}, inside); });

  std::vector<Type> types;
  for (size_t i = 0; i < out.size(); ++i) {
    TensorType type = out[i].tensor();
    if (i < carried.size()) {
      CheckCarried(ctx, i, carried[i].tensor(), type);
    } else {
      type.shape = WithLeadingAxis(type.shape, steps);
    }
    types.push_back(Type(std::move(type)));
  }
  std::vector<Value> results = {block.params[1]};
  results.insert(results.end(), out.begin(), out.end());
  GraphBlock made = builder.Finish(std::move(results));
  made.params = std::move(block.params);
  Value trips = IndexValue(ctx, steps);
  return ctx.importer().builder().Bind(
      MakeGraphLoop(std::move(trips), Value(), std::move(carried), std::move(made)), std::move(types),
      ctx.Origin());
}

}  // namespace tilewright::onnx
