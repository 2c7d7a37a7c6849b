// SPDX-License-Identifier: Apache-2.0
// Programs that use a second device: one that works on a thread of its own, in memory that the host cannot
// touch, and does nothing before it must.
#include "tilewright/runtime/device.h"

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>

#include "tilewright/runtime/context.h"
#include "tilewright/runtime/test_support.h"

namespace tilewright::runtime {
namespace {

// ---- The device

// Pointers to its memory have a bit set that no address has, so that whoever follows one on the host faults.
constexpr uintptr_t kFar = uintptr_t{1} << 62;
void* Far(void* p) { return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(p) | kFar); }
void* Near(const void* p) { return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(p) & ~kFar); }
bool IsFar(const void* p) { return (reinterpret_cast<uintptr_t>(p) & kFar) != 0; }

// Runs what is queued on a thread, as late and in as bad an order as the interface allows: nothing before
// something is waited for, then the stream with the highest number first, or that with the lowest, and no
// more than the wait needs. A program that leaves out a wait therefore gives a wrong answer in one of the two
// orders, every time.
class AsyncSession : public DeviceSession {
 public:
  static inline std::atomic<int> copies{0}, launches{0};
  static inline std::atomic<bool> highest_first{true};

  AsyncSession() : worker_([this] { Work(); }) {}
  ~AsyncSession() override {
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    worker_.join();
  }

  DeviceMemory Allocate(uint64_t bytes, std::string_view) override {
    DeviceMemory memory = AllocateHost(bytes);
    std::memset(memory.data, 0xff, bytes);  // NaN
    return {Far(memory.data), bytes};
  }
  void Free(DeviceMemory memory) override { FreeHost({Near(memory.data), memory.bytes}); }
  void Copy(void* to, const void* from, uint64_t bytes, CopyKind kind, uint16_t stream) override {
    EXPECT_EQ(IsFar(to), kind != CopyKind::kDeviceToHost);
    EXPECT_EQ(IsFar(from), kind != CopyKind::kHostToDevice);
    ++copies;
    Queue(stream, {[=] { std::memmove(Near(to), Near(from), bytes); }});
  }
  void Launch(const DeviceLaunch& l, uint16_t stream) override {
    ++launches;
    std::vector<void*> buffers;
    for (void* b : l.buffers) {
      EXPECT_TRUE(IsFar(b));
      buffers.push_back(Near(b));
    }
    std::vector<int64_t> dims(l.dims.begin(), l.dims.end());
    Queue(stream, {[=, kernel = l.kernel, chunks = l.num_chunks, table = l.table] {
            kernel(buffers.data(), dims.data(), 0, chunks, table);
          }});
  }
  void Record(uint32_t event, uint16_t stream) override {
    std::lock_guard lock(mutex_);
    const uint64_t ticket = ++recorded_[event];
    streams_[stream].push_back({[this, event, ticket] { happened_[event] = ticket; }});
  }
  void StreamWait(uint32_t event, uint16_t stream) override {
    std::lock_guard lock(mutex_);
    Item item;
    item.event = event;
    item.ticket = recorded_[event];
    streams_[stream].push_back(item);
  }
  void HostWait(uint32_t event) override {
    std::unique_lock lock(mutex_);
    const uint64_t ticket = recorded_[event];
    WaitUntil(lock, [&] { return happened_[event] >= ticket; });
  }
  void Synchronize() override {
    std::unique_lock lock(mutex_);
    WaitUntil(lock, [&] {
      for (const auto& [stream, items] : streams_) {
        if (!items.empty()) return false;
      }
      return true;
    });
  }

 private:
  // Work, or a wait for an event.
  struct Item {
    std::function<void()> run;
    uint32_t event = 0;
    uint64_t ticket = 0;
  };

  void Queue(uint16_t stream, Item item) {
    std::lock_guard lock(mutex_);
    streams_[stream].push_back(std::move(item));
  }
  void WaitUntil(std::unique_lock<std::mutex>& lock, const std::function<bool()>& reached) {
    goal_ = reached;
    changed_.notify_all();
    changed_.wait(lock, reached);
    goal_ = nullptr;
  }
  bool Ready(const Item& item) { return item.run || happened_[item.event] >= item.ticket; }

  void Work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return ending_ || (goal_ && !goal_()); });
      if (ending_) return;
      std::deque<Item>* next = nullptr;
      for (auto& [stream, items] : streams_) {
        if (items.empty() || !Ready(items.front())) continue;
        if (next == nullptr || highest_first) next = &items;
      }
      ASSERT_NE(next, nullptr) << "the streams wait for one another";
      if (next->front().run) next->front().run();
      next->pop_front();
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint16_t, std::deque<Item>> streams_;
  std::map<uint32_t, uint64_t> recorded_, happened_;  // by event: how often
  std::function<bool()> goal_;                        // of the host's wait; empty: none
  bool ending_ = false;
  std::thread worker_;
};

class AsyncDevice : public Device {
 public:
  std::unique_ptr<DeviceSession> OpenSession(int32_t, std::span<const std::byte>) override {
    return std::make_unique<AsyncSession>();
  }
};

