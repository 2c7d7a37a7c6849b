// SPDX-License-Identifier: Apache-2.0
#include "tilewright/target/known.h"

#include <sstream>
#include <string>

#include "tilewright/target/code_generator.h"
#include "tilewright/target/device_model.h"

namespace tilewright {

namespace {

// The levels of the x86-64 psABI, spelled out so that a module can state what it needs.
#define TW_X86_V2 "+cx16,+popcnt,+sahf,+sse3,+ssse3,+sse4.1,+sse4.2"
#define TW_X86_V3 TW_X86_V2 ",+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe"
#define TW_X86_V4 TW_X86_V3 ",+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"

struct KnownTarget {
  const char* name;
  const char* triple;
  const char* cpu;
  const char* features;
  int fma_per_cycle;
  int64_t l1, l2, l3;  // capacities of a common machine of this kind
  int l3_sharing;
  int cores;
};

constexpr KnownTarget kTargets[] = {
    {"x86-64-v2", "x86_64-unknown-linux-gnu", "x86-64-v2", TW_X86_V2, 1, 32 << 10, 256 << 10, 8 << 20, 4, 4},
    {"x86-64-v3", "x86_64-unknown-linux-gnu", "x86-64-v3", TW_X86_V3, 2, 32 << 10, 512 << 10, 16 << 20, 4, 4},
    {"x86-64-v4", "x86_64-unknown-linux-gnu", "x86-64-v4", TW_X86_V4, 1, 32 << 10, 1 << 20, 32 << 20, 8, 4},
    {"aarch64-linux-gnu", "aarch64-unknown-linux-gnu", "generic", "+neon,+fp-armv8", 2, 64 << 10, 512 << 10,
     4 << 20, 4, 4},
    {"riscv64-linux-gnu", "riscv64-unknown-linux-gnu", "generic-rv64", "+m,+a,+f,+d,+c", 1, 32 << 10,
     512 << 10, 2 << 20, 4, 4},
    // Sources for one thread of an unknown processor: short vectors, which compilers can take apart, small
    // caches, and no fused multiply-add, which would be a call of libm where there is no instruction.
    {"c", "c", "", "", 1, 16 << 10, 128 << 10, 1 << 20, 1, 1},
};

}  // namespace

std::vector<std::string> KnownTargetNames() {
  std::vector<std::string> names{"host"};
  for (const KnownTarget& t : kTargets) names.emplace_back(t.name);
  for (const std::string& name : DeviceNames()) names.push_back(name);
  return names;
}

bool FindKnownTarget(std::string_view name, Target& target) {
  for (const KnownTarget& t : kTargets) {
    if (name != t.name) continue;
    target = Target();
    target.name = t.name, target.triple = t.triple, target.cpu = t.cpu, target.features = t.features;
    target.fma_per_cycle = t.fma_per_cycle;
    target.cores = t.cores;
    target.caches = {{t.l1, 64, 1}, {t.l2, 64, 1}, {t.l3, 64, t.l3_sharing}};
    DeriveVectorFacts(target);
    return true;
  }
  return FindDevice(name, target);
}

CodeGenerator CodeGeneratorOf(const Target& target) {
  if (!DeviceModelOf(target).threads.empty()) return CodeGenerator::kNone;
  return target.triple == "c" ? CodeGenerator::kC : CodeGenerator::kLlvm;
}

bool HasFeature(const Target& target, std::string_view feature) {
  const std::string padded = "," + target.features + ",";
  return padded.find(",+" + std::string(feature) + ",") != std::string::npos;
}

bool IncludesFeatures(const Target& target, const Target& other) {
  std::istringstream stream(other.features);
  for (std::string feature; std::getline(stream, feature, ',');) {
    if (feature.starts_with('+') && !HasFeature(target, feature.substr(1))) return false;
  }
  return true;
}

void DeriveVectorFacts(Target& target) {
  target.vector_bytes = 16;
  target.vector_registers = 32;
  target.has_masked_memory = target.has_dot_u8s8 = target.has_dot_bf16 = false;
  target.has_fma = true;
  if (target.triple.starts_with("x86_64")) {
    const bool avx512 = HasFeature(target, "avx512f") && HasFeature(target, "avx512vl") &&
                        HasFeature(target, "avx512bw") && HasFeature(target, "avx512dq");
    target.vector_bytes = avx512 ? 64 : HasFeature(target, "avx2") ? 32 : 16;
    target.vector_registers = avx512 ? 32 : 16;
    target.has_fma = HasFeature(target, "fma");
    target.has_masked_memory = target.vector_bytes > 16;
    target.has_dot_u8s8 =
        (avx512 && HasFeature(target, "avx512vnni")) || (!avx512 && HasFeature(target, "avxvnni"));
    target.has_dot_bf16 = avx512 && HasFeature(target, "avx512bf16");
  } else if (CodeGeneratorOf(target) == CodeGenerator::kC) {
    target.vector_registers = 16;
    target.has_fma = false;
  } else if (target.triple.starts_with("riscv64")) {
    if (HasFeature(target, "v")) {
      // The extension guarantees 128 bits, and others more; wider machines run the same code.
      for (int bits : {256, 512, 1024}) {
        if (HasFeature(target, "zvl" + std::to_string(bits) + "b")) target.vector_bytes = bits / 8;
      }
      target.has_masked_memory = true;
    } else {
      // 32 registers of one number each, taken in pairs: the narrowest vector that holds any element.
      target.vector_bytes = 8;
      target.vector_registers = 16;
    }
  }
  target.scopes = {{"global", 0, 64},
                   {"register", int64_t(target.vector_bytes) * target.vector_registers, target.vector_bytes}};
}

}  // namespace tilewright
