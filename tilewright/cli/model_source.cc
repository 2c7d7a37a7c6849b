// SPDX-License-Identifier: Apache-2.0
#include "tilewright/cli/model_source.h"

#include <unistd.h>

#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "tilewright/cli/tensor_io.h"
#include "tilewright/driver/evaluate.h"
#include "tilewright/driver/text_file.h"
#include "tilewright/frontend/onnx/import.h"
#include "tilewright/target/known.h"

namespace tilewright {

namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::pair<std::string, std::string> SplitAssignment(const std::string& text, const std::string& flag) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0) {
    throw Error("TW4002", fmt::format("{} takes NAME=VALUE, found '{}'", flag, text));
  }
  return {text.substr(0, at), text.substr(at + 1)};
}

CLI::Validator KnownName(std::vector<std::string> names) {
  std::string list = fmt::format("{}", fmt::join(names, ", "));
  return CLI::Validator(
      [names = std::move(names), list](std::string& given) {
        const bool known = std::find(names.begin(), names.end(), given) != names.end();
        return known ? std::string() : fmt::format("there is no '{}'; known are {}", given, list);
      },
      "NAME");
}

void CompileFlags::Add(CLI::App& app) {
  app.add_option(
      "--target", target,
      fmt::format(
          "Machine to compile for (default: host), or a file that `tilewright calibrate` wrote, with "
          "key=value "
          "overrides: x,cores=8. Several, separated "
          "by commas, make one module with a variant each, of which the processor takes the best that "
          "it can run. Known: {}",
          fmt::join(KnownTargetNames(), ", ")));
  app.add_option(
      "--dim", dims,
      "Fix a symbolic dimension, or give one of a module a size for generated inputs: NAME=N (repeatable)");
  app.add_option(
      "--bind", bind,
      "Make an input of a model a constant: NAME=FILE.npy|.npz|.pb, or NAME=NUMBER for a scalar, of "
      "i64 if it is whole, else of f32 (repeatable)");
  app.add_option("--max-error", max_error,
                 fmt::format("The largest error that the algorithm of an operator may state, relative to the "
                             "root mean square of its result (default: {}); 0 forbids all that approximate",
                             kDefaultMaxError))
      ->check(CLI::NonNegativeNumber);
  app.add_option("--precision", precision,
                 "f32 (default), or bf16: products with constant weights take both arguments in bf16, with "
                 "sums in f32, where that is predicted to be faster (docs/precision.md)")
      ->check(CLI::IsMember({"f32", "bf16"}));
  app.add_flag("--no-cache", no_cache, "Compile every kernel, and keep none (see `tilewright cache --help`)");
  app.add_flag("--verify-each", verify_each, "Verify the IR after every pass");
  app.add_option("--sanitize", "Instrument generated kernels: address")
      ->each([this](const std::string& what) {
        if (what != "address") throw CLI::ValidationError("--sanitize", "knows only 'address'");
        sanitize_address = true;
      });
  std::vector<std::string> names = PhaseAndPassNames();
  names.push_back("all");
  app.add_option("--print-after", print_after,
                 "Print the IR after this phase or pass, or 'all' passes (repeatable); `tilewright compile "
                 "--help` lists them")
      ->check(KnownName(std::move(names)));
  app.add_option("--dump-dir", dump_dir, "Write the IR after every pass into this folder");
  app.add_option("--reproducer", reproducer,
                 "Where to write what a failing pass was given, as text that `tilewright compile` takes "
                 "(default: only for bugs of the compiler, into the folder for temporary files)");
}

void CompileFlags::AddVerify(CLI::App& app) {
  app.add_flag(
      "--verify", verify_parameters,
      "Of a compiled module: compare its parameters with their checksum, too, which reads all of them");
}

std::shared_ptr<const KernelCache> DefaultKernelCache() {
  const std::string folder = KernelCache::DefaultFolder();
  return folder.empty() ? nullptr : std::make_shared<KernelCache>(folder);
}

std::vector<Target> CompileFlags::Targets() const { return ParseTargets(target.empty() ? "host" : target); }

CompileOptions CompileFlags::Options() const {
  const std::vector<Target> targets = Targets();
  if (targets.size() > 1) {
    throw Error("TW4002", fmt::format("--target names {} targets where one is used", targets.size()), "",
                {"several are for `tilewright compile` with a module as its result"});
  }
  return Options(targets.front());
}

CompileOptions CompileFlags::Options(const Target& one) const {
  CompileOptions options;
  options.target = one;
  options.target.sanitize_address |= sanitize_address;
  options.verify_each = verify_each;
  options.max_error = max_error;
  options.precision = PrecisionNamed(precision);
  options.print_after = {print_after.begin(), print_after.end()};
  options.print_sink = [](const std::string& text) { fmt::print("{}\n", text); };
  options.dump_dir = dump_dir;
  options.reproducer = reproducer;
  if (!no_cache) options.cache = DefaultKernelCache();
  return options;
}

std::map<std::string, int64_t> CompileFlags::Dims() const {
  std::map<std::string, int64_t> result;
  for (const std::string& text : dims) {
    auto [name, value] = SplitAssignment(text, "--dim");
    int64_t n = -1;
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
    if (error != std::errc() || end != value.data() + value.size() || n < 0) {
      throw Error("TW4002", fmt::format("--dim {}: '{}' is not a number of elements", name, value));
    }
    result[name] = n;
  }
  return result;
}

std::map<std::string, int64_t> CompileFlags::RunDims(const std::string& path) const {
  return IsModuleFile(path) ? Dims() : std::map<std::string, int64_t>();
}

