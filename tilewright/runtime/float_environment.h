// SPDX-License-Identifier: Apache-2.0
// The floating-point modes that kernels are compiled for: round to nearest, denormals kept, no traps. A
// program may have changed them on its own threads, often without knowing (libraries built with -ffast-math
// do so when they are loaded), and results would then depend on which thread computes a chunk.
#pragma once

#include <cstdint>

namespace tilewright::runtime {

// Sets the modes for the calling thread and restores the old ones at the end of the scope.
class FloatEnvironment {
 public:
#if defined(__x86_64__)
  FloatEnvironment() : before_(__builtin_ia32_stmxcsr()) {
    constexpr uint32_t kModes = 0xffc0;  // MXCSR but for its exception flags
    changed_ = (before_ & kModes) != (kDefault & kModes);
    if (changed_) __builtin_ia32_ldmxcsr(kDefault);
  }
  ~FloatEnvironment() {
    if (changed_) __builtin_ia32_ldmxcsr(before_);
  }

 private:
  static constexpr uint32_t kDefault = 0x1f80;
  uint32_t before_;
  bool changed_ = false;
#elif defined(__aarch64__)
  FloatEnvironment() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    if (before_ != 0) asm volatile("msr fpcr, %0" : : "r"(uint64_t{0}));
  }
  ~FloatEnvironment() {
    if (before_ != 0) asm volatile("msr fpcr, %0" : : "r"(before_));
  }

 private:
  uint64_t before_ = 0;
#else
  FloatEnvironment() {}
#endif

 public:
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;
};

}  // namespace tilewright::runtime
