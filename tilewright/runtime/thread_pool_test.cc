// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/thread_pool.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "tilewright/runtime/test_support.h"

namespace tilewright::runtime {
namespace {

// What the calls of one launch did: how often each chunk was computed, and the ranges.
struct Trace {
  explicit Trace(int64_t chunks) : hits(static_cast<size_t>(chunks)) {}
  std::vector<std::atomic<int>> hits;
  std::atomic<int> calls{0};
  std::atomic<int64_t> smallest{INT64_MAX};
  std::atomic<int64_t> largest{0};

  static void Task(void* argument, int64_t begin, int64_t end) {
    auto* trace = static_cast<Trace*>(argument);
    for (int64_t i = begin; i < end; ++i) ++trace->hits[static_cast<size_t>(i)];
    ++trace->calls;
    int64_t size = end - begin;
    for (int64_t s = trace->smallest; size < s && !trace->smallest.compare_exchange_weak(s, size);) {
    }
    for (int64_t l = trace->largest; size > l && !trace->largest.compare_exchange_weak(l, size);) {
    }
  }
  bool EachOnce() const {
    return std::all_of(hits.begin(), hits.end(), [](const std::atomic<int>& h) { return h == 1; });
  }
};

TEST(ThreadPool, ComputesEachChunkOnceInHalvesOfNearEqualShares) {
  ThreadPool& pool = ThreadPool::Global();
  ASSERT_EQ(pool.Reserve(4), 4);
  for (int64_t chunks : {1, 2, 3, 4, 5, 7, 64, 1001}) {
    for (int threads : {2, 3, 4}) {
      for (bool backwards : {false, true}) {
        Trace trace(chunks);
        pool.Run(&Trace::Task, &trace, chunks, threads, backwards);
        EXPECT_TRUE(trace.EachOnce());
        EXPECT_GE(trace.calls, std::min<int64_t>(chunks, threads));
        const int64_t share = (chunks + threads - 1) / threads;
        EXPECT_LE(trace.largest, chunks == 1 ? 1 : (share + 1) / 2);
      }
    }
    Trace alone(chunks);
    pool.Run(&Trace::Task, &alone, chunks, 1);
    EXPECT_TRUE(alone.EachOnce());
    EXPECT_EQ(alone.calls, 1);
  }
}

TEST(ThreadPool, CountsChunksBeyondAWord) {
  ThreadPool& pool = ThreadPool::Global();
  pool.Reserve(3);
  // Ranges that meet without a gap add up to the whole, as do the differences of their ends' squares.
  struct Sums {
    std::atomic<uint64_t> lengths{0}, squares{0};
  };
  for (int64_t chunks : {(int64_t{1} << 31) - 1, int64_t{1} << 31, (int64_t{1} << 33) + 5, INT64_MAX}) {
    Sums sums;
    auto task = [](void* argument, int64_t begin, int64_t end) {
      const auto b = static_cast<uint64_t>(begin), e = static_cast<uint64_t>(end);
      static_cast<Sums*>(argument)->lengths += e - b;
      static_cast<Sums*>(argument)->squares += e * e - b * b;
    };
    pool.Run(task, &sums, chunks, 3);
    const auto all = static_cast<uint64_t>(chunks);
    EXPECT_EQ(sums.lengths, all);
    EXPECT_EQ(sums.squares, all * all);
  }
}

// A launch on two threads whose outermost chunk of the caller's takes until all others are done, but for
// those that the caller has begun with it.
TEST(ThreadPool, ChunksThatASlowThreadHasNotBegunGoToOthers) {
  struct Slow {
    bool backwards;
    int64_t chunks = 64;
    std::atomic<int64_t> done{0};
    std::atomic<int64_t> first_length{0};

    static void Task(void* argument, int64_t begin, int64_t end) {
      auto& slow = *static_cast<Slow*>(argument);
      if (slow.backwards ? end == slow.chunks / 2 : begin == 0) {
        slow.first_length = end - begin;
        while (slow.done + (end - begin) < slow.chunks) std::this_thread::yield();
      }
      slow.done += end - begin;
    }
  };
  ThreadPool& pool = ThreadPool::Global();
  pool.Reserve(2);
  for (bool backwards : {false, true}) {
    Slow slow{backwards};
    pool.Run(&Slow::Task, &slow, slow.chunks, 2, backwards);
    EXPECT_EQ(slow.done, slow.chunks);
    EXPECT_LE(slow.first_length, slow.chunks / 4);
  }
}

TEST(ThreadPool, DoesNothingForNoChunks) {
  Trace trace(0);
  ThreadPool::Global().Run(&Trace::Task, &trace, 0, 4);
  EXPECT_EQ(trace.calls, 0);
}

TEST(ThreadPool, ManyLaunchesInARow) {
  ThreadPool& pool = ThreadPool::Global();
  pool.Reserve(8);
  std::atomic<int64_t> sum{0};
  auto task = [](void* argument, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) *static_cast<std::atomic<int64_t>*>(argument) += i;
  };
  for (int launch = 0; launch < 500; ++launch) pool.Run(task, &sum, 16, 8);
  EXPECT_EQ(sum, 500 * 120);
}

// A launch of which every range waits until all have begun, so that each needs a thread of its own.
struct Meeting {
  int64_t expected;
  std::chrono::milliseconds work_of_workers{0};
  std::atomic<int64_t> begun{0};
  std::atomic<int64_t> finished{0};

