// SPDX-License-Identifier: Apache-2.0
#include "tilewright/frontend/onnx/importer.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "tilewright/graph/infer.h"

namespace tilewright::onnx {

std::string NormalDomain(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

Importer::Importer(std::shared_ptr<const Model> model, const std::string& folder,
                   const ImportOptions& options, std::string where)
    : model_(model), options_(options), where_(std::move(where)), tensors_(folder, model) {}

void Importer::CheckVersions() {
  if (!model_->proto.has_graph()) throw Error("TW2005", "the model has no graph", where_);
  if (model_->proto.ir_version() < 1 || model_->proto.ir_version() > kNewestIrVersion) {
    throw Error("TW2004", fmt::format("the file has IR version {}", model_->proto.ir_version()), where_,
                {fmt::format("expected 1 to {}", kNewestIrVersion)});
  }
  for (const OperatorSetIdProto& set : model_->proto.opset_import()) {
    if (!opsets_.emplace(NormalDomain(set.domain()), set.version()).second) {
      throw Error("TW2006", fmt::format("operator set '{}' is imported twice", set.domain()), where_);
    }
  }
  // Files before IR version 3 import nothing and mean the first operator set.
  if (model_->proto.ir_version() < 3) opsets_.emplace("", 1);
  if (auto it = opsets_.find(""); it != opsets_.end() && (it->second < 1 || it->second > kNewestOpset)) {
    throw Error("TW2006", fmt::format("the model uses operator set {} of ONNX", it->second), where_,
                {fmt::format("expected 1 to {}", kNewestOpset)});
  }
}

void Importer::CollectFunctions() {
  for (const FunctionProto& f : model_->proto.functions()) {
    auto key = std::tuple(NormalDomain(f.domain()), f.name(), f.overload());
    if (!functions_.emplace(key, &f).second) {
      throw Error("TW2011",
                  fmt::format("function '{}' of domain '{}' is defined twice", f.name(), f.domain()), where_);
    }
  }
}

const FunctionProto* Importer::FindFunction(const NodeProto& node) const {
  auto it = functions_.find({NormalDomain(node.domain()), node.op_type(), node.overload()});
  return it == functions_.end() ? nullptr : it->second;
}

namespace {

std::map<std::string, int64_t> FunctionOpsets(const FunctionProto& f) {
  std::map<std::string, int64_t> opsets;
  for (const OperatorSetIdProto& set : f.opset_import()) opsets[NormalDomain(set.domain())] = set.version();
  return opsets;
}

constexpr int kMaxNesting = 64;

}  // namespace

void Importer::CheckNodesSupported(const google::protobuf::RepeatedPtrField<NodeProto>& nodes,
                                   const std::map<std::string, int64_t>& opsets, int depth) {
  if (depth > kMaxNesting) {
    throw Error("TW2014", fmt::format("functions and subgraphs are nested more than {} deep", kMaxNesting),
                where_);
  }
  for (const NodeProto& node : nodes) {
    for (const AttributeProto& a : node.attribute()) {
      if (a.has_g()) CheckNodesSupported(a.g().node(), opsets, depth + 1);
    }
    if (const FunctionProto* f = FindFunction(node)) {
      if (checked_.insert(f).second) CheckNodesSupported(f->node(), FunctionOpsets(*f), depth + 1);
      continue;
    }
    std::string domain = NormalDomain(node.domain());
    auto set = opsets.find(domain);
    if (set == opsets.end()) {
      throw Error(
          "TW2006",
          fmt::format("no operator set of domain '{}' is imported", domain.empty() ? "ai.onnx" : domain),
          fmt::format("node '{}' ({})", node.name(), node.op_type()));
    }
    if (FindRow(domain, node.op_type(), set->second)) continue;
    Missing& m = missing_[{domain, node.op_type()}];
    m.version = set->second;
    ++m.count;
    m.nodes.push_back(node.name().empty()
                          ? fmt::format("making '{}'", node.output_size() ? node.output(0) : "")
                          : fmt::format("'{}'", node.name()));
  }
}

void Importer::CheckSupported() {
  CheckNodesSupported(model_->proto.graph().node(), opsets_, 0);
  if (missing_.empty()) return;
  std::vector<std::string> notes;
  int total = 0;
  for (auto& [key, m] : missing_) {
    constexpr size_t kShown = 5;
    std::string nodes = fmt::format(
        "{}",
        fmt::join(m.nodes.begin(), m.nodes.begin() + std::ptrdiff_t(std::min(m.nodes.size(), kShown)), ", "));
    if (m.nodes.size() > kShown) nodes += fmt::format(" and {} more", m.nodes.size() - kShown);
    notes.push_back(fmt::format("{}{} (opset {}), {} times: {}", key.first.empty() ? "" : key.first + ".",
                                key.second, m.version, m.count, nodes));
    total += m.count;
  }
  notes.push_back("a model-local function of that name in the file would be used instead");
  throw Error("TW2010",
              fmt::format("{} operator{} of the model {} not supported ({} node{})", missing_.size(),
                          missing_.size() == 1 ? "" : "s", missing_.size() == 1 ? "is" : "are", total,
                          total == 1 ? "" : "s"),
              where_, notes);
}

// ---- Inputs and initialisers

namespace {

EntryRef DataEntry(NDArray data, std::string name, bool is_parameter) {
  auto entry = std::make_shared<Entry>();
  entry->data = std::move(data);
  entry->name = std::move(name);
  entry->is_parameter = is_parameter;
  return entry;
}

void Define(Scope& scope, const std::string& name, EntryRef entry, const std::string& where) {
  if (!scope.entries.emplace(name, std::move(entry)).second) {
    throw Error("TW2011", fmt::format("the name '{}' is made twice", name), where);
  }
}

}  // namespace

void Importer::AddInitialisers(const GraphProto& graph, Scope& scope) {
  if (graph.sparse_initializer_size() > 0) {
    throw Error("TW2016",
                fmt::format("initialiser '{}' is sparse, which is not supported",
                            graph.sparse_initializer(0).values().name()),
                where_);
  }
  for (const TensorProto& t : graph.initializer()) {
    if (t.name().empty()) throw Error("TW2011", "an initialiser has no name", where_);
    if (options_.bound.count(t.name())) continue;
    Define(scope, t.name(), DataEntry(tensors_.Read(t), t.name(), true), where_);
  }
}

Expr Importer::DeclaredDim(const TensorShapeProto& shape, const std::string& input, int index) {
  const TensorShapeProto::Dimension& dim = shape.dim(index);
  std::string name = dim.value_case() == TensorShapeProto::Dimension::kDimParam && !dim.dim_param().empty()
                         ? dim.dim_param()
                         : fmt::format("{}_{}", input, index);
  // Exporters write one name for every dimension that they leave open; within one shape, equal names are
  // taken for different dimensions, as runtimes that check nothing do.
  int earlier = 0;
  for (int i = 0; i < index; ++i)
    earlier += dim.has_dim_param() && shape.dim(i).dim_param() == dim.dim_param();
  if (earlier > 0) name += fmt::format(".{}", earlier);
  // Some exporters write -1 for what is known at run time.
  if (dim.value_case() == TensorShapeProto::Dimension::kDimValue && dim.dim_value() != -1) {
    constexpr int64_t kMost = int64_t{1} << 40;
    if (dim.dim_value() < 0 || dim.dim_value() > kMost) {
      throw Error("TW2021", fmt::format("dimension {} of input '{}' is {}", index, input, dim.dim_value()),
                  where_, {"expected a number from 0 to 2^40, or a name for what is known at run time"});
    }
    return Expr(dim.dim_value());
  }
  auto [it, fresh] = dims_.emplace(name, nullptr);
  if (fresh) {
    auto fixed = options_.dims.find(name);
    it->second = fixed == options_.dims.end() ? Expr(Var::Symbol(name, 1)) : Expr(fixed->second);
  }
  return it->second;
}

void Importer::CheckFixedDims() const {
  for (auto& [name, value] : options_.dims) {
    if (dims_.contains(name)) continue;
    std::string known;
    for (auto& [symbol, dim] : dims_) known += (known.empty() ? "" : ", ") + symbol;
    throw Error("TW2019", fmt::format("the model has no symbolic dimension '{}'", name), where_,
                {known.empty() ? "all dimensions of its inputs are constant" : "it has: " + known});
  }
}

TensorType Importer::DeclaredType(const ValueInfoProto& info) {
  const std::string& name = info.name();
  if (info.type().value_case() != TypeProto::kTensorType) {
    throw Error("TW2016", fmt::format("input '{}' is not a tensor", name), where_,
                {"sequences, maps, optional and sparse values are not supported"});
  }
  const TypeProto::Tensor& declared = info.type().tensor_type();
  TensorType type;
  type.dtype = ElementType(declared.elem_type(), fmt::format("input '{}'", name));
  if (!declared.has_shape()) {
    auto given = options_.bound.find(name);
    if (given == options_.bound.end()) {
      throw NeedsBoundInputs(
          {name},
          {"TW2051",
           fmt::format("input '{}' has no declared shape", name),
           where_,
           {fmt::format("give the values of these inputs (the command: --bind NAME=VALUE): {}", name)}});
    }
    type.shape = ToExprs(given->second.shape());
    return type;
  }
  if (declared.shape().dim_size() > kMostAxes) {
    throw Error("TW2021", fmt::format("input '{}' has {} dimensions", name, declared.shape().dim_size()),
                where_, {fmt::format("expected at most {}", kMostAxes)});
  }
  for (int i = 0; i < declared.shape().dim_size(); ++i) {
    type.shape.push_back(DeclaredDim(declared.shape(), name, i));
  }
  if (auto shape = type.StaticShape()) {
    try {
      CheckedSize(*shape, type.dtype.element_bytes());
    } catch (const Error& e) {
      throw Error("TW2021", fmt::format("input '{}' is too large", name), where_,
                  {e.diagnostics().front().message});
    }
  }
  return type;
}

void Importer::BindInput(const std::string& name, const TensorType& type, Scope& scope) {
  const NDArray& data = options_.bound.at(name);
  bool fits = data.dtype() == type.dtype && data.rank() == type.rank();
  for (size_t d = 0; fits && d < type.shape.size(); ++d) {
    auto extent = AsInt(type.shape[d]);
    fits = !extent || *extent == data.shape()[d];
  }
  if (!fits) {
    throw Error(
        "TW2018", fmt::format("the value given for input '{}' does not have its type", name), where_,
        {fmt::format("expected {}", Type(type).ToString()), fmt::format("found {}", data.ToString(0))});
  }
  Define(scope, name, DataEntry(data, name, true), where_);
}

void Importer::AddInput(const ValueInfoProto& input, Scope& scope) {
  const std::string& name = input.name();
  if (name.empty()) throw Error("TW2011", "an input has no name", where_);
  // Up to IR version 3 initialisers are listed among the inputs; later that makes them defaults.
  auto initial = scope.entries.find(name);
  if (initial != scope.entries.end()) {
    if (initial->second->is_parameter) return;
    throw Error("TW2011", fmt::format("two inputs are named '{}'", name), where_);
  }
  TensorType type = DeclaredType(input);
  if (options_.bound.count(name)) return BindInput(name, type, scope);
  auto entry = std::make_shared<Entry>();
  entry->name = name;
  entry->value = Value(UniqueName(name), Type(type), name);
  entry->depends = std::make_shared<const std::set<std::string>>(std::set<std::string>{name});
  inputs_.push_back(entry->value);
  Define(scope, name, std::move(entry), where_);
}

std::string Importer::UniqueName(const std::string& model_name) {
  std::string name;
  for (char c : model_name)
    name += std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' ? c : '_';
  if (name.empty() || !(std::isalpha(static_cast<unsigned char>(name[0])) || name[0] == '_'))
    name = "p_" + name;
  std::string unique = name;
  for (int n = 1; !value_names_.insert(unique).second; ++n) unique = fmt::format("{}_{}", name, n);
  return unique;
}

Value Importer::Materialise(Entry& e) {
  if (e.value) return e.value;
  if (e.data && e.is_parameter) {
    TensorType type;
    type.dtype = e.data.dtype();
    type.shape = ToExprs(e.data.shape());
    e.value = Value(UniqueName(e.name), Type(std::move(type)), e.name);
    parameters_.push_back(e.value);
    parameter_data_.emplace(e.name, e.data);
  } else if (e.data) {
    e.value = builder_.Constant(e.data, e.name);
  } else if (e.known->constant()) {
    e.value = builder_.Constant(e.known->ToArray(), e.name);
  } else {
    const OpDef* list = OpRegistry::Get("IndexList");
    Annotations attrs = {{"elements", e.known->elements}, {"shape", e.known->shape}};
    e.value = builder_.CallOp(list, {}, list->attrs.from_map(attrs), e.name).front();
    if (e.known->dtype != kI64) {
      const OpDef* cast = OpRegistry::Get("Cast");
      e.value =
          builder_.CallOp(cast, {e.value}, cast->attrs.from_map({{"to", e.known->dtype}}), e.name).front();
    }
  }
  return e.value;
}

// ---- Nodes

std::vector<EntryRef> Importer::NodeInputs(const NodeProto& node, const Scope& scope) {
  std::vector<EntryRef> inputs;
  for (const std::string& name : node.input()) {
    EntryRef entry = name.empty() ? nullptr : scope.Find(name);
    if (!name.empty() && !entry) {
      throw Error("TW2012", fmt::format("nothing makes '{}', which a node uses", name),
                  fmt::format("node '{}' ({})", node.name(), node.op_type()),
                  {"expected an input, an initialiser or a result of another node"});
    }
    inputs.push_back(std::move(entry));
  }
  return inputs;
}

void Importer::Publish(const NodeProto& node, std::vector<EntryRef> outputs,
                       const std::vector<EntryRef>& inputs, Scope& scope) {
  auto depends = std::make_shared<std::set<std::string>>();
  for (const EntryRef& in : inputs) {
    if (in && in->depends) depends->insert(in->depends->begin(), in->depends->end());
  }
  for (int i = 0; i < node.output_size(); ++i) {
    const std::string& name = node.output(i);
    if (name.empty()) continue;
    EntryRef entry = outputs[size_t(i)];
    if (!entry) continue;  // using it is an undefined name
    if (entry->name.empty()) entry->name = name;
    if (!entry->depends && !entry->data) entry->depends = depends;
    Define(scope, name, std::move(entry), fmt::format("node '{}' ({})", node.name(), node.op_type()));
  }
}

void Importer::ConvertNode(const NodeProto& node, Scope& scope) {
  std::vector<EntryRef> inputs = NodeInputs(node, scope);
  auto poison = [&] {
    std::vector<EntryRef> outputs;
    for (int i = 0; i < node.output_size(); ++i) {
      outputs.push_back(std::make_shared<Entry>());
      outputs.back()->poisoned = true;
    }
    Publish(node, outputs, inputs, scope);
  };
  for (const EntryRef& in : inputs) {
    if (in && in->poisoned) return poison();
  }
  const FunctionProto* function = FindFunction(node);
  if (function) return CallFunction(*function, node, scope);
  std::string domain = NormalDomain(node.domain());
  int64_t version = scope.opsets.at(domain);
  NodeContext ctx(*this, scope, node, inputs, version);
  try {
    KnownRule rule = domain.empty() ? FindKnownRule(node.op_type()) : nullptr;
    if (!rule || !rule(ctx)) {
      ctx.ForgetArguments();
      FindRow(domain, node.op_type(), version)->convert(ctx);
    }
    ctx.CheckAllUsed();
  } catch (const NeedsBoundInputs& e) {
    needed_inputs_.insert(e.inputs.begin(), e.inputs.end());
    needed_diagnostics_.insert(needed_diagnostics_.end(), e.diagnostics().begin(), e.diagnostics().end());
    return poison();
  } catch (const Error& e) {
    // Errors from deeper down (attribute structs, arrays) do not know the node.
    std::vector<Diagnostic> findings = e.diagnostics();
    for (Diagnostic& d : findings) {
      if (d.where.empty() || d.where == "node " + ctx.Origin()) d.where = ctx.Where();
    }
    throw Error(std::move(findings));
  }
  Publish(node, ctx.outputs(), inputs, scope);
}

void Importer::Charge(int nodes, const std::string& where) {
  inlined_nodes_ += nodes + 1;
  if (!Exhausted()) return;
  throw Error("TW2014",
              fmt::format("functions and unrolled loops amount to more than {} nodes", kMostInlinedNodes),
              where);
}

void Importer::ConvertNodes(const google::protobuf::RepeatedPtrField<NodeProto>& nodes, Scope& scope,
                            const std::string& what) {
  for (int i : SortNodes(nodes, what)) ConvertNode(nodes[i], scope);
}

void Importer::CallFunction(const FunctionProto& function, const NodeProto& node, Scope& scope) {
  const std::string where = fmt::format("node '{}' (function {})", node.name(), node.op_type());
  if (std::find(call_stack_.begin(), call_stack_.end(), &function) != call_stack_.end()) {
    throw Error("TW2014", fmt::format("function '{}' calls itself", function.name()), where);
  }
  if (node.input_size() > function.input_size()) {
    throw Error("TW2017",
                fmt::format("function '{}' takes {} arguments, {} are given", function.name(),
                            function.input_size(), node.input_size()),
                where);
  }
  std::map<std::string, AttributeProto> attributes;
  for (const AttributeProto& a : function.attribute_proto()) attributes[a.name()] = a;
  for (const AttributeProto& a : node.attribute()) {
    if (a.ref_attr_name().empty()) {
      attributes[a.name()] = a;
    } else if (scope.attributes && scope.attributes->count(a.ref_attr_name())) {
      attributes[a.name()] = scope.attributes->at(a.ref_attr_name());
    }
  }
  std::vector<EntryRef> inputs = NodeInputs(node, scope);
  Scope inner;
  inner.opsets = FunctionOpsets(function);
  inner.attributes = &attributes;
  for (int i = 0; i < function.input_size(); ++i) {
    EntryRef given = i < node.input_size() ? inputs[size_t(i)] : nullptr;
    Define(inner, function.input(i), given, where);
  }
  Charge(function.node_size(), where);
  call_stack_.push_back(&function);
  ConvertNodes(function.node(), inner, fmt::format("function '{}'", function.name()));
  call_stack_.pop_back();
  for (int i = 0; i < std::min(node.output_size(), function.output_size()); ++i) {
    if (node.output(i).empty()) continue;
    EntryRef result = inner.Find(function.output(i));
    if (!result) {
      throw Error(
          "TW2012",
          fmt::format("nothing makes '{}', a result of function '{}'", function.output(i), function.name()),
          where);
    }
    Define(scope, node.output(i), std::move(result), where);
  }
}

std::vector<EntryRef> Importer::Inline(const GraphProto& graph, const Scope& outer,
                                       std::vector<EntryRef> inputs) {
  Scope inner;
  inner.outer = &outer;
  inner.opsets = outer.opsets;
  inner.attributes = outer.attributes;
  const std::string what = fmt::format("subgraph '{}'", graph.name());
  Charge(graph.node_size(), what);
  for (const TensorProto& t : graph.initializer())
    Define(inner, t.name(), DataEntry(tensors_.Read(t), "", false), what);
  for (int i = 0; i < graph.input_size() && size_t(i) < inputs.size(); ++i) {
    Define(inner, graph.input(i).name(), inputs[size_t(i)], what);
  }
  ConvertNodes(graph.node(), inner, what);
  std::vector<EntryRef> results;
  for (const ValueInfoProto& output : graph.output()) {
    EntryRef result = inner.Find(output.name());
    if (!result)
      throw Error("TW2012", fmt::format("nothing makes '{}', a result of {}", output.name(), what), where_);
    results.push_back(std::move(result));
  }
  return results;
}

void Importer::BuildIn(GraphBuilder& builder, const std::function<void()>& work) {
  struct Restore {
    GraphBuilder*& current;
    GraphBuilder* before = current;
    ~Restore() { current = before; }
  } restore{current_};
  current_ = &builder;
  work();
}

// ---- Results

Value Importer::Result(const ValueInfoProto& output, const Scope& scope) {
  EntryRef entry = scope.Find(output.name());
  if (!entry) {
    throw Error("TW2012", fmt::format("nothing makes the output '{}'", output.name()), where_,
                {"expected an input, an initialiser or a result of a node"});
  }
  const bool computed = entry->value && !entry->is_parameter && entry->name == output.name() &&
                        std::find(inputs_.begin(), inputs_.end(), entry->value) == inputs_.end();
  Value value = Materialise(*entry);
  if (output.type().value_case() == TypeProto::kTensorType && output.type().tensor_type().elem_type() != 0) {
    DataType declared =
        ElementType(output.type().tensor_type().elem_type(), fmt::format("output '{}'", output.name()));
    if (declared != value.tensor().dtype) {
      throw Error("TW2016",
                  fmt::format("output '{}' is declared as {}, but the graph makes {}", output.name(),
                              declared.ToString(), value.tensor().dtype.ToString()),
                  where_);
    }
  }
  // A result is memory of its own, also where the model hands an input or a weight through.
  return computed ? value : builder_.Call1("Identity", {value}, {}, output.name());
}

ImportedModel Importer::Run() {
  try {
    return RunAll();
  } catch (NeedsBoundInputs& e) {
    std::set<std::string> initialisers;
    for (const TensorProto& t : model_->proto.graph().initializer()) initialisers.insert(t.name());
    for (const ValueInfoProto& input : model_->proto.graph().input()) {
      if (!initialisers.count(input.name())) e.all_inputs.push_back(input.name());
    }
    throw;
  }
}

ImportedModel Importer::RunAll() {
  CheckVersions();
  CollectFunctions();
  CheckSupported();
  const GraphProto& graph = model_->proto.graph();
  Scope scope;
  scope.opsets = opsets_;
  AddInitialisers(graph, scope);
  for (const ValueInfoProto& input : graph.input()) AddInput(input, scope);
  for (auto& [name, value] : options_.bound) {
    if (!scope.entries.count(name)) {
      throw Error("TW2018", fmt::format("the model has no input '{}'", name), where_,
                  {"its inputs are those that `tilewright inspect` lists"});
    }
  }
  CheckFixedDims();
  ConvertNodes(graph.node(), scope, "the graph");
  if (!needed_inputs_.empty()) {
    Diagnostic all = needed_diagnostics_.front();
    all.notes = {fmt::format("give the values of these inputs (the command: --bind NAME=VALUE): {}",
                             fmt::join(needed_inputs_.begin(), needed_inputs_.end(), ", "))};
    throw NeedsBoundInputs({needed_inputs_.begin(), needed_inputs_.end()}, all);
  }
  if (graph.output_size() == 0) throw Error("TW2005", "the graph has no outputs", where_);
  GraphFunctionNode main;
  main.name = "main";
  std::vector<Value> results;
  for (const ValueInfoProto& output : graph.output()) {
    results.push_back(Result(output, scope));
    main.result_names.push_back(output.name());
  }
  ImportedModel imported;
  main.params = inputs_;
  for (const Value& v : inputs_) imported.inputs.push_back(v->origin);
  main.params.insert(main.params.end(), parameters_.begin(), parameters_.end());
  main.body = builder_.Finish(results);
  imported.module.Set(GraphFunction(std::move(main)));
  imported.parameters = std::move(parameter_data_);
  imported.opset = opsets_.count("") ? opsets_.at("") : 0;
  imported.producer = model_->proto.producer_name();
  return imported;
}

}  // namespace tilewright::onnx

namespace tilewright {

ImportedModel ImportOnnxBytes(std::string_view bytes, const std::string& folder,
                              const ImportOptions& options) {
  auto model = onnx::ParseModel(bytes, "the model in memory", options.max_file_bytes);
  return onnx::Importer(model, folder, options, "the model in memory").Run();
}

ImportedModel ImportOnnx(const std::string& path, const ImportOptions& options) {
  auto file = onnx::MapFile(path);
  const std::string where = fmt::format("file '{}'", path);
  auto model = onnx::ParseModel({file->data, size_t(file->size)}, where, options.max_file_bytes, file);
  std::string folder = std::filesystem::path(path).parent_path().string();
  return onnx::Importer(model, folder.empty() ? "." : folder, options, where).Run();
}

NDArray ReadOnnxTensor(std::string_view bytes) {
  onnx::TensorProto tensor;
  if (bytes.size() > INT32_MAX || !tensor.ParseFromArray(bytes.data(), int(bytes.size()))) {
    throw Error("TW2002", "this is not a tensor in ONNX's format, or it is damaged");
  }
  return onnx::TensorReader("", nullptr).Read(tensor);
}

}  // namespace tilewright
