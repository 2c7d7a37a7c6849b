// SPDX-License-Identifier: Apache-2.0
#include "tilewright/target/target.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <utility>

#include "tilewright/support/error.h"
#include "tilewright/target/host.h"
#include "tilewright/target/known.h"
#include "tilewright/target/target_fields.h"
#include "tilewright/target/target_file.h"

namespace tilewright {

namespace {

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (;;) {
    const size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) return parts;
    begin = end + 1;
  }
}

std::string Joined(const std::vector<std::string>& names, const char* separator) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : separator) + name;
  return text;
}

[[noreturn]] void FailValue(const std::string& key, const std::string& value, const std::string& expected) {
  throw Error("TW1103", fmt::format("target: {}={} is not valid", key, value), "", {"expected " + expected});
}

int64_t ParseNumber(const std::string& key, const std::string& value, int64_t min, int64_t max) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < min || number > max) {
    FailValue(key, value, fmt::format("a number from {} to {}", min, max));
  }
  return number;
}

/// Cycles, not necessarily whole.
double ParseCycles(const std::string& key, const std::string& value) {
  constexpr double kMost = 1e6;
  double number = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || !(number >= 0 && number <= kMost))
    FailValue(key, value, fmt::format("a number from 0 to {}", kMost));
  return number;
}

bool ParseBool(const std::string& key, const std::string& value) {
  if (value != "0" && value != "1") FailValue(key, value, "0 or 1");
  return value == "1";
}

constexpr int64_t kMaxBytes = int64_t(1) << 50;

std::vector<CacheLevel> ParseCaches(const std::string& value) {
  std::vector<CacheLevel> caches;
  if (value.empty()) return caches;
  for (const std::string& part : Split(value, ':')) {
    const auto fields = Split(part, '/');
    if (fields.size() != 3 && fields.size() != 4)
      FailValue("caches", value, "BYTES/LINE/SHARING[/CYCLES] for each level, separated by ':'");
    caches.push_back({ParseNumber("caches", fields[0], 0, kMaxBytes),
                      int(ParseNumber("caches", fields[1], 1, 4096)),
                      int(ParseNumber("caches", fields[2], 1, 1 << 16)),
                      fields.size() == 4 ? ParseCycles("caches", fields[3]) : 0});
  }
  return caches;
}

std::vector<MemoryScope> ParseScopes(const std::string& value) {
  std::vector<MemoryScope> scopes;
  if (value.empty()) return scopes;
  for (const std::string& part : Split(value, ':')) {
    const auto fields = Split(part, '/');
    if (fields.size() != 3 || fields[0].empty()) {
      FailValue("scopes", value, "NAME/BYTES/ALIGNMENT for each scope, separated by ':'");
    }
    scopes.push_back({fields[0], ParseNumber("scopes", fields[1], 0, kMaxBytes),
                      int(ParseNumber("scopes", fields[2], 1, 1 << 20))});
  }
  return scopes;
}

/// One field of the text form. Both directions are listed once, here.
struct Field {
  const char* key;
  std::function<std::string(const Target&)> print;
  std::function<void(Target&, const std::string&)> parse;
};

template <class T>
Field NumberField(const char* key, T Target::* member, int64_t max) {
  return {key, [=](const Target& t) { return std::to_string(t.*member); },
          [=](Target& t, const std::string& v) { t.*member = T(ParseNumber(key, v, 1, max)); }};
}
Field BoolField(const char* key, bool Target::* member) {
  return {key, [=](const Target& t) { return std::string(t.*member ? "1" : "0"); },
          [=](Target& t, const std::string& v) { t.*member = ParseBool(key, v); }};
}
Field CyclesField(const char* key, double Target::* member) {
  return {key, [=](const Target& t) { return fmt::format("{}", t.*member); },
          [=](Target& t, const std::string& v) { t.*member = ParseCycles(key, v); }};
}
Field TextField(const char* key, std::string Target::* member) {
  return {key, [=](const Target& t) { return t.*member; },
          [=](Target& t, const std::string& v) { t.*member = v; }};
}

