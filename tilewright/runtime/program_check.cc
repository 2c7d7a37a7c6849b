// SPDX-License-Identifier: Apache-2.0
// ValidateProgram: what a program must satisfy before it runs. Windows whose place or size depends on symbols
// are checked when they are resolved (context.cc).
#include <algorithm>
#include <bit>

#include "tilewright/runtime/dtype.h"
#include "tilewright/runtime/kernel_abi.h"
#include "tilewright/runtime/program.h"
#include "tilewright/runtime/status.h"

namespace tilewright::runtime {
namespace {

class Validator {
 public:
  Validator(const Program& program, uint64_t parameter_bytes)
      : program_(program), parameter_bytes_(parameter_bytes) {}

  void Run() {
    CheckHeader();
    signalled_.assign(program_.num_events, false);
    taken_ = signalled_;
    for (size_t i = 0; i < program_.inputs.size(); ++i) CheckTensor("input", i, program_.inputs[i]);
    for (size_t i = 0; i < program_.outputs.size(); ++i) CheckTensor("output", i, program_.outputs[i]);
    for (size_t i = 0; i < program_.arenas.size(); ++i) CheckArena(i);
    for (size_t i = 0; i < program_.buffers.size(); ++i) CheckBuffer(i);
    CheckRange(0, program_.instructions.size(), {});
  }

  void operator()(const AllocOp& op) {
    Require(!range_.in_body, "sizes an arena in a loop's body");
    Require(op.arena < program_.arenas.size(), "names arena " + std::to_string(op.arena));
    Require(!program_.arenas[op.arena].bytes.is_constant(), "sizes an arena of constant size");
    Require(program_.arenas[op.arena].device == device_, "sizes an arena of another device");
  }
  void operator()(const CopyOp& op) {
    const Buffer& source = BufferAt(op.source);
    const Buffer& destination = BufferAt(op.destination);
    Require(destination.storage != Storage::kParameter, "writes to the parameters");
    if (source.bytes.is_constant() && destination.bytes.is_constant()) {
      Require(source.bytes.constant() == destination.bytes.constant(),
              "copies " + std::to_string(source.bytes.constant()) + " bytes to " +
                  std::to_string(destination.bytes.constant()));
    }
    const uint16_t from = DeviceOf(source), to = DeviceOf(destination);
    Require(from == device_ || to == device_,
            "copies between memories of which neither belongs to its device");
    Require(device_ != 0 || from == to, "copies to or from a device's memory, which is that device's work");
    Require(from == to || from == 0 || to == 0, "copies between two devices, which goes through host memory");
  }
  void operator()(const LaunchOp& op) {
    Require(op.kernel < program_.kernels.size(), "names kernel " + std::to_string(op.kernel));
    for (uint32_t b : op.buffers) {
      Require(DeviceOf(BufferAt(b)) == device_,
              "uses buffer " + std::to_string(b) + " in another device's memory");
    }
    for (const ShapeExpr& e : op.dims) CheckExpr(e);
    CheckSize(op.num_chunks, "number of chunks");
    CheckSize(op.flops, "number of FLOPs");
  }
  void operator()(const CallHostOp& op) {
    Require(device_ == 0, "calls a host function on a device");
    Require(!op.function.empty(), "calls a host function without a name");
    for (uint32_t b : op.buffers) {
      Require(DeviceOf(BufferAt(b)) == 0,
              "uses buffer " + std::to_string(b) + ", which is not in host memory");
    }
  }
  void operator()(const BindShapeOp& op) {
    Require(op.input < program_.inputs.size(), "names input " + std::to_string(op.input));
  }
  void operator()(const WaitOp& op) {
    for (uint32_t event : op.events) {
      Require(event < signalled_.size() && signalled_[event],
              "waits for event " + std::to_string(event) + ", which no earlier instruction signals");
    }
  }
  void operator()(const BindValueOp& op) {
    Require(op.symbol < program_.symbols.size(), "names symbol " + std::to_string(op.symbol));
    const Buffer& b = BufferAt(op.buffer);
    Require(SameDType(b.dtype, kInt64) || SameDType(b.dtype, kInt32),
            "reads a symbol's value from " + DTypeName(b.dtype));
    Require(DeviceOf(b) == 0, "reads a symbol's value from memory that is not the host's");
    if (b.bytes.is_constant()) {
      Require(b.bytes.constant() * 8 >= ElementBits(b.dtype), "reads a value from an empty buffer");
    }
  }
  void operator()(const CheckEqualOp& op) {
    CheckExpr(op.left);
    CheckExpr(op.right);
  }
  void operator()(const DonateOp& op) {
    Require(range_.depth == 0, "gives an input's memory away in a branch or a loop's body");
    Require(op.input < program_.inputs.size(), "names input " + std::to_string(op.input));
    Require(op.output < program_.outputs.size(), "names output " + std::to_string(op.output));
    const TensorSpec &input = program_.inputs[op.input], &output = program_.outputs[op.output];
    Require(SameDType(input.dtype, output.dtype) && input.shape == output.shape,
            "gives an input's memory to an output of another type");
    for (const auto& [i, o] : donated_) {
      Require(i != op.input && o != op.output, "gives memory that an instruction before it gives");
    }
    donated_.emplace_back(op.input, op.output);
  }
  void operator()(const IfOp& op) {
    Require(device_ == 0, "branches on a device");
    CheckHostValue(op.condition, 1, "its condition");
  }
  void operator()(const LoopOp& op) {
    Require(device_ == 0, "loops on a device");
    CheckExpr(op.trip_count);
    if (op.trip_buffer != kNoBuffer) CheckHostInteger(op.trip_buffer, "its number of iterations");
    if (op.condition != kNoBuffer) CheckHostValue(op.condition, 1, "its condition");
    if (op.iteration != kNoBuffer) {
      CheckHostInteger(op.iteration, "the iteration's number");
      Require(BufferAt(op.iteration).storage == Storage::kArena, "counts in memory that is not an arena's");
    }
    CheckMovedBuffers(op);
  }

