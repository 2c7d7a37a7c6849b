// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/added_constants.h"

#include <unordered_map>
#include <unordered_set>

namespace tilewright {

namespace {

/// The stages behind a lowering's results, by the buffers that they read.
class Stages {
 public:
  explicit Stages(std::unordered_set<Buffer> constants) : constants_(std::move(constants)) {}

  /// Notes what the stages read that make this tensor of more than constants.
  void Visit(const te::Tensor& t) {
    if (!t.stage() || !visited_.insert(t.stage().get()).second || Known(t)) return;
    for (const Buffer& b : Reads(*t.stage())) {
      if (Known(te::Tensor(b))) needed_.insert(b);
      Visit(te::Tensor(b));
    }
  }
  /// Constants, and what they are replaced by, in bytes: what is needed, less what no longer is.
  int64_t AddedBytes() const {
    int64_t bytes = 0;
    for (const Buffer& b : needed_) bytes += constants_.contains(b) ? 0 : BytesOf(b);
    for (const Buffer& b : constants_) bytes -= needed_.contains(b) ? 0 : BytesOf(b);
    return bytes;
  }

 private:
  /// Whether it is a constant, or made of constants alone.
  bool Known(const te::Tensor& t) {
    if (!t.stage()) return constants_.contains(t.buffer());
    const auto it = known_.find(t.stage().get());
    if (it != known_.end()) return it->second;
    const std::vector<Buffer> reads = Reads(*t.stage());
    bool known = !reads.empty();
    for (const Buffer& b : reads) known = known && Known(te::Tensor(b));
    return known_[t.stage().get()] = known;
  }

  static std::vector<Buffer> Reads(const te::Stage& stage) {
    std::vector<Buffer> reads = stage.custom_inputs;
    auto scan = [&](const Expr& e) {
      if (!e) return;
      PreOrder(e, [&](const Expr& x) {
        if (auto* load = x.As<LoadNode>()) reads.push_back(load->buffer);
        return true;
      });
    };
    if (!stage.custom) {
      for (const Expr& source : stage.body.sources) scan(source);
      scan(stage.body.condition);
    }
    return reads;
  }

  static int64_t BytesOf(const Buffer& buffer) {
    int64_t n = buffer.dtype().element_bytes();
    for (const Expr& extent : buffer.shape()) n *= AsInt(extent).value_or(0);
    return n;
  }

  std::unordered_set<Buffer> constants_, needed_;
  std::unordered_set<const te::Stage*> visited_;
  std::unordered_map<const te::Stage*, bool> known_;
};

}  // namespace

int64_t AddedConstantBytes(const OpCallNode& call, const Value& result, const Candidate& candidate,
                           const std::vector<bool>& constant) {
  std::vector<te::Tensor> args;
  std::vector<TensorType> types;
  std::unordered_set<Buffer> constants;
  for (size_t i = 0; i < call.args.size(); ++i) {
    const Value& v = call.args[i];
    args.emplace_back();
    types.emplace_back();
    if (!v) continue;
    types.back() = v.tensor();
    types.back().layout = i < candidate.arg_layouts.size() ? candidate.arg_layouts[i] : Layout();
    args.back() = te::Placeholder(v.name(), types.back().dtype, types.back().PhysicalShape());
    if (constant[i]) constants.insert(args.back().buffer());
  }
  TensorType type = result.tensor();
  type.layout = candidate.result_layout;
  LowerContext context(args, types, {type}, candidate.attrs, "candidate");
  Stages stages(std::move(constants));
  for (const te::Tensor& t : candidate.op->lower(context)) stages.Visit(t);
  return stages.AddedBytes();
}

}  // namespace tilewright
