// SPDX-License-Identifier: Apache-2.0
// Descriptions of machines as files, which `tilewright calibrate` writes and --target takes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tilewright/target/target.h"

namespace tilewright {

/// The machine that a file describes (docs/targets.md). Error TW1106 for a file that is no such description,
/// TW1102 and TW1103 for its properties, with the line; TW1007 when it cannot be read.
Target ReadTargetFile(const std::string& path);
/// The same of its text; `path` is for errors.
Target ParseTargetFile(std::string_view text, const std::string& path);

/// The text of such a file, with comments in front. The target is a processor.
std::string TargetFileText(const Target& target, const std::vector<std::string>& comments);

}  // namespace tilewright
