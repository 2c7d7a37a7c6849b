// SPDX-License-Identifier: Apache-2.0
#include "tilewright/arith/iter_map.h"

#include <algorithm>

namespace tilewright {

namespace {

/// Takes expressions apart into splits of sources.
class IterMapParser {
 public:
  IterMapParser(const VarRanges& ranges, Analyzer& analyzer) : ranges_(ranges), analyzer_(analyzer) {}

  /// The sum in terms of iterators that start at 0; no value where it is not quasi-affine.
  std::optional<IterSum> Parse(const Expr& index) {
    for (const Var& var : FreeVars(index)) AddIterator(var);
    return ParseSum(Simple(Substitute(index, shift_)));
  }

  /// Takes in the conjuncts of a predicate; what cannot be used is counted.
  void AddPredicate(const Expr& predicate) {
    for (const Var& var : FreeVars(predicate)) AddIterator(var);
    AddConjunct(Simple(Substitute(predicate, shift_)));
  }

  /// Orders the splits of a sum so that each steps over exactly the values of those inside it, the
  /// innermost with scale 1 (if `from_one`); gaps are allowed if `gaps`. False where they do not.
  bool Arrange(IterSum& sum, bool from_one, bool gaps);

  /// The number of values of an arranged sum without gaps, under the predicate.
  Expr ExtentOf(const IterSum& sum);

  std::vector<IterSource>& sources() { return sources_; }
  bool predicate_used_up() const { return unused_conditions_ == 0 && bounds_used_ == bounds_.size(); }
  void NeedAllIterators() {
    for (const auto& [var, range] : ranges_) AddIterator(var);
  }
  bool Equal(const Expr& a, const Expr& b) { return analyzer_.CanProveEqual(a, b); }
  Expr Simple(const Expr& e) { return analyzer_.Simplify(e); }

 private:
  struct Bound {
    Expr sum;  ///< canonical, of shifted iterators; < limit
    Expr limit;
    bool used;
  };

  void AddIterator(const Var& var);
  void AddConjunct(const Expr& condition);
  bool Moves(const Expr& e);
  bool AddTo(IterSum& sum, const Expr& e, const Expr& scale);
  bool AddSplit(IterSum& sum, const Expr& e, const Expr& scale);
  std::optional<IterSum> ParseSum(const Expr& e);
  std::optional<IterSplit> ParseSource(const Expr& e);
  Expr TakeBound(const Expr& sum, const Expr& extent);
  Expr ValueOf(const IterSum& sum) const;

