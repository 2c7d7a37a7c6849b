// SPDX-License-Identifier: Apache-2.0
#include "tilewright/ir/type.h"

#include <charconv>

namespace tilewright {

Layout Layout::Blocked(int rank, int axis, int64_t block) {
  Layout layout;
  if (block == 1) return layout;
  for (int i = 0; i < rank; ++i) layout.dims.push_back({i, 0});
  layout.dims.push_back({axis, block});
  return layout;
}

int64_t Layout::BlockOf(int axis) const {
  if (natural()) return 1;
  const Dim& last = dims.back();
  return *this == Blocked(int(dims.size()) - 1, axis, last.factor) && last.axis == axis ? last.factor : 0;
}

namespace {

/// Product of the block factors of `axis` behind position `from`: what one step of that dimension counts.
int64_t StepOf(const std::vector<Layout::Dim>& dims, size_t from) {
  int64_t step = 1;
  for (size_t i = from + 1; i < dims.size(); ++i) {
    if (dims[i].axis == dims[from].axis) step *= dims[i].factor;
  }
  return step;
}

}  // namespace

std::vector<Expr> Layout::PhysicalShape(const std::vector<Expr>& shape) const {
  if (natural()) return shape;
  std::vector<Expr> result;
  for (size_t i = 0; i < dims.size(); ++i) {
    result.push_back(dims[i].factor ? Expr(dims[i].factor) : FloorDiv(shape[dims[i].axis], StepOf(dims, i)));
  }
  return result;
}

std::vector<Expr> Layout::ToPhysical(const std::vector<Expr>& logical) const {
  if (natural()) return logical;
  std::vector<Expr> result;
  for (size_t i = 0; i < dims.size(); ++i) {
    Expr index = FloorDiv(logical[dims[i].axis], StepOf(dims, i));
    result.push_back(dims[i].factor ? FloorMod(index, dims[i].factor) : index);
  }
  return result;
}

std::vector<Expr> Layout::ToLogical(const std::vector<Expr>& physical, int rank) const {
  if (natural()) return physical;
  std::vector<Expr> result(size_t(rank), Expr(0));
  for (size_t i = 0; i < dims.size(); ++i) {
    Expr& out = result[size_t(dims[i].axis)];
    out = out + physical[i] * StepOf(dims, i);
  }
  return result;
}

std::string Layout::ToString() const {
  std::string text;
  for (const Dim& d : dims) {
    if (!text.empty()) text += ' ';
    text += std::to_string(d.axis);
    if (d.factor) text += ":" + std::to_string(d.factor);
  }
  return text;
}

Layout Layout::Parse(const std::string& text) {
  Layout layout;
  const char* p = text.data();
  const char* end = p + text.size();
  auto fail = [&] {
    throw Error("TW1002", fmt::format("'{}' is not a layout", text), "",
                {"expected axes in memory order with block factors, such as '0 1 2 3 1:16'"});
  };
  auto number = [&](auto& value) {
    auto [next, error] = std::from_chars(p, end, value);
    if (error != std::errc() || value < 0) fail();
    p = next;
  };
  while (p != end) {
    Dim dim{0, 0};
    number(dim.axis);
    if (p != end && *p == ':') {
      ++p;
      number(dim.factor);
      if (dim.factor == 0) fail();
    }
    layout.dims.push_back(dim);
    if (p != end && *p++ != ' ') fail();
  }
  return layout;
}

bool SameShape(const std::vector<Expr>& a, const std::vector<Expr>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Expr& x, const Expr& y) { return StructuralEqual(x, y); });
}

std::optional<std::vector<int64_t>> TensorType::StaticShape() const {
  std::vector<int64_t> result;
  for (const Expr& d : shape) {
    auto value = AsInt(d);
    if (!value) return std::nullopt;
    result.push_back(*value);
  }
  return result;
}

Expr TensorType::NumElements() const {
  Expr n(1);
  for (const Expr& d : shape) n = n * d;
  return n;
}

std::string Type::ToString() const {
  return std::visit(
      Overloaded{
          [](const TensorType& t) {
            std::string text = t.dtype.ToString() + "[";
            for (size_t i = 0; i < t.shape.size(); ++i) {
              text += (i ? ", " : "") + tilewright::ToString(t.shape[i]);
            }
            text += "]";
            if (!t.layout.natural()) text += " layout(" + t.layout.ToString() + ")";
            if (!t.device.empty()) text += " device(" + t.device + ")";
            if (t.scope != "global") text += " scope(" + t.scope + ")";
            return text;
          },
          [](const SequenceType& t) { return "seq<" + t.element->ToString() + ">"; },
          [](const OptionalType& t) { return "optional<" + t.element->ToString() + ">"; },
          [](const TupleType& t) {
            std::string text = "(";
            for (const Type& f : t.fields) text += (text.size() > 1 ? ", " : "") + f.ToString();
            return text + ")";
          },
      },
      static_cast<const std::variant<TensorType, SequenceType, OptionalType, TupleType>&>(*this));
}

bool StructuralEqual(const Type& a, const Type& b) {
  if (a.index() != b.index()) return false;
  if (auto* x = a.tensor()) {
    auto* y = b.tensor();
    return x->dtype == y->dtype && x->layout == y->layout && x->device == y->device && x->scope == y->scope &&
           SameShape(x->shape, y->shape);
  }
  if (auto* x = std::get_if<SequenceType>(&a))
    return StructuralEqual(*x->element, *std::get<SequenceType>(b).element);
  if (auto* x = std::get_if<OptionalType>(&a))
    return StructuralEqual(*x->element, *std::get<OptionalType>(b).element);
  const auto &x = std::get<TupleType>(a).fields, &y = std::get<TupleType>(b).fields;
  return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                    [](const Type& p, const Type& q) { return StructuralEqual(p, q); });
}

}  // namespace tilewright
