// SPDX-License-Identifier: Apache-2.0
// A folder without a row.
#pragma once

#include <vector>
