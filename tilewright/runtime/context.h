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
  // Room for a record of the last run, in events; of a longer run the beginning is kept. Needs `profile`.
  size_t trace_events = 0;
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

// One instruction of the last run: begun `start_ns` after the run, and how long it took with what it holds.
struct TraceEvent {
  uint32_t instruction = 0;
  uint64_t start_ns = 0;
  uint64_t ns = 0;
};

// What one launch has to do, at the sizes of the last run.
struct LaunchWork {
  int64_t flops = 0;   // of the direct algorithm; 0 where the compiler counts none
  uint64_t bytes = 0;  // of the distinct buffers that it reads or writes
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
  // Makes what the last run wrote to an output the contents of an input, without a copy: the two exchange
  // their memory. Nothing to do where the program gives the output the input's memory anyway.
  void Feed(size_t output, size_t input);
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
  // The instructions of the last run in the order in which they ended; empty without `trace_events`.
  std::span<const TraceEvent> trace() const;
  // Zeros for an instruction that is no launch or copy, and before the first run.
  LaunchWork Work(size_t instruction) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tilewright::runtime
