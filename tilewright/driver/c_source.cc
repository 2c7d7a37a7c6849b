// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/c_source.h"

#include <algorithm>
#include <filesystem>
#include <unordered_set>

#include "tilewright/codegen/c/codegen.h"
#include "tilewright/codegen/c/names.h"
#include "tilewright/driver/dl_types.h"
#include "tilewright/support/file.h"

namespace tilewright {

namespace {

using namespace runtime;

/// C promises 4095 characters in a string (5.2.4.1), and strings compile many times faster than numbers.
constexpr size_t kRowBytes = 2048;

/// The type as a header that includes stdint.h alone has it.
std::string HeaderType(DataType t) {
  if (t.is_float() && t.bits == 32) return "float";
  if (t.is_float() && t.bits == 64) return "double";
  if (t.is_bool()) return "uint8_t";
  if (t.is_float()) return "uint16_t";
  return fmt::format("{}int{}_t", t.is_uint() ? "u" : "", t.bits);
}

std::string ShapeText(const std::vector<ShapeExpr>& shape) {
  std::string text;
  for (const ShapeExpr& d : shape) text += (text.empty() ? "" : ", ") + std::to_string(d.constant());
  return "[" + text + "]";
}

std::string WithoutCommentEnd(std::string text) {
  for (size_t at; (at = text.find("*/")) != std::string::npos;) text.replace(at, 2, "* /");
  return text;
}

void CheckStatic(const Program& program) {
  if (!program.symbols.empty()) {
    std::string names;
    for (const SymbolInfo& s : program.symbols) names += (names.empty() ? "" : ", ") + s.name;
    throw Error("TW3402", "C sources have static memory, and shapes of this model are symbolic: " + names, "",
                {"fix each by --dim NAME=N"});
  }
  if (program.devices.size() > 1) throw Error("TW3403", "C sources have no devices but the host");
}

class ProgramWriter {
 public:
  ProgramWriter(const CompiledModel& model, const std::string& name, const std::string& header)
      : model_(model), program_(model.program), name_(name), header_(header) {}

  CProgramText Write() {
    CheckStatic(program_);
    FindMoved();
    const std::vector<CKernel> kernels = Kernels();
    const CSource source = KernelCSource(kernels);
    functions_ = &source;
    std::vector<std::string> inputs = FieldNames(program_.inputs), outputs = FieldNames(program_.outputs);
    CProgramText text;
    text.header = Header(inputs, outputs);
    Steps(0, program_.instructions.size());
    const std::string pointers = Pointers(inputs, outputs);
    text.source =
        fmt::format("/* {}: made by Tilewright {}. */\n#include \"{}\"\n\n", name_, TW_VERSION, header_);
    text.source += source.support + "\n" + source.functions + "\n" + Memory();
    text.source +=
        fmt::format("const char* {0}_run(const {0}_inputs* inputs, const {0}_outputs* outputs) {{\n", name_);
    text.source += pointers + "\n" + out_ + "  return NULL;\n}\n";
    if (has_parameters()) text.parameters = Parameters();
    return text;
  }

 private:
  bool has_parameters() const { return model_.parameters && model_.parameters.bytes() > 0; }
  size_t rows() const { return (size_t(model_.parameters.bytes()) + kRowBytes - 1) / kRowBytes; }

  static std::vector<std::string> FieldNames(const std::vector<TensorSpec>& specs) {
    c_codegen::NameScopes names;
    std::vector<std::string> fields;
    for (const TensorSpec& spec : specs) fields.push_back(names.Declare(spec.name));
    return fields;
  }

  // ---- Kernels

  /// Buffers that change their places while the program runs.
  void FindMoved() {
    for (const Instruction& i : program_.instructions) {
      auto* loop = std::get_if<LoopOp>(&i.op);
      if (!loop) continue;
      for (const LoopSwap& s : loop->swaps) moved_.insert(s.first), moved_.insert(s.second);
      for (const LoopWalk& w : loop->walks) moved_.insert(w.buffer);
    }
  }

  bool MayOverlap(uint32_t a, uint32_t b) const {
    const runtime::Buffer &x = program_.buffers[a], &y = program_.buffers[b];
    if (x.storage != y.storage || x.index != y.index) return false;
    if (moved_.contains(a) || moved_.contains(b)) return true;
    return x.offset.constant() < y.offset.constant() + y.bytes.constant() &&
           y.offset.constant() < x.offset.constant() + x.bytes.constant();
  }

  bool ArgumentsOverlap(const LaunchOp& launch, const PrimFunc& kernel) const {
    const size_t first_written = kernel->buffers.size() - size_t(kernel->num_outputs);
    for (size_t w = first_written; w < launch.buffers.size(); ++w) {
      for (size_t other = 0; other < w; ++other) {
        if (MayOverlap(launch.buffers[w], launch.buffers[other])) return true;
      }
    }
    return false;
  }

