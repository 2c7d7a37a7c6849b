// SPDX-License-Identifier: Apache-2.0
// Helpers of this folder's tests: kernels built by hand, compiled for this machine and called.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tilewright/codegen/llvm/codegen.h"
#include "tilewright/codegen/llvm/jit.h"
#include "tilewright/target/test_target.h"

namespace tilewright::testing_kernels {

using KernelFn = void (*)(void* const*, const int64_t*, int64_t, int64_t, const void*);

inline PrimFunc Kernel(std::string name, std::vector<Buffer> buffers, Stmt body, std::vector<Var> dims = {}) {
  PrimFuncNode node;
  node.name = std::move(name);
  node.buffers = std::move(buffers);
  node.dims = std::move(dims);
  node.stage = TirStage::kLowered;
  node.body = std::move(body);
  return PrimFunc(std::move(node));
}

inline Buffer Flat(std::string name, DataType dtype, Expr size) {
  return Buffer(std::move(name), dtype, {std::move(size)});
}

/// A buffer without promises on alignment, for data that is not laid out by the runtime.
inline Buffer FlatUnaligned(std::string name, DataType dtype, Expr size) {
  BufferNode node;
  node.buffer_name = std::move(name);
  node.dtype = dtype;
  node.shape = {std::move(size)};
  node.alignment = dtype.element_bytes();
  return MakeBuffer(std::move(node));
}

inline Stmt Serial(const Var& var, Expr extent, Stmt body) {
  return MakeFor(var, 0, std::move(extent), ForKind::kSerial, std::move(body));
}

/// A kernel ready to be called; by default with its addresses checked where this process can.
class Compiled {
 public:
  explicit Compiled(const PrimFunc& kernel, const Target& target = TestTarget())
      : jit_(JitModule::Load(std::vector{CompileKernels(std::vector{kernel}, target)})),
        function_(reinterpret_cast<KernelFn>(jit_.Find(kernel.name()))) {}

  void operator()(std::vector<void*> buffers, std::vector<int64_t> dims = {}, int64_t begin = 0,
                  int64_t end = 1) const {
    function_(buffers.data(), dims.data(), begin, end, nullptr);
  }

 private:
  JitModule jit_;
  KernelFn function_;
};

}  // namespace tilewright::testing_kernels
