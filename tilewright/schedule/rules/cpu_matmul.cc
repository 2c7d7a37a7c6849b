// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

namespace {

/// What a core reads of a panel while it waits for memory: some 100 ns at some 80 bytes a nanosecond.
constexpr int64_t kBytesAhead = 8192;
constexpr int64_t kLineBytes = 64;
/// Cycles that remain visible where vectors do not begin with lines: of a step, from the second level of
/// cache; of each vector, from memory. Fitted to 2022x3671x166 beside 2022x3680x166, and to 20 of 28x748x565,
/// which take 1.14 and 2 times as long.
constexpr double kSplitCycles = 2, kSplitMissCycles = 40;
/// Cycles to copy a vector to a panel: fitted to products of 11 to 28 rows, which copying makes 1.2 to 1.5
/// times as slow.
constexpr double kCopyCycles = 4;

/// The operand whose innermost access runs along the columns: its buffer, or null.
Buffer ColumnOperand(const BlockNode& block, const Var& column, const Var& depth) {
  for (const BufferRegion& r : block.reads) {
    bool has_column = false, has_depth = false;
    for (const Range& range : r.region) {
      has_column |= UsesVar(range.min, column);
      has_depth |= UsesVar(range.min, depth);
    }
    if (has_column && has_depth) return r.buffer;
  }
  return nullptr;
}

/// Lanes of the narrowest vector that has the instruction.
constexpr int64_t kLeastDotLanes = 4;

/// Whether the block adds products of unsigned by signed bytes in i32, `column` running over the signed ones.
bool IsByteProduct(const BlockNode& block, const Var& column) {
  auto* store = block.body.As<StoreNode>();
  auto* sum = store ? store->value.As<BinaryNode>() : nullptr;
  auto* product = sum ? sum->b.As<BinaryNode>() : nullptr;
  if (!product || product->op != BinaryOp::kMul || product->dtype != kI32) return false;
  auto* a = product->a.As<CastNode>();
  auto* b = product->b.As<CastNode>();
  return a && b && a->value.dtype() == kU8 && b->value.dtype() == kI8 && !UsesVar(a->value, column) &&
         a->value.kind() == ExprKind::kLoad && b->value.kind() == ExprKind::kLoad;
}

/// Schedules one product. Its iteration variables are (the number of the run, if it is summed in runs,) batch
/// axes, row, column, depth. An extent that tiles do not divide, or that is not known, is padded for the
/// product (PadAxis): its last tile computes more than the tail stores.
class MatMulRule {
 public:
  MatMulRule(Schedule& s, const BlockRef& product, const RuleContext& context)
      : s_(s), product_(product), node_(s.Get(product)), context_(context), rank_(node_.iter_vars.size()) {}

  /// Whether the block has the form of a product.
  bool Applies() const {
    if (rank_ < 3 || node_.iter_vars[rank_ - 1].kind != IterKind::kReduce) return false;
    // A depth that may be 0 has its initialisation elsewhere.
    if (!node_.init) return false;
    for (size_t i = 0; i + 1 < rank_; ++i) {
      if (node_.iter_vars[i].kind != IterKind::kSpatial) return false;
    }
    return AsInt(Column().dom.extent).value_or(kTypicalExtent) > 1;
  }

  void Run() {
    PlanUnit();
    if (matrix_.rows == 0) {
      ways_ = DotWays();
      dot_ = ways_ > 1;
      PlanTile();
    }
    PackColumns();
    if (copies_) CopyColumns();
    blocks_ = IsolateProduct(s_, product_);
    if (open_rows_) PadFromLast(3, tile_.rows);
    if (open_columns_) PadFromLast(2, width_);
    if (matrix_.rows > 0) return RunOnUnit();
    unit_ = PanelsOfUnit();
    TileOutput();
    for (const RowPart& part : open_rows_ ? OpenRows() : unit_ > 1 ? RowsOfRuns() : KnownRows()) {
      if (!open_rows_ || part.rows > 1 || !TileRow(part)) TileProduct(part);
    }
    if (copies_) PlaceCopy();
    // The last tiles become parts of their own, inner ones first: parts of outer loops hold copies of both.
    std::vector<LoopRef> rows = {row_tiles_}, panels = {panels_};
    auto separate_rows = [&] {
      if (split_rows_ || open_rows_) return;
      if (run_tiles_) SeparateLastTile(s_, *run_tiles_, Row().dom.extent, tile_.rows);
      rows = SeparateLastTile(s_, row_tiles_, Row().dom.extent, tile_.rows);
    };
    if (!rows_outside_) separate_rows();
    if (open_columns_ && !padded_) panels = SeparateLastTile(s_, panels_, Column().dom.extent, width_);
    if (rows_outside_) separate_rows();
    if (rows_outside_) {
      if (worth_threads_) s_.Parallel(rows.front());
    } else {
      Parallelise(panels);
    }
  }

