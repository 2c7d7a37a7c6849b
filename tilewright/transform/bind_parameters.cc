// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/bind_parameters.h"

#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

void CheckType(const Value& p, const NDArray& value) {
  const TensorType& t = p.tensor();
  bool fits = value.dtype() == t.dtype && value.rank() == t.rank();
  for (int d = 0; fits && d < t.rank(); ++d) {
    auto extent = AsInt(t.shape[size_t(d)]);
    fits = !extent || *extent == value.shape()[size_t(d)];
  }
  if (!fits) {
    throw Error("TW2202", fmt::format("the value of parameter '{}' does not have its type", p->origin), "",
                {fmt::format("expected {}", p->type.ToString()), fmt::format("found {}", value.ToString(0))});
  }
}

}  // namespace

IRModule BindParameters(const IRModule& module, const std::map<std::string, NDArray>& values) {
  return OnMain(module, [&](const GraphFunction& f) {
    if (values.empty()) return f;
    GraphFunctionNode copy = *f;
    copy.params.clear();
    std::vector<Binding> constants;
    for (const Value& p : f->params) {
      auto it = values.find(p->origin.empty() ? p.name() : p->origin);
      if (it == values.end()) {
        copy.params.push_back(p);
        continue;
      }
      CheckType(p, it->second);
      constants.push_back({{p}, MakeConstant(it->second)});
    }
    copy.body.bindings.insert(copy.body.bindings.begin(), constants.begin(), constants.end());
    return GraphFunction(std::move(copy));
  });
}

}  // namespace tilewright
