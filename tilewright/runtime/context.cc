// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/context.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "tilewright/runtime/device.h"
#include "tilewright/runtime/dtype.h"
#include "tilewright/runtime/float_environment.h"
#include "tilewright/runtime/host_functions.h"
#include "tilewright/runtime/io_tensor.h"
#include "tilewright/runtime/status.h"
#include "tilewright/runtime/thread_pool.h"

namespace tilewright::runtime {
namespace {

// The table that kernels see, and where their first report of a run is kept. The table comes first, so that
// its address is the sink's.
struct ErrorSink {
  tw_runtime_table table{TW_KERNEL_ABI_VERSION, sizeof(tw_runtime_table), &ErrorSink::Report};
  std::atomic<const char*> message{nullptr};
  std::atomic<int64_t> value{0};

  static void Report(const tw_runtime_table* table, const char* message, int64_t value) {
    auto* sink = reinterpret_cast<ErrorSink*>(const_cast<tw_runtime_table*>(table));
    const char* none = nullptr;
    if (sink->message.compare_exchange_strong(none, message != nullptr ? message : "unknown error")) {
      sink->value.store(value);
    }
  }
};
static_assert(std::is_standard_layout_v<ErrorSink>);

// An instruction with what its expressions came to when they were last evaluated. All vectors have their full
// size from the start.
struct Step {
  const Instruction* instruction = nullptr;
  uint64_t epoch = 0;  // the epoch of Context::Impl for which the rest holds
  std::vector<void*> pointers;
  std::vector<int64_t> dims;
  int64_t num_chunks = 0;
  uint64_t bytes = 0;
  HostFunction host;
  std::vector<DLTensor> tensors;
  std::vector<std::vector<int64_t>> shapes;
  size_t nested = 0;            // instructions behind this one that belong to it
  std::vector<size_t> moved;    // of a loop: steps that use buffers that it moves
  std::vector<int64_t> starts;  // of a loop: where its moving buffers were before it
};

// An arena's memory, given back to where it came from.
struct ArenaMemory {
  DeviceMemory memory;
  DeviceSession* session = nullptr;  // null for the host

  ArenaMemory() = default;
  ArenaMemory(const ArenaMemory&) = delete;
  ArenaMemory& operator=(const ArenaMemory&) = delete;
  ~ArenaMemory() { Free(); }
  void Free() {
    DeviceMemory freed = std::exchange(memory, {});
    if (freed.data == nullptr) return;
    session == nullptr ? FreeHost(freed) : session->Free(freed);
  }
};

// One launch as the pool's threads see it.
struct LaunchTask {
  tw_kernel kernel;
  void* const* buffers;
  const int64_t* dims;
  const tw_runtime_table* table;
  bool backwards;  // a thread begins at its last chunk

  static void Run(void* argument, int64_t begin, int64_t end) {
    const auto& launch = *static_cast<const LaunchTask*>(argument);
    if (!launch.backwards) return launch.Call(begin, end);
    while (end > begin) launch.Call(end - 1, end), --end;
  }
  void Call(int64_t begin, int64_t end) const { kernel(buffers, dims, begin, end, table); }
};

}  // namespace

class Context::Impl {
 public:
  Impl(std::shared_ptr<const Module> module, const ContextOptions& options);

  IoTensor& Input(size_t index) { return Checked(inputs_, index, "input"); }
  IoTensor& OutputTensor(size_t index) { return Checked(outputs_, index, "output"); }
  void SetInputShape(size_t index, std::span<const int64_t> shape);
  // The input's own memory at its present shape, which is about to be filled.
  IoTensor& OwnInput(size_t index);
  void BindInput(size_t index, const DLTensor* tensor);
  void BindOutput(size_t index, const DLTensor* tensor);
  void Feed(size_t output, size_t input);
  void Run();
  uint64_t MemoryBytes() const;

  std::shared_ptr<const Module> module_;
  int num_threads_;
  bool has_run_ = false;
  std::vector<ProfileEntry> profile_;
  std::vector<TraceEvent> trace_;  // its capacity is the room
  LaunchWork Work(size_t instruction) const;

 private:
  static IoTensor& Checked(const std::vector<std::unique_ptr<IoTensor>>& list, size_t index,
                           const char* what) {
    if (index < list.size()) return *list[index];
    throw RuntimeError(ErrorId::kIndexOutOfRange, "there is no " + std::string(what) + " number " +
                                                      std::to_string(index) + "; the module has " +
                                                      std::to_string(list.size()));
  }

  void OpenDevices();
  void ShareDonated();
  void AllocateArena(uint32_t index, uint64_t bytes);
  Step MakeStep(const Instruction& instruction) const;

