// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/constant_args.h"

namespace tilewright {

namespace {

constexpr const char* kKey = "constant_args";

template <class Node>
Node WithList(Node node, const std::vector<int64_t>& positions) {
  if (positions.empty()) {
    node.attrs.erase(kKey);
  } else {
    node.attrs[kKey] = positions;
  }
  return node;
}

Function WithPositions(const Function& f, const std::vector<int64_t>& positions) {
  if (f->kind == FunctionKind::kPrim)
    return PrimFunc(WithList(static_cast<const PrimFuncNode&>(*f), positions));
  return GraphFunction(WithList(static_cast<const GraphFunctionNode&>(*f), positions));
}

std::vector<int64_t> Positions(const std::vector<bool>& flags) {
  std::vector<int64_t> positions;
  for (size_t i = 0; i < flags.size(); ++i) {
    if (flags[i]) positions.push_back(int64_t(i));
  }
  return positions;
}

size_t ArgumentsOf(const Function& f) {
  return f->kind == FunctionKind::kPrim ? static_cast<const PrimFuncNode&>(*f).buffers.size()
                                        : static_cast<const GraphFunctionNode&>(*f).params.size();
}

}  // namespace

std::vector<bool> ConstantArgs(const Function& f) {
  std::vector<bool> flags;
  auto it = f->attrs.find(kKey);
  if (it == f->attrs.end()) return flags;
  auto* positions = std::get_if<std::vector<int64_t>>(&it->second);
  if (!positions)
    throw Error("TW3305", fmt::format("the attribute {} of @{} is not a list of positions", kKey, f->name));
  for (int64_t i : *positions) {
    if (i < 0 || size_t(i) >= ArgumentsOf(f))
      throw Error("TW3305", fmt::format("{} of @{}: there is no argument {}", kKey, f->name, i));
    flags.resize(std::max(flags.size(), size_t(i) + 1));
    flags[size_t(i)] = true;
  }
  return flags;
}

Function WithConstantArgs(const Function& f, const std::vector<bool>& constant_args) {
  return WithPositions(f, Positions(constant_args));
}

PrimFunc WithConstantArgs(const PrimFunc& f, const std::vector<bool>& constant_args) {
  return f ? PrimFunc(WithList(*f, Positions(constant_args))) : f;
}

Function WithoutConstantArgs(const Function& f) { return f->attrs.contains(kKey) ? WithPositions(f, {}) : f; }

}  // namespace tilewright
