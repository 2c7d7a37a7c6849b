// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/target/target.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Orders the instructions of a device's units where one reads what another wrote, or overwrites what another
/// read or wrote: the earlier unit pushes a token, the later one pops it (docs/ir.md). The tokens from one
/// unit to another form one queue; in a loop the first iteration takes tokens pushed before the loop, and
/// those of the last are popped behind it, so that every statement leaves the queues as it found them.
/// Buffers are looked at as wholes: tiles that are to be in work at the same time are buffers of their own,
/// as virtual threads have them. The idea is that of the VTA accelerator (Moreau et al., 2018). Error TW1311
/// for what no unit runs. Before: BindThreads. Targets without units: nothing to do.
PrimFunc InsertTokens(const PrimFunc& f, const Target& target);

}  // namespace tilewright
