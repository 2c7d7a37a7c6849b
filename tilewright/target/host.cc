// SPDX-License-Identifier: Apache-2.0
#include "tilewright/target/host.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <thread>

namespace tilewright {

namespace {

std::optional<std::string> ReadText(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::optional<int64_t> ReadNumber(const std::string& path) {
  auto text = ReadText(path);
  if (!text) return std::nullopt;
  int64_t value;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc()) return std::nullopt;
  if (end != text->data() + text->size() && *end == 'K') value *= 1024;
  if (end != text->data() + text->size() && *end == 'M') value *= 1024 * 1024;
  return value;
}

/// The processors of a list such as "0-3,8,10-11".
std::set<int> ParseCpuList(const std::string& text) {
  std::set<int> cpus;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    int first = -1, last = -1;
    const char* end = part.data() + part.size();
    auto [p, error] = std::from_chars(part.data(), end, first);
    if (error != std::errc()) continue;
    last = first;
    if (p != end && *p == '-') std::from_chars(p + 1, end, last);
    for (int cpu = first; cpu <= last && cpu < 1 << 16; ++cpu) cpus.insert(cpu);
  }
  return cpus;
}

std::vector<int> AllowedCpus() {
  std::vector<int> cpus;
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &mask)) cpus.push_back(cpu);
    }
  }
  if (cpus.empty()) {
    for (int cpu = 0; cpu < std::max(1, int(std::thread::hardware_concurrency())); ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

int PhysicalCores(const std::vector<int>& cpus, const std::string& root) {
  std::set<std::string> cores;
  for (int cpu : cpus) {
    const std::string folder = root + "/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    auto siblings = ReadText(folder + "core_cpus_list");
    if (!siblings) siblings = ReadText(folder + "thread_siblings_list");
    cores.insert(siblings ? *siblings : std::to_string(cpu));
  }
  return int(cores.size());
}

/// Whole cores of a quota per period; 0 when there is none.
int Cores(int64_t quota, int64_t period) {
  return quota > 0 && period > 0 ? int((quota + period - 1) / period) : 0;
}

int Cgroup2Limit(const std::string& folder) {
  auto text = ReadText(folder + "/cpu.max");
  if (!text) return 0;
  std::istringstream stream(*text);
  int64_t quota = 0, period = 0;
  return stream >> quota >> period ? Cores(quota, period) : 0;  // "max 100000" has no number: no limit
}

int Cgroup1Limit(const std::string& folder) {
  return Cores(ReadNumber(folder + "/cpu.cfs_quota_us").value_or(0),
               ReadNumber(folder + "/cpu.cfs_period_us").value_or(0));
}

}  // namespace

std::vector<CacheLevel> ReadCaches(const std::string& root) {
  const std::vector<int> allowed = AllowedCpus();
  std::vector<CacheLevel> caches;
  for (int i = 0; i < 16; ++i) {
    const std::string folder = root + "/devices/system/cpu/cpu" + std::to_string(allowed.front()) +
                               "/cache/index" + std::to_string(i) + "/";
    auto level = ReadNumber(folder + "level");
    auto type = ReadText(folder + "type");
    auto size = ReadNumber(folder + "size");
    if (!level) break;
    if (!type || type->starts_with("Instruction") || !size || *level < 1 || *level > 4) continue;
    if (caches.size() < size_t(*level)) caches.resize(size_t(*level));
    const std::set<int> sharing = ParseCpuList(ReadText(folder + "shared_cpu_list").value_or(""));
    const std::vector<int> cpus(sharing.begin(), sharing.end());
    caches[size_t(*level - 1)] = {*size, int(ReadNumber(folder + "coherency_line_size").value_or(64)),
                                  std::max(1, PhysicalCores(cpus, root))};
  }
  while (!caches.empty() && caches.back().bytes == 0) caches.pop_back();
  return caches;
}

int CgroupCores(const std::string& membership, const std::string& root) {
  int limit = 0;
  auto tighten = [&](int cores) {
    if (cores > 0) limit = limit ? std::min(limit, cores) : cores;
  };
  // Every group from the process's own up to the root may limit it.
  auto climb = [&](const std::string& hierarchy, std::string path, auto read) {
    for (;;) {
      tighten(read(hierarchy + path));
      const size_t slash = path.find_last_of('/');
      if (slash == std::string::npos || path.empty()) break;
      path.resize(slash);
    }
  };
  std::istringstream lines(membership);
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    std::string path = line.substr(second + 1);
    if (path == "/") path.clear();
    if (controllers == ",,") {
      climb(root, path, Cgroup2Limit);
      climb(root + "/unified", path, Cgroup2Limit);
    } else if (controllers.find(",cpu,") != std::string::npos) {
      climb(root + "/cpu", path, Cgroup1Limit);
      climb(root + "/" + controllers.substr(1, controllers.size() - 2), path, Cgroup1Limit);
    }
  }
  return limit;
}

int AvailableCores() {
  int cores = PhysicalCores(AllowedCpus(), "/sys");
  if (int limit = CgroupCores(ReadText("/proc/self/cgroup").value_or(""))) cores = std::min(cores, limit);
  return std::max(1, cores);
}

}  // namespace tilewright
