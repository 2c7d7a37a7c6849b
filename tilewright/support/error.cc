// SPDX-License-Identifier: Apache-2.0
#include "tilewright/support/error.h"

namespace tilewright {

std::string Diagnostic::ToString() const {
  std::string text = "error[" + id + "]: " + message;
  if (!where.empty()) text += "\n  at " + where;
  for (const std::string& note : notes) text += "\n  note: " + note;
  return text;
}

Error::Error(std::vector<Diagnostic> diagnostics) : diagnostics_(std::move(diagnostics)) {
  if (diagnostics_.empty()) diagnostics_.push_back({"TW0001", "an error without a description", "", {}});
  for (const Diagnostic& d : diagnostics_) {
    if (!text_.empty()) text_ += '\n';
    text_ += d.ToString();
  }
}

void FailCheck(const char* condition, const char* file, int line, const std::string& message) {
  // The path from the source root is enough, and keeps the build machine out of messages.
  std::string path = file;
  if (size_t at = path.rfind("tilewright/"); at != std::string::npos) path = path.substr(at);
  std::string text = "internal error at " + path + ":" + std::to_string(line) + ": " + condition;
  if (!message.empty()) text += ": " + message;
  throw InternalError(text);
}

}  // namespace tilewright
