// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/bind_threads.h"

#include <algorithm>

#include "tilewright/support/error.h"
#include "tilewright/tir/lower/threads.h"

namespace tilewright {

namespace {

std::string FamilyNames(const DeviceModel& device) {
  std::string names;
  for (const ThreadFamily& f : device.threads) names += (names.empty() ? "" : ", ") + f.name;
  return names;
}

/// Whether the expression uses a variable, or what a let in `derived` made of it.
bool DependsOn(const Expr& e, const Var& var, const std::vector<Var>& derived) {
  if (UsesVar(e, var)) return true;
  return std::any_of(derived.begin(), derived.end(), [&](const Var& v) { return UsesVar(e, v); });
}

class Binder {
 public:
  explicit Binder(const Target& target) : target_(target), device_(DeviceModelOf(target)) {}

  Stmt Rewrite(const Stmt& s) {
    auto* loop = s.As<ForNode>();
    if (loop && IsThread(*loop)) return RewriteThread(*loop);
    auto* alloc = s.As<AllocateNode>();
    if (alloc && !threads_.empty()) return RewriteAllocate(*alloc);
    if (alloc && device_.OwnerOf(alloc->buffer.scope()) >= 0) {
      throw Error("TW1307",
                  fmt::format("{} is in scope {}, but used outside of the threads that have such memory",
                              alloc->buffer.name(), alloc->buffer.scope()),
                  "", {"compute all that uses it inside of one nest of bound loops"});
    }
    const size_t controls = controls_.size(), lets = lets_.size();
    if (loop) controls_.push_back(loop->min), controls_.push_back(loop->extent);
    if (auto* branch = s.As<IfNode>()) controls_.push_back(branch->condition);
    if (auto* let = s.As<LetStmtNode>(); let && !threads_.empty()) lets_.push_back(let->var);
    Stmt result = MapChildren(s, [&](const Stmt& x) { return Rewrite(x); }, nullptr);
    controls_.resize(controls);
    lets_.resize(lets);
    return result;
  }

 private:
  struct Thread {
    const ForNode* loop;
    int family;
    size_t controls;  ///< how many of `controls_` stand outside of it
  };

  Stmt RewriteThread(const ForNode& loop) {
    const int family = device_.FamilyOf(loop.thread_tag);
    if (family < 0) {
      throw Error("TW1302",
                  fmt::format("loop {} is bound to {}, but the target {} has no such hardware threads",
                              loop.var.name(), loop.thread_tag, target_.name),
                  "",
                  {device_.threads.empty() ? std::string("use parallel, vectorize or unroll on this target")
                                           : "it has " + FamilyNames(device_)});
    }
    for (const Thread& t : threads_) {
      if (t.loop->thread_tag == loop.thread_tag) return Share(*t.loop, loop, t.controls, family);
    }
    if (!threads_.empty() && threads_.back().family > family) {
      throw Error("TW1305",
                  fmt::format("loop {} is bound to {} inside of a loop bound to {}", loop.var.name(),
                              loop.thread_tag, threads_.back().loop->thread_tag),
                  "", {"from the outermost, the target has " + FamilyNames(device_)});
    }
    threads_.push_back({&loop, family, controls_.size()});
    CheckCount(family);
    Stmt body = Rewrite(loop.body);
    threads_.pop_back();
    if (!body) return body;
    CheckDirect(loop, body);
    Stmt result = WithBody(loop, TakeHoisted(family, std::move(body)));
    return threads_.empty() ? TakeHoisted(-1, std::move(result)) : result;
  }

  /// What the threads of `outer` do of the loop `inner` together: each the iteration of its own number.
  Stmt Share(const ForNode& outer, const ForNode& inner, size_t controls, int family) {
    auto refuse = [&](const std::string& why) {
      throw Error("TW1306",
                  fmt::format("the threads of loop {} cannot share the iterations of loop {}, which is bound "
                              "to {} too: {}",
                              outer.var.name(), inner.var.name(), inner.thread_tag, why));
    };
    const auto have = AsInt(outer.extent), want = AsInt(inner.extent);
    if (!have || !want || *want > *have)
      refuse(fmt::format("there are {} threads for {}", ToString(outer.extent), ToString(inner.extent)));
    auto differs = [&](const Expr& e) { return DependsOn(e, outer.var, lets_); };
    for (size_t i = controls; i < controls_.size(); ++i) {
      if (differs(controls_[i])) refuse("not all of them come there");
    }
    std::unordered_set<Buffer> inside;
    PreOrder(inner.body, [&](const Stmt& s) {
      if (auto* alloc = s.As<AllocateNode>()) inside.insert(alloc->buffer);
      auto* store = s.As<StoreNode>();
      if (store && !inside.contains(store->buffer)) {
        const int owner = device_.OwnerOf(store->buffer.scope());
        if (owner < 0 || owner >= family) refuse(store->buffer.name() + " is no memory that just they share");
      }
      ForEachExpr(s, [&](const Expr& e) {
        if (differs(e)) refuse("what it does differs from thread to thread");
        PreOrder(e, [&](const Expr& x) {
          auto* load = x.As<LoadNode>();
          if (load && !inside.contains(load->buffer) && device_.OwnerOf(load->buffer.scope()) >= family)
            refuse(load->buffer.name() + " is another in each thread");
          return true;
        });
      });
      return true;
    });
    const Expr number = outer.var - outer.min;
    Stmt body = Rewrite(Substitute(inner.body, {{inner.var, number + inner.min}}));
    return *want < *have ? MakeIf(number < inner.extent, body) : body;
  }

