// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/rules/cpu.h"
#include "tilewright/schedule/rules/winograd_plan.h"

namespace tilewright::cpu {

namespace {

/// Schedules one convolution by Winograd's algorithm. Its blocks are, in order: input_columns and input_tiles
/// [a, b, image, channel block, tile, channel], the filters [a, b, channel, filter], the products [a, b,
/// image, filter block, tile, filter], output_columns and output_tiles [p, q, image, filter block, tile,
/// filter], and element-wise work on [image, filter block, row, column, filter].
class WinogradRule {
 public:
  WinogradRule(Schedule& s, const BlockRef& products, const RuleContext& context)
      : s_(s), products_(products), context_(context) {}

  /// Finds the blocks; whether there are vectors of channels to work on.
  bool Applies() {
    const BlockNode& node = s_.Get(products_);
    shape_.tile = std::get<int64_t>(node.annotations.at("tile"));
    const auto& tiles = std::get<std::vector<int64_t>>(node.annotations.at("tiles"));
    shape_.taps = AsInt(node.iter_vars[0].dom.extent).value_or(0) - shape_.tile + 1;
    shape_.tile_rows = tiles[0], shape_.tile_columns = tiles[1];
    for (const BlockRef& b : s_.Producers(products_)) {
      (s_.Get(b).annotations.contains("rule") ? filters_ : input_tiles_) = b;
    }
    const auto images = AsInt(node.iter_vars[2].dom.extent), blocks = AsInt(node.iter_vars[3].dom.extent);
    const auto channels = AsInt(node.iter_vars[6].dom.extent);
    if (!images || *images < 1 || !blocks || !channels) return false;
    shape_.images = *images;
    shape_.channels = *channels;
    shape_.out_block = *AsInt(node.iter_vars[5].dom.extent);
    shape_.filters = *blocks * shape_.out_block;
    shape_.in_block = *AsInt(s_.Get(input_tiles_).iter_vars[5].dom.extent);
    return shape_.in_block > 1 && shape_.out_block > 1;
  }

  void Run() {
    plan_ = PlanWinograd(shape_, context_.target);
    Explain();
    PackFilters();
    const BlockRef output_columns = s_.Consumers(products_).at(0);
    const BlockRef output_tiles = s_.Consumers(output_columns).at(0);
    tail_ = IsolateProduct(s_, output_tiles).tail;
    const BlockRef kept = s_.CacheWrite(products_, s_.Get(products_).writes.front().buffer, "register");
    TileOutput();
    TransformOutput(output_tiles, output_columns);
    MultiplyPanel(kept);
    TransformInput();
    s_.Parallel(s_.Fuse(parallel_));
  }

 private:
  void Explain() const {
    if (!context_.explanation) return;
    std::vector<WinogradPlan> plans;
    PlanWinograd(shape_, context_.target, &plans);
    std::vector<ExplainedOption> options;
    for (const WinogradPlan& p : plans) {
      const bool taken = p.strip_rows == plan_.strip_rows && p.strip_columns == plan_.strip_columns &&
                         p.panel_chunks == plan_.panel_chunks;
      options.push_back(
          {fmt::format("strips of {} x {} tiles, register tile {} x {}, panels of {} vectors, {} parts "
                       "of filters x {} of strips for threads",
                       p.strip_rows, p.strip_columns, p.rows, p.vectors, p.panel, p.panel_chunks,
                       p.strip_chunks),
           p.cycles, taken});
    }
    ExplainOptions(context_, "strips",
                   "the least predicted time of transforms, products and reading of filters",
                   std::move(options));
    context_.explanation->cycles += plan_.cycles;
  }

  /// Puts the filters into panels [panel][a][b][tile][channel][filter], and constant ones into what is
  /// prepared.
  void PackFilters() {
    const BlockNode& node = s_.Get(filters_);
    const Buffer parameter = node.reads.front().buffer;
    const std::vector<Var> old = {Var("a"), Var("b"), Var("c"), Var("o")};
    const int64_t width = plan_.vectors * shape_.out_block, panel = plan_.panel * shape_.out_block;
    const std::string name = node.writes.front().buffer.name();
    s_.TransformLayout(node.writes.front().buffer, old,
                       {FloorDiv(old[3], panel), old[0], old[1], FloorDiv(FloorMod(old[3], panel), width),
                        old[2], FloorMod(old[3], width)});
    for (const Buffer& b : s_.Buffers()) {
      if (b.name() == name) packed_ = b;
    }
    if (context_.IsConstant(ParameterIndex(s_, parameter))) s_.MoveToPrepare(filters_);
  }

