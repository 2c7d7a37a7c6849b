// SPDX-License-Identifier: Apache-2.0
#include "tilewright/cli/inputs.h"

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

NDArray GenerateInput(const runtime::TensorSpec& spec, uint64_t seed) {
  NDArray array = NDArray::Empty(FromDl(spec.dtype), StaticShape(spec));
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

void GenerateInputs(runtime::Context& context, uint64_t seed) {
  const runtime::Program& program = context.module().program();
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    NDArray array = GenerateInput(program.inputs[i], seed + i);
    context.SetInput(i, array.data(), uint64_t(array.bytes()));
  }
}

void CheckInput(const runtime::TensorSpec& spec, const NDArray& array) {
  if (FromDl(spec.dtype) == array.dtype() && StaticShape(spec) == array.shape()) return;
  throw Error("TW4004", fmt::format("the tensor given for input '{}' does not fit", spec.name), "",
              {"expected " + SpecText(spec), "found " + array.ToString(0)});
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
