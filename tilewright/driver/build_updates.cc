// SPDX-License-Identifier: Apache-2.0
// Memory that results take over from arguments: updates of a few elements in place, and outputs in the memory
// of inputs that the user donates. Where something still needs the argument, a copy keeps it.
#include <algorithm>

#include "tilewright/driver/program_builder.h"
#include "tilewright/graph/lower_function.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

// ---- Updates

Value ProgramBuilder::UpdatedBy(const Binding& b) const {
  auto* call = b.operation.As<FunctionCallNode>();
  if (!call) return nullptr;
  const GraphFunction& f = kernels_.units()[unit_of_.at(call->callee)].graph;
  const Value parameter = UpdatedArgument(f);
  if (!parameter) return nullptr;
  return call->args[size_t(std::find(f->params.begin(), f->params.end(), parameter) - f->params.begin())];
}

bool ProgramBuilder::NeededAfter(const GraphBlock& block, const Binding& b, const Value& root) const {
  auto is_root = [&](const Value& v) { return Root(v) == root; };
  bool behind = false;
  for (const Binding& other : block.bindings) {
    const std::vector<Value> used = behind ? UsedValues(other.operation) : std::vector<Value>();
    if (std::any_of(used.begin(), used.end(), is_root)) return true;
    behind = behind || &other == &b;
  }
  return std::any_of(block.results.begin(), block.results.end(), is_root);
}

bool ProgramBuilder::MayUpdateInPlace(const GraphBlock& block, const Binding& b,
                                      const Value& argument) const {
  const Value root = Root(argument);
  // Rows of it may be views.
  const bool has_rows = std::any_of(block.bindings.begin(), block.bindings.end(), [&](const Binding& other) {
    auto* call = other.operation.As<FunctionCallNode>();
    return call && RowOf(*call) && Root(call->args[0]) == root;
  });
  return BindingOf(block, root) && !has_rows && !NeededAfter(block, b, root);
}

void ProgramBuilder::PlaceUpdate(const GraphBlock& block, const Binding& b, const Value& argument) {
  if (in_place_.contains(&b)) return;
  const Value &result = b.results[0], root = Root(argument);
  auto place = places_.find(root.get());
  const bool in_arena = place != places_.end() && place->second.storage == runtime::Storage::kArena &&
                        !place->second.constant && place->second.swap_loop == kNone &&
                        place->second.walk_loop == kNone;
  if (in_arena && !places_.contains(result.get()) && MayUpdateInPlace(block, b, argument)) {
    places_[result.get()] = Place(place->second);
    in_place_.insert(&b);
    return;
  }
  update_copies_[&b] = {argument, result};
}

// ---- Donated inputs

void ProgramBuilder::ReadDonations() {
  const size_t outputs = main_->body.results.size();
  donor_.assign(outputs, kNone);
  auto attribute = main_->attrs.find("donate");
  if (attribute == main_->attrs.end()) return;
  auto fail = [](const std::string& message, std::vector<std::string> notes = {}) {
    throw Error("TW3102", message, "", std::move(notes));
  };
  const auto* given = std::get_if<std::vector<std::string>>(&attribute->second);
  if (!given || given->size() % 2)
    fail("the attribute 'donate' of @main is no list of inputs and outputs, one behind the other");
  const std::vector<std::string>& names = *given;
  for (size_t k = 0; k + 1 < names.size(); k += 2) {
    size_t input = 0, output = 0;
    const auto& inputs = built_.program.inputs;
    while (input < inputs.size() && inputs[input].name != names[k]) ++input;
    while (output < outputs &&
           (output >= main_->result_names.size() || main_->result_names[output] != names[k + 1]))
      ++output;
    if (input == inputs.size())
      fail(fmt::format("there is no input '{}' that could give its memory away", names[k]));
    if (output == outputs)
      fail(fmt::format("there is no output '{}' that could take the memory of input '{}'", names[k + 1],
                       names[k]));
    const Type &from = main_->params[input]->type, &to = main_->body.results[output]->type;
    if (!StructuralEqual(from, to)) {
      fail(fmt::format("input '{}' and output '{}' have different types", names[k], names[k + 1]),
           {"the input is " + from.ToString(), "the output is " + to.ToString()});
    }
    if (donor_[output] != kNone || std::count(donor_.begin(), donor_.end(), input))
      fail(fmt::format("input '{}' or output '{}' is named twice", names[k], names[k + 1]));
    donor_[output] = input;
  }
}

bool ProgramBuilder::MayTakeDonor(size_t i) {
  const GraphBlock& block = main_->body;
  const Value& donor = main_->params[donor_[i]];
  // The first to write the memory: where updates follow one another, that which makes what they start from.
  const Binding* first = BindingOf(block, Root(block.results[i]));
  Value updated;
  while (first) {
    updated = UpdatedBy(*first);
    if (!updated || !MayUpdateInPlace(block, *first, updated)) break;
    first = BindingOf(block, Root(updated));
  }
  if (!first || NeededAfter(block, *first, donor)) return false;
  const std::vector<Value> used = UsedValues(first->operation);
  const auto uses = std::count_if(used.begin(), used.end(), [&](const Value& v) { return Root(v) == donor; });
  if (uses == 0) return true;
  auto* call = first->operation.As<FunctionCallNode>();
  if (!call || uses > 1) return false;
  if (updated) {
    if (Root(updated) == donor) in_place_.insert(first);
    return Root(updated) == donor;
  }
  const KernelUnit& unit = kernels_.units()[unit_of_.at(call->callee)];
  const Value result = Root(block.results[i]);
  const auto at =
      std::find_if(call->args.begin(), call->args.end(), [&](const Value& v) { return Root(v) == donor; }) -
      call->args.begin();
  const auto to = std::find(first->results.begin(), first->results.end(), result) - first->results.begin();
  if (size_t(to) == first->results.size())
    return false;  // an update behind it is not the one that is written
  return unit.in_place[size_t(at) * first->results.size() + size_t(to)];
}

void ProgramBuilder::OrderCopies() {
  std::vector<size_t> last;
  std::erase_if(copies_, [&](size_t i) {
    if (donor_[i] != kNone) last.push_back(i);
    return donor_[i] != kNone;
  });
  copies_.insert(copies_.end(), last.begin(), last.end());
  for (size_t i : copies_) {
    if (donor_[i] == kNone) continue;
    const Value source = Root(main_->body.results[i]);
    const auto other = std::find(main_->params.begin(), main_->params.end(), source);
    const auto number = size_t(other - main_->params.begin());
    if (other == main_->params.end() || !std::count(donor_.begin(), donor_.end(), number)) continue;
    throw Error("TW3102", fmt::format("output '{}' is input '{}' itself, whose memory another output takes",
                                      built_.program.outputs[i].name, built_.program.inputs[number].name));
  }
}

}  // namespace tilewright
