// SPDX-License-Identifier: Apache-2.0
// tilewright inspect: what is in a model or module.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tilewright/cli/commands.h"
#include "tilewright/cli/inputs.h"
#include "tilewright/cli/model_source.h"
#include "tilewright/cli/report.h"

namespace tilewright {

namespace {

struct InspectArgs {
  std::string model;
  bool json = false;
  CompileFlags flags;
};

nlohmann::ordered_json Specs(const std::vector<runtime::TensorSpec>& specs, const runtime::Program& program) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const runtime::TensorSpec& s : specs)
    list.push_back({{"name", s.name}, {"type", SpecText(s, program)}});
  return list;
}

/// Operators with counts: of the graph where it was compiled now, else as the compiler wrote them into the
/// module.
nlohmann::ordered_json Operators(const ReadyModel& ready) {
  nlohmann::ordered_json counts = nlohmann::ordered_json::object();
  if (ready.compiled) {
    for (auto& [name, count] : ready.compiled->operators) counts[name] = count;
    return counts;
  }
  for (auto& [key, value] : ready.module->info().attributes) {
    if (key.starts_with("operator.")) counts[key.substr(9)] = std::atoi(value.c_str());
  }
  return counts;
}

/// The least memory that any plan of intermediate values needs: of what was compiled now, else as the
/// compiler wrote it into the module.
std::optional<int64_t> LowerBound(const ReadyModel& ready) {
  if (ready.compiled) return ready.compiled->memory.lower_bound;
  for (const auto& [name, value] : ready.module->info().attributes) {
    if (name == "memory.lower_bound") return std::atoll(value.c_str());
  }
  return std::nullopt;
}

nlohmann::ordered_json Describe(const InspectArgs& args, const ReadyModel& ready) {
  const runtime::Program& program = ready.module->program();
  nlohmann::ordered_json out;
  out["name"] = ready.compiled ? ready.compiled->name : ready.module->info().name;
  out["inputs"] = Specs(program.inputs, program);
  out["outputs"] = Specs(program.outputs, program);
  out["target"] = ready.compiled ? ready.compiled->target.ToString() : ready.module->variant().target;
  if (!ready.compiled) {
    for (const auto& [key, value] : ready.module->info().attributes) {
      if (key == "variant") out["variants"].push_back(value);
    }
  }
  out["operators"] = Operators(ready);
  int64_t parameters = 0, arena = 0;
  for (const runtime::Buffer& b : program.buffers) parameters += b.storage == runtime::Storage::kParameter;
  for (const runtime::Arena& a : program.arenas) arena += a.bytes.is_constant() ? a.bytes.constant() : 0;
  out["parameters"] = {{"count", parameters}, {"bytes", ready.module->parameters().size()}};
  out["memory"] = {{"arena_bytes", arena}};
  if (const auto bound = LowerBound(ready); bound && *bound > 0) {
    out["memory"]["lower_bound_bytes"] = *bound;
    out["memory"]["ratio"] = double(arena) / double(*bound);
  }
  out["kernels"] = program.kernels.size();
  out["instructions"] = program.instructions.size();
  if (ready.compiled) {
    size_t code = 0;
    for (const ObjectCode& o : ready.compiled->objects) code += o.bytes.size();
    out["code_bytes"] = code;
  } else {
    out["file_bytes"] = std::filesystem::file_size(args.model);
  }
  const double flops = ready.compiled ? ready.compiled->flops : ModuleFlops(*ready.module);
  if (flops > 0) out["flops"] = flops;
  return out;
}

void Print(const nlohmann::ordered_json& d) {
  fmt::print("{}\n", d["name"].get<std::string>());
  for (const char* side : {"inputs", "outputs"}) {
    for (auto& t : d[side]) {
      fmt::print("  {:<8}{}: {}\n", std::string(side, strlen(side) - 1), t["name"].get<std::string>(),
                 t["type"].get<std::string>());
    }
  }
  fmt::print("  operators:");
  const char* separator = " ";
  for (auto& [name, count] : d["operators"].items()) {
    fmt::print("{}{} {}", separator, name, count.get<int>());
    separator = ", ";
  }
  fmt::print("\n  parameters: {} tensors, {:.2f} MB as kernels read them\n",
             d["parameters"]["count"].get<int64_t>(), d["parameters"]["bytes"].get<double>() / 1e6);
  fmt::print("  memory plan: {:.2f} MB for intermediate values",
             d["memory"]["arena_bytes"].get<double>() / 1e6);
  if (d["memory"].contains("lower_bound_bytes")) {
    fmt::print(" ({:.2f} times the {:.2f} MB that any plan needs)", d["memory"]["ratio"].get<double>(),
               d["memory"]["lower_bound_bytes"].get<double>() / 1e6);
  }
  fmt::print("\n  program: {} kernels, {} instructions\n", d["kernels"].get<size_t>(),
             d["instructions"].get<size_t>());
  if (d.contains("flops")) fmt::print("  work: {:.2f} GFLOP per run\n", d["flops"].get<double>() / 1e9);
  if (d.contains("code_bytes")) fmt::print("  code: {:.2f} MB\n", d["code_bytes"].get<double>() / 1e6);
  if (d.contains("file_bytes")) fmt::print("  file: {:.2f} MB\n", d["file_bytes"].get<double>() / 1e6);
  if (d.contains("variants") && d["variants"].size() > 1) {
    fmt::print("  variants, the best first that a processor may run:\n");
    for (auto& v : d["variants"]) fmt::print("    {}\n", v.get<std::string>());
    fmt::print("  taken here:\n    {}\n", d["target"].get<std::string>());
  } else {
    fmt::print("  target: {}\n", d["target"].get<std::string>());
  }
}

void Inspect(const InspectArgs& args) {
  const ReadyModel ready = LoadModel(args.model, args.flags);
  const nlohmann::ordered_json description = Describe(args, ready);
  args.json ? fmt::print("{}\n", description.dump(2)) : Print(description);
}

}  // namespace

void AddInspectCommand(CLI::App& app) {
  auto args = std::make_shared<InspectArgs>();
  CLI::App* command =
      app.add_subcommand("inspect", "Show inputs, outputs, operators, memory and size of a model or module");
  command->add_option("model", args->model, "Model file or compiled module")->required()->type_name("MODEL");
  command->add_flag("--json", args->json, "Print JSON");
  args->flags.Add(*command);
  args->flags.AddVerify(*command);
  command->callback([args] { Inspect(*args); });
}

}  // namespace tilewright