  /// Those that the program launches; others are left from kernels that several launches once were.
  std::vector<CKernel> Kernels() {
    std::vector<CKernel> kernels;
    for (const Instruction& i : program_.instructions) {
      auto* launch = std::get_if<LaunchOp>(&i.op);
      if (!launch) continue;
      auto [it, fresh] = kernel_of_.try_emplace(launch->kernel, kernels.size());
      if (fresh) kernels.push_back({model_.kernels[launch->kernel], false, WithoutCommentEnd(i.name)});
      CKernel& kernel = kernels[it->second];
      kernel.arguments_overlap |= ArgumentsOverlap(*launch, kernel.kernel);
    }
    return kernels;
  }

  // ---- Declarations

  std::string Header(const std::vector<std::string>& inputs, const std::vector<std::string>& outputs) const {
    std::string guard = name_ + "_H";
    std::transform(guard.begin(), guard.end(), guard.begin(),
                   [](unsigned char c) { return char(std::toupper(c)); });
    std::string text = fmt::format(
        "/* The model {0}, made by Tilewright {1}. Compile the sources beside it by GCC or clang, as C11 "
        "and\n"
        " * without -ffast-math, and link libm. */\n#ifndef {2}\n#define {2}\n\n#include <stdint.h>\n\n"
        "#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n"
        "/* Tensors are compact and row-major, 16-bit floats as their bits, and do not overlap. */\n",
        name_, TW_VERSION, guard);
    auto tensors = [&](const char* what, const std::vector<TensorSpec>& specs,
                       const std::vector<std::string>& fields, const char* constant) {
      text += fmt::format("typedef struct {}_{} {{\n", name_, what);
      for (size_t i = 0; i < specs.size(); ++i) {
        const std::string note =
            fields[i] == specs[i].name ? "" : fmt::format(", \"{}\"", WithoutCommentEnd(specs[i].name));
        text += fmt::format("  {}{}* {}; /* {}{} */\n", constant, HeaderType(FromDl(specs[i].dtype)),
                            fields[i], ShapeText(specs[i].shape), note);
      }
      if (specs.empty()) text += "  int unused;\n";
      text += fmt::format("}} {}_{};\n\n", name_, what);
    };
    tensors("inputs", program_.inputs, inputs, "const ");
    tensors("outputs", program_.outputs, outputs, "");
    text += fmt::format(
        "/* Runs the model. Null, or what it has against the inputs. All memory is static: one call at a "
        "time. */\n"
        "const char* {0}_run(const {0}_inputs* inputs, const {0}_outputs* outputs);\n\n"
        "#ifdef __cplusplus\n}}\n#endif\n#endif\n",
        name_);
    return text;
  }

  std::string ArenaName(uint32_t i) const {
    return program_.arenas.size() == 1 ? "arena" : fmt::format("arena{}", i);
  }

  std::string Memory() const {
    std::string text;
    for (uint32_t i = 0; i < program_.arenas.size(); ++i) {
      const bool used = std::any_of(order_.begin(), order_.end(), [&](uint32_t b) {
        return program_.buffers[b].storage == Storage::kArena && program_.buffers[b].index == i;
      });
      if (!used) continue;
      text += fmt::format("static _Alignas(64) u8 {}[{}];\n", ArenaName(i),
                          std::max<int64_t>(program_.arenas[i].bytes.constant(), 1));
    }
    if (has_parameters())
      text += fmt::format("extern const unsigned char {}_parameters[{}][{}];\n", name_, rows(), kRowBytes);
    return text.empty() ? text : text + "\n";
  }

  std::string Parameters() const {
    std::string text = fmt::format(
        "/* The parameters of {0}, made by Tilewright {1}. */\n"
        "#if defined(__clang__) ? __clang_major__ >= 21 : __GNUC__ >= 15\n"
        "#pragma GCC diagnostic ignored \"-Wunterminated-string-initialization\"\n#endif\n"
        "extern const unsigned char {0}_parameters[{2}][{3}];\n"
        "_Alignas(64) const unsigned char {0}_parameters[{2}][{3}] = {{\n",
        name_, TW_VERSION, rows(), kRowBytes);
    // What begins a trigraph or continues an octal number is a number itself.
    std::vector<std::string> forms(256);
    for (int b = 0; b < 256; ++b) {
      const bool plain = b >= 32 && b < 127 && b != '"' && b != '\\' && b != '?' && !(b >= '0' && b <= '9');
      forms[size_t(b)] = plain ? std::string(1, char(b)) : fmt::format("\\{:o}", b);
    }
    const auto* bytes = static_cast<const unsigned char*>(model_.parameters.data());
    const auto size = size_t(model_.parameters.bytes());
    text.reserve(text.size() + size * 3);
    for (size_t begin = 0; begin < size; begin += kRowBytes) {
      text += '"';
      for (size_t i = begin; i < std::min(size, begin + kRowBytes); ++i) text += forms[bytes[i]];
      text += "\",\n";
    }
    return text + "};\n";
  }

