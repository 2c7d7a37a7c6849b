// SPDX-License-Identifier: Apache-2.0
#include "tilewright/frontend/onnx/model_file.h"

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <functional>

#include "tilewright/frontend/onnx/split_weights.h"
#include "tilewright/graph/infer.h"

namespace tilewright::onnx {

std::shared_ptr<const MappedFile> MapFile(const std::string& path) {
  auto fail = [&](const std::string& reason) {
    throw Error("TW2001", fmt::format("cannot read '{}': {}", path, reason));
  };
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(std::strerror(errno));
  struct stat info;
  bool known = fstat(fd, &info) == 0;
  if (!known || !S_ISREG(info.st_mode)) {
    close(fd);
    fail(known ? "it is not an ordinary file" : std::strerror(errno));
  }
  auto file = new MappedFile();
  file->size = info.st_size;
  std::shared_ptr<const MappedFile> result(file, [](const MappedFile* f) {
    if (f->data) munmap(const_cast<char*>(f->data), size_t(f->size));
    delete f;
  });
  if (file->size > 0) {
    void* memory = mmap(nullptr, size_t(file->size), PROT_READ, MAP_PRIVATE, fd, 0);
    int error = errno;
    close(fd);
    if (memory == MAP_FAILED) fail(std::strerror(error));
    file->data = static_cast<const char*>(memory);
  } else {
    close(fd);
  }
  return result;
}

namespace {

/// protobuf's own limit on nesting, stated here since the importer's recursion relies on it.
constexpr int kMaxDepth = 100;

/// Bytes of weights that are not copied out of a file: some pages.
constexpr size_t kWorthLeaving = size_t(64) << 10;

bool ParseBytes(std::string_view bytes, google::protobuf::MessageLite* message) {
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(bytes.data()),
                                                int(bytes.size()));
  stream.SetRecursionLimit(kMaxDepth);
  return message->ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage();
}

}  // namespace

std::shared_ptr<const Model> ParseModel(std::string_view bytes, const std::string& where, int64_t max_bytes,
                                        std::shared_ptr<const void> owner) {
  max_bytes = std::min<int64_t>(max_bytes, INT32_MAX);
  if (int64_t(bytes.size()) > max_bytes) {
    throw Error("TW2003", fmt::format("the model has {} bytes, more than {}", bytes.size(), max_bytes), where,
                {"keep weights in external data files, which may be of any size"});
  }
  auto model = std::make_shared<Model>();
  if (owner) {
    const std::optional<SplitModel> split = SplitWeights(bytes, kWorthLeaving);
    if (split && ParseBytes(split->rest, &model->proto)) {
      for (auto [i, raw] : split->raw) model->weights[&model->proto.graph().initializer(i)] = raw;
      model->weights_owner = std::move(owner);
      return model;
    }
    model->proto.Clear();
  }
  if (bytes.empty() || !ParseBytes(bytes, &model->proto)) {
    throw Error("TW2002", "this is not an ONNX model, or it is truncated or corrupted", where,
                {fmt::format("{} bytes were read; expected a serialised ModelProto, nested at most {} deep",
                             bytes.size(), kMaxDepth)});
  }
  return model;
}

namespace {

struct ElementRow {
  int32_t number;
  const char* name;
  DataType dtype;
  bool supported = true;
};
const ElementRow kElements[] = {
    {1, "float", kF32},
    {2, "uint8", kU8},
    {3, "int8", kI8},
    {4, "uint16", kU16},
    {5, "int16", kI16},
    {6, "int32", kI32},
    {7, "int64", kI64},
    {8, "string", DataType::String(), false},
    {9, "bool", kBool},
    {10, "float16", kF16},
    {11, "double", kF64},
    {12, "uint32", kU32},
    {13, "uint64", kU64},
    {14, "complex64", kF32, false},
    {15, "complex128", kF32, false},
    {16, "bfloat16", kBF16},
    {17, "float8e4m3fn", kF32, false},
    {18, "float8e4m3fnuz", kF32, false},
    {19, "float8e5m2", kF32, false},
    {20, "float8e5m2fnuz", kF32, false},
    {21, "uint4", kF32, false},
    {22, "int4", kF32, false},
    {23, "float4e2m1", kF32, false},
    {24, "float8e8m0", kF32, false},
    {25, "uint2", kF32, false},
    {26, "int2", kF32, false},
    {27, "float6e2m3", kF32, false},
    {28, "float6e3m2", kF32, false},
};

const ElementRow* FindElement(int32_t number) {
  for (const ElementRow& row : kElements) {
    if (row.number == number) return &row;
  }
  return nullptr;
}

}  // namespace

