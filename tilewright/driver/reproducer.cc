// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/reproducer.h"

#include <unistd.h>

#include <filesystem>

#include "tilewright/driver/text_file.h"

namespace tilewright {

void WriteReproducer(const Reproducer& reproducer, std::string path) {
  try {
    if (path.empty()) {
      path = (std::filesystem::temp_directory_path() / fmt::format("tilewright-reproducer-{}.tw", getpid()))
                 .string();
    }
    WriteTextFile(
        path, reproducer.text,
        fmt::format("tilewright {}: the pass {} failed:\n  {}\nTo run it again: tilewright compile {}\n",
                    TW_VERSION, reproducer.pass, reproducer.error, path));
    fmt::print(stderr, "note: the pass {} failed; to run it again: tilewright compile {}\n", reproducer.pass,
               path);
  } catch (const std::exception& e) {
    fmt::print(stderr, "note: no reproducer could be written: {}\n", e.what());
  }
}

}  // namespace tilewright
