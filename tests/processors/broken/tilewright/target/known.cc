// SPDX-License-Identifier: Apache-2.0
const char* kName = "x86-64-v3";
