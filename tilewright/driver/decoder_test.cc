// SPDX-License-Identifier: Apache-2.0
// A small transformer decoder whose cache of keys and values is explicit state: inputs that give their memory
// to outputs. Its steps allocate nothing and copy nothing, and give what one pass over all tokens gives.
#include <gtest/gtest.h>

#include "tilewright/driver/evaluate.h"
#include "tilewright/driver/test_main_module.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/op/test_op_case.h"
#include "tilewright/runtime/context.h"
#include "tilewright/runtime/test_counting.h"
#include "tilewright/target/test_target.h"

namespace tilewright {
namespace {

using Values = std::vector<Value>;
constexpr int64_t kSteps = 256, kWords = 48, kWidth = 32, kHeads = 2, kHead = 16, kBlocks = 2;

Value Call(GraphBuilder& g, const std::string& op, Values args, const Annotations& attrs = {}) {
  return g.Call(op, std::move(args), OpRegistry::Get(op)->attrs.from_map(attrs), op).front();
}
Value Reshape(GraphBuilder& g, const Value& x, std::vector<Expr> shape) {
  return Call(g, "Reshape", {x}, {{"shape", std::move(shape)}});
}

/// The decoder over `rows` tokens at once: one of them with caches, or all without.
class Decoder {
 public:
  explicit Decoder(bool cached) : cached_(cached), rows_(cached ? 1 : kSteps) {
    params_ = {TestValue("token", kI64, {Expr(rows_)})};
    if (cached) params_.push_back(TestValue("position", kI64, {Expr(1)}));
  }

  IRModule Build() {
    std::vector<double> counted(kSteps);
    for (int64_t i = 0; i < kSteps; ++i) counted[size_t(i)] = double(i);
    places_ = g_.Constant(NDArray::FromDoubles(kI64, {1, kSteps}, counted));
    here_ = cached_ ? Reshape(g_, params_[1], {1, 1})
                    : g_.Constant(NDArray::FromDoubles(kI64, {kSteps, 1}, counted));
    Value x = Call(g_, "Gather", {Weight({kWords, kWidth}, 1.0), params_[0]}, {{"axis", int64_t{0}}});
    for (int64_t b = 0; b < kBlocks; ++b) x = Block(x);
    results_.insert(results_.begin(), Call(g_, "MatMul", {Normal(x), Weight({kWidth, kWords}, 0.2)}));
    return MainModule(params_, g_, results_);
  }

 private:
  Value Weight(std::vector<int64_t> shape, double size) {
    return g_.Constant(MakeInput({kF32, std::move(shape), -size, size}, ++seed_));
  }
  Value Normal(const Value& x) { return Call(g_, "RMSNormalization", {x}); }
  /// [rows, width] to [heads, rows, head].
  Value Split(const Value& x) {
    const Value apart = Reshape(g_, x, {rows_, kHeads, kHead});
    return Call(g_, "Transpose", {apart}, {{"perm", std::vector<int64_t>{1, 0, 2}}});
  }

  /// The rows so far of what attention reads: the cache with the present row written at its position.
  Value Cached(const Value& row, const std::string& name) {
    if (!cached_) return row;
    const Value cache = TestValue(name, kF32, {kHeads, kSteps, kHead});
    params_.push_back(cache);
    const Value heads = g_.Constant(NDArray::FromDoubles(kI64, {kHeads, 1, 1}, std::vector<double>{0, 1}));
    const Value place = Call(g_, "Expand", {here_}, {{"shape", std::vector<Expr>{kHeads, 1, 1}}});
    const Value index = Call(g_, "Concat", {heads, place}, {{"axis", int64_t{2}}});
    results_.push_back(Call(g_, "ScatterND", {cache, index, row}));
    return results_.back();
  }

