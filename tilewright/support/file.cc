// SPDX-License-Identifier: Apache-2.0
#include "tilewright/support/file.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tilewright/support/error.h"

namespace tilewright {

void WriteFile(const std::string& path, std::string_view bytes) {
  const std::string partial = path + ".partial";
  bool written = false;
  {
    std::ofstream out(partial, std::ios::binary);
    out.write(bytes.data(), std::streamsize(bytes.size()));
    written = bool(out.flush());
  }
  std::error_code error;
  if (written) std::filesystem::rename(partial, path, error);
  if (!written || error) {
    const std::string why = error ? error.message() : std::strerror(errno);
    std::filesystem::remove(partial, error);
    throw Error("TW1006", "cannot write '" + path + "': " + why, "",
                {"check that the folder exists and has space"});
  }
}

std::string ReadFile(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    throw Error("TW1007", "cannot read '" + path + "': it is a folder");
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error("TW1007", "cannot read '" + path + "': " + std::strerror(errno));
  return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

void MakeFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw Error("TW1006", "cannot make the folder '" + path + "': " + error.message());
}

TemporaryFile::TemporaryFile(const std::string& ending) {
  static std::atomic<int> count{0};
  const std::string name = "tilewright-" + std::to_string(getpid()) + "-" + std::to_string(count++) + ending;
  path_ = (std::filesystem::temp_directory_path() / name).string();
}

TemporaryFile::~TemporaryFile() {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

}  // namespace tilewright
