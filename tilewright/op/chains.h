// SPDX-License-Identifier: Apache-2.0
// How long sums of products are cut. The rounding error of one chain of additions grows with its length, that
// of a sum of chains with the length of one and the number of them (Higham, "The accuracy of floating point
// summation", SIAM J. Sci. Comput. 14(4), 1993, section 3). So deep products are sums of runs: a stage named
// "runs" whose first axis counts them, annotated "runs" for schedule rules, and a stage that adds them up.
#pragma once

#include <cstdint>

namespace tilewright {

/// The length of a run when `n` elements of `products` products each are summed: a divisor of n that is a
/// multiple of `step` (which divides n) and makes a run of about 512 products at most; n itself when that is
/// no gain.
int64_t RunLength(int64_t n, int64_t products, int64_t step);

}  // namespace tilewright
