// SPDX-License-Identifier: Apache-2.0
// Random small programs in tiles of odd sizes, with stages computed at tiles, halos, padding, guards,
// register buffers and all kinds of loops: what the kernels compute must be what the scheduled function
// computes. TILEWRIGHT_FUZZ_CASES chooses how many (of 100000 for 400 programs).
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tilewright/arith/test_random_expr.h"
#include "tilewright/tir/interpreter.h"
#include "tilewright/tir/lower/lower.h"
#include "tilewright/tir/verify.h"

namespace tilewright {
namespace {

struct Random {
  std::mt19937 rng;
  int operator()(int lo, int hi) { return std::uniform_int_distribution<int>(lo, hi)(rng); }
  bool Chance(int percent) { return (*this)(1, 100) <= percent; }
  template <class T>
  T Of(std::initializer_list<T> list) {
    return *(list.begin() + (*this)(0, int(list.size()) - 1));
  }
};

/// A dimension of the output in tiles, with a halo on the input side.
struct Dim {
  int extent, tile, halo;
  Var outer;
  bool exact() const { return extent % tile == 0; }
  int tiles() const { return (extent + tile - 1) / tile; }
};

/// out[i, j] = relu(sum over r, s of mid[i + r, j + s] * w[r, s]), mid[i, j] = a[i - 1, j] * 3 + j with zero
/// beyond the border of `a`; `mid` is computed per tile of `out`.
class Program {
 public:
  explicit Program(unsigned seed) : random_{std::mt19937(seed)} {
    for (int d = 0; d < 2; ++d) {
      const int extent = random_(1, 19), tile = random_(1, std::min(extent, 9));
      dims_[d] = {extent, tile, random_(0, 2), Var(d ? "jo" : "io")};
      halo_loop_[d] = random_.Of({ForKind::kSerial, ForKind::kUnrolled});
    }
    const bool constant_indices = random_.Chance(50);
    register_acc_ = constant_indices;
    register_mid_ = constant_indices && random_.Chance(50);
    if (register_mid_) halo_loop_[0] = halo_loop_[1] = ForKind::kUnrolled;
    for (ForKind& k : tile_loop_)
      k = constant_indices ? ForKind::kUnrolled : random_.Of({ForKind::kSerial, ForKind::kUnrolled});
    if (random_.Chance(70)) tile_loop_[1] = ForKind::kVectorized;
    decomposed_ = random_.Chance(60);
    reduce_outside_ = random_.Chance(50);
    const std::vector<Expr> mid_shape{dims_[0].extent + dims_[0].halo, dims_[1].extent + dims_[1].halo};
    a_ = Buffer("a", kF32, mid_shape);
    w_ = Buffer("w", kF32, {dims_[0].halo + 1, dims_[1].halo + 1});
    out_ = Buffer("out", kF32, {dims_[0].extent, dims_[1].extent});
    mid_ = Buffer("mid", kF32, mid_shape, register_mid_ ? "register" : "global");
    acc_ = Buffer("acc", kF32, out_.shape(), register_acc_ ? "register" : "global");
  }

  PrimFunc Build() {
    Stmt tile = MakeSeq({Produce(), Reduce(), Write()});
    Stmt rows = MakeFor(dims_[1].outer, 0, dims_[1].tiles(), ForKind::kSerial, tile, Annotated());
    BlockNode root;
    root.name = "root";
    root.allocs = {mid_, acc_};
    root.body = MakeFor(dims_[0].outer, 0, dims_[0].tiles(),
                        random_.Of({ForKind::kParallel, ForKind::kSerial}), rows, Annotated());
    SetRegions(root);
    PrimFuncNode f;
    f.name = "program";
    f.buffers = {a_, w_, out_};
    f.num_outputs = 1;
    f.body = MakeBlock(root);
    return PrimFunc(std::move(f));
  }

 private:
  Annotations Annotated() {
    return random_.Chance(40) ? Annotations{{"loop_partition", true}} : Annotations{};
  }

