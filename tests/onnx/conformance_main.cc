// SPDX-License-Identifier: Apache-2.0
// Runs ONNX's backend test cases through the compiler, each in a process of its own.
//
//   onnx_conformance [--jobs N] [--seconds S] [--interpret] MANIFEST
//
// MANIFEST has a case a line: name, folder, rtol, atol, separated by tabs. Prints a line per case: name, tab,
// verdict (see RunCase). tests/onnx/run.py writes the manifest and judges the verdicts.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/onnx/cases.h"
#include "tilewright/support/error.h"

namespace tilewright {
namespace {

std::vector<ConformanceCase> ReadManifest(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error("TW4401", fmt::format("cannot read '{}'", path));
  std::vector<ConformanceCase> cases;
  for (std::string line; std::getline(file, line);) {
    std::stringstream fields(line);
    ConformanceCase c;
    std::string rtol, atol;
    std::getline(fields, c.name, '\t');
    std::getline(fields, c.folder, '\t');
    std::getline(fields, rtol, '\t');
    std::getline(fields, atol, '\t');
    c.rtol = std::stod(rtol);
    c.atol = std::stod(atol);
    cases.push_back(std::move(c));
  }
  return cases;
}

int Main(int argc, char** argv) {
  int jobs = int(std::max(1u, std::thread::hardware_concurrency())), seconds = 120;
  Engine engine = Engine::kCompiled;
  std::string manifest;
  for (int i = 1; i < argc; ++i) {
    std::string flag = argv[i];
    if (flag == "--jobs" && i + 1 < argc) {
      jobs = std::max(1, std::atoi(argv[++i]));
    } else if (flag == "--seconds" && i + 1 < argc) {
      seconds = std::max(1, std::atoi(argv[++i]));
    } else if (flag == "--interpret") {
      engine = Engine::kInterpreter;
    } else {
      manifest = flag;
    }
  }
  if (manifest.empty()) {
    std::fprintf(stderr, "usage: onnx_conformance [--jobs N] [--seconds S] [--interpret] MANIFEST\n");
    return 2;
  }
  std::vector<ConformanceCase> cases = ReadManifest(manifest);
  RunIsolated(
      cases.size(), jobs, seconds, [&](size_t i) { return RunCase(cases[i], engine); },
      [&](size_t i, const std::string& verdict) {
        std::printf("%s\t%s\n", cases[i].name.c_str(), verdict.c_str());
        std::fflush(stdout);
      });
  return 0;
}

}  // namespace
}  // namespace tilewright

int main(int argc, char** argv) {
  try {
    return tilewright::Main(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
