// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/target/target.h"

namespace tilewright {

/// The f32 multiply-add rate of this machine now, in GFLOP/s on `threads` threads, with the instructions of
/// `target`: a target without fused ones multiplies and adds. The best of several short runs of a kernel that
/// does nothing else, made by our own code generator.
double MeasurePeakGflops(int threads, const Target& target);

}  // namespace tilewright
