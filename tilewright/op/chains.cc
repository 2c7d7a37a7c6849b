// SPDX-License-Identifier: Apache-2.0
#include "tilewright/op/chains.h"

namespace tilewright {

namespace {

/// Long enough that adding up the runs costs little, short enough for f32 errors near those of the best
/// peers.
constexpr int64_t kLongestRun = 512;

}  // namespace

int64_t RunLength(int64_t n, int64_t products, int64_t step) {
  if (n < 1 || products < 1 || n * products < 2 * kLongestRun) return n;
  for (int64_t run = n / step; run > 0; --run) {
    const int64_t length = run * step * products;
    if (n % (run * step) || (length > kLongestRun && run > 1)) continue;
    // Divisors far below the limit would make more additions than products.
    return length * 8 >= kLongestRun ? run * step : n;
  }
  return n;
}

}  // namespace tilewright
