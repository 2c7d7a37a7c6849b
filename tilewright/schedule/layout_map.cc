// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/layout_map.h"

#include <algorithm>

#include "tilewright/schedule/digits.h"

namespace tilewright {

std::vector<Expr> LayoutMap::Apply(const std::vector<Expr>& indices) const {
  VarMap map;
  for (size_t i = 0; i < old_vars.size(); ++i) map[old_vars[i]] = indices[i];
  std::vector<Expr> result;
  for (const Expr& e : forward) result.push_back(Substitute(e, map));
  return result;
}

namespace {

/// Works from the new indices back to the old ones, source by source.
class Inverter {
 public:
  Inverter(LayoutMap& map, const std::vector<Expr>& shape, const Bounds& bounds, std::string& why)
      : map_(map), shape_(shape), bounds_(bounds), why_(why) {}

  bool Run() {
    for (size_t d = 0; d < map_.forward.size(); ++d) {
      map_.new_vars.push_back(Var(fmt::format("n{}", d)));
      Expr extent;
      if (!Take(map_.forward[d], map_.new_vars[d], &extent)) return false;
      map_.new_shape.push_back(extent);
    }
    bool advanced = true;
    while (advanced) {
      advanced = false;
      for (size_t i = 0; i < sources_.size(); ++i) {
        if (sources_[i].known) continue;
        auto value = Assemble(sources_[i]);
        if (!value) continue;
        sources_[i].known = advanced = true;
        const Expr source = sources_[i].expr;
        if (source.kind() == ExprKind::kVar) {
          values_[Var(static_cast<const VarNode*>(source.get()))] = *value;
        } else if (!Take(source, *value, nullptr)) {
          return false;
        }
      }
    }
    for (size_t i = 0; i < map_.old_vars.size(); ++i) {
      auto it = values_.find(map_.old_vars[i]);
      if (it == values_.end() && !IsInt(shape_[i], 1)) {
        why_ = fmt::format("the new indices do not tell the value of '{}'", map_.old_vars[i].name());
        return false;
      }
      map_.inverse.push_back(it == values_.end() ? Expr(0) : it->second);
    }
    return true;
  }

 private:
  struct Source {
    Expr expr;
    std::vector<std::pair<Digit, Expr>> digits;  ///< with their values over the new variables
    bool known = false;
  };

  /// How many values a digit takes, from 0.
  Expr Values(const Digit& d) const {
    if (d.upper) return bounds_.Simplify(FloorDiv(d.upper, d.lower));
    for (size_t i = 0; i < map_.old_vars.size(); ++i) {
      if (d.source.get() == map_.old_vars[i].get()) return bounds_.Simplify(CeilDiv(shape_[i], d.lower));
    }
    auto extent = bounds_.ConstExtent(d.source);
    return extent ? bounds_.Simplify(CeilDiv(Expr(*extent), d.lower)) : Expr();
  }

  /// `e`, a sum of digits, has the value `value`: gives each digit its value.
  bool Take(const Expr& e, const Expr& value, Expr* extent) {
    auto sum = ParseDigits(e, map_.old_vars);
    if (!sum || !IsInt(sum->constant, 0)) {
      why_ = fmt::format("the index {} is not a sum of quotients and remainders of the old indices",
                         ToString(e));
      return false;
    }
    auto& terms = sum->terms;
    std::sort(terms.begin(), terms.end(),
              [](const DigitTerm& a, const DigitTerm& b) { return a.coefficient < b.coefficient; });
    Expr weight(1);
    for (size_t i = 0; i < terms.size(); ++i) {
      Expr count = Values(terms[i].digit);
      if (!IsInt(weight, terms[i].coefficient) || !count) {
        why_ = fmt::format("the index {} leaves gaps, or meets itself", ToString(e));
        return false;
      }
      Expr digit = FloorDiv(value, weight);
      weight = bounds_.Simplify(weight * count);
      if (i + 1 < terms.size()) digit = FloorMod(digit, count);
      AddDigit(terms[i].digit, bounds_.Simplify(digit));
    }
    if (extent) *extent = weight;
    return true;
  }

  void AddDigit(const Digit& digit, Expr value) {
    auto it = std::find_if(sources_.begin(), sources_.end(),
                           [&](const Source& s) { return StructuralEqual(s.expr, digit.source); });
    if (it == sources_.end()) it = sources_.insert(it, Source{digit.source, {}});
    it->digits.emplace_back(digit, std::move(value));
  }

  /// The source's value, once digits from 1 to the end are there.
  std::optional<Expr> Assemble(const Source& source) const {
    Expr reached(1), value(0);
    for (size_t step = 0; step <= source.digits.size(); ++step) {
      if (step > 0 && bounds_.Prove(source.expr < reached)) return value;
      auto next = std::find_if(source.digits.begin(), source.digits.end(),
                               [&](const auto& d) { return bounds_.ProveEqual(d.first.lower, reached); });
      if (next == source.digits.end()) return std::nullopt;
      value = bounds_.Simplify(value + next->second * reached);
      if (!next->first.upper) return value;
      reached = next->first.upper;
    }
    return std::nullopt;
  }

  LayoutMap& map_;
  const std::vector<Expr>& shape_;
  const Bounds& bounds_;
  std::string& why_;
  std::vector<Source> sources_;
  VarMap values_;
};

}  // namespace

std::optional<LayoutMap> MakeLayoutMap(const std::vector<Expr>& shape, const std::vector<Var>& old_indices,
                                       const std::vector<Expr>& new_indices, bool pad, std::string& why) {
  if (old_indices.size() != shape.size()) {
    why = fmt::format("the buffer has {} dimensions, the map takes {}", shape.size(), old_indices.size());
    return std::nullopt;
  }
  LayoutMap map;
  map.old_vars = old_indices;
  Bounds bounds;
  for (size_t i = 0; i < shape.size(); ++i) bounds.Bind(old_indices[i], {Expr(0), shape[i]});
  // Simplified, a remainder by more than the extent is the index itself, and what it pads is lost.
  map.forward = new_indices;
  if (!pad || !Inverter(map, shape, bounds, why).Run()) {
    map = {.old_vars = old_indices};
    for (const Expr& e : new_indices) map.forward.push_back(bounds.Simplify(e));
    if (!Inverter(map, shape, bounds, why).Run()) return std::nullopt;
  }
  // Simplify only now: the ranges of the new variables are known.
  Expr old_size(1), new_size(1);
  for (const Expr& extent : shape) old_size = old_size * extent;
  for (size_t d = 0; d < map.new_shape.size(); ++d) {
    bounds.Bind(map.new_vars[d], {Expr(0), map.new_shape[d]});
    new_size = new_size * map.new_shape[d];
  }
  for (Expr& e : map.inverse) e = bounds.Simplify(e);
  map.padded = !bounds.ProveEqual(old_size, new_size);
  return map;
}

}  // namespace tilewright