  void CheckInputs() const;
  // Steps [begin, end), each followed by those that belong to it.
  void RunRange(size_t begin, size_t end);
  void RunTimed(size_t index);
  void RunStep(Step& step) {
    if (step.instruction->once && initialised_) return;
    std::visit([&](const auto& op) { Execute(step, op); }, step.instruction->op);
    const Instruction& i = *step.instruction;
    if (i.event != kNoEvent && i.device != 0) Session(i.device).Record(i.event, i.stream);
  }
  void Execute(Step& step, const AllocOp& op);
  void Execute(Step& step, const CopyOp& op);
  void Execute(Step& step, const LaunchOp& op);
  void Execute(Step& step, const CallHostOp& op);
  void Execute(Step& step, const BindShapeOp& op);
  void Execute(Step& step, const WaitOp& op);
  void Execute(Step& step, const BindValueOp& op);
  void Execute(Step& step, const CheckEqualOp& op);
  void Execute(Step&, const DonateOp&) {}  // done when the context was created
  void Execute(Step& step, const IfOp& op);
  void Execute(Step& step, const LoopOp& op);
  void FinishOutputs();
  // Throws what a kernel has reported; `what` names who it was.
  void ThrowReported(const ErrorSink& sink, std::string_view what) const;

  // Moves the buffers of a loop on, or back to their places, for the steps that use them.
  void MoveOn(const Step& step, const LoopOp& op);
  void MoveBack(const Step& step, const LoopOp& op);
  void FindMovedSteps(Step& step, const LoopOp& op) const;
  template <typename T>
  T ReadValue(uint32_t buffer);

  // A resolved window of memory.
  struct Window {
    std::byte* data;
    uint64_t bytes;
  };
  Window Resolve(uint32_t buffer);
  void ResolveAll(Step& step, const std::vector<uint32_t>& buffers);
  void PrepareOutput(size_t index);
  void BindSymbol(uint32_t symbol, int64_t value, const std::string& source);
  int64_t Evaluate(const ShapeExpr& e) const { return e.Evaluate(symbols_); }
  uint16_t DeviceOf(const Buffer& b) const {
    return b.storage == Storage::kArena ? program_.arenas[b.index].device : uint16_t{0};
  }
  DeviceSession& Session(uint16_t device) { return *sessions_[device]; }

