// SPDX-License-Identifier: Apache-2.0
#include "tilewright/cli/calibrate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tilewright/cli/probe.h"
#include "tilewright/target/known.h"

namespace tilewright {

namespace {

/// Rounds over all measurements: what else runs on the machine disturbs some of them.
constexpr int kRounds = 3;
/// How long one measurement takes in a round.
constexpr double kMilliseconds = 60;
/// What a launch that reads a cache reads in all.
constexpr int64_t kReadBytes = int64_t(4) << 20;
/// Bounds of what is read where memory is measured: beyond all caches, and what small machines have.
constexpr int64_t kLeastMemory = int64_t(128) << 20, kMostMemory = int64_t(512) << 20;

/// A kernel whose best time is looked for.
struct Measurement {
  std::string name;
  std::function<double()> once;  ///< nanoseconds
  double best = std::numeric_limits<double>::max();
};

class Calibrator {
 public:
  explicit Calibrator(int threads) : host_(Target::Host()) {
    result_.threads = threads;
    result_.target = host_;
  }

  Calibration Run(const std::function<void(const std::string&, double)>& progress) {
    Plan();
    for (int round = 0; round < kRounds; ++round) {
      for (size_t i = 0; i < work_.size(); ++i) {
        progress(work_[i].name, double(size_t(round) * work_.size() + i) / double(kRounds * work_.size()));
        work_[i].best = std::min(work_[i].best, work_[i].once());
      }
    }
    for (const auto& conclude : conclusions_) conclude();
    Conclude();
    return result_;
  }

 private:
  static constexpr int64_t kCycles = 200000, kSteps = 20000;
  static constexpr int kChains = 12;  // as MeasurePeakGflops

  size_t Add(std::string name, const PrimFunc& kernel, const Target& target, int threads) {
    auto probe = std::make_shared<Probe>(kernel, target);
    work_.push_back({std::move(name), [=] { return probe->Best(threads, kMilliseconds); }});
    return work_.size() - 1;
  }
  double Best(size_t i) const { return work_[i].best; }

  void Plan() {
    clock_ = Add("clock", ClockKernel(kCycles), host_, 1);
    latency_ = Add("latency of a multiply-add", MultiplyAddKernel(host_, 1, 1, kSteps), host_, 1);
    for (const std::string& name : KnownTargetNames()) {
      Target level;
      if (FindKnownTarget(name, level) && level.triple == host_.triple && IncludesFeatures(host_, level))
        PlanPeak(level);
    }
    PlanPeak(host_);
    for (size_t i = 0; i < host_.caches.size(); ++i) PlanCache(i);
    PlanMemory();
    const int threads = result_.threads;
    work_.push_back({"launch", [=] { return MeasureLaunchNs(threads); }});
    launch_ = work_.size() - 1;
  }

  void PlanPeak(const Target& level) {
    const int threads = result_.threads;
    const double flops = 2.0 * kSteps * kChains * level.VectorLanes(4);
    const size_t one =
        Add("multiply-adds of " + level.name, MultiplyAddKernel(level, 1, kChains, kSteps), level, 1);
    const size_t all = Add("multiply-adds of " + level.name + " on all threads",
                           MultiplyAddKernel(level, threads, kChains, kSteps), level, threads);
    conclusions_.push_back([=, this, name = level.name] {
      result_.peaks.push_back({name, flops / Best(one), flops * threads / Best(all)});
    });
  }

  /// `level` is 0 for memory.
  void PlanRead(const std::string& name, int level, int64_t bytes) {
    const int threads = result_.threads;
    const int64_t repeats = std::max<int64_t>(1, kReadBytes / bytes);
    const size_t one = Add(name, ReadKernel(host_, 1, bytes, repeats), host_, 1);
    const size_t all =
        Add(name + " of all threads", ReadKernel(host_, threads, bytes, repeats), host_, threads);
    conclusions_.push_back([=, this] {
      const double read = double(bytes * repeats);
      result_.reads.push_back({name, level, bytes, read / Best(one), read * threads / Best(all)});
    });
  }

  /// Half of what a thread may count on of a private cache. Of one that is shared, what lies well beyond the
  /// level before, for the rest is not ours alone.
  void PlanCache(size_t i) {
    const int64_t own = host_.CacheBytes(int(i) + 1);
    int64_t bytes = own / 2;
    if (i > 0 && host_.caches[i].shared_by > 1) bytes = std::min(bytes, 4 * host_.CacheBytes(int(i)));
    if (bytes > 0) PlanRead("L" + std::to_string(i + 1), int(i) + 1, bytes);
  }

  void PlanMemory() {
    int64_t cached = 0;
    for (const CacheLevel& c : host_.caches) cached = std::max(cached, c.bytes);
    PlanRead("memory", 0, std::clamp(4 * cached, kLeastMemory, kMostMemory) / result_.threads);
  }

  void Conclude();

  const Target host_;
  Calibration result_;
  std::vector<Measurement> work_;
  std::vector<std::function<void()>> conclusions_;
  size_t clock_ = 0, latency_ = 0, launch_ = 0;
};

/// To two digits behind the point: the rest is noise.
double Rounded(double x) { return std::round(x * 100) / 100; }

void Calibrator::Conclude() {
  Target& t = result_.target;
  const int lanes = host_.VectorLanes(4);
  result_.clock_ghz = double(kCycles) / Best(clock_);
  result_.fma_latency = Best(latency_) / double(kSteps) * result_.clock_ghz;
  result_.launch_ns = Best(launch_);
  result_.fma_per_cycle = result_.peaks.back().one / (2 * lanes * result_.clock_ghz);
  t.name = "calibrated";
  t.cores = result_.threads;
  t.fma_per_cycle = std::max(1, int(std::lround(result_.fma_per_cycle)));
  t.fma_latency = std::max(1, int(std::lround(result_.fma_latency)));
  const double ghz = result_.peaks.back().all / (2 * lanes * t.fma_per_cycle * t.cores);
  t.clock_mhz = std::max(1, int(std::lround(ghz * 1000)));
  t.launch_cycles = std::max(1, int(std::lround(result_.launch_ns * ghz)));
  auto line_cycles = [&](const ReadRate& rate, int line) {
    return Rounded(line / (rate.all / t.cores) * ghz);
  };
  for (const ReadRate& rate : result_.reads) {
    if (rate.level > 0) {
      CacheLevel& cache = t.caches[size_t(rate.level - 1)];
      cache.line_cycles = line_cycles(rate, cache.line_bytes);
    } else {
      t.memory_line_cycles = line_cycles(rate, t.caches.back().line_bytes);
    }
  }
}

}  // namespace

Calibration Calibrate(int threads, const std::function<void(const std::string&, double)>& progress) {
  return Calibrator(threads).Run(progress);
}

}  // namespace tilewright
