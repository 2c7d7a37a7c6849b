// SPDX-License-Identifier: Apache-2.0
#include "tilewright/codegen/llvm/jit.h"

#include <llvm/ExecutionEngine/Orc/EPCDynamicLibrarySearchGenerator.h>

#include <algorithm>
#include <unordered_map>

#include "tilewright/codegen/llvm/llvm_headers.h"

namespace tilewright {

namespace orc = llvm::orc;

struct JitModule::Impl {
  explicit Impl(std::unique_ptr<orc::ExecutorProcessControl> control)
      : session(std::move(control)), layer(session) {
    session.setErrorReporter(
        [this](llvm::Error error) { reported += llvm::toString(std::move(error)) + "\n"; });
  }
  ~Impl() {
    if (llvm::Error error = session.endSession()) llvm::consumeError(std::move(error));
  }

  std::string reported;  ///< what the linker said beside the error that it returns
  orc::ExecutionSession session;
  orc::ObjectLinkingLayer layer;
  std::unordered_map<std::string, void*> kernels;
};

namespace {

bool NeedsSanitizer(std::span<const ObjectCode> objects) {
  return std::any_of(objects.begin(), objects.end(), [](const ObjectCode& object) {
    return object.bytes.find("__asan_") != std::string::npos;
  });
}

}  // namespace

JitModule JitModule::Load(std::span<const ObjectCode> objects) {
  auto control = orc::SelfExecutorProcessControl::Create();
  TW_CHECK(control, "no linker for this process: {}", llvm::toString(control.takeError()));
  auto impl = std::make_unique<Impl>(std::move(*control));
  orc::JITDylib& library = impl->session.createBareJITDylib("kernels");
  const bool sanitized = NeedsSanitizer(objects);
  if (sanitized) {
    auto process = orc::EPCDynamicLibrarySearchGenerator::GetForTargetProcess(impl->session);
    TW_CHECK(process, "no symbols of this process: {}", llvm::toString(process.takeError()));
    library.addGenerator(std::move(*process));
  }
  orc::SymbolLookupSet wanted;
  for (const ObjectCode& object : objects) {
    auto buffer = llvm::MemoryBuffer::getMemBuffer(object.bytes, "kernels", false);
    if (llvm::Error error = impl->layer.add(library, std::move(buffer))) {
      TW_CHECK(false, "cannot load machine code: {}", llvm::toString(std::move(error)));
    }
    for (const std::string& symbol : object.symbols) wanted.add(impl->session.intern(symbol));
  }
  auto found = impl->session.lookup({{&library, orc::JITDylibLookupFlags::MatchAllSymbols}}, wanted);
  if (!found) {
    const std::string why = llvm::toString(found.takeError()) + impl->reported;
    if (sanitized && why.find("__asan_") != std::string::npos) {
      throw Error("TW1703", "kernels with address checks need a process with AddressSanitizer's runtime", "",
                  {"build Tilewright with the preset asan, or run without sanitize=address"});
    }
    TW_CHECK(false, "cannot link machine code: {}", why);
  }
  for (const auto& [name, symbol] : *found)
    impl->kernels.emplace(std::string(*name), symbol.getAddress().toPtr<void*>());
  return JitModule(std::move(impl));
}

JitModule::JitModule(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JitModule::JitModule(JitModule&&) noexcept = default;
JitModule& JitModule::operator=(JitModule&&) noexcept = default;
JitModule::~JitModule() = default;

void* JitModule::Find(std::string_view name) const {
  auto it = impl_->kernels.find(std::string(name));
  return it == impl_->kernels.end() ? nullptr : it->second;
}

}  // namespace tilewright
