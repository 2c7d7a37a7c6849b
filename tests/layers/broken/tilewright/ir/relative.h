// SPDX-License-Identifier: Apache-2.0
// Includes start from the root.
#pragma once

#include "expr.h"
