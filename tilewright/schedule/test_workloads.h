// SPDX-License-Identifier: Apache-2.0
// Computations that the tests of schedules work on.
#pragma once

#include <gmock/gmock.h>

#include <functional>
#include <string>

#include "tilewright/te/te.h"

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

/// The call throws an Error with this id whose text holds `text`.
inline void ExpectError(const std::function<void()>& call, const std::string& id, const std::string& text) {
  try {
    call();
    ADD_FAILURE() << "no error; expected " << id;
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), id) << e.what();
    EXPECT_THAT(e.what(), testing::HasSubstr(text));
  }
}

}  // namespace tilewright
