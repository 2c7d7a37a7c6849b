// SPDX-License-Identifier: Apache-2.0
// Names of the IR as identifiers of C.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tilewright::c_codegen {

/// `text` with all that C does not allow in an identifier replaced by `_`; never empty, never a word of C or
/// a name that generated sources use themselves.
std::string Identifier(std::string_view text);

/// Names that are visible at a place of the text, in nested scopes.
class NameScopes {
 public:
  NameScopes() { Push(); }
  void Push() { declared_.emplace_back(); }
  void Pop();
  /// An identifier like `wanted` that nothing visible has.
  std::string Declare(std::string_view wanted);

 private:
  std::vector<std::vector<std::string>> declared_;  ///< by scope
  std::unordered_map<std::string, int> visible_;    ///< and where the search for the next number begins
};

}  // namespace tilewright::c_codegen
