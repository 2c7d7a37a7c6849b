// SPDX-License-Identifier: Apache-2.0
// What operators say of themselves for reduced precision, beside their definitions.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "tilewright/graph/op_def.h"

namespace tilewright {

/// For an operator whose arguments 0 and 1 are f32, argument 1 a constant weight: the attributes with which
/// it takes both in bf16 and adds up in f32, where the target does that and it is predicted to be faster than
/// what the operator would be in f32.
using ReducedForm = std::function<std::optional<Attrs>(const InferContext&, const ChoiceContext&)>;

/// States it for an operator; a static object beside the definition does.
struct RegisterReduced {
  RegisterReduced(const std::string& op, ReducedForm form);
};

/// Null where the operator has none.
const ReducedForm* FindReduced(const OpDef& op);

}  // namespace tilewright