  Value Block(const Value& x) {
    const Value n = Normal(x);
    auto project = [&] { return Split(Call(g_, "MatMul", {n, Weight({kWidth, kWidth}, 0.3)})); };
    const Value query = project(), keys = project(), values = project();
    const std::string number = std::to_string(params_.size());
    const Value k = Cached(keys, "keys" + number), v = Cached(values, "values" + number);
    const Value raw = Call(g_, "MatMul", {query, k}, {{"transpose_b", true}});
    const Value past = Call(g_, "LessEqual", {places_, here_});
    const Value low = g_.Constant(NDArray::FromDoubles(kF32, {}, std::vector<double>{-1e30}));
    const Value shares = Call(g_, "Softmax", {Call(g_, "Where", {past, raw, low})});
    const Value read = Call(g_, "MatMul", {shares, v});
    const Value joined = Reshape(g_, Call(g_, "Transpose", {read}, {{"perm", std::vector<int64_t>{1, 0, 2}}}),
                                 {rows_, kWidth});
    const Value y = Call(g_, "Add", {x, Call(g_, "MatMul", {joined, Weight({kWidth, kWidth}, 0.3)})});
    const Value wide = Call(g_, "Gelu", {Call(g_, "MatMul", {Normal(y), Weight({kWidth, 64}, 0.3)})});
    return Call(g_, "Add", {y, Call(g_, "MatMul", {wide, Weight({64, kWidth}, 0.2)})});
  }

  const bool cached_;
  const int64_t rows_;
  GraphBuilder g_;
  Values params_, results_;
  Value places_, here_;
  uint64_t seed_ = 0;
};

CompileOptions Options() {
  CompileOptions options;
  options.target = TestTarget();
  return options;
}

std::vector<int64_t> Tokens() {
  std::vector<int64_t> tokens;
  for (int64_t i = 0; i < kSteps; ++i) tokens.push_back((i * i * 7 + i * 3 + 5) % kWords);
  return tokens;
}

void ClearCaches(runtime::Context& context) {
  for (size_t i = 2; i < 2 + 2 * kBlocks; ++i) {
    const runtime::TensorView cache = context.InputBuffer(i);
    std::memset(cache.data, 0, cache.bytes);
  }
}

/// One step; the logits.
const float* Step(runtime::Context& context, int64_t token, int64_t position) {
  context.SetInput(0, &token, sizeof token);
  context.SetInput(1, &position, sizeof position);
  context.Run();
  return static_cast<const float*>(context.Output(0).data);
}

TEST(Decoder, KeepsItsCacheInPlaceOver256Steps) {
  CompileOptions options = Options();
  const IRModule module = Decoder(true).Build();
  const GraphFunction f = GetGraphFunction(module);
  for (size_t i = 0; i < 2 * kBlocks; ++i)
    options.donate.emplace_back(f->params[i + 2]->origin, f->result_names[i + 1]);
  const CompiledModel model = CompileModel(module, {}, options);
  for (const runtime::Instruction& i : model.program.instructions)
    EXPECT_FALSE(std::holds_alternative<runtime::CopyOp>(i.op)) << i.name;

  const std::vector<int64_t> tokens = Tokens();
  const std::vector<NDArray> whole =
      RunModule(LoadInProcess(CompileModel(Decoder(false).Build(), {}, Options())),
                {NDArray::FromInts(kI64, {kSteps}, tokens)});

  auto loaded = LoadInProcess(model);
  runtime::Context context(loaded, {.num_threads = 2});
  ClearCaches(context);
  context.InputBuffer(0);
  context.InputBuffer(1);
  const void* cache = context.InputBuffer(2).data;
  std::vector<float> logits(size_t(kSteps * kWords));
  {
    runtime::Counting now;
    for (int64_t t = 0; t < kSteps; ++t)
      std::memcpy(&logits[size_t(t * kWords)], Step(context, tokens[size_t(t)], t), kWords * sizeof(float));
  }
  if (TW_CAN_COUNT) {
    EXPECT_EQ(allocations, 0);
    EXPECT_EQ(locks, 0);
  }
  EXPECT_EQ(context.Output(1).data, cache);
  double spread = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    ASSERT_NEAR(logits[i], whole[0].AsDouble(int64_t(i)), 1e-4) << "token " << i / kWords;
    spread = std::max(spread, std::abs(double(logits[i]) - logits[i % kWords]));
  }
  EXPECT_GT(spread, 0.5);  // the tokens before do matter

  // From scratch, and in another context, every bit is the same.
  ClearCaches(context);
  runtime::Context other(loaded, {.num_threads = 1});
  ClearCaches(other);
  for (int64_t t = 0; t < 40; ++t) {
    for (runtime::Context* c : {&context, &other}) {
      const float* again = Step(*c, tokens[size_t(t)], t);
      ASSERT_EQ(std::memcmp(again, &logits[size_t(t * kWords)], kWords * sizeof(float)), 0) << "token " << t;
    }
  }
}

}  // namespace
}  // namespace tilewright
