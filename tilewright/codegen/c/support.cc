// SPDX-License-Identifier: Apache-2.0
// Types, memory access and conversions.
#include "tilewright/codegen/c/support.h"

#include <fmt/format.h>

#include <bit>

namespace tilewright::c_codegen {

namespace {

int PaddedLanes(int lanes) { return int(std::bit_ceil(unsigned(lanes))); }

// Elements may be read as one type and written as another where the memory plan uses an address twice, which
// C allows for types with this attribute only (6.5, paragraph 7).
constexpr const char* kPreamble = R"(#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__)
#error "this code relies on IEEE 754 arithmetic: compile it without -ffast-math"
#endif
#if defined(__GNUC__)
#define TW_ALIAS __attribute__((may_alias))
#define TW_INLINE static inline __attribute__((always_inline))
#define TW_VECTOR(bytes) __attribute__((vector_size(bytes)))
#pragma GCC diagnostic ignored "-Wpsabi"
#else
#error "this code uses the vector extensions of GCC and clang"
#endif

typedef int8_t i8 TW_ALIAS;
typedef int16_t i16 TW_ALIAS;
typedef int32_t i32 TW_ALIAS;
typedef int64_t i64 TW_ALIAS;
typedef uint8_t u8 TW_ALIAS;
typedef uint16_t u16 TW_ALIAS;
typedef uint32_t u32 TW_ALIAS;
typedef uint64_t u64 TW_ALIAS;
typedef float f32 TW_ALIAS;
typedef double f64 TW_ALIAS;
typedef uint16_t f16 TW_ALIAS; /* the bits */
typedef uint16_t bf16 TW_ALIAS;
)";

}  // namespace

std::string Listed(int n, const std::function<std::string(int)>& item) {
  std::string text;
  for (int i = 0; i < n; ++i) text += (i ? ", " : "") + item(i);
  return text;
}

const std::string& Support::Define(const std::string& name, const std::function<std::string()>& make) {
  auto [it, fresh] = defined_.insert(name);
  if (fresh) {
    std::string text = make();
    texts_.push_back(std::move(text));
  }
  return *defined_.find(name);
}

std::string Support::Text() const {
  std::string text = kPreamble;
  for (const std::string& t : texts_) text += "\n" + t;
  return text;
}

std::string Support::MemoryType(DataType t) {
  if (t.is_bool()) return "u8";
  const bool known = t.is_float() || (t.is_integer() && t.bits >= 8 && std::has_single_bit(t.bits));
  if (!known || t.scalable) {
    throw Error("TW1705", fmt::format("C has no type for elements of type {}", t.ToString()), "",
                {"it has those of the integers of 8 to 64 bits, bool, f16, bf16, f32 and f64"});
  }
  return t.element().ToString();
}

std::string Support::Type(DataType t) {
  if (t.is_scalar()) return t.is_bool() ? "bool" : MemoryType(t);
  if (t.is_bool()) return MaskType(8, t.lanes);
  const std::string element = MemoryType(t);
  return Define(fmt::format("{}x{}", element, t.lanes), [&] {
    return fmt::format("typedef {} {}x{} TW_VECTOR({});\n", element, element, t.lanes,
                       t.element_bytes() * PaddedLanes(t.lanes));
  });
}

std::string Support::MaskType(int bits, int lanes) { return Type(DataType::Int(bits, lanes)); }

std::string Support::Splat(DataType vector) {
  const std::string type = Type(vector);
  const std::string name = vector.is_bool() ? fmt::format("bool{}_splat", vector.lanes) : type + "_splat";
  return Define(name, [&] {
    if (vector.is_bool()) {
      return fmt::format("TW_INLINE {0} {1}(bool x) {{ return ({0}){{{2}}}; }}\n", type, name,
                         Listed(vector.lanes, [](int) { return "-x"; }));
    }
    return fmt::format("TW_INLINE {0} {1}({2} x) {{ return ({0}){{{3}}}; }}\n", type, name,
                       Type(vector.element()), Listed(vector.lanes, [](int) { return "x"; }));
  });
}

