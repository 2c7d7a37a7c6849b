// SPDX-License-Identifier: Apache-2.0
#include "tilewright/cli/report.h"

#include "tilewright/driver/dl_types.h"
#include "tilewright/support/error.h"

namespace tilewright {

std::string SpecText(const runtime::TensorSpec& spec) {
  std::string text = FromDl(spec.dtype).ToString() + "[";
  for (size_t i = 0; i < spec.shape.size(); ++i) text += (i ? ", " : "") + spec.shape[i].ToString();
  return text + "]";
}

std::vector<int64_t> StaticShape(const runtime::TensorSpec& spec) {
  std::vector<int64_t> shape;
  for (const runtime::ShapeExpr& d : spec.shape) {
    if (!d.is_constant())
      throw Error("TW3101", fmt::format("'{}' has a dimension that is not fixed", spec.name));
    shape.push_back(d.constant());
  }
  return shape;
}

}  // namespace tilewright
