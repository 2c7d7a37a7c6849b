// SPDX-License-Identifier: Apache-2.0
#include "tests/malformed/cases.h"

namespace tilewright::onnx {

namespace {

/// Makes tensor `i` refer to a file.
void External(ModelProto& m, int i, const std::string& location, const std::string& offset = "",
              const std::string& length = "") {
  TensorProto* t = Tensor(m, i);
  t->clear_float_data();
  t->set_data_location(1);
  auto add = [&](const char* key, const std::string& value) {
    if (value.empty() && std::string(key) != "location") return;
    auto* entry = t->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  };
  add("location", location);
  add("offset", offset);
  add("length", length);
}

}  // namespace

std::vector<MalformedCase> DataCases() {
  return {
      // ---- Data.
      {"RawDataShort", "TW2020",
       [](ModelProto& m) {
         Tensor(m, 0)->clear_float_data();
         Tensor(m, 0)->set_raw_data("abc");
       },
       "'w'"},
      {"RawDataLong", "TW2020",
       [](ModelProto& m) {
         Tensor(m, 0)->clear_float_data();
         Tensor(m, 0)->set_raw_data(std::string(1000000, 'a'));
       }},
      {"TypedDataShort", "TW2020", [](ModelProto& m) { Tensor(m, 0)->mutable_float_data()->RemoveLast(); }},
      {"TypedDataOfAnotherType", "TW2020", [](ModelProto& m) { Tensor(m, 0)->set_data_type(11); }},
      {"ExternalAbsolute", "TW2022", [](ModelProto& m) { External(m, 0, "/etc/passwd"); }},
      {"ExternalAbove", "TW2022", [](ModelProto& m) { External(m, 0, "../weights.bin"); }},
      {"ExternalHiddenAbove", "TW2022", [](ModelProto& m) { External(m, 0, "sub/../../weights.bin"); }},
      {"ExternalLinkOut", "TW2022", [](ModelProto& m) { External(m, 0, "link"); }},
      {"ExternalWithoutName", "TW2022", [](ModelProto& m) { External(m, 0, ""); }},
      {"ExternalMissing", "TW2023", [](ModelProto& m) { External(m, 0, "missing.bin"); }, "missing.bin"},
      {"ExternalTooShort", "TW2023", [](ModelProto& m) { External(m, 0, "short.bin"); }},
      {"ExternalOffsetNegative", "TW2023", [](ModelProto& m) { External(m, 0, "short.bin", "-8"); }},
      {"ExternalOffsetBeyond", "TW2023",
       [](ModelProto& m) { External(m, 0, "short.bin", "9223372036854775807"); }},
      {"ExternalOffsetNoNumber", "TW2023", [](ModelProto& m) { External(m, 0, "short.bin", "eight"); }},
      {"ExternalLengthContradicts", "TW2020", [](ModelProto& m) { External(m, 0, "short.bin", "0", "16"); }},
      {"ExternalIsFolder", "TW2001", [](ModelProto& m) { External(m, 0, "sub"); }},
      {"ExternalThroughALinkedFolder", "TW2022", [](ModelProto& m) { External(m, 0, "linked/outside.bin"); }},
      {"ExternalIsTheParent", "TW2022", [](ModelProto& m) { External(m, 0, ".."); }},
      {"ExternalIsTheModelsFolder", "TW2001", [](ModelProto& m) { External(m, 0, "."); }},
      {"ExternalNameWithAZero", "TW2022", [](ModelProto& m) { External(m, 0, std::string("a\0b", 3)); }},
      {"ExternalNameIsLong", "TW2023", [](ModelProto& m) { External(m, 0, std::string(100000, 'a')); }},
      {"ExternalIsADevice", "TW2022", [](ModelProto& m) { External(m, 0, "/dev/zero"); }},
      {"ExternalLengthNegative", "TW2023", [](ModelProto& m) { External(m, 0, "short.bin", "0", "-4"); }},
      {"ExternalLengthOverflows", "TW2020",
       [](ModelProto& m) { External(m, 0, "short.bin", "8", "9223372036854775807"); }},
      {"ExternalDimensionsOverflow", "TW2021",
       [](ModelProto& m) {
         External(m, 0, "short.bin");
         for (int i = 0; i < 4; ++i) Tensor(m, 0)->set_dims(i, int64_t{1} << 40);
       }},
      {"ExternalDimensionsAbsurd", "TW2023",
       [](ModelProto& m) {
         External(m, 0, "short.bin");
         Tensor(m, 0)->set_dims(0, int64_t{1} << 40);
       }},
      {"ExternalWithoutEntries", "TW2022",
       [](ModelProto& m) {
         Tensor(m, 0)->clear_float_data();
         Tensor(m, 0)->set_data_location(1);
       }},
      {"TensorClaimsMuch", "TW2020", [](ModelProto& m) { Tensor(m, 0)->set_dims(0, int64_t{1} << 40); }},
      {"TensorOfManyAxes", "TW2021",
       [](ModelProto& m) {
         for (int i = 0; i < 100; ++i) Tensor(m, 0)->add_dims(1);
       }},
      {"TensorOfStrings", "TW2016", [](ModelProto& m) { Tensor(m, 0)->set_data_type(8); }},
      {"TensorOfComplexNumbers", "TW2016", [](ModelProto& m) { Tensor(m, 0)->set_data_type(14); }},
      {"TensorWithoutType", "TW2016", [](ModelProto& m) { Tensor(m, 0)->set_data_type(0); }},
      {"TensorTypeNegative", "TW2016", [](ModelProto& m) { Tensor(m, 0)->set_data_type(-1); }},
      {"TensorWithoutData", "TW2020", [](ModelProto& m) { Tensor(m, 0)->clear_float_data(); }},
      {"ConstantWithoutValue", "TW2060", [](ModelProto& m) { Only(m, "Constant", {}); }},
      {"ConstantOfTooLittleData", "TW2020",
       [](ModelProto& m) {
         TensorProto* t = AddAttribute(Only(m, "Constant", {}), "value", 4)->mutable_t();
         t->set_data_type(1);
         t->add_dims(1000);
         t->add_float_data(1);
       }},
  };
}

}  // namespace tilewright::onnx
