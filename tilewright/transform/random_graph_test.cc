// SPDX-License-Identifier: Apache-2.0
// Random graphs through all passes in the pipeline's order: each leaves a module that is well formed and
// computes the same.
#include <gtest/gtest.h>

#include "tilewright/target/target.h"
#include "tilewright/transform/choose_layout.h"
#include "tilewright/transform/eliminate_common.h"
#include "tilewright/transform/eliminate_dead_code.h"
#include "tilewright/transform/flatten_rows.h"
#include "tilewright/transform/fold_batch_norm.h"
#include "tilewright/transform/fold_constants.h"
#include "tilewright/transform/fuse_ops.h"
#include "tilewright/transform/merge_views.h"
#include "tilewright/transform/order_pooling.h"
#include "tilewright/transform/pad_filters.h"
#include "tilewright/transform/pad_groups.h"
#include "tilewright/transform/pointwise_products.h"
#include "tilewright/transform/separate_borders.h"
#include "tilewright/transform/split_reductions.h"
#include "tilewright/transform/test_modules.h"
#include "tilewright/transform/transposed_convolutions.h"

namespace tilewright {
namespace {

/// Images [1, C, 4, 4] with few kinds of C, so that values often fit each other.
class RandomGraph {
 public:
  explicit RandomGraph(uint64_t seed) : random_(seed) {}

  IRModule Make(int operators) {
    for (int64_t channels : {4, 16}) values_.push_back(m_.Input({1, channels, 4, 4}));
    values_.push_back(m_.RandomConstant({1, 4, 4, 4}, random_()));
    for (int i = 0; i < operators; ++i) values_.push_back(Next());
    std::vector<Value> results;
    for (int i = 0; i < 3; ++i) results.push_back(Pick());
    results.push_back(values_.back());
    return m_.Finish(results);
  }

 private:
  int64_t Draw(int64_t n) { return int64_t(random_() % uint64_t(n)); }
  Value Pick() {
    const int64_t recent = std::min<int64_t>(4, int64_t(values_.size()));
    return Draw(2) ? values_[values_.size() - 1 - size_t(Draw(recent))]
                   : values_[size_t(Draw(int64_t(values_.size())))];
  }
  static int64_t ChannelsOf(const Value& v) { return *AsInt(v.tensor().shape[1]); }

  Value Next() {
    Value x = Pick();
    const int64_t c = ChannelsOf(x);
    switch (Draw(12)) {
      case 0:
        return m_.Call("Relu", {x});
      case 1:
        return m_.Call("Sigmoid", {x});
      case 2:
        return m_.Call(Draw(2) ? "Add" : "Mul", {x, Partner(x)});
      case 3:
        return m_.Call("Maximum", {x, m_.RandomConstant({c, 1, 1}, random_())});
      case 4: {
        const int64_t filters = Draw(2) ? 16 : 4, groups = Draw(3) == 0 ? 2 : 1;
        return m_.Conv(x, m_.RandomConstant({filters, c / groups, 3, 3}, random_()), nullptr, groups);
      }
      case 5: {
        std::vector<Value> args = {x};
        for (int k = 0; k < 4; ++k) args.push_back(m_.RandomConstant({c}, random_()));
        return m_.Call("BatchNormalization", args, {{"epsilon", 0.01}});
      }
      case 6: {
        const std::vector<int64_t> threes = {3, 3}, ones = {1, 1};
        return m_.Call("MaxPool", {x},
                       {{"kernel", threes},
                        {"strides", ones},
                        {"dilations", ones},
                        {"pads", std::vector<int64_t>(4, 1)}});
      }
      case 7:
        return m_.Call("Softmax", {x}, {{"axis", Draw(4)}});
      case 8:
        return m_.Call("Transpose", {x}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
      case 9: {
        Value mean = m_.Call("ReduceMean", {x}, {{"axes", std::vector<int64_t>{2, 3}}, {"keepdims", true}});
        return m_.Call("Sub", {x, mean});
      }
      case 10: {
        // There and maybe back.
        Value flat = m_.Call("Reshape", {x}, {{"shape", std::vector<Expr>{1, Expr(c), 16, 1}}});
        if (Draw(2)) flat = m_.Call("Neg", {flat});
        return m_.Call("Reshape", {flat}, {{"shape", x.tensor().shape}});
      }
      default: {
        if (c + ChannelsOf(values_[0]) > 20) return m_.Call("Neg", {x});
        return m_.Call("Concat", {x, values_[0]}, {{"axis", int64_t(1)}});
      }
    }
  }
  /// Another value of the same shape, or the value itself.
  Value Partner(const Value& x) {
    for (int i = 0; i < 4; ++i) {
      Value y = Pick();
      if (SameShape(y.tensor().shape, x.tensor().shape)) return y;
    }
    return x;
  }

  std::mt19937_64 random_;
  TestModule m_;
  std::vector<Value> values_;
};

class RandomGraphs : public testing::TestWithParam<uint64_t> {};

TEST_P(RandomGraphs, EveryPassKeepsTheResult) {
  const IRModule original = RandomGraph(GetParam()).Make(12);
  const ConstantEvaluator evaluate = [](const GraphFunction& f) { return Interpret(f, {}); };
  const Target target = Target::Parse("x86-64-v4");
  const std::vector<std::pair<std::string, TestPass>> passes = {
      {"EliminateDeadCode", EliminateDeadCode},
      {"FoldBatchNorm", FoldBatchNorm},
      {"OrderPooling", OrderPooling},
      {"SplitReductions", SplitReductions},
      {"FoldConstants", [&](const IRModule& m) { return FoldConstants(m, evaluate); }},
      {"FlattenRows", FlattenRows},
      {"MergeViews", MergeViews},
      {"EliminateCommonSubexpressions", EliminateCommonSubexpressions},
      {"EliminateDeadCode", EliminateDeadCode},
      {"PointwiseProducts", [&](const IRModule& m) { return PointwiseProducts(m, target); }},
      {"TransposedConvolutions", [&](const IRModule& m) { return TransposedConvolutions(m, target); }},
      {"PadGroups", [&](const IRModule& m) { return PadGroups(m, target); }},
      {"PadFilters", [&](const IRModule& m) { return PadFilters(m, target); }},
      {"ChooseLayout", [&](const IRModule& m) { return ChooseLayout(m, target); }},
      {"SeparateBorders", SeparateBorders},
      {"FuseOps", FuseOps},
  };
  IRModule module = original;
  for (auto& [name, pass] : passes) {
    SCOPED_TRACE(name);
    module = pass(module);
    ExpectEquivalent(original, module, 1e-4);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomGraphs, testing::Range<uint64_t>(0, 30));

}  // namespace
}  // namespace tilewright
