// SPDX-License-Identifier: Apache-2.0
// Text of kernel-level functions and statements. The grammar is in docs/ir.md; tir/parser.h reads it back.
#pragma once

#include <map>
#include <string>

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// What to print beside the IR itself.
struct PrintOptions {
  /// Statements to mark: below the first line of each stands a line of ^^^^ and the message.
  /// Marked text still parses: such lines are comments.
  std::map<const Object*, std::string> marks;
};

std::string Print(const PrimFunc& f, const PrintOptions& options);
std::string Print(const Stmt& s, const PrintOptions& options);

/// The prim functions of a module in order of their names, separated by empty lines.
std::string PrintPrimFuncs(const IRModule& module);

}  // namespace tilewright
