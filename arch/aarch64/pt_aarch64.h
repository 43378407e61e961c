/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page-table formats of aarch64 and what the system registers must say for them. 4 KiB granule,
 * 48-bit output addresses throughout. Sections are those of the Arm ARM, DDI 0487 (K.a).
 */
#pragma once

#include "mm/pt.h"

/*
 * MAIR_EL2 for pt_format_s1: attribute 0 is Normal write-back, read- and write-allocate; 1
 * Device-nGnRE; 2 Normal non-cacheable. [Arm ARM D23.2, MAIR_EL2]
 */
#define PT_S1_MAIR ((uint64_t)0xff | (uint64_t)0x04 << 8 | (uint64_t)0x44 << 16)
/* TCR_EL2.T0SZ: 48-bit virtual addresses. */
#define PT_S1_T0SZ 16u

/* Stage 1 of EL2, without VHE. */
extern const struct pt_format pt_format_s1;

/*
 * Stage 2 for guest-physical addresses of so many bits. The size must not exceed
 * ID_AA64MMFR0_EL1.PARange, nor fall below what T0SZ may be. [Arm ARM D8.2, and VTCR_EL2]
 */
struct pt_s2_variant {
    const struct pt_format *format;
    const struct pt_format *dbm; /* With VTCR_EL2.HD: hardware tells what was written. */
    uint8_t ipa_bits;
    uint8_t t0sz; /* VTCR_EL2.T0SZ */
    uint8_t sl0;  /* VTCR_EL2.SL0: 1 starts at level 1, 2 at level 0. */
};

extern const struct pt_format pt_format_s2_32, pt_format_s2_36, pt_format_s2_39, pt_format_s2_40,
    pt_format_s2_42, pt_format_s2_44, pt_format_s2_48, pt_format_s2_32_dbm, pt_format_s2_36_dbm,
    pt_format_s2_39_dbm, pt_format_s2_40_dbm, pt_format_s2_42_dbm, pt_format_s2_44_dbm,
    pt_format_s2_48_dbm;

#define PT_S2_VARIANTS 7u
/* Ascending by size. */
extern const struct pt_s2_variant pt_s2_variants[PT_S2_VARIANTS];