  static void Task(void* argument, int64_t begin, int64_t end) {
    auto* meeting = static_cast<Meeting*>(argument);
    ++meeting->begun;
    while (meeting->begun < meeting->expected) std::this_thread::yield();
    if (begin > 0) std::this_thread::sleep_for(meeting->work_of_workers);
    ++meeting->finished;
  }
};

TEST(ThreadPool, WakesWorkersThatSleep) {
  ThreadPool& pool = ThreadPool::Global();
  pool.Reserve(3);
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // longer than workers spin
    Meeting meeting{3};
    pool.Run(&Meeting::Task, &meeting, 3, 3);
    EXPECT_EQ(meeting.finished, 3);
  }
}

TEST(ThreadPool, CallerSleepsUntilSlowWorkersAreDone) {
  ThreadPool& pool = ThreadPool::Global();
  pool.Reserve(3);
  for (int i = 0; i < 3; ++i) {
    Meeting meeting{3, std::chrono::milliseconds(10)};  // longer than callers spin
    pool.Run(&Meeting::Task, &meeting, 3, 3);
    EXPECT_EQ(meeting.finished, 3);
  }
}

// Long and short ranges in turn, so that workers and caller compete for late ranges.
TEST(ThreadPool, RangesOfLateWorkersAreComputedOnce) {
  ThreadPool& pool = ThreadPool::Global();
  pool.Reserve(4);
  for (int i = 0; i < 400; ++i) {
    if (i % 40 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    Trace trace(4);
    pool.Run(&Trace::Task, &trace, 4, i % 3 + 2);
    ASSERT_TRUE(trace.EachOnce());
    ASSERT_GE(trace.calls, i % 3 + 2);
  }
}

TEST(ThreadPool, NestedLaunchRunsInline) {
  ThreadPool& pool = ThreadPool::Global();
  pool.Reserve(2);
  static std::atomic<int> inner_calls;
  static std::atomic<int64_t> inner_chunks;
  inner_calls = 0;
  inner_chunks = 0;
  auto inner = [](void*, int64_t begin, int64_t end) {
    ++inner_calls;
    inner_chunks += end - begin;
  };
  static ThreadPool::Task inner_task = inner;
  auto outer = [](void*, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ThreadPool::Global().Run(inner_task, nullptr, 10, 2);
  };
  pool.Run(outer, nullptr, 4, 2);
  EXPECT_EQ(inner_calls, 4);
  EXPECT_EQ(inner_chunks, 40);
}

TEST(ThreadPool, ManyCallersAtOnce) {
  ThreadPool& pool = ThreadPool::Global();
  pool.Reserve(4);
  std::vector<std::thread> callers;
  std::atomic<int> failures{0};
  for (int c = 0; c < 6; ++c) {
    callers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        Trace trace(13);
        pool.Run(&Trace::Task, &trace, 13, 4);
        if (!trace.EachOnce()) ++failures;
      }
    });
  }
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(failures, 0);
}

