// SPDX-License-Identifier: Apache-2.0
// Random uses of every operator: ranks, dimensions, element types, attributes and contents that make sense
// and that do not. Each ends in a graph that is well formed, and runs without touching what is not there, or
// in an error with an id.
#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "tilewright/frontend/onnx/test_import.h"

namespace tilewright::onnx {
namespace {

/// Operator, the most arguments that are tried, and its attributes with their types: i int, f float, s
/// string, t tensor, capitals for lists. From ONNX's operator documentation, all operator sets together.
constexpr const char* kOperators = R"(
Abs 1 consumed_inputs:I
Acos 1
Acosh 1
Add 2 axis:i broadcast:i consumed_inputs:I
AffineGrid 2 align_corners:i
And 2 axis:i broadcast:i
ArgMax 1 axis:i keepdims:i select_last_index:i
ArgMin 1 axis:i keepdims:i select_last_index:i
Asin 1
Asinh 1
Atan 1
Atanh 1
Attention 6 is_causal:i kv_num_heads:i left_window_size:i q_num_heads:i qk_matmul_output_mode:i right_window_size:i scale:f softcap:f softmax_precision:i
AveragePool 1 auto_pad:s ceil_mode:i count_include_pad:i dilations:I kernel_shape:I pads:I strides:I
BatchNormalization 5 consumed_inputs:I epsilon:f is_test:i momentum:f spatial:i training_mode:i
BitCast 1 to:i
BitShift 2 direction:s
BitwiseAnd 2
BitwiseNot 1
BitwiseOr 2
BitwiseXor 2
BlackmanWindow 1 output_datatype:i periodic:i
Cast 1 round_mode:s saturate:i to:i
CastLike 2 round_mode:s saturate:i
CausalConvWithState 4 activation:s
Ceil 1 consumed_inputs:I
Celu 1 alpha:f
CenterCropPad 2 axes:I
Clip 3 consumed_inputs:I max:f min:f
Col2Im 3 dilations:I pads:I strides:I
Compress 2 axis:i
Concat 6 axis:i
Constant 0 value:t value_float:f value_floats:F value_int:i value_ints:I value_string:s
ConstantOfShape 1 value:t
Conv 3 auto_pad:s dilations:I group:i kernel_shape:I pads:I strides:I
ConvInteger 4 auto_pad:s dilations:I group:i kernel_shape:I pads:I strides:I
ConvTranspose 3 auto_pad:s dilations:I group:i kernel_shape:I output_padding:I output_shape:I pads:I strides:I
Cos 1
Cosh 1
CumProd 2 exclusive:i reverse:i
CumSum 2 exclusive:i reverse:i
DFT 3 axis:i inverse:i onesided:i
DepthToSpace 1 blocksize:i mode:s
DequantizeLinear 3 axis:i block_size:i output_dtype:i
Div 2 axis:i broadcast:i consumed_inputs:I
Dropout 3 consumed_inputs:I is_test:i ratio:f seed:i
DynamicQuantizeLinear 1
Einsum 6 equation:s
Elu 1 alpha:f consumed_inputs:I
Equal 2 axis:i broadcast:i
Erf 1
Exp 1 consumed_inputs:I
Expand 2
EyeLike 1 dtype:i k:i
Flatten 1 axis:i
Floor 1 consumed_inputs:I
GRU 6 activation_alpha:F activation_beta:F activations:s clip:f direction:s hidden_size:i layout:i linear_before_reset:i
LSTM 8 activation_alpha:F activation_beta:F activations:s clip:f direction:s hidden_size:i input_forget:i layout:i
RNN 6 activation_alpha:F activation_beta:F activations:s clip:f direction:s hidden_size:i layout:i
Gather 2 axis:i
GatherElements 2 axis:i
GatherND 2 batch_dims:i
Gelu 1 approximate:s
Gemm 3 alpha:f beta:f broadcast:i transA:i transB:i
GlobalAveragePool 1
GlobalLpPool 1 p:i
GlobalMaxPool 1
Greater 2 axis:i broadcast:i
GreaterOrEqual 2
GridSample 2 align_corners:i mode:s padding_mode:s
GroupNormalization 3 epsilon:f num_groups:i stash_type:i
HammingWindow 1 output_datatype:i periodic:i
HannWindow 1 output_datatype:i periodic:i
HardSigmoid 1 alpha:f beta:f consumed_inputs:I
HardSwish 1
Hardmax 1 axis:i
Identity 1
InstanceNormalization 3 consumed_inputs:I epsilon:f
IsInf 1 detect_negative:i detect_positive:i
IsNaN 1
LRN 1 alpha:f beta:f bias:f size:i
LayerNormalization 3 axis:i epsilon:f stash_type:i
LeakyRelu 1 alpha:f consumed_inputs:I
Less 2 axis:i broadcast:i
LessOrEqual 2
Log 1 consumed_inputs:I
LinearAttention 6 kv_num_heads:i q_num_heads:i scale:f update_rule:s
LogSoftmax 1 axis:i
LpNormalization 1 axis:i p:i
LpPool 1 auto_pad:s ceil_mode:i dilations:I kernel_shape:I p:i pads:I strides:I
MatMul 2
MatMulInteger 4
Max 6 consumed_inputs:I
MaxPool 1 auto_pad:s ceil_mode:i dilations:I kernel_shape:I pads:I storage_order:i strides:I
MaxUnpool 3 kernel_shape:I pads:I strides:I
Mean 6 consumed_inputs:I
MeanVarianceNormalization 1 axes:I
MelWeightMatrix 5 output_datatype:i
Min 6 consumed_inputs:I
Mish 1
Mod 2 fmod:i
Mul 2 axis:i broadcast:i consumed_inputs:I
Neg 1 consumed_inputs:I
NegativeLogLikelihoodLoss 3 ignore_index:i reduction:s
Not 1
OneHot 3 axis:i
Or 2 axis:i broadcast:i
PRelu 2 consumed_inputs:I
Pad 4 mode:s paddings:I pads:I value:f
Pow 2 axis:i broadcast:i
QLinearConv 6 auto_pad:s dilations:I group:i kernel_shape:I pads:I strides:I
QLinearMatMul 6
QuantizeLinear 3 axis:i block_size:i output_dtype:i precision:i saturate:i
RMSNormalization 2 axis:i epsilon:f stash_type:i
Range 3 stash_type:i
Reciprocal 1 consumed_inputs:I
ReduceL1 2 axes:I keepdims:i noop_with_empty_axes:i
ReduceL2 2 axes:I keepdims:i noop_with_empty_axes:i
ReduceLogSum 2 axes:I keepdims:i noop_with_empty_axes:i
ReduceLogSumExp 2 axes:I keepdims:i noop_with_empty_axes:i
ReduceMax 2 axes:I keepdims:i noop_with_empty_axes:i
ReduceMean 2 axes:I keepdims:i noop_with_empty_axes:i
ReduceMin 2 axes:I keepdims:i noop_with_empty_axes:i
ReduceProd 2 axes:I keepdims:i noop_with_empty_axes:i
ReduceSum 2 axes:I keepdims:i noop_with_empty_axes:i
ReduceSumSquare 2 axes:I keepdims:i noop_with_empty_axes:i
Relu 1 consumed_inputs:I
Reshape 2 allowzero:i consumed_inputs:I shape:I
Resize 4 antialias:i axes:I coordinate_transformation_mode:s cubic_coeff_a:f exclude_outside:i extrapolation_value:f keep_aspect_ratio_policy:s mode:s nearest_mode:s
ReverseSequence 2 batch_axis:i time_axis:i
RotaryEmbedding 4 interleaved:i num_heads:i rotary_embedding_dim:i
Round 1
STFT 4 onesided:i
Scatter 3 axis:i
ScatterElements 3 axis:i reduction:s
ScatterND 3 reduction:s
Selu 1 alpha:f consumed_inputs:I gamma:f
Shape 1 end:i start:i
Shrink 1 bias:f lambd:f
Sigmoid 1 consumed_inputs:I
Sign 1
Sin 1
Sinh 1
Size 1
Slice 5 axes:I ends:I starts:I
Softmax 1 axis:i
SoftmaxCrossEntropyLoss 3 ignore_index:i reduction:s
Softplus 1
Softsign 1
SpaceToDepth 1 blocksize:i mode:s
Split 2 axis:i num_outputs:i split:I
Sqrt 1 consumed_inputs:I
Squeeze 2 axes:I
Sub 2 axis:i broadcast:i consumed_inputs:I
Sum 6 consumed_inputs:I
SwiGLU 2 alpha:f
Swish 1 alpha:f
Tan 1
Tanh 1 consumed_inputs:I
TensorScatter 3 axis:i mode:s
ThresholdedRelu 1 alpha:f
Tile 3
TopK 2 axis:i k:i largest:i sorted:i
Transpose 1 perm:I
Trilu 2 upper:i
Unsqueeze 2 axes:I
Upsample 2 height_scale:f mode:s scales:F width_scale:f
Where 3
Xor 2 axis:i broadcast:i
)";

struct Signature {
  std::string op;
  int arguments = 0;
  std::vector<std::pair<std::string, char>> attributes;
};

std::vector<Signature> Signatures() {
  std::vector<Signature> all;
  std::istringstream lines(kOperators);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    Signature s;
    if (!(words >> s.op >> s.arguments)) continue;
    for (std::string word; words >> word;)
      s.attributes.emplace_back(word.substr(0, word.size() - 2), word.back());
    all.push_back(std::move(s));
  }
  return all;
}

