// SPDX-License-Identifier: Apache-2.0
// No row names this library.
#pragma once

#include <boost/any.hpp>