  /// Whole buffers, for regions may name more than what a block touches.
  static void SetRegions(BlockNode& b) {
    auto add = [&](std::vector<BufferRegion>& regions, const Buffer& buffer) {
      auto same = [&](const auto& known) { return known == buffer; };
      if (std::ranges::any_of(b.allocs, same)) return;
      if (std::ranges::any_of(regions, same, &BufferRegion::buffer)) return;
      BufferRegion whole{buffer, {}};
      for (const Expr& extent : buffer.shape()) whole.region.push_back({0, extent});
      regions.push_back(std::move(whole));
    };
    for (const Stmt& part : {b.init, b.body}) {
      PreOrder(part, [&](const Stmt& s) {
        if (auto* store = s.As<StoreNode>()) add(b.writes, store->buffer);
        return true;
      });
      PreOrderExprs(part, [&](const Expr& e) {
        if (auto* load = e.As<LoadNode>()) add(b.reads, load->buffer);
      });
    }
  }

  /// Loops over a tile (with the halo) around a block; `body` gets the block's variables.
  Stmt Tile(
      std::string name, bool with_halo, const std::vector<IterVar>& more,
      const std::vector<Expr>& more_bindings, const std::function<std::pair<Stmt, Stmt>(Expr, Expr)>& body,
      const std::function<Stmt(Stmt)>& around = [](Stmt s) { return s; }) {
    BlockNode b;
    b.name = std::move(name);
    Var inner[2] = {Var("ii"), Var("ji")}, v[2] = {Var("vi"), Var("vj")};
    int extent[2];
    for (int d = 0; d < 2; ++d) {
      const Dim& dim = dims_[d];
      const int halo = with_halo ? dim.halo : 0;
      extent[d] = dim.tile + halo;
      b.iter_vars.push_back({v[d], {0, dim.extent + halo}, IterKind::kSpatial});
      b.bindings.push_back(dim.outer * dim.tile + inner[d]);
      if (!dim.exact()) {
        Expr inside = b.bindings.back() < Expr(dim.extent + halo);
        b.predicate = b.predicate ? b.predicate && inside : inside;
      }
    }
    b.iter_vars.insert(b.iter_vars.end(), more.begin(), more.end());
    b.bindings.insert(b.bindings.end(), more_bindings.begin(), more_bindings.end());
    std::tie(b.init, b.body) = body(v[0], v[1]);
    SetRegions(b);
    Stmt s = around(MakeBlock(std::move(b)));
    for (int d = 1; d >= 0; --d) s = MakeFor(inner[d], 0, extent[d], tile_loop_[d], s);
    return s;
  }

  Stmt Produce() {
    return Tile("produce", true, {}, {}, [&](Expr i, Expr j) {
      Expr inside = Expr(1) <= i && i < Expr(dims_[0].extent + dims_[0].halo - 1);
      Expr value = MakeIfThenElse(inside, a_({i - 1, j}) * MakeConst(kF32, 3), MakeConst(kF32, 0));
      return std::pair(Stmt(), MakeStore(mid_, value + MakeCast(kF32, j), {i, j}));
    });
  }

  Stmt Reduce() {
    Var r("r"), s("s"), vr("vr"), vs("vs");
    const int nr = dims_[0].halo + 1, ns = dims_[1].halo + 1;
    auto reduction_loops = [&](Stmt body) {
      return MakeFor(r, 0, nr, halo_loop_[0], MakeFor(s, 0, ns, halo_loop_[1], body));
    };
    auto zero = [&](Expr i, Expr j) { return MakeStore(acc_, MakeConst(kF32, 0), {i, j}); };
    Stmt init;
    if (decomposed_)
      init = Tile("init", false, {}, {}, [&](Expr i, Expr j) { return std::pair(Stmt(), zero(i, j)); });
    auto update = [&](Expr i, Expr j) {
      Stmt body = MakeStore(acc_, acc_({i, j}) + mid_({i + vr, j + vs}) * w_({vr, vs}), {i, j});
      return std::pair(decomposed_ ? Stmt() : zero(i, j), body);
    };
    const std::vector<IterVar> axes{{vr, {0, nr}, IterKind::kReduce}, {vs, {0, ns}, IterKind::kReduce}};
    if (reduce_outside_) return MakeSeq({init, reduction_loops(Tile("update", false, axes, {r, s}, update))});
    return MakeSeq({init, Tile("update", false, axes, {r, s}, update, reduction_loops)});
  }