class ModelMaker {
 public:
  explicit ModelMaker(uint64_t seed) : random_(seed) {}

  ModelProto Make(const Signature& s) {
    ModelProto m = EmptyModel(Chance(70) ? Draw(13, 28) : Draw(1, 28));
    m.set_ir_version(10);
    NodeProto* n = m.mutable_graph()->add_node();
    n->set_op_type(s.op);
    n->set_name("node");
    const int arguments =
        int(std::min<int64_t>(s.arguments, Chance(75) ? s.arguments : Draw(0, s.arguments)));
    const std::vector<int64_t> shared = Shape();
    const int type = Type();
    for (int i = 0; i < arguments; ++i) AddArgument(m, n, i, shared, type);
    const int64_t outputs = Chance(70) ? 1 : Draw(0, 3);
    for (int64_t i = 0; i < outputs; ++i) {
      n->add_output("y" + std::to_string(i));
      AddOutput(m, "y" + std::to_string(i))->clear_type();
    }
    for (auto& [name, kind] : s.attributes) {
      if (Chance(35)) AddRandomAttribute(n, name, kind, shared.size());
    }
    return m;
  }

  /// Elements that stay small, so that no result is large.
  NDArray Elements(DataType t, const std::vector<int64_t>& shape) {
    NDArray a = NDArray::Empty(t, shape);
    for (int64_t i = 0; i < a.size(); ++i)
      a.SetDouble(i, t.is_bool() ? double(Draw(0, 1)) : double(Draw(-3, 4)));
    return a;
  }

