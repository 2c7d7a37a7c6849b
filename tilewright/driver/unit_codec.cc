// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/unit_codec.h"

#include <algorithm>

#include "tilewright/runtime/byte_io.h"
#include "tilewright/tir/parser.h"

namespace tilewright {

namespace {

constexpr uint32_t kFormat = 1;

/// The symbolic dimensions of a fused function, in order of first occurrence.
std::vector<Var> DimsOf(const GraphFunction& f) {
  std::vector<Var> dims;
  auto add_expr = [&](const Expr& e) {
    for (const Var& v : FreeVars(e)) {
      if (std::ranges::find(dims, v) == dims.end()) dims.push_back(v);
    }
  };
  auto add_type = [&](const Value& v) {
    for (const Expr& e : v.tensor().shape) add_expr(e);
  };
  for (const Value& p : f->params) add_type(p);
  for (const Binding& b : f->body.bindings) {
    for (const Value& r : b.results) add_type(r);
    for (const auto& [name, value] : b.operation.As<OpCallNode>()->attrs.ToMap()) {
      if (auto* e = std::get_if<Expr>(&value)) add_expr(*e);
      if (auto* list = std::get_if<std::vector<Expr>>(&value)) std::ranges::for_each(*list, add_expr);
    }
  }
  return dims;
}

// What a launch needs beside code are shapes and numbers over dimensions. They become the text of a function:
// its buffers are those of the unit, then the workspaces, and its statements are two numbers per launch.

PrimFunc Signature(const KernelUnit& unit, const std::vector<Var>& dims) {
  PrimFuncNode f;
  f.name = "signature";
  f.buffers = unit.scheduled->buffers;
  f.buffers.insert(f.buffers.end(), unit.lowered.workspaces.begin(), unit.lowered.workspaces.end());
  f.dims = dims;
  f.num_outputs = unit.scheduled->num_outputs;
  f.stage = TirStage::kLowered;
  std::vector<Stmt> numbers{MakeEvaluate(0)};
  for (const KernelLaunch& launch : unit.lowered.launches) {
    numbers.push_back(MakeEvaluate(launch.num_chunks));
    numbers.push_back(MakeEvaluate(launch.workspace_bytes ? launch.workspace_bytes : Expr(0)));
  }
  f.body = MakeSeq(std::move(numbers));
  return PrimFunc(std::move(f));
}

/// Whether nothing in the launches is over other variables than these.
bool DependsOnlyOn(const KernelUnit& unit, const std::vector<Var>& dims) {
  auto known = [&](const Var& v) { return std::ranges::find(dims, v) != dims.end(); };
  auto fits = [&](const Expr& e) { return !e || std::ranges::all_of(FreeVars(e), known); };
  auto buffer_fits = [&](const Buffer& b) { return std::ranges::all_of(b.shape(), fits); };
  return std::ranges::all_of(unit.scheduled->buffers, buffer_fits) &&
         std::ranges::all_of(unit.lowered.workspaces, buffer_fits) &&
         std::ranges::all_of(unit.lowered.launches, [&](const KernelLaunch& l) {
           return fits(l.num_chunks) && fits(l.workspace_bytes) && l.threads.empty() &&
                  std::ranges::all_of(l.kernel->dims, known);
         });
}

template <class List, class Item>
size_t PositionIn(const List& list, const Item& item) {
  return size_t(std::ranges::find(list, item) - list.begin());
}

void PutFlags(runtime::ByteWriter& out, const std::vector<bool>& flags) {
  out.PutCount(flags.size());
  for (bool flag : flags) out.Put(uint8_t(flag));
}

std::vector<bool> GetFlags(runtime::ByteReader& in) {
  std::vector<bool> flags(in.GetCount(1));
  for (size_t i = 0; i < flags.size(); ++i) flags[i] = in.Get<uint8_t>() != 0;
  return flags;
}

/// Reads a position below `size`.
size_t GetPosition(runtime::ByteReader& in, size_t size) {
  const size_t position = in.Get<uint32_t>();
  if (position >= size) in.Fail("names an item that there is not");
  return position;
}

void Decode(runtime::ByteReader& in, KernelUnit& unit) {
  if (in.Get<uint32_t>() != kFormat) in.Fail("has another format");
  const std::vector<Var> dims = DimsOf(unit.graph);
  const PrimFunc signature = ParsePrimFunc(in.GetString());
  if (signature->dims.size() != dims.size()) in.Fail("has other dimensions");
  VarMap own;
  for (size_t i = 0; i < dims.size(); ++i) own[signature->dims[i]] = dims[i];
  std::vector<Buffer> buffers;
  const size_t workspaces = in.GetCount(4);
  const size_t first_workspace = signature->buffers.size() - std::min(workspaces, signature->buffers.size());
  for (size_t i = 0; i < signature->buffers.size(); ++i) {
    BufferNode node = *signature->buffers[i].get();
    for (Expr& extent : node.shape) extent = Substitute(extent, own);
    // In a text names are identifiers and unique; a program shows those of workspaces as they were.
    if (i >= first_workspace) node.buffer_name = in.GetString();
    buffers.push_back(MakeBuffer(std::move(node)));
  }
  unit.lowered.workspaces.assign(buffers.begin() + ptrdiff_t(first_workspace), buffers.end());

  const Stmt nothing = MakeEvaluate(0);
  PrimFuncNode scheduled;
  scheduled.name = unit.graph.name();
  scheduled.buffers.assign(buffers.begin(), buffers.begin() + ptrdiff_t(first_workspace));
  scheduled.num_outputs = signature->num_outputs;
  scheduled.body = nothing;
  unit.scheduled = PrimFunc(std::move(scheduled));

  auto* numbers = signature->body.As<SeqNode>();
  const size_t launches = in.GetCount(8);
  if (launches > 0 && (!numbers || numbers->stmts.size() != 1 + 2 * launches))
    in.Fail("has no such launches");
  for (size_t i = 0; i < launches; ++i) {
    auto number = [&](size_t which) {
      auto* evaluate = numbers->stmts[1 + 2 * i + which].As<EvaluateNode>();
      if (!evaluate) in.Fail("has something else than a number");
      return Substitute(evaluate->value, own);
    };
    PrimFuncNode kernel;
    kernel.name = in.GetString();
    kernel.stage = TirStage::kLowered;
    kernel.body = nothing;
    for (size_t n = in.GetCount(4); n > 0; --n) kernel.dims.push_back(dims[GetPosition(in, dims.size())]);
    KernelLaunch launch;
    launch.num_chunks = number(0);
    if (const Expr bytes = number(1); !IsInt(bytes, 0)) launch.workspace_bytes = bytes;
    for (size_t n = in.GetCount(4); n > 0; --n)
      launch.args.push_back(buffers[GetPosition(in, buffers.size())]);
    kernel.buffers = launch.args;
    launch.kernel = PrimFunc(std::move(kernel));
    unit.lowered.launches.push_back(std::move(launch));
  }
  for (size_t n = in.GetCount(8); n > 0; --n) {
    const int index = int(GetPosition(in, first_workspace));
    unit.prepare.push_back({index, ParsePrimFunc(in.GetString())});
  }
  unit.in_place = GetFlags(in);
  unit.code.bytes = in.GetString();
  if (!unit.code.bytes.empty()) {
    for (const KernelLaunch& launch : unit.lowered.launches)
      unit.code.symbols.push_back(launch.kernel.name());
  }
  in.ExpectEnd();
}

}  // namespace

std::string UnitKey(const KernelUnit& unit, const Target& target) {
  std::string key = target.ToString() + "\n" + unit.graph.name() + "\n";
  for (const Value& p : unit.graph->params) key += p.name() + ",";
  for (const Var& d : DimsOf(unit.graph))
    key += fmt::format("\n{}: {} {} {}", d->name, d->min, d->max, d->multiple);
  return key + "\n" + CanonicalText(unit.graph, unit.constant_args);
}

std::optional<std::string> EncodeUnit(const KernelUnit& unit) {
  const std::vector<Var> dims = DimsOf(unit.graph);
  if (!DependsOnlyOn(unit, dims)) return std::nullopt;
  const PrimFunc signature = Signature(unit, dims);
  runtime::ByteWriter out;
  out.Put(kFormat);
  out.PutString(ToString(signature));
  out.PutCount(unit.lowered.workspaces.size());
  for (const Buffer& w : unit.lowered.workspaces) out.PutString(w.name());
  out.PutCount(unit.lowered.launches.size());
  for (const KernelLaunch& launch : unit.lowered.launches) {
    out.PutString(launch.kernel.name());
    out.PutCount(launch.kernel->dims.size());
    for (const Var& d : launch.kernel->dims) out.PutCount(PositionIn(dims, d));
    out.PutCount(launch.args.size());
    for (const Buffer& b : launch.args) out.PutCount(PositionIn(signature->buffers, b));
  }
  out.PutCount(unit.prepare.size());
  for (const Schedule::Prepare& p : unit.prepare) {
    out.PutCount(size_t(p.buffer_index));
    out.PutString(ToString(p.function));
  }
  PutFlags(out, unit.in_place);
  out.PutString(unit.code.bytes);
  return std::string(reinterpret_cast<const char*>(out.bytes().data()), out.size());
}

bool DecodeUnit(std::string_view bytes, KernelUnit& unit) {
  KernelUnit decoded = unit;
  try {
    runtime::ByteReader in(std::as_bytes(std::span(bytes)), "cached kernel");
    Decode(in, decoded);
  } catch (const Error&) {
    return false;
  } catch (const runtime::RuntimeError&) {
    return false;
  }
  unit = std::move(decoded);
  unit.cached = true;
  return true;
}

}  // namespace tilewright
