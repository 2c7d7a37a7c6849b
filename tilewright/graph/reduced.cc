// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/reduced.h"

#include <map>

namespace tilewright {

namespace {

/// Filled by static objects; read only afterwards.
std::map<std::string, ReducedForm>& Forms() {
  static std::map<std::string, ReducedForm> forms;
  return forms;
}

}  // namespace

RegisterReduced::RegisterReduced(const std::string& op, ReducedForm form) {
  Forms().emplace(op, std::move(form));
}

const ReducedForm* FindReduced(const OpDef& op) {
  auto it = Forms().find(op.name);
  return it == Forms().end() ? nullptr : &it->second;
}

}  // namespace tilewright
