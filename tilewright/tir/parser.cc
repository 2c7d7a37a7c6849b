// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/parser.h"

#include "tilewright/ir/text_parser.h"
#include "tilewright/ir/type_check.h"

namespace tilewright {

namespace {

/// Lets and allocations without braces of their own nest in the IR, but not in the text.
constexpr size_t kMaxOpenScopes = 10000;

class TirParser {
 public:
  explicit TirParser(TokenStream& tokens) : t_(tokens), expr_(tokens) {}
  PrimFunc Function();

 private:
  /// Statements after a let or allocation that extends to the end of the braces; the first has none.
  struct OpenScope {
    Var var;
    Expr value;
    Buffer buffer;
    Token at;
    std::vector<Stmt> stmts;
  };

  Stmt Braces();
  /// Statements up to the closing brace, which is taken.
  Stmt StatementsUntilBrace();
  Stmt Close(const OpenScope& scope, Stmt body);
  /// One statement; null when a new scope was opened instead, or when a constant condition leaves nothing.
  Stmt Statement(std::vector<OpenScope>& open);
  Stmt Let(std::vector<OpenScope>& open);
  Stmt Allocate(std::vector<OpenScope>& open);
  Stmt For();
  Stmt Block();
  Stmt If();
  Stmt Store();
  Stmt Yield();
  void BlockHead(BlockNode& block);
  std::vector<BufferRegion> Regions();
  ForKind ParseForKind(std::string& thread_tag);
  IterKind ParseIterKind();