 private:
  int64_t Draw(int64_t low, int64_t high) { return low + int64_t(random_() % uint64_t(high - low + 1)); }
  bool Chance(int percent) { return Draw(1, 100) <= percent; }
  template <class T>
  T OneOf(std::initializer_list<T> list) {
    return *(list.begin() + Draw(0, int64_t(list.size()) - 1));
  }
  std::vector<int64_t> Shape() {
    std::vector<int64_t> shape(size_t(Chance(80) ? Draw(1, 4) : Draw(0, 6)));
    for (int64_t& d : shape) d = Chance(90) ? Draw(1, 4) : 0;
    return shape;
  }
  int Type() { return Chance(60) ? 1 : OneOf({1, 2, 3, 6, 7, 9, 10, 11, 13, 16}); }
  int64_t Number() {
    return Chance(92) ? Draw(-3, 5) : OneOf<int64_t>({-99, 1 << 20, INT64_MAX, INT64_MIN, INT32_MAX});
  }

  void AddArgument(ModelProto& m, NodeProto* n, int i, const std::vector<int64_t>& shared, int type) {
    if (i > 0 && Chance(10)) {
      n->add_input("");
      return;
    }
    const std::string name = "x" + std::to_string(i);
    n->add_input(name);
    const bool known = i > 0 && Chance(50);
    std::vector<int64_t> shape = Chance(60) ? shared : Shape();
    if (known && Chance(60)) shape = {Draw(0, 5)};
    if (known && Chance(10)) shape = {};
    const int own = Chance(75) ? type : Type();
    if (!known) {
      if (Chance(8) && !shape.empty()) shape[0] = -1;
      AddInput(m, name, shape, own);
      return;
    }
    TensorProto* t = AddTensor(m, name, shape, Chance(70) ? 7 : 1);
    for (int k = 0; k < t->int64_data_size(); ++k) t->set_int64_data(k, Number());
    for (int k = 0; k < t->float_data_size(); ++k) t->set_float_data(k, Real());
  }

