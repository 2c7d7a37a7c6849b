// SPDX-License-Identifier: Apache-2.0
// tilewright cache: where compiled kernels are kept, and how many.
#include <nlohmann/json.hpp>

#include "tilewright/cli/commands.h"
#include "tilewright/cli/model_source.h"

namespace tilewright {

namespace {

void ShowCache(bool clear, bool json) {
  const std::shared_ptr<const KernelCache> cache = DefaultKernelCache();
  if (!cache) {
    throw Error("TW4009", "there is no folder for the kernel cache", "",
                {"set TILEWRIGHT_CACHE_DIR, XDG_CACHE_HOME or HOME"});
  }
  if (clear && !cache->Clear())
    throw Error("TW1006", fmt::format("not all of '{}' can be removed", cache->folder()));
  const KernelCache::Usage usage = cache->Measure();
  if (json) {
    nlohmann::ordered_json out;
    out["folder"] = cache->folder();
    out["entries"] = usage.entries;
    out["bytes"] = usage.bytes;
    out["limit_bytes"] = cache->limit_bytes();
    fmt::print("{}\n", out.dump());
    return;
  }
  fmt::print("{}: {} entries, {:.1f} MB of at most {:.0f} MB\n", cache->folder(), usage.entries,
             double(usage.bytes) / 1e6, double(cache->limit_bytes()) / 1e6);
}

}  // namespace

void AddCacheCommand(CLI::App& app) {
  struct Args {
    bool clear = false, json = false;
  };
  auto args = std::make_shared<Args>();
  CLI::App* command = app.add_subcommand("cache", "Show the kernel cache, or empty it");
  command->footer(
      "Compiled kernels are kept in the folder $TILEWRIGHT_CACHE_DIR, else tilewright in $XDG_CACHE_HOME, "
      "else "
      "~/.cache/tilewright; those not used for the longest time go first. --no-cache does without.");
  command->add_flag("--clear", args->clear, "Remove all entries first");
  command->add_flag("--json", args->json, "Print one JSON object");
  command->callback([args] { ShowCache(args->clear, args->json); });
}

}  // namespace tilewright
