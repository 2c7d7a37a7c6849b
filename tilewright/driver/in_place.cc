// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/in_place.h"

#include <algorithm>

namespace tilewright {

namespace {

bool SameIndices(const std::vector<Expr>& a, const std::vector<Expr>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Expr& x, const Expr& y) { return StructuralEqual(x, y); });
}

/// Whether a kernel (scheduled stage) may write `result` in the memory of `argument`: only statements that
/// write the result touch either, and to write an element they read the same element of the argument alone.
/// A schedule may have cut the one block of the computation into parts, but each element is still written
/// once, unless a statement reads the result, as that of a reduction; so what is read has not been written
/// yet.
class InPlaceCheck {
 public:
  InPlaceCheck(const Buffer& argument, const Buffer& result) : argument_(argument), result_(result) {}

  bool Run(const Stmt& body) {
    Visit(body);
    return stores_ > 0 && fits_;
  }

 private:
  void Visit(const Stmt& s) {
    auto* store = s.As<StoreNode>();
    if (store && store->buffer == result_) {
      ++stores_;
      fits_ = fits_ && !store->predicate;
      CheckLoads(store->value, &store->indices);
      for (const Expr& i : store->indices) CheckLoads(i, nullptr);
      return;
    }
    fits_ = fits_ && !(store && store->buffer == argument_);
    ForEachExpr(s, [&](const Expr& e) { CheckLoads(e, nullptr); });
    ForEachChild(s, [&](const Stmt& child) { Visit(child); });
  }

  void CheckLoads(const Expr& e, const std::vector<Expr>* indices) {
    if (auto* load = e.As<LoadNode>(); load && (load->buffer == argument_ || load->buffer == result_)) {
      fits_ = fits_ && indices && load->buffer == argument_ && SameIndices(load->indices, *indices);
    }
    ForEachChild(e, [&](const Expr& child) { CheckLoads(child, indices); });
  }

  Buffer argument_, result_;
  int stores_ = 0;
  bool fits_ = true;
};

}  // namespace

std::vector<bool> InPlacePairs(const PrimFunc& scheduled) {
  const std::vector<Buffer>& buffers = scheduled->buffers;
  const size_t first_result = buffers.size() - size_t(scheduled->num_outputs);
  std::vector<bool> pairs;
  for (size_t a = 0; a < first_result; ++a) {
    for (size_t r = first_result; r < buffers.size(); ++r)
      pairs.push_back(InPlaceCheck(buffers[a], buffers[r]).Run(scheduled->body));
  }
  return pairs;
}

}  // namespace tilewright
