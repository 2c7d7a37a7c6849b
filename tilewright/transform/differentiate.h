// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tilewright/graph/graph.h"

namespace tilewright {

struct DifferentiateOptions {
  std::string loss;                     ///< the result of @main to differentiate: one floating-point element
  std::vector<std::string> parameters;  ///< those of @main by which; floating-point tensors
};

/// Reverse-mode differentiation: appends to @main's results the derivatives of one of them with respect to
/// parameters, in their order and of their types, named "gradient:NAME". Before: operators are as imported,
/// with the weights of the model as parameters (neither layouts nor fused functions, and batch normalisation
/// not folded). After: the same, and @main computes what it did; loops through which the derivative goes also
/// stack what each iteration starts with.
/// Errors: TW2204 names that @main has not got, TW2205 a loss that is not one number or a parameter that is
/// not of floats, TW2206 all nodes on the way that have no gradient, TW2203 single cases of an operator.
IRModule Differentiate(const IRModule& module, const DifferentiateOptions& options);

/// Appends to @main, behind Differentiate, a step of gradient descent: a parameter `rate`, a scalar, and for
/// each of the parameters a result "next:NAME" with PARAMETER - rate * gradient in place of the gradient. The
/// attribute "donate" of @main then says that it may take the parameter's memory.
IRModule AddDescentStep(const IRModule& module, const DifferentiateOptions& options, const std::string& rate);

}  // namespace tilewright
