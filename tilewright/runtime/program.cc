// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/program.h"

#include <algorithm>

#include "tilewright/runtime/dtype.h"

namespace tilewright::runtime {
namespace {

bool AllConstant(const std::vector<ShapeExpr>& list) {
  return std::all_of(list.begin(), list.end(), [](const ShapeExpr& e) { return e.is_constant(); });
}

struct IsStaticOperation {
  bool operator()(const AllocOp&) const { return false; }
  bool operator()(const BindShapeOp&) const { return false; }
  bool operator()(const BindValueOp&) const { return false; }
  bool operator()(const CheckEqualOp&) const { return false; }
  bool operator()(const DonateOp&) const { return true; }
  bool operator()(const CopyOp&) const { return true; }
  bool operator()(const CallHostOp&) const { return true; }
  bool operator()(const WaitOp&) const { return true; }
  bool operator()(const LaunchOp& op) const { return op.num_chunks.is_constant() && AllConstant(op.dims); }
  bool operator()(const IfOp&) const { return true; }
  bool operator()(const LoopOp& op) const {
    return op.trip_count.is_constant() &&
           std::all_of(op.walks.begin(), op.walks.end(),
                       [](const LoopWalk& w) { return w.stride.is_constant(); });
  }
};

class Printer {
 public:
  explicit Printer(const Program& program) : program_(program) {
    for (const SymbolInfo& s : program.symbols) symbols_.push_back(s.name);
  }

  std::string Print() {
    for (const SymbolInfo& s : program_.symbols) {
      Line("symbol " + s.name + " in [" + std::to_string(s.min) + ", " + std::to_string(s.max) +
           "] multiple of " + std::to_string(s.divisor));
    }
    for (const TensorSpec& t : program_.inputs) Line("input " + t.name + ": " + Type(t.dtype, t.shape));
    for (const TensorSpec& t : program_.outputs) Line("output " + t.name + ": " + Type(t.dtype, t.shape));
    for (size_t i = 1; i < program_.devices.size(); ++i) {
      const DeviceSpec& d = program_.devices[i];
      Line("device " + std::to_string(i) + ": " + d.kind + ":" + std::to_string(d.ordinal));
    }
    for (size_t i = 0; i < program_.arenas.size(); ++i) {
      const Arena& a = program_.arenas[i];
      Line("arena " + std::to_string(i) + ": " + Text(a.bytes) + " bytes of " + a.scope + " on device " +
           std::to_string(a.device));
    }
    for (size_t i = 0; i < program_.buffers.size(); ++i) PrintBuffer(i);
    PrintRange(0, program_.instructions.size(), "");
    return std::move(text_);
  }

  // Instructions, those of branches and bodies indented.
  void PrintRange(size_t begin, size_t end, const std::string& indent) {
    for (size_t i = begin; i < end && i < program_.instructions.size(); ++i) {
      const Instruction& instruction = program_.instructions[i];
      std::string line = indent + std::to_string(i) + ": " + std::string(OpcodeName(instruction.opcode()));
      line += std::visit(*this, instruction.op);
      if (instruction.device != 0 || instruction.stream != 0) {
        line += " on device " + std::to_string(instruction.device) + " stream " +
                std::to_string(instruction.stream);
      }
      if (instruction.once) line += " once";
      if (instruction.event != kNoEvent) line += " signals " + std::to_string(instruction.event);
      if (!instruction.name.empty()) line += "  # " + instruction.name;
      Line(line);
      if (const auto* branch = std::get_if<IfOp>(&instruction.op)) {
        PrintRange(i + 1, i + 1 + branch->then_count, indent + "  ");
        Line(indent + "else");
        PrintRange(i + 1 + branch->then_count, i + 1 + instruction.nested_count(), indent + "  ");
      } else {
        PrintRange(i + 1, i + 1 + instruction.nested_count(), indent + "  ");
      }
      i += instruction.nested_count();
    }
  }

  std::string operator()(const AllocOp& op) const { return " arena " + std::to_string(op.arena); }
  std::string operator()(const CopyOp& op) const {
    return " " + Name(op.source) + " to " + Name(op.destination);
  }
  std::string operator()(const LaunchOp& op) const {
    std::string kernel = op.kernel < program_.kernels.size() ? program_.kernels[op.kernel] : "?";
    std::string text = " " + kernel + "(" + Names(op.buffers) + ")";
    if (!op.dims.empty()) text += " dims (" + List(op.dims) + ")";
    return text + " chunks " + Text(op.num_chunks);
  }
  std::string operator()(const CallHostOp& op) const {
    return " " + op.function + "(" + Names(op.buffers) + ")";
  }
  std::string operator()(const BindShapeOp& op) const { return " input " + std::to_string(op.input); }
  std::string operator()(const WaitOp& op) const {
    std::string text;
    for (uint32_t event : op.events) text += " " + std::to_string(event);
    return text;
  }
  std::string operator()(const BindValueOp& op) const {
    return " " + Text(ShapeExpr::Symbol(op.symbol)) + " from " + Name(op.buffer);
  }
  std::string operator()(const CheckEqualOp& op) const {
    return " " + Text(op.left) + " == " + Text(op.right) + ": " + op.what;
  }
  std::string operator()(const DonateOp& op) const {
    return " input " + std::to_string(op.input) + " to output " + std::to_string(op.output);
  }
  std::string operator()(const IfOp& op) const { return " " + Name(op.condition); }
  std::string operator()(const LoopOp& op) const {
    std::string text;
    if (op.trip_count != LoopOp().trip_count) text += " trips " + Text(op.trip_count);
    if (op.trip_buffer != kNoBuffer) text += " trips " + Name(op.trip_buffer);
    if (op.condition != kNoBuffer) text += " while " + Name(op.condition);
    if (op.iteration != kNoBuffer) text += " counts in " + Name(op.iteration);
    for (const LoopSwap& s : op.swaps) text += " swaps " + Name(s.first) + " and " + Name(s.second);
    for (const LoopWalk& w : op.walks) text += " moves " + Name(w.buffer) + " by " + Text(w.stride);
    return text;
  }

