// SPDX-License-Identifier: Apache-2.0
// Convolution of 3 x 3 by Winograd's minimal filtering, F(m x m, 3 x 3): Lavin and Gray, "Fast algorithms for
// convolutional neural networks", 2015 (arXiv:1509.09308). Tiles of the input and the filters are evaluated
// at m + 2 points along both axes, multiplied point by point, and interpolated to tiles of m x m results.
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
  double error_per_root;
};
/// All of them, the most exact first.
std::span<const ConvAccuracy> ConvAccuracies();
/// The stated error of F(tile x tile, 3 x 3) over so many channels.
double WinogradError(int64_t tile, int64_t channels);

// One-dimensional transforms, in the type of their arguments; coefficients that are zero leave no trace, and
// what the points x and -x share is one node.

/// A filter of 3 taps at the tile + 2 points.
std::vector<Expr> WinogradFilter(int64_t tile, const std::vector<Expr>& taps);
/// tile + 2 inputs at the points.
std::vector<Expr> WinogradInput(int64_t tile, const std::vector<Expr>& inputs);
/// The tile results of products at the points.
std::vector<Expr> WinogradOutput(int64_t tile, const std::vector<Expr>& products);

/// The candidates of a convolution with this window and these arguments, in these layouts, that are worth a
/// thought: 3 x 3 filters of one group, moved by 1, constant, of known shapes. What is faster, their costs
/// tell.
struct WinogradSite {
  const TensorType& x;
  const TensorType& weight;
  std::vector<int64_t> pads;
  std::vector<Expr> result;  ///< shape
  int64_t in_block, out_block;
};
std::vector<Candidate> WinogradCandidates(const WinogradSite& site, const ChoiceContext& choice);

}  // namespace tilewright
