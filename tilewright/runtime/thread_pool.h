// SPDX-License-Identifier: Apache-2.0
// The process's pool of threads for kernels. Workers spin for a moment after their last task, so that a
// launch that follows costs well under a microsecond, then sleep.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace tilewright::runtime {

class ThreadPool {
 public:
  // Computes the chunks [begin, end).
  using Task = void (*)(void* argument, int64_t begin, int64_t end);

  static constexpr int kMaxThreads = 256;

  // The one pool of the process. Never destroyed: its workers end with the process.
  static ThreadPool& Global();

  // Threads to use unless told otherwise: TILEWRIGHT_NUM_THREADS, else what the affinity mask and the
  // container's processor quota allow; from 1 to kMaxThreads. Throws kBadOption when the variable is no such
  // number.
  static int DefaultNumThreads();

  // Starts the workers for launches on up to `num_threads` threads, the caller among them; launches use only
  // workers that have been started. Returns how many threads there are, fewer where the system gives no more.
  int Reserve(int num_threads);

  // Runs `task` over the chunks [0, num_chunks), and returns when all are done. They are dealt out to
  // min(num_threads, num_chunks) threads in contiguous, near-equal shares; a thread computes its share piece
  // by piece, from its end where `backwards`, and then pieces of what is left of others'. The whole range
  // runs on the caller where the pool is busy: with another caller, or because this is a call from within a
  // task. `task` must not throw.
  void Run(Task task, void* argument, int64_t num_chunks, int num_threads, bool backwards = false);

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

 private:
  struct Launch;
  struct Worker;

  ThreadPool();
  ~ThreadPool() = delete;
  static void ResetAfterFork();
  static void* WorkerMain(void* worker);
  // Computes chunks of the launch on thread `thread` of it until none is left that nobody has begun.
  void TakePart(const Launch& launch, int thread);

  std::array<Worker*, kMaxThreads> workers_{};
  std::atomic<int> num_workers_{0};
  std::atomic<int> reserved_{1};  // threads asked for, the caller among them
  // Nonzero while a caller holds the pool for its launch. A whole word: RISC-V exchanges no smaller one
  // without a library.
  std::atomic<uint32_t> busy_{0};
  std::mutex start_mutex_;
};

// The processors that the control groups of this process allow it to use, as a fraction; 0 where there is no
// limit. `root` is prefixed to the paths below /proc and /sys (tests pass a folder, everybody else "").
double CgroupCpuLimit(const std::string& root);

}  // namespace tilewright::runtime
