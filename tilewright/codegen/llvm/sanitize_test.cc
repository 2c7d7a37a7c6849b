// SPDX-License-Identifier: Apache-2.0
// Kernels with address checks. Where the process has AddressSanitizer's runtime (preset asan) a kernel that
// leaves its buffers ends it with a report; elsewhere loading such kernels is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tilewright/codegen/llvm/test_kernels.h"

namespace tilewright {
namespace {

using namespace testing_kernels;
using testing::HasSubstr;

Target Checked() {
  Target target = Target::Host();
  target.sanitize_address = true;
  return target;
}

/// out[i] = in[i + shift], four at a time.
PrimFunc Shifted() {
  Var i("i"), shift = Var::Symbol("shift");
  Buffer in = FlatUnaligned("in", kF32, 16), out = FlatUnaligned("out", kF32, 16);
  return Kernel("shifted", {in, out},
                Serial(i, 4, MakeStore(out, in({MakeRamp(i * 4 + shift, 1, 4)}), {MakeRamp(i * 4, 1, 4)})),
                {shift});
}

TEST(Sanitize, ChecksAreInTheCode) {
  EXPECT_THAT(KernelLlvmIr(std::vector{Shifted()}, Checked()), HasSubstr("__asan_report_"));
}

#if TW_HAS_ASAN

TEST(SanitizeDeathTest, AccessOutsideABufferIsCaught) {
  std::vector<float> in(16), out(16);
  for (int i = 0; i < 16; ++i) in[i] = float(i);
  Compiled kernel(Shifted(), Checked());
  kernel({in.data(), out.data()}, {0});
  EXPECT_EQ(out[15], 15);
  EXPECT_DEATH(kernel({in.data(), out.data()}, {1}), "heap-buffer-overflow");
}

TEST(SanitizeDeathTest, AccessOutsideAStackArrayIsCaught) {
  Var n = Var::Symbol("n");
  Buffer tmp = Flat("tmp", kF32, 16), out = FlatUnaligned("out", kF32, 1);
  Stmt body =
      MakeAllocate(tmp, MakeSeq({MakeStore(tmp, MakeConst(kF32, 1.0), {n}), MakeStore(out, tmp({n}), {0})}));
  Compiled kernel(Kernel("f", {out}, body, {n}), Checked());
  float z = 0;
  kernel({&z}, {15});
  EXPECT_EQ(z, 1);
  EXPECT_DEATH(kernel({&z}, {16}), "stack-buffer-overflow");
}

#else

TEST(Sanitize, NeedsTheRuntime) {
  const ObjectCode object = CompileKernels(std::vector{Shifted()}, Checked());
  try {
    JitModule::Load(std::vector{object});
    FAIL() << "loaded";
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), "TW1703");
  }
}

#endif

}  // namespace
}  // namespace tilewright