 private:
  const IterVar& Row() const { return node_.iter_vars[rank_ - 3]; }
  const IterVar& Column() const { return node_.iter_vars[rank_ - 2]; }
  const IterVar& DepthVar() const { return node_.iter_vars[rank_ - 1]; }

  /// How many neighbours along the depth the target's dot product adds up, of bytes or of bf16; 1 where it
  /// does not take the product, for which there must be whole groups, and a constant to lay out in these.
  int64_t DotWays() const {
    const auto depth = AsInt(DepthVar().dom.extent), columns = AsInt(Column().dom.extent);
    if (!depth || !columns || *columns < kLeastDotLanes || ConstantMatrix() < 0) return 1;
    int64_t ways = 1;
    if (context_.target.has_dot_u8s8 && IsByteProduct(node_, Column().var)) ways = 4;
    if (context_.target.has_dot_bf16 && IsReducedProduct(node_)) ways = 2;
    return *depth % ways ? 1 : ways;
  }

  /// Whether rows of the argument that the columns do not run over lie in memory along the depth.
  bool RowsAreContiguous() const {
    bool contiguous = false;
    PreOrderExprs(node_.body, [&](const Expr& e) {
      auto* load = e.As<LoadNode>();
      if (!load || load->dtype != kBF16 || UsesVar(e, Column().var)) return;
      contiguous = load->indices.back().get() == DepthVar().var.get();
      for (size_t d = 0; d + 1 < load->indices.size(); ++d)
        contiguous &= !UsesVar(load->indices[d], DepthVar().var);
    });
    return contiguous;
  }

  /// The tile of a product that the matrix unit takes.
  void PlanUnit() {
    const auto rows = AsInt(Row().dom.extent), columns = AsInt(Column().dom.extent);
    const auto depth = AsInt(DepthVar().dom.extent);
    if (!rows || !columns || !depth || !IsReducedProduct(node_) || node_.annotations.contains("runs")) return;
    if (ConstantMatrix() < 0 || !RowsAreContiguous()) return;
    // Where the rows of several matrices are one axis, a tile lies in one of them.
    int64_t together = *rows;
    PreOrderExprs(node_.body, [&](const Expr& e) {
      auto* rest = e.As<BinaryNode>();
      if (!rest || rest->op != BinaryOp::kFloorMod || rest->a.get() != Row().var.get()) return;
      together = std::gcd(together, AsInt(rest->b).value_or(1));
    });
    matrix_ = ChooseUnitTile(together, *columns, *depth, TileUnitOf(context_.target));
    if (matrix_.rows == 0) return;
    rows_ = *rows;
    lanes_ = matrix_.columns;
    tile_.rows = matrix_.rows * matrix_.row_tiles;
    tile_.vectors = matrix_.column_tiles;
    width_ = tile_.vectors * lanes_;
    open_columns_ = *columns % width_ != 0;
    int64_t units = (*columns + width_ - 1) / width_;
    for (size_t i = 0; i + 3 < rank_; ++i) units *= AsInt(node_.iter_vars[i].dom.extent).value_or(1);
    split_rows_ = !open_columns_ && !FillsCores(units, context_.target);
  }

  /// The parameter that the columns run over, if it is a constant matrix: its position, else -1.
  int ConstantMatrix() const {
    const Buffer b = ColumnOperand(node_, Column().var, DepthVar().var);
    const int index = b && b.shape().size() == 2 ? ParameterIndex(s_, b) : -1;
    return context_.IsConstant(index) ? index : -1;
  }

  /// Whether the operand that the columns run over may be copied to panels: a parameter that is read along
  /// them alone, and all extents are known.
  bool MayCopy() const {
    if (dot_ || ConstantMatrix() >= 0) return false;
    const Buffer b = ColumnOperand(node_, Column().var, DepthVar().var);
    if (!b || ParameterIndex(s_, b) < 0) return false;
    for (const IterVar& iv : node_.iter_vars) {
      if (!AsInt(iv.dom.extent)) return false;
    }
    int loads = 0;
    PreOrderExprs(node_.body, [&](const Expr& e) {
      auto* load = e.As<LoadNode>();
      loads += load && load->buffer == b;
    });
    return loads == 1 && std::any_of(node_.reads.begin(), node_.reads.end(), [&](const BufferRegion& r) {
             return r.buffer == b && r.region.size() > 1 && r.region.back().min.get() == Column().var.get() &&
                    IsInt(b.shape().back(), *AsInt(Column().dom.extent));
           });
  }

  /// What a step takes of a row: a float, or a group of bytes for the dot product.
  static constexpr double kStepBytes = 4;

