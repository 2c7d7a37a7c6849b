// SPDX-License-Identifier: Apache-2.0
// The state of a run of the reference interpreter: values of variables, buffers, and who touched what.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "tilewright/tir/interpret/value.h"
#include "tilewright/tir/interpreter.h"

namespace tilewright::interpret {

/// Where a statement stands, for errors.
struct Place {
  Stmt stmt;
  std::vector<std::pair<std::string, int>> vars;  ///< enclosing loop and iteration variables with their slots
};

/// A buffer that exists: elements in memory, and per element whether it holds a value.
class BufferState {
 public:
  /// Memory of its own, undefined. Reuses what it had.
  void Allocate(const Buffer& buffer, std::vector<int64_t> shape, std::vector<int64_t> strides,
                int64_t offset);
  /// The memory of `array`; throws Problem TW1602 when it does not fit the buffer.
  void Bind(const Buffer& buffer, std::vector<int64_t> shape, std::vector<int64_t> strides, int64_t offset,
            char* data, int64_t elements, bool defined);

  const BufferNode& node() const { return *buffer_; }
  DataType element() const { return element_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  int64_t stride(size_t d) const { return strides_[d]; }
  int64_t offset() const { return offset_; }
  bool is_param() const { return is_param_; }

  /// `at` counts elements of the element type from the start of the memory (lanes of a vector type one by
  /// one).
  Lane Read(int64_t at) const {
    Lane lane = ReadElement(element_, data_ + at * bytes_);
    if (!defined_.empty() && !defined_[size_t(at)]) lane.poison = true;
    return lane;
  }
  void Write(int64_t at, Lane value) {
    WriteElement(element_, data_ + at * bytes_, value);
    if (!defined_.empty()) defined_[size_t(at)] = !value.poison;
  }

  /// Stamps of the loop iterations that touched an element last; see Frame::race.
  struct Stamps {
    std::vector<uint64_t> write, read;
  };
  /// Of the iterations of a loop (0), or of threads between two barriers (1).
  Stamps& stamps(int level);

 private:
  void SetShape(const Buffer& buffer, std::vector<int64_t> shape, std::vector<int64_t> strides,
                int64_t offset);
  Ref<BufferNode> buffer_;
  DataType element_;
  int64_t bytes_ = 0, elements_ = 0, offset_ = 0;
  std::vector<int64_t> shape_, strides_;
  char* data_ = nullptr;
  bool is_param_ = false;
  std::vector<char> memory_;
  std::vector<uint8_t> defined_;
  Stamps stamps_[2];
};

/// Told of every access while it is set.
struct AccessWatch {
  virtual ~AccessWatch() = default;
  virtual void Read(const BufferState& buffer, int64_t at) = 0;
  virtual void Write(const BufferState& buffer, int64_t at) = 0;
};

class Units;  // units.cc

struct Frame {
  std::vector<Lane> slots;  ///< a vector variable takes as many as it has lanes
  std::vector<BufferState> buffers;
  const Place* place = nullptr;
  InterpretOptions options;
  std::mt19937_64 random;
  int64_t steps = 0;

  /// The outermost loop whose iterations must be independent, while one runs. Every iteration of every such
  /// loop has a stamp of its own, in ascending order; those of the running one begin at `first`.
  struct Race {
    bool active = false;
    uint64_t first = 0, now = 0, next = 1;
    std::string loop;
  } race;
  /// The same for threads that meet at barriers, from one barrier to the next: what they share is then in
  /// order.
  Race threads;
  /// The instructions that wait for units of a device, while a program issues them.
  Units* units = nullptr;
  AccessWatch* watch = nullptr;
  bool watches() const { return race.active || threads.active || watch; }
  void NoteRead(BufferState& buffer, int64_t at);
  void NoteWrite(BufferState& buffer, int64_t at);

  /// The value of a scalar that decides what is executed: a poisoned one is Problem TW1607.
  int64_t Decide(Lane value, std::string_view what) const;
};

}  // namespace tilewright::interpret