  const Program& program_;
  ErrorSink sink_, device_sink_;  // of kernels on the host, and of those on devices
  ThreadPool& pool_;
  std::vector<std::unique_ptr<DeviceSession>> sessions_;  // by device; null for the host
  std::vector<std::unique_ptr<IoTensor>> inputs_;
  std::vector<std::unique_ptr<IoTensor>> outputs_;
  std::vector<std::vector<int64_t>> output_shapes_;  // room to evaluate shapes in
  std::vector<bool> ready_;                          // per input: has contents
  static constexpr uint32_t kNotDonated = 0xffffffffu;
  std::vector<uint32_t> donor_;  // per output: the input whose memory it has
  std::vector<ArenaMemory> arenas_;
  std::vector<int64_t> symbols_;         // of the run under way
  std::vector<int64_t> previous_;        // the last value each symbol had
  std::vector<uint16_t> event_devices_;  // who signals each event
  std::vector<Step> steps_;
  std::vector<uint32_t> place_of_;     // per buffer: the buffer whose place in memory it has, after exchanges
  std::vector<int64_t> displacement_;  // per buffer: bytes from its place
  uint64_t nested_ns_ = 0;             // time of the steps inside of the one being timed
  std::chrono::steady_clock::time_point run_start_;
  // Grows whenever a pointer or a symbol's value changes, so that steps resolved before are resolved again.
  uint64_t epoch_ = 1;
  // Whether launches go through their chunks from the last one. Every second iteration of a loop does, so
  // that of weights beyond a cache's size it finds there what the iteration before has read last.
  bool backwards_ = false;
  bool initialised_ = false;  // a run has succeeded, so that instructions marked `once` are done
};

// ---- Creation ----

Context::Impl::Impl(std::shared_ptr<const Module> module, const ContextOptions& options)
    : module_(std::move(module)), program_(module_->program()), pool_(ThreadPool::Global()) {
  if (options.num_threads < 0 || options.num_threads > ThreadPool::kMaxThreads) {
    throw RuntimeError(ErrorId::kBadOption,
                       "the number of threads is " + std::to_string(options.num_threads) +
                           ", expected 0 (default) to " + std::to_string(ThreadPool::kMaxThreads));
  }
  num_threads_ =
      pool_.Reserve(options.num_threads > 0 ? options.num_threads : ThreadPool::DefaultNumThreads());
  OpenDevices();
  for (const TensorSpec& spec : program_.inputs) inputs_.push_back(std::make_unique<IoTensor>(spec, "input"));
  for (const TensorSpec& spec : program_.outputs) {
    outputs_.push_back(std::make_unique<IoTensor>(spec, "output"));
    output_shapes_.emplace_back(spec.shape.size());
  }
  ShareDonated();
  for (const auto& output : outputs_) {
    if (output->is_static()) output->EnsureOwned();
  }
  ready_.assign(inputs_.size(), false);
  symbols_.assign(program_.symbols.size(), kUnboundSymbol);
  previous_ = symbols_;
  event_devices_.assign(program_.num_events, 0);
  arenas_ = std::vector<ArenaMemory>(program_.arenas.size());
  for (uint32_t i = 0; i < arenas_.size(); ++i) {
    const ShapeExpr& bytes = program_.arenas[i].bytes;
    if (bytes.is_constant()) AllocateArena(i, static_cast<uint64_t>(bytes.constant()));
  }
  for (const Instruction& instruction : program_.instructions) {
    steps_.push_back(MakeStep(instruction));
    if (instruction.event != kNoEvent) event_devices_[instruction.event] = instruction.device;
  }
  place_of_.resize(program_.buffers.size());
  for (uint32_t i = 0; i < place_of_.size(); ++i) place_of_[i] = i;
  displacement_.assign(program_.buffers.size(), 0);
  for (Step& step : steps_) {
    if (const auto* loop = std::get_if<LoopOp>(&step.instruction->op)) FindMovedSteps(step, *loop);
  }
  if (options.profile) {
    profile_.resize(steps_.size());
    trace_.reserve(options.trace_events);
  }
}

void Context::Impl::ShareDonated() {
  donor_.assign(outputs_.size(), kNotDonated);
  for (const Instruction& instruction : program_.instructions) {
    const auto* op = std::get_if<DonateOp>(&instruction.op);
    if (op == nullptr) continue;
    outputs_[op->output]->ShareWith(*inputs_[op->input]);
    donor_[op->output] = op->input;
  }
}

void Context::Impl::OpenDevices() {
  sessions_.emplace_back();
  for (size_t i = 1; i < program_.devices.size(); ++i) {
    const DeviceSpec& spec = program_.devices[i];
    Device* device = FindDevice(spec.kind);
    if (device == nullptr) {
      throw RuntimeError(ErrorId::kMissingDevice, "the module needs a device of kind '" + spec.kind +
                                                      "', which this runtime has not got");
    }
    sessions_.push_back(device->OpenSession(spec.ordinal, module_->DeviceCode(spec.kind)));
  }
}

void Context::Impl::AllocateArena(uint32_t index, uint64_t bytes) {
  const Arena& arena = program_.arenas[index];
  ArenaMemory& block = arenas_[index];
  if (block.memory.data != nullptr && bytes <= block.memory.bytes) return;
  block.session = sessions_[arena.device].get();
  if (block.session != nullptr) block.session->Synchronize();
  block.Free();
  block.memory = block.session == nullptr ? AllocateHost(bytes) : block.session->Allocate(bytes, arena.scope);
  ++epoch_;
}

Step Context::Impl::MakeStep(const Instruction& instruction) const {
  Step step;
  step.instruction = &instruction;
  step.nested = static_cast<size_t>(instruction.nested_count());
  if (const auto* launch = std::get_if<LaunchOp>(&instruction.op)) {
    step.pointers.resize(launch->buffers.size());
    step.dims.resize(launch->dims.size());
  } else if (std::holds_alternative<CopyOp>(instruction.op)) {
    step.pointers.resize(2);
  } else if (const auto* call = std::get_if<CallHostOp>(&instruction.op)) {
    std::optional<HostFunction> host = FindHostFunction(call->function);
    if (!host) {
      throw RuntimeError(ErrorId::kMissingHostFunction,
                         "the module calls the host function '" + call->function +
                             "', which is not registered; load the runtime extension that has it");
    }
    step.host = *host;
    step.pointers.resize(call->buffers.size());
    for (uint32_t b : call->buffers) {
      const Buffer& buffer = program_.buffers[b];
      step.shapes.emplace_back(buffer.shape.size());
      DLTensor tensor{};
      tensor.device = {kDLCPU, 0};
      tensor.ndim = static_cast<int32_t>(buffer.shape.size());
      tensor.dtype = buffer.dtype;
      tensor.shape = step.shapes.back().data();  // stays where it is when the step moves
      step.tensors.push_back(tensor);
    }
  }
  return step;
}

// ---- Inputs and outputs ----

void Context::Impl::SetInputShape(size_t index, std::span<const int64_t> shape) {
  IoTensor& input = Input(index);
  if (!input.SetShape(shape)) return;
  input.Unbind();
  ready_[index] = false;
  ++epoch_;
}

IoTensor& Context::Impl::OwnInput(size_t index) {
  IoTensor& input = Input(index);
  if (!input.has_shape()) {
    throw RuntimeError(ErrorId::kWrongShape,
                       "the shape of " + input.Describe() + " is not fixed; set its shape first");
  }
  if (input.is_bound()) {
    input.Unbind();
    ++epoch_;
  }
  if (input.EnsureOwned()) ++epoch_;
  ready_[index] = true;
  return input;
}

void Context::Impl::BindInput(size_t index, const DLTensor* tensor) {
  IoTensor& input = Input(index);
  if (tensor != nullptr) {
    input.Bind(*tensor, program_.bind_alignment);
    ready_[index] = true;
  } else if (input.is_bound()) {
    input.Unbind();
    ready_[index] = false;
  }
  ++epoch_;
}

void Context::Impl::BindOutput(size_t index, const DLTensor* tensor) {
  IoTensor& output = OutputTensor(index);
  if (output.is_shared()) {
    throw RuntimeError(ErrorId::kBadBinding, output.Describe() + " has the memory of " +
                                                 inputs_[donor_[index]]->Describe() + "; bind that instead");
  }
  if (tensor != nullptr) {
    output.Bind(*tensor, program_.bind_alignment);
  } else {
    output.Unbind();
    if (output.is_static()) output.EnsureOwned();
  }
  has_run_ = false;
  ++epoch_;
}

void Context::Impl::Feed(size_t output_index, size_t input_index) {
  IoTensor &output = OutputTensor(output_index), &input = Input(input_index);
  if (!has_run_) {
    throw RuntimeError(ErrorId::kNotRunYet, output.Describe() + " has no contents before a successful run");
  }
  if (donor_[output_index] == input_index) return;
  const bool gives = std::find(donor_.begin(), donor_.end(), input_index) != donor_.end();
  if (output.is_shared() || gives || output.is_bound() || input.is_bound()) {
    throw RuntimeError(ErrorId::kBadBinding, "the memory of " + output.Describe() +
                                                 " cannot become that of " + input.Describe() +
                                                 ": one of them is bound to the caller's memory or donated");
  }
  if (!SameDType(output.spec().dtype, input.spec().dtype)) {
    throw RuntimeError(ErrorId::kWrongDType, output.Describe() + " has elements of " +
                                                 DTypeName(output.spec().dtype) + ", " + input.Describe() +
                                                 " of " + DTypeName(input.spec().dtype));
  }
  input.SetShape(output.shape());
  input.ExchangeMemory(output);
  ready_[input_index] = true;
  ++epoch_;
}

uint64_t Context::Impl::MemoryBytes() const {
  uint64_t total = 0;
  for (const ArenaMemory& arena : arenas_) total += arena.memory.bytes;
  for (const auto& input : inputs_) total += input->owned_bytes();
  for (const auto& output : outputs_) total += output->owned_bytes();
  return total;
}

// ---- Resolving ----

void Context::Impl::PrepareOutput(size_t index) {
  IoTensor& output = *outputs_[index];
  if (!output.is_static()) {
    std::vector<int64_t>& shape = output_shapes_[index];
    for (size_t d = 0; d < shape.size(); ++d) shape[d] = Evaluate(output.spec().shape[d]);
    output.SetShape(shape);
  }
  if (output.EnsureOwned()) ++epoch_;
}

Context::Impl::Window Context::Impl::Resolve(uint32_t index) {
  const Buffer& b = program_.buffers[place_of_[index]];
  Window storage{};
  switch (b.storage) {
    case Storage::kInput:
      storage = {static_cast<std::byte*>(inputs_[b.index]->data()), inputs_[b.index]->bytes()};
      break;
    case Storage::kOutput:
      PrepareOutput(b.index);
      storage = {static_cast<std::byte*>(outputs_[b.index]->data()), outputs_[b.index]->bytes()};
      break;
    case Storage::kParameter:
      storage = {const_cast<std::byte*>(module_->parameters().data()), module_->parameters().size()};
      break;
    case Storage::kArena:
      storage = {static_cast<std::byte*>(arenas_[b.index].memory.data), arenas_[b.index].memory.bytes};
      break;
  }
  int64_t offset = 0, bytes = Evaluate(b.bytes);
  const bool overflow = __builtin_add_overflow(Evaluate(b.offset), displacement_[index], &offset);
  if (overflow || offset < 0 || bytes < 0 || static_cast<uint64_t>(bytes) > storage.bytes ||
      static_cast<uint64_t>(offset) > storage.bytes - static_cast<uint64_t>(bytes)) {
    throw RuntimeError(ErrorId::kBufferBounds, "buffer " + std::to_string(index) + " ('" + b.name +
                                                   "') has " + std::to_string(bytes) + " bytes at " +
                                                   std::to_string(offset) + " of the " +
                                                   std::to_string(storage.bytes) + " bytes that it lies in");
  }
  return {storage.data + offset, static_cast<uint64_t>(bytes)};
}

void Context::Impl::ResolveAll(Step& step, const std::vector<uint32_t>& buffers) {
  for (size_t i = 0; i < buffers.size(); ++i) step.pointers[i] = Resolve(buffers[i]).data;
}

// ---- Running ----

void Context::Impl::CheckInputs() const {
  std::string missing;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (!ready_[i]) missing += (missing.empty() ? "" : ", ") + inputs_[i]->Describe();
  }
  if (!missing.empty()) throw RuntimeError(ErrorId::kInputMissing, "no contents given for " + missing);
}

