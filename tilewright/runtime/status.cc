// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/status.h"

namespace tilewright::runtime {

tw_status StatusOf(ErrorId id) {
  switch (id) {
    case ErrorId::kNullArgument:
    case ErrorId::kIndexOutOfRange:
    case ErrorId::kWrongSize:
    case ErrorId::kWrongDType:
    case ErrorId::kMisaligned:
    case ErrorId::kNotOnHost:
    case ErrorId::kNotCompact:
    case ErrorId::kInputMissing:
    case ErrorId::kNotRunYet:
    case ErrorId::kBadOption:
    case ErrorId::kBadBinding:
      return TW_INVALID_ARGUMENT;
    case ErrorId::kWrongShape:
    case ErrorId::kSymbolRange:
      return TW_SHAPE_MISMATCH;
    case ErrorId::kCannotOpen:
    case ErrorId::kCannotWrite:
      return TW_FILE_ERROR;
    case ErrorId::kNotAModule:
    case ErrorId::kTruncated:
    case ErrorId::kChecksum:
    case ErrorId::kMalformed:
    case ErrorId::kParametersDamaged:
    case ErrorId::kCannotLoadCode:
    case ErrorId::kBadProgram:
    case ErrorId::kBadExpression:
      return TW_BAD_MODULE;
    case ErrorId::kFormatVersion:
    case ErrorId::kUnknownOpcode:
    case ErrorId::kWrongProcessor:
    case ErrorId::kMissingDevice:
    case ErrorId::kMissingHostFunction:
    case ErrorId::kKernelAbi:
      return TW_UNSUPPORTED;
    case ErrorId::kOutOfMemory:
      return TW_OUT_OF_MEMORY;
    case ErrorId::kKernelError:
    case ErrorId::kHostFunctionFailed:
    case ErrorId::kShapeArithmetic:
    case ErrorId::kBufferBounds:
      return TW_EXECUTION_ERROR;
  }
  return TW_INTERNAL_ERROR;
}

RuntimeError::RuntimeError(ErrorId id, const std::string& message)
    : std::runtime_error("TW" + std::to_string(static_cast<int>(id)) + ": " + message), id_(id) {}

}  // namespace tilewright::runtime