  TokenStream& t_;
  ExprParser expr_;
};

Stmt TirParser::Braces() {
  TokenStream::Nesting nesting(t_);
  t_.Expect("{");
  expr_.PushScope();
  Stmt body = StatementsUntilBrace();
  expr_.PopScope();
  return body;
}

Stmt TirParser::Close(const OpenScope& scope, Stmt body) {
  if (!body) t_.Fail(scope.at, "TW1208", "nothing follows in the scope of this");
  return scope.buffer ? MakeAllocate(scope.buffer, body) : MakeLetStmt(scope.var, scope.value, body);
}

Stmt TirParser::StatementsUntilBrace() {
  std::vector<OpenScope> open(1);
  const Token begin = t_.Peek();
  while (!t_.Accept("}")) {
    if (open.size() > kMaxOpenScopes)
      t_.Fail(t_.Peek(), "TW1206", "too many lets and allocations in one block");
    if (Stmt s = Statement(open)) open.back().stmts.push_back(s);
    t_.Accept(";");
  }
  Stmt body = MakeSeq(open.back().stmts);
  for (; open.size() > 1; open.pop_back()) {
    Stmt scoped = Close(open.back(), body);
    std::vector<Stmt>& outer = open[open.size() - 2].stmts;
    outer.push_back(scoped);
    body = MakeSeq(outer);
  }
  if (!body) t_.Fail(begin, "TW1208", "expected a statement in these braces");
  return body;
}

Stmt TirParser::Statement(std::vector<OpenScope>& open) {
  const Token& at = t_.Peek();
  if (at.Is("for")) return For();
  if (at.Is("block")) return Block();
  if (at.Is("if")) return If();
  if (at.Is("let")) return Let(open);
  if (at.Is("allocate")) return Allocate(open);
  if (at.Is("yield")) return Yield();
  if (t_.Accept("evaluate")) return MakeEvaluate(expr_.ParseExpr());
  if (at.kind == TokenKind::kName && t_.PeekIs("[", 1)) return Store();
  t_.FailExpected("a statement or '}'");
}

Stmt TirParser::Let(std::vector<OpenScope>& open) {
  t_.Expect("let");
  auto decl = expr_.ParseVarDecl(Var("", DataType::Index()));
  t_.Expect("=");
  Expr value = expr_.ParseExpr();
  if (decl.dtype && *decl.dtype != value.dtype()) {
    t_.Fail(decl.name, "TW1204",
            fmt::format("{} of type {} is bound to a value of type {}", decl.name.text,
                        decl.dtype->ToString(), value.dtype().ToString()));
  }
  if (!t_.PeekIs("{")) {
    open.push_back({expr_.Declare(decl, value.dtype()), value, Buffer(), decl.name, {}});
    return nullptr;
  }
  expr_.PushScope();
  Var var = expr_.Declare(decl, value.dtype());
  Stmt body = Braces();
  expr_.PopScope();
  return MakeLetStmt(var, value, body);
}

Stmt TirParser::Allocate(std::vector<OpenScope>& open) {
  const Token at = t_.Next();
  expr_.PushScope();
  Buffer buffer = expr_.ParseBufferDecl();
  if (t_.PeekIs("{")) {
    Stmt body = Braces();
    expr_.PopScope();
    return MakeAllocate(buffer, body);
  }
  expr_.MergeScope();
  open.push_back({Var(), nullptr, buffer, at, {}});
  return nullptr;
}

ForKind TirParser::ParseForKind(std::string& thread_tag) {
  if (t_.Accept("thread")) {
    thread_tag = t_.ExpectString("the name of a hardware thread");
    return ForKind::kThreadBound;
  }
  for (ForKind kind : {ForKind::kSerial, ForKind::kParallel, ForKind::kVectorized, ForKind::kUnrolled}) {
    if (t_.Accept(ForKindName(kind))) return kind;
  }
  return ForKind::kSerial;
}

Stmt TirParser::For() {
  t_.Expect("for");
  auto decl = expr_.ParseVarDecl(Var("", DataType::Index()));
  t_.Expect("in");
  Range range = expr_.ParseRange(false);
  std::string thread_tag;
  const ForKind kind = ParseForKind(thread_tag);
  std::vector<ExprParser::VarDecl> carried;
  std::vector<CarriedValue> values;
  std::vector<Token> results;
  if (t_.Accept("carry")) {
    t_.Expect("(");
    do {
      carried.push_back(expr_.ParseVarDecl(Var("", DataType::Index())));
      t_.Expect("=");
      values.push_back({Var(), expr_.ParseExpr(), Var()});
      t_.Expect("->");
      results.push_back(t_.ExpectName("the name of the value after the loop"));
    } while (t_.Accept(","));
    t_.Expect(")");
  }
  Annotations annotations;
  if (t_.Accept("annotations")) annotations = expr_.ParseAnnotations();
  expr_.PushScope();
  Var var = expr_.Declare(decl, range.min.dtype());
  for (size_t i = 0; i < carried.size(); ++i)
    values[i].var = expr_.Declare(carried[i], values[i].init.dtype());
  Stmt body = Braces();
  expr_.PopScope();
  for (size_t i = 0; i < results.size(); ++i) {
    values[i].result =
        expr_.Declare({results[i], std::nullopt, INT64_MIN, INT64_MAX, 1}, values[i].init.dtype());
  }
  return MakeFor(var, range.min, range.extent, kind, body, std::move(annotations), thread_tag,
                 std::move(values));
}

IterKind TirParser::ParseIterKind() {
  for (IterKind kind : {IterKind::kSpatial, IterKind::kReduce, IterKind::kOpaque}) {
    if (t_.Accept(IterKindName(kind))) return kind;
  }
  t_.FailExpected("'spatial', 'reduce' or 'opaque'");
}

Stmt TirParser::Block() {
  t_.Expect("block");
  BlockNode block;
  block.name = t_.ExpectString("the name of a block");
  expr_.PushScope();
  std::vector<std::pair<Token, DataType>> vars;
  if (t_.Accept("(")) {
    // Bindings and domains are over what is visible outside, so the variables are declared after them all.
    do {
      const Token name = t_.ExpectName("the name of an iteration variable");
      t_.Expect(":");
      DataType dtype = DataType::Index();
      if (!t_.PeekIs("spatial") && !t_.PeekIs("reduce") && !t_.PeekIs("opaque"))
        dtype = expr_.ParseDataType();
      const IterKind kind = ParseIterKind();
      Range dom = expr_.ParseRange(false);
      t_.Expect("=");
      block.bindings.push_back(expr_.ParseExprOf(dtype, "the binding"));
      block.iter_vars.push_back({Var(), dom, kind});
      vars.push_back({name, dtype});
    } while (t_.Accept(","));
    t_.Expect(")");
  }
  if (t_.Accept("where")) block.predicate = expr_.ParseExprOf(kBool, "the predicate");
  if (t_.Accept("annotations")) block.annotations = expr_.ParseAnnotations();
  for (size_t i = 0; i < vars.size(); ++i) {
    block.iter_vars[i].var =
        expr_.Declare({vars[i].first, std::nullopt, INT64_MIN, INT64_MAX, 1}, vars[i].second);
  }
  TokenStream::Nesting nesting(t_);
  t_.Expect("{");
  BlockHead(block);
  block.body = StatementsUntilBrace();
  expr_.PopScope();
  return MakeBlock(std::move(block));
}

void TirParser::BlockHead(BlockNode& block) {
  while (true) {
    const Token at = t_.Peek();
    if (t_.Accept("reads")) {
      if (!block.reads.empty()) t_.Fail(at, "TW1207", "a second list of reads");
      block.reads = Regions();
    } else if (t_.Accept("writes")) {
      if (!block.writes.empty()) t_.Fail(at, "TW1207", "a second list of writes");
      block.writes = Regions();
    } else if (t_.Accept("alloc")) {
      block.allocs.push_back(expr_.ParseBufferDecl());
    } else if (t_.PeekIs("init") && t_.PeekIs("{", 1)) {
      if (block.init) t_.Fail(at, "TW1207", "a second initialiser");
      t_.Next();
      block.init = Braces();
    } else {
      return;
    }
  }
}

std::vector<BufferRegion> TirParser::Regions() {
  std::vector<BufferRegion> regions;
  do {
    const Token at = t_.Peek();
    BufferRegion region{expr_.ParseBufferName(), {}};
    t_.Expect("[");
    while (!t_.Accept("]")) {
      if (!region.region.empty()) t_.Expect(",");
      region.region.push_back(expr_.ParseRange(true));
    }
    if (region.region.size() != region.buffer.shape().size()) {
      t_.Fail(at, "TW1204",
              fmt::format("{} has {} dimensions, the region has {}", at.text, region.buffer.shape().size(),
                          region.region.size()));
    }
    regions.push_back(std::move(region));
  } while (t_.Accept(","));
  return regions;
}

Stmt TirParser::If() {
  t_.Expect("if");
  Expr condition = expr_.ParseExprOf(kBool, "the condition");
  Stmt then_case = Braces();
  Stmt else_case;
  if (t_.Accept("else")) {
    TokenStream::Nesting nesting(t_);
    else_case = t_.PeekIs("if") ? If() : Braces();
  }
  return MakeIf(condition, then_case, else_case);
}

Stmt TirParser::Store() {
  const Token at = t_.Next();
  Expr target = expr_.ParseLoad(at);
  const LoadNode& access = *target.As<LoadNode>();
  t_.Expect("=");
  const Token value_at = t_.Peek();
  Expr value = expr_.ParseExpr();
  const std::string problem =
      StoreTypeProblem(access.buffer, access.indices, access.predicate, value.dtype());
  if (!problem.empty()) t_.Fail(value_at, "TW1204", problem);
  return MakeStore(access.buffer, value, access.indices, access.predicate);
}

Stmt TirParser::Yield() {
  t_.Expect("yield");
  std::vector<Expr> values;
  do {
    values.push_back(expr_.ParseExpr());
  } while (t_.Accept(","));
  return MakeYield(std::move(values));
}

PrimFunc TirParser::Function() {
  t_.Expect("primfunc");
  t_.Expect("@");
  PrimFuncNode f;
  f.name = t_.ExpectNameOrString("the name of the function");
  expr_.PushScope();
  if (t_.Accept("<")) {
    do {
      auto decl = expr_.ParseVarDecl(Var::Symbol(""));
      f.dims.push_back(expr_.Declare(decl, DataType::Index()));
    } while (t_.Accept(","));
    t_.Expect(">");
  }
  t_.Expect("(");
  while (!t_.Accept(")")) {
    if (!f.buffers.empty()) t_.Expect(",");
    f.buffers.push_back(expr_.ParseBufferDecl());
  }
  t_.Expect("outputs");
  t_.Expect("(");
  const Token at = t_.Peek();
  const int64_t outputs = t_.ExpectInt("the number of outputs");
  if (outputs < 0 || outputs > int64_t(f.buffers.size())) {
    t_.Fail(at, "TW1205", fmt::format("{} outputs of {} buffers", outputs, f.buffers.size()));
  }
  f.num_outputs = int(outputs);
  t_.Expect(")");
  f.stage = t_.Accept("scheduled") ? TirStage::kScheduled : TirStage::kLowered;
  if (f.stage == TirStage::kLowered && !t_.Accept("lowered")) t_.FailExpected("'scheduled' or 'lowered'");
  if (t_.Accept("attrs")) f.attrs = expr_.ParseAnnotations();
  f.body = Braces();
  expr_.PopScope();
  return PrimFunc(std::move(f));
}

}  // namespace

PrimFunc ParsePrimFunc(TokenStream& tokens) { return TirParser(tokens).Function(); }

PrimFunc ParsePrimFunc(std::string_view text) {
  TokenStream tokens(text);
  PrimFunc f = ParsePrimFunc(tokens);
  if (!tokens.AtEnd()) tokens.FailExpected("the end of the text");
  return f;
}

IRModule ParsePrimFuncs(std::string_view text) {
  TokenStream tokens(text);
  IRModule module;
  while (!tokens.AtEnd()) {
    const Token at = tokens.Peek();
    PrimFunc f = ParsePrimFunc(tokens);
    if (module.Find(f.name())) {
      tokens.Fail(at, "TW1207", fmt::format("a second function named {}", f.name()));
    }
    module.Set(f);
  }
  return module;
}

}  // namespace tilewright
