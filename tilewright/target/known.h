// SPDX-License-Identifier: Apache-2.0
// The table of targets that have names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tilewright/target/target.h"

namespace tilewright {

/// Names that Target::Parse knows, "host" first.
std::vector<std::string> KnownTargetNames();

/// Several of what Target::Parse takes, separated by commas: "x86-64-v2,x86-64-v3,cores=8". Overrides are of
/// the name before them. Error TW1105 for the same target twice.
std::vector<Target> ParseTargets(const std::string& text);

/// The description under a name other than "host"; false when there is none.
bool FindKnownTarget(std::string_view name, Target& target);

/// Fills in what follows from the triple and the features: vector width, registers, dot products, scopes.
void DeriveVectorFacts(Target& target);

/// Whether the feature string switches the feature on.
bool HasFeature(const Target& target, std::string_view feature);
/// Whether it switches on all that `other` switches on.
bool IncludesFeatures(const Target& target, const Target& other);

}  // namespace tilewright
