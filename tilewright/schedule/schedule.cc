// SPDX-License-Identifier: Apache-2.0
// Looking around in a schedule.
#include "tilewright/schedule/schedule.h"

#include "tilewright/schedule/rewriter.h"

namespace tilewright {

Schedule::Schedule(PrimFunc func) : func_(std::move(func)) {
  TW_CHECK(func_->stage == TirStage::kScheduled, "{} is lowered already", func_.name());
  TW_CHECK(func_->body && func_->body.As<BlockNode>(), "the body of {} is not a root block", func_.name());
}

BlockRef Schedule::GetBlock(const std::string& name) {
  BlockRef block{name};
  Rewriter rw(*this, "get_block");
  rw.Find(block);
  rw.RecordLookup({}, {name}, {block});
  return block;
}

std::vector<LoopRef> Schedule::GetLoops(const BlockRef& block) {
  Rewriter rw(*this, "get_loops");
  std::vector<LoopRef> loops;
  for (const ForNode* loop : rw.Find(block).Loops()) loops.push_back({loop->var});
  rw.RecordLookup({block}, {}, {loops.begin(), loops.end()});
  return loops;
}

std::vector<BlockRef> Schedule::Blocks() const {
  std::vector<BlockRef> blocks;
  PreOrder(func_->body, [&](const Stmt& s) {
    if (auto* block = s.As<BlockNode>(); block && s != func_->body) blocks.push_back({block->name});
    return true;
  });
  return blocks;
}

namespace {

/// Blocks of the same scope for which `related(other)` holds, but not the block itself.
template <class Related>
std::vector<BlockRef> Select(const Path& path, const Related& related) {
  const BlockNode& scope = *path.nodes[path.scope()].As<BlockNode>();
  std::vector<BlockRef> result;
  for (const BlockSite& site : BlocksBelow(scope.body)) {
    if (site.block != &path.block() && related(*site.block)) result.push_back({site.block->name});
  }
  return result;
}

}  // namespace

std::vector<BlockRef> Schedule::Producers(const BlockRef& block) const {
  Path path = Rewriter(const_cast<Schedule&>(*this), "producers").Find(block);
  return Select(path, [&](const BlockNode& other) {
    const auto& reads = path.block().reads;
    return std::any_of(reads.begin(), reads.end(),
                       [&](const BufferRegion& r) { return WritesBuffer(other, r.buffer); });
  });
}

std::vector<BlockRef> Schedule::Consumers(const BlockRef& block) const {
  Path path = Rewriter(const_cast<Schedule&>(*this), "consumers").Find(block);
  return Select(path, [&](const BlockNode& other) {
    const auto& writes = path.block().writes;
    return std::any_of(writes.begin(), writes.end(),
                       [&](const BufferRegion& r) { return ReadsBuffer(other, r.buffer); });
  });
}

const BlockNode& Schedule::Get(const BlockRef& block) const {
  handed_out_.push_back(Rewriter(const_cast<Schedule&>(*this), "get").Find(block).stmt());
  return *handed_out_.back().As<BlockNode>();
}

const ForNode& Schedule::Get(const LoopRef& loop) const {
  handed_out_.push_back(Rewriter(const_cast<Schedule&>(*this), "get").Find(loop).stmt());
  return *handed_out_.back().As<ForNode>();
}

std::vector<Buffer> Schedule::Buffers() const {
  return Rewriter(const_cast<Schedule&>(*this), "buffers").Buffers();
}

bool Schedule::Exists(const BlockRef& block) const {
  return !FindBlock(func_->body, block.name).nodes.empty();
}

}  // namespace tilewright
