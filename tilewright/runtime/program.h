// SPDX-License-Identifier: Apache-2.0
// What a module does when it runs: one small instruction set over buffers, for models with fixed shapes
// (memory planned ahead, a straight line of launches) and for models whose shapes are known only at run time.
//
// A program has symbols (integers bound at run time), inputs and outputs, arenas (blocks of memory), buffers
// (typed windows into inputs, outputs, parameters or arenas) and instructions in the order in which they run.
// Where every expression is a constant, a context resolves all pointers once, and a run only calls kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tilewright/runtime/dlpack.h"
#include "tilewright/runtime/shape_expr.h"

namespace tilewright::runtime {

// An integer that inputs (bind_shape) or data (bind_value) give a value within [min, max], a multiple of
// `divisor`.
struct SymbolInfo {
  std::string name;
  int64_t min = 0;
  int64_t max = std::numeric_limits<int64_t>::max();
  int64_t divisor = 1;
  bool operator==(const SymbolInfo&) const = default;
};

// An input or output as the user sees it: compact and row-major. A dimension of an input is a constant, a
// symbol, or an expression over symbols that other dimensions bind.
struct TensorSpec {
  std::string name;
  DLDataType dtype{};
  std::vector<ShapeExpr> shape;
};

// A device that the program needs. Device 0 is always {"cpu", 0}, the host.
struct DeviceSpec {
  std::string kind = "cpu";
  int32_t ordinal = 0;
  bool operator==(const DeviceSpec&) const = default;
};

// A block of memory on one device. One of constant size is allocated with the context; the others by `alloc`
// instructions, which may move the block, lose its contents, and never shrink it.
struct Arena {
  uint16_t device = 0;
  std::string scope = "global";
  ShapeExpr bytes;
  bool operator==(const Arena&) const = default;
};

// Where a buffer lives. The numbers are part of the module format.
enum class Storage : uint8_t {
  kInput = 1,      // `index` is the input's number
  kOutput = 2,     // `index` is the output's number
  kParameter = 3,  // in the parameters shared by all contexts, read only; `index` is 0
  kArena = 4,      // `index` is the arena's number
};

// A window of `bytes` bytes at `offset` into its storage. Several buffers may share memory. `bytes` may
// exceed what dtype and shape need (padding, packed layouts).
struct Buffer {
  std::string name;
  Storage storage = Storage::kArena;
  uint32_t index = 0;
  DLDataType dtype{};
  std::vector<ShapeExpr> shape;
  ShapeExpr offset;
  ShapeExpr bytes;
};

// (Re)sizes an arena whose size is not constant.
struct AllocOp {
  uint32_t arena = 0;
};

// Copies `source` to `destination`, which have the same size.
struct CopyOp {
  uint32_t source = 0;
  uint32_t destination = 0;
};

// Runs a kernel over all chunks; the pool's threads share them in contiguous ranges.
struct LaunchOp {
  uint32_t kernel = 0;
  std::vector<uint32_t> buffers;
  std::vector<ShapeExpr> dims;
  ShapeExpr num_chunks = 1;
  ShapeExpr flops = 0;  // of the direct algorithm, for the profile
};

// Calls a registered host function on buffers in host memory.
struct CallHostOp {
  std::string function;
  std::vector<uint32_t> buffers;
};

// Binds the symbols that are dimensions of an input to the shape given by the user, and checks the others.
struct BindShapeOp {
  uint32_t input = 0;
};

// Binds a symbol to the first element of an int32 or int64 buffer in host memory (a data-dependent extent).
struct BindValueOp {
  uint32_t symbol = 0;
  uint32_t buffer = 0;
};

// Not an action: gives an output the memory of an input of the same type, for all runs. What the program
// writes there is what the next run reads from the input. The program reads the input before it overwrites
// it.
struct DonateOp {
  uint32_t input = 0;
  uint32_t output = 0;
};

// Ends the run with an error unless two extents, which operators need to be equal, are.
struct CheckEqualOp {
  ShapeExpr left, right;
  std::string what;  // for the error: what they are, and of which node of the model
};

// Holds the instruction's stream (on the host: the program) until the events have happened.
struct WaitOp {
  std::vector<uint32_t> events;
};

inline constexpr uint32_t kNoBuffer = 0xffffffffu;

// Runs the `then_count` instructions that follow where the first byte of `condition`, in host memory, is not
// 0, and the `else_count` instructions behind those otherwise.
struct IfOp {
  uint32_t condition = 0;
  uint32_t then_count = 0;
  uint32_t else_count = 0;
};

// Two buffers of equal size, in arenas, that exchange their places in memory after every iteration: the state
// that an iteration has written is what the next reads.
struct LoopSwap {
  uint32_t first = 0;
  uint32_t second = 0;
  bool operator==(const LoopSwap&) const = default;
};

// A buffer that moves by `stride` bytes after every iteration, and back to its place after the loop: an
// iteration's part of a sequence.
struct LoopWalk {
  uint32_t buffer = 0;
  ShapeExpr stride;
  bool operator==(const LoopWalk&) const = default;
};

// Runs the `body_count` instructions that follow until a bound on the iterations is reached, or until the
// first byte of `condition` is 0 before one. All buffers named here but those of walks lie in host memory; an
// absent one is kNoBuffer.
struct LoopOp {
  ShapeExpr trip_count = std::numeric_limits<int64_t>::max();
  uint32_t trip_buffer = kNoBuffer;  // int64: another bound, read once
  uint32_t condition = kNoBuffer;
  uint32_t iteration = kNoBuffer;  // int64 in an arena: gets the iteration's number, from 0, before each
  uint32_t body_count = 0;
  std::vector<LoopSwap> swaps;
  std::vector<LoopWalk> walks;
};

// The numbers are the opcodes of the module format. Numbers 16 to 31 are for branches and loops; a loader
// refuses every number that is not listed.
enum class Opcode : uint8_t {
  kAlloc = 1,
  kCopy = 2,
  kLaunch = 3,
  kCallHost = 4,
  kBindShape = 5,
  kWait = 6,
  kBindValue = 7,
  kCheckEqual = 8,
  kDonate = 9,
  kIf = 16,
  kLoop = 17,
};

inline constexpr uint32_t kNoEvent = 0xffffffffu;

struct Instruction {
  std::string name;           // for the profiler and errors, such as the operators that were fused into it
  uint16_t device = 0;        // index into Program::devices
  uint16_t stream = 0;        // of that device; the host has stream 0 alone
  uint32_t event = kNoEvent;  // happens when the instruction is done
  // Runs only until a context has had one successful run: for what no input changes, such as parameters
  // copied to a device. What it writes must lie in arenas of constant size that nothing else writes to.
  bool once = false;
  std::variant<AllocOp, CopyOp, LaunchOp, CallHostOp, BindShapeOp, WaitOp, BindValueOp, CheckEqualOp,
               DonateOp, IfOp, LoopOp>
      op;

