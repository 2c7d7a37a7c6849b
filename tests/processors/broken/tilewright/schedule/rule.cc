// SPDX-License-Identifier: Apache-2.0
bool Wide(const Target& t) {
  return t.features.contains("avx512f") && t.triple != "aarch64-linux";
}  // not riscv64
