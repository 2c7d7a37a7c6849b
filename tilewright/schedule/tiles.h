// SPDX-License-Identifier: Apache-2.0
// Blocks over tiles: what Blockize and Tensorize share.
#pragma once

#include "tilewright/schedule/rewriter.h"

namespace tilewright {

/// The block, named `name`, whose instances run all iterations of `loop` and of the loops inside it, for one
/// point of the loops outside. Its body is those loops around the inner block; a reduction's initialisation
/// becomes its own. Error TW1406 where more than one block lies below, TW1416 where the loops are no tile of
/// the block's domain.
BlockNode MakeTileBlock(const Rewriter& rw, const Path& loop, const std::string& name);

}  // namespace tilewright
