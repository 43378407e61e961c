/* SPDX-License-Identifier: Apache-2.0 */
/* Our calls to the firmware in M-mode [RISC-V SBI 2.0]. */
#pragma once

#include "kernel/types.h"

#define SBI_EID_BASE   0x10u
#define SBI_EID_TIME   0x54494d45u
#define SBI_EID_IPI    0x735049u
#define SBI_EID_RFENCE 0x52464e43u
#define SBI_EID_HSM    0x48534du
#define SBI_EID_SRST   0x53525354u
#define SBI_EID_DBCN   0x4442434eu
#define SBI_EID_FWFT   0x46574654u

enum sbi_base_fid { BASE_SPEC_VERSION, BASE_IMPL_ID, BASE_IMPL_VERSION, BASE_PROBE };
enum sbi_fwft_fid { FWFT_SET, FWFT_GET };
#define FWFT_PTE_AD_HW_UPDATING 4u
enum sbi_rfence_fid {
    RFENCE_FENCE_I,
    RFENCE_SFENCE_VMA,
    RFENCE_SFENCE_VMA_ASID,
    RFENCE_HFENCE_GVMA_VMID,
    RFENCE_HFENCE_GVMA,
    RFENCE_HFENCE_VVMA_ASID,
    RFENCE_HFENCE_VVMA,
};

#define SBI_SUCCESS           0
#define SBI_NOT_SUPPORTED     (-2)
#define SBI_INVALID_PARAM     (-3)
#define SBI_ALREADY_AVAILABLE (-6)

struct sbi_result {
    int64_t error;
    uint64_t value;
};

/* a0 to a4 besides extension and function. */
struct sbi_result sbi_call(uint32_t extension, uint32_t function, uint64_t a, uint64_t b,
                           uint64_t c, uint64_t d, uint64_t e);
bool sbi_has(uint32_t extension);
void sbi_timer_set(uint64_t deadline);
void sbi_ipi_send(uint64_t hart);
/* A remote fence on the pCPUs of the mask; ours too if it is in. extra: ASID or VMID. */
void sbi_remote_fence(enum sbi_rfence_fid function, uint64_t pcpus, uint64_t start, uint64_t size,
                      uint64_t extra);
