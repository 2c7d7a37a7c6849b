// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

namespace {

/// Channels of the input that are blocked together; 1 when its layout is natural.
int64_t InputBlock(const BlockNode& conv) {
  auto it = conv.annotations.find("input_block");
  return it == conv.annotations.end() ? 1 : std::get<int64_t>(it->second);
}

/// Bytes of a buffer whose extents are constant; else 0.
int64_t BytesOf(const Buffer& buffer) {
  int64_t bytes = buffer.dtype().bytes();
  for (const Expr& e : buffer.shape()) bytes *= AsInt(e).value_or(0);
  return bytes;
}

/// Whether an annotation says yes.
bool IsSet(const BlockNode& block, const std::string& key) {
  auto it = block.annotations.find(key);
  return it != block.annotations.end() && std::get<bool>(it->second);
}

/// Whether a block computes functions (exp, tanh, ...), each of which takes tens of instructions.
bool ComputesFunctions(const BlockNode& block) {
  bool found = false;
  PreOrderExprs(block.body, [&](const Expr& e) {
    auto* call = e.As<CallNode>();
    if (!call || call->op == Intrinsic::k_sqrt || call->op == Intrinsic::k_rsqrt) return;
    found |= call->op <= Intrinsic::k_atanh;  // functions are the first of all
  });
  return found;
}

/// Schedules one convolution into NCHW[b]c. Its iteration variables are the output's axes in physical order
/// (behind the number of the run, if it is summed in runs, or the phase, if it is transposed), then channels
/// (unless depthwise) and window axes.
class ConvRule {
 public:
  ConvRule(Schedule& s, const BlockRef& conv, const RuleContext& context)
      : s_(s), conv_(conv), node_(s.Get(conv)), context_(context) {
    first_ = IsSet(node_, "runs") ? 1 : 0;
    if (auto it = node_.annotations.find("phases"); it != node_.annotations.end()) {
      phases_ = std::get<std::vector<int64_t>>(node_.annotations.at("strides"));
      first_ = phases_.size();
    }
    size_t spatial = 0;
    for (const IterVar& iv : node_.iter_vars) spatial += iv.kind == IterKind::kSpatial;
    axes_ = spatial - std::min(spatial, first_);
    depthwise_ = IsSet(node_, "depthwise");
    if (auto it = node_.annotations.find("groups"); it != node_.annotations.end() && !depthwise_)
      groups_ = std::get<int64_t>(it->second);
  }

  /// Whether the layout has a vector of channels to work on and the extents that tiles depend on are known.
  bool Applies() const {
    auto blocked = node_.annotations.find("channel_block");
    return blocked != node_.annotations.end() && std::get<int64_t>(blocked->second) > 1 && axes_ >= 4 &&
           bool(node_.init) && Extent(1) > 0 && Extent(axes_ - 1) > 0;
  }

  void Run() {
    input_block_ = depthwise_ ? 1 : InputBlock(node_);
    dot_ = TakesDot();
    PlanTile();
    weight_ = PackWeight(tile_.vectors * Extent(axes_ - 1));
    blocks_ = IsolateProduct(s_, conv_);
    KeepSums();
    if (open_columns_) {
      s_.PadAxis(conv_, s_.GetLoops(conv_)[first_ + axes_ - 2], tile_.rows);
      if (blocks_.total) s_.PadAxis(*blocks_.total, s_.GetLoops(*blocks_.total)[axes_ - 2], tile_.rows);
    }
    ExplainTile(context_, space_, tile_, Spaces(),
                Extent(0) * (Extent(1) / tile_.vectors) * std::max<int64_t>(1, lines_ / tile_.lines));
    TileOutput();
    if (kept_) StoreSums();
    ComputeAtTile(s_, blocks_, column_tiles_, Extent(axes_ - 1));
    TileProduct();
    SeparateLastTile(s_, column_tiles_, node_.iter_vars[first_ + axes_ - 2].dom.extent, tile_.rows);
    if (tile_.lines > 1) SeparateLastTile(s_, line_tiles_, Expr(lines_), tile_.lines);
    const LoopRef work = s_.Fuse(parallel_);
    if (WorthThreads(Cycles(), context_.target)) s_.Parallel(work);
  }

 private:
  /// How often there is what the tile was chosen for.
  int64_t Spaces() const {
    const int64_t runs = first_ == 0 ? 1 : AsInt(node_.iter_vars[0].dom.extent).value_or(1);
    return Extent(0) * runs * (depthwise_ ? Extent(1) : groups_);
  }

