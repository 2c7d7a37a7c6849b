// SPDX-License-Identifier: Apache-2.0
// What the parts of the verifier share.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Findings about the statements of one function; of each kind at most one per statement.
class Findings {
 public:
  struct Finding {
    Diagnostic diagnostic;
    const StmtNode* stmt;  ///< may be null: the function itself
  };

  explicit Findings(const PrimFunc& f) : f_(f) {}
  void Add(const StmtNode* at, const std::string& id, std::string message);
  const std::vector<Finding>& list() const { return list_; }

 private:
  const PrimFunc& f_;
  std::vector<Finding> list_;
  std::set<std::pair<const StmtNode*, std::string>> seen_;
};

/// TW1505 and TW1506: runs through the function at a few points of its iteration space and compares what
/// blocks are bound to and what they touch with their domains and regions.
void VerifyAtPoints(const PrimFunc& f, Findings& findings);

}  // namespace tilewright