  void PlanTile() {
    rows_ = AsInt(Row().dom.extent).value_or(kTypicalExtent);
    open_rows_ = !AsInt(Row().dom.extent);
    const int64_t columns = AsInt(Column().dom.extent).value_or(kTypicalExtent);
    int64_t batch = 1;
    for (size_t i = node_.annotations.contains("runs"); i + 3 < rank_; ++i)
      batch *= AsInt(node_.iter_vars[i].dom.extent).value_or(1);
    TileSpace space = PlanColumns(columns, batch);
    if (MayCopy()) {
      const double plain = PlainTime(space, batch);
      copies_ = true;
      space = PlanColumns(columns, batch);
      const double copied = CopiedTime(space, batch);
      // What one core copies others should not have to fetch.
      copies_ = copied < plain && FillsCores(batch * Panels(space, tile_), context_.target);
      ExplainOptions(context_, "columns", "a right matrix that is not constant, by predicted time",
                     {{"as it lies", plain, !copies_}, {"copied to panels", copied, copies_}});
      if (!copies_) space = PlanColumns(columns, batch);
    }
    // Tiles of rows are parallel work where the columns do not fill the cores.
    const int64_t units = batch * Panels(space, tile_);
    // Extents that are not known may be large.
    const bool known = !open_rows_ && AsInt(Column().dom.extent) && AsInt(DepthVar().dom.extent);
    worth_threads_ =
        !known || WorthThreads(double(batch) * double(Runs()) * CyclesOf(space), context_.target);
    if (!open_rows_ && !FillsCores(units, context_.target)) {
      split_rows_ = !open_columns_ && rows_ % tile_.rows == 0;
      rows_outside_ = !split_rows_ && RowsOutside(units);
    }
    ExplainTile(context_, space, tile_, batch,
                split_rows_ || rows_outside_ ? units * (rows_ / tile_.rows) : units);
    width_ = tile_.vectors * lanes_;
    // The fewest that keep the pipes busy: what one row costs less than in a whole tile.
    if (const int64_t few = LeastRows(tile_.vectors, context_.target); open_rows_ && few < tile_.rows)
      few_rows_ = few;
  }

  /// Lanes and tile for the columns, where these are copied or not. Returns what the tile is for.
  TileSpace PlanColumns(int64_t columns, int64_t batch) {
    open_columns_ = !AsInt(Column().dom.extent);
    PlanLanes(columns);
    TileSpace space{.rows = rows_,
                    .vectors = (columns + lanes_ - 1) / lanes_,
                    .depth = AsInt(DepthVar().dom.extent).value_or(kTypicalExtent) / ways_,
                    .row_bytes = RowBytes(),
                    .row_step_bytes = kStepBytes,
                    .more_line_cycles = LiesInTwoLines() ? kSplitCycles : 0,
                    .unrolled = !dot_};
    tile_ = ChooseTile(space, context_.target);
    padded_ = MayPadColumns();
    if (padded_) WeighPadding(space, batch);
    return space;
  }

  /// Whether vectors of the columns are read where they do not begin at a multiple of their length.
  bool LiesInTwoLines() const {
    const auto columns = AsInt(Column().dom.extent);
    return columns && *columns % lanes_ && !copies_ && ConstantMatrix() < 0;
  }

  /// Whether tiles of rows keep the cores busier than so many units that take all rows.
  bool RowsOutside(int64_t units) const {
    return !open_rows_ && !FillsCores(units, context_.target) &&
           BusyShare(rows_ / tile_.rows) > BusyShare(units);
  }

  /// Predicted time with the columns where they lie: the last panel, where it is not whole, follows the
  /// others.
  double PlainTime(const TileSpace& space, int64_t batch) const {
    const double cores = std::max(1, context_.target.cores);
    const int64_t panels = Panels(space, tile_);
    const double all = double(batch * Runs()) * TileCycles(space, tile_, context_.target) / cores;
    const double last =
        open_columns_ && batch == 1 && !RowsOutside(panels) ? all * (cores - 1) / double(panels) : 0;
    const bool split_misses = LiesInTwoLines() && PassesCaches();
    return all + last + (split_misses ? kSplitMissCycles * double(ColumnVectors(space, batch)) / cores : 0);
  }

  /// The same with panels, and to make them.
  double CopiedTime(const TileSpace& space, int64_t batch) const {
    const Target& target = context_.target;
    const double copy = kCopyCycles + (PassesCaches() ? target.memory_line_cycles : 0);
    return (double(batch * Runs()) * TileCycles(space, tile_, target) +
            double(ColumnVectors(space, batch)) * copy) /
           std::max(1, target.cores);
  }

  int64_t ColumnVectors(const TileSpace& space, int64_t batch) const {
    return batch * Runs() * space.depth * space.vectors;
  }

  /// Whether what the kernel reads and writes takes more than half of the last level of cache, so that it
  /// comes from memory.
  bool PassesCaches() const {
    int64_t bytes = 0;
    for (const Buffer& b : s_.func()->buffers) {
      int64_t own = b.dtype().bytes();
      for (const Expr& e : b.shape()) own *= AsInt(e).value_or(1);
      bytes += own;
    }
    return !context_.target.caches.empty() && bytes > context_.target.caches.back().bytes / 2;
  }

