// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/ir/dtype.h"
#include "tilewright/runtime/dlpack.h"

namespace tilewright {

/// Element types as DLPack writes them, which is what the runtime knows; bool takes 8 bits there.
DLDataType ToDl(DataType t);
/// Throws Error TW3202 on a type that has no form here: it may come from a damaged module.
DataType FromDl(DLDataType t);

}  // namespace tilewright