  // ---- The program

  bool IsConstant(const runtime::Buffer& b) const {
    return b.storage == Storage::kInput || b.storage == Storage::kParameter;
  }

  std::string PointerType(uint32_t buffer) const {
    const runtime::Buffer& b = program_.buffers[buffer];
    return fmt::format("{}{}*", IsConstant(b) ? "const " : "", CElementType(FromDl(b.dtype)));
  }

  /// The variable that points to the buffer.
  const std::string& Pointer(uint32_t buffer) {
    auto [it, fresh] = pointers_.try_emplace(buffer);
    if (fresh) {
      const std::string& wanted = program_.buffers[buffer].name;
      it->second = names_.Declare(wanted.empty() ? "b" : wanted);
      order_.push_back(buffer);
    }
    return it->second;
  }

  std::string Pointers(const std::vector<std::string>& inputs,
                       const std::vector<std::string>& outputs) const {
    std::string text;
    bool uses_inputs = false, uses_outputs = false;
    for (uint32_t buffer : order_) {
      const runtime::Buffer& b = program_.buffers[buffer];
      std::string base;
      switch (b.storage) {
        case Storage::kInput:
          base = "inputs->" + inputs[b.index], uses_inputs = true;
          break;
        case Storage::kOutput:
          base = "outputs->" + outputs[b.index], uses_outputs = true;
          break;
        case Storage::kParameter:
          base = name_ + "_parameters[0]";
          break;
        case Storage::kArena:
          base = ArenaName(b.index);
          break;
      }
      const int64_t offset = b.offset.constant();
      const bool io = b.storage == Storage::kInput || b.storage == Storage::kOutput;
      if (offset != 0) base = fmt::format("({}{} + {})", io ? "(u8*)" : "", base, offset);
      if (offset != 0 && b.storage == Storage::kParameter)
        base = fmt::format("((const u8*){}_parameters + {})", name_, offset);
      const std::string type = PointerType(buffer);
      text += fmt::format("  {}{} {} = ({}){};\n", type, moved_.contains(buffer) ? "" : " const",
                          pointers_.at(buffer), type, base);
    }
    if (!uses_inputs) text += "  (void)inputs;\n";
    if (!uses_outputs) text += "  (void)outputs;\n";
    return text;
  }

  void Line(const std::string& text) { out_ += std::string(size_t(depth_) * 2, ' ') + text + "\n"; }

  void Steps(size_t begin, size_t end) {
    for (size_t i = begin; i < end; i += 1 + program_.instructions[i].nested_count()) Step(i);
  }

  void Step(size_t index) {
    const Instruction& instruction = program_.instructions[index];
    if (auto* launch = std::get_if<LaunchOp>(&instruction.op)) return Launch(*launch);
    if (auto* copy = std::get_if<CopyOp>(&instruction.op)) {
      const int64_t bytes = program_.buffers[copy->source].bytes.constant();
      return Line(
          fmt::format("memmove({}, {}, {});", Pointer(copy->destination), Pointer(copy->source), bytes));
    }
    if (auto* branch = std::get_if<IfOp>(&instruction.op)) return If(index, *branch);
    if (auto* loop = std::get_if<LoopOp>(&instruction.op)) return Loop(index, *loop);
    switch (instruction.opcode()) {
      case Opcode::kAlloc:
      case Opcode::kBindShape:
      case Opcode::kCheckEqual:  // without symbols all extents are known to be equal
      case Opcode::kWait:        // the host's work is done when its instruction ends
        return;
      default:
        throw Error("TW3403",
                    fmt::format("C sources have no instruction '{}'", OpcodeName(instruction.opcode())),
                    instruction.name, {"compile a module for the runtime, without --target c"});
    }
  }

