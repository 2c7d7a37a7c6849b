// SPDX-License-Identifier: Apache-2.0
// Compilation of IR as text: where it begins and stops, and reproducers of failures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "tilewright/driver/compile.h"
#include "tilewright/driver/evaluate.h"
#include "tilewright/driver/text_file.h"
#include "tilewright/graph/compare.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/graph/parser.h"
#include "tilewright/graph/verify.h"
#include "tilewright/support/file.h"

namespace tilewright {
namespace {

using testing::HasSubstr;

/// A folder of its own, removed with the object.
class Folder {
 public:
  Folder() { MakeFolder(file_.path()); }
  ~Folder() { std::filesystem::remove_all(file_.path()); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return file_.path() + "/" + name; }
  const std::string& path() const { return file_.path(); }

 private:
  TemporaryFile file_{"-folder"};
};

CompileOptions Checked() {
  CompileOptions options;
  options.target = Target::Parse("x86-64-v3");
  options.verify_each = true;
  options.threads = 2;
  return options;
}

/// Two layers with weights as parameters, batch normalisation and something to fold.
TextModule SmallModel() {
  TextModule text = ParseModule(R"(
graph @main(%x: f32[2, 16], %w: f32[16, 24], %b: f32[24], %v: f32[24, 8]) -> ("y") {
  %one: f32[1] = constant [1.0]
  %unused: f32[2, 16] = Relu(%x)
  %b1: f32[24] = Add(%b, %one)
  %h: f32[2, 24] "dense" = MatMul(%x, %w) {transpose_a = false, transpose_b = false}
  %hb: f32[2, 24] = Add(%h, %b1)
  %r: f32[2, 24] = Relu(%hb)
  %y: f32[2, 8] "out" = MatMul(%r, %v) {transpose_a = false, transpose_b = false}
  return %y
})");
  auto ramp = [](std::vector<int64_t> shape) {
    NDArray a = NDArray::Empty(kF32, std::move(shape));
    for (int64_t i = 0; i < a.size(); ++i) a.SetDouble(i, double(i * 37 % 101) / 101 - 0.5);
    return a;
  };
  text.parameters = {{"w", ramp({16, 24})}, {"b", ramp({24})}, {"v", ramp({24, 8})}};
  return text;
}

NDArray RunSmall(const CompiledModel& model) {
  NDArray x = NDArray::Empty(kF32, {2, 16});
  for (int64_t i = 0; i < x.size(); ++i) x.SetDouble(i, double(i % 7) - 3);
  return RunModule(LoadInProcess(model), {x}).at(0);
}

TEST(CompileText, GoesOnFromTheTextOfEveryGraphPass) {
  const TextModule text = SmallModel();
  const NDArray expected = RunSmall(CompileText(text, Checked()));
  const Folder folder;
  for (const PassInfo& pass : AllPasses()) {
    if (pass.phase > Phase::kFuse) break;
    SCOPED_TRACE(pass.name);
    CompileOptions options = Checked();
    options.stop_after_pass = pass.name;
    const CompiledModel part = CompileText(text, options);
    const std::string file = folder / (pass.name + ".tw");
    WriteTextFile(file, {TextOptions(options, PassAfter(pass.name)), {}, part.module}, "a comment\n\n# more");
    ASSERT_TRUE(IsTextFile(file));
    const TextModule read = ReadTextFile(file);
    EXPECT_TRUE(StructuralEqual(read.module, part.module));
    CompileOptions rest = Checked();
    rest.target = Target::Parse("x86-64-v2");
    ReadTextOptions(read, true, rest);
    EXPECT_EQ(rest.start_at, PassAfter(pass.name));
    EXPECT_EQ(rest.target.ToString(), options.target.ToString());
    EXPECT_EQ(RunSmall(CompileText(read, rest)), expected);
  }
}

TEST(CompileText, StopsAfterEveryPassAndPrintsIt) {
  const TextModule text = SmallModel();
  for (const PassInfo& pass : AllPasses()) {
    SCOPED_TRACE(pass.name);
    CompileOptions options = Checked();
    options.stop_after_pass = pass.name;
    options.print_after = {pass.name};
    std::vector<std::string> printed;
    options.print_sink = [&](const std::string& p) { printed.push_back(p); };
    const CompiledModel model = CompileText(text, options);
    ASSERT_GE(printed.size(), 1u);
    for (const std::string& p : printed) EXPECT_THAT(p, testing::StartsWith("# after " + pass.name));
    EXPECT_EQ(model.times.empty(), false);
    EXPECT_EQ(model.objects.empty(), pass.phase != Phase::kCodegen);
    const bool has_kernels = pass.phase >= Phase::kLower;
    EXPECT_EQ(ModuleText(model.module).find("primfunc") != std::string::npos, has_kernels);
  }
}

TEST(CompileText, DumpsOneFilePerPassInOrder) {
  const Folder folder;
  CompileOptions options = Checked();
  options.dump_dir = folder / "new/dump";
  CompileText(SmallModel(), options);
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(options.dump_dir))
    found.push_back(entry.path().filename().string());
  std::sort(found.begin(), found.end());
  std::vector<std::string> expected;
  for (const PassInfo& pass : AllPasses()) {
    const char* ending = pass.phase == Phase::kCodegen ? "ll" : "tw";
    expected.push_back(fmt::format("{:02}-{}.{}", expected.size() + 1, pass.name, ending));
  }
  EXPECT_EQ(found, expected);
}

TEST(CompileText, KnowsEveryPassByItsTime) {
  const CompiledModel model = CompileText(SmallModel(), Checked());
  for (const PassInfo& pass : AllPasses()) {
    const auto count = std::count_if(model.times.begin(), model.times.end(),
                                     [&](const PassRecord& r) { return r.name == pass.name; });
    EXPECT_EQ(count, 1) << pass.name;
  }
}

TEST(CompileText, KernelsBecomeCodeFromEveryForm) {
  CompileOptions options = Checked();
  const CompiledModel whole = CompileText(SmallModel(), options);
  for (const char* stop :
       {"LowerFunctions", "Schedule", "LowerBlocks", "VectorizeLoops", "PlaceWorkspaces"}) {
    SCOPED_TRACE(stop);
    CompileOptions first = options;
    first.stop_after_pass = stop;
    const CompiledModel part = CompileText(SmallModel(), first);
    for (const auto& [name, f] : part.module.functions()) {
      if (f->kind != FunctionKind::kPrim) continue;
      TextModule kernel;
      kernel.module.Set(f);
      CompileOptions rest = options;
      rest.start_at = PassAfter(stop);
      const CompiledModel compiled = CompileText(ParseModule(PrintModule(kernel)), rest);
      EXPECT_TRUE(compiled.kernels_only);
      ASSERT_EQ(compiled.objects.size(), 1u);
      const auto same = std::find_if(whole.kernels.begin(), whole.kernels.end(), [&](const PrimFunc& k) {
        return k.name() == compiled.kernels.at(0).name();
      });
      ASSERT_NE(same, whole.kernels.end());
      EXPECT_EQ(KernelAssembly({&compiled.kernels[0], 1}, options.target),
                KernelAssembly({&*same, 1}, options.target));
    }
  }
}

/// Scheduled as no rule would: a buffer of scope register with a variable index.
constexpr const char* kDynamicRegister = R"(
primfunc @dynamic(out: f32[8]) outputs(1) scheduled {
  block "root" {
    alloc acc: f32[8] scope "register"
    for i in 0..8 {
      block "fill" (v: spatial 0..8 = i) {
        writes acc[v]
        acc[v] = 1f32
      }
    }
    for j in 0..8 {
      block "copy" (v: spatial 0..8 = j) {
        reads acc[v]
        writes out[v]
        out[v] = acc[v]
      }
    }
  }
}
primfunc @innocent(A: f32[8], B: f32[8]) outputs(1) scheduled {
  block "root" {
    for i in 0..8 {
      block "B" (v: spatial 0..8 = i) {
        reads A[v]
        writes B[v]
        B[v] = A[v] + 1f32
      }
    }
  }
})";

