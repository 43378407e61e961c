/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that assembly and C share; cpu.c checks offsets against the structs. */
#pragma once

#define PCPU_STACK_TOP 24
#define PCPU_SELF      32 /* arch.self, first in struct arch_pcpu. */