  /// Predicted cycles of one core: of the tiles, or of bringing the weights from the second level of cache.
  /// Extents that are not known may be large.
  double Cycles() const {
    for (size_t axis = 0; axis < axes_; ++axis) {
      if (Extent(axis) == 0) return std::numeric_limits<double>::infinity();
    }
    const double tiles = double(Spaces()) * TileCycles(space_, tile_, context_.target);
    return std::max(tiles, weight_ ? CachedCycles(BytesOf(weight_), context_.target) : 0);
  }

  /// Extent of the output along its physical axis; 0 when it is not constant.
  int64_t Extent(size_t axis) const { return AsInt(node_.iter_vars[first_ + axis].dom.extent).value_or(0); }

  /// Whether the target's dot product of bf16 takes it: pairs of channels are neighbours in the argument, and
  /// in a constant weight that is laid out so.
  bool TakesDot() const {
    return context_.target.has_dot_bf16 && IsReducedProduct(node_) && !depthwise_ && phases_.empty() &&
           !node_.annotations.contains("transposed") && input_block_ % 2 == 0 &&
           Extent(axes_ - 1) == context_.target.VectorLanes(4) && WeightIndex() >= 0;
  }

  /// Whether what the convolution reads there is its weight, which the image and the place in it do not
  /// choose.
  bool IsWeight(const BufferRegion& r) const {
    if (r.buffer.shape().size() != axes_ - 1) return false;
    auto reads_along = [&](size_t axis) {
      return std::any_of(r.region.begin(), r.region.end(), [&](const Range& range) {
        return UsesVar(range.min, node_.iter_vars[first_ + axis].var);
      });
    };
    for (size_t axis = 2; axis + 1 < axes_; ++axis) {
      if (reads_along(axis)) return false;
    }
    return !reads_along(0) && reads_along(axes_ - 1);
  }

  /// The parameter that is a constant weight: its position, else -1.
  int WeightIndex() const {
    // The image comes first; alone and of one element it may be read as a weight is.
    for (auto r = node_.reads.rbegin(); r != node_.reads.rend(); ++r) {
      const int index = ParameterIndex(s_, r->buffer);
      if (context_.IsConstant(index) && IsWeight(*r)) return index;
    }
    return -1;
  }

  /// Packs the weight [O, C, kernel...] (of a transposed convolution [C, O, kernel...]) to [O / width][C /
  /// block][kernel...][block][width], when it is a constant: the order in which the tile walks it. For dot
  /// products, [block][width] are pairs of the block for each filter of a vector. Returns the packed buffer,
  /// or null.
  Buffer PackWeight(int64_t width) {
    const int index = WeightIndex();
    if (index >= 0) {
      const Buffer weight = s_.func()->buffers[size_t(index)];
      std::vector<Var> old;
      for (size_t d = 0; d < weight.shape().size(); ++d) old.push_back(Var(fmt::format("d{}", d)));
      const size_t filters = node_.annotations.contains("transposed") ? 1 : 0;
      std::vector<Expr> packed = {FloorDiv(old[filters], width), FloorDiv(old[1 - filters], input_block_)};
      if (!phases_.empty()) {
        // Taps that one phase meets lie together.
        for (size_t d = 0; d < phases_.size(); ++d)
          packed.insert(packed.begin() + 1 + std::ptrdiff_t(d), FloorMod(old[d + 2], Expr(phases_[d])));
        for (size_t d = 0; d < phases_.size(); ++d) packed.push_back(FloorDiv(old[d + 2], Expr(phases_[d])));
      } else {
        packed.insert(packed.end(), old.begin() + 2, old.end());
      }
      if (dot_) {
        const Expr channel = FloorMod(old[1 - filters], input_block_), filter = FloorMod(old[filters], width);
        const Expr lanes(Extent(axes_ - 1));
        packed.insert(packed.end(), {FloorDiv(channel, 2), FloorDiv(filter, lanes),
                                     FloorMod(filter, lanes) * Expr(2) + FloorMod(channel, 2)});
      } else {
        packed.insert(packed.end(),
                      {FloorMod(old[1 - filters], input_block_), FloorMod(old[filters], width)});
      }
      s_.TransformLayout(weight, old, packed);
      return s_.func()->buffers[size_t(index)];
    }
    return nullptr;
  }

  /// Bytes of the image that a place of the output needs per step of a reduction so deep: the taps of a
  /// window share what they read of a channel.
  double BytesPerStep(int64_t depth) const {
    auto channels = std::find_if(node_.iter_vars.begin(), node_.iter_vars.end(),
                                 [](const IterVar& iv) { return iv.kind == IterKind::kReduce; });
    if (channels == node_.iter_vars.end()) return 0;
    const int64_t window = depth / AsInt(channels->dom.extent).value_or(depth);
    return double(node_.writes[0].buffer.dtype().bytes()) / double(window);
  }

