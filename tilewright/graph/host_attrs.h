// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/ir/attrs.h"

namespace tilewright {

/// Attributes that no struct describes: those of routines of the host.
struct HostAttrsNode : AttrsNode {
  Annotations map;
  explicit HostAttrsNode(Annotations m) : map(std::move(m)) {}
  const std::type_info& type() const override { return typeid(Annotations); }
  Annotations ToMap() const override { return map; }
};

inline Attrs MakeHostAttrs(Annotations map) {
  Attrs attrs;
  static_cast<Ref<AttrsNode>&>(attrs) = Ref<AttrsNode>(new HostAttrsNode(std::move(map)));
  return attrs;
}

}  // namespace tilewright
