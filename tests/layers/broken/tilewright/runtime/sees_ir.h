// SPDX-License-Identifier: Apache-2.0
// The runtime sees support alone.
#pragma once

#include "tilewright/ir/expr.h"
