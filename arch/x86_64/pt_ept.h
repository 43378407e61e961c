/* SPDX-License-Identifier: Apache-2.0 */
/* The extended page tables of VMX. [SDM 3, 29.3] */
#pragma once

#include "mm/pt.h"

extern const struct pt_format pt_format_ept;
extern const struct pt_format pt_format_ept_2mib; /* Where there are no leaves of 1 GiB. */
/* Without accessed and dirty bits: what was written is known by the fault of the first write. */
extern const struct pt_format pt_format_ept_ro, pt_format_ept_2mib_ro;
