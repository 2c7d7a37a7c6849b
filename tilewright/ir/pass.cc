// SPDX-License-Identifier: Apache-2.0
#include "tilewright/ir/pass.h"

#include "tilewright/support/file.h"

#include <chrono>
#include <filesystem>
#include <fstream>

namespace tilewright {

namespace {

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Stopwatch::Stopwatch() : start_ns_(NowNs()) {}
double Stopwatch::Milliseconds() const { return double(NowNs() - start_ns_) * 1e-6; }

IRModule PassRunner::Run(const std::string& name, const IRModule& module,
                         const std::function<IRModule(const IRModule&)>& pass) {
  last_pass_ = name;
  last_input_ = module;
  Stopwatch watch;
  IRModule result = pass(module);
  AddTime(name, watch.Milliseconds());
  if (options_.verify_each) Verify(result);
  if (options_.print && options_.print_sink &&
      (options_.print_after.contains(name) || options_.print_after.contains("all"))) {
    options_.print_sink("// after " + name + "\n" + options_.print(result));
  }
  if (options_.print && !options_.dump_dir.empty()) {
    MakeFolder(options_.dump_dir);
    const std::string file = fmt::format("{}/{:02}-{}.tw", options_.dump_dir, records_.size(), name);
    std::ofstream out(file);
    out << options_.print(result);
    if (!out.flush()) throw Error("TW1005", fmt::format("cannot write '{}'", file), "", {"check --dump-dir"});
  }
  return result;
}

void PassRunner::Verify(const IRModule& module) const {
  if (options_.verify) options_.verify(module);
}

void PassRunner::AddTime(const std::string& name, double milliseconds) {
  for (PassRecord& r : records_) {
    if (r.name == name) {
      r.milliseconds += milliseconds;
      return;
    }
  }
  records_.push_back({name, milliseconds});
}

}  // namespace tilewright
