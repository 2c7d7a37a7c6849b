// SPDX-License-Identifier: Apache-2.0
// Symbolic bounds: what an index covers while some of its variables run over ranges. From these follow the
// regions of buffers that a loop nest touches.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "tilewright/arith/analyzer.h"

namespace tilewright {

using VarRanges = std::map<Var, Range, RefLess>;

/// The closed interval [min, max] of index values; a null end is unbounded.
struct IndexInterval {
  Expr min = nullptr;
  Expr max = nullptr;

  bool bounded() const { return min.get() != nullptr && max.get() != nullptr; }
};

/// An interval, free of the variables in `ranges`, that contains every value of the index expression `e`
/// while they run over their ranges. The range of a variable may mention variables outside `ranges` alone.
/// Exact for indices affine in the variables, with divisions that split them exactly.
IndexInterval EvalRange(const Expr& e, const VarRanges& ranges, Analyzer& analyzer);

/// EvalRange of several indices, as one region: dimension by dimension.
std::vector<IndexInterval> EvalRegion(std::span<const Expr> indices, const VarRanges& ranges,
                                      Analyzer& analyzer);

/// The smallest interval that contains both, where that can be told, else one given by min and max.
IndexInterval Union(const IndexInterval& a, const IndexInterval& b, Analyzer& analyzer);
/// A range [min, min + extent) with a simplified extent; no value for an unbounded interval.
std::optional<Range> ToRange(const IndexInterval& interval, Analyzer& analyzer);
/// The interval of a range: [min, min + extent - 1].
IndexInterval FromRange(const Range& range, Analyzer& analyzer);
/// `outer` contains `inner`, provably.
bool CanProveContains(const IndexInterval& outer, const IndexInterval& inner, Analyzer& analyzer);

}  // namespace tilewright
