// SPDX-License-Identifier: Apache-2.0
#include "tilewright/cli/inputs.h"

#include <algorithm>

#include "tilewright/cli/report.h"
#include "tilewright/driver/dl_types.h"

namespace tilewright {

namespace {

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  double Uniform() { return double(Next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

}  // namespace

InputShapes::InputShapes(const runtime::Program& program, const std::map<std::string, int64_t>& dims,
                         const std::map<std::string, NDArray>& given)
    : program_(program), symbols_(program.symbols.size(), runtime::kUnboundSymbol) {
  std::string names;
  for (const runtime::SymbolInfo& s : program.symbols) names += (names.empty() ? "" : ", ") + s.name;
  for (auto& [name, value] : dims) {
    auto it = std::find_if(program.symbols.begin(), program.symbols.end(),
                           [&](const runtime::SymbolInfo& s) { return s.name == name; });
    if (it == program.symbols.end()) {
      throw Error("TW4007", fmt::format("the module has no symbolic dimension '{}'", name), "",
                  {names.empty() ? "all its dimensions are fixed" : "it has " + names});
    }
    symbols_[size_t(it - program.symbols.begin())] = value;
  }
  for (const runtime::TensorSpec& input : program.inputs) {
    auto it = given.find(input.name);
    if (it == given.end() || it->second.shape().size() != input.shape.size()) continue;
    for (size_t d = 0; d < input.shape.size(); ++d) {
      const std::optional<uint32_t> symbol = input.shape[d].AsSymbol();
      if (symbol && symbols_[*symbol] == runtime::kUnboundSymbol) symbols_[*symbol] = it->second.shape()[d];
    }
  }
  for (size_t i = 0; i < symbols_.size(); ++i) {
    if (symbols_[i] != runtime::kUnboundSymbol) continue;
    const runtime::SymbolInfo& s = program.symbols[i];
    symbols_[i] = std::max({s.min, s.divisor, int64_t(1)});
    assumed_ += fmt::format("{}{} = {}", assumed_.empty() ? "" : ", ", s.name, symbols_[i]);
  }
}

std::vector<int64_t> InputShapes::Shape(size_t input) const {
  std::vector<int64_t> shape;
  for (const runtime::ShapeExpr& d : program_.inputs[input].shape) shape.push_back(d.Evaluate(symbols_));
  return shape;
}

NDArray GenerateArray(DataType dtype, const std::vector<int64_t>& shape, uint64_t seed) {
  NDArray array = NDArray::Empty(dtype, shape);
  Random random(seed);
  for (int64_t i = 0; i < array.size(); ++i) {
    if (array.dtype().is_float()) {
      array.SetDouble(i, random.Uniform());
    } else {
      array.SetInt(i, int64_t(random.Next() % (array.dtype().is_bool() ? 2 : 10)));
    }
  }
  return array;
}

void GenerateInputs(runtime::Context& context, uint64_t seed, const std::map<std::string, int64_t>& dims) {
  const runtime::Program& program = context.module().program();
  const InputShapes shapes(program, dims);
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    SetInput(context, i, GenerateArray(FromDl(program.inputs[i].dtype), shapes.Shape(i), seed + i));
  }
}

void SetInput(runtime::Context& context, size_t index, const NDArray& array) {
  const runtime::Program& program = context.module().program();
  const runtime::TensorSpec& spec = program.inputs[index];
  bool fits = FromDl(spec.dtype) == array.dtype() && spec.shape.size() == array.shape().size();
  bool fixed = true;
  for (size_t d = 0; fits && d < spec.shape.size(); ++d) {
    fits = !spec.shape[d].is_constant() || spec.shape[d].constant() == array.shape()[d];
    fixed = fixed && spec.shape[d].is_constant();
  }
  if (!fits) {
    throw Error("TW4004", fmt::format("the tensor given for input '{}' does not fit", spec.name), "",
                {"expected " + SpecText(spec, program), "found " + array.ToString(0)});
  }
  if (!fixed) context.SetInputShape(index, array.shape());
  context.SetInput(index, array.data(), uint64_t(array.bytes()));
}

NDArray OutputArray(const runtime::Context& context, size_t index) {
  const runtime::TensorView view = context.Output(index);
  NDArray out = NDArray::Empty(FromDl(view.dtype), {view.shape.begin(), view.shape.end()});
  if (view.bytes) std::memcpy(out.mutable_data(), view.data, view.bytes);
  return out;
}

double ModuleFlops(const runtime::Module& module) {
  for (auto& [key, value] : module.info().attributes) {
    if (key == "flops") return std::strtod(value.c_str(), nullptr);
  }
  return 0;
}

}  // namespace tilewright