  Stmt Write() {
    return Tile("write", false, {}, {}, [&](Expr i, Expr j) {
      return std::pair(Stmt(), MakeStore(out_, Max(acc_({i, j}), MakeConst(kF32, 0)), {i, j}));
    });
  }

  Random random_;
  Dim dims_[2];
  ForKind halo_loop_[2], tile_loop_[2];
  bool register_acc_, register_mid_, decomposed_, reduce_outside_;
  Buffer a_, w_, out_, mid_, acc_;
};

NDArray ArrayFor(const Buffer& b) {
  std::vector<int64_t> shape;
  for (const Expr& e : b.shape()) shape.push_back(*AsInt(e));
  return NDArray::Zeros(b.dtype(), shape);
}

/// Runs the launches one after the other.
void RunKernels(const PrimFunc& scheduled, const LoweredKernels& lowered, std::vector<NDArray>& arrays) {
  std::unordered_map<Buffer, NDArray> memory;
  for (size_t i = 0; i < arrays.size(); ++i) memory[scheduled->buffers[i]] = arrays[i];
  for (const Buffer& b : lowered.workspaces) memory[b] = ArrayFor(b);
  for (const KernelLaunch& launch : lowered.launches) {
    std::vector<NDArray> args;
    for (const Buffer& b : launch.args) args.push_back(memory.at(b));
    InterpretOptions options;
    options.independent_order = InterpretOptions::Order::kShuffled;
    options.outputs_start_undefined = false;
    Interpret(launch.kernel, args, {}, options);
  }
}

/// No findings of the stage's verifier.
void ExpectVerified(const std::vector<Diagnostic>& findings, const PrimFunc& f) {
  for (const Diagnostic& d : findings) ADD_FAILURE() << d.id << ": " << d.message << "\n" << ToString(f);
}

/// Small integers, so that contraction and order of sums do not matter.
NDArray Filled(const Buffer& b, unsigned seed) {
  NDArray array = ArrayFor(b);
  for (int64_t i = 0; i < array.size(); ++i) array.SetInt(i, (i * 7 + int64_t(seed)) % 11 - 5);
  return array;
}

/// Lowers, verifies and runs the program of a seed.
void Check(unsigned seed) {
  SCOPED_TRACE(seed);
  PrimFunc f = Program(seed).Build();
  ExpectVerified(VerifyScheduled(f), f);
  std::vector<NDArray> arrays, expected;
  for (const Buffer& b : f->buffers) arrays.push_back(Filled(b, seed));
  for (const NDArray& a : arrays) expected.push_back(a.Copy());
  Target target;
  target.vector_bytes = int(16 << (seed % 3));
  target.has_fma = seed % 2 == 0;
  try {
    Interpret(f, expected);
    LoweredKernels lowered = LowerPrimFunc(f, target);
    for (const KernelLaunch& launch : lowered.launches) {
      ExpectVerified(VerifyLowered(launch.kernel), launch.kernel);
    }
    RunKernels(f, lowered, arrays);
    if (arrays.back() == expected.back()) return;
    ADD_FAILURE() << ToString(f) << "became\n"
                  << ToString(lowered.launches[0].kernel) << arrays.back().ToString(400) << "\nexpected "
                  << expected.back().ToString(400);
  } catch (const std::exception& e) {
    ADD_FAILURE() << e.what() << "\n" << ToString(f);
  }
}

class LoweringProperty : public ::testing::TestWithParam<int> {};

TEST_P(LoweringProperty, KernelsComputeWhatTheScheduleSays) {
  const unsigned cases = unsigned(testing::FuzzCases(25));
  for (unsigned i = 0; i < cases && !HasFailure(); ++i) Check(unsigned(GetParam()) * cases + i);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LoweringProperty, ::testing::Range(0, 16));

}  // namespace
}  // namespace tilewright
