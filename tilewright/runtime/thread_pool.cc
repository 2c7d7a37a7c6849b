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

// Chunks are dealt out in blocks, of one chunk unless there are more than half of a word can count.
int64_t BlockSize(int64_t num_chunks) { return (num_chunks >> 31) + 1; }

// Half of a range, rounded up, and the rest.
struct Halves {
  Range taken, rest;
};
Halves Halve(Range r, bool from_front) {
  const int64_t half = (r.end - r.begin + 1) / 2, cut = from_front ? r.begin + half : r.end - half;
  const Range lower = {r.begin, cut}, upper = {cut, r.end};
  return from_front ? Halves{lower, upper} : Halves{upper, lower};
}

// The blocks of one thread of a launch that nobody has begun: the thread takes them from one end, and threads
// that have none of their own left from the other, half of what is there each time. So a thread that is
// slower than others, because something else runs on its processor, does less. Both ends are one word.
class Share {
 public:
  void Reset(Range blocks) { rest_.store(Pack(blocks), std::memory_order_relaxed); }

  // Relaxed: what launches write and read is ordered by the signals that begin and end them.
  bool Take(bool from_front, Range* taken) {
    uint64_t word = rest_.load(std::memory_order_relaxed);
    for (;;) {
      const Range all = {static_cast<int64_t>(word >> 32), static_cast<int64_t>(word & 0xffffffff)};
      if (all.begin >= all.end) return false;
      const Halves halves = Halve(all, from_front);
      if (!rest_.compare_exchange_weak(word, Pack(halves.rest), std::memory_order_relaxed)) continue;
      *taken = halves.taken;
      return true;
    }
  }

 private:
  static uint64_t Pack(Range r) {
    return static_cast<uint64_t>(r.begin) << 32 | static_cast<uint64_t>(r.end);
  }

  std::atomic<uint64_t> rest_{0};
};

}  // namespace

// What each thread of a launch knows of it.
struct ThreadPool::Launch {
  Task task = nullptr;
  void* argument = nullptr;
  int64_t num_chunks = 0;
  Share* callers = nullptr;  // the caller's share
  int threads = 0;
  bool backwards = false;

  int64_t Blocks() const {
    const int64_t block = BlockSize(num_chunks);
    return num_chunks / block + (num_chunks % block != 0);
  }
  // Whether a thread has more than the piece that it begins with.
  bool HasShares() const { return Blocks() > threads; }
  // The piece that a thread begins with, which is its own to begin with, and what goes to its share.
  Halves Dealt(int thread) const { return Halve(PartOf(Blocks(), threads, thread), !backwards); }
  void Run(Range blocks) const {
    const int64_t block = BlockSize(num_chunks), begin = blocks.begin * block;
    task(argument, begin, begin + std::min(num_chunks - begin, (blocks.end - blocks.begin) * block));
  }
};

// A line for what the caller writes and a line for what the worker writes, so that a launch moves each once.
//
// Each launch has a ticket, one more than the last. Whoever moves `claimed` to it computes the piece that the
// worker was to begin with: the worker, or, where the worker has not begun (because it sleeps, or has lost
// its processor) by the time that no share has blocks left, the caller. A ticket is claimed before the next
// is posted, and a worker touches shares only while it takes part.
struct alignas(128) ThreadPool::Worker {
  Signal go;
  uint32_t ticket = 0;     // the last value posted to `go`
  uint32_t last_done = 0;  // the last value seen in `done`
  Launch launch;
  Share share;
  alignas(64) std::atomic<uint32_t> claimed{0};
  Signal done;
  bool late = false;  // for the caller: did not take part
  const int number;   // among the threads of a launch, of which the caller is the first

  explicit Worker(int number) : number(number) {}

  bool Claim(uint32_t wanted) {
    uint32_t unclaimed = wanted - 1;
    return claimed.load() == unclaimed && claimed.compare_exchange_strong(unclaimed, wanted);
  }
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
    Global().TakePart(worker->launch, worker->number);
    worker->done.Post(ticket);
  }
}

void ThreadPool::TakePart(const Launch& launch, int thread) {
  auto share = [&](int t) -> Share& {
    return t == 0 ? *launch.callers : workers_[static_cast<size_t>(t - 1)]->share;
  };
  launch.Run(launch.Dealt(thread).taken);
  // Where shares are empty from the start, not even looking at others' saves the time of moving their lines.
  if (!launch.HasShares()) return;
  Range blocks;
  while (share(thread).Take(!launch.backwards, &blocks)) launch.Run(blocks);
  for (int other = thread + 1; other < thread + launch.threads; ++other) {
    while (share(other % launch.threads).Take(launch.backwards, &blocks)) launch.Run(blocks);
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
    auto* worker = new Worker(started + 1);
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

void ThreadPool::Run(Task task, void* argument, int64_t num_chunks, int num_threads, bool backwards) {
  if (num_chunks <= 0) return;
  auto threads = static_cast<int>(std::min<int64_t>({num_threads, num_chunks, reserved_.load()}));
  if (threads <= 1 || busy_.exchange(1)) {
    task(argument, 0, num_chunks);
    return;
  }
  // Fewer workers than reserved: this is a forked child.
  if (num_workers_.load() + 1 < threads) threads = std::min(threads, Reserve(threads));
  Share own;
  const Launch launch{task, argument, num_chunks, &own, threads, backwards};
  own.Reset(launch.Dealt(0).rest);
  for (int t = 1; t < threads; ++t) workers_[static_cast<size_t>(t - 1)]->share.Reset(launch.Dealt(t).rest);
  for (int t = 1; t < threads; ++t) {
    Worker& worker = *workers_[static_cast<size_t>(t - 1)];
    worker.launch = launch;
    worker.go.Post(++worker.ticket);
  }
  TakePart(launch, 0);
  for (int t = 1; t < threads; ++t) {
    Worker& worker = *workers_[static_cast<size_t>(t - 1)];
    worker.late = worker.Claim(worker.ticket);
    if (worker.late) launch.Run(launch.Dealt(t).taken);
  }
  for (int t = 1; t < threads; ++t) {
    Worker& worker = *workers_[static_cast<size_t>(t - 1)];
    if (!worker.late) worker.last_done = worker.done.AwaitChange(worker.last_done, kJoinSpin);
  }
  busy_.store(0);
}

}  // namespace tilewright::runtime
