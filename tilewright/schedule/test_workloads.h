// SPDX-License-Identifier: Apache-2.0
// Computations that the tests of schedules work on, and the comparison of a schedule with its original.
#pragma once

#include <gmock/gmock.h>

#include <functional>
#include <random>
#include <string>

#include "tilewright/schedule/schedule.h"
#include "tilewright/te/te.h"
#include "tilewright/tir/interpreter.h"
#include "tilewright/tir/printer.h"
#include "tilewright/tir/verify.h"

namespace tilewright {

/// D = relu(A B), blocks C and D.
inline PrimFunc MatmulRelu(int64_t m, int64_t n, int64_t k) {
  te::Tensor a = te::Placeholder("A", kF32, {m, k}), b = te::Placeholder("B", kF32, {k, n});
  IterVar r = te::ReduceAxis(k, "k");
  te::Tensor c =
      te::Compute("C", {m, n}, [&](auto& i) { return te::Sum(a({i[0], r.var}) * b({r.var, i[1]}), {r}); });
  te::Tensor d = te::Compute("D", {m, n}, [&](auto& i) { return Max(c(i), MakeConst(kF32, 0.0)); });
  return te::CreatePrimFunc("matmul_relu", {a, b}, {d});
}

/// C = A B, block C of the rule for products.
inline PrimFunc ProductByRule(int64_t m, int64_t n, int64_t k) {
  te::Tensor a = te::Placeholder("A", kF32, {m, k}), b = te::Placeholder("B", kF32, {k, n});
  const IterVar r = te::ReduceAxis(k, "k");
  te::Tensor c =
      te::Compute("C", {m, n}, [&](auto& i) { return te::Sum(a({i[0], r.var}) * b({r.var, i[1]}), {r}); },
                  {{"rule", std::string("matmul")}});
  return te::CreatePrimFunc("product", {a, b}, {c});
}

/// 3x3 convolution of [channels, size, size] with zero padding, blocks Pad, Conv, Out (adds a bias).
inline PrimFunc PaddedConv(int64_t in, int64_t out, int64_t size, int64_t stride) {
  te::Tensor x = te::Placeholder("X", kF32, {in, size, size}),
             w = te::Placeholder("W", kF32, {out, in, 3, 3});
  te::Tensor bias = te::Placeholder("Bias", kF32, {out});
  te::Tensor pad = te::Compute("Pad", {in, size + 2, size + 2}, [&](auto& i) {
    Expr inside = Expr(1) <= i[1] && i[1] < Expr(size + 1) && Expr(1) <= i[2] && i[2] < Expr(size + 1);
    return MakeIfThenElse(inside, x({i[0], i[1] - Expr(1), i[2] - Expr(1)}), MakeConst(kF32, 0.0));
  });
  const int64_t o = (size - 1) / stride + 1;
  IterVar c = te::ReduceAxis(in, "c"), h = te::ReduceAxis(3, "h"), v = te::ReduceAxis(3, "v");
  te::Tensor conv = te::Compute("Conv", {out, o, o}, [&](auto& i) {
    return te::Sum(pad({c.var, i[1] * Expr(stride) + h.var, i[2] * Expr(stride) + v.var}) *
                       w({i[0], c.var, h.var, v.var}),
                   {c, h, v});
  });
  te::Tensor result = te::Compute("Out", {out, o, o}, [&](auto& i) { return conv(i) + bias({i[0]}); });
  return te::CreatePrimFunc("padded_conv", {x, w, bias}, {result});
}

/// Softmax without the exponential (all values stay exact): blocks Max, Diff, Sum, Ratio.
inline PrimFunc SoftmaxLike(int64_t m, int64_t n) {
  te::Tensor x = te::Placeholder("X", kF32, {m, n});
  IterVar j = te::ReduceAxis(n, "j"), k = te::ReduceAxis(n, "k");
  te::Tensor top = te::Compute("Max", {m}, [&](auto& i) { return te::MaxOver(x({i[0], j.var}), {j}); });
  te::Tensor diff = te::Compute("Diff", {m, n}, [&](auto& i) { return top({i[0]}) - x(i); });
  te::Tensor sum = te::Compute("Sum", {m}, [&](auto& i) { return te::Sum(diff({i[0], k.var}), {k}); });
  te::Tensor ratio = te::Compute("Ratio", {m, n}, [&](auto& i) { return diff(i) + sum({i[0]}); });
  return te::CreatePrimFunc("softmax_like", {x}, {ratio});
}

/// R = transpose(X) + Y, blocks T and R.
inline PrimFunc TransposeAdd(int64_t m, int64_t n) {
  te::Tensor x = te::Placeholder("X", kF32, {m, n}), y = te::Placeholder("Y", kF32, {n, m});
  te::Tensor t = te::Compute("T", {n, m}, [&](auto& i) { return x({i[1], i[0]}) * MakeConst(kF32, 2.0); });
  te::Tensor r = te::Compute("R", {n, m}, [&](auto& i) { return t(i) + y(i); });
  return te::CreatePrimFunc("transpose_add", {x, y}, {r});
}

/// Shape of a buffer, all constant.
inline std::vector<int64_t> ConstShape(const Buffer& b) {
  std::vector<int64_t> shape;
  for (const Expr& e : b.shape()) shape.push_back(AsInt(e).value());
  return shape;
}

/// Small integers, on which float arithmetic is exact in any order.
inline NDArray RandomInput(const Buffer& b, uint64_t seed) {
  std::mt19937_64 random(seed);
  NDArray array = NDArray::Empty(b.dtype(), ConstShape(b));
  for (int64_t i = 0; i < array.size(); ++i) {
    array.SetInt(i, int64_t(random() % 9) - (b.dtype().is_uint() ? 0 : 4));
  }
  return array;
}

/// The outputs of a function on seeded inputs; `prepare` brings the inputs to the layouts that it takes.
inline std::vector<NDArray> RunSeeded(const PrimFunc& original, const PrimFunc& f,
                                      const std::vector<Schedule::Prepare>& prepare, uint64_t seed,
                                      const InterpretOptions& options = {}) {
  std::vector<NDArray> arrays;
  for (size_t i = 0; i < original->buffers.size(); ++i)
    arrays.push_back(RandomInput(original->buffers[i], seed + i));
  for (const Schedule::Prepare& p : prepare) {
    std::vector<NDArray> io = {
        arrays[size_t(p.buffer_index)],
        NDArray::Empty(p.function->buffers[1].dtype(), ConstShape(p.function->buffers[1]))};
    Interpret(p.function, io);
    arrays[size_t(p.buffer_index)] = io[1];
  }
  Interpret(f, arrays, {}, options);
  return {arrays.end() - f->num_outputs, arrays.end()};
}

/// The scheduled function is well-formed and computes what the original does, whatever the order of
/// iterations that it says are independent.
inline void ExpectSameResult(const PrimFunc& original, const Schedule& s) {
  for (const Diagnostic& d : VerifyScheduled(s.func()))
    ADD_FAILURE() << d.ToString() << "\n" << ToString(s.func());
  const std::vector<NDArray> expected = RunSeeded(original, original, {}, 7);
  using Order = InterpretOptions::Order;
  for (Order order : {Order::kAscending, Order::kDescending}) {
    InterpretOptions options;
    options.independent_order = order;
    try {
      const std::vector<NDArray> got = RunSeeded(original, s.func(), s.prepare(), 7, options);
      EXPECT_TRUE(got == expected) << ToString(s.func()) << s.trace().ToString();
    } catch (const Error& e) {
      ADD_FAILURE() << e.what() << "\n" << ToString(s.func()) << s.trace().ToString();
    }
  }
}

/// The call throws an Error with this id whose text holds `text`, and leaves the schedule as it was.
inline void ExpectError(const std::function<void()>& call, const std::string& id, const std::string& text) {
  try {
    call();
    ADD_FAILURE() << "no error; expected " << id;
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), id) << e.what();
    EXPECT_THAT(e.what(), testing::HasSubstr(text));
  }
}
inline void ExpectIllegal(const Schedule& s, const std::function<void()>& call, const std::string& id,
                          const std::string& text) {
  const PrimFunc before = s.func();
  const size_t steps = s.trace().steps.size();
  ExpectError(call, id, text);
  EXPECT_EQ(s.func(), before);
  // Looking up the names of what a step was given may be recorded, the step itself not.
  for (size_t i = steps; i < s.trace().steps.size(); ++i) {
    EXPECT_THAT(s.trace().steps[i].primitive, testing::StartsWith("get_"));
  }
}

}  // namespace tilewright