/// No shape of an input tells what the symbols are.
constexpr const char* kUnknownShape = R"(
symbol n in [1, 64]
symbol m
graph @main(%x: f32[n + m, 20], %big: f32[20]) -> ("y") {
  %z: f32[n + m, 20] = Add(%x, %big)
  return %z
})";

/// Compiles, which must fail; what the error says.
std::string FailureOf(const TextModule& text, CompileOptions options) {
  try {
    CompileText(text, options);
  } catch (const std::exception& e) {
    return e.what();
  }
  ADD_FAILURE() << "compiled";
  return {};
}

std::string FailureOfFile(const std::string& file) {
  CompileOptions options = Checked();
  const TextModule text = ReadTextFile(file);
  ReadTextOptions(text, true, options);
  return FailureOf(text, options);
}

TEST(Reproducer, OfAKernelBeginsAtThePassThatFailed) {
  const Folder folder;
  CompileOptions options = Checked();
  options.reproducer = folder / "failed.tw";
  const std::string error = FailureOf(ParseModule(kDynamicRegister), options);
  EXPECT_THAT(error, HasSubstr("TW1301"));
  const TextModule text = ReadTextFile(options.reproducer);
  EXPECT_EQ(text.attrs.at("start_at"), AttrValue(std::string("PromoteRegisters")));
  EXPECT_EQ(text.module.functions().size(), 1u) << "the kernel that failed, and no other";
  EXPECT_TRUE(text.module.Find("dynamic"));
  EXPECT_THAT(ReadFile(options.reproducer),
              testing::AllOf(HasSubstr("PromoteRegisters failed"), HasSubstr("#   error[TW1301]")));
  EXPECT_EQ(FailureOfFile(options.reproducer), error);
}

