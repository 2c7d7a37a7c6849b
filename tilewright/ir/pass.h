// SPDX-License-Identifier: Apache-2.0
// The one wrapper that all passes run through: it names, times, verifies and can print and dump, begin late
// and stop early.
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
/// given from outside, since this layer knows neither level. A name belongs to one run of a pass; where a
/// pass runs again, its name has a number from the second time on: "EliminateDeadCode.2".
class PassRunner {
 public:
  struct Options {
    /// Throws when the module is malformed; empty: not verified.
    std::function<void(const IRModule&)> verify;
    bool verify_each = false;  ///< after every pass, not only when asked by Verify
    /// The text of a module; needed by the three below.
    std::function<std::string(const IRModule&)> print;
    /// Names of passes, or "all"; a name without number stands for every run of that pass.
    std::set<std::string> print_after;
    std::function<void(const std::string&)> print_sink;  ///< receives what print_after asks for
    std::string dump_dir;                                ///< a file NN-pass.tw per pass; empty: none
    /// Passes before the one and behind the other are left out; empty: none.
    std::string start_at, stop_after;
  };

  PassRunner() = default;
  explicit PassRunner(Options options) : options_(std::move(options)) {}

  /// Applies one pass, or leaves the module as it is when the pass is left out. An exception leaves as it
  /// came, after `last_input()` and `last_pass()` were set.
  IRModule Run(const std::string& name, const IRModule& module,
               const std::function<IRModule(const IRModule&)>& pass);
  void Verify(const IRModule& module) const;

  /// The parts of Run, for steps that are not from module to module: whether the step is to run; what it
  /// made, as text, if anybody wants it (a dump gets this ending); that it has ended.
  bool Enter(const std::string& name);
  void Show(const std::string& name, const std::function<std::string()>& text,
            const std::string& ending = "tw");
  void Leave(const std::string& name) { stopped_ |= name == options_.stop_after; }
  /// Whether Show of this name would do anything.
  bool Shows(const std::string& name) const;

  /// Whether the pass to begin at is still to come.
  bool skipping() const { return !options_.start_at.empty() && !started_; }
  /// Whether the pass to stop after has run.
  bool stopped() const { return stopped_; }

  const std::vector<PassRecord>& records() const { return records_; }
  /// Adds to the record of `name` what ran outside Run.
  void AddTime(const std::string& name, double milliseconds);
  /// The pass that runs or ran last, and the module that it was given: what a reproducer holds.
  const std::string& last_pass() const { return last_pass_; }
  const IRModule& last_input() const { return last_input_; }

 private:
  bool Prints(const std::string& name) const;

  Options options_;
  std::vector<PassRecord> records_;
  std::string last_pass_;
  IRModule last_input_;
  int dumps_ = 0;
  bool started_ = false, stopped_ = false;
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
