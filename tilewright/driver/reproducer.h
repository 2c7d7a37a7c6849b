// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tilewright/driver/compile.h"

namespace tilewright {

/// What the failing pass was given, with the options that matter; compiling it fails in the same way.
struct Reproducer {
  std::string pass;  ///< that failed
  std::string error;
  TextModule text;
};

/// Writes a reproducer to `path`, or into the folder for temporary files when it is empty, and says so on
/// stderr. A file that cannot be written is reported there too, and thrown nowhere: there is an error
/// already.
void WriteReproducer(const Reproducer& reproducer, std::string path);

}  // namespace tilewright
