// SPDX-License-Identifier: Apache-2.0
// What graph passes share: one walk over a function that maps values, and counts of uses.
#pragma once

#include <functional>
#include <optional>
#include <unordered_map>

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Rebuilds a function binding by binding. `f` gets each binding with its arguments mapped already, and the
/// builder to which it may append; it returns the values that replace the binding's results, or nothing to
/// keep the binding. Returns the same function when every binding was kept.
GraphFunction RewriteBindings(
    const GraphFunction& function,
    const std::function<std::optional<std::vector<Value>>(const Binding&, GraphBuilder&)>& f);

/// How often each value is used: as an argument (nested blocks included) or as a result of the block.
std::unordered_map<const ValueNode*, int> CountUses(const GraphBlock& block);

/// The binding that defines each result of the block.
std::unordered_map<const ValueNode*, const Binding*> Definitions(const GraphBlock& block);

/// The values that a block uses and does not bind, each once, in the order of their first use.
std::vector<Value> FreeValues(const GraphBlock& block);

/// The constant that a value is bound to in `definitions`, or null.
const NDArray* ConstantOf(const Value& v,
                          const std::unordered_map<const ValueNode*, const Binding*>& definitions);

/// Applies `pass` to the function @main of a module.
IRModule OnMain(const IRModule& module, const std::function<GraphFunction(const GraphFunction&)>& pass);

/// The same for @main and then for every block of its Ifs and Loops, the outer before the inner. A block is
/// given as a function: its parameters are the block's own and what the block takes from outside, but for
/// constants, which are bound in it so that the pass sees them.
IRModule OnMainAndBlocks(const IRModule& module,
                         const std::function<GraphFunction(const GraphFunction&)>& pass);

/// The operation with `f` applied to its blocks; the same node when nothing changed.
Operation MapBlocks(const Operation& o, const std::function<GraphBlock(const GraphBlock&)>& f);

}  // namespace tilewright