 private:
  // Instructions [begin, end) as part of a larger range.
  struct RangeInfo {
    int depth = 0;
    bool in_body = false;
  };
  static constexpr int kMaxDepth = 64;
  [[noreturn]] void Fail(const std::string& why) const {
    throw RuntimeError(ErrorId::kBadProgram, "the program is not valid: " + where_ + " " + why);
  }
  void Require(bool condition, const std::string& otherwise) const {
    if (!condition) Fail(otherwise);
  }
  void CheckExpr(const ShapeExpr& e) const {
    Require(e.SymbolBound() <= program_.symbols.size(), "names a symbol that does not exist");
  }
  void CheckSize(const ShapeExpr& e, const std::string& what) const {
    CheckExpr(e);
    Require(!e.is_constant() || e.constant() >= 0,
            "has the negative " + what + " " + std::to_string(e.constant()));
  }
  void CheckType(DLDataType dtype, const std::vector<ShapeExpr>& shape) const {
    Require(dtype.bits > 0 && dtype.lanes > 0, "has an element type without bits");
    for (const ShapeExpr& dim : shape) CheckSize(dim, "dimension");
  }
  // The bytes of a compact tensor where they are constant, else nothing; an overflow is an error of the
  // program.
  std::optional<int64_t> ConstantBytes(DLDataType dtype, const std::vector<ShapeExpr>& shape) const {
    try {
      ShapeExpr bytes = CompactBytes(dtype, shape);
      if (bytes.is_constant()) return bytes.constant();
      return std::nullopt;
    } catch (const RuntimeError& e) {
      Fail(std::string("has an impossible shape (") + e.what() + ")");
    }
  }
  const Buffer& BufferAt(uint32_t index) const {
    Require(index < program_.buffers.size(), "names buffer " + std::to_string(index));
    return program_.buffers[index];
  }
  uint16_t DeviceOf(const Buffer& b) const {
    return b.storage == Storage::kArena ? program_.arenas[b.index].device : uint16_t{0};
  }
  void CheckHostValue(uint32_t index, int64_t bytes, const std::string& what) const {
    const Buffer& b = BufferAt(index);
    Require(DeviceOf(b) == 0, "reads " + what + " from memory that is not the host's");
    Require(!b.bytes.is_constant() || b.bytes.constant() >= bytes,
            "has " + what + " in a buffer that is too small");
  }
  void CheckHostInteger(uint32_t index, const std::string& what) const {
    CheckHostValue(index, 8, what);
    Require(SameDType(BufferAt(index).dtype, kInt64),
            "has " + what + " in a buffer of " + DTypeName(BufferAt(index).dtype));
  }

