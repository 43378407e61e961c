/* SPDX-License-Identifier: Apache-2.0 */
/* The version, as CHANGES.md counts them. */
#pragma once

#define CAISSON_VERSION "0.1.0"
