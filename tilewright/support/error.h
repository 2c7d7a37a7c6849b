// SPDX-License-Identifier: Apache-2.0
// Errors. `Error` is for what the user can mend and carries diagnostics with ids;
// `InternalError` is a bug of the compiler. The two never mix: a malformed model must end in the first.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace tilewright {

/// One finding: a stable id ("TW2001"), what is wrong, where, and what to do about it.
struct Diagnostic {
  std::string id;
  std::string message;
  std::string where;               ///< model node, operator set, file, or printed IR; may be empty
  std::vector<std::string> notes;  ///< what was expected, what to do, the IR with the guilty line marked

  /// "error[TW2001]: message" with "  at where" and "  note: ..." lines.
  std::string ToString() const;
};

/// An error that the user can mend; several findings may be reported at once.
class Error : public std::exception {
 public:
  explicit Error(Diagnostic diagnostic) : Error(std::vector<Diagnostic>{std::move(diagnostic)}) {}
  explicit Error(std::vector<Diagnostic> diagnostics);
  Error(std::string id, std::string message, std::string where = {}, std::vector<std::string> notes = {})
      : Error(Diagnostic{std::move(id), std::move(message), std::move(where), std::move(notes)}) {}

  const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }
  const std::string& id() const { return diagnostics_.front().id; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::vector<Diagnostic> diagnostics_;
  std::string text_;
};

/// A broken invariant of the compiler itself.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void FailCheck(const char* condition, const char* file, int line, const std::string& message);

}  // namespace tilewright

/// Checks an invariant of the compiler; the message is a fmt format string, evaluated only on failure.
#define TW_CHECK(condition, ...) \
  (static_cast<bool>(condition)  \
       ? static_cast<void>(0)    \
       : ::tilewright::FailCheck(#condition, __FILE__, __LINE__, ::fmt::format("" __VA_ARGS__)))
