// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/phase.h"

namespace tilewright {

namespace {

struct PhaseInfo {
  std::string_view name, doc;
};
constexpr PhaseInfo kPhases[] = {
#define TW_PHASE(id, name, doc) {name, doc},
    TW_PHASES(TW_PHASE)
#undef TW_PHASE
};

}  // namespace

std::string_view PhaseName(Phase phase) { return kPhases[int(phase)].name; }
std::string_view PhaseDoc(Phase phase) { return kPhases[int(phase)].doc; }

std::optional<Phase> FindPhase(std::string_view name) {
  for (Phase p : AllPhases()) {
    if (PhaseName(p) == name) return p;
  }
  return std::nullopt;
}

std::vector<Phase> AllPhases() {
  return {
#define TW_PHASE(id, name, doc) Phase::k##id,
      TW_PHASES(TW_PHASE)
#undef TW_PHASE
  };
}

}  // namespace tilewright
