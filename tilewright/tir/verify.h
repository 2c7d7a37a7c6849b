// SPDX-License-Identifier: Apache-2.0
// Verifiers of the two stages of the kernel level. What they accept, the passes after them may rely on.
//
// Both stages check:
//   TW1501 no node of the other stage; what a node needs is there
//   TW1502 variables: bound once in a function, used only where they are bound
//   TW1503 types of every expression, store, loop, condition, let
//   TW1504 buffers: parameters, or allocated around their use; declared once; as many outputs as said
//
// Scheduled stage:
//   TW1501 the body is a block named "root" without iteration variables; names of blocks are unique;
//          no Allocate, Yield or carried values
//   TW1502 a block uses no variable of a loop outside it but in its bindings and predicate
//   TW1505 what init and body of a block load is in one of its `reads` or `writes`, what they store in one of
//          its `writes`; buffers that the block allocates itself need not be
//   TW1506 bindings lie in the domains of their variables wherever the predicate holds
//   TW1507 a block with reduce variables reads what it writes; a parallel, vectorized or thread-bound loop
//          binds no reduce or opaque variable
//   TW1508 vectorized and unrolled loops have constant extents; thread-bound ones, and only they, a tag
// TW1505 and TW1506 compare a buffer's name exactly, and indices at a few points of the iteration space (the
// corners, and some between): what they report is wrong; what they do not report need not be right. They skip
// conditions and indices that depend on loaded values or symbolic dimensions.
//
// Lowered stage (what code generators read, see tir/lower/lower.h):
//   TW1501 no Block; at most one parallel loop on the way from the top; no vectorized or unrolled loop
//   TW1503 conditions are scalar; carried values keep their type
//   TW1504 buffers have as many dimensions as axis separators plus one; none is of scope "register"
//   TW1509 a loop with carried values is serial and ends with a Yield of as many; no Yield elsewhere
//
// Not checked: that the blocks together write every element of the outputs (copies of a block may each cover
// a part); that spatial instances of a block write different elements; alignment; the memory scopes'
// capacity.
#pragma once

#include <vector>

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// What is wrong with a function of the stage; empty when nothing is. Each finding shows its statement.
std::vector<Diagnostic> VerifyScheduled(const PrimFunc& f);
std::vector<Diagnostic> VerifyLowered(const PrimFunc& f);

/// Verifies by the function's own stage. Throws Error with all findings, and the function with the guilty
/// statements marked.
void CheckPrimFunc(const PrimFunc& f);

}  // namespace tilewright