  int64_t Runs() const {
    return node_.annotations.contains("runs") ? AsInt(node_.iter_vars[0].dom.extent).value_or(1) : 1;
  }

  /// Predicted cycles of one core for the space: of its tiles, or of bringing the columns' operand from the
  /// second level of cache.
  double CyclesOf(const TileSpace& space) const {
    const int64_t bytes =
        space.vectors * lanes_ * space.depth * ways_ * node_.reads.back().buffer.dtype().bytes();
    return std::max(TileCycles(space, tile_, context_.target), CachedCycles(bytes, context_.target));
  }

  static int64_t Panels(const TileSpace& space, const RegisterTile& tile) {
    return (space.vectors + tile.vectors - 1) / tile.vectors;
  }

  /// Takes a tile whose last panel ends beyond the columns where that is predicted to be faster, with the
  /// time for which cores wait for the others.
  void WeighPadding(TileSpace& space, int64_t batch) {
    const Target& target = context_.target;
    auto busy = [&](const RegisterTile& tile) {
      const double panels = BusyShare(batch * Panels(space, tile));
      return open_rows_ ? panels : std::max(panels, BusyShare(rows_ / tile.rows));
    };
    // Where panels are whole, tiles of rows can be parallel work beside them.
    double least = TileCycles(space, tile_, target) / (open_columns_ ? busy(tile_) : 1);
    space.ragged_vectors = true;
    ForEachTile(space, target, [&](const RegisterTile& tile) {
      const double cycles = TileCycles(space, tile, target) / busy(tile);
      if (cycles < least) tile_ = tile, least = cycles;
    });
    open_columns_ |= space.vectors % tile_.vectors != 0;
  }

  /// From a row of the operand that is broadcast to the next, 0 where that is not known.
  int64_t RowBytes() const {
    for (const BufferRegion& r : node_.reads) {
      if (r.buffer.shape().empty() || !UsesVar(r.region.back().min, DepthVar().var)) continue;
      const auto row = AsInt(r.buffer.shape().back());
      for (const Range& range : r.region) {
        if (row && UsesVar(range.min, Row().var)) return *row * r.buffer.dtype().bytes();
      }
    }
    return 0;
  }

  /// The share of the cores' time that so many equal units of work keep busy.
  double BusyShare(int64_t units) const {
    const int64_t cores = std::max(1, context_.target.cores), rounds = (units + cores - 1) / cores;
    return units == 0 ? 0 : double(units) / double(rounds * cores);
  }

  /// Whether panels may end beyond the columns: those of a constant hold zeros there, and what is beyond is
  /// masked where results are stored.
  bool MayPadColumns() const {
    return !dot_ && AsInt(Column().dom.extent) && context_.target.has_masked_memory &&
           (copies_ || ConstantMatrix() >= 0);
  }

  /// Whole vectors where they divide the columns or these may be padded. Else as wide as divides the columns,
  /// down to half of a register; below, columns are padded to whole vectors, or the few that there are make a
  /// narrow one.
  void PlanLanes(int64_t columns) {
    const int64_t wide =
        context_.target.VectorLanes(int(node_.writes.front().buffer.dtype().element_bytes()));
    lanes_ = wide;
    if (dot_) {
      while (lanes_ > columns) lanes_ /= 2;
      open_columns_ = columns % lanes_ != 0;
      return;
    }
    if (open_columns_) return;
    if (columns > wide && MayPadColumns()) {
      open_columns_ = columns % wide != 0;
      return;
    }
    while (lanes_ > 1 && columns % lanes_) lanes_ /= 2;
    if (lanes_ * 2 >= wide) return;
    open_columns_ = columns > wide;
    lanes_ = open_columns_ ? wide : std::max(lanes_, LargestDivisor(columns, wide));
  }

  /// Lays a constant operand out in panels, [n / width][k][width]; for dot products with neighbours along the
  /// depth side by side, [n / width][k / 4][width * 4]; for the matrix unit in tiles of pairs along the
  /// depth.
  void PackColumns() {
    const int index = ConstantMatrix();
    if (index < 0) return;
    const Buffer b = s_.func()->buffers[size_t(index)];
    // Which of its axes are the columns follows from how the block reads it.
    size_t columns = 1;
    for (const BufferRegion& r : node_.reads) {
      if (r.buffer == b && UsesVar(r.region[0].min, Column().var)) columns = 0;
    }
    const std::vector<Var> old = {Var("d0"), Var("d1")};
    const Expr n = old[columns], k = old[1 - columns];
    std::vector<Expr> panels = {FloorDiv(n, width_), k, FloorMod(n, width_)};
    if (dot_) {
      // A vector's groups are a dimension of their own, so that it is whole where the columns end within it.
      panels = {panels[0], FloorDiv(k, ways_), FloorDiv(panels[2], lanes_),
                FloorMod(n, lanes_) * Expr(ways_) + FloorMod(k, ways_)};
    } else if (matrix_.rows > 0) {
      panels = {panels[0],
                FloorDiv(k, matrix_.depth),
                FloorDiv(panels[2], lanes_),
                FloorDiv(FloorMod(k, matrix_.depth), 2),
                FloorMod(n, lanes_),
                FloorMod(k, 2)};
    }
    s_.TransformLayout(b, old, panels, open_columns_);
    packed_ = s_.func()->buffers[size_t(index)];
  }

