// SPDX-License-Identifier: Apache-2.0
#include "tilewright/cli/report.h"

#include "tilewright/driver/dl_types.h"

namespace tilewright {

std::string SpecText(const runtime::TensorSpec& spec, const runtime::Program& program) {
  std::vector<std::string> names;
  for (const runtime::SymbolInfo& s : program.symbols) names.push_back(s.name);
  std::string text = FromDl(spec.dtype).ToString() + "[";
  for (size_t i = 0; i < spec.shape.size(); ++i) text += (i ? ", " : "") + spec.shape[i].ToString(names);
  return text + "]";
}

void PrintPassTimes(const CompiledModel& model) {
  double total = 0;
  for (const PassRecord& r : model.times) total += r.milliseconds;
  fmt::print("{:>10} {:>6}  pass (of kernels: all threads together)\n", "ms", "share");
  for (const PassRecord& r : model.times)
    fmt::print("{:>10.2f} {:>5.1f}%  {}\n", r.milliseconds, 100 * r.milliseconds / total, r.name);
}

}  // namespace tilewright
