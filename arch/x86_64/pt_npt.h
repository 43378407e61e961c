/* SPDX-License-Identifier: Apache-2.0 */
/* The nested page tables of SVM. [AMD APM 2, 15.25] */
#pragma once

#include "mm/pt.h"

extern const struct pt_format pt_format_npt;
extern const struct pt_format pt_format_npt_2mib; /* Where there are no leaves of 1 GiB. */