  float Real() {
    return Chance(90) ? float(Draw(-3, 5)) / 2 : OneOf({1e30f, -1e30f, std::nanf(""), HUGE_VALF, 1e-30f});
  }

  void AddRandomAttribute(NodeProto* n, const std::string& name, char kind, size_t rank) {
    AttributeProto* a = n->add_attribute();
    a->set_name(name);
    const size_t length =
        Chance(80) ? size_t(OneOf<int64_t>({int64_t(rank), int64_t(rank) - 2, 2 * (int64_t(rank) - 2), 1, 2}))
                   : size_t(Draw(0, 9));
    const size_t count = std::min<size_t>(length, 12);  // what wrapped below 0 is long
    switch (kind) {
      case 'i':
        a->set_type(2);
        a->set_i(Chance(30) ? OneOf<int64_t>({1, 6, 7, 9, 10, 11}) : Number());
        break;
      case 'f':
        a->set_type(1);
        a->set_f(Real());
        break;
      case 's':
        a->set_type(3);
        a->set_s(OneOf<const char*>(
            {"",        "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID",  "constant",   "edge",
             "reflect", "wrap",   "linear",     "nearest",    "cubic",  "mean",       "sum",
             "none",    "add",    "ij,jk->ik",  "ii->i",      "...",    "half_pixel", "align_corners",
             "floor",   "DCR",    "LEFT",       "tanh",       "border", "\xff"}));
        break;
      case 'I':
        a->set_type(7);
        for (size_t k = 0; k < count; ++k) a->add_ints(Number());
        break;
      case 'F':
        a->set_type(6);
        for (size_t k = 0; k < count; ++k) a->add_floats(Real());
        break;
      default:
        a->set_type(4);
        a->mutable_t()->set_data_type(1);
        a->mutable_t()->add_float_data(Real());
        if (Chance(50)) a->mutable_t()->add_dims(1);
    }
  }

  std::mt19937_64 random_;
};

/// Elements of all values of @main; -1 when that is unknown or more than `most`.
int64_t ElementsOf(const ImportedModel& model, int64_t most) {
  int64_t total = 0;
  auto add = [&](const Value& v) {
    auto shape = v.tensor().StaticShape();
    for (int64_t n = 1; int64_t d : shape.value_or(std::vector<int64_t>{most + 1}))
      total = std::min(most + 1, total + (n = std::min(n * d, most + 1)));
  };
  for (const Value& p : GetGraphFunction(model.module)->params) add(p);
  for (const Binding& b : GetGraphFunction(model.module)->body.bindings) {
    for (const Value& r : b.results) add(r);
  }
  return total > most ? -1 : total;
}

std::vector<NDArray> InputsFor(const ImportedModel& model, ModelMaker& maker) {
  std::vector<NDArray> inputs;
  for (size_t i = 0; i < model.inputs.size(); ++i) {
    const TensorType t = GetGraphFunction(model.module)->params[i].tensor();
    inputs.push_back(maker.Elements(t.dtype, *t.StaticShape()));
  }
  return inputs;
}

class RandomModels : public testing::TestWithParam<Signature> {};

TEST_P(RandomModels, EndInAGraphOrAnError) {
  constexpr int kModels = 120, kMostRuns = 12;
  int runs = 0;
  for (int seed = 0; seed < kModels; ++seed) {
    SCOPED_TRACE(GetParam().op + ", seed " + std::to_string(seed));
    ModelMaker maker{uint64_t(seed)};
    const ModelProto m = maker.Make(GetParam());
    try {
      const ImportedModel model = ImportProto(m);
      if (runs == kMostRuns || ElementsOf(model, 4000) < 0) continue;
      ++runs;
      RunImported(model, InputsFor(model, maker));
    } catch (const Error& e) {
      EXPECT_THAT(e.id(), testing::AnyOf(testing::StartsWith("TW20"), testing::StartsWith("TW21"),
                                         testing::StartsWith("TW10")))
          << e.what();
    } catch (const std::exception& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

std::string SignatureName(const testing::TestParamInfo<Signature>& info) { return info.param.op; }
void PrintTo(const Signature& s, std::ostream* out) { *out << s.op; }

INSTANTIATE_TEST_SUITE_P(Operators, RandomModels, testing::ValuesIn(Signatures()), SignatureName);

}  // namespace
}  // namespace tilewright::onnx