void Context::Impl::Run() {
  CheckInputs();
  FloatEnvironment environment;
  has_run_ = false;
  sink_.message.store(nullptr, std::memory_order_relaxed);
  device_sink_.message.store(nullptr, std::memory_order_relaxed);
  std::fill(symbols_.begin(), symbols_.end(), kUnboundSymbol);
  trace_.clear();
  if (!profile_.empty()) run_start_ = std::chrono::steady_clock::now();
  try {
    RunRange(0, steps_.size());
    for (size_t d = 1; d < sessions_.size(); ++d) sessions_[d]->Synchronize();
  } catch (...) {
    // What was queued still uses the context's memory.
    for (size_t d = 1; d < sessions_.size(); ++d) sessions_[d]->Synchronize();
    // Inputs whose memory outputs have may be half overwritten.
    for (uint32_t input : donor_) {
      if (input != kNotDonated) ready_[input] = false;
    }
    throw;
  }
  // What kernels on devices report may come after their instructions have ended.
  ThrowReported(device_sink_, "a kernel on a device");
  FinishOutputs();
  initialised_ = true;
  has_run_ = true;
}

void Context::Impl::RunRange(size_t begin, size_t end) {
  const bool timed = !profile_.empty();
  for (size_t i = begin; i < end; i += 1 + steps_[i].nested) {
    if (timed) {
      RunTimed(i);
    } else {
      RunStep(steps_[i]);
    }
  }
}

