// SPDX-License-Identifier: Apache-2.0
// Reads modules from text, as graph/printer.h writes them. Errors point into the text, with the ids of
// ir/text_parser.h; those of attributes are TW1003 and TW1004, and TW1209 is for constants that are not in
// the text and not beside it. What is read is well formed: every name is declared, operators and their
// attributes exist, constants fit their types. Whether functions fit each other and operators their arguments
// is for the verifier to say: see CheckGraph in graph/verify.h.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tilewright/graph/printer.h"

namespace tilewright {

/// Gives the bytes of a file that a text names for its constants.
using ConstantDataReader = std::function<std::shared_ptr<const std::string>(const std::string& name)>;

/// A text of functions of both levels and what belongs to them. Without `read_data`, constants must stand in
/// the text itself.
TextModule ParseModule(std::string_view text, const ConstantDataReader& read_data = {});

}  // namespace tilewright
