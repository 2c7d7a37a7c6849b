// SPDX-License-Identifier: Apache-2.0
// Kernels in the shape of a GPU's, run by the interpreter: grids of blocks of threads, memory that the
// threads of a block share, and barriers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tilewright/tir/interpreter.h"
#include "tilewright/tir/parser.h"
#include "tilewright/tir/verify.h"

namespace tilewright {
namespace {

using testing::HasSubstr;
using Order = InterpretOptions::Order;

// C = A * B by tiles of 16 x 16, a thread per element of a tile. The threads of a block load the tiles of A
// and B that they all read together, an element or none each; a barrier stands between loading and using, and
// another between using and loading the next.
constexpr const char* kTiledMatMul = R"(
primfunc @matmul(A: f32[768], B: f32[1152], C: f32[1536]) outputs(1) lowered {
  for by in 0..2 thread "blockIdx.y" {
    for bx in 0..3 thread "blockIdx.x" {
      allocate A_shared: f32[128] scope "shared"
      allocate B_shared: f32[128] scope "shared"
      for ty in 0..16 thread "threadIdx.y" {
        for tx in 0..16 thread "threadIdx.x" {
          allocate sum: f32[1] scope "local"
          let row = by * 16 + ty
          let column = bx * 16 + tx
          sum[0] = 0f32
          for k0 in 0..3 {
            if tx < 8 { A_shared[ty * 8 + tx] = A[row * 24 + k0 * 8 + tx] }
            if ty < 8 { B_shared[ty * 16 + tx] = B[(k0 * 8 + ty) * 48 + column] }
            evaluate barrier("shared")
            for k in 0..8 { sum[0] = sum[0] + A_shared[ty * 8 + k] * B_shared[k * 16 + tx] }
            evaluate barrier("shared")
          }
          C[row * 48 + column] = sum[0]
        }
      }
    }
  }
}
)";

std::vector<NDArray> MatMulArrays() {
  std::mt19937 random(3);
  std::vector<NDArray> arrays;
  for (int64_t n : {768, 1152, 1536}) {
    arrays.push_back(NDArray::Zeros(kF32, {n}));
    for (int64_t i = 0; i < n; ++i) arrays.back().SetDouble(i, double(int(random() % 17)) - 8);
  }
  return arrays;
}

void RunThreads(const std::string& text, Order order, std::vector<NDArray>& arrays) {
  const PrimFunc kernel = ParsePrimFunc(text);
  CheckPrimFunc(kernel);
  InterpretOptions options;
  options.independent_order = order;
  options.seed = 5;
  Interpret(kernel, arrays, {}, options);
}

std::string Without(std::string text, const std::string& part, int occurrence) {
  size_t at = text.find(part);
  while (occurrence-- > 0) at = text.find(part, at + 1);
  return text.erase(at, part.size());
}

void ExpectProblem(const std::string& text, const std::string& id, const std::string& message) {
  std::vector<NDArray> arrays = MatMulArrays();
  try {
    RunThreads(text, Order::kAscending, arrays);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr(id));
    EXPECT_THAT(e.what(), HasSubstr(message));
  }
}

TEST(Threads, TiledMatMulWithSharedMemory) {
  for (Order order : {Order::kAscending, Order::kDescending, Order::kShuffled}) {
    std::vector<NDArray> arrays = MatMulArrays();
    RunThreads(kTiledMatMul, order, arrays);
    for (int64_t i = 0; i < 32; ++i) {
      for (int64_t j = 0; j < 48; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < 24; ++k)
          sum += arrays[0].AsDouble(i * 24 + k) * arrays[1].AsDouble(k * 48 + j);
        ASSERT_EQ(arrays[2].AsDouble(i * 48 + j), sum) << i << ", " << j;
      }
    }
  }
}

TEST(Threads, EachBarrierIsNeeded) {
  const std::string barrier = "evaluate barrier(\"shared\")";
  // Without the first, a thread may read what no other has loaded yet.
  const std::string unloaded = Without(kTiledMatMul, barrier, 0);
  ExpectProblem(unloaded, "TW1608", "A_shared");
  // Without the second, one may load the next tile while another uses this one.
  const std::string overwritten = Without(kTiledMatMul, barrier, 1);
  ExpectProblem(overwritten, "TW1608", "one reads and the other writes");
}

TEST(Threads, AllComeToABarrierOrNone) {
  ExpectProblem(R"(
primfunc @f(A: f32[768], B: f32[1152], C: f32[1536]) outputs(1) lowered {
  for t in 0..8 thread "threadIdx.x" {
    if t < 4 { evaluate barrier("shared") }
    C[t] = A[t] + B[t]
  }
})",
                "TW1610", "disagree on a condition");
}

TEST(Threads, BlocksHaveNoBarrier) {
  // Threads of different blocks that exchange values by global memory: no barrier makes that right.
  ExpectProblem(R"(
primfunc @f(A: f32[768], B: f32[1152], C: f32[1536]) outputs(1) lowered {
  for b in 0..2 thread "blockIdx.x" {
    for t in 0..8 thread "threadIdx.x" {
      C[b * 8 + t] = A[t] + B[t]
      evaluate barrier("global")
      C[16 + b * 8 + t] = C[t]
    }
  }
})",
                "TW1608", "loop b");
  ExpectProblem(R"(
primfunc @f(A: f32[768], B: f32[1152], C: f32[1536]) outputs(1) lowered {
  C[0] = A[0] + B[0]
  evaluate barrier("global")
})",
                "TW1605", "barrier");
}

}  // namespace
}  // namespace tilewright
