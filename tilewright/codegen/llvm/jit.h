// SPDX-License-Identifier: Apache-2.0
// Machine code loaded into this process.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "tilewright/codegen/llvm/codegen.h"

namespace tilewright {

/// Kernels in the memory of this process; unloaded on destruction.
class JitModule {
 public:
  /// Throws Error TW1703 when objects need what this process lacks (the runtime of AddressSanitizer),
  /// InternalError when they are damaged.
  static JitModule Load(std::span<const ObjectCode> objects);

  JitModule(JitModule&&) noexcept;
  JitModule& operator=(JitModule&&) noexcept;
  ~JitModule();

  /// The address of a kernel, of type `tw_kernel`; null when there is none of this name. Any thread may ask.
  void* Find(std::string_view name) const;

 private:
  struct Impl;
  explicit JitModule(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tilewright
