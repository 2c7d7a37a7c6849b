// SPDX-License-Identifier: Apache-2.0
// Matrix products of quantised operands. The core product takes unsigned bytes by signed ones, as dot-product
// instructions do; other signs and zero points are reduced to it by identities that hold exactly in integers
// that wrap.
#pragma once

#include <functional>

#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {

/// An operand of bytes: it stands for data - zero.
struct ByteOperand {
  Value data;             ///< u8 or i8
  Value zero;             ///< as it broadcasts against data; null for 0
  NDArray known;          ///< the content of `zero` where it is an initialiser
  bool constant = false;  ///< data is an initialiser
};
/// An argument of the node and its zero point, which may be left out.
ByteOperand ByteArgument(NodeContext& ctx, size_t data, size_t zero);

/// (a - zero of a) times (b - zero of b) in i32, by numpy's rules for matmul. A zero point of a may be one
/// per row, [.., M, 1], of b one per column.
Value IntegerProduct(NodeContext& ctx, ByteOperand a, ByteOperand b);

/// The windows of a convolution; pads before all axes, then behind.
struct ConvWindows {
  std::vector<int64_t> strides, dilations, pads;
};

/// The convolution of bytes x [N, C, ...] and w [O, C, ...], one group, as an IntegerProduct of the bytes
/// that windows see. The zero point of x is one, of w one or one per filter. `finish` gets the sums as [N,
/// positions, O] in i32 and gives what becomes the result [N, O, ...].
Value IntegerConv(NodeContext& ctx, const ByteOperand& x, const ByteOperand& w, const ConvWindows& windows,
                  const std::function<Value(const Value&)>& finish);
/// Whether IntegerConv takes these: known channels and filters, no negative pads, room for a window.
bool TakesIntegerConv(const ByteOperand& x, const ByteOperand& w, const ConvWindows& windows);

/// What DequantizeLinear made of bytes: (data - zero) * scale, one scale for all or one per element of
/// `axis`.
struct Dequantised {
  ByteOperand bytes;
  Value scale;
  std::optional<int> axis;
  Value floats;  ///< what was made; held, so that no other value takes its place in tables
};

/// The product of the node's first two arguments where both are dequantised bytes, the second a constant with
/// scales at most per column: as a product of integers, scaled afterwards. Else null.
Value DequantisedProduct(NodeContext& ctx);
/// The convolution of the node's first two arguments with a bias (or null), likewise; scales at most per
/// filter.
Value DequantisedConv(NodeContext& ctx, const Value& bias, const ConvWindows& windows);

}  // namespace tilewright::onnx
