// SPDX-License-Identifier: Apache-2.0
// Intrusive reference counting for immutable nodes: one pointer wide, shared between threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

namespace tilewright {

/// Base of every reference-counted node.
class Object {
 public:
  Object() = default;
  Object(const Object&) : refs_(0) {}
  Object& operator=(const Object&) { return *this; }
  virtual ~Object() = default;

 private:
  template <class T>
  friend class Ref;
  mutable std::atomic<uint32_t> refs_{0};
};

/// A shared pointer to an immutable node. Equality is identity.
template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  explicit Ref(const T* node) : node_(node) { Retain(); }
  Ref(const Ref& other) : node_(other.node_) { Retain(); }
  Ref(Ref&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  template <class U>
    requires std::is_convertible_v<const U*, const T*>
  Ref(const Ref<U>& other) : node_(other.get()) {
    Retain();
  }
  Ref& operator=(Ref other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~Ref() {
    if (node_ && static_cast<const Object*>(node_)->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete node_;
    }
  }

  const T* get() const { return node_; }
  const T* operator->() const { return node_; }
  const T& operator*() const { return *node_; }
  explicit operator bool() const { return node_ != nullptr; }
  friend bool operator==(const Ref& a, const Ref& b) { return a.node_ == b.node_; }
  friend bool operator<(const Ref& a, const Ref& b) { return std::less<const T*>()(a.node_, b.node_); }

 private:
  void Retain() const {
    if (node_) static_cast<const Object*>(node_)->refs_.fetch_add(1, std::memory_order_relaxed);
  }
  const T* node_ = nullptr;
};

}  // namespace tilewright

template <class T>
struct std::hash<tilewright::Ref<T>> {
  size_t operator()(const tilewright::Ref<T>& ref) const noexcept { return std::hash<const T*>()(ref.get()); }
};
