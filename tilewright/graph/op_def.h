// SPDX-License-Identifier: Apache-2.0
// Operator definitions: everything about one operator in one place. The core set is unversioned; front ends
// map their operator sets onto it. Definitions live in op/, one file a family, as designated initialisers:
//
//   TW_OP(Relu) = OpDef{
//       .name = "Relu", .doc = "max(x, 0); NaN stays NaN",
//       .inputs = {{"x"}}, .infer = InferSame, .lower = Elementwise(...), .pattern =
//       FusePattern::kElementwise};
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tilewright/graph/graph.h"
#include "tilewright/target/target.h"
#include "tilewright/te/te.h"

namespace tilewright {

/// How an operator may be fused with others.
enum class FusePattern : uint8_t {
  kElementwise,  ///< output element i reads input element i only
  kBroadcast,    ///< the same with broadcasting
  kInjective,    ///< each output element reads one element per input (transpose, slice, pad, concat)
  kReduction,    ///< reduces; takes element-wise and injective producers in, and element-wise consumers
  kBorder,  ///< puts constants around its argument: may be the last of a group, whose results it then places
  kHeavy,   ///< convolution, matrix product, pooling: takes element-wise consumers in at its register tile
  kOpaque,  ///< never fused
};

struct InputDef {
  std::string name;
  bool optional = false;
  bool variadic = false;  ///< the last one only: any number, at least one
};

/// Two extents that an operator needs to be equal.
struct DimEquality {
  Expr left, right;
  std::string what;    ///< such as "columns of a and rows of b"
  std::string origin;  ///< the model's node
};

/// What shape and type inference sees.
class InferContext {
 public:
  /// `equalities`, if given, takes what SameDim could not decide.
  InferContext(const OpDef& op, const std::vector<Value>& args, const Attrs& attrs, const std::string& origin,
               std::vector<DimEquality>* equalities = nullptr)
      : op_(op), args_(args), attrs_(attrs), origin_(origin), equalities_(equalities) {}
  size_t size() const { return args_.size(); }
  bool Has(size_t i) const { return i < args_.size() && args_[i]; }
  const TensorType& Input(size_t i) const;
  template <class S>
  const S& Attr() const {
    return attrs_.Get<S>();
  }
  /// Throws Error `id` with the operator, its argument types and the model's node in the message.
  [[noreturn]] void Fail(const std::string& id, const std::string& message,
                         std::vector<std::string> notes = {}) const;
  /// Throws TW2102 unless two dimensions can be equal. Returns the more constant of the two. What depends on
  /// symbols is checked at run time (graph/dim_equalities.h).
  Expr SameDim(const Expr& a, const Expr& b, const std::string& what) const;

 private:
  const OpDef& op_;
  const std::vector<Value>& args_;
  const Attrs& attrs_;
  const std::string& origin_;
  std::vector<DimEquality>* equalities_;
};

/// What a lowering sees: arguments as te tensors of *physical* shape, with access by *logical* index, so that
/// one lowering serves every layout.
class LowerContext {
 public:
  LowerContext(std::vector<te::Tensor> inputs, std::vector<TensorType> input_types,
               std::vector<TensorType> output_types, const Attrs& attrs, std::string name)
      : inputs_(std::move(inputs)),
        input_types_(std::move(input_types)),
        output_types_(std::move(output_types)),
        attrs_(attrs),
        name_(std::move(name)) {}

  size_t size() const { return inputs_.size(); }
  bool Has(size_t i) const { return i < inputs_.size() && inputs_[i]; }
  const te::Tensor& Physical(size_t i) const { return inputs_[i]; }  ///< the physical tensor
  const TensorType& InputType(size_t i) const { return input_types_[i]; }
  const TensorType& OutputType(size_t i = 0) const { return output_types_[i]; }
  template <class S>
  const S& Attr() const {
    return attrs_.Get<S>();
  }
  const std::string& name() const { return name_; }  ///< a name for the main stage

  using Indices = std::vector<Expr>;
  /// Element of argument `i` at a logical index.
  Expr Read(size_t i, const Indices& logical) const;
  /// Element of argument `i` at the index that numpy-style broadcasting to a result of rank `rank` gives.
  Expr ReadBroadcast(size_t i, const Indices& logical_out) const;
  /// Output `out` as a stage over its physical axes; `f` gets logical indices.
  te::Tensor Compute(const std::function<te::Body(const Indices&)>& f, size_t out = 0,
                     Annotations annotations = {}, const std::string& suffix = {}) const;
  /// An intermediate stage with natural layout.
  te::Tensor Intermediate(const std::string& suffix, std::vector<Expr> shape,
                          const std::function<te::Body(const Indices&)>& f,
                          Annotations annotations = {}) const;

