// SPDX-License-Identifier: Apache-2.0
// Bytes as a module file, first as they are, then under checksums made right, as a broken writer might make
// them: read as far as the code, which is not loaded, or refused by a RuntimeError.
#include <cstring>
#include <vector>

#include "tilewright/runtime/checksum.h"
#include "tilewright/runtime/module_reader.h"
#include "tilewright/runtime/status.h"

namespace {

using namespace tilewright::runtime;

void Read(std::span<const std::byte> file) {
  try {
    const ModuleReader reader(file, "fuzz");
    reader.VerifyParameters();
    for (const VariantRecord& variant : reader.variants()) {
      reader.ReadProgram(variant);
      reader.ReadCode(variant);
      for (const auto& blob : variant.device_blobs) reader.ReadDeviceBlob(blob.second);
    }
  } catch (const RuntimeError&) {
  }
}

template <class T>
T At(std::span<const std::byte> bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

void Put(std::span<std::byte> bytes, size_t at, uint64_t value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

/// The checksums of a container: of its sections as far as they lie inside, then of header and table.
void Reseal(std::span<std::byte> container) {
  if (container.size() < kHeaderBytes) return;
  const size_t sections =
      std::min<size_t>(At<uint32_t>(container, 12), (container.size() - kHeaderBytes) / kSectionEntryBytes);
  const size_t table_end = kHeaderBytes + sections * kSectionEntryBytes;
  for (size_t entry = kHeaderBytes; entry < table_end; entry += kSectionEntryBytes) {
    const uint64_t offset = At<uint64_t>(container, entry + 8), length = At<uint64_t>(container, entry + 16);
    if (offset > container.size() || length > container.size() - offset) continue;
    Put(container, entry + 24, ComputeChecksum(container.subspan(offset, length)));
  }
  Put(container, 24, 0);
  Put(container, 24, ComputeChecksum(container.first(table_end)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  Read(file);
  std::vector<std::byte> sealed(file.begin(), file.end());
  Reseal(sealed);
  Read(sealed);
  return 0;
}