  Opcode opcode() const;
  // Instructions behind this one that belong to it, as branches or body.
  uint64_t nested_count() const;
};

struct Program {
  std::vector<SymbolInfo> symbols;
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  std::vector<DeviceSpec> devices{DeviceSpec{}};
  std::vector<Arena> arenas;
  std::vector<Buffer> buffers;
  std::vector<std::string> kernels;  // names, in the order of kernel indices
  std::vector<Instruction> instructions;
  uint32_t num_events = 0;
  // Alignment in bytes that kernels rely on for inputs and outputs; a power of two up to TW_MEMORY_ALIGNMENT.
  uint32_t bind_alignment = 64;

  // Whether memory and launches can be settled when a context is created.
  bool IsStatic() const;
};

// "alloc", "copy", "launch", "call_host", "bind_shape", "wait", "bind_value", "check_equal", "donate", "if",
// "loop".
std::string_view OpcodeName(Opcode opcode);

// Bytes of a compact tensor; sub-byte elements are packed, the last byte filled up.
ShapeExpr CompactBytes(DLDataType dtype, const std::vector<ShapeExpr>& shape);

// Throws kBadProgram, naming the instruction or buffer, unless every index is in range, every constant window
// lies within its storage, parameters are only read, events are signalled before they are waited for, and
// branches and bodies nest, at most 64 deep. An input gives its memory to one output, whose type it has. A
// body does not size arenas; nothing inside a branch or body
// runs once, and an event that is signalled there is not waited for elsewhere. `parameter_bytes` is the size
// of the parameters.
void ValidateProgram(const Program& program, uint64_t parameter_bytes);

// The program as text, one line per symbol, input, output, arena, buffer and instruction.
std::string ToString(const Program& program);

// The program section of the module format (docs/module-format.md).
std::vector<std::byte> EncodeProgram(const Program& program);
// Throws kMalformed, kBadExpression or kUnknownOpcode; never reads outside `bytes`.
Program DecodeProgram(std::span<const std::byte> bytes);

}  // namespace tilewright::runtime
