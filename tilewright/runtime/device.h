// SPDX-License-Identifier: Apache-2.0
// What the runtime asks of a device. The host's own work takes a direct path and uses only its memory
// functions; every other device is reached through this interface alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "tilewright/runtime/kernel_abi.h"
#include "tilewright/runtime/program.h"

namespace tilewright::runtime {

// A block of device memory; freed by the device that made it.
struct DeviceMemory {
  void* data = nullptr;
  uint64_t bytes = 0;
};

// One launch with its pointers resolved. What the spans show holds during the call alone: a session that runs
// the launch later copies them. `table` holds until the session has been synchronized. `kernel` is a host
// entry that drives the device, or null where the device finds `kernel_index` in its own blob.
struct DeviceLaunch {
  tw_kernel kernel = nullptr;
  uint32_t kernel_index = 0;
  std::span<void* const> buffers;
  std::span<const int64_t> dims;
  int64_t num_chunks = 1;
  const tw_runtime_table* table = nullptr;
};

// Work is queued on streams (0 and up) and runs in order within one, at any time until something waits for
// it; an event is recorded on a stream and other streams, or the host, can wait for it. An event that is
// recorded again, in the next run or iteration, is from then on the new one. Memory of a device is named by
// pointers that only the device may follow. Contexts share a device, so each has a session of its own that
// holds its streams and events. Members throw RuntimeError.
class DeviceSession {
 public:
  virtual ~DeviceSession() = default;
  // Memory aligned to TW_MEMORY_ALIGNMENT at least.
  virtual DeviceMemory Allocate(uint64_t bytes, std::string_view scope) = 0;
  virtual void Free(DeviceMemory memory) = 0;
  enum class CopyKind { kHostToDevice, kDeviceToHost, kDeviceToDevice };
  virtual void Copy(void* destination, const void* source, uint64_t bytes, CopyKind kind,
                    uint16_t stream) = 0;
  virtual void Launch(const DeviceLaunch& launch, uint16_t stream) = 0;
  // Marks the stream's present end as event number `event` of the program.
  virtual void Record(uint32_t event, uint16_t stream) = 0;
  // Holds the stream until the event has happened.
  virtual void StreamWait(uint32_t event, uint16_t stream) = 0;
  // Holds the calling thread until the event, or everything queued, has happened.
  virtual void HostWait(uint32_t event) = 0;
  virtual void Synchronize() = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  // `blob` is the module's code for this device, empty where kernels are host entries.
  virtual std::unique_ptr<DeviceSession> OpenSession(int32_t ordinal, std::span<const std::byte> blob) = 0;
};

// Makes a kind of device known ("cuda"); the first registration of a kind stays.
void RegisterDevice(const std::string& kind, std::unique_ptr<Device> device);

// The device of that kind, or null.
Device* FindDevice(std::string_view kind);

// Host memory aligned to TW_MEMORY_ALIGNMENT. Throws kOutOfMemory.
DeviceMemory AllocateHost(uint64_t bytes);
void FreeHost(DeviceMemory memory);

}  // namespace tilewright::runtime