// The time of branches and bodies belongs to the instructions in them.
void Context::Impl::RunTimed(size_t index) {
  const uint64_t before = std::exchange(nested_ns_, 0);
  const auto nanoseconds = [](std::chrono::steady_clock::duration d) {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(d).count());
  };
  const auto start = std::chrono::steady_clock::now();
  RunStep(steps_[index]);
  const uint64_t ns = nanoseconds(std::chrono::steady_clock::now() - start);
  const uint64_t own = ns - std::min(ns, nested_ns_);
  ProfileEntry& entry = profile_[index];
  entry.min_ns = entry.runs == 0 ? own : std::min(entry.min_ns, own);
  entry.sum_ns += own;
  ++entry.runs;
  nested_ns_ = before + ns;
  if (trace_.size() < trace_.capacity()) {
    trace_.push_back({static_cast<uint32_t>(index), nanoseconds(start - run_start_), ns});
  }
}

LaunchWork Context::Impl::Work(size_t index) const {
  LaunchWork work;
  if (!has_run_) return work;
  const auto& op = program_.instructions.at(index).op;
  std::vector<uint32_t> buffers;
  if (const auto* launch = std::get_if<LaunchOp>(&op)) {
    work.flops = Evaluate(launch->flops);
    buffers = launch->buffers;
  } else if (const auto* copy = std::get_if<CopyOp>(&op)) {
    buffers = {copy->source, copy->destination};
  }
  std::sort(buffers.begin(), buffers.end());
  buffers.erase(std::unique(buffers.begin(), buffers.end()), buffers.end());
  for (uint32_t b : buffers) work.bytes += static_cast<uint64_t>(Evaluate(program_.buffers[b].bytes));
  return work;
}

void Context::Impl::Execute(Step&, const AllocOp& op) {
  int64_t bytes = Evaluate(program_.arenas[op.arena].bytes);
  if (bytes < 0) {
    throw RuntimeError(ErrorId::kShapeArithmetic, "the size of arena " + std::to_string(op.arena) + " is " +
                                                      std::to_string(bytes) + " bytes");
  }
  AllocateArena(op.arena, static_cast<uint64_t>(bytes));
}

