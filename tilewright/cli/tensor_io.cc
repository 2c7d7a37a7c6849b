// SPDX-License-Identifier: Apache-2.0
// The .npy format: NumPy Enhancement Proposal 1. A .npz is a zip archive of .npy files.
#include "tilewright/cli/tensor_io.h"

#include <zip.h>

#include <charconv>

#include "tilewright/frontend/onnx/import.h"
#include "tilewright/support/file.h"

namespace tilewright {

namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);

[[noreturn]] void Malformed(const std::string& name, const std::string& why) {
  throw Error("TW4101", fmt::format("'{}' is not an array that can be read: {}", name, why), "",
              {"expected NumPy's .npy format with a numeric or bool type of the machine's byte order"});
}

/// The text of a key's value in the header's Python dictionary: what follows "'key':".
std::string_view HeaderValue(std::string_view header, std::string_view key, const std::string& name) {
  const std::string quoted = fmt::format("'{}':", key);
  const size_t at = header.find(quoted);
  if (at == std::string_view::npos) Malformed(name, fmt::format("its header has no {}", key));
  std::string_view rest = header.substr(at + quoted.size());
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  return rest;
}

DataType ParseDescr(std::string_view text, const std::string& name) {
  if (text.size() < 4 || text[0] != '\'') Malformed(name, "its type is a structure");
  const char order = text[1], kind = text[2];
  int bytes = 0;
  std::from_chars(text.data() + 3, text.data() + text.size(), bytes);
  if (order == '>' && bytes > 1) Malformed(name, "it is big-endian");
  const bool known = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
  if (known && kind == 'f' && bytes > 1) return DataType::Float(bytes * 8);
  if (known && kind == 'i') return DataType::Int(bytes * 8);
  if (known && kind == 'u') return DataType::UInt(bytes * 8);
  if (kind == 'b' && bytes == 1) return kBool;
  Malformed(name, fmt::format("type '{}{}' is not known", kind, bytes));
}

std::vector<int64_t> ParseShape(std::string_view text, const std::string& name) {
  std::vector<int64_t> shape;
  if (text.empty() || text.front() != '(') Malformed(name, "its shape is no tuple");
  text.remove_prefix(1);
  while (!text.empty() && text.front() != ')') {
    if (text.front() == ' ' || text.front() == ',') {
      text.remove_prefix(1);
      continue;
    }
    int64_t extent = -1;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), extent);
    if (error != std::errc() || extent < 0) Malformed(name, "its shape is no tuple of numbers");
    shape.push_back(extent);
    text.remove_prefix(size_t(end - text.data()));
  }
  return shape;
}

/// Column-major elements into row-major order.
void CopyFortran(const char* source, NDArray& out) {
  const int64_t width = out.dtype().element_bytes();
  const std::vector<int64_t>& shape = out.shape();
  char* destination = static_cast<char*>(out.mutable_data());
  std::vector<int64_t> index(shape.size(), 0);
  for (int64_t i = 0; i < out.size(); ++i) {
    int64_t offset = 0, stride = 1;
    for (size_t d = 0; d < shape.size(); ++d) offset += index[d] * stride, stride *= shape[d];
    std::memcpy(destination + i * width, source + offset * width, size_t(width));
    for (size_t d = shape.size(); d-- > 0 && ++index[d] == shape[d];) index[d] = 0;
  }
}

NDArray ParseNpy(std::string_view bytes, const std::string& name) {
  if (!bytes.starts_with(kMagic) || bytes.size() < 10)
    Malformed(name, "it does not begin with NumPy's magic");
  const int major = bytes[6];
  const size_t size_bytes = major == 1 ? 2 : 4;
  if (major < 1 || major > 3 || bytes.size() < 8 + size_bytes) Malformed(name, "its version is not known");
  size_t header_size = 0;
  for (size_t i = 0; i < size_bytes; ++i)
    header_size |= size_t(static_cast<unsigned char>(bytes[8 + i])) << (8 * i);
  if (bytes.size() - 8 - size_bytes < header_size) Malformed(name, "it is cut short");
  const std::string_view header = bytes.substr(8 + size_bytes, header_size);
  const std::string_view data = bytes.substr(8 + size_bytes + header_size);

  const DataType dtype = ParseDescr(HeaderValue(header, "descr", name), name);
  const bool fortran = HeaderValue(header, "fortran_order", name).starts_with("True");
  const std::vector<int64_t> shape = ParseShape(HeaderValue(header, "shape", name), name);
  const int64_t need = CheckedSize(shape, dtype.element_bytes()) * dtype.element_bytes();
  if (int64_t(data.size()) < need) Malformed(name, fmt::format("it holds {} of {} bytes", data.size(), need));
  NDArray out = NDArray::Empty(dtype, shape);
  if (fortran && shape.size() > 1) {
    CopyFortran(data.data(), out);
  } else if (need) {
    std::memcpy(out.mutable_data(), data.data(), size_t(need));
  }
  return out;
}