TEST(Reproducer, OfAModelHoldsItsConstants) {
  const Folder folder;
  TextModule model = ParseModule(kUnknownShape);
  model.parameters["big"] = NDArray::Zeros(kF32, {20});
  CompileOptions options = Checked();
  options.reproducer = folder / "failed.tw";
  const std::string error = FailureOf(model, options);
  EXPECT_THAT(error, HasSubstr("TW3101"));
  EXPECT_TRUE(std::filesystem::exists(options.reproducer + ".data"));
  EXPECT_EQ(FailureOfFile(options.reproducer), error);
}

TEST(Reproducer, OfAGraphPassBeginsThere) {
  const Folder folder;
  // The value of the parameter has another shape than the graph says.
  TextModule model = ParseModule(
      "graph @main(%x: f32[2, 40], %w: f32[2, 40]) -> (\"y\") {\n"
      "  %y: f32[2, 40] = Add(%x, %w) return %y }");
  model.parameters["w"] = NDArray::Zeros(kF32, {40, 2});
  CompileOptions options = Checked();
  options.reproducer = folder / "failed.tw";
  const std::string error = FailureOf(model, options);
  EXPECT_THAT(error, HasSubstr("TW2202"));
  const TextModule text = ReadTextFile(options.reproducer);
  EXPECT_EQ(text.attrs.at("start_at"), AttrValue(std::string("BindParameters")));
  EXPECT_EQ(text.parameters, model.parameters);
  EXPECT_EQ(FailureOfFile(options.reproducer), error);
}

TEST(Reproducer, IsNotWrittenForTheUsersErrorsUnasked) {
  const Folder folder;
  setenv("TMPDIR", folder.path().c_str(), 1);
  FailureOf(ParseModule(kDynamicRegister), Checked());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  unsetenv("TMPDIR");
}

TEST(Reproducer, OfABugIsWrittenUnasked) {
  const Folder folder;
  setenv("TMPDIR", folder.path().c_str(), 1);
  // No verifier looks at what passes leave to each other: a kernel with blocks is none that this pass takes.
  TextModule text = ParseModule(kDynamicRegister);
  PrimFuncNode f = static_cast<const PrimFuncNode&>(*text.module.Find("innocent"));
  f.stage = TirStage::kLowered;
  text.module.Erase("dynamic");
  text.module.Set(PrimFunc(std::move(f)));
  CompileOptions options = Checked();
  options.start_at = "FlattenBuffers";
  const std::string error = FailureOf(text, options);
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) files.push_back(entry.path());
  ASSERT_EQ(files.size(), 1u) << error;
  EXPECT_EQ(FailureOfFile(files[0]), error);
  unsetenv("TMPDIR");
}

TEST(Reproducer, ThatCannotBeWrittenLeavesTheError) {
  CompileOptions options = Checked();
  options.reproducer = "/dev/null/failed.tw";
  EXPECT_THAT(FailureOf(ParseModule(kDynamicRegister), options), HasSubstr("TW1301"));
}

struct BadText {
  const char *text, *start_at, *id, *message;
};
class RefusedText : public testing::TestWithParam<BadText> {};

