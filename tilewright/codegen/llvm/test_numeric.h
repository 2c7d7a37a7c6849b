// SPDX-License-Identifier: Apache-2.0
// Runs operations on lists of elements, one element and sixteen at a time, on every level of processor that
// this machine can run, and compares bytes. What depends on C++ types is kept thin: it is instantiated for
// each pair of element types.
#pragma once

#include <gtest/gtest.h>

#include <cstring>

#include "tilewright/codegen/llvm/test_kernels.h"
#include "tilewright/codegen/llvm/test_types.h"

namespace tilewright::testing_numeric {

using namespace testing_kernels;
using namespace testing_types;

using Bytes = std::vector<uint8_t>;
using Build = Expr (*)(Expr, Expr);

/// An operation, the type of its result, and what it should give for each element.
struct Expected {
  const char* name;
  Build build;
  DataType result;
  Bytes want;
  std::vector<bool> defined;  ///< the elements for which a result is specified
};

inline const std::vector<Target>& RunnableTargets() {
  static const std::vector<Target> all = [] {
    std::vector<Target> targets{TestTarget()};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) targets.push_back(CheckedWherePossible(Target::Parse("x86-64-v2")));
    if (__builtin_cpu_supports("avx2")) targets.push_back(CheckedWherePossible(Target::Parse("x86-64-v3")));
#endif
    return targets;
  }();
  return all;
}

/// What `operations` make of the `n` elements of type `t` in `a` and `b`, with vectors of `lanes`.
inline std::vector<Bytes> RunOperations(const std::vector<Expected>& operations, DataType t, Bytes& a,
                                        Bytes& b, int n, int lanes, const Target& target) {
  Var i("i");
  std::vector<Buffer> buffers{FlatUnaligned("a", t, n), FlatUnaligned("b", t, n)};
  std::vector<Stmt> stmts;
  std::vector<Bytes> results;
  std::vector<void*> pointers{a.data(), b.data()};
  const Expr index = lanes == 1 ? Expr(i) : MakeRamp(i * lanes, 1, lanes);
  results.reserve(operations.size());
  for (const Expected& operation : operations) {
    buffers.push_back(FlatUnaligned("out", operation.result, n));
    stmts.push_back(
        MakeStore(buffers.back(), operation.build(buffers[0]({index}), buffers[1]({index})), {index}));
    results.emplace_back(operation.want.size());
    pointers.push_back(results.back().data());
  }
  Compiled(Kernel("ops", buffers, Serial(i, n / lanes, MakeSeq(stmts))), target)(pointers);
  return results;
}

inline double FloatElement(DataType t, const uint8_t* element) {
  const auto as = [element](auto value) { return std::memcpy(&value, element, sizeof(value)), value; };
  if (t == kF16) return F16::Decode(as(uint16_t()));
  if (t == kBF16) return BF16::Decode(as(uint16_t()));
  return t == kF32 ? double(as(float())) : as(double());
}

inline std::string ElementText(DataType t, const uint8_t* element) {
  if (t.is_float()) return fmt::format("{}", FloatElement(t, element));
  uint64_t bits = 0;
  std::memcpy(&bits, element, size_t(t.element_bytes()));  // the machines of these tests are little-endian
  if (!t.is_int()) return fmt::format("{}", bits);
  const int unused = 64 - 8 * t.element_bytes();
  return fmt::format("{}", int64_t(bits << unused) >> unused);
}

/// Whether two elements are equal; all NaNs are, and so are both zeros.
inline bool SameElement(DataType t, const uint8_t* a, const uint8_t* b) {
  if (!t.is_float()) return std::memcmp(a, b, size_t(t.element_bytes())) == 0;
  const double x = FloatElement(t, a), y = FloatElement(t, b);
  return x == y || (std::isnan(x) && std::isnan(y));
}

/// Runs all operations, which share their operands `a` and `b` of type `t`.
inline void CheckOperations(const std::vector<Expected>& operations, DataType t, Bytes a, Bytes b) {
  const size_t bytes = size_t(t.element_bytes()), n = a.size() / bytes;
  ASSERT_EQ(n % 16, 0u);
  for (const Target& target : RunnableTargets()) {
    for (int lanes : {1, 16}) {
      const auto results = RunOperations(operations, t, a, b, int(n), lanes, target);
      for (size_t k = 0; k < operations.size(); ++k) {
        const auto& [name, build, r, want, defined] = operations[k];
        for (size_t e = 0; e < n; ++e) {
          const uint8_t* got = &results[k][e * size_t(r.element_bytes())];
          const uint8_t* expected = &want[e * size_t(r.element_bytes())];
          ASSERT_TRUE(!defined[e] || SameElement(r, got, expected))
              << fmt::format("{}({}, {}) of {}x{} on {} is {} {}, expected {}", name,
                             ElementText(t, &a[e * bytes]), ElementText(t, &b[e * bytes]), t.ToString(),
                             lanes, target.name, r.ToString(), ElementText(r, got), ElementText(r, expected));
        }
      }
    }
  }
}

/// An operation of T and T that gives R: how it is written, and what it should give.
template <class T, class R>
struct Op {
  const char* name;
  Build build;
  R (*want)(T, T);
  bool (*specified)(T) = nullptr;  ///< of which first operands; null: all
};

template <class T>
Bytes BytesOf(const std::vector<T>& values) {
  Bytes bytes(values.size() * sizeof(T));
  size_t at = 0;
  for (const T value : values) std::memcpy(&bytes[sizeof(T) * at++], &value, sizeof(T));
  return bytes;
}

/// `op` with what it gives for each of `a` and `b`.
template <class T, class R>
Expected Evaluate(const Op<T, R>& op, const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<R> want;
  std::vector<bool> defined;
  for (size_t e = 0; e < a.size(); ++e) {
    defined.push_back(!op.specified || op.specified(a[e]));
    want.push_back(defined.back() ? op.want(a[e], b[e]) : R());
  }
  return {op.name, op.build, TypeOf<R>::value, BytesOf(want), defined};
}

/// Runs operations of one result type over all pairs of `xs` and `ys`.
template <class T, class R>
void Check(const std::vector<Op<T, R>>& ops, const std::vector<T>& xs, const std::vector<T>& ys) {
  std::vector<T> a, b;
  for (const T x : xs) {
    a.insert(a.end(), ys.size(), x);
    b.insert(b.end(), ys.begin(), ys.end());
  }
  std::vector<Expected> expected;
  for (const auto& op : ops) expected.push_back(Evaluate(op, a, b));
  CheckOperations(expected, TypeOf<T>::value, BytesOf(a), BytesOf(b));
}

}  // namespace tilewright::testing_numeric