  /// Cuts the tail's loops: chunks, strips, panels of filters, then the tiles of a strip.
  void TileOutput() {
    const std::vector<LoopRef> all = s_.GetLoops(tail_);
    const Expr tile(shape_.tile), rest(nullptr);
    const std::vector<LoopRef> panels = s_.Split(all[1], {rest, Expr(plan_.panel)});
    const std::vector<LoopRef> rows = s_.Split(all[2], {rest, tile}),
                               columns = s_.Split(all[3], {rest, tile});
    const std::vector<LoopRef> strip_rows = s_.Split(rows[0], {rest, Expr(plan_.strip_rows)});
    const std::vector<LoopRef> strip_columns = s_.Split(columns[0], {rest, Expr(plan_.strip_columns)});
    const std::vector<LoopRef> shares = s_.Split(panels[0], {Expr(plan_.panel_chunks), rest});
    panel_ = shares[1];
    across_ = panels[1];
    place_ = rows[1];
    s_.Reorder({all[0], shares[0], strip_rows[0], strip_columns[0], panel_, strip_rows[1], strip_columns[1],
                across_, place_, columns[1], all[4]});
    s_.Vectorize(all[4]);
    const LoopRef strips = s_.Fuse({strip_rows[0], strip_columns[0]});
    const std::vector<LoopRef> chunks = s_.Split(strips, {Expr(plan_.strip_chunks), rest});
    strip_ = chunks[1];
    parallel_ = {all[0], shares[0], chunks[0]};
    in_tile_ = {place_, columns[1]};
  }

  /// Both passes of the inverse transform in registers, a row of results at a time.
  void TransformOutput(const BlockRef& output_tiles, const BlockRef& output_columns) {
    s_.ComputeAt(output_tiles, place_);
    UnrollOwn(output_tiles, {0, 1});
    s_.SetScope(output_columns, 0, "register");
    s_.ComputeAt(output_columns, across_);
    // Column by column: six values come in and four stay.
    UnrollOwn(output_columns, {1, 0});
    for (const LoopRef& l : in_tile_) s_.Unroll(l);
  }

  /// Products for a strip and a panel, point by point, in register tiles.
  void MultiplyPanel(const BlockRef& kept) {
    s_.ComputeAt(kept, panel_);
    std::vector<LoopRef> own = OwnLoops(kept);
    const std::vector<LoopRef> tiles = s_.Split(own[4], {Expr(nullptr), Expr(plan_.rows)});
    const std::vector<LoopRef> vectors = s_.Split(own[3], {Expr(nullptr), Expr(plan_.vectors)});
    s_.Reorder({own[0], own[1], own[2], vectors[0], tiles[0], tiles[1], vectors[1], own[5]});
    s_.Vectorize(own[5]);
    s_.Unroll(vectors[1]);
    s_.Unroll(tiles[1]);
    s_.ComputeAt(products_, tiles[0]);
    const LoopRef points = own[1];
    own = OwnLoops(products_);
    const std::vector<LoopRef> depth = s_.Split(own[6], {Expr(nullptr), Expr(shape_.in_block)});
    s_.Reorder({depth[0], depth[1], own[4], own[3], own[5]});
    s_.Vectorize(own[5]);
    s_.Unroll(own[3]);
    s_.Unroll(own[4]);
    s_.DecomposeReduction(products_, depth[0]);
    // Filters that do not stay in the second level are asked for a point ahead of their use.
    const int64_t bytes = shape_.points() * shape_.channels * shape_.filters * packed_.dtype().bytes();
    if (LeavesCache(bytes / plan_.panel_chunks, context_.target))
      s_.PrefetchSpread(products_, packed_, points, depth[1], 2);
    SeparateLastTile(s_, tiles[0], Expr(plan_.strip_rows * plan_.strip_columns), plan_.rows);
  }

