// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/cpu_features.h"

#include <algorithm>
#include <cstdint>
#include <span>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__linux__)
#include <sys/auxv.h>
#endif

namespace tilewright::runtime {
namespace {

// Where CPUID reports an extension (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E), and which
// register state the operating system must save for it (bits of XCR0).
struct CpuidFeature {
  const char* name;
  uint32_t leaf;
  uint32_t subleaf;
  char reg;
  uint32_t bit;
  uint32_t xcr0;
};

constexpr uint32_t kYmm = 0x06;
constexpr uint32_t kZmm = 0xe6;
constexpr uint32_t kTiles = 0x60000;
constexpr uint32_t kExtended = 0x80000001;

constexpr CpuidFeature kX86Features[] = {
    {"x87", 1, 0, 'd', 0, 0},
    {"cx8", 1, 0, 'd', 8, 0},
    {"cmov", 1, 0, 'd', 15, 0},
    {"mmx", 1, 0, 'd', 23, 0},
    {"fxsr", 1, 0, 'd', 24, 0},
    {"sse", 1, 0, 'd', 25, 0},
    {"sse2", 1, 0, 'd', 26, 0},
    {"sse3", 1, 0, 'c', 0, 0},
    {"pclmul", 1, 0, 'c', 1, 0},
    {"ssse3", 1, 0, 'c', 9, 0},
    {"fma", 1, 0, 'c', 12, kYmm},
    {"cx16", 1, 0, 'c', 13, 0},
    {"sse4.1", 1, 0, 'c', 19, 0},
    {"sse4.2", 1, 0, 'c', 20, 0},
    {"movbe", 1, 0, 'c', 22, 0},
    {"popcnt", 1, 0, 'c', 23, 0},
    {"aes", 1, 0, 'c', 25, 0},
    {"avx", 1, 0, 'c', 28, kYmm},
    {"f16c", 1, 0, 'c', 29, kYmm},
    {"bmi", 7, 0, 'b', 3, 0},
    {"avx2", 7, 0, 'b', 5, kYmm},
    {"bmi2", 7, 0, 'b', 8, 0},
    {"avx512f", 7, 0, 'b', 16, kZmm},
    {"avx512dq", 7, 0, 'b', 17, kZmm},
    {"adx", 7, 0, 'b', 19, 0},
    {"avx512ifma", 7, 0, 'b', 21, kZmm},
    {"avx512cd", 7, 0, 'b', 28, kZmm},
    {"sha", 7, 0, 'b', 29, 0},
    {"avx512bw", 7, 0, 'b', 30, kZmm},
    {"avx512vl", 7, 0, 'b', 31, kZmm},
    {"avx512vbmi", 7, 0, 'c', 1, kZmm},
    {"avx512vbmi2", 7, 0, 'c', 6, kZmm},
    {"gfni", 7, 0, 'c', 8, 0},
    {"vaes", 7, 0, 'c', 9, kYmm},
    {"vpclmulqdq", 7, 0, 'c', 10, kYmm},
    {"avx512vnni", 7, 0, 'c', 11, kZmm},
    {"avx512bitalg", 7, 0, 'c', 12, kZmm},
    {"avx512vpopcntdq", 7, 0, 'c', 14, kZmm},
    {"avx512vp2intersect", 7, 0, 'd', 8, kZmm},
    {"avx512fp16", 7, 0, 'd', 23, kZmm},
    {"amx-bf16", 7, 0, 'd', 22, kTiles},
    {"amx-tile", 7, 0, 'd', 24, kTiles},
    {"amx-int8", 7, 0, 'd', 25, kTiles},
    {"avxvnni", 7, 1, 'a', 4, kYmm},
    {"avx512bf16", 7, 1, 'a', 5, kZmm},
    {"avxifma", 7, 1, 'a', 23, kYmm},
    {"avxvnniint8", 7, 1, 'd', 4, kYmm},
    {"avxneconvert", 7, 1, 'd', 5, kYmm},
    {"avxvnniint16", 7, 1, 'd', 10, kYmm},
    {"sahf", kExtended, 0, 'c', 0, 0},
    {"lzcnt", kExtended, 0, 'c', 5, 0},
    {"sse4a", kExtended, 0, 'c', 6, 0},
    {"prfchw", kExtended, 0, 'c', 8, 0},
};

// A bit of the auxiliary vector's AT_HWCAP (word 1) or AT_HWCAP2 (word 2), as Linux documents them; of RISC-V
// also the least number of bits of a vector register (word 0).
struct HwcapFeature {
  const char* name;
  uint32_t word;
  uint32_t bit;
};

constexpr HwcapFeature kAarch64Features[] = {
    {"fp-armv8", 1, 0}, {"neon", 1, 1},      {"aes", 1, 3},   {"sha2", 1, 6},     {"crc", 1, 7},
    {"lse", 1, 8},      {"fullfp16", 1, 10}, {"rdm", 1, 12},  {"dotprod", 1, 20}, {"sve", 1, 22},
    {"fp16fml", 1, 23}, {"sve2", 2, 1},      {"i8mm", 2, 13}, {"bf16", 2, 14},
};

// One bit per letter of the base extensions.
constexpr HwcapFeature kRiscv64Features[] = {
    {"a", 1, 0},  {"c", 1, 2},         {"d", 1, 3},         {"f", 1, 5},         {"m", 1, 12},
    {"v", 1, 21}, {"zvl128b", 0, 128}, {"zvl256b", 0, 256}, {"zvl512b", 0, 512}, {"zvl1024b", 0, 1024},
};

#if defined(__x86_64__)

constexpr std::span kFeatures(kX86Features);

uint32_t EnabledState() {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  constexpr uint32_t kOsxsave = 1u << 27;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & kOsxsave)) return 0;
  uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

bool Has(const CpuidFeature& f) {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (f.subleaf > 0) {
    // Leaf 7 tells in EAX how many subleaves it has.
    if (!__get_cpuid_count(f.leaf, 0, &a, &b, &c, &d) || a < f.subleaf) return false;
  }
  if (!__get_cpuid_count(f.leaf, f.subleaf, &a, &b, &c, &d)) return false;
  uint32_t value = f.reg == 'a' ? a : f.reg == 'b' ? b : f.reg == 'c' ? c : d;
  return ((value >> f.bit) & 1) && (EnabledState() & f.xcr0) == f.xcr0;
}

#elif defined(__linux__) && (defined(__aarch64__) || (defined(__riscv) && __riscv_xlen == 64))

bool HasBit(uint32_t word, uint32_t bit) { return (getauxval(word == 1 ? AT_HWCAP : AT_HWCAP2) >> bit) & 1; }

#if defined(__aarch64__)
constexpr std::span kFeatures(kAarch64Features);

bool Has(const HwcapFeature& f) { return HasBit(f.word, f.bit); }
#else
constexpr std::span kFeatures(kRiscv64Features);

// The register VLENB, by its number for assemblers that do not know the extension; there only where 'v' is.
uint64_t VectorBits() {
  uint64_t bytes = 0;
  asm volatile("csrr %0, 0xc22" : "=r"(bytes));
  return bytes * 8;
}

bool Has(const HwcapFeature& f) {
  constexpr uint32_t kVector = 21;
  if (f.word == 0) return HasBit(1, kVector) && VectorBits() >= f.bit;
  return HasBit(f.word, f.bit);
}
#endif

#else

constexpr std::span<const HwcapFeature> kFeatures;

bool Has(const HwcapFeature&) { return false; }

#endif

#if defined(__x86_64__) && defined(__linux__)

// Linux gives a process the registers of tiles only when it asks (ARCH_REQ_XCOMP_PERM, kernel documentation
// "Using XSTATE features in user space applications"), and from then on wants larger signal stacks. So this
// is asked when code comes that needs them, and not before. Threads inherit the permission.
bool MayUseTiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  static const bool granted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return granted;
}

