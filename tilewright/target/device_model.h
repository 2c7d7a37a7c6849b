// SPDX-License-Identifier: Apache-2.0
// Of targets that are devices: which threads they have, which units, and to whom their memories belong. It
// follows from the triple; capacities are the target's scopes.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tilewright/target/target.h"

namespace tilewright {

/// Hardware threads that loops may be bound to, by the family's name with an axis ("threadIdx.x") or alone.
struct ThreadFamily {
  std::string name;
  int64_t max_threads = 0;  ///< over all axes; 0: unlimited
};

struct DeviceModel {
  std::vector<ThreadFamily> threads;  ///< outermost first; empty: loops cannot be bound
  /// Units that run instructions beside each other, each its own in order; tokens order those of different
  /// units. Empty: instructions run in the order of the program.
  std::vector<std::string> units;
  /// By scope, the family of threads of which each has such memory of its own, seen by the threads inside of
  /// it: "shared" is of "blockIdx", "local" of "threadIdx". Other scopes are one memory for all.
  std::map<std::string, std::string, std::less<>> owners;

  /// The place in `threads` of the family that a loop with this tag is bound to; -1 when there is none.
  int FamilyOf(std::string_view thread_tag) const;
  /// The place in `threads` of the owner of a scope; -1 for memory that all share.
  int OwnerOf(std::string_view scope) const;
};

/// That of the target's triple; a processor has neither threads nor units.
const DeviceModel& DeviceModelOf(const Target& target);

/// Whether iterations of a loop with this tag see one memory of that scope, on the device that has both: for
/// schedules, which know no target.
bool ThreadsShare(std::string_view thread_tag, std::string_view scope);

/// The target's scope of that name; null when it has none.
const MemoryScope* FindScope(const Target& target, std::string_view scope);

/// Names of the targets that are devices, and their descriptions; false when there is none of that name.
std::vector<std::string> DeviceNames();
bool FindDevice(std::string_view name, Target& target);

}  // namespace tilewright
