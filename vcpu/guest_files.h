/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest interrupt files in hardware: who has which, and waking their vCPUs. A pCPU has a few,
 * numbered from 1; a vCPU takes one of the pCPU that it runs on, and keeps it. While the vCPU is
 * bound its interrupts need nobody; while it is not, the file is watched, and an interrupt wakes
 * the vCPU. [RISC-V AIA 1.0, chapters 3 and 6]
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"
#include "vcpu/arch_vcpu.h"

struct vcpu;

struct guest_file {
    unsigned number; /* 0: none. */
    unsigned cpu;
    uint64_t page; /* Host-physical: where MSIs are written. */
    volatile void *msi;
    /*
     * Before it is used again its pCPU is to write next there, and late, the interrupts that came
     * meanwhile.
     */
    _Atomic bool stale;
    struct arch_guest_file next;
    _Atomic uint64_t late[ARCH_GUEST_FILE_WORDS];
};

/* Once, on the boot processor. */
enum err guest_files_init(void);
/* Boot only. False: there is none left on the vCPU's pCPU; *file is as before. */
bool guest_file_take(struct guest_file *file, struct vcpu *vcpu);
/* Without effect when there is none. */
void guest_file_give(struct guest_file *file);
/* An MSI to the file. Any pCPU. */
void guest_file_msi(struct guest_file *file, uint32_t identity);
/* On its pCPU: the vCPU is about to be unbound (on), has been bound (off). */
void guest_file_watch(struct guest_file *file, bool on);
/* To power-on state, before its vCPU runs again. Any pCPU; the vCPU does not run. */
void guest_file_reset(struct guest_file *file);
/*
 * What is in it, or will be; and what is to be in it when its vCPU runs again. There is one, and
 * the vCPU is held. Any pCPU; the first may wait for the file's pCPU, which must be serving its
 * work.
 */
void guest_file_get(struct guest_file *file, struct arch_guest_file *contents);
void guest_file_set(struct guest_file *file, const struct arch_guest_file *contents);