void Context::Impl::Execute(Step& step, const CopyOp& op) {
  const Instruction& instruction = *step.instruction;
  if (step.epoch != epoch_) {
    Window source = Resolve(op.source);
    Window destination = Resolve(op.destination);
    if (source.bytes != destination.bytes) {
      throw RuntimeError(ErrorId::kBufferBounds, "instruction '" + instruction.name + "' copies " +
                                                     std::to_string(source.bytes) + " bytes to " +
                                                     std::to_string(destination.bytes));
    }
    step.pointers = {source.data, destination.data};
    step.bytes = source.bytes;
    step.epoch = epoch_;
  }
  if (step.bytes == 0) return;
  bool from_device = DeviceOf(program_.buffers[op.source]) != 0;
  bool to_device = DeviceOf(program_.buffers[op.destination]) != 0;
  if (!from_device && !to_device) {
    std::memmove(step.pointers[1], step.pointers[0], step.bytes);
    return;
  }
  using Kind = DeviceSession::CopyKind;
  Kind kind = !from_device ? Kind::kHostToDevice : to_device ? Kind::kDeviceToDevice : Kind::kDeviceToHost;
  DeviceSession& session = Session(instruction.device);
  session.Copy(step.pointers[1], step.pointers[0], step.bytes, kind, instruction.stream);
}

void Context::Impl::Execute(Step& step, const LaunchOp& op) {
  const Instruction& instruction = *step.instruction;
  if (step.epoch != epoch_) {
    ResolveAll(step, op.buffers);
    for (size_t i = 0; i < op.dims.size(); ++i) step.dims[i] = Evaluate(op.dims[i]);
    step.num_chunks = Evaluate(op.num_chunks);
    step.epoch = epoch_;
  }
  tw_kernel kernel = module_->kernels()[op.kernel];
  if (instruction.device == 0) {
    LaunchTask task{kernel, step.pointers.data(), step.dims.data(), &sink_.table, backwards_};
    pool_.Run(&LaunchTask::Run, &task, step.num_chunks, num_threads_, backwards_);
  } else {
    DeviceSession& session = Session(instruction.device);
    session.Launch({kernel, op.kernel, step.pointers, step.dims, step.num_chunks, &device_sink_.table},
                   instruction.stream);
  }
  ThrowReported(sink_, instruction.name.empty() ? program_.kernels[op.kernel] : instruction.name);
}

void Context::Impl::ThrowReported(const ErrorSink& sink, std::string_view what) const {
  if (const char* message = sink.message.load(std::memory_order_relaxed)) {
    throw RuntimeError(ErrorId::kKernelError, "'" + std::string(what) + "' failed on these inputs: " +
                                                  message + " (" + std::to_string(sink.value) + ")");
  }
}

void Context::Impl::Execute(Step& step, const CallHostOp& op) {
  if (step.epoch != epoch_) {
    ResolveAll(step, op.buffers);
    for (size_t i = 0; i < op.buffers.size(); ++i) {
      const Buffer& buffer = program_.buffers[op.buffers[i]];
      for (size_t d = 0; d < buffer.shape.size(); ++d) step.shapes[i][d] = Evaluate(buffer.shape[d]);
      if (TensorBytes(buffer.dtype, step.shapes[i]) > static_cast<uint64_t>(Evaluate(buffer.bytes))) {
        throw RuntimeError(ErrorId::kBufferBounds, "buffer '" + buffer.name + "' is smaller than its shape " +
                                                       ShapeText(step.shapes[i]));
      }
      step.tensors[i].data = step.pointers[i];
    }
    step.epoch = epoch_;
  }
  int32_t result =
      step.host.function(step.host.user_data, step.tensors.data(), static_cast<int32_t>(step.tensors.size()));
  if (result != 0) {
    throw RuntimeError(ErrorId::kHostFunctionFailed,
                       "the host function '" + op.function + "' failed with error " + std::to_string(result));
  }
}

void Context::Impl::BindSymbol(uint32_t number, int64_t value, const std::string& source) {
  const SymbolInfo& symbol = program_.symbols[number];
  if (value < symbol.min || value > symbol.max || value % symbol.divisor != 0) {
    std::string multiple = symbol.divisor > 1 ? ", a multiple of " + std::to_string(symbol.divisor) : "";
    throw RuntimeError(ErrorId::kSymbolRange, source + " makes '" + symbol.name + "' " +
                                                  std::to_string(value) + ", expected a value in [" +
                                                  std::to_string(symbol.min) + ", " +
                                                  std::to_string(symbol.max) + "]" + multiple);
  }
  if (symbols_[number] != kUnboundSymbol && symbols_[number] != value) {
    throw RuntimeError(ErrorId::kWrongShape, source + " makes '" + symbol.name + "' " +
                                                 std::to_string(value) + ", but it is " +
                                                 std::to_string(symbols_[number]) + " elsewhere");
  }
  symbols_[number] = value;
  if (previous_[number] != value) {
    previous_[number] = value;
    ++epoch_;
  }
}

