// SPDX-License-Identifier: Apache-2.0
// Computations for random schedules: small extents that few factors divide, small integers as values, so that
// floats are exact in any order.
#pragma once

#include "tilewright/schedule/test_workloads.h"

namespace tilewright {

struct FuzzWorkload {
  std::string name;
  PrimFunc function;
};
inline void PrintTo(const FuzzWorkload& w, std::ostream* out) { *out << w.name; }

inline te::Tensor FuzzInput(const char* name, std::vector<Expr> shape, DataType t = kF32) {
  return te::Placeholder(name, t, std::move(shape));
}

inline PrimFunc BatchMatmul() {
  te::Tensor a = FuzzInput("A", {2, 4, 5}), b = FuzzInput("B", {2, 5, 3});
  IterVar k = te::ReduceAxis(5, "k");
  te::Tensor c = te::Compute(
      "C", {2, 4, 3}, [&](auto& i) { return te::Sum(a({i[0], i[1], k.var}) * b({i[0], k.var, i[2]}), {k}); });
  return te::CreatePrimFunc("batch_matmul", {a, b}, {c});
}

/// (A B) C, of which the second product reads every row of the first many times.
inline PrimFunc TwoMatmuls() {
  te::Tensor a = FuzzInput("A", {4, 3}), b = FuzzInput("B", {3, 5}), c = FuzzInput("C", {5, 4});
  IterVar k = te::ReduceAxis(3, "k"), l = te::ReduceAxis(5, "l");
  te::Tensor p =
      te::Compute("P", {4, 5}, [&](auto& i) { return te::Sum(a({i[0], k.var}) * b({k.var, i[1]}), {k}); });
  te::Tensor q =
      te::Compute("Q", {4, 4}, [&](auto& i) { return te::Sum(p({i[0], l.var}) * c({l.var, i[1]}), {l}); });
  return te::CreatePrimFunc("two_matmuls", {a, b, c}, {q});
}

/// Bytes times bytes in 32 bits.
inline PrimFunc ByteMatmul() {
  te::Tensor a = FuzzInput("A", {5, 7}, kU8), b = FuzzInput("B", {7, 6}, kI8);
  IterVar k = te::ReduceAxis(7, "k");
  te::Tensor c = te::Compute("C", {5, 6}, [&](auto& i) {
    return te::Sum(MakeCast(kI32, a({i[0], k.var})) * MakeCast(kI32, b({k.var, i[1]})), {k});
  });
  return te::CreatePrimFunc("byte_matmul", {a, b}, {c});
}

inline PrimFunc DepthwiseConv() {
  te::Tensor x = FuzzInput("X", {3, 7, 6}), w = FuzzInput("W", {3, 3, 2});
  IterVar h = te::ReduceAxis(3, "h"), v = te::ReduceAxis(2, "v");
  te::Tensor y = te::Compute("Y", {3, 5, 5}, [&](auto& i) {
    return te::Sum(x({i[0], i[1] + h.var, i[2] + v.var}) * w({i[0], h.var, v.var}), {h, v});
  });
  return te::CreatePrimFunc("depthwise", {x, w}, {y});
}

inline PrimFunc PoolAndScale() {
  te::Tensor x = FuzzInput("X", {2, 6, 8});
  IterVar h = te::ReduceAxis(2, "h"), v = te::ReduceAxis(2, "v");
  te::Tensor top = te::Compute("Top", {2, 3, 4}, [&](auto& i) {
    return te::MaxOver(x({i[0], i[1] * Expr(2) + h.var, i[2] * Expr(2) + v.var}), {h, v});
  });
  te::Tensor y = te::Compute("Y", {2, 3, 4}, [&](auto& i) { return top(i) * MakeConst(kF32, 3.0); });
  return te::CreatePrimFunc("pool", {x}, {y});
}

/// Reductions along either axis of one argument, both results.
inline PrimFunc RowsAndColumns() {
  te::Tensor x = FuzzInput("X", {6, 7});
  IterVar j = te::ReduceAxis(7, "j"), k = te::ReduceAxis(6, "k");
  te::Tensor rows = te::Compute("Rows", {6}, [&](auto& i) { return te::Sum(x({i[0], j.var}), {j}); });
  te::Tensor columns =
      te::Compute("Columns", {7}, [&](auto& i) { return te::MaxOver(x({k.var, i[0]}), {k}); });
  return te::CreatePrimFunc("rows_and_columns", {x}, {rows, columns});
}

/// x - sum of its row.
inline PrimFunc Centre() {
  te::Tensor x = FuzzInput("X", {5, 9});
  IterVar j = te::ReduceAxis(9, "j");
  te::Tensor sum = te::Compute("Sum", {5}, [&](auto& i) { return te::Sum(x({i[0], j.var}), {j}); });
  te::Tensor y = te::Compute("Y", {5, 9}, [&](auto& i) { return x(i) * MakeConst(kF32, 9.0) - sum({i[0]}); });
  return te::CreatePrimFunc("centre", {x}, {y});
}

inline PrimFunc SumOfAll() {
  te::Tensor x = FuzzInput("X", {3, 4, 5});
  IterVar i0 = te::ReduceAxis(3, "i"), i1 = te::ReduceAxis(4, "j"), i2 = te::ReduceAxis(5, "k");
  te::Tensor square = te::Compute("Square", {3, 4, 5}, [&](auto& i) { return x(i) * x(i); });
  te::Tensor y =
      te::Compute("Y", {1}, [&](auto& i) { return te::Sum(square({i0.var, i1.var, i2.var}), {i0, i1, i2}); });
  return te::CreatePrimFunc("sum_of_all", {x}, {y});
}

inline PrimFunc Chain() {
  te::Tensor x = FuzzInput("X", {4, 10}), y = FuzzInput("Y", {10});
  te::Tensor a = te::Compute("A", {4, 10}, [&](auto& i) { return x(i) + y({i[1]}); });
  te::Tensor b = te::Compute("B", {4, 10}, [&](auto& i) { return Max(a(i), MakeConst(kF32, 0.0)); });
  te::Tensor c = te::Compute("C", {4, 10}, [&](auto& i) { return b(i) * a(i); });
  return te::CreatePrimFunc("chain", {x, y}, {c});
}

inline PrimFunc Concatenation() {
  te::Tensor x = FuzzInput("X", {3, 4}), y = FuzzInput("Y", {3, 5});
  te::Tensor z = te::Compute("Z", {3, 9}, [&](auto& i) {
    return MakeIfThenElse(i[1] < Expr(4), x({i[0], i[1]}), y({i[0], i[1] - Expr(4)}));
  });
  te::Tensor w = te::Compute("W", {9, 3}, [&](auto& i) { return z({i[1], i[0]}) + MakeConst(kF32, 1.0); });
  return te::CreatePrimFunc("concatenation", {x, y}, {w});
}

/// Neighbours of a row with a border, twice.
inline PrimFunc Stencil() {
  te::Tensor x = FuzzInput("X", {12});
  auto smooth = [](const char* name, const te::Tensor& from, int64_t n) {
    return te::Compute(name, {Expr(n)}, [&](auto& i) {
      return from({i[0]}) + from({i[0] + Expr(1)}) + from({i[0] + Expr(2)});
    });
  };
  te::Tensor pad = te::Compute("Pad", {14}, [&](auto& i) {
    return MakeIfThenElse(Expr(1) <= i[0] && i[0] < Expr(13), x({i[0] - Expr(1)}), MakeConst(kF32, 0.0));
  });
  te::Tensor once = smooth("Once", pad, 12), twice = smooth("Twice", once, 10);
  return te::CreatePrimFunc("stencil", {x}, {twice});
}

inline PrimFunc Enlarge() {
  te::Tensor x = FuzzInput("X", {3, 4});
  te::Tensor y = te::Compute("Y", {6, 12},
                             [&](auto& i) { return x({FloorDiv(i[0], Expr(2)), FloorDiv(i[1], Expr(3))}); });
  te::Tensor z = te::Compute(
      "Z", {72}, [&](auto& i) { return y({FloorDiv(i[0], Expr(12)), FloorMod(i[0], Expr(12))}); });
  return te::CreatePrimFunc("enlarge", {x}, {z});
}

/// Sums of what comes before each element.
inline PrimFunc Prefixes() {
  te::Tensor x = FuzzInput("X", {3, 8});
  IterVar j = te::ReduceAxis(8, "j");
  te::Tensor y = te::Compute("Y", {3, 8}, [&](auto& i) {
    return te::Sum(MakeIfThenElse(j.var <= i[1], x({i[0], j.var}), MakeConst(kF32, 0.0)), {j});
  });
  return te::CreatePrimFunc("prefixes", {x}, {y});
}

inline PrimFunc OuterProductSum() {
  te::Tensor x = FuzzInput("X", {5}), y = FuzzInput("Y", {6});
  te::Tensor z = te::Compute("Z", {5, 6}, [&](auto& i) { return x({i[0]}) * y({i[1]}); });
  IterVar j = te::ReduceAxis(5, "j");
  te::Tensor sum = te::Compute("Sum", {6}, [&](auto& i) { return te::Sum(z({j.var, i[0]}), {j}); });
  return te::CreatePrimFunc("outer_product_sum", {x, y}, {sum});
}

inline PrimFunc IntegerArithmetic() {
  te::Tensor x = FuzzInput("X", {7, 5}, kI32), y = FuzzInput("Y", {5}, kI32);
  te::Tensor a =
      te::Compute("A", {7, 5}, [&](auto& i) { return Max(x(i) * y({i[1]}), MakeConst(kI32, int64_t(-3))); });
  IterVar k = te::ReduceAxis(5, "k");
  te::Tensor b = te::Compute("B", {7}, [&](auto& i) { return te::Sum(a({i[0], k.var}), {k}); });
  return te::CreatePrimFunc("integers", {x, y}, {b});
}

inline std::vector<FuzzWorkload> FuzzWorkloads() {
  return {{"MatmulRelu", MatmulRelu(7, 10, 5)},
          {"PaddedConv", PaddedConv(2, 3, 5, 1)},
          {"StridedConv", PaddedConv(2, 2, 6, 2)},
          {"SoftmaxLike", SoftmaxLike(5, 6)},
          {"TransposeAdd", TransposeAdd(6, 9)},
          {"BatchMatmul", BatchMatmul()},
          {"TwoMatmuls", TwoMatmuls()},
          {"ByteMatmul", ByteMatmul()},
          {"DepthwiseConv", DepthwiseConv()},
          {"PoolAndScale", PoolAndScale()},
          {"RowsAndColumns", RowsAndColumns()},
          {"Centre", Centre()},
          {"SumOfAll", SumOfAll()},
          {"Chain", Chain()},
          {"Concatenation", Concatenation()},
          {"Stencil", Stencil()},
          {"Enlarge", Enlarge()},
          {"Prefixes", Prefixes()},
          {"OuterProductSum", OuterProductSum()},
          {"IntegerArithmetic", IntegerArithmetic()}};
}

}  // namespace tilewright
