// SPDX-License-Identifier: Apache-2.0
// Attributes of operators: plain structs whose fields are listed once. From that list they are printed,
// parsed, hashed and compared. Example:
//
//   struct SoftmaxAttrs {
//     int64_t axis = -1;
//     static constexpr auto Fields() { return std::tuple(AttrField("axis", &SoftmaxAttrs::axis, "reduced
//     axis")); }
//   };
#pragma once

#include <functional>
#include <tuple>
#include <typeinfo>

#include "tilewright/ir/expr.h"

namespace tilewright {

/// One listed field of an attribute struct: its name in text, the member, a sentence for help texts.
template <class S, class T>
struct AttrFieldInfo {
  std::string_view name;
  T S::* member;
  std::string_view doc;
};
template <class S, class T>
constexpr AttrFieldInfo<S, T> AttrField(std::string_view name, T S::* member, std::string_view doc) {
  return {name, member, doc};
}

/// The attributes of an operator without any.
struct NoAttrs {
  static constexpr auto Fields() { return std::tuple(); }
};

struct AttrsNode : Object {
  virtual Annotations ToMap() const = 0;
  virtual const std::type_info& type() const = 0;
};

template <class S>
struct TypedAttrsNode : AttrsNode {
  S value;
  explicit TypedAttrsNode(S v) : value(std::move(v)) {}
  const std::type_info& type() const override { return typeid(S); }
  Annotations ToMap() const override {
    Annotations map;
    std::apply([&](auto... field) { ((map[std::string(field.name)] = AttrValue(value.*field.member)), ...); },
               S::Fields());
    return map;
  }
};

/// A type-erased attribute struct.
class Attrs : public Ref<AttrsNode> {
 public:
  Attrs() : Attrs(NoAttrs{}) {}
  template <class S>
    requires requires { S::Fields(); }
  Attrs(S value) : Ref(new TypedAttrsNode<S>(std::move(value))) {}

  /// The struct; a TW_CHECK fails when it is of another type.
  template <class S>
  const S& Get() const {
    TW_CHECK(get()->type() == typeid(S), "attributes of another operator");
    return static_cast<const TypedAttrsNode<S>*>(get())->value;
  }
  Annotations ToMap() const { return get()->ToMap(); }
};

inline bool StructuralEqual(const Attrs& a, const Attrs& b) {
  if (a->type() != b->type()) return false;
  Annotations x = a.ToMap(), y = b.ToMap();
  return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                    [](auto& p, auto& q) { return p.first == q.first && AttrEqual(p.second, q.second); });
}

/// What an operator definition keeps of its attribute struct.
struct AttrsInfo {
  struct FieldDoc {
    std::string_view name, doc;
  };
  std::vector<FieldDoc> fields;
  /// Defaults overridden by the map. Error TW1003 for a name that is not a field, TW1004 for a value of
  /// another type.
  std::function<Attrs(const Annotations&)> from_map;
};

template <class S>
AttrsInfo DescribeAttrs() {
  AttrsInfo info;
  std::apply([&](auto... field) { (info.fields.push_back({field.name, field.doc}), ...); }, S::Fields());
  info.from_map = [](const Annotations& map) -> Attrs {
    S value;
    size_t used = 0;
    auto take = [&](auto field) {
      auto it = map.find(std::string(field.name));
      if (it == map.end()) return;
      ++used;
      using T = std::remove_cvref_t<decltype(value.*field.member)>;
      auto* given = std::get_if<T>(&it->second);
      // An empty list prints without a type, so that it reads back as any list.
      if (!given && !std::holds_alternative<std::monostate>(it->second)) {
        throw Error("TW1004",
                    fmt::format("attribute '{}' has a value of another type than declared", field.name));
      }
      if (given) value.*field.member = *given;
    };
    std::apply([&](auto... field) { (take(field), ...); }, S::Fields());
    if (used != map.size()) {
      for (auto& [name, unused] : map) {
        bool known = false;
        std::apply([&](auto... field) { ((known |= field.name == name), ...); }, S::Fields());
        if (!known) throw Error("TW1003", fmt::format("there is no attribute '{}'", name));
      }
    }
    return value;
  };
  return info;
}

}  // namespace tilewright
