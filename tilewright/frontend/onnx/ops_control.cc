// SPDX-License-Identifier: Apache-2.0
// Control flow that is decided when the model is imported.
#include <algorithm>

#include "tilewright/frontend/onnx/importer.h"

namespace tilewright::onnx {
namespace {

/// The branch that a known condition takes stands in the node's place.
void If(NodeContext& ctx) {
  std::vector<int64_t> condition = ctx.RequireInts(0, "the condition of If");
  if (condition.size() != 1)
    ctx.Fail("TW2017", fmt::format("the condition has {} elements", condition.size()));
  const GraphProto &yes = ctx.Graph("then_branch"), &no = ctx.Graph("else_branch");
  std::vector<EntryRef> results = ctx.importer().Inline(condition[0] ? yes : no, ctx.scope(), {});
  if (results.size() < ctx.outputs().size()) {
    ctx.Fail("TW2017",
             fmt::format("the branch has {} results, expected {}", results.size(), ctx.outputs().size()));
  }
  for (size_t i = 0; i < ctx.outputs().size(); ++i) ctx.SetEntry(i, results[i]);
}

// ---- Loops of a known number of rounds, one after the other

/// Longer ones are loops of the graph, which the importer does not make.
constexpr int64_t kMostRounds = 1024;
constexpr int64_t kMostNodes = 100'000;

EntryRef EntryOf(Value value) {
  auto entry = std::make_shared<Entry>();
  entry->value = std::move(value);
  return entry;
}
EntryRef EntryOf(DataType dtype, int64_t number) {
  auto entry = std::make_shared<Entry>();
  entry->known = Known{dtype, {}, {KnownElement(dtype, double(number))}};
  return entry;
}

/// The number that an entry is known to hold; nothing where it is not known.
std::optional<int64_t> NumberOf(Entry& entry) {
  if (!entry.known && entry.data) entry.known = Known::FromArray(entry.data);
  auto ints = entry.known ? entry.known->Ints() : std::nullopt;
  return ints && ints->size() == 1 ? std::optional(ints->front()) : std::nullopt;
}

void CheckRounds(const NodeContext& ctx, int64_t rounds, const GraphProto& body) {
  if (rounds > kMostRounds || rounds * body.node_size() > kMostNodes) {
    ctx.Unsupported(
        fmt::format("{} of {} rounds with {} nodes", ctx.node().op_type(), rounds, body.node_size()));
  }
}

/// What scans leave: per result the values of all rounds.
class ScanResults {
 public:
  ScanResults(NodeContext& ctx, size_t count) : ctx_(ctx), parts_(count) {}
  void Add(size_t i, EntryRef part) { parts_[i].push_back(std::move(part)); }
  /// Result `i` with the rounds along a new axis.
  EntryRef Stacked(size_t i, int64_t axis, bool reverse) {
    std::vector<Value> parts;
    for (const EntryRef& e : parts_[i]) {
      Value v = ctx_.importer().Materialise(*e);
      std::vector<Expr> shape = v.tensor().shape;
      const int64_t at = AxisFromFront(ctx_, axis, int64_t(shape.size()) + 1);
      shape.insert(shape.begin() + at, Expr(1));
      parts.push_back(ctx_.Reshape(v, shape));
    }
    if (parts.empty()) ctx_.Unsupported("a result of no round");
    if (reverse) std::reverse(parts.begin(), parts.end());
    return EntryOf(ctx_.Join(std::move(parts), axis));
  }

