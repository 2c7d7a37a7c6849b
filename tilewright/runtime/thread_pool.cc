// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/thread_pool.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <thread>

#include "tilewright/runtime/float_environment.h"

namespace tilewright::runtime {
namespace {

using Clock = std::chrono::steady_clock;

// How long a worker spins for its next task before it sleeps. Launches of one run follow each other within a
// few microseconds; waking a sleeper costs some 40.
constexpr auto kIdleSpin = std::chrono::microseconds(300);
// How long a caller spins for workers before it sleeps: long, since it happens only where a worker has lost
// its processor to another program.
constexpr auto kJoinSpin = std::chrono::microseconds(1000);
// After this much spinning, a spinner offers its processor to whoever is ready, again and again: where there
// are more threads than processors, the thread that it waits for may be among them.
constexpr auto kSpinBeforeYield = std::chrono::microseconds(10);
constexpr int kPausesBetweenClockReads = 64;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// A number that one thread posts and one other thread waits for: spinning first, then asleep in the kernel.
class Signal {
 public:
  void Post(uint32_t value) {
    // Sequentially consistent, like the waiter's pair below: either the waiter sees the value, or this sees
    // that the waiter sleeps.
    value_.store(value);
    if (asleep_.load()) value_.notify_one();
  }

  // Returns once the value is no longer `old`.
  uint32_t AwaitChange(uint32_t old, Clock::duration spin) {
    uint32_t value = value_.load(std::memory_order_acquire);
    for (int i = 0; value == old && i < kPausesBetweenClockReads; ++i) value = PauseAndLoad();
    if (value != old) return value;
    Clock::time_point start = Clock::now();
    for (Clock::duration spent{}; spent < spin; spent = Clock::now() - start) {
      if (spent > kSpinBeforeYield) std::this_thread::yield();
      for (int i = 0; i < kPausesBetweenClockReads; ++i) {
        value = PauseAndLoad();
        if (value != old) return value;
      }
    }
    asleep_.store(true);
    while ((value = value_.load()) == old) value_.wait(old);
    asleep_.store(false);
    return value;
  }

 private:
  uint32_t PauseAndLoad() {
    Pause();
    return value_.load(std::memory_order_acquire);
  }

  std::atomic<uint32_t> value_{0};
  std::atomic<bool> asleep_{false};
};

struct Range {
  int64_t begin;
  int64_t end;
};

// Part `part` of [0, count) cut into `parts` near-equal ranges, without overflow for any count.
Range PartOf(int64_t count, int parts, int part) {
  int64_t share = count / parts;
  int64_t extra = count % parts;  // the first `extra` parts take one more
  int64_t begin = part * share + std::min<int64_t>(part, extra);
  return {begin, begin + share + (part < extra ? 1 : 0)};
}

}  // namespace

// A line for what the caller writes and a line for what the worker writes, so that a launch moves each once.
//
// Each launch has a ticket, one more than the last. Whoever moves `claimed` to it computes the range: the
// worker, or, where the worker has not begun by the time the caller is through with its own range (because it
// sleeps, or has lost its processor), the caller. Waiting would take longer, since by then it has already
// taken as long as computing the range does. A ticket is claimed before the next is posted, and the fields
// are read only by who has claimed it.
struct alignas(128) ThreadPool::Worker {
  Signal go;
  uint32_t ticket = 0;     // the last value posted to `go`
  uint32_t last_done = 0;  // the last value seen in `done`
  bool taken_over = false;
  Task task = nullptr;
  void* argument = nullptr;
  Range range{};
  alignas(64) std::atomic<uint32_t> claimed{0};
  Signal done;

  bool Claim(uint32_t number) {
    uint32_t unclaimed = number - 1;
    return claimed.load() == unclaimed && claimed.compare_exchange_strong(unclaimed, number);
  }
  void RunRange() { task(argument, range.begin, range.end); }
};

ThreadPool::ThreadPool() { pthread_atfork(nullptr, nullptr, &ThreadPool::ResetAfterFork); }

ThreadPool& ThreadPool::Global() {
  static ThreadPool* pool = new ThreadPool;
  return *pool;
}

// Only the forking thread lives on in a child: its workers are gone, and locks may be held by threads that
// are. The workers' memory is left alone, for a thread of the parent was perhaps writing to it.
void ThreadPool::ResetAfterFork() {
  ThreadPool& pool = Global();
  pool.num_workers_.store(0);
  pool.busy_.store(0);
  new (&pool.start_mutex_) std::mutex;
}

void* ThreadPool::WorkerMain(void* argument) {
  auto* worker = static_cast<Worker*>(argument);
  FloatEnvironment environment;  // a thread begins with the modes of the one that started it
  uint32_t ticket = 0;
  for (;;) {
    ticket = worker->go.AwaitChange(ticket, kIdleSpin);
    if (!worker->Claim(ticket)) continue;
    worker->RunRange();
    worker->done.Post(ticket);
  }
}

int ThreadPool::Reserve(int num_threads) {
  std::lock_guard lock(start_mutex_);
  int wanted = std::max(reserved_.load(), std::min(num_threads, kMaxThreads));
  int started = num_workers_.load();
  // Signals meant for the program go to the program's own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t detached;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  for (; started + 1 < wanted; ++started) {
    auto* worker = new Worker;
    pthread_t thread;
    if (pthread_create(&thread, &detached, &ThreadPool::WorkerMain, worker) != 0) {
      delete worker;
      wanted = started + 1;
      break;
    }
#if defined(__linux__)
    pthread_setname_np(thread, "tw-worker");
#endif
    workers_[static_cast<size_t>(started)] = worker;
  }
  pthread_attr_destroy(&detached);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  num_workers_.store(started);
  reserved_.store(wanted);
  return std::min(num_threads, wanted);
}

void ThreadPool::Run(Task task, void* argument, int64_t num_chunks, int num_threads) {
  if (num_chunks <= 0) return;
  auto threads = static_cast<int>(std::min<int64_t>({num_threads, num_chunks, reserved_.load()}));
  if (threads <= 1 || busy_.exchange(1)) {
    task(argument, 0, num_chunks);
    return;
  }
  // Fewer workers than reserved: this is a forked child.
  if (num_workers_.load() + 1 < threads) threads = std::min(threads, Reserve(threads));
  for (int t = 1; t < threads; ++t) {
    Worker& worker = *workers_[static_cast<size_t>(t - 1)];
    worker.task = task;
    worker.argument = argument;
    worker.range = PartOf(num_chunks, threads, t);
    worker.go.Post(++worker.ticket);
  }
  Range own = PartOf(num_chunks, threads, 0);
  task(argument, own.begin, own.end);
  for (int t = 1; t < threads; ++t) {
    Worker& worker = *workers_[static_cast<size_t>(t - 1)];
    worker.taken_over = worker.Claim(worker.ticket);
    if (worker.taken_over) worker.RunRange();
  }
  for (int t = 1; t < threads; ++t) {
    Worker& worker = *workers_[static_cast<size_t>(t - 1)];
    if (!worker.taken_over) worker.last_done = worker.done.AwaitChange(worker.last_done, kJoinSpin);
  }
  busy_.store(0);
}

}  // namespace tilewright::runtime
