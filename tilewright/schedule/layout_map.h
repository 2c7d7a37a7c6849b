// SPDX-License-Identifier: Apache-2.0
// Maps between index spaces that are bijective but for padding: layouts of buffers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tilewright/schedule/bounds.h"

namespace tilewright {

/// old indices -> new indices, with its inverse.
struct LayoutMap {
  std::vector<Var> old_vars;
  std::vector<Expr> forward;  ///< per new dimension, over old_vars
  std::vector<Expr> new_shape;
  std::vector<Var> new_vars;
  std::vector<Expr> inverse;  ///< per old dimension, over new_vars
  bool padded = false;        ///< some new indices stand for no old ones

  std::vector<Expr> Apply(const std::vector<Expr>& indices) const;
};

/// The map of a buffer of this shape; `why` says what is wrong where there is none: an index that is no sum
/// of digits of the old ones, old indices that meet, new indices with gaps. With `pad`, a remainder takes all
/// of its values even where the old index takes fewer.
std::optional<LayoutMap> MakeLayoutMap(const std::vector<Expr>& shape, const std::vector<Var>& old_indices,
                                       const std::vector<Expr>& new_indices, bool pad, std::string& why);

}  // namespace tilewright