namespace {

/// A scalar where the text is a number: i64, or f32 with a point or an exponent.
std::optional<NDArray> ParseNumber(const std::string& text) {
  const char *begin = text.data(), *end = begin + text.size();
  int64_t whole = 0;
  if (auto r = std::from_chars(begin, end, whole); r.ec == std::errc() && r.ptr == end)
    return NDArray::FromInts(kI64, {}, std::vector<int64_t>{whole});
  double real = 0;
  if (auto r = std::from_chars(begin, end, real); r.ec == std::errc() && r.ptr == end)
    return NDArray::FromDoubles(kF32, {}, std::vector<double>{real});
  return std::nullopt;
}

}  // namespace

std::map<std::string, NDArray> CompileFlags::Bound() const {
  std::map<std::string, NDArray> result;
  for (const std::string& text : bind) {
    auto [name, value] = SplitAssignment(text, "--bind");
    const std::optional<NDArray> number = ParseNumber(value);
    result[name] = number ? *number : ReadTensor(value);
  }
  return result;
}

bool IsModuleFile(const std::string& path) {
  char magic[8] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof magic);
  const std::string_view head(magic, sizeof magic);
  return head.starts_with(
             "\x7f"
             "ELF") ||
         head == std::string_view("TWMODULE");
}

namespace {

CompiledModel CompileTextFile(const std::string& path, const CompileFlags& flags, CompileOptions options) {
  if (!flags.dims.empty()) {
    throw Error("TW4002", "--dim is for model files; the symbols of a text are constant where it says so",
                path);
  }
  if (!flags.bind.empty()) throw Error("TW4002", "--bind is for model files, and this is IR as text", path);
  const Stopwatch watch;
  const TextModule text = ReadTextFile(path);
  const double parse_ms = watch.Milliseconds();
  ReadTextOptions(text, flags.target.empty(), options);
  options.target.sanitize_address |= flags.sanitize_address;
  CompiledModel model = CompileText(text, options);
  model.name = std::filesystem::path(path).stem().string();
  model.times.insert(model.times.begin(), {"Parse", parse_ms});
  return model;
}

}  // namespace

CompiledModel CompileFile(const std::string& path, const CompileFlags& flags, const CompileOptions& options,
                          const std::map<std::string, NDArray>& bound) {
  if (IsTextFile(path)) return CompileTextFile(path, flags, options);
  if (!options.start_at.empty())
    throw Error("TW4002", "--start-at is for IR as text, and this is a model file", path);
  ImportOptions import;
  import.bound = bound;
  import.bound.merge(flags.Bound());
  import.dims = flags.Dims();
  const Stopwatch watch;
  ImportedModel imported = ImportOnnx(path, import);
  const double import_ms = watch.Milliseconds();
  CompiledModel model = CompileModel(imported.module, imported.parameters, options);
  model.name = std::filesystem::path(path).stem().string();
  model.times.insert(model.times.begin(), {"Import", import_ms});
  return model;
}

ReadyModel LoadModel(const std::string& path, const CompileFlags& flags,
                     const std::map<std::string, NDArray>& bound, bool explain) {
  ReadyModel ready;
  const auto start = std::chrono::steady_clock::now();
  if (IsModuleFile(path)) {
    if (!flags.bind.empty())
      throw Error("TW4002", "--bind is for model files, and this is a compiled module", path);
    ready.module = runtime::Module::Load(path, {.verify_parameters = flags.verify_parameters});
    ready.load_ms = SecondsSince(start) * 1e3;
    return ready;
  }
  ProgressLine progress;
  CompileOptions options = flags.Options();
  options.explain = explain;
  options.progress = progress.Callback();
  for (auto& [name, value] : bound) ready.bound.insert(name);
  for (auto& [name, value] : flags.Bound()) ready.bound.insert(name);
  ready.compiled = CompileFile(path, flags, options, bound);
  if (ready.compiled->kernels_only)
    throw Error("TW4008", "the text holds kernels alone, which cannot be run", path,
                {"`tilewright compile` takes them"});
  ready.compile_s = SecondsSince(start);
  const auto load = std::chrono::steady_clock::now();
  ready.module = LoadInProcess(*ready.compiled);
  ready.load_ms = SecondsSince(load) * 1e3;
  return ready;
}

Target TargetOf(const runtime::Module& module, const std::optional<CompiledModel>& compiled) {
  return compiled ? compiled->target : Target::Parse(module.variant().target);
}

ReadyModel LoadModelBinding(
    const std::string& path, const CompileFlags& flags,
    const std::function<std::optional<NDArray>(const NeedsBoundInputs&, const std::string&)>& value_of) {
  std::map<std::string, NDArray> bound;
  // Each round binds at least one more input; only with those known does the importer see which others it
  // needs.
  while (true) {
    try {
      return LoadModel(path, flags, bound);
    } catch (const NeedsBoundInputs& e) {
      for (const std::string& name : e.inputs) {
        std::optional<NDArray> value = bound.contains(name) ? std::nullopt : value_of(e, name);
        if (!value) throw;
        bound[name] = *value;
      }
    }
  }
}

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO)) {}
ProgressLine::~ProgressLine() { Clear(); }

void ProgressLine::Show(const std::string& text) const {
  if (!terminal_) return;
  fmt::print(stderr, "\r\033[K{}", text);
  std::fflush(stderr);
}

void ProgressLine::Clear() const {
  if (terminal_) fmt::print(stderr, "\r\033[K");
}

std::function<void(Phase, size_t, size_t)> ProgressLine::Callback() {
  if (!terminal_) return nullptr;
  return [this](Phase phase, size_t done, size_t total) {
    const std::string count = total ? fmt::format(" {}/{}", done, total) : "";
    Show(fmt::format("compiling: {}{}", PhaseName(phase), count));
  };
}

}  // namespace tilewright