const std::vector<Field>& Fields() {
  static const std::vector<Field> fields = {
      TextField("name", &Target::name),
      TextField("triple", &Target::triple),
      TextField("cpu", &Target::cpu),
      TextField("features", &Target::features),
      NumberField("vector_bytes", &Target::vector_bytes, 4096),
      NumberField("vector_registers", &Target::vector_registers, 4096),
      BoolField("fma", &Target::has_fma),
      NumberField("fma_per_cycle", &Target::fma_per_cycle, 64),
      NumberField("fma_latency", &Target::fma_latency, 64),
      NumberField("clock_mhz", &Target::clock_mhz, 100000),
      BoolField("masked_memory", &Target::has_masked_memory),
      BoolField("dot_u8s8", &Target::has_dot_u8s8),
      BoolField("dot_bf16", &Target::has_dot_bf16),
      NumberField("cores", &Target::cores, 1 << 16),
      NumberField("launch_cycles", &Target::launch_cycles, 1 << 30),
      CyclesField("memory_line_cycles", &Target::memory_line_cycles),
      {"caches",
       [](const Target& t) {
         std::vector<std::string> parts;
         for (const CacheLevel& c : t.caches)
           parts.push_back(fmt::format("{}/{}/{}/{}", c.bytes, c.line_bytes, c.shared_by, c.line_cycles));
         return Joined(parts, ":");
       },
       [](Target& t, const std::string& v) { t.caches = ParseCaches(v); }},
      {"scopes",
       [](const Target& t) {
         std::vector<std::string> parts;
         for (const MemoryScope& s : t.scopes)
           parts.push_back(fmt::format("{}/{}/{}", s.name, s.capacity_bytes, s.alignment));
         return Joined(parts, ":");
       },
       [](Target& t, const std::string& v) { t.scopes = ParseScopes(v); }},
      {"sanitize", [](const Target& t) { return std::string(t.sanitize_address ? "address" : "none"); },
       [](Target& t, const std::string& v) {
         if (v != "address" && v != "none") FailValue("sanitize", v, "address or none");
         t.sanitize_address = v == "address";
       }},
  };
  return fields;
}

}  // namespace

void SetTargetField(Target& target, const std::string& key, const std::string& value) {
  for (const Field& field : Fields()) {
    if (key != field.key) continue;
    field.parse(target, value);
    return;
  }
  std::vector<std::string> keys;
  for (const Field& field : Fields()) keys.push_back(field.key);
  throw Error("TW1102", fmt::format("target: unknown property '{}'", key), "",
              {"known properties: " + Joined(keys, ", ")});
}

std::string TargetField(const Target& target, std::string_view key) {
  const auto field = std::ranges::find(Fields(), key, &Field::key);
  TW_CHECK(field != Fields().end(), "a target has no property '{}'", key);
  return field->print(target);
}

namespace {

std::pair<std::string, std::string> KeyAndValue(const std::string& pair) {
  const size_t equals = pair.find('=');
  if (equals == std::string::npos) {
    throw Error("TW1102", fmt::format("target: '{}' is not KEY=VALUE", pair), "",
                {"write overrides as in x86-64-v3,cores=8"});
  }
  return {pair.substr(0, equals), pair.substr(equals + 1)};
}

/// The overrides of "name,key=value,...". A part that begins with + or - goes on with a list of features.
std::vector<std::pair<std::string, std::string>> Overrides(const std::vector<std::string>& parts) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (size_t i = 1; i < parts.size(); ++i) {
    if (!pairs.empty() && pairs.back().first == "features" &&
        (parts[i].starts_with('+') || parts[i].starts_with('-'))) {
      pairs.back().second += "," + parts[i];
    } else {
      pairs.push_back(KeyAndValue(parts[i]));
    }
  }
  return pairs;
}

/// The features of a name with those of an override, a list of "+name" and "-name", which win.
std::string WithFeatures(const std::string& features, const std::string& changes) {
  std::vector<std::string> all;
  for (const std::string& list : {features, changes}) {
    for (const std::string& feature : Split(list, ',')) {
      if (feature.empty()) continue;
      std::erase_if(all, [&](const std::string& known) { return known.substr(1) == feature.substr(1); });
      all.push_back(feature);
    }
  }
  return Joined(all, ",");
}

