// SPDX-License-Identifier: Apache-2.0
#include "tilewright/op/pool_lines.h"

#include <algorithm>

namespace tilewright {

namespace {

/// Elements that one expression folds: code grows with them.
constexpr int64_t kMostTaps = 64;

/// The places of a window along one spatial axis: tap t of position o is element o * stride + t * dilation -
/// lead of the argument.
struct Taps {
  int64_t in, out, count, stride, dilation, lead;

  int64_t At(int64_t o, int64_t t) const { return o * stride + t * dilation - lead; }
  bool Inside(int64_t o, int64_t t) const { return At(o, t) >= 0 && At(o, t) < in; }
  /// Whether a tap of some position is an element; of no position if none is.
  bool Meets(int64_t t) const {
    for (int64_t o = 0; o < out; ++o) {
      if (Inside(o, t)) return true;
    }
    return false;
  }
  /// Without the first and last taps, where these only ever meet padding.
  Taps Trimmed() const {
    int64_t first = 0, end = count;
    while (first < end && !Meets(first)) ++first;
    while (end > first && !Meets(end - 1)) --end;
    if (first == end) return *this;
    return {in, out, end - first, stride, dilation, lead - first * dilation};
  }
  /// Of the argument, with padding.
  int64_t Reach() const { return (out - 1) * stride + (count - 1) * dilation + 1; }
};

std::optional<std::vector<Taps>> TapsOf(const LowerContext& ctx, const Window& window) {
  if (!ctx.OutputType().layout.natural() || !ctx.InputType(0).layout.natural()) return std::nullopt;
  std::vector<Taps> all;
  for (size_t d = 0; d < window.kernel.size(); ++d) {
    const auto in = AsInt(ctx.InputType(0).shape[d + 2]), out = AsInt(ctx.OutputType().shape[d + 2]);
    const auto kernel = AsInt(window.kernel[d]);
    if (!in || !out || !kernel || *in < 1 || *out < 1) return std::nullopt;
    if (*kernel > kMostTaps) return std::nullopt;
    all.push_back(Taps{*in, *out, *kernel, window.strides[d], window.dilations[d], window.pads[d]}.Trimmed());
  }
  return all;
}

/// Folds over the taps of the axes from `axis` on but one, `line`; `from` has the indices of the argument.
class LineFold {
 public:
  LineFold(const LowerContext& ctx, const PoolFold& fold, const std::vector<Taps>& taps, size_t line)
      : ctx_(ctx), fold_(fold), taps_(taps), line_(line) {}

  /// Place q of the line with border at positions `o` of the other axes.
  Expr At(const Indices& channel, const Indices& o, const Expr& q) {
    Indices from = channel;
    from.resize(2 + taps_.size());
    const Taps& along = taps_[line_];
    from[2 + line_] = q - Expr(along.lead);
    std::vector<Expr> inside;
    if (along.lead > 0) inside.push_back(from[2 + line_] >= Expr(0));
    if (along.Reach() - along.lead > along.in) inside.push_back(from[2 + line_] < Expr(along.in));
    Expr all = Across(from, o, 0, {});
    return inside.empty() ? all : MakeIfThenElse(AllOf(inside), all, fold_.fill);
  }

 private:
  Expr Across(Indices& from, const Indices& o, size_t axis, std::vector<Expr> inside) {
    if (axis == line_) return Across(from, o, axis + 1, std::move(inside));
    if (axis == taps_.size()) {
      Expr value = fold_.element(ctx_.Read(0, from));
      return inside.empty() ? value : MakeIfThenElse(AllOf(inside), value, fold_.fill);
    }
    const Taps& t = taps_[axis];
    Expr result = nullptr;
    for (int64_t tap = 0; tap < t.count; ++tap) {
      from[2 + axis] = o[axis] * Expr(t.stride) + Expr(tap * t.dilation - t.lead);
      std::vector<Expr> conditions = inside;
      if (t.At(0, tap) < 0) conditions.push_back(from[2 + axis] >= Expr(0));
      if (t.At(t.out - 1, tap) >= t.in) conditions.push_back(from[2 + axis] < Expr(t.in));
      Expr value = Across(from, o, axis + 1, std::move(conditions));
      result = result ? fold_.join(result, value) : value;
    }
    return result;
  }

  const LowerContext& ctx_;
  const PoolFold& fold_;
  const std::vector<Taps>& taps_;
  const size_t line_;
};

/// Positions along the axis, from the first to the last, at which every tap is an element: [begin, end).
std::pair<int64_t, int64_t> Interior(const Taps& t) {
  auto whole = [&](int64_t o) { return t.Inside(o, 0) && t.Inside(o, t.count - 1); };
  int64_t begin = 0;
  while (begin < t.out && !whole(begin)) ++begin;
  int64_t end = begin;
  while (end < t.out && whole(end)) ++end;
  return {begin, end};
}

}  // namespace

std::optional<te::Tensor> PoolByLines(const LowerContext& ctx, const Window& window, const PoolFold& fold,
                                      const std::string& suffix) {
  const auto taps = TapsOf(ctx, window);
  if (!taps) return std::nullopt;
  const size_t spatial = taps->size();
  size_t line = spatial - 1;
  while (line > 0 && (*taps)[line].in == 1 && (*taps)[line].out == 1) --line;
  const Taps& along = (*taps)[line];
  int64_t others = 1;
  for (const Taps& t : *taps) others *= t.count;
  if (others / along.count > kMostTaps) return std::nullopt;
  const std::vector<Expr>& out = ctx.OutputType().shape;
  std::vector<Expr> shape = {out[0], out[1]};
  size_t across = 0;
  for (size_t d = 0; d < spatial; ++d) {
    if (d == line) continue;
    shape.push_back(out[d + 2]);
    if ((*taps)[d].count > 1 || (*taps)[d].lead != 0) across = d;
  }
  shape.push_back(Expr(along.Reach()));
  const auto [begin, end] = across == line ? std::pair<int64_t, int64_t>(0, 0) : Interior((*taps)[across]);
  LineFold folds(ctx, fold, *taps, line);
  te::Tensor lines =
      ctx.Intermediate("line", shape,
                       [&](const Indices& i) -> te::Body {
                         Indices o;
                         for (size_t d = 0, next = 2; d < spatial; ++d)
                           o.push_back(d == line ? Expr(0) : i[next++]);
                         return folds.At({i[0], i[1]}, o, i.back());
                       },
                       {{"rule", std::string("pool_line")},
                        {"line_axis", int64_t(line + 2)},
                        {"line_inside", std::vector<int64_t>{along.lead, along.lead + along.in}},
                        {"across_axis", int64_t(across + 2)},
                        {"across_inside", std::vector<int64_t>{begin, end}}});
  return ctx.Compute(
      [&](const Indices& o) -> te::Body {
        Indices at = {o[0], o[1]};
        for (size_t d = 0; d < spatial; ++d) {
          if (d != line) at.push_back(o[d + 2]);
        }
        Expr result = nullptr;
        for (int64_t t = 0; t < along.count; ++t) {
          at.push_back(o[line + 2] * Expr(along.stride) + Expr(t * along.dilation));
          Expr value = lines(at);
          at.pop_back();
          result = result ? fold.join(result, value) : value;
        }
        return result;
      },
      0, {}, suffix);
}

}  // namespace tilewright
