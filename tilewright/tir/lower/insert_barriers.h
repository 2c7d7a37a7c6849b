// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/target/target.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Puts barriers between the threads of a block where one may read what another wrote into memory that they
/// share, and where one may overwrite what another read or wrote. Buffers are looked at as wholes: what a
/// thread alone uses should be in a scope of its own. Error TW1309 where a barrier would be needed in a place
/// that not all threads come to. Before: BindThreads.
PrimFunc InsertBarriers(const PrimFunc& f, const Target& target);

}  // namespace tilewright
