// SPDX-License-Identifier: Apache-2.0
// Instructions of a matrix unit for tiles (Intel AMX; Intel SDM volume 1, chapter 18). A loop with the
// annotation "instruction" = "tile" says in plain loops what one instruction does to a buffer of scope
// "tile", which is a stack of tiles of [rows][columns], one register each:
//   T[i, j] = 0                                    clears a tile
//   T[i, j] = T[i, j] + f32(A[i, k]) * f32(B[k, j])   adds products of bf16, B in pairs along k: [k /
//   2][j][2] C[i, j] = T[i, j]                              stores a tile
// Where the target has no such unit the loops are what they say.
#pragma once

#include "tilewright/codegen/llvm/expr_emitter.h"
#include "tilewright/target/tile_unit.h"
#include "tilewright/tir/stmt.h"

namespace tilewright::llvm_codegen {

class TileEmitter {
 public:
  TileEmitter(llvm::IRBuilder<>& builder, ExprEmitter& exprs, ScopeStack& scopes, const TileUnit& unit)
      : b_(builder), exprs_(exprs), scopes_(scopes), unit_(unit) {}

  /// Whether the loop is an instruction of the unit, and there is one.
  bool Takes(const ForNode& loop) const;
  /// Whether the buffer lies in registers of the unit.
  bool Holds(const Buffer& buffer) const { return unit_.registers > 0 && buffer.scope() == "tile"; }

  /// The kernel's body begins: configures the unit, if the body has instructions for it.
  void Begin(const Stmt& body);
  /// The kernel's body ends.
  void End();
  void Allocate(const Buffer& buffer);
  void Emit(const ForNode& loop);
  /// Memory or the loop may have changed: tiles of arguments are no longer known.
  void Forget() { loaded_.clear(); }

 private:
  /// The loops of an instruction with its statement.
  struct Nest {
    const StoreNode* store = nullptr;
    std::vector<Var> vars;
    std::vector<int64_t> extents;
  };
  /// An operand in memory: where it begins, and by how many elements it moves with each loop of the nest.
  struct Place {
    Buffer buffer;
    Expr index;
    AddressForm form;  ///< without the loops of the nest
    std::vector<int64_t> steps;
  };
  struct Loaded {
    int tile;
    Buffer buffer;
    AddressForm form;
  };
  /// Rows, and bytes of a row, that a register is configured for.
  struct Shape {
    int64_t rows = 0, row_bytes = 0;
    bool operator==(const Shape&) const = default;
  };

  Nest Open(const ForNode& loop);
  Place PlaceOf(const Buffer& buffer, const std::vector<Expr>& indices, const Nest& nest);
  int AccumulatorOf(const Place& place, int64_t rows);
  void Clear(const Nest& nest);
  void Store(const Nest& nest, const LoadNode& from);
  void Multiply(const Nest& nest, const Expr& a, const Expr& b);
  /// The register, one of `count` from `first` on, that holds an argument; loads it where none does.
  int LoadTile(const Place& place, int first, int count, int& next, Shape shape, int64_t stride_bytes);
  void Use(int tile, Shape shape);
  llvm::Value* Number(int tile) { return b_.getInt8(uint8_t(tile)); }

  llvm::IRBuilder<>& b_;
  ExprEmitter& exprs_;
  ScopeStack& scopes_;
  const TileUnit unit_;
  Stmt statement_;  ///< of the nest that is being emitted
  llvm::GlobalVariable* configuration_ = nullptr;
  std::vector<Shape> shapes_;   ///< by register; zero rows: not used
  int64_t elements_ = 0;        ///< of the buffer that accumulates
  std::vector<Loaded> loaded_;  ///< registers that hold arguments
  int next_left_ = 0, next_right_ = 0;
};

}  // namespace tilewright::llvm_codegen
