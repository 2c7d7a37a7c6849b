// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/unit_intrin.h"

#include "tilewright/tir/parser.h"

namespace tilewright {

namespace {

constexpr int kTile = 16;

/// An operation on tiles: its loops as block variables, and the statement over these.
struct Operation {
  std::string name, unit;
  std::string buffers;               ///< as in the text form
  std::vector<std::string> spatial;  ///< names of loops
  std::string reduce;                ///< name of the last loop, or empty
  std::string reads, writes;
  std::string statement;
};

/// As a block below its loops, or as the loops of an instruction.
PrimFunc Written(const Operation& op, bool instruction) {
  std::string text =
      fmt::format("primfunc @{}({}) outputs(1) scheduled {{ block \"root\" {{\n", op.name, op.buffers);
  std::vector<std::string> loops = op.spatial;
  if (!op.reduce.empty()) loops.push_back(op.reduce);
  std::string braces, vars;
  for (const std::string& v : loops) {
    const std::string loop = instruction ? v : v + "_loop";
    std::string notes;
    if (instruction && braces.empty())
      notes = fmt::format("annotations {{instruction = \"{}\", unit = \"{}\"}} ", op.name, op.unit);
    text += fmt::format("for {} in 0..{} {}{{\n", loop, kTile, notes);
    vars += fmt::format("{}{}: {} 0..{} = {}", vars.empty() ? "" : ", ", v,
                        v == op.reduce ? "reduce" : "spatial", kTile, loop);
    braces += "}";
  }
  if (instruction) {
    text += op.statement;
  } else {
    text += fmt::format("block \"tile\" ({}) {{\n{}writes {}\n{}\n}}", vars,
                        op.reads.empty() ? "" : "reads " + op.reads + "\n", op.writes, op.statement);
  }
  return ParsePrimFunc(text + braces + "} }");
}

TensorIntrinsic Intrinsic16(const Operation& op) { return {op.name, Written(op, false), Written(op, true)}; }

Operation Copy(const std::string& name, const std::string& unit, const std::string& from,
               const std::string& to) {
  return {name,
          unit,
          fmt::format("A: i8[16, 16]{}, B: i8[16, 16]{}", from, to),
          {"i", "j"},
          "",
          "A[i, j]",
          "B[i, j]",
          "B[i, j] = A[i, j]"};
}

}  // namespace

std::vector<TensorIntrinsic> UnitIntrinsics() {
  const Operation clear = {
      "clear_16x16", "compute",       "C: i32[16, 16] scope \"accumulator\"", {"i", "j"}, "", "",
      "C[i, j]",     "C[i, j] = 0i32"};
  const Operation gemm = {
      "gemm_16x16x16",
      "compute",
      "A: i8[16, 16] scope \"input\", B: i8[16, 16] scope \"weight\", C: i32[16, 16] scope "
      "\"accumulator\"",
      {"i", "j"},
      "k",
      "C[i, j], A[i, k], B[k, j]",
      "C[i, j]",
      "C[i, j] = C[i, j] + i32(A[i, k]) * i32(B[k, j])"};
  std::vector<TensorIntrinsic> all;
  for (const Operation& op : {Copy("load_input_16x16", "load", "", " scope \"input\""),
                              Copy("load_weight_16x16", "load", "", " scope \"weight\""),
                              Copy("store_output_16x16", "store", " scope \"output\"", ""), clear, gemm}) {
    all.push_back(Intrinsic16(op));
  }
  return all;
}

}  // namespace tilewright
