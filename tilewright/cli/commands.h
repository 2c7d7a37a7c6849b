// SPDX-License-Identifier: Apache-2.0
// The commands of the tilewright program, one source file each. Each adds its sub-command; what it does runs
// as the sub-command's callback and throws Error for what the user can mend.
#pragma once

#include <CLI/CLI.hpp>

namespace tilewright {

void AddRunCommand(CLI::App& app);
void AddCompileCommand(CLI::App& app);
void AddInspectCommand(CLI::App& app);
void AddBenchCommand(CLI::App& app);
void AddProfileCommand(CLI::App& app);
void AddGradientCommand(CLI::App& app);
void AddCacheCommand(CLI::App& app);
void AddCalibrateCommand(CLI::App& app);

/// The exit status that a command ended with besides an exception: 0, or 1 for a failed comparison.
int& ExitStatus();

}  // namespace tilewright
