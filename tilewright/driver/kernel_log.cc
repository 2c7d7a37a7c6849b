// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/kernel_log.h"

namespace tilewright {

void KernelLog::Unit(size_t unit, const std::function<void()>& work) {
  try {
    work();
  } catch (...) {
    std::lock_guard lock(mutex_);
    if (!failure_ || unit < failure_->unit) failure_ = {unit, current_[unit].pass, current_[unit].input};
    throw;
  }
}

void KernelLog::Before(size_t unit, std::string_view pass, Function input) {
  current_[unit] = {std::string(pass), std::move(input), std::chrono::steady_clock::now()};
}

void KernelLog::After(size_t unit, std::string_view pass, const PrimFunc& result) {
  const auto now = std::chrono::steady_clock::now();
  const double milliseconds = std::chrono::duration<double, std::milli>(now - current_[unit].since).count();
  const std::string name(pass);
  const bool kept = options_.keeps && options_.keeps(name);
  {
    std::lock_guard lock(mutex_);
    // Every unit goes through the passes in the same order, so that they first come in that order.
    auto it = std::find_if(passes_.begin(), passes_.end(), [&](const Pass& p) { return p.name == name; });
    if (it == passes_.end()) it = passes_.insert(passes_.end(), Pass{name, 0, {}});
    it->milliseconds += milliseconds;
    if (kept) it->results[unit].push_back(result);
  }
  if (options_.verify) options_.verify(name, result);
  current_[unit].since = std::chrono::steady_clock::now();
}

LowerOptions KernelLog::Reporting(size_t unit, LowerOptions range) {
  range.before = [this, unit](std::string_view pass, const PrimFunc& f) { Before(unit, pass, f); };
  range.after = [this, unit](std::string_view pass, const PrimFunc& f) { After(unit, pass, f); };
  return range;
}

std::vector<KernelLog::Pass> KernelLog::TakePasses() { return std::exchange(passes_, {}); }

}  // namespace tilewright