TEST_P(RefusedText, SaysWhy) {
  CompileOptions options = Checked();
  options.start_at = GetParam().start_at;
  try {
    CompileText(ParseModule(GetParam().text), options);
    FAIL() << "compiled";
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), GetParam().id);
    EXPECT_THAT(e.what(), HasSubstr(GetParam().message));
  }
}

constexpr const char* kGraph = "graph @main(%x: f32[4]) -> () { %y: f32[4] = Relu(%x) return %y }";
constexpr const char* kFused =
    "graph @f(%x: f32[4]) -> () attrs {primitive = true} { %y: f32[4] = Relu(%x) return %y }";
constexpr const char* kKernel = "primfunc @k(A: f32[4]) outputs(1) lowered { A[0] = 1f32 }";

std::string Joined(const char* a, const char* b) { return std::string(a) + "\n" + b; }
const std::string kGraphAndKernel = Joined(kGraph, kKernel), kFusedAndKernel = Joined(kFused, kKernel),
                  kGraphAndFused = Joined(kGraph, kFused);

TEST(CompileText, DoesNotStopBeforeItBegins) {
  auto failure = [](const std::string& start, std::optional<Phase> phase, const std::string& pass) {
    CompileOptions options = Checked();
    options.start_at = start;
    options.stop_after = phase;
    options.stop_after_pass = pass;
    return FailureOf(ParseModule(kGraph), options);
  };
  EXPECT_THAT(failure("FuseOps", Phase::kSimplify, ""), HasSubstr("TW3304"));
  EXPECT_THAT(failure("FuseOps", std::nullopt, "ChooseLayout"), HasSubstr("stop after ChooseLayout"));
  CompileOptions options = Checked();
  options.start_at = "FuseOps";
  options.stop_after = Phase::kLayout;
  const TextModule text = ParseModule(kGraph);
  EXPECT_TRUE(StructuralEqual(CompileText(text, options).module, text.module));
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedText,
    testing::Values(
        BadText{kGraph, "Nothing", "TW3304", "no pass 'Nothing'"},
        BadText{kGraph, "Schedule", "TW3304", "it is a graph"},
        BadText{kGraph, "LowerFunctions", "TW3304", "not fused"},
        BadText{kGraphAndFused.c_str(), "FuseOps", "TW3304", "are fused"},
        BadText{kFused, "FuseOps", "TW3304", "fused functions"},
        BadText{kKernel, "FuseOps", "TW3304", "it holds kernels"},
        BadText{kKernel, "Schedule", "TW3304", "@k is lowered"},
        BadText{kDynamicRegister, "GenerateCode", "TW3304", "@dynamic is scheduled"},
        BadText{"parameter \"w\": f32[1] = constant [1.0] graph @main() -> () { return }", "FuseOps",
                "TW3303", "no parameter 'w'"},
        BadText{"parameter \"x\": f32[1] = constant [1.0] graph @main(%x: f32[1]) -> () { return %x }",
                "FuseOps", "TW3304", "parameters"},
        BadText{"", "", "TW3303", "no function"},
        BadText{kGraphAndKernel.c_str(), "", "TW3303", "a model and kernels"},
        BadText{kFusedAndKernel.c_str(), "", "TW3303", "fused functions and kernels"},
        BadText{"graph @g() -> () { return }", "", "TW3303", "@g is not one kernel"},
        BadText{"graph @main() -> () { return } graph @g() -> () { return }", "", "TW3303", "@g is neither"},
        BadText{"graph @main(%s: str[1]) -> () { return %s }", "", "TW3303", "tensors of numbers"},
        BadText{"graph @main(%s: seq<f32[1]>) -> () { return %s }", "", "TW3303", "tensors of numbers"},
        BadText{"graph @main(%x: f32[4]) -> () { %y: f32[4] = host \"h\"(%x) return %y }", "", "TW3303",
                "the host"},
        BadText{"graph @main(%x: f32[4]) -> () { %y: f32[4] = Relu() return %y }", "", "TW2401",
                "is missing"},
        BadText{"graph @main(%x: f32[4]) -> () { %y: f32[5] = Relu(%x) return %y }", "", "TW2401",
                "Relu gives f32[4]"},
        BadText{"primfunc @\"a b\"(A: f32[4]) outputs(1) lowered { A[0] = 1f32 }", "", "TW3303",
                "not an identifier"},
        BadText{"primfunc @k(A: f32[4]) outputs(1) lowered { A[0, 0] = 1f32 }", "", "TW1204", "dimensions"},
        BadText{"primfunc @k(A: f32[4, 4]) outputs(1) lowered { A[0, 0] = 1f32 }", "", "TW1504", "A"},
        BadText{"primfunc @k(A: f32[4]) outputs(1) lowered attrs {constant_args = [1]} { A[0] = 1f32 }", "",
                "TW3305", "no argument 1"},
        BadText{"primfunc @k(A: f32[4]) outputs(1) lowered attrs {constant_args = 1} { A[0] = 1f32 }", "",
                "TW3305", "not a list"}));