  /// The tile over the last two spatial axes and the channel blocks. Lines of the image make parallel work,
  /// so that the last tile of lines may be smaller only where the other axes fill the cores without them.
  void PlanTile() {
    TileSpace& space = space_;
    open_columns_ = Extent(axes_ - 2) == 0;
    columns_ = space.rows = open_columns_ ? kTypicalExtent : Extent(axes_ - 2);
    lines_ = space.lines = axes_ > 4 && !open_columns_ ? std::max<int64_t>(1, Extent(axes_ - 3)) : 1;
    // Vectors of two groups would share nothing of the image.
    space.vectors = depthwise_ ? 1 : Extent(1) / groups_;
    for (const IterVar& iv : node_.iter_vars) {
      if (iv.kind == IterKind::kReduce) space.depth *= AsInt(iv.dom.extent).value_or(1);
    }
    if (!depthwise_) space.row_step_bytes = BytesPerStep(space.depth);
    if (dot_) space.depth /= 2;
    tile_ = ChooseTile(space, context_.target);
    const int64_t units = Extent(0) * (Extent(1) / tile_.vectors);
    if (lines_ % tile_.lines == 0 || FillsCores(units, context_.target)) return;
    space.ragged_lines = false;
    tile_ = ChooseTile(space, context_.target);
  }

  /// Whether all panels of weights go over one line before the next line, and not all lines over one panel:
  /// the weights stay in the second level of cache, and the image does not.
  bool PanelsShareLines() const {
    if (depthwise_ || !phases_.empty() || lines_ % tile_.lines || !weight_) return false;
    int64_t image = 0;
    for (const BufferRegion& r : node_.reads) {
      if (r.buffer.shape().size() == axes_) image = std::max(image, BytesOf(r.buffer));
    }
    const int64_t room = context_.target.CacheBytes(2) / 2;
    return image > room && BytesOf(weight_) <= room;
  }

  /// Registers have to be named, so that what reads them is there once for each. Where that is long, sums go
  /// to memory, and a loop reads them from there: code of a fraction of the length, which is as fast.
  void KeepSums() {
    if (blocks_.total || open_columns_ || tile_.rows * tile_.lines == 1 ||
        !ComputesFunctions(s_.Get(blocks_.tail)))
      return;
    s_.SetScope(conv_, 0, "global");
    kept_ = s_.CacheWrite(conv_, s_.Get(conv_).writes.front().buffer, "register");
  }

  /// Stores the tile's sums, each by a line of its own.
  void StoreSums() {
    s_.ComputeAt(*kept_, column_tiles_);
    std::vector<LoopRef> own = s_.GetLoops(*kept_);
    own.erase(own.begin(), own.end() - std::ptrdiff_t(axes_));
    std::vector<LoopRef> tile = {own[axes_ - 2], own[1]};
    if (tile_.lines > 1) tile.insert(tile.begin(), own[axes_ - 3]);
    std::vector<LoopRef> nest = tile;
    nest.push_back(own[axes_ - 1]);
    s_.Reorder(nest);
    s_.Vectorize(own[axes_ - 1]);
    for (const LoopRef& l : tile) s_.Unroll(l);
  }

  /// Cuts the tail's loops to tiles: outer loops, tiles along columns, then the tile's own.
  void TileOutput() {
    std::vector<LoopRef> all = s_.GetLoops(blocks_.tail), phases;
    for (size_t d = 0; d < phases_.size(); ++d) {
      std::vector<LoopRef> parts = s_.Split(all[d + 2], {Expr(nullptr), Expr(phases_[d])});
      all[d + 2] = parts[0];
      phases.push_back(parts[1]);
    }
    const LoopRef lanes = all.back();
    std::vector<LoopRef> b = s_.Split(all[1], {Expr(nullptr), Expr(tile_.vectors)});
    std::vector<LoopRef> w = s_.Split(all[axes_ - 2], {Expr(nullptr), Expr(tile_.rows)});
    panels_ = b[0];
    std::vector<LoopRef> outer = {all[0], b[0]}, inner = {b[1]};
    outer.insert(outer.end(), phases.begin(), phases.end());
    outer.insert(outer.end(), all.begin() + 2, all.begin() + std::ptrdiff_t(axes_) - 2);
    if (tile_.lines > 1) {
      std::vector<LoopRef> h = s_.Split(outer.back(), {Expr(nullptr), Expr(tile_.lines)});
      outer.back() = line_tiles_ = h[0];
      inner.push_back(h[1]);
    }
    column_tiles_ = w[0];
    inner.push_back(w[1]);
    // Of sums in memory, a place with its vectors at a time.
    if (kept_) std::rotate(inner.begin(), inner.begin() + 1, inner.end());
    if (PanelsShareLines()) std::rotate(outer.begin() + 1, outer.begin() + 2, outer.end());
    std::vector<LoopRef> order = outer;
    order.push_back(column_tiles_);
    order.insert(order.end(), inner.begin(), inner.end());
    order.push_back(lanes);
    s_.Reorder(order);
    s_.Vectorize(lanes);
    if (kept_) inner.erase(inner.begin(), inner.end() - 1);  // the others stay loops
    for (auto it = inner.rbegin(); it != inner.rend(); ++it) s_.Unroll(*it);
    parallel_ = outer;
    // A smaller last tile of lines is a part of its own, which a loop that is split among threads cannot
    // have.
    if (lines_ % tile_.lines) parallel_.pop_back();
  }

