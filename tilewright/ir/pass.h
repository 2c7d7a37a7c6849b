// SPDX-License-Identifier: Apache-2.0
// The one wrapper that all passes over a module run through: it names, times, verifies and can print and
// dump.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tilewright/ir/module.h"

namespace tilewright {

/// What a pass took.
struct PassRecord {
  std::string name;
  double milliseconds = 0;
};

/// Runs passes one after the other and remembers what they took. How a module is printed and verified is
/// given from outside, since this layer knows neither level.
class PassRunner {
 public:
  struct Options {
    /// Throws when the module is malformed; empty: not verified.
    std::function<void(const IRModule&)> verify;
    bool verify_each = false;  ///< after every pass, not only when asked by Verify
    /// The text of a module; needed by the three below.
    std::function<std::string(const IRModule&)> print;
    std::set<std::string> print_after;                   ///< names of passes, or "all"
    std::function<void(const std::string&)> print_sink;  ///< receives what print_after asks for
    std::string dump_dir;                                ///< a file NN-pass.tw per pass; empty: none
  };

  PassRunner() = default;
  explicit PassRunner(Options options) : options_(std::move(options)) {}

  /// Applies one pass. An exception leaves as it came, after `last_input()` and `last_pass()` were set.
  IRModule Run(const std::string& name, const IRModule& module,
               const std::function<IRModule(const IRModule&)>& pass);
  void Verify(const IRModule& module) const;

  const std::vector<PassRecord>& records() const { return records_; }
  /// Adds to the record of `name` what ran outside Run.
  void AddTime(const std::string& name, double milliseconds);
  /// The pass that runs or ran last, and the module that it was given: what a reproducer holds.
  const std::string& last_pass() const { return last_pass_; }
  const IRModule& last_input() const { return last_input_; }

 private:
  Options options_;
  std::vector<PassRecord> records_;
  std::string last_pass_;
  IRModule last_input_;
};

/// Milliseconds since a point in time; for records.
class Stopwatch {
 public:
  Stopwatch();
  double Milliseconds() const;

 private:
  int64_t start_ns_;
};

}  // namespace tilewright
