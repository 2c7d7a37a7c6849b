// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tilewright {

/// The f32 multiply-add rate of this machine now, in GFLOP/s on `threads` threads: the best of several short
/// runs of a kernel that does nothing else, made by our own code generator.
double MeasurePeakGflops(int threads);

}  // namespace tilewright
