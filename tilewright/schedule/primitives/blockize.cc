// SPDX-License-Identifier: Apache-2.0
// Blockize: loops become one block over tiles. Legal where they are a tile of the domain of the one block
// below.
#include "tilewright/schedule/rewriter.h"
#include "tilewright/schedule/tiles.h"

namespace tilewright {

BlockRef Schedule::Blockize(const LoopRef& loop) {
  Rewriter rw(*this, "blockize");
  const Path path = rw.Find(loop);
  std::vector<BlockSite> below = BlocksBelow(path.stmt());
  const std::string base = below.empty() ? loop.var.name() : below.front().block->name;
  const BlockRef outer{rw.FreshBlockName(base + "_o")};
  Stmt block = MakeBlock(MakeTileBlock(rw, path, outer.name));
  rw.Commit(path.Replace(block), {loop}, {}, {outer});
  return outer;
}

}  // namespace tilewright