  /// Orders the product's loops below the tile: channels and window outside, the tile's vectors inside.
  void TileProduct() {
    std::vector<LoopRef> own = s_.GetLoops(conv_);
    const size_t count = s_.Get(conv_).iter_vars.size();
    own.erase(own.begin(), own.end() - std::ptrdiff_t(count - first_));
    std::vector<LoopRef> depth(own.begin() + std::ptrdiff_t(axes_), own.end());
    if (!depthwise_) {
      // Channels in blocks of the input's layout: whole blocks outside the window, lanes of a block inside.
      std::vector<LoopRef> c = s_.Split(depth[0], {Expr(nullptr), Expr(input_block_)});
      depth.front() = c[0];
      depth.push_back(c[1]);
    }
    std::optional<LoopRef> pair;
    if (dot_) {
      const std::vector<LoopRef> pairs = s_.Split(depth.back(), {Expr(nullptr), Expr(2)});
      depth.back() = pairs[0];
      pair = pairs[1];
    }
    // Blocks inside columns: the few vectors of weights stay in registers while each broadcast serves all of
    // them and dies; the other way round, a tile's worth of broadcasts would have to stay.
    std::vector<LoopRef> tile = {own[axes_ - 2], own[1]}, nest = depth;
    if (tile_.lines > 1) tile.insert(tile.begin(), own[axes_ - 3]);
    nest.insert(nest.end(), tile.begin(), tile.end());
    nest.push_back(own[axes_ - 1]);
    if (pair) nest.push_back(*pair);
    s_.Reorder(nest);
    s_.Vectorize(own[axes_ - 1]);
    for (const LoopRef& l : tile) s_.Unroll(l);
    s_.DecomposeReduction(conv_, depth.front());
    const int64_t tiles =
        ((columns_ + tile_.rows - 1) / tile_.rows) * ((lines_ + tile_.lines - 1) / tile_.lines);
    bool known = true;  // how many iterations a panel has
    for (size_t axis = 2; axis + 1 < axes_; ++axis) known &= Extent(axis) > 0;
    if (weight_ && known && WantsPrefetch(weight_, tiles, context_.target))
      s_.PrefetchSpread(conv_, weight_, panels_, depth.back(), 2);
    if (dot_) s_.Tensorize(own[axes_ - 1], fmt::format("dot_bf16_f32x{}", Extent(axes_ - 1)));
  }

  Schedule& s_;
  const BlockRef conv_;
  const BlockNode& node_;
  const RuleContext& context_;
  size_t first_, axes_;  ///< position of the first output axis; number of output axes
  bool depthwise_, open_columns_ = false;
  bool dot_ = false;             ///< computed by the target's dot product of bf16
  std::vector<int64_t> phases_;  ///< number of phases along each spatial axis; empty: not by phase
  int64_t groups_ = 1, lines_ = 1, columns_ = 1, input_block_ = 1;
  TileSpace space_;
  RegisterTile tile_;
  TileBlocks blocks_;
  std::optional<BlockRef> kept_;  ///< stores the tile's sums to memory
  Buffer weight_;                 ///< packed; null when it is not constant
  LoopRef panels_, line_tiles_, column_tiles_;
  std::vector<LoopRef> parallel_;
};

}  // namespace

// Direct convolution into NCHW[b]c. A register tile is a run of output columns by some channel blocks; for
// each input channel and window position it takes one vector of weights per block and one broadcast of input
// per column. Depthwise convolutions take the same shape with vectors of input instead of broadcasts.
bool ScheduleConv(Schedule& s, const BlockRef& conv, const RuleContext& context) {
  ConvRule rule(s, conv, context);
  if (!rule.Applies()) return false;
  rule.Run();
  return true;
}

}  // namespace tilewright::cpu