/// Operators on whatever a text may give them: their rules accept or refuse.
TEST(CompileText, RandomCallsAreVerified) {
  std::mt19937 rng(3);
  auto pick = [&](uint64_t n) { return size_t(rng() % n); };
  const DataType dtypes[] = {kF32, kF32, kI64, kI8, kU8, kBool, DataType::BFloat16(), DataType::String()};
  const Expr n = Var::Symbol("n", 1, 8);
  auto random_type = [&]() -> Type {
    if (pick(20) == 0)
      return SequenceType{std::make_shared<const Type>(TensorType{kF32, {}, {}, "", "global"})};
    TensorType t{dtypes[pick(8)], {}, {}, "", "global"};
    for (size_t rank = pick(6); rank > 0; --rank) t.shape.push_back(pick(8) ? Expr(int64_t(pick(5))) : n);
    return t;
  };
  int accepted = 0;
  for (const OpDef* op : OpRegistry::All()) {
    SCOPED_TRACE(op->name);
    for (int round = 0; round < 200; ++round) {
      GraphFunctionNode f;
      f.name = "main";
      for (size_t i = 0; i < op->inputs.size() + pick(2); ++i) f.params.push_back(Value("x", random_type()));
      std::vector<Value> args = f.params;
      if (!args.empty() && pick(10) == 0) args[pick(args.size())] = nullptr;
      const Value result("y", random_type());
      f.body = {{}, {{{result}, MakeOpCall(op, args, op->attrs.from_map({}))}}, {result}};
      std::vector<std::string> findings;
      ASSERT_NO_THROW(findings = GraphFindings(GraphFunction(std::move(f)), {}));
      accepted += findings.size() == 1 && findings[0].find("gives") != std::string::npos;
    }
  }
  EXPECT_GT(accepted, 1000);
}

TEST(TextFile, RefusesWhatItCannotRead) {
  const Folder folder;
  auto id_of = [&](const std::string& text) {
    const std::string file = folder / "text.tw";
    WriteFile(file, text);
    try {
      CompileOptions options;
      ReadTextOptions(ReadTextFile(file), true, options);
    } catch (const Error& e) {
      return e.id() + " " + e.diagnostics().front().where;
    }
    return std::string();
  };
  EXPECT_EQ(id_of("data \"../secret\""), "TW3301 " + (folder / "text.tw"));
  EXPECT_EQ(id_of("data \"..\""), "TW3301 " + (folder / "text.tw"));
  EXPECT_THAT(id_of("data \"missing\""), testing::StartsWith("TW1007"));
  EXPECT_EQ(id_of("\n  graph main"), "TW1202 " + (folder / "text.tw") + ", line 2, column 9");
  EXPECT_THAT(id_of("module {color = 1}"), testing::StartsWith("TW3302"));
  EXPECT_THAT(id_of("module {start_at = 1}"), testing::StartsWith("TW3302"));
  EXPECT_THAT(id_of("module {target = \"vax\"}"), testing::StartsWith("TW1101"));
}

TEST(TextFile, IsKnownByItsFirstWord) {
  const Folder folder;
  auto is_text = [&](const std::string& text) {
    WriteFile(folder / "f", text);
    return IsTextFile(folder / "f");
  };
  EXPECT_TRUE(is_text("# long\n# comment\n\n  graph @main"));
  EXPECT_TRUE(is_text("module{}"));
  EXPECT_FALSE(is_text("graphs"));
  EXPECT_FALSE(is_text("\x08\x0a graph"));
  EXPECT_FALSE(is_text(""));
  EXPECT_FALSE(IsTextFile(folder / "missing"));
  EXPECT_FALSE(IsTextFile(folder.path()));
}

}  // namespace
}  // namespace tilewright