#else

bool MayUseTiles() { return false; }

#endif

template <class Features>
bool Lists(const Features& features, std::string_view name) {
  return std::any_of(std::begin(features), std::end(features), [&](const auto& f) { return name == f.name; });
}

}  // namespace

std::string_view HostArchitecture() {
#if defined(__x86_64__)
  return "x86_64";
#elif defined(__aarch64__)
  return "aarch64";
#elif defined(__riscv) && __riscv_xlen == 64
  return "riscv64";
#else
  return "unknown";
#endif
}

const std::vector<std::string>& HostCpuFeatures() {
  // Asked once: on a virtual machine each question may be a matter of microseconds.
  static const std::vector<std::string> features = [] {
    std::vector<std::string> names;
    for (const auto& f : kFeatures) {
      if (Has(f)) names.emplace_back(f.name);
    }
    return names;
  }();
  return features;
}

bool IsKnownCpuFeature(std::string_view architecture, std::string_view name) {
  if (architecture == "x86_64") return Lists(kX86Features, name);
  if (architecture == "aarch64") return Lists(kAarch64Features, name);
  return architecture == "riscv64" && Lists(kRiscv64Features, name);
}

bool HostHasCpuFeature(std::string_view name) {
  const std::vector<std::string>& features = HostCpuFeatures();
  if (std::find(features.begin(), features.end(), name) == features.end()) return false;
  return !name.starts_with("amx-") || MayUseTiles();
}

}  // namespace tilewright::runtime
