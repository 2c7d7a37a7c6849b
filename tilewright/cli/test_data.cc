// SPDX-License-Identifier: Apache-2.0
#include "tilewright/cli/test_data.h"

#include <cmath>
#include <filesystem>

#include "tilewright/cli/inputs.h"
#include "tilewright/cli/tensor_io.h"
#include "tilewright/frontend/onnx/import.h"
#include "tilewright/runtime/context.h"
#include "tilewright/support/file.h"

namespace tilewright {

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> DataSets(const std::string& folder) {
  std::vector<fs::path> sets;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_directory() && entry.path().filename().string().starts_with("test_data_set_"))
      sets.push_back(entry.path());
  }
  std::sort(sets.begin(), sets.end());
  if (sets.empty()) {
    throw Error("TW4301", fmt::format("'{}' holds no folder test_data_set_*", folder), "",
                {"expected ONNX's layout: test_data_set_0/input_0.pb, test_data_set_0/output_0.pb, ..."});
  }
  return sets;
}

/// prefix_0.pb, prefix_1.pb, ... as far as they exist.
std::vector<NDArray> ReadSeries(const fs::path& set, const std::string& prefix) {
  std::vector<NDArray> tensors;
  for (int i = 0;; ++i) {
    const fs::path file = set / fmt::format("{}_{}.pb", prefix, i);
    if (!fs::exists(file)) return tensors;
    tensors.push_back(ReadOnnxTensor(ReadFile(file.string())));
  }
}

/// The verdict on one output, by numpy's rule: |found - expected| <= atol + rtol * |expected|.
struct Comparison {
  bool pass = true;
  double largest_error = 0;
  std::string why;
};

Comparison Compare(const NDArray& found, const NDArray& expected, const TestTolerance& tolerance) {
  Comparison c;
  if (found.dtype() != expected.dtype() || found.shape() != expected.shape()) {
    return {false, INFINITY, fmt::format("is {}, expected {}", found.ToString(0), expected.ToString(0))};
  }
  for (int64_t i = 0; i < found.size(); ++i) {
    const double a = found.AsDouble(i), b = expected.AsDouble(i);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    const double error = std::abs(a - b);
    c.largest_error = std::max(c.largest_error, std::isnan(error) ? INFINITY : error);
    if (!(error <= tolerance.atol + tolerance.rtol * std::abs(b)) && c.pass) {
      c.pass = false;
      c.why = fmt::format("element {} is {}, expected {}", i, a, b);
    }
  }
  return c;
}

class TestRun {
 public:
  TestRun(const std::string& model, const CompileFlags& flags, const TestTolerance& tolerance)
      : model_(model), flags_(flags), tolerance_(tolerance) {}

  bool Run(const fs::path& set) {
    const std::vector<NDArray> inputs = ReadSeries(set, "input"), expected = ReadSeries(set, "output");
    const ReadyModel ready = Load(inputs);
    runtime::Context context(ready.module, {.num_threads = tolerance_.threads});
    SetInputs(context, ready, inputs);
    context.Run();
    const auto& outputs = ready.module->program().outputs;
    bool all = true;
    for (size_t i = 0; i < expected.size(); ++i) {
      if (i >= outputs.size()) {
        throw Error("TW4302", fmt::format("'{}' has {} outputs, the model {}", set.string(), expected.size(),
                                          outputs.size()));
      }
      const Comparison c = Compare(OutputArray(context, i), expected[i], tolerance_);
      fmt::print("{} {} {}: largest error {:.3g}{}\n", c.pass ? "pass" : "FAIL", set.filename().string(),
                 outputs[i].name, c.largest_error, c.pass ? "" : "; " + c.why);
      all &= c.pass;
    }
    return all;
  }

 private:
  /// Inputs come by position; those whose values decide shapes are bound.
  ReadyModel Load(const std::vector<NDArray>& inputs) {
    return LoadModelBinding(
        model_, flags_, [&](const NeedsBoundInputs& e, const std::string& name) -> std::optional<NDArray> {
          all_inputs_ = e.all_inputs;
          const size_t at =
              size_t(std::find(all_inputs_.begin(), all_inputs_.end(), name) - all_inputs_.begin());
          return at < inputs.size() ? std::optional(inputs[at]) : std::nullopt;
        });
  }

  void SetInputs(runtime::Context& context, const ReadyModel& ready, const std::vector<NDArray>& inputs) {
    const auto& specs = ready.module->program().inputs;
    // Bound inputs are gone from the program; the others keep their order.
    size_t next = 0;
    const auto* names = all_inputs_.empty() ? nullptr : &all_inputs_;
    for (size_t i = 0; i < specs.size(); ++i) {
      while (names && next < names->size() && (*names)[next] != specs[i].name) ++next;
      if (next >= inputs.size())
        throw Error("TW4302", fmt::format("there is no tensor for input '{}'", specs[i].name));
      SetInput(context, i, inputs[next]);
      ++next;
    }
  }

  std::vector<std::string> all_inputs_;  ///< when some are bound
  const std::string& model_;
  const CompileFlags& flags_;
  const TestTolerance& tolerance_;
};

}  // namespace

bool RunTestData(const std::string& model, const std::string& folder, const CompileFlags& flags,
                 const TestTolerance& tolerance) {
  TestRun run(model, flags, tolerance);
  bool all = true;
  for (const fs::path& set : DataSets(folder)) all &= run.Run(set);
  return all;
}

}  // namespace tilewright