  /// The operand that the columns run over is copied to memory that holds a panel's columns of a row side by
  /// side; the last panel repeats the last column.
  void CopyColumns() {
    const Buffer columns = ColumnOperand(node_, Column().var, DepthVar().var);
    copy_ = s_.CacheRead(product_, columns, "global");
    if (open_columns_) s_.PadAxis(*copy_, s_.GetLoops(*copy_).back(), width_);
  }

  /// A panel is made where all of its tiles are computed, one after the other.
  void PlaceCopy() {
    s_.ComputeAt(*copy_, panels_);
    const Buffer panels = s_.Get(*copy_).writes.front().buffer;
    std::vector<Var> old;
    for (size_t d = 0; d < panels.shape().size(); ++d) old.push_back(Var(fmt::format("d{}", d)));
    std::vector<Expr> axes(old.begin(), old.end());
    const Expr column = axes.back();
    axes.insert(axes.end() - 2, FloorDiv(column, Expr(width_)));
    axes.back() = FloorMod(column, Expr(width_));
    s_.TransformLayout(panels, old, axes);
    const std::vector<LoopRef> vectors = s_.Split(s_.GetLoops(*copy_).back(), {Expr(nullptr), Expr(lanes_)});
    s_.Vectorize(vectors[1]);
    s_.Unroll(vectors[0]);
  }

  /// Pads an axis, counted from the product's last variable, for the product and the total of its runs.
  void PadFromLast(size_t position, int64_t multiple) {
    s_.PadAxis(product_, s_.GetLoops(product_)[rank_ - position], multiple);
    // The total has the product's axes but for the run, which it reduces.
    if (blocks_.total)
      s_.PadAxis(*blocks_.total, s_.GetLoops(*blocks_.total)[rank_ - position - 1], multiple);
  }

  void TileOutput() {
    std::vector<LoopRef> loops = s_.GetLoops(blocks_.tail);
    // The product may have the rows of several axes in one.
    const size_t own = rank_ - 1 - (blocks_.total ? 1 : 0);
    if (loops.size() > own) {
      const auto first = loops.end() - std::ptrdiff_t(2 + loops.size() - own);
      s_.Fuse({first, loops.end() - 1});
      loops = s_.GetLoops(blocks_.tail);
    }
    outer_ = {loops.begin(), loops.end() - 2};
    std::vector<LoopRef> i = s_.Split(loops[outer_.size()], {Expr(nullptr), Expr(tile_.rows)});
    std::vector<Expr> cuts = {Expr(nullptr), Expr(tile_.vectors), Expr(lanes_)};
    if (unit_ > 1) cuts.insert(cuts.begin() + 1, Expr(unit_));
    const std::vector<LoopRef> j = s_.Split(loops.back(), cuts);
    const LoopRef vectors = j[j.size() - 2], lanes = j.back();
    panels_ = j[0];
    row_tiles_ = i[0];
    std::vector<LoopRef> order = outer_;
    if (rows_outside_) {
      order.insert(order.begin(), row_tiles_);
      order.push_back(panels_);
    } else {
      order.insert(order.end(), j.begin(), j.end() - 2);
      order.push_back(row_tiles_);
    }
    order.insert(order.end(), {i[1], vectors, lanes});
    s_.Reorder(order);
    s_.Vectorize(lanes);
    s_.Unroll(vectors);
    if (!open_rows_ && matrix_.rows == 0) s_.Unroll(i[1]);
  }

  void RunOnUnit() {
    const UnitBlocks unit = MoveToUnit(s_, blocks_);
    if (open_columns_) s_.PadAxis(unit.store, *(s_.GetLoops(unit.store).end() - 1), width_);
    TileOutput();
    s_.ComputeAt(unit.store, row_tiles_);
    s_.ComputeAt(unit.product, row_tiles_);
    // Each register's tile is one run of memory.
    const Buffer sums = s_.Get(unit.product).writes.front().buffer;
    std::vector<Var> old;
    for (size_t d = 0; d < sums.shape().size(); ++d) old.push_back(Var(fmt::format("d{}", d)));
    const Expr row = old[old.size() - 2], column = old.back();
    std::vector<Expr> tiles(old.begin(), old.end() - 2);
    tiles.insert(tiles.end(), {FloorDiv(row, matrix_.rows), FloorDiv(column, lanes_),
                               FloorMod(row, matrix_.rows), FloorMod(column, lanes_)});
    s_.TransformLayout(sums, old, tiles);
    const std::vector<LoopRef> own = s_.GetLoops(unit.product);
    const std::vector<LoopRef> depth = SplitDepth(s_, own.back(), matrix_);
    CutToRegisters(*(own.end() - 3), *(own.end() - 2), depth);
    const std::vector<LoopRef> stored = s_.GetLoops(unit.store);
    CutToRegisters(*(stored.end() - 2), stored.back(), {});
    s_.DecomposeReduction(unit.product, depth[0]);
    const int64_t row_tiles = rows_ / tile_.rows;
    if (WantsPrefetch(packed_, row_tiles, context_.target))
      s_.PrefetchSpread(unit.product, packed_, panels_, depth[0], 2);
    std::vector<LoopRef> panels = {panels_};
    if (open_columns_) panels = SeparateLastTile(s_, panels_, Column().dom.extent, width_);
    Parallelise(panels);
  }

