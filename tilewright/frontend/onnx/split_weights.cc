// SPDX-License-Identifier: Apache-2.0
// Works on protobuf's wire format, after its published description ("Encoding", protobuf.dev): a message is a
// sequence of fields, each a tag, which is number * 8 + type, and a value; a tag or length is a varint, seven
// bits a byte, the lowest first.
#include "tilewright/frontend/onnx/split_weights.h"

#include <cstdint>

namespace tilewright::onnx {

namespace {

// As in onnx.proto.
constexpr uint64_t kGraph = 7, kInitializer = 5, kRawData = 9;

enum WireType : uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  uint64_t number = 0, type = 0;
  std::string_view whole;    ///< with the tag
  std::string_view content;  ///< of kBytes
};

class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}
  bool at_end() const { return rest_.empty(); }

  /// False for what is damaged or of a type that nobody writes any more.
  bool Next(Field& field) {
    const std::string_view from = rest_;
    uint64_t tag, value;
    if (!Varint(tag)) return false;
    field.number = tag / 8, field.type = tag % 8, field.content = {};
    switch (field.type) {
      case kVarint:
        if (!Varint(value)) return false;
        break;
      case kFixed64:
        if (!Take(8, field.content)) return false;
        break;
      case kFixed32:
        if (!Take(4, field.content)) return false;
        break;
      case kBytes:
        if (!Varint(value) || !Take(value, field.content)) return false;
        break;
      default:
        return false;
    }
    field.whole = from.substr(0, from.size() - rest_.size());
    return field.number > 0;
  }

 private:
  bool Varint(uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= uint64_t(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool Take(uint64_t size, std::string_view& taken) {
    if (size > rest_.size()) return false;
    taken = rest_.substr(0, size_t(size));
    rest_.remove_prefix(size_t(size));
    return true;
  }
  std::string_view rest_;
};

void PutVarint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += char(value | 0x80);
  out += char(value);
}

void PutBytes(std::string& out, uint64_t number, std::string_view content) {
  PutVarint(out, number * 8 + kBytes);
  PutVarint(out, content.size());
  out += content;
}

class Splitter {
 public:
  Splitter(SplitModel& split, size_t least) : split_(split), least_(least) {}

  bool Model(std::string_view bytes) {
    bool seen = false;
    WireReader reader(bytes);
    for (Field f; !reader.at_end();) {
      if (!reader.Next(f)) return false;
      if (f.number != kGraph || f.type != kBytes) {
        split_.rest += f.whole;
        continue;
      }
      // A parser would join two graphs.
      std::string graph;
      if (seen || !Graph(f.content, graph)) return false;
      PutBytes(split_.rest, kGraph, graph);
      seen = true;
    }
    return true;
  }

 private:
  bool Graph(std::string_view bytes, std::string& out) {
    int index = 0;
    WireReader reader(bytes);
    for (Field f; !reader.at_end();) {
      if (!reader.Next(f)) return false;
      if (f.number != kInitializer || f.type != kBytes) {
        out += f.whole;
        continue;
      }
      if (f.content.size() < least_) {
        out += f.whole;
      } else {
        std::string tensor;
        if (!Tensor(f.content, index, tensor)) return false;
        PutBytes(out, kInitializer, tensor);
      }
      ++index;
    }
    return true;
  }

  bool Tensor(std::string_view bytes, int index, std::string& out) {
    bool seen = false;
    WireReader reader(bytes);
    for (Field f; !reader.at_end();) {
      if (!reader.Next(f)) return false;
      if (f.number != kRawData || f.type != kBytes) {
        out += f.whole;
        continue;
      }
      if (seen) return false;
      seen = true;
      if (f.content.size() < least_) {
        out += f.whole;
        continue;
      }
      split_.raw.emplace(index, f.content);
      PutBytes(out, kRawData, {});
    }
    return true;
  }

  SplitModel& split_;
  size_t least_;
};

}  // namespace

std::optional<SplitModel> SplitWeights(std::string_view bytes, size_t least) {
  SplitModel split;
  if (!Splitter(split, least).Model(bytes) || split.raw.empty()) return std::nullopt;
  return split;
}

}  // namespace tilewright::onnx
