// SPDX-License-Identifier: Apache-2.0
// Files that hold IR as text: what `--emit graph` writes, reproducers, kernels by hand.
#pragma once

#include <string>

#include "tilewright/driver/compile.h"

namespace tilewright {

/// Whether the file is IR as text (by content).
bool IsTextFile(const std::string& path);

/// Reads a text and the constants beside it. Errors of the parser name the file and the place in it; TW3301
/// when the file of constants is not a name in the same folder.
TextModule ReadTextFile(const std::string& path);

/// Writes a text; constants that are large go to a file of the same name with ".data" behind it, if there
/// are any. `comment` stands before the text, line by line.
void WriteTextFile(const std::string& path, const TextModule& text, const std::string& comment = {});

/// What the attributes of a text say of its compilation: start_at, verify_each, and the target where
/// `with_target`. Error TW3302 for an attribute that is not known or has another type.
void ReadTextOptions(const TextModule& text, bool with_target, CompileOptions& options);

/// The same as attributes.
Annotations TextOptions(const CompileOptions& options, const std::string& start_at);

/// The precision of that name ("f32", "bf16"); Error TW3302 for another.
Precision PrecisionNamed(const std::string& name);

}  // namespace tilewright
