// SPDX-License-Identifier: Apache-2.0
// Reads the text of expressions, attribute values and declarations, as ir/printer.h writes it. The parsers of
// the levels use one ExprParser on their TokenStream. Errors point into the text:
//   TW1201 characters, TW1202 syntax, TW1203 unknown name, TW1204 types, TW1205 numbers out of range,
//   TW1206 nesting, TW1207 names declared twice, TW1208 what is left out.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "tilewright/ir/expr.h"
#include "tilewright/ir/tokens.h"

namespace tilewright {

class ExprParser {
 public:
  explicit ExprParser(TokenStream& tokens) : tokens_(tokens) {}

  Expr ParseExpr();
  /// An expression of type `dtype`; `what` names it in the error.
  Expr ParseExprOf(DataType dtype, std::string_view what);
  /// Expressions separated by commas up to and including `close`.
  std::vector<Expr> ParseExprsUntil(std::string_view close);
  /// "lo..hi", "lo..+extent", and with `unit_as_point` also "lo" for an extent of 1.
  Range ParseRange(bool unit_as_point);
  AttrValue ParseAttr();
  Annotations ParseAnnotations();
  DataType ParseDataType();
  /// "[i, j where p]" after the name of a buffer, which `at` is.
  Expr ParseLoad(const Token& at);

  /// What stands before a variable's binding: "n: i32 in [1, 8] by 2".
  struct VarDecl {
    Token name;
    std::optional<DataType> dtype;
    int64_t min, max, multiple;
  };
  VarDecl ParseVarDecl(const Var& defaults);
  /// The declared variable, of `dtype` unless its declaration says another; visible in the innermost scope.
  Var Declare(const VarDecl& decl, DataType dtype);
  /// "A: f32[n, 4] scope \"register\"": a new buffer, visible in the innermost scope.
  Buffer ParseBufferDecl();
  /// The buffer that the next name means.
  Buffer ParseBufferName();
  Buffer LookUpBuffer(const Token& name) const;

  void PushScope() { scopes_.emplace_back(); }
  void PopScope();
  /// Ends the innermost scope and leaves its names to the one around it.
  void MergeScope();
  TokenStream& tokens() { return tokens_; }

 private:
  struct Sub;  ///< an expression and its height
  Sub ParseSub();
  Sub ParseBinary(int min_strength);
  Sub ParseUnary();
  Sub ParsePrimary();
  Sub ParseName();
  Sub ParseFunction();
  Sub ParseLet();
  Sub ParseCast(DataType dtype, const Token& at);
  Sub ParseShuffle(const Token& at);
  Sub ParseAccess(const Token& at);
  std::vector<Expr> ParseArgs(std::string_view close, int& height);
  Sub Limit(Expr e, int height, const Token& at);
  Expr ParseNumber(bool negative);
  Expr ParseInteger(const Token& t, DataType dtype, bool negative);
  Expr ParseSpecialFloat(DataType dtype);
  AttrValue ParseAttrList(const Token& at);
  AttrValue ParseNumberAttr();
  double ParseDouble();
  int64_t LanesOf(const std::vector<Expr>& args, const Token& at);
  void Enter(const Token& name, std::variant<Var, Buffer> what);
  void Check(const Token& at, const std::string& problem);

  TokenStream& tokens_;
  std::unordered_map<std::string, std::variant<Var, Buffer>> names_;
  std::vector<std::vector<std::string>> scopes_{1};
};

}  // namespace tilewright
