// SPDX-License-Identifier: Apache-2.0
// Which elements blocks touch: boxes over the loops around, with the loops inside relaxed to their ranges.
#pragma once

#include <optional>
#include <vector>

#include "tilewright/schedule/bounds.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

/// A closed interval [lo, hi] of index values.
struct SymbolicInterval {
  Expr lo, hi;
};

/// Evaluates expressions over variables that range over intervals, giving bounds in the other variables.
class Relaxation {
 public:
  explicit Relaxation(const Bounds& bounds) : bounds_(bounds) {}
  /// The loop's variable ranges over all its iterations; loops outermost first.
  void Add(const ForNode& loop) { Add(loop.var, {loop.min, loop.extent}); }
  void Add(const Var& var, const Range& range);
  /// An interval that holds all values; none when no bound can be given.
  std::optional<SymbolicInterval> Eval(const Expr& e) const;
  bool Touches(const Expr& e) const;

 private:
  std::optional<SymbolicInterval> EvalBinary(const BinaryNode& n) const;

  const Bounds& bounds_;
  std::unordered_map<Var, SymbolicInterval> ranges_;
};

/// Per dimension an interval.
using Box = std::vector<SymbolicInterval>;

enum class Access { kRead, kWrite };

/// The hull of the elements of `buffer` that the block touches while the loops of `site` run (those of the
/// site alone: outer loops stay symbolic). Where nothing better is known a dimension is the whole of it.
Box TouchedBox(const BlockSite& site, const Buffer& buffer, Access access, const Bounds& bounds);

/// Whether the loops reach every element of the box that the block writes: its indices are sums without gaps
/// of different loops. Of blocks whose body is more than loads and stores, what they declare is taken to be
/// exact.
bool ReachesAllOfBox(const BlockSite& site, const Buffer& buffer, const Bounds& bounds);
/// Whether the condition of a block holds wherever its variables are in their domains.
bool HoldsInDomain(const BlockSite& site);

/// What the body of a block touches of its buffers, over its iteration variables: the reads and writes of a
/// block that was rewritten. A reduction's own accumulators count as writes only.
void RecomputeRegions(BlockNode& block);
/// Corrects what a block reads after the value of `inlined` has replaced its buffer in it.
void InlineRegions(BlockNode& reader, const BlockNode& inlined);

/// True only if proved that `outer` holds all of `inner` that lies in `domain`.
bool Covers(const Box& outer, const Box& inner, const Box& domain, const Bounds& bounds);
/// True only if proved.
bool Disjoint(const Box& a, const Box& b, const Bounds& bounds);
/// The smallest box that holds both.
Box Hull(const Box& a, const Box& b, const Bounds& bounds);

}  // namespace tilewright