// ---- Kernels and programs

// output = input * weights, rows of four; a chunk is a row.
void ScaleRows(void* const* buffers, const int64_t*, int64_t begin, int64_t end, const tw_runtime_table*) {
  const auto* input = static_cast<const float*>(buffers[0]);
  const auto* weights = static_cast<const float*>(buffers[1]);
  auto* output = static_cast<float*>(buffers[2]);
  for (int64_t i = begin * 4; i < end * 4; ++i) output[i] = input[i] * weights[i % 4];
}

// Reports negative elements.
void CheckRows(void* const* buffers, const int64_t*, int64_t begin, int64_t end,
               const tw_runtime_table* table) {
  for (int64_t i = begin * 4; i < end * 4; ++i) {
    if (static_cast<const float*>(buffers[0])[i] < 0) table->report_error(table, "negative element", i);
  }
}

alignas(64) constexpr float kFactors[4] = {1, 2, 3, 4};

Instruction On(uint16_t stream, uint32_t event, Instruction i) {
  i.device = 1;
  i.stream = stream;
  i.event = event;
  return i;
}
Instruction Copy(uint32_t from, uint32_t to) {
  Instruction i;
  i.op = CopyOp{from, to};
  return i;
}
Instruction Wait(std::vector<uint32_t> events) {
  Instruction i;
  i.op = WaitOp{std::move(events)};
  return i;
}
Instruction Once(Instruction i) {
  i.once = true;
  return i;
}

// y = x * w * w in two halves of four rows each: the first product on the device, the second on the host.
// Copies in, launches and copies out have a stream each, so that a device may do all three at once; both
// halves use the one place for results on the device, and the host's memory `t` that they come back to.
Program HalvesProgram() {
  Program p = ScaleTwiceProgram(8);
  p.devices.push_back({"async", 0});
  p.arenas = {{0, "global", 64}, {1, "global", 320}};
  p.buffers = {
      MakeBuffer("x0", Storage::kInput, 0, {4, 4}),         MakeBuffer("x1", Storage::kInput, 0, {4, 4}, 64),
      MakeBuffer("w", Storage::kParameter, 0, {4}),         MakeBuffer("t", Storage::kArena, 0, {4, 4}),
      MakeBuffer("y0", Storage::kOutput, 0, {4, 4}),        MakeBuffer("y1", Storage::kOutput, 0, {4, 4}, 64),
      MakeBuffer("far_x0", Storage::kArena, 1, {4, 4}),      // 6
      MakeBuffer("far_x1", Storage::kArena, 1, {4, 4}, 64),  // 7
      MakeBuffer("far_y", Storage::kArena, 1, {4, 4}, 128),  // 8
      MakeBuffer("far_w", Storage::kArena, 1, {4}, 256)};    // 9
  // Streams: 0 and 4 copy the halves in, 2 launches, 1 and 3 copy the halves out.
  enum : uint32_t { kIn0, kIn1, kDone0, kDone1, kOut0, kOut1, kEvents };
  p.num_events = kEvents;
  auto wait_on = [](uint16_t stream, uint32_t event) { return On(stream, kNoEvent, Wait({event})); };
  p.instructions = {Once(On(0, kNoEvent, Copy(2, 9))),
                    On(0, kIn0, Copy(0, 6)),
                    On(4, kIn1, Copy(1, 7)),
                    wait_on(2, kIn0),
                    On(2, kDone0, Launch("far 0", 0, {6, 9, 8}, 4)),
                    wait_on(1, kDone0),
                    On(1, kOut0, Copy(8, 3)),
                    wait_on(2, kOut0),
                    wait_on(2, kIn1),
                    On(2, kDone1, Launch("far 1", 0, {7, 9, 8}, 4)),
                    Wait({kOut0}),
                    Launch("near 0", 0, {3, 2, 4}, 4),
                    wait_on(3, kDone1),
                    On(3, kOut1, Copy(8, 3)),
                    Wait({kOut1}),
                    Launch("near 1", 0, {3, 2, 5}, 4)};
  return p;
}

std::shared_ptr<const Module> ModuleOf(const Program& p) {
  RegisterDevice("async", std::make_unique<AsyncDevice>());
  return Module::FromProgram("device", p, {&ScaleRows, &CheckRows}, std::as_bytes(std::span(kFactors)),
                             nullptr);
}

// Whether a run on these inputs gives x * w * w.
bool Agrees(Context& context, float first) {
  std::vector<float> x(32);
  std::iota(x.begin(), x.end(), first);
  context.SetInput(0, x.data(), 128);
  context.Run();
  const auto* y = static_cast<const float*>(context.Output(0).data);
  for (size_t i = 0; i < x.size(); ++i) {
    const float w = kFactors[i % 4];
    if (y[i] != x[i] * w * w) return false;
  }
  return true;
}