std::string ElementTypeName(int32_t onnx_type) {
  const ElementRow* row = FindElement(onnx_type);
  return row ? row->name : fmt::format("number {}", onnx_type);
}

DataType ElementType(int32_t onnx_type, const std::string& what) {
  const ElementRow* row = FindElement(onnx_type);
  if (row && row->supported) return row->dtype;
  throw Error("TW2016",
              fmt::format("{} has element type {}, which {}", what, ElementTypeName(onnx_type),
                          row ? "is not supported" : "ONNX does not define"),
              "", {"supported: float, double, float16, bfloat16, bool, int8 to int64, uint8 to uint64"});
}

namespace {

std::string Describe(const TensorProto& t) { return fmt::format("tensor '{}'", t.name()); }

std::vector<int64_t> ShapeOf(const TensorProto& t, DataType dtype) {
  std::vector<int64_t> shape(t.dims().begin(), t.dims().end());
  if (t.dims_size() > kMostAxes) {
    throw Error("TW2021", fmt::format("{} has {} dimensions", Describe(t), t.dims_size()), "",
                {fmt::format("expected at most {}", kMostAxes)});
  }
  try {
    CheckedSize(shape, dtype.element_bytes());
  } catch (const Error& e) {
    throw Error("TW2021", fmt::format("{} has dimensions [{}]", Describe(t), fmt::join(shape, ", ")), "",
                {e.diagnostics().front().message});
  }
  return shape;
}

[[noreturn]] void FailSize(const TensorProto& t, const std::vector<int64_t>& shape, int64_t found,
                           int64_t expected, const char* unit) {
  throw Error("TW2020",
              fmt::format("{} of shape [{}] has {} {}, expected {}", Describe(t), fmt::join(shape, ", "),
                          found, unit, expected),
              "", {"the file is damaged, or its writer is at fault"});
}

/// Elements listed in a typed field. 16-bit floats lie as bit patterns in int32_data.
template <class List>
NDArray FromList(const TensorProto& t, DataType dtype, const std::vector<int64_t>& shape, const List& list,
                 const std::function<void(NDArray&, int64_t)>& store) {
  int64_t expected = CheckedSize(shape);
  if (int64_t(list.size()) != expected) FailSize(t, shape, list.size(), expected, "elements");
  NDArray array = NDArray::Empty(dtype, shape);
  for (int64_t i = 0; i < expected; ++i) store(array, i);
  return array;
}

NDArray FromTypedData(const TensorProto& t, DataType dtype, const std::vector<int64_t>& shape) {
  if (dtype == kF32) {
    return FromList(t, dtype, shape, t.float_data(),
                    [&](NDArray& a, int64_t i) { a.mutable_as<float>()[size_t(i)] = t.float_data(int(i)); });
  }
  if (dtype == kF64) {
    return FromList(t, dtype, shape, t.double_data(), [&](NDArray& a, int64_t i) {
      a.mutable_as<double>()[size_t(i)] = t.double_data(int(i));
    });
  }
  if (dtype == kI64) {
    return FromList(t, dtype, shape, t.int64_data(),
                    [&](NDArray& a, int64_t i) { a.SetInt(i, t.int64_data(int(i))); });
  }
  if (dtype == kU32 || dtype == kU64) {
    return FromList(t, dtype, shape, t.uint64_data(),
                    [&](NDArray& a, int64_t i) { a.SetInt(i, int64_t(t.uint64_data(int(i)))); });
  }
  return FromList(t, dtype, shape, t.int32_data(), [&](NDArray& a, int64_t i) {
    if (dtype.is_float()) {
      a.mutable_as<uint16_t>()[size_t(i)] = uint16_t(t.int32_data(int(i)));
    } else {
      a.SetInt(i, t.int32_data(int(i)));
    }
  });
}

}  // namespace

