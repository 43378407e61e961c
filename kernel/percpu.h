/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel keeps for each physical processor. A pCPU reaches its own through this_cpu(), a
 * register; others through pcpu(id). Ids are dense from 0 (the boot processor), hw_id is what the
 * hardware calls it (MPIDR, hart id, APIC id).
 */
#pragma once

#include "kernel/arch.h"
#include "kernel/list.h"
#include "kernel/sched.h"
#include "kernel/timer.h"

struct pcpu {
    unsigned id;
    uint64_t hw_id;
    _Atomic bool online;
    uint32_t ranks_held; /* Bit r: a lock of rank r is held. */
    void *stack_top;     /* With arch: offsets known to assembly. */
    struct arch_pcpu arch;
    void *guest; /* For vcpu/: the vCPU whose state is loaded here. */
    struct timer_queue timers;
    struct sched_queue sched;
    _Atomic(struct work *) work; /* Functions other pCPUs want run here, newest first. */
    _Atomic bool ipi_under_way;  /* An IPI was sent and not yet taken: no need for another. */
};

extern struct pcpu pcpus[CPUS_MAX];
extern unsigned pcpu_count; /* Those that the platform has and we use; set once in boot. */

static inline struct pcpu *this_cpu(void)
{
    return arch_this_cpu();
}

static inline struct pcpu *pcpu(unsigned id)
{
    return &pcpus[id];
}
