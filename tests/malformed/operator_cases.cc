// SPDX-License-Identifier: Apache-2.0
// Uses of operators in one line each: `Op(arguments) attributes`. An argument is an input (f32[2,3]), a
// constant list ([1,-2]) or number (7) of i64, a constant list of f32 ({0.5,1}), or nothing (_). Attributes
// have the type of their text: 3, 0.5, 'text', [1,2].
#include <algorithm>
#include <cctype>
#include <map>

#include "tests/malformed/cases.h"

namespace tilewright::onnx {

namespace {

/// Reads the line of a case.
class Line {
 public:
  explicit Line(const std::string& text) : rest_(text) {}

  void Build(ModelProto& m) {
    m = EmptyModel(18);
    const std::string op = Until("(");
    std::vector<std::string> arguments;
    while (rest_[0] != ')') arguments.push_back(Argument(m));
    rest_.erase(0, 1);
    NodeProto* node = AddNode(m, op, arguments, {"y"});
    for (Space(); !rest_.empty(); Space()) Attribute(node);
    AddOutput(m, "y")->clear_type();
  }

 private:
  void Space() {
    rest_.erase(
        0, rest_.find_first_not_of(", ") == std::string::npos ? rest_.size() : rest_.find_first_not_of(", "));
  }
  /// Takes what stands before one of the characters of `ends`, and that character.
  std::string Until(const char* ends) {
    const size_t end = std::min(rest_.find_first_of(ends), rest_.size());
    std::string part = rest_.substr(0, end);
    rest_.erase(0, end + 1);
    return part;
  }
  std::vector<std::string> List(const char* end) {
    std::vector<std::string> parts;
    Line inside(Until(end));
    while (!inside.rest_.empty()) parts.push_back(inside.Until(","));
    return parts;
  }
  static std::vector<int64_t> Numbers(const std::vector<std::string>& parts) {
    std::vector<int64_t> numbers;
    for (const std::string& p : parts) numbers.push_back(std::stoll(p));
    return numbers;
  }

  std::string Argument(ModelProto& m) {
    const std::string name = "x" + std::to_string(m.graph().input_size() + m.graph().initializer_size());
    const char first = rest_[0];
    if (first == '_') {
      rest_.erase(0, 1);
      Space();
      return "";
    }
    if (first == '[' || first == '{') {
      rest_.erase(0, 1);
      const std::vector<std::string> parts = List("]}");
      TensorProto* t = AddTensor(m, name, {int64_t(parts.size())}, first == '[' ? 7 : 1);
      for (size_t i = 0; i < parts.size(); ++i) {
        if (first == '[') {
          t->set_int64_data(int(i), std::stoll(parts[i]));
        } else {
          t->set_float_data(int(i), std::stof(parts[i]));
        }
      }
    } else if (first == '-' || std::isdigit(static_cast<unsigned char>(first))) {
      const size_t end = rest_.find_first_of(",)");
      AddTensor(m, name, {}, 7)->set_int64_data(0, std::stoll(rest_.substr(0, end)));
      rest_.erase(0, end);
    } else {
      static const std::map<std::string, int> kTypes = {{"f32", 1}, {"f64", 11}, {"f16", 10},
                                                        {"i64", 7}, {"i32", 6},  {"i8", 3},
                                                        {"u8", 2},  {"bool", 9}, {"str", 8}};
      const int type = kTypes.at(Until("["));
      AddInput(m, name, Numbers(List("]")), type);
    }
    Space();
    return name;
  }

  void Attribute(NodeProto* node) {
    const std::string name = Until("=");
    if (rest_[0] == '[') {
      rest_.erase(0, 1);
      SetInts(node, name, Numbers(List("]")));
    } else if (rest_[0] == '\'') {
      rest_.erase(0, 1);
      SetString(node, name, Until("'"));
    } else {
      const std::string number = Until(" ");
      if (number.find('.') == std::string::npos) {
        SetInt(node, name, std::stoll(number));
      } else {
        SetFloat(node, name, std::stof(number));
      }
    }
  }