TEST(DeviceContext, CopiesLaunchesAndWaitsOnStreams) {
  for (bool highest_first : {false, true}) {
    AsyncSession::highest_first = highest_first;
    Context context(ModuleOf(HalvesProgram()));
    AsyncSession::copies = AsyncSession::launches = 0;
    for (int run = 0; run < 3; ++run) EXPECT_TRUE(Agrees(context, float(run))) << run;
    EXPECT_EQ(AsyncSession::copies, 3 * 4 + 1);  // the weights once
    EXPECT_EQ(AsyncSession::launches, 3 * 2);
  }
}

TEST(DeviceContext, EveryWaitIsNeeded) {
  const Program whole = HalvesProgram();
  int waits = 0;
  for (size_t i = 0; i < whole.instructions.size(); ++i) {
    if (whole.instructions[i].opcode() != Opcode::kWait) continue;
    Program p = whole;
    p.instructions.erase(p.instructions.begin() + std::ptrdiff_t(i));
    ++waits;
    bool agrees = true;
    for (bool highest_first : {false, true}) {
      AsyncSession::highest_first = highest_first;
      Context context(ModuleOf(p));
      // The first run finds what no run has left behind, the second what another has.
      agrees &= Agrees(context, 1) && Agrees(context, 2);
    }
    EXPECT_FALSE(agrees) << "without the wait at " << i;
  }
  EXPECT_EQ(waits, 7);
  AsyncSession::highest_first = true;
}

TEST(DeviceContext, ContextsShareADevice) {
  auto module = ModuleOf(HalvesProgram());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Context context(module);
      for (int run = 0; run < 5; ++run) EXPECT_TRUE(Agrees(context, float(10 * t + run)));
    });
  }
  for (std::thread& t : threads) t.join();
}

// The state of a loop stays on the device, in two places that take turns: x * w^3 by three iterations.
TEST(DeviceContext, LoopsExchangeBuffersOfTheDevice) {
  Program p = ScaleTwiceProgram(8);
  p.devices.push_back({"async", 0});
  p.arenas = {{1, "global", 320}};
  p.buffers = {
      MakeBuffer("x", Storage::kInput, 0, {8, 4}),         MakeBuffer("w", Storage::kParameter, 0, {4}),
      MakeBuffer("y", Storage::kOutput, 0, {8, 4}),        MakeBuffer("now", Storage::kArena, 0, {8, 4}),
      MakeBuffer("next", Storage::kArena, 0, {8, 4}, 128), MakeBuffer("far_w", Storage::kArena, 0, {4}, 256)};
  Instruction loop;
  LoopOp op;
  op.trip_count = 3;
  op.body_count = 1;
  op.swaps = {{3, 4}};
  loop.op = op;
  p.num_events = 1;
  p.instructions = {On(0, kNoEvent, Copy(1, 5)),
                    On(0, kNoEvent, Copy(0, 3)),
                    loop,
                    On(0, kNoEvent, Launch("step", 0, {3, 5, 4}, 8)),
                    On(0, 0, Copy(3, 2)),
                    Wait({0})};
  Context context(ModuleOf(p));
  for (int run = 0; run < 3; ++run) {
    std::vector<float> x(32);
    std::iota(x.begin(), x.end(), float(run));
    context.SetInput(0, x.data(), 128);
    context.Run();
    const auto* y = static_cast<const float*>(context.Output(0).data);
    for (size_t i = 0; i < x.size(); ++i) {
      const float w = kFactors[i % 4];
      ASSERT_EQ(y[i], x[i] * w * w * w) << run << ", " << i;
    }
  }
}

TEST(DeviceContext, ErrorsOfKernelsOnTheDeviceEndTheRun) {
  Program p = HalvesProgram();
  p.instructions.push_back(On(2, kNoEvent, Launch("far check", 1, {6}, 4)));
  Context context(ModuleOf(p));
  EXPECT_TRUE(Agrees(context, 0));
  ExpectError(ErrorId::kKernelError, "negative element (0)", [&] { Agrees(context, -3); });
  EXPECT_TRUE(Agrees(context, 0));
}

TEST(DeviceContext, MissingDeviceIsNamed) {
  Program p = HalvesProgram();
  p.devices[1].kind = "absent";
  auto module = ModuleOf(p);
  ExpectError(ErrorId::kMissingDevice, "'absent'", [&] { Context context(module); });
}

TEST(DeviceProgram, CopiesAreTheWorkOfTheDeviceThatHasTheMemory) {
  Program p = HalvesProgram();
  p.instructions[1].device = 0;
  p.instructions[1].stream = 0;
  ExpectError(ErrorId::kBadProgram, "instruction 1 (copy) copies to or from a device's memory",
              [&] { ModuleOf(p); });
  p = HalvesProgram();
  p.devices.push_back({"async", 1});
  p.arenas.push_back({2, "global", 64});
  p.buffers.push_back(MakeBuffer("elsewhere", Storage::kArena, 2, {4, 4}));
  p.instructions[1].op = CopyOp{10, 6};
  ExpectError(ErrorId::kBadProgram, "copies between two devices", [&] { ModuleOf(p); });
}

}  // namespace
}  // namespace tilewright::runtime
