// SPDX-License-Identifier: Apache-2.0
// Quasi-affine maps: index expressions that are splits and fusions of loop iterators, as schedules make them.
// vi = i0*8 + i1; vj = f // 7 and vk = f % 7; vh = (o*64 + l) // 56 where o*64 + l runs over a fused space.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "tilewright/arith/interval_set.h"

namespace tilewright {

/// ((source // lower) % extent) * scale
struct IterSplit {
  int source;  ///< index into IterMap::sources
  Expr lower;  ///< 1 for the innermost piece
  Expr extent;
  Expr scale;
};

/// base + the sum of the splits, outermost (largest scale) first.
struct IterSum {
  std::vector<IterSplit> splits;
  Expr base;
};

/// What the pieces of an index are cut from: an iterator, or a fusion of several. Takes [0, extent).
struct IterSource {
  Var var = nullptr;  ///< the iterator, or null for a fusion
  Expr min;           ///< of the iterator's range: the source's value is var - min; of a fusion: 0
  IterSum fused;      ///< of a fusion: what is fused, with base 0
  Expr extent;
};

struct IterMap {
  std::vector<IterSource> sources;  ///< a fusion stands after what it fuses
  std::vector<IterSum> indices;     ///< one per index expression
  /// Per index the number of values it takes, from its base on; null where it takes them with gaps.
  std::vector<Expr> extents;
};

/// What a map must satisfy. In every level the indices are quasi-affine, and no piece of an iterator is used
/// twice.
enum class IterMapLevel {
  kIndependent,  ///< no more than that; iterators may be unused
  kSurjective,   ///< and every combination of [base, base + extent) is taken; iterators may be unused
  kInjective,    ///< and no combination is taken twice: iterators of more than one value are used entirely
  kBijective,    ///< both
};

/// The map of `indices` over iterators with `ranges`, where only iterations that satisfy `predicate` (null:
/// all) are run. Bounds of the predicate on iterators and on fused sums (i0*8 + i1 < 60) are taken into
/// account; other conditions rule out kSurjective and kBijective. No value where the indices are not
/// quasi-affine or the level does not hold.
std::optional<IterMap> DetectIterMap(std::span<const Expr> indices, const VarRanges& ranges,
                                     const Expr& predicate, IterMapLevel level, Analyzer& analyzer);

/// The iterators as expressions of the values of the indices, for a map detected as kInjective or
/// kBijective. `values` has one expression per index.
VarMap InverseAffineMap(const IterMap& map, std::span<const Expr> values, Analyzer& analyzer);

}  // namespace tilewright