  /// Cuts loops over a block of sums to tiles of registers; steps of the depth are outside of these.
  void CutToRegisters(const LoopRef& rows, const LoopRef& columns, const std::vector<LoopRef>& depth) {
    const std::vector<LoopRef> i = s_.Split(rows, {Expr(nullptr), Expr(matrix_.rows)});
    const std::vector<LoopRef> j = s_.Split(columns, {Expr(nullptr), Expr(lanes_)});
    std::vector<LoopRef> order = {i[0], j[0], i[1], j[1]};
    if (!depth.empty()) {
      order.insert(order.begin(), depth[0]);
      order.insert(order.end(), depth.begin() + 1, depth.end());
    }
    s_.Reorder(order);
    s_.Unroll(i[0]);
    s_.Unroll(j[0]);
    AnnotateTile(s_, {i[1], j[1]});
  }

  /// Rows that are done in tiles of one size: the blocks of their product, and the loop over the tiles.
  struct RowPart {
    TileBlocks blocks;
    LoopRef tiles;
    int64_t rows;
  };

  std::vector<RowPart> KnownRows() {
    const LoopRef tiles = rows_outside_ ? panels_ : row_tiles_;
    ComputeAtTile(s_, blocks_, tiles, lanes_);
    return {{blocks_, tiles, tile_.rows}};
  }

  /// Neighbouring panels that are one unit of parallel work, which takes the runs one after the other: 1, or
  /// more where the rows of the whole depth would not stay in the second level of cache from panel to panel,
  /// while those of a run do.
  int64_t PanelsOfUnit() const {
    if (!blocks_.total || open_rows_ || open_columns_ || !packed_ || rows_ <= tile_.rows) return 1;
    if (split_rows_ || rows_outside_) return 1;
    const int64_t bytes = packed_.dtype().bytes(), cache = context_.target.CacheBytes(2);
    const int64_t run = *AsInt(DepthVar().dom.extent), depth = *AsInt(node_.iter_vars[0].dom.extent) * run;
    if ((rows_ + 2 * width_) * depth * bytes <= cache) return 1;
    const int64_t panels = *AsInt(Column().dom.extent) / width_;
    int64_t best = 1;
    for (int64_t n = 2; n <= panels; ++n) {
      if (panels % n || !FillsCores(panels / n, context_.target)) continue;
      const int64_t totals = rows_ * width_ * n;
      if (((rows_ + 2 * width_) * run + totals) * bytes <= cache / 2) best = n;
    }
    return best;
  }

  /// The total of all rows of a unit's panels stays in the second level of cache, run after run is added to
  /// it.
  std::vector<RowPart> RowsOfRuns() {
    const BlockRef total = *blocks_.total;
    s_.ComputeAt(total, panels_);
    const std::vector<LoopRef> own = s_.GetLoops(total);
    const LoopRef run = own.back();
    const std::vector<LoopRef> i = s_.Split(own[own.size() - 3], {Expr(nullptr), Expr(tile_.rows)});
    const std::vector<LoopRef> j =
        s_.Split(own[own.size() - 2], {Expr(nullptr), Expr(tile_.vectors), Expr(lanes_)});
    s_.Reorder({run, j[0], i[0], i[1], j[1], j[2]});
    s_.Vectorize(j[2]);
    s_.Unroll(j[1]);
    s_.Unroll(i[1]);
    s_.ComputeAt(product_, i[0]);
    s_.DecomposeReduction(total, run);
    panel_ = j[0], run_tiles_ = i[0];
    return {{blocks_, i[0], tile_.rows}};
  }