 private:
  std::vector<te::Tensor> inputs_;
  std::vector<TensorType> input_types_, output_types_;
  const Attrs& attrs_;
  std::string name_;
};

/// What the choice among an operator's candidates depends on besides its types.
struct ChoiceContext {
  const Target& target;
  /// The largest error that an algorithm may state, relative to the root mean square of the result.
  double max_error = 0;
  std::vector<bool> constant_args;  ///< which arguments are constants

  bool IsConstant(size_t i) const { return i < constant_args.size() && constant_args[i]; }
};

/// One way to compute a heavy operator: what the choice of algorithm and layout decides between.
struct Candidate {
  std::string algorithm;            ///< for reports; the layouts are what lowerings and rules see
  std::vector<Layout> arg_layouts;  ///< one per argument
  Layout result_layout;
  double cost = 0;  ///< predicted cycles of a core, of one operator's candidates by one model
  /// Another operator that computes the same of the same arguments, and its attributes; null: the operator
  /// itself.
  const OpDef* op = nullptr;
  Attrs attrs;
};

/// What an operator reads around its first argument, as a border that the argument's producer may write.
struct ArgumentBorder {
  std::vector<int64_t> begin, end;  ///< elements before and behind each axis
  double value = 0;                 ///< of the border
  Attrs attrs;                      ///< of the same operator over an argument that has the border
};

/// Two values per channel, [C] each: x * scale + shift along axis 1 of x.
struct ChannelAffine {
  Value scale, shift;
};

class GradientContext;  // graph/gradient.h

/// The definition of an operator.
struct OpDef {
  std::string name;
  std::string doc;
  std::vector<InputDef> inputs;
  AttrsInfo attrs = DescribeAttrs<NoAttrs>();
  /// Result types from argument types; throws through InferContext::Fail.
  std::function<std::vector<Type>(const InferContext&)> infer;
  /// One tensor per result.
  std::function<std::vector<te::Tensor>(const LowerContext&)> lower;
  FusePattern pattern = FusePattern::kOpaque;
  /// Result may use any layout that all tensor arguments of full rank share (element-wise operators).
  bool layout_agnostic = false;
  /// Result may take the channel block (axis 1) of the arguments where it divides the result's channels:
  /// pooling, spatial padding, resizing, concatenation. The lowering reads by logical index, so that any
  /// layout is right.
  bool follows_input_layout = false;
  /// The result is argument 0's memory under another shape when both are natural (reshape): no kernel is
  /// needed.
  bool is_view = false;
  /// For a result that is argument 0 times a factor plus a term, both per channel: these, as calls appended
  /// to the builder. Empty for all other operators.
  std::function<ChannelAffine(const OpCallNode& call, GraphBuilder& builder, const std::string& origin)>
      channel_affine;
  /// For a result that is linear in argument 1, a weight, with argument 2 a bias per channel (or null): the
  /// weight's axis along which the result's channels lie, or nothing where no one axis holds them.
  std::function<std::optional<int>(const Attrs& attrs)> filter_axis;
  /// Ways to compute it on a target, at least one; empty function: natural layouts.
  std::function<std::vector<Candidate>(const InferContext&, const ChoiceContext&)> candidates;
  /// The border that windows reach into, where all of it is known; null: the operator has no windows.
  std::function<std::optional<ArgumentBorder>(const InferContext&)> border;
  /// The cotangents of the arguments, one each, from those of the results, as calls appended to a builder;
  /// null values where there is nothing to propagate. Null: the operator has no gradient.
  std::function<std::vector<Value>(const GradientContext&)> gradient;
  /// The result is argument 0 with some elements replaced. The lowering writes only these: it finds argument
  /// 0 in the result's memory, where the memory plan has put it, without a copy where it can.
  bool updates_argument = false;
  /// Floating-point operations of the direct algorithm, for profiles and shares of peak; null: counted as 0.
  std::function<Expr(const InferContext&)> flops;
};

/// All operators by name. Filled by static objects of the op/ files; read only afterwards.
class OpRegistry {
 public:
  static const OpDef* Find(const std::string& name);
  /// TW_CHECK that it exists.
  static const OpDef* Get(const std::string& name);
  static std::vector<const OpDef*> All();  ///< sorted by name
  static const OpDef* Register(OpDef def);
};

/// Registers the OpDef that follows: `TW_OP(Relu) = OpDef{...};`
#define TW_OP(identifier) [[maybe_unused]] static const ::tilewright::OpRegistrar tw_op_##identifier
struct OpRegistrar {
  OpRegistrar(OpDef def) { OpRegistry::Register(std::move(def)); }
};

}  // namespace tilewright
