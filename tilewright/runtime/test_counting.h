// SPDX-License-Identifier: Apache-2.0
// Counts of allocations and locks: this program's own malloc and pthread_mutex_lock stand before the system's
// and count calls, on every thread, while a test asks for it. For one source file of a program.
#pragma once

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>

#include "tilewright/runtime/test_support.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<int> allocations{0};
std::atomic<int> locks{0};

[[maybe_unused]] void Count(std::atomic<int>& counter) {
  if (counting.load(std::memory_order_relaxed)) ++counter;
}

}  // namespace

// The sanitizers have their own interceptors for these.
#if defined(__GLIBC__) && !TW_ADDRESS_SANITIZER && !TW_THREAD_SANITIZER
#define TW_CAN_COUNT 1

extern "C" {

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

__attribute__((visibility("default"))) void* malloc(size_t size) noexcept {
  Count(allocations);
  return __libc_malloc(size);
}
__attribute__((visibility("default"))) void* calloc(size_t count, size_t size) noexcept {
  Count(allocations);
  return __libc_calloc(count, size);
}
__attribute__((visibility("default"))) void* realloc(void* old, size_t size) noexcept {
  Count(allocations);
  return __libc_realloc(old, size);
}
__attribute__((visibility("default"))) void* aligned_alloc(size_t alignment, size_t size) noexcept {
  Count(allocations);
  return __libc_memalign(alignment, size);
}

__attribute__((visibility("default"))) int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  using Lock = int (*)(pthread_mutex_t*);
  static std::atomic<Lock> system{nullptr};
  Lock lock = system.load();
  if (lock == nullptr) {
    lock = reinterpret_cast<Lock>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
    system.store(lock);
  }
  Count(locks);
  return lock(mutex);
}

}  // extern "C"
#else
#define TW_CAN_COUNT 0
#endif

namespace tilewright::runtime {

class Counting {
 public:
  Counting() {
    allocations = 0;
    locks = 0;
    counting = true;
  }
  ~Counting() { counting = false; }
};

}  // namespace tilewright::runtime
