// SPDX-License-Identifier: Apache-2.0
// The state of one caller of a module: memory, bound tensors, resolved pointers, profile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "tilewright/runtime/module.h"

namespace tilewright::runtime {

struct ContextOptions {
  int num_threads = 0;  // 0: the process's default (ThreadPool::DefaultNumThreads)
  bool profile = false;
};

// A compact tensor in host memory.
struct TensorView {
  void* data = nullptr;
  uint64_t bytes = 0;
  DLDataType dtype{};
  std::span<const int64_t> shape;
};

// The times of one instruction.
struct ProfileEntry {
  uint64_t runs = 0;
  uint64_t sum_ns = 0;
  uint64_t min_ns = 0;
};

// Not thread-safe; contexts of one module are independent. All members throw RuntimeError on misuse.
class Context {
 public:
  explicit Context(std::shared_ptr<const Module> module, const ContextOptions& options = {});
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Module& module() const;
  // Gives an input with symbolic dimensions its shape.
  void SetInputShape(size_t index, std::span<const int64_t> shape);
  // Copies compact, row-major contents; `bytes` must be the input's size.
  void SetInput(size_t index, const void* data, uint64_t bytes);
  // Copies a tensor in host memory, strided or not.
  void SetInput(size_t index, const DLTensor& tensor);
  // Reads from, or writes to, the user's compact tensor at every run; null ends the binding.
  void BindInput(size_t index, const DLTensor* tensor);
  void BindOutput(size_t index, const DLTensor* tensor);
  // The context's own memory for an input, to be filled in place.
  TensorView InputBuffer(size_t index);
  // Blocks until the outputs are there.
  void Run();
  // The output of the last run; overwritten by the next.
  TensorView Output(size_t index) const;

  // Bytes allocated for arenas, inputs and outputs.
  uint64_t MemoryBytes() const;
  int num_threads() const;
  // One entry per instruction; empty unless the context profiles.
  std::span<const ProfileEntry> profile() const;
  void ResetProfile();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tilewright::runtime
