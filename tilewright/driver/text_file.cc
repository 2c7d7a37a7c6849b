// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/text_file.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tilewright/graph/parser.h"
#include "tilewright/support/file.h"

namespace tilewright {

bool IsTextFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  // Comments at the beginning may be long: the first word behind them tells.
  for (std::string line; std::getline(in, line);) {
    const size_t at = line.find_first_not_of(" \t\r");
    if (at == std::string::npos || line[at] == '#') continue;
    const size_t end = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz", at);
    const std::string word = line.substr(at, end == std::string::npos ? end : end - at);
    for (const char* known : {"module", "data", "symbol", "parameter", "graph", "primfunc"}) {
      if (word == known) return true;
    }
    return false;
  }
  return false;
}

TextModule ReadTextFile(const std::string& path) {
  const std::string text = ReadFile(path);
  auto read_data = [&](const std::string& name) {
    if (name.empty() || std::filesystem::path(name).filename() != name || name == "." || name == "..") {
      throw Error("TW3301", fmt::format("'{}' is not the name of a file beside the text", name), path);
    }
    const std::filesystem::path file = std::filesystem::path(path).parent_path() / name;
    return std::make_shared<const std::string>(ReadFile(file.string()));
  };
  try {
    return ParseModule(text, read_data);
  } catch (const Error& e) {
    std::vector<Diagnostic> all = e.diagnostics();
    for (Diagnostic& d : all) {
      if (d.where.starts_with("line ")) d.where = path + ", " + d.where;
    }
    throw Error(std::move(all));
  }
}

void WriteTextFile(const std::string& path, const TextModule& text, const std::string& comment) {
  ConstantData data;
  const std::string data_path = path + ".data";
  const std::string body =
      PrintModule(text, {.data = &data, .data_name = std::filesystem::path(data_path).filename().string()});
  if (!data.bytes().empty()) WriteFile(data_path, data.bytes());
  std::string head;
  std::istringstream lines(comment);
  for (std::string line; std::getline(lines, line);) head += line.empty() ? "#\n" : "# " + line + "\n";
  WriteFile(path, head + body);
}

void ReadTextOptions(const TextModule& text, bool with_target, CompileOptions& options) {
  auto value = [&]<class T>(const std::string& key, const AttrValue& v, T) -> const T& {
    if (auto* typed = std::get_if<T>(&v)) return *typed;
    throw Error("TW3302", fmt::format("the module's attribute '{}' has a value of another type", key));
  };
  for (const auto& [key, v] : text.attrs) {
    if (key == "target") {
      const std::string& target = value(key, v, std::string());
      if (with_target) options.target = Target::Parse(target);
    } else if (key == "start_at") {
      const std::string& start_at = value(key, v, std::string());
      if (options.start_at.empty()) options.start_at = start_at;
    } else if (key == "verify_each") {
      options.verify_each |= value(key, v, true);
    } else if (key == "max_error") {
      options.max_error = value(key, v, 0.0);
    } else if (key == "precision") {
      options.precision = PrecisionNamed(value(key, v, std::string()));
    } else {
      throw Error("TW3302", fmt::format("there is no attribute '{}' of a module", key), "",
                  {"known are max_error, precision, start_at, target and verify_each"});
    }
  }
}

Annotations TextOptions(const CompileOptions& options, const std::string& start_at) {
  Annotations attrs = {{"target", options.target.ToString()}};
  if (!start_at.empty()) attrs["start_at"] = start_at;
  if (options.verify_each) attrs["verify_each"] = true;
  if (options.max_error != kDefaultMaxError) attrs["max_error"] = options.max_error;
  if (options.precision == Precision::kBF16) attrs["precision"] = std::string("bf16");
  return attrs;
}

Precision PrecisionNamed(const std::string& name) {
  if (name == "f32") return Precision::kF32;
  if (name == "bf16") return Precision::kBF16;
  throw Error("TW3302", fmt::format("there is no precision '{}'", name), "", {"known are f32 and bf16"});
}

}  // namespace tilewright