void Context::Impl::Execute(Step&, const BindShapeOp& op) {
  const IoTensor& input = *inputs_[op.input];
  const std::vector<ShapeExpr>& dims = input.spec().shape;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (std::optional<uint32_t> symbol = dims[d].AsSymbol()) {
      BindSymbol(*symbol, input.shape()[d], input.Describe());
    }
  }
  for (size_t d = 0; d < dims.size(); ++d) {
    int64_t expected = Evaluate(dims[d]);
    if (expected != input.shape()[d]) {
      throw RuntimeError(ErrorId::kWrongShape, "dimension " + std::to_string(d) + " of " + input.Describe() +
                                                   " is " + std::to_string(input.shape()[d]) + ", expected " +
                                                   std::to_string(expected));
    }
  }
}

void Context::Impl::Execute(Step& step, const WaitOp& op) {
  const Instruction& instruction = *step.instruction;
  for (uint32_t event : op.events) {
    uint16_t signaller = event_devices_[event];
    if (signaller == 0) continue;  // what the host does is done when its instruction ends
    if (signaller == instruction.device) {
      Session(signaller).StreamWait(event, instruction.stream);
    } else {
      Session(signaller).HostWait(event);
    }
  }
}

void Context::Impl::Execute(Step&, const CheckEqualOp& op) {
  const int64_t left = Evaluate(op.left), right = Evaluate(op.right);
  if (left == right) return;
  std::vector<std::string> names;
  for (const SymbolInfo& s : program_.symbols) names.push_back(s.name);
  throw RuntimeError(ErrorId::kWrongShape, op.what + ": " + op.left.ToString(names) + " is " +
                                               std::to_string(left) + ", but " + op.right.ToString(names) +
                                               " is " + std::to_string(right));
}

template <typename T>
T Context::Impl::ReadValue(uint32_t index) {
  Window window = Resolve(index);
  T value;
  if (window.bytes < sizeof value) {
    throw RuntimeError(ErrorId::kBufferBounds,
                       "buffer '" + program_.buffers[index].name + "' is too small for a value");
  }
  std::memcpy(&value, window.data, sizeof value);
  return value;
}

void Context::Impl::Execute(Step&, const BindValueOp& op) {
  const Buffer& buffer = program_.buffers[op.buffer];
  int64_t value = buffer.dtype.bits == 64 ? ReadValue<int64_t>(op.buffer) : ReadValue<int32_t>(op.buffer);
  BindSymbol(op.symbol, value, "the value of '" + buffer.name + "'");
}

// ---- Branches and loops ----

void Context::Impl::Execute(Step& step, const IfOp& op) {
  const size_t first = static_cast<size_t>(&step - steps_.data()) + 1;
  if (ReadValue<uint8_t>(op.condition) != 0) {
    RunRange(first, first + op.then_count);
  } else {
    RunRange(first + op.then_count, first + step.nested);
  }
}

void Context::Impl::Execute(Step& step, const LoopOp& op) {
  const size_t first = static_cast<size_t>(&step - steps_.data()) + 1;
  int64_t trips = Evaluate(op.trip_count);
  if (op.trip_buffer != kNoBuffer) trips = std::min(trips, ReadValue<int64_t>(op.trip_buffer));
  struct Return {  // also when an instruction of the body fails
    Impl& impl;
    const Step& step;
    const LoopOp& op;
    bool backwards = impl.backwards_;
    ~Return() { impl.MoveBack(step, op), impl.backwards_ = backwards; }
  } at_the_end{*this, step, op};
  for (size_t k = 0; k < op.walks.size(); ++k) step.starts[k] = displacement_[op.walks[k].buffer];
  for (int64_t i = 0; i < trips; ++i) {
    if (op.condition != kNoBuffer && ReadValue<uint8_t>(op.condition) == 0) break;
    if (op.iteration != kNoBuffer) {
      Window window = Resolve(op.iteration);
      if (window.bytes < sizeof i) {
        throw RuntimeError(ErrorId::kBufferBounds, "a loop counts in a buffer that is too small");
      }
      std::memcpy(window.data, &i, sizeof i);
    }
    RunRange(first, first + step.nested);
    MoveOn(step, op);
    backwards_ = !backwards_;
  }
}

