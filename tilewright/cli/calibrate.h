// SPDX-License-Identifier: Apache-2.0
// What the analytical rules need to know of this machine, measured.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tilewright/target/target.h"

namespace tilewright {

/// The multiply-add rate of one level of vector instructions, in GFLOP/s.
struct LevelPeak {
  std::string name;         ///< of a target: "x86-64-v3"; "host" with all that the processor has
  double one = 0, all = 0;  ///< of one thread; of all together
};

/// How fast memory of a level is read, in GB/s.
struct ReadRate {
  std::string name;         ///< "L1", ..., "memory"
  int level = 0;            ///< of the cache; 0: memory
  int64_t bytes = 0;        ///< that each thread reads, again and again
  double one = 0, all = 0;  ///< of one thread; of all together
};

struct Calibration {
  int threads = 1;
  double clock_ghz = 0;  ///< of one thread that does integer work
  std::vector<LevelPeak> peaks;
  std::vector<ReadRate> reads;
  double launch_ns = 0;  ///< of a kernel that does nothing, on all threads
  double fma_latency = 0, fma_per_cycle = 0;
  Target target;  ///< the host, with what follows from these
};

/// Measures, some seconds long; `progress` is told what and how much of all is done, from 0 to 1.
Calibration Calibrate(int threads, const std::function<void(const std::string&, double)>& progress);

}  // namespace tilewright