Target FromDescription(const std::string& text) {
  Target target;
  for (const std::string& pair : Split(text, ' ')) {
    if (pair.empty()) continue;
    auto [key, value] = KeyAndValue(pair);
    SetTargetField(target, key, value);
  }
  if (target.triple.empty())
    throw Error("TW1104", "target: the description has no triple", "", {"set triple=, or start from a name"});
  return target;
}

}  // namespace

std::vector<Target> ParseTargets(const std::string& text) {
  if (text.starts_with("name=")) return {FromDescription(text)};
  std::vector<std::string> texts;
  for (const std::string& part : Split(text, ',')) {
    const bool override =
        part.find('=') != std::string::npos || part.starts_with('+') || part.starts_with('-');
    if (texts.empty() || !override) {
      texts.push_back(part);
    } else {
      texts.back() += "," + part;
    }
  }
  std::vector<Target> targets;
  for (const std::string& one : texts) {
    targets.push_back(Target::Parse(one));
    for (size_t i = 0; i + 1 < targets.size(); ++i) {
      if (targets[i].ToString() == targets.back().ToString())
        throw Error("TW1105", fmt::format("the target '{}' is there twice in '{}'", one, text));
    }
  }
  return targets;
}

int64_t Target::CacheBytes(int level) const {
  if (level < 1 || size_t(level) > caches.size()) return 0;
  const CacheLevel& cache = caches[size_t(level - 1)];
  return cache.bytes / std::max(1, cache.shared_by);
}

std::string Target::ToString() const {
  std::vector<std::string> pairs;
  for (const Field& field : Fields()) pairs.push_back(std::string(field.key) + "=" + field.print(*this));
  return Joined(pairs, " ");
}

Target Target::Parse(const std::string& text) {
  if (text.starts_with("name=")) return FromDescription(text);
  const auto parts = Split(text, ',');
  Target target;
  if (parts[0] == "host") {
    target = Host();
  } else if (!FindKnownTarget(parts[0], target)) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(parts[0], error)) {
      throw Error("TW1101", fmt::format("unknown target '{}'", parts[0]), "",
                  {"it is no file, and known targets are " + Joined(KnownTargetNames(), ", "),
                   "overrides follow the name, as in x86-64-v3,cores=8"});
    }
    target = ReadTargetFile(parts[0]);
  }
  const auto overrides = Overrides(parts);
  for (const auto& [key, value] : overrides) {
    if (key != "features" && key != "triple") continue;
    SetTargetField(target, key, key == "features" ? WithFeatures(target.features, value) : value);
    DeriveVectorFacts(target);
  }
  for (const auto& [key, value] : overrides) {
    if (key != "features" && key != "triple") SetTargetField(target, key, value);
  }
  return target;
}

Target Target::Host() {
  Target target;
#if defined(__x86_64__)
  const std::vector<std::string> features = DetectX86Features();
  for (const std::string& f : features) target.features += (target.features.empty() ? "+" : ",+") + f;
  // The highest level whose features are all there names the processor; the rest is in the feature string.
  target.triple = "x86_64-unknown-linux-gnu";
  target.cpu = "x86-64";
  for (const char* level : {"x86-64-v2", "x86-64-v3", "x86-64-v4"}) {
    Target known;
    FindKnownTarget(level, known);
    if (IncludesFeatures(target, known)) target.cpu = level;
  }
  target.fma_per_cycle = DetectX86FmaPerCycle();
#elif defined(__aarch64__)
  FindKnownTarget("aarch64-linux-gnu", target);
#elif defined(__riscv)
  FindKnownTarget("riscv64-linux-gnu", target);
#endif
  target.name = "host";
  DeriveVectorFacts(target);
  target.cores = AvailableCores();
  if (auto caches = ReadCaches(); !caches.empty()) {
    target.caches = std::move(caches);
  } else if (target.caches.empty()) {
    target.caches = {{32 << 10, 64, 1}, {512 << 10, 64, 1}};
  }
  // As calibrate measured them on a server with AVX-512 (docs/targets.md); others are not known.
  constexpr double kReadCycles[] = {0.63, 1.3, 6};
  for (size_t i = 0; target.vector_bytes == 64 && i < std::min(std::size(kReadCycles), target.caches.size());
       ++i)
    target.caches[i].line_cycles = kReadCycles[i];
  if (target.vector_bytes == 64) target.memory_line_cycles = 16;
  return target;
}

}  // namespace tilewright
