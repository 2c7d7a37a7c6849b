// SPDX-License-Identifier: Apache-2.0
// What CPUID says (Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E).
#include "tilewright/target/host.h"

#if defined(__x86_64__)
#include <cpuid.h>

#include <cstring>

namespace tilewright {

namespace {

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers Cpuid(unsigned leaf, unsigned subleaf) {
  Registers r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

uint64_t EnabledState() {
  if (!(Cpuid(1, 0).ecx & (1u << 27))) return 0;  // OSXSAVE
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t(high) << 32) | low;
}

enum class State : uint8_t { kNone, kAvx, kAvx512, kTiles };
enum class Word : uint8_t { kEax, kEbx, kEcx, kEdx };

struct FeatureBit {
  const char* name;
  unsigned leaf, subleaf;
  Word word;
  int bit;
  State state;
};

constexpr FeatureBit kFeatures[] = {
    {"cx16", 1, 0, Word::kEcx, 13, State::kNone},
    {"popcnt", 1, 0, Word::kEcx, 23, State::kNone},
    {"sahf", 0x80000001, 0, Word::kEcx, 0, State::kNone},
    {"sse3", 1, 0, Word::kEcx, 0, State::kNone},
    {"ssse3", 1, 0, Word::kEcx, 9, State::kNone},
    {"sse4.1", 1, 0, Word::kEcx, 19, State::kNone},
    {"sse4.2", 1, 0, Word::kEcx, 20, State::kNone},
    {"avx", 1, 0, Word::kEcx, 28, State::kAvx},
    {"avx2", 7, 0, Word::kEbx, 5, State::kAvx},
    {"bmi", 7, 0, Word::kEbx, 3, State::kNone},
    {"bmi2", 7, 0, Word::kEbx, 8, State::kNone},
    {"f16c", 1, 0, Word::kEcx, 29, State::kAvx},
    {"fma", 1, 0, Word::kEcx, 12, State::kAvx},
    {"lzcnt", 0x80000001, 0, Word::kEcx, 5, State::kNone},
    {"movbe", 1, 0, Word::kEcx, 22, State::kNone},
    {"avx512f", 7, 0, Word::kEbx, 16, State::kAvx512},
    {"avx512bw", 7, 0, Word::kEbx, 30, State::kAvx512},
    {"avx512cd", 7, 0, Word::kEbx, 28, State::kAvx512},
    {"avx512dq", 7, 0, Word::kEbx, 17, State::kAvx512},
    {"avx512vl", 7, 0, Word::kEbx, 31, State::kAvx512},
    {"avx512vbmi", 7, 0, Word::kEcx, 1, State::kAvx512},
    {"avx512vbmi2", 7, 0, Word::kEcx, 6, State::kAvx512},
    {"avx512vnni", 7, 0, Word::kEcx, 11, State::kAvx512},
    {"avx512bitalg", 7, 0, Word::kEcx, 12, State::kAvx512},
    {"avx512vpopcntdq", 7, 0, Word::kEcx, 14, State::kAvx512},
    {"avx512bf16", 7, 1, Word::kEax, 5, State::kAvx512},
    {"avxvnni", 7, 1, Word::kEax, 4, State::kAvx},
    {"amx-bf16", 7, 0, Word::kEdx, 22, State::kTiles},
    {"amx-tile", 7, 0, Word::kEdx, 24, State::kTiles},
};

bool IsAmd() {
  const Registers r = Cpuid(0, 0);
  char vendor[12];
  std::memcpy(vendor, &r.ebx, 4), std::memcpy(vendor + 4, &r.edx, 4), std::memcpy(vendor + 8, &r.ecx, 4);
  return std::string_view(vendor, 12) == "AuthenticAMD";
}

int Family() {
  const unsigned eax = Cpuid(1, 0).eax;
  const unsigned base = (eax >> 8) & 0xf;
  return int(base == 0xf ? base + ((eax >> 20) & 0xff) : base);
}

}  // namespace

std::vector<std::string> DetectX86Features() {
  const uint64_t state = EnabledState();
  const bool avx = (state & 0x6) == 0x6;              // SSE and AVX registers
  const bool avx512 = avx && (state & 0xe0) == 0xe0;  // masks and the upper halves
  const bool tiles = (state & 0x60000) == 0x60000;    // configuration and data
  std::vector<std::string> names;
  for (const FeatureBit& f : kFeatures) {
    if ((f.state == State::kAvx && !avx) || (f.state == State::kAvx512 && !avx512) ||
        (f.state == State::kTiles && !tiles))
      continue;
    const Registers r = Cpuid(f.leaf, f.subleaf);
    const unsigned word = f.word == Word::kEax   ? r.eax
                          : f.word == Word::kEbx ? r.ebx
                          : f.word == Word::kEcx ? r.ecx
                                                 : r.edx;
    if (word >> f.bit & 1) names.emplace_back(f.name);
  }
  return names;
}

// Full-width FMA units: two for AVX2 everywhere. For AVX-512, Zen 4 (family 0x19) splits its two 256-bit
// units' work, Zen 5 (0x1a) has two; of Intel's, client cores lack the second unit that servers have. AMX or
// AVX512-BF16 marks a server core even where a virtual machine hides the model number.
int DetectX86FmaPerCycle() {
  const Registers seven = Cpuid(7, 0);
  if (!(seven.ebx >> 16 & 1)) return 2;
  if (IsAmd()) return Family() >= 0x1a ? 2 : 1;
  const bool amx = seven.edx >> 24 & 1;
  const bool bf16 = Cpuid(7, 1).eax >> 5 & 1;
  if (amx || bf16) return 2;
  const unsigned eax = Cpuid(1, 0).eax;
  const unsigned model = ((eax >> 4) & 0xf) | ((eax >> 12) & 0xf0);
  const bool server =
      model == 0x55 || model == 0x6a || model == 0x6c;  // Skylake-SP and after, Ice Lake servers
  return server ? 2 : 1;
}

}  // namespace tilewright

#else

namespace tilewright {

std::vector<std::string> DetectX86Features() { return {}; }
int DetectX86FmaPerCycle() { return 1; }

}  // namespace tilewright

#endif
