// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/ir/dtype.h"
#include "tilewright/runtime/dlpack.h"

namespace tilewright {

/// Element types as DLPack writes them, which is what the runtime knows; bool takes 8 bits there.
DLDataType ToDl(DataType t);
DataType FromDl(DLDataType t);

}  // namespace tilewright
