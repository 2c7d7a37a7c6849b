// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/activity.h"

namespace tilewright {

Activity::Activity(const GraphFunction& f, const std::vector<Value>& sources,
                   const std::vector<Value>& targets) {
  for (const Value& v : sources) Vary(v);
  MarkVaried(f->body);
  for (const Value& v : targets) Use(v);
  MarkUseful(f->body);
}

bool Activity::Vary(const Value& v) {
  const TensorType* t = v->type.tensor();
  const bool fresh = t && t->dtype.is_float() && varied_.insert(v.get()).second;
  changed_ |= fresh;
  return fresh;
}

bool Activity::Use(const Value& v) {
  const bool fresh = useful_.insert(v.get()).second;
  changed_ |= fresh;
  return fresh;
}

void Activity::Repeat(const std::function<void()>& round) {
  bool changed = changed_;
  do {
    changed_ = false;
    round();
    changed |= changed_;
  } while (changed_);
  changed_ = changed;
}

void Activity::MarkVaried(const GraphBlock& block) {
  for (const Binding& b : block.bindings) MarkVaried(b);
}

void Activity::MarkVaried(const Binding& b) {
  auto follow = [&](const Value& from, const Value& to) {
    if (varied_.contains(from.get())) Vary(to);
  };
  if (auto* branch = b.operation.As<GraphIfNode>()) {
    for (const GraphBlock* block : {&branch->then_block, &branch->else_block}) {
      MarkVaried(*block);
      for (size_t i = 0; i < b.results.size(); ++i) follow(block->results[i], b.results[i]);
    }
    return;
  }
  if (auto* loop = b.operation.As<GraphLoopNode>()) {
    const std::vector<Value>&params = loop->body.params, &next = loop->body.results;
    for (size_t c = 0; c < loop->carried.size(); ++c) follow(loop->carried[c], params[c + 2]);
    // What one iteration makes of a carried value, the next one starts with.
    Repeat([&] {
      MarkVaried(loop->body);
      for (size_t c = 0; c < loop->carried.size(); ++c) follow(next[c + 1], params[c + 2]);
    });
    for (size_t c = 0; c < loop->carried.size(); ++c) follow(params[c + 2], b.results[c]);
    for (size_t i = 0; i < b.results.size(); ++i) follow(next[i + 1], b.results[i]);
    return;
  }
  for (const Value& v : UsedValues(b.operation)) {
    for (const Value& r : b.results) follow(v, r);
  }
}

void Activity::MarkUseful(const GraphBlock& block) {
  for (auto b = block.bindings.rbegin(); b != block.bindings.rend(); ++b) MarkUseful(*b);
}

void Activity::MarkUseful(const Binding& b) {
  auto follow = [&](const Value& from, const Value& to) {
    if (useful_.contains(from.get())) Use(to);
  };
  if (auto* branch = b.operation.As<GraphIfNode>()) {
    for (const GraphBlock* block : {&branch->then_block, &branch->else_block}) {
      for (size_t i = 0; i < b.results.size(); ++i) follow(b.results[i], block->results[i]);
      MarkUseful(*block);
    }
    return;
  }
  if (auto* loop = b.operation.As<GraphLoopNode>()) {
    const std::vector<Value>&params = loop->body.params, &next = loop->body.results;
    for (size_t i = 0; i < b.results.size(); ++i) follow(b.results[i], next[i + 1]);
    Repeat([&] {
      for (size_t c = 0; c < loop->carried.size(); ++c) follow(params[c + 2], next[c + 1]);
      MarkUseful(loop->body);
    });
    for (size_t c = 0; c < loop->carried.size(); ++c) {
      follow(b.results[c], params[c + 2]);  // it is the result of no iteration at all
      follow(params[c + 2], loop->carried[c]);
    }
    return;
  }
  for (const Value& r : b.results) {
    if (!useful_.contains(r.get())) continue;
    for (const Value& v : UsedValues(b.operation)) Use(v);
  }
}

}  // namespace tilewright