  /// Loops over threads inside of others stand directly there, or below what they share.
  void CheckDirect(const ForNode& loop, const Stmt& body) const {
    Stmt s = body;
    while (auto* alloc = s.As<AllocateNode>()) s = alloc->body;
    auto* next = s.As<ForNode>();
    if ((next && IsThread(*next)) || !HoldsThreads(s)) return;
    throw Error("TW1305",
                fmt::format("between loop {}, which is bound to {}, and threads inside there are other "
                            "statements or loops",
                            loop.var.name(), loop.thread_tag),
                "", {"bind loops that are nested directly, and compute the rest inside of the innermost"});
  }

  void CheckCount(int family) const {
    const ThreadFamily& f = device_.threads[size_t(family)];
    if (f.max_threads == 0) return;
    int64_t count = 1;
    for (const Thread& t : threads_) {
      if (t.family != family) continue;
      const auto extent = AsInt(t.loop->extent);
      if (!extent)
        throw Error("TW1305", fmt::format("the number of threads of loop {} is {}, which is not constant",
                                          t.loop->var.name(), ToString(t.loop->extent)));
      count *= *extent;
    }
    if (count > f.max_threads) {
      throw Error("TW1305", fmt::format("{} threads in {}; the target {} has {}", count, f.name, target_.name,
                                        f.max_threads));
    }
  }

  Stmt RewriteAllocate(const AllocateNode& alloc) {
    const Buffer& b = alloc.buffer;
    const MemoryScope* scope = FindScope(target_, b.scope());
    if (!scope) {
      std::string known;
      for (const MemoryScope& s : target_.scopes) known += (known.empty() ? "" : ", ") + s.name;
      throw Error(
          "TW1307",
          fmt::format("{} is in scope {}, which the target {} has not", b.name(), b.scope(), target_.name),
          "", {"it has " + known});
    }
    Stmt body = Rewrite(alloc.body);
    const int owner = device_.OwnerOf(b.scope());
    const bool shared =
        std::any_of(threads_.begin(), threads_.end(), [&](const Thread& t) { return t.family > owner; });
    if (owner < 0 || !(shared || !device_.units.empty())) return MakeAllocate(b, body);
    for (const Expr& extent : b.shape()) {
      if (AsInt(extent)) continue;
      throw Error("TW1307", fmt::format("{} in scope {} has no constant size: {}", b.name(), b.scope(),
                                        ToString(extent)));
    }
    hoisted_.push_back({b, owner});
    return body;
  }

  /// Allocates around `body` what belongs to threads of this family, or to one further in; -1: all.
  Stmt TakeHoisted(int family, Stmt body) {
    for (size_t i = hoisted_.size(); i-- > 0;) {
      if (hoisted_[i].owner < family) continue;
      body = MakeAllocate(hoisted_[i].buffer, std::move(body));
      hoisted_.erase(hoisted_.begin() + std::ptrdiff_t(i));
    }
    return body;
  }

  struct Hoisted {
    Buffer buffer;
    int owner;
  };
  const Target& target_;
  const DeviceModel& device_;
  std::vector<Thread> threads_;  ///< around the statement
  std::vector<Expr> controls_;   ///< conditions and bounds of loops around the statement
  std::vector<Var> lets_;        ///< bound inside of threads
  std::vector<Hoisted> hoisted_;
};

/// Error unless what is allocated at the same time fits in each scope that belongs to threads.
class CapacityChecker {
 public:
  explicit CapacityChecker(const Target& target) : target_(target), device_(DeviceModelOf(target)) {}

  void Visit(const Stmt& s) {
    auto* alloc = s.As<AllocateNode>();
    if (alloc && device_.OwnerOf(alloc->buffer.scope()) >= 0) {
      live_.push_back(alloc->buffer);
      if (const MemoryScope* scope = FindScope(target_, alloc->buffer.scope())) Check(*scope);
      Visit(alloc->body);
      live_.pop_back();
      return;
    }
    ForEachChild(s, [&](const Stmt& child) { Visit(child); });
  }

 private:
  void Check(const MemoryScope& scope) const {
    if (scope.capacity_bytes == 0) return;
    int64_t total = 0;
    std::vector<std::string> parts;
    for (const Buffer& b : live_) {
      if (b.scope() != scope.name) continue;
      int64_t bytes = b.dtype().bytes();
      for (const Expr& extent : b.shape()) bytes *= AsInt(extent).value_or(1);
      bytes = (bytes + scope.alignment - 1) / scope.alignment * scope.alignment;
      total += bytes;
      parts.push_back(fmt::format("{}: {} bytes", b.name(), bytes));
    }
    if (total <= scope.capacity_bytes) return;
    throw Error("TW1308",
                fmt::format("the schedule needs {} bytes in scope {}, of which the target {} has {}", total,
                            scope.name, target_.name, scope.capacity_bytes),
                "", {fmt::format("{}", fmt::join(parts, ", ")), "use smaller tiles"});
  }

  const Target& target_;
  const DeviceModel& device_;
  std::vector<Buffer> live_;
};

}  // namespace

PrimFunc BindThreads(const PrimFunc& f, const Target& target) {
  if (!HoldsThreads(f->body)) return f;
  Stmt body = Binder(target).Rewrite(f->body);
  CapacityChecker(target).Visit(body);
  return f.WithBody(body);
}

}  // namespace tilewright
