// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <random>

#include "tilewright/graph/compare.h"
#include "tilewright/graph/host_attrs.h"
#include "tilewright/graph/test_operators.h"
#include "tilewright/graph/verify.h"
#include "tilewright/ir/printer.h"
#include "tilewright/tir/parser.h"

namespace tilewright {
namespace {

/// Prints, parses, compares, and prints again.
void ExpectRoundTrip(const TextModule& module, int64_t max_elements = 16) {
  ConstantData data, again;
  const std::string text =
      PrintModule(module, {.max_elements = max_elements, .data = &data, .data_name = "constants"});
  SCOPED_TRACE(text);
  auto read = [&](const std::string& name) {
    EXPECT_EQ(name, "constants");
    return std::make_shared<const std::string>(data.bytes());
  };
  const TextModule parsed = ParseModule(text, read);
  EXPECT_TRUE(StructuralEqual(parsed.module, module.module));
  EXPECT_EQ(ToString(parsed.attrs), ToString(module.attrs));
  EXPECT_EQ(parsed.parameters, module.parameters);
  EXPECT_EQ(PrintModule(parsed, {.max_elements = max_elements, .data = &again, .data_name = "constants"}),
            text);
  EXPECT_EQ(again.bytes(), data.bytes());
}

void ExpectRoundTrip(GraphFunctionNode f) {
  TextModule module;
  f.name = "main";
  module.module.Set(GraphFunction(std::move(f)));
  ExpectRoundTrip(module);
}

TensorType Tensor(DataType dtype, std::vector<Expr> shape, Layout layout = {}) {
  return {dtype, std::move(shape), std::move(layout), "", "global"};
}

GraphFunctionNode Returning(std::vector<Value> params, std::vector<Binding> bindings) {
  GraphFunctionNode f;
  f.body.results = bindings.empty() ? params : bindings.back().results;
  f.params = std::move(params);
  f.body.bindings = std::move(bindings);
  return f;
}

TEST(GraphText, IsWhatTheDocumentationShows) {
  const Expr n = Var::Symbol("n", 1, 1024, 8);
  const Value x("x", Tensor(kF32, {n, 4}), "input");
  const Value a("a", Tensor(kF32, {n, 4})), b("b", Tensor(kF32, {n, 4}), "node");
  GraphFunctionNode f = Returning({x}, {{{a, b}, MakeOpCall(OpRegistry::Get("TestPair"), {x}, {})}});
  f.name = "main";
  f.result_names = {"first", "second"};
  f.attrs["primitive"] = true;
  EXPECT_EQ(ToString(GraphFunction(std::move(f))),
            R"(symbol n in [1, 1024] by 8
graph @main(%x: f32[n, 4] "input") -> ("first", "second") attrs {primitive = true} {
  (%a: f32[n, 4], %b: f32[n, 4] "node") = TestPair(%x)
  return %a, %b
}
)");
}

TEST(GraphText, TypesRoundTrip) {
  const Expr n = Var::Symbol("n"), m = Var::Symbol("n", 2, 64), k = Var::Symbol("k", 0, INT64_MAX, 16);
  TensorType placed = Tensor(kF32, {n, m, 3});
  placed.device = "gpu:0";
  placed.scope = "shared";
  const Type sequence = SequenceType{std::make_shared<const Type>(Tensor(DataType::String(), {n * 2 + 1}))};
  const Type optional = OptionalType{std::make_shared<const Type>(sequence)};
  std::vector<Value> params = {
      Value("scalar", Tensor(kBool, {})),
      Value("x", Tensor(DataType::BFloat16(), {1, k, 7, FloorDiv(m, 2)}, Layout::Blocked(4, 1, 16))),
      Value("x", Tensor(kF32, {2, 3, 4}, Layout{{{2}, {0}, {1}}})),
      Value("odd name/0", placed, "odd name/0"),
      Value("true", sequence, "true"),
      Value("n", optional, "another n"),
      Value("tuple", TupleType{{Tensor(kI64, {}), optional, TupleType{}}}),
  };
  ExpectRoundTrip(Returning(params, {}));
}

TEST(GraphText, NamesOfParametersSurvive) {
  GraphFunctionNode f = Returning({Value("a/b", Tensor(kF32, {1})), Value("a_b", Tensor(kF32, {1}))}, {});
  f.name = "main";
  TextModule module;
  module.module.Set(GraphFunction(std::move(f)));
  const GraphFunction parsed = GetGraphFunction(ParseModule(PrintModule(module)).module);
  EXPECT_EQ(parsed->params[0]->origin, "a/b");
  EXPECT_EQ(parsed->params[1].name(), "a_b_1");
  EXPECT_EQ(parsed->params[1]->origin, "a_b");
}

TEST(GraphText, AttributesRoundTrip) {
  const Expr n = Var::Symbol("n", 1, 9);
  TestAttrs attrs;
  attrs.flag = true;
  attrs.axis = INT64_MIN;
  attrs.scale = -std::numeric_limits<double>::infinity();
  attrs.mode = "\"quoted\"\n\t\\ \x01";
  attrs.to = DataType::BFloat16();
  attrs.pads = {1, -2};
  attrs.scales = {0.1, -0.0, std::numeric_limits<double>::quiet_NaN()};
  attrs.names = {"", "a b"};
  attrs.extent = n * 3;
  attrs.shape = {n, 4, Max(n, 2)};
  const Value x("x", Tensor(kF32, {4}));
  auto call = [&](std::vector<Value> args, Attrs a) {
    return Binding{{Value("y", Tensor(kF32, {4}))},
                   MakeOpCall(OpRegistry::Get("TestOptional"), std::move(args), std::move(a))};
  };
  // The symbols of the second call stand in its attributes alone.
  ExpectRoundTrip(Returning({x}, {call({x, nullptr, x, nullptr}, TestAttrs()), call({x}, attrs)}));
}

TEST(GraphText, OperationsRoundTrip) {
  const Type t = Tensor(kF32, {4});
  const Value x("x", t), c("c", Tensor(kBool, {})), trip("trip", Tensor(kI64, {}));
  auto op = [&](const char* name, Value in) {
    return Binding{{Value("v", t)}, MakeOpCall(OpRegistry::Get(name), {std::move(in)}, {})};
  };
  const Binding first = op("TestCopy", x), keyword = op("call", x), dotted = op("my.op", x);
  const GraphBlock then_block{{}, {first}, {first.results[0]}};
  const GraphBlock else_block{{}, {}, {x}};
  const Value i("i", Tensor(kI64, {})), go("go", Tensor(kBool, {})), state("state", t);
  const Binding step = op("TestCopy", state);
  const GraphBlock body{{i, go, state}, {step}, {go, step.results[0], x}};
  std::vector<Binding> bindings = {
      keyword,
      dotted,
      {{Value("h", t)}, MakeHostCall("decode.jpeg", {x, nullptr}, MakeHostAttrs({{"rate", 0.5}}))},
      {{Value("g", t)}, MakeHostCall("plain", {}, {})},
      {{Value("f", t), Value("f", t)}, MakeFunctionCall("a function", {x, x})},
      {{Value("i", t)}, MakeGraphIf(c, then_block, else_block)},
      {{Value("l", t), Value("s", Tensor(kF32, {3, 4}))}, MakeGraphLoop(trip, nullptr, {x}, body)},
  };
  ExpectRoundTrip(Returning({x, c, trip}, std::move(bindings)));
}

Binding Constant(NDArray data, Layout layout = {}, std::vector<Expr> shape = {}) {
  if (shape.empty()) shape.assign(data.shape().begin(), data.shape().end());
  const DataType dtype = data.dtype();
  return {{Value("c", Tensor(dtype, std::move(shape), std::move(layout)))}, MakeConstant(std::move(data))};
}

TEST(GraphText, ConstantsRoundTripBitForBit) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const float odd_nan = std::bit_cast<float>(0x7f812345u);
  const auto pi = NDArray::FromDoubles(DataType::Float(64), {}, std::vector{3.141592653589793});
  std::vector<Binding> all = {
      Constant(NDArray::FromVector(
          kF32, {3, 2}, std::vector<float>{0.1f, -0.0f, float(inf), float(-inf), 1e-45f, float(nan)})),
      Constant(NDArray::FromVector(kF32, {2}, std::vector<float>{1, odd_nan})),
      Constant(pi),
      Constant(NDArray::FromDoubles(DataType::Float(16), {2}, std::vector{65504.0, -nan})),
      Constant(NDArray::FromDoubles(DataType::BFloat16(), {2}, std::vector{1e38, 3.0})),
      Constant(NDArray::FromInts(kI64, {2}, std::vector<int64_t>{INT64_MIN, INT64_MAX})),
      Constant(NDArray::FromInts(kU64, {2}, std::vector<int64_t>{-1, 0})),
      Constant(NDArray::FromInts(kU8, {2}, std::vector<int64_t>{255, 0})),
      Constant(NDArray::FromInts(DataType::Int(4), {2}, std::vector<int64_t>{-8, 7})),
      Constant(NDArray::FromInts(kBool, {2}, std::vector<int64_t>{1, 0})),
      Constant(NDArray::Empty(kF32, {2, 0})),
      Constant(NDArray::Zeros(kF32, {1, 2, 5, 5, 16}), Layout::Blocked(4, 1, 16), {1, 32, 5, 5}),
  };
  for (int64_t max_elements : {-1, 0, 16}) {
    TextModule module;
    GraphFunctionNode f = Returning({}, all);
    f.name = "main";
    module.module.Set(GraphFunction(std::move(f)));
    module.parameters["w"] = NDArray::Zeros(kF32, {100});
    module.parameters["a \"b\""] = pi;
    module.attrs["start_at"] = std::string("FuseOps");
    ExpectRoundTrip(module, max_elements);
  }
}

TEST(GraphText, EqualConstantsAreStoredOnce) {
  ConstantData data;
  const NDArray a = NDArray::FromInts(kI32, {40}, std::vector<int64_t>(40, 7));
  EXPECT_EQ(data.Add(a), 0);
  EXPECT_EQ(data.Add(NDArray::FromInts(kI32, {3}, std::vector<int64_t>{1, 2, 3})), 192);
  EXPECT_EQ(data.Add(a.Copy()), 0);
  EXPECT_EQ(data.bytes().size(), 204u);
}

TEST(GraphText, ModulesHoldBothLevelsAndShareSymbols) {
  const Expr n = Var::Symbol("n", 1, 8);
  const Value x("x", Tensor(kF32, {n})), y("y", Tensor(kF32, {n}));
  GraphFunctionNode main = Returning({x}, {{{y}, MakeFunctionCall("fused", {x})}});
  main.name = "main";
  const Value p("p", Tensor(kF32, {n})), q("q", Tensor(kF32, {n}));
  GraphFunctionNode fused = Returning({p}, {{{q}, MakeOpCall(OpRegistry::Get("TestCopy"), {p}, {})}});
  fused.name = "fused";
  TextModule module;
  module.module.Set(GraphFunction(std::move(main)));
  module.module.Set(GraphFunction(std::move(fused)));
  module.module.Set(ParsePrimFunc("primfunc @k<n>(A: f32[n]) outputs(1) lowered { A[0] = 1f32 }"));
  ExpectRoundTrip(module);
  // The dimension of the caller is that of the callee, and not one of the same name.
  const TextModule parsed = ParseModule(PrintModule(module));
  EXPECT_EQ(GetGraphFunction(parsed.module, "main")->params[0].tensor().shape[0],
            GetGraphFunction(parsed.module, "fused")->params[0].tensor().shape[0]);
}

/// Random functions: chains of operators over random types.
TEST(GraphText, RandomFunctionsRoundTrip) {
  std::mt19937 rng(7);
  auto pick = [&](int64_t n) { return int64_t(rng() % uint64_t(n)); };
  const char* names[] = {"x", "v0", "in", "a b", "%", "x_1", ""};
  for (int round = 0; round < 200; ++round) {
    std::vector<Expr> symbols;
    for (int i = 0; i < 3; ++i)
      symbols.push_back(Var::Symbol(names[pick(7)], pick(2), 5 + pick(50), 1 + pick(2)));
    auto type = [&] {
      TensorType t = Tensor(pick(2) ? kF32 : kI8, {});
      for (int64_t rank = pick(5); rank > 0; --rank)
        t.shape.push_back(pick(2) ? Expr(16 * pick(4)) : symbols[size_t(pick(3))] * pick(3) + pick(3));
      if (pick(2) && t.rank() > 0 && AsInt(t.shape[0]).value_or(1) % 16 == 0)
        t.layout = Layout::Blocked(t.rank(), 0, 16);
      return t;
    };
    std::vector<Value> values;
    for (int64_t i = 1 + pick(3); i > 0; --i) values.push_back(Value(names[pick(6)], type(), names[pick(7)]));
    const std::vector<Value> params = values;
    std::vector<Binding> bindings;
    for (int64_t i = 1 + pick(6); i > 0; --i) {
      auto any = [&] { return values[size_t(pick(int64_t(values.size())))]; };
      Binding b{{Value(names[pick(7)], type(), names[pick(7)])},
                pick(2) ? MakeOpCall(OpRegistry::Get("TestSum"), {any(), any()}, {})
                        : MakeFunctionCall(names[pick(7)], {any(), nullptr})};
      if (pick(3) == 0) b.results.push_back(Value(names[pick(7)], type()));
      values.insert(values.end(), b.results.begin(), b.results.end());
      bindings.push_back(std::move(b));
    }
    ExpectRoundTrip(Returning(params, std::move(bindings)));
  }
}

struct BadText {
  const char *text, *id, *where, *message;
};

class BadGraphText : public testing::TestWithParam<BadText> {};

TEST_P(BadGraphText, IsRefusedWithItsPlace) {
  try {
    ParseModule(GetParam().text,
                [](const std::string&) { return std::make_shared<const std::string>(std::string(8, '\0')); });
    FAIL() << "parsed: " << GetParam().text;
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), GetParam().id) << e.what();
    EXPECT_EQ(e.diagnostics().front().where, GetParam().where) << e.what();
    EXPECT_THAT(e.diagnostics().front().message, testing::HasSubstr(GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, BadGraphText,
    testing::Values(
        BadText{"grph @f", "TW1202", "line 1, column 1", "expected 'graph', 'primfunc'"},
        BadText{"graph @f(", "TW1202", "line 1, column 10", "the end of the text"},
        BadText{"graph @f() -> () {\n  return\n", "TW1202", "line 3, column 1", "'%'"},
        BadText{"graph @f() -> (y) { return }", "TW1202", "line 1, column 16", "name of a result"},
        BadText{"graph @f(%x: f32[1], %x: f32[1]) -> () { return }", "TW1207", "line 1, column 23",
                "%x is declared"},
        BadText{"graph @f() -> () { return %y }", "TW1203", "line 1, column 28", "%y is not a value"},
        BadText{"graph @f() -> () { return _ }", "TW1202", "line 1, column 27", "cannot be left out"},
        BadText{"graph @f() -> () { return }\ngraph @f() -> () { return }", "TW1207", "line 2, column 1",
                "named f"},
        BadText{"graph @f(%x: f32[n]) -> () { return }", "TW1203", "line 1, column 18",
                "'n' is not a variable"},
        BadText{"symbol n in [4, 3]", "TW1205", "line 1, column 8", "no possible value"},
        BadText{"symbol n symbol n", "TW1207", "line 1, column 17", "declared already"},
        BadText{"graph @f(%x: f32[-1]) -> () { return }", "TW1205", "line 1, column 17", "negative"},
        BadText{"graph @f(%x: f32[1i32]) -> () { return }", "TW1204", "line 1, column 17", "type i32"},
        BadText{"graph @f(%x: f33[1]) -> () { return }", "TW1202", "line 1, column 14",
                "not an element type"},
        BadText{"graph @f(%x: f32x4[1]) -> () { return }", "TW1204", "line 1, column 14", "scalars"},
        BadText{"graph @f(%x: f32[8] layout(0 1:4)) -> () { return }", "TW1204", "line 1, column 21",
                "no axis 1"},
        BadText{"graph @f(%x: f32[8] layout(0 0:3)) -> () { return }", "TW1204", "line 1, column 21",
                "do not divide"},
        BadText{"graph @f(%x: f32[8] layout(0:4 0)) -> () { return }", "TW1204", "line 1, column 21",
                "before its blocks"},
        BadText{"graph @f(%x: f32[8, 8] layout(0)) -> () { return }", "TW1204", "line 1, column 24",
                "axis 1 stands 0"},
        BadText{"graph @f(%x: f32[8] layout(-1)) -> () { return }", "TW1205", "line 1, column 28",
                "not an axis"},
        BadText{"graph @f(%x: seq<f32[1]) -> () { return }", "TW1202", "line 1, column 24", "'>'"},
        BadText{"graph @f() -> () { %c: f32[2] = constant [1.0] return }", "TW1204", "line 1, column 21",
                "has 2 elements"},
        BadText{"graph @f() -> () { %c: u8[1] = constant [256] return }", "TW1205", "line 1, column 42",
                "256 is not"},
        BadText{"graph @f() -> () { %c: i8[1] = constant [1.5] return }", "TW1204", "line 1, column 42",
                "type i8"},
        BadText{"graph @f() -> () { %c: str[1] = constant [1] return }", "TW1010", "line 1, column 21", ""},
        BadText{"graph @f() -> () { %c: f32[99999999999, 99999999999] = constant [1] return }", "TW1010",
                "line 1, column 21", ""},
        BadText{"symbol n graph @f() -> () { %c: f32[n] = constant [1] return }", "TW1204",
                "line 1, column 30", "is constant"},
        BadText{"graph @f() -> () { %c: seq<f32[1]> = constant [1] return }", "TW1204", "line 1, column 21",
                "is a tensor"},
        BadText{"graph @f() -> () { (%c: f32[1], %d: f32[1]) = constant [1] return }", "TW1204",
                "line 1, column 20", "one name"},
        BadText{"graph @f() -> () { %c: f32[2] = constant elided \"00\" return }", "TW1209",
                "line 1, column 21", "left out"},
        BadText{"graph @f() -> () { %c: f32[2] = constant data 0 hash \"00\" return }", "TW1209",
                "line 1, column 47", "no file"},
        BadText{"data \"d\" graph @f() -> () { %c: f32[3] = constant data 0 hash \"00\" return }", "TW1209",
                "line 1, column 56", "end before"},
        BadText{"data \"d\" graph @f() -> () { %c: f32[1] = constant data -4 hash \"00\" return }", "TW1209",
                "line 1, column 56", "end before"},
        BadText{"data \"d\" graph @f() -> () { %c: f32[1] = constant data 4 hash \"00\" return }", "TW1209",
                "line 1, column 56", "hash"},
        BadText{"data \"d\" data \"e\"", "TW1207", "line 1, column 10", "second file"},
        BadText{"graph @f(%x: f32[1]) -> () { %y: f32[1] = Missing(%x) return }", "TW1203",
                "line 1, column 43", "'Missing'"},
        BadText{"graph @f(%x: f32[1]) -> () { %y: f32[1] = TestOptional(%x) {no = 1} return }", "TW1003",
                "line 1, column 60", "'no'"},
        BadText{"graph @f(%x: f32[1]) -> () { %y: f32[1] = TestOptional(%x) {axis = 1.5} return }", "TW1004",
                "line 1, column 60", "'axis'"},
        BadText{"graph @f(%x: f32[1]) -> () { %y: f32[1] = if _ { yield %x } else { yield %x } return }",
                "TW1202", "line 1, column 46", "condition"},
        BadText{"graph @f(%x: f32[1]) -> () { %y: f32[1] = TestOptional(%x) {shape = exprs[3 < 80]} return }",
                "TW1204", "line 1, column 69", "bool"},
        BadText{"graph @f(%x: bool[]) -> () { %y: bool[] = if %x { %z: bool[] = TestCopy(%x) yield %z } else "
                "{ yield %z } return }",
                "TW1203", "line 1, column 102", "%z"},
        BadText{"parameter \"w\": f32[1] = constant [1.0] parameter \"w\": f32[1] = constant [1.0]", "TW1207",
                "line 1, column 50", "second parameter"}));

TEST(GraphText, NestedTypesAndBlocksHaveALimit) {
  std::string type;
  for (int i = 0; i < 100000; ++i) type += "seq<";
  EXPECT_THAT([&] { ParseModule("graph @f(%x: " + type); },
              testing::Throws<Error>(testing::Property(&Error::id, "TW1206")));
  std::string blocks = "graph @f(%c: bool[]) -> () {";
  for (int i = 0; i < 100000; ++i) blocks += fmt::format("%v{}: bool[] = if %c {{", i);
  EXPECT_THAT([&] { ParseModule(blocks); }, testing::Throws<Error>(testing::Property(&Error::id, "TW1206")));
}

/// Whatever a text says, it is read or refused.
TEST(GraphText, DamagedTextsAreErrors) {
  const std::string text = R"(
module {start_at = "FuseOps", list = [1, 2], e = expr(3 * 4)}
data "d"
symbol n in [1, 64] by 2
parameter "w": f32[2] = constant [1.0, nan]
graph @main(%x: f32[n, 16] layout(0 1 1:8) device("g") "in", %c: bool[]) -> ("y") attrs {tag = true} {
  %k: f32[2] = constant data 0 hash "05f43545f9e846cd"
  %v: f32[n, 16] = TestOptional(%x, _, %x) {axis = 3, shape = exprs[n * 2, min(n, 4)], to = dtype(i8)}
  (%a: seq<f32[n]>, %b: (f32[2], optional<i64[]>)) = TestPair(%v)
  %i: f32[n, 16] = if %c { yield %v } else { %t: f32[n, 16] = call @"f g"(%v) yield %t }
  %l: f32[n, 16] = loop trip _ while %c carry (%v) body (%j: i64[], %g: bool[], %s: f32[n, 16]) { yield %g, %s }
  return %i, %l
}
primfunc @k<m>(A: f32[m]) outputs(1) lowered { A[0] = 1f32 }
)";
  std::mt19937 rng(11);
  int parsed = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string damaged = text;
    for (int edits = 1 + int(rng() % 3); edits > 0; --edits) {
      const size_t at = rng() % damaged.size(), length = rng() % 12;
      switch (rng() % 3) {
        case 0:
          damaged.erase(at, length);
          break;
        case 1:
          damaged.insert(at, text.substr(rng() % text.size(), length));
          break;
        default:
          damaged[at] = char(rng() % 128);
      }
    }
    try {
      const TextModule module = ParseModule(damaged, [](const std::string&) {
        return std::make_shared<const std::string>(std::string(64, 'a'));
      });
      ++parsed;
      for (const auto& [name, f] : module.module.functions()) {
        if (f->kind == FunctionKind::kGraph)
          GraphFindings(GetGraphFunction(module.module, name), module.module);
      }
    } catch (const Error& e) {
      EXPECT_TRUE(e.id().starts_with("TW1")) << e.what();
    }
  }
  EXPECT_GT(parsed, 0);
}

TEST(GraphText, DataWithoutAReaderIsRefused) {
  EXPECT_THAT([] { ParseModule("data \"d\""); },
              testing::Throws<Error>(testing::Property(&Error::id, "TW1209")));
}

}  // namespace
}  // namespace tilewright
