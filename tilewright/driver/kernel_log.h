// SPDX-License-Identifier: Apache-2.0
// What happens to kernels in the passes that run over each of them, on several threads at once.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tilewright/tir/lower/lower.h"

namespace tilewright {

class KernelLog {
 public:
  struct Options {
    /// Whether what a pass made is kept; empty: nothing is.
    std::function<bool(const std::string& pass)> keeps;
    /// Throws when what a pass made is malformed; empty: not looked at.
    std::function<void(const std::string& pass, const PrimFunc&)> verify;
  };
  /// One pass over all kernels.
  struct Pass {
    std::string name;
    double milliseconds = 0;                          ///< of all kernels together
    std::map<size_t, std::vector<PrimFunc>> results;  ///< by the kernel's unit
  };
  /// A pass that threw, and what it was given.
  struct Failure {
    size_t unit;
    std::string pass;
    Function input;
  };

  KernelLog(size_t units, Options options) : options_(std::move(options)), current_(units) {}

  /// Runs `work` on one unit; what it throws becomes the failure, unless a unit before it failed too.
  void Unit(size_t unit, const std::function<void()>& work);
  /// To be called within Unit: a pass begins on this function, and has made that one (or several).
  void Before(size_t unit, std::string_view pass, Function input);
  void After(size_t unit, std::string_view pass, const PrimFunc& result);
  /// Options with which LowerPrimFunc reports here.
  LowerOptions Reporting(size_t unit, LowerOptions range);

  /// In the order in which they run.
  std::vector<Pass> TakePasses();
  const std::optional<Failure>& failure() const { return failure_; }

 private:
  struct Current {
    std::string pass;
    Function input;
    std::chrono::steady_clock::time_point since;
  };

  Options options_;
  std::vector<Current> current_;
  std::mutex mutex_;
  std::vector<Pass> passes_;
  std::optional<Failure> failure_;
};

}  // namespace tilewright
