// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/graph_passes.h"

#include "tilewright/driver/evaluate.h"
#include "tilewright/transform/bind_parameters.h"
#include "tilewright/transform/choose_layout.h"
#include "tilewright/transform/eliminate_common.h"
#include "tilewright/transform/eliminate_dead_code.h"
#include "tilewright/transform/flatten_rows.h"
#include "tilewright/transform/flush_tiny.h"
#include "tilewright/transform/fold_batch_norm.h"
#include "tilewright/transform/fold_constants.h"
#include "tilewright/transform/fuse_ops.h"
#include "tilewright/transform/hoist_invariants.h"
#include "tilewright/transform/merge_views.h"
#include "tilewright/transform/order_pooling.h"
#include "tilewright/transform/pad_filters.h"
#include "tilewright/transform/pad_groups.h"
#include "tilewright/transform/pointwise_products.h"
#include "tilewright/transform/reduce_precision.h"
#include "tilewright/transform/separate_borders.h"
#include "tilewright/transform/split_reductions.h"
#include "tilewright/transform/transposed_convolutions.h"

namespace tilewright {

namespace {

using Context = const GraphPassContext&;

/// A pass that asks for nothing but the module.
template <IRModule (*pass)(const IRModule&)>
IRModule Alone(const IRModule& module, Context) {
  return pass(module);
}

constexpr GraphPass kGraphPasses[] = {
    {Phase::kBind, "BindParameters",
     [](const IRModule& m, Context c) { return BindParameters(m, c.parameters); }},
    // Dead code first, so that nothing unused is evaluated; batch normalisation before constants are folded,
    // since it turns into arithmetic on weights; common subexpressions last, when equal constants can be
    // seen, and views of views are views of one value.
    {Phase::kSimplify, "EliminateDeadCode", Alone<EliminateDeadCode>},
    {Phase::kSimplify, "FoldBatchNorm", Alone<FoldBatchNorm>, true},
    {Phase::kSimplify, "OrderPooling", Alone<OrderPooling>, true},
    {Phase::kSimplify, "SplitReductions", Alone<SplitReductions>, true},
    {Phase::kSimplify, "HoistInvariants", Alone<HoistInvariants>, true},
    {Phase::kSimplify, "FoldConstants",
     [](const IRModule& m, Context c) { return FoldConstants(m, ConstantEvaluatorFor(c.options)); }, true},
    {Phase::kSimplify, "FlushTiny",
     [](const IRModule& m, Context c) { return c.options.max_error > 0 ? FlushTiny(m) : m; }, true},
    // It makes views of views.
    {Phase::kSimplify, "FlattenRows", Alone<FlattenRows>},
    {Phase::kSimplify, "MergeViews", Alone<MergeViews>},
    {Phase::kSimplify, "EliminateCommonSubexpressions", Alone<EliminateCommonSubexpressions>},
    {Phase::kSimplify, "EliminateDeadCode.2", Alone<EliminateDeadCode>},
    // Before layouts, which depend on the types of arguments.
    {Phase::kLayout, "ReducePrecision",
     [](const IRModule& m, Context c) {
       return c.options.precision == Precision::kBF16
                  ? ReducePrecision(m, c.options.target, c.options.max_error)
                  : m;
     },
     true},
    // Before layouts, and before filters are padded for them.
    {Phase::kLayout, "PointwiseProducts",
     [](const IRModule& m, Context c) { return PointwiseProducts(m, c.options.target); }, true},
    // What is left of transposed convolutions; as plain ones they get more filters and layouts.
    {Phase::kLayout, "TransposedConvolutions",
     [](const IRModule& m, Context c) { return TransposedConvolutions(m, c.options.target); }, true},
    {Phase::kLayout, "PadGroups", [](const IRModule& m, Context c) { return PadGroups(m, c.options.target); },
     true},
    // Before layouts, since channels that fill vectors have another.
    {Phase::kLayout, "PadFilters",
     [](const IRModule& m, Context c) { return PadFilters(m, c.options.target); }, true},
    // Layouts before fusion: a Relayout is an operator that fuses like any other.
    {Phase::kLayout, "ChooseLayout",
     [](const IRModule& m, Context c) {
       return ChooseLayout(m, c.options.target, c.options.max_error, c.decisions);
     },
     true},
    {Phase::kLayout, "SeparateBorders", Alone<SeparateBorders>, true},
    {Phase::kFuse, "FuseOps", Alone<FuseOps>},
};

}  // namespace

std::span<const GraphPass> GraphPasses() { return kGraphPasses; }

}  // namespace tilewright