std::string ReadEntry(zip_t* archive, zip_uint64_t index, const std::string& path) {
  zip_stat_t stat;
  zip_file_t* file = zip_fopen_index(archive, index, 0);
  if (!file || zip_stat_index(archive, index, 0, &stat) != 0) {
    if (file) zip_fclose(file);
    Malformed(path, "an entry of the archive cannot be opened");
  }
  std::string bytes;
  char chunk[1 << 16];
  // Grows as data comes, whatever size the archive claims.
  for (zip_int64_t n; (n = zip_fread(file, chunk, sizeof chunk)) > 0;) bytes.append(chunk, size_t(n));
  zip_fclose(file);
  if (bytes.size() != stat.size) Malformed(path, "an entry of the archive is damaged");
  return bytes;
}

std::string NpyHeader(const NDArray& a) {
  const DataType t = a.dtype();
  const char kind = t.is_bool() ? 'b' : t.is_int() ? 'i' : t.is_uint() ? 'u' : 'f';
  std::string shape;
  for (int64_t d : a.shape()) shape += fmt::format("{}, ", d);
  if (a.rank() > 1) shape.resize(shape.size() - 2);
  if (a.rank() == 1) shape.pop_back();
  std::string header = fmt::format("{{'descr': '{}{}{}', 'fortran_order': False, 'shape': ({}), }}",
                                   t.element_bytes() == 1 ? '|' : '<', kind, t.element_bytes(), shape);
  // The data starts at a multiple of 64 bytes.
  while ((kMagic.size() + 4 + header.size() + 1) % 64) header += ' ';
  header += '\n';
  return std::string(kMagic) + std::string("\x01\x00", 2) + char(header.size() & 255) +
         char(header.size() >> 8) + header;
}

NDArray Widen(const NDArray& a) { return NDArray::FromDoubles(kF32, a.shape(), a.ToDoubles()); }

}  // namespace

NDArray ReadNpy(const std::string& path) { return ParseNpy(ReadFile(path), path); }

std::map<std::string, NDArray> ReadNpz(const std::string& path) {
  int code = 0;
  std::unique_ptr<zip_t, void (*)(zip_t*)> archive(zip_open(path.c_str(), ZIP_RDONLY, &code),
                                                   [](zip_t* z) { zip_discard(z); });
  if (!archive) throw Error("TW4102", fmt::format("cannot read '{}' as a .npz archive", path));
  std::map<std::string, NDArray> arrays;
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    std::string name = zip_get_name(archive.get(), zip_uint64_t(i), 0);
    const std::string bytes = ReadEntry(archive.get(), zip_uint64_t(i), path);
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    arrays[name] = ParseNpy(bytes, path + ":" + name);
  }
  return arrays;
}

NDArray ReadTensor(const std::string& path) {
  if (path.ends_with(".pb")) return ReadOnnxTensor(ReadFile(path));
  if (!path.ends_with(".npz")) return ReadNpy(path);
  std::map<std::string, NDArray> arrays = ReadNpz(path);
  if (arrays.size() != 1) {
    throw Error("TW4104", fmt::format("'{}' holds {} arrays where one is needed", path, arrays.size()));
  }
  return arrays.begin()->second;
}

void WriteNpy(const std::string& path, const NDArray& array) {
  const NDArray a = array.dtype() == kBF16 ? Widen(array) : array;
  WriteFile(path, NpyHeader(a) + std::string(static_cast<const char*>(a.data()), size_t(a.bytes())));
}

}  // namespace tilewright
