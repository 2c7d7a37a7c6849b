// SPDX-License-Identifier: Apache-2.0
#include <queue>

#include "tilewright/frontend/onnx/importer.h"

namespace tilewright::onnx {

namespace {

std::string NameOf(const NodeProto& node) {
  if (!node.name().empty()) return fmt::format("'{}'", node.name());
  return fmt::format("{} making '{}'", node.op_type(), node.output_size() ? node.output(0) : "");
}

/// Names that a node reads: its arguments and whatever its subgraphs mention.
void ForEachUse(const NodeProto& node, const std::function<void(const std::string&, bool nested)>& f) {
  for (const std::string& name : node.input()) f(name, false);
  auto nested = [&](const std::string& name, bool) { f(name, true); };
  for (const AttributeProto& a : node.attribute()) {
    if (!a.has_g()) continue;
    for (const NodeProto& inner : a.g().node()) ForEachUse(inner, nested);
    for (const ValueInfoProto& out : a.g().output()) nested(out.name(), true);
  }
}

[[noreturn]] void FailCycle(const google::protobuf::RepeatedPtrField<NodeProto>& nodes,
                            const std::vector<int>& waits, const std::string& what) {
  std::vector<std::string> names;
  for (int i = 0; i < nodes.size(); ++i) {
    if (waits[size_t(i)] > 0) names.push_back(NameOf(nodes[i]));
  }
  constexpr size_t kShown = 8;
  std::string list = fmt::format(
      "{}", fmt::join(names.begin(), names.begin() + std::ptrdiff_t(std::min(names.size(), kShown)), ", "));
  if (names.size() > kShown) list += fmt::format(" and {} more", names.size() - kShown);
  throw Error("TW2013", fmt::format("the nodes of {} form a cycle", what), "", {"in or behind it: " + list});
}

}  // namespace

std::vector<int> SortNodes(const google::protobuf::RepeatedPtrField<NodeProto>& nodes,
                           const std::string& what) {
  std::unordered_map<std::string, int> maker;
  for (int i = 0; i < nodes.size(); ++i) {
    for (const std::string& name : nodes[i].output()) {
      if (name.empty()) continue;
      auto [it, fresh] = maker.emplace(name, i);
      if (!fresh) {
        throw Error("TW2011", fmt::format("the name '{}' is made twice in {}", name, what), "",
                    {fmt::format("by {} and {}", NameOf(nodes[it->second]), NameOf(nodes[i]))});
      }
    }
  }
  std::vector<std::vector<int>> users(size_t(nodes.size()));
  std::vector<int> waits(size_t(nodes.size()), 0);
  for (int i = 0; i < nodes.size(); ++i) {
    ForEachUse(nodes[i], [&](const std::string& name, bool nested) {
      auto it = maker.find(name);
      // A subgraph may reuse the names of its node's results inside.
      if (it == maker.end() || (nested && it->second == i)) return;
      users[size_t(it->second)].push_back(i);
      ++waits[size_t(i)];
    });
  }
  std::priority_queue<int, std::vector<int>, std::greater<int>> ready;
  for (int i = 0; i < nodes.size(); ++i) {
    if (waits[size_t(i)] == 0) ready.push(i);
  }
  std::vector<int> order;
  while (!ready.empty()) {
    int i = ready.top();
    ready.pop();
    order.push_back(i);
    for (int user : users[size_t(i)]) {
      if (--waits[size_t(user)] == 0) ready.push(user);
    }
  }
  if (order.size() != size_t(nodes.size())) FailCycle(nodes, waits, what);
  return order;
}

}  // namespace tilewright::onnx
