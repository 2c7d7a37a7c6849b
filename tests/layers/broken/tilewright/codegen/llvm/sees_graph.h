// SPDX-License-Identifier: Apache-2.0
// Code generation never sees the graph.
#pragma once

#include "tilewright/graph/graph.h"
