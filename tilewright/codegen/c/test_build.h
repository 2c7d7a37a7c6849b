// SPDX-License-Identifier: Apache-2.0
// For tests: a C source, compiled by the system's compiler into a shared object of this process.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tilewright/support/file.h"

namespace tilewright::testing_c {

inline constexpr const char* kFlags = "-std=c11 -Wall -Wextra -Werror -O1 -shared -fPIC";

class BuiltSource {
 public:
  /// Fails the test, with what the compiler says, where the source does not compile without warnings.
  explicit BuiltSource(const std::string& text) {
    WriteFile(c_.path(), text);
    const std::string command =
        fmt::format("cc {} {} -o {} -lm > {} 2>&1", kFlags, c_.path(), so_.path(), log_.path());
    if (std::system(command.c_str()) != 0) ADD_FAILURE() << ReadFile(log_.path());
    handle_ = dlopen(so_.path().c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle_) ADD_FAILURE() << dlerror();
  }
  ~BuiltSource() {
    if (handle_) dlclose(handle_);
  }
  BuiltSource(const BuiltSource&) = delete;
  BuiltSource& operator=(const BuiltSource&) = delete;

  /// Null where there is none.
  template <class F>
  F Find(const char* name) const {
    return handle_ ? reinterpret_cast<F>(dlsym(handle_, name)) : nullptr;
  }

 private:
  TemporaryFile c_{".c"}, so_{".so"}, log_{".log"};
  void* handle_ = nullptr;
};

}  // namespace tilewright::testing_c
