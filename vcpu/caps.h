/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this machine can do for guests: the backend's abilities (virt_caps), the machine model's,
 * and what is left of the host, in one place. The command `capabilities` prints it; vm_create()
 * refuses what is beyond it.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"
#include "vcpu/arch_vcpu.h"

struct config_vm;

struct caps {
    const char *arch, *backend;       /* "aarch64"; "el2", "h", "svm", "vmx". */
    const char *irqchips;             /* What guests are given: "GICv3"; "PLIC, AIA". */
    unsigned cpus;                    /* pCPUs. */
    unsigned vms_max, vcpus_max;      /* The latter of one VM. */
    unsigned regions_max;             /* Of one VM, with its RAM. */
    uint64_t memory_min, memory_max;  /* Of one VM, bytes. */
    uint64_t memory_free, memory_all; /* Of the host, bytes; a VM also takes tables of these. */
    unsigned gpa_bits;                /* Size of a guest-physical address. */
    unsigned virq_slots;              /* Interrupts that hardware holds for a vCPU. */
    unsigned guest_files;             /* RISC-V: guest interrupt files of each pCPU. */
    bool guest_timer;                 /* A guest's timer interrupts it without the hypervisor. */
    enum virt_dirty dirty;            /* How pages that a guest has written are found. */
    bool nested;                      /* Guests may be hypervisors: never. */
    bool manual, snapshot;            /* vCPUs are run by hand; VMs are saved. */
};

/* After arch_virt_enable(). Any context; memory_free is that of this moment. */
struct caps caps_get(void);
/*
 * Whether such a VM can be: E_UNSUPPORTED, more than this machine gives a VM; E_NOMEM, more than
 * there is now; E_RANGE, no size of memory or count of vCPUs. Logged with the VM's node. Takes
 * nothing: vm_create() may still find less. Any context.
 */
enum err caps_check(const struct config_vm *config);
