// SPDX-License-Identifier: Apache-2.0
// Types of graph-level values.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "tilewright/ir/expr.h"

namespace tilewright {

/// How the logical axes of a tensor lie in memory: an ordered list of physical dimensions. A dimension with
/// factor 0 is what remains of its axis (outermost); one with a factor is a block of that many elements.
/// NCHW16c is {0, 1, 2, 3, 1:16}; NHWC is {0, 2, 3, 1}. Empty: the natural order. A factor divides its axis.
struct Layout {
  struct Dim {
    int axis;
    int64_t factor = 0;
    friend bool operator==(const Dim&, const Dim&) = default;
  };
  std::vector<Dim> dims;

  bool natural() const { return dims.empty(); }
  friend bool operator==(const Layout&, const Layout&) = default;

  /// Axis `axis` of a rank-`rank` tensor split by `block`, the block innermost: NCHW16c is Blocked(4, 1, 16).
  static Layout Blocked(int rank, int axis, int64_t block);
  /// The block of an axis if this is Blocked(rank, axis, b); 1 when natural; 0 for any other layout.
  int64_t BlockOf(int axis) const;

  std::vector<Expr> PhysicalShape(const std::vector<Expr>& shape) const;
  std::vector<Expr> ToPhysical(const std::vector<Expr>& logical_indices) const;
  std::vector<Expr> ToLogical(const std::vector<Expr>& physical_indices, int rank) const;

  std::string ToString() const;  ///< "0 1 2 3 1:16"; "" when natural
  static Layout Parse(const std::string& text);
};

/// Whether two shapes have equal dimensions, compared by structure.
bool SameShape(const std::vector<Expr>& a, const std::vector<Expr>& b);

struct TensorType {
  DataType dtype;
  std::vector<Expr> shape;  ///< logical
  Layout layout;
  std::string device;  ///< "" is the host's processor
  std::string scope = "global";

  int rank() const { return int(shape.size()); }
  std::vector<Expr> PhysicalShape() const { return layout.PhysicalShape(shape); }
  /// The shape as integers when all dimensions are constant.
  std::optional<std::vector<int64_t>> StaticShape() const;
  /// Elements; null-free product of the shape.
  Expr NumElements() const;
};

struct Type;
struct SequenceType {
  std::shared_ptr<const Type> element;
};
struct OptionalType {
  std::shared_ptr<const Type> element;
};
struct TupleType {
  std::vector<Type> fields;
};

/// The type of a graph-level value.
struct Type : std::variant<TensorType, SequenceType, OptionalType, TupleType> {
  using variant::variant;
  const TensorType* tensor() const { return std::get_if<TensorType>(this); }
  std::string ToString() const;  ///< "f32[1, 3, n, 224]", with "layout(...)" when not natural
};

bool StructuralEqual(const Type& a, const Type& b);

}  // namespace tilewright
