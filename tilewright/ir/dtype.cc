// SPDX-License-Identifier: Apache-2.0
#include "tilewright/ir/dtype.h"

#include <fmt/format.h>

#include <charconv>

#include "tilewright/support/error.h"

namespace tilewright {

std::string DataType::ToString() const {
  std::string name;
  switch (code) {
    case TypeCode::kInt:
      name = fmt::format("i{}", bits);
      break;
    case TypeCode::kUInt:
      name = fmt::format("u{}", bits);
      break;
    case TypeCode::kFloat:
      name = fmt::format("f{}", bits);
      break;
    case TypeCode::kBFloat:
      name = fmt::format("bf{}", bits);
      break;
    case TypeCode::kBool:
      name = "bool";
      break;
    case TypeCode::kString:
      name = "str";
      break;
    case TypeCode::kHandle:
      name = "handle";
      break;
    case TypeCode::kCustom:
      name = fmt::format("custom{}_{}", custom, bits);
      break;
  }
  if (scalable) return fmt::format("{}xs{}", name, lanes);
  if (lanes != 1) return fmt::format("{}x{}", name, lanes);
  return name;
}

namespace {

/// Reads a decimal number at the front of `text` and drops it; -1 when there is none.
int TakeNumber(std::string_view& text) {
  int value = -1;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return -1;
  text.remove_prefix(size_t(end - text.data()));
  return value;
}

bool Take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool ValidBits(TypeCode code, int bits) {
  switch (code) {
    case TypeCode::kInt:
    case TypeCode::kUInt:
      return bits >= 1 && bits <= 64;
    case TypeCode::kFloat:
      return bits == 8 || bits == 16 || bits == 32 || bits == 64;
    case TypeCode::kBFloat:
      return bits == 16;
    default:
      return bits >= 1 && bits <= 128;
  }
}

}  // namespace

DataType DataType::Parse(std::string_view text) {
  const std::string_view whole = text;
  DataType type;
  auto fail = [&] {
    throw Error("TW1001", fmt::format("'{}' is not an element type", whole), "",
                {"expected a name such as f32, i64, u8, bf16, bool, or with lanes f32x16"});
  };
  auto numbered = [&](TypeCode code) {
    int bits = TakeNumber(text);
    if (!ValidBits(code, bits)) fail();
    type = {code, uint8_t(bits), 1};
  };
  if (Take(text, "bool")) {
    type = Bool();
  } else if (Take(text, "bf")) {
    numbered(TypeCode::kBFloat);
  } else if (Take(text, "str")) {
    type = String();
  } else if (Take(text, "handle")) {
    type = Handle();
  } else if (Take(text, "custom")) {
    int index = TakeNumber(text);
    if (index < 0 || index > 255 || !Take(text, "_")) fail();
    numbered(TypeCode::kCustom);
    type.custom = uint8_t(index);
  } else if (Take(text, "i")) {
    numbered(TypeCode::kInt);
  } else if (Take(text, "u")) {
    numbered(TypeCode::kUInt);
  } else if (Take(text, "f")) {
    numbered(TypeCode::kFloat);
  } else {
    fail();
  }
  if (Take(text, "x")) {
    type.scalable = Take(text, "s");
    int lanes = TakeNumber(text);
    if (lanes < 1 || lanes > 65535) fail();
    type.lanes = uint16_t(lanes);
  }
  if (!text.empty()) fail();
  return type;
}

}  // namespace tilewright
