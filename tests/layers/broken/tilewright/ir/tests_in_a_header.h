// SPDX-License-Identifier: Apache-2.0
// Test frameworks stay in tests.
#pragma once

#include <gtest/gtest.h>
