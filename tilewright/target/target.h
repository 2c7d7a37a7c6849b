// SPDX-License-Identifier: Apache-2.0
// What schedules and code generators know of a machine. A description is a value: it prints, parses, and is
// stored in the module. Nothing outside target/ and codegen/ knows a processor's name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tilewright {

/// One level of data cache.
struct CacheLevel {
  int64_t bytes = 0;  ///< capacity
  int line_bytes = 64;
  int shared_by = 1;  ///< number of cores that share one instance
  /// Cycles between lines that a core reads from it while all others do so, too; 0: not known.
  double line_cycles = 0;
};

/// A memory scope that buffers may live in.
struct MemoryScope {
  std::string name;            ///< "global", "register", "shared", ...
  int64_t capacity_bytes = 0;  ///< 0: unlimited
  int alignment = 64;          ///< bytes
};

/// A machine. Sizes in bytes, counts per core unless said otherwise.
struct Target {
  std::string name;       ///< as given: "host", "x86-64-v4", "aarch64-linux-gnu", ...
  std::string triple;     ///< LLVM's target triple
  std::string cpu;        ///< LLVM's processor name
  std::string features;   ///< LLVM's feature string, "+avx512f,..."
  int vector_bytes = 16;  ///< width of one vector register
  int vector_registers = 16;
  bool has_fma = false;            ///< fused multiply-add on f32 and f64 vectors
  int fma_per_cycle = 1;           ///< vector FMAs issued per cycle
  bool has_masked_memory = false;  ///< masked loads and stores of vectors
  bool has_dot_u8s8 = false;       ///< four-way u8*s8 dot product into i32
  bool has_dot_bf16 = false;
  int cores = 1;                   ///< that schedules should cut work for
  std::vector<CacheLevel> caches;  ///< L1 data, L2, L3
  std::vector<MemoryScope> scopes;
  bool sanitize_address = false;  ///< instrument generated kernels

  // What `tilewright calibrate` measures, beside the cycles of caches.
  int fma_latency = 4;      ///< cycles until the result of a multiply-add can be used
  int clock_mhz = 2150;     ///< under multiply-adds on all cores
  int launch_cycles = 512;  ///< from the launch of a kernel on all cores until all are done
  /// Cycles between lines that a core reads from memory while all others do so, too.
  double memory_line_cycles = 9;

  int VectorLanes(int element_bytes) const { return vector_bytes / element_bytes; }
  /// Capacity of a cache level (1-based) that one core may count on.
  int64_t CacheBytes(int level) const;

  /// One line of "key=value" pairs that Parse reads back.
  std::string ToString() const;
  /// A name ("host", "x86-64-v2", "x86-64-v3", "x86-64-v4", a triple such as "aarch64-linux-gnu"), or the
  /// path of a file (target/target_file.h), optionally followed by overrides ",key=value"; or the output of
  /// ToString. Throws Error TW1101 with the known names.
  static Target Parse(const std::string& text);
  /// The machine that this process runs on, fully described.
  static Target Host();
};

}  // namespace tilewright
