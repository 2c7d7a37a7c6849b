// SPDX-License-Identifier: Apache-2.0
// The C interface: checks its arguments, calls the C++ classes, turns exceptions into statuses.
#include <cstring>
#include <new>

#include "tilewright/runtime/context.h"
#include "tilewright/runtime/host_functions.h"
#include "tilewright/runtime/status.h"
#include "tilewright/runtime/tilewright.h"

namespace rt = tilewright::runtime;

namespace {

// What tw_tensor_info points to.
struct InfoStorage {
  std::vector<int64_t> shape;
  std::vector<const char*> symbols;
};

}  // namespace

struct tw_module {
  std::shared_ptr<const rt::Module> module;
  std::vector<InfoStorage> inputs;
  std::vector<InfoStorage> outputs;
};

struct tw_context {
  explicit tw_context(const tw_module* module, const rt::ContextOptions& options)
      : context(module->module, options) {}
  rt::Context context;
};

namespace {

thread_local std::string last_error;

void SetError(const char* message) noexcept {
  try {
    last_error = message;
  } catch (const std::bad_alloc&) {
    last_error.clear();
  }
}

// Runs `body`; every exception becomes a status and the thread's last message.
template <typename Body>
tw_status Guard(Body body) noexcept {
  try {
    body();
    return TW_OK;
  } catch (const rt::RuntimeError& e) {
    SetError(e.what());
    return e.status();
  } catch (const std::bad_alloc&) {
    SetError("TW5305: out of memory");
    return TW_OUT_OF_MEMORY;
  } catch (const std::exception& e) {
    SetError(e.what());
    return TW_INTERNAL_ERROR;
  } catch (...) {
    SetError("an exception of an unknown kind");
    return TW_INTERNAL_ERROR;
  }
}

void RequireArgument(const void* pointer, const char* name) {
  if (pointer == nullptr) {
    throw rt::RuntimeError(rt::ErrorId::kNullArgument, std::string("the argument '") + name + "' is null");
  }
}

size_t CheckedIndex(int32_t index, size_t count, const char* what) {
  if (index >= 0 && static_cast<size_t>(index) < count) return static_cast<size_t>(index);
  throw rt::RuntimeError(rt::ErrorId::kIndexOutOfRange, std::string("there is no ") + what + " number " +
                                                            std::to_string(index) + "; there are " +
                                                            std::to_string(count));
}

// A copy of the caller's options in which fields that the caller does not know have their default, zero.
template <typename Options>
Options TakeOptions(const Options* given) {
  Options options{};
  if (given == nullptr) return options;
  if (given->size < sizeof(size_t) || given->size > 4096) {
    throw rt::RuntimeError(rt::ErrorId::kBadOption, "the field 'size' of the options is " +
                                                        std::to_string(given->size) +
                                                        "; set it to the size of the structure");
  }
  std::memcpy(&options, given, std::min(given->size, sizeof options));
  return options;
}

std::vector<InfoStorage> MakeInfo(const rt::Program& program, const std::vector<rt::TensorSpec>& specs) {
  std::vector<InfoStorage> list;
  for (const rt::TensorSpec& spec : specs) {
    InfoStorage info;
    for (const rt::ShapeExpr& dim : spec.shape) {
      std::optional<uint32_t> symbol = dim.AsSymbol();
      info.shape.push_back(dim.is_constant() ? dim.constant() : -1);
      info.symbols.push_back(dim.is_constant() ? nullptr
                             : symbol          ? program.symbols[*symbol].name.c_str()
                                               : "");
    }
    list.push_back(std::move(info));
  }
  return list;
}

void Publish(std::shared_ptr<const rt::Module> module, tw_module** out) {
  auto handle = std::make_unique<tw_module>();
  handle->inputs = MakeInfo(module->program(), module->program().inputs);
  handle->outputs = MakeInfo(module->program(), module->program().outputs);
  handle->module = std::move(module);
  *out = handle.release();
}

void FillInfo(const std::vector<rt::TensorSpec>& specs, const std::vector<InfoStorage>& storage,
              int32_t index, const char* what, tw_tensor_info* out) {
  size_t i = CheckedIndex(index, specs.size(), what);
  out->name = specs[i].name.c_str();
  out->dtype = specs[i].dtype;
  out->ndim = static_cast<int32_t>(storage[i].shape.size());
  out->shape = storage[i].shape.data();
  out->dim_symbols = storage[i].symbols.data();
}

int32_t FindByName(const std::vector<rt::TensorSpec>& specs, const char* name) {
  for (size_t i = 0; name != nullptr && i < specs.size(); ++i) {
    if (specs[i].name == name) return static_cast<int32_t>(i);
  }
  return -1;
}

tw_tensor ToTensor(const rt::TensorView& view) {
  return {view.data, view.bytes, view.dtype, static_cast<int32_t>(view.shape.size()), view.shape.data()};
}

rt::LoadOptions ToOptions(const tw_load_options* given) {
  return {.verify_parameters = TakeOptions(given).verify_parameters != 0};
}

size_t InputIndex(const tw_context* context, int32_t index) {
  return CheckedIndex(index, context->context.module().program().inputs.size(), "input");
}
size_t OutputIndex(const tw_context* context, int32_t index) {
  return CheckedIndex(index, context->context.module().program().outputs.size(), "output");
}

}  // namespace

