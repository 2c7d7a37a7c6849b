// SPDX-License-Identifier: Apache-2.0
// Programs as bytes: the program section of docs/module-format.md. Each structure has its Put and Get side by
// side, in the order of the specification.
#include "tilewright/runtime/byte_io.h"
#include "tilewright/runtime/program.h"

namespace tilewright::runtime {
namespace {

// ---- Expressions ----

constexpr uint8_t kExprConstant = 0;
constexpr uint8_t kExprCode = 1;
constexpr size_t kLeastExprBytes = 3;

bool HasValue(ExprOp op) { return op == ExprOp::kConstant || op == ExprOp::kSymbol; }

void PutExpr(ByteWriter& out, const ShapeExpr& e) {
  if (e.is_constant()) {
    out.Put(kExprConstant);
    out.Put(e.constant());
    return;
  }
  if (e.code().size() > 0xffff) throw RuntimeError(ErrorId::kCannotWrite, "a shape expression is too long");
  out.Put(kExprCode);
  out.Put(static_cast<uint16_t>(e.code().size()));
  for (const ExprInstruction& i : e.code()) {
    out.Put(static_cast<uint8_t>(i.op));
    if (HasValue(i.op)) out.Put(i.value);
  }
}

ShapeExpr GetExpr(ByteReader& in) {
  auto form = in.Get<uint8_t>();
  if (form == kExprConstant) return ShapeExpr(in.Get<int64_t>());
  if (form != kExprCode) in.Fail("has an expression of unknown form " + std::to_string(form));
  size_t count = in.Get<uint16_t>();
  if (count > in.remaining()) in.Fail("has an expression that is cut off");
  std::vector<ExprInstruction> code;
  code.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    auto op = static_cast<ExprOp>(in.Get<uint8_t>());
    code.push_back({op, HasValue(op) ? in.Get<int64_t>() : 0});
  }
  return ShapeExpr::FromCode(std::move(code));
}

// ---- Small structures ----

template <typename T, typename PutOne>
void PutList(ByteWriter& out, const std::vector<T>& list, PutOne put) {
  out.PutCount(list.size());
  for (const T& item : list) put(out, item);
}

template <typename GetOne>
auto GetList(ByteReader& in, size_t least_bytes, GetOne get) {
  std::vector<decltype(get(in))> list;
  size_t count = in.GetCount(least_bytes);
  list.reserve(count);
  for (size_t i = 0; i < count; ++i) list.push_back(get(in));
  return list;
}

void PutIndex(ByteWriter& out, uint32_t index) { out.Put(index); }
uint32_t GetIndex(ByteReader& in) { return in.Get<uint32_t>(); }

void PutName(ByteWriter& out, const std::string& name) { out.PutString(name); }
std::string GetName(ByteReader& in) { return in.GetString(); }

void PutDType(ByteWriter& out, DLDataType t) {
  out.Put(t.code);
  out.Put(t.bits);
  out.Put(t.lanes);
}
DLDataType GetDType(ByteReader& in) {
  DLDataType t{};
  t.code = in.Get<uint8_t>();
  t.bits = in.Get<uint8_t>();
  t.lanes = in.Get<uint16_t>();
  return t;
}

void PutSymbol(ByteWriter& out, const SymbolInfo& s) {
  out.PutString(s.name);
  out.Put(s.min);
  out.Put(s.max);
  out.Put(s.divisor);
}
SymbolInfo GetSymbol(ByteReader& in) {
  SymbolInfo s;
  s.name = in.GetString();
  s.min = in.Get<int64_t>();
  s.max = in.Get<int64_t>();
  s.divisor = in.Get<int64_t>();
  return s;
}

void PutTensor(ByteWriter& out, const TensorSpec& t) {
  out.PutString(t.name);
  PutDType(out, t.dtype);
  PutList(out, t.shape, PutExpr);
}
TensorSpec GetTensor(ByteReader& in) {
  TensorSpec t;
  t.name = in.GetString();
  t.dtype = GetDType(in);
  t.shape = GetList(in, kLeastExprBytes, GetExpr);
  return t;
}

void PutDevice(ByteWriter& out, const DeviceSpec& d) {
  out.PutString(d.kind);
  out.Put(d.ordinal);
}
DeviceSpec GetDevice(ByteReader& in) {
  DeviceSpec d;
  d.kind = in.GetString();
  d.ordinal = in.Get<int32_t>();
  return d;
}

void PutArena(ByteWriter& out, const Arena& a) {
  out.Put(a.device);
  out.PutString(a.scope);
  PutExpr(out, a.bytes);
}
Arena GetArena(ByteReader& in) {
  Arena a;
  a.device = in.Get<uint16_t>();
  a.scope = in.GetString();
  a.bytes = GetExpr(in);
  return a;
}

void PutBuffer(ByteWriter& out, const Buffer& b) {
  out.PutString(b.name);
  out.Put(static_cast<uint8_t>(b.storage));
  out.Put(b.index);
  PutDType(out, b.dtype);
  PutList(out, b.shape, PutExpr);
  PutExpr(out, b.offset);
  PutExpr(out, b.bytes);
}
Buffer GetBuffer(ByteReader& in) {
  Buffer b;
  b.name = in.GetString();
  auto storage = in.Get<uint8_t>();
  if (storage < static_cast<uint8_t>(Storage::kInput) || storage > static_cast<uint8_t>(Storage::kArena)) {
    in.Fail("has a buffer of unknown storage " + std::to_string(storage));
  }
  b.storage = static_cast<Storage>(storage);
  b.index = in.Get<uint32_t>();
  b.dtype = GetDType(in);
  b.shape = GetList(in, kLeastExprBytes, GetExpr);
  b.offset = GetExpr(in);
  b.bytes = GetExpr(in);
  return b;
}

// ---- Instructions ----

struct PutOperation {
  ByteWriter& out;
  void operator()(const AllocOp& op) const { out.Put(op.arena); }
  void operator()(const CopyOp& op) const {
    out.Put(op.source);
    out.Put(op.destination);
  }
  void operator()(const LaunchOp& op) const {
    out.Put(op.kernel);
    PutList(out, op.buffers, PutIndex);
    PutList(out, op.dims, PutExpr);
    PutExpr(out, op.num_chunks);
    PutExpr(out, op.flops);
  }
  void operator()(const CallHostOp& op) const {
    out.PutString(op.function);
    PutList(out, op.buffers, PutIndex);
  }
  void operator()(const BindShapeOp& op) const { out.Put(op.input); }
  void operator()(const WaitOp& op) const { PutList(out, op.events, PutIndex); }
  void operator()(const BindValueOp& op) const {
    out.Put(op.symbol);
    out.Put(op.buffer);
  }
  void operator()(const CheckEqualOp& op) const {
    PutExpr(out, op.left);
    PutExpr(out, op.right);
    out.PutString(op.what);
  }
  void operator()(const DonateOp& op) const {
    out.Put(op.input);
    out.Put(op.output);
  }
  void operator()(const IfOp& op) const {
    out.Put(op.condition);
    out.Put(op.then_count);
    out.Put(op.else_count);
  }
  void operator()(const LoopOp& op) const {
    PutExpr(out, op.trip_count);
    for (uint32_t field : {op.trip_buffer, op.condition, op.iteration, op.body_count}) out.Put(field);
    PutList(out, op.swaps, [](ByteWriter& o, const LoopSwap& s) {
      o.Put(s.first);
      o.Put(s.second);
    });
    PutList(out, op.walks, [](ByteWriter& o, const LoopWalk& w) {
      o.Put(w.buffer);
      PutExpr(o, w.stride);
    });
  }
};

LoopOp GetLoop(ByteReader& in) {
  LoopOp op;
  op.trip_count = GetExpr(in);
  for (uint32_t* field : {&op.trip_buffer, &op.condition, &op.iteration, &op.body_count})
    *field = GetIndex(in);
  op.swaps = GetList(in, 2 * sizeof(uint32_t), [](ByteReader& i) {
    LoopSwap s;
    s.first = GetIndex(i);
    s.second = GetIndex(i);
    return s;
  });
  op.walks = GetList(in, sizeof(uint32_t) + kLeastExprBytes, [](ByteReader& i) {
    LoopWalk w;
    w.buffer = GetIndex(i);
    w.stride = GetExpr(i);
    return w;
  });
  return op;
}

decltype(Instruction::op) GetOperation(ByteReader& in, uint8_t opcode) {
  switch (static_cast<Opcode>(opcode)) {
    case Opcode::kAlloc:
      return AllocOp{GetIndex(in)};
    case Opcode::kCopy: {
      CopyOp op;
      op.source = GetIndex(in);
      op.destination = GetIndex(in);
      return op;
    }
    case Opcode::kLaunch: {
      LaunchOp op;
      op.kernel = GetIndex(in);
      op.buffers = GetList(in, sizeof(uint32_t), GetIndex);
      op.dims = GetList(in, kLeastExprBytes, GetExpr);
      op.num_chunks = GetExpr(in);
      op.flops = GetExpr(in);
      return op;
    }
    case Opcode::kCallHost: {
      CallHostOp op;
      op.function = in.GetString();
      op.buffers = GetList(in, sizeof(uint32_t), GetIndex);
      return op;
    }
    case Opcode::kBindShape:
      return BindShapeOp{GetIndex(in)};
    case Opcode::kWait:
      return WaitOp{GetList(in, sizeof(uint32_t), GetIndex)};
    case Opcode::kBindValue: {
      BindValueOp op;
      op.symbol = GetIndex(in);
      op.buffer = GetIndex(in);
      return op;
    }
    case Opcode::kCheckEqual: {
      CheckEqualOp op;
      op.left = GetExpr(in);
      op.right = GetExpr(in);
      op.what = in.GetString();
      return op;
    }
    case Opcode::kDonate: {
      DonateOp op;
      op.input = GetIndex(in);
      op.output = GetIndex(in);
      return op;
    }
    case Opcode::kIf: {
      IfOp op;
      op.condition = GetIndex(in);
      op.then_count = GetIndex(in);
      op.else_count = GetIndex(in);
      return op;
    }
    case Opcode::kLoop:
      return GetLoop(in);
  }
  throw RuntimeError(ErrorId::kUnknownOpcode,
                     "the program has an instruction with opcode " + std::to_string(opcode) +
                         ", which this runtime (version " TW_VERSION
                         ") does not have; run the module with a runtime at least as new as its compiler");
}

constexpr uint8_t kFlagOnce = 1;

void PutInstruction(ByteWriter& out, const Instruction& instruction) {
  out.Put(static_cast<uint8_t>(instruction.opcode()));
  out.Put(instruction.once ? kFlagOnce : uint8_t{0});
  out.Put(instruction.device);
  out.Put(instruction.stream);
  out.Put(instruction.event);
  out.PutString(instruction.name);
  size_t length_at = out.size();
  out.Put(uint32_t{0});
  std::visit(PutOperation{out}, instruction.op);
  out.PatchAt(length_at, static_cast<uint32_t>(out.size() - length_at - sizeof(uint32_t)));
}

Instruction GetInstruction(ByteReader& in) {
  Instruction instruction;
  auto opcode = in.Get<uint8_t>();
  auto flags = in.Get<uint8_t>();
  if ((flags & ~kFlagOnce) != 0) {
    throw RuntimeError(ErrorId::kUnknownOpcode, "the program has an instruction with flags " +
                                                    std::to_string(flags) +
                                                    ", which this runtime (version " TW_VERSION
                                                    ") does not have; run the module with a newer runtime");
  }
  instruction.once = (flags & kFlagOnce) != 0;
  instruction.device = in.Get<uint16_t>();
  instruction.stream = in.Get<uint16_t>();
  instruction.event = in.Get<uint32_t>();
  instruction.name = in.GetString();
  ByteReader operands(in.GetBytes(in.Get<uint32_t>()), "operands of instruction '" + instruction.name + "'");
  instruction.op = GetOperation(operands, opcode);
  operands.ExpectEnd();
  return instruction;
}

}  // namespace

