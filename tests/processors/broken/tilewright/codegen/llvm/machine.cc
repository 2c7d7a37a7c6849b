// SPDX-License-Identifier: Apache-2.0
bool x86 = true;
