// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/onnx/cases.h"
#include "tilewright/driver/evaluate.h"
#include "tilewright/frontend/onnx/import.h"
#include "tilewright/graph/interpreter.h"
#include "tilewright/target/test_target.h"

namespace tilewright {

namespace {

namespace fs = std::filesystem;

std::string ReadWhole(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// prefix_0.pb, prefix_1.pb, ... as far as they exist.
std::vector<NDArray> ReadSeries(const fs::path& set, const std::string& prefix) {
  std::vector<NDArray> tensors;
  for (int i = 0;; ++i) {
    fs::path file = set / fmt::format("{}_{}.pb", prefix, i);
    if (!fs::exists(file)) return tensors;
    tensors.push_back(ReadOnnxTensor(ReadWhole(file)));
  }
}

/// Values of the symbolic dimensions of the model's inputs, from the arrays that they will get.
std::map<std::string, int64_t> DimsOf(const ImportedModel& model, const std::vector<NDArray>& inputs) {
  std::map<std::string, int64_t> dims;
  GraphFunction main = GetGraphFunction(model.module);
  for (size_t i = 0; i < model.inputs.size() && i < inputs.size(); ++i) {
    const auto& shape = main->params[i].tensor().shape;
    for (size_t d = 0; d < shape.size() && d < inputs[i].shape().size(); ++d) {
      if (auto* var = shape[d].As<VarNode>()) dims[var->name] = inputs[i].shape()[d];
    }
  }
  return dims;
}

/// A model as it is run: inputs that decide shapes are bound, symbolic dimensions are fixed.
struct Ready {
  ImportedModel model;
  std::vector<NDArray> inputs;  ///< of what is not bound
};

Ready Prepare(const std::string& path, const std::vector<NDArray>& given) {
  ImportOptions options;
  std::vector<std::string> order;
  for (;;) {
    try {
      ImportedModel model = ImportOnnx(path, options);
      std::vector<NDArray> inputs = given;
      if (!order.empty()) {
        inputs.clear();
        for (size_t i = 0; i < order.size() && i < given.size(); ++i) {
          if (!options.bound.count(order[i])) inputs.push_back(given[i]);
        }
      }
      auto dims = DimsOf(model, inputs);
      if (dims.empty() || !options.dims.empty()) return {std::move(model), inputs};
      options.dims = dims;
    } catch (const NeedsBoundInputs& e) {
      order = e.all_inputs;
      bool progress = false;
      for (size_t i = 0; i < order.size() && i < given.size(); ++i) {
        bool wanted = std::find(e.inputs.begin(), e.inputs.end(), order[i]) != e.inputs.end();
        if (wanted) progress |= options.bound.emplace(order[i], given[i]).second;
      }
      if (!progress) throw;
    }
  }
}

std::vector<NDArray> RunReady(const Ready& ready, Engine engine) {
  if (engine == Engine::kCompiled) {
    CompileOptions options;
    options.target = TestTarget();
    options.threads = 1;
    CompiledModel compiled = CompileModel(ready.model.module, ready.model.parameters, options);
    return RunModule(LoadInProcess(compiled), ready.inputs, 1);
  }
  GraphFunction main = GetGraphFunction(ready.model.module);
  std::vector<NDArray> arguments = ready.inputs;
  for (size_t i = arguments.size(); i < main->params.size(); ++i) {
    arguments.push_back(ready.model.parameters.at(main->params[i]->origin));
  }
  return Interpret(main, arguments, ready.model.module);
}

/// Empty when they agree by numpy's rule, |found - expected| <= atol + rtol * |expected|.
std::string Difference(const NDArray& found, const NDArray& expected, const ConformanceCase& c) {
  if (found.dtype() != expected.dtype() || found.shape() != expected.shape()) {
    return fmt::format("{}, expected {}", found.ToString(0), expected.ToString(0));
  }
  for (int64_t i = 0; i < found.size(); ++i) {
    double a = found.AsDouble(i), b = expected.AsDouble(i);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    if (std::abs(a - b) <= c.atol + c.rtol * std::abs(b)) continue;
    return fmt::format("element {} is {}, expected {}", i, a, b);
  }
  return "";
}

std::string RunSets(const ConformanceCase& c, Engine engine) {
  for (int n = 0;; ++n) {
    fs::path set = fs::path(c.folder) / fmt::format("test_data_set_{}", n);
    if (!fs::exists(set)) return n > 0 ? "pass" : "wrong: there are no test data";
    // What the importer refuses may have inputs that are no tensors.
    std::vector<NDArray> inputs;
    std::string unread;
    try {
      inputs = ReadSeries(set, "input");
    } catch (const Error& e) {
      unread = e.id();
    }
    Ready ready = Prepare((fs::path(c.folder) / "model.onnx").string(), inputs);
    if (!unread.empty()) return unread;
    std::vector<NDArray> found = RunReady(ready, engine), expected = ReadSeries(set, "output");
    if (found.size() != expected.size()) {
      return fmt::format("wrong: {} outputs, expected {}", found.size(), expected.size());
    }
    for (size_t i = 0; i < found.size(); ++i) {
      std::string difference = Difference(found[i], expected[i], c);
      if (!difference.empty()) return fmt::format("wrong: output {}: {}", i, difference);
    }
  }
}

}  // namespace

std::string RunCase(const ConformanceCase& c, Engine engine) {
  try {
    return RunSets(c, engine);
  } catch (const Error& e) {
    return e.id();
  } catch (const std::exception& e) {
    std::string what = e.what();
    for (char& ch : what) ch = ch == '\n' || ch == '\t' ? ' ' : ch;
    return "internal: " + what.substr(0, 300);
  }
}

}  // namespace tilewright