void Context::Impl::FindMovedSteps(Step& step, const LoopOp& op) const {
  step.starts.resize(op.walks.size());
  std::vector<bool> moved(program_.buffers.size(), false);
  for (const LoopSwap& s : op.swaps) moved[s.first] = moved[s.second] = true;
  for (const LoopWalk& w : op.walks) moved[w.buffer] = true;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const auto& user = steps_[i].instruction->op;
    bool uses = false;
    if (const auto* launch = std::get_if<LaunchOp>(&user)) {
      for (uint32_t b : launch->buffers) uses |= moved[b];
    } else if (const auto* copy = std::get_if<CopyOp>(&user)) {
      uses = moved[copy->source] || moved[copy->destination];
    } else if (const auto* call = std::get_if<CallHostOp>(&user)) {
      for (uint32_t b : call->buffers) uses |= moved[b];
    }
    if (uses) step.moved.push_back(i);
  }
}

void Context::Impl::MoveOn(const Step& step, const LoopOp& op) {
  for (const LoopSwap& s : op.swaps) std::swap(place_of_[s.first], place_of_[s.second]);
  for (const LoopWalk& w : op.walks) {
    if (__builtin_add_overflow(displacement_[w.buffer], Evaluate(w.stride), &displacement_[w.buffer])) {
      throw RuntimeError(ErrorId::kBufferBounds,
                         "a loop moves buffer '" + program_.buffers[w.buffer].name + "' beyond all memory");
    }
  }
  for (size_t i : step.moved) steps_[i].epoch = 0;
}

void Context::Impl::MoveBack(const Step& step, const LoopOp& op) {
  if (op.walks.empty()) return;
  for (size_t k = 0; k < op.walks.size(); ++k) displacement_[op.walks[k].buffer] = step.starts[k];
  for (size_t i : step.moved) steps_[i].epoch = 0;
}

void Context::Impl::FinishOutputs() {
  for (size_t i = 0; i < outputs_.size(); ++i) {
    if (!outputs_[i]->is_static()) PrepareOutput(i);
  }
}

// ---- The public face ----

Context::Context(std::shared_ptr<const Module> module, const ContextOptions& options)
    : impl_(std::make_unique<Impl>(std::move(module), options)) {}
Context::~Context() = default;

const Module& Context::module() const { return *impl_->module_; }

void Context::SetInputShape(size_t index, std::span<const int64_t> shape) {
  impl_->SetInputShape(index, shape);
}

void Context::SetInput(size_t index, const void* data, uint64_t bytes) {
  IoTensor& input = impl_->Input(index);
  if (input.has_shape() && bytes != input.bytes()) {
    throw RuntimeError(ErrorId::kWrongSize, input.Describe() + " of shape " + ShapeText(input.shape()) +
                                                " has " + std::to_string(input.bytes()) + " bytes, but " +
                                                std::to_string(bytes) + " were given");
  }
  impl_->OwnInput(index);
  if (bytes > 0) std::memcpy(input.data(), data, bytes);
}

void Context::SetInput(size_t index, const DLTensor& tensor) {
  impl_->Input(index).CheckTensor(tensor);
  impl_->SetInputShape(index, {tensor.shape, static_cast<size_t>(tensor.ndim)});
  impl_->OwnInput(index).CopyFrom(tensor);
}

void Context::BindInput(size_t index, const DLTensor* tensor) { impl_->BindInput(index, tensor); }
void Context::BindOutput(size_t index, const DLTensor* tensor) { impl_->BindOutput(index, tensor); }

void Context::Feed(size_t output, size_t input) { impl_->Feed(output, input); }

TensorView Context::InputBuffer(size_t index) {
  const IoTensor& input = impl_->OwnInput(index);
  return {input.data(), input.bytes(), input.spec().dtype, input.shape()};
}

void Context::Run() { impl_->Run(); }

TensorView Context::Output(size_t index) const {
  const IoTensor& output = impl_->OutputTensor(index);
  if (!impl_->has_run_) {
    throw RuntimeError(ErrorId::kNotRunYet, output.Describe() + " has no contents before a successful run");
  }
  return {output.data(), output.bytes(), output.spec().dtype, output.shape()};
}

uint64_t Context::MemoryBytes() const { return impl_->MemoryBytes(); }
int Context::num_threads() const { return impl_->num_threads_; }
std::span<const ProfileEntry> Context::profile() const { return impl_->profile_; }
void Context::ResetProfile() { std::fill(impl_->profile_.begin(), impl_->profile_.end(), ProfileEntry{}); }
std::span<const TraceEvent> Context::trace() const { return impl_->trace_; }
LaunchWork Context::Work(size_t instruction) const { return impl_->Work(instruction); }

}  // namespace tilewright::runtime
