// SPDX-License-Identifier: Apache-2.0
#include "tilewright/target/target_file.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>

#include "tilewright/support/error.h"
#include "tilewright/support/file.h"
#include "tilewright/target/code_generator.h"
#include "tilewright/target/known.h"
#include "tilewright/target/target_fields.h"

namespace tilewright {

namespace {

constexpr std::string_view kMagic = "tilewright-target";
constexpr std::string_view kVersion = "1";
constexpr std::string_view kEnd = "end";
/// Longer ones are no descriptions.
constexpr size_t kMostBytes = size_t(1) << 20;

/// What a file says, in this order; vector facts follow from these.
constexpr std::string_view kKeys[] = {
    "name",      "triple", "cpu",           "features", "fma_per_cycle",     "fma_latency",
    "clock_mhz", "cores",  "launch_cycles", "caches",   "memory_line_cycles"};

/// What a processor may have; anything else is a mistake of whoever wrote the file.
constexpr int64_t kLeastCache = 1 << 10, kMostCache = int64_t(1) << 40;
constexpr double kMostLineCycles = 10000;
constexpr int kLeastMhz = 10, kMostMhz = 20000;

class Reader {
 public:
  Reader(const std::string& path, std::string_view text) : path_(path), text_(text) {}

  Target Read() {
    Target target;
    std::set<std::string, std::less<>> seen;
    std::optional<std::string_view> line = NextLine();
    CheckMagic(line);
    while ((line = NextLine()) && *line != kEnd) ReadPair(*line, target, seen);
    if (!line) Fail(fmt::format("the file ends without the line '{}'", kEnd), "it may have been cut off");
    if (NextLine()) Fail(fmt::format("there is text behind the line '{}'", kEnd));
    for (std::string_view key : kKeys) {
      if (!seen.contains(key)) Fail(fmt::format("'{}' is missing", key));
    }
    Check(target);
    DeriveVectorFacts(target);
    return target;
  }

 private:
  [[noreturn]] void Fail(const std::string& message, std::string note = {}) const {
    std::vector<std::string> notes;
    if (!note.empty()) notes.push_back(std::move(note));
    notes.emplace_back("`tilewright calibrate -o FILE` writes such files");
    throw Error("TW1106", "target file: " + message, Where(), std::move(notes));
  }
  std::string Where() const { return fmt::format("{}, line {}", path_, line_); }

  /// The next line that is neither empty nor a comment, without space around it; null at the end.
  std::optional<std::string_view> NextLine() {
    while (!text_.empty()) {
      ++line_;
      const size_t end = text_.find('\n');
      std::string_view line = Trimmed(text_.substr(0, end));
      text_ = end == std::string_view::npos ? std::string_view() : text_.substr(end + 1);
      if (!line.empty() && line.front() != '#') return line;
    }
    return std::nullopt;
  }

  static std::string_view Trimmed(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r";
    const size_t begin = text.find_first_not_of(kSpace);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
  }

  void CheckMagic(const std::optional<std::string_view>& line) const {
    const size_t space = line ? line->find(' ') : std::string_view::npos;
    if (!line || line->substr(0, space) != kMagic || space == std::string_view::npos)
      Fail("this is no target description", fmt::format("the first line is '{} {}'", kMagic, kVersion));
    const std::string_view version = Trimmed(line->substr(space));
    if (version != kVersion) {
      Fail(fmt::format("version '{}' is not known", version.substr(0, 20)),
           fmt::format("this compiler reads version {}", kVersion));
    }
  }

  void ReadPair(std::string_view line, Target& target, std::set<std::string, std::less<>>& seen) const {
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) Fail(fmt::format("'{}' is not KEY = VALUE", line.substr(0, 40)));
    const std::string key(Trimmed(line.substr(0, equals)));
    if (std::ranges::find(kKeys, std::string_view(key)) == std::end(kKeys)) {
      throw Error("TW1102", fmt::format("target file: unknown property '{}'", key.substr(0, 40)), Where(),
                  {fmt::format("known properties: {}", fmt::join(kKeys, ", "))});
    }
    if (!seen.insert(key).second) Fail(fmt::format("'{}' is there twice", key));
    const std::string value(Trimmed(line.substr(equals + 1)));
    const bool plain = std::ranges::all_of(value, [](unsigned char c) {
      return std::isalnum(c) || std::string_view("._+-,/:").find(char(c)) != std::string_view::npos;
    });
    if (!plain) Fail(fmt::format("'{}' has a value with characters that no value has", key));
    try {
      SetTargetField(target, key, value);
    } catch (const Error& e) {
      Diagnostic d = e.diagnostics().front();
      d.where = Where();
      throw Error(std::move(d));
    }
  }

  /// What no single value tells.
  void Check(const Target& target) const {
    bool known = false;
    for (const std::string& name : KnownTargetNames()) {
      Target one;
      known |= FindKnownTarget(name, one) && CodeGeneratorOf(one) == CodeGenerator::kLlvm &&
               one.triple == target.triple;
    }
    if (!known) Fail(fmt::format("no known target has the triple '{}'", target.triple.substr(0, 40)));
    if (target.name.empty()) Fail("the name is empty");
    CheckRange("clock_mhz", target.clock_mhz, kLeastMhz, kMostMhz);
    CheckCycles("memory_line_cycles", target.memory_line_cycles);
    if (target.caches.empty()) Fail("there is no cache");
    for (size_t i = 0; i < target.caches.size(); ++i) {
      const std::string level = fmt::format("level {} of caches", i + 1);
      CheckRange(level, double(target.caches[i].bytes), double(kLeastCache), double(kMostCache));
      CheckCycles(level, target.caches[i].line_cycles);
      if (i > 0 && target.caches[i].bytes < target.caches[i - 1].bytes)
        Fail(fmt::format("{} is smaller than the one before", level));
    }
  }

  void CheckRange(const std::string& what, double value, double least, double most) const {
    if (value < least || value > most)
      Fail(fmt::format("{} of {} is not between {} and {}", what, value, least, most));
  }
  void CheckCycles(const std::string& what, double value) const {
    if (value == 0) Fail(fmt::format("{} has 0 cycles between lines", what));
    CheckRange(what, value, 0, kMostLineCycles);
  }

  const std::string path_;
  std::string_view text_;
  int line_ = 0;
};

}  // namespace

Target ReadTargetFile(const std::string& path) {
  const std::string text = ReadFile(path);
  return ParseTargetFile(text, path);
}

Target ParseTargetFile(std::string_view text, const std::string& path) {
  if (text.size() > kMostBytes || text.find('\0') != std::string_view::npos)
    throw Error("TW1106", "target file: this is no target description", path);
  return Reader(path, text).Read();
}

std::string TargetFileText(const Target& target, const std::vector<std::string>& comments) {
  std::string text = fmt::format("{} {}\n", kMagic, kVersion);
  for (const std::string& line : comments) text += "# " + line + "\n";
  for (std::string_view key : kKeys) text += fmt::format("{} = {}\n", key, TargetField(target, key));
  return text + std::string(kEnd) + "\n";
}

}  // namespace tilewright
