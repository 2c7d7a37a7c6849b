// SPDX-License-Identifier: Apache-2.0
// Transposes, box by box, against the interpreter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tilewright/schedule/rules/rules.h"
#include "tilewright/schedule/test_workloads.h"
#include "tilewright/te/te.h"
#include "tilewright/tir/lower/lower.h"

namespace tilewright {
namespace {

using testing::ContainsRegex;

/// T[i...] = A[i in another order]: axis d of A is axis order[d] of T.
PrimFunc Transposed(const std::vector<int64_t>& shape, const std::vector<size_t>& order) {
  std::vector<Expr> from, to(shape.begin(), shape.end());
  for (size_t axis : order) from.push_back(Expr(shape[axis]));
  te::Tensor a = te::Placeholder("A", kF32, from);
  te::Tensor t = te::Compute("T", to, [&](auto& i) {
    std::vector<Expr> at;
    for (size_t axis : order) at.push_back(i[axis]);
    return a(at) + MakeConst(kF32, 1);
  });
  return te::CreatePrimFunc("transposed", {a}, {t});
}

std::string Scheduled(const PrimFunc& f, const std::string& name, int64_t first_cache) {
  Target target = Target::Parse(name);
  target.caches = {{first_cache, 64, 1}, {1 << 20, 64, 1}};
  Schedule s(f);
  ApplyRules(s, {target, {false, false}});
  ExpectSameResult(f, s);
  LowerPrimFunc(s.func(), target);
  return ToString(s.func());
}

TEST(TransposeRule, LinesAndWhatIsReadAcrossThemOfAnyLength) {
  for (const char* target : {"x86-64-v4,cores=2", "x86-64-v2,cores=3", "riscv64-linux-gnu,cores=2"}) {
    for (int64_t cache : {2 << 10, 32 << 10}) {
      for (int64_t line : {2, 7, 16, 33, 64, 150}) {
        for (int64_t across : {2, 5, 32, 37, 64, 95}) {
          SCOPED_TRACE(fmt::format("{}: {} by {}, {} bytes", target, line, across, cache));
          Scheduled(Transposed({across, line}, {1, 0}), target, cache);
          Scheduled(Transposed({3, across, line}, {0, 2, 1}), target, cache);
        }
      }
    }
  }
}

TEST(TransposeRule, OtherLoopsBetween) {
  Scheduled(Transposed({5, 9, 3, 40}, {2, 1, 3, 0}), "x86-64-v4,cores=2", 32 << 10);
  Scheduled(Transposed({33, 4, 40}, {1, 2, 0}), "x86-64-v4,cores=2", 32 << 10);
  Scheduled(Transposed({6, 4, 40}, {2, 0, 1}), "x86-64-v4,cores=2", 32 << 10);
}

TEST(TransposeRule, WhatIsReadIsReadOnce) {
  // Outside of what lies side by side in the argument, five fours and the rest, there are the boxes of the
  // line.
  EXPECT_THAT(Scheduled(Transposed({22, 6000}, {1, 0}), "x86-64-v4,cores=2", 32 << 10),
              ContainsRegex("in 0\\.\\.[0-9]+ parallel \\{\n *for [a-z0-9_]+ in 0\\.\\.5 \\{\n"));
  EXPECT_THAT(Scheduled(Transposed({64, 22, 600}, {0, 2, 1}), "x86-64-v4,cores=2", 32 << 10),
              ContainsRegex("in 0\\.\\.64 parallel \\{\n *for [a-z0-9_]+ in 0\\.\\.[0-9]+ \\{\n *for "
                            "[a-z0-9_]+ in 0\\.\\.5 \\{\n"));
  // Where elements along the line are near to each other, vectors of memory hold several.
  EXPECT_THAT(Scheduled(Transposed({7, 6000}, {1, 0}), "x86-64-v4,cores=2", 32 << 10),
              ContainsRegex("in 0\\.\\.[0-9]+ parallel \\{\n *for [a-z0-9_]+ in 0\\.\\.7 \\{\n"));
}

}  // namespace
}  // namespace tilewright