  void Launch(const LaunchOp& launch) {
    const PrimFunc& kernel = model_.kernels[launch.kernel];
    std::string args;
    for (size_t i = 0; i < launch.buffers.size(); ++i) {
      const std::string has = CElementType(FromDl(program_.buffers[launch.buffers[i]].dtype));
      const bool is_buffer = i < kernel->buffers.size();
      const std::string wants = is_buffer ? CElementType(kernel->buffers[i].dtype()) : "u8";
      const bool written = i + size_t(kernel->num_outputs) >= kernel->buffers.size();
      const std::string cast = has == wants ? "" : fmt::format("({}{}*)", written ? "" : "const ", wants);
      args += (args.empty() ? "" : ", ") + cast + Pointer(launch.buffers[i]);
    }
    for (const ShapeExpr& d : launch.dims)
      args += fmt::format("{}{}", args.empty() ? "" : ", ", d.constant());
    const std::string call = fmt::format("{}({})", functions_->names[kernel_of_.at(launch.kernel)], args);
    if (!functions_->can_fail[kernel_of_.at(launch.kernel)]) return Line(call + ";");
    Line("{");
    Line(fmt::format("  const char* const error = {};", call));
    Line("  if (error) return error;");
    Line("}");
  }

  void If(size_t index, const IfOp& op) {
    Line(fmt::format("if (*(const u8*){}) {{", Pointer(op.condition)));
    ++depth_;
    Steps(index + 1, index + 1 + op.then_count);
    --depth_;
    if (op.else_count) {
      Line("} else {");
      ++depth_;
      Steps(index + 1 + op.then_count, index + 1 + op.then_count + op.else_count);
      --depth_;
    }
    Line("}");
  }

  void Loop(size_t index, const LoopOp& op) {
    const std::string i = names_.Declare("i"), trips = names_.Declare("trips");
    Line(fmt::format(
        "i64 {} = {};", trips,
        op.trip_count.constant() == INT64_MAX ? "INT64_MAX" : std::to_string(op.trip_count.constant())));
    if (op.trip_buffer != kNoBuffer) {
      const std::string bound = Pointer(op.trip_buffer);
      Line(fmt::format("if (*(const i64*){} < {}) {} = *(const i64*){};", bound, trips, trips, bound));
    }
    for (const LoopWalk& w : op.walks) {
      const std::string p = Pointer(w.buffer);
      Line(fmt::format("{} const {} = {};", PointerType(w.buffer),
                       starts_[w.buffer] = names_.Declare(p + "_start"), p));
    }
    Line(fmt::format("for (i64 {0} = 0; {0} < {1}; ++{0}) {{", i, trips));
    ++depth_;
    if (op.condition != kNoBuffer) Line(fmt::format("if (!*(const u8*){}) break;", Pointer(op.condition)));
    if (op.iteration != kNoBuffer) Line(fmt::format("*(i64*){} = {};", Pointer(op.iteration), i));
    Steps(index + 1, index + 1 + op.body_count);
    for (const LoopSwap& s : op.swaps) {
      const std::string a = Pointer(s.first), b = Pointer(s.second);
      Line(fmt::format("{{ void* const t = {0}; {0} = {1}; {1} = t; }}", a, b));
    }
    for (const LoopWalk& w : op.walks) {
      const std::string p = Pointer(w.buffer), type = PointerType(w.buffer);
      const char* bytes = IsConstant(program_.buffers[w.buffer]) ? "const u8*" : "u8*";
      Line(fmt::format("{} = ({})(({}){} + {});", p, type, bytes, p, w.stride.constant()));
    }
    --depth_;
    Line("}");
    for (const LoopWalk& w : op.walks) Line(fmt::format("{} = {};", Pointer(w.buffer), starts_.at(w.buffer)));
  }

  const CompiledModel& model_;
  const Program& program_;
  const std::string name_, header_;
  const CSource* functions_ = nullptr;
  std::unordered_set<uint32_t> moved_;
  std::map<uint32_t, size_t> kernel_of_;  ///< by the program's number: the source's
  c_codegen::NameScopes names_;
  std::map<uint32_t, std::string> pointers_, starts_;
  std::vector<uint32_t> order_;
  std::string out_;
  int depth_ = 1;
};

}  // namespace

CProgramText CProgram(const CompiledModel& model, const std::string& name, const std::string& header) {
  return ProgramWriter(model, name, header).Write();
}

std::string WriteCSource(const CompiledModel& model, const std::string& path) {
  const std::filesystem::path file(path);
  if (file.extension() != ".c") {
    throw Error("TW3401", fmt::format("'{}' is not a name for a C source", path), "", {"use -o FILE.c"});
  }
  const std::string stem = file.stem().string(), base = (file.parent_path() / stem).string();
  const CProgramText text = CProgram(model, CIdentifier(stem), stem + ".h");
  WriteFile(base + ".c", text.source);
  WriteFile(base + ".h", text.header);
  if (text.parameters.empty()) return fmt::format("{0}.c and {0}.h", base);
  WriteFile(base + "_parameters.c", text.parameters);
  return fmt::format("{0}.c, {0}.h and {0}_parameters.c", base);
}

}  // namespace tilewright
