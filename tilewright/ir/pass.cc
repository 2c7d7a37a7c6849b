// SPDX-License-Identifier: Apache-2.0
#include "tilewright/ir/pass.h"

#include "tilewright/support/file.h"

#include <chrono>
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
  if (!Enter(name)) return module;
  last_pass_ = name;
  last_input_ = module;
  Stopwatch watch;
  IRModule result = pass(module);
  AddTime(name, watch.Milliseconds());
  if (options_.verify_each) Verify(result);
  if (options_.print) Show(name, [&] { return options_.print(result); });
  Leave(name);
  return result;
}

bool PassRunner::Enter(const std::string& name) {
  started_ |= name == options_.start_at;
  return !skipping() && !stopped_;
}

bool PassRunner::Prints(const std::string& name) const {
  const std::set<std::string>& wanted = options_.print_after;
  return options_.print_sink &&
         (wanted.contains(name) || wanted.contains(name.substr(0, name.find('.'))) || wanted.contains("all"));
}

bool PassRunner::Shows(const std::string& name) const { return Prints(name) || !options_.dump_dir.empty(); }

void PassRunner::Show(const std::string& name, const std::function<std::string()>& text,
                      const std::string& ending) {
  if (!Shows(name)) return;
  const std::string shown = text();
  if (Prints(name)) options_.print_sink("# after " + name + "\n" + shown);
  if (options_.dump_dir.empty()) return;
  MakeFolder(options_.dump_dir);
  const std::string file = fmt::format("{}/{:02}-{}.{}", options_.dump_dir, ++dumps_, name, ending);
  std::ofstream out(file);
  out << shown;
  if (!out.flush()) throw Error("TW1005", fmt::format("cannot write '{}'", file), "", {"check --dump-dir"});
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
