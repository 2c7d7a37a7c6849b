// SPDX-License-Identifier: Apache-2.0
// Random sequences of primitives: those that are legal keep the result, those that are not change nothing,
// and the trace replays. TILEWRIGHT_FUZZ_SEED and TILEWRIGHT_FUZZ_ROUNDS choose other runs.
#include <cstdlib>

#include "tilewright/schedule/fuzz_workloads.h"

namespace tilewright {
namespace {

class RandomScheduler {
 public:
  RandomScheduler(const PrimFunc& f, uint64_t seed) : s_(f), random_(seed) {}

  Schedule& schedule() { return s_; }
  int applied() const { return applied_; }

  /// Tries a primitive on random arguments. An Error means that it was not legal there.
  void Step() {
    const PrimFunc before = s_.func();
    try {
      Apply();
      ++applied_;
    } catch (const Error& e) {
      EXPECT_THAT(e.id(), testing::StartsWith("TW14")) << e.what();
      EXPECT_EQ(s_.func(), before);
    }
  }

 private:
  size_t Below(size_t n) { return random_() % n; }
  BlockRef AnyBlock() {
    std::vector<BlockRef> blocks = s_.Blocks();
    return blocks[Below(blocks.size())];
  }
  LoopRef AnyLoop() {
    for (int attempt = 0; attempt < 20; ++attempt) {
      std::vector<LoopRef> loops = s_.GetLoops(AnyBlock());
      if (!loops.empty()) return loops[Below(loops.size())];
    }
    throw Error("TW1403", "no loops");
  }
  Buffer AnyBuffer(const BlockRef& b) {
    const BlockNode& node = s_.Get(b);
    std::vector<Buffer> buffers;
    for (const auto* regions : {&node.reads, &node.writes}) {
      for (const BufferRegion& r : *regions) buffers.push_back(r.buffer);
    }
    return buffers[Below(buffers.size())];
  }

  void Apply() {
    switch (Below(21)) {
      case 0:
      case 1:
        s_.Split(AnyLoop(), {nullptr, int64_t(1 + Below(6))});
        break;
      case 2:
        s_.SplitNearEqual(AnyLoop(), int64_t(1 + Below(4)));
        break;
      case 3: {
        std::vector<LoopRef> l = s_.GetLoops(AnyBlock());
        if (l.size() < 2) break;
        const size_t at = Below(l.size() - 1);
        s_.Fuse({l[at], l[at + 1]});
        break;
      }
      case 4:
      case 5: {
        std::vector<LoopRef> l = s_.GetLoops(AnyBlock());
        std::shuffle(l.begin(), l.end(), random_);
        l.resize(std::min<size_t>(l.size(), 2 + Below(2)));
        s_.Reorder(l);
        break;
      }
      case 6:
        s_.Parallel(AnyLoop());
        break;
      case 7:
        s_.Vectorize(AnyLoop());
        break;
      case 8:
        s_.Unroll(AnyLoop());
        break;
      case 9:
      case 10:
        s_.ComputeAt(AnyBlock(), AnyLoop());
        break;
      case 11:
      case 12:
        s_.ReverseComputeAt(AnyBlock(), AnyLoop());
        break;
      case 13:
        s_.ComputeInline(AnyBlock());
        break;
      case 14:
        s_.ReverseComputeInline(AnyBlock());
        break;
      case 15: {
        BlockRef b = AnyBlock();
        s_.CacheRead(b, AnyBuffer(b), "shared");
        break;
      }
      case 16: {
        BlockRef b = AnyBlock();
        s_.CacheWrite(b, AnyBuffer(b), "shared");
        break;
      }
      case 17: {
        BlockRef b = AnyBlock();
        std::vector<LoopRef> l = s_.GetLoops(b);
        if (!l.empty()) s_.DecomposeReduction(b, l[Below(l.size())]);
        break;
      }
      case 20: {
        BlockRef b = AnyBlock();
        std::vector<LoopRef> l = s_.GetLoops(b);
        if (!l.empty()) s_.RFactor(b, l[Below(l.size())]);
        break;
      }
      case 18: {
        BlockRef b = AnyBlock();
        std::vector<LoopRef> l = s_.GetLoops(b);
        if (l.empty()) break;
        if (Below(2)) {
          s_.DecomposePadding(b, l[Below(l.size())]);
        } else {
          s_.LoopPartition(l[Below(l.size())], {int64_t(1 + Below(3))});
        }
        break;
      }
      case 19: {
        const Buffer buffer = AnyBuffer(AnyBlock());
        std::vector<Var> old;
        for (size_t d = 0; d < buffer.shape().size(); ++d) old.push_back(Var(fmt::format("d{}", d)));
        std::vector<Expr> map(old.begin(), old.end());
        const size_t at = Below(map.size());
        const int64_t factor = int64_t(2 + Below(4));
        map.push_back(FloorMod(map[at], factor));
        map[at] = FloorDiv(map[at], factor);
        if (Below(2)) std::swap(map[0], map[at]);
        s_.TransformLayout(buffer, old, map, true);
        break;
      }
    }
  }

