// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/split_launches.h"

#include <algorithm>
#include <unordered_set>

#include "tilewright/tir/lower/threads.h"

namespace tilewright {

namespace {

/// The buffers that a statement touches, in order of first use.
struct Uses {
  std::vector<Buffer> all;
  std::unordered_set<Buffer> seen, written, inside;

  explicit Uses(const Stmt& s) {
    auto use = [&](const Buffer& b) {
      if (seen.insert(b).second) all.push_back(b);
    };
    PreOrder(s, [&](const Stmt& x) {
      if (auto* alloc = x.As<AllocateNode>()) inside.insert(alloc->buffer);
      if (auto* store = x.As<StoreNode>()) use(store->buffer), written.insert(store->buffer);
      return true;
    });
    PreOrderExprs(s, [&](const Expr& e) {
      if (auto* load = e.As<LoadNode>()) use(load->buffer);
    });
  }
};

/// Who runs a part, and how.
enum class UnitKind : uint8_t { kSerial, kParallel, kDevice };

/// A part of the top-level sequence.
struct Unit {
  Stmt body;
  UnitKind kind;
};

class Splitter {
 public:
  explicit Splitter(const PrimFunc& f) : f_(f) { Collect(f->body); }

  LoweredKernels Run() {
    MergeAdjacent();
    MergeRegisterUsers();
    std::vector<Uses> uses;
    for (const Unit& u : units_) uses.emplace_back(u.body);
    for (const Buffer& b : allocs_) PlaceAlloc(b, uses);
    for (size_t i = 0; i < units_.size(); ++i) result_.launches.push_back(MakeLaunch(i));
    return std::move(result_);
  }

 private:
  void Collect(const Stmt& s) {
    if (auto* alloc = s.As<AllocateNode>()) {
      allocs_.push_back(alloc->buffer);
      Collect(alloc->body);
    } else if (auto* seq = s.As<SeqNode>()) {
      for (const Stmt& child : seq->stmts) Collect(child);
    } else {
      units_.push_back({s, KindOf(s)});
    }
  }

  static UnitKind KindOf(const Stmt& s) {
    auto* loop = s.As<ForNode>();
    if (loop && IsThread(*loop)) return UnitKind::kDevice;
    if (HoldsThreads(s)) {
      throw Error(
          "TW1305", "a loop is bound to hardware threads below what the host runs", ToString(s),
          {"bind the outermost loops of the nest; what the device has of its own is allocated inside"});
    }
    return loop && loop->for_kind == ForKind::kParallel ? UnitKind::kParallel : UnitKind::kSerial;
  }

  void Merge(size_t first, size_t last) {
    if (first == last) return;
    std::vector<Stmt> bodies;
    for (size_t i = first; i <= last; ++i) bodies.push_back(units_[i].body);
    units_[first] = {MakeSeq(std::move(bodies)), UnitKind::kSerial};
    units_.erase(units_.begin() + std::ptrdiff_t(first) + 1, units_.begin() + std::ptrdiff_t(last) + 1);
  }

  void MergeAdjacent() {
    for (size_t i = 0; i + 1 < units_.size();) {
      if (units_[i].kind != UnitKind::kSerial || units_[i + 1].kind != UnitKind::kSerial) {
        ++i;
      } else {
        Merge(i, i + 1);
      }
    }
  }

  /// A register buffer cannot outlive a kernel: all that lies between its first and last use is one launch.
  void MergeRegisterUsers() {
    for (const Buffer& b : allocs_) {
      if (b.scope() != "register") continue;
      size_t first = units_.size(), last = 0;
      for (size_t i = 0; i < units_.size(); ++i) {
        if (!Uses(units_[i].body).seen.contains(b)) continue;
        first = std::min(first, i);
        last = i;
      }
      if (first < last) Merge(first, last);
    }
  }

  void PlaceAlloc(const Buffer& b, const std::vector<Uses>& uses) {
    std::vector<size_t> users;
    for (size_t i = 0; i < uses.size(); ++i) {
      if (uses[i].seen.contains(b)) users.push_back(i);
    }
    if (users.empty()) return;
    const bool device =
        std::ranges::any_of(users, [&](size_t i) { return units_[i].kind == UnitKind::kDevice; });
    if (!device && users.size() == 1 &&
        (units_[users[0]].kind == UnitKind::kSerial || b.scope() == "register")) {
      Unit& u = units_[users[0]];
      u = {MakeAllocate(b, u.body), UnitKind::kSerial};
    } else {
      result_.workspaces.push_back(b);
    }
  }

  KernelLaunch MakeLaunch(size_t i) {
    const Unit& unit = units_[i];
    KernelLaunch launch;
    PrimFuncNode kernel = *f_;
    kernel.name = units_.size() == 1 ? f_.name() : f_.name() + "_" + std::to_string(i);
    kernel.stage = TirStage::kLowered;
    launch.num_chunks = 1;
    Stmt body = Serialize(unit.body);
    if (unit.kind == UnitKind::kDevice) {
      launch.threads = ThreadsOf(body);
      for (const KernelLaunch::Threads& t : launch.threads) kernel.attrs[t.tag] = t.extent;
    }
    if (unit.kind == UnitKind::kParallel) {
      auto* loop = body.As<ForNode>();
      launch.num_chunks = loop->extent;
      Stmt inner = loop->body;
      if (!IsInt(loop->min, 0)) inner = Substitute(inner, {{loop->var, loop->var + loop->min}});
      body = MakeFor(loop->var, 0, loop->extent, ForKind::kParallel, inner, loop->annotations);
    }
    Uses uses(body);
    kernel.body = body;
    for (bool written : {false, true}) {
      for (const Buffer& b : uses.all) {
        if (!uses.inside.contains(b) && uses.written.contains(b) == written) launch.args.push_back(b);
      }
    }
    kernel.buffers = launch.args;
    kernel.num_outputs =
        int(std::ranges::count_if(launch.args, [&](const Buffer& b) { return uses.written.contains(b); }));
    launch.kernel = PrimFunc(std::move(kernel));
    return launch;
  }

  /// Parallel loops become serial, but for the statement itself.
  static Stmt Serialize(const Stmt& top) {
    return PostOrderRewrite(top, [&](const Stmt& s) -> Stmt {
      auto* loop = s.As<ForNode>();
      if (!loop) return s;
      auto* outer = top.As<ForNode>();
      if (loop->for_kind != ForKind::kParallel || (outer && outer->var == loop->var)) return s;
      return MakeFor(loop->var, loop->min, loop->extent, ForKind::kSerial, loop->body, loop->annotations);
    });
  }

  const PrimFunc& f_;
  std::vector<Buffer> allocs_;
  std::vector<Unit> units_;
  LoweredKernels result_;
};

}  // namespace

std::vector<KernelLaunch::Threads> ThreadsOf(Stmt kernel) {
  std::vector<KernelLaunch::Threads> threads;
  while (true) {
    if (auto* alloc = kernel.As<AllocateNode>()) {
      kernel = alloc->body;
      continue;
    }
    auto* loop = kernel.As<ForNode>();
    if (!loop || !IsThread(*loop)) return threads;
    threads.push_back({loop->thread_tag, loop->extent});
    kernel = loop->body;
  }
}

LoweredKernels SplitLaunches(const PrimFunc& f) { return Splitter(f).Run(); }

}  // namespace tilewright