std::string Support::Ramp(DataType vector) {
  const std::string type = Type(vector), element = Type(vector.element());
  return Define(type + "_ramp", [&] {
    auto lane = [&](int i) { return fmt::format("({})(base + {} * stride)", element, i); };
    return fmt::format("TW_INLINE {0} {0}_ramp({1} base, {1} stride) {{\n  return ({0}){{{2}}};\n}}\n", type,
                       element, Listed(vector.lanes, lane));
  });
}

std::string Support::Select(DataType vector) {
  const int bits = vector.is_bool() ? 8 : int(vector.element_bytes()) * 8;
  const std::string type = Type(vector), mask = MaskType(bits, vector.lanes);
  return Define(type + "_select", [&] {
    return fmt::format(
        "TW_INLINE {0} {0}_select({1} mask, {0} a, {0} b) {{\n"
        "  return ({0})((mask & ({1})a) | (~mask & ({1})b));\n}}\n",
        type, mask);
  });
}

std::string Support::Memory(Access access, DataType vector) {
  const bool stores = access == Access::kStore || access == Access::kStoreIf;
  const bool masked = access == Access::kLoadIf || access == Access::kStoreIf;
  const int lanes = vector.lanes;
  const std::string type = Type(vector), element = MemoryType(vector);
  const std::string stem = vector.is_bool() ? fmt::format("bool{}", lanes) : type;
  const std::string name = fmt::format("{}_{}{}", stem, stores ? "store" : "load", masked ? "_if" : "");
  const std::string mask = masked ? ", " + MaskType(8, lanes) + " mask" : "";
  return Define(name, [&] {
    const std::string head =
        stores ? fmt::format("TW_INLINE void {}({}* p, {} v{}) {{\n", name, element, type, mask)
               : fmt::format("TW_INLINE {} {}(const {}* p{}) {{\n", type, name, element, mask);
    if (!masked && !vector.is_bool()) {
      const int64_t bytes = lanes * vector.element_bytes();
      if (stores) return fmt::format("{}  memcpy(p, &v, {});\n}}\n", head, bytes);
      const char* rest = PaddedLanes(lanes) != lanes ? " = {0}" : "";
      return fmt::format("{}  {} v{};\n  memcpy(&v, p, {});\n  return v;\n}}\n", head, type, rest, bytes);
    }
    if (!stores) {
      auto lane = [&](int i) {
        std::string value = vector.is_bool() ? fmt::format("-(p[{}] != 0)", i) : fmt::format("p[{}]", i);
        return masked ? fmt::format("mask[{}] ? {} : 0", i, value) : value;
      };
      return fmt::format("{}  return ({}){{{}}};\n}}\n", head, type, Listed(lanes, lane));
    }
    std::string body;
    for (int i = 0; i < lanes; ++i) {
      const std::string condition = masked ? fmt::format("if (mask[{}]) ", i) : "";
      body += fmt::format("  {}p[{}] = {}v[{}];\n", condition, i, vector.is_bool() ? "(u8)-" : "", i);
    }
    return head + body + "}\n";
  });
}

// ---- Conversions

std::string Support::Reinterpret(DataType from, DataType to) {
  const std::string source = Type(from), result = Type(to);
  return Define(fmt::format("{}_bits_of_{}", result, source), [&] {
    return fmt::format(
        "TW_INLINE {0} {0}_bits_of_{1}({1} x) {{\n  {0} r;\n  memcpy(&r, &x, sizeof r);\n  return "
        "r;\n}}\n",
        result, source);
  });
}

std::string Support::HalfToFloat() {
  return Define("f32_of_f16", [&] {
    return fmt::format(R"(TW_INLINE f32 f32_of_f16(f16 h) {{
  const u32 magnitude = h & 0x7fffu, sign = (u32)(h & 0x8000u) << 16;
  u32 bits = (magnitude << 13) + ((127u - 15) << 23);
  if (magnitude >= 0x7c00) bits += (127u - 15) << 23;
  if (magnitude > 0x7c00) bits |= 0x400000u;
  return magnitude < 0x400 ? (sign ? -1.0f : 1.0f) * (f32)magnitude * 0x1p-24f : {}(bits | sign);
}}
)",
                       Reinterpret(kU32, kF32));
  });
}

