// SPDX-License-Identifier: Apache-2.0
// The register tile of a matrix product as lowering makes it: accumulators carried as values. Its inner loop
// must be multiply-adds and loads alone, without a trace of the stack.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <sstream>

#include "tilewright/codegen/llvm/test_kernels.h"

namespace tilewright {
namespace {

using namespace testing_kernels;

/// C[rows][columns] += A[k][rows] * B[k][columns] over `depth` steps, both operands packed.
PrimFunc MicroKernel(int rows, int columns, int depth, int lanes) {
  Var tile("tile"), k("k");
  Buffer a = Flat("A", kF32, depth * rows), b = Flat("B", kF32, depth * columns),
         c = Flat("C", kF32, rows * columns);
  const int vectors = columns / lanes;
  std::vector<CarriedValue> carried;
  std::vector<Expr> next;
  std::vector<Stmt> stores;
  const DataType t = kF32.WithLanes(lanes);
  std::vector<Expr> row;
  for (int j = 0; j < vectors; ++j) row.push_back(b({MakeRamp(k * columns + Expr(j * lanes), 1, lanes)}));
  for (int i = 0; i < rows; ++i) {
    Expr element = MakeBroadcast(a({k * rows + Expr(i)}), lanes);
    for (int j = 0; j < vectors; ++j) {
      Var acc("acc", t), sum("sum", t);
      carried.push_back({acc, MakeConst(t, 0.0), sum});
      next.push_back(acc + element * row[j]);
      stores.push_back(MakeStore(c, sum, {MakeRamp(i * columns + j * lanes, 1, lanes)}));
    }
  }
  Stmt loop = MakeFor(k, 0, depth, ForKind::kSerial, MakeYield(next), {}, {}, carried);
  stores.insert(stores.begin(), loop);
  return Kernel("micro", {a, b, c}, MakeFor(tile, 0, 1, ForKind::kParallel, MakeSeq(stores)));
}

/// The lines of the innermost loop: from a label to a jump back to it, with no label between.
std::vector<std::string> HotLoop(const std::string& assembly) {
  static const std::regex kLabel(R"(^(\.LBB\w+):)"), kJump(R"(^\t[jb][\w.]+\t.*(\.LBB\w+))");
  std::istringstream stream(assembly);
  std::vector<std::string> lines;
  std::string label;
  std::smatch match;
  for (std::string line; std::getline(stream, line);) {
    if (std::regex_search(line, match, kLabel)) {
      label = match[1];
      lines.clear();
    } else if (std::regex_search(line, match, kJump) && match[1] == label) {
      return lines;
    } else {
      lines.push_back(line);
    }
  }
  return {};
}

int Count(const std::vector<std::string>& lines, const std::string& text) {
  return int(std::count_if(lines.begin(), lines.end(),
                           [&](const std::string& s) { return s.find(text) != std::string::npos; }));
}

TEST(Gemm, HotLoopIsMultiplyAddsAndLoads) {
  struct Case {
    const char* target;
    int rows, columns, lanes;
  };
  for (const Case& c :
       {Case{"x86-64-v4", 8, 48, 16}, Case{"x86-64-v4", 14, 32, 16}, Case{"x86-64-v4", 6, 64, 16},
        Case{"x86-64-v4", 26, 16, 16}, Case{"x86-64-v3", 6, 16, 8}}) {
    const std::string text =
        KernelAssembly(std::vector{MicroKernel(c.rows, c.columns, 256, c.lanes)}, Target::Parse(c.target));
    const std::vector<std::string> loop = HotLoop(text);
    ASSERT_FALSE(loop.empty()) << text;
    const std::string shown = testing::PrintToString(loop);
    EXPECT_EQ(Count(loop, "rsp"), 0) << shown;
    EXPECT_EQ(Count(loop, "rbp"), 0) << shown;
    EXPECT_EQ(Count(loop, "vfmadd"), c.rows * c.columns / c.lanes) << shown;
    const int moves = Count(loop, "vmovups") + Count(loop, "vmovaps") + Count(loop, "vbroadcastss");
    // Beside these, the counter and at most a pointer or two.
    EXPECT_LE(int(loop.size()) - Count(loop, "vfmadd") - moves, 5) << shown;
    EXPECT_LE(moves, c.columns / c.lanes + c.rows) << shown;
  }
}

// Multiply-adds take the row's element from a lane of the register that it was loaded into, so that nothing
// has to copy it to all lanes; LLVM makes an exception of one row, whose load moves the pointer on.
TEST(Gemm, HotLoopOfAarch64MultipliesByElement) {
  for (auto [rows, columns] : {std::pair(14, 8), std::pair(8, 12), std::pair(6, 16)}) {
    const std::string text =
        KernelAssembly(std::vector{MicroKernel(rows, columns, 256, 4)}, Target::Parse("aarch64-linux-gnu"));
    const std::vector<std::string> loop = HotLoop(text);
    ASSERT_FALSE(loop.empty()) << text;
    const std::string shown = testing::PrintToString(loop);
    EXPECT_EQ(Count(loop, "[sp"), 0) << shown;
    EXPECT_EQ(Count(loop, "fmla"), rows * columns / 4) << shown;
    EXPECT_GE(Count(loop, ".s[0]"), (rows - 1) * columns / 4) << shown;
    EXPECT_LE(Count(loop, "ld1r"), 1) << shown;
    const int loads = Count(loop, "\tld");
    EXPECT_LE(loads, columns / 4 + rows) << shown;
    EXPECT_LE(int(loop.size()) - Count(loop, "fmla") - loads, 6) << shown;
  }
}

// Without vectors, pairs of numbers take two registers.
TEST(Gemm, HotLoopOfRiscvStaysInRegisters) {
  const int rows = 6, columns = 4;
  const std::string text =
      KernelAssembly(std::vector{MicroKernel(rows, columns, 256, 2)}, Target::Parse("riscv64-linux-gnu"));
  const std::vector<std::string> loop = HotLoop(text);
  ASSERT_FALSE(loop.empty()) << text;
  const std::string shown = testing::PrintToString(loop);
  EXPECT_EQ(Count(loop, "(sp)"), 0) << shown;
  EXPECT_EQ(Count(loop, "fmadd.s"), rows * columns) << shown;
  EXPECT_EQ(Count(loop, "flw"), rows + columns) << shown;
}

TEST(Gemm, MicroKernelComputesTheProduct) {
  const int rows = 8, columns = 48, depth = 37;
  Compiled kernel(MicroKernel(rows, columns, depth, 16));
  alignas(64) float a[rows * depth], b[columns * depth], c[rows * columns];
  for (int i = 0; i < rows * depth; ++i) a[i] = float(i * 7 % 11 - 5);
  for (int i = 0; i < columns * depth; ++i) b[i] = float(i * 5 % 13 - 6);
  kernel({a, b, c});
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      float want = 0;
      for (int k = 0; k < depth; ++k) want += a[k * rows + i] * b[k * columns + j];
      ASSERT_EQ(c[i * columns + j], want) << i << "," << j;
    }
  }
}

}  // namespace
}  // namespace tilewright