  /// Three parts: whole tiles; a last one that is not whole; in its place, where it would have few rows only,
  /// a smaller tile. The product is computed at the tiles first, so that each part gets blocks of its own.
  std::vector<RowPart> OpenRows() {
    if (blocks_.total) s_.ComputeAt(*blocks_.total, row_tiles_);
    s_.ComputeAt(product_, row_tiles_);
    const Expr rows = Row().dom.extent, tile(tile_.rows);
    std::vector<Expr> cuts = {FloorDiv(rows, tile)};
    std::vector<int64_t> sizes = {tile_.rows, tile_.rows};
    for (int64_t few : {few_rows_, int64_t(1)}) {
      if (few == 0 || few >= sizes.back()) continue;
      cuts.push_back(FloorDiv(rows + Expr(tile_.rows - few - 1), tile));
      sizes.push_back(few);
    }
    std::vector<RowPart> parts;
    for (const LoopRef& loop : s_.LoopPartition(row_tiles_, cuts)) {
      // Parts that cannot be are left out; the others are named by their number.
      RowPart part{BlocksUnder(loop), loop, sizes.at(size_t(loop.var.name().back() - '0'))};
      std::vector<LoopRef> tail = s_.GetLoops(part.blocks.tail);
      LoopRef row = tail[tail.size() - 3];
      if (part.rows < tile_.rows) {
        row = s_.LoopPartition(row, {Expr(part.rows)}).front();
        part.blocks = BlocksUnder(loop);
      }
      s_.Unroll(row);
      // In order, so that each moves behind what it reads.
      s_.ComputeAt(part.blocks.product, loop);
      ComputeAtTile(s_, part.blocks, loop, lanes_);
      parts.push_back(std::move(part));
    }
    return parts;
  }

  /// The copies of the tile's blocks under a part of the loop over tiles.
  TileBlocks BlocksUnder(const LoopRef& loop) const {
    std::vector<BlockRef> copies;
    PreOrder(s_.Get(loop).body, [&](const Stmt& s) {
      if (auto* block = s.As<BlockNode>()) copies.push_back({block->name});
      return true;
    });
    TW_CHECK(copies.size() == (blocks_.total ? 3u : 2u), "{} blocks in a tile", copies.size());
    TileBlocks blocks{.tail = copies.back(), .product = copies.front()};
    if (blocks_.total) blocks.total = copies[1];
    return blocks;
  }

  void TileProduct(const RowPart& part) {
    const BlockRef& product = part.blocks.product;
    const std::vector<LoopRef> own = s_.GetLoops(product);
    LoopRef k = own.back();
    const LoopRef rows = own[own.size() - 3];
    const std::vector<LoopRef> vectors = s_.Split(own[own.size() - 2], {Expr(nullptr), Expr(lanes_)});
    if (dot_) {
      const std::vector<LoopRef> depth = s_.Split(k, {Expr(nullptr), Expr(ways_)});
      k = depth[0];
      s_.Reorder({k, rows, vectors[0], vectors[1], depth[1]});
    } else {
      s_.Reorder({k, rows, vectors[0], vectors[1]});
    }
    s_.Vectorize(vectors[1]);
    s_.Unroll(vectors[0]);
    s_.Unroll(rows);
    s_.DecomposeReduction(product, k);
    const int64_t steps =
        dot_ ? 1 : LargestDivisor(ConstExtent(s_, k), StepsAtOnce(part.rows, tile_.vectors, context_.target));
    if (packed_) k = PrefetchPanel(product, k, ways_, steps);
    if (dot_)
      s_.Tensorize(vectors[1], fmt::format("{}x{}", ways_ == 4 ? "dot_u8s8_i32" : "dot_bf16_f32", lanes_));
    if (steps == 1) return;
    s_.Unroll(ConstExtent(s_, k) == steps ? k : s_.Split(k, {Expr(nullptr), Expr(steps)})[1]);
  }

  /// One row has too few accumulators to keep the pipes busy, so the depth is summed in chains of its own.
  bool TileRow(const RowPart& part) {
    const BlockRef& product = part.blocks.product;
    std::vector<LoopRef> own = s_.GetLoops(product);
    const int64_t chains =
        dot_ ? 1 : LargestDivisor(ConstExtent(s_, own.back()), LeastRows(tile_.vectors, context_.target));
    if (chains == 1) return false;
    const std::vector<LoopRef> depth = s_.Split(own.back(), {Expr(nullptr), Expr(chains)});
    const LoopRef rows = own[own.size() - 3];
    const std::vector<LoopRef> vectors = s_.Split(own[own.size() - 2], {Expr(nullptr), Expr(lanes_)});
    s_.Reorder({depth[0], depth[1], rows, vectors[0], vectors[1]});
    const BlockRef partial = s_.RFactor(product, depth[1]);
    // Columns stay innermost, as vectors.
    const Buffer sums = s_.Get(partial).writes.front().buffer;
    std::vector<Var> old;
    for (size_t d = 0; d < sums.shape().size(); ++d) old.push_back(Var(fmt::format("d{}", d)));
    std::vector<Expr> axes(old.begin(), old.end());
    std::swap(axes[axes.size() - 1], axes[axes.size() - 2]);
    s_.TransformLayout(sums, old, axes);
    s_.SetScope(partial, 0, "register");
    s_.Vectorize(vectors[1]);
    for (const LoopRef& l : {vectors[0], rows, depth[1]}) s_.Unroll(l);
    s_.DecomposeReduction(partial, depth[0]);
    // What adds up the chains: the vectors and their lanes, where there is more than one, and the chains.
    own = s_.GetLoops(product);
    const LoopRef chain = own.back();
    std::vector<LoopRef> order = {chain};
    if (tile_.vectors > 1) {
      order.insert(order.begin(), own[own.size() - (lanes_ > 1 ? 3 : 2)]);
      s_.Unroll(order.front());
    }
    if (lanes_ > 1) {
      order.push_back(own[own.size() - 2]);
      s_.Vectorize(order.back());
      s_.Reorder(order);
    }
    s_.Unroll(chain);
    s_.DecomposeReduction(product, order.front());
    if (packed_) PrefetchPanel(partial, depth[0], chains, 1);
    return true;
  }

