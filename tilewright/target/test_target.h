// SPDX-License-Identifier: Apache-2.0
// The target of tests that run generated kernels.
#pragma once

#include "tilewright/target/target.h"

#if defined(__SANITIZE_ADDRESS__)
#define TW_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TW_HAS_ASAN 1
#endif
#endif
#ifndef TW_HAS_ASAN
#define TW_HAS_ASAN 0
#endif

namespace tilewright {

/// `target`, whose kernels check every address where this process has AddressSanitizer's runtime (preset
/// asan).
inline Target CheckedWherePossible(Target target) {
  target.sanitize_address = TW_HAS_ASAN;
  return target;
}

/// The machine at hand, its kernels checked where possible.
inline Target TestTarget() { return CheckedWherePossible(Target::Host()); }

}  // namespace tilewright