 private:
  void Line(const std::string& line) { text_ += line + "\n"; }
  std::string Text(const ShapeExpr& e) const { return e.ToString(symbols_); }
  std::string List(const std::vector<ShapeExpr>& list) const {
    std::string text;
    for (const ShapeExpr& e : list) text += (text.empty() ? "" : ", ") + Text(e);
    return text;
  }
  std::string Type(DLDataType dtype, const std::vector<ShapeExpr>& shape) const {
    return DTypeName(dtype) + "[" + List(shape) + "]";
  }
  std::string Name(uint32_t buffer) const {
    bool named = buffer < program_.buffers.size() && !program_.buffers[buffer].name.empty();
    return "b" + std::to_string(buffer) + (named ? ":" + program_.buffers[buffer].name : "");
  }
  std::string Names(const std::vector<uint32_t>& buffers) const {
    std::string text;
    for (uint32_t b : buffers) text += (text.empty() ? "" : ", ") + Name(b);
    return text;
  }
  void PrintBuffer(size_t i) {
    static constexpr const char* kStorages[] = {"?", "input ", "output ", "parameters", "arena "};
    const Buffer& b = program_.buffers[i];
    std::string where = kStorages[static_cast<size_t>(b.storage)];
    if (b.storage != Storage::kParameter) where += std::to_string(b.index);
    Line("buffer " + Name(static_cast<uint32_t>(i)) + ": " + Type(b.dtype, b.shape) + " in " + where +
         " at " + Text(b.offset) + ", " + Text(b.bytes) + " bytes");
  }

  const Program& program_;
  std::vector<std::string> symbols_;
  std::string text_;
};

}  // namespace

Opcode Instruction::opcode() const {
  static constexpr Opcode kOpcodes[] = {Opcode::kAlloc,     Opcode::kCopy,       Opcode::kLaunch,
                                        Opcode::kCallHost,  Opcode::kBindShape,  Opcode::kWait,
                                        Opcode::kBindValue, Opcode::kCheckEqual, Opcode::kDonate,
                                        Opcode::kIf,        Opcode::kLoop};
  static_assert(std::size(kOpcodes) == std::variant_size_v<decltype(op)>);
  return kOpcodes[op.index()];
}

uint64_t Instruction::nested_count() const {
  if (const auto* branch = std::get_if<IfOp>(&op)) return uint64_t{branch->then_count} + branch->else_count;
  if (const auto* loop = std::get_if<LoopOp>(&op)) return loop->body_count;
  return 0;
}

std::string_view OpcodeName(Opcode opcode) {
  switch (opcode) {
    case Opcode::kAlloc:
      return "alloc";
    case Opcode::kCopy:
      return "copy";
    case Opcode::kLaunch:
      return "launch";
    case Opcode::kCallHost:
      return "call_host";
    case Opcode::kBindShape:
      return "bind_shape";
    case Opcode::kWait:
      return "wait";
    case Opcode::kBindValue:
      return "bind_value";
    case Opcode::kCheckEqual:
      return "check_equal";
    case Opcode::kDonate:
      return "donate";
    case Opcode::kIf:
      return "if";
    case Opcode::kLoop:
      return "loop";
  }
  return "unknown";
}

bool Program::IsStatic() const {
  return std::all_of(arenas.begin(), arenas.end(), [](const Arena& a) { return a.bytes.is_constant(); }) &&
         std::all_of(buffers.begin(), buffers.end(),
                     [](const Buffer& b) {
                       return b.offset.is_constant() && b.bytes.is_constant() && AllConstant(b.shape);
                     }) &&
         std::all_of(instructions.begin(), instructions.end(),
                     [](const Instruction& i) { return std::visit(IsStaticOperation{}, i.op); });
}

ShapeExpr CompactBytes(DLDataType dtype, const std::vector<ShapeExpr>& shape) {
  ShapeExpr count = 1;
  for (const ShapeExpr& dim : shape) count = count * dim;
  int64_t bits = ElementBits(dtype);
  if (bits % 8 == 0) return count * ShapeExpr(bits / 8);
  return FloorDiv(count * ShapeExpr(bits) + ShapeExpr(7), 8);
}

std::string ToString(const Program& program) { return Printer(program).Print(); }

}  // namespace tilewright::runtime