  /// Asks for what the loop `k`, each of whose iterations takes so many steps of the depth, will read of the
  /// packed operand. Returns the innermost loop: `k`, or a part of it, if possible of a multiple of `unit`
  /// iterations.
  LoopRef PrefetchPanel(const BlockRef& product, const LoopRef& k, int64_t steps, int64_t unit) {
    const int64_t tiles = (rows_ + tile_.rows - 1) / tile_.rows;
    const int64_t bytes = width_ * packed_.dtype().bytes() * steps;
    if (open_rows_) {
      // There may be one tile only, to which all of the panel comes from memory.
      s_.Prefetch(product, packed_, k, std::max<int64_t>(1, kBytesAhead / bytes), 2);
      return k;
    }
    if (rows_outside_ || !WantsPrefetch(packed_, tiles, context_.target)) return k;
    // The tiles of a panel have more iterations than the next panel has lines, and a request costs about as
    // much as a load, whether the line is there or not.
    const int64_t extent = ConstExtent(s_, k), period = tiles * kLineBytes / bytes;
    int64_t cut = LargestDivisor(extent, std::max<int64_t>(1, period));
    if (extent % unit == 0 && period >= unit) cut = unit * LargestDivisor(extent / unit, period / unit);
    LoopRef over = k, inner = k;
    if (cut > 1) {
      const std::vector<LoopRef> parts = s_.Split(k, {Expr(nullptr), Expr(cut)});
      over = parts[0], inner = parts[1];
    }
    s_.PrefetchSpread(product, packed_, panel_.value_or(panels_), over, 2);
    return inner;
  }

  void Parallelise(const std::vector<LoopRef>& panels) {
    std::vector<LoopRef> loops = outer_;
    if (panels.size() == 1) loops.push_back(panels[0]);
    if (split_rows_) loops.push_back(row_tiles_);
    // Without a batch, whole panels are the parallel work, and the last one follows them.
    auto once = [&](const LoopRef& loop) { return ConstExtent(s_, loop) == 1; };
    if (std::all_of(loops.begin(), loops.end(), once)) loops = {panels[0]};
    if (!worth_threads_) return;
    s_.Parallel(loops.size() > 1 ? s_.Fuse(loops) : loops.front());
  }

  Schedule& s_;
  const BlockRef product_;
  const BlockNode& node_;
  const RuleContext& context_;
  const size_t rank_;
  bool dot_ = false;  ///< computed by the target's dot product
  int64_t ways_ = 1;  ///< neighbours along the depth that it adds up
  UnitTile matrix_;   ///< of rows, where the matrix unit computes it
  bool open_rows_ = false, open_columns_ = false;
  bool worth_threads_ = true;
  bool padded_ = false;        ///< the last panel is like the others, where they end beyond the columns
  bool split_rows_ = false;    ///< tiles of rows, all whole, are parallel work beside panels
  bool rows_outside_ = false;  ///< tiles of rows alone are the parallel work, the last one behind the others
  int64_t rows_ = 0, lanes_ = 1, width_ = 1;
  int64_t few_rows_ = 0;  ///< of a smaller tile for the last rows, where their number is open
  RegisterTile tile_;
  Buffer packed_;
  bool copies_ = false;           ///< whether panels of the columns' operand are made when the kernel runs
  std::optional<BlockRef> copy_;  ///< what makes the panels
  TileBlocks blocks_;
  std::vector<LoopRef> outer_;
  LoopRef panels_, row_tiles_;
  int64_t unit_ = 1;                          ///< panels that are one unit of parallel work
  std::optional<LoopRef> panel_, run_tiles_;  ///< of a unit: over its panels and their tiles, in each run
};

}  // namespace

// C[m, n] += A[m, k] * B[k, n]. Columns go to vectors, rows to registers. A constant B is packed to panels of
// the tile's width, so that a step of k reads one line of the panel; panels stay in L2 while all rows pass
// by.
bool ScheduleMatMul(Schedule& s, const BlockRef& product, const RuleContext& context) {
  MatMulRule rule(s, product, context);
  if (!rule.Applies()) return false;
  rule.Run();
  return true;
}

}  // namespace tilewright::cpu
