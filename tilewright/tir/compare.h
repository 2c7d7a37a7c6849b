// SPDX-License-Identifier: Apache-2.0
// When two kernels are the same: equal up to the names of functions, blocks, variables and buffers.
// Everything else counts: structure, types, declared ranges of dimensions, buffer fields, annotations and
// attributes.
#pragma once

#include <cstdint>
#include <string>

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Bytes that two functions share exactly when they are the same: what StructuralEqual compares, and a key
/// for maps and caches. Variables and buffers count by the order of their declarations.
std::string CanonicalBytes(const PrimFunc& f);
bool StructuralEqual(const PrimFunc& a, const PrimFunc& b);
/// Equal for functions that are the same; does not depend on the process.
uint64_t StructuralHash(const PrimFunc& f);

}  // namespace tilewright
