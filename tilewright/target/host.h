// SPDX-License-Identifier: Apache-2.0
// Facts about the machine that this process runs on, read from the processor and the operating system.
#pragma once

#include <string>
#include <vector>

#include "tilewright/target/target.h"

namespace tilewright {

/// Names of x86 extensions (LLVM's) that the processor has and the operating system saves the state of;
/// empty on other architectures.
std::vector<std::string> DetectX86Features();

/// Vector FMAs of full width issued per cycle, from the vendor, family and extensions of an x86 processor.
int DetectX86FmaPerCycle();

/// Data caches of the first allowed processor, L1 first, from sysfs (`root` is "/sys" but for tests); empty
/// when it is not there.
std::vector<CacheLevel> ReadCaches(const std::string& root = "/sys");

/// The CPU time that control groups grant, in whole cores (rounded up), or 0 for no limit. `membership` is
/// the text of /proc/self/cgroup, `root` the folder of the hierarchies. Reads version 2 (cpu.max) and 1 (cfs
/// quota).
int CgroupCores(const std::string& membership, const std::string& root = "/sys/fs/cgroup");

/// Cores that this process may use: physical cores in the affinity mask, no more than control groups grant;
/// at least 1.
int AvailableCores();

}  // namespace tilewright
