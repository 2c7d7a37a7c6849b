// SPDX-License-Identifier: Apache-2.0
// Runs the tilewright command of this build, TW_COMMAND, as a user would.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <string>

namespace tilewright {

struct CommandResult {
  int status = -1;     ///< exit status; -1 where a signal ended the command
  std::string output;  ///< of both streams
};

/// `arguments` as in a shell.
inline CommandResult RunCommand(const std::string& arguments) {
  CommandResult result;
  FILE* pipe = popen((TW_COMMAND " " + arguments + " 2>&1").c_str(), "r");
  if (!pipe) return result;
  char text[4096];
  while (size_t n = fread(text, 1, sizeof text, pipe)) result.output.append(text, n);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) result.status = WEXITSTATUS(status);
  return result;
}

}  // namespace tilewright
