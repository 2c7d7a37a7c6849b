// SPDX-License-Identifier: Apache-2.0
// A conformance case: a model and what it must make of given inputs.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace tilewright {

struct ConformanceCase {
  std::string name;
  std::string folder;  ///< holds model.onnx and test_data_set_*
  double rtol = 1e-3, atol = 1e-7;
};

/// How a model is run: as compiled code, or by the reference interpreters.
enum class Engine { kCompiled, kInterpreter };

/// "pass", the id of the error that refused the model ("TW2010"), or "wrong: ..." with the first difference.
/// Internal errors and foreign exceptions give "internal: ...".
std::string RunCase(const ConformanceCase& c, Engine engine);

/// Runs `work(i)` for i in [0, count) in processes of their own, at most `jobs` at a time, and calls
/// `report(i, verdict)` as they end. A process that dies gives "crash: ...", one that takes longer than
/// `seconds` "timeout".
void RunIsolated(size_t count, int jobs, int seconds, const std::function<std::string(size_t)>& work,
                 const std::function<void(size_t, const std::string&)>& report);

}  // namespace tilewright
