// SPDX-License-Identifier: Apache-2.0
// Reads kernel-level functions from text, as tir/printer.h writes them. Errors have the ids of
// ir/text_parser.h and point into the text. What is read is well typed and every name is declared, but may
// still break rules of its stage: see tir/verify.h.
#pragma once

#include <string_view>

#include "tilewright/ir/tokens.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// A text that is one function.
PrimFunc ParsePrimFunc(std::string_view text);
/// A text of any number of functions of different names.
IRModule ParsePrimFuncs(std::string_view text);
/// The function that begins at the next token ("primfunc"), for parsers of texts that hold other things too.
PrimFunc ParsePrimFunc(TokenStream& tokens);

}  // namespace tilewright
