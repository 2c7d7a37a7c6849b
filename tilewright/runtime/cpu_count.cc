// SPDX-License-Identifier: Apache-2.0
// How many threads this process should use: ThreadPool::DefaultNumThreads.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tilewright/runtime/status.h"
#include "tilewright/runtime/thread_pool.h"

namespace tilewright::runtime {
namespace {

int AffinityCount() {
#if defined(__linux__)
  // The mask of the kernel may be longer than cpu_set_t; EINVAL asks for a longer one.
  for (int processors = CPU_SETSIZE; processors <= (1 << 20); processors *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(processors));
    if (set == nullptr) break;
    size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(processors));
    int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
#endif
  return static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

// The smaller of two limits, 0 meaning none.
double Smaller(double a, double b) {
  if (a <= 0 || b <= 0) return std::max(a, b);
  return std::min(a, b);
}

double QuotaOverPeriod(const std::string& quota, double period) {
  char* end = nullptr;
  double value = std::strtod(quota.c_str(), &end);
  bool number = end != quota.c_str() && *end == '\0';
  return number && value > 0 && period > 0 ? value / period : 0;  // "max" and -1 mean no limit
}

// Version 2: cpu.max holds "quota period".
double LimitV2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  std::string quota;
  double period = 0;
  return file >> quota >> period ? QuotaOverPeriod(quota, period) : 0;
}

// Version 1: two files.
double LimitV1(const std::string& folder) {
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us"), period_file(folder + "/cpu.cfs_period_us");
  std::string quota;
  double period = 0;
  return quota_file >> quota && period_file >> period ? QuotaOverPeriod(quota, period) : 0;
}

// The tightest limit of the group at `path` and of all groups above it.
double LimitUpwards(const std::string& mount, std::string path, double (*limit_of)(const std::string&)) {
  double limit = 0;
  for (;;) {
    limit = Smaller(limit, limit_of(mount + path));
    if (path.empty()) return limit;
    path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
}

bool ListsCpu(const std::string& controllers) {
  std::istringstream list(controllers);
  for (std::string name; std::getline(list, name, ',');) {
    if (name == "cpu") return true;
  }
  return false;
}

}  // namespace

// cgroups(7): every line of /proc/self/cgroup is "number:controllers:path"; version 2 has number 0 and no
// controllers. In a container whose own group is mounted as the root, the path may not exist below the mount;
// the walk upwards then finds the group's files at the mount itself.
double CgroupCpuLimit(const std::string& root) {
  std::ifstream groups(root + "/proc/self/cgroup");
  double limit = 0;
  for (std::string line; std::getline(groups, line);) {
    size_t first = line.find(':');
    size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    if (path == "/") path.clear();
    if (controllers.empty()) {
      for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
        limit = Smaller(limit, LimitUpwards(root + mount, path, LimitV2));
      }
    } else if (ListsCpu(controllers)) {
      for (const char* mount : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}) {
        limit = Smaller(limit, LimitUpwards(root + mount, path, LimitV1));
      }
    }
  }
  return limit;
}

int ThreadPool::DefaultNumThreads() {
  if (const char* text = std::getenv("TILEWRIGHT_NUM_THREADS"); text != nullptr && *text != '\0') {
    std::string_view digits(text);
    int value = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || value < 1 || value > kMaxThreads) {
      throw RuntimeError(ErrorId::kBadOption, "the environment variable TILEWRIGHT_NUM_THREADS is '" +
                                                  std::string(text) + "'; expected a number from 1 to " +
                                                  std::to_string(kMaxThreads));
    }
    return value;
  }
  double count = AffinityCount();
  double limit = CgroupCpuLimit("");
  if (limit > 0) count = std::min(count, std::ceil(limit));
  return static_cast<int>(std::clamp(count, 1.0, double{kMaxThreads}));
}

}  // namespace tilewright::runtime
