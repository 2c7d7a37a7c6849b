// SPDX-License-Identifier: Apache-2.0
// Convolution by Winograd's minimal filtering, F(m x m, r x r): Lavin and Gray, "Fast algorithms for
// convolutional neural networks", 2015 (arXiv:1509.09308). Tiles of the input and the filters are evaluated
// at m + r - 1 points along both axes, multiplied point by point, and interpolated to tiles of m x m results.
// A filter that moves by s is one that moves by 1 over s x s times as many channels, the input's phases:
// every s-th row and column of a channel, from each of the first s on.
#pragma once

#include <span>

#include "tilewright/op/common.h"

namespace tilewright {

/// How exact a way to convolve is: the largest error of an element stays below
/// `error_per_root` * sqrt(channels), relative to the root mean square of the result, for inputs and filters
/// of independent elements. Rounding errors of sums add up like a random walk.
struct ConvAccuracy {
  std::string_view algorithm;
  int64_t tile;  ///< results of a tile along an axis; 1: direct
  int64_t taps;  ///< of the filters along an axis that the tiles are for; 0: any
  double error_per_root;
};
/// All of them, the most exact first.
std::span<const ConvAccuracy> ConvAccuracies();
/// The stated error of F(tile x tile, taps x taps) over so many channels (phases count as channels).
double WinogradError(int64_t tile, int64_t taps, int64_t channels);

// One-dimensional transforms, in the type of their arguments; coefficients that are zero leave no trace, and
// what the points x and -x share is one node.

/// A filter's taps at so many points.
std::vector<Expr> WinogradFilter(int64_t points, const std::vector<Expr>& taps);
/// As many inputs as there are points, at the points.
std::vector<Expr> WinogradInput(const std::vector<Expr>& inputs);
/// The results of a tile, from products at the points.
std::vector<Expr> WinogradOutput(int64_t tile, const std::vector<Expr>& products);

/// The candidates of a convolution with this window and these arguments, in these layouts, that are worth a
/// thought: square filters of one group, constant, of known shapes. What is faster, their costs tell.
struct WinogradSite {
  const TensorType& x;
  const TensorType& weight;
  std::vector<int64_t> pads;
  int64_t stride;            ///< along both axes
  std::vector<Expr> result;  ///< shape
  bool gathers;              ///< whether x is in natural order, and vectors are gathered from it
  int64_t in_block, out_block;
};
std::vector<Candidate> WinogradCandidates(const WinogradSite& site, const ChoiceContext& choice);

}  // namespace tilewright