// To nearest, ties to even: the addition of 0.5 rounds subnormal results at the right bit; others round off
// 13 bits by adding just less than half, and the bit that is to be even.
std::string Support::FloatToHalf() {
  return Define("f16_of_f32", [&] {
    const std::string bits = Reinterpret(kF32, kU32), value = Reinterpret(kU32, kF32);
    return fmt::format(R"(TW_INLINE f16 f16_of_f32(f32 x) {{
  const u32 bits = {0}(x), magnitude = bits & 0x7fffffffu, sign = (bits >> 16) & 0x8000u;
  u32 r;
  if (magnitude > 0x7f800000u) {{
    r = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  }} else if (magnitude >= 0x477ff000u) {{
    r = 0x7c00u;
  }} else if (magnitude < 0x38800000u) {{
    r = {0}({1}(magnitude) + 0.5f) - 0x3f000000u;
  }} else {{
    r = (magnitude - ((127u - 15) << 23) + 0xfffu + ((magnitude >> 13) & 1)) >> 13;
  }}
  return (f16)(r | sign);
}}
)",
                       bits, value);
  });
}

// Rounded to odd, so that a second rounding to 16 bits is the only one that shows (Boldo and Melquiond,
// 2008).
std::string Support::DoubleToOddFloat() {
  return Define("f32_odd_of_f64", [&] {
    return fmt::format(R"(TW_INLINE f32 f32_odd_of_f64(f64 x) {{
  const f32 f = (f32)x;
  if ((f64)f == x || x != x) return f;
  u32 bits = {}(f);
  if (fabs((f64)f) > fabs(x)) --bits;
  return {}(bits | 1);
}}
)",
                       Reinterpret(kF32, kU32), Reinterpret(kU32, kF32));
  });
}

std::string Support::ConvertHalf(DataType from, DataType to) {
  const std::string name = fmt::format("{}_of_{}", Type(to), Type(from));
  if (from.lanes > 1) {
    const std::string scalar = ConvertHalf(from.element(), to.element());
    const std::string source = Type(from), result = Type(to);
    return Define(name, [&] {
      return fmt::format("TW_INLINE {0} {1}({2} x) {{\n  return ({0}){{{3}}};\n}}\n", result, name, source,
                         Listed(to.lanes, [&](int i) { return fmt::format("{}(x[{}])", scalar, i); }));
    });
  }
  if (from == kF16 && to == kF32) return HalfToFloat();
  if (from == kF32 && to == kF16) return FloatToHalf();
  return Define(name, [&] {
    if (from == kBF16 && to == kF32) {
      return fmt::format("TW_INLINE f32 {}(bf16 x) {{ return {}((u32)x << 16); }}\n", name,
                         Reinterpret(kU32, kF32));
    }
    if (from == kF32) {
      return fmt::format(R"(TW_INLINE bf16 {}(f32 x) {{
  const u32 bits = {}(x);
  return (bf16)((x != x ? bits | 0x400000u : bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}}
)",
                         name, Reinterpret(kF32, kU32));
    }
    if (from.is_float() && from.bits == 16) {
      const std::string widen = ConvertHalf(from, kF32);
      if (to.is_float() && to.bits == 16) {
        return fmt::format("TW_INLINE {} {}({} x) {{ return {}({}(x)); }}\n", Type(to), name, Type(from),
                           ConvertHalf(kF32, to), widen);
      }
      const std::string via = to.is_integer() && to.bits < 32 ? "(i32)" : "";
      const std::string value =
          to.is_bool() ? widen + "(x) != 0" : fmt::format("({}){}{}(x)", Type(to), via, widen);
      return fmt::format("TW_INLINE {} {}({} x) {{ return {}; }}\n", Type(to), name, Type(from), value);
    }
    // Integers of 32 bits are exact in double.
    const std::string narrow = ConvertHalf(kF32, to);
    return fmt::format("TW_INLINE {} {}({} x) {{ return {}({}((f64)x)); }}\n", Type(to), name, Type(from),
                       narrow, DoubleToOddFloat());
  });
}

}  // namespace tilewright::c_codegen
