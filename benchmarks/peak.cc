// SPDX-License-Identifier: Apache-2.0
// What the machine can do at this moment: the peaks of FMAs, and of dot products of bytes and of bf16 and
// products of tiles of bf16 where it has them, per thread count, and how near two cores are placed. Virtual
// machines move between hosts and caches while benchmarks run, so every round asks again.
//
//   peak [--threads N] [--seconds S]    prints one JSON object; benchmarks/compare.py builds and reads it
//
// Built with -march=native -ffp-contract=fast; the vector type is as wide as the processor's registers.
#include <pthread.h>
#include <sched.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
typedef float Vector __attribute__((vector_size(kVectorBytes)));
constexpr int kLanes = kVectorBytes / sizeof(float);

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

std::vector<int> AllowedCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
  }
  return cpus;
}

void PinTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

// A barrier that spins: every thread calls Wait as often as every other.
class SpinBarrier {
 public:
  explicit SpinBarrier(int threads) : threads_(threads) {}
  void Wait() {
    const unsigned round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
    } else {
      while (round_.load(std::memory_order_acquire) == round) {
      }
    }
  }

 private:
  const int threads_;
  alignas(128) std::atomic<int> arrived_{0};
  alignas(128) std::atomic<unsigned> round_{0};
};

// Runs `body(thread)` on one pinned thread per entry of `cpus` and waits for all.
template <typename Body>
void RunPinned(const std::vector<int>& cpus, Body body) {
  std::vector<std::thread> threads;
  for (size_t i = 0; i < cpus.size(); ++i) {
    threads.emplace_back([&, i] {
      PinTo(cpus[i]);
      body(static_cast<int>(i));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

constexpr int kAccumulators = 12;  // two units of four to five cycles' latency need at least ten
constexpr int kFmaSteps = 4096;

// kFmaSteps x kAccumulators vector FMAs on values that stay near 1.
struct FmaBurst {
  static constexpr double kOperations = 2.0 * kLanes;  // of one instruction
  using Value = Vector;
  static Value Seed() { return Vector{} + 1.0f; }
  static Value Run(Value seed);
};

__attribute__((noinline)) Vector FmaBurst::Run(Vector seed) {
  Vector factor = seed * 0.0f + 0.999f, term = seed * 0.0f + 0.001f;
  Vector sums[kAccumulators];
  for (Vector& sum : sums) sum = seed;
  for (int step = 0; step < kFmaSteps; ++step) {
#pragma clang loop unroll(full)
    for (int i = 0; i < kAccumulators; ++i) {
      sums[i] = sums[i] * factor + term;
      asm volatile("" : "+v"(sums[i]));  // keeps the sums apart and in registers
    }
  }
  for (int i = 1; i < kAccumulators; ++i) sums[0] += sums[i];
  return sums[0];
}

#if defined(__AVX512VNNI__)
#define HAS_DOT_U8S8 1
// The same of four-way dot products of unsigned by signed bytes.
struct DotBurst {
  typedef int Value __attribute__((vector_size(64)));
  static constexpr double kOperations = 2.0 * 4 * 16;
  static Value Seed() { return Value{} + 0x01010101; }
  __attribute__((noinline)) static Value Run(Value seed) {
    Value sums[kAccumulators];
    for (Value& sum : sums) sum = seed;
    for (int step = 0; step < kFmaSteps; ++step) {
#pragma clang loop unroll(full)
      for (int i = 0; i < kAccumulators; ++i) {
        sums[i] = Value(__builtin_ia32_vpdpbusd512(sums[i], seed, seed));
        asm volatile("" : "+v"(sums[i]));
      }
    }
    for (int i = 1; i < kAccumulators; ++i) sums[0] += sums[i];
    return sums[0];
  }
};
#endif

#if defined(__AVX512BF16__)
#define HAS_DOT_BF16 1
// The same of two-way dot products of bf16.
struct DotBf16Burst {
  using Value = Vector;
  typedef __bf16 Pairs __attribute__((vector_size(64)));
  static constexpr double kOperations = 2.0 * 2 * 16;
  static Value Seed() { return Vector{} + 1.0f; }
  __attribute__((noinline)) static Value Run(Value seed) {
    Value sums[kAccumulators];
    for (Value& sum : sums) sum = seed;
    Pairs pairs;
    std::memcpy(&pairs, &seed, sizeof pairs);
    for (int step = 0; step < kFmaSteps; ++step) {
#pragma clang loop unroll(full)
      for (int i = 0; i < kAccumulators; ++i) {
        sums[i] = __builtin_ia32_dpbf16ps_512(sums[i], pairs, pairs);
        asm volatile("" : "+v"(sums[i]));
      }
    }
    for (int i = 1; i < kAccumulators; ++i) sums[0] += sums[i];
    return sums[0];
  }
};
#endif

#if defined(__AMX_BF16__) && defined(__linux__)
#define HAS_TILES_BF16 1
// Products of tiles of bf16 by the matrix unit, arguments in registers. Linux lends a process the unit when
// it asks.
bool AskForTiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

struct TileBurst {
  using Value = Vector;
  static constexpr double kOperations = 2.0 * 16 * 16 * 32;
  static Value Seed() { return Vector{} + 1.0f; }
  __attribute__((noinline)) static Value Run(Value seed) {
    struct {
      unsigned char palette = 1, start = 0, reserved[14] = {};
      unsigned short row_bytes[16] = {};
      unsigned char rows[16] = {};
    } configuration;
    for (int i = 0; i < 8; ++i) configuration.row_bytes[i] = 64, configuration.rows[i] = 16;
    __builtin_ia32_tile_loadconfig(&configuration);
    __builtin_ia32_tilezero(0), __builtin_ia32_tilezero(1), __builtin_ia32_tilezero(2);
    __builtin_ia32_tilezero(3), __builtin_ia32_tilezero(4), __builtin_ia32_tilezero(5);
    __builtin_ia32_tilezero(6);
    for (int step = 0; step < kFmaSteps * kAccumulators / 4; ++step) {
      __builtin_ia32_tdpbf16ps(0, 4, 5), __builtin_ia32_tdpbf16ps(1, 4, 6);
      __builtin_ia32_tdpbf16ps(2, 5, 6), __builtin_ia32_tdpbf16ps(3, 6, 5);
    }
    __builtin_ia32_tilerelease();
    return seed;
  }
};
#endif

// The best rate, in 1e9 operations per second, of all the threads together over short bursts within
// `seconds`.
template <typename Burst>
double Peak(const std::vector<int>& cpus, double seconds) {
  constexpr int kBursts = 64;
  const double operations = Burst::kOperations * kAccumulators * kFmaSteps * kBursts * cpus.size();
  SpinBarrier barrier(static_cast<int>(cpus.size()));
  std::atomic<bool> more{true};
  double best = 0;
  RunPinned(cpus, [&](int thread) {
    typename Burst::Value value = Burst::Seed();
    const Clock::time_point begin = Clock::now();
    while (true) {
      barrier.Wait();
      if (!more) break;
      const Clock::time_point start = Clock::now();
      for (int i = 0; i < kBursts; ++i) {
        value = Burst::Run(Burst::Seed());
        asm volatile("" ::"v"(value));
      }
      barrier.Wait();
      if (thread == 0) {
        const Clock::time_point now = Clock::now();
        best = std::max(best, operations / Seconds(now - start) * 1e-9);
        if (Seconds(now - begin) > seconds) more = false;
      }
    }
  });
  return best;
}

// Prints `"name": {"1": ..}`, the peak by number of threads.
template <typename Burst>
void PrintPeaks(const char* name, const std::vector<int>& cpus, size_t threads, double seconds) {
  std::printf("\"%s\": {", name);
  for (size_t n = 1; n <= threads; ++n) {
    std::printf("%s\"%zu\": %.1f", n > 1 ? ", " : "", n,
                Peak<Burst>({cpus.begin(), cpus.begin() + n}, seconds));
  }
  std::printf("}");
}

double BarrierNanoseconds(const std::vector<int>& cpus) {
  constexpr int kRounds = 2000, kTries = 10;
  SpinBarrier barrier(2);
  double best = 1e30;
  RunPinned(cpus, [&](int thread) {
    for (int attempt = 0; attempt < kTries; ++attempt) {
      barrier.Wait();
      const Clock::time_point start = Clock::now();
      for (int i = 0; i < kRounds; ++i) barrier.Wait();
      if (thread == 0) best = std::min(best, Seconds(Clock::now() - start) / kRounds * 1e9);
    }
  });
  return best;
}

struct FreeDeleter {
  void operator()(void* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<float, FreeDeleter>;

Buffer Allocate(size_t bytes) { return Buffer(static_cast<float*>(std::aligned_alloc(4096, bytes))); }

// Reads the bytes with enough independent sums not to wait for additions.
void ReadAll(const float* data, size_t bytes) {
  Vector sums[8] = {};
  const Vector* vectors = reinterpret_cast<const Vector*>(data);
  const size_t count = bytes / sizeof(Vector);
  for (size_t i = 0; i + 8 <= count; i += 8) {
#pragma clang loop unroll(full)
    for (size_t j = 0; j < 8; ++j) sums[j] += vectors[i + j];
  }
  for (Vector& sum : sums) asm volatile("" ::"v"(sum));
}

// The rate, in GB/s, at which the second core reads 512 KB that the first has just written.
double CrossCoreRead(const std::vector<int>& cpus) {
  constexpr size_t kBytes = 512 << 10;
  constexpr int kTries = 40;
  Buffer buffer = Allocate(kBytes);
  SpinBarrier barrier(2);
  double best = 0;
  RunPinned(cpus, [&](int thread) {
    for (int attempt = 0; attempt < kTries; ++attempt) {
      if (thread == 0) std::fill_n(buffer.get(), kBytes / sizeof(float), static_cast<float>(attempt));
      barrier.Wait();
      if (thread == 1) {
        const Clock::time_point start = Clock::now();
        ReadAll(buffer.get(), kBytes);
        best = std::max(best, kBytes / Seconds(Clock::now() - start) * 1e-9);
      }
      barrier.Wait();
    }
  });
  return best;
}

// The rate, in GB/s, at which all the threads together read memory that no cache holds.
double DramRead(const std::vector<int>& cpus) {
  const size_t bytes = (size_t{512} << 20) / cpus.size();
  SpinBarrier barrier(static_cast<int>(cpus.size()));
  double best = 0;
  RunPinned(cpus, [&](int thread) {
    Buffer buffer = Allocate(bytes);
    std::memset(buffer.get(), 0, bytes);
    for (int attempt = 0; attempt < 3; ++attempt) {
      barrier.Wait();
      const Clock::time_point start = Clock::now();
      ReadAll(buffer.get(), bytes);
      barrier.Wait();
      if (thread == 0) best = std::max(best, bytes * cpus.size() / Seconds(Clock::now() - start) * 1e-9);
    }
  });
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  size_t threads = 0;
  double seconds = 0.05;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    if (i + 1 == argc || (flag != "--threads" && flag != "--seconds")) {
      std::fprintf(stderr, "usage: peak [--threads N] [--seconds S]\n");
      return 2;
    }
    if (flag == "--threads") threads = std::strtoul(argv[i + 1], nullptr, 10);
    if (flag == "--seconds") seconds = std::strtod(argv[i + 1], nullptr);
  }
  std::vector<int> cpus = AllowedCpus();
  if (threads == 0) threads = cpus.size();
  if (threads > cpus.size()) {
    std::fprintf(stderr, "peak: %zu threads asked for, %zu processors allowed\n", threads, cpus.size());
    return 1;
  }
  std::printf("{\"vector_bytes\": %d, ", kVectorBytes);
  PrintPeaks<FmaBurst>("fma_gflops", cpus, threads, seconds);
#if defined(HAS_DOT_U8S8)
  std::printf(", ");
  PrintPeaks<DotBurst>("dot_u8s8_gops", cpus, threads, seconds);
#endif
#if defined(HAS_DOT_BF16)
  std::printf(", ");
  PrintPeaks<DotBf16Burst>("dot_bf16_gflops", cpus, threads, seconds);
#endif
#if defined(HAS_TILES_BF16)
  if (AskForTiles()) {
    std::printf(", ");
    PrintPeaks<TileBurst>("tiles_bf16_gflops", cpus, threads, seconds);
  }
#endif
  if (cpus.size() >= 2) {
    const std::vector<int> pair(cpus.begin(), cpus.begin() + 2);
    std::printf(", \"barrier_ns\": %.1f", BarrierNanoseconds(pair));
    std::printf(", \"cross_core_read_gbs\": %.1f", CrossCoreRead(pair));
  }
  std::printf(", \"dram_read_gbs\": %.1f}\n", DramRead({cpus.begin(), cpus.begin() + threads}));
  return 0;
}
