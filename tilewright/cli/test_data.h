// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tilewright/cli/model_source.h"

namespace tilewright {

struct TestTolerance {
  double rtol = 1e-3;  ///< as ONNX's backend tests
  double atol = 1e-7;
  int threads = 0;
};

/// Runs a model on ONNX's test data: each folder test_data_set_* of `folder` has input_N.pb and output_N.pb.
/// Prints pass or fail with the largest error of each output. Returns whether all passed. Error TW4301
/// without such folders.
bool RunTestData(const std::string& model, const std::string& folder, const CompileFlags& flags,
                 const TestTolerance& tolerance);

}  // namespace tilewright
