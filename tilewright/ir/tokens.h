// SPDX-License-Identifier: Apache-2.0
// The tokens of the text form, and errors that point into the text. Shared by the parsers of all levels.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tilewright/support/error.h"

namespace tilewright {

enum class TokenKind : uint8_t {
  kEnd,
  kName,    ///< [A-Za-z_][A-Za-z0-9_]*
  kNumber,  ///< digits, fraction, exponent; `suffix` has the letters and digits that follow at once ("f32")
  kString,  ///< `value` without quotes and escapes
  kPunct,   ///< an operator or bracket; the longest that fits
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  size_t offset = 0;        ///< in the text
  std::string_view text;    ///< as written, without a number's suffix
  std::string_view suffix;  ///< of a number
  std::string value;        ///< of a string
  bool Is(std::string_view t) const {
    return (kind == TokenKind::kName || kind == TokenKind::kPunct) && text == t;
  }
};

/// A text cut into tokens, with a place in it. From '#' or '^' to the end of a line is a comment.
class TokenStream {
 public:
  /// Throws Error TW1201 for a character that begins no token and for an unterminated string. The text must
  /// outlive the stream.
  explicit TokenStream(std::string_view text);

  const Token& Peek(size_t ahead = 0) const;
  Token Next();
  bool AtEnd() const { return Peek().kind == TokenKind::kEnd; }
  bool PeekIs(std::string_view text, size_t ahead = 0) const { return Peek(ahead).Is(text); }
  /// Takes the next token if it is this word or punctuation.
  bool Accept(std::string_view text);
  /// The same, or Error TW1202 saying what was expected and found.
  void Expect(std::string_view text);
  Token ExpectName(std::string_view what);
  std::string ExpectString(std::string_view what);
  /// An integer without suffix, with an optional '-'.
  int64_t ExpectInt(std::string_view what);
  /// A bare name or a string: function names, attribute keys.
  std::string ExpectNameOrString(std::string_view what);

  /// Throws an Error whose place is the token's, with the line and a caret below it.
  [[noreturn]] void Fail(const Token& at, std::string id, std::string message,
                         std::vector<std::string> notes = {}) const;
  /// Error TW1202 at the next token.
  [[noreturn]] void FailExpected(std::string_view what) const;

  /// Counts nesting while it lives; throws Error TW1206 beyond what any real program has, so that hostile
  /// text cannot exhaust the stack.
  class Nesting {
   public:
    explicit Nesting(TokenStream& tokens);
    ~Nesting() { --tokens_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    TokenStream& tokens_;
  };

 private:
  std::string_view text_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace tilewright