  const VarRanges& ranges_;
  Analyzer& analyzer_;
  VarMap shift_;                                        ///< iterator -> min + offset
  std::unordered_map<const ExprNode*, int> source_of_;  ///< offset, or canonical value of a fusion
  std::vector<IterSource> sources_;
  std::vector<Expr> values_;  ///< canonical value of each source
  std::vector<Bound> bounds_;
  size_t bounds_used_ = 0;
  int unused_conditions_ = 0;
};

void IterMapParser::AddIterator(const Var& var) {
  auto it = ranges_.find(var);
  if (it == ranges_.end() || shift_.contains(var)) return;
  const Range& range = it->second;
  const Expr extent = Simple(range.extent);
  const Var offset(var.name());
  analyzer_.Bind(offset, Range{0, extent});
  shift_[var] = range.min + offset;
  // An iterator of one value is its min.
  if (IsInt(extent, 1)) shift_[var] = range.min;
  source_of_[offset.get()] = int(sources_.size());
  sources_.push_back({var, Simple(range.min), {}, extent});
  values_.push_back(offset);
}

bool IterMapParser::Moves(const Expr& e) {
  bool found = false;
  PreOrder(e, [&](const Expr& x) {
    found |= x.kind() == ExprKind::kVar && source_of_.contains(x.get());
    return !found;
  });
  return found;
}

void IterMapParser::AddConjunct(const Expr& condition) {
  if (IsInt(condition, 1)) return;
  auto* n = condition.As<BinaryNode>();
  if (n && n->op == BinaryOp::kAnd) {
    AddConjunct(n->a);
    AddConjunct(n->b);
    return;
  }
  // Canonical: a sum of iterators below or at most a limit without them.
  const bool less = n && n->op == BinaryOp::kLt, at_most = n && n->op == BinaryOp::kLe;
  if ((!less && !at_most) || !Moves(n->a) || Moves(n->b)) {
    ++unused_conditions_;
    return;
  }
  const Expr limit = less ? n->b : Simple(n->b + 1);
  if (auto it = source_of_.find(n->a.get()); it != source_of_.end() && analyzer_.CanProve(0 < limit)) {
    // The offset is replaced by one with the smaller range.
    IterSource& source = sources_[size_t(it->second)];
    source.extent = Simple(Min(source.extent, limit));
    analyzer_.Bind(Var(static_cast<const VarNode*>(n->a.get())), Range{0, source.extent});
    return;
  }
  bounds_.push_back({n->a, limit, false});
}

/// The extent of a sum whose values would be [0, extent), where the predicate bounds it further.
Expr IterMapParser::TakeBound(const Expr& sum, const Expr& extent) {
  Expr r = extent;
  for (Bound& bound : bounds_) {
    if (!Equal(bound.sum, sum) || !analyzer_.CanProve(0 < bound.limit)) continue;
    r = Simple(Min(r, bound.limit));
    bounds_used_ += !bound.used;
    bound.used = true;
  }
  return r;
}

Expr IterMapParser::ValueOf(const IterSum& sum) const {
  Expr value = 0;
  for (const IterSplit& s : sum.splits) {
    const IterSource& source = sources_[size_t(s.source)];
    Expr piece = FloorDiv(values_[size_t(s.source)], s.lower);
    if (!analyzer_.CanProveEqual(s.lower * s.extent, source.extent)) piece = FloorMod(piece, s.extent);
    value = value + piece * s.scale;
  }
  return value;
}

std::optional<IterSum> IterMapParser::ParseSum(const Expr& e) {
  IterSum sum{{}, 0};
  if (!AddTo(sum, e, 1)) return std::nullopt;
  sum.base = Simple(sum.base);
  return sum;
}

/// sum += e * scale, for a canonical e.
bool IterMapParser::AddTo(IterSum& sum, const Expr& e, const Expr& scale) {
  if (!Moves(e)) {
    sum.base = sum.base + e * scale;
    return true;
  }
  auto* n = e.As<BinaryNode>();
  if (n && n->op == BinaryOp::kAdd) return AddTo(sum, n->a, scale) && AddTo(sum, n->b, scale);
  if (n && n->op == BinaryOp::kSub) return AddTo(sum, n->a, scale) && AddTo(sum, n->b, 0 - scale);
  if (n && n->op == BinaryOp::kMul && !Moves(n->b)) return AddTo(sum, n->a, Simple(scale * n->b));
  if (n && n->op == BinaryOp::kMul && !Moves(n->a)) return AddTo(sum, n->b, Simple(scale * n->a));
  return AddSplit(sum, e, scale);
}

/// sum += e * scale, for an iterator, or a quotient or remainder of one or of a fusion.
bool IterMapParser::AddSplit(IterSum& sum, const Expr& e, const Expr& scale) {
  auto split = ParseSource(e);
  if (!split || !analyzer_.CanProve(scale > 0)) return false;
  split->scale = scale;
  sum.splits.push_back(*split);
  return true;
}

std::optional<IterSplit> IterMapParser::ParseSource(const Expr& e) {
  if (auto it = source_of_.find(e.get()); it != source_of_.end()) {
    return IterSplit{it->second, 1, sources_[size_t(it->second)].extent, 1};
  }
  auto* n = e.As<BinaryNode>();
  if (!n) return std::nullopt;
  const bool div = n->op == BinaryOp::kFloorDiv, mod = n->op == BinaryOp::kFloorMod;
  if (div || mod) {
    if (Moves(n->b) || !analyzer_.CanProve(n->b > 0)) return std::nullopt;
    auto piece = ParseSource(n->a);
    if (!piece) return std::nullopt;
    // Below the outermost piece a cut must divide it: (x % 7) // 2 is no piece of x.
    const bool outermost =
        analyzer_.CanProve(piece->lower * piece->extent >= sources_[size_t(piece->source)].extent);
    if (!outermost && !Equal(FloorMod(piece->extent, n->b), 0)) return std::nullopt;
    if (div) {
      piece->lower = Simple(piece->lower * n->b);
      piece->extent = Simple(CeilDiv(piece->extent, n->b));
    } else {
      if (!analyzer_.CanProve(n->b <= piece->extent)) return std::nullopt;
      piece->extent = n->b;
    }
    return piece;
  }
  // A quotient or remainder of a sum: its values must be dense, so that it can be cut like an iterator.
  if (n->op != BinaryOp::kAdd && n->op != BinaryOp::kSub) return std::nullopt;
  auto sum = ParseSum(e);
  if (!sum || !IsInt(sum->base, 0) || sum->splits.size() < 2 || !Arrange(*sum, true, false))
    return std::nullopt;
  const Expr extent = ExtentOf(*sum);
  const int index = int(sources_.size());
  source_of_[e.get()] = index;
  sources_.push_back({nullptr, 0, std::move(*sum), extent});
  values_.push_back(e);
  return IterSplit{index, 1, extent, 1};
}

bool IterMapParser::Arrange(IterSum& sum, bool from_one, bool gaps) {
  std::vector<IterSplit> rest = sum.splits, inner_first;
  Expr next = 1;
  while (!rest.empty()) {
    auto it =
        std::find_if(rest.begin(), rest.end(), [&](const IterSplit& s) { return Equal(s.scale, next); });
    if (it == rest.end() && (gaps || (!from_one && inner_first.empty()))) {
      // The smallest step that clears what lies inside.
      it = std::min_element(rest.begin(), rest.end(), [&](const IterSplit& a, const IterSplit& b) {
        return analyzer_.CanProve(a.scale < b.scale);
      });
      if (!analyzer_.CanProve(it->scale >= next)) it = rest.end();
    }
    if (it == rest.end()) return false;
    next = Simple(it->scale * it->extent);
    inner_first.push_back(*it);
    rest.erase(it);
  }
  sum.splits.assign(inner_first.rbegin(), inner_first.rend());
  return true;
}

Expr IterMapParser::ExtentOf(const IterSum& sum) {
  if (sum.splits.empty()) return 1;
  const IterSplit& outer = sum.splits.front();
  const Expr extent = Simple(outer.scale * outer.extent);
  return TakeBound(Simple(ValueOf(sum)), extent);
}

/// How the splits of each source lie in it.
struct Coverage {
  bool disjoint = true;  ///< no piece of a source is used twice
  bool whole = true;     ///< every source of more than one value is used entirely
  bool exact = true;     ///< the pieces' extents multiply to the source's, so that they vary independently
};

/// Chains the pieces of one source from the innermost outwards.
void CheckSource(const IterSource& source, std::vector<IterSplit> pieces, IterMapParser& parser,
                 Analyzer& analyzer, Coverage& coverage) {
  std::erase_if(pieces, [](const IterSplit& s) { return IsInt(s.extent, 1); });
  Expr next = 1;
  while (!pieces.empty()) {
    auto it = std::find_if(pieces.begin(), pieces.end(),
                           [&](const IterSplit& s) { return parser.Equal(s.lower, next); });
    if (it == pieces.end()) {
      // A piece inside is not used: from here on only the order matters.
      coverage.whole = false;
      it = std::min_element(pieces.begin(), pieces.end(), [&](const IterSplit& a, const IterSplit& b) {
        return analyzer.CanProve(a.lower < b.lower);
      });
      if (!parser.Equal(FloorMod(it->lower, next), 0)) {
        coverage.disjoint = false;
        return;
      }
    }
    next = parser.Simple(it->lower * it->extent);
    pieces.erase(it);
  }
  if (!analyzer.CanProve(next >= source.extent)) coverage.whole = false;
  // The last of ceil-divided pieces is not full: the pieces do not vary independently.
  if (!parser.Equal(FloorMod(source.extent, next), 0)) coverage.exact = false;
}

Coverage CheckCoverage(IterMapParser& parser, const std::vector<IterSum>& indices, Analyzer& analyzer) {
  const auto& sources = parser.sources();
  std::vector<std::vector<IterSplit>> pieces(sources.size());
  auto collect = [&](const IterSum& sum) {
    for (const IterSplit& s : sum.splits) pieces[size_t(s.source)].push_back(s);
  };
  for (const IterSum& sum : indices) collect(sum);
  Coverage coverage;
  // A fusion stands after what it fuses, and uses it only if it is used itself.
  for (size_t i = sources.size(); i-- > 0;) {
    if (pieces[i].empty()) {
      if (sources[i].var.get() && !IsInt(sources[i].extent, 1)) coverage.whole = false;
      continue;
    }
    if (!sources[i].var) collect(sources[i].fused);
    CheckSource(sources[i], pieces[i], parser, analyzer, coverage);
  }
  return coverage;
}

}  // namespace

std::optional<IterMap> DetectIterMap(std::span<const Expr> indices, const VarRanges& ranges,
                                     const Expr& predicate, IterMapLevel level, Analyzer& analyzer) {
  IterMapParser parser(ranges, analyzer);
  if (predicate) parser.AddPredicate(predicate);
  IterMap map;
  for (const Expr& index : indices) {
    auto sum = parser.Parse(index);
    if (!sum) return std::nullopt;
    map.indices.push_back(std::move(*sum));
  }
  bool dense = true;
  for (IterSum& sum : map.indices) {
    if (parser.Arrange(sum, true, false)) {
      map.extents.push_back(parser.ExtentOf(sum));
    } else if (parser.Arrange(sum, false, true)) {
      map.extents.push_back(nullptr);
      dense = false;
    } else {
      return std::nullopt;
    }
  }
  parser.NeedAllIterators();
  const Coverage coverage = CheckCoverage(parser, map.indices, analyzer);
  map.sources = parser.sources();
  const bool surjective = dense && coverage.exact && parser.predicate_used_up();
  const bool want_surjective = level == IterMapLevel::kSurjective || level == IterMapLevel::kBijective;
  const bool want_injective = level == IterMapLevel::kInjective || level == IterMapLevel::kBijective;
  if (!coverage.disjoint || (want_surjective && !surjective) || (want_injective && !coverage.whole))
    return std::nullopt;
  return map;
}

namespace {

/// Adds to each source the part of its value that `value`, the value of `sum`, holds.
void Decode(const IterSum& sum, const Expr& value, std::vector<Expr>& sources) {
  Expr left = value - sum.base;
  for (const IterSplit& s : sum.splits) {
    const Expr piece = FloorDiv(left, s.scale);
    left = FloorMod(left, s.scale);
    sources[size_t(s.source)] = sources[size_t(s.source)] + piece * s.lower;
  }
}

}  // namespace

VarMap InverseAffineMap(const IterMap& map, std::span<const Expr> values, Analyzer& analyzer) {
  TW_CHECK(values.size() == map.indices.size(), "{} values for {} indices", values.size(),
           map.indices.size());
  std::vector<Expr> sources(map.sources.size(), Expr(0));
  for (size_t i = 0; i < values.size(); ++i) Decode(map.indices[i], values[i], sources);
  VarMap inverse;
  for (size_t i = map.sources.size(); i-- > 0;) {
    const IterSource& source = map.sources[i];
    if (source.var) {
      inverse[source.var] = analyzer.Simplify(source.min + sources[i]);
    } else {
      Decode(source.fused, sources[i], sources);
    }
  }
  return inverse;
}

}  // namespace tilewright