NDArray TensorReader::Read(const TensorProto& t) {
  const DataType dtype = ElementType(t.data_type(), Describe(t));
  const std::vector<int64_t> shape = ShapeOf(t, dtype);
  if (t.data_location() == 1) return ReadExternal(t, dtype, shape);
  const int64_t expected = CheckedSize(shape) * dtype.element_bytes();
  if (!t.has_raw_data()) return FromTypedData(t, dtype, shape);
  std::string_view raw = t.raw_data();
  std::shared_ptr<const void> owner = model_;
  if (model_) {
    if (auto left = model_->weights.find(&t); left != model_->weights.end())
      raw = left->second, owner = model_->weights_owner;
  }
  if (int64_t(raw.size()) != expected) FailSize(t, shape, int64_t(raw.size()), expected, "bytes");
  // Short strings may lie unaligned inside of their message.
  constexpr int64_t kWorthSharing = 256;
  if (expected < kWorthSharing || !owner) {
    NDArray copy = NDArray::Empty(dtype, shape);
    if (expected > 0) std::memcpy(copy.mutable_data(), raw.data(), size_t(expected));
    return copy;
  }
  return NDArray::View(dtype, shape, raw.data(), std::move(owner));
}

namespace {

/// The path of an external file, which must lie in `folder` even after symbolic links are followed.
std::string ConfinedPath(const std::string& folder, const std::string& location, const std::string& what) {
  namespace fs = std::filesystem;
  auto fail = [&](const std::string& why) {
    throw Error("TW2022", fmt::format("{} refers to external data '{}', {}", what, location, why), "",
                {"external data must lie in the folder of the model, or below"});
  };
  if (folder.empty()) fail("but the model has no folder");
  fs::path relative(location);
  if (location.empty() || location.find('\0') != std::string::npos) fail("which is no file name");
  if (relative.is_absolute()) fail("which is an absolute path");
  for (const fs::path& part : relative) {
    if (part == "..") fail("which leads out of the model's folder");
  }
  std::error_code error;
  fs::path base = fs::canonical(folder, error);
  if (error) fail("but the model's folder cannot be found");
  fs::path full = fs::canonical(base / relative, error);
  if (error) {
    throw Error("TW2023", fmt::format("{} refers to external data '{}': {}", what, location, error.message()),
                "", {fmt::format("expected the file beside the model, in '{}'", folder)});
  }
  auto [rest, unused] = std::mismatch(base.begin(), base.end(), full.begin(), full.end());
  if (rest != base.end()) fail("a link that leads out of the model's folder");
  return full.string();
}

int64_t ParseNumber(const std::string& text, const std::string& what) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    throw Error("TW2023",
                fmt::format("{} has external data at '{}', expected a number of bytes", what, text));
  }
  return value;
}

}  // namespace

NDArray TensorReader::ReadExternal(const TensorProto& t, DataType dtype, const std::vector<int64_t>& shape) {
  const int64_t bytes = CheckedSize(shape) * dtype.element_bytes();
  std::string location;
  int64_t offset = 0, length = bytes;
  for (const auto& entry : t.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = ParseNumber(entry.value(), Describe(t));
    if (entry.key() == "length") length = ParseNumber(entry.value(), Describe(t));
  }
  if (length != bytes) FailSize(t, shape, length, bytes, "bytes");
  std::string path = ConfinedPath(folder_, location, Describe(t));
  auto& file = files_[path];
  if (!file) file = MapFile(path);
  if (offset > file->size || bytes > file->size - offset) {
    throw Error("TW2023", fmt::format("{} needs {} bytes at {} of '{}', which has {}", Describe(t), bytes,
                                      offset, location, file->size));
  }
  if (bytes == 0) return NDArray::Empty(dtype, shape);
  const char* data = file->data + offset;
  if (reinterpret_cast<uintptr_t>(data) % size_t(dtype.element_bytes()) == 0) {
    return NDArray::View(dtype, shape, data, file);
  }
  NDArray copy = NDArray::Empty(dtype, shape);
  std::memcpy(copy.mutable_data(), data, size_t(bytes));
  return copy;
}

}  // namespace tilewright::onnx