  /// All channels of a strip, block by block and tile by tile.
  void TransformInput() {
    const BlockRef columns = s_.Producers(input_tiles_).at(0);
    s_.ComputeAt(input_tiles_, strip_);
    std::vector<LoopRef> own = OwnLoops(input_tiles_);
    const std::vector<LoopRef> tiles = s_.Split(own[4], {Expr(nullptr), Expr(plan_.strip_columns)});
    s_.Reorder({own[2], own[3], tiles[0], tiles[1], own[0], own[1], own[5]});
    s_.Vectorize(own[5]);
    for (size_t i : {0, 1}) s_.Unroll(own[i]);
    s_.SetScope(columns, 0, "register");
    s_.ComputeAt(columns, tiles[1]);
    UnrollOwn(columns, {1, 0});
    // An input whose producer could not write the border around it gets it strip by strip, and so do channels
    // that are gathered into vectors.
    for (std::vector<BlockRef> stages = s_.Producers(columns); !stages.empty();) {
      const BlockRef stage = stages.back();
      stages = s_.Producers(stage);
      s_.ComputeAt(stage, strip_);
      LoopRef last = s_.GetLoops(stage).back();
      const Annotations& notes = s_.Get(stage).annotations;
      if (const auto run = notes.find("run"); run != notes.end())
        last = GatherRuns(last, std::get<int64_t>(run->second));
      s_.Vectorize(last);
    }
  }

  /// Cuts a loop over a vector into runs of what lies side by side in memory; returns the loop over a run.
  LoopRef GatherRuns(const LoopRef& vector, int64_t run) {
    const std::vector<LoopRef> runs = s_.Split(vector, {Expr(nullptr), Expr(run)});
    s_.Unroll(runs[0]);
    return runs[1];
  }

  /// The innermost loops of a block, one for each of its variables.
  std::vector<LoopRef> OwnLoops(const BlockRef& block) const {
    std::vector<LoopRef> loops = s_.GetLoops(block);
    loops.erase(loops.begin(), loops.end() - std::ptrdiff_t(s_.Get(block).iter_vars.size()));
    return loops;
  }

  /// Unrolls two loops of a transform, in this order, around the vector.
  void UnrollOwn(const BlockRef& block, const std::vector<size_t>& order) {
    const std::vector<LoopRef> own = OwnLoops(block);
    s_.Reorder({own[2], own[3], own[4], own[order[0]], own[order[1]], own[5]});
    s_.Vectorize(own[5]);
    for (size_t i : order) s_.Unroll(own[i]);
  }

  Schedule& s_;
  const BlockRef products_;
  const RuleContext& context_;
  WinogradShape shape_;
  WinogradPlan plan_;
  BlockRef filters_, input_tiles_, tail_;
  Buffer packed_;
  LoopRef strip_, panel_, across_, place_;
  std::vector<LoopRef> parallel_, in_tile_;
};

}  // namespace

// A strip of tiles is transformed into a buffer that stays in the second level of cache; then, panel by panel
// of filters, it is multiplied point by point through the register tile, and the products, which stay there
// too, become results with all that follows element by element. Threads share strips, or panels.
bool ScheduleWinograd(Schedule& s, const BlockRef& products, const RuleContext& context) {
  WinogradRule rule(s, products, context);
  if (!rule.Applies()) return false;
  rule.Run();
  return true;
}

void ScheduleWinogradFilters(Schedule& s, const BlockRef& filters, const RuleContext& context) {
  const std::vector<LoopRef> own = s.GetLoops(filters);
  const int64_t lanes = context.target.VectorLanes(4);
  if (own.size() != 4) return;
  const int64_t count = ConstExtent(s, own[3]);
  int64_t width = lanes;
  while (width > 1 && count % width) width /= 2;
  const std::vector<LoopRef> vectors = s.Split(own[3], {Expr(nullptr), Expr(width)});
  s.Reorder({vectors[0], own[2], own[0], own[1], vectors[1]});
  if (width > 1) s.Vectorize(vectors[1]);
  for (size_t i : {0, 1}) s.Unroll(own[i]);
  s.Parallel(vectors[0]);
}

}  // namespace tilewright::cpu
