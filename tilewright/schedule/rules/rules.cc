// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/rules/rules.h"

#include <algorithm>

#include "tilewright/schedule/rewriter.h"
#include "tilewright/schedule/rules/cpu.h"

namespace tilewright {

namespace {

std::string RuleOf(const BlockNode& block) {
  auto it = block.annotations.find("rule");
  if (it == block.annotations.end()) return {};
  auto* name = std::get_if<std::string>(&it->second);
  return name ? *name : std::string();
}

/// Element-wise and injective: every variable spatial, one store.
bool IsInjective(const BlockNode& block) {
  for (const IterVar& iv : block.iter_vars) {
    if (iv.kind != IterKind::kSpatial) return false;
  }
  return block.body.As<StoreNode>() && !block.iter_vars.empty();
}

/// Whether a loop around the block has been given a kind already, by the rule of another block.
bool IsScheduled(Schedule& s, const BlockRef& block) {
  for (const LoopRef& l : s.GetLoops(block)) {
    if (s.Get(l).for_kind != ForKind::kSerial) return true;
  }
  return false;
}

/// How many blocks write a buffer.
int WritersOf(const Schedule& s, const Buffer& buffer) {
  int writers = 0;
  for (const BlockRef& block : s.Blocks()) {
    for (const BufferRegion& w : s.Get(block).writes) writers += w.buffer == buffer;
  }
  return writers;
}

/// Whether to compute `producer` anew for every element of a consumer that has more of them costs more than
/// to keep its values.
bool WorthKeeping(const BlockNode& producer, const BlockNode& consumer) {
  size_t own = 0, of_consumer = 0;  // axes longer than 1
  for (const IterVar& iv : producer.iter_vars) own += !IsInt(iv.dom.extent, 1);
  for (const IterVar& iv : consumer.iter_vars) of_consumer += !IsInt(iv.dom.extent, 1);
  if (own >= of_consumer) return false;
  bool costly = false;
  PreOrderExprs(producer.body, [&](const Expr& e) {
    auto* binary = e.As<BinaryNode>();
    costly |= e.kind() == ExprKind::kCall || (binary && binary->op == BinaryOp::kDiv);
  });
  return costly;
}

/// Whether the block converts elements of one buffer to another type.
bool IsConversion(const BlockNode& block) {
  auto* store = block.body.As<StoreNode>();
  auto* cast = store ? store->value.As<CastNode>() : nullptr;
  return cast && cast->value.kind() == ExprKind::kLoad;
}

/// Puts conversions of parameters into the element-wise work that reads them, before rules give that to
/// products as their tails.
void InlineConversions(Schedule& s) {
  for (const BlockRef& block : s.Blocks()) {
    if (!IsInjective(s.Get(block)) || !IsConversion(s.Get(block))) continue;
    if (!s.Producers(block).empty()) continue;
    const std::vector<BlockRef> consumers = s.Consumers(block);
    if (consumers.size() != 1 || !IsInjective(s.Get(consumers.front()))) continue;
    if (cpu::ParameterIndex(s, s.Get(block).writes.front().buffer) >= 0) continue;
    s.ComputeInline(block);
  }
}

/// Whether a reduction reads each element of what the block makes once, for itself: its axes that are longer
/// than 1 are no more than the block's.
bool ReadsOnce(const BlockNode& producer, const BlockNode& reduction) {
  if (!IsReduction(reduction) || !RuleOf(reduction).empty()) return false;
  size_t own = 0, of_consumer = 0;
  for (const IterVar& iv : producer.iter_vars) own += !IsInt(iv.dom.extent, 1);
  for (const IterVar& iv : reduction.iter_vars) {
    if (iv.kind == IterKind::kOpaque) return false;
    of_consumer += !IsInt(iv.dom.extent, 1);
  }
  int loads = 0;
  const Buffer& made = producer.writes.front().buffer;
  PreOrderExprs(reduction.body, [&](const Expr& e) {
    auto* load = e.As<LoadNode>();
    loads += load && load->buffer == made;
  });
  return loads == 1 && of_consumer <= own;
}

/// Puts cheap producers into their consumers: blocks that write an intermediate, read by injective work only
/// once, or by anything when they only rearrange; or by a reduction that reads each element once.
void InlineProducers(Schedule& s) {
  // Consumers first: two that meet become one.
  std::vector<BlockRef> blocks = s.Blocks();
  std::reverse(blocks.begin(), blocks.end());
  for (const BlockRef& block : blocks) {
    if (!IsInjective(s.Get(block)) || IsScheduled(s, block)) continue;
    const std::vector<BlockRef> consumers = s.Consumers(block);
    if (consumers.size() != 1) continue;
    const BlockNode& consumer = s.Get(consumers.front());
    if (!IsInjective(consumer) && !ReadsOnce(s.Get(block), consumer)) continue;
    if (WorthKeeping(s.Get(block), consumer)) continue;
    // What another block goes on to write is more than this block's value.
    if (WritersOf(s, s.Get(block).writes.front().buffer) > 1) continue;
    if (IsScheduled(s, consumers.front())) continue;
    if (cpu::ParameterIndex(s, s.Get(block).writes.front().buffer) >= 0) continue;
    s.ComputeInline(block);
  }
}

}  // namespace

void ApplyRules(Schedule& s, const RuleContext& context) {
  for (const BlockRef& block : s.Blocks()) {
    if (RuleOf(s.Get(block)) == "border") cpu::ScheduleBorder(s, block);
  }
  InlineConversions(s);
  for (const BlockRef& block : s.Blocks()) {
    if (!s.Exists(block)) continue;
    const std::string rule = RuleOf(s.Get(block));
    auto take = [&](bool (*schedule)(Schedule&, const BlockRef&, const RuleContext&), const char* needs) {
      const bool taken = schedule(s, block, context);
      cpu::ExplainRule(context, block, rule, taken ? "" : needs);
    };
    if (rule == "matmul") take(cpu::ScheduleMatMul, "it tiles products with more than one column");
    if (rule == "conv" && cpu::ScheduleConvOnUnit(s, block, context)) {
      cpu::ExplainRule(context, block, "conv on the matrix unit");
      continue;
    }
    if (rule == "conv" || rule == "pool")
      take(cpu::ScheduleConv, "it needs blocks of channels and a line of known extent");
    if (rule == "pool_line") {
      cpu::SchedulePoolLine(s, block, context);
      cpu::ExplainRule(context, block, rule);
    }
    if (rule == "winograd") take(cpu::ScheduleWinograd, "it needs blocks of channels");
  }
  for (const BlockRef& block : s.Blocks()) {
    if (RuleOf(s.Get(block)) == "winograd_filters") cpu::ScheduleWinogradFilters(s, block, context);
  }
  InlineProducers(s);
  const std::vector<BlockRef> rest = s.Blocks();
  const bool all_left =
      std::none_of(rest.begin(), rest.end(), [&](const BlockRef& b) { return IsScheduled(s, b); });
  if (all_left) {
    const bool columns = cpu::ScheduleColumns(s, context);
    if (columns || cpu::ScheduleRows(s, context))
      return cpu::ExplainRule(context, rest.back(), columns ? "columns" : "rows");
  }
  for (const BlockRef& block : s.Blocks()) {
    // The rule of another block may have taken this one in.
    if (!s.Exists(block) || IsScheduled(s, block)) continue;
    const BlockNode& node = s.Get(block);
    if (IsReduction(node) || IsInjective(node))
      cpu::ExplainRule(context, block, IsReduction(node) ? "reduction" : "injective");
    if (IsReduction(node)) {
      cpu::ScheduleReduction(s, block, context);
    } else if (IsInjective(node)) {
      cpu::ScheduleInjective(s, block, context);
    }
  }
}

}  // namespace tilewright
