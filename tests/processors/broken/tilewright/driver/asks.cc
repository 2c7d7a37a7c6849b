// SPDX-License-Identifier: Apache-2.0
bool Fast() { return __builtin_cpu_supports("x"); }