extern "C" {

const char* tw_version(void) { return TW_VERSION; }

const char* tw_last_error(void) { return last_error.c_str(); }

const char* tw_status_name(tw_status status) {
  switch (status) {
    case TW_OK:
      return "TW_OK";
    case TW_INVALID_ARGUMENT:
      return "TW_INVALID_ARGUMENT";
    case TW_SHAPE_MISMATCH:
      return "TW_SHAPE_MISMATCH";
    case TW_FILE_ERROR:
      return "TW_FILE_ERROR";
    case TW_BAD_MODULE:
      return "TW_BAD_MODULE";
    case TW_UNSUPPORTED:
      return "TW_UNSUPPORTED";
    case TW_OUT_OF_MEMORY:
      return "TW_OUT_OF_MEMORY";
    case TW_EXECUTION_ERROR:
      return "TW_EXECUTION_ERROR";
    case TW_INTERNAL_ERROR:
      return "TW_INTERNAL_ERROR";
  }
  return "unknown status";
}

tw_status tw_module_load(const char* path, const tw_load_options* options, tw_module** out) {
  return Guard([&] {
    RequireArgument(path, "path");
    RequireArgument(out, "out");
    *out = nullptr;
    Publish(rt::Module::Load(path, ToOptions(options)), out);
  });
}

tw_status tw_module_load_memory(const void* data, size_t length, const tw_load_options* options,
                                tw_module** out) {
  return Guard([&] {
    RequireArgument(data, "data");
    RequireArgument(out, "out");
    *out = nullptr;
    std::span<const std::byte> bytes(static_cast<const std::byte*>(data), length);
    Publish(rt::Module::LoadFromMemory(bytes, ToOptions(options)), out);
  });
}

void tw_module_release(tw_module* module) { delete module; }

tw_status tw_module_verify_parameters(const tw_module* module) {
  return Guard([&] {
    RequireArgument(module, "module");
    module->module->VerifyParameters();
  });
}

const char* tw_module_name(const tw_module* module) {
  return module != nullptr ? module->module->info().name.c_str() : "";
}
const char* tw_module_producer(const tw_module* module) {
  return module != nullptr ? module->module->info().producer.c_str() : "";
}
const char* tw_module_target(const tw_module* module) {
  return module != nullptr ? module->module->variant().target.c_str() : "";
}

int32_t tw_module_num_inputs(const tw_module* module) {
  return module != nullptr ? static_cast<int32_t>(module->inputs.size()) : 0;
}
int32_t tw_module_num_outputs(const tw_module* module) {
  return module != nullptr ? static_cast<int32_t>(module->outputs.size()) : 0;
}

tw_status tw_module_input_info(const tw_module* module, int32_t index, tw_tensor_info* out) {
  return Guard([&] {
    RequireArgument(module, "module");
    RequireArgument(out, "out");
    FillInfo(module->module->program().inputs, module->inputs, index, "input", out);
  });
}

tw_status tw_module_output_info(const tw_module* module, int32_t index, tw_tensor_info* out) {
  return Guard([&] {
    RequireArgument(module, "module");
    RequireArgument(out, "out");
    FillInfo(module->module->program().outputs, module->outputs, index, "output", out);
  });
}

int32_t tw_module_find_input(const tw_module* module, const char* name) {
  return module != nullptr ? FindByName(module->module->program().inputs, name) : -1;
}
int32_t tw_module_find_output(const tw_module* module, const char* name) {
  return module != nullptr ? FindByName(module->module->program().outputs, name) : -1;
}

tw_status tw_context_create(const tw_module* module, const tw_context_options* options, tw_context** out) {
  return Guard([&] {
    RequireArgument(module, "module");
    RequireArgument(out, "out");
    *out = nullptr;
    tw_context_options taken = TakeOptions(options);
    *out = new tw_context(module, {.num_threads = taken.num_threads, .profile = taken.profile != 0});
  });
}

void tw_context_release(tw_context* context) { delete context; }

tw_status tw_context_set_input_shape(tw_context* context, int32_t index, const int64_t* shape, int32_t ndim) {
  return Guard([&] {
    RequireArgument(context, "context");
    if (ndim != 0) RequireArgument(shape, "shape");
    size_t length = ndim < 0 ? 0 : static_cast<size_t>(ndim);
    context->context.SetInputShape(InputIndex(context, index), {shape, length});
  });
}

tw_status tw_context_set_input(tw_context* context, int32_t index, const void* data, size_t bytes) {
  return Guard([&] {
    RequireArgument(context, "context");
    if (bytes > 0) RequireArgument(data, "data");
    context->context.SetInput(InputIndex(context, index), data, bytes);
  });
}

tw_status tw_context_set_input_tensor(tw_context* context, int32_t index, const DLTensor* tensor) {
  return Guard([&] {
    RequireArgument(context, "context");
    RequireArgument(tensor, "tensor");
    context->context.SetInput(InputIndex(context, index), *tensor);
  });
}

tw_status tw_context_bind_input(tw_context* context, int32_t index, const DLTensor* tensor) {
  return Guard([&] {
    RequireArgument(context, "context");
    context->context.BindInput(InputIndex(context, index), tensor);
  });
}

tw_status tw_context_bind_output(tw_context* context, int32_t index, const DLTensor* tensor) {
  return Guard([&] {
    RequireArgument(context, "context");
    context->context.BindOutput(OutputIndex(context, index), tensor);
  });
}

tw_status tw_context_feed(tw_context* context, int32_t output, int32_t input) {
  return Guard([&] {
    RequireArgument(context, "context");
    context->context.Feed(OutputIndex(context, output), InputIndex(context, input));
  });
}

int32_t tw_module_donor(const tw_module* module, int32_t output) {
  if (module == nullptr) return -1;
  for (const rt::Instruction& instruction : module->module->program().instructions) {
    const auto* op = std::get_if<rt::DonateOp>(&instruction.op);
    if (op != nullptr && static_cast<int64_t>(op->output) == output) return static_cast<int32_t>(op->input);
  }
  return -1;
}

size_t tw_context_bind_alignment(const tw_context* context) {
  return context != nullptr ? context->context.module().program().bind_alignment : 0;
}

tw_status tw_context_input_buffer(tw_context* context, int32_t index, tw_tensor* out) {
  return Guard([&] {
    RequireArgument(context, "context");
    RequireArgument(out, "out");
    *out = ToTensor(context->context.InputBuffer(InputIndex(context, index)));
  });
}

tw_status tw_context_run(tw_context* context) {
  return Guard([&] {
    RequireArgument(context, "context");
    context->context.Run();
  });
}

tw_status tw_context_get_output(const tw_context* context, int32_t index, tw_tensor* out) {
  return Guard([&] {
    RequireArgument(context, "context");
    RequireArgument(out, "out");
    *out = ToTensor(context->context.Output(OutputIndex(context, index)));
  });
}

size_t tw_context_memory_bytes(const tw_context* context) {
  return context != nullptr ? context->context.MemoryBytes() : 0;
}

int32_t tw_context_num_threads(const tw_context* context) {
  return context != nullptr ? context->context.num_threads() : 0;
}

int32_t tw_context_profile_size(const tw_context* context) {
  return context != nullptr ? static_cast<int32_t>(context->context.profile().size()) : 0;
}

tw_status tw_context_profile_entry(const tw_context* context, int32_t index, tw_profile_entry* out) {
  return Guard([&] {
    RequireArgument(context, "context");
    RequireArgument(out, "out");
    size_t i = CheckedIndex(index, context->context.profile().size(), "profile entry");
    const rt::ProfileEntry& entry = context->context.profile()[i];
    const rt::Program& program = context->context.module().program();
    const rt::Instruction& instruction = program.instructions[i];
    const auto* launch = std::get_if<rt::LaunchOp>(&instruction.op);
    bool use_kernel = instruction.name.empty() && launch != nullptr;
    out->name = use_kernel ? program.kernels[launch->kernel].c_str() : instruction.name.c_str();
    out->kind = rt::OpcodeName(instruction.opcode()).data();
    out->runs = entry.runs;
    out->sum_ns = entry.sum_ns;
    out->min_ns = entry.min_ns;
    const rt::LaunchWork work = context->context.Work(i);
    out->flops = work.flops;
    out->bytes = work.bytes;
  });
}

void tw_context_profile_reset(tw_context* context) {
  if (context != nullptr) context->context.ResetProfile();
}

tw_status tw_register_host_function(const char* name, tw_host_function function, void* user_data) {
  return Guard([&] {
    RequireArgument(name, "name");
    RequireArgument(reinterpret_cast<const void*>(function), "function");
    rt::RegisterHostFunction(name, {function, user_data});
  });
}

}  // extern "C"
