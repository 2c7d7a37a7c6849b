// SPDX-License-Identifier: Apache-2.0
// What the tests of the runtime share: small programs over hand-written kernels, and expected errors.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tilewright/runtime/dtype.h"
#include "tilewright/runtime/kernel_abi.h"
#include "tilewright/runtime/module_writer.h"
#include "tilewright/runtime/program.h"
#include "tilewright/runtime/status.h"

namespace tilewright::runtime {

#if defined(__has_feature)
#define TW_HAS_FEATURE(name) __has_feature(name)
#else
#define TW_HAS_FEATURE(name) 0
#endif
#if TW_HAS_FEATURE(thread_sanitizer) || defined(__SANITIZE_THREAD__)
#define TW_THREAD_SANITIZER 1
#else
#define TW_THREAD_SANITIZER 0
#endif
#if TW_HAS_FEATURE(address_sanitizer) || defined(__SANITIZE_ADDRESS__)
#define TW_ADDRESS_SANITIZER 1
#else
#define TW_ADDRESS_SANITIZER 0
#endif

// Expects `body` to throw the error, its message naming `text`.
template <typename Body>
void ExpectError(ErrorId id, const std::string& text, Body body) {
  try {
    body();
    ADD_FAILURE() << "no error, expected TW" << static_cast<int>(id);
  } catch (const RuntimeError& e) {
    EXPECT_EQ(static_cast<int>(e.id()), static_cast<int>(id)) << e.what();
    EXPECT_NE(std::string(e.what()).find(text), std::string::npos)
        << "'" << e.what() << "' does not contain '" << text << "'";
  }
}

// A folder that is removed at the end.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "tw_runtime_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline Instruction Launch(std::string name, uint32_t kernel, std::vector<uint32_t> buffers,
                          ShapeExpr num_chunks, std::vector<ShapeExpr> dims = {}) {
  Instruction instruction;
  instruction.name = std::move(name);
  instruction.op = LaunchOp{kernel, std::move(buffers), std::move(dims), std::move(num_chunks)};
  return instruction;
}

inline Buffer MakeBuffer(std::string name, Storage storage, uint32_t index, std::vector<ShapeExpr> shape,
                         ShapeExpr offset = 0, DLDataType dtype = kFloat32) {
  Buffer b;
  b.name = std::move(name);
  b.storage = storage;
  b.index = index;
  b.dtype = dtype;
  b.bytes = CompactBytes(dtype, shape);
  b.shape = std::move(shape);
  b.offset = std::move(offset);
  return b;
}

// The program for testdata/kernels.c: y = scale(scale(x)) with the four weights that are the parameters; x
// and y are [rows, 4]. The value between lies in an arena.
inline Program ScaleTwiceProgram(int64_t rows = 8) {
  Program p;
  p.inputs = {{"x", kFloat32, {rows, 4}}};
  p.outputs = {{"y", kFloat32, {rows, 4}}};
  p.arenas = {{0, "global", rows * 16}};
  p.buffers = {MakeBuffer("x", Storage::kInput, 0, {rows, 4}), MakeBuffer("w", Storage::kParameter, 0, {4}),
               MakeBuffer("t", Storage::kArena, 0, {rows, 4}),
               MakeBuffer("y", Storage::kOutput, 0, {rows, 4})};
  p.kernels = {"scale", "check"};
  p.instructions = {Launch("check", 1, {0}, rows), Launch("first", 0, {0, 1, 2}, rows),
                    Launch("second", 0, {2, 1, 3}, rows)};
  return p;
}

inline constexpr float kScaleWeights[4] = {1, 2, 3, 4};

}  // namespace tilewright::runtime