 private:
  NodeContext& ctx_;
  std::vector<std::vector<EntryRef>> parts_;
};

/// Runs the body once. Where its types are not known since inputs are, all of the node's results are such.
std::optional<std::vector<EntryRef>> RunBody(NodeContext& ctx, const GraphProto& body,
                                             std::vector<EntryRef> inputs, size_t results) {
  if (size_t(body.input_size()) != inputs.size())
    ctx.Fail("TW2017",
             fmt::format("the body takes {} arguments, {} are given", body.input_size(), inputs.size()));
  std::vector<EntryRef> made = ctx.importer().Inline(body, ctx.scope(), std::move(inputs));
  if (made.size() != results)
    ctx.Fail("TW2017", fmt::format("the body has {} results, expected {}", made.size(), results));
  const bool poisoned = std::any_of(made.begin(), made.end(), [](const EntryRef& e) { return e->poisoned; });
  if (!poisoned) return made;
  for (size_t i = 0; i < ctx.outputs().size(); ++i) {
    auto entry = std::make_shared<Entry>();
    entry->poisoned = true;
    ctx.SetEntry(i, std::move(entry));
  }
  return std::nullopt;
}

std::vector<int64_t> ListOr(NodeContext& ctx, const char* name, size_t count) {
  std::vector<int64_t> list = ctx.Ints(name, std::vector<int64_t>(count, 0));
  if (list.size() != count)
    ctx.Fail("TW2015", fmt::format("{} has {} entries, expected {}", name, list.size(), count));
  return list;
}

void Scan(NodeContext& ctx) {
  const GraphProto& body = ctx.Graph("body");
  const int64_t scanned = ctx.Int("num_scan_inputs");
  if (scanned < 1 || scanned > int64_t(ctx.size()))
    ctx.Fail("TW2015", fmt::format("num_scan_inputs is {} of {} arguments", scanned, ctx.size()));
  const size_t states = ctx.size() - size_t(scanned), outputs = ctx.outputs().size();
  if (outputs < states) ctx.Fail("TW2017", fmt::format("{} results for {} states", outputs, states));
  std::vector<int64_t> axes = ListOr(ctx, "scan_input_axes", size_t(scanned));
  const std::vector<int64_t> backwards = ListOr(ctx, "scan_input_directions", size_t(scanned)),
                             output_axes = ListOr(ctx, "scan_output_axes", outputs - states),
                             output_backwards = ListOr(ctx, "scan_output_directions", outputs - states);
  int64_t rounds = -1;
  for (size_t i = 0; i < size_t(scanned); ++i) {
    const std::vector<Expr> shape = ctx.Shape(states + i);
    axes[i] = AxisFromFront(ctx, axes[i], int64_t(shape.size()));
    auto extent = AsInt(shape[size_t(axes[i])]);
    if (!extent) ctx.Unsupported("Scan over a symbolic number of rounds");
    if (rounds >= 0 && *extent != rounds)
      ctx.Fail("TW2017", fmt::format("scanned arguments have {} and {} elements", rounds, *extent));
    rounds = *extent;
  }
  CheckRounds(ctx, rounds, body);
  std::vector<EntryRef> carried;
  for (size_t i = 0; i < states; ++i) carried.push_back(EntryOf(ctx.Arg(i)));
  ScanResults results(ctx, outputs - states);
  for (int64_t r = 0; r < rounds; ++r) {
    std::vector<EntryRef> inputs = carried;
    for (size_t i = 0; i < size_t(scanned); ++i) {
      const int64_t at = backwards[i] ? rounds - 1 - r : r;
      inputs.push_back(EntryOf(ctx.Element(ctx.Arg(states + i), axes[i], at)));
    }
    auto made = RunBody(ctx, body, std::move(inputs), outputs);
    if (!made) return;
    for (size_t i = states; i < outputs; ++i) results.Add(i - states, (*made)[i]);
    carried.assign(made->begin(), made->begin() + std::ptrdiff_t(states));
  }
  for (size_t i = 0; i < states; ++i) ctx.SetEntry(i, carried[i]);
  for (size_t i = states; i < outputs; ++i) {
    ctx.SetEntry(i, results.Stacked(i - states, output_axes[i - states], output_backwards[i - states] != 0));
  }
}

/// A loop whose end is known when the model is imported: by its trip count, or since its conditions can be
/// computed.
void Loop(NodeContext& ctx) {
  const GraphProto& body = ctx.Graph("body");
  if (ctx.size() < 2) ctx.Fail("TW2017", "Loop takes a trip count, a condition and what it carries");
  const size_t states = ctx.size() - 2, outputs = ctx.outputs().size();
  if (outputs < states) ctx.Fail("TW2017", fmt::format("{} results for {} carried values", outputs, states));
  int64_t rounds = INT64_MAX, go = 1;
  auto scalar = [&](size_t i, const char* what) {
    std::vector<int64_t> v = ctx.RequireInts(i, what);
    if (v.size() != 1) ctx.Fail("TW2017", fmt::format("{} has {} elements, expected 1", what, v.size()));
    return v[0];
  };
  if (ctx.Has(0)) rounds = scalar(0, "the trip count of Loop");
  if (ctx.Has(1)) go = scalar(1, "the condition of Loop");
  std::vector<EntryRef> carried;
  for (size_t i = 0; i < states; ++i) {
    // What is known stays so, for shapes that depend on it.
    auto known = ctx.KnownInput(2 + i);
    carried.push_back(EntryOf(ctx.Arg(2 + i)));
    carried.back()->known = known;
  }
  ScanResults results(ctx, outputs - states);
  if (ctx.Has(0) && go) CheckRounds(ctx, rounds, body);
  for (int64_t r = 0; go && r < rounds; ++r) {
    CheckRounds(ctx, r + 1, body);
    std::vector<EntryRef> inputs = {EntryOf(kI64, r), EntryOf(kBool, 1)};
    inputs.insert(inputs.end(), carried.begin(), carried.end());
    auto made = RunBody(ctx, body, std::move(inputs), outputs + 1);
    if (!made) return;
    auto next = NumberOf(*made->front());
    if (!next) ctx.Unsupported("a Loop whose end depends on data");
    go = *next;
    carried.assign(made->begin() + 1, made->begin() + 1 + std::ptrdiff_t(states));
    for (size_t i = states; i < outputs; ++i) results.Add(i - states, (*made)[i + 1]);
  }
  for (size_t i = 0; i < states; ++i) ctx.SetEntry(i, carried[i]);
  for (size_t i = states; i < outputs; ++i) ctx.SetEntry(i, results.Stacked(i - states, 0, false));
}

[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"If", 1, 0, If},
    {"Scan", 9, 0, Scan},
    {"Loop", 1, 0, Loop},
});

}  // namespace
}  // namespace tilewright::onnx
