// SPDX-License-Identifier: Apache-2.0
#include "tilewright/codegen/c/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace tilewright::c_codegen {

namespace {

// C11's keywords (6.4.1), macros and functions of the headers that sources include, and names of our own.
constexpr std::array kReserved = {
    "auto",     "break",  "case",      "char",       "const",    "continue", "default",    "do",
    "double",   "else",   "enum",      "extern",     "float",    "for",      "goto",       "if",
    "inline",   "int",    "long",      "register",   "restrict", "return",   "short",      "signed",
    "sizeof",   "static", "struct",    "switch",     "typedef",  "union",    "unsigned",   "void",
    "volatile", "while",  "asm",       "typeof",     "bool",     "true",     "false",      "alignas",
    "alignof",  "linux",  "unix",      "main",       "memcpy",   "memmove",  "memset",     "errno",
    "fabs",     "fabsf",  "sqrt",      "sqrtf",      "floor",    "floorf",   "ceil",       "ceilf",
    "trunc",    "truncf", "fma",       "fmaf",       "fmod",     "fmodf",    "isnan",      "isinf",
    "rint",     "rintf",  "nearbyint", "nearbyintf", "INFINITY", "NAN",      "NULL",       "i8",
    "i16",      "i32",    "i64",       "u8",         "u16",      "u32",      "u64",        "f16",
    "bf16",     "f32",    "f64",       "inputs",     "outputs",  "arena",    "parameters", "workspace",
    "error",    "exp",    "log",       "sin",        "cos",      "tan",      "pow",        "erf",
    "tanh",     "abs",    "div",       "index",      "signbit",  "round",    "gamma",      "y0",
    "y1",       "j0",     "j1",        "yn",         "jn"};

/// Whether it could be a helper's or vector type's name: f32x4, i64_floordiv, bool4_load.
bool LooksLikeSupport(std::string_view s) {
  for (std::string_view type :
       {"i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "bf16", "f32", "f64", "bool"}) {
    if (!s.starts_with(type) || s.size() == type.size()) continue;
    const char next = s[type.size()];
    if (next == '_' || next == 'x' || (type == "bool" && std::isdigit(static_cast<unsigned char>(next))))
      return true;
  }
  return s.starts_with("TW_");
}

}  // namespace

std::string Identifier(std::string_view text) {
  std::string id;
  for (char c : text) {
    const auto u = static_cast<unsigned char>(c);
    id += u < 128 && std::isalnum(u) ? c : '_';
  }
  // What begins with an underscore belongs to the implementation (7.1.3).
  if (id.empty() || id[0] == '_' || std::isdigit(static_cast<unsigned char>(id[0]))) id = "v" + id;
  const bool reserved = std::find(kReserved.begin(), kReserved.end(), id) != kReserved.end();
  return reserved || LooksLikeSupport(id) ? "v_" + id : id;
}

void NameScopes::Pop() {
  for (const std::string& name : declared_.back()) visible_.erase(name);
  declared_.pop_back();
}

std::string NameScopes::Declare(std::string_view wanted) {
  const std::string base = Identifier(wanted);
  std::string name = base;
  if (auto it = visible_.find(base); it != visible_.end()) {
    do {
      name = fmt::format("{}_{}", base, ++it->second);
    } while (visible_.contains(name));
  }
  visible_.emplace(name, 0);
  declared_.back().push_back(name);
  return name;
}

}  // namespace tilewright::c_codegen