  std::string rest_;
};

struct Use {
  const char* id;
  const char* text;
};

constexpr Use kUses[] = {
    {"TW2017", R"(Abs())"},
    {"TW2017", R"(Abs(f32[2], f32[2]))"},
    {"TW2102", R"(Add(f32[2,3], f32[3,2]))"},
    {"TW2112", R"(Add(f32[2], i64[2]))"},
    {"TW2017", R"(Add(f32[2]))"},
    {"TW2112", R"(Add(bool[2], bool[2]))"},
    {"TW2017", R"(Add(f32[2], f32[2], f32[2]))"},
    {"TW2112", R"(And(f32[2], bool[2]))"},
    {"TW2110", R"(ArgMax(f32[2,3]) axis=2)"},
    {"TW2015", R"(ArgMax(f32[2,3]) axis='first')"},
    {"TW2110", R"(ArgMin(f32[]) axis=0)"},
    {"TW2015", R"(AveragePool(f32[1,3,8,8]))"},
    {"TW2015", R"(AveragePool(f32[1,3,8,8]) kernel_shape=[3])"},
    {"TW2015", R"(AveragePool(f32[1,3,8,8]) kernel_shape=[0,3])"},
    {"TW2110", R"(AveragePool(f32[1,3,8,8]) kernel_shape=[3,3] pads=[-1,0,0,0])"},
    {"TW2112", R"(AveragePool(i64[1,3,8,8]) kernel_shape=[3,3])"},
    {"TW2102", R"(BatchNormalization(f32[1,3,8,8], f32[4], f32[3], f32[3], f32[3]))"},
    {"TW2017", R"(BatchNormalization(f32[1,3,8,8], f32[3], f32[3], f32[3]))"},
    {"TW2111", R"(BatchNormalization(f32[1,3,8,8], f32[3,1], f32[3], f32[3], f32[3]))"},
    {"TW2015", R"(BitShift(i32[2], i32[2]) direction='UP')"},
    {"TW2112", R"(BitwiseAnd(f32[2], f32[2]))"},
    {"TW2015", R"(Cast(f32[2]))"},
    {"TW2016", R"(Cast(f32[2]) to=0)"},
    {"TW2016", R"(Cast(f32[2]) to=8)"},
    {"TW2016", R"(Cast(f32[2]) to=-1)"},
    {"TW2112", R"(Clip(f32[2], i64[]))"},
    {"TW2102", R"(Clip(f32[2], f32[2]))"},
    {"TW2111", R"(Concat(f32[2,3], f32[2]) axis=0)"},
    {"TW2102", R"(Concat(f32[2,3], f32[3,3]) axis=1)"},
    {"TW2112", R"(Concat(f32[2,3], i64[2,3]) axis=0)"},
    {"TW2017", R"(Concat() axis=0)"},
    {"TW2017", R"(Conv(f32[1,3,8,8]))"},
    {"TW2017", R"(Conv(f32[1,3], f32[4,3]))"},
    {"TW2017", R"(Conv(f32[1,3,8,8], f32[4,3,3]))"},
    {"TW2102", R"(Conv(f32[1,3,8,8], f32[4,3,3,3], f32[5]))"},
    {"TW2110", R"(Conv(f32[1,3,8,8], f32[4,3,9,9]))"},
    {"TW2110", R"(Conv(f32[1,3,8,8], f32[4,3,3,3]) group=-1)"},
    {"TW2110", R"(Conv(f32[1,3,8,8], f32[4,1,3,3]) group=3)"},
    {"TW2015", R"(Conv(f32[1,3,8,8], f32[4,3,3,3]) strides=[1])"},
    {"TW2015", R"(Conv(f32[1,3,8,8], f32[4,3,3,3]) strides=[-1,1])"},
    {"TW2015", R"(Conv(f32[1,3,8,8], f32[4,3,3,3]) dilations=[0,1])"},
    {"TW2015", R"(Conv(f32[1,3,8,8], f32[4,3,3,3]) pads=[1,1,1])"},
    {"TW2110", R"(Conv(f32[1,3,8,8], f32[4,3,3,3]) pads=[-9,-9,-9,-9])"},
    {"TW2015", R"(Conv(f32[1,3,8,8], f32[4,3,3,3]) pads=[4294967295,4294967295,4294967295,4294967295])"},
    {"TW2015", R"(Conv(f32[1,3,8,8], f32[4,3,3,3]) auto_pad='SAME_UPPER' pads=[1,1,1,1] kernel_shape=[5,5])"},
    {"TW2112", R"(Conv(f32[1,3,8,8], f64[4,3,3,3]))"},
    {"TW2110", R"(Conv(f32[1,3,8,8], f32[0,3,3,3]) group=0)"},
    {"TW2102", R"(ConvTranspose(f32[1,3,8,8], f32[4,3,3,3]))"},
    {"TW2015", R"(ConvTranspose(f32[1,3,8,8], f32[3,4,3,3]) output_shape=[1])"},
    {"TW2015", R"(ConvTranspose(f32[1,3,8,8], f32[3,4,3,3]) output_padding=[5,5])"},
    {"TW2015", R"(ConvTranspose(f32[1,3,8,8], f32[3,4,3,3]) output_padding=[-1,0])"},
    {"TW2015", R"(ConvTranspose(f32[1,3,8,8], f32[3,4,3,3]) strides=[2147483648,2147483648])"},
    {"TW2110", R"(CumSum(f32[2,3], 2))"},
    {"TW2017", R"(CumSum(f32[2,3], [0,1]))"},
    {"TW2016", R"(DequantizeLinear(f32[2], f32[]))"},
    {"TW2102", R"(DepthToSpace(f32[1,6,2,2]) blocksize=4)"},
    {"TW2015", R"(DepthToSpace(f32[1,6,2,2]) blocksize=0)"},
    {"TW2015", R"(DepthToSpace(f32[6,2,2]) blocksize=1)"},
    {"TW2015", R"(DepthToSpace(f32[1,4,2,2]) blocksize=2 mode='ROW')"},
    {"TW2102", R"(Einsum(f32[2,3], f32[4,5]) equation='ij,jk->ik')"},
    {"TW2015", R"(Einsum(f32[2,3]) equation='ij,jk->ik')"},
    {"TW2015", R"(Einsum(f32[2,3]) equation='ijk->i')"},
    {"TW2110", R"(Einsum(f32[2,3]) equation='ij->z')"},
    {"TW2015", R"(Einsum(f32[2,3]) equation='i!->i')"},
    {"TW2015", R"(Einsum(f32[2,3]))"},
    {"TW2102", R"(Expand(f32[2,3], [4,3]))"},
    {"TW2110", R"(Expand(f32[2,3], [-1,3]))"},
    {"TW2114", R"(Expand(f32[1], [4611686018427387904,4]))"},
    {"TW2060", R"(EyeLike(f32[100000,100000]))"},
    {"TW2017", R"(EyeLike(f32[2,3,4]))"},
    {"TW2015", R"(Flatten(f32[2,3]) axis=3)"},
    {"TW2110", R"(Gather(f32[], 0))"},
    {"TW2110", R"(Gather(f32[2,3], 0) axis=2)"},
    {"TW2017", R"(Gather(f32[2,3], 2))"},
    {"TW2017", R"(Gather(f32[2,3], [0,-4]) axis=1)"},
    {"TW2112", R"(Gather(f32[2,3], f32[2]))"},
    {"TW2111", R"(GatherElements(f32[2,3], i64[2]))"},
    {"TW2017", R"(GatherElements(f32[3], [0,3]))"},
    {"TW2102", R"(GatherElements(f32[2,3], i64[4,3]) axis=1)"},
    {"TW2110", R"(GatherND(f32[2,3], i64[2,3]))"},
    {"TW2110", R"(GatherND(f32[2,3], i64[2,2]) batch_dims=2)"},
    {"TW2017", R"(GatherND(f32[2,3], [0,3]))"},
    {"TW2017", R"(GatherND(f32[2,3], [3]) batch_dims=0)"},
    {"TW2102", R"(Gemm(f32[2,3], f32[4,5]))"},
    {"TW2102", R"(Gemm(f32[2,3], f32[3,4], f32[5]))"},
    {"TW2017", R"(Gemm(f32[2,3,4], f32[4,5]))"},
    {"TW2017", R"(Gemm(f32[2,3], f32[3]))"},
    {"TW2017", R"(GlobalAveragePool(f32[2]))"},
    {"TW2102", R"(GridSample(f32[1,3,4,4], f32[1,2,2,3]))"},
    {"TW2102", R"(GridSample(f32[1,3,4,4], f32[2,2,2,2]))"},
    {"TW2015", R"(GroupNormalization(f32[1,3,4,4], f32[3], f32[3]) num_groups=2)"},
    {"TW2015", R"(GRU(f32[5,1,4], f32[1,9,4], f32[1,9,2]) hidden_size=3)"},
    {"TW2015", R"(GRU(f32[5,1,4], f32[1,9,4], f32[1,9,3]) hidden_size=3 direction='sideways')"},
    {"TW2017", R"(GRU(f32[5,1,4], f32[1,9,4], f32[1,9,3]) hidden_size=3 direction='bidirectional')"},
    {"TW2112", R"(HardSigmoid(i64[2]))"},
    {"TW2102", R"(InstanceNormalization(f32[1,3,4,4], f32[2], f32[3]))"},
    {"TW2102", R"(LayerNormalization(f32[2,3], f32[4]))"},
    {"TW2015", R"(LayerNormalization(f32[2,3], f32[3]) axis=2)"},
    {"TW2015", R"(LeakyRelu(f32[2]) alpha=1)"},
    {"TW2110", R"(LRN(f32[1,3,4,4]) size=0)"},
    {"TW2015", R"(LRN(f32[1,3,4,4]))"},
    {"TW2015", R"(LSTM(f32[5,1,4], f32[1,12,4], f32[1,12,2]) hidden_size=3)"},
    {"TW2017", R"(LSTM(f32[5,1,4], f32[2,12,4], f32[2,12,3]) hidden_size=3)"},
    {"TW2017", R"(LSTM(f32[5,1,4], f32[1,12,4], f32[1,12,3], f32[1,23]) hidden_size=3)"},
    {"TW2017", R"(LSTM(f32[5,1], f32[1,12,4], f32[1,12,3]) hidden_size=3)"},
    {"TW2015", R"(LSTM(f32[5,1,4], f32[1,12,4], f32[1,12,3]) hidden_size=-3)"},
    {"TW2102", R"(MatMul(f32[2,3], f32[4,5]))"},
    {"TW2102", R"(MatMul(f32[2,2,3], f32[3,3,5]))"},
    {"TW2112", R"(MatMul(f32[2,3], f16[3,5]))"},
    {"TW2112", R"(MatMul(bool[2,3], bool[3,5]))"},
    {"TW2015", R"(MaxPool(f32[1,3,8,8]) kernel_shape=[3,3] strides=[0,1])"},
    {"TW2110", R"(MaxPool(f32[1,3,8,8]) kernel_shape=[9,9])"},
    {"TW2015", R"(MaxPool(f32[1,3,8,8]) kernel_shape=[9223372036854775807,1])"},
    {"TW2015", R"(MaxPool(f32[1,3,8,8]) kernel_shape=[2,2] dilations=[9223372036854775807,1])"},
    {"TW2015", R"(Mod(f32[2], f32[2]))"},
    {"TW2112", R"(Neg(bool[2]))"},
    {"TW2112", R"(Not(f32[2]))"},
    {"TW2110", R"(OneHot(i64[2], 3, f32[2]) axis=7)"},
    {"TW2017", R"(OneHot(i64[2], -3, f32[2]))"},
    {"TW2102", R"(OneHot(i64[2], 3, f32[3]))"},
    {"TW2017", R"(Pad(f32[2,3], [1,1]))"},
    {"TW2110", R"(Pad(f32[2,3], [1,1,-4,0]))"},
    {"TW2114", R"(Pad(f32[2,3], [0,0,9223372036854775807,0]))"},
    {"TW2110", R"(Pad(f32[2,3], [1,0,0,0]) mode='around')"},
    {"TW2102", R"(PRelu(f32[2,3], f32[4]))"},
    {"TW2017", R"(Range(0, 10, 0))"},
    {"TW2060", R"(Range(0, 1000000000000, 1))"},
    {"TW2110", R"(ReduceSum(f32[2,3], [2]))"},
    {"TW2110", R"(ReduceSum(f32[2,3], [0,0]))"},
    {"TW2051", R"(ReduceSum(f32[2,3], f32[1]))"},
    {"TW2016", R"(Relu(str[2]))"},
    {"TW2017", R"(Relu(f32[2], f32[2]))"},
    {"TW2102", R"(Reshape(f32[2,3], [4,-1]))"},
    {"TW2017", R"(Reshape(f32[2,3], [0,0,0]))"},
    {"TW2017", R"(Reshape(f32[2,3], [-2,3]))"},
    {"TW2114", R"(Reshape(f32[2,3], [9223372036854775807,2]))"},
    {"TW2016", R"(Reshape(f32[2,3], {2.0,3.0}))"},
    {"TW2060", R"(Resize(f32[1,1,4,4], _, {1.0,1.0,1e9,1e9}))"},
    {"TW2017", R"(Resize(f32[1,1,4,4], _, {1.0,1.0,-2.0,2.0}))"},
    {"TW2017", R"(Resize(f32[1,1,4,4], _, {1.0,1.0}))"},
    {"TW2060", R"(Resize(f32[1,1,4,4], _, _, [1,1,9223372036854775807,8]))"},
    {"TW2015", R"(Resize(f32[1,1,4,4], _, {1.0,1.0,2.0,2.0}) mode='sharp')"},
    {"TW2015", R"(Resize(f32[1,1,4,4], _, {1.0,1.0,2.0,2.0}) coordinate_transformation_mode='sideways')"},
    {"TW2017", R"(Resize(f32[1,1,4,4]))"},
    {"TW2102", R"(ScatterElements(f32[2,3], i64[2,3], f32[2,2]))"},
    {"TW2017", R"(ScatterElements(f32[3], [0,-4], f32[2]))"},
    {"TW2110", R"(ScatterElements(f32[2,3], i64[2,3], f32[2,3]) reduction='minus')"},
    {"TW2110", R"(ScatterND(f32[2,3], i64[2,3], f32[2]))"},
    {"TW2017", R"(ScatterND(f32[2,3], [1,3], f32[]))"},
    {"TW2017", R"(Shape())"},
    {"TW2015", R"(Slice(f32[4], [0], [2], [1]))"},
    {"TW2015", R"(Slice(f32[4], [0], [2], [0], [0]))"},
    {"TW2017", R"(Slice(f32[4], [0,0], [2], [0]))"},
    {"TW2015", R"(Slice(f32[4], [0,0], [2,2], [0,0]))"},
    {"TW2017", R"(Slice(f32[4], [0]))"},
    {"TW2015", R"(Softmax(f32[2,3]) axis=-3)"},
    {"TW2112", R"(Softmax(i64[2,3]))"},
    {"TW2102", R"(SpaceToDepth(f32[1,3,5,5]) blocksize=2)"},
    {"TW2017", R"(Split(f32[4], [2,1]))"},
    {"TW2017", R"(Split(f32[4], [-1,5]))"},
    {"TW2017", R"(Split(f32[4], [4611686018427387904,4611686018427387904]))"},
    {"TW2112", R"(Sqrt(i32[2]))"},
    {"TW2017", R"(Squeeze(f32[2,1], [0]))"},
    {"TW2015", R"(Squeeze(f32[2,1], [5]))"},
    {"TW2017", R"(Sum())"},
    {"TW2110", R"(Tile(f32[2,3], [2]))"},
    {"TW2110", R"(Tile(f32[2,3], [-1,1]))"},
    {"TW2114", R"(Tile(f32[2,3], [4611686018427387904,4611686018427387904]))"},
    {"TW2110", R"(TopK(f32[4], [9]))"},
    {"TW2110", R"(TopK(f32[4], [-1]))"},
    {"TW2017", R"(TopK(f32[4], [1,2]))"},
    {"TW2110", R"(Transpose(f32[2,3]) perm=[0])"},
    {"TW2110", R"(Transpose(f32[2,3]) perm=[0,2])"},
    {"TW2111", R"(Trilu(f32[2]))"},
    {"TW2015", R"(Unsqueeze(f32[2], [0,0]))"},
    {"TW2015", R"(Unsqueeze(f32[2], [9]))"},
    {"TW2112", R"(Where(f32[2], f32[2], f32[2]))"},
    {"TW2102", R"(Where(bool[2], f32[3], f32[2]))"},
    {"TW2112", R"(Where(bool[2], f32[2], i64[2]))"},
    {"TW2017", R"(Where(bool[2], f32[2], f32[2], f32[2]))"},
    {"TW2102", R"(QuantizeLinear(f32[2,3], f32[2], u8[3]))"},
    {"TW2010", R"(SequenceConstruct(f32[2]))"},
    {"TW2010", R"(StringNormalizer(f32[2]))"},
    {"TW2010", R"(NonMaxSuppression(f32[1,2,4]))"},
};

}  // namespace

std::vector<MalformedCase> OperatorCases() {
  std::vector<MalformedCase> cases;
  std::map<std::string, int> number;
  for (const Use& use : kUses) {
    const std::string text = use.text, op = text.substr(0, text.find('('));
    cases.push_back(
        {op + std::to_string(++number[op]), use.id, [text](ModelProto& m) { Line(text).Build(m); }});
  }
  return cases;
}

}  // namespace tilewright::onnx
