// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/dl_types.h"

#include <gtest/gtest.h>

#include "tilewright/support/error.h"

namespace tilewright {
namespace {

TEST(DlTypes, ThereAndBack) {
  for (DataType t : {kI8, kU8, kI16, kI32, kU32, kI64, kU64, kF16, kBF16, kF32, kF64, kBool}) {
    EXPECT_EQ(FromDl(ToDl(t)), t) << t.ToString();
  }
}

TEST(DlTypes, WhatADamagedModuleMayHoldIsTheUsersToMend) {
  const DLDataType strange[] = {{77, 32, 1},      {kDLInt, 7, 1},          {kDLInt, 0, 1},
                                {kDLFloat, 8, 1}, {kDLFloat, 32, 4},       {kDLBfloat, 32, 1},
                                {kDLBool, 1, 1},  {kDLOpaqueHandle, 64, 1}};
  for (const DLDataType& t : strange) {
    try {
      ADD_FAILURE() << FromDl(t).ToString();
    } catch (const Error& e) {
      EXPECT_EQ(e.id(), "TW3202");
    }
  }
}

}  // namespace
}  // namespace tilewright