  // What a loop moves: each buffer once, exchanged ones of equal size.
  void CheckMovedBuffers(const LoopOp& op) const {
    std::vector<uint32_t> moved;
    for (const LoopSwap& s : op.swaps) {
      const Buffer &a = BufferAt(s.first), &b = BufferAt(s.second);
      Require(a.storage == Storage::kArena && b.storage == Storage::kArena && DeviceOf(a) == DeviceOf(b),
              "exchanges buffers that are not in arenas of one device");
      Require(!a.bytes.is_constant() || !b.bytes.is_constant() || a.bytes.constant() == b.bytes.constant(),
              "exchanges buffers of different sizes");
      moved.insert(moved.end(), {s.first, s.second});
    }
    for (const LoopWalk& w : op.walks) {
      BufferAt(w.buffer);
      CheckExpr(w.stride);
      moved.push_back(w.buffer);
    }
    std::sort(moved.begin(), moved.end());
    Require(std::adjacent_find(moved.begin(), moved.end()) == moved.end(), "moves a buffer in two ways");
    for (uint32_t fixed : {op.iteration, op.trip_buffer}) {
      Require(!std::binary_search(moved.begin(), moved.end(), fixed), "moves the buffer that it counts by");
    }
  }

  // Branches and bodies lie within their range; what is signalled in them is known in them alone.
  void CheckRange(size_t begin, size_t end, RangeInfo info) {
    for (size_t i = begin; i < end; ++i) {
      range_ = info;
      CheckInstruction(i);
      const Instruction& instruction = program_.instructions[i];
      const uint64_t nested = instruction.nested_count();
      Require(nested <= end - i - 1, "has " + std::to_string(nested) + " instructions, but " +
                                         std::to_string(end - i - 1) + " follow");
      if (nested == 0) continue;
      Require(info.depth < kMaxDepth, "is nested more than " + std::to_string(kMaxDepth) + " deep");
      const std::vector<bool> outside = signalled_;
      const size_t first = i + 1, last = first + static_cast<size_t>(nested);
      const auto* branch = std::get_if<IfOp>(&instruction.op);
      const size_t middle = branch != nullptr ? first + branch->then_count : last;
      const RangeInfo inside{info.depth + 1, info.in_body || branch == nullptr};
      CheckRange(first, middle, inside);
      signalled_ = outside;
      CheckRange(middle, last, inside);
      signalled_ = outside;
      i += static_cast<size_t>(nested);
    }
  }

  void CheckHeader() {
    where_ = "its header";
    Require(!program_.devices.empty() && program_.devices[0] == DeviceSpec{}, "does not list the host first");
    Require(program_.devices.size() <= 0xffff, "lists too many devices");
    Require(std::has_single_bit(program_.bind_alignment) && program_.bind_alignment <= TW_MEMORY_ALIGNMENT,
            "asks for inputs aligned to " + std::to_string(program_.bind_alignment) + " bytes");
    Require(program_.num_events <= program_.instructions.size(), "has more events than instructions");
    for (const SymbolInfo& s : program_.symbols) {
      where_ = "symbol '" + s.name + "'";
      Require(s.min <= s.max && s.min != kUnboundSymbol && s.divisor >= 1, "has an empty range");
    }
  }
  void CheckTensor(const char* kind, size_t i, const TensorSpec& t) {
    where_ = std::string(kind) + " " + std::to_string(i) + " ('" + t.name + "')";
    CheckType(t.dtype, t.shape);
    ConstantBytes(t.dtype, t.shape);
  }
  void CheckArena(size_t i) {
    where_ = "arena " + std::to_string(i);
    Require(program_.arenas[i].device < program_.devices.size(), "is on a device that is not listed");
    CheckSize(program_.arenas[i].bytes, "size");
  }

