// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/prepare_constants.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "tilewright/codegen/llvm/jit.h"
#include "tilewright/runtime/byte_io.h"
#include "tilewright/runtime/checksum.h"
#include "tilewright/runtime/kernel_abi.h"
#include "tilewright/schedule/rules/rules.h"
#include "tilewright/tir/parser.h"

namespace tilewright {

namespace {

/// One call of compiled code.
struct PrepareCall {
  std::string symbol;
  std::vector<bool> written;  ///< per buffer: the destination, else the source
  int64_t chunks = 1;
};

/// A compiled prepare function.
struct PrepareCode {
  std::string text;  ///< of the function, under a name of its own
  std::vector<PrepareCall> calls;
  ObjectCode object;
};

void Compile(PrepareCode& code, const Target& host) {
  PrimFunc f = ParsePrimFunc(code.text);
  Schedule schedule(f);
  ApplyRules(schedule, {host, std::vector<bool>(f->buffers.size(), false)});
  const LoweredKernels lowered = LowerPrimFunc(schedule.func(), host);
  TW_CHECK(lowered.workspaces.empty(), "prepare function {} needs a workspace", f.name());
  std::vector<PrimFunc> kernels;
  for (const KernelLaunch& launch : lowered.launches) {
    TW_CHECK(!launch.workspace_bytes, "prepare function {} needs private memory", f.name());
    PrepareCall call{launch.kernel.name(), {}, AsInt(launch.num_chunks).value()};
    for (size_t i = 0; i < launch.args.size(); ++i)
      call.written.push_back(i + size_t(launch.kernel->num_outputs) >= launch.args.size());
    code.calls.push_back(std::move(call));
    kernels.push_back(launch.kernel);
  }
  code.object = CompileKernels(kernels, host);
}

std::string Encode(const PrepareCode& code) {
  runtime::ByteWriter out;
  out.PutCount(code.calls.size());
  for (const PrepareCall& call : code.calls) {
    out.PutString(call.symbol);
    out.Put(call.chunks);
    out.PutCount(call.written.size());
    for (bool written : call.written) out.Put(uint8_t(written));
  }
  out.PutString(code.object.bytes);
  return std::string(reinterpret_cast<const char*>(out.bytes().data()), out.size());
}

/// False, with the code unchanged, when the bytes are not of a prepare function.
bool Decode(const std::string& bytes, PrepareCode& code) {
  PrepareCode decoded{code.text, {}, {}};
  try {
    runtime::ByteReader in(std::as_bytes(std::span(bytes)), "cached kernel");
    for (size_t n = in.GetCount(16); n > 0; --n) {
      PrepareCall call{in.GetString(), {}, in.Get<int64_t>()};
      for (size_t k = in.GetCount(1); k > 0; --k) call.written.push_back(in.Get<uint8_t>() != 0);
      decoded.object.symbols.push_back(call.symbol);
      decoded.calls.push_back(std::move(call));
    }
    decoded.object.bytes = in.GetString();
    in.ExpectEnd();
  } catch (const runtime::RuntimeError&) {
    return false;
  }
  code = std::move(decoded);
  return true;
}

/// The distinct prepare functions, compiled; many layers share one.
class PrepareSet {
 public:
  PrepareSet(const std::vector<PreparedConstant>& constants, int threads, const KernelCache* cache) {
    for (const PreparedConstant& c : constants) {
      if (c.prepare) Add(c.prepare);
    }
    // Preparation happens here and now, so its code is for this machine, whatever the model is compiled for.
    const Target host = Target::Host();
    ParallelFor(codes_.size(), threads, [&](size_t i) {
      const std::string key = "prepare " + host.ToString() + "\n" + codes_[i].text;
      if (const auto known = cache ? cache->Load(key) : std::nullopt; known && Decode(*known, codes_[i]))
        return;
      Compile(codes_[i], host);
      if (cache) cache->Store(key, Encode(codes_[i]));
    });
    std::vector<ObjectCode> objects;
    for (const PrepareCode& code : codes_) objects.push_back(code.object);
    if (!objects.empty()) module_ = JitModule::Load(objects);
  }

  /// Runs all calls of a prepare function from `source` into `destination`.
  void Run(const PrimFunc& prepare, const void* source, void* destination) const {
    for (const PrepareCall& call : codes_[index_.at(prepare.get())].calls) {
      std::vector<void*> buffers;
      for (bool written : call.written) buffers.push_back(written ? destination : const_cast<void*>(source));
      auto function = reinterpret_cast<tw_kernel>(module_->Find(call.symbol));
      function(buffers.data(), nullptr, 0, call.chunks, nullptr);
    }
  }

