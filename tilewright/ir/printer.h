// SPDX-License-Identifier: Apache-2.0
// Text of what all levels share: expressions, attribute values, buffer declarations. The grammar is in
// docs/ir.md; ir/text_parser.h reads it back.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tilewright/ir/expr.h"

namespace tilewright {

/// Gives variables and buffers names that are identifiers, and unique among those visible at each point: a
/// name that is taken gets a numbered suffix.
class NameTable {
 public:
  /// Opens a scope; names declared in it are free again after PopScope.
  void PushScope();
  void PopScope();
  /// Names `object` in the innermost scope.
  const std::string& Declare(const Object* object, const std::string& wanted);
  /// The name of a declared object; one that is not declared is named in the outermost scope.
  const std::string& Name(const Object* object, const std::string& wanted);

 private:
  const std::string& Enter(const Object* object, const std::string& wanted, size_t scope);
  std::unordered_map<const Object*, std::string> names_;
  std::unordered_set<std::string> taken_;
  std::vector<std::vector<const Object*>> scopes_{1};
};

/// Appends the text of expressions and of what is made of them to a string.
class ExprPrinter {
 public:
  explicit ExprPrinter(NameTable& names) : names_(names) {}

  /// Parenthesised when its outermost operator binds less tightly than `min_strength`.
  void Print(const Expr& e, std::string& out, int min_strength = 0);
  /// "a, b, c".
  void PrintList(const std::vector<Expr>& list, std::string& out);
  /// "lo..hi" or "lo..+extent"; with `unit_as_point`, an extent of 1 prints as "lo" alone.
  void PrintRange(const Range& range, bool unit_as_point, std::string& out);
  void PrintAttr(const AttrValue& value, std::string& out);
  /// "{a = 1, b = [2, 3]}".
  void PrintAnnotations(const Annotations& annotations, std::string& out);
  /// Declares the buffer and prints "A: f32[n, 4] scope \"register\" align 128"; defaults are left out.
  void DeclareBuffer(const Buffer& buffer, std::string& out);
  /// Declares a variable and prints "n: i32 in [1, 1024] by 8"; what equals `defaults` is left out.
  void DeclareVar(const Var& var, const Var& defaults, std::string& out);

  std::string BufferName(const Buffer& buffer) { return names_.Name(buffer.get(), buffer.name()); }
  std::string VarName(const Var& var) { return names_.Name(var.get(), var.name()); }
  NameTable& names() { return names_; }

 private:
  struct Kinds;
  void PrintFunction(std::string_view name, std::initializer_list<Expr> args, std::string& out);
  NameTable& names_;
};

/// "text" with quotes and escapes (\" \\ \n \t \xNN).
std::string QuoteString(std::string_view text);
/// Bare when it is an identifier, else quoted.
std::string NameOrQuoted(std::string_view text);
/// The digits of a double that read back to the same bits, with a '.' or exponent, or "inf", "nan",
/// "nan:bits".
std::string DoubleText(double value);

std::string ToString(const AttrValue& value);
std::string ToString(const Annotations& annotations);

}  // namespace tilewright