  // The size of what a buffer lies in, where it is constant.
  std::optional<int64_t> StorageBytes(const Buffer& b) const {
    auto tensor_bytes = [&](const std::vector<TensorSpec>& list, const char* kind) {
      Require(b.index < list.size(), std::string("names ") + kind + " " + std::to_string(b.index));
      return ConstantBytes(list[b.index].dtype, list[b.index].shape);
    };
    switch (b.storage) {
      case Storage::kInput:
        return tensor_bytes(program_.inputs, "input");
      case Storage::kOutput:
        return tensor_bytes(program_.outputs, "output");
      case Storage::kParameter:
        Require(b.index == 0, "names parameters " + std::to_string(b.index));
        return static_cast<int64_t>(std::min(parameter_bytes_, uint64_t{INT64_MAX}));
      case Storage::kArena: {
        Require(b.index < program_.arenas.size(), "names arena " + std::to_string(b.index));
        const ShapeExpr& bytes = program_.arenas[b.index].bytes;
        return bytes.is_constant() ? std::optional(bytes.constant()) : std::nullopt;
      }
    }
    Fail("has an unknown storage");
  }
  void CheckBuffer(size_t i) {
    const Buffer& b = program_.buffers[i];
    where_ = "buffer " + std::to_string(i) + (b.name.empty() ? "" : " ('" + b.name + "')");
    CheckType(b.dtype, b.shape);
    CheckSize(b.offset, "offset");
    CheckSize(b.bytes, "size");
    std::optional<int64_t> storage = StorageBytes(b);
    if (!b.bytes.is_constant()) return;
    if (std::optional<int64_t> compact = ConstantBytes(b.dtype, b.shape)) {
      Require(*compact <= b.bytes.constant(), "has " + std::to_string(b.bytes.constant()) +
                                                  " bytes, but its shape needs " + std::to_string(*compact));
    }
    if (storage && b.offset.is_constant()) {
      Require(b.bytes.constant() <= *storage && b.offset.constant() <= *storage - b.bytes.constant(),
              "ends at byte " + std::to_string(b.offset.constant()) + " + " +
                  std::to_string(b.bytes.constant()) + " of " + std::to_string(*storage));
    }
  }
  void CheckInstruction(size_t i) {
    const Instruction& instruction = program_.instructions[i];
    where_ = "instruction " + std::to_string(i) + " (" + std::string(OpcodeName(instruction.opcode())) +
             (instruction.name.empty() ? ")" : " '" + instruction.name + "')");
    Require(instruction.device < program_.devices.size(), "runs on a device that is not listed");
    Require(instruction.device != 0 || instruction.stream == 0, "names a stream of the host");
    device_ = instruction.device;
    if (instruction.once) CheckOnce(instruction);
    std::visit(*this, instruction.op);
    if (instruction.event != kNoEvent) {
      Require(instruction.event < taken_.size() && !taken_[instruction.event],
              "signals event " + std::to_string(instruction.event) + ", which does not exist or is taken");
      signalled_[instruction.event] = true;
      taken_[instruction.event] = true;
    }
  }

  // Only work on memory that keeps its place and contents may be left out after the first run.
  void CheckOnce(const Instruction& instruction) const {
    Require(range_.depth == 0, "runs once, but stands in a branch or a loop's body");
    std::vector<uint32_t> buffers;
    if (const auto* copy = std::get_if<CopyOp>(&instruction.op)) {
      buffers = {copy->source, copy->destination};
    } else if (const auto* launch = std::get_if<LaunchOp>(&instruction.op)) {
      buffers = launch->buffers;
    } else {
      Fail("runs once, which only copy and launch may");
    }
    for (uint32_t index : buffers) {
      const Buffer& b = BufferAt(index);
      bool keeps = b.storage == Storage::kParameter ||
                   (b.storage == Storage::kArena && program_.arenas[b.index].bytes.is_constant());
      Require(keeps, "runs once, but uses buffer " + std::to_string(index) + ", which may change");
    }
  }

  const Program& program_;
  uint64_t parameter_bytes_;
  std::vector<bool> signalled_;  // by instructions that have run wherever the present one runs
  std::vector<bool> taken_;      // by any instruction
  std::vector<std::pair<uint32_t, uint32_t>> donated_;
  RangeInfo range_;
  std::string where_;
  uint16_t device_ = 0;
};

}  // namespace

void ValidateProgram(const Program& program, uint64_t parameter_bytes) {
  Validator(program, parameter_bytes).Run();
}

}  // namespace tilewright::runtime