 private:
  void Add(const PrimFunc& prepare) {
    auto [it, fresh] = index_.try_emplace(prepare.get(), codes_.size());
    if (!fresh) return;
    PrimFuncNode named = *prepare;
    named.name = "prepare";
    std::string text = ToString(PrimFunc(named));
    const auto [same, is_new] = by_text_.try_emplace(text, codes_.size());
    it->second = same->second;
    if (!is_new) return;
    named.name = fmt::format("prepare_{:016x}", runtime::ComputeChecksum(std::as_bytes(std::span(text))));
    codes_.push_back({ToString(PrimFunc(std::move(named))), {}, {}});
  }

  std::vector<PrepareCode> codes_;
  std::unordered_map<std::string, size_t> by_text_;
  std::unordered_map<const PrimFuncNode*, size_t> index_;
  std::optional<JitModule> module_;
};

/// Memory that threads use one after the other: fresh memory for each large weight would cost as much as what
/// is done with it.
class Scratch {
 public:
  /// A copy of the array in memory of ours.
  NDArray CopyOf(const NDArray& source) {
    NDArray memory;
    {
      std::lock_guard lock(mutex_);
      auto fits = [&](const NDArray& m) { return m.bytes() >= source.bytes(); };
      if (auto it = std::ranges::find_if(free_, fits); it != free_.end()) {
        memory = std::move(*it);
        free_.erase(it);
      }
    }
    if (!memory) memory = NDArray::Empty(kU8, {source.bytes()});
    std::memcpy(memory.mutable_data(), source.data(), size_t(source.bytes()));
    return memory;
  }
  void Return(NDArray memory) {
    std::lock_guard lock(mutex_);
    free_.push_back(std::move(memory));
  }

 private:
  std::mutex mutex_;
  std::vector<NDArray> free_;
};

/// A part of a constant that a thread makes at once: bytes of one that is copied, all of another.
struct Part {
  size_t constant;
  int64_t begin, end;
};

std::vector<Part> PartsOf(const std::vector<PreparedConstant>& constants) {
  constexpr int64_t kCopied = int64_t(4) << 20;
  std::vector<Part> parts;
  for (size_t i = 0; i < constants.size(); ++i) {
    const int64_t bytes = constants[i].bytes, step = constants[i].prepare ? bytes : kCopied;
    int64_t begin = 0;
    for (; bytes - begin > step; begin += step) parts.push_back({i, begin, begin + step});
    parts.push_back({i, begin, bytes});
  }
  return parts;
}

}  // namespace

NDArray PrepareConstants(const std::vector<PreparedConstant>& constants, int64_t parameter_bytes, int threads,
                         const KernelCache* cache) {
  const PrepareSet prepares(constants, threads, cache);
  NDArray blob = NDArray::Empty(kU8, {parameter_bytes});
  char* base = static_cast<char*>(blob.mutable_data());
  const std::vector<Part> parts = PartsOf(constants);
  Scratch scratch;
  ParallelFor(parts.size(), threads, [&](size_t k) {
    const Part& part = parts[k];
    const size_t i = part.constant;
    const PreparedConstant& c = constants[i];
    if (c.prepare) {
      // Kernels rely on the alignment of memory of ours; data in a model file have what the file gives.
      const bool aligned = reinterpret_cast<uintptr_t>(c.source.data()) % TW_MEMORY_ALIGNMENT == 0;
      const NDArray source = aligned ? c.source : scratch.CopyOf(c.source);
      prepares.Run(c.prepare, source.data(), base + c.offset);
      if (!aligned) scratch.Return(source);
    } else {
      TW_CHECK(c.source.bytes() == c.bytes, "constant of {} bytes where {} are read", c.source.bytes(),
               c.bytes);
      std::memcpy(base + c.offset + part.begin, static_cast<const char*>(c.source.data()) + part.begin,
                  size_t(part.end - part.begin));
    }
    if (part.end < c.bytes) return;
    // The gap up to the next constant is part of the module and must not hold what memory held before.
    const int64_t end = i + 1 < constants.size() ? constants[i + 1].offset : parameter_bytes;
    std::memset(base + c.offset + c.bytes, 0, size_t(end - c.offset - c.bytes));
  });
  return blob;
}

}  // namespace tilewright
