// SPDX-License-Identifier: Apache-2.0
#include "tilewright/codegen/c/codegen.h"

#include "tilewright/codegen/c/kernel_writer.h"

namespace tilewright {

using namespace c_codegen;

namespace {

bool ReportsErrors(const PrimFunc& kernel) {
  bool reports = false;
  PreOrderExprs(kernel->body, [&](const Expr& e) {
    auto* call = e.As<CallNode>();
    reports |= call && call->op == Intrinsic::k_extern_call;
  });
  return reports;
}

}  // namespace

CSource KernelCSource(std::span<const CKernel> kernels) {
  CSource source;
  Support support;
  NameScopes names;
  for (const CKernel& kernel : kernels) {
    TW_CHECK(kernel.kernel->stage == TirStage::kLowered, "{} is not lowered", kernel.kernel.name());
    source.names.push_back(names.Declare(kernel.kernel.name()));
    source.can_fail.push_back(ReportsErrors(kernel.kernel));
    source.functions +=
        (source.functions.empty() ? "" : "\n") + KernelWriter(kernel, support).Write(source.names.back());
  }
  source.support = support.Text();
  return source;
}

std::string KernelCText(std::span<const PrimFunc> kernels) {
  std::vector<CKernel> all;
  for (const PrimFunc& f : kernels) all.push_back({f, true, ""});
  const CSource source = KernelCSource(all);
  return source.support + "\n" + source.functions;
}

std::string CIdentifier(std::string_view text) { return Identifier(text); }

std::string CElementType(DataType t) { return Support::MemoryType(t); }

std::string CString(std::string_view text) {
  std::string literal = "\"";
  for (char c : text) {
    const auto u = static_cast<unsigned char>(c);
    // A question mark could begin a trigraph (5.2.1.1).
    if (u >= 32 && u < 127 && c != '"' && c != '\\' && c != '?') {
      literal += c;
    } else {
      literal += fmt::format("\\{:03o}", u);
    }
  }
  return literal + '"';
}

}  // namespace tilewright
