// SPDX-License-Identifier: Apache-2.0
// Errors of the runtime. It stands alone on a device, so it has its own small exception; the C interface
// turns it into a status and a message.
#pragma once

#include <stdexcept>
#include <string>

#include "tilewright/runtime/tilewright.h"

namespace tilewright::runtime {

// One error number each, printed as "TW5101". The hundreds tell where to look: 50 use of the interface, 51
// the module's file, 52 the program in it, 53 this machine, 54 running.
enum class ErrorId : int {
  kNullArgument = 5001,
  kIndexOutOfRange = 5002,
  kWrongSize = 5003,
  kWrongDType = 5004,
  kWrongShape = 5005,
  kMisaligned = 5006,
  kNotOnHost = 5007,
  kNotCompact = 5008,
  kInputMissing = 5009,
  kNotRunYet = 5010,
  kBadOption = 5011,
  kBadBinding = 5012,

  kCannotOpen = 5101,
  kNotAModule = 5102,
  kTruncated = 5103,
  kChecksum = 5104,
  kFormatVersion = 5105,
  kMalformed = 5106,
  kParametersDamaged = 5107,
  kCannotLoadCode = 5108,
  kCannotWrite = 5109,

  kBadProgram = 5201,
  kBadExpression = 5202,
  kUnknownOpcode = 5203,

  kWrongProcessor = 5301,
  kMissingDevice = 5302,
  kMissingHostFunction = 5303,
  kKernelAbi = 5304,
  kOutOfMemory = 5305,

  kKernelError = 5401,
  kHostFunctionFailed = 5402,
  kShapeArithmetic = 5403,
  kSymbolRange = 5404,
  kBufferBounds = 5405,
};

// The status that the C interface returns for an error.
tw_status StatusOf(ErrorId id);

// An error that the caller can act on; what() begins with the id: "TW5101: ...".
class RuntimeError : public std::runtime_error {
 public:
  RuntimeError(ErrorId id, const std::string& message);
  ErrorId id() const { return id_; }
  tw_status status() const { return StatusOf(id_); }

 private:
  ErrorId id_;
};

}  // namespace tilewright::runtime