  Schedule s_;
  std::mt19937_64 random_;
  int applied_ = 0;
};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// What is wrong with a schedule of `original`; empty where it computes the same in either order of
/// iterations that it says are independent.
std::string Disagreement(const PrimFunc& original, const Schedule& s) {
  for (const Diagnostic& d : VerifyScheduled(s.func())) return d.ToString();
  const std::vector<NDArray> expected = RunSeeded(original, original, {}, 7);
  using Order = InterpretOptions::Order;
  for (Order order : {Order::kAscending, Order::kDescending}) {
    InterpretOptions options;
    options.independent_order = order;
    try {
      if (RunSeeded(original, s.func(), s.prepare(), 7, options) != expected) return "the results differ";
    } catch (const Error& e) {
      return e.what();
    }
  }
  return "";
}

/// The trace without those steps that are not needed to make `f` go wrong.
Trace Reduced(const PrimFunc& f, Trace trace) {
  for (size_t i = trace.steps.size(); i-- > 0;) {
    Trace shorter = trace;
    shorter.steps.erase(shorter.steps.begin() + std::ptrdiff_t(i));
    Schedule s(f);
    try {
      shorter.Replay(s);
    } catch (const Error&) {
      continue;  // a later step builds on this one
    }
    if (!Disagreement(f, s).empty()) trace = shorter;
  }
  return trace;
}

class ScheduleFuzz : public testing::TestWithParam<FuzzWorkload> {};

TEST_P(ScheduleFuzz, LegalSequencesKeepTheResult) {
  const PrimFunc& f = GetParam().function;
  const uint64_t first = FromEnvironment("TILEWRIGHT_FUZZ_SEED", 1);
  const uint64_t rounds = FromEnvironment("TILEWRIGHT_FUZZ_ROUNDS", 50);
  int applied = 0;
  for (uint64_t seed = first; seed < first + rounds; ++seed) {
    SCOPED_TRACE(fmt::format("TILEWRIGHT_FUZZ_SEED={} TILEWRIGHT_FUZZ_ROUNDS=1", seed));
    RandomScheduler random(f, seed);
    for (int step = 0; step < 16; ++step) random.Step();
    applied += random.applied();
    const Trace trace = random.schedule().trace();
    const std::string wrong = Disagreement(f, random.schedule());
    EXPECT_EQ(wrong, "") << ToString(f) << (wrong.empty() ? "" : Reduced(f, trace).ToString());
    Schedule replayed(f);
    Trace::Parse(trace.ToString()).Replay(replayed);
    EXPECT_EQ(ToString(replayed.func()), ToString(random.schedule().func()));
    if (testing::Test::HasFailure()) break;
  }
  EXPECT_GT(applied, int(rounds) * 2);
}

std::string WorkloadName(const testing::TestParamInfo<FuzzWorkload>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Workloads, ScheduleFuzz, testing::ValuesIn(FuzzWorkloads()), WorkloadName);

}  // namespace
}  // namespace tilewright
