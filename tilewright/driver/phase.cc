// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/phase.h"

#include "tilewright/driver/graph_passes.h"
#include "tilewright/tir/lower/lower.h"

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

const std::vector<PassInfo>& AllPasses() {
  static const std::vector<PassInfo> passes = [] {
    std::vector<PassInfo> list;
    for (const GraphPass& pass : GraphPasses()) list.push_back({std::string(pass.name), pass.phase});
    list.push_back({"LowerFunctions", Phase::kLower});
    list.push_back({"Schedule", Phase::kSchedule});
    for (std::string& name : LoweringPasses()) list.push_back({std::move(name), Phase::kLowerKernels});
    list.push_back({"GenerateCode", Phase::kCodegen});
    return list;
  }();
  return passes;
}

const PassInfo* FindPass(std::string_view name) {
  for (const PassInfo& pass : AllPasses()) {
    if (pass.name == name) return &pass;
  }
  return nullptr;
}

std::string PassAfter(Phase phase) {
  for (const PassInfo& pass : AllPasses()) {
    if (pass.phase > phase) return pass.name;
  }
  return {};
}

std::string PassAfter(std::string_view pass) {
  const PassInfo* found = FindPass(pass);
  TW_CHECK(found, "no pass {}", pass);
  const size_t next = size_t(found - AllPasses().data()) + 1;
  return next < AllPasses().size() ? AllPasses()[next].name : std::string();
}

std::vector<std::string> PhaseAndPassNames() {
  std::vector<std::string> names;
  for (Phase p : AllPhases()) names.emplace_back(PhaseName(p));
  for (const PassInfo& pass : AllPasses()) names.push_back(pass.name);
  return names;
}

}  // namespace tilewright
