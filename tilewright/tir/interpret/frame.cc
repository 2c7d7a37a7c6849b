// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/interpret/frame.h"

#include <algorithm>
#include <new>

#include "tilewright/ir/ndarray.h"

namespace tilewright::interpret {

namespace {

int64_t Times(int64_t a, int64_t b) {
  int64_t r = 0;
  if (__builtin_mul_overflow(a, b, &r)) throw Problem{"TW1602", "a buffer of more than 2^63 elements"};
  return r;
}

}  // namespace

void BufferState::SetShape(const Buffer& buffer, std::vector<int64_t> shape, std::vector<int64_t> strides,
                           int64_t offset) {
  buffer_ = buffer;
  element_ = buffer.dtype().element();
  bytes_ = element_.element_bytes();
  const int64_t lanes = buffer.dtype().lanes;
  shape_ = std::move(shape);
  for (int64_t& d : shape_) {
    if (d < 0) throw Problem{"TW1602", fmt::format("buffer {} has a dimension of {}", buffer.name(), d)};
  }
  CheckedSize(shape_, bytes_ * lanes);
  strides_ = std::move(strides);
  if (strides_.empty()) {
    strides_.resize(shape_.size());
    int64_t stride = 1;
    for (size_t d = shape_.size(); d-- > 0;) {
      strides_[d] = stride;
      stride = Times(stride, std::max<int64_t>(1, shape_[d]));
    }
  }
  for (int64_t& s : strides_) {
    if (s < 0) throw Problem{"TW1602", fmt::format("buffer {} has a stride of {}", buffer.name(), s)};
    s = Times(s, lanes);
  }
  offset_ = Times(offset, lanes);
  // From the start of the memory to beyond the last element.
  elements_ = offset_;
  if (std::find(shape_.begin(), shape_.end(), 0) == shape_.end()) {
    elements_ += lanes;
    for (size_t d = 0; d < shape_.size(); ++d) elements_ += Times(shape_[d] - 1, strides_[d]);
  }
  stamps_[0] = stamps_[1] = {};
}

void BufferState::Allocate(const Buffer& buffer, std::vector<int64_t> shape, std::vector<int64_t> strides,
                           int64_t offset) {
  SetShape(buffer, std::move(shape), std::move(strides), offset);
  // Sizes that no machine has fail as memory that is short does; sanitizers end the process instead.
  constexpr int64_t kMostBytes = int64_t(1) << 38;
  if (elements_ > kMostBytes / bytes_) throw std::bad_alloc();
  memory_.assign(size_t(elements_ * bytes_), 0);
  defined_.assign(size_t(elements_), 0);
  data_ = memory_.data();
}

void BufferState::Bind(const Buffer& buffer, std::vector<int64_t> shape, std::vector<int64_t> strides,
                       int64_t offset, char* data, int64_t elements, bool defined) {
  SetShape(buffer, std::move(shape), std::move(strides), offset);
  if (elements < elements_) {
    throw Problem{"TW1602", fmt::format("the array for {} has {} elements, {}[{}] needs {}", buffer.name(),
                                        elements, buffer.name(), fmt::join(shape_, ", "), elements_)};
  }
  is_param_ = true;
  data_ = data;
  defined_.assign(defined ? 0 : size_t(elements_), 0);
}

BufferState::Stamps& BufferState::stamps(int level) {
  Stamps& stamps = stamps_[level];
  if (stamps.write.empty()) {
    stamps.write.assign(size_t(elements_), 0);
    stamps.read.assign(size_t(elements_), 0);
  }
  return stamps;
}

namespace {

[[noreturn]] void FailRace(const Frame::Race& race, const BufferState& buffer, uint64_t other,
                           std::string_view how) {
  throw Problem{
      "TW1608",
      fmt::format("iterations {} and {} (counted from 0) of loop {} are not independent: {} an "
                  "element of {}",
                  other - race.first, race.now - race.first, race.loop, how, buffer.node().buffer_name)};
}

void CheckRead(const Frame::Race& race, BufferState& buffer, int level, int64_t at) {
  BufferState::Stamps& s = buffer.stamps(level);
  const uint64_t writer = s.write[size_t(at)];
  if (writer >= race.first && writer != race.now)
    FailRace(race, buffer, writer, "one writes and the other reads");
  s.read[size_t(at)] = race.now;
}

void CheckWrite(const Frame::Race& race, BufferState& buffer, int level, bool shared, int64_t at) {
  BufferState::Stamps& s = buffer.stamps(level);
  if (shared) {
    const uint64_t writer = s.write[size_t(at)], reader = s.read[size_t(at)];
    if (writer >= race.first && writer != race.now) FailRace(race, buffer, writer, "both write");
    if (reader >= race.first && reader != race.now)
      FailRace(race, buffer, reader, "one reads and the other writes");
  }
  s.write[size_t(at)] = race.now;
}

}  // namespace

// Of local buffers only values that flow from one iteration to another count: an iteration that writes an
// element before it reads it can be given an element of its own. What threads share is shared.
void Frame::NoteRead(BufferState& buffer, int64_t at) {
  if (watch) watch->Read(buffer, at);
  if (race.active) CheckRead(race, buffer, 0, at);
  if (threads.active) CheckRead(threads, buffer, 1, at);
}

void Frame::NoteWrite(BufferState& buffer, int64_t at) {
  if (watch) watch->Write(buffer, at);
  if (race.active) CheckWrite(race, buffer, 0, buffer.is_param(), at);
  if (threads.active) CheckWrite(threads, buffer, 1, true, at);
}

int64_t Frame::Decide(Lane value, std::string_view what) const {
  if (value.poison) {
    throw Problem{"TW1607", fmt::format("{} depends on an element that was never written", what)};
  }
  return value.i;
}

}  // namespace tilewright::interpret
