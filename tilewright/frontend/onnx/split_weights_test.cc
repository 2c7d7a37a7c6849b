// SPDX-License-Identifier: Apache-2.0
// Weights that stay in the file that they come from.
#include "tilewright/frontend/onnx/split_weights.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tilewright/frontend/onnx/test_import.h"
#include "tilewright/support/file.h"

namespace tilewright::onnx {
namespace {

using testing::HasSubstr;

constexpr int64_t kLarge = 20'000;  // elements of which a file keeps the bytes

void AddRawTensor(ModelProto& m, const std::string& name, int64_t count, float first) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(first + float(i % 1000));
  TensorProto* t = AddTensor(m, name, {});
  t->clear_float_data();
  t->add_dims(count);
  t->set_raw_data(std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
}

/// Weights of all sizes and at all distances from where a float should lie, in raw and typed data.
ModelProto Weighty() {
  ModelProto m = EmptyModel();
  AddRawTensor(m, "a", kLarge, 1);
  AddRawTensor(m, "small", 3, 2);
  AddTensor(m, "typed", {kLarge});
  AddRawTensor(m, "a name of another length", kLarge + 1, 3);
  AddRawTensor(m, "b", kLarge + 2, 4);
  AddRawTensor(m, "cc", kLarge, 5);
  for (const TensorProto& t : m.graph().initializer()) AddOutput(m, t.name());
  return m;
}

void ExpectSameWeights(const std::string& bytes) {
  const TemporaryFile file(".onnx");
  WriteFile(file.path(), bytes);
  const ImportedModel mapped = ImportOnnx(file.path()), copied = ImportOnnxBytes(bytes);
  ASSERT_EQ(mapped.parameters.size(), copied.parameters.size());
  for (const auto& [name, data] : copied.parameters) EXPECT_TRUE(mapped.parameters.at(name) == data) << name;
}

TEST(SplitWeights, TakesOutLargeRawDataAlone) {
  const ModelProto m = Weighty();
  const std::string bytes = m.SerializeAsString();
  const auto split = SplitWeights(bytes, 4096);
  ASSERT_TRUE(split);
  EXPECT_EQ(split->raw.size(), 4u);
  ModelProto rest;
  ASSERT_TRUE(rest.ParseFromString(split->rest));
  for (auto [i, raw] : split->raw) {
    EXPECT_TRUE(raw.data() >= bytes.data() && raw.data() + raw.size() <= bytes.data() + bytes.size());
    EXPECT_TRUE(rest.graph().initializer(i).has_raw_data());
    rest.mutable_graph()->mutable_initializer(i)->set_raw_data(std::string(raw));
  }
  EXPECT_EQ(rest.SerializeAsString(), bytes);
}

TEST(SplitWeights, ImportsOfAFileAndOfBytesAgree) { ExpectSameWeights(Weighty().SerializeAsString()); }

TEST(SplitWeights, LeavesToTheParserWhatItHasToJudge) {
  const std::string bytes = Weighty().SerializeAsString();
  EXPECT_FALSE(SplitWeights(bytes, 1 << 20));  // nothing so large
  EXPECT_FALSE(SplitWeights("", 1));
  EXPECT_FALSE(SplitWeights(bytes.substr(0, bytes.size() - 1), 4096));
  EXPECT_FALSE(SplitWeights(bytes + '\x03', 4096));                            // the beginning of a group
  EXPECT_FALSE(SplitWeights(bytes + '\x12' + std::string(10, '\xff'), 4096));  // no end of a length
  EXPECT_FALSE(SplitWeights(bytes + std::string(1, '\0'), 4096));
  EXPECT_FALSE(SplitWeights(bytes + bytes, 4096));  // a parser joins the graphs
}

// What stands twice is joined or overrides, which the import of bytes shows.
TEST(SplitWeights, FieldsThatComeTwiceMeanTheSame) {
  ModelProto m = Weighty();
  ModelProto more;
  more.mutable_graph()->set_name("second");
  ExpectSameWeights(m.SerializeAsString() + more.SerializeAsString());
  TensorProto again;
  again.set_raw_data(std::string(kLarge * 4, '\0'));
  const std::string tensor = m.graph().initializer(0).SerializeAsString() + again.SerializeAsString();
  ModelProto other = EmptyModel();
  other.mutable_graph()->add_output()->set_name("a");
  std::string graph = other.graph().SerializeAsString();
  auto put = [](std::string& out, char tag, const std::string& content) {
    out += tag;
    size_t n = content.size();
    for (; n >= 0x80; n >>= 7) out += char(n | 0x80);
    out += char(n);
    out += content;
  };
  put(graph, 5 * 8 + 2, tensor);
  other.clear_graph();
  std::string bytes = other.SerializeAsString();
  put(bytes, 7 * 8 + 2, graph);
  ExpectSameWeights(bytes);
  EXPECT_EQ(ImportOnnxBytes(bytes).parameters.at("a").AsDouble(1), 0);
}

TEST(SplitWeights, SizesAreCheckedAsEver) {
  ModelProto m = Weighty();
  m.mutable_graph()->mutable_initializer(0)->set_dims(0, kLarge + 1);
  const TemporaryFile file(".onnx");
  WriteFile(file.path(), m.SerializeAsString());
  ExpectImportError([&] { ImportOnnx(file.path()); }, "TW2020",
                    {"tensor 'a'", "80000 bytes, expected 80004"});
}

TEST(SplitWeights, AFileThatIsCutOffAnywhereIsAnError) {
  const std::string bytes = Weighty().SerializeAsString();
  const TemporaryFile file(".onnx");
  for (size_t n = 1; n < bytes.size(); n += bytes.size() / 37) {
    WriteFile(file.path(), bytes.substr(0, n));
    EXPECT_THROW(ImportOnnx(file.path()), Error) << n;
  }
}

}  // namespace
}  // namespace tilewright::onnx
