// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace tilewright {

/// Writes a file that appears complete or not at all. Error TW1006 when it cannot be written.
void WriteFile(const std::string& path, std::string_view bytes);
/// The bytes of a file. Error TW1007 when it cannot be read.
std::string ReadFile(const std::string& path);
/// Makes a folder and those above it, unless they are there. Error TW1006 when they cannot be made.
void MakeFolder(const std::string& path);

/// A name in the folder for temporary files; whatever is there is removed with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& ending);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace tilewright
