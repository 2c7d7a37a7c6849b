// SPDX-License-Identifier: Apache-2.0
#include "tilewright/ir/tokens.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace tilewright {

namespace {

constexpr int kMaxNesting = 400;
/// Longest first among those that begin alike.
constexpr std::string_view kPuncts[] = {"..+", "..", "->", "==", "!=", "<=", ">=", "&&", "||", "//", "+", "-",
                                        "*",   "/",  "%",  "<",  ">",  "=",  "!",  "(",  ")",  "[",  "]", "{",
                                        "}",   ",",  ":",  ";",  ".",  "@",  "?",  "$",  "&",  "|",  "~"};

bool IsDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)); }
bool IsNameStart(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool IsNameChar(char c) { return IsNameStart(c) || IsDigit(c); }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  void SkipBlank() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#' || c == '^') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        ++at_;
      } else {
        return;
      }
    }
  }

  /// The next token; of kind kEnd at the end and where nothing fits (`problem` then says what is wrong).
  Token Next(std::string& problem) {
    SkipBlank();
    Token t;
    t.offset = at_;
    if (at_ == text_.size()) return t;
    const char c = text_[at_];
    if (IsNameStart(c)) {
      t.kind = TokenKind::kName;
      t.text = TakeWhile(IsNameChar);
    } else if (IsDigit(c)) {
      t.kind = TokenKind::kNumber;
      TakeNumber(t);
    } else if (c == '"') {
      TakeString(t, problem);
    } else {
      TakePunct(t, problem);
    }
    return t;
  }

 private:
  char At(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  std::string_view TakeWhile(bool (*f)(char)) {
    const size_t begin = at_;
    while (at_ < text_.size() && f(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  void TakeNumber(Token& t) {
    TakeWhile(IsDigit);
    // "0..4" is a range: a fraction needs a digit.
    if (At() == '.' && IsDigit(At(1))) ++at_, TakeWhile(IsDigit);
    if (At() == 'e' || At() == 'E') {
      const size_t sign = At(1) == '+' || At(1) == '-';
      if (IsDigit(At(1 + sign))) at_ += 1 + sign, TakeWhile(IsDigit);
    }
    t.text = text_.substr(t.offset, at_ - t.offset);
    t.suffix = TakeWhile(IsNameChar);
  }

  void TakeString(Token& t, std::string& problem) {
    ++at_;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n') {
      char c = text_[at_++];
      if (c == '\\' && !TakeEscape(c)) {
        problem = "an unknown escape in a string; known are \\\\ \\\" \\n \\t \\xNN";
        return;
      }
      t.value += c;
    }
    if (At() != '"') {
      problem = "a string without a closing quote";
      return;
    }
    ++at_;
    t.kind = TokenKind::kString;
    t.text = text_.substr(t.offset, at_ - t.offset);
  }

  bool TakeEscape(char& c) {
    const char e = At();
    ++at_;
    if (e == '\\' || e == '"') return c = e, true;
    if (e == 'n') return c = '\n', true;
    if (e == 't') return c = '\t', true;
    if (e != 'x' || at_ + 2 > text_.size()) return false;
    unsigned value = 0;
    const char* end = text_.data() + at_ + 2;
    if (std::from_chars(text_.data() + at_, end, value, 16).ptr != end) return false;
    at_ += 2;
    c = static_cast<char>(value);
    return true;
  }

  void TakePunct(Token& t, std::string& problem) {
    for (std::string_view p : kPuncts) {
      if (!text_.substr(at_).starts_with(p)) continue;
      t.kind = TokenKind::kPunct;
      t.text = text_.substr(at_, p.size());
      at_ += p.size();
      return;
    }
    const unsigned char c = static_cast<unsigned char>(text_[at_]);
    problem = std::isprint(c) ? fmt::format("the character '{}' has no meaning here", char(c))
                              : fmt::format("the byte 0x{:02x} has no meaning here", c);
  }

  std::string_view text_;
  size_t at_ = 0;
};

std::string Describe(const Token& t) {
  if (t.kind == TokenKind::kEnd) return "the end of the text";
  std::string text(t.text.substr(0, 40));
  text += t.suffix.substr(0, 20);
  return t.kind == TokenKind::kString ? text : "'" + text + "'";
}

}  // namespace

TokenStream::TokenStream(std::string_view text) : text_(text) {
  Lexer lexer(text);
  std::string problem;
  do {
    tokens_.push_back(lexer.Next(problem));
    if (!problem.empty()) Fail(tokens_.back(), "TW1201", problem);
  } while (tokens_.back().kind != TokenKind::kEnd);
}

const Token& TokenStream::Peek(size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

Token TokenStream::Next() {
  Token t = Peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return t;
}

bool TokenStream::Accept(std::string_view text) {
  if (!PeekIs(text)) return false;
  Next();
  return true;
}

void TokenStream::Expect(std::string_view text) {
  if (!Accept(text)) FailExpected("'" + std::string(text) + "'");
}

Token TokenStream::ExpectName(std::string_view what) {
  if (Peek().kind != TokenKind::kName) FailExpected(what);
  return Next();
}

std::string TokenStream::ExpectString(std::string_view what) {
  if (Peek().kind != TokenKind::kString) FailExpected(what);
  return Next().value;
}

std::string TokenStream::ExpectNameOrString(std::string_view what) {
  if (Peek().kind == TokenKind::kString) return Next().value;
  return std::string(ExpectName(what).text);
}

int64_t TokenStream::ExpectInt(std::string_view what) {
  const bool negative = Accept("-");
  const Token t = Peek();
  if (t.kind != TokenKind::kNumber || !t.suffix.empty()) FailExpected(what);
  uint64_t value = 0;
  auto [end, error] = std::from_chars(t.text.data(), t.text.data() + t.text.size(), value);
  if (end != t.text.data() + t.text.size() && error == std::errc()) FailExpected(what);
  if (error != std::errc() || value > uint64_t(INT64_MAX) + negative) {
    Fail(t, "TW1205", fmt::format("{} does not fit 64 bits", Describe(t)));
  }
  Next();
  return int64_t(negative ? 0 - value : value);
}

void TokenStream::Fail(const Token& at, std::string id, std::string message,
                       std::vector<std::string> notes) const {
  const size_t offset = std::min(at.offset, text_.size());
  const size_t previous = offset ? text_.rfind('\n', offset - 1) : std::string_view::npos;
  const size_t begin = previous == std::string_view::npos ? 0 : previous + 1;
  const size_t line = size_t(std::count(text_.begin(), text_.begin() + ptrdiff_t(offset), '\n')) + 1;
  const size_t column = offset - begin + 1;
  // A window of a long line.
  const size_t from = column > 80 ? offset - 60 : begin;
  std::string_view shown = text_.substr(from, std::min(text_.find('\n', from), from + 120) - from);
  std::string excerpt;
  for (char c : shown) excerpt += std::isprint(static_cast<unsigned char>(c)) ? c : ' ';
  notes.insert(notes.begin(),
               fmt::format("in the text\n    {}\n    {}^", excerpt, std::string(offset - from, ' ')));
  throw Error(std::move(id), std::move(message), fmt::format("line {}, column {}", line, column),
              std::move(notes));
}

void TokenStream::FailExpected(std::string_view what) const {
  Fail(Peek(), "TW1202", fmt::format("expected {}, found {}", what, Describe(Peek())));
}

TokenStream::Nesting::Nesting(TokenStream& tokens) : tokens_(tokens) {
  if (tokens_.depth_ >= kMaxNesting) {
    tokens_.Fail(tokens_.Peek(), "TW1206", fmt::format("nested more than {} deep", kMaxNesting));
  }
  ++tokens_.depth_;
}

}  // namespace tilewright