std::vector<std::byte> EncodeProgram(const Program& program) {
  ByteWriter out;
  out.Put(program.bind_alignment);
  out.Put(program.num_events);
  PutList(out, program.symbols, PutSymbol);
  PutList(out, program.inputs, PutTensor);
  PutList(out, program.outputs, PutTensor);
  PutList(out, program.devices, PutDevice);
  PutList(out, program.arenas, PutArena);
  PutList(out, program.buffers, PutBuffer);
  PutList(out, program.kernels, PutName);
  PutList(out, program.instructions, PutInstruction);
  return out.Take();
}

Program DecodeProgram(std::span<const std::byte> bytes) {
  ByteReader in(bytes, "program");
  Program program;
  program.bind_alignment = in.Get<uint32_t>();
  program.num_events = in.Get<uint32_t>();
  program.symbols = GetList(in, 28, GetSymbol);
  program.inputs = GetList(in, 12, GetTensor);
  program.outputs = GetList(in, 12, GetTensor);
  program.devices = GetList(in, 8, GetDevice);
  program.arenas = GetList(in, 6 + kLeastExprBytes, GetArena);
  program.buffers = GetList(in, 17 + 2 * kLeastExprBytes, GetBuffer);
  program.kernels = GetList(in, 4, GetName);
  program.instructions = GetList(in, 18, GetInstruction);
  in.ExpectEnd();
  return program;
}

}  // namespace tilewright::runtime
