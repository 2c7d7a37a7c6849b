// SPDX-License-Identifier: Apache-2.0
// From lowered kernels to C11 that a person can read and any GCC or clang compiles, for processors that LLVM
// does not know and for programs that must be built from source.
//
// A kernel becomes a static function: a pointer per buffer, one to the workspace where it has one
// (tir/lower/lower.h), then the symbolic dimensions. All chunks run in one call. It returns nothing, or,
// where it may report an error, a message or null. Arithmetic is that of docs/ir.md; sources compile without
// warnings under -Wall -Wextra, need libm for sqrt, floor and the like, and refuse -ffast-math.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tilewright/tir/prim_func.h"

namespace tilewright {

struct CKernel {
  PrimFunc kernel;                 ///< lowered stage
  bool arguments_overlap = false;  ///< some call writes a buffer that overlaps another
  std::string comment;             ///< above the function
};

struct CSource {
  std::string support;    ///< what the kernels need in front of them: includes, types, inline functions
  std::string functions;  ///< the kernels
  std::vector<std::string> names;  ///< of the functions, one per kernel
  std::vector<bool> can_fail;      ///< whether it returns a message
};

/// Error TW1705 for element types that C has not.
CSource KernelCSource(std::span<const CKernel> kernels);

/// A source of these kernels alone, to be looked at.
std::string KernelCText(std::span<const PrimFunc> kernels);

/// An identifier of C that resembles `text`.
std::string CIdentifier(std::string_view text);
/// The name of an element type in generated sources, "f32"; Error TW1705.
std::string CElementType(DataType t);
/// The text as a string literal of C.
std::string CString(std::string_view text);

}  // namespace tilewright