TEST(ThreadPool, WorksInAForkedChild) {
  if (TW_THREAD_SANITIZER) GTEST_SKIP() << "ThreadSanitizer cannot start threads after a fork";
  ThreadPool& pool = ThreadPool::Global();
  pool.Reserve(3);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(30);  // a hang ends the child
    Trace trace(9);
    pool.Run(&Trace::Task, &trace, 9, 3);
    _exit(trace.EachOnce() && trace.calls >= 3 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

// Sets an environment variable for the life of the object.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    setenv(name, value, 1);
  }
  ~ScopedVariable() { old_ ? setenv(name_, old_->c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

TEST(DefaultNumThreads, ObeysTheVariable) {
  ScopedVariable variable("TILEWRIGHT_NUM_THREADS", "7");
  EXPECT_EQ(ThreadPool::DefaultNumThreads(), 7);
}

TEST(DefaultNumThreads, RefusesNonsense) {
  for (const char* value : {"0", "-1", "two", "3x", "1000000", "99999999999999999999"}) {
    ScopedVariable variable("TILEWRIGHT_NUM_THREADS", value);
    ExpectError(ErrorId::kBadOption, value, [] { ThreadPool::DefaultNumThreads(); });
  }
}

// A folder with the files of a control group.
class FakeRoot {
 public:
  void Write(const std::string& file, const std::string& text) {
    std::filesystem::path full = folder_ / file;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }
  std::string path() const { return folder_ / ""; }

 private:
  ScratchFolder folder_;
};

TEST(CgroupCpuLimit, NoneWithoutGroups) {
  FakeRoot root;
  EXPECT_EQ(CgroupCpuLimit(root.path()), 0);
}

TEST(CgroupCpuLimit, VersionTwoTakesTheTightestAncestor) {
  FakeRoot root;
  root.Write("/proc/self/cgroup", "0::/a/b\n");
  root.Write("/sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
  EXPECT_DOUBLE_EQ(CgroupCpuLimit(root.path()), 4);
  root.Write("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  EXPECT_DOUBLE_EQ(CgroupCpuLimit(root.path()), 1.5);
  root.Write("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
  EXPECT_DOUBLE_EQ(CgroupCpuLimit(root.path()), 4);
}

TEST(CgroupCpuLimit, VersionTwoInAContainer) {
  FakeRoot root;
  root.Write("/proc/self/cgroup", "0::/\n");
  root.Write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_DOUBLE_EQ(CgroupCpuLimit(root.path()), 2);
}

TEST(CgroupCpuLimit, VersionOne) {
  FakeRoot root;
  root.Write("/proc/self/cgroup", "12:memory:/x\n4:cpu,cpuacct:/docker/id\n1:name=systemd:/\n");
  root.Write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000\n");
  root.Write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_DOUBLE_EQ(CgroupCpuLimit(root.path()), 3);
  root.Write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(CgroupCpuLimit(root.path()), 0);
}

TEST(CgroupCpuLimit, SurvivesNonsense) {
  FakeRoot root;
  root.Write("/proc/self/cgroup", "\n:::\nfoo\n0::\n0::///\n");
  root.Write("/sys/fs/cgroup/cpu.max", "abc def");
  EXPECT_EQ(CgroupCpuLimit(root.path()), 0);
}

}  // namespace
}  // namespace tilewright::runtime
