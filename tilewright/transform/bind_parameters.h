// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Binds parameters of @main to constants by the model's name for them (origin). Before: nothing;
/// differentiation has run if it is wanted. After: the parameters that are left are the model's inputs. Error
/// TW2202 when a value's type is not the parameter's.
IRModule BindParameters(const IRModule& module, const std::map<std::string, NDArray>& values);

}  // namespace tilewright
