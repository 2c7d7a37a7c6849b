// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/tensor_intrin.h"

#include <map>

#include "tilewright/schedule/unit_intrin.h"

namespace tilewright {

namespace {

PrimFunc MakeFunc(const std::string& name, const std::vector<Buffer>& buffers, Stmt body) {
  BlockNode root;
  root.name = "root";
  root.body = std::move(body);
  PrimFuncNode f;
  f.name = name;
  f.buffers = buffers;
  f.body = MakeBlock(std::move(root));
  return PrimFunc(std::move(f));
}

/// C[0] += A[0..4] * B[0..4]: four unsigned by signed bytes, accumulated in 32 bits (x86 VNNI, Arm dot
/// product).
TensorIntrinsic DotU8S8() {
  const std::string name = "dot_u8s8_i32";
  Buffer a("A", kU8, {4}), b("B", kI8, {4}), c("C", kI32, {1});
  Var loop("k"), k("k");
  BlockNode block;
  block.name = "dot";
  block.iter_vars = {{k, {Expr(0), Expr(4)}, IterKind::kReduce}};
  block.bindings = {loop};
  block.reads = {{c, {{Expr(0), Expr(1)}}}, {a, {{k, Expr(1)}}}, {b, {{k, Expr(1)}}}};
  block.writes = {{c, {{Expr(0), Expr(1)}}}};
  block.body = MakeStore(c, c({Expr(0)}) + MakeCast(kI32, a({k})) * MakeCast(kI32, b({k})), {Expr(0)});
  Stmt described = MakeFor(loop, Expr(0), Expr(4), ForKind::kSerial, MakeBlock(std::move(block)));

  const Expr lanes = MakeRamp(Expr(0), Expr(1), 4);
  Expr dot = MakeCall(kI32, Intrinsic::k_dot_u8s8_i32, {c({Expr(0)}), a({lanes}), b({lanes})});
  return {name, MakeFunc(name, {a, b, c}, described),
          MakeFunc(name, {a, b, c}, MakeStore(c, dot, {Expr(0)}))};
}

/// A dot product that instructions have for all lanes of a vector.
struct DotKind {
  const char* name;
  Intrinsic op;
  DataType a, b, sum;
  int ways;  ///< products that are added up at once
};

/// Bytes (x86 VNNI, Arm dot product) and bf16 (x86 AVX512-BF16, Arm BF16).
constexpr DotKind kDotKinds[] = {{"dot_u8s8_i32", Intrinsic::k_dot_u8s8_i32, kU8, kI8, kI32, 4},
                                 {"dot_bf16_f32", Intrinsic::k_dot_bf16_f32, kBF16, kBF16, kF32, 2}};

/// C[l] += A[0..n] * B[n l .. n l + n] for all lanes l, with one group of A for all lanes, as a step of a
/// matrix product takes it.
TensorIntrinsic DotByLanes(const DotKind& kind, int lanes) {
  const std::string name = fmt::format("{}x{}", kind.name, lanes);
  Buffer a("A", kind.a, {kind.ways}), b("B", kind.b, {kind.ways * lanes}), c("C", kind.sum, {lanes});
  Var lane_loop("l"), loop("k"), lane("l"), k("k");
  const Expr at_b = lane * kind.ways + k;
  BlockNode block;
  block.name = "dot";
  block.iter_vars = {{lane, {Expr(0), Expr(lanes)}, IterKind::kSpatial},
                     {k, {Expr(0), Expr(kind.ways)}, IterKind::kReduce}};
  block.bindings = {lane_loop, loop};
  block.reads = {{c, {{lane, Expr(1)}}}, {a, {{k, Expr(1)}}}, {b, {{at_b, Expr(1)}}}};
  block.writes = {{c, {{lane, Expr(1)}}}};
  block.body = MakeStore(c, c({lane}) + MakeCast(kind.sum, a({k})) * MakeCast(kind.sum, b({at_b})), {lane});
  Stmt described =
      MakeFor(lane_loop, Expr(0), Expr(lanes), ForKind::kSerial,
              MakeFor(loop, Expr(0), Expr(kind.ways), ForKind::kSerial, MakeBlock(std::move(block))));

  std::vector<int> repeated;
  for (int i = 0; i < kind.ways * lanes; ++i) repeated.push_back(i % kind.ways);
  const Expr all = MakeRamp(Expr(0), Expr(1), lanes);
  Expr group = MakeShuffle({a({MakeRamp(Expr(0), Expr(1), kind.ways)})}, repeated);
  Expr dot = MakeCall(kind.sum.WithLanes(lanes), kind.op,
                      {c({all}), group, b({MakeRamp(Expr(0), Expr(1), kind.ways * lanes)})});
  return {name, MakeFunc(name, {a, b, c}, described), MakeFunc(name, {a, b, c}, MakeStore(c, dot, {all}))};
}

/// Filled when the program starts, and by those who add intrinsics before they schedule.
std::map<std::string, TensorIntrinsic>& Registry() {
  static std::map<std::string, TensorIntrinsic> registry = [] {
    std::map<std::string, TensorIntrinsic> r;
    auto add = [&](TensorIntrinsic intrinsic) { r.emplace(intrinsic.name, intrinsic); };
    add(DotU8S8());
    // One for each width that registers of 128 to 512 bits have.
    for (const DotKind& kind : kDotKinds) {
      for (int lanes : {4, 8, 16}) add(DotByLanes(kind, lanes));
    }
    for (TensorIntrinsic& intrinsic : UnitIntrinsics()) add(std::move(intrinsic));
    return r;
  }();
  return registry;
}

}  // namespace

void RegisterTensorIntrinsic(TensorIntrinsic intrinsic) {
  const auto &a = intrinsic.description->buffers, &b = intrinsic.implementation->buffers;
  bool fit = a.size() == b.size();
  for (size_t i = 0; fit && i < a.size(); ++i) {
    fit = a[i].dtype() == b[i].dtype() && a[i].shape().size() == b[i].shape().size();
  }
  if (!fit) {
    throw Error(
        "TW1418",
        fmt::format("the description and the implementation of '{}' have different buffers", intrinsic.name),
        {}, {"both take the same buffers in the same order"});
  }
  const std::string name = intrinsic.name;
  if (!Registry().emplace(name, std::move(intrinsic)).second) {
    throw Error("TW1418", fmt::format("there is a tensor intrinsic '{}' already", name));
  }
}

const TensorIntrinsic* FindTensorIntrinsic(const std::string& name) {
  auto it = Registry().find(name);
  return it == Registry().end() ? nullptr : &it->second;
}

std::vector<std::string> TensorIntrinsicNames() {
  std::vector<std::string> names;
  for (const auto& [name, intrinsic] : Registry()) names.push_back(name);
  return names;
}

}  // namespace tilewright
