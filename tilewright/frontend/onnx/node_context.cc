// SPDX-License-Identifier: Apache-2.0
#include "tilewright/frontend/onnx/node_context.h"

#include "tilewright/frontend/onnx/importer.h"

namespace tilewright::onnx {

EntryRef Scope::Find(const std::string& name) const {
  for (const Scope* s = this; s; s = s->outer) {
    auto it = s->entries.find(name);
    if (it != s->entries.end()) return it->second;
  }
  return nullptr;
}

NodeContext::NodeContext(Importer& importer, Scope& scope, const NodeProto& node,
                         std::vector<EntryRef> inputs, int64_t opset)
    : importer_(importer),
      scope_(scope),
      node_(node),
      inputs_(std::move(inputs)),
      opset_(opset),
      outputs_(size_t(node.output_size())) {}

std::string NodeContext::Origin() const {
  if (!node_.name().empty()) return node_.name();
  return node_.op_type() + (node_.output_size() ? ":" + node_.output(0) : "");
}

std::string NodeContext::Where() const {
  std::string domain = node_.domain().empty() || node_.domain() == "ai.onnx" ? "" : node_.domain() + " ";
  return fmt::format("node '{}' ({}, {}opset {})", Origin(), node_.op_type(), domain, opset_);
}

void NodeContext::Fail(const std::string& id, const std::string& message,
                       std::vector<std::string> notes) const {
  throw Error(id, message, Where(), std::move(notes));
}

const Entry& NodeContext::Input(size_t i) const {
  if (!Has(i)) Fail("TW2017", fmt::format("argument {} is missing", i));
  return *inputs_[i];
}

Value NodeContext::Arg(size_t i) {
  Input(i);
  return importer_.Materialise(*inputs_[i]);
}

Value NodeContext::OptionalArg(size_t i) { return Has(i) ? Arg(i) : Value(); }

TensorType NodeContext::Type(size_t i) const {
  const Entry& e = Input(i);
  if (e.value) {
    if (const TensorType* t = e.value->type.tensor()) return *t;
    Fail("TW2016", fmt::format("argument {} is {}, expected a tensor", i, e.value->type.ToString()));
  }
  TensorType type;
  type.dtype = e.data ? e.data.dtype() : e.known->dtype;
  type.shape = ToExprs(e.data ? e.data.shape() : e.known->shape);
  return type;
}

std::vector<int64_t> NodeContext::StaticShape(size_t i) const {
  auto shape = Type(i).StaticShape();
  if (!shape) {
    Fail("TW2060",
         fmt::format("argument {} has symbolic dimensions, which this operator does not support", i),
         {"fix them on import (dims)"});
  }
  return *shape;
}

std::optional<Known> NodeContext::KnownInput(size_t i) const {
  if (!Has(i)) return std::nullopt;
  Entry& e = *inputs_[i];
  if (!e.known && e.data) e.known = Known::FromArray(e.data);
  return e.known;
}

Known NodeContext::RequireKnown(size_t i, const std::string& what) const {
  Input(i);
  if (auto known = KnownInput(i)) return *known;
  const Entry& e = *inputs_[i];
  if (e.depends && !e.depends->empty()) {
    std::vector<std::string> names(e.depends->begin(), e.depends->end());
    throw NeedsBoundInputs(
        names,
        {"TW2051",
         fmt::format("{} must be known when the model is compiled, but depends on the model's inputs", what),
         Where(),
         {fmt::format("give the values of these inputs (the command: --bind NAME=VALUE): {}",
                      fmt::join(names, ", "))}});
  }
  Fail("TW2050",
       fmt::format("{} must be known when the model is compiled, and cannot be computed then", what));
}

std::vector<Expr> NodeContext::RequireExprs(size_t i, const std::string& what) const {
  Known known = RequireKnown(i, what);
  if (known.dtype.is_float()) Fail("TW2016", fmt::format("{} has floating-point elements", what));
  return known.elements;
}

std::vector<int64_t> NodeContext::RequireInts(size_t i, const std::string& what) const {
  Known known = RequireKnown(i, what);
  auto ints = known.Ints();
  if (!ints) Fail("TW2060", fmt::format("{} depends on symbolic dimensions, which is not supported", what));
  return *ints;
}

std::vector<double> NodeContext::RequireNumbers(size_t i, const std::string& what) const {
  Known known = RequireKnown(i, what);
  auto numbers = known.Numbers();
  if (!numbers)
    Fail("TW2060", fmt::format("{} depends on symbolic dimensions, which is not supported", what));
  return *numbers;
}

double NodeContext::RequireNumber(size_t i, const std::string& what) const {
  std::vector<double> numbers = RequireNumbers(i, what);
  if (numbers.size() != 1)
    Fail("TW2017", fmt::format("{} has {} elements, expected 1", what, numbers.size()));
  return numbers[0];
}

// ---- Attributes

const AttributeProto* NodeContext::FindAttr(const std::string& name) const {
  used_.insert(name);
  for (const AttributeProto& a : node_.attribute()) {
    if (a.name() != name) continue;
    if (a.ref_attr_name().empty()) return &a;
    if (!scope_.attributes)
      Fail("TW2015", fmt::format("attribute '{}' refers to a function's, outside of one", name));
    auto it = scope_.attributes->find(a.ref_attr_name());
    return it == scope_.attributes->end() ? nullptr : &it->second;
  }
  return nullptr;
}

namespace {
enum AttrType { kFloat = 1, kInt, kString, kTensor, kGraph, kFloats, kInts, kStrings };
const char* const kAttrTypeNames[] = {"nothing", "float",  "int",  "string", "tensor",
                                      "graph",   "floats", "ints", "strings"};
}  // namespace

const AttributeProto* NodeContext::TypedAttr(const std::string& name, int type, bool required) const {
  const AttributeProto* a = FindAttr(name);
  if (!a) {
    if (required) Fail("TW2015", fmt::format("attribute '{}' is missing", name));
    return nullptr;
  }
  // Files before IR version 3 carry no type.
  if (a->type() != type && a->type() != 0) {
    int found = a->type();
    Fail("TW2015",
         fmt::format("attribute '{}' is of type {}, expected {}", name,
                     found >= 0 && found <= kStrings ? kAttrTypeNames[found] : std::to_string(found),
                     kAttrTypeNames[type]));
  }
  return a;
}

int64_t NodeContext::Int(const std::string& name, std::optional<int64_t> otherwise) const {
  const AttributeProto* a = TypedAttr(name, kInt, !otherwise);
  return a ? a->i() : *otherwise;
}
double NodeContext::Float(const std::string& name, std::optional<double> otherwise) const {
  const AttributeProto* a = TypedAttr(name, kFloat, !otherwise);
  return a ? double(a->f()) : *otherwise;
}
std::string NodeContext::String(const std::string& name, std::optional<std::string> otherwise) const {
  const AttributeProto* a = TypedAttr(name, kString, !otherwise);
  return a ? a->s() : *otherwise;
}
std::vector<int64_t> NodeContext::Ints(const std::string& name,
                                       std::optional<std::vector<int64_t>> otherwise) const {
  const AttributeProto* a = TypedAttr(name, kInts, !otherwise);
  return a ? std::vector<int64_t>(a->ints().begin(), a->ints().end()) : *otherwise;
}
std::vector<double> NodeContext::Floats(const std::string& name,
                                        std::optional<std::vector<double>> otherwise) const {
  const AttributeProto* a = TypedAttr(name, kFloats, !otherwise);
  return a ? std::vector<double>(a->floats().begin(), a->floats().end()) : *otherwise;
}
std::vector<std::string> NodeContext::Strings(const std::string& name) const {
  const AttributeProto* a = TypedAttr(name, kStrings, false);
  return a ? std::vector<std::string>(a->strings().begin(), a->strings().end()) : std::vector<std::string>();
}
NDArray NodeContext::Tensor(const std::string& name) const {
  return importer_.tensors().Read(TypedAttr(name, kTensor, true)->t());
}
const GraphProto& NodeContext::Graph(const std::string& name) const {
  return TypedAttr(name, kGraph, true)->g();
}

void NodeContext::CheckAllUsed() const {
  // Left over from ONNX's first operator sets; states what may be overwritten.
  static const std::set<std::string> kHarmless = {"consumed_inputs"};
  for (const AttributeProto& a : node_.attribute()) {
    if (used_.count(a.name()) || kHarmless.count(a.name())) continue;
    Fail("TW2015", fmt::format("there is no attribute '{}'", a.name()));
  }
  for (size_t i = asked_; i < inputs_.size(); ++i) {
    if (inputs_[i])
      Fail("TW2017", fmt::format("there are {} arguments, expected at most {}", size(), asked_));
  }
}

// ---- Results

std::vector<Value> NodeContext::CallMulti(const std::string& op, std::vector<Value> args,
                                          const Annotations& attrs) {
  const OpDef* def = OpRegistry::Get(op);
  return importer_.builder().CallOp(def, std::move(args), def->attrs.from_map(attrs), Origin());
}
Value NodeContext::Call(const std::string& op, std::vector<Value> args, const Annotations& attrs) {
  return CallMulti(op, std::move(args), attrs).front();
}
Value NodeContext::Constant(NDArray array) { return importer_.builder().Constant(std::move(array)); }
Value NodeContext::Scalar(DataType dtype, double value) {
  return Constant(NDArray::FromDoubles(dtype, {}, std::vector<double>{value}));
}

Value NodeContext::Reshape(const Value& x, std::vector<Expr> shape) {
  return SameShape(x.tensor().shape, shape) ? x : Call("Reshape", {x}, {{"shape", std::move(shape)}});
}

Value NodeContext::Cast(const Value& x, DataType to) {
  return x.tensor().dtype == to ? x : Call("Cast", {x}, {{"to", to}});
}

Value NodeContext::Join(std::vector<Value> parts, int64_t axis) {
  constexpr size_t kGroup = 16;
  while (parts.size() > 1) {
    std::vector<Value> groups;
    for (size_t i = 0; i < parts.size(); i += kGroup) {
      const size_t end = std::min(parts.size(), i + kGroup);
      std::vector<Value> group(parts.begin() + std::ptrdiff_t(i), parts.begin() + std::ptrdiff_t(end));
      groups.push_back(group.size() == 1 ? group[0] : Call("Concat", std::move(group), {{"axis", axis}}));
    }
    parts = std::move(groups);
  }
  return parts.front();
}

Value NodeContext::Element(const Value& x, int64_t axis, int64_t i) {
  return Call("Gather", {x, Constant(NDArray::FromInts(kI64, {}, std::vector<int64_t>{i}))},
              {{"axis", axis}});
}

bool NodeContext::Wants(size_t i) const { return i < outputs_.size() && !node_.output(int(i)).empty(); }

void NodeContext::SetEntry(size_t i, EntryRef entry) {
  if (i < outputs_.size()) outputs_[i] = std::move(entry);
}
void NodeContext::Set(size_t i, Value value) {
  auto entry = std::make_shared<Entry>();
  entry->value = std::move(value);
  SetEntry(i, std::move(entry));
}
void NodeContext::SetKnown(size_t i, Known known) {
  auto entry = std::make_shared<Entry>();
  entry->known = std::move(known);
  SetEntry(i, std::move(entry));
}

// ---- Tables

namespace {
std::map<std::pair<std::string, std::string>, std::vector<OpRow>>& Rows() {
  static std::map<std::pair<std::string, std::string>, std::vector<OpRow>> rows;
  return rows;
}
std::map<std::string, KnownRule>& KnownRules() {
  static std::map<std::string, KnownRule> rules;
  return rules;
}
}  // namespace

bool RegisterRows(std::vector<OpRow> rows) {
  for (OpRow& row : rows) {
    auto key = std::pair(row.domain, row.op);
    Rows()[key].push_back(std::move(row));
  }
  return true;
}

const OpRow* FindRow(const std::string& domain, const std::string& op, int64_t version) {
  auto it = Rows().find({domain, op});
  if (it == Rows().end()) return nullptr;
  for (const OpRow& row : it->second) {
    if (row.since <= version && (row.until == 0 || version <= row.until)) return &row;
  }
  return nullptr;
}

bool RegisterKnownRules(std::map<std::string, KnownRule> rules) {
  KnownRules().merge(rules);
  return true;
}

KnownRule FindKnownRule(const std::string& op) {
  auto it = KnownRules().find(op);
  return it == KnownRules().end() ? nullptr : it->second;
}

std::vector<Expr> ToExprs(const std::vector<int64_t>& values) {
  return std::vector<Expr>(values.begin(), values.end());
}

int64_t AxisFromFront(const NodeContext& ctx, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    ctx.Fail("TW2015", fmt::format("axis {} is outside of [{}, {})", axis, -rank, rank));
  }
  return axis < 0 ? axis + rank : axis;
}

void RequireEntries(const NodeContext& ctx, const std::vector<int64_t>& list, size_t expected,
                    const char* name) {
  if (list.size() != expected) {
    ctx.Fail("TW2015", fmt::format("{} has {} entries, expected {}", name, list.size(), expected));
  }
  for (int64_t v : list) {
    if (v < INT32_MIN || v > INT32_MAX) ctx.Fail("TW2015", fmt::format("{} has an entry of {}", name, v));
  }
}

}  // namespace tilewright::onnx
