// SPDX-License-Identifier: Apache-2.0
#include "tilewright/target/tile_unit.h"

#include <algorithm>

#include "tilewright/target/known.h"

namespace tilewright {

// Palette 1 of AMX (Intel SDM volume 1, chapter 18).
TileUnit TileUnitOf(const Target& target) {
  const bool vectors = target.vector_bytes == 64 && target.triple.starts_with("x86_64");
  if (!vectors || !HasFeature(target, "amx-tile") || !HasFeature(target, "amx-bf16")) return {};
  return {8, 16, 64};
}

Target WithoutTiles(const Target& target) {
  Target result = target;
  result.features.clear();
  for (size_t begin = 0; begin < target.features.size();) {
    const size_t end = std::min(target.features.find(',', begin), target.features.size());
    const std::string feature = target.features.substr(begin, end - begin);
    if (feature.find("amx-") != 1) result.features += (result.features.empty() ? "" : ",") + feature;
    begin = end + 1;
  }
  return result;
}

// Cores with the matrix unit start a dot product of 512 bits every other cycle, which measures as half of the
// FLOP/s of their FMAs; others that have it start as many as FMAs (Fog, "Instruction tables", Zen 4).
int DotBf16Cost(const Target& target) {
  return TileUnitOf(target).registers > 0 ? 2 * target.fma_per_cycle : 1;
}

}  // namespace tilewright
